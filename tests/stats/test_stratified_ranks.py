"""Van Elteren's test: against R, and what it must not depend on."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from simulation import assert_rate_at_most

from canaryjudge.stats.rank_test import shift_test
from canaryjudge.stats.stratified_ranks import van_elteren

BASELINE = [[5.1, 6.2, 7.3, 4.4, 8.8], [15.2, 14.1, 17.3, 16.6]]
CANARY = [[6.0, 7.1, 9.9, 8.2], [18.0, 19.5, 15.9, 20.1, 17.0, 16.6]]


def test_the_textbook_statistic_is_that_of_coin_in_r():
    # independence_test(rank / (N + 1) ~ arm | stratum) gives 1.83548164328 and, of both sides, p = .0664343565331; there is a tie
    found = van_elteren(BASELINE, CANARY, [0.0], method="asymptotic")
    assert_allclose(found.statistic, 1.83548164328)
    assert_allclose(found.pvalue_greater, 0.0664343565331 / 2)
    assert_allclose(found.pvalue_greater + found.pvalue_less, 1)


def test_the_estimate_is_the_weighted_median_of_all_differences():
    found = van_elteren(BASELINE, CANARY, [0.0])
    differences = [np.subtract.outer(c, b).ravel() for b, c in zip(BASELINE, CANARY, strict=True)]
    weights = np.concatenate(
        [np.full(len(each), 1 / (n + 1)) for each, n in zip(differences, (9, 10), strict=True)]
    )
    values = np.concatenate(differences)
    sums = [np.sign(values - at) @ weights for at in (found.estimate - 1e-6, found.estimate + 1e-6)]
    assert sums[0] >= 0 >= sums[1]
    assert_allclose(found.weights, np.array([20 / 10, 24 / 11]) / (20 / 10 + 24 / 11))


@pytest.mark.parametrize("method", ["robust", "asymptotic"])
def test_one_stratum_is_the_rank_test(method):
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(4, 40)), rng.normal(0.4, 1, (4, 30))
    own = shift_test(first, second, [0.1, 0.5], method=method)
    found = van_elteren([first], [second], [0.1, 0.5], method=method)
    # farther from the median the test of one stratum goes on in a straight line
    near = (own.pvalue_greater > 0.1) & (own.pvalue_greater < 0.9)
    assert near.sum() >= 3
    assert_allclose(found.pvalue_greater[near], own.pvalue_greater[near])
    assert_allclose(found.pvalue_less[near], own.pvalue_less[near])
    assert_allclose(found.estimate, own.estimate)
    inside = np.abs(own.low - own.estimate[:, None, None]) < 0.4
    assert_allclose(found.low[inside], own.low[inside], atol=0.03)


@pytest.mark.parametrize("method", ["robust", "asymptotic"])
def test_bounds_are_where_the_pvalue_meets_the_level(method):
    rng = np.random.default_rng(2)
    first, second = [rng.normal(size=30) for _ in range(5)], [rng.normal(0.2, 1, 20) for _ in range(5)]
    found = van_elteren(first, second, [0.0], levels=[0.01, 0.05], method=method)
    for index, level in enumerate((0.01, 0.05)):
        for bound, name in ((found.low, "pvalue_greater"), (found.high, "pvalue_less")):
            at = bound[0, index]
            outside, inside = (at - 1e-6, at + 1e-6) if name == "pvalue_greater" else (at + 1e-6, at - 1e-6)
            ends = [
                getattr(van_elteren(first, second, [each], method=method), name)[0]
                for each in (outside, inside)
            ]
            # the textbook's noise counts what is tied at the limit, too
            assert ends[0] <= level * 1.001
            assert ends[1] >= level * 0.999


def test_what_differs_between_strata_is_no_effect():
    rng = np.random.default_rng(3)
    first, second = [rng.normal(size=30) for _ in range(3)], [rng.normal(1, 1, 20) for _ in range(3)]
    moved = [[part + 100 * at for at, part in enumerate(arm)] for arm in (first, second)]
    here, there = van_elteren(first, second, [0.5]), van_elteren(*moved, [0.5])
    assert_allclose(here.estimate, there.estimate)
    assert_allclose(here.low, there.low)
    assert_allclose(here.pvalue_greater, there.pvalue_greater)


def test_thinned_samples_have_the_bounds_of_all_points():
    rng = np.random.default_rng(4)
    first, second = (
        [rng.lognormal(0, 1, 3000) for _ in range(2)],
        [rng.lognormal(0.1, 1, 3000) for _ in range(2)],
    )
    found = van_elteren(first, second, [0.0], method="asymptotic")
    at = [found.estimate, found.low[0, 0], found.high[0, 0]]
    z = van_elteren(first, second, at, method="asymptotic").statistic
    assert_allclose(z, [0, stats.norm.isf(0.01), -stats.norm.isf(0.01)], atol=0.02)


@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_a_level_holds_where_points_depend_on_each_other_and_spreads_differ(rho):
    rng, runs = np.random.default_rng(5), 2000

    def series(points, spread):
        noise = rng.normal(size=(runs, points + 50))
        for t in range(1, points + 50):
            noise[:, t] = rho * noise[:, t - 1] + np.sqrt(1 - rho**2) * noise[:, t]
        return spread * noise[:, 50:]

    baseline = [series(60, 1), series(60, 3), series(40, 1)]
    canary = [series(20, 2), series(60, 3), series(80, 1)]
    found = van_elteren(baseline, canary, [0.0])
    assert_rate_at_most(int((found.pvalue_greater <= 0.01).sum()), runs, 0.015)
    assert_rate_at_most(int((found.low[:, 0, 0] > 0).sum()), runs, 0.015)


def test_points_that_are_all_the_same_are_bounded_by_themselves():
    found = van_elteren([[1.0] * 9, [2.0] * 9], [[1.0] * 9, [2.0] * 9], [0.0, 0.5])
    assert found.estimate == 0
    assert found.pvalue_greater[0] == 0.5
    assert found.pvalue_less[1] < 1e-3
    with pytest.raises(ValueError, match="at least one; found 0 and 0"):
        van_elteren([], [], [0.0])
    with pytest.raises(ValueError, match="two points of both arms"):
        van_elteren([[1.0]], [[1.0, 2.0]], [0.0])


def test_rows_are_each_as_alone():
    rng = np.random.default_rng(6)
    first, second = [rng.normal(size=(9, 30)) for _ in range(5)], [rng.normal(size=(9, 20)) for _ in range(5)]
    whole = van_elteren(first, second, [0.0, 0.2])
    alone = van_elteren([part[4:5] for part in first], [part[4:5] for part in second], [0.0, 0.2])
    for name in ("estimate", "low", "high", "pvalue_greater", "df"):
        assert_array_equal(getattr(whole, name)[4:5], getattr(alone, name))
