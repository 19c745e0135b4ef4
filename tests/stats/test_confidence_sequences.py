"""Normal mixtures: values of confseq, integrals over the prior, and the boundary as the mixture's inverse."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import integrate, special, stats

from canaryjudge.stats.confidence_sequences import (
    asymptotic_radius,
    best_rho,
    normal_log_mixture,
    normal_mixture_bound,
)

reproducible = settings(derandomize=True, deadline=None)
levels = st.floats(math.log(1e-12), math.log(0.9)).map(math.exp)
variances = st.floats(0, 1e9)
rhos = st.floats(math.log(1e-3), math.log(1e6)).map(math.exp)

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
    assert_allclose(normal_mixture_bound(V, level, rho, one_sided=one_sided), bounds, rtol=1e-12)


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


@given(v=variances, level=levels, rho=rhos, one_sided=st.booleans())
@reproducible
def test_the_mixture_is_one_over_the_level_at_the_bound(v, level, rho, one_sided):
    bound = normal_mixture_bound(v, level, rho, one_sided=one_sided)
    found = normal_log_mixture(bound, v, rho, one_sided=one_sided)
    assert found == pytest.approx(-math.log(level), rel=1e-9, abs=1e-9)


@given(v=variances, level=levels, rho=rhos)
@reproducible
def test_the_bound_is_monotone_and_above_that_of_one_look(v, level, rho):
    one = normal_mixture_bound(v, level, rho, one_sided=True)
    two = normal_mixture_bound(v, level, rho)
    assert stats.norm.isf(level) * math.sqrt(v) <= one <= two
    assert normal_mixture_bound(v, level / 2, rho, one_sided=True) > one
    assert normal_mixture_bound(v * 1.1 + 1e-3, level, rho, one_sided=True) > one


@pytest.mark.parametrize(("level", "one_sided"), [(0.05, False), (0.001, False), (0.05, True), (0.001, True)])
def test_rho_is_next_to_the_best(level, one_sided):
    chosen = best_rho(50.0, level, one_sided=one_sided)
    others = chosen * np.geomspace(0.2, 5, 400)
    best = normal_mixture_bound(50.0, level, others, one_sided=one_sided).min()
    assert normal_mixture_bound(50.0, level, chosen, one_sided=one_sided) <= best * 1.001


def test_the_asymptotic_radius_is_that_of_its_authors():
    """Equation 10 of Waudby-Smith et al. as it stands; their one-sided closed form is a little wider than the exact bound."""
    n, level, r = np.array([50.0, 1e3, 1e5]), 0.05, 0.01
    two = np.sqrt(2 * (n * r + 1) / (n**2 * r) * np.log(np.sqrt(n * r + 1) / level))
    one = np.sqrt(2 * (n * r + 1) / (n**2 * r) * np.log(1 + np.sqrt(n * r + 1) / (2 * level)))
    assert_allclose(asymptotic_radius(n, level, 1 / r), two, rtol=1e-13)
    found = asymptotic_radius(n, level, 1 / r, one_sided=True)
    assert (found < one).all()
    assert (found > 0.98 * one).all()
    assert_allclose(
        asymptotic_radius([100, 1000], 0.05, 1 / 0.001), [0.8182574289063, 0.1156253581847], rtol=1e-11
    )
    assert asymptotic_radius(0, 0.05, 10.0) == np.inf


def test_rho_of_its_authors():
    assert 1 / best_rho(100, 0.05) == pytest.approx(0.07936154601737565, rel=1e-12)
    assert best_rho(100, 0.05, one_sided=True) == best_rho(100, 0.1)


def test_a_batch_gives_what_single_values_give():
    v, levels_of_both = np.array([[1.0], [50.0]]), np.array([0.05, 0.001])
    found = normal_mixture_bound(v, levels_of_both, 7.0, one_sided=True)
    assert found.shape == (2, 2)
    assert found[1, 0] == normal_mixture_bound(50.0, 0.05, 7.0, one_sided=True)
    assert normal_log_mixture(np.zeros(3), v, 2.0).shape == (2, 3)


def test_a_sum_far_on_the_wrong_side_is_no_evidence():
    found = normal_log_mixture(-1e5, 10.0, 5.0, one_sided=True)
    assert np.isfinite(found)
    assert found == pytest.approx(
        math.log(2) + math.log(1 / 3) / 2 + math.log(special.erfcx(1e5 / math.sqrt(30)) / 2)
    )


WRONG = [
    (lambda: best_rho(0, 0.05), "variance to choose rho for must be positive"),
    (lambda: best_rho(10, 1), "level must lie between 0 and 1"),
    (lambda: best_rho(10, 0.5, one_sided=True), "level must lie between 0 and 0.5"),
    (lambda: normal_log_mixture(np.nan, 1, 1), "a sum must be finite"),
    (lambda: normal_log_mixture(1, -1, 1), "variance must be at least 0"),
    (lambda: normal_log_mixture(1, 1, 0), "rho must be positive"),
    (lambda: normal_mixture_bound(np.inf, 0.05, 1), "variance must be at least 0 and finite"),
    (lambda: normal_mixture_bound(1, [0.05, 0], 1), "level must lie between 0 and 1"),
    (lambda: asymptotic_radius(-1, 0.05, 1), "variance must be at least 0"),
    (lambda: asymptotic_radius(1, 0.05, np.nan), "rho must be positive"),
    (lambda: normal_mixture_bound([1, 2], [0.1, 0.2, 0.3], 1), "shape"),
]


@pytest.mark.parametrize(("call", "sentence"), WRONG)
def test_impossible_arguments_are_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
