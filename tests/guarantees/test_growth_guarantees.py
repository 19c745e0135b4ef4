"""What leads nowhere is not taken for a leak; leaks are found."""

import numpy as np
import pytest
from simulation import ar1, assert_rate_at_most

from canaryjudge.data import Arm, MetricPair, row_of
from canaryjudge.policy import Growth, Metric
from canaryjudge.rules import ErrorRates, judge_pairs
from canaryjudge.stats.growth import FEWEST_BLOCKS, growth_test, largest_swing, seen_smoothing

LIMIT = float(np.log(1.1))
CASES = [
    # series, points, times the level that is allowed
    ("rho 0.5", 15, 0.5),
    ("rho 0.9", 15, 0.5),
    ("rho 0.9", 60, 0.5),
    ("walk", 6, 1.0),
    ("walk", 15, 1.0),
    ("walk", 30, 1.0),
    ("walk", 60, 1.0),
    ("walk", 240, 1.0),
    ("heavy walk", 60, 1.0),
    ("smoothed walk", 30, 2.0),
    ("smoothed walk", 60, 1.3),
    ("smoothed walk", 240, 1.0),
    ("steps of rho 0.5", 60, 1.6),
    ("steps of rho 0.8", 240, 1.3),
]


def nowhere(kind, rng, runs, n):
    """Give series without a trend, moved so that they start at 0."""
    if kind == "walk":
        series = np.cumsum(rng.normal(size=(runs, n)), axis=1)
    elif kind == "heavy walk":
        series = np.cumsum(rng.standard_t(2, (runs, n)), axis=1)
    elif kind == "smoothed walk":
        sums = np.cumsum(np.cumsum(rng.normal(size=(runs, n + 5)), axis=1), axis=1)
        series = sums[:, 5:] - sums[:, :-5]
    elif kind.startswith("steps"):
        series = np.cumsum(ar1(rng, runs, n, float(kind.split()[-1])), axis=1)
    else:
        series = ar1(rng, runs, n, float(kind.split()[-1]))
    return series - series[:, :1]


def check(kind, n, times, runs):
    series = nowhere(kind, np.random.default_rng(20260302), runs, n)
    found = growth_test(series, [0.0], smoothing=5 if kind == "smoothed walk" else 1)
    assert not found.abstains
    for level in (0.05, 0.01, 0.001, 0.0002):
        assert_rate_at_most(int((found.pvalue_greater <= level).sum()), runs, times * level)
        assert_rate_at_most(int((found.low[:, 0] > 0).sum()), runs, times * 0.01)


@pytest.mark.parametrize(("kind", "n", "times"), CASES)
def test_what_leads_nowhere_is_no_growth(kind, n, times):
    check(kind, n, times, 10_000)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "n", "times"), CASES)
def test_what_leads_nowhere_is_no_growth_in_full(kind, n, times):
    check(kind, n, times, 100_000 if n < 100 else 30_000)


SEEN = [
    # series of both arms, points, times the level that is allowed
    ("walk", 15, 1.0),
    ("rho 0.9", 15, 0.5),
    ("smoothed walk", 60, 1.4),
    ("steps of rho 0.5", 60, 1.6),
]


def check_seen(kind, n, times, runs):
    """Take both arms, and blocks as long as these seem to be smoothed."""
    rng = np.random.default_rng(20260303)
    baseline, canary = nowhere(kind, rng, runs, n), nowhere(kind, rng, runs, n)
    seen = seen_smoothing(baseline, canary)
    pvalues = np.ones(runs)
    for smoothing in np.unique(seen):
        alike = seen == smoothing
        found = growth_test((canary - baseline)[alike], [0.0], smoothing=int(smoothing))
        pvalues[alike] = found.pvalue_greater[:, 0]
    for level in (0.05, 0.01, 0.001):
        assert_rate_at_most(int((pvalues <= level).sum()), runs, times * level)


@pytest.mark.parametrize(("kind", "n", "times"), SEEN)
def test_what_leads_nowhere_is_no_growth_with_smoothing_as_it_is_seen(kind, n, times):
    check_seen(kind, n, times, 10_000)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "n", "times"), SEEN)
