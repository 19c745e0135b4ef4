"""The parts of Flagger's Canary and MetricTemplate that say what is checked, and what it allows (flagger.app/v1beta1, canary.go and metric.go).

Names are those of Flagger. What routes traffic, alerts people or calls others is any YAML.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from canaryjudge.integrations.bounds import AllowedRange, Edge
from canaryjudge.quantities import shown
from canaryjudge.settings import PolicyModel

__all__ = [
    "BUILT_IN",
    "FlaggerAnalysis",
    "FlaggerMetric",
    "FlaggerTemplate",
    "ThresholdRange",
    "allowed",
    "analysis_threshold",
]

Text = Annotated[str, Field(strict=True)]
BUILT_IN: Final = ("request-success-rate", "request-duration")
"""The metrics that Flagger has queries for: a percentage, and the 99th percentile in milliseconds."""


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{shown(value)} is not a number")  # noqa: TRY004 - pydantic wants ValueError
    return value


Number = Annotated[float, BeforeValidator(_number)]


class ThresholdRange(PolicyModel):
    """What a value must lie between; both ends are allowed."""

    min: Number | None = None
    max: Number | None = None


class Reference(PolicyModel):
    """The name of an object, in the Canary's namespace unless it says another."""

    name: Text
    namespace: Text = ""


class FlaggerMetric(PolicyModel):
    """A metric of a Canary's analysis."""

    name: Text = ""
    interval: Text = ""
    threshold: Number | None = None
    thresholdRange: ThresholdRange | None = None
    query: Text = ""
    templateRef: Reference | None = None
    templateVariables: dict[str, Text] = Field(default_factory=dict)


class FlaggerAnalysis(PolicyModel):
    """How a Canary is analyzed."""

    interval: Text = ""
    threshold: Number | None = None
    maxWeight: Any = None
    stepWeight: Any = None
    stepWeights: list[Any] | None = None
    stepWeightPromotion: Any = None
    iterations: Any = None
    mirror: Any = None
    mirrorWeight: Any = None
    primaryReadyThreshold: Any = None
    canaryReadyThreshold: Any = None
    match: list[Any] | None = None
    sessionAffinity: dict[str, Any] | None = None
    metrics: list[FlaggerMetric] | None = None
    webhooks: list[dict[str, Any]] | None = None
    alerts: list[dict[str, Any]] | None = None


class FlaggerTemplate(PolicyModel):
    """A MetricTemplate: where a number comes from."""

    provider: dict[str, Any]
    query: Text | None = None


def allowed(metric: Mapping[str, Any]) -> AllowedRange:
    """Return what a metric's value may be.

    Examples
    --------
    >>> allowed({"name": "request-success-rate", "threshold": 99}).low
    Edge(value=99.0, strict=False)
    >>> allowed({"name": "request-duration", "thresholdRange": {"max": 0.9}}).high
    Edge(value=0.0, strict=False)
    """
    name, given = metric.get("name"), metric.get("thresholdRange")
    if isinstance(given, Mapping):
        low, high = given.get("min"), given.get("max")
    else:
        threshold = metric.get("threshold") or 0
        low, high = (threshold, None) if name == "request-success-rate" else (None, threshold)
    ends = [None if end is None else float(end) for end in (low, high)]
    if name == "request-duration":
        ends = [None if end is None or not math.isfinite(end) else float(math.trunc(end)) for end in ends]
    return AllowedRange(*(None if end is None else Edge(end) for end in ends))


def analysis_threshold(threshold: float | None) -> int:
    """Return after how many failed checks a Canary is rolled back: 1 where nothing, or nothing sensible, is said."""
    return int(threshold) if threshold is not None and threshold >= 1 else 1
