"""Normal mixtures: values of confseq, integrals over the prior."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import integrate, special, stats
from simulation import best_rho

from canaryjudge.stats.confidence_sequences import normal_log_mixture

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
