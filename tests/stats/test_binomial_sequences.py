"""Beta-binomial mixtures: values of confseq, integrals over the prior, and bounds as inverses."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import integrate, stats

from canaryjudge.stats.binomial_sequences import (
    bernoulli_interval,
    beta_binomial_bound,
    beta_binomial_log_mixture,
    binomial_log_mixture,
    count_bounds,
)
from canaryjudge.stats.confidence_sequences import best_rho

reproducible = settings(derandomize=True, deadline=None, max_examples=60)
shares = st.floats(0.005, 0.995)
levels = st.floats(math.log(1e-9), math.log(0.3)).map(math.exp)
rhos = st.floats(0.5, 500)
totals = st.integers(0, 3000)

# confseq 0.0.11: beta_binomial_mixture_bound(v, .05, v_opt, g, h, alpha_opt=.05, is_one_sided=True)
FROM_CONFSEQ = [
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


@pytest.mark.parametrize(("case", "v", "bounds"), FROM_CONFSEQ)
def test_bounds_of_confseq(case, v, bounds):
    v_opt, g, h = case
    rho = best_rho(v_opt, 0.05, one_sided=True)
    assert_allclose(beta_binomial_bound(v, 0.05, g, h, rho, one_sided=True), bounds, rtol=1e-10)


def test_log_mixtures_of_confseq():
    s, v = [0.4743416490252569, 1.5, 4.743416490252569, 15], [0.9, 9, 90, 900]
    rho = best_rho(90.0, 0.05, one_sided=True)
    expected = [0.06412786735096176, 0.016012819804529954, -0.5652296040322895, -1.5985692700703353]
    assert_allclose(beta_binomial_log_mixture(s, v, 0.1, 0.9, rho, one_sided=True), expected, rtol=1e-9)


def test_intervals_of_confseq():
    """bernoulli_confidence_interval(count, n, alpha, t_opt=1000, alpha_opt=.05)."""
    rho = best_rho(1000.0, 0.05)
    found = bernoulli_interval([1, 1, 120], [100, 100, 10_000], [0.05, 0.01, 0.05], rho)
    assert_allclose(found.low, [0, 0, 0.008742774796626693], rtol=1e-10)
    assert_allclose(found.high, [0.12396824470708567, 0.1716469566310491, 0.015843967872995506], rtol=1e-10)


@pytest.mark.parametrize(
    ("x", "n", "p", "rho"), [(7, 20, 0.2, 11.0), (1, 30, 0.3, 40.0), (0, 0, 0.5, 3.0), (95, 100, 0.9, 126.0)]
)
def test_the_mixture_is_the_mean_likelihood_ratio_over_the_prior(x, n, p, rho):
    prior = stats.beta((rho - 1) * p, (rho - 1) * (1 - p))

    def ratio(share):
        return math.exp(stats.binom.logpmf(x, n, share) - stats.binom.logpmf(x, n, p)) * prior.pdf(share)

    below, above = (integrate.quad(ratio, *ends, epsabs=1e-13, epsrel=1e-11)[0] for ends in ((0, p), (p, 1)))
    assert_allclose(binomial_log_mixture(x, n, p, rho), math.log(below + above), rtol=1e-8, atol=1e-9)
    one = binomial_log_mixture(x, n, p, rho, one_sided=True)
    assert_allclose(one, math.log(above / prior.sf(p)), rtol=1e-8, atol=1e-9)


@given(n=st.integers(0, 40), p=shares, rho=rhos)
@reproducible
def test_the_expected_evidence_is_one(n, p, rho):
    """The sum over all counts, whatever the prior: what Ville's inequality needs."""
    counts = np.arange(n + 1)
    chances = stats.binom.pmf(counts, n, p)
    assert chances @ np.exp(binomial_log_mixture(counts, n, p, rho)) == pytest.approx(1, rel=1e-8)
    assert chances @ np.exp(binomial_log_mixture(counts, n, p, rho, one_sided=True)) == pytest.approx(
        1, rel=1e-8
    )


@given(n=totals, p=shares, level=levels, rho=rhos, one_sided=st.booleans())
@reproducible
def test_counts_beyond_the_bounds_are_those_with_the_evidence(n, p, level, rho, one_sided):
    bounds, counts = count_bounds(n, p, level, rho, one_sided=one_sided), np.arange(n + 1)
    many = binomial_log_mixture(counts, n, p, rho, one_sided=one_sided) > -math.log(level)
    few = binomial_log_mixture(n - counts, n, 1 - p, rho, one_sided=one_sided) > -math.log(level)
    near = np.minimum(np.abs(counts - bounds.low), np.abs(counts - bounds.high)) < 1e-6
    refuted = (counts < bounds.low) | (counts > bounds.high)
    assert (((many & (counts > n * p)) | (few & (counts < n * p))) == refuted)[~near].all()


