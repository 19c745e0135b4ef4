"""The settings of rules about objectives: what the canary must hold, by itself or beside the baseline."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema, model_validator

from canaryjudge.policy.rule_settings import AskedMetric, RuleSettings
from canaryjudge.quantities import (
    PERCENT_PATTERN,
    parse_fraction,
    percent,
    relative_or_absolute,
    shown,
)
from canaryjudge.settings import Amount, Path, PolicyModel, Problem, Quantity

__all__ = ["Change", "Slo"]

_PERCENTILE = re.compile(r"p([0-9]{1,2}(?:\.[0-9]{1,12})?)")
_FORMS = ("value", "change", "between")
_FITTING = {
    "gauge": "mean, median, min, max, within or a percentile like p99",
    "samples": "mean, median, min, max, within or a percentile like p99",
    "histogram": "median, within or a percentile like p99",
    "ratio": "pooled",
    "count": "pooled",
}


def _signed_fraction(value: object) -> float:
    fraction = parse_fraction(value)
    if abs(fraction) > 1 and not isinstance(value, str):
        raise ValueError(
            f"{shown(value)} would be {_signed(fraction)}; write {shown(value)}%, or {_signed(fraction)} if you mean it"
        )
    if fraction < -1:
        raise ValueError(f"{shown(value)} would leave less than nothing; write -100% or more")
    return fraction


def _signed(fraction: float) -> str:
    return ("-" if fraction < 0 else "") + percent(abs(fraction))


def _two(value: object) -> object:
    if isinstance(value, list | tuple) and len(value) != 2:
        raise ValueError(f"{len(value)} bound{'' if len(value) == 1 else 's'}; write two: [low, high]")
    return value


RelativeChange = Annotated[
    float,
    BeforeValidator(_signed_fraction),
    PlainSerializer(lambda fraction: _signed(fraction) if abs(fraction) > 1 else fraction),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": -1, "maximum": 1},
                {"type": "string", "pattern": PERCENT_PATTERN},
            ],
            "examples": ["+10%", "-8%"],
        }
    ),
]
"""A signed change as a fraction, written ``+10%`` or ``0.1``; above 1 only in percent."""

Ends = Annotated[tuple[Amount, Amount], BeforeValidator(_two)]
"""The lower and the upper bound of what is allowed."""


class Change(PolicyModel):
    """How far the canary may lie from the baseline; of two parts the laxer counts."""

    relative: RelativeChange | None = None
    """Relative to the baseline's own aggregate: `+10%` is a tenth above it, `-8%` is eight hundredths below."""
    absolute: Amount | None = None
    """In the metric's unit, with its sign: `+5ms`; of a share `+0.1%` means percentage points. It is what counts at a baseline of zero."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return relative_or_absolute(value, signed=True)

    def _contradictions(self) -> Iterator[Problem]:
        if self.relative is None and self.absolute is None:
            yield Problem((), "there is no change", "Give relative, absolute or both, such as +10%.")
        elif (
            self.relative is not None
            and self.absolute is not None
            and self.relative * self.absolute.number < 0
        ):
            wrong = "relative and absolute go in different directions, so that one never counts"
            yield Problem((), wrong, "Give both the same sign; the laxer of the two counts.")


class Slo(RuleSettings):
    """Does the canary meet an objective? An aggregate of its values against a threshold, against the baseline's, or between two bounds."""

    kinds: ClassVar[tuple[str, ...]] = ("gauge", "samples", "histogram", "ratio", "count")

    rule: Literal["slo"] = "slo"
    """The rule's name."""
    of: str
    """What is held against the objective: `mean`, `median`, `min`, `max` or a percentile such as `p99` of the points (of histograms the median,
    or a percentile); `within`, the share of observations that are at most `bound`; `pooled`, events over total (ratios and counts)."""
    bound: Amount | None = None
    """With `of: within`: the largest observation that counts, in the metric's unit."""
    op: Literal["lt", "lte", "gt", "gte"] | None = None
    """How the aggregate must stand to the value, or to the baseline and the change, for the objective to be met. Left out with `between`."""
    value: Amount | None = None
    """The objective's threshold, in the metric's unit; of a share (`within`, or a ratio) `%` is a fraction of its total."""
    change: Change | None = None
    """An objective relative to the baseline: `+10%`, `+5ms` or `{relative: +10%, absolute: +5ms}` (the laxer part counts)."""
    between: Ends | None = None
    """The lower and the upper bound of the aggregate, both allowed: `[low, high]`."""
    fail_value: Amount | None = None
    """With `value`: a laxer threshold; what breaches the objective fails only beyond this, and is marginal until there."""
    fail_change: Change | None = None
    """With `change`: the same, with the same parts."""
    fail_between: Ends | None = None
    """With `between`: the same, for both bounds."""
    method: Literal["auto", "exact", "score"] = "auto"
    """Of shares (`within`, and `pooled` of ratios) against a value or two: `exact` is Clopper and Pearson's interval, `score` Wilson's with continuity
    correction, kept from erring more often than promised by the exact one; `auto` is `exact`."""
    evidence: Literal["interval", "point"] = "interval"
    """`interval`: fail and pass are proven by a confidence bound. `point`: the estimate alone decides, which waives alpha and beta for this rule."""
    blame: Literal["environment", "canary"] = "environment"
    """Where the baseline breaches the objective too: `environment` makes it marginal, `canary` fails it all the same. Without meaning for a change."""

    def _contradictions(self) -> Iterator[Problem]:
        if self.of not in ("mean", "median", "min", "max", "pooled", "within") and self.percentile is None:
            known = "It is one of mean, median, min, max, pooled, within, or a percentile like p99."
            yield Problem(("of",), f"{shown(self.of)} is not an aggregate", known)
        if self.of in ("min", "max") and self.evidence == "interval":
            advice = "Write evidence: point, or take a percentile like p99."
            yield Problem(("of",), f"an observed {self.of} has no confidence interval", advice)
        if self.of == "within" and self.bound is None:
            yield Problem(
                ("of",), "of: within needs a bound", "Give bound: the largest observation that counts."
            )
        if self.of != "within" and self.bound is not None:
            yield Problem(("bound",), "bound is for of: within", "Leave it out, or take of: within.")
        if self.method != "auto" and self.of not in ("within", "pooled"):
            yield Problem(("method",), f"method: {self.method} is for shares", "Leave it out.")
        yield from self._form_contradictions()

    def _form_contradictions(self) -> Iterator[Problem]:
        given = [name for name in _FORMS if getattr(self, name) is not None]
        if not given:
            yield Problem((), "there is no objective", "Give value, change or between.")
            return
        if len(given) > 1:
            advice = "Leave one out; the rule all_of holds several objectives."
            yield Problem((given[1],), f"{given[0]} and {given[1]} are two objectives", advice)
            return
        form = given[0]
        if form == "between" and self.op is not None:
            yield Problem(("op",), "between needs no op", "Leave op out; both bounds are allowed values.")
        if form != "between" and self.op is None:
            advice = f"Add op: lte or gte (or lt, gt): how the aggregate must stand to the {form}."
            yield Problem((), "'op' is missing", advice)
        if form == "change" and self.method != "auto":
            advice = "Leave it out; a change has the test of two samples that fits."
            yield Problem(("method",), f"method: {self.method} is for value and between", advice)
        for other in _FORMS:
            if other != form and getattr(self, f"fail_{other}") is not None:
                advice = f"Give fail_{form}, or leave it out."
                yield Problem((f"fail_{other}",), f"fail_{other} goes with {other}, not with {form}", advice)
        if form == "change":
            yield from self._change_contradictions()

    def _change_contradictions(self) -> Iterator[Problem]:
        change, fail = self.change, self.fail_change
        if change is None or fail is None:
            return
        given, failing = ((each.relative is None, each.absolute is None) for each in (change, fail))
        if given != failing:
            advice = "Give both the same: relative, absolute or both."
            yield Problem(("fail_change",), "change and fail_change have different parts", advice)

    def in_unit_of(self, metric: AskedMetric) -> Self:
        """Give the same settings with every quantity in the metric's unit."""

        def told(amount: Quantity | None) -> Quantity | None:
            return None if amount is None else Quantity(number=self.in_unit(amount, metric))

        def moved(change: Change | None) -> Change | None:
            if change is None or change.absolute is None:
                return change
            return change.model_copy(update={"absolute": Quantity(number=self.parts(change, metric)[1])})

        bound = None if self.bound is None else Quantity(number=metric.quantity(self.bound, "the bound"))
        ends = {
            name: None if pair is None else tuple(told(end) for end in pair)
            for name, pair in (("between", self.between), ("fail_between", self.fail_between))
        }
        return self.model_copy(
            update={
                "bound": bound,
                "value": told(self.value),
                "fail_value": told(self.fail_value),
                "change": moved(self.change),
                "fail_change": moved(self.fail_change),
                **ends,
            }
        )

    def misfits(self, metric: AskedMetric) -> Iterator[Problem]:
        """Find what does not fit a metric; paths start at the rule."""
        yield from super().misfits(metric)
        events = metric.kind in ("ratio", "count")
        plain = self.of in ("mean", "min", "max")
        if (self.of == "pooled") != events or (metric.kind == "histogram" and plain):
            why = "; bucket counts do not know it" if metric.kind == "histogram" and plain else ""
            wrong = f"of: {self.of} does not fit kind: {metric.kind}{why}"
            yield Problem(("of",), wrong, f"Take {_FITTING[metric.kind]}.")
            return
        if self.method == "score" and metric.kind == "count":
            yield Problem(("method",), "method: score is for shares, not for counts", "Leave it out.")
        if self.bound is not None:
            yield from metric.misfit(self.bound, ("bound",))
        problems = [*self._amount_misfits(metric)]
        yield from problems or self._order_misfits(metric)

    def _amount_misfits(self, metric: AskedMetric) -> Iterator[Problem]:
        for path, amount in self._amounts():
            if self.of != "within":
                yield from metric.misfit(amount, path)
                continue
            try:
                self.in_unit(amount, metric)
            except ValueError as error:
                yield Problem(path, str(error))

    def _amounts(self) -> Iterator[tuple[Path, Quantity]]:
        for prefix in ("", "fail_"):
            value, change, between = (getattr(self, f"{prefix}{form}") for form in _FORMS)
            if value is not None:
                yield (f"{prefix}value",), value
            if change is not None and change.absolute is not None:
                # a fall has a size too, and is one of the metric as far as its size is
                size = Quantity(number=abs(change.absolute.number), unit=change.absolute.unit)
                yield (f"{prefix}change", "absolute"), size
            for index, end in enumerate(between or ()):
                yield (f"{prefix}between", index), end

    def _order_misfits(self, metric: AskedMetric) -> Iterator[Problem]:
        """Find bounds in the wrong order, now that they can be compared in one unit."""
        upward = self.op in ("lt", "lte")
        if self.between is not None:
            low, high = (self.in_unit(end, metric) for end in self.between)
            if low > high:
                yield Problem(
                    ("between",), f"the lower bound {low:g} is above the upper bound {high:g}", "Swap them."
                )
            elif low == high and self.evidence == "interval":
                yield Problem(
                    ("between",),
                    f"the bounds are both {low:g}, and no confidence interval lies within one number",
                    "Leave room between them, or write evidence: point.",
                )
            elif self.fail_between is not None:
                fail_low, fail_high = (self.in_unit(end, metric) for end in self.fail_between)
                if fail_low > low or fail_high < high:
                    yield _stricter("between")
        elif self.value is not None and self.fail_value is not None:
            value, fail = self.in_unit(self.value, metric), self.in_unit(self.fail_value, metric)
            if fail < value if upward else fail > value:
                yield _stricter("value")
        elif self.change is not None and self.fail_change is not None:
            pairs = zip(self.parts(self.change, metric), self.parts(self.fail_change, metric), strict=True)
            if any(a is not None and b is not None and (b < a if upward else b > a) for a, b in pairs):
                yield _stricter("change")

    def in_unit(self, amount: Quantity, metric: AskedMetric) -> float:
        """Give an amount of the objective in the metric's unit, or as a fraction where it is about a share.

        Raises
        ------
        ValueError
            If the units do not fit.
        """
        if self.of != "within":
            return metric.quantity(amount, "the objective's value")
        if amount.unit not in ("", "%", "pp"):
            raise ValueError(
                f"{amount.number:g}{amount.unit} is not a share of the observations; write it like 99%"
            )
        share = float(Decimal(repr(amount.number)).scaleb(-2)) if amount.unit else amount.number
        if not 0 <= share <= 1:
            meant = f"; did you mean {amount.number:g}%?" if not amount.unit and 1 < share <= 100 else ""
            raise ValueError(f"{amount.number:g}{amount.unit} is not a share between 0 % and 100 %{meant}")
        return share

    def parts(self, change: Change, metric: AskedMetric) -> tuple[float | None, float | None]:
        """Give the relative part of a change as a fraction, and the absolute part in the metric's unit; None for what is not given."""
        amount = change.absolute
        if amount is None:
            return change.relative, None
        size = self.in_unit(Quantity(number=abs(amount.number), unit=amount.unit), metric)
        return change.relative, -size if amount.number < 0 else size

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


def _stricter(form: str) -> Problem:
    advice = f"Make fail_{form} the laxer one, or leave it out."
    return Problem((f"fail_{form}",), f"fail_{form} is stricter than {form}", advice)
