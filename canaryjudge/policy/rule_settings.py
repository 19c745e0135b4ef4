"""The settings of each rule, as a policy writes them: one class a rule, told apart by the key ``rule``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, SerializerFunctionWrapHandler, Tag, model_serializer, model_validator

from canaryjudge.policy.base import Amount, PolicyModel
from canaryjudge.policy.complaints import Problem
from canaryjudge.policy.quantities import shown

__all__ = ["AnyRule", "Kind", "MannWhitney", "Proportion", "Rate", "RuleSettings", "Slo"]

Kind = Literal["gauge", "samples", "ratio", "count"]

_PERCENTILE = re.compile(r"p([0-9]{1,2}(?:\.[0-9]{1,12})?)")


class RuleSettings(PolicyModel):
    """What every rule's settings have: the rule's name, and the kinds of metric that it fits."""

    kinds: ClassVar[tuple[str, ...]]
    rule: str
    """The rule's name."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"rule": value} if isinstance(value, str) else value

    @model_serializer(mode="wrap")
    def _with_name(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"rule": self.rule, **write(self)}  # a dump without defaults could not be read back otherwise


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
    value: Amount
    """The objective's threshold, in the metric's unit; `%` of a ratio is a fraction of its total."""
    evidence: Literal["interval", "point"] = "interval"
    """`interval`: fail and pass are proven by a confidence bound. `point`: the estimate alone decides, which waives alpha and beta for this rule."""
    blame: Literal["environment", "canary"] = "environment"
    """Where the baseline breaches the objective too: `environment` makes it marginal, `canary` fails it all the same."""

    def _contradictions(self) -> Iterator[Problem]:
        if self.of not in ("mean", "median", "min", "max", "pooled") and self.percentile is None:
            known = "It is one of mean, median, min, max, pooled, or a percentile like p99."
            yield Problem(("of",), f"{shown(self.of)} is not an aggregate", known)
        if self.of in ("min", "max") and self.evidence == "interval":
            advice = "Write evidence: point, or take a percentile like p99."
            yield Problem(("of",), f"an observed {self.of} has no confidence interval", advice)

    @property
    def percentile(self) -> float | None:
        """The aggregate as a probability: 0.99 for ``p99``, 0.5 for ``median``, None for the others."""
        if self.of == "median":
            return 0.5
        match = _PERCENTILE.fullmatch(self.of)
        if match is None or float(match[1]) == 0:
            return None
        return float(
            Decimal(match[1]).scaleb(-2)
        )  # 99.9 / 100 is above 0.999 in binary, and takes the next point


def _tag(value: Any) -> str | None:
    if isinstance(value, RuleSettings):
        return f"rule:{value.rule}"
    if isinstance(value, str):
        return f"rule:{value}"
    if isinstance(value, Mapping) and "rule" in value:
        return f"rule:{shown(value['rule']) if not isinstance(value['rule'], str) else value['rule']}"
    return None


AnyRule = Annotated[
    Annotated[MannWhitney, Tag("rule:mann_whitney")]
    | Annotated[Proportion, Tag("rule:proportion")]
    | Annotated[Rate, Tag("rule:rate")]
    | Annotated[Slo, Tag("rule:slo")],
    Discriminator(_tag),
]
