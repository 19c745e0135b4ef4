"""The parts of Argo Rollouts' analyses that say what is measured (pkg/apis/rollouts/v1alpha1, analysis_types.go).

Names are those of Argo Rollouts. What a provider needs to find its data is any YAML.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from canaryjudge.integrations.argo.limits import PROVIDERS
from canaryjudge.policy.base import PolicyModel
from canaryjudge.policy.complaints import Problem
from canaryjudge.policy.quantities import shown

__all__ = ["ArgoMetric", "ArgoSpec", "Argument"]


def _number_or_text(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{shown(value)} is not a whole number")  # noqa: TRY004 - pydantic wants ValueError
    return value


def _argument(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.12g}" if isinstance(value, int | float) else value


Text = Annotated[str, Field(strict=True)]
Number = Annotated[int | str | None, BeforeValidator(_number_or_text)]


class Argument(PolicyModel):
    """An argument of an analysis, with its value where one is known beforehand."""

    name: Text
    value: Annotated[Text | None, BeforeValidator(_argument)] = None
    valueFrom: dict[str, Any] | None = None


class Matching(PolicyModel):
    """The metrics that a regular expression finds."""

    metricName: Text
    limit: Number = None


class ArgoMetric(PolicyModel):
    """A metric of an analysis."""

    name: Annotated[str, Field(strict=True, min_length=1)]
    interval: Text = ""
    initialDelay: Text = ""
    count: Number = None
    successCondition: Text = ""
    failureCondition: Text = ""
    failureLimit: Number = None
    inconclusiveLimit: Number = None
    consecutiveErrorLimit: Number = None
    consecutiveSuccessLimit: Number = None
    provider: dict[str, Any]

    def _contradictions(self) -> Iterator[Problem]:
        given = [name for name in self.provider if name in PROVIDERS]
        if unknown := [name for name in self.provider if name not in PROVIDERS]:
            known = f"Known: {', '.join(PROVIDERS)}."
            yield Problem(("provider", unknown[0]), f"unknown key {shown(unknown[0])}", known, at_key=True)
        elif len(given) != 1:
            what = "there are several" if given else "there is none"
            yield Problem(("provider",), f"{what}, and a metric has one", f"One of {', '.join(PROVIDERS)}.")

    @property
    def source(self) -> str:
        """The name of its provider."""
        return next(iter(self.provider))

    @property
    def settings(self) -> dict[str, Any]:
        """The provider's own settings."""
        held = self.provider[self.source]
        return held if isinstance(held, dict) else {}


class ArgoSpec(PolicyModel):
    """What an AnalysisTemplate, a ClusterAnalysisTemplate or an AnalysisRun asks for."""

    metrics: list[ArgoMetric] = Field(default_factory=list)
    args: list[Argument] = Field(default_factory=list)
    templates: list[dict[str, Any]] = Field(default_factory=list)
    dryRun: list[Matching] = Field(default_factory=list)
    measurementRetention: list[Matching] = Field(default_factory=list)
    ttlStrategy: dict[str, Any] | None = None
    terminate: bool | None = None
