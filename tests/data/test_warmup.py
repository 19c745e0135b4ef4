"""A policy's warm-up: the start of the canary, and on one clock of the baseline, is not compared."""

import numpy as np
import pytest

import canaryjudge as cj
from canaryjudge.data.pairing import align
from canaryjudge.data.series import Series
from canaryjudge.data.stream import Stream

MINUTES = 60.0 * np.arange(20)


def arm(name, start=0.0, **columns):
    time = MINUTES + start
    return Series(name, np.arange(20.0), time=time, **columns)


def metric(**settings):
    return cj.Metric(**({"name": "m", "direction": "increase", "warmup": "5m"} | settings))


def notes_of(pair):
    return [(note.arm, note.count) for note in pair.notes if note.code == "warmup"]


def test_on_one_clock_both_arms_lose_the_canarys_first_minutes():
    pair = align(metric(), arm("old", -600), arm("new"))
    assert pair.pairing == "concurrent"
    assert pair.canary.time.tolist() == pair.baseline.time.tolist() == (60.0 * np.arange(5, 10)).tolist()
    assert notes_of(pair) == [("old", 5), ("new", 5)]


def test_of_windows_only_the_canary_loses_its_start():
    pair = align(metric(), arm("old", -86400), arm("new"))
    assert pair.pairing == "windows"
    assert (len(pair.baseline), pair.canary.time[0]) == (20, 300.0)
    assert notes_of(pair) == [("new", 5)]


def test_replicas_lose_it_too():
    arms = [
        arm(name, replicas=tuple(Series(f"{name}-{i}", np.arange(20.0), time=MINUTES) for i in range(2)))
        for name in ("old", "new")
    ]
    pair = align(metric(), *arms)
    for own in (*pair.baseline.replicas, *pair.canary.replicas):
        assert own.time[0] == 300.0


@pytest.mark.parametrize("kind", ["gauge", "samples"])
def test_a_warmup_needs_times(kind):
    values = {"baseline": np.arange(20.0), "canary": np.arange(20.0)}
    with pytest.raises(cj.DataError, match="warmup needs times, and the data have none"):
        cj.judge({"m": values}, cj.Policy(metrics=[metric(kind=kind)]))


def test_a_warmup_longer_than_the_data_is_a_result():
    arms = {"baseline": arm("old"), "canary": arm("new")}
    data = {"m": {name: {"time": one.time, "value": one.value} for name, one in arms.items()}}
    verdict = cj.judge(data, cj.Policy(metrics=[metric(warmup="1h")]))
    assert (verdict.outcome, verdict.metrics["m"].reason) == ("marginal", "no_data")
    assert "20 points of the warm-up left out" in verdict.explain()


@pytest.mark.parametrize("kind", ["gauge", "samples"])
@pytest.mark.parametrize("start", [0.0, -300.0])
def test_a_stream_hands_out_what_one_look_compares(kind, start):
    asked = metric(kind=kind, interval="1m")
    arms = arm("old", start), arm("new")
    stream, points = Stream(asked, "old", "new"), [[], []]
    for minute in range(-5, 21):
        parts = [one.part(one.time // 60 == minute) for one in arms]
        for pair in stream.feed(*parts):
            for got, one in zip(points, (pair.baseline, pair.canary), strict=True):
                got.extend(one.time.tolist())
        stream = Stream.restore(asked, "old", "new", stream.state())
    whole = align(asked, *arms)
    assert len(points[1]) >= len(whole.canary) - 1  # of raw points the last minute is not over
    for got, one in zip(points, (whole.baseline, whole.canary), strict=True):
        assert got == one.time[: len(got)].tolist()
    assert stream.first_time == 300.0


def test_a_watch_begins_when_the_warmup_is_over():
    policy = cj.Policy(max_duration="12m", metrics=[metric()])
    monitor = cj.Monitor(policy)
    for minute in range(18):
        point = {"time": [60.0 * minute], "value": [100.0 + minute % 3]}
        monitor.update({"m": {"baseline": point, "canary": point}})
    assert monitor.verdict().metrics["m"].findings[0].watch.looks == 5


def test_points_far_out_at_the_start_are_told_as_such():
    rng = np.random.default_rng(1)
    baseline, canary = 100 + rng.normal(size=(2, 60))
    canary[:5] += 500
    time = 1767225600 + 60.0 * np.arange(60)
    data = {
        "m": {
            "baseline": {"time": time, "value": baseline},
            "canary": {"time": time, "value": canary},
        }
    }
    failed = cj.judge(data, cj.Policy(metrics=[metric(warmup=None)]))
    assert failed.outcome == "fail"
    assert (
        "(2026-01-01T00:00:00Z to 2026-01-01T00:04:00Z), all among the canary's first 5 (warmup leaves a start out)"
        in " ".join(failed.explain().split())
    )
    assert cj.judge(data, cj.Policy(metrics=[metric()])).outcome == "pass"
