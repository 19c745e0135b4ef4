"""Histograms: at each bucket edge, the odds of a request's lying beyond it (the sequential Cochran-Mantel-Haenszel test)."""

from __future__ import annotations

import math

import numpy as np

from canaryjudge.errors import DataError
from canaryjudge.reasons import Reason
from canaryjudge.rules.decision import tolerated
from canaryjudge.rules.rows import FloatArray, Pair, Question
from canaryjudge.rules.sequential.evidence import (
    CountingProcess,
    LogEvidence,
    SequentialFinding,
    State,
    by_side,
    load_sum,
    save_sum,
)
from canaryjudge.stats.bucket_distributions import BucketCurve
from canaryjudge.stats.exact_sums import ExactSum
from canaryjudge.stats.stratified_tables import LOG_ODDS, log_evidence, log_factors

__all__ = ["HistogramProcess"]

_POINTS = len(LOG_ODDS)
_MOST_EDGES = 10
"""Edges that are tested; of more, evenly chosen ones by the first interval's observations."""
_STEPS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Multiples of the tolerance at which the confidence sequence is inverted."""


class HistogramProcess(CountingProcess):
    """Evidence about the odds of exceeding each bucket edge.

    A tolerated shift moves each edge's odds by what the baseline's own histogram, read between its edges, says of it. Edges that all or
    none exceed say nothing.
    """

    method = "cmh"

    def __init__(self, question: Question) -> None:
        super().__init__(question)
        self._edges: FloatArray | None = None
        self._chosen = np.zeros(0, dtype=np.intp)
        self._factors = ExactSum((0, _POINTS))
        self._counts = np.zeros((2, 0))

    def update(self, pair: Pair) -> None:
        """Take new intervals."""
        if (
            pair.edges is None
            or pair.baseline.buckets is None
            or pair.canary.buckets is None
            or not len(pair.baseline)
        ):
            return
        if self._edges is None:
            self._start(pair.edges, pair.baseline.buckets[0] + pair.canary.buckets[0])
        self._check_edges(pair.edges)
        counts = np.stack([pair.baseline.buckets, pair.canary.buckets])
        self._counts = self._counts + counts.sum(axis=1)
        self._points += counts.shape[1]
        beyond = counts[..., ::-1].cumsum(axis=-1)[..., ::-1]
        totals, exceeding = beyond[..., 0], beyond[..., 1:][..., self._chosen]
        for i in range(counts.shape[1]):  # one by one: computed together they differ in their last bits
            both = exceeding[0, i] + exceeding[1, i]
            self._factors.add(log_factors(totals[0, i], totals[1, i], both, exceeding[1, i]))

    def _start(self, edges: FloatArray, first: FloatArray) -> None:
        self._edges = edges
        self._counts = np.zeros((2, len(edges)))
        inner = np.arange(len(edges) - 1)
        if len(inner) > _MOST_EDGES:
            below = first.cumsum()[:-1] / max(first.sum(), 1.0)
            inner = np.unique(
                np.searchsorted(below, np.linspace(0.02, 0.995, _MOST_EDGES)).clip(0, len(inner) - 1)
            )
        self._chosen = inner
        self._factors = ExactSum((len(inner), _POINTS))

    def _check_edges(self, edges: FloatArray) -> None:
        if self._edges is None or len(edges) != len(self._edges) or (edges != self._edges).any():
            raise DataError(
                "the buckets have other edges than before",
                "Keep one layout of buckets for the time of a release.",
            )

    def merge(self, other: HistogramProcess) -> None:
        """Add the other's evidence, edge by edge."""
        if other._edges is None:
            return
        if self._edges is None:
            self.load(other.save())
            return
        self._check_edges(other._edges)
        added = other._factors.copy()
        if len(self._chosen) != len(other._chosen) or (self._chosen != other._chosen).any():
            kept, mine, theirs = np.intersect1d(self._chosen, other._chosen, return_indices=True)
            self._chosen = kept
            for sums, places in ((self._factors, mine), (added, theirs)):
                sums.whole, sums.parts = sums.whole[places], sums.parts[places]
        self._factors.merge(added)
        self._counts = self._counts + other._counts
        self._points += other._points

    def save(self) -> State:
        """Give what is remembered."""
        if self._edges is None:
            return {}
        return {
            "edges": [float(edge) for edge in self._edges[:-1]],
            "chosen": self._chosen.tolist(),
            "counts": self._counts.tolist(),
            "intervals": self._points,
            "factors": save_sum(self._factors),
        }

    def load(self, state: State) -> None:
        """Take what another process has saved."""
        if not state:
            return
        self._edges = np.array([*state["edges"], math.inf])
        self._chosen = np.array(state["chosen"], dtype=np.intp)
        self._counts = np.array(state["counts"], dtype=np.float64).reshape(2, len(self._edges))
        self._points = int(state["intervals"])
        self._factors = load_sum(state["factors"], (len(self._chosen), _POINTS))

    def finding(self) -> SequentialFinding:
        """Say what the evidence so far says."""
        rates = self._question.rates
        if self._edges is None or not self._counts.sum(axis=1).all():
            return self.cannot_say(Reason.TOO_LITTLE_DATA, method="none", n_baseline=0, n_canary=0)
        curves = [BucketCurve(self._edges, counts) for counts in self._counts]
        medians = [curve.quantile(0.5) for curve in curves]
        known = {
            "baseline_level": medians[0],
            "canary_level": medians[1],
            "total_baseline": float(self._counts[0].sum()),
            "total_canary": float(self._counts[1].sum()),
        }
        limits = tolerated(self._question, medians[0])
        if limits is None:
            return self.cannot_say(Reason.NEEDS_ABSOLUTE_TOLERANCE, method="none", **known)
        unit = 1.0 if limits.absolute else abs(medians[0])
        sizes = not limits.absolute and float(self._edges[0]) > 0
        at = self._edges[self._chosen]
        asked = _Edges(curves[0], at, self._factors.value, None if sizes else unit)
        sides = limits.sides
        asked_at = np.array([*limits.asked, 0.0])
        above, below = (asked.log_evidence(asked_at, side).tolist() for side in (1, -1))
        step = max(abs(limit) for _, limit in sides) or 0.1 * abs(medians[0]) / unit
        fail_bounds, pass_bounds = asked.bounds((rates.level / len(sides), rates.beta), step)
        evidence = LogEvidence(
            estimate=(medians[1] - medians[0]) / unit,
            found=by_side(limits, list(zip(above[:-1], below[:-1], strict=True))),
            none=(above[-1], below[-1]),
            fail_bounds=[fail_bounds] * len(sides),
            pass_bounds=[pass_bounds] * len(sides),
        )
        return self._found(**known, **evidence.weigh(limits, rates, self._points))


