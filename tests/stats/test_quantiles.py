"""Order-statistic bounds of a quantile, and bounds of a mean: ranks of R, sums of the binomial distribution, coverage.

Bands around distribution functions and quantile differences: by their definition, and by how often they err.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose
from scipy import signal, stats
from scipy.stats import binom, ksone

from canaryjudge.stats.long_run import long_run_variance
from canaryjudge.stats.proportions import _at_most
from canaryjudge.stats.quantiles import (
    QuantileTest,
    dkw_margin,
    mean_bounds,
    mean_pvalues,
    quantile_differences,
)

SURE = 1 - 1e-6
RUNS = [2000, pytest.param(10_000, marks=pytest.mark.slow)]
series_of_integers = hnp.arrays(float, st.integers(1, 60), elements=st.integers(-9, 9).map(float))
quantiles = st.floats(0.01, 0.99)
levels = st.floats(1e-6, 0.45)


def ar1(rng, rho, shape):
    """Stationary autoregressive series with standard normal points."""
    noise = rng.normal(size=shape) * np.sqrt(1 - rho**2)
    noise[..., 0] /= np.sqrt(1 - rho**2)
    return signal.lfilter([1], [1, -rho], noise, axis=-1)


def mixed(n, q):
    """The numbers from 1 to n in an order in which those up to the q-quantile are spread evenly: no run is long."""
    low = int(np.ceil(n * q))
    turns = np.concatenate([(np.arange(low) + 0.5) / low, (np.arange(n - low) + 0.5) / (n - low)])
    return np.argsort(np.argsort(turns)).argsort() + 1.0


def bounds_of(series, q, level):
    """Bounds of many series."""
    return np.array([QuantileTest(one, q).bounds(level) for one in series]).T


@pytest.mark.parametrize(
    ("n", "q", "level", "low", "high"),
    # the ranks of R: qbinom(level, n, q) and qbinom(1 - level, n, q) + 1
    [(100, 0.5, 0.05, 42, 59), (60, 0.9, 0.05, 50, 59), (200, 0.3, 0.01, 45, 76)],
)
def test_ranks_of_r(n, q, level, low, high):
    assert QuantileTest(mixed(n, q), q).bounds(level) == (low, high)


def test_pvalues_of_r():
    # the tails of R: pbinom(49, 60, .9); 1 - pbinom(56, 60, .9)
    assert_allclose(QuantileTest(mixed(60, 0.9), 0.9).pvalues(49).greater, 0.034209123078733, rtol=1e-9)
    assert_allclose(_at_most(np.array(60.0 - 57.0), 60, 1 - 0.9), 0.137398569419658, rtol=1e-9)


@given(st.integers(1, 60), quantiles, st.data())
def test_tails_of_the_binomial_distribution(n, q, data):
    count, masses = data.draw(st.integers(-1, n)), stats.binom.pmf(np.arange(n + 1), n, q)
    assert_allclose(_at_most(np.array(float(count)), n, q), masses[: count + 1].sum(), rtol=1e-7)


@given(series_of_integers, quantiles, st.integers(-10, 10), levels)
def test_bounds_invert_the_pvalues(series, q, value, level):
    test = QuantileTest(series, q)
    (low, high), pvalues = test.bounds(level), test.pvalues(value)
    if not np.isclose(pvalues.greater, level, rtol=1e-9):
        assert (low > value) == (pvalues.greater < level)
    if not np.isclose(pvalues.less, level, rtol=1e-9):
        assert (high <= value) == (pvalues.less < level)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.8])
def test_bounds_invert_the_pvalues_of_long_series(q):
    rng = np.random.default_rng(8)
    series, values = ar1(rng, 0.8, (2_000, 120)), stats.norm.ppf(q) + rng.normal(0, 0.5, 2_000)
    for one, value in zip(series, values, strict=True):
        test = QuantileTest(one, q)
        (low, high), pvalues = test.bounds(0.02), test.pvalues(value)
        assert (low > value) == (pvalues.greater < 0.02)
        assert (high <= value) == (pvalues.less < 0.02)


@given(series_of_integers, quantiles, levels)
def test_bounds_are_never_narrower_than_those_of_independent_points(series, q, level):
    ranked, n = np.concatenate([[-np.inf], np.sort(series), [np.inf]]), series.size
    few, many = (int(stats.binom.ppf(at, n, q)) for at in (level, 1 - level))
    low, high = QuantileTest(series, q).bounds(level)
    assert low <= ranked[few] <= np.quantile(series, q, method="inverted_cdf") <= ranked[many + 1] <= high


@given(series_of_integers, quantiles, st.integers(-10, 10))
def test_a_larger_series_is_more_evidence(series, q, value):
    here, there = (QuantileTest(points, q).pvalues(value) for points in (series, series + 1))
    assert there.greater <= here.greater
    assert there.less >= here.less


def test_a_batch_is_its_parts():
    rng = np.random.default_rng(2)
    series = ar1(rng, 0.6, (2, 3, 80)).round(1)
    values = rng.normal(0, 0.3, (2, 3))
    mean, about = mean_bounds(series, 0.02), mean_pvalues(series, values)
    for at in np.ndindex(2, 3):
        one, two = mean_bounds(series[at], 0.02), mean_pvalues(series[at], values[at])
        assert_allclose([one.low, one.high], [mean.low[at], mean.high[at]], rtol=1e-12)
        assert_allclose([two.greater, two.less], [about.greater[at], about.less[at]], rtol=1e-12)
    pvalues = QuantileTest(series[0, 0], 0.7).pvalues(values)
    assert pvalues.less[1, 2] == QuantileTest(series[0, 0], 0.7).pvalues(values[1, 2]).less


def test_ranks_run_out():
    low, high = QuantileTest(np.arange(20.0), 0.99).bounds(0.05)
    assert low > 10
    assert high == np.inf
    assert QuantileTest(np.arange(20.0), 0.01).bounds(0.05)[0] == -np.inf


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_points_bound_nothing(n):
    series = np.arange(float(n))
    mean, quantile = mean_bounds(series, 0.05), QuantileTest(series, 0.5)
    assert quantile.bounds(0.05) == (mean.low, mean.high) == (-np.inf, np.inf)
    for pvalues in (quantile.pvalues(9), mean_pvalues(series, 9)):
        assert (pvalues.greater, pvalues.less) == (1, 1)


def test_a_constant_series_is_at_its_mean():
    for value in (7.0, 0.1, -1e9 / 3):
        found = mean_bounds(np.full(30, value), 0.01)
        assert (found.estimate, found.low, found.high) == (value, value, value)
    pvalues = mean_pvalues(np.full(30, 7.0), [6.0, 7.0, 8.0])
    assert pvalues.greater.tolist() == [0, 1, 1]
    assert pvalues.less.tolist() == [1, 1, 0]


def test_mean_bounds_by_hand():
    series = ar1(np.random.default_rng(3), 0.7, 200)
    run = long_run_variance(series)
    reach = stats.t.isf(0.03, run.df) * np.sqrt(run.variance / 200)
    found = mean_bounds(series, 0.03)
    assert_allclose([found.low, found.high], [series.mean() - reach, series.mean() + reach], rtol=1e-12)
    assert_allclose(mean_pvalues(series, found.low).greater, 0.03, rtol=1e-9)
    assert_allclose(mean_pvalues(series, found.high).less, 0.03, rtol=1e-9)


# Excess over the level .05 that a few cosine projections of indicators have, the more so the stronger the dependence
DEPENDENT = [(0.0, 60, 0.5, 1.0), (0.5, 60, 0.5, 1.0), (0.5, 240, 0.9, 1.1), (0.8, 240, 0.5, 1.3)]


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize(("rho", "n", "q", "excess"), DEPENDENT)
def test_bounds_nearly_keep_their_level(rho, n, q, excess, runs):
    series, truth = ar1(np.random.default_rng(5), rho, (runs, n)), stats.norm.ppf(q)
    low, high = bounds_of(series, q, 0.05)
    for wrong in (np.sum(low > truth), np.sum(high < truth)):
        assert wrong <= stats.binom.ppf(SURE, runs, 0.05 * excess)


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize(("n", "q"), [(30, 0.5), (60, 0.9), (240, 0.95)])
def test_bounds_of_points_with_ties_keep_their_level(n, q, runs):
    series = np.ceil(4 * np.random.default_rng(4).exponential(size=(runs, n)))
    truth = np.ceil(-4 * np.log1p(-q))
    low, high = bounds_of(series, q, 0.05)
    for wrong in (np.sum(low > truth), np.sum(high < truth)):
        assert wrong <= stats.binom.ppf(SURE, runs, 0.05)


@pytest.mark.parametrize(("rho", "n", "excess"), [(0.0, 60, 1.0), (0.5, 60, 1.1), (0.8, 240, 1.0)])
def test_mean_bounds_nearly_keep_their_level(rho, n, excess):
    rng, runs = np.random.default_rng(6), 10_000
    found = mean_bounds(ar1(rng, rho, (runs, n)), 0.05)
    for wrong in (np.sum(found.low > 0), np.sum(found.high < 0)):
        assert wrong <= stats.binom.ppf(SURE, runs, 0.05 * excess)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("n", [1, 7, 100, 5000])
def test_the_margin_is_the_inverse_of_massarts_bound(n, level):
    assert 2 * np.exp(-2 * n * dkw_margin(n, level) ** 2) == pytest.approx(1 - level)


@pytest.mark.parametrize("n", [50, 1000])
def test_the_margin_is_barely_wider_than_the_exact_band_of_kolmogorov(n):
    """Two one-sided Kolmogorov-Smirnov tests bound the exact band from above; for levels in use both agree closely."""
    exact = ksone.isf(0.025, n)
    assert exact <= dkw_margin(n, 0.95) <= 1.1 * exact


def test_differences_are_those_of_order_statistics():
    baseline, canary = np.arange(1.0, 101.0), 3 * np.arange(1.0, 201.0)
    found = quantile_differences(baseline, canary, [0.25, 0.5], 0.9)
    assert found.estimate.tolist() == [3 * 50 - 25, 3 * 100 - 50]
    margins = [dkw_margin(n, np.sqrt(0.9)) for n in (100, 200)]
    low = 3 * np.ceil((0.5 - margins[1]) * 200) - np.ceil((0.5 + margins[0]) * 100)
    assert found.low[1] == low


def test_a_single_point_bounds_nothing():
    found = quantile_differences([1.0], [2.0], [0.1, 0.5, 0.9], 0.95)
    assert np.isneginf(found.low).all()
    assert np.isposinf(found.high).all()
    assert found.estimate.tolist() == [1.0, 1.0, 1.0]


def test_the_band_holds_all_quantiles_together_as_often_as_it_says():
    rng = np.random.default_rng(20261128)
    runs, level, shift = 2000, 0.9, 0.7
    probability = np.linspace(0.02, 0.98, 49)
    held = 0
    for _ in range(runs):
        found = quantile_differences(rng.normal(0, 1, 60), rng.normal(shift, 1, 80), probability, level)
        held += bool(((found.low <= shift) & (shift <= found.high)).all())
    assert binom.cdf(held, runs, level) > 1e-6
