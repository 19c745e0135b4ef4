"""Quantiles of the beta distribution, bisection, and crossings of a function."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from canaryjudge.stats.bounds import beta_quantile, bisect, crossing


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


@pytest.mark.parametrize(
    "falling",
    [
        lambda x: 1 - x**3,
        lambda x: np.exp(-30 * x) - 1e-9,
        lambda x: np.cos(x) - x,
        lambda x: np.where(x < 0.7, 1.0, -1.0),
        lambda x: np.maximum(0.3 - x, 0.0),
        lambda x: np.arctan(1e6 * (0.2 - x)),
        lambda x: -((x - 0.4) ** 9),
        lambda x: np.log(1.3 / x),
    ],
)
@pytest.mark.parametrize(("low", "high"), [(0.05, 2.0), (0.1, 8.0), (1e-6, 1.5)])
def test_crossings_are_those_that_halving_finds(falling, low, high):
    calls = []

    def counted(x):
        calls.append(x)
        return falling(x)

    (found,) = crossing(counted, np.array([low]), np.array([high]))
    (halved,) = bisect(lambda x: falling(x) > 0, np.array([low]), np.array([high]))
    assert found == pytest.approx(halved, rel=1e-14, abs=1e-15)
    assert len(calls) < 100


def test_smooth_crossings_take_few_looks():
    calls = []
    crossing(lambda x: (calls.append(x), np.exp(-x) - 0.3)[1], np.array([0.0]), np.array([8.0]))
    assert len(calls) <= 13


def test_crossings_end_where_the_function_does_not_cross_and_may_run_backwards():
    low, high = np.array([0.0, 0.0, 0.0, 8.0]), np.array([8.0, 8.0, 8.0, 0.0])
    at = np.array([3.0, 9.0, -1.0, 3.0])
    found = crossing(lambda x: np.array([1.0, 1, 1, -1]) * (at - x), low, high)
    assert_allclose(found, [3, 8, 0, 3], rtol=1e-15)
    assert crossing(lambda x: x * np.nan, np.array([1.0]), np.array([2.0])).tolist() == [1.0]


def test_a_crossing_has_the_same_bits_alone_and_in_company():
    at = np.random.default_rng(1).uniform(0, 1, 50)
    steep = 10 ** np.random.default_rng(2).uniform(-2, 6, 50)
    together = crossing(lambda x: np.arctan(steep * (at - x)), np.zeros(50), np.ones(50))
    for place in range(50):
        one = slice(place, place + 1)
        alone = crossing(lambda x, one=one: np.arctan(steep[one] * (at[one] - x)), np.zeros(1), np.ones(1))
        assert_array_equal(alone, together[one])
