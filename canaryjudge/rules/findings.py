"""What a rule found: facts without words. Each rule's own finding adds its fields to these.

Numbers are kept to ten significant digits, so that the same data give the same bytes on every machine; what is not finite
(not computed, or unbounded) is None, because JSON has no other word for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import repeat
from numbers import Real
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict

from canaryjudge.reasons import Outcome, Reason

__all__ = [
    "UNSAID",
    "Draft",
    "EffectFinding",
    "EventsFinding",
    "Facts",
    "Finding",
    "Interval",
    "LevelFinding",
    "NoiseFloorFacts",
    "Number",
    "PassBound",
    "ReplicaFacts",
    "Scale",
    "Waiver",
    "WatchFacts",
    "build",
    "build_rows",
    "built",
    "intervals",
    "ten_digits",
]

Scale = Literal["relative", "absolute", "objective"]

PassBound = Literal["tolerance", "stated", "usual"]

Waiver = Literal[
    "aggregate_score",
    "no_data_ignored",
    "not_proven_worse_passes",
    "point_evidence",
    "independence_assumed",
    "outside_proven_range",
    "no_earlier_days",
    "replicas_pooled",
    "nothing_required",
    "deadline_passes",
    "deadline_fails",
]


def _finite(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError("this is not a number")  # noqa: TRY004 - pydantic wants ValueError
    try:
        number = float(value)
    except OverflowError:
        return None
    number = float(f"{number:.10g}") + 0.0  # + 0.0 turns -0.0 into 0.0
    return number if math.isfinite(number) else None  # the largest of floats is rounded beyond them


Number = Annotated[float | None, BeforeValidator(_finite)]
"""A finite number of ten significant digits, or None."""


_EXACT: Final = (1e-13, 1e22)
"""Powers of ten between these are exact, so that numbers of ten digits are the decimal ones that they look like."""


def ten_digits(numbers: NDArray[np.float64]) -> list[float]:
    """Round to ten significant digits, as all numbers of a verdict are; all at once, because there are many. What is not finite stays."""
    sizes = np.abs(numbers)
    exact = (sizes >= _EXACT[0]) & (sizes < _EXACT[1])
    shift = 9 - np.floor(np.log10(np.where(exact, sizes, 1.0)))
    up, down = 10.0 ** np.maximum(shift, 0), 10.0 ** np.maximum(-shift, 0)
    rounded: list[float] = np.where(
        exact, np.rint(np.where(exact, numbers, 0.0) * up / down) / up * down, 0.0
    ).tolist()
    for place in np.flatnonzero(~exact & (numbers != 0)).tolist():
        rounded[place] = float(f"{numbers[place]:.10g}")
    return rounded


def _rounded_up(value: float, digits: int = 2) -> float:
    """Give the next number of so few digits that is no smaller."""
    step = 10.0 ** (math.floor(math.log10(value)) + 1 - digits)
    return float(f"{math.ceil(value / step * (1 - 1e-12)) * step:.{digits}g}")


class Facts(BaseModel):
    """Base of all facts: frozen, and no key that is not one of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    show: ClassVar[Callable[[Facts], str]]
    """How facts are shown in a notebook; the room that has the words sets it."""

    def _repr_html_(self) -> str:
        return type(self).show(self)


_Built = TypeVar("_Built", bound=Facts)


class Draft(NamedTuple):
    """Facts to be built of what the library itself computed: numbers as they came out, nothing of another type than the model's."""

    model: type[Facts]
    fields: Mapping[str, Any]


class _Shape(NamedTuple):
    defaults: dict[str, Any]
    numbers: tuple[str, ...]
    nested: tuple[str, ...]
    """Those that may be facts themselves."""
    names: set[str]
    """All of them: facts are frozen, so that they can share it."""


@cache
def _shape(model: type[Facts]) -> _Shape:
    """Find what a model's facts are where nothing is said, and which of them are rounded."""
    fields = model.model_fields
    numbers = [name for name, field in fields.items() if any(_rounds(part) for part in field.metadata)]
    nested = [name for name, field in fields.items() if _holds_facts(field.annotation)]
    return _Shape(
        {name: field.default for name, field in fields.items()}, tuple(numbers), tuple(nested), set(fields)
    )


def _holds_facts(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, Facts):
        return True
    return any(map(_holds_facts, get_args(annotation)))


def _rounds(part: object) -> bool:
    return isinstance(part, BeforeValidator) and part.func is _finite


