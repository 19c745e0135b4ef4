"""What canaryjudge's sequential rules decide, for many simulated runs at once: the engines, put together as the rules put them together.

`sequential_delay.py` holds each against the public path: the same data, fed to a `Monitor` or to the rule's process, give the same
decisions at the same looks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from canaryjudge.stats.count_processes import LOG_RATIOS, likelihoods, log_evidence, ratio_estimate, tilts
from canaryjudge.stats.dispersion import overdispersion
from canaryjudge.stats.score_evidence import (
    BETS,
    FEWEST_SCORES,
    discordance,
    exceedance_scores,
    log_wealth,
    mean_evidence,
)

__all__ = ["WATCHED", "Decisions", "Traffic", "decide", "mixture", "pair_evidence", "score_evidence"]

WATCHED = 0.95
"""Part of the level that a watch uses until a pass; the rest is kept for late harm."""
_WATCHED_RATES = 0.99
"""The same for rates."""
_RELATIVE_WEIGHT = 0.9
"""Part of the pass evidence that goes to the relative tolerance where there is an absolute one as well."""
_CHUNK = 500
"""Runs whose intermediate arrays exist at the same time; more only miss the processor's cache."""
_LEARNING = (16, 32, 64, 128, 256)
_PROBABILITIES = np.array([0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99])
_PRIORS = np.where(_PROBABILITIES < 0.9, 10.0, 3.0)
_MOST_BLOCKS = 64
_FEWEST_INTERVALS = 10

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Traffic:
    """How many requests each arm gets in each interval, and what share of the baseline's fail.

    Attributes
    ----------
    name : str
        For the table.
    baseline, canary : ndarray, shape (T,)
        Requests.
    errors : float
        The baseline's share of errors.
    """

    name: str
    baseline: FloatArray
    canary: FloatArray
    errors: float = 0.01

    @property
    def intervals(self) -> int:
        """How many intervals the watch has."""
        return len(self.baseline)

    @property
    def steady(self) -> bool:
        """Whether the split never changes."""
        return float(np.ptp(self.canary / self.baseline)) == 0

    def counts(self, rng: np.random.Generator, ratio: float, runs: int) -> tuple[FloatArray, FloatArray]:
        """Draw the errors of both arms, shape (runs, T)."""
        arms = ((self.baseline, self.errors), (self.canary, ratio * self.errors))
        drawn = [rng.binomial(size.astype(np.int64), share, (runs, len(size))) for size, share in arms]
        return drawn[0].astype(np.float64), drawn[1].astype(np.float64)


@dataclass(frozen=True, slots=True)
class Decisions:
    """What became of each run.

    Attributes
    ----------
    outcome : ndarray, shape (runs,)
        -1 failed, 1 passed, 0 undecided.
    after : ndarray, shape (runs,)
        Looks (or observations) until then; inf where undecided.
    """

    outcome: IntArray
    after: FloatArray

    @property
    def failed(self) -> float:
        """Percentage of runs that failed."""
        return float((self.outcome < 0).mean() * 100)

    @property
    def passed(self) -> float:
        """Percentage of runs that passed."""
        return float((self.outcome > 0).mean() * 100)

    @property
    def median(self) -> float:
        """Median of all runs until a decision; an undecided run is longer than all."""
        ordered = np.sort(self.after)
        middle = (ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2])
        return math.inf if math.isinf(middle[1]) else float(sum(middle)) / 2

    def first(self, runs: int) -> Decisions:
        """Give the first runs alone."""
        return Decisions(self.outcome[:runs], self.after[:runs])


def decide(
    fail: NDArray[np.bool_],
    safe: NDArray[np.bool_] | None = None,
    looks: Sequence[int] | IntArray | None = None,
) -> Decisions:
    """Find the first look at which anything was decided; a fail comes before a pass.

    Parameters
    ----------
    fail, safe : ndarray of bool, shape (runs, looks)
        What each look says.
    looks : sequence of int, optional
        Intervals (or observations) at each look; left out: one more each.

    Returns
    -------
    Decisions
        Of each run.
    """
    either = fail if safe is None else fail | safe
    found, place = either.any(axis=1), either.argmax(axis=1)
    at = np.arange(1, fail.shape[1] + 1) if looks is None else np.asarray(looks)
    failed = fail[np.arange(len(fail)), place]
    outcome = np.where(found, np.where(failed, -1, 1), 0)
    return Decisions(outcome, np.where(found, at[place], np.inf))


