"""Whole columns: a table is read as its arms are one by one, and facts that spare a rule its look are true."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryjudge.data import read_pairs, read_series
from canaryjudge.data.reading import read_pairs_or_notes
from canaryjudge.data.tidy import TidyRows
from canaryjudge.errors import DataError
from canaryjudge.policy import Metric, Policy
from tests.tidy_worlds import ARMS, table, told, worlds


def attempt(read, *arguments, **names):
    try:
        return read(*arguments, **names)
    except DataError as error:
        return str(error)


def numbered(data):
    """Give each point of a mapping the number of its row in the table."""
    row, found = 1, {}
    for metric, arms in data.items():
        found[metric] = {}
        for arm, columns in arms.items():
            size = len(columns["value"])
            found[metric][arm] = columns | {"row": np.arange(row, row + size)}
            row += size
    return found


@given(worlds())
def test_a_table_is_read_as_its_arms_are_one_by_one(world):
    policy, data = world
    frame = table(data)
    arms_there = set(frame["arm"]) == set(ARMS)
    if not arms_there:
        return
    for read in (read_pairs, read_pairs_or_notes):
        names = {"baseline": "baseline", "canary": "canary"}
        each = attempt(read, numbered(data), policy, **names)
        assert told(attempt(read, frame, policy, **names)) == told(each)


@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_metrics_and_arms_does_not_matter(world, random):
    policy, data = world
    frame = table(data)
    if set(frame["arm"]) != set(ARMS):
        return
    # rows of one arm stay in line: their order is time where there is none
    keys = (frame["metric"] + frame["arm"]).to_numpy()
    places = {key: iter(np.flatnonzero(keys == key)) for key in set(keys)}
    shuffled = list(keys)
    random.shuffle(shuffled)
    mixed = table(data, [next(places[key]) for key in shuffled])
    first, second = (
        attempt(read_pairs_or_notes, each, policy, baseline="baseline", canary="canary")
        for each in (frame, mixed)
    )
    if isinstance(first, str):
        assert isinstance(second, str)
        return
    assert [pair.digest() for pair in first.values()] == [pair.digest() for pair in second.values()]
    assert [[note.code for note in pair.notes] for pair in first.values()] == [
        [note.code for note in pair.notes] for pair in second.values()
    ]


@pytest.mark.parametrize(
    "library", [pl.from_pandas, pa.Table.from_pandas, lambda frame: frame.to_dict("records")]
)
@pytest.mark.parametrize(
    "spelled",
    [
        lambda times: times,
        lambda times: times * 1000,
        lambda times: pd.to_datetime(times, unit="s"),
        lambda times: pd.to_datetime(times, unit="s", utc=True),
        lambda times: pd.to_datetime(times, unit="s").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
    ],
    ids=["seconds", "milliseconds", "naive", "utc", "text"],
)
def test_every_library_and_spelling_of_times_gives_the_same_pairs(library, spelled):
    rng = np.random.default_rng(5)
    data = {"cpu": {arm: {"value": rng.normal(9, 1, 20), "time": 1.7e9 + 60 * np.arange(20)} for arm in ARMS}}
    policy = Policy(metrics=[Metric(name="cpu", direction="increase")])
    plain = read_pairs(data, policy)["cpu"]
    frame = table(data).assign(time=lambda rows: spelled(rows["time"]))
    pair = read_pairs(library(frame), policy)["cpu"]
    assert pair.digest() == plain.digest()
    assert {note.code for note in pair.notes} <= {"time_unit"}


def test_labels_of_arrow_dictionaries_are_known_in_the_order_in_which_they_occur():
    rows = {"metric": ["cpu"] * 4, "arm": ["canary", "baseline"] * 2, "value": [1.0, 2.0, 3.0, 4.0]}
    whole = pa.table(rows)
    unused = pa.DictionaryArray.from_arrays(pa.array([2, 0, 2, 0]), ["baseline", "other", "canary"])
    coded = whole.set_column(1, "arm", unused)
    policy = Policy(metrics=[Metric(name="cpu", direction="increase")])
    with pytest.raises(DataError, match="Known arms: canary, baseline"):
        read_pairs(coded, policy, baseline="other")
    assert told(read_pairs(coded, policy)) == told(read_pairs(whole, policy))


def test_a_missing_label_of_an_arrow_table_names_its_row():
    rows = {"metric": ["cpu", "cpu"], "arm": ["canary", None], "value": [1.0, 2.0]}
    policy = Policy(metrics=[Metric(name="cpu", direction="increase")])
    with pytest.raises(DataError, match="row 2: there is no arm"):
        read_pairs(pa.table(rows), policy)


@pytest.mark.parametrize("kind", ["gauge", "samples", "ratio", "count"])
@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("replica", ["", "pod-1"])
def test_an_arm_that_is_taken_as_it_is_has_all_that_cleaning_gives_it(kind, timed, replica):
    """What a stream remembers of an arm, such as its start, is no part of the pair that is judged."""
    rng = np.random.default_rng(1)
    total = rng.poisson(1000, 40).astype(float)
    rows = pd.DataFrame(
        {"metric": "m", "arm": np.repeat(ARMS, 20), "value": rng.poisson(30, 40).astype(float)}
    )
    if kind == "ratio" or (replica and kind == "count"):
        rows["total"] = total
    if timed:
        rows["time"] = np.tile(1.7e9 + 60.0 * np.arange(20), 2)
    if replica:
        rows["replica"] = replica
    policy = Policy(metrics=[Metric(name="m", kind=kind, direction="increase")])
    taken = read_series(rows, policy)["m"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("canaryjudge.data.cleaning.as_it_is", lambda *_: None)
        cleaned = read_series(rows, policy)["m"]
    for one, other in zip(taken, cleaned, strict=True):
        assert fields(one) == fields(other)


def fields(series):
    """Give all that there is of an arm, arrays as lists."""
    found = {name: getattr(series, name) for name in series.__slots__}
    found["replicas"] = [fields(replica) for replica in series.replicas]
    return {name: each.tolist() if isinstance(each, np.ndarray) else each for name, each in found.items()}


def test_columns_of_single_points_have_one_shape_though_there_are_no_totals():
    size, metrics, arms = 2 * 2 * 2, ["cpu", "memory"], ["old", "new"]
    columns = {"value": np.arange(8.0), "time": np.zeros(size)}
    groups = (np.tile([0, 0, 1, 1], 2), metrics), (np.tile([0, 1], 4), arms)
    rows = TidyRows(columns, groups, releases=np.repeat([0, 1], 4))
    points = rows.single_points(2, ["memory", "cpu"], ("old", "new"))
    assert points.whole.all()
    assert points.value.tolist() == [[[2.0, 3.0], [0.0, 1.0]], [[6.0, 7.0], [4.0, 5.0]]]
    assert points.total.shape == points.time.shape == (2, 2, 2)
    assert np.isnan(points.total).all()
    assert not rows.single_points(2, ["memory"], ("old", "new")).whole.any()  # there is more
