"""Bands around distribution functions and quantile differences: by their definition, and by how often they err."""

import numpy as np
import pytest
from scipy.stats import binom, ksone

from canaryjudge.stats.distribution_bands import dkw_margin, quantile_differences


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("n", [1, 7, 100, 5000])
def test_the_margin_is_the_inverse_of_massarts_bound(n, level):
    assert 2 * np.exp(-2 * n * dkw_margin(n, level) ** 2) == pytest.approx(1 - level)


@pytest.mark.parametrize("n", [50, 1000])
def test_the_margin_is_barely_wider_than_the_exact_band_of_kolmogorov(n):
    """Two one-sided Kolmogorov-Smirnov tests bound the exact band from above; for levels in use both agree closely."""
    exact = ksone.isf(0.025, n)
    assert exact <= dkw_margin(n, 0.95) <= 1.1 * exact


def test_differences_are_those_of_order_statistics():
    baseline, canary = np.arange(1.0, 101.0), 3 * np.arange(1.0, 201.0)
    found = quantile_differences(baseline, canary, [0.25, 0.5], 0.9)
    assert found.estimate.tolist() == [3 * 50 - 25, 3 * 100 - 50]
    margins = [dkw_margin(n, np.sqrt(0.9)) for n in (100, 200)]
    low = 3 * np.ceil((0.5 - margins[1]) * 200) - np.ceil((0.5 + margins[0]) * 100)
    assert found.low[1] == low


def test_a_single_point_bounds_nothing():
    found = quantile_differences([1.0], [2.0], [0.1, 0.5, 0.9], 0.95)
    assert np.isneginf(found.low).all()
    assert np.isposinf(found.high).all()
    assert found.estimate.tolist() == [1.0, 1.0, 1.0]


def test_the_band_holds_all_quantiles_together_as_often_as_it_says():
    rng = np.random.default_rng(20261128)
    runs, level, shift = 2000, 0.9, 0.7
    probability = np.linspace(0.02, 0.98, 49)
    held = 0
    for _ in range(runs):
        found = quantile_differences(rng.normal(0, 1, 60), rng.normal(shift, 1, 80), probability, level)
        held += bool(((found.low <= shift) & (shift <= found.high)).all())
    assert binom.cdf(held, runs, level) > 1e-6
