"""Rollouts that are made up go as the same data go through `Rollout`, and metrics with nothing wrong are asked once."""

import numpy as np
import pytest

import canaryjudge as cj
from canaryjudge.simulate.assumptions import Assumed
from canaryjudge.simulate.rollouts import Behavior, MadeUpRollouts

STAGES = [
    {"canary": "1%", "min_duration": "10m", "max_duration": "30m"},
    {"canary": "10%", "min_duration": "10m", "max_duration": "30m"},
    {"canary": "50%", "min_duration": "20m", "max_duration": "40m", "advance": "proven"},
]
ERRORS = {
    "name": "errors",
    "kind": "ratio",
    "direction": "increase",
    "tolerance": {"relative": "40%", "absolute": "0.05%"},
    "dispersion": 1.2,
}
LATENCY = {"name": "p99", "unit": "ms", "direction": "increase", "pass_within": "20%"}
BEHAVIORS = {
    "errors": Behavior(Assumed(level="0.4%", traffic=20_000, dispersion=1.2), per_request=False),
    "p99": Behavior(Assumed(level="240ms", spread="4%", autocorrelation=0.3), per_request=False),
    "orders": Behavior(Assumed(level=3000, interval="120s"), per_request=False),
    "share of hits": Behavior(Assumed(level="60%", traffic=5000), per_request=False),
}
POLICY = cj.Policy(metrics=[ERRORS, LATENCY], stages=STAGES)
OTHERS = cj.Policy(
    metrics=[
        {"name": "share of hits", "kind": "ratio", "direction": "decrease"},
        {"name": "orders", "kind": "count", "direction": "either", "interval": "120s"},
        LATENCY | {"role": "guard", "direction": "either"},
    ],
    stages=[
        {"canary": "5%", "max_duration": "20m", "advance": "proven"},
        {"canary": "20%", "min_duration": "6m", "max_duration": "20m", "advance": "time"},
        {"canary": "50%", "max_duration": "40m"},
    ],
    on_deadline="pass",
)
WARM = cj.Policy(
    metrics=[ERRORS | {"warmup": "4m"}, LATENCY | {"warmup": "3m"}], stages=STAGES, on_deadline="fail"
)


def made_up(policy, runs, seed=0):
    return MadeUpRollouts(policy, {m.name: BEHAVIORS[m.name] for m in policy.metrics}, range(runs), seed)


def by_rollout(made, run, worse=None, size=0.0, since=0):
    """Take one of them through its stages by `Rollout`, looked at after every point; gives action, stage and points of each stage."""
    policy, rollout = made.policy, cj.Rollout(made.policy)
    steps, now = [0] * len(policy.stages), 0
    for stage in range(len(policy.stages)):
        pairs = {
            metric.name: made.pair(
                metric, stage, run, size if metric.name == worse and stage >= since else 0.0
            )
            for metric in policy.metrics
        }
        local, action = 0, "hold"
        while action == "hold" and now < made.most:
            data = {
                name: {
                    arm: {
                        "time": part.time[at] + made.step * (now - local),
                        "value": part.value[at],
                        **({} if part.total is None else {"total": part.total[at]}),
                    }
                    for arm, part in (("baseline", pair.baseline), ("canary", pair.canary))
                    for at in [np.flatnonzero(pair.baseline.time == local * made.step)]
                }
                for name, pair in pairs.items()
                if (pair.baseline.time == local * made.step).any()
            }
            rollout.update(data)
            now, local = now + 1, local + 1
            steps[stage] = local
            action = rollout.verdict().action
        if action != "advance":
            return action, stage, steps
    raise AssertionError(action)


@pytest.mark.parametrize(
    ("policy", "worse", "size", "since"),
    [
        (POLICY, None, 0.0, 0),
        (POLICY, "errors", 1.0, 0),
        (POLICY, "errors", 4.0, 1),
        (POLICY, "p99", 0.4, 2),
        (WARM, None, 0.0, 0),
        (WARM, "p99", 0.25, 0),
        (OTHERS, None, 0.0, 0),
        (OTHERS, "share of hits", 0.3, 0),
        (OTHERS, "orders", 1.0, 1),
    ],
)
@pytest.mark.parametrize("runs", [3, pytest.param(25, marks=pytest.mark.slow)])
def test_they_go_as_the_same_data_go_through_a_rollout(policy, worse, size, since, runs):
    made = made_up(policy, runs)
    played = made.play(worse, size, since)
    for run in range(runs):
        expected = by_rollout(made, run, worse, size, since)
        assert (played.action[run], played.stage[run], played.steps[run].tolist()) == expected


def test_a_rollout_is_the_same_in_any_company():
    made = MadeUpRollouts(POLICY, {name: BEHAVIORS[name] for name in ("errors", "p99")}, range(5, 9), 0)
    some, more = made.play("errors", 1.0), made_up(POLICY, 9).play("errors", 1.0)
    assert some.steps.tolist() == more.steps[5:].tolist()
    assert some.action.tolist() == more.action[5:].tolist()


def test_what_is_found_at_once_is_stopped_in_the_first_look():
    crash = {**BEHAVIORS, "errors": Behavior(Assumed(level="1%", traffic=10_000_000), per_request=False)}
    made = MadeUpRollouts(POLICY, {name: crash[name] for name in ("errors", "p99")}, range(10), 0)
    played = made.play("errors", 50.0)
    assert set(played.action) == {"rollback"}
    assert played.steps.tolist() == [[1, 0, 0]] * 10


@pytest.mark.parametrize("kind", ["samples", "histogram"])
def test_every_kind_goes_through_stages(kind):
    metric = {"name": "m", "kind": kind, "direction": "increase", "pass_within": "30%"}
    stages = [{"canary": "20%", "max_duration": "40m"}, {"canary": "50%", "max_duration": "40m"}]
    policy = cj.Policy(metrics=[metric], stages=stages)
    behavior = Behavior(Assumed(spread="30%", level=100, traffic=100), per_request=True)
    made = MadeUpRollouts(policy, {"m": behavior}, range(8), 0)
    assert set(made.play("m", 1.0).action) == {"rollback"}
    assert (made.play().action == "complete").sum() >= 6


def test_a_longer_stage_is_left_more_often():
    made = made_up(POLICY, 40)
    left = [np.isfinite(made.leaves(0, 60.0 * minutes)).sum() for minutes in (5, 10, 20, 40)]
    assert left == sorted(left)
    assert left[0] < left[-1]
