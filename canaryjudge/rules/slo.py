"""Hold an aggregate of the canary's values against an objective: a threshold, two bounds, or a change from the baseline."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator
from scipy.special import ndtri

from canaryjudge.kinds import KINDS
from canaryjudge.quantities import (
    PERCENT_PATTERN,
    hundredth,
    parse_fraction,
    percent,
    relative_or_absolute,
    shown,
)
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.aggregates import Aggregate, Measure, is_constant, measure, observed
from canaryjudge.rules.changes import Comparison, Limit, compare
from canaryjudge.rules.decision import more_points
from canaryjudge.rules.findings import EffectFinding, Facts, Interval, Number, Waiver
from canaryjudge.rules.registry import per_pair, rule
from canaryjudge.rules.rows import ErrorRates, Pair
from canaryjudge.rules.settings import AskedMetric, RuleSettings
from canaryjudge.settings import Amount, Path, PolicyModel, Problem, Quantity
from canaryjudge.stats.ties import above, at_least

__all__ = ["Change", "ObjectiveFacts", "Slo", "SloFinding", "aggregate_of"]

_UNBOUNDED = (-np.inf, np.inf)
_SMALLEST_PVALUE = 1e-300


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
    models: ClassVar[Mapping[str, type[PolicyModel]]] = {"change": Change}

    rule: Literal["slo"] = "slo"
    """The rule's name."""
    of: str
    """What is held against the objective: `mean`, `median`, `min`, `max` or a percentile such as `p99` of the points (of histograms the median,
    or a percentile); `within`, the share of observations that are at most `bound`; `pooled`, events over total (ratios and counts)."""
    exceptions: Annotated[int, Field(strict=True, ge=0)] = 0
    """With `min` and `max`: so many intervals may lie beyond the objective; one more breaches it, as with Argo Rollouts' `failureLimit`."""
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
        if self.exceptions and self.of not in ("min", "max"):
            yield Problem(("exceptions",), "exceptions are for of: min and of: max", "Leave it out.")
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
        if metric.kind not in self.kinds:
            return
        events = KINDS[metric.kind].counts_events
        plain = self.of in ("mean", "min", "max")
        if (self.of == "pooled") != events or (KINDS[metric.kind].has_buckets and plain):
            why = "; bucket counts do not know it" if KINDS[metric.kind].has_buckets and plain else ""
            wrong = f"of: {self.of} does not fit kind: {metric.kind}{why}"
            yield Problem(("of",), wrong, f"Take {_FITTING[metric.kind]}.")
            return
        if self.method == "score" and KINDS[metric.kind].is_rate:
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
        share = hundredth(amount.number) if amount.unit else amount.number
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
        return hundredth(match[1])  # 99.9 / 100 is above 0.999 in binary, and takes the next point


def _stricter(form: str) -> Problem:
    advice = f"Make fail_{form} the laxer one, or leave it out."
    return Problem((f"fail_{form}",), f"fail_{form} is stricter than {form}", advice)


class ObjectiveFacts(Facts):
    """What an objective asks, where a limit alone does not say it."""

    change_relative: Number = None
    """The part of the baseline's aggregate by which the canary may differ, signed; None where the objective is not about that."""
    change_absolute: Number = None
    """The same in the metric's unit."""
    fail_high: Number = None
    """Where the canary fails, if that lies above `limit_high`."""
    fail_low: Number = None
    """Where the canary fails, if that lies below `limit_low`."""
    bound: Number = None
    """Of `within`: the largest observation that counts."""
    exceptions: Number = None
    """Of `min` and `max`: how many of the farthest intervals are left out."""
    bucket_low: Number = None
    """Of histograms: lower edge of the bucket that the percentile, or the bound of `within`, lies in."""
    bucket_high: Number = None
    """The upper edge of that bucket."""


