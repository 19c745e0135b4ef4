"""How often gauges, looked at five times, fail what is tolerable or pass what is not.

At the tolerated change itself, 10 % of the baseline's level, where both errors are likeliest. Looks share out what is exact for one look;
the robust rank test is approximate where points depend on each other strongly.
"""

import math

import numpy as np
import pytest
from scipy.special import stdtr
from simulation import ar1, assert_rate_at_most

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair
from canaryjudge.results import Outcome
from canaryjudge.rules.decision import Horizon, Share
from canaryjudge.rules.mann_whitney import judge_shift
from canaryjudge.rules.sequential.calibrated import _trimmed_mean, judge_by_history
from canaryjudge.rules.sequential.looks import LooksProcess, Plan
from canaryjudge.stats.group_sequential import boundaries
from canaryjudge.stats.rank_test import shift_test

LOOKS = 5
LIMIT = 0.1
METRIC = cj.Metric(name="cpu", direction="increase", tolerance="10%")


def noise_of(kind, rng, runs, n):
    """Two arms of unit variance, or about so."""
    if kind.startswith("ar"):
        return [ar1(rng, runs, n, float(kind[2:])) for _ in range(2)]
    if kind == "shared load":
        load = ar1(rng, runs, n, 0.8)
        return [0.8 * load + 0.6 * ar1(rng, runs, n, 0.5) for _ in range(2)]
    if kind == "spikes":
        return [
            ar1(rng, runs, n, 0.5) + (rng.random((runs, n)) < 0.03) * rng.exponential(8, (runs, n))
            for _ in range(2)
        ]
    if kind == "noise on ar0.9":
        return [0.7 * ar1(rng, runs, n, 0.9) + 0.7 * rng.normal(size=(runs, n)) for _ in range(2)]
    assert kind == "random walk"
    return [0.2 * rng.normal(size=(runs, n)).cumsum(axis=1) for _ in range(2)]


def gauges(kind, rng, runs, n):
    """Both arms of gauges, the canary changed by what is tolerated."""
    baseline, canary = (100 + 5 * noise for noise in noise_of(kind, rng, runs, n))
    return baseline, (1 + LIMIT) * canary


def nominal(taken, look, rate, spending):
    """What a look may use, after those that were taken before."""
    fractions = [*(np.flatnonzero(taken) + 1) / LOOKS, look / LOOKS]
    return float(boundaries(fractions, rate, spending).nominal[-1])


def rank_look(baseline, canary, level, beta):
    """Ask the robust test as `judge_shift` does, and tell what counts: failed, passed, and which looks were taken."""
    limits = LIMIT * np.median(baseline, axis=-1)[:, None]
    test = shift_test(baseline, canary, limits, levels=[level, beta], scales=[1 + LIMIT], concurrent=True)
    worse, better = test.pvalue_greater[:, 0], test.pvalue_less[:, 0]
    mute_fail, mute_pass = test.abstains[:, 0].T
    failed = (worse <= level) & ~mute_fail
    passed = ~failed & (better <= beta) & ~mute_pass
    taken = failed | passed | ~(mute_fail | mute_pass)
    cautious = baseline.shape[1] * (1 - test.rho) / (1 + test.rho) < 4
    return failed & ~(cautious & (20 * worse > level)), passed & ~cautious, taken


def watch_by_ranks(baseline, canary, level, beta, spending="obrien_fleming"):
    """Runs that failed at each look, and that passed; a fail ends a watch."""
    runs, n = baseline.shape
    failed, passed, taken = (np.zeros((runs, LOOKS), dtype=bool) for _ in range(3))
    for look in range(1, LOOKS + 1):
        size = math.ceil(look / LOOKS * n - 1e-9)
        if size < 20:
            continue
        code = taken @ (1 << np.arange(LOOKS)) + np.where(failed.any(axis=1), 1 << LOOKS, 0)
        for one in np.unique(code[code < 1 << LOOKS]):
            part = np.flatnonzero(code == one)
            rates = [nominal(taken[part[0]], look, rate, spending) for rate in (level, beta)]
            found = rank_look(baseline[part, :size], canary[part, :size], *rates)
            failed[part, look - 1], passed[part, look - 1], taken[part, look - 1] = found
    return failed, passed


def errors(kind, runs, seed, *, n=60, level=0.05, spending="obrien_fleming"):
    """Watches that ever failed, and that ever passed."""
    rng, count = np.random.default_rng(seed), np.zeros(2, dtype=int)
    for start in range(0, runs, 1000):
        arms = gauges(kind, rng, min(1000, runs - start), n)
        count += [int(found.any(axis=1).sum()) for found in watch_by_ranks(*arms, level, level, spending)]
    return count


def watch_by_history(history, baseline, canary, level, beta, spending="obrien_fleming"):
    """Do the same by history: arms of shape (runs, windows, n)."""
    count, n = history[0].shape[1:]
    failed, passed = (np.zeros((len(baseline), LOOKS), dtype=bool) for _ in range(2))
    for look in range(1, LOOKS + 1):
        size = math.ceil(look / LOOKS * n - 1e-9)
        before = np.arange(LOOKS) < look - 1
        rates = [nominal(before, look, rate, spending) for rate in (level, beta)]
        past = [_trimmed_mean(arm[..., :size]) for arm in history]
        levels = [_trimmed_mean(arm[:, :size]) for arm in (baseline, canary)]
        estimate = levels[1] - levels[0] - (past[1] - past[0]).mean(axis=1) - LIMIT * abs(levels[0])
        spread = (past[1] - (1 + LIMIT) * past[0]).std(axis=1, ddof=1) * np.sqrt(1 + 1 / count)
        t = estimate / spread
        failed[:, look - 1] = stdtr(count - 1, -t) <= rates[0]
        passed[:, look - 1] = ~failed[:, look - 1] & (stdtr(count - 1, t) <= rates[1])
    return failed, passed


def with_history(kind, rng, runs, n, windows):
    """History of both arms, of windows that follow each other, and then the watched window."""
    arms = [100 + 5 * noise for noise in noise_of(kind, rng, runs, (windows + 1) * n)]
    history = [arm[:, : windows * n].reshape(runs, windows, n) for arm in arms]
    return history, arms[0][:, windows * n :], (1 + LIMIT) * arms[1][:, windows * n :]


def errors_with_history(kind, runs, seed, *, n=60, windows=10, level=0.05, spending="obrien_fleming"):
    rng, count = np.random.default_rng(seed), np.zeros(2, dtype=int)
    for start in range(0, runs, 1000):
        given = with_history(kind, rng, min(1000, runs - start), n, windows)
        count += [int(found.any(axis=1).sum()) for found in watch_by_history(*given, level, level, spending)]
    return count
