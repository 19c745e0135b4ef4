"""Several arms under one alpha: whether any fails that is fine, which is named, and what the others lose by being judged together."""

import cohorts
import numpy as np
import pytest
import ringed
from scipy.stats import binom
from simulation import assert_rate_at_most

import canaryjudge as cj

ALPHA = 0.05
WORLDS = {"gauges": ringed.gauges, "events": ringed.events}
_AT_ONCE = 500


def policy_of(kind, alpha=ALPHA):
    return cj.Policy(metrics=[ringed.METRICS[kind]], alpha=alpha)


def judged(kind, values, alpha=ALPHA):
    data = ringed.data_of(kind, values)
    return cj.judge(data, policy_of(kind, alpha), baseline="stable", canary=list(data[next(iter(data))])[1:])


@pytest.mark.parametrize("kind", WORLDS)
def test_the_batch_fails_the_arms_that_judge_fails(kind):
    """Judged by `judge`, arms that do not fail at their part of alpha fail at none where no other does: so the batch tells whether any fails."""
    values = WORLDS[kind](np.random.default_rng(1), 40, np.array([1.1, 1.1, 1.15]))
    at_once = ringed.failed(kind, values, ALPHA / 3)
    alone = [judged(kind, run).outcome == "fail" for run in values]
    assert at_once.any(axis=1).tolist() == alone
    assert any(alone)


@pytest.mark.parametrize("change", [1.0, 1.1])
@pytest.mark.parametrize("arms", [3, 8])
@pytest.mark.parametrize(
    ("kind", "runs"),
    [
        ("gauges", 500),
        ("events", 500),
        *(pytest.param(kind, 20_000, marks=pytest.mark.slow) for kind in WORLDS),
    ],
)
def test_any_of_the_arms_that_are_fine_fails_at_most_so_often(kind, runs, arms, change):
    """Unchanged, and each worse by just as much as is tolerated."""
    rng, wrong = np.random.default_rng(20261201), 0
    for start in range(0, runs, _AT_ONCE):
        values = WORLDS[kind](rng, min(_AT_ONCE, runs - start), np.full(arms, change))
        wrong += int(ringed.failed(kind, values, ALPHA / arms).any(axis=1).sum())
    assert_rate_at_most(wrong, runs, ALPHA)


@pytest.mark.parametrize(
    ("kind", "runs"),
    [("gauges", 60), ("events", 60), *(pytest.param(kind, 1000, marks=pytest.mark.slow) for kind in WORLDS)],
)
def test_one_bad_arm_of_four_fails_and_is_named_and_the_others_pass_as_often_as_alone(kind, runs):
    rng, found, wrong = np.random.default_rng(5), 0, 0
    for values in WORLDS[kind](rng, runs, np.array([1.0, 1.0, 1.6, 1.0])):
        told = judged(kind, values)
        found += told.worst == "ring-3" and told["ring-3"].outcome == "fail"
        others = [told[arm].outcome for arm in told if arm != "ring-3"]
        data = ringed.data_of(kind, values)
        alone = [
            cj.judge(data, policy_of(kind), baseline="stable", canary=arm).outcome
            for arm in told
            if arm != "ring-3"
        ]
        assert [outcome == "pass" for outcome in others] == [outcome == "pass" for outcome in alone]
        wrong += told.best is not None or "fail" in others
    assert binom.cdf(found, runs, 0.9) > 0.01
    assert_rate_at_most(wrong, runs, 2 * ALPHA)


@pytest.mark.parametrize("change", [1.0, 1.6])
@pytest.mark.parametrize(
    ("kind", "runs"),
    [
        ("gauges", 100),
        ("events", 100),
        *(pytest.param(kind, 2000, marks=pytest.mark.slow) for kind in WORLDS),
    ],
)
def test_of_equal_arms_none_is_named(kind, runs, change):
    """Be they fine or all as bad."""
    rng = np.random.default_rng(6)
    found = [judged(kind, values) for values in WORLDS[kind](rng, runs, np.full(3, change))]
    named = sum(one.best is not None or one.worst is not None for one in found)
    assert_rate_at_most(named, runs, ALPHA)


@pytest.mark.parametrize("world", [cohorts.arms_of_one_mix, cohorts.arms_of_two_mixes])
@pytest.mark.parametrize("runs", [15, pytest.param(150, marks=pytest.mark.slow)])
def test_within_segments_equal_arms_neither_fail_nor_are_named_and_one_that_is_worse_is(world, runs):
    """Whatever the mix of segments that one of them has."""
    rng, gauges = np.random.default_rng(20261202), world is cohorts.arms_of_one_mix
    metric = {"kind": "gauge", "tolerance": "15%"} if gauges else {"kind": "ratio"}
    policy = cohorts.policy(direction="increase", assumed_spread=0, **metric)
    policy = policy.model_copy(update={"alpha": ALPHA})
    canary, named, failed, found = list(cohorts.SEVERAL[1:]), 0, 0, 0
    for _ in range(runs):
        told = cj.judge(world(rng, {}), policy, baseline="stable", canary=canary)
        failed += told.outcome == "fail"
        named += bool(told.best or told.worst)
        told = cj.judge(world(rng, {"a": 0.4}), policy, baseline="stable", canary=canary)
        found += told.worst == "a" and told["a"].outcome == "fail"
    assert_rate_at_most(failed, runs, ALPHA)
    assert_rate_at_most(named, runs, ALPHA)
    assert binom.cdf(found, runs, 0.9) > 0.01
