"""Samples and means, a score an interval: requests of one interval share its weather, so an interval is one piece of evidence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from canaryjudge.kinds import KINDS
from canaryjudge.packing import pack, unpack
from canaryjudge.reasons import Reason
from canaryjudge.rules.decision import tolerated
from canaryjudge.rules.rows import FloatArray, Pair, Question
from canaryjudge.rules.sequential.evidence import (
    CHANGES,
    AskedChanges,
    ChangeSequence,
    CountingProcess,
    SequentialFinding,
    State,
)
from canaryjudge.stats.score_evidence import FEWEST_SCORES, exceedance_scores, mean_evidence

__all__ = ["MeanScoreProcess", "RankScoreProcess"]

_MOST_BLOCKS = 64
"""Twice the intervals share a block from here on, so that memory stays as it is."""
_HALF_WEIGHT = 50.0
"""An interval of this many requests (harmonic mean of the arms) counts half: with more of them its weather is what varies."""
_FINE_CHANGES = tuple(np.linspace(-0.3, 0.3, 25).tolist())
"""Where means are asked about too, which costs no memory."""


class _ScoreProcess(CountingProcess):
    """Rows of numbers, one a block of intervals, kept in bounded memory: neighbors are averaged when there are too many."""

    dtype: type[np.floating[Any]] = np.float32
    """What rows are kept as."""

    def __init__(self, question: Question, width: int) -> None:
        super().__init__(question)
        # start after the origin, weight, weighted levels of both arms, weighted scores
        self._rows: NDArray[np.floating[Any]] = np.zeros((0, width), dtype=self.dtype)
        self._origin: float | None = None
        self._partial = np.zeros(width, dtype=np.float64)
        self._pending = 0
        self._each = 1

    def _add(self, start: float, row: FloatArray) -> None:
        if self._origin is None:
            self._origin = start
        self._points += 1
        row = np.concatenate([[start - self._origin], row])
        self._partial += row
        self._pending += 1
        if self._pending < self._each:
            return
        self._rows = np.vstack([self._rows, (self._partial / self._each).astype(self.dtype)])
        self._partial, self._pending = np.zeros_like(self._partial), 0
        if len(self._rows) >= _MOST_BLOCKS:
            self._coarsen()

    def _coarsen(self) -> None:
        self._rows, self._each = _halved(self._rows), 2 * self._each

    def merge(self, other: _ScoreProcess) -> None:
        """Put the other's blocks among these, in order of time."""
        if other._origin is None:
            return
        if self._origin is None:
            self.load(other.save())
            return
        each, origin = max(self._each, other._each), min(self._origin, other._origin)
        parts = [self._blocks(each, origin), other._blocks(each, origin)]
        both = np.vstack(parts)
        self._rows = both[np.lexsort(both.T[::-1])]
        self._each, self._origin = each, origin
        self._points += other._points
        # what fills no block yet is left to the intervals that were counted, and lost to the evidence
        self._partial, self._pending = np.zeros_like(self._partial), 0
        while len(self._rows) >= _MOST_BLOCKS:
            self._coarsen()

    def _blocks(self, each: int, origin: float) -> NDArray[np.floating[Any]]:
        """Give the rows in blocks of so many intervals, their starts counted from another origin."""
        rows, length = self._rows, self._each
        while length < each:
            rows, length = _halved(rows), 2 * length
        moved = rows.astype(np.float64)
        moved[:, 0] += (self._origin or 0.0) - origin
        return moved.astype(self.dtype)

    def save(self) -> State:
        """Give what is remembered."""
        return {
            "intervals": self._points,
            "each": self._each,
            "origin": self._origin,
            "pending": self._pending,
            "partial": pack(self._partial),
            "rows": pack(self._rows),
        }

    def load(self, state: State) -> None:
        """Take what another process has saved."""
        width = len(self._partial)
        self._points, self._each = int(state["intervals"]), int(state["each"])
        self._pending = int(state["pending"])
        self._origin = state["origin"]
        self._partial = unpack(state["partial"], "<f8", (width,))
        self._rows = unpack(state["rows"], self.dtype, (-1, width))

    def _unready(self) -> SequentialFinding:
        missing = (FEWEST_SCORES - len(self._rows)) * self._each
        return self.cannot_say(Reason.TOO_LITTLE_DATA, more_points=max(missing, 1))


