"""Changes of an aggregate that count only as far as they go beyond how much replicas of one arm differ in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from canaryjudge.rules.limits import Line
from canaryjudge.rules.measures import Aggregate, measure
from canaryjudge.rules.replicas import FEWEST_REPLICAS, lasting
from canaryjudge.rules.rows import FloatArray, Pair
from canaryjudge.stats.bounds import PValues
from canaryjudge.stats.replicas import ReplicaTest, replica_test

__all__ = ["Margin", "Part", "borne_out_by_replicas"]

Part = Callable[[Line, float], PValues]
"""Part of a limit, error rate -> p-values."""
Margin = Callable[[Line, float], tuple[float, float]]
"""Part of a limit, level -> bounds of the canary's distance from it."""

_ONE_SD = 0.15865525393145707
"""The level of a bound that is one standard error away."""


@dataclass(frozen=True, slots=True)
class _Levels:
    """The aggregate of each replica, and of both arms as their points tell it."""

    baseline: FloatArray
    canary: FloatArray
    margin: Margin

    def test(self, line: Line, level: float) -> ReplicaTest:
        """Test the canary's distance from a part of a limit, with what all replicas of an arm feel together as noise."""
        low, high = self.margin(line, _ONE_SD)
        noise = (high - low) / 2
        limit = (line.factor - 1) * float(self.baseline.mean()) + line.shift
        return replica_test(
            self.baseline,
            self.canary,
            [limit],
            levels=[level],
            scales=[line.factor],
            # who cannot tell how wide one standard error is proves nothing by the points anyway
            noise=[noise if np.isfinite(noise) else 0.0],
        )


def borne_out_by_replicas(
    pair: Pair, aggregate: Aggregate, part: Part, margin: Margin
) -> tuple[Part, Margin]:
    """Hold a test of a change against the replicas: the larger p-value counts, and the outer of two bounds.

    Parameters
    ----------
    pair : Pair
        Both arms, with their replicas.
    aggregate : Aggregate
        Which aggregate.
    part, margin : callable
        What the points say.

    Returns
    -------
    tuple of callable
        The same with the replicas' say, where there are three or more of them in all.
    """
    arms = [lasting(arm.replicas) for arm in pair.arms]
    if min(map(len, arms)) < 1 or sum(map(len, arms)) < FEWEST_REPLICAS:
        return part, margin
    baseline, canary = (np.array([measure(replica, aggregate).estimate for replica in arm]) for arm in arms)
    levels = _Levels(baseline, canary, margin)

    def held(line: Line, error: float) -> PValues:
        points, siblings = part(line, error), levels.test(line, error)
        return PValues(
            np.maximum(points.greater, siblings.pvalue_greater[0]),
            np.maximum(points.less, siblings.pvalue_less[0]),
        )

    def outer(line: Line, level: float) -> tuple[float, float]:
        (low, high), siblings = margin(line, level), levels.test(line, level)
        limit = (line.factor - 1) * float(levels.baseline.mean()) + line.shift
        return min(low, float(siblings.low[0, 0]) - limit), max(high, float(siblings.high[0, 0]) - limit)

    return held, outer
