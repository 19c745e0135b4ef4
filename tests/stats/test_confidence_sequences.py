"""Normal mixtures: values of confseq, integrals over the prior.

Beta-binomial mixtures: values of confseq, integrals over the prior, and bounds as inverses.

Quantiles by order statistics and histograms.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import integrate, special, stats
from simulation import best_rho

from canaryjudge.stats.confidence_sequences import (
    _log_mixture,
    count_bounds,
    normal_log_mixture,
    quantile_interval,
    quantile_interval_from_counts,
)

V = [1.0, 10.0, 100.0, 1000.0, 10000.0, 1000000.0]
# confseq 0.0.11: normal_mixture_bound(v, alpha, v_opt, alpha_opt=.05, is_one_sided)
FROM_CONFSEQ = [
    (
        (0.05, 100, False),
        [
            9.084379437310579,
            12.1907531463415,
            30.35208990376253,
            102.51228683166386,
            356.16410409189,
            4156.13570796461,
        ],
    ),
    (
        (0.001, 1000, False),
        [
            41.90049284473293,
            43.46692589040426,
            57.047549574710,
            134.24758215610,
            429.31809106043875,
            4774.69297031309,
        ],
    ),
    (
        (0.01, 100, True),
        [
            11.51362400038488,
            14.649847409409631,
            33.71770685669162,
            110.351172329899,
            378.135293814523,
            4345.09314959896,
        ],
    ),
]


@pytest.mark.parametrize(("case", "bounds"), FROM_CONFSEQ)
def test_bounds_of_confseq(case, bounds):
    level, v_opt, one_sided = case
    rho = best_rho(v_opt, 0.05, one_sided=one_sided)
    evidence = normal_log_mixture(bounds, V, rho, one_sided=one_sided)
    assert_allclose(evidence, -math.log(level), rtol=1e-11)


def test_log_mixtures_of_confseq():
    s, v = [5, 20, 60, 100, -30], [10, 100, 400, 1000, 100]
    found = normal_log_mixture(s, v, best_rho(100, 0.05, one_sided=True), one_sided=True)
    expected = [0.7551601365216251, 1.392289800898, 3.385437536306326, 3.532829672272433, -2.3487831023874675]
    assert_allclose(found, expected, rtol=1e-11)


@pytest.mark.parametrize(
    ("s", "v", "rho"), [(3.0, 10.0, 5.0), (-8.0, 10.0, 0.5), (40.0, 400.0, 30.0), (0.0, 0.0, 2.0)]
)
def test_the_mixture_is_the_mean_likelihood_ratio_over_the_prior(s, v, rho):
    def ratio(drift):
        return math.exp(drift * s - drift**2 * v / 2) * stats.norm.pdf(drift, scale=1 / math.sqrt(rho))

    end = 40 / math.sqrt(rho + v)
    center = s / (rho + v)
    both = integrate.quad(ratio, center - end, center + end, epsabs=0, epsrel=1e-11)[0]
    positive = 2 * integrate.quad(ratio, 0, max(center, 0) + end, epsabs=0, epsrel=1e-11)[0]
    assert_allclose(normal_log_mixture(s, v, rho), math.log(both), rtol=1e-9, atol=1e-9)
    assert_allclose(normal_log_mixture(s, v, rho, one_sided=True), math.log(positive), rtol=1e-9, atol=1e-9)


def test_a_batch_gives_what_single_values_give():
    found = normal_log_mixture(np.arange(3.0), np.array([[1.0], [50.0]]), 2.0)
    assert found.shape == (2, 3)
    assert found[1, 2] == normal_log_mixture(2.0, 50.0, 2.0)


def test_a_sum_far_on_the_wrong_side_is_no_evidence():
    found = normal_log_mixture(-1e5, 10.0, 5.0, one_sided=True)
    assert np.isfinite(found)
    assert found == pytest.approx(
        math.log(2) + math.log(1 / 3) / 2 + math.log(special.erfcx(1e5 / math.sqrt(30)) / 2)
    )


WRONG = [
    (lambda: normal_log_mixture(np.nan, 1, 1), "a sum must be finite"),
    (lambda: normal_log_mixture(1, -1, 1), "variance must be at least 0"),
    (lambda: normal_log_mixture(1, np.inf, 1), "variance must be at least 0 and finite"),
    (lambda: normal_log_mixture(1, 1, 0), "rho must be positive"),
    (lambda: normal_log_mixture(1, 1, np.nan), "rho must be positive"),
    (lambda: normal_log_mixture([1, 2], [0.1, 0.2, 0.3], 1), "shape"),
]


@pytest.mark.parametrize(("call", "sentence"), WRONG)
def test_impossible_arguments_are_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


shares = st.floats(0.005, 0.995)
levels = st.floats(math.log(1e-9), math.log(0.3)).map(math.exp)
rhos = st.floats(0.5, 500)
totals = st.integers(0, 3000)


def log_mixture(x, n, p, rho, *, one_sided=False):
    return _log_mixture(np.float64(x), np.float64(n), (p, 1 - p), max(rho - 1, 1e-3), one_sided=one_sided)


# confseq 0.0.11: beta_binomial_mixture_bound(v, .05, v_opt, g, h, alpha_opt=.05, is_one_sided=True)
COUNTS_FROM_CONFSEQ = [
    (
        (250.0, 0.5, 0.5),
        [2.5, 25, 250, 2500, 25000],
        [5.0, 18.077281916509946, 43.70387202200732, 149.3041235963943, 526.4147209619],
    ),
    (
        (90.0, 0.1, 0.9),
        [0.9, 9, 90, 900, 9000],
        [9.0, 11.782684291034684, 27.260899106390468, 90.574191276779, 316.146428803154],
    ),
    (
        (9.9, 0.99, 0.01),
        [0.099, 0.99, 9.9, 99, 990],
        [0.1, 1.0, 7.26998117831954, 28.47107040749961, 104.613850876091],
    ),
]


@pytest.mark.parametrize(("case", "v", "bounds"), COUNTS_FROM_CONFSEQ)
def test_bounds_of_counts_of_confseq(case, v, bounds):
    v_opt, g, h = case
    rho = best_rho(v_opt, 0.05, one_sided=True)
    n, p = np.array(v) / (g * h), g / (g + h)
    found = count_bounds(n, p, 0.05, rho / (g * h), one_sided=True)
    assert_allclose((found.high - n * p) * (g + h), bounds, rtol=1e-10)


def test_log_mixtures_of_counts_of_confseq():
    s, v = [0.4743416490252569, 1.5, 4.743416490252569, 15], [0.9, 9, 90, 900]
    rho = best_rho(90.0, 0.05, one_sided=True)
    expected = [0.06412786735096176, 0.016012819804529954, -0.5652296040322895, -1.5985692700703353]
    n = np.array(v) / 0.09
    found = log_mixture(n * 0.1 + s, n, 0.1, rho / 0.09, one_sided=True)
    assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("x", "n", "p", "rho"), [(7, 20, 0.2, 11.0), (1, 30, 0.3, 40.0), (0, 0, 0.5, 3.0), (95, 100, 0.9, 126.0)]
)
def test_the_mixture_of_counts_is_the_mean_likelihood_ratio_over_the_prior(x, n, p, rho):
    prior = stats.beta((rho - 1) * p, (rho - 1) * (1 - p))

    def ratio(share):
        return math.exp(stats.binom.logpmf(x, n, share) - stats.binom.logpmf(x, n, p)) * prior.pdf(share)

    below, above = (integrate.quad(ratio, *ends, epsabs=1e-13, epsrel=1e-11)[0] for ends in ((0, p), (p, 1)))
    assert_allclose(log_mixture(x, n, p, rho), math.log(below + above), rtol=1e-8, atol=1e-9)
    one = log_mixture(x, n, p, rho, one_sided=True)
    assert_allclose(one, math.log(above / prior.sf(p)), rtol=1e-8, atol=1e-9)


@given(n=st.integers(0, 40), p=shares, rho=rhos)
def test_the_expected_evidence_is_one(n, p, rho):
    """The sum over all counts, whatever the prior: what Ville's inequality needs."""
    counts = np.arange(n + 1)
    chances = stats.binom.pmf(counts, n, p)
    assert chances @ np.exp(log_mixture(counts, n, p, rho)) == pytest.approx(1, rel=1e-8)
    assert chances @ np.exp(log_mixture(counts, n, p, rho, one_sided=True)) == pytest.approx(1, rel=1e-8)