def build(drafts: Sequence[Draft]) -> list[Any]:
    """Build facts, drafts within them too, as their models would: of many at once that is ten times as fast, because all numbers are rounded together."""
    numbers: list[float] = []
    places: list[tuple[dict[str, Any], str]] = []

    def made(draft: Draft) -> Facts:
        shape = _shape(draft.model)
        facts = {**shape.defaults, **draft.fields}
        for name in shape.numbers:
            if (value := facts[name]) is not None:
                numbers.append(value)
                places.append((facts, name))
        for name in shape.nested:
            if type(value := facts[name]) is Draft:
                facts[name] = made(value)
        return _of_fields(draft.model, facts, shape)

    found = [made(draft) for draft in drafts]
    for (facts, name), number in zip(places, ten_digits(np.array(numbers, dtype=np.float64)), strict=True):
        facts[name] = number if math.isfinite(number) else None
    return found


def built(model: type[_Built], fields: Mapping[str, Any]) -> _Built:
    """Build facts of what the library itself computed, with nothing in them that is still to be built: as the model would, without a look at the types."""
    shape = _shape(model)
    facts = {**shape.defaults, **fields}
    facts.update((name, _finite(facts[name])) for name in shape.numbers)
    return _of_fields(model, facts, shape)


UNSAID: Final = object()
"""Stands in a column for a row of which nothing is said: what a model has by default."""


def build_rows(model: type[_Built], columns: Mapping[str, list[Any]], count: int) -> list[_Built]:
    """Build so many facts of one model as `build` would, given field by field: then all numbers are rounded together. What is facts itself may be a draft, and an interval a tuple of its ends and their error."""
    shape = _shape(model)
    said = dict(columns)
    for name, column in columns.items():
        if UNSAID in column:
            default = shape.defaults[name]
            said[name] = [default if value is UNSAID else value for value in column]
    numbers = [name for name in shape.numbers if name in said]
    rounded = _rounded([said[name] for name in numbers])
    said.update(zip(numbers, rounded, strict=True))
    for name in shape.nested:
        column = said.get(name, [])
        for kind, make in ((Draft, build), (tuple, intervals)):
            places = [place for place, value in enumerate(column) if type(value) is kind]
            if places:
                column = said[name] = [*column]
                for place, made in zip(places, make([column[place] for place in places]), strict=True):
                    column[place] = made
    every = [
        said[name] if name in said else repeat(default, count) for name, default in shape.defaults.items()
    ]
    return [
        _of_fields(model, dict(zip(shape.defaults, row, strict=True)), shape)
        for row in zip(*every, strict=True)
    ]


def _rounded(columns: Sequence[Sequence[float | None]]) -> list[list[float | None]]:
    """Round columns as a model would; None for what is not finite."""
    if not columns:
        return []
    numbers = np.array(columns, dtype=np.float64)  # None is NaN
    finite = np.isfinite(numbers).ravel()
    rounded = np.array(ten_digits(np.where(finite, numbers.ravel(), 0.0)))
    found = rounded.astype(object)
    found[~(finite & np.isfinite(rounded))] = None
    rows: list[list[float | None]] = found.reshape(numbers.shape).tolist()
    return rows


def _of_fields(model: type[_Built], fields: dict[str, Any], shape: _Shape) -> _Built:
    """Make facts of all of their fields, as they are."""
    built = model.__new__(model)
    object.__setattr__(built, "__dict__", fields)
    object.__setattr__(built, "__pydantic_fields_set__", shape.names)
    object.__setattr__(built, "__pydantic_extra__", None)
    object.__setattr__(built, "__pydantic_private__", None)
    return built


class Interval(Facts):
    """A confidence interval; each end alone is wrong with probability `error`."""

    low: Number
    """Lower end; None where unbounded."""
    high: Number
    """Upper end; None where unbounded."""
    error: float
    """Probability that the truth lies beyond one given end."""

    @property
    def confidence_level(self) -> float:
        """Probability that the truth lies between both ends."""
        return 1 - 2 * self.error


def intervals(ends: Sequence[tuple[float, float, float]]) -> list[Interval]:
    """Build intervals of their ends and the error of each."""
    low, high, error = (list(column) for column in zip(*ends, strict=True))
    return build_rows(Interval, {"low": low, "high": high, "error": error}, len(low))


