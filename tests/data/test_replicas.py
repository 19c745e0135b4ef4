"""Several replicas of an arm: kept apart, and pooled to one point an interval of their own."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryjudge import judge
from canaryjudge.data import Arm, MetricPair, by_split, read_pairs, with_exposures
from canaryjudge.data.exposures import splits_of
from canaryjudge.data.times import common_slots
from canaryjudge.errors import DataError
from canaryjudge.policy import Metric, Policy

T0 = 1_700_000_000.0
EVERY = 15.0


def policy(kind="gauge", split=None, **keys):
    return Policy(metrics=[Metric(name="m", direction="increase", kind=kind, **keys)], split=split)


def replica(name, phase=0.0, size=4, start=0, **columns):
    return pd.DataFrame(
        {"replica": name, "time": T0 + phase + EVERY * np.arange(start, start + size)} | columns
    )


def frame(baseline, canary):
    parts = [
        pd.concat(arm).assign(arm=name, metric="m")
        for name, arm in (("baseline", baseline), ("canary", canary))
    ]
    return pd.concat(parts, ignore_index=True)


def read(baseline, canary, **keys):
    return read_pairs(frame(baseline, canary), policy(**keys))["m"]


def codes(pair, arm="canary"):
    return {note.code for note in pair.notes if note.arm == arm} - {"too_few_points", "constant", "unpaired"}


def phases(values=(1.0, 2.0, 6.0), lags=(0.0, 5.0, 10.0), **columns):
    return [
        replica(f"web-{i}", lag, value=value, **columns)
        for i, (value, lag) in enumerate(zip(values, lags, strict=True))
    ]


# ---- pooled


def test_replicas_scraped_at_different_phases_are_one_point_an_interval():
    pair = read(phases(), phases(), min_points=1)
    assert pair.interval == EVERY
    # the third is scraped 5 s before the first, so it begins an interval later
    assert pair.canary.value.tolist() == [1.5, 3.0, 3.0, 3.0, 6.0]
    assert (pair.canary.time - T0).tolist() == [0.0, 15.0, 30.0, 45.0, 60.0]
    assert not codes(pair)


@pytest.mark.parametrize("kind", ["ratio", "count"])
def test_counts_are_added_up(kind):
    pair = read(phases(total=10.0), phases(total=10.0), kind=kind)
    assert pair.canary.value.tolist() == [3.0, 9.0, 9.0, 9.0, 6.0]
    assert pair.canary.total.tolist() == [20.0, 30.0, 30.0, 30.0, 10.0]


def test_the_time_of_an_interval_does_not_depend_on_who_reported():
    lags = (0.0, 4.0)
    late = [replica("a", 0.0, value=1.0), replica("b", 4.0, 3, 1, value=1.0)]
    pair = read([replica(name, lag, value=1.0) for name, lag in zip("ab", lags, strict=True)], late)
    assert (pair.canary.time - T0).tolist() == (pair.baseline.time - T0).tolist() == [2.0, 17.0, 32.0, 47.0]


def test_jitter_moves_no_point_to_a_neighbor():
    rng = np.random.default_rng(1)
    arms = []
    for _ in range(2):
        parts = phases(lags=(0.0, 4.0, 7.4))
        for part in parts:
            part["time"] += rng.uniform(-0.4, 0.4, len(part))
        arms.append(parts)
    pair = read(*arms)
    assert pair.canary.value.tolist() == [3.0] * 4
    assert pair.interval == pytest.approx(EVERY, abs=0.5)


def test_replicas_at_one_time_are_no_repetition():
    pair = read(phases(lags=(0.0, 0.0, 0.0)), phases(lags=(0.0, 0.0, 0.0)))
    assert pair.canary.value.tolist() == [3.0] * 4
    assert not codes(pair)


def test_two_values_of_one_replica_at_one_time_are_a_repetition():
    twice = [replica("a", value=1.0), replica("a", value=2.0), replica("b", value=6.0)]
    assert codes(read(phases(lags=(0.0, 0.0, 0.0)), twice)) == {
        "duplicate_times",
        "suggest_samples",
        "out_of_order",
    }


def test_a_gap_is_an_interval_in_which_no_replica_reported():
    whole = phases(lags=(0.0, 5.0, 10.0))
    one_silent = [whole[0].drop(index=1), *whole[1:]]
    assert "gaps" not in codes(read(whole, one_silent))
    whole = phases(lags=(0.0, 0.0, 0.0), size=8)
    all_silent = [part.drop(index=[2, 3]) for part in whole]
    pair = read(whole, all_silent)
    assert [note.count for note in pair.notes if note.code == "gaps"] == [2]


def test_without_times_the_points_of_a_place_in_line_belong_together():
    columns = {"value": [1.0, 10.0, 2.0, 20.0, 3.0], "replica": list("ababa")}
    pair = read_pairs({"m": {"baseline": columns, "canary": columns}}, policy())["m"]
    assert pair.canary.value.tolist() == [5.5, 11.0, 3.0]
    assert pair.canary.time is None


def test_raw_samples_stay_as_they_are():
    pair = read(phases(lags=(0.0, 0.0, 0.0)), phases(), kind="samples")
    assert (len(pair.canary), [len(own) for own in pair.canary.replicas]) == (10, [4, 3, 3])


@pytest.mark.parametrize("library", [pd.DataFrame, pl.from_pandas, lambda rows: rows.to_dict("records")])
@pytest.mark.parametrize("kind", ["gauge", "samples", "ratio", "count"])
def test_the_order_of_rows_and_the_library_do_not_matter(kind, library):
    columns = {"total": 10.0} if kind == "ratio" else {}
    rows = frame(phases(**columns), phases(values=(2.0, 3.0, 4.0), **columns))
    first = read_pairs(rows, policy(kind))["m"]
    shuffled = read_pairs(library(rows.sample(frac=1, random_state=1)), policy(kind))["m"]
    assert shuffled.digest() == first.digest()


@given(st.lists(st.floats(-7.4, 7.4), min_size=1, max_size=5), st.integers(2, 20), st.floats(1.0, 600.0))
def test_slots_count_every_series_at_its_own_beat(lags, size, interval):
    times = [T0 + (1 + lag / 15) * interval + interval * np.arange(size) for lag in lags]
    slots, _ = common_slots(times, interval)
    assert all((np.diff(slot) == 1).all() for slot in slots)
    # two series are never put further apart than half an interval
    for time, slot in zip(times, slots, strict=True):
        assert abs((time[0] - times[0][0]) - interval * (slot[0] - slots[0][0])) <= interval / 2 * (1 + 1e-5)


# ---- kept apart


def test_each_replica_is_given_in_the_order_of_names():
    pair = read([*reversed(phases(lags=(0.0, 0.0, 0.0)))], [replica("only", value=5.0)])
    assert [own.value[0] for own in pair.baseline.replicas] == [1.0, 2.0, 6.0]
    assert [own.value.tolist() for own in pair.canary.replicas] == [[5.0] * 4]


def test_one_replica_an_arm_is_no_replica():
    named = read([replica("a", value=1.0)], [replica("b", value=2.0)])
    plain = read(
        [replica("a", value=1.0).drop(columns="replica")], [replica("b", value=2.0).drop(columns="replica")]
    )
    assert named.canary.replicas == ()
    assert named.digest() == plain.digest()
    unnamed = read([replica(None, value=1.0)], [replica(None, value=2.0)])
    assert unnamed.digest() == plain.digest()


def test_replicas_are_cut_to_the_time_of_both_arms():
    late = [replica(name, value=1.0, start=2) for name in "ab"]
    pair = read(phases(lags=(0.0, 0.0, 0.0)), late)
    assert [len(own) for own in (*pair.baseline.replicas, *pair.canary.replicas)] == [2] * 5
    windows = read(phases(lags=(0.0, 0.0, 0.0)), late, pairing="windows")
    assert [len(own) for own in windows.canary.replicas] == [4, 4]
    gone = [*late, replica("early", value=9.0, size=1), replica("e2", value=9.0, start=2)]
    assert len(read([replica(name, value=1.0, start=2) for name in "ab"], gone).canary.replicas) == 3


def test_histograms_keep_theirs_by_the_edges_of_the_pair():
    def rows(arm, name, edges, counts):
        return [
            {
                "metric": "m",
                "arm": arm,
                "replica": name,
                "time": T0 + EVERY * i,
                "le": le,
                "value": count * (i + 1),
            }
            for i in range(2)
            for le, count in zip(edges, counts, strict=True)
        ]

    data = [
        *rows("baseline", "a", ["0.1", "0.5", "+Inf"], [1, 3, 6]),
        *rows("baseline", "b", ["0.1", "0.5", "+Inf"], [2, 2, 3]),
        *rows("canary", "c", ["0.5", "+Inf"], [4, 5]),
    ]
    pair = read_pairs(data, policy("histogram"))["m"]
    assert pair.edges.tolist() == [0.5, np.inf]
    assert [own.buckets.tolist() for own in pair.baseline.replicas] == [[[3, 3], [6, 6]], [[2, 1], [4, 2]]]
    assert [own.value.tolist() for own in pair.baseline.replicas] == [[6, 12], [3, 6]]
    assert [own.buckets.tolist() for own in pair.canary.replicas] == [[[4, 1], [8, 2]]]
    assert pair.baseline.buckets.tolist() == [[5, 4], [10, 8]]


def test_the_digest_tells_replicas():
    arms = [Arm(np.ones(2)), Arm(np.full(2, 3.0))]
    whole = Arm(np.full(2, 2.0))
    pairs = [
        MetricPair("m", "gauge", whole, whole),
        MetricPair("m", "gauge", whole, Arm(np.full(2, 2.0), replicas=tuple(arms))),
        MetricPair("m", "gauge", Arm(np.full(2, 2.0), replicas=tuple(arms)), whole),
        MetricPair("m", "gauge", whole, Arm(np.full(2, 2.0), replicas=tuple(arms[::-1]))),
    ]
    assert len({pair.digest() for pair in pairs}) == 4


def test_parts_have_no_replicas():
    assert Arm(np.ones(3), replicas=(Arm(np.ones(3)),)).part(slice(1)).replicas == ()


# ---- what a count is out of


def test_an_interval_of_each_replica_counts_the_same():
    pair = read(phases(), [replica("a", value=2.0), replica("b", value=2.0, size=3)], kind="count")
    assert pair.reported
    assert pair.canary.total.tolist() == [2, 2, 2, 1]
    assert pair.baseline.total.tolist() == [2, 3, 3, 3]
    assert [note.code for note in with_exposures(pair, policy("count").metrics[0], policy("count")).notes][
        -1
    ] == "equal_exposure"


def test_an_arm_without_names_is_one_replica():
    baseline = frame(phases(lags=(0.0, 0.0, 0.0)), phases())
    columns = baseline[baseline["arm"] == "baseline"].to_dict("list")
    data = {"m": {"baseline": columns, "canary": {name: columns[name][:4] for name in ("time", "value")}}}
    pair = read_pairs(data, policy("count"))["m"]
    assert (pair.baseline.total.tolist(), pair.canary.total.tolist()) == ([3.0] * 4, [1.0] * 4)


def test_the_split_says_more_than_the_number_of_replicas():
    told = policy("count", split={"baseline": 0.9, "canary": 0.1})
    pair = by_split(read(phases(), phases(), kind="count"), told.metrics[0], splits_of(told))
    assert set(pair.baseline.total) == {0.9}
    assert set(pair.canary.total) == {0.1}


def test_totals_say_more_than_the_number_of_replicas():
    pair = read(phases(total=7.0), phases(total=7.0), kind="count")
    assert not pair.reported
    named = {"value": [1, 2], "total": [1, 1], "replica": ["a", "b"]}
    with pytest.raises(DataError, match="there are no totals"):
        read_pairs({"m": {"baseline": named, "canary": {"value": [1]}}}, policy("count"))


def test_three_replicas_are_not_three_times_as_bad():
    rng = np.random.default_rng(4)
    arms = [
        [replica(f"{side}-{i}", 5.0 * i, 80, value=rng.poisson(40, 80)) for i in range(size)]
        for side, size in (("b", 1), ("c", 3))
    ]
    verdict = judge(frame(*arms), policy("count", tolerance="15%"))
    assert verdict.outcome == "pass"
    assert abs(verdict.metrics["m"].findings[0].estimate) < 0.1