class SloFinding(EffectFinding):
    """Whether the canary meets an objective."""

    rule: Literal["slo"]
    """The rule's name."""
    of: str | None = None
    """The aggregate that the objective is about; None where nothing could be asked yet."""
    op: Literal["lt", "lte", "gt", "gte"] | None = None
    """How it must stand to the limit; None between two limits."""
    objective: ObjectiveFacts | None = None
    """What the objective asks beyond `op` and its limit."""
    dispersion: Number = None
    """Variance of events between intervals over that of independent events; 1 where no more was found, None where there are no events."""
    total_baseline: Number = None
    """Total of the baseline: its requests, its exposure, its observations."""
    total_canary: Number = None
    """Total of the canary."""
    events_baseline: Number = None
    """Events of the baseline."""
    events_canary: Number = None
    """Events of the canary."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """One bound of an objective, as numbers."""

    op: str
    """How the canary must stand to the limit."""
    limit: float
    """What the objective asks."""
    fail_limit: float
    """Beyond what it fails; the limit itself, or a laxer one."""

    size: float = 0.0
    """How large the numbers are that the limits were computed from."""

    @property
    def upward(self) -> bool:
        """Whether the canary must not lie above the limit; otherwise not below."""
        return self.op in ("lt", "lte")

    def holds(self, estimate: float, limit: float) -> bool:
        """Tell whether an estimate stands to a limit as it must; what differs by rounding is equal."""
        one, other = (estimate, limit) if self.upward else (limit, estimate)
        return bool(
            at_least(other, one, self.size) if self.op in ("lte", "gte") else above(other, one, self.size)
        )


@dataclass(frozen=True, slots=True)
class _Side:
    """One bound of an objective, and what the data say about it."""

    asked: _Asked
    breached: float
    """P-value of the null that the canary does not lie beyond the bound at which it fails."""
    warned: float
    """The same of the objective's limit."""
    met: float
    """P-value of the null that it does lie beyond the limit."""
    fail_bounds: tuple[float, float] = _UNBOUNDED
    """Bounds of the canary's aggregate at the level of a fail."""
    pass_bounds: tuple[float, float] = _UNBOUNDED
    """The same at the level of a pass."""
    baseline_breaches: bool = False
    """Whether the baseline lies beyond the bound at which it fails."""
    baseline_warns: bool = False
    """The same of the limit."""


@dataclass(frozen=True, slots=True)
class _Judged:
    """What the data say about an objective."""

    canary: Measure
    baseline: Measure
    sides: tuple[_Side, ...]
    method: str
    dispersion: float | None
    rho: float
    abstains: bool
    waived: tuple[Waiver, ...]
    tested: bool = True
    """Whether there are p-values, rather than the estimate alone."""
    limit: Limit | None = None
    """The change that is asked, if it is one."""
    identical: bool = False
    """Whether both arms have one and the same value throughout."""


@rule(Slo, SloFinding)
@per_pair
def judge(pair: Pair, settings: Slo) -> dict[str, Any]:
    """Judge whether the canary meets an objective.

    An objective about the canary's own values holds whatever the baseline does. Where the baseline breaches it too, the canary is not to
    blame: marginal, unless the policy blames it. An objective relative to the baseline allows for the baseline's being an estimate.
    """
    aggregate = aggregate_of(pair, settings)
    if settings.change is None:
        asked = _thresholds(settings)
        if settings.evidence == "interval":
            judged = _by_interval(pair, aggregate, asked, pair.rates)
        else:
            judged = _by_estimate(measure(pair.canary, aggregate), measure(pair.baseline, aggregate), asked)
        return _found(pair, settings, aggregate, judged)
    canary, baseline = measure(pair.canary, aggregate), measure(pair.baseline, aggregate)
    limit, fail_limit = (
        _moving(change, upward=settings.op in ("lt", "lte"))
        for change in (settings.change, settings.fail_change or settings.change)
    )
    level = baseline.estimate
    one = _Asked(settings.op or "lte", limit.at(level), fail_limit.at(level), level)
    if settings.evidence == "point":
        judged = _by_estimate(canary, baseline, (one,), relative=True)
    else:
        comparison = compare(pair, aggregate, canary, baseline)
        judged = _by_comparison(pair, comparison, one, (limit, fail_limit), pair.rates)
    return _found(pair, settings, aggregate, replace(judged, limit=limit))


def aggregate_of(pair: Pair, settings: Slo) -> Aggregate:
    """Say which aggregate of an arm an objective is about."""
    bound = None if settings.bound is None else settings.bound.number
    score = settings.method == "score"
    return Aggregate(
        settings.of,
        settings.percentile,
        bound,
        pair.kind,
        pair.edges,
        score=score,
        exceptions=settings.exceptions,
    )


def _moving(change: Change, *, upward: bool) -> Limit:
    """Give a limit that moves with the baseline."""
    return Limit(change.relative, None if change.absolute is None else change.absolute.number, upward=upward)


def _thresholds(settings: Slo) -> tuple[_Asked, ...]:
    """Give the bounds that a policy names."""
    if settings.between is not None:
        (low, high), (fail_low, fail_high) = settings.between, settings.fail_between or settings.between
        return _Asked("lte", high.number, fail_high.number), _Asked("gte", low.number, fail_low.number)
    value = settings.value
    assert value is not None  # noqa: S101 - the policy asks for one form
    return (_Asked(settings.op or "lte", value.number, (settings.fail_value or value).number),)


