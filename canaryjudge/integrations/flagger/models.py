"""The parts of Flagger's Canary and MetricTemplate that say what is checked (flagger.app/v1beta1, canary.go and metric.go).

Names are those of Flagger. What routes traffic, alerts people or calls others is any YAML.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from canaryjudge.policy.base import PolicyModel
from canaryjudge.policy.quantities import shown

__all__ = ["FlaggerAnalysis", "FlaggerMetric", "FlaggerTemplate", "ThresholdRange"]


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{shown(value)} is not a number")  # noqa: TRY004 - pydantic wants ValueError
    return value


Text = Annotated[str, Field(strict=True)]
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
