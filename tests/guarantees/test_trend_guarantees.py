"""Noise about a level is rarely called a trend, leaks and warm-ups are told, and intervals hold the time of the crossing."""

import numpy as np
import pytest
from scipy.stats import binom
from simulation import ar1, assert_rate_at_most

from canaryjudge.stats.effect_trend import crossing_time, trend_test

LEVEL = 0.01
CASES = [
    # blocks, points of each, autocorrelation of the points (1: a random walk), the rate that is promised
    (12, 1, 0.0, 0.013),
    (24, 4, 0.0, 0.013),
    (12, 1, 0.5, 0.013),
    (24, 4, 0.5, 0.013),
    (8, 1, 0.9, 0.045),
    (24, 1, 0.9, 0.045),
    (24, 4, 0.9, 0.013),
    (8, 1, 1.0, 0.055),
    (18, 1, 1.0, 0.055),
    (24, 4, 1.0, 0.055),
]


def noise(rng, runs, blocks, points, rho):
    series = (
        np.cumsum(rng.normal(size=(runs, blocks * points)), axis=1)
        if rho == 1
        else ar1(rng, runs, blocks * points, rho)
    )
    return series.reshape(runs, blocks, points).mean(axis=2)


def told(series):
    found = [trend_test(np.arange(series.shape[1]), one) for one in series]
    return (
        np.array([each.pvalue_grows <= LEVEL for each in found]),
        np.array([each.pvalue_fades <= LEVEL for each in found]),
    )


def check(blocks, points, rho, rate, runs):
    grows, fades = told(noise(np.random.default_rng(20261201), runs, blocks, points, rho))
    assert_rate_at_most(int(grows.sum()), runs, rate)
    assert_rate_at_most(int(fades.sum()), runs, rate)


@pytest.mark.parametrize(("blocks", "points", "rho", "rate"), CASES)
def test_noise_is_rarely_called_a_trend(blocks, points, rho, rate):
    check(blocks, points, rho, rate, 600)


@pytest.mark.slow
@pytest.mark.parametrize(("blocks", "points", "rho", "rate"), CASES)
def test_noise_is_rarely_called_a_trend_in_8000_runs(blocks, points, rho, rate):
    check(blocks, points, rho, rate, 8000)


def shape_of(name):
    u = (np.arange(24) + 0.5) / 24
    return {"leak": u, "late leak": 2 * np.maximum(u - 0.5, 0), "warm-up": np.exp(-3 * u)}[name]


@pytest.mark.parametrize(
    ("name", "size", "rho", "at_least"),
    [
        ("leak", 30, 0.0, 0.75),
        ("leak", 30, 0.5, 0.3),
        ("late leak", 30, 0.0, 0.85),
        ("warm-up", 40, 0.0, 0.8),
        ("warm-up", 40, 0.5, 0.55),
    ],
)
def test_leaks_and_warm_ups_are_told(name, size, rho, at_least):
    """Sizes in units of the standard deviation of the mean of all points, if they were independent."""
    runs, rng = 300, np.random.default_rng(3)
    series = noise(rng, runs, 24, 4, rho) + shape_of(name) * size / np.sqrt(24 * 4)
    grows, fades = told(series)
    right, wrong = (fades, grows) if name == "warm-up" else (grows, fades)
    assert binom.cdf(right.sum(), runs, at_least) > 1e-4
    assert wrong.sum() == 0


@pytest.mark.parametrize(("rho", "held"), [(0.0, 0.95), (0.5, 0.92), (0.9, 0.83)])
@pytest.mark.parametrize("curve", ["line", "decay"])
def test_the_interval_holds_the_time_of_the_crossing(curve, rho, held):
    """Of those that are told, since of others no time is told."""
    rng, times, runs = np.random.default_rng(7), np.arange(24), 300
    u = (times + 0.5) / 24
    effect, scale = (0.1 * u, 0.1) if curve == "line" else (0.25 * np.exp(-4 * u), 0.25)
    true = 24 * (1.0 if curve == "line" else np.log(2.5) / 4) - 0.5
    found = []
    for one in effect + noise(rng, runs, 24, 4, rho) * scale * np.sqrt(24 * 4) / 40:
        test = trend_test(times, one)
        if (test.pvalue_grows if curve == "line" else test.pvalue_fades) <= LEVEL:
            crossing = crossing_time(times, one, 0.1, curve=curve)
            found.append(crossing.low <= true <= crossing.high)
    assert len(found) > 20
    assert binom.cdf(sum(found), len(found), held) > 1e-3