def mixture(
    events: tuple[FloatArray, FloatArray],
    traffic: Traffic,
    tolerance: float,
    *,
    absolute: float = 0.0,
    stated: FloatArray | float | None = 1.0,
    alpha: float = 0.05,
    beta: float = 0.05,
) -> Decisions:
    """Watch ratios and counts by the stratified mixture, at a look after every interval.

    Parameters
    ----------
    events : tuple of ndarray, shape (runs, T)
        Both arms' events.
    traffic : Traffic
        What they are out of.
    tolerance, absolute : float
        What is tolerated, relative to the baseline's rate and as a difference.
    stated : float, ndarray of shape (runs,), or None
        The dispersion as the policy has it.
    alpha, beta : float
        The policy's.

    Returns
    -------
    Decisions
        Of each run.
    """
    runs = len(events[0])
    parts = [slice(start, start + _CHUNK) for start in range(0, runs, _CHUNK)]
    found = [
        _watch(
            (events[0][part], events[1][part]),
            traffic,
            (math.log1p(tolerance), absolute),
            stated[part] if isinstance(stated, np.ndarray) else stated,
            (-math.log(alpha * _WATCHED_RATES), -math.log(beta)),
        )
        for part in parts
    ]
    return Decisions(
        np.concatenate([one.outcome for one in found]), np.concatenate([one.after for one in found])
    )


def _watch(
    events: tuple[FloatArray, FloatArray],
    traffic: Traffic,
    limits: tuple[float, float],
    stated: FloatArray | float | None,
    needed: tuple[float, float],
) -> Decisions:
    live = np.arange(len(events[0]))
    outcome, after = np.zeros(len(live), dtype=np.int64), np.full(len(live), np.inf)
    sums, tilt, spread = np.zeros((len(live), len(LOG_RATIOS))), np.zeros(len(LOG_RATIOS)), _Spread(len(live))
    for t in range(traffic.intervals):
        n_b, n_c = float(traffic.baseline[t]), float(traffic.canary[t])
        x_b, x_c = events[0][live, t], events[1][live, t]
        sums += likelihoods(x_b, x_c, n_b, n_c)
        tilt += tilts(n_b, n_c, 1.0)
        spread.add((x_b, x_c), (n_b, n_c))
        known = stated[live] if isinstance(stated, np.ndarray) else stated
        factor = spread.factor(ratio_estimate(sums), known)
        fail, safe = (log_evidence(sums, limits[0], side, dispersion=factor) for side in (1, -1))
        if limits[1]:
            other = [
                log_evidence(sums, 0.0, side, tilt=tilt, difference=limits[1], dispersion=factor)
                for side in (1, -1)
            ]
            fail = np.minimum(fail, other[0])
            safe = np.logaddexp(math.log(_RELATIVE_WEIGHT) + safe, math.log(1 - _RELATIVE_WEIGHT) + other[1])
        failed, passed = fail >= needed[0], safe >= needed[1]
        done = failed | passed
        outcome[live[done]] = np.where(failed[done], -1, 1)
        after[live[done]] = t + 1
        live, sums = live[~done], sums[~done]
        spread.keep(~done)
        if not len(live):
            break
    return Decisions(outcome, after)


