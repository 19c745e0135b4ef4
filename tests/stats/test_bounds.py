"""Quantiles of the beta distribution, and bisection."""

import numpy as np
from numpy.testing import assert_allclose

from canaryjudge.stats.bounds import beta_quantile, bisect


def test_beta_quantiles_of_r():
    # the quantiles of R: qbeta(c(1e-9, .05, .9), c(.5, 3, 200), c(2, 1e4, 300))
    a, b, level = np.array([0.5, 3.0, 200.0]), np.array([2.0, 1e4, 300.0]), np.array([1e-9, 0.05, 0.9])
    y, rest = beta_quantile(a, b, level)
    assert_allclose(y, [4.44444444444444e-19, 8.17576266107867e-05, 4.28152853635122e-01], rtol=1e-7)
    assert_allclose(y + rest, 1, rtol=1e-12)


def test_bisection_ends():
    low, high = np.array([0.0, 0.0, 0.0]), np.array([8.0, 8.0, 8.0])
    found = bisect(lambda x: x < np.array([3.0, 9.0, -1.0]), low, high)
    assert_allclose(found, [3, 8, 0], rtol=1e-15)
