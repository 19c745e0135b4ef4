"""Histograms in updates: exponential ones list other buckets every time, and their scale falls."""

import json

import numpy as np
import pytest
from histogram_data import INF, T0, minutes, policy

import canaryjudge as cj
from canaryjudge.data import read_series
from canaryjudge.data.exponential_histograms import powers
from canaryjudge.data.stream import Stream
from canaryjudge.errors import DataError

ARMS = ("baseline", "canary")


def exponential_of(values, scale):
    """The histogram of some positive values."""
    index = np.ceil(np.log2(values) * 2.0**scale).astype(int) - 1
    counts = np.bincount(index - index.min())
    return {"scale": scale, "positive": {"offset": int(index.min()), "bucketCounts": counts.tolist()}}


def as_sdk(values):
    """As OpenTelemetry's SDKs do it: the finest scale at which 160 buckets reach."""
    for scale in range(20, -11, -1):
        found = exponential_of(values, scale)
        if len(found["positive"]["bucketCounts"]) <= 160:
            return found
    raise AssertionError(values)


def stream():
    return Stream(policy().metrics[0], *ARMS)


def again(found):
    """Save and restore it, by way of text."""
    state = json.loads(json.dumps(found.state(), allow_nan=False))
    return Stream.restore(policy().metrics[0], *ARMS, state)


def update(times, intervals, form=as_sdk, **more):
    """Both arms' histograms at some times; None for an arm that is silent."""
    return {
        "latency": {
            arm: {"time": times, "exponential": [form(each) for each in values]} | more
            for arm, values in zip(ARMS, intervals, strict=True)
            if values is not None
        }
    }


def feed(found, *given, **more):
    return found.feed(*read_series(update(*given, **more), policy(), partial=True)["latency"])


def check(pairs, arms):
    """Every interval counts what lies in each bucket."""
    (pair,) = pairs
    for arm, intervals in zip((pair.baseline, pair.canary), arms, strict=True):
        for row, values in zip(arm.buckets, intervals, strict=True):
            assert row.cumsum().tolist() == [(values <= edge).sum() for edge in pair.edges]
    return pair


def latencies(seed, size=1, each=200, level=0.1):
    rng = np.random.default_rng(seed)
    return [rng.lognormal(np.log(level), 0.5, each) for _ in range(size)]


def test_later_intervals_may_list_other_buckets():
    found, edges, merged = stream(), [], []
    for minute in range(10):
        # slower and slower, in numbers that make the scale change
        arms = [
            latencies(2 * minute + arm, each=20 + 40 * (minute % 5), level=0.1 * 1.2**minute)
            for arm in (0, 1)
        ]
        pair = check(feed(found, minutes(1, start=minute), arms), arms)
        edges.append(pair.edges.tolist())
        merged.append([note for note in found.notes if note.code == "merged_buckets"])
        found = again(found)
    assert all(each == edges[0] for each in edges)
    assert found.points == (10, 10)
    assert all(each == merged[0] for each in merged)


def test_points_that_come_again_are_known_whatever_came_with_them():
    found = stream()
    arms = [latencies(arm, 6, each=60) for arm in (1, 2)]
    check(feed(found, minutes(3), [arm[:3] for arm in arms]), [arm[:3] for arm in arms])
    digest = found.digest
    assert not feed(again(found), minutes(3), [arm[:3] for arm in arms])
    assert not feed(found, minutes(1, start=1), [arm[1:2] for arm in arms])
    assert found.digest == digest
    # a window that overlaps what was given; one interval has a single observation, and so a very fine scale
    arms[0][4] = arms[0][4][:1]
    found = again(found)
    check(feed(found, minutes(5, start=1), [arm[1:] for arm in arms]), [arm[3:] for arm in arms])
    assert found.points == (6, 6)
    with pytest.raises(DataError, match="has changed since it was given"):
        feed(found, minutes(1, start=2), [latencies(9), None])


def test_an_arm_that_waits_is_counted_by_the_edges_of_both():
    found = stream()
    arms = [latencies(arm, 2, level=level) for arm, level in ((1, 0.1), (2, 0.3))]
    form = [lambda values: exponential_of(values, 6), lambda values: exponential_of(values, 2)]
    assert not feed(found, minutes(2), [arms[0], None], form=form[0])
    found = again(found)
    pair = check(feed(found, minutes(2), [None, arms[1]], form=form[1]), arms)
    assert not len(pair.edges) > 100
    # the first arm may come again, in its own layout
    assert not feed(found, minutes(2), [arms[0], None], form=form[0])
    assert found.points == (2, 2)


