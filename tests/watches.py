"""Watches of many runs at once: the engines, asked as the processes ask them. That they agree is tested beside the guarantees."""

import math

import numpy as np

from canaryjudge.data import Arm, MetricPair
from canaryjudge.rules.sequential.interval_scores import _HALF_WEIGHT, _MOST_BLOCKS
from canaryjudge.rules.sequential.planned_looks import _CAUTION, _FEWEST_EFFECTIVE, _FEWEST_FOR_RANKS
from canaryjudge.stats.count_processes import likelihoods, log_evidence
from canaryjudge.stats.dispersion import overdispersion
from canaryjudge.stats.group_sequential import boundaries
from canaryjudge.stats.paired_shift import paired_test
from canaryjudge.stats.rank_test import shift_test
from canaryjudge.stats.score_evidence import FEWEST_SCORES, mean_evidence


def pair_of(kind, baseline, canary, name="m"):
    """What a process takes."""
    arms = (Arm(np.atleast_1d(np.asarray(values, dtype=np.float64))) for values in (baseline, canary))
    return MetricPair(name, kind, *arms, pairing="concurrent")


# samples, a score an interval


def exceedances(baseline, canary):
    """Score an interval of many runs: the lowest bit of each value says whose it is, so that sorting finds who comes before whom.

    Values are positive and no two of them equal, one run a row.
    """
    n, m = baseline.shape[1], canary.shape[1]
    keys = np.concatenate([baseline, canary], axis=1).view(np.int64) & -2
    keys[:, n:] |= 1
    keys.sort(axis=1)
    places = (keys & 1).astype(np.float32) @ np.arange(n + m, dtype=np.float32)
    return (places.astype(np.float64) - m * (m - 1) / 2) / (n * m) - 0.5


def clocked_exceedances(baseline, canary, scale, tick):
    """Score an interval of many runs whose values a clock has rounded; a tick of the baseline's is spread over its width."""
    ticks = [np.rint(arm / tick).astype(np.intp) for arm in (baseline, canary)]
    runs, most = len(baseline), max(int(arm.max()) for arm in ticks) + 1
    rows = np.arange(runs)[:, None] * most
    tallies = [np.bincount((arm + rows).ravel(), minlength=runs * most).reshape(runs, most) for arm in ticks]
    places = np.arange(most)
    wins = np.clip(places[:, None] / scale - places + 0.5, 0, 1)
    won = ((tallies[1] @ wins) * tallies[0]).sum(axis=1)
    return won / (baseline.shape[1] * canary.shape[1]) - 0.5


def weight_of(n, m):
    """What an interval of so many requests counts."""
    harmonic = 2 / (1 / n + 1 / m)
    return harmonic / (harmonic + _HALF_WEIGHT)


class Scores:
    """Weighted scores, an interval after the other; halved as the processes halve them."""

    def __init__(self):
        self._rows, self._weights, self._pending, self._each = [], [], [], 1
        self.found = None

    def add(self, scores, weight=1.0):
        """Take an interval, one score a run; evidence is found whenever a block is complete."""
        self._pending.append((scores * weight, weight))
        if len(self._pending) < self._each:
            return
        row, total = (sum(part) / self._each for part in zip(*self._pending, strict=True))
        self._rows, self._weights, self._pending = [*self._rows, row], [*self._weights, total], []
        if len(self._rows) == _MOST_BLOCKS:
            self._rows, self._weights = (
                [(some[i] + some[i + 1]) / 2 for i in range(0, _MOST_BLOCKS, 2)]
                for some in (self._rows, self._weights)
            )
            self._each *= 2
        if len(self._rows) >= FEWEST_SCORES:
            scores = np.stack(self._rows, axis=-1) / np.mean(self._weights)
            self.found = mean_evidence(scores, each=self._each)


# counts of equal exposure


def counts(rng, mean, phi, shape):
    """Counts of variance phi times the mean."""
    mean = np.broadcast_to(mean, shape)
    return rng.poisson(mean if phi == 1 else rng.gamma(mean / (phi - 1), phi - 1)).astype(float)