def _by_interval(pair: Pair, aggregate: Aggregate, asked: tuple[_Asked, ...], rates: ErrorRates) -> _Judged:
    """Hold both arms against thresholds by their p-values."""
    sides = []
    for one in asked:
        # at the value itself, <= and > take a percentile for "at most", < and >= for "at least"
        canary, baseline = (
            measure(arm, aggregate, mirrored=one.op in ("lt", "gte")) for arm in (pair.canary, pair.baseline)
        )
        worse, better = (0, 1) if one.upward else (1, 0)
        at_limit = canary.against(one.limit)
        sides.append(
            _Side(
                asked=one,
                breached=canary.against(one.fail_limit)[worse],
                warned=at_limit[worse],
                met=at_limit[better],
                fail_bounds=canary.bounds(rates.level / len(asked)),
                pass_bounds=canary.bounds(rates.beta),
                baseline_breaches=baseline.against(one.fail_limit)[worse] <= rates.beta,
                baseline_warns=baseline.against(one.limit)[worse] <= rates.beta,
            )
        )
    return _Judged(
        canary=canary,
        baseline=baseline,
        sides=tuple(sides),
        method=canary.method,
        dispersion=canary.dispersion,
        rho=canary.rho,
        abstains=canary.abstains,
        waived=canary.waived,
    )


def _by_estimate(
    canary: Measure, baseline: Measure, asked: tuple[_Asked, ...], *, relative: bool = False
) -> _Judged:
    """Hold the estimates alone against the bounds."""
    sides = tuple(
        _Side(
            asked=one,
            breached=float(one.holds(canary.estimate, one.fail_limit)),
            warned=float(one.holds(canary.estimate, one.limit)),
            met=1 - float(one.holds(canary.estimate, one.limit)),
            baseline_breaches=not relative and not one.holds(baseline.estimate, one.fail_limit),
            baseline_warns=not relative and not one.holds(baseline.estimate, one.limit),
        )
        for one in asked
    )
    return _Judged(
        canary=canary,
        baseline=baseline,
        sides=sides,
        method="point",
        dispersion=canary.dispersion,
        rho=0.0,
        abstains=False,
        waived=("point_evidence",),
        tested=False,
    )


def _by_comparison(
    pair: Pair, comparison: Comparison, one: _Asked, limits: tuple[Limit, Limit], rates: ErrorRates
) -> _Judged:
    """Hold the canary against a limit that moves with the baseline."""
    limit, fail_limit = limits
    worse, better = ("greater", "less") if one.upward else ("less", "greater")
    held = one.holds(comparison.canary.estimate, one.limit)
    certain = KINDS[pair.kind].is_measured and all(
        is_constant(observed(arm)) for arm in (pair.canary, pair.baseline)
    )
    same = comparison.canary.estimate == comparison.baseline.estimate
    if certain and (same or comparison.canary.method == "mean"):
        fails = not one.holds(comparison.canary.estimate, one.fail_limit)
        only = (comparison.canary.estimate, comparison.canary.estimate)
        side = _Side(one, 0.0 if fails else 1.0, float(held), 1 - float(held), only, only)
    else:
        breached, warned = (
            float(getattr(comparison.pvalues(each, rates.level), worse)) for each in (fail_limit, limit)
        )
        side = _Side(
            asked=one,
            breached=breached,
            warned=warned,
            met=float(getattr(comparison.pvalues(limit, rates.beta), better)),
            fail_bounds=comparison.bounds(limit, rates.level),
            pass_bounds=comparison.bounds(limit, rates.beta),
        )
    return _Judged(
        canary=comparison.canary,
        baseline=comparison.baseline,
        sides=(side,),
        method=comparison.method(limit),
        dispersion=comparison.dispersion,
        rho=comparison.rho,
        abstains=comparison.abstains,
        waived=comparison.waived,
        identical=certain and same,
    )


def _zone(judged: _Judged, rates: ErrorRates, *, blamed: bool) -> tuple[Outcome, Reason]:
    """Tell what is proven: a breach, a breach that only warns, a pass, or nothing yet."""
    if judged.abstains:
        return Outcome.MARGINAL, Reason.ABSTAINS
    level = rates.level / len(judged.sides)
    fails = [side for side in judged.sides if side.breached <= level]
    warns = [side for side in judged.sides if side.warned <= level]
    excused = (
        all(side.baseline_breaches for side in fails) if fails else all(side.baseline_warns for side in warns)
    )
    if warns and excused and not blamed:
        return Outcome.MARGINAL, Reason.ENVIRONMENT_UNHEALTHY
    if fails:
        return Outcome.FAIL, Reason.BREACHED
    if warns:
        return Outcome.MARGINAL, Reason.WARNING
    if max(side.met for side in judged.sides) <= rates.beta:
        return Outcome.PASS, Reason.IDENTICAL if judged.identical else Reason.OBJECTIVE_MET
    if judged.limit is not None and judged.limit.absolute is None and judged.baseline.estimate == 0:
        return Outcome.MARGINAL, Reason.NEEDS_ABSOLUTE_TOLERANCE
    return Outcome.MARGINAL, Reason.UNDECIDED


