"""The settings of each rule, as a policy writes them: one class a rule, told apart by the key ``rule``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Discriminator, Tag, model_validator

from canaryjudge.policy.base import PolicyModel, Quantity

__all__ = ["AnyRule", "Kind", "MannWhitney", "Proportion", "Rate", "RuleSettings", "Slo"]

Kind = Literal["gauge", "samples", "ratio", "count"]

_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)")


class RuleSettings(PolicyModel):
    """What every rule's settings have: the rule's name, and the kinds of metric that it fits."""

    kinds: ClassVar[tuple[str, ...]]
    rule: str
    """The rule's name."""


class MannWhitney(RuleSettings):
    """Is the canary's distribution shifted? The two-sample rank test, robust to autocorrelation."""

    kinds: ClassVar[tuple[str, ...]] = ("gauge", "samples", "ratio")

    rule: Literal["mann_whitney"] = "mann_whitney"
    """The rule's name."""
    method: Literal["robust", "exact", "asymptotic"] = "robust"
    """`robust` estimates how strongly neighbouring points depend on each other and allows for it. `exact` (small samples
    without ties) and `asymptotic` are the textbook test: they take every point as independent, which the verdict lists as waived."""


class Proportion(RuleSettings):
    """Has the canary's share of events (errors of requests) changed? A two-sample test of the pooled proportions."""

    kinds: ClassVar[tuple[str, ...]] = ("ratio",)

    rule: Literal["proportion"] = "proportion"
    """The rule's name."""
    method: Literal["auto", "exact", "score"] = "auto"
    """`exact` is the conditional binomial test, `score` that of Miettinen and Nurminen; `auto` takes `exact` where events are rare."""


class Rate(RuleSettings):
    """Has the canary's rate of events per exposure changed? The exact conditional test of the rate ratio."""

    kinds: ClassVar[tuple[str, ...]] = ("count",)

    rule: Literal["rate"] = "rate"
    """The rule's name."""


class Slo(RuleSettings):
    """Does the canary meet an objective? An aggregate of its values against a threshold."""

    kinds: ClassVar[tuple[str, ...]] = ("gauge", "samples", "ratio", "count")

    rule: Literal["slo"] = "slo"
    """The rule's name."""
    of: str
    """What is held against the value: `mean`, `median`, `min`, `max` or a percentile such as `p99` of the points (gauges and samples);
    `pooled`, events over total (ratios and counts)."""
    op: Literal["lt", "lte", "gt", "gte"]
    """How the aggregate must stand to the value for the objective to be met."""
    value: Quantity
    """The objective's threshold, in the metric's unit; `%` of a ratio is a fraction of its total."""
    evidence: Literal["interval", "point"] = "interval"
    """`interval`: fail and pass are proven by a confidence bound. `point`: the estimate alone decides, which waives alpha and beta for this rule."""
    blame: Literal["environment", "canary"] = "environment"
    """Where the baseline breaches the objective too: `environment` makes it marginal, `canary` fails it all the same."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.of not in ("mean", "median", "min", "max", "pooled") and self.percentile is None:
            raise ValueError(f"{self.of!r} is not an aggregate; it is one of mean, median, min, max, pooled, or a percentile like p99")
        if self.of in ("min", "max") and self.evidence == "interval":
            raise ValueError(f"an observed {self.of} has no confidence interval; write evidence: point, or take a percentile like p99")
        return self

    @property
    def percentile(self) -> float | None:
        """The aggregate as a probability: 0.99 for ``p99``, 0.5 for ``median``, None for the others."""
        if self.of == "median":
            return 0.5
        match = _PERCENTILE.fullmatch(self.of)
        if match is None or not 0 < float(match[1]) < 100:
            return None
        return float(match[1]) / 100


def _tag(value: Any) -> str | None:
    if isinstance(value, RuleSettings):
        return f"rule:{value.rule}"
    if isinstance(value, str):
        return f"rule:{value}"
    if isinstance(value, Mapping) and "rule" in value:
        return f"rule:{value['rule']}"
    return None


AnyRule = Annotated[
    Annotated[MannWhitney, Tag("rule:mann_whitney")]
    | Annotated[Proportion, Tag("rule:proportion")]
    | Annotated[Rate, Tag("rule:rate")]
    | Annotated[Slo, Tag("rule:slo")],
    Discriminator(_tag),
]
