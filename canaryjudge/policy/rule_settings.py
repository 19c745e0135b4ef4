"""The settings of each rule, as a policy writes them: one class a rule, told apart by the key ``rule``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal, Protocol, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from canaryjudge.kinds import KindName
from canaryjudge.settings import Amount, Path, PolicyModel, Problem, Quantity

__all__ = ["AskedMetric", "Kind", "MannWhitney", "Proportion", "Rate", "RuleSettings", "Sequential"]

Kind = KindName


class AskedMetric(Protocol):
    """What a rule's settings may know of their metric when they are checked."""

    @property
    def kind(self) -> Kind:
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


class MannWhitney(RuleSettings):
    """Is the canary's distribution shifted? The two-sample rank test, robust to autocorrelation."""

    kinds: ClassVar[tuple[str, ...]] = ("gauge", "samples", "ratio", "histogram")

    rule: Literal["mann_whitney"] = "mann_whitney"
    """The rule's name."""
    method: Literal["robust", "exact", "asymptotic"] = "robust"
    """`robust` estimates how strongly neighboring points depend on each other and allows for it. `exact` (small samples
    without ties) and `asymptotic` are the textbook test: they take every point as independent, which the verdict lists as waived. Histograms,
    whose observations are known by their buckets, are always compared by `robust`, interval by interval."""

    def misfits(self, metric: AskedMetric) -> Iterator[Problem]:
        """Find what does not fit a metric; paths start at the rule."""
        yield from super().misfits(metric)
        if metric.kind == "histogram" and self.method != "robust":
            advice = "Leave method out: histograms are compared interval by interval."
            yield Problem(("method",), f"method: {self.method} does not fit kind: histogram", advice)


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


SequentialMethod = Literal["looks", "scores", "ranks", "mixture", "cmh", "betting", "mean"]

SEQUENTIAL_METHODS: Final[dict[str, tuple[SequentialMethod, ...]]] = {
    "gauge": ("looks", "mean", "betting"),
    "samples": ("scores", "ranks", "mean", "betting"),
    "ratio": ("mixture", "looks"),
    "count": ("mixture", "looks"),
    "histogram": ("cmh",),
}
"""The sequential methods that fit each kind; `auto` takes the first."""


class Sequential(RuleSettings):
    """Is the canary worse than tolerated, asked at every look? Fail and pass are valid at all looks together, however often one asks."""

    kinds: ClassVar[tuple[str, ...]] = tuple(SEQUENTIAL_METHODS)

    rule: Literal["sequential"] = "sequential"
    """The rule's name."""
    method: Literal["auto", "looks", "scores", "ranks", "mixture", "cmh", "betting", "mean"] = "auto"
    """`auto` takes the best for the kind of metric: `mixture` (ratios and counts: the rate ratio at any split), `cmh` (histograms: the odds of
    lying beyond each bucket edge), `scores` (samples: ranks, scored once an interval), `looks` (gauges: the robust rank test at planned looks).
    By choice: `ranks` (samples, request by request; needs `independent: true`), `betting` (means of values between 0 and `cap`), `mean`
    (means by an asymptotic confidence sequence), `looks` (ratios and counts: their fixed-window test at planned looks)."""
    independent: bool = False
    """Of samples: each request is independent of the others, so each is evidence by itself. Requests of one minute share its weather, so
    this is to be stated, and the verdict lists it as waived."""
    cap: Amount | None = None
    """With `betting`: no value is larger than this; larger ones are counted as this."""
    looks: Annotated[int, Field(strict=True, ge=1, le=100)] = 5
    """With `looks`: how many are planned until `max_points` or `max_duration`, evenly."""
    spending: Literal["obrien_fleming", "pocock"] = "obrien_fleming"
    """With `looks`: how the error rates are spent over them (Lan and DeMets): late (`obrien_fleming`) or about evenly (`pocock`)."""

    def method_for(self, kind: str) -> SequentialMethod:
        """Give the method that is used for a kind of metric."""
        if self.method != "auto":
            return self.method
        if kind == "samples" and self.independent:
            return "ranks"
        return SEQUENTIAL_METHODS[kind][0]

    def in_unit_of(self, metric: AskedMetric) -> Self:
        """Give the same settings with every quantity in the metric's unit."""
        if self.cap is None:
            return self
        return self.model_copy(update={"cap": Quantity(number=metric.quantity(self.cap, "cap"))})

    def misfits(self, metric: AskedMetric) -> Iterator[Problem]:
        """Find what does not fit a metric; paths start at the rule."""
        yield from self._method_misfits(metric.kind)
        if self.cap is not None:
            yield from metric.not_positive(self.cap, ("cap",))

    def _method_misfits(self, kind: Kind) -> Iterator[Problem]:
        fitting = SEQUENTIAL_METHODS[kind]
        method = self.method_for(kind)
        if method not in fitting:
            advice = f"For a {kind} take {' or '.join(fitting)}, or auto." if fitting else ""
            yield Problem(("method",), f"method: {method} does not fit kind: {kind}", advice)
            return
        if self.independent and kind != "samples":
            advice = "Leave it out; other kinds are given interval by interval."
            yield Problem(("independent",), "independent is about samples", advice)
        if method == "ranks" and not self.independent:
            advice = "Write independent: true if that is so, or take method: scores."
            yield Problem(("method",), "method: ranks takes every request as independent", advice)
        if self.independent and method == "scores":
            advice = "Take method: ranks, or leave independent out."
            yield Problem(("independent",), "method: scores does not take requests as independent", advice)
        if method == "betting" and self.cap is None:
            advice = "Give cap, the largest value that counts, or take another method: " + ", ".join(
                other for other in fitting if other != "betting"
            )
            yield Problem(("method",), "method: betting needs values between bounds", f"{advice}.")
        if method != "betting" and self.cap is not None:
            yield Problem(("cap",), "cap is for method: betting", "Leave it out, or take method: betting.")
        for name, default in (("looks", 5), ("spending", "obrien_fleming")):
            if method != "looks" and getattr(self, name) != default:
                advice = "Leave it out; this method may be asked at any time."
                yield Problem((name,), f"{name} is for method: looks, not {method}", advice)
