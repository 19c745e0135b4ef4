"""How often rollouts of four stages are rolled back though nothing is wrong, or leave a stage, or are complete, though something is.

Stages of twelve points a minute apart, five required gauges, `pass_within` 20 %. What the slow tests showed stands beside the cases, in % of rollouts.
"""

import numpy as np
import pytest
import staged
from simulation import ar1, assert_rate_at_most

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
    if rho == 0:
        assert_rate_at_most(int((~by_deadline).sum()), runs, 0.1)


@HEALTHY
def test_sampled_rollouts_of_healthy_releases_are_seldom_rolled_back(rho):
    check_healthy(300, 1, rho)


@pytest.mark.slow
@HEALTHY
def test_rollouts_of_healthy_releases_are_seldom_rolled_back(rho):
    """Of 20,000: see the page about rollouts."""
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


def left_with_harm(runs, seed, stage, rho):
    """Stages that are left though the canary is worse by all of the stage's bound."""
    bound, (sizes, _) = staged.bounds_of(0.2)[stage], staged.looks_of(staged.MINUTES)
    arms = 100 * (1 + 0.05 * ar1(np.random.default_rng(seed), runs * 2, sizes[-1], rho).reshape(runs, 2, -1))
    rates = staged.ALPHA / (2 * len(staged.SHARES)), staged.BETA
    _, passes = staged.watch(arms[:, 0], (1 + bound) * arms[:, 1], sizes, rates, bound, by_estimate=False)
    return int(passes.any(axis=1).sum())


@STAGES
def test_sampled_stages_are_seldom_left_with_harm_beyond_their_bound(stage):
    assert_rate_at_most(left_with_harm(500, 7, stage, 0.5), 500, 1.2 * staged.BETA)


@pytest.mark.slow
@STAGES
@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_stages_are_seldom_left_with_harm_beyond_their_bound(stage, rho):
    assert_rate_at_most(left_with_harm(20_000, 8, stage, rho), 20_000, 1.2 * staged.BETA)


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


def errors_of(rate, requests=20_000, share=0.01, times=5.0):
    """Policy and data of errors at 1 % of the traffic, five times as many in the canary."""
    metric = cj.Metric(name="errors", kind="ratio", direction="increase", dispersion=1, interval="60s")
    stages = [cj.Stage(canary=part, max_duration="1h") for part in staged.SHARES]
    totals = np.array([(1 - share) * requests, share * requests])
    return cj.Policy(metrics=[metric], stages=stages), totals, rate * np.array([1.0, times])


def minutes_to_stop(runs, seed, rate, most):
    """Minutes until errors at 1 % of the traffic are stopped, by the package; `most + 1` where they are not by then."""
    policy, totals, rates = errors_of(rate)
    rng, zones = np.random.default_rng(seed), frozenset({"UTC"})
    releases = [StagedRelease(policy, ("baseline", "canary")) for _ in range(runs)]
    ended = np.full(runs, most + 1)
    for minute in range(most):
        asked = []
        on = [run for run in range(runs) if not releases[run].ended]
        for run in on:
            points = tuple(
                Series(
                    arm,
                    np.array([float(rng.binomial(int(total), rate_of_arm))]),
                    np.array([total]),
                    np.array([60.0 * minute]),
                    zones,
                    start=60.0 * minute,
                    end=60.0 * minute,
                )
                for arm, total, rate_of_arm in zip(("baseline", "canary"), totals, rates, strict=True)
            )
            asked += releases[run].taking({"errors": points}, {})
        answered(asked)
        for run in on:
            releases[run].decide()
            if releases[run].action == "rollback":
                ended[run] = minute + 1
    return ended


@pytest.mark.parametrize(("rate", "most"), [(0.01, 3), pytest.param(0.001, 15, marks=pytest.mark.slow)])
def test_errors_at_one_percent_of_the_traffic_are_stopped_in_minutes(rate, most):
    assert np.median(minutes_to_stop(40, 10, rate, most)) <= most