@given(n=totals, p=shares, level=levels, rho=rhos, one_sided=st.booleans())
def test_counts_beyond_the_bounds_are_those_with_the_evidence(n, p, level, rho, one_sided):
    bounds, counts = count_bounds(n, p, level, rho, one_sided=one_sided), np.arange(n + 1)
    many = log_mixture(counts, n, p, rho, one_sided=one_sided) > -math.log(level)
    few = log_mixture(n - counts, n, 1 - p, rho, one_sided=one_sided) > -math.log(level)
    near = np.minimum(np.abs(counts - bounds.low), np.abs(counts - bounds.high)) < 1e-6
    refuted = (counts < bounds.low) | (counts > bounds.high)
    assert (((many & (counts > n * p)) | (few & (counts < n * p))) == refuted)[~near].all()


def test_ends():
    bounds = count_bounds([0, 10], 0.5, 0.05, 10.0)
    assert bounds.high[0] == bounds.low[0] == 0
    assert bounds.low[1] == pytest.approx(10 - bounds.high[1], rel=1e-12)
    assert log_mixture(0, 10**7, 0.9, 10.0, one_sided=True) == -np.inf


WRONG_COUNTS = [
    (lambda: count_bounds(-1, 0.5, 0.05, 10), "number of observations must be at least 0"),
    (lambda: count_bounds(np.nan, 0.5, 0.05, 10), "number of observations must be at least 0"),
    (lambda: count_bounds(10, 0.5, 1.0, 10), "level must lie between 0 and 1"),
    (lambda: count_bounds(10, 0.0, 0.1, 10), "probability of an event must lie between 0 and 1"),
    (lambda: count_bounds(10, 0.5, 0.05, 0), "rho must be positive"),
]