def _halved(rows: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Average neighbors; of an odd number, the oldest is left out."""
    pairs = rows[len(rows) % 2 :].astype(np.float64)
    return ((pairs[::2] + pairs[1::2]) / 2).astype(rows.dtype)


def _weight(pair: Pair) -> float:
    harmonic = 2 / (1 / len(pair.baseline) + 1 / len(pair.canary))
    return harmonic / (harmonic + _HALF_WEIGHT)


def _start(pair: Pair, intervals: int) -> float:
    time = pair.baseline.time
    return float(intervals) if time is None else float(time[0])


class RankScoreProcess(_ScoreProcess):
    """How often a canary request exceeds a baseline request of its own interval, changed as tolerated."""

    method = "scores"

    def __init__(self, question: Question) -> None:
        self._changes = AskedChanges.of(question, question.sides)
        super().__init__(question, 4 + len(self._changes))

    def update(self, pair: Pair) -> None:
        """Take one interval's samples: scored within its segments, where it has some."""
        rows = [self._row(stratum) for stratum in pair.strata or (pair,) if stratum.fewest]
        if rows:
            self._add(_start(pair, self._points), np.sum(rows, axis=0) if rows[1:] else rows[0])

    def _row(self, pair: Pair) -> FloatArray:
        """Score samples of one interval."""
        baseline, canary = pair.baseline.value, pair.canary.value
        medians = float(np.median(baseline)), float(np.median(canary))
        weight = _weight(pair)
        relative, absolute = self._changes.relative, self._changes.absolute
        if min(baseline.min(), canary.min()) > 0:
            scales, shifts = 1 + relative, np.zeros(len(relative))
        else:  # times 1.1 means nothing to numbers of both signs, so their median's tenth is added
            scales, shifts = np.ones(len(relative)), relative * abs(medians[0])
        scales, shifts = np.append(scales, np.ones(len(absolute))), np.append(shifts, absolute)
        scores = exceedance_scores(baseline, canary, scales, shifts)
        known = [weight, weight * medians[0], weight * medians[1]]
        return np.concatenate([known, weight * scores])

    def finding(self) -> SequentialFinding:
        """Say what the evidence so far says."""
        rates = self._question.rates
        if len(self._rows) < FEWEST_SCORES:
            return self._unready()
        rows = self._rows.astype(np.float64)
        weights = rows[:, 1]
        levels = tuple((rows[:, i].sum() / weights.sum()).item() for i in (2, 3))
        limits = tolerated(self._question, levels[0])
        if limits is None:
            return self.cannot_say(Reason.NEEDS_ABSOLUTE_TOLERANCE)
        places, changes = self._changes.within(limits)
        scores = rows[:, 4:][:, places].T / weights.mean()
        sequence = ChangeSequence(changes, mean_evidence(scores, each=self._each))
        higher = float(sequence.at(0.0).mean) + 0.5
        return self._found(
            **sequence.finding(limits, rates, self._points),
            baseline_level=levels[0],
            canary_level=levels[1],
            probability_worse=higher if limits.high is not None else 1 - higher,
        )


class MeanScoreProcess(_ScoreProcess):
    """The baseline's mean and the canary's difference from it, interval by interval."""

    method = "mean_sequence"
    dtype = np.float64

    def __init__(self, question: Question) -> None:
        super().__init__(question, 4)

    def update(self, pair: Pair) -> None:
        """Take new intervals; of samples, one."""
        if KINDS[pair.kind].is_raw:
            if len(pair.baseline) and len(pair.canary):
                weight = _weight(pair)
                means = float(pair.baseline.value.mean()), float(pair.canary.value.mean())
                row = np.array([weight, weight * means[0], weight * (means[1] - means[0])])
                self._add(_start(pair, self._points), row)
            return
        times = pair.baseline.time
        for i, (b, c) in enumerate(zip(pair.baseline.value, pair.canary.value, strict=True)):
            start = float(self._points) if times is None else float(times[i])
            self._add(start, np.array([1.0, b, c - b]))

    def finding(self) -> SequentialFinding:
        """Say what the evidence so far says."""
        rates = self._question.rates
        if len(self._rows) < FEWEST_SCORES:
            return self._unready()
        rows = self._rows.astype(np.float64)
        weights = rows[:, 1]
        level, difference = ((rows[:, i].sum() / weights.sum()).item() for i in (2, 3))
        levels = level, level + difference
        limits = tolerated(self._question, levels[0])
        if limits is None:
            return self.cannot_say(Reason.NEEDS_ABSOLUTE_TOLERANCE)
        unit = (abs(levels[0]) or 1.0) if limits.absolute else 1.0
        wanted = {change * unit for change in (*CHANGES, *_FINE_CHANGES)}
        changes = np.array(sorted(wanted | {*limits.asked} | {0.0}))
        scales = np.ones(len(changes)) if limits.absolute else 1 + changes * np.sign(levels[0])
        shifts = changes if limits.absolute else np.zeros(len(changes))
        tolerable = (scales[:, None] - 1) * rows[:, 2] + shifts[:, None] * weights
        scores = (rows[:, 3] - tolerable) / weights.mean()
        size = float(np.abs(rows[:, 2:4]).max() / weights.mean())
        sequence = ChangeSequence(changes, mean_evidence(scores, each=self._each, size=size))
        return self._found(
            **sequence.finding(limits, rates, self._points), baseline_level=levels[0], canary_level=levels[1]
        )
