"""How often rollouts of four stages are rolled back though nothing is wrong, or leave a stage, or are complete, though something is.

Stages of twelve points a minute apart, five required gauges, `pass_within` 20 %. What is measured stands on the page about rollouts.
"""

import numpy as np
import pytest
import staged
from simulation import assert_rate_at_most

import canaryjudge as cj
from canaryjudge.data import Series
from canaryjudge.patterns.staged_release import StagedRelease
from canaryjudge.rules import answered

BATCH = 1000


def played(runs, seed, **settings):
    """Play rollouts in batches."""
    rng = np.random.default_rng(seed)
    parts = [staged.play(rng, min(BATCH, runs - start), **settings) for start in range(0, runs, BATCH)]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


HEALTHY = pytest.mark.parametrize("rho", [0.0, 0.5])


def check_healthy(runs, seed, rho):
    became, _, _, by_deadline = played(runs, seed, rho=rho)
    assert_rate_at_most(int((became == "rollback").sum()), runs, staged.ALPHA)
    assert_rate_at_most(int((~by_deadline).sum()), runs, 0.1)


@HEALTHY
def test_sampled_rollouts_of_healthy_releases_are_seldom_rolled_back(rho):
    check_healthy(300, 1, rho)


@pytest.mark.slow
@HEALTHY
def test_rollouts_of_healthy_releases_are_seldom_rolled_back(rho):
    check_healthy(20_000, 2, rho)


def check_fault(runs, seed):
    became, _, stage, _ = played(runs, seed, rho=0.5, fault=0)
    stopped = (became == "rollback") & (stage <= 1)
    assert_rate_at_most(int((~stopped).sum()), runs, 0.1)


def test_sampled_faults_are_stopped_in_the_first_two_stages():
    check_fault(300, 3)


@pytest.mark.slow
def test_faults_are_stopped_in_the_first_two_stages():
    check_fault(5000, 4)


def check_late(runs, seed):
    became, _, stage, _ = played(runs, seed, rho=0.0, fault=2)
    assert_rate_at_most(int((became == "complete").sum()), runs, staged.BETA)
    assert (stage == 2).mean() > 0.5  # it is not that they never came so far


def test_sampled_late_faults_are_not_completed():
    check_late(300, 5)


@pytest.mark.slow
def test_late_faults_are_not_completed():
    check_late(5000, 6)


STAGES = pytest.mark.parametrize("stage", range(len(staged.SHARES)))


@STAGES
def test_sampled_stages_are_seldom_left_with_harm_beyond_their_bound(stage):
    assert_rate_at_most(staged.left_with_harm(500, 7, stage, 0.5), 500, staged.BETA)


@pytest.mark.slow
@STAGES
@pytest.mark.parametrize("noise", [0.05, 0.2])
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.7])
def test_stages_are_seldom_left_with_harm_beyond_their_bound(stage, rho, noise):
    assert_rate_at_most(staged.left_with_harm(20_000, 8, stage, rho, noise), 20_000, staged.BETA)


@pytest.mark.slow
@STAGES
@pytest.mark.parametrize(("rho", "times"), [(0.8, 2), (0.9, 4)])
def test_minutes_that_are_more_alike_break_it_by_so_much(stage, rho, times):
    assert_rate_at_most(staged.left_with_harm(20_000, 8, stage, rho, 0.2), 20_000, times * staged.BETA)


def through_the_package(series, policy, harm_of, most=staged.LAST):
    """Take releases through `StagedRelease` together, a minute at a time; give what `staged.play` does."""
    runs, zones = len(series), frozenset({"UTC"})
    releases = [StagedRelease(policy, ("baseline", "canary")) for _ in range(runs)]
    ended = np.full(runs, most)
    for minute in range(most):
        on = [run for run in range(runs) if not releases[run].ended]
        asked = []
        for run in on:
            harm = harm_of(releases[run].index)
            points = {}
            for number in range(series.shape[1]):
                levels = series[run, number, :, minute] * [1, harm if number == 0 else 1]
                points[f"m{number}"] = tuple(
                    Series(
                        arm,
                        levels[[place]],
                        time=np.array([60.0 * minute]),
                        zones=zones,
                        start=60.0 * minute,
                        end=60.0 * minute,
                    )
                    for place, arm in enumerate(("baseline", "canary"))
                )
            asked += releases[run].taking(points, {})
        answered(asked)
        for run in on:
            releases[run].decide()
            if releases[run].ended:
                ended[run] = minute
    return [release.action for release in releases], ended, [release.index for release in releases]


@pytest.mark.parametrize(
    "fault", [None, pytest.param(0, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)]
)
def test_the_package_decides_as_the_engine_does(fault):
    runs = 3 if fault is None else 40
    kept = []
    became, ended, stage, _ = staged.play(np.random.default_rng(9), runs, 2, rho=0.3, fault=fault, keep=kept)
    actions, ends, stages = through_the_package(
        kept[0], staged.policy_of(2, 0.2), lambda index: 1.5 if fault is not None and index >= fault else 1.0
    )
    assert actions == became.tolist()
    assert ends.tolist() == ended.tolist()
    assert [min(each, 3) for each in stage.tolist()] == stages


def through_rollout(series, policy, harm_of, most=staged.LAST):
    """Take one release through `Rollout` as a caller does; give what it came to, the last minute, and the stages that were left."""
    rollout = cj.Rollout(policy)
    titles = [stage.title for stage in policy.stages]
    for minute in range(most):
        index = titles.index(rollout.verdict().stage)
        levels = series[:, :, minute] * [
            [1, harm_of(index) if number == 0 else 1] for number in range(len(series))
        ]
        rollout.update(
            {
                f"m{number}": {
                    arm: {"time": [60.0 * minute], "value": [level]}
                    for arm, level in zip(("baseline", "canary"), levels[number].tolist(), strict=True)
                }
                for number in range(len(series))
            }
        )
        if rollout.verdict().action in ("complete", "rollback"):
            break
    verdict = rollout.verdict()
    ended = minute if verdict.action in ("complete", "rollback") else most
    return verdict.action, ended, titles.index(verdict.stage)


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "size"), [(None, 1.5), (0, 1.3), (2, 1.3)])
@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_rollouts_decide_as_the_engine_does(fault, size, rho):
    """210 whole rollouts, each update and verdict as users ask for it."""
    runs, kept = 35, []
    became, ended, stage, _ = staged.play(
        np.random.default_rng(11), runs, 2, rho=rho, noise=0.07, fault=fault, size=size - 1, keep=kept
    )
    policy = staged.policy_of(2, 0.2)
    found = [
        through_rollout(series, policy, lambda index: size if fault is not None and index >= fault else 1.0)
        for series in kept[0]
    ]
    actions, ends, stages = zip(*found, strict=True)
    assert list(actions) == became.tolist()
    assert list(ends) == ended.tolist()
    # the engine goes on with the stages of those that the evidence since the start has rolled back
    assert all(own <= theirs for own, theirs in zip(stages, stage.tolist(), strict=True))
    on = [
        own == theirs or action == "rollback"
        for own, theirs, action in zip(stages, np.minimum(stage, 3), actions, strict=True)
    ]
    assert all(on)


@pytest.mark.parametrize(("rate", "most"), [(0.01, 3), pytest.param(0.001, 15, marks=pytest.mark.slow)])
def test_errors_at_one_percent_of_the_traffic_are_stopped_in_minutes(rate, most):
    assert np.median(staged.minutes_to_stop(40, 10, rate, most)) <= most
