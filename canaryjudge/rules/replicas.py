"""How much replicas of one arm differ, as the yardstick for a difference between the arms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from canaryjudge.rules.decision import Evidence, Limits
from canaryjudge.rules.findings import ReplicaFacts, Waiver
from canaryjudge.rules.rows import Arm, FloatArray, Pair, Rows
from canaryjudge.stats.replicas import ReplicaTest, replica_test

__all__ = ["FEWEST_REPLICAS", "LEAST_SHARE", "Yardstick", "lasting", "least", "told_apart", "yardstick"]

FEWEST_REPLICAS: Final = 3
"""Replicas of both arms, without which nobody knows how much they differ."""
LEAST_SHARE: Final = 0.25
"""A replica with fewer points than this part of the longest one's was there too briefly to have a level."""
_PROVEN_DF = 2
"""With fewer degrees of freedom only levels that are close to normal keep the error rates."""


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What the replicas say of a change.

    Attributes
    ----------
    test : ReplicaTest
        At the limits and, last, at no change.
    replicas : tuple of (int, int)
        How many replicas of the baseline and the canary were compared.
    """

    test: ReplicaTest
    replicas: tuple[int, int]

    def evidence(self, effect: Callable[[float], float], limits: Limits) -> Evidence:
        """Give what the replicas say at what is asked of limits, in their scale."""
        test = self.test
        pvalues = list(zip(test.pvalue_greater.tolist(), test.pvalue_less.tolist(), strict=True))

        def bounds(level: int, at: slice) -> list[tuple[float, float]]:
            low, high = (ends[:-1][at, level].tolist() for ends in (test.low, test.high))
            return [(effect(start), effect(end)) for start, end in zip(low, high, strict=True)]

        return Evidence(
            estimate=effect(float(test.estimate)),
            pvalues=pvalues[:-1],
            pvalues_none=pvalues[-1],
            fail_bounds=bounds(0, limits.at_fail),
            pass_bounds=bounds(1, limits.at_pass),
        )

    def facts(self, unit: float) -> ReplicaFacts:
        """Say which they are; the spread in the scale of the limits."""
        baseline, canary = self.replicas
        return ReplicaFacts(baseline=baseline, canary=canary, spread=float(self.test.spread) / unit)

    @property
    def waived(self) -> tuple[Waiver, ...]:
        """Guarantees that so few replicas do not give."""
        return () if self.test.df >= _PROVEN_DF else ("outside_proven_range",)


def yardstick(
    pair: Pair,
    level_of: Callable[[Arm], float],
    limits: FloatArray,
    *,
    levels: tuple[float, float],
    scales: FloatArray,
    noise: FloatArray,
    noise_df: FloatArray,
) -> Yardstick | None:
    """Compare the arms replica by replica; None where the data do not tell replicas apart, or there are fewer than three in all.

    The limits are changes of the replicas' level, the last of which is no change; at each, the baseline's spread is multiplied by a scale, and the noise is the
    standard error of the change by how the arms vary in time.
    """
    if not told_apart(pair):
        return None
    baseline, canary = (
        np.array([level_of(replica) for replica in lasting(arm.replicas)]) for arm in pair.arms
    )
    test = replica_test(
        baseline, canary, limits, levels=levels, scales=scales, noise=noise, noise_df=noise_df
    )
    return Yardstick(test, (len(baseline), len(canary)))


def told_apart(pair: Pair) -> bool:
    """Tell whether there are replicas enough to know by how much they differ."""
    sizes = [len(lasting(arm.replicas)) for arm in pair.arms]
    return min(sizes) >= 1 and sum(sizes) >= FEWEST_REPLICAS


def lasting(replicas: tuple[Arm, ...]) -> list[Arm]:
    """Give the replicas that were there long enough to say something."""
    longest = max(map(len, replicas), default=0)
    return [replica for replica in replicas if len(replica) >= max(1, LEAST_SHARE * longest)]


def least(rows: Rows) -> FloatArray:
    """Find the lowest value of each row, replicas included."""
    own = [
        [replica.levels.min() for replicas in both for replica in replicas if len(replica)]
        for both in zip(rows.baseline.replicas, rows.canary.replicas, strict=True)
    ]
    of_arms = np.minimum(rows.baseline.levels.min(axis=1), rows.canary.levels.min(axis=1))
    return np.array([min([least, *replicas]) for least, replicas in zip(of_arms, own, strict=True)])
