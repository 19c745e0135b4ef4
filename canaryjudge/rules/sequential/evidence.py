"""What every sequential method gives: evidence that grows interval by interval, can be asked at any time, saved, and merged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, Literal, Protocol

import numpy as np

from canaryjudge.packing import pack, unpack
from canaryjudge.rules.decision import Evidence, Limits, weigh
from canaryjudge.rules.findings import EventsFinding, Finding, Number, WatchFacts
from canaryjudge.rules.rows import ErrorRates, FloatArray, Pair
from canaryjudge.stats.exact_sums import ExactSum
from canaryjudge.stats.score_evidence import MeanEvidence

__all__ = [
    "CHANGES",
    "ChangeSequence",
    "Process",
    "SequentialFinding",
    "State",
    "evidence_facts",
    "load_sum",
    "pvalue_of",
    "pvalue_pairs",
    "save_sum",
    "smallest_visible",
]

State = dict[str, Any]
"""What a process remembers, as JSON has it."""
_PART_SIZE: Final = 5
"""Bytes of what sums have behind the point."""


class SequentialFinding(EventsFinding):
    """What a watch found."""

    rule: Literal["sequential"]
    """The rule's name."""
    statistic: Number = None
    """Of planned looks at ranks: the test's statistic at the limit."""


class Process(Protocol):
    """The evidence of one rule about one metric, since one start, at given error rates."""

    @property
    def points(self) -> int:
        """Intervals (samples where they are taken one by one) that were seen."""

    def update(self, pair: Pair) -> None:
        """Take new intervals; of samples, one interval."""

    def finding(self) -> Finding:
        """Say what the evidence so far says."""

    def merge(self, other: Any) -> None:
        """Take over the evidence of another shard's process of the same rule and metric."""

    def save(self) -> State:
        """Give what is remembered."""

    def load(self, state: State) -> None:
        """Take what another process has saved."""


def pvalue_of(log_e: float) -> float:
    """Turn log evidence into an anytime-valid p-value: min(1, 1 / e)."""
    return math.exp(-max(log_e, 0.0))


def pvalue_pairs(limits: Limits, fails: Sequence[float], safes: Sequence[float]) -> list[tuple[float, float]]:
    """Turn each bad direction's log evidence of harm and of harmlessness into p-values, as `Evidence` has them."""
    pairs = zip(limits.sides, fails, safes, strict=True)
    both = [(sign, pvalue_of(fail), pvalue_of(safe)) for (sign, _), fail, safe in pairs]
    return [(fail, safe) if sign > 0 else (safe, fail) for sign, fail, safe in both]


def evidence_facts(log_e_fail: float, log_e_pass: float, visible: float | None = None) -> WatchFacts:
    """Tell natural logarithms of the evidence to the base of ten."""
    return WatchFacts(
        log_e_fail=log_e_fail / math.log(10), log_e_pass=log_e_pass / math.log(10), smallest_visible=visible
    )


def save_sum(sums: ExactSum) -> str:
    """Write sums as text: of each the five bytes behind the point, then as few before it as hold the largest."""
    size = np.min_scalar_type(-1 - int(abs(sums.whole).max(initial=0))).itemsize
    whole, parts = (
        np.ascontiguousarray(numbers.ravel(), dtype="<i8").view(np.uint8).reshape(-1, 8)
        for numbers in (sums.whole, sums.parts)
    )
    return pack(np.hstack([parts[:, :_PART_SIZE], whole[:, :size]]))


def load_sum(text: Any, shape: tuple[int, ...]) -> ExactSum:
    """Read sums that `save_sum` wrote."""
    count = math.prod(shape)
    if not count:
        return ExactSum(shape)
    rows = unpack(text, np.uint8, (count, -1))
    parts = np.zeros((count, 8), dtype=np.uint8)
    parts[:, :_PART_SIZE] = rows[:, :_PART_SIZE]
    whole = np.ascontiguousarray(rows[:, _PART_SIZE:])
    sums = ExactSum(())
    sums.whole = whole.view(f"<i{whole.shape[1]}").astype(np.int64).reshape(shape)
    sums.parts = parts.view("<i8").astype(np.int64).reshape(shape)
    return sums