class WatchFacts(Facts):
    """What is known of a rule that is asked more than once."""

    looks: int | None = None
    """Of planned looks: how many have been taken."""
    looks_planned: int | None = None
    """Of planned looks: how many there will be."""
    decided_after: int | None = None
    """Points a side after which it was decided; None while it is not."""
    decided_at: Number = None
    """The time of that point, in seconds since 1970."""
    log_e_fail: Number = None
    """Log10 of the evidence that the canary is worse than tolerated (an e-value: 2 is a hundred times what luck explains)."""
    log_e_pass: Number = None
    """The same, that it is no worse."""
    smallest_visible: Number = None
    """The smallest change in the bad direction that so much data would fail."""


class ReplicaFacts(Facts):
    """The replicas that a change was held against: it counts only as far as it goes beyond how much replicas of one arm differ."""

    baseline: int
    """Replicas of the baseline."""
    canary: int
    """Replicas of the canary."""
    spread: Number = None
    """Standard deviation between replicas of one arm, in the scale of the estimate."""
    dispersion: Number = None
    """Of ratios and counts: variance between the replicas of one arm over that of independent events."""


class NoiseFloorFacts(Facts):
    """How much healthy windows (or replicas, where the arms share the clock) differ by the policy; the intervals are widened by it."""

    spread: Number
    """Standard deviation, in the scale of the estimate."""
    df: Number
    """Degrees of freedom with which it is known; None where it is taken as given."""
    assumed: bool = False
    """Whether nothing has measured it, and it is the policy's `assumed_spread`."""


class Finding(Facts):
    """What one rule found of one metric."""

    rule: str
    """The rule's name."""
    outcome: Outcome
    """What it says."""
    reason: Reason
    """Why."""
    method: str
    """Code of the test that was used, `none` where there was none."""
    level: float
    """Probability of a false fail that this rule may use."""
    beta: float
    """Probability of a false pass."""
    pvalue: Number = None
    """For the null hypothesis that the canary is fine; a fail where it is at most `level`."""
    pvalue_pass: Number = None
    """For the null hypothesis that the canary is worse than tolerated; a pass where it is at most `beta`."""
    n_baseline: int = 0
    """Points (intervals of ratios and counts) of the baseline."""
    n_canary: int = 0
    """Points of the canary."""
    more_points: int | None = None
    """About how many more points a side would decide, at the present noise and estimate; None where more points are not the way."""
    waived: tuple[Waiver, ...] = ()
    """Guarantees that this rule does not give."""
    watch: WatchFacts | None = None
    """Of a rule that is asked more than once: its looks, and its evidence at all of them together."""

    @property
    def far_from_decided(self) -> bool:
        """Whether it would take more than ten times the data that there are."""
        return self.more_points is not None and self.more_points > 10 * min(self.n_baseline, self.n_canary)

    @property
    def effect(self) -> EffectFinding | None:
        """The effect that it is about: of a group, that of the rule that decided."""
        return None


class EffectFinding(Finding):
    """A finding about an effect: an estimate with its intervals, held against limits."""

    scale: Scale = "relative"
    """What estimate, limits and interval are: `relative` to the baseline's level, `absolute` in the metric's unit, or the value itself that
    an `objective` is about."""
    estimate: Number = None
    """The canary's change, or its value under `objective`; positive is larger, whichever direction is bad."""
    interval: Interval | None = None
    """Its confidence interval at `level` an end: what a fail is proven by."""
    pass_interval: Interval | None = None
    """Its confidence interval at `beta` an end: what a pass is proven by."""
    limit_high: Number = None
    """The largest tolerated change upwards, or the objective's value where the canary must stay below it."""
    limit_low: Number = None
    """The same downwards, or the objective's value where the canary must stay above it."""
    pass_high: Number = None
    """The change upwards beyond which a pass excludes harm: the policy's `pass_within`; None under `objective`."""
    pass_low: Number = None
    """The same downwards."""
    pass_by: PassBound | None = None
    """What decided that: the `tolerance`, what the policy has `stated`, or where it states nothing how much the baseline itself varies as `usual`."""
    baseline_level: Number = None
    """The baseline's median, share or rate, or its aggregate under `objective`."""
    canary_level: Number = None
    """The canary's."""
    autocorrelation: Number = None
    """Lag-1 autocorrelation that the test allowed for."""

    @property
    def effect(self) -> EffectFinding:
        """The effect that it is about: itself."""
        return self

    @property
    def intolerable(self) -> bool:
        """Whether the estimate lies beyond what is tolerated."""
        if self.estimate is None:
            return False
        above = self.limit_high is not None and self.estimate > self.limit_high
        return above or (self.limit_low is not None and self.estimate < self.limit_low)

    @property
    def worse_than_baseline(self) -> bool:
        """Whether the canary's level lies farther on the bad side of an objective than the baseline's."""
        canary, baseline = self.estimate, self.baseline_level
        if self.scale != "objective" or canary is None or baseline is None:
            return False
        too_high = self.limit_high is not None and canary > self.limit_high
        too_low = self.limit_low is not None and canary < self.limit_low
        return (too_high and canary > baseline) or (too_low and canary < baseline)

    @property
    def passes_wider(self) -> bool:
        """Whether a pass excludes less than whatever is not tolerated: it lies within its own bound alone."""
        interval = self.pass_interval
        if self.pass_by in (None, "tolerance"):
            return False
        low, high = (None, None) if interval is None else (interval.low, interval.high)
        above = self.limit_high is not None and (high is None or high > self.limit_high)
        below = self.limit_low is not None and (low is None or low < self.limit_low)
        return above or below

    @property
    def held_by_estimate(self) -> bool:
        """Whether harm is excluded as far as a pass asks, and only the estimate lies beyond what is tolerated."""
        return (
            self.outcome is Outcome.MARGINAL
            and self.passes_wider
            and self.pvalue_pass is not None
            and self.pvalue_pass <= self.beta
        )


