"""The minute-by-minute test keeps its error rates at the very edge of the limit, and abstains or says where it does not."""

import numpy as np
import pytest
from simulation import ar1, assert_rate_at_most

from canaryjudge.stats.paired_shift import paired_test

LIMIT = float(np.log(1.1))
CASES = [
    # differences, points, times the level that is allowed: dependence beyond the promised one is approximate, and says so
    ("rho 0", 10, 1.0),
    ("rho 0.5", 10, 1.0),
    ("rho 0.5", 15, 1.0),
    ("rho 0.5", 19, 1.0),
    ("t", 15, 1.0),
    ("rho 0", 20, 1.0),
    ("rho 0.5", 20, 1.1),
    ("rho 0.7", 30, 1.2),
    ("smoothed", 30, 1.0),
    ("rho 0", 60, 1.0),
    ("t", 60, 1.2),
    ("rho 0.8", 60, 1.1),
    ("rho 0.9", 60, 2.0),
    ("smoothed", 60, 1.0),
    ("rho 0.9", 120, 1.1),
    ("rho 0.95", 240, 1.1),
    ("shared trend", 15, 1.0),
    ("shared trend", 60, 1.0),
    ("walk", 60, 4.0),
]


def at_the_edge(kind, rng, runs, n):
    """Give pairs whose change is exactly 10 %."""
    load = np.ones((runs, n))
    if kind == "t":
        noise = rng.standard_t(3, (runs, n))
    elif kind == "smoothed":  # by a query's range of five minutes
        sums = np.cumsum(rng.normal(size=(runs, n + 5)), axis=1)
        noise = (sums[:, 5:] - sums[:, :-5]) / 5
        if n < 60:
            noise = noise[:, :n]
    elif kind == "walk":
        noise = np.cumsum(rng.normal(size=(runs, n)), axis=1)
    elif kind == "shared trend":
        load = np.linspace(1, 4, n) * np.exp(0.3 * ar1(rng, runs, n, 0.9))
        noise = ar1(rng, runs, n, 0.4)
    else:
        noise = ar1(rng, runs, n, float(kind.split()[1]))
    return load, 1.1 * load * np.exp(0.05 * noise)


def check(kind, n, times, runs):
    baseline, canary = at_the_edge(kind, np.random.default_rng(20260301), runs, n)
    found = paired_test(baseline, canary, [LIMIT])
    for level in (0.05, 0.01, 0.0016, 0.0002):
        # the farthest levels of strong dependence are the hardest: two times as often, beside what is allowed
        held = kind in {"rho 0", "t", "shared trend"} or (kind == "rho 0.5" and n < 20)
        allowed = times * level * (2 if level < 0.01 and not held else 1)
        for pvalues in (found.pvalue_greater, found.pvalue_less):
            assert_rate_at_most(int((pvalues <= level).sum()), runs, allowed)


@pytest.mark.parametrize(("kind", "n", "times"), CASES)
def test_healthy_differences_keep_the_level(kind, n, times):
    check(kind, n, times, 4000)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "n", "times"), CASES)
def test_healthy_differences_keep_the_level_in_60000_runs(kind, n, times):
    check(kind, n, times, 60_000)


def differences(effect, rng, runs, n):
    """Give arms with noise of their own of 20 %, of which the canary's level is exactly a tenth higher."""
    baseline, canary = (100 * (1 + 0.2 * ar1(rng, runs, n, 0.5)) for _ in range(2))
    return (baseline, 1.1 * canary, 0.1) if effect == "relative" else (baseline, canary + 10, 10.0)


def check_effect(effect, n, runs):
    baseline, canary, limit = differences(effect, np.random.default_rng(7), runs, n)
    found = paired_test(baseline, canary, [limit], effect=effect)
    # the upper bound of a ratio of means is approximate where few points vary by a fifth
    loose = 2.0 if effect == "relative" and n < 20 else 1.2
    for level in (0.05, 0.01, 0.0016):
        assert_rate_at_most(int((found.pvalue_greater <= level).sum()), runs, 1.2 * level)
        assert_rate_at_most(int((found.pvalue_less <= level).sum()), runs, loose * level)


@pytest.mark.parametrize("effect", ["relative", "difference"])
@pytest.mark.parametrize("n", [15, 60])
def test_the_other_effects_keep_it_too(effect, n):
    check_effect(effect, n, 4000)


@pytest.mark.slow
@pytest.mark.parametrize("effect", ["relative", "difference"])
@pytest.mark.parametrize("n", [15, 20, 60])
def test_the_other_effects_keep_it_too_in_60000_runs(effect, n):
    check_effect(effect, n, 60_000)


@pytest.mark.parametrize("lasting_df", [5.0, np.inf])
def test_pods_that_differ_keep_the_level_where_it_is_known_by_how_much(lasting_df):
    rng, runs, n, spread = np.random.default_rng(8), 4_000, 30, 0.02
    baseline, noise = np.ones((runs, n)), 0.02 * ar1(rng, runs, n, 0.3)
    canary = np.exp(LIMIT + noise + spread * rng.normal(size=(runs, 1)))
    measured = spread * (
        np.ones((runs, 1))
        if np.isinf(lasting_df)
        else np.sqrt(rng.chisquare(lasting_df, (runs, 1)) / lasting_df)
    )
    found = paired_test(baseline, canary, [LIMIT], lasting=measured, lasting_df=lasting_df)
    for level in (0.05, 0.01, 0.0016):
        assert_rate_at_most(int((found.pvalue_greater <= level).sum()), runs, level)
    without = paired_test(baseline, canary, [LIMIT])
    assert (without.pvalue_greater <= 0.01).mean() > 0.1  # which is what the lasting noise is for


@pytest.mark.parametrize("n", [4, 6, 9])
@pytest.mark.parametrize("kind", ["rho 0.5", "rho 0.9", "t", "walk"])
def test_gross_harm_is_not_found_where_there_is_none(n, kind):
    runs = 20_000
    baseline, canary = at_the_edge(kind, np.random.default_rng(9), runs, n)
    for limit, arm in ((LIMIT, canary), (0.0, canary / 1.1)):
        found = paired_test(baseline, arm, [limit])
        for level in (0.05, 0.01, 0.0016):
            assert_rate_at_most(int((found.pvalue_greater <= level).sum()), runs, level)


def test_gross_harm_is_found_from_the_fourth_point():
    """Ten-fold harm at .16 %: noise of 5 % 100 % of it, of 10 % 58 to 77, of 20 % 24 at four points and 94 at nine."""
    rng = np.random.default_rng(10)

    def found(n, noise):
        baseline = np.ones((2000, n))
        canary = 10 * np.exp(noise * ar1(rng, 2000, n, 0.5))
        return (paired_test(baseline, canary, [LIMIT]).pvalue_greater <= 0.0016).mean()

    assert found(4, 0.05) > 0.99
    assert found(4, 0.1) > 0.7
    assert found(4, 0.2) > 0.2
    assert found(9, 0.2) > 0.93
