"""Histograms: at each bucket edge, the odds of a request's lying beyond it (the sequential Cochran-Mantel-Haenszel test)."""

from __future__ import annotations

import math

import numpy as np

from canaryjudge.data import FloatArray, MetricPair
from canaryjudge.errors import DataError
from canaryjudge.policy import Metric
from canaryjudge.results import Finding, Outcome
from canaryjudge.rules.decision import Evidence, Share, tolerated, weigh
from canaryjudge.rules.sequential.process import (
    State,
    load_sum,
    log10_e,
    pvalue_of,
    save_sum,
    smallest_visible,
)
from canaryjudge.stats.exact_sums import ExactSum
from canaryjudge.stats.stratified_tables import LOG_ODDS, log_evidence, log_factors

__all__ = ["TableProcess"]

_POINTS = len(LOG_ODDS)
_MOST_EDGES = 24
"""Edges that are tested; of more, evenly chosen ones by the first interval's baseline."""
_STEPS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Multiples of the tolerance at which the confidence sequence is inverted."""


class TableProcess:
    """Evidence about the odds of exceeding each bucket edge.

    A tolerated shift moves each edge's odds by what the baseline's own histogram, read between its edges on a straight line,
    says of it. Buckets in which nothing lies say nothing.
    """

    def __init__(self, metric: Metric, share: Share) -> None:
        self._metric, self._share = metric, share
        self._edges: FloatArray | None = None
        self._chosen = np.zeros(0, dtype=np.intp)
        self._factors = ExactSum((0, _POINTS))
        self._counts = np.zeros((2, 0))
        self._intervals = 0

    @property
    def points(self) -> int:
        """Intervals seen."""
        return self._intervals

    def update(self, pair: MetricPair) -> None:
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
        self._intervals += counts.shape[1]
        beyond = counts[..., ::-1].cumsum(axis=-1)[..., ::-1]
        sizes, exceeding = beyond[..., 0], beyond[..., 1:][..., self._chosen]
        factors = log_factors(sizes[0][:, None], sizes[1][:, None], exceeding[0] + exceeding[1], exceeding[1])
        self._factors.add_all(factors)

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
                f"metric {self._metric.name!r}: the buckets have other edges than before",
                "Keep one layout of buckets for the time of a release.",
            )

    def merge(self, other: TableProcess) -> None:
        """Add the other's evidence, edge by edge."""
        if other._edges is None:
            return
        if self._edges is None:
            self.load(other.save())
            return
        self._check_edges(other._edges)
        if len(self._chosen) != len(other._chosen) or (self._chosen != other._chosen).any():
            kept, mine, theirs = np.intersect1d(self._chosen, other._chosen, return_indices=True)
            self._chosen = kept
            for sums, places in ((self._factors, mine), (other._factors, theirs)):
                sums.whole, sums.parts = sums.whole[places], sums.parts[places]
        self._factors.merge(other._factors)
        self._counts = self._counts + other._counts
        self._intervals += other._intervals

    def save(self) -> State:
        """Give what is remembered."""
        if self._edges is None:
            return {}
        return {
            "edges": [float(edge) for edge in self._edges[:-1]],
            "chosen": self._chosen.tolist(),
            "counts": self._counts.tolist(),
            "intervals": self._intervals,
            "factors": save_sum(self._factors),
        }

    def load(self, state: State) -> None:
        """Take what another process has saved."""
        if not state:
            return
        self._edges = np.array([*state["edges"], math.inf])
        self._chosen = np.array(state["chosen"], dtype=np.intp)
        self._counts = np.array(state["counts"], dtype=np.float64).reshape(2, len(self._edges))
        self._intervals = int(state["intervals"])
        self._factors = load_sum(state["factors"], (len(self._chosen), _POINTS))

    def finding(self) -> Finding:
        """Say what the evidence so far says."""
        share = self._share
        known = {"rule": "sequential", "level": share.level, "beta": share.beta}
        if self._edges is None or not self._counts.sum(axis=1).all():
            return Finding(**known, outcome=Outcome.MARGINAL, reason="too_little_data", method="none")
        medians = [_quantile(self._edges, counts, 0.5) for counts in self._counts]
        known |= {
            "baseline_level": medians[0],
            "canary_level": medians[1],
            "n_baseline": self._intervals,
            "n_canary": self._intervals,
            "total_baseline": float(self._counts[0].sum()),
            "total_canary": float(self._counts[1].sum()),
        }
        limits = tolerated(self._metric, medians[0])
        if limits is None:
            return Finding(
                **known, outcome=Outcome.MARGINAL, reason="needs_absolute_tolerance", method="none"
            )
        unit = 1.0 if limits.absolute else abs(medians[0])
        asked = _Edges(self._edges, self._chosen, self._counts[0], self._factors.value, unit)
        sides = limits.sides
        level = share.level / len(sides)
        fails = [asked.log_evidence(limit, sign) for sign, limit in sides]
        safes = [asked.log_evidence(limit, -sign) for sign, limit in sides]
        none = asked.log_evidence(0.0, 1), asked.log_evidence(0.0, -1)
        pvalues = [
            (pvalue_of(fail), pvalue_of(safe)) if sign > 0 else (pvalue_of(safe), pvalue_of(fail))
            for (sign, _), fail, safe in zip(sides, fails, safes, strict=True)
        ]
        step = max(abs(limit) for _, limit in sides) or 0.1 * abs(medians[0]) / unit
        evidence = Evidence(
            estimate=(medians[1] - medians[0]) / unit,
            pvalues=pvalues,
            pvalues_none=(pvalue_of(none[0]), pvalue_of(none[1])),
            fail_bounds=[asked.bounds(level, step)] * len(sides),
            pass_bounds=[asked.bounds(share.beta, step)] * len(sides),
        )
        return Finding(
            **known,
            **weigh(evidence, limits, share, self._intervals),
            method="cmh",
            log_e_fail=log10_e(max(fails) - math.log(len(sides))),
            log_e_pass=log10_e(min(safes)),
            smallest_visible=smallest_visible(evidence, limits),
        )


