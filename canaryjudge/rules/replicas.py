"""How much replicas of one arm differ, as the yardstick for a difference between the arms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from canaryjudge.data import Arm, FloatArray, MetricPair
from canaryjudge.results import Waiver
from canaryjudge.rules.decision import Evidence, Limits, Share, weigh
from canaryjudge.stats.replicas import ReplicaTest, replica_test

__all__ = ["FEWEST_REPLICAS", "LEAST_SHARE", "Yardstick", "lasting", "weigh_with", "yardstick"]

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

    def evidence(self, effect: Callable[[float], float]) -> Evidence:
        """Give what the replicas say at each limit, but for the last, which is no change.

        Parameters
        ----------
        effect : callable
            Turns a change of the replicas' levels into the scale of the limits.
        """
        test = self.test
        pvalues = list(zip(test.pvalue_greater.tolist(), test.pvalue_less.tolist(), strict=True))

        def bounds(level: int) -> list[tuple[float, float]]:
            ends = zip(test.low[:-1, level].tolist(), test.high[:-1, level].tolist(), strict=True)
            return [(effect(low), effect(high)) for low, high in ends]

        return Evidence(
            estimate=effect(float(test.estimate)),
            pvalues=pvalues[:-1],
            pvalues_none=pvalues[-1],
            fail_bounds=bounds(0),
            pass_bounds=bounds(1),
        )

    def facts(self, unit: float) -> dict[str, Any]:
        """Give fields of a `Finding`; the spread in the scale of the limits."""
        return {
            "replicas_baseline": self.replicas[0],
            "replicas_canary": self.replicas[1],
            "replica_spread": float(self.test.spread) / unit,
        }

    @property
    def waived(self) -> tuple[Waiver, ...]:
        """Guarantees that so few replicas do not give."""
        return () if self.test.df >= _PROVEN_DF else ("outside_proven_range",)


def weigh_with(
    siblings: Evidence | None, evidence: Evidence, limits: Limits, share: Share, points: int
) -> dict[str, Any]:
    """Weigh evidence of a change that counts only as far as the replicas bear it out: the larger p-value, the outer of two bounds.

    Parameters
    ----------
    siblings : Evidence or None
        What the replicas say.
    evidence : Evidence
        What the points say.
    limits, share, points : Limits, Share, int
        As for `weigh`.

    Returns
    -------
    dict
        Fields of a `Finding`. Where only the replicas leave it undecided, no number of points is missing.
    """
    alone = weigh(evidence, limits, share, points)
    if siblings is None:
        return alone
    together = weigh(_borne_out(evidence, siblings), limits, share, points)
    return together | {"more_points": alone["more_points"]} if together["more_points"] else together


def _borne_out(evidence: Evidence, other: Evidence) -> Evidence:
    def larger(pvalues: tuple[float, float], others: tuple[float, float]) -> tuple[float, float]:
        return max(pvalues[0], others[0]), max(pvalues[1], others[1])

    def outer(bounds: tuple[float, float], others: tuple[float, float]) -> tuple[float, float]:
        return min(bounds[0], others[0]), max(bounds[1], others[1])

    return replace(
        evidence,
        pvalues=[larger(*both) for both in zip(evidence.pvalues, other.pvalues, strict=True)],
        pvalues_none=larger(evidence.pvalues_none, other.pvalues_none),
        fail_bounds=[outer(*both) for both in zip(evidence.fail_bounds, other.fail_bounds, strict=True)],
        pass_bounds=[outer(*both) for both in zip(evidence.pass_bounds, other.pass_bounds, strict=True)],
        abstains=evidence.abstains or other.abstains,
        abstains_pass=evidence.abstains_pass or other.abstains_pass,
    )


def yardstick(
    pair: MetricPair,
    level_of: Callable[[Arm], float],
    limits: FloatArray,
    *,
    levels: tuple[float, float],
    scales: FloatArray,
    noise: FloatArray,
    noise_df: FloatArray,
) -> Yardstick | None:
    """Compare the arms replica by replica.

    Parameters
    ----------
    pair : MetricPair
        Both arms, with their replicas.
    level_of : callable
        Gives the level of one replica, such as its median.
    limits : ndarray, shape (k,)
        Changes of the level to test against; the last is no change.
    levels : tuple of float
        Error rates of the bounds: of a fail and of a pass.
    scales : ndarray, shape (k,)
        What the baseline's spread is multiplied by at each limit.
    noise, noise_df : ndarray, shape (k,)
        Standard error of the change at each limit by how the arms vary in time, and its degrees of freedom.

    Returns
    -------
    Yardstick or None
        None where the data do not tell replicas apart, or there are fewer than three in all.
    """
    arms = [lasting(arm.replicas) for arm in (pair.baseline, pair.canary)]
    if min(map(len, arms)) < 1 or sum(map(len, arms)) < FEWEST_REPLICAS:
        return None
    baseline, canary = (np.array([level_of(replica) for replica in arm]) for arm in arms)
    test = replica_test(
        baseline, canary, limits, levels=levels, scales=scales, noise=noise, noise_df=noise_df
    )
    return Yardstick(test, (len(baseline), len(canary)))


def lasting(replicas: tuple[Arm, ...]) -> list[Arm]:
    """Give the replicas that were there long enough to say something."""
    longest = max(map(len, replicas), default=0)
    return [replica for replica in replicas if len(replica) >= max(1, LEAST_SHARE * longest)]