def test_a_first_interval_of_few_observations_fixes_no_scale_that_does_not_last():
    found = stream()
    few = [latencies(arm, each=2) for arm in (1, 2)]
    pair = check(feed(found, minutes(1), few), few)
    assert np.isin(pair.edges[:-1], powers(np.arange(-200, 200), 3)).sum() > 10
    many = [latencies(arm, each=5000) for arm in (3, 4)]
    check(feed(found, minutes(1, start=1), many), many)


def test_a_scale_that_falls_below_that_of_the_edges_is_told():
    found = stream()
    arms = [latencies(arm) for arm in (1, 2)]
    feed(found, minutes(1), arms, form=lambda values: exponential_of(values, 3))
    before = found.state()
    with pytest.raises(DataError, match=r"edges of the buckets are missing.*begin a new monitor"):
        feed(found, minutes(1, start=1), arms, form=lambda values: exponential_of(values, 0))
    assert found.state() == before
    check(feed(found, minutes(1, start=1), arms, form=lambda values: exponential_of(values, 4)), arms)


def test_a_monitor_watches_exponential_histograms():
    asked = cj.Policy(
        metrics=[cj.Metric(name="latency", kind="histogram", unit="s", direction="increase", tolerance="10%")]
    )
    monitor = cj.Monitor(asked)
    for minute in range(40):
        arms = [latencies(2 * minute, level=0.1), latencies(2 * minute + 1, level=0.15)]
        monitor.update(update(minutes(1, start=minute), arms))
        monitor = cj.Monitor.from_json(monitor.to_json(), asked)
        if monitor.verdict().outcome != "marginal":
            break
    assert monitor.verdict().outcome == "fail"
    # what is judged at once is judged the same
    whole = cj.judge(update(minutes(1), [latencies(0, level=0.1), latencies(1, level=0.15)]), asked)
    assert whole.metrics["latency"].findings[0].n_canary == 1


def test_edges_beside_zero_do_not_come_and_go():
    """A bucket around zero has an edge below it, which only some intervals list."""
    found = stream()
    zeros = {"scale": 3, "zeroCount": 2, "positive": {"offset": 0, "bucketCounts": [3, 4]}}
    negative = zeros | {"negative": {"offset": 0, "bucketCounts": [1]}}
    sizes = {"scale": 3, "positive": {"offset": -2, "bucketCounts": [1, 3, 4]}}
    first = None
    for minute, items in enumerate(([sizes, zeros], [zeros, sizes], [sizes, sizes], [negative, zeros])):
        data = {
            "latency": {
                arm: {"time": [T0 + 60 * minute], "exponential": [item]}
                for arm, item in zip(ARMS, items, strict=True)
            }
        }
        (pair,) = found.feed(*read_series(data, policy(), partial=True)["latency"])
        first = pair.edges if first is None else first
        assert pair.edges.tolist() == first.tolist()
        assert pair.edges[0] > 0


def plain(counts, edges, minute):
    return {"time": [T0 + 60 * minute], "edges": edges, "buckets": [counts]}


def test_a_new_edge_of_a_classic_layout_is_left_out_and_noted():
    found = stream()
    fine, coarse = [0.1, 0.3, 1.0, INF], [0.1, 1.0, INF]
    for minute, (edges, counts) in enumerate(((coarse, [1, 2, 3]), (fine, [1, 1, 1, 3]))):
        data = {"latency": {arm: plain(counts, edges, minute) for arm in ARMS}}
        (pair,) = found.feed(*read_series(data, policy(), partial=True)["latency"])
        assert pair.edges.tolist() == coarse
        assert pair.canary.buckets.tolist() == [[1, 2, 3]]
    assert [(note.arm, note.count) for note in found.notes] == [("baseline", 1), ("canary", 1)]


def test_an_interval_without_observations_near_an_edge_need_not_list_it():
    found = stream()
    fine, sparse = [0.1, 0.5, 1.0, INF], [0.1, 1.0, INF]
    for minute, (edges, counts) in enumerate(((fine, [1, 1, 1, 3]), (sparse, [1, 0, 3]))):
        data = {"latency": {arm: plain(counts, edges, minute) for arm in ARMS}}
        (pair,) = found.feed(*read_series(data, policy(), partial=True)["latency"])
        assert pair.edges.tolist() == fine
    assert pair.canary.buckets.tolist() == [[1, 0, 0, 3]]
    assert not found.notes
