"""Closed forms of power agree with statsmodels, and with the tests' own decisions on simulated data."""

import numpy as np
import pytest
from scipy.stats import binom
from statsmodels.stats.power import TTestIndPower

from canaryjudge.stats.long_run import long_run_variance
from canaryjudge.stats.power import Scatter, events_power, projections, shift_power
from canaryjudge.stats.proportions import difference_bounds, difference_pvalues
from canaryjudge.stats.rates import rate_ratio_pvalues


@pytest.mark.parametrize(
    ("n", "effect", "level"), [(10, 0.5, 0.05), (20, 1.0, 0.01), (60, 0.3, 0.05), (5, 3.0, 0.01)]
)
def test_the_power_of_a_t_test_is_that_of_statsmodels(n, effect, level):
    known = TTestIndPower().power(effect, n, level, alternative="larger")
    assert shift_power(effect, Scatter((2 / n) ** 0.5, 2 * n - 2), level) == pytest.approx(known, abs=1e-6)


def test_what_is_certain_and_what_is_hopeless():
    assert shift_power(1.0, Scatter(0.0, 10), 0.01) == 1.0
    assert shift_power(0.0, Scatter(0.0, 10), 0.01) == 0.0
    assert shift_power(1.0, Scatter(1e-4, 10), 0.01) == 1.0
    assert shift_power(1.0, Scatter(0.1, 1.0), 0.01) == 0.0  # the judge abstains at so few degrees of freedom


@pytest.mark.parametrize(("n", "rho"), [(8, 0.0), (60, 0.0), (60, 0.5), (200, 0.9), (1000, 0.3)])
def test_degrees_of_freedom_are_those_of_the_long_run_variance(n, rho):
    assert projections(n, rho) == long_run_variance(np.random.default_rng(1).normal(size=n), rho).df


@pytest.mark.parametrize(("canary", "baseline"), [(20.0, 10.0), (3.0, 40.0), (80.0, 50.0), (0.5, 0.5)])
@pytest.mark.parametrize("greater", [True, False])
def test_counted_power_is_how_often_the_test_rejects(canary, baseline, greater):
    def test(c, b):
        return rate_ratio_pvalues(c, 100.0, b, 100.0, 1.1)

    def rejects(c, b):
        return (test(c, b).greater if greater else test(c, b).less) <= 0.05

    power = events_power(canary, baseline, rejects)
    rng, runs = np.random.default_rng(2), 20_000
    found = test(rng.poisson(canary, runs).astype(float), rng.poisson(baseline, runs).astype(float))
    hits = int(((found.greater if greater else found.less) <= 0.05).sum())
    assert binom.cdf(hits, runs, power) > 1e-6
    assert binom.sf(hits - 1, runs, power) > 1e-6


def test_counted_power_of_a_difference_keeps_the_level():
    def test(c, b):
        return difference_pvalues(c, 5e4, b, 5e4, 2e-4).greater <= 0.01

    assert events_power(60.0, 50.0, test) <= 0.0115
    assert events_power(150.0, 50.0, test) > 0.95


def test_the_bounds_of_a_difference_decide_as_its_pvalues_do():
    def by_bounds(c, b):
        return difference_bounds(c, 5e4, b, 5e4, 0.01).low >= 2e-4

    def by_pvalues(c, b):
        return difference_pvalues(c, 5e4, b, 5e4, 2e-4).greater <= 0.01

    for means in ((60.0, 50.0), (90.0, 50.0), (3.0, 0.5), (20.0, 0.0)):
        assert events_power(*means, by_bounds) == pytest.approx(events_power(*means, by_pvalues), abs=1e-9)
