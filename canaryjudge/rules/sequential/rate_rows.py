"""Many watches of rates at once: which of them may have come to a decision, so that only those are asked one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from canaryjudge.rules.rows import BoolArray, FloatArray, IntArray, Sizes
from canaryjudge.rules.sequential.rates import RateProcess, RateSums
from canaryjudge.stats.count_processes import at_own_ratio, log_evidence, ratio_estimate
from canaryjudge.stats.dispersion import FEWEST_WATCHED_INTERVALS, overdispersion
from canaryjudge.stats.exact_sums import ExactSum

__all__ = ["RateRows"]

_SLACK: Final = 1e-6
"""Logarithms of evidence that are so near to what is needed are left to the watch itself."""
_AT_ONCE: Final = 512
"""Rows that are weighed at once: so few that their sums stay near."""
_MAY_DECIDE, _NEEDS_LEVEL, _WORSE, _UNDECIDED = range(4)


class RateRows:
    """The sums of many processes of one question, a row each.

    They are added to as each process adds, and weighed together as far as it takes to tell which rows may fail or pass: the others
    have nothing new to say, and go on.

    Parameters
    ----------
    process : RateProcess
        One of those that will be rows; it has begun.
    rows : int
        How many there may be.
    """

    def __init__(self, process: RateProcess, rows: int) -> None:
        self._process = process
        self._sums = ExactSum((rows, *process.sums.whole.shape))
        self._informative = np.zeros(rows, dtype=np.intp)
        self._points = np.zeros(rows, dtype=np.intp)
        self._level = np.ones(rows)
        self._beta = process.question.rates.beta

    def grow(self, more: int) -> None:
        """Make room for more rows."""
        shape = self._sums.whole.shape[1:]
        for name in ("whole", "parts"):
            longer = np.concatenate([getattr(self._sums, name), np.zeros((more, *shape), dtype=np.int64)])
            setattr(self._sums, name, longer)
        none = np.zeros(more, dtype=np.intp)
        self._informative = np.concatenate([self._informative, none])
        self._points = np.concatenate([self._points, none])
        self._level = np.concatenate([self._level, np.ones(more)])

    def fits(self, process: RateProcess) -> bool:
        """Tell whether a process can be a row: the same is asked of it, if at another level."""
        return self._process.is_like(process)

    def put(self, row: int, process: RateProcess) -> None:
        """Set a row to what a process has added up."""
        self._sums.whole[row], self._sums.parts[row] = process.sums.whole, process.sums.parts
        self._informative[row], self._points[row] = process.informative, process.points
        self._level[row] = process.question.rates.level

    def add(self, rows: IntArray, events: FloatArray, exposures: FloatArray) -> None:
        """Add an interval to each of some rows: events and exposures of both arms, shape (rows, 2)."""
        events = exposures - events if self._process.flipped else events
        x_b, x_c = events.T
        for start in range(0, len(rows), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            terms = self._process.terms(x_b[part], x_c[part], *exposures[part].T)
            self._sums.add_to(rows[part], terms)
        self._informative[rows] += x_b + x_c > 0
        self._points[rows] += 1

    def standing(self, rows: IntArray, *, passes: BoolArray) -> NDArray[np.intp]:
        """Give a number for how each of some rows stands, where it may also pass or not: 0 where it may be decided, any other says why it is not."""
        found = [
            self._standing(rows[start : start + _AT_ONCE], passes[start : start + _AT_ONCE])
            for start in range(0, len(rows), _AT_ONCE)
        ]
        return np.concatenate([np.zeros(0, dtype=np.intp), *found])

    def _standing(self, rows: IntArray, passes: BoolArray) -> NDArray[np.intp]:
        process, question = self._process, self._process.question
        part = ExactSum(())
        part.whole, part.parts = self._sums.whole[rows], self._sums.parts[rows]
        sums = RateSums(part.value, process.tilted)
        x_b, _, n_b, _ = sums.totals[:, :4].T
        x_b = n_b - x_b if process.flipped else x_b
        estimate = ratio_estimate(sums.likelihoods)
        dispersion = self._overdispersion(rows, sums, np.where(np.isnan(estimate), 0.0, estimate))
        weigh = _Weighing(sums, -1 if process.flipped else 1, dispersion)
        fails = [
            np.minimum.reduce(
                [
                    weigh.against(sign, null.log_ratio, null.difference, 1)
                    for null in process.nulls(question.tolerance)
                ]
            )
            for sign in question.sides
        ]
        within = process.pass_within(n_b, x_b)
        safes = [
            np.logaddexp.reduce(
                [
                    weight + weigh.against(sign, log_ratio, difference, -1)
                    for log_ratio, difference, weight in self._safe(within, len(rows))
                ]
            )
            for sign in question.sides
        ]
        needed = math.log(len(question.sides)) - np.log(self._level[rows])
        worse = np.logical_or.reduce(
            [weigh.against(sign, 0.0, 0.0, 1) >= needed - _SLACK for sign in question.sides]
        )
        may = np.maximum.reduce(fails) >= needed - _SLACK
        may |= passes & (np.minimum.reduce(safes) >= -math.log(self._beta) - _SLACK)
        lacks_level = (x_b == 0) & math.isnan(question.tolerance.absolute)
        return np.select([may, lacks_level, worse], [_MAY_DECIDE, _NEEDS_LEVEL, _WORSE], _UNDECIDED)

    def _safe(
        self, within: Sizes[Any], rows: int
    ) -> Sequence[tuple[float, float | FloatArray, float | FloatArray]]:
        """Give the hypotheses that a pass excludes, as log ratio, difference and the logarithm of the weight, where the differences may differ from row to row."""
        process = self._process
        absolute = np.broadcast_to(np.asarray(within.absolute_or_zero, dtype=np.float64), rows)
        relative = float(np.max(within.relative))
        found = [process.nulls(Sizes(relative, some)) for some in (math.nan, 1.0)]
        (alone,), there = found[0], absolute > 0
        with np.errstate(divide="ignore"):
            if len(found[1]) == 1:
                return [
                    (there_null.log_ratio, np.where(there, absolute, alone.difference), 0.0)
                    for there_null in found[1]
                ]
            first, second = found[1]
            return [
                (first.log_ratio, first.difference, np.log(np.where(there, first.weight, 1.0))),
                (second.log_ratio, absolute, np.log(np.where(there, second.weight, 0.0))),
            ]

    def _overdispersion(self, rows: IntArray, sums: RateSums, log_ratio: FloatArray) -> FloatArray:
        stated, informative = self._process.question.dispersion, self._informative[rows]
        by_arms = overdispersion(at_own_ratio(sums.pearson, log_ratio), informative, stated)
        events = sums.totals[:, 0] + sums.totals[:, 1]
        exposure = sums.totals[:, 2] + sums.totals[:, 3]
        some = np.maximum(events, 1e-300)
        spread = np.where(events > 0, sums.totals[:, 6] * exposure / some - events, 0.0)
        by_intervals = overdispersion(spread, self._points[rows], stated)
        return np.where(informative >= FEWEST_WATCHED_INTERVALS, by_arms, by_intervals)


class _Weighing:
    """The evidence of rows, asked once."""

    def __init__(self, sums: RateSums, flip: int, dispersion: FloatArray) -> None:
        self._sums, self._flip, self._dispersion = sums, flip, dispersion

    def against(self, sign: int, log_ratio: float, difference: float | FloatArray, side: int) -> FloatArray:
        """Give the log evidence against a hypothesis about one bad direction."""
        direction = sign * self._flip
        tilt = self._sums.tilts[direction, log_ratio] if np.any(difference) else None
        return log_evidence(
            self._sums.likelihoods[:, ::direction],
            log_ratio,
            side,
            tilt=tilt,
            difference=difference,
            dispersion=self._dispersion,
        )
