"""What holds for all data: order does not matter, rubbish gives a DataError or a clean pair, nothing else."""

import math
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from canaryjudge.data import from_wide, read_pairs
from canaryjudge.errors import DataError
from canaryjudge.policy import Metric, Policy

KINDS = ("gauge", "samples", "ratio", "count")
PAIRINGS = ("auto", "concurrent", "windows")

numbers = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 100),
    st.floats(),
    st.just(10**400),
    st.sampled_from([Decimal("1.5"), Decimal("NaN"), np.float32(2), np.int8(3), pd.NA, pd.NaT]),
)
rubbish = st.one_of(
    numbers,
    st.text(max_size=3),
    st.sampled_from(
        [
            1j,
            [1],
            {"a": 1},
            (),
            b"x",
            10**5000,
            datetime(2024, 1, 1, tzinfo=UTC),
            "2024-01-01T00:00:00Z",
            "now",
            object,
        ]
    ),
)
labels = st.sampled_from(
    ["m", "n", "baseline", "canary", "other", 1, 2.5, None, "", float("nan"), True, [1], 10**5000]
)
records = st.lists(
    st.fixed_dictionaries(
        {
            "metric": st.one_of(st.just("m"), st.just("m"), labels),
            "arm": st.one_of(st.sampled_from(["baseline", "canary"]), labels),
            "value": rubbish,
        },
        optional={"time": rubbish, "total": rubbish, "replica": rubbish},
    ),
    max_size=8,
)
sane_records = st.lists(
    st.fixed_dictionaries(
        {
            "metric": st.just("m"),
            "arm": st.sampled_from(["baseline", "canary"]),
            "value": st.one_of(st.none(), st.floats(0, 1e308), st.just(math.inf)),
            "time": st.one_of(st.none(), st.floats(-1e18, 1e18), st.integers(0, 20).map(float)),
            "total": st.one_of(st.none(), st.just(1e308)),
        }
    ),
    max_size=12,
)


def policy(kind, pairing="auto", interval=None):
    return Policy(
        metrics=[
            Metric(
                name="m", kind=kind, direction="increase", pairing=pairing, interval=interval, no_data="fail"
            )
        ]
    )


def check(pair):
    for arm in (pair.baseline, pair.canary):
        for column in (arm.value, arm.total, arm.time):
            assert column is None or (column.dtype == np.float64 and np.isfinite(column).all())
            assert column is None or len(column) == len(arm)
        assert arm.total is None or (arm.total > 0).all()
        assert arm.time is None or (np.diff(arm.time) >= 0).all()
    if pair.pairing == "concurrent" and pair.kind != "samples":
        assert len(pair.baseline) == len(pair.canary) > 0
    for note in pair.notes:
        assert note.count is None or note.count >= 0
        assert all(isinstance(fact, str) or math.isfinite(fact) for fact in note.facts.values())


def attempt(function, *arguments, **options):
    """Give what a function gives, or the DataError that it raises."""
    try:
        return function(*arguments, **options)
    except DataError as error:
        return error


def read_or_refuse(data, settings_of_metric):
    pairs = attempt(read_pairs, data, settings_of_metric)
    if isinstance(pairs, DataError):
        assert pairs.hint
        assert "\n" not in str(pairs)
    else:
        check(pairs["m"])


intervals = st.sampled_from([None, "1ms", "1m", "365d"])


@given(records, st.sampled_from(KINDS), st.sampled_from(PAIRINGS), intervals)
def test_rubbish_in_records_gives_a_data_error_or_a_clean_pair(rows, kind, pairing, interval):
    read_or_refuse(rows, policy(kind, pairing, interval))


@given(records, st.sampled_from(KINDS))
def test_rubbish_in_frames_gives_a_data_error_or_a_clean_pair(rows, kind):
    read_or_refuse(pd.DataFrame(rows, dtype=object), policy(kind))


@given(records, st.sampled_from(KINDS))
def test_rubbish_in_polars_objects_gives_a_data_error_or_a_clean_pair(rows, kind):
    names = ("metric", "arm", "value", "time")
    frame = pl.DataFrame(
        [pl.Series(name, [row.get(name) for row in rows], dtype=pl.Object) for name in names]
    )
    read_or_refuse(frame, policy(kind))


@given(
    st.lists(rubbish, max_size=5),
    st.lists(rubbish, max_size=5),
    st.lists(rubbish, max_size=5),
    st.sampled_from(KINDS),
)
def test_rubbish_in_mappings_gives_a_data_error_or_a_clean_pair(value, time, total, kind):
    series = {"value": value, "time": time, "total": total}
    for data in (value, series, {"value": value, "time": time or None, "total": total or None}):
        read_or_refuse({"m": {"baseline": [1.0], "canary": data}}, policy(kind))


@given(records)
def test_rubbish_in_wide_tables_gives_a_data_error_or_a_clean_pair(rows):
    metrics = {"m": {"value": "value", "total": "total"}}
    data = attempt(from_wide, rows, arm="arm", time="time", metrics=metrics)
    if isinstance(data, DataError):
        assert data.hint
    else:
        read_or_refuse(data, policy("ratio"))


@given(sane_records, st.sampled_from(KINDS), st.sampled_from(PAIRINGS), intervals)
def test_huge_numbers_and_far_times_never_give_infinities(rows, kind, pairing, interval):
    read_or_refuse(rows, policy(kind, pairing, interval))


@st.composite
def timed(draw):
    """Give rows of two arms, with times that do not repeat within an arm, and a shuffled copy."""
    rows = []
    for arm in ("baseline", "canary"):
        times = draw(st.lists(st.integers(0, 40), min_size=1, max_size=25, unique=True))
        rows += [
            {"metric": "m", "arm": arm, "time": 60.0 * time, "value": draw(st.integers(0, 9)), "total": 10}
            for time in times
        ]
    return rows, draw(st.permutations(rows))


@given(timed(), st.sampled_from(KINDS))
def test_shuffling_rows_changes_nothing_where_there_are_times(rows, kind):
    one, other = (read_pairs(order, policy(kind))["m"] for order in rows)
    assert one.digest() == other.digest()

    def facts(pair):
        return [note for note in pair.notes if note.code != "out_of_order"]

    assert facts(one) == facts(other)


@given(timed())
def test_aligned_points_lie_close_together_and_none_is_counted_twice(rows):
    pair = read_pairs(rows[0], policy("gauge"))["m"]
    check(pair)
    if pair.pairing == "concurrent":
        assert (np.abs(pair.baseline.time - pair.canary.time) <= 1.5 * (pair.interval or 0.0)).all()
        used = len(pair.baseline)
        lost = sum(
            note.count
            for note in pair.notes
            if note.arm == "baseline" and note.code in ("outside_overlap", "unpaired")
        )
        assert used + lost <= sum(row["arm"] == "baseline" for row in rows[0])