class LevelFinding(EffectFinding):
    """A finding about a change of the level."""

    probability_worse: Number = None
    """P(a canary point is worse than a baseline point), equals counted half; of `pairs` than that of the same minute."""
    replicas: ReplicaFacts | None = None
    """The replicas that the change was held against; None where they are not told apart."""
    noise_floor: NoiseFloorFacts | None = None
    """The policy's noise floor, as far as it counts here; None where there is none."""

    @property
    def levels_apart(self) -> bool:
        """Whether the two levels differ noticeably otherwise than by `estimate`, which is the test's own: by a tenth of it, and of what is tolerated."""
        canary, baseline = self.canary_level, self.baseline_level
        if self.estimate is None or canary is None or baseline is None:
            return False
        if self.scale == "relative" and baseline == 0:
            return False
        change = (canary - baseline) / (abs(baseline) if self.scale == "relative" else 1.0)
        size = max(
            abs(value) for value in (self.estimate, self.limit_high, self.limit_low) if value is not None
        )
        return abs(change - self.estimate) > size / 10

    @property
    def smallest_passing_tolerance(self) -> float | None:
        """About the smallest tolerance that these data would pass, in the scale of the estimate: the end of the pass interval, as a policy would write it."""
        interval, watch = self.pass_interval, self.watch
        if interval is None or (
            watch is not None and (watch.looks_planned is not None or watch.log_e_fail is not None)
        ):
            return None
        needed = []
        if self.limit_high is not None:
            needed.append(interval.high)
        if self.limit_low is not None:
            low = interval.low
            if (
                low is not None and self.scale == "relative"
            ):  # a fall is tolerated down to 1 / (1 + tolerance)
                low = low / (1 + low) if low > -1 else None
            needed.append(None if low is None else -low)
        known = [need for need in needed if need is not None]
        if len(known) < max(len(needed), 1) or max(known) <= 0:
            return None
        return _rounded_up(max(known))

    @property
    def harmless(self) -> bool:
        """Whether the canary changed in the direction that is not bad: surely so, or by more than is tolerated in the other."""
        if self.estimate is None:  # of a baseline of 0 there is no part, and what is more is higher
            return self.limit_high is None and self.baseline_level == 0 and bool(self.canary_level)
        limit = self.limit_high if self.limit_low is None else self.limit_low
        if (
            limit is None
            or self.estimate == 0
            or (self.limit_low is not None and self.limit_high is not None)
        ):
            return False
        upwards = self.limit_high is None
        nearest = (
            None
            if self.pass_interval is None
            else self.pass_interval.low
            if upwards
            else self.pass_interval.high
        )
        surely = nearest is not None and (nearest >= 0 if upwards else nearest <= 0)
        return (self.estimate > 0) == upwards and (surely or abs(self.estimate) > abs(limit))


class EventsFinding(LevelFinding):
    """A finding about a share or a rate of events."""

    df: Number = None
    """Degrees of freedom with which the dispersion is known."""
    dispersion: Number = None
    """Variance between intervals over that of independent events; 1 where no more was found."""
    total_baseline: Number = None
    """Total of the baseline: its requests, its exposure."""
    total_canary: Number = None
    """Total of the canary."""
    events_baseline: Number = None
    """Events of the baseline."""
    events_canary: Number = None
    """Events of the canary."""
