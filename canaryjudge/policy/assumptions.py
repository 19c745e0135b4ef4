"""What a plan assumes of a metric, where no history says it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from canaryjudge.kinds import KINDS
from canaryjudge.settings import Amount, Duration, PolicyModel, Problem, RelativeTolerance

__all__ = ["Assumed"]

_Rho = Annotated[float, Field(strict=True, ge=0, le=0.97)]
_Positive = Annotated[float, Field(gt=0, le=1e15)]


class Assumed(PolicyModel):
    """How a metric behaves while nothing is wrong."""

    interval: Duration = 60.0
    """The spacing of the points."""
    level: Amount | None = None
    """Its level, in its unit: `120ms`; of ratios the share of events, `0.2%`; of counts the events of an interval at all of the traffic."""
    spread: RelativeTolerance | None = None
    """Of gauges: the standard deviation of a point, relative to the level, at all of the traffic. Of samples and histograms: that of an observation."""
    between_intervals: RelativeTolerance = 0.0
    """Of samples and histograms: the standard deviation that all observations of an interval share, relative to the level."""
    autocorrelation: _Rho = 0.0
    """Lag-1 autocorrelation of the points; of samples and histograms, of what an interval shares."""
    traffic: _Positive | None = None
    """Requests of the whole service in an interval: of ratios, samples and histograms."""
    dispersion: Annotated[float, Field(ge=1, le=1000)] = 1.0
    """Of ratios and counts: how many times events vary more than independent ones."""
    per_request: bool | None = None
    """Of gauges: it is made of requests, as a p99 or a mean is, so that its points scatter the more the fewer requests an arm gets. Left out: told by its name."""

    def lacks(self, kind: str) -> tuple[str, ...]:
        """Give what must be known of a kind and is not."""
        return tuple(name for name in KINDS[kind].assumes if getattr(self, name) is None)

    def _contradictions(self) -> Iterator[Problem]:
        if self.level is not None and self.level.number < 0:
            yield Problem(("level",), "a level below 0 has no relative change", "Give its size.")
