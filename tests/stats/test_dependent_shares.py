"""The share of points within a bound: exact where points are independent, and honest where they are not."""

import numpy as np
import pytest
from scipy.special import ndtri
from simulation import ar1, assert_rate_at_most

from canaryjudge.stats.dependent_shares import ShareTest
from canaryjudge.stats.proportions import proportion_bounds, proportion_pvalues


def test_points_without_dependence_have_the_exact_test():
    points = [1.0, 2.0] * 20
    found, exact = ShareTest(points, 1.5), proportion_pvalues(20, 40, [0.3, 0.6])
    assert np.array_equal(found.pvalues([0.3, 0.6]).greater, exact.greater)
    assert np.array_equal(found.pvalues([0.3, 0.6]).less, exact.less)
    bounds = proportion_bounds(20, 40, 0.05)
    assert found.bounds(0.05) == (float(bounds.low), float(bounds.high))


def test_bounds_invert_the_pvalues():
    test = ShareTest(ar1(np.random.default_rng(1), 1, 200, 0.6)[0], 1.0)
    low, high = test.bounds(0.01)
    assert low < test.estimate < high
    assert float(test.pvalues(low).greater) == pytest.approx(0.01)
    assert float(test.pvalues(high).less) == pytest.approx(0.01)


def test_shares_that_cannot_be_are_certainly_wrong_and_two_points_prove_nothing():
    impossible = ShareTest([1.0, 2.0, 3.0], 2.5).pvalues([-0.1, 1.1])
    assert (impossible.greater[0], impossible.less[1]) == (0, 0)
    two = ShareTest([1.0, 2.0], 1.5)
    assert two.bounds(0.05) == (0, 1)
    assert (two.pvalues(0.1).greater, two.pvalues(0.1).less) == (1, 1)


def test_all_points_within_bound_the_share_as_the_exact_test_does():
    found = ShareTest([1.0, 2.0] * 50, 3.0)
    assert found.estimate == 1
    # binom.test(100, 100, conf.level = .9)$conf.int[1]
    assert found.bounds(0.05) == (pytest.approx(0.9704866, abs=1e-6), 1.0)


@pytest.mark.parametrize(
    ("n", "rho", "share"), [(60, 0.0, 0.9), (60, 0.8, 0.95), (200, 0.5, 0.95), (200, 0.8, 0.9)]
)
def test_a_share_is_missed_no_more_often_than_promised(n, rho, share):
    """Few points beyond the bound, in long excursions, would be 28 errors in 100 by their indicators alone (60 points, rho .8)."""
    series, runs = ar1(np.random.default_rng(2), 1500, n, rho), 1500
    pvalues = [ShareTest(points, ndtri(share)).pvalues(share) for points in series]
    for level in (0.05, 0.01):
        for side in ("greater", "less"):
            wrong = sum(float(getattr(found, side)) <= level for found in pvalues)
            assert_rate_at_most(wrong, runs, level)
