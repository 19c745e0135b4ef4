"""The rank test keeps its error rates at the very edge of the tolerance, where they are the largest."""

import numpy as np
import pytest
from simulation import ar1, assert_rate_at_most, fewest_runs, sizes

from canaryjudge.stats.rank_test import shift_test


def at_the_edge(kind, rng, runs, n):
    """Pairs whose true shift is exactly the limit, with the limit."""
    if kind == "iid":
        return rng.normal(size=(runs, n)), rng.normal(size=(runs, n)) + 0.5, 0.5
    if kind.startswith("ar"):
        rho = float(kind[2:])
        return ar1(rng, runs, n, rho), ar1(rng, runs, n, rho) + 0.5, 0.5
    if kind == "tied":
        return np.round(2 * ar1(rng, runs, n, 0.3)), np.round(2 * ar1(rng, runs, n, 0.3)) + 1, 1.0
    if kind == "zero-inflated":
        arms = [np.where(rng.random((runs, n)) < 0.4, 0.0, rng.lognormal(size=(runs, n))) for _ in range(2)]
        return arms[0], arms[1] + 1.0, 1.0
    if kind == "skewed":
        return rng.lognormal(sigma=1.0, size=(runs, n)), rng.lognormal(sigma=1.0, size=(runs, n)) + 0.3, 0.3
    assert kind == "shared load"
    load = 3 * ar1(rng, runs, n, 0.8)
    return load + rng.normal(size=(runs, n)), load + rng.normal(size=(runs, n)) + 0.5, 0.5


CASES = [
    # kind, points, times the level that is allowed: METHODS of the strongest dependence are approximate, and say so
    ("iid", 60, 1.0),
    ("iid", 20, 1.1),
    ("ar0.5", 60, 1.0),
    ("ar0.5", 30, 1.1),
    ("ar0.9", 60, 1.5),
    ("ar0.9", 240, 1.2),
    ("tied", 60, 1.0),
    ("zero-inflated", 60, 1.1),
    ("skewed", 60, 1.1),
    ("shared load", 60, 1.1),
]


def check(kind, n, times, runs):
    rng = np.random.default_rng(20260101)
    baseline, canary, limit = at_the_edge(kind, rng, runs, n)
    test = shift_test(baseline, canary, [limit], concurrent=kind == "shared load")
    for level, pvalues in (
        (0.01, test.pvalue_greater),
        (0.05, test.pvalue_greater),
        (0.05, test.pvalue_less),
        (0.01, test.pvalue_less),
    ):
        assert_rate_at_most(int((pvalues <= level).sum()), runs, times * level)


@sizes(0.01, 20_000)
@pytest.mark.parametrize(("kind", "n", "times"), CASES)
def test_false_fails_and_false_passes_keep_their_level(kind, n, times, runs):
    check(kind, n, times, runs)


def family_wise(rho, releases, metrics=20, n=60, alpha=0.01):
    """Releases in which any of the metrics fails at its share of alpha."""
    rng = np.random.default_rng(42)
    failed = abstained = 0
    for start in range(0, releases, 250):
        some = min(250, releases - start)
        baseline, canary = (ar1(rng, some * metrics, n, rho) for _ in range(2))
        test = shift_test(baseline, canary, [0.0], levels=[alpha / metrics])
        fails = (test.pvalue_greater[:, 0] <= alpha / metrics) & ~test.abstains[:, 0, 0]
        failed += int(fails.reshape(some, metrics).any(axis=1).sum())
        abstained += int(test.abstains.sum())
    return failed, abstained / (releases * metrics)


@pytest.mark.parametrize(("rho", "times"), [(0.0, 1), (0.5, 1), (0.9, 2)])
def test_twenty_healthy_metrics_together_fail_at_most_alpha(rho, times):
    releases = fewest_runs(0.01)
    failed, _ = family_wise(rho, releases)
    assert_rate_at_most(failed, releases, times * 0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("rho", "times"), [(0.0, 1), (0.5, 1), (0.9, 2)])
def test_twenty_healthy_metrics_together_fail_at_most_alpha_in_full(rho, times):
    failed, abstained = family_wise(rho, 5_000)
    assert_rate_at_most(failed, 5_000, times * 0.01)
    assert abstained < 0.01 or rho == 0.9


def test_power_is_not_given_away():
    """A robust test that never fails anything would keep its level too: at one standard deviation and rho 0, .5 it finds most."""
    rng = np.random.default_rng(3)
    for rho, least in ((0.0, 0.98), (0.5, 0.55)):
        test = shift_test(ar1(rng, 1000, 60, rho), ar1(rng, 1000, 60, rho) + 1, [0.0])
        assert (test.pvalue_greater <= 0.01).mean() > least
