"""The settings of the sequential rule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from canaryjudge.kinds import KINDS, KindName
from canaryjudge.rules.sequential.methods import METHODS, methods_for
from canaryjudge.rules.settings import AskedMetric, RuleSettings
from canaryjudge.settings import Amount, Problem, Quantity

__all__ = ["Sequential"]


class Sequential(RuleSettings):
    """Is the canary worse than tolerated, asked at every look? Fail and pass are valid at all looks together, however often one asks."""

    kinds: ClassVar[tuple[str, ...]] = tuple(KINDS)
    finds_gross_harm: ClassVar[bool] = True

    rule: Literal["sequential"] = "sequential"
    """The rule's name."""
    method: Literal["auto", "looks", "scores", "ranks", "mixture", "cmh", "betting", "mean", "user_means"] = (
        "auto"
    )
    """`auto` takes the best for the kind of metric: `mixture` (ratios and counts: the rate ratio at any split), `cmh` (histograms: the odds of
    lying beyond each bucket edge), `scores` (samples: ranks, scored once an interval), `looks` (gauges: `mann_whitney` at planned looks), `user_means` (users: their means by an asymptotic confidence sequence).
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

    def method_for(self, kind: str) -> str:
        """Give the method that is used for a kind of metric; `none` where a kind is not watched."""
        if self.method != "auto":
            return self.method
        fitting = methods_for(kind)
        first = fitting[0] if fitting else "none"
        return next((name for name in fitting if METHODS[name].independent == self.independent), first)

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

    def _method_misfits(self, kind: KindName) -> Iterator[Problem]:
        fitting = methods_for(kind)
        method = self.method_for(kind)
        if not fitting:
            advice = f"A {kind} is judged once, by {' or '.join(KINDS[kind].default_rules)}."
            yield Problem((), f"the rule sequential does not fit kind: {kind}", advice)
            return
        if method not in fitting:
            advice = f"For a {kind} take {' or '.join(fitting)}, or auto."
            yield Problem(("method",), f"method: {method} does not fit kind: {kind}", advice)
            return
        if self.independent and (not KINDS[kind].is_raw or KINDS[kind].has_users):
            advice = (
                "Leave it out; users are independent anyway, and other kinds are given interval by interval."
            )
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
        for name in METHODS["looks"].takes:
            if method != "looks" and getattr(self, name) != type(self).model_fields[name].default:
                advice = "Leave it out; this method may be asked at any time."
                yield Problem((name,), f"{name} is for method: looks, not {method}", advice)