class Counts:
    """Counts of equal exposure, an interval after the other, one run a row."""

    def __init__(self, runs):
        self.sums = np.zeros(
            (4, runs)
        )  # the canary's events, both arms', its share of them squared, intervals

    def add(self, baseline, canary):
        """Take an interval."""
        both = baseline + canary
        squares = np.divide(canary**2, both, out=np.zeros(both.shape), where=both > 0)
        self.sums += [canary, both, squares, both > 0]

    def evidence(self, null, sides, stated, part=slice(None)):
        """Give log evidence against a log ratio, on each side, of some of the runs."""
        x, both, squares, seen = self.sums[:, part]
        share = 1 / (1 + np.exp(-np.clip(np.log((x + 1e-9) / (both - x + 1e-9)), -3, 3)))
        pearsons = (squares - 2 * share * x + share**2 * both) / (share * (1 - share))
        factor = overdispersion(pearsons, seen, stated)
        sums = likelihoods(both - x, x, 1.0, 1.0)
        return [log_evidence(sums, null, side, dispersion=factor) for side in sides]


# gauges at planned looks, which are bad when they rise

LOOKS = 5


def sizes_of(n):
    """Give the points of each look."""
    return [math.ceil(look / LOOKS * n - 1e-9) for look in range(1, LOOKS + 1)]


def nominal(taken, look, rate, spending="obrien_fleming"):
    """Give what a look may use, after those that were taken before."""
    fractions = [*(np.flatnonzero(taken) + 1) / LOOKS, look / LOOKS]
    return float(boundaries(fractions, rate, spending).nominal[-1])


def watch_ranks(baseline, canary, limit, rates, spending="obrien_fleming", *, concurrent=False):
    """Look at gauges by the robust rank test; give which runs failed, and passed, at each look. A fail ends a watch."""

    def look(baseline, canary, levels):
        return _rank_look(baseline, canary, limit, levels, concurrent=concurrent)

    return _watched(look, _FEWEST_FOR_RANKS, baseline, canary, rates, spending)


def watch_minutes(baseline, canary, limit, rates, spending="obrien_fleming"):
    """Look at gauges minute by minute; give which runs failed, and passed, at each look. A fail ends a watch."""

    def look(baseline, canary, levels):
        return _minutes_look(baseline, canary, limit, levels)

    return _watched(look, 0, baseline, canary, rates, spending)


def _watched(look_at, fewest, baseline, canary, rates, spending):
    failed, passed, taken = (np.zeros((len(baseline), LOOKS), dtype=bool) for _ in range(3))
    for look, size in enumerate(sizes_of(baseline.shape[1]), 1):
        if size < fewest:
            continue
        code = taken @ (1 << np.arange(LOOKS))
        for one in np.unique(code):
            part = np.flatnonzero((code == one) & ~failed.any(axis=1))
            if not len(part):
                continue
            levels = [nominal(taken[part[0]], look, rate, spending) for rate in rates]
            found = look_at(baseline[part, :size], canary[part, :size], levels)
            failed[part, look - 1], passed[part, look - 1], taken[part, look - 1] = found
    return failed, passed


def _minutes_look(baseline, canary, limit, levels):
    """Tell what failed and passed, and which looks count."""
    test = paired_test(baseline, canary, [limit], effect="relative", levels=levels)
    cautious = baseline.shape[1] * (1 - test.rho) / (1 + test.rho) < _FEWEST_EFFECTIVE
    worse = np.where(cautious, _CAUTION, 1.0) * test.pvalue_greater[:, 0] <= levels[0]
    better = (test.pvalue_less[:, 0] <= levels[1]) & ~cautious
    return worse, better & ~worse & ~test.abstains, worse | ~test.abstains


def _rank_look(baseline, canary, limit, levels, *, concurrent):
    """Tell what failed and passed, and which looks count."""
    limits = limit * np.median(baseline, axis=-1)[:, None]
    test = shift_test(baseline, canary, limits, levels=levels, scales=[1 + limit], concurrent=concurrent)
    worse, better = test.pvalue_greater[:, 0], test.pvalue_less[:, 0]
    mute_fail, mute_pass = test.abstains[:, 0].T
    failed = (worse <= levels[0]) & ~mute_fail
    passed = ~failed & (better <= levels[1]) & ~mute_pass
    cautious = baseline.shape[1] * (1 - test.rho) / (1 + test.rho) < _FEWEST_EFFECTIVE
    return (
        failed & ~(cautious & (_CAUTION * worse > levels[0])),
        passed & ~cautious,
        failed | passed | ~(mute_fail | mute_pass),
    )