class _Spread:
    """How much counts vary, from sums: by the splits of the events, or of few intervals with events by their totals."""

    def __init__(self, runs: int) -> None:
        self._sums: dict[float, FloatArray] = {}
        self._informative = np.zeros(runs)
        self._events, self._squares, self._exposure, self._intervals = np.zeros(runs), np.zeros(runs), 0.0, 0

    def add(self, events: tuple[FloatArray, FloatArray], sizes: tuple[float, float]) -> None:
        """Take an interval."""
        (x_b, x_c), odds, size = events, sizes[1] / sizes[0], sum(sizes)
        both = x_b + x_c
        self._events, self._squares = self._events + both, self._squares + both**2 / size
        self._exposure, self._intervals = self._exposure + size, self._intervals + 1
        sums = self._sums.setdefault(odds, np.zeros((3, len(both))))
        sums += np.stack([x_c, both, np.divide(x_c**2, both, out=np.zeros(len(both)), where=both > 0)])
        self._informative += both > 0

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Forget the runs that are over."""
        self._sums = {odds: sums[:, rows] for odds, sums in self._sums.items()}
        self._informative = self._informative[rows]
        self._events, self._squares = self._events[rows], self._squares[rows]

    def factor(self, log_ratio: FloatArray, stated: FloatArray | float | None) -> FloatArray:
        """Give the dispersion by which the rule divides its evidence."""
        totals = self._squares * self._exposure / np.maximum(self._events, 1e-300) - self._events
        return np.where(
            self._informative >= _FEWEST_INTERVALS,
            overdispersion(self._pearson(log_ratio), self._informative, stated),
            overdispersion(totals, np.full(len(totals), self._intervals), stated),
        )

    def _pearson(self, log_ratio: FloatArray) -> FloatArray:
        at = np.exp(np.clip(np.nan_to_num(log_ratio, nan=0.0), LOG_RATIOS[0], LOG_RATIOS[-1]))
        total = np.zeros(len(at))
        for odds, (x, both, squares) in self._sums.items():
            share = odds * at / (1 + odds * at)
            total += (squares - 2 * share * x + share**2 * both) / (share * (1 - share))
        return np.maximum(total, 0.0)


def pair_evidence(baseline: FloatArray, canary: FloatArray, tolerance: float, looks: IntArray) -> FloatArray:
    """Give the log evidence of one run's pairs that the canary is worse than tolerated, at some looks.

    Parameters
    ----------
    baseline, canary : ndarray, shape (n,)
        Positive values, pair by pair; n > 256.
    tolerance : float
        Relative.
    looks : ndarray of int, shape (k,)
        Pairs seen at each look.

    Returns
    -------
    ndarray, shape (k,)
        What the method `ranks` has: the mean of rank bets and of exceedances of eight quantiles.
    """
    n = len(canary)
    scores = np.zeros(n)
    more, less = np.zeros((2, len(_PROBABILITIES), n), dtype=np.int32)
    for start, stop in pairwise((*_LEARNING, n)):
        reference = np.sort(np.concatenate([baseline[:start], canary[:start]]))
        high = _ranks(reference, canary[start:stop])
        low = _ranks(reference, baseline[start:stop] * (1 + tolerance))
        scores[start:stop] = (high - low) / (2 * len(reference))
        edges = (2 * np.ceil(_PROBABILITIES * len(reference)).astype(np.intp) - 1)[:, None]
        beyond, before = high > edges, low > edges
        more[:, start:stop], less[:, start:stop] = beyond & ~before, before & ~beyond
    at = looks - 1
    bets = log_wealth(np.log1p(scores[:, None] * BETS).cumsum(axis=0)[at])
    counts = [np.asarray(flags.cumsum(axis=1)[:, at], dtype=np.float64) for flags in (more, less)]
    exceeded = np.logaddexp.reduce(discordance(counts[0], counts[1], _PRIORS[:, None]), axis=0)
    return np.asarray(np.logaddexp(bets, exceeded - math.log(len(_PROBABILITIES))) - math.log(2))


def _ranks(reference: FloatArray, values: FloatArray) -> IntArray:
    sides: tuple[Literal["left", "right"], ...] = ("left", "right")
    left, right = (np.searchsorted(reference, values, side) for side in sides)
    return np.asarray(left + right)


def score_evidence(
    baseline: FloatArray, canary: FloatArray, tolerance: float
) -> tuple[FloatArray, FloatArray]:
    """Give the log evidence of samples scored once an interval, after every interval.

    Parameters
    ----------
    baseline, canary : ndarray, shape (runs, T, n)
        Values of each interval.
    tolerance : float
        Relative.

    Returns
    -------
    above, below : ndarray, shape (runs, T)
        What the method `scores` has: evidence that the canary is worse than tolerated, and that it is not.
    """
    runs, intervals, _ = canary.shape
    scale, shift = np.array([1 + tolerance]), np.zeros(1)
    scores = np.array(
        [
            [exceedance_scores(baseline[r, t], canary[r, t], scale, shift)[0] for t in range(intervals)]
            for r in range(runs)
        ]
    )
    above, below = np.full((2, runs, intervals), -np.inf)
    rows, pending, each = np.zeros((runs, 0)), np.zeros((runs, 0)), 1
    for t in range(intervals):
        pending = np.concatenate([pending, scores[:, t : t + 1]], axis=1)
        if pending.shape[1] == each:
            rows = np.concatenate([rows, pending.mean(axis=1, keepdims=True)], axis=1)
            pending = np.zeros((runs, 0))
            if rows.shape[1] >= _MOST_BLOCKS:
                rows, each = (rows[:, ::2] + rows[:, 1::2]) / 2, 2 * each
        if rows.shape[1] >= FEWEST_SCORES:
            found = mean_evidence(rows, each=each)
            above[:, t], below[:, t] = found.above, found.below
    return above, below