def smallest_visible(evidence: Evidence, limits: Limits) -> float | None:
    """Give the smallest change in the bad direction that so much data would fail: the limit and the width of the interval."""
    found = []
    for (sign, limit), bounds in zip(limits.sides, evidence.fail_bounds, strict=True):
        bound = bounds[0] if sign > 0 else bounds[1]
        if not (math.isfinite(bound) and math.isfinite(evidence.estimate)):
            continue
        width = abs(evidence.estimate - bound)
        if not limits.absolute and evidence.estimate > -1 and bound > -1:
            grown = (1 + limit) * (1 + evidence.estimate) / (1 + bound)
            found.append(grown - 1)
        else:
            found.append(limit + sign * width)
    return min(found, key=abs) if found else None


CHANGES: Final = (-0.5, -0.2, -0.1, 0.0, 0.1, 0.2, 0.5, 1.0, 3.0)
"""Relative changes at which confidence sequences are inverted, beside the tolerated ones."""


class ChangeSequence:
    """Evidence at a number of changes, and between them."""

    def __init__(self, changes: FloatArray, found: MeanEvidence) -> None:
        order = np.argsort(changes, kind="stable")
        self._changes = changes[order]
        self._found = MeanEvidence(
            *(values[order] for values in (found.above, found.below, found.mean, found.rho))
        )

    def at(self, change: float) -> MeanEvidence:
        """Give the evidence that the change is above (and below) one of those that were asked about."""
        i = int(np.argmin(abs(self._changes - change)))
        return MeanEvidence(
            *(
                values[i]
                for values in (self._found.above, self._found.below, self._found.mean, self._found.rho)
            )
        )

    @property
    def estimate(self) -> float:
        """The change at which the mean score is 0, that is at which the arms are alike."""
        mean = np.minimum.accumulate(self._found.mean)
        if mean[0] <= 0:
            return float(self._changes[0])
        if mean[-1] >= 0:
            return float(self._changes[-1])
        return float(np.interp(0.0, -mean, self._changes))

    def bounds(self, level: float) -> tuple[float, float]:
        """Invert the evidence: what lies outside has been rejected."""
        needed = -math.log(level)
        low, high = self._end(self._found.above, needed, 1), self._end(self._found.below, needed, -1)
        # between two changes that were asked about, the straight line may overshoot
        return min(low, self.estimate), max(high, self.estimate)

    def _end(self, evidence: FloatArray, needed: float, side: int) -> float:
        points, values = self._changes[::side], evidence[::side]
        rejected = np.flatnonzero(values >= needed)
        if not len(rejected):
            return -side * math.inf
        last = int(rejected[-1])
        if last == len(points) - 1:
            return float(points[last])
        drop = (values[last] - needed) / (values[last] - values[last + 1])
        return float(points[last] + drop * (points[last + 1] - points[last]))

    def finding(self, limits: Limits, rates: ErrorRates, points: int) -> dict[str, Any]:
        """Hold the evidence against the limits.

        Parameters
        ----------
        limits : Limits
            What is tolerated; its ends and 0 are among the changes.
        rates : ErrorRates
            The error rates.
        points : int
            Intervals so far.

        Returns
        -------
        dict
            Fields of a `Finding`.
        """
        sides = limits.sides
        found = [self.at(limit) for _, limit in sides]
        none = self.at(0.0)
        fails = [one.above if sign > 0 else one.below for (sign, _), one in zip(sides, found, strict=True)]
        safes = [one.below if sign > 0 else one.above for (sign, _), one in zip(sides, found, strict=True)]
        evidence = Evidence(
            estimate=self.estimate,
            pvalues=[(pvalue_of(float(one.above)), pvalue_of(float(one.below))) for one in found],
            pvalues_none=(pvalue_of(float(none.above)), pvalue_of(float(none.below))),
            fail_bounds=[self.bounds(rates.level / len(sides))] * len(sides),
            pass_bounds=[self.bounds(rates.beta)] * len(sides),
        )
        return weigh(evidence, limits, rates, points) | {
            "autocorrelation": float(none.rho),
            "watch": evidence_facts(
                max(float(value) for value in fails) - math.log(len(sides)),
                min(float(value) for value in safes),
                smallest_visible(evidence, limits),
            ),
        }
