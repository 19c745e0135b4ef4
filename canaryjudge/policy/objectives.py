"""The settings of rules about objectives: what the canary must hold, whatever the baseline does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import ClassVar, Literal

from canaryjudge.policy.base import Amount
from canaryjudge.policy.complaints import Problem
from canaryjudge.policy.quantities import shown
from canaryjudge.policy.rule_settings import AskedMetric, RuleSettings

__all__ = ["Slo"]

_PERCENTILE = re.compile(r"p([0-9]{1,2}(?:\.[0-9]{1,12})?)")


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

    def misfits(self, metric: AskedMetric) -> Iterator[Problem]:
        """Find what does not fit a metric; paths start at the rule."""
        yield from super().misfits(metric)
        events = metric.kind in ("ratio", "count")
        if (self.of == "pooled") != events:
            fit = "Take pooled." if events else "Take mean, median, min, max or a percentile like p99."
            yield Problem(("of",), f"of: {self.of} does not fit kind: {metric.kind}", fit)
        yield from metric.misfit(self.value, ("value",))

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