@pytest.mark.parametrize(("call", "sentence"), WRONG_COUNTS)
def test_impossible_counts_are_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


numbers = st.lists(st.integers(-30, 30), max_size=150)
quantiles = st.floats(0.02, 0.98)
moderate_levels = st.floats(math.log(1e-4), math.log(0.3)).map(math.exp)


def not_refuted(values, q, level, rho, one_sided):
    """All numbers that could be the quantile, of those halfway between the values and the values themselves."""
    values = np.asarray(values)
    bounds = count_bounds(values.size, q, level, rho, one_sided=one_sided)
    candidates = np.arange(-62, 63) / 2
    at_most, below = (
        (candidates[:, np.newaxis] >= values).sum(1),
        (candidates[:, np.newaxis] > values).sum(1),
    )
    return candidates[(at_most >= bounds.low) & (below <= bounds.high)]


@given(values=numbers, q=quantiles, level=moderate_levels, rho=st.floats(2, 200), one_sided=st.booleans())
def test_the_interval_is_all_numbers_that_the_counts_do_not_refute(values, q, level, rho, one_sided):
    found = quantile_interval(values, q, level, rho, one_sided=one_sided)
    left = not_refuted(values, q, level, rho, one_sided)
    assert max(found.low, -31) == left.min()
    assert min(found.high, 31) == left.max()


