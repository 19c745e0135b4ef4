"""A Monitor of several replicas: what they differ by is the yardstick of a gauge at every planned look."""

import numpy as np
import pytest
from simulation import assert_rate_at_most

import canaryjudge as cj

POLICY = cj.Policy(
    alpha="5%",
    max_points=60,
    metrics=[cj.Metric(name="cpu", direction="increase", tolerance="0%")],
)


def updates(rng, baseline, canary, noise=2.0, minutes=1):
    """So many minutes at once, a point of each replica in each, whose levels are given."""
    for start in range(0, 60, minutes):
        yield {
            "cpu": {
                arm: {
                    "time": np.repeat(60.0 * np.arange(start, start + minutes), len(levels)),
                    "value": rng.normal(levels, noise, (minutes, len(levels))).ravel(),
                    "replica": [f"pod-{i}" for i in range(len(levels))] * minutes,
                }
                for arm, levels in (("baseline", baseline), ("canary", canary))
            }
        }


def watched(baseline, canary, seed=1, policy=POLICY, **settings):
    monitor = cj.Monitor(policy)
    for update in updates(np.random.default_rng(seed), baseline, canary, **settings):
        monitor.update(update)
        monitor.verdict()
    return monitor


def test_a_difference_that_replicas_show_among_themselves_does_not_fail():
    verdict = watched([80, 100, 120, 110], [118]).verdict()
    assert verdict.outcome == "marginal"
    finding = verdict.metrics["cpu"].findings[0]
    assert (finding.replicas.baseline, finding.replicas.canary) == (4, 1)


def test_without_names_the_same_fails():
    monitor = cj.Monitor(POLICY)
    for update in updates(np.random.default_rng(1), [80, 100, 120, 110], [118]):
        for arm in update["cpu"].values():
            del arm["replica"]
            arm |= {"time": arm["time"][:1], "value": [float(np.mean(arm["value"]))]}
        monitor.update(update)
        monitor.verdict()
    assert monitor.verdict().outcome == "fail"


def test_a_change_beyond_that_fails():
    assert watched([100, 101, 99, 100], [150, 149]).verdict().outcome == "fail"


def test_a_watch_that_is_saved_and_resumed_holds_it_against_the_same_replicas():
    whole = watched([80, 100, 120, 110], [118])
    monitor = cj.Monitor(POLICY)
    for update in updates(np.random.default_rng(1), [80, 100, 120, 110], [118]):
        monitor = cj.Monitor.from_json(monitor.to_json(), POLICY)
        monitor.update(update)
        monitor.verdict()
    assert monitor.verdict().to_json() == whole.verdict().to_json()


@pytest.mark.parametrize(
    ("many", "few", "runs"), [(4, 1, 60), pytest.param(3, 2, 400, marks=pytest.mark.slow)]
)
def test_replicas_of_one_version_seldom_fail_at_any_look(many, few, runs):
    """There are five, one every twelve minutes."""
    rng = np.random.default_rng(4)
    fails = 0
    for seed in range(runs):
        levels = 100 + 15 * rng.normal(size=many + few)
        fails += watched(levels[:many], levels[many:], seed=seed, minutes=12).verdict().outcome == "fail"
    assert_rate_at_most(fails, runs, 0.05)


def test_other_kinds_say_that_they_take_replicas_together_and_remember_it():
    policy = cj.Policy(metrics=[cj.Metric(name="errors", kind="ratio", direction="increase")])
    monitor = cj.Monitor(policy)
    time, names = [0.0, 0.0, 60.0, 60.0], ["pod-0", "pod-1"] * 2
    arm = {"time": time, "value": [1, 2, 1, 0], "total": [1000] * 4, "replica": names}
    monitor.update({"errors": {"baseline": arm, "canary": arm}})
    assert [waived.what for waived in monitor.verdict().waived] == ["replicas_pooled"]
    again = cj.Monitor.from_json(monitor.to_json(), policy)
    assert again.verdict() == monitor.verdict()
