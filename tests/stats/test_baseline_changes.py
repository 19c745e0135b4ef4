"""What stands between an estimate of the baseline and a verdict about the canary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from canaryjudge.stats.baseline_changes import (
    either_level,
    either_pvalue,
    estimates_correlation,
    level_of_proof,
    mean_contrast,
    recovered_bounds,
)
from canaryjudge.stats.long_run import dependence, long_run_variance


@given(st.floats(1e-9, 0.5), st.floats(1e-9, 1), st.floats(0, 0.999))
def test_either_is_the_bivariate_normal_tail(first, second, correlation):
    found = float(either_pvalue(first, second, correlation))
    least = min(first, second)
    z = stats.norm.isf(least)
    both = stats.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]]).cdf([z, z])
    assert found == pytest.approx(1 - both, abs=2e-5)
    assert least <= found <= min(1, 2 * least) + 1e-12


def test_either_is_the_single_test_where_both_are_the_same_and_two_where_they_are_not():
    assert float(either_pvalue(0.01, 0.2, 1.0)) == 0.01
    assert float(either_pvalue(0.01, 0.2, 0.0)) == pytest.approx(1 - 0.99**2)
    assert float(either_pvalue(0.0, 0.2, 0.5)) == pytest.approx(0, abs=1e-290)
    assert float(either_pvalue(1.0, 1.0, 0.5)) == 1


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.95, 1.0])
def test_either_level_inverts_either_pvalue(correlation):
    level = either_level(0.05, correlation)
    assert 0.025 <= level <= 0.05
    assert float(either_pvalue(level, 1.0, correlation)) == pytest.approx(0.05)


def test_paired_means_have_the_variance_of_their_differences():
    rng = np.random.default_rng(3)
    load = np.cumsum(rng.normal(size=80))
    baseline, canary = 100 + load + rng.normal(size=80), 112 + 1.1 * load + rng.normal(size=80)
    found = mean_contrast(baseline, canary, 1.1, paired=True)
    run = long_run_variance(canary - 1.1 * baseline)
    assert found.estimate == pytest.approx(canary.mean() - 1.1 * baseline.mean())
    assert found.error == pytest.approx(np.sqrt(run.variance / 80))
    assert found.df == run.df
    assert found.error < mean_contrast(baseline, canary, 1.1, paired=False).error / 4


def test_separate_means_add_up_their_variances():
    rng = np.random.default_rng(4)
    baseline, canary = rng.normal(100, 5, 200), rng.normal(110, 5, 50)
    found = mean_contrast(baseline, canary, 1.2, paired=False)
    rho = (50 * dependence(canary) + 200 * dependence(baseline)) / 250
    runs = long_run_variance(canary, rho), long_run_variance(baseline, rho)
    shares = 1 / 50, 1.2**2 / 200
    assert found.error**2 == pytest.approx(sum(s * r.variance for s, r in zip(shares, runs, strict=True)))
    spent = sum(s**2 / r.df for s, r in zip(shares, runs, strict=True))
    assert found.df == pytest.approx(sum(shares) ** 2 / spent)


def test_a_contrast_s_bounds_invert_its_pvalues():
    rng = np.random.default_rng(5)
    found = mean_contrast(rng.normal(10, 1, 60), rng.normal(11, 1, 60), 1.0, paired=False)
    low, high = found.bounds(0.01)
    assert float(found.pvalues(low).greater) == pytest.approx(0.01)
    assert float(found.pvalues(high).less) == pytest.approx(0.01)


def test_constant_arms_are_certain_and_two_points_are_not_enough():
    certain = mean_contrast([0.1] * 9, [0.3] * 9, 2.0, paired=False)
    assert certain.error == 0
    assert (certain.pvalues(0.0).greater, certain.pvalues(0.2).less, certain.pvalues(0.05).greater) == (
        0,
        0,
        0,
    )
    few = mean_contrast([1.0, 2.0], [5.0] * 9, 1.0, paired=False)
    assert (few.pvalues(0).greater, few.pvalues(0).less) == (1, 1)


def test_recovered_bounds_are_the_normal_ones_where_both_arms_are_normal():
    z = 1.96
    canary, baseline = (110, 110 - 2 * z, 110 + 2 * z), (100, 100 - 1 * z, 100 + 1 * z)
    for factor, correlation in ((1.0, 0.0), (1.1, 0.0), (1.1, 0.6)):
        error = np.sqrt(4 + factor**2 - 2 * correlation * 2 * factor)
        low, high = recovered_bounds(canary, baseline, factor, correlation)
        assert (low, high) == pytest.approx((110 - factor * 100 - z * error, 110 - factor * 100 + z * error))


def test_recovered_bounds_take_each_arm_s_bound_on_the_side_that_matters():
    low, high = recovered_bounds((10, 9, np.inf), (5, -np.inf, 8), 1.0, 0.0)
    assert low == pytest.approx(5 - np.sqrt(1 + 9))
    assert high == np.inf
    assert recovered_bounds((10, 9, 12), (5, -np.inf, np.inf), 0.0, 0.0) == (9, 12)


@pytest.mark.parametrize("truth", [1e-9, 0.0004, 0.01, 0.3])
def test_the_level_of_proof_is_found_and_exact_at_the_error_rate(truth):
    assert level_of_proof(lambda level: level >= truth, 0.01) == pytest.approx(truth, rel=1e-5)
    assert (level_of_proof(lambda level: level >= truth, 0.01) <= 0.01) == (truth <= 0.01)


def test_what_is_never_proven_has_a_pvalue_of_one_and_what_always_is_the_smallest():
    assert level_of_proof(lambda _: False, 0.01) == 1
    assert level_of_proof(lambda _: True, 0.01) == pytest.approx(1e-12)


def test_estimates_of_series_that_feel_the_same_are_correlated_and_constant_ones_are_not():
    rng = np.random.default_rng(6)
    load, first, second = rng.normal(size=(3, 60, 200))
    tied = [estimates_correlation(*arms) for arms in zip(load + first, load + second, strict=True)]
    assert np.mean(tied) == pytest.approx(0.5, abs=0.1)
    load = load[0]
    assert estimates_correlation(load, -load) == -1
    assert estimates_correlation(load, load) == 0.95
    assert estimates_correlation(np.ones(9), load[:9]) == 0
    assert estimates_correlation([1.0], [2.0]) == 0