class _Edges:
    """The evidence at all edges, asked about shifts of the whole distribution."""

    def __init__(
        self,
        edges: FloatArray,
        chosen: np.ndarray[tuple[int], np.dtype[np.intp]],
        baseline: FloatArray,
        factors: FloatArray,
        unit: float,
    ) -> None:
        self._edges, self._baseline, self._unit = edges, baseline, unit
        share = _beyond(edges, baseline, edges[chosen])
        self._used = (share > 0) & (share < 1)
        self._at, self._share, self._factors = edges[chosen], share, factors

    def log_evidence(self, change: float, side: int) -> float:
        """Average the evidence over the edges that the change moves; side +1 for "more than it"."""
        moved = _beyond(self._edges, self._baseline, self._at - change * self._unit)
        used = self._used & (moved > 0) & (moved < 1)
        if not used.any():
            return 0.0
        odds = np.log(moved[used] / (1 - moved[used]) * (1 - self._share[used]) / self._share[used])
        found = log_evidence(
            self._factors[used], np.clip(odds, LOG_ODDS[0], LOG_ODDS[-1]), "greater" if side > 0 else "less"
        )
        return float(np.logaddexp.reduce(found) - math.log(len(found)))

    def bounds(self, level: float, step: float) -> tuple[float, float]:
        """Invert the evidence on multiples of a step."""
        changes = np.array([0.0, *(sign * times * step for times in _STEPS for sign in (1, -1))])
        changes = np.sort(changes)
        needed = -math.log(level)
        rejected = [
            [self.log_evidence(change, side) >= needed for change in changes.tolist()] for side in (1, -1)
        ]
        low = changes[rejected[0]].max(initial=-math.inf)
        high = changes[rejected[1]].min(initial=math.inf)
        return float(low), float(high)


def _beyond(edges: FloatArray, counts: FloatArray, at: FloatArray) -> FloatArray:
    """Give the share of observations above values, read on a straight line between the edges."""
    finite = edges[:-1]
    start = min(0.0, float(finite[0]) - (float(finite[1] - finite[0]) if len(finite) > 1 else 1.0))
    below = np.concatenate([[0.0], counts.cumsum()[:-1]]) / counts.sum()
    return np.asarray(1 - np.interp(at, np.concatenate([[start], finite]), below))


def _quantile(edges: FloatArray, counts: FloatArray, probability: float) -> float:
    """Read a quantile on a straight line within its bucket; that of the last bucket is its lower edge."""
    below = counts.cumsum() / counts.sum()
    i = int(np.searchsorted(below, probability))
    low = 0.0 if i == 0 and edges[0] > 0 else float(edges[max(i - 1, 0)])
    if not math.isfinite(edges[i]):
        return low
    before = float(below[i - 1]) if i else 0.0
    within = (probability - before) / max(float(below[i]) - before, 1e-12)
    return low + within * (float(edges[i]) - low)
