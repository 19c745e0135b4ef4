"""How a metric's effect went over the whole of a watch, in memory that does not grow: evidence needs none of it, people do."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np

from canaryjudge.kinds import KINDS
from canaryjudge.packing import pack, pack_times, unpack, unpack_times
from canaryjudge.rules.rows import Arm, FloatArray, Pair, Question
from canaryjudge.stats.bucket_distributions import bucket_quantile
from canaryjudge.stats.paired_shift import paired_changes

__all__ = ["Blocks", "EffectTrace"]

_MOST: Final = 24
"""Blocks; where there would be more, neighbors are put together."""
_SECOND: Final = 1_000_000
_COLUMNS: Final = 4
"""Sums of a block: see `EffectTrace`."""


class Blocks(NamedTuple):
    """The effect over time; larger is worse.

    Attributes
    ----------
    length : int
        Intervals of a block.
    scale : {"relative", "absolute"}
        What the changes are.
    limit : float
        The change that is tolerated, at the baseline's mean level.
    times : ndarray, shape (n,)
        The middle of each whole block, in seconds since 1970.
    changes : ndarray, shape (n,)
        The change within it, NaN where nothing can be said.
    weights : ndarray, shape (n,)
        How much each is worth: of events, the inverse variance of its logarithm if nothing has changed; else how many intervals it is of.
    """

    length: int
    scale: str
    limit: float
    times: FloatArray
    changes: FloatArray
    weights: FloatArray


class EffectTrace:
    """The change of the canary against the baseline, in 12 to 24 blocks of equally many intervals.

    Of events a block keeps the two sums of Mantel and Haenszel's rate ratio, which hold at a split that changes, and the baseline's events and exposure. Of anything else it keeps the sum of the
    intervals' changes, how many they are, and the sum of the baseline's levels. All are rounded as they are saved, whatever is saved when.

    Parameters
    ----------
    question : Question
        What is asked of the metric.

    Examples
    --------
    >>> from canaryjudge.rules.rows import ErrorRates, Sizes
    >>> asked = Question(kind="gauge", sides=(1,), rates=ErrorRates(0.01, 0.05), minute_ratios=True, tolerance=Sizes(0.1, math.nan))
    >>> trace, times = EffectTrace(asked), 60.0 * np.arange(30)
    >>> trace.add(asked.of(Arm(np.full(30, 50.0), time=times), Arm(np.full(30, 55.0), time=times)))
    >>> found = trace.blocks
    >>> found.length, len(found.times), found.changes[0].round(6).item()
    (2, 15, 0.1)
    """

    def __init__(self, question: Question) -> None:
        self._question, self._kind = question, KINDS[question.kind]
        self._length, self._open = 1, 0
        self._times: list[tuple[int, int]] = []
        self._sums: list[FloatArray] = []

    @property
    def sides(self) -> tuple[int, ...]:
        """The bad directions of the metric."""
        return self._question.sides

    @property
    def _as_ratio(self) -> bool:
        return self._question.logarithmic or self._question.minute_ratios or not self._kind.is_measured

    def add(self, pair: Pair) -> None:
        """Take complete intervals; of raw observations, one."""
        for time, terms in zip(*self._terms(pair), strict=True):
            self._put(time, terms)

    def _terms(self, pair: Pair) -> tuple[list[int], FloatArray]:
        """Give the time of each interval, and what it adds."""
        baseline, canary = pair.arms
        if canary.time is None or not len(canary) or not len(baseline):
            return [], np.empty((0, _COLUMNS))
        if pair.strata:  # an interval's segments, each compared within itself
            of_each = [self._terms(stratum)[1].sum(axis=0) for stratum in pair.strata]
            return _microseconds(canary)[:1], np.asarray(np.sum(of_each, axis=0))[None]
        if self._kind.counts_events:
            (x_b, n_b), (x_c, n_c) = ((arm.value, arm.exposures) for arm in pair.arms)
            columns = [x_c * n_b / (n_b + n_c), x_b * n_c / (n_b + n_c), x_b, n_b]
            return _microseconds(canary), np.stack(columns, axis=-1)
        levels = [_levels(arm, pair) for arm in pair.arms]
        usable = np.isfinite(levels[0]) & np.isfinite(levels[1])
        if self._as_ratio:
            usable &= (levels[0] >= 0) & (levels[1] >= 0)
        change = paired_changes(levels[0], levels[1], "ratio" if self._as_ratio else "difference")
        terms = np.stack([change, np.ones_like(change), levels[0], np.zeros_like(change)], axis=-1)
        return _microseconds(canary)[: len(change)], np.where(usable[:, None], terms, 0.0)

    def _put(self, time: int, terms: FloatArray) -> None:
        if not self._open:
            if len(self._sums) == _MOST:
                self._halve()
            self._times.append((time, time))
            self._sums.append(np.zeros(_COLUMNS))
        self._times[-1] = self._times[-1][0], time
        self._sums[-1] = _rounded(self._sums[-1] + terms)
        self._open = (self._open + 1) % self._length

    def _halve(self) -> None:
        """Put each two neighbors together."""
        self._length *= 2
        self._sums = [
            _rounded(first + second) for first, second in zip(self._sums[::2], self._sums[1::2], strict=True)
        ]
        self._times = [
            (first[0], second[1]) for first, second in zip(self._times[::2], self._times[1::2], strict=True)
        ]

    @property
    def blocks(self) -> Blocks | None:
        """The effect over time; None where there is no whole block, or nothing that could be tolerated."""
        whole = len(self._sums) - (self._open > 0)
        if not whole:
            return None
        sums, times = np.array(self._sums[:whole]), np.array(self._times[:whole], dtype=np.float64) / 1e6
        limit, scale = self._limit(sums), "relative" if self._as_ratio else "absolute"
        if not math.isfinite(limit):
            return None
        worth, of = sums[:, 1], sums[:, 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            changes = sums[:, 0] / of
            if self._kind.counts_events:
                # events of both arms times both shares, as Greenland and Robins have it, if nothing has changed
                share = of / sums[:, 2]
                changes, worth = changes - 1, 2 * of * (1 - share)
            elif self._as_ratio:
                changes = np.expm1(changes)
        changes = np.where(np.isfinite(changes), changes, np.nan)
        worth = np.where(np.isfinite(changes), worth, 0.0)
        sign = -1.0 if self._question.sides == (-1,) else 1.0
        return Blocks(self._length, scale, limit, times.mean(axis=1), sign * changes, worth)

    def _limit(self, sums: FloatArray) -> float:
        """Give what is tolerated at the baseline's mean level, in the scale of the changes."""
        total = sums.sum(axis=0)
        of = total[3] if self._kind.counts_events else total[1]
        level = abs(total[2] / of) if of else 0.0
        relative, absolute = self._question.tolerance.relative, self._question.tolerance.absolute_or_zero
        if self._question.sides == (-1,):
            relative /= 1 + relative  # a fall is tolerated down to 1 / (1 + tolerance)
        if not self._as_ratio:
            return float(max(relative * level, absolute))
        return float(max(relative, absolute / level)) if level else math.inf

    def save(self) -> list[Any]:
        """Give what is remembered, as JSON has it."""
        times = np.array(self._times, dtype=np.int64).reshape(-1, 2)
        columns = _COLUMNS if self._kind.counts_events else _COLUMNS - 1
        sums = np.array(self._sums, dtype=np.float32).reshape(-1, _COLUMNS)[:, :columns]
        unit = next(unit for unit in (_SECOND, 1) if not (times % unit).any())
        first, last = (pack_times(column // unit) for column in times.T)
        return [self._length, self._open, unit, first, last, pack(sums)]

    def load(self, state: list[Any]) -> None:
        """Take what another trace of the metric has saved."""
        length, still_open, unit, *times, sums = state
        self._length, self._open = int(length), int(still_open)
        columns = _COLUMNS if self._kind.counts_events else _COLUMNS - 1
        first, last = ((int(unit) * unpack_times(column)).tolist() for column in times)
        kept = np.zeros((len(first), _COLUMNS))
        kept[:, :columns] = unpack(sums, "<f4", (len(kept), columns))
        self._sums, self._times = list(kept), list(zip(first, last, strict=True))


def _rounded(sums: FloatArray) -> FloatArray:
    return sums.astype(np.float32).astype(np.float64)


def _microseconds(arm: Arm) -> list[int]:
    return [] if arm.time is None else [round(1e6 * time) for time in arm.time.tolist()]


def _levels(arm: Arm, pair: Pair) -> FloatArray:
    """Give the level of each interval: of raw observations, which are of one, their median."""
    kind = KINDS[pair.kind]
    if kind.is_raw:
        return np.array([np.median(arm.value)])
    if kind.has_buckets and arm.buckets is not None and pair.edges is not None:
        return np.array(
            [bucket_quantile(pair.edges, row, 0.5) if row.sum() else math.nan for row in arm.buckets]
        )
    return arm.levels