@given(values=numbers, q=quantiles, level=moderate_levels, data=st.data())
def test_a_histogram_bounds_no_more_narrowly_and_a_fine_one_as_narrowly(values, q, level, data):
    edges = np.array(sorted(data.draw(st.sets(st.integers(-31, 31), min_size=1))), dtype=float)
    whole = quantile_interval(values, q, level, 20.0)
    coarse = quantile_interval_from_counts(
        np.searchsorted(np.sort(values), edges, "right"), len(values), edges, q, level, 20.0
    )
    assert coarse.low <= whole.low
    assert coarse.high >= whole.high
    fine = np.arange(-31.0, 32)
    counts = np.searchsorted(np.sort(values), fine, "right")
    found = quantile_interval_from_counts(counts, len(values), fine, q, level, 20.0)
    # values are whole, so that above one edge means at least the next
    assert found.high == whole.high
    assert found.low == whole.low - 1


def test_worked_example():
    """1000 values: at the 90 % quantile between 869.7 and 927.3 of them are no surprise."""
    values = np.random.default_rng(1).permutation(np.arange(1.0, 1001))
    found = quantile_interval(values, 0.9, 0.05, 126.0)
    assert (found.low, found.high) == (870, 928)
    one = quantile_interval(values, 0.9, 0.05, 126.0, one_sided=True)
    assert found.low < one.low < 900 < one.high < found.high


def test_a_batch_gives_what_single_series_give():
    rng = np.random.default_rng(2)
    values = rng.exponential(size=(3, 2, 400))
    found = quantile_interval(values, 0.5, 0.05, 50.0)
    alone = quantile_interval(values[2, 1], 0.5, 0.05, 50.0)
    assert found.low.shape == (3, 2)
    assert (found.low[2, 1], found.high[2, 1]) == (alone.low, alone.high)
    edges = np.array([0.3, 0.6, 0.6, 0.9, np.inf])
    counts, n = (values[..., np.newaxis] <= edges).sum(axis=-2), np.full((3, 2), 400)
    binned = quantile_interval_from_counts(counts, n, edges, 0.5, 0.05, 50.0)
    single = quantile_interval_from_counts(counts[0, 1], 400, edges, 0.5, 0.05, 50.0)
    assert binned.high.shape == (3, 2)
    assert (binned.low[0, 1], binned.high[0, 1]) == (single.low, single.high)


def test_few_values_bound_nothing():
    for values in ([], [1.0], np.arange(20.0)):
        found = quantile_interval(values, 0.99, 0.05, 50.0)
        assert found.high == np.inf
    assert quantile_interval([], 0.5, 0.05, 50.0).low == -np.inf
    assert quantile_interval_from_counts([0, 0], 0, [1.0, 2.0], 0.5, 0.05, 50.0).low == -np.inf


WRONG_QUANTILES = [
    (lambda: quantile_interval([1.0, np.nan], 0.5, 0.05, 10), "none of them missing"),
    (lambda: quantile_interval(1.0, 0.5, 0.05, 10), "must be a list of numbers"),
    (lambda: quantile_interval([1.0], 1.0, 0.05, 10), "probability of an event must lie between 0 and 1"),
    (lambda: quantile_interval([1.0], 0.5, 0.0, 10), "level must lie between 0 and 1"),
    (lambda: quantile_interval([1.0], 0.5, 0.05, 0), "rho must be positive"),
    (lambda: quantile_interval_from_counts([1, 2], 2, [1.0], 0.5, 0.05, 10), "do not fit thresholds"),
    (lambda: quantile_interval_from_counts([1, 2], [2], [1.0, 2], 0.5, 0.05, 10), "numbers of shape"),
    (lambda: quantile_interval_from_counts([1, 2], 2, [2.0, 1], 0.5, 0.05, 10), "thresholds must not fall"),
    (lambda: quantile_interval_from_counts([2, 1], 2, [1.0, 2], 0.5, 0.05, 10), "counts must not fall"),
    (
        lambda: quantile_interval_from_counts([1, 3], 2, [1.0, 2], 0.5, 0.05, 10),
        "to the number of observations",
    ),
]


@pytest.mark.parametrize(("call", "sentence"), WRONG_QUANTILES)
def test_impossible_quantiles_are_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
