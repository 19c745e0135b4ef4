"""Evidence at a number of changes of the metric, inverted into an estimate and a confidence sequence."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from canaryjudge.rules.decision import Evidence, Limits, weigh
from canaryjudge.rules.rows import ErrorRates, FloatArray
from canaryjudge.rules.sequential.process import evidence_facts, pvalue_of, smallest_visible
from canaryjudge.stats.score_evidence import MeanEvidence

__all__ = ["CHANGES", "ChangeSequence"]

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
