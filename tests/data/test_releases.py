"""Many releases in one table: each is read as its own rows alone would be, in whatever order and library they stand."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryjudge.data import read_releases
from canaryjudge.data.reading import read_pairs_or_notes
from canaryjudge.errors import CanaryJudgeError, DataError
from canaryjudge.policy import Metric, Policy
from tests.tidy_worlds import ARMS, columns, table, told, worlds

POLICY = Policy(
    metrics=[
        Metric(name="cpu", direction="increase"),
        Metric(name="errors", kind="ratio", direction="increase"),
    ]
)


def healthy(seed=1, points=20):
    """Give one release's data, both metrics in order."""
    rng = np.random.default_rng(seed)
    time = 1.7e9 + 60.0 * np.arange(points)
    total = rng.poisson(1000, (2, points)).astype(float)
    return {
        "cpu": {arm: {"value": rng.normal(10, 1, points), "time": time} for arm in ARMS},
        "errors": {
            arm: {
                "value": rng.binomial(1000, 0.01, points).astype(float),
                "time": time,
                "total": total[index],
            }
            for index, arm in enumerate(ARMS)
        },
    }


def stacked(releases, column="service"):
    """Put the tables of releases under each other."""
    return pd.concat(
        [table(data).assign(**{column: key}) for key, data in releases.items()], ignore_index=True
    )


def own_rows(frame, policy, mask, by=("service",)):
    """Read one release from its own rows alone, with errors that name the rows of the whole table."""
    numbers = np.flatnonzero(mask) + 1
    try:
        pairs = read_pairs_or_notes(
            frame[mask].drop(columns=list(by)).reset_index(drop=True),
            policy,
            baseline="baseline",
            canary="canary",
        )
    except CanaryJudgeError as error:
        return renumbered(str(error), numbers)
    found = told(pairs)
    return {name: (*each[:3], renumbered(repr(each[3]), numbers), *each[4:]) for name, each in found.items()}


def renumbered(text, numbers):
    return re.sub(r"\brow (\d+)", lambda match: f"row {numbers[int(match[1]) - 1]}", text)


def plainly(found):
    if isinstance(found, CanaryJudgeError):
        return str(found)
    return {name: (*each[:3], repr(each[3]), *each[4:]) for name, each in told(found).items()}


def check_each(frame, policy, given=None, by="service"):
    """Hold every release against its own rows read alone."""
    names = [by] if isinstance(by, str) else by
    keys = frame[names].astype(str).agg("/".join, axis=1)
    found = list(read_releases(frame if given is None else given, policy, by=by))
    texts = [key if isinstance(key, str) else "/".join(key) for key, _ in found]
    assert texts == list(dict.fromkeys(keys))
    for text, (_, pairs) in zip(texts, found, strict=True):
        assert plainly(pairs) == own_rows(frame, policy, (keys == text).to_numpy(), names)
    return dict(found)


@st.composite
def tables(draw):
    """Draw a policy and a table of some releases, odd ones among them, in any order of rows."""
    policy, first = draw(worlds())
    releases = {"a": first}
    for key in draw(st.sampled_from(["b", "bc", "bcd"])):
        releases[key] = {
            metric: {
                arm: {name: part[name] if name == "replica" else draw(columns())[name] for name in part}
                for arm, part in arms.items()
            }
            if draw(st.booleans())
            else arms
            for metric, arms in first.items()
        }
    # columns of one arm are drawn one by one above: cut them to one length
    for data in releases.values():
        for arms in data.values():
            for arm, part in arms.items():
                size = min(map(len, part.values()))
                arms[arm] = {name: column[:size] for name, column in part.items()}
    frame = stacked(releases)
    for column in draw(st.lists(st.sampled_from(["metric", "arm", "value"]), max_size=1)):
        if len(frame):
            row = draw(st.integers(0, len(frame) - 1))
            frame = frame.astype({column: object})
            frame.loc[row, column] = draw(st.sampled_from([None, "", "abc"]))
    order = draw(st.sampled_from(["as it is", "by time", "any"]))
    if order == "by time" and "time" in frame:
        frame = frame.sort_values("time", kind="stable")
    if order == "any":
        frame = frame.sample(frac=1, random_state=draw(st.integers(0, 1000)))
    return policy, frame.reset_index(drop=True)


@given(tables())
def test_a_release_is_read_as_its_own_rows_alone(drawn):
    policy, frame = drawn
    if len(frame):
        check_each(frame, policy)


@given(tables())
def test_tables_one_after_another_are_read_as_one(drawn):
    policy, frame = drawn
    whole = [(key, plainly(pairs)) for key, pairs in read_releases(frame, policy, by="service")]
    parts = (part for _, part in frame.groupby("service", sort=False))
    each = [(key, pairs) for key, pairs in read_releases(parts, policy, by="service")]
    assert [key for key, _ in each] == [key for key, _ in whole]
    for (_, one), (_, pairs) in zip(whole, each, strict=True):
        other = plainly(pairs)
        if isinstance(one, str):
            assert re.sub(r"\d+", "", one) == re.sub(r"\d+", "", other)
        else:
            assert {name: found[0] for name, found in one.items()} == {
                name: found[0] for name, found in other.items()
            }


