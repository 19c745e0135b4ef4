"""The latest points of a watch: kept for drawing, bounded, and no part of what is judged or saved."""

import numpy as np
import pytest

import canaryjudge as cj

TIMES = 60.0 * np.arange(300)


def monitor(**metric):
    given = {"name": "m", "direction": "increase"} | metric
    return cj.Monitor(cj.Policy(metrics=[cj.Metric(**given)], max_points=1000))


def update(watch, part, **columns):
    arm = {name: column[part] for name, column in ({"time": TIMES} | columns).items()}
    watch.update({"m": {"baseline": arm, "canary": arm}})


def test_nothing_is_kept_unless_it_is_asked_for():
    watch = monitor()
    update(watch, slice(5), value=TIMES)
    assert watch.recent == {}
    watch.keep_recent()
    assert watch.recent == {"m": (None, None)}
    assert watch.verdict().metrics["m"].baseline is None


def test_the_latest_hundred_are_kept_with_gaps_where_nothing_came():
    watch = monitor()
    watch.keep_recent()
    for end in range(10, 301, 10):
        if end != 290:
            update(watch, slice(end - 10, end), value=TIMES)
    baseline, canary = watch.recent["m"]
    assert baseline == canary
    series = baseline.series
    assert series.value[-1] == TIMES[-1]
    assert series.start == TIMES[190]
    assert [value for value in series.value if value is not None] == [*TIMES[190:280], *TIMES[290:]]
    assert series.value[90] is None


def test_asking_again_keeps_what_is_there():
    watch = monitor()
    watch.keep_recent()
    update(watch, slice(5), value=TIMES)
    watch.keep_recent()
    assert watch.recent["m"][0].series.value == tuple(TIMES[:5])


def test_ratios_are_kept_as_shares_and_raw_observations_by_their_median():
    ratio = monitor(kind="ratio")
    ratio.keep_recent()
    update(ratio, slice(4), value=np.full(300, 5), total=np.full(300, 100))
    assert ratio.recent["m"][1].series.value == (0.05,) * 4
    samples = monitor(kind="samples", interval="60s")
    samples.keep_recent()
    arm = {"time": np.repeat(TIMES[:4], 3), "value": np.tile([1.0, 2.0, 9.0], 4)}
    samples.update({"m": {"baseline": arm, "canary": arm}})
    assert samples.recent["m"][1].series.value == (2.0,) * 3  # the last interval may still go on


@pytest.mark.parametrize("kind", ["gauge", "ratio"])
def test_what_is_kept_changes_neither_verdict_nor_state(kind):
    columns = {"value": np.arange(300) % 7, "total": np.full(300, 100)}
    columns = columns if kind == "ratio" else {"value": columns["value"]}
    watches = [monitor(kind=kind), monitor(kind=kind)]
    watches[1].keep_recent()
    for watch in watches:
        update(watch, slice(50), **columns)
    assert watches[0].verdict() == watches[1].verdict()
    assert watches[0].to_json() == watches[1].to_json()
