"""Beta-binomial mixtures: values of confseq, integrals over the prior, and bounds as inverses."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import integrate, stats
from simulation import best_rho

from canaryjudge.stats.binomial_sequences import _log_mixture, count_bounds

reproducible = settings(derandomize=True, deadline=None, max_examples=60)
shares = st.floats(0.005, 0.995)
levels = st.floats(math.log(1e-9), math.log(0.3)).map(math.exp)
rhos = st.floats(0.5, 500)
totals = st.integers(0, 3000)


def log_mixture(x, n, p, rho, *, one_sided=False):
    return _log_mixture(np.float64(x), np.float64(n), (p, 1 - p), max(rho - 1, 1e-3), one_sided=one_sided)


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
    n, p = np.array(v) / (g * h), g / (g + h)
    found = count_bounds(n, p, 0.05, rho / (g * h), one_sided=True)
    assert_allclose((found.high - n * p) * (g + h), bounds, rtol=1e-10)


def test_log_mixtures_of_confseq():
    s, v = [0.4743416490252569, 1.5, 4.743416490252569, 15], [0.9, 9, 90, 900]
    rho = best_rho(90.0, 0.05, one_sided=True)
    expected = [0.06412786735096176, 0.016012819804529954, -0.5652296040322895, -1.5985692700703353]
    n = np.array(v) / 0.09
    found = log_mixture(n * 0.1 + s, n, 0.1, rho / 0.09, one_sided=True)
    assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("x", "n", "p", "rho"), [(7, 20, 0.2, 11.0), (1, 30, 0.3, 40.0), (0, 0, 0.5, 3.0), (95, 100, 0.9, 126.0)]
)
def test_the_mixture_is_the_mean_likelihood_ratio_over_the_prior(x, n, p, rho):
    prior = stats.beta((rho - 1) * p, (rho - 1) * (1 - p))

    def ratio(share):
        return math.exp(stats.binom.logpmf(x, n, share) - stats.binom.logpmf(x, n, p)) * prior.pdf(share)

    below, above = (integrate.quad(ratio, *ends, epsabs=1e-13, epsrel=1e-11)[0] for ends in ((0, p), (p, 1)))
    assert_allclose(log_mixture(x, n, p, rho), math.log(below + above), rtol=1e-8, atol=1e-9)
    one = log_mixture(x, n, p, rho, one_sided=True)
    assert_allclose(one, math.log(above / prior.sf(p)), rtol=1e-8, atol=1e-9)


@given(n=st.integers(0, 40), p=shares, rho=rhos)
@reproducible
def test_the_expected_evidence_is_one(n, p, rho):
    """The sum over all counts, whatever the prior: what Ville's inequality needs."""
    counts = np.arange(n + 1)
    chances = stats.binom.pmf(counts, n, p)
    assert chances @ np.exp(log_mixture(counts, n, p, rho)) == pytest.approx(1, rel=1e-8)
    assert chances @ np.exp(log_mixture(counts, n, p, rho, one_sided=True)) == pytest.approx(1, rel=1e-8)


@given(n=totals, p=shares, level=levels, rho=rhos, one_sided=st.booleans())
@reproducible
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


WRONG = [
    (lambda: count_bounds(-1, 0.5, 0.05, 10), "number of observations must be at least 0"),
    (lambda: count_bounds(np.nan, 0.5, 0.05, 10), "number of observations must be at least 0"),
    (lambda: count_bounds(10, 0.5, 1.0, 10), "level must lie between 0 and 1"),
    (lambda: count_bounds(10, 0.0, 0.1, 10), "probability of an event must lie between 0 and 1"),
    (lambda: count_bounds(10, 0.5, 0.05, 0), "rho must be positive"),
]


@pytest.mark.parametrize(("call", "sentence"), WRONG)
def test_impossible_arguments_are_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