def _found(pair: Pair, settings: Slo, aggregate: Aggregate, judged: _Judged) -> dict[str, Any]:
    rates = pair.rates
    outcome, reason = _zone(judged, rates, blamed=settings.blame == "canary")
    canary, limits = judged.canary, {side.asked.upward: side.asked for side in judged.sides}
    facts: dict[str, Any] = {}
    if judged.tested:
        facts = _proofs(judged, rates)
        if reason not in (Reason.UNDECIDED, Reason.ABSTAINS):
            facts["more_points"] = None
        if judged.dispersion is not None:
            facts["autocorrelation"] = judged.rho
    if settings.of == "pooled":
        facts |= {
            "total_baseline": pair.baseline.exposure,
            "total_canary": pair.canary.exposure,
            "events_baseline": pair.baseline.events,
            "events_canary": pair.canary.events,
        }
    elif KINDS[aggregate.kind].has_buckets:
        facts |= {"total_baseline": pair.baseline.events, "total_canary": pair.canary.events}
    return facts | {
        "outcome": outcome,
        "reason": reason,
        "method": judged.method,
        "scale": "objective",
        "estimate": canary.estimate,
        "limit_high": limits[True].limit if True in limits else None,
        "limit_low": limits[False].limit if False in limits else None,
        "baseline_level": judged.baseline.estimate,
        "canary_level": canary.estimate,
        "dispersion": judged.dispersion,
        "of": settings.of,
        "op": settings.op,
        "waived": judged.waived,
        "objective": _objective(aggregate, judged, limits),
    }


def _proofs(judged: _Judged, rates: ErrorRates) -> dict[str, Any]:
    """Give p-values, intervals and what is missing; each end of an interval is the one that is held against a bound."""
    sides, estimate = judged.sides, judged.canary.estimate
    bounds = [(_UNBOUNDED, _UNBOUNDED) if judged.abstains else (s.fail_bounds, s.pass_bounds) for s in sides]
    nearest = min(range(len(sides)), key=lambda i: abs(sides[i].asked.limit - estimate))
    upward, limit = sides[nearest].asked.upward, sides[nearest].asked.limit
    beyond = (estimate > limit) == upward
    bound = bounds[nearest][0 if beyond else 1][0 if upward == beyond else 1]
    level = rates.level / len(sides)
    pvalues = {
        "pvalue": min(1.0, len(sides) * min(side.breached for side in sides)),
        "pvalue_pass": max(side.met for side in sides),
    }
    if judged.limit is not None and judged.limit.absolute is None and judged.baseline.estimate == 0:
        return pvalues  # in parts of nothing, nothing is bounded
    points, power = judged.canary.points, 1 if judged.canary.eventless else 2
    if judged.canary.bucket is None:
        missing = more_points(points, abs(limit - estimate), abs(bound - estimate), power)
    else:  # what is known to a bucket gets no closer to a limit, but surer of the side that it lies on
        side = sides[nearest]
        found, rate = (side.breached, level) if beyond else (side.met, rates.beta)
        deviate = -float(ndtri(min(max(found, _SMALLEST_PVALUE), 0.5)))
        missing = more_points(points, deviate, -float(ndtri(rate)), power)
    return pvalues | {
        # the lower end proves a breach of the upper bound, the upper end that it is met
        "interval": Interval(low=bounds[0][0][0], high=bounds[-1][0][1], error=level),
        "pass_interval": Interval(low=bounds[-1][1][0], high=bounds[0][1][1], error=rates.beta),
        "more_points": missing,
    }


def _objective(aggregate: Aggregate, judged: _Judged, limits: dict[bool, _Asked]) -> ObjectiveFacts | None:
    """Give what the limits do not say of an objective; None where they say it all."""
    laxer = {
        name: limits[upward].fail_limit
        for name, upward in (("fail_high", True), ("fail_low", False))
        if upward in limits and limits[upward].fail_limit != limits[upward].limit
    }
    facts: dict[str, Any] = laxer
    bucket = judged.canary.bucket
    if aggregate.bound is not None:
        facts |= {"bound": aggregate.bound}
    if aggregate.exceptions:
        facts |= {"exceptions": aggregate.exceptions}
    if bucket is not None:
        facts |= {"bucket_low": bucket[0], "bucket_high": bucket[1]}
    if judged.limit is not None:
        facts |= {"change_relative": judged.limit.relative, "change_absolute": judged.limit.absolute}
    return ObjectiveFacts(**facts) if facts else None
