"""The latest points of a metric under watch, kept to be drawn: evidence needs none of them, people do."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from canaryjudge.arm_summaries import arm_facts, with_gaps
from canaryjudge.data import MetricPair
from canaryjudge.kinds import KINDS
from canaryjudge.results import ArmFacts, SeriesFacts

__all__ = ["LatestPoints"]

_MOST: Final = 100
"""Positions an arm; more are not to be told apart."""
_MEDIAN: Final = 20
"""Its place among the quantiles."""


class LatestPoints:
    """The latest positions of both arms, in memory that does not grow.

    Examples
    --------
    >>> from canaryjudge.data import Arm
    >>> recent = LatestPoints()
    >>> times = 60.0 * np.arange(3)
    >>> recent.add(MetricPair("cpu", "gauge", Arm(np.ones(3), time=times), Arm(np.full(3, 2.0), time=times)))
    >>> baseline, canary = recent.facts
    >>> canary.series.at, canary.series.value
    ((0.0, 60.0, 120.0), (2.0, 2.0, 2.0))
    """

    def __init__(self) -> None:
        self._arms = tuple(deque[tuple[float, float]](maxlen=_MOST) for _ in range(2))

    def add(self, pair: MetricPair) -> None:
        """Take complete intervals; of raw observations, one, of which the median is kept."""
        for kept, arm in zip(self._arms, (pair.baseline, pair.canary), strict=True):
            found = arm_facts(arm, pair)
            if found is None or found.series.start is None:
                continue
            if KINDS[pair.kind].is_raw:
                kept.append((found.series.start, found.quantiles[_MEDIAN]))
                continue
            series = zip(found.series.at, found.series.value, strict=True)
            kept.extend((found.series.start + at, value) for at, value in series if value is not None)

    @property
    def facts(self) -> tuple[ArmFacts | None, ArmFacts | None]:
        """What baseline and canary looked like lately; None before there are points with times."""
        baseline, canary = (_facts(kept) for kept in self._arms)
        return baseline, canary


def _facts(kept: deque[tuple[float, float]]) -> ArmFacts | None:
    if not kept:
        return None
    times, values = np.array(kept).T
    at, (levels,) = with_gaps(times - times[0], values[np.newaxis])
    return ArmFacts(series=SeriesFacts(start=float(times[0]), at=at, value=levels))