def test_what_leads_nowhere_is_no_growth_with_smoothing_as_it_is_seen_in_100000_runs(kind, n, times):
    check_seen(kind, n, times, 100_000)


def test_smoothing_that_outlasts_the_window_is_mostly_seen_and_abstained_from():
    rng = np.random.default_rng(20260304)
    both = [nowhere("smoothed walk", rng, 5000, 15) for _ in range(2)]
    told = 15 // np.maximum(seen_smoothing(*both), 1) < FEWEST_BLOCKS
    assert told.mean() > 0.45


@pytest.mark.parametrize("settings", [{}, {"effect": "ratio"}, {"direction": "either"}])
def test_the_rule_fails_healthy_arms_no_more_often_than_asked(settings):
    rng, runs, n = np.random.default_rng(20260305), 1500, 15
    metric = Metric(**{"name": "m", "direction": "increase", "tolerance": "1%"} | settings)
    walks = np.exp(0.02 * (rng.normal(size=(2, runs, n)).cumsum(axis=2)))
    pairs = [
        row_of(
            MetricPair("m", "gauge", Arm(baseline), Arm(canary), pairing="concurrent"),
            metric,
            ErrorRates(0.01, 0.05),
        )
        for baseline, canary in zip(*walks, strict=True)
    ]
    found = judge_pairs(pairs, Growth())
    assert_rate_at_most(sum(one.outcome == "fail" for one in found), runs, 0.01)
    assert sum(one.reason == "ends_beyond_tolerance" for one in found) > runs / 4


@pytest.mark.parametrize("n", [15, 60])
@pytest.mark.parametrize("start", [0.5, 0.7])
def test_a_canary_that_warms_up_to_the_baseline_does_not_fail(n, start):
    noise = 0.01 * ar1(np.random.default_rng(1), 2000, n, 0.5)
    warm = np.log(1 - (1 - start) * np.exp(-np.arange(n) / (n / 3)))
    assert (growth_test(warm + noise, [LIMIT]).pvalue_greater > 0.01).all()


@pytest.mark.parametrize("n", [15, 60])
@pytest.mark.parametrize("windows", [1.2, 1.5, 3.0])
def test_saws_of_garbage_collections_do_not_fail(n, windows):
    """Memory that doubles until it is collected, each replica at its own time: .70 to 1.30 of the level."""
    rng, period, runs = np.random.default_rng(2), windows * n, 4000
    phase = rng.uniform(0, period, (11, runs, 1))
    saws = np.log(0.7 + 0.6 * ((np.arange(n) + phase) % period) / period) + 0.01 * rng.normal(
        size=(11, runs, n)
    )
    changes = saws[0] - saws[1:].mean(axis=0)
    found = growth_test(changes, [LIMIT], usual=largest_swing(saws[1:]).max(axis=0))
    for level in (0.05, 0.01, 0.001):
        assert_rate_at_most(int((found.pvalue_greater <= level).sum()), runs, level)
    if windows == 1.2:  # which is what the baseline's swing is for
        assert (growth_test(changes, [LIMIT]).pvalue_greater <= 0.05).mean() > 0.07


@pytest.mark.parametrize(("n", "found_at_least"), [(15, 0.95), (60, 0.97)])
def test_a_leak_is_found(n, found_at_least):
    """Memory that grows by 42 % where both arms' memory varies by 1 %, of which the baseline has ten replicas."""
    rng, runs = np.random.default_rng(3), 2000
    replicas = 0.01 * ar1(rng, 10 * runs, n, 0.8).reshape(10, runs, n)
    canary = np.log1p(0.45 * np.arange(n) / n) + 0.01 * ar1(rng, runs, n, 0.8)
    usual = largest_swing(replicas).max(axis=0)
    found = growth_test(canary - replicas.mean(axis=0), [LIMIT], usual=usual)
    assert (found.pvalue_greater <= 0.0016).mean() > found_at_least