class _Edges:
    """The evidence at all edges, asked about shifts of the whole distribution."""

    def __init__(self, curve: BucketCurve, at: FloatArray, factors: FloatArray, unit: float | None) -> None:
        self._curve, self._at, self._factors, self._unit = curve, at, factors, unit
        self._log_odds = curve.log_odds(at)

    def log_evidence(self, changes: FloatArray, side: int) -> FloatArray:
        """Average the evidence over the edges that a change moves, for each change; side +1 for "more than it"."""
        moved = self._curve.log_odds(self._before(changes[:, None])) - self._log_odds
        used = np.isfinite(moved)
        null = np.clip(np.where(used, moved, 0.0), LOG_ODDS[0], LOG_ODDS[-1])
        found = log_evidence(self._factors, null, "greater" if side > 0 else "less")
        together = np.logaddexp.reduce(np.where(used, found, -np.inf), axis=-1)
        count = used.sum(axis=-1)
        return np.where(count > 0, together - np.log(np.maximum(count, 1)), 0.0)

    def _before(self, change: FloatArray) -> FloatArray:
        """Give the values that a change brings to the edges: sizes grow by a factor, other numbers by a sum."""
        if self._unit is None:
            return self._at / (1 + change)
        return self._at - change * self._unit

    def bounds(self, levels: tuple[float, float], step: float) -> list[tuple[float, float]]:
        """Invert the evidence on multiples of a step, at each level."""
        changes = np.sort([0.0, *(sign * times * step for times in _STEPS for sign in (1, -1))])
        changes = changes if self._unit is not None else changes[changes > -1]
        above, below = (self.log_evidence(changes, side) for side in (1, -1))
        return [
            (
                float(changes[above >= -math.log(level)].max(initial=-math.inf)),
                float(changes[below >= -math.log(level)].min(initial=math.inf)),
            )
            for level in levels
        ]
