"""The settings of the rule about a tail: how many observations lie far out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, WithJsonSchema

from canaryjudge.policy.rule_settings import AskedMetric, RuleSettings
from canaryjudge.quantities import QUANTITY_PATTERN, parse_quantity
from canaryjudge.settings import Problem, Quantity, RelativeTolerance

__all__ = ["Tail"]

_PERCENTILE = re.compile(r"p([0-9]{1,2}(?:\.[0-9]{1,12})?)")


def _bound(value: object) -> object:
    if (
        value is None
        or isinstance(value, Quantity)
        or (isinstance(value, str) and _PERCENTILE.fullmatch(value))
    ):
        return value
    number, unit = parse_quantity(value)
    return Quantity(number=number, unit=unit)


Bound = Annotated[
    str | Quantity | None,
    BeforeValidator(_bound),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number"},
                {"type": "string", "pattern": f"{_PERCENTILE.pattern}|{QUANTITY_PATTERN}"},
                {"type": "null"},
            ],
            "examples": ["p95", "300ms"],
        }
    ),
]


class Tail(RuleSettings):
    """Have more observations moved far out? The share beyond a bound, canary against baseline: a fault of few requests leaves the median where it was."""

    kinds: ClassVar[tuple[str, ...]] = ("samples", "histogram")

    rule: Literal["tail"] = "tail"
    """The rule's name."""
    beyond: Bound = None
    """Where the tail begins: a percentile of the baseline (`p95`; `p5` where a decrease is bad, and the tail lies below), or a fixed bound in the metric's unit
    (`300ms`). Left out: `p95`, or `p5`. Of histograms the bucket edge that leaves the most similar share beyond it is taken, or the first edge beyond a
    fixed bound; the verdict names it."""
    tolerance: RelativeTolerance = 0.5
    """By how much the share beyond the bound may rise, relative to the baseline's: at `50%`, from 5 % of the requests to 7.5 %. At least 0.02
    percentage points are tolerated."""

    @property
    def percentile(self) -> float | None:
        """The percentile as a probability; None where the bound is fixed or left out."""
        return float(Decimal(self.beyond[1:]).scaleb(-2)) if isinstance(self.beyond, str) else None

    def in_unit_of(self, metric: AskedMetric) -> Self:
        """Give the same settings with every quantity in the metric's unit."""
        if not isinstance(self.beyond, Quantity):
            return self
        bound = Quantity(number=metric.quantity(self.beyond, "the bound of the tail"))
        return self.model_copy(update={"beyond": bound})

    def misfits(self, metric: AskedMetric) -> Iterator[Problem]:
        """Find what does not fit a metric; paths start at the rule."""
        yield from super().misfits(metric)
        if metric.direction == "either":
            advice = "Give the metric a direction: increase or decrease."
            yield Problem((), "a tail needs one bad direction, not direction: either", advice)
        elif isinstance(self.beyond, Quantity):
            yield from metric.misfit(self.beyond, ("beyond",))
        elif self.percentile is not None:
            yield from self._percentile_misfits(metric)

    def _percentile_misfits(self, metric: AskedMetric) -> Iterator[Problem]:
        upward = metric.direction == "increase"
        assert self.percentile is not None  # noqa: S101 - as was asked before
        if not (0.5 <= self.percentile < 1 if upward else 0 < self.percentile <= 0.5):
            side, example = ("above", "p95") if upward else ("below", "p5")
            message = f"{self.beyond} does not begin a tail of bad values, which lie {side} where direction: {metric.direction} is bad"
            yield Problem(("beyond",), message, f"Take a percentile such as {example}.")
