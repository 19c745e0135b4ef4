"""Order-statistic bounds of a quantile, and bounds of a mean: ranks of R, sums of the binomial distribution, coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose
from scipy import signal, stats

from canaryjudge.stats.long_run import long_run_variance
from canaryjudge.stats.quantiles import mean_bounds, mean_pvalues, quantile_bounds, quantile_pvalues

reproducible = settings(derandomize=True, deadline=None)

SURE = 1 - 1e-6
series_of_integers = hnp.arrays(float, st.integers(1, 60), elements=st.integers(-9, 9).map(float))
quantiles = st.floats(0.01, 0.99)
levels = st.floats(1e-6, 0.45)


def ar1(rng, rho, shape):
    """Stationary autoregressive series with standard normal points."""
    noise = rng.normal(size=shape) * np.sqrt(1 - rho**2)
    noise[..., 0] /= np.sqrt(1 - rho**2)
    return signal.lfilter([1], [1, -rho], noise, axis=-1)


@pytest.mark.parametrize(
    ("n", "q", "level", "low", "high"),
    # the ranks of R: qbinom(level, n, q) and qbinom(1 - level, n, q) + 1
    [(100, 0.5, 0.05, 42, 59), (60, 0.9, 0.05, 50, 59), (200, 0.3, 0.01, 45, 76)],
)
def test_ranks_of_r(n, q, level, low, high):
    found = quantile_bounds(np.random.default_rng(1).permutation(n) + 1.0, q, level, dependent=False)
    assert (found.low, found.high) == (low, high)


def test_pvalues_of_r():
    series = np.arange(1.0, 61.0)
    # the tails of R: pbinom(49, 60, .9); 1 - pbinom(56, 60, .9)
    assert_allclose(quantile_pvalues(series, 0.9, 49, dependent=False).greater, 0.034209123078733, rtol=1e-9)
    assert_allclose(quantile_pvalues(series, 0.9, 57, dependent=False).less, 0.137398569419658, rtol=1e-9)


@reproducible
@given(series_of_integers, quantiles, st.integers(-10, 10))
def test_pvalues_are_tails_of_the_binomial_distribution(series, q, value):
    pvalues = quantile_pvalues(series, q, value, dependent=False)
    masses = stats.binom.pmf(np.arange(series.size + 1), series.size, q)
    count = int(np.sum(series <= value))
    assert_allclose(
        [pvalues.greater, pvalues.less], [masses[: count + 1].sum(), masses[count:].sum()], rtol=1e-7
    )


@reproducible
@given(series_of_integers, quantiles, st.integers(-10, 10), levels, st.booleans())
def test_bounds_invert_the_pvalues(series, q, value, level, dependent):
    bounds = quantile_bounds(series, q, level, dependent=dependent)
    pvalues = quantile_pvalues(series, q, value, dependent=dependent)
    if not np.isclose(pvalues.greater, level, rtol=1e-9):
        assert (bounds.low > value) == (pvalues.greater < level)
    if not np.isclose(pvalues.less, level, rtol=1e-9):
        assert (bounds.high <= value) == (pvalues.less < level)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.8])
def test_dependent_bounds_invert_the_pvalues_of_long_series(q):
    rng = np.random.default_rng(8)
    series, values = ar1(rng, 0.8, (2_000, 120)), stats.norm.ppf(q) + rng.normal(0, 0.5, 2_000)
    bounds = quantile_bounds(series, q, 0.02, dependent=True)
    pvalues = quantile_pvalues(series, q, values, dependent=True)
    assert ((bounds.low > values) == (pvalues.greater < 0.02)).all()
    assert ((bounds.high <= values) == (pvalues.less < 0.02)).all()


@reproducible
@given(series_of_integers, quantiles, levels)
def test_dependent_bounds_are_never_narrower(series, q, level):
    wide, narrow = (quantile_bounds(series, q, level, dependent=d) for d in (True, False))
    assert wide.low <= narrow.low <= narrow.estimate <= narrow.high <= wide.high
    assert wide.estimate == np.quantile(series, q, method="inverted_cdf")


@reproducible
@given(series_of_integers, quantiles, st.integers(-10, 10), st.booleans())
def test_a_larger_series_is_more_evidence(series, q, value, dependent):
    here = quantile_pvalues(series, q, value, dependent=dependent)
    there = quantile_pvalues(series + 1, q, value, dependent=dependent)
    assert there.greater <= here.greater
    assert there.less >= here.less


@pytest.mark.parametrize("dependent", [True, False])
def test_a_batch_is_its_parts(dependent):
    rng = np.random.default_rng(2)
    series = ar1(rng, 0.6, (2, 3, 80)).round(1)
    values = rng.normal(0, 0.3, (2, 3))
    bounds, pvalues = (
        quantile_bounds(series, 0.7, 0.02, dependent=dependent),
        quantile_pvalues(series, 0.7, values, dependent=dependent),
    )
    mean, about = mean_bounds(series, 0.02), mean_pvalues(series, values)
    for at in np.ndindex(2, 3):
        one = quantile_bounds(series[at], 0.7, 0.02, dependent=dependent)
        assert (one.estimate, one.low, one.high) == (bounds.estimate[at], bounds.low[at], bounds.high[at])
        two = quantile_pvalues(series[at], 0.7, values[at], dependent=dependent)
        assert_allclose([two.greater, two.less], [pvalues.greater[at], pvalues.less[at]], rtol=1e-12)
        three, four = mean_bounds(series[at], 0.02), mean_pvalues(series[at], values[at])
        assert_allclose([three.low, three.high], [mean.low[at], mean.high[at]], rtol=1e-12)
        assert_allclose([four.greater, four.less], [about.greater[at], about.less[at]], rtol=1e-12)


@pytest.mark.parametrize("dependent", [True, False])
def test_ranks_run_out(dependent):
    found = quantile_bounds(np.arange(20.0), 0.99, 0.05, dependent=dependent)
    assert found.low > 10
    assert found.high == np.inf
    assert quantile_bounds(np.arange(20.0), 0.01, 0.05, dependent=dependent).low == -np.inf


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_points_bound_nothing(n):
    series = np.arange(float(n))
    for found in (quantile_bounds(series, 0.5, 0.05, dependent=True), mean_bounds(series, 0.05)):
        assert (found.low, found.high) == (-np.inf, np.inf)
    for pvalues in (quantile_pvalues(series, 0.5, 9, dependent=True), mean_pvalues(series, 9)):
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


@pytest.mark.parametrize(("n", "q"), [(30, 0.5), (60, 0.9), (240, 0.95)])
@pytest.mark.parametrize("atoms", [False, True], ids=["continuous", "atoms"])
def test_independent_bounds_keep_their_level(n, q, atoms):
    rng, runs = np.random.default_rng(4), 10_000
    series = rng.exponential(size=(runs, n))
    truth = -np.log1p(-q)
    if atoms:
        series, truth = np.ceil(4 * series), np.ceil(4 * truth)
    found = quantile_bounds(series, q, 0.05, dependent=False)
    for wrong in (np.sum(found.low > truth), np.sum(found.high < truth)):
        assert wrong <= stats.binom.ppf(SURE, runs, 0.05)


# Excess over the level .05 that a few cosine projections of indicators have, the more so the stronger the dependence
DEPENDENT = [(0.0, 60, 0.5, 1.0), (0.5, 60, 0.5, 1.0), (0.5, 240, 0.9, 1.1), (0.8, 240, 0.5, 1.3)]


@pytest.mark.parametrize(("rho", "n", "q", "excess"), DEPENDENT)
def test_dependent_bounds_nearly_keep_their_level(rho, n, q, excess):
    rng, runs = np.random.default_rng(5), 10_000
    series, truth = ar1(rng, rho, (runs, n)), stats.norm.ppf(q)
    found = quantile_bounds(series, q, 0.05, dependent=True)
    for wrong in (np.sum(found.low > truth), np.sum(found.high < truth)):
        assert wrong <= stats.binom.ppf(SURE, runs, 0.05 * excess)


@pytest.mark.parametrize(("rho", "n", "excess"), [(0.0, 60, 1.0), (0.5, 60, 1.1), (0.8, 240, 1.0)])
def test_mean_bounds_nearly_keep_their_level(rho, n, excess):
    rng, runs = np.random.default_rng(6), 10_000
    found = mean_bounds(ar1(rng, rho, (runs, n)), 0.05)
    for wrong in (np.sum(found.low > 0), np.sum(found.high < 0)):
        assert wrong <= stats.binom.ppf(SURE, runs, 0.05 * excess)
