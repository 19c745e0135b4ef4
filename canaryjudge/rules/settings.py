"""What the settings of every rule have, and what they may know of their metric when they are checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Protocol, Self

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from canaryjudge.kinds import KindName
from canaryjudge.settings import Path, PolicyModel, Problem, Quantity

__all__ = ["AskedMetric", "RuleSettings"]


class AskedMetric(Protocol):
    """What a rule's settings may know of their metric when they are checked."""

    @property
    def kind(self) -> KindName:
        """Its kind."""

    @property
    def direction(self) -> Literal["increase", "decrease", "either"]:
        """Its bad direction."""

    def quantity(self, quantity: Quantity, what: str) -> float:
        """Give a quantity of the policy in the metric's unit, or as a fraction for a ratio."""

    def misfit(self, quantity: Quantity, path: Path) -> Iterator[Problem]:
        """Find whether a quantity of the policy is not one of this metric."""

    def not_positive(self, quantity: Quantity, path: Path) -> Iterator[Problem]:
        """Find whether it is not, or is not above 0."""


class RuleSettings(PolicyModel):
    """What every rule's settings have: the rule's name, and the kinds of metric that it fits."""

    kinds: ClassVar[tuple[str, ...]]
    models: ClassVar[Mapping[str, type[PolicyModel]]] = {}
    """Models that its settings are made of, by what they are called in the reference."""
    since_the_start: ClassVar[bool] = False
    """Whether a watch asks it of all that came since the start, whatever passed meanwhile: to have found nothing yet is a pass for the time being, and nothing starts afresh after it."""
    finds_gross_harm: ClassVar[bool] = False
    """Whether it may fail fewer points on one clock than the metric's `min_points`."""
    rule: str = ""
    """The rule's name."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"rule": value} if isinstance(value, str) else value

    @property
    def weight(self) -> float:
        """Its part of the metric's alpha beside the metric's other rules; those about a feature take a tenth of what one about the level takes."""
        return 1.0

    def misfits(self, metric: AskedMetric) -> Iterator[Problem]:
        """Find what does not fit a metric; paths start at the rule."""
        if metric.kind not in self.kinds:
            advice = f"Take another rule, or kind: {' or '.join(self.kinds)}."
            yield Problem((), f"the rule {self.rule} does not fit kind: {metric.kind}", advice)

    def in_unit_of(self, metric: AskedMetric) -> Self:  # noqa: ARG002 - for those that have quantities
        """Give the same settings with every quantity in the metric's unit."""
        return self

    @model_serializer(mode="wrap")
    def _with_name(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"rule": self.rule, **write(self)}  # a dump without defaults could not be read back otherwise
