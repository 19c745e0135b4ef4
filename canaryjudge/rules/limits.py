"""A limit that moves with the baseline: where it lies, and what tests of its parts say together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from canaryjudge.stats.baseline_changes import either_level, either_pvalue
from canaryjudge.stats.bounds import PValues

__all__ = ["Limit", "Line"]


class Line(NamedTuple):
    """One part of a limit: `factor` times the baseline's level plus `shift`."""

    factor: float
    shift: float
    absolute: bool


@dataclass(frozen=True, slots=True)
class Limit:
    """How far the canary may lie from the baseline.

    Attributes
    ----------
    relative : float or None
        Part of the baseline's level, signed.
    absolute : float or None
        In the metric's unit, signed.
    upward : bool
        Whether the canary must not lie above the limit; otherwise not below.
    """

    relative: float | None
    absolute: float | None
    upward: bool

    def at(self, level: float) -> float:
        """Give the limit where the baseline has a level: the laxer of the parts."""
        line = self.lines(level)[0]
        return line.factor * level + line.shift

    def lines(self, level: float) -> list[Line]:
        """Give the parts, the one that decides where the baseline has a level first.

        Of a negative level the size counts, and no part of it leads beyond zero.
        """
        lines = []
        if self.relative is not None:
            share = -min(max(self.relative, -1.0), 1.0) if level < 0 else self.relative
            lines.append(Line(1 + share, 0.0, absolute=False))
        if self.absolute is not None:
            lines.append(Line(1.0, self.absolute, absolute=True))
        return sorted(lines, key=lambda line: line.factor * level + line.shift, reverse=self.upward)

    def merged(
        self, margins: Callable[[float], list[tuple[float, float]]], correlation: float, error: float
    ) -> tuple[float, float]:
        """Put the bounds of the canary's distances from each part together, as `weigh` does their p-values."""
        both = margins(error)
        either = both if len(both) == 1 else margins(either_level(error, correlation))
        if self.upward:
            return min(low for low, _ in both), min(high for _, high in either)
        return max(low for low, _ in either), max(high for _, high in both)

    def weigh(self, parts: list[PValues], correlation: float) -> PValues:
        """Put the p-values of the parts together.

        The canary lies beyond the limit where it lies beyond both parts, so that proof needs both; and within it where it lies within
        either, which two tests may prove.
        """
        if len(parts) == 1:
            return parts[0]
        (first, second) = parts
        both = (np.maximum(getattr(first, side), getattr(second, side)) for side in ("greater", "less"))
        either = (
            either_pvalue(getattr(first, side), getattr(second, side), correlation)
            for side in ("greater", "less")
        )
        (greater, less), (any_greater, any_less) = both, either
        return PValues(greater, any_less) if self.upward else PValues(any_greater, less)
