"""How often a watch of counts, at a look after every interval, fails what is tolerable or passes what is not.

The engines are run as the rules run them, at the tolerated ratio itself, where both errors are likeliest. Where a method rests on
more than its assumptions (bursty counts, whose dispersion is estimated), up to 1.5 times the level is allowed.
"""

import numpy as np
import pytest
from simulation import assert_rate_at_most

from canaryjudge.stats.count_processes import LOG_RATIOS, likelihoods, log_evidence, tilts
from canaryjudge.stats.dispersion import overdispersion, pooled_dispersion

LEVEL = 0.05
DAY = np.exp(0.7 * np.sin(np.arange(180) / 30))


def counts(rng, mean, phi, shape):
    """Counts of variance phi times the mean."""
    mean = np.broadcast_to(mean, shape)
    return rng.poisson(mean if phi == 1 else rng.gamma(mean / (phi - 1), phi - 1)).astype(float)


def stated_by_history(rng, mean, phi, runs):
    past = [counts(rng, mean, phi, (runs, 60)) for _ in range(2)]
    found = pooled_dispersion(past[0], np.ones(60), past[1], np.ones(60), concurrent=True, family="poisson")
    return found.factor


def pearsons_at(x, both, squares, log_ratio):
    """Sum of squared standardized residuals at a constant split, from sums."""
    share = 1 / (1 + np.exp(-np.clip(log_ratio, -3, 3)))
    return (squares - 2 * share * x + share**2 * both) / (share * (1 - share))


def watch_counts(runs, *, phi=1.0, tolerance=0.1, mean=10.0, stated=1.0, pattern=1.0, seed=11, intervals=180):
    """Shares of runs at the tolerated ratio that ever failed, and that ever passed; equal traffic."""
    rng = np.random.default_rng(seed)
    if stated == "history":
        stated = stated_by_history(rng, mean, phi, runs)
    null = np.log1p(tolerance)
    mean = mean * np.broadcast_to(pattern, intervals)
    x, both, squares, seen = (np.zeros(runs) for _ in range(4))
    failed, passed = np.zeros(runs, dtype=bool), np.zeros(runs, dtype=bool)
    for t in range(intervals):
        b, c = counts(rng, mean[t], phi, runs), counts(rng, mean[t] * (1 + tolerance), phi, runs)
        x, both, seen = x + c, both + b + c, seen + (b + c > 0)
        squares = squares + np.divide(c**2, b + c, out=np.zeros(runs), where=b + c > 0)
        log_ratio = np.log((x + 1e-9) / (both - x + 1e-9))
        factor = overdispersion(pearsons_at(x, both, squares, log_ratio), seen, stated)
        for start in range(0, runs, 500):  # as much as the processor's cache holds
            part = slice(start, start + 500)
            sums = likelihoods(both[part] - x[part], x[part], 1.0, 1.0)
            failed[part] |= log_evidence(sums, null, 1, dispersion=factor[part]) >= -np.log(LEVEL)
            passed[part] |= log_evidence(sums, null, -1, dispersion=factor[part]) >= -np.log(LEVEL)
    return int(failed.sum()), int(passed.sum())


# settings and the multiple of the level that is allowed, for a fail and for a pass
COUNTS = {
    "independent": ({}, 1.0),
    "independent, wide tolerance": ({"tolerance": 0.5}, 1.0),
    "a daily pattern": ({"pattern": DAY}, 1.0),
    "nothing known": ({"stated": None}, 1.0),
    "sparse": ({"mean": 1.0, "stated": None}, 1.0),
    "bursts of 2, nothing known": ({"phi": 2.0, "stated": None}, 1.5),
    "bursts of 2, with history": ({"phi": 2.0, "stated": "history"}, 1.5),
    "bursts of 5, with history": ({"phi": 5.0, "stated": "history"}, 1.5),
    "bursts of 5, busy, with history": ({"phi": 5.0, "mean": 40.0, "stated": "history"}, 1.5),
}


@pytest.mark.parametrize("name", COUNTS)
def test_sampled_watches_of_counts_keep_their_level(name):
    settings, allowed = COUNTS[name]
    errors = watch_counts(1500, **settings)
    for wrong in errors:
        assert_rate_at_most(wrong, 1500, allowed * LEVEL)


@pytest.mark.slow
@pytest.mark.parametrize("name", COUNTS)
def test_watches_of_counts_keep_their_level(name):
    settings, allowed = COUNTS[name]
    errors = watch_counts(20_000, seed=12, **settings)
    for wrong in errors:
        assert_rate_at_most(wrong, 20_000, allowed * LEVEL)


def watch_shares(runs, *, traffic, share, difference=0.0, ratio=1.0, seed=5):
    """Binomial errors at p_c = ratio p_b + difference under a split that changes; shares that failed and that passed."""
    rng = np.random.default_rng(seed)
    failed, passed = np.zeros(runs, dtype=bool), np.zeros(runs, dtype=bool)
    sums, tilt = np.zeros((runs, len(LOG_RATIOS))), np.zeros((1, len(LOG_RATIOS)))
    for t, (n_b, n_c) in enumerate(traffic):
        level = share * (1 + 0.5 * np.sin(t / 5))
        b = rng.binomial(n_b, level, runs)
        c = rng.binomial(n_c, ratio * level + difference, runs)
        sums += likelihoods(b, c, float(n_b), float(n_c))
        tilt += tilts(float(n_b), float(n_c), ratio)
        given = {"tilt": tilt, "difference": difference} if difference else {}
        failed |= log_evidence(sums, np.log(ratio), 1, **given) >= -np.log(LEVEL)
        passed |= log_evidence(sums, np.log(ratio), -1, **given) >= -np.log(LEVEL)
    return int(failed.sum()), int(passed.sum())


RAMP = [(1980, 20)] * 20 + [(1900, 100)] * 20 + [(1500, 500)] * 20 + [(1000, 1000)] * 20
SPLITS = {
    "ramp": {"traffic": RAMP, "share": 0.01, "ratio": 1.1},
    "ramp, a difference": {"traffic": RAMP, "share": 0.01, "difference": 0.002},
    "many errors": {"traffic": [(950, 50)] * 60, "share": 0.4, "ratio": 1.25},
    "successes that fall": {
        "traffic": [(500, 500)] * 60,
        "share": 0.02,
        "ratio": 1 / 1.01,
        "difference": 0.01 / 1.01,
    },
    "few requests": {"traffic": [(50, 50)] * 100, "share": 0.01, "ratio": 2.0},
}


@pytest.mark.parametrize("name", SPLITS)
def test_sampled_watches_of_shares_keep_their_level_at_any_split(name):
    for wrong in watch_shares(1500, **SPLITS[name]):
        assert_rate_at_most(wrong, 1500, LEVEL)


@pytest.mark.slow
@pytest.mark.parametrize("name", SPLITS)
def test_watches_of_shares_keep_their_level_at_any_split(name):
    for wrong in watch_shares(20_000, seed=6, **SPLITS[name]):
        assert_rate_at_most(wrong, 20_000, LEVEL)