@pytest.mark.parametrize(
    "library",
    [
        pl.from_pandas,
        pa.Table.from_pandas,
        lambda frame: frame.to_dict("records"),
        lambda frame: pl.from_pandas(frame).lazy(),
    ],
)
def test_every_library_gives_the_same(library):
    frame = stacked({"b": healthy(1), "a": healthy(2), "c": {"cpu": healthy(3)["cpu"]}})
    found = check_each(frame, POLICY, library(frame))
    assert [isinstance(pairs, DataError) for pairs in found.values()] == [False, False, True]


def test_a_broken_release_says_what_is_wrong_while_the_others_are_read():
    frame = stacked({key: healthy(seed) for seed, key in enumerate("abcd")})
    frame.loc[frame["service"] == "b", "arm"] = "canary"
    frame = frame.astype({"arm": object, "metric": object})
    frame.loc[200, "metric"] = None
    found = check_each(frame, POLICY)
    assert found["b"].message == "the data have no arm 'baseline'"
    assert found["c"].message == "row 201: there is no metric"
    assert found["a"]["cpu"].digest() != found["d"]["cpu"].digest()


def test_a_text_among_numbers_breaks_its_metric_alone():
    frame = stacked({"a": healthy(1), "b": healthy(2)}).astype({"value": object})
    frame.loc[85, "value"] = "n/a"
    found = check_each(frame, POLICY)
    (note,) = found["b"]["cpu"].notes
    assert note.facts["said"].startswith("metric 'cpu', arm 'baseline', row 86: value is the text 'n/a'")
    assert not found["a"]["cpu"].notes


def test_releases_may_be_told_apart_by_several_columns():
    frame = stacked({"a": healthy(1), "b": healthy(2)})
    frame = pd.concat([frame.assign(zone=zone) for zone in (2, 1)], ignore_index=True)
    found = check_each(frame, POLICY, by=["service", "zone"])
    assert list(found) == [("a", "2"), ("b", "2"), ("a", "1"), ("b", "1")]
    assert list(dict(read_releases(frame[frame["zone"] == 1], POLICY, by=["service"]))) == ["a", "b"]


def test_tables_with_a_column_an_arm_are_read_release_by_release():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "service": np.repeat(["a", "b"], 12),
            "time": np.tile(1.7e9 + 60 * np.arange(12), 2),
            "baseline": rng.normal(9, 1, 24),
            "canary": rng.normal(9, 1, 24),
        }
    )
    policy = Policy(metrics=[Metric(name="cpu", direction="increase")])
    check_each(frame, policy)
    check_each(frame.sample(frac=1, random_state=1).reset_index(drop=True), policy)


def test_many_blocks_are_read_as_one(monkeypatch):
    frame = stacked({f"s{index}": healthy(index) for index in range(7)})
    whole = [(key, plainly(pairs)) for key, pairs in read_releases(frame, POLICY, by="service")]
    for rows in (1, 100, 200):
        monkeypatch.setattr("canaryjudge.data.releases._BLOCK", rows)
        for order in (frame, frame.sort_values("time", kind="stable", ignore_index=True)):
            blocks = [(key, plainly(pairs)) for key, pairs in read_releases(order, POLICY, by="service")]
            assert blocks == whole


def test_a_release_that_comes_again_is_refused():
    frame = stacked({"a": healthy(1), "b": healthy(2)})
    found = read_releases([frame, stacked({"b": healthy(3)})], POLICY, by="service")
    assert [next(found)[0], next(found)[0]] == ["a", "b"]
    with pytest.raises(DataError, match="the release 'b' comes again in a later table"):
        next(found)


@pytest.mark.parametrize(
    ("data", "by", "message"),
    [
        ([], [], "by names no column"),
        ([], "metric", "by names 'metric', a column of the points"),
        ({"cpu": {}}, "service", "the data are {'cpu': {}}"),
        (7, "service", "the data are 7"),
        ([7], "service", "table 1 is 7"),
        (pd.DataFrame({"a": [1]}), "service", "the table has no column 'service'"),
        (pd.DataFrame({"service": ["a"]}), "service", "the table has no column 'metric'"),
        (pd.DataFrame({"service": ["a", None]}), "service", "row 2: there is no service"),
    ],
)
def test_what_is_no_table_of_releases_is_refused(data, by, message):
    with pytest.raises(DataError, match=re.escape(message)):
        list(read_releases(data, POLICY, by=by))


def test_one_name_for_both_arms_is_refused():
    with pytest.raises(DataError, match="both named 'x'"):
        read_releases([], POLICY, by="service", baseline="x", canary="x")


def test_no_rows_are_no_releases():
    assert list(read_releases([], POLICY, by="service")) == []
    assert list(read_releases(stacked({"a": healthy()}).iloc[:0], POLICY, by="service")) == []
