"""The baseline's own variation: what widens it, and what must not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from simulation import ar1

from canaryjudge.stats.usual_variation import WIDEST_VARIATION, usual_error_rate, usual_variation


@pytest.mark.parametrize("n", [10, 11, 60])
def test_it_is_scipys_median_deviation_of_points_or_steps(n):
    points = 100 + 8 * ar1(np.random.default_rng(n), 1, n, 0.6)[0]
    deviations = [
        stats.median_abs_deviation(points, scale=1 / 1.4826),
        stats.median_abs_deviation(np.diff(points), scale=1 / 1.4826) / np.sqrt(2),
    ]
    assert_allclose(usual_variation(points), min(deviations) / np.median(points))


def test_independent_points_have_their_standard_deviation():
    points = np.random.default_rng(1).normal(100, 20, (500, 60))
    assert_allclose(np.median(usual_variation(points)), 0.19, atol=0.02)


def test_a_ramp_that_both_arms_feel_does_not_widen_it():
    rng, ramp = np.random.default_rng(2), np.linspace(1, 2, 60)
    assert usual_variation(100 * ramp * (1 + 0.03 * rng.normal(size=60))) < 0.05


def test_it_hardly_grows_with_the_window_where_points_depend_on_each_other():
    rng = np.random.default_rng(3)
    short, long = (np.median(usual_variation(1 + 0.2 * ar1(rng, 2000, n, 0.95))) for n in (15, 240))
    assert long / short < 1.3


def test_it_is_capped_unless_more_is_tolerated():
    wild = np.random.default_rng(4).lognormal(sigma=1.5, size=60)
    assert usual_variation(wild) == 0.3
    assert usual_variation(wild, 0.5) == 0.5
    assert usual_variation(np.full(10, 7.0), 0.1) == 0.1
    assert usual_variation(np.zeros(10), 0.1) == 0.1


@given(st.floats(-20, 20), st.integers(0, 100))
def test_units_and_signs_do_not_matter(log_unit, seed):
    points = np.random.default_rng(seed).normal(50, 5, 30)
    assert_allclose(usual_variation(np.exp(log_unit) * points), usual_variation(points))
    assert_allclose(usual_variation(-points), usual_variation(points))


def test_a_row_has_the_same_bits_alone_and_in_company():
    points = np.random.default_rng(5).normal(50, 5, (20, 31))
    tolerance = np.linspace(0, 0.2, 20)
    together = usual_variation(points, tolerance)
    assert_array_equal(
        [usual_variation(row, one) for row, one in zip(points, tolerance, strict=True)], together
    )


def test_one_point_does_not_vary():
    with pytest.raises(ValueError, match="two points"):
        usual_variation([1.0])


@pytest.mark.parametrize(
    ("events", "totals", "expected"),
    [([5], [1000], 0.001), ([1, 1], [10_000, 10_000], 0.0002), ([0], [50], 0.0), ([0], [0], 0.0)],
)
def test_error_rates_have_a_tenth_of_a_point_at_most_twice_their_own(events, totals, expected):
    assert_allclose(usual_error_rate(events, totals), expected)


def test_more_than_a_number_can_hold_is_the_widest():
    assert usual_variation([-1e305, 1e-5, 1e305, 1e-5, -1e305]) == WIDEST_VARIATION