@given(n=st.integers(1, 3000), data=st.data(), level=levels, rho=rhos, one_sided=st.booleans())
@reproducible
def test_the_interval_holds_the_shares_whose_bounds_hold_the_count(n, data, level, rho, one_sided):
    x, p = data.draw(st.integers(0, n)), data.draw(shares)
    interval = bernoulli_interval(x, n, level, rho, one_sided=one_sided)
    bounds = count_bounds(n, p, level, rho, one_sided=one_sided)
    assert interval.low <= x / n <= interval.high
    if min(abs(p - interval.low), abs(p - interval.high)) > 1e-9:
        assert (interval.low <= p <= interval.high) == (bounds.low <= x <= bounds.high)


@given(n=st.integers(1, 2000), p=shares, level=levels, rho=st.floats(1.1, 200), one_sided=st.booleans())
@reproducible
def test_sums_are_counts_in_other_units(n, p, level, rho, one_sided):
    g, h = 3 * p, 3 * (1 - p)
    counted = count_bounds(n, p, level, rho, one_sided=one_sided)
    bound = beta_binomial_bound(n * g * h, level, g, h, rho * g * h, one_sided=one_sided)
    assert bound == pytest.approx(3 * (counted.high - n * p), rel=1e-7, abs=1e-7)
    other = beta_binomial_bound(n * g * h, level, h, g, rho * g * h, one_sided=one_sided)
    assert other == pytest.approx(3 * (n * p - counted.low), rel=1e-7, abs=1e-7)


def test_smaller_levels_have_wider_intervals():
    levels_from_large = np.array([0.3, 0.05, 1e-3, 1e-9])
    interval = bernoulli_interval(30, 400, levels_from_large, 50.0)
    assert (np.diff(interval.low) < 0).all()
    assert (np.diff(interval.high) > 0).all()


def test_ends():
    interval = bernoulli_interval([0, 50, 0], [50, 50, 0], 0.05, 20.0)
    assert interval.low[[0, 2]].tolist() == [0, 0]
    assert interval.high[[1, 2]].tolist() == [1, 1]
    assert interval.high[0] == pytest.approx(1 - interval.low[1], rel=1e-12)
    assert count_bounds(0, 0.5, 0.05, 10.0).high == 0
    # a sum beyond its end by rounding is at its end
    at_end = beta_binomial_log_mixture([5.0, 5.0 + 1e-12], 2.5, 0.5, 0.5, 10.0)
    assert at_end[0] == at_end[1]
    assert binomial_log_mixture(0, 10**7, 0.9, 10.0, one_sided=True) == -np.inf


WRONG = [
    (lambda: binomial_log_mixture(5, 4, 0.5, 10), "at most the number of observations"),
    (lambda: binomial_log_mixture(-1, 4, 0.5, 10), "count must be at least 0"),
    (lambda: binomial_log_mixture(0, np.nan, 0.5, 10), "number of observations must be at least 0"),
    (lambda: binomial_log_mixture(1, 4, 1.0, 10), "probability of an event must lie between 0 and 1"),
    (lambda: binomial_log_mixture(1, 4, 0.5, 0), "rho must be positive"),
    (lambda: count_bounds(-1, 0.5, 0.05, 10), "number of observations must be at least 0"),
    (lambda: count_bounds(10, 0.5, 1.0, 10), "level must lie between 0 and 1"),
    (lambda: count_bounds(10, 0.0, 0.1, 10), "probability of an event must lie between 0 and 1"),
    (lambda: bernoulli_interval(1, 2, 0.0, 10), "level must lie between 0 and 1"),
    (lambda: bernoulli_interval(3, 2, 0.1, 10), "at most the number of observations"),
    (lambda: beta_binomial_bound(-1, 0.05, 0.5, 0.5, 1), "variance must be at least 0"),
    (lambda: beta_binomial_bound(1, 0.0, 0.5, 0.5, 1), "level must lie between 0 and 1"),
    (lambda: beta_binomial_bound(1, 0.05, 0.0, 0.5, 1), "limits of an observation must be positive"),
    (lambda: beta_binomial_log_mixture(np.nan, 1, 0.5, 0.5, 1), "a sum must be finite"),
    (lambda: beta_binomial_log_mixture(0, 1, 0.5, 0.5, -1), "rho must be positive"),
]


@pytest.mark.parametrize(("call", "sentence"), WRONG)
def test_impossible_arguments_are_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
