"""The policy: which metrics, which direction is bad, how much worse is tolerated, and how sure to be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from canaryjudge.kinds import KINDS, KindName
from canaryjudge.policy.any_rule import AnyRule
from canaryjudge.policy.display import policy_html
from canaryjudge.policy.noise_floor import NoiseFloor
from canaryjudge.policy.query import Prometheus, Query, query_problems
from canaryjudge.quantities import hundredth, is_share, measures, percent, relative_or_absolute, shown
from canaryjudge.rules.mann_whitney import MannWhitney
from canaryjudge.rules.sequential.settings import Sequential
from canaryjudge.rules.slo import Slo
from canaryjudge.settings import (
    Amount,
    Duration,
    ErrorRate,
    Name,
    Path,
    PolicyModel,
    Problem,
    Quantity,
    RelativeTolerance,
    Score,
    Share,
    Unit,
    Weight,
    listed,
    nearest,
)

__all__ = ["Metric", "OnDoubt", "PassWithin", "Policy", "Segments", "Split", "Stage", "Tolerance"]


def _version(value: object) -> object:
    """Take the number 1 only: neither true nor 1.0, which equal it in Python."""
    if type(value) is int and value != 1:
        raise ValueError(f"{shown(value)} is not a version that is known here; write version: 1")
    if type(value) is not int and value is not None:
        raise ValueError(f"{shown(value)} is not a version; write version: 1, without quotes")
    return value


_OF_POINTS: Final = ("metric", "arm", "value", "total", "le", "time", "replica")
_OF_TIME: Final = {
    "pairing": "auto",
    "interval": None,
    "warmup": None,
    "query": None,
    "noise_floor": None,
    "counter": False,
}
"""Settings of a metric that say nothing of users, and what they are where nobody sets them."""
_ABOUT_A_SWITCH: Final = ("before_after", "slo", "burn_rate")
"""Rules that may be asked of arms of which one follows the other at another time of the day."""
_MANY_POINTS: Final = 0.1
"""So much of a ratio is written in percent, so that nobody takes 0.1 for 0.1 %."""


_OF_INTERVALS: Final = {**_OF_TIME, "dispersion": None}
"""Settings of a metric that say nothing of paired requests, and what they are where nobody sets them."""


class Tolerance(PolicyModel):
    """The largest degradation that the owner would ship; the larger of the two parts is tolerated."""

    relative: RelativeTolerance | None = None
    """Relative to the baseline's level: `10%`. 10 % where neither part is given, nothing where only `absolute` is."""
    absolute: Amount | None = None
    """In the metric's unit: `5ms`; for a ratio `0.01%` means percentage points. Ratios have 0.02 % unless it is given."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return relative_or_absolute(value, example="10% or 5ms")

    def _contradictions(self) -> Iterator[Problem]:
        if self.absolute is not None and self.absolute.number < 0:
            yield Problem(
                ("absolute",), "a tolerance cannot be negative", "`direction` says which way is bad."
            )


class PassWithin(PolicyModel):
    """The harm beyond which a pass excludes, no smaller than what is tolerated; the larger of the two parts counts."""

    relative: RelativeTolerance | None = None
    """Relative to the baseline's level: `30%`."""
    absolute: Amount | None = None
    """In the metric's unit: `5ms`; for a ratio `0.1%` means percentage points."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return {} if value == "tolerance" else relative_or_absolute(value, example="30% or 5ms")

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> Any:
        return "tolerance" if self.relative is None and self.absolute is None else write(self)


class Metric(PolicyModel):
    """One metric of the release: what it is, which direction is bad, and what is tolerated."""

    name: Name
    """The metric's name, as in the data."""
    direction: Literal["increase", "decrease", "either"]
    """The bad direction."""
    kind: KindName = "gauge"
    """`gauge` (a number an interval: CPU, a p99), `samples` (raw observations: request latencies), `ratio` (`value` of `total` events:
    errors of requests), `count` (events over an exposure, `total`), `histogram` (`value` observations of an interval are at most as large as
    `le`, as Prometheus counts latencies) or `users` (what a user brings in the column `user`, such as revenue; or clicks, of as many sessions as `total` says); of requests that both versions
    answer, joined by the column `request`, `pairs` (what is measured of each: its latency) or `paired_ratio` (1 where something is so of it, such as a success or a mismatch, and 0 where not)."""
    unit: Unit = ""
    """The unit, for words and for quantities with units: `ms`, `MiB`, `%`. A histogram's edges are in it."""
    tolerance: Tolerance = Tolerance(relative=0.1)
    """The largest degradation that the owner would ship: `10%`, `5ms` or `{relative: 10%, absolute: 5ms}` (the larger counts)."""
    pass_within: PassWithin | None = None
    """Harm beyond which a pass excludes: `30%`, `5ms`, `{relative: 30%, absolute: 5ms}` (the larger counts; a part that is left out is that of the tolerance), or
    `tolerance`, the strict reading. Left out: the tolerance or, if larger, what the baseline itself tells: of gauges its usual variation from minute to minute, at most 30 %, where a pass also wants
    the estimate within the tolerance; of ratios with one bad direction 0.1 percentage points, at most twice the baseline's rate."""
    effect: Literal["auto", "shift", "ratio"] = "auto"
    """How gauges and samples are compared: `shift`, the Hodges-Lehmann shift over the baseline's median; `ratio`, the same on logarithms, for
    positive values. Gauges on one clock are compared minute by minute, by the mean difference over the baseline's mean, or by the mean ratio. `auto` is `ratio` of such a gauge whose unit
    is one of time, bytes or cores, without an absolute tolerance, and `shift` of anything else. Ratios and counts always compare by their ratio, histograms by their shift."""
    role: Literal["required", "guard", "advisory", "muted"] = "required"
    """`required` must be proven fine for a pass; `guard` can fail a release but need not be proven fine; `advisory` can make it
    marginal; `muted` is judged and shown, and counts for nothing."""
    weight: Weight = 1.0
    """Its share of alpha among the metrics that can fail the release, and its weight in a score."""
    group: Name | None = None
    """The group in which a score averages it; groups are weighted by the policy's `groups`."""
    pairing: Literal["auto", "concurrent", "windows", "before_after"] = "auto"
    """`concurrent`: the arms share the clock and are aligned in time. `windows`: one window after the other, or no times. `auto`: concurrent where the
    times overlap. `before_after`: all traffic was switched, and what changed is held against what `history` did at the same times of the clock on earlier days; `judge` alone does that."""
    interval: Duration | None = None
    """The spacing of the points, for aligning the arms; found from the times where it is left out."""
    warmup: Duration | None = None
    """How much of the start is left out, from the canary's first point on, such as `5m`: of both arms where they share the clock, else of the canary. A watch
    begins after it."""
    counter: Annotated[bool, Field(strict=True)] = False
    """The data are counters that only grow, as Prometheus keeps them: `value`, `total` and the buckets of a histogram are differenced point
    by point, each replica by itself; a counter that falls was reset by a restart. Where the policy says neither, what looks like counters decides nothing;
    `false` says that it is none."""
    query: Query | None = None
    """What `--prometheus` asks for the data: PromQL, or a mapping with `value` and `total`; `${selector}` stands for the arm's selectors."""
    min_points: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] | None = None
    """Fewer points than this in either arm are too little data. 10 for gauges, samples and pairs, 1 interval for ratios, counts and histograms, 20 users."""
    dispersion: Annotated[float, Field(strict=True, ge=1, le=1000)] | None = None
    """Of ratios and counts: how many times the counts of an interval vary more than independent events do, from history (1: not at all).
    The sequential rule divides its evidence by it until ten intervals have been seen, and then lets the run's own estimate join in.
    Left out: 4 for the first ten intervals, then the run's own estimate."""
    noise_floor: NoiseFloor | None = None
    """How much healthy windows and replicas of this service differ, as `canaryjudge calibrate` measures it: `{between_windows: 3%, windows: 40}`. `mann_whitney`,
    `proportion`, `rate` and the planned looks of `sequential` widen their intervals by it."""
    assumed_spread: RelativeTolerance = 0.02
    """Standard deviation by which one pod differs from the others though nothing is wrong, as a part of the level: `2%`; of a share of which less is worse, such as a success rate, above a half, as a
    part of what fails. It counts where the arms share the clock, and neither named replicas (three in all) nor a `noise_floor` nor a history tell by how much pods differ."""
    no_data: Literal["marginal", "fail", "ignore"] = "marginal"
    """What an arm without data does: `marginal`, `fail`, or `ignore` (as if the metric were not in the policy; listed as waived)."""
    pass_when: Literal["proven_safe", "not_proven_worse"] = "proven_safe"
    """`proven_safe`: a pass is a proof. `not_proven_worse`: the classic reading, in which a metric that is undecided passes (one proven worse than the baseline does not); it waives beta."""
    rules: Annotated[tuple[AnyRule, ...] | None, BeforeValidator(listed)] = Field(default=None, min_length=1)
    """What is asked of the metric. Left out, a `Monitor` asks `sequential`; `judge` asks `mann_whitney` and `late_shift` of gauges, samples and histograms,
    `proportion` of ratios, `rate` of counts, `ratio_of_means` of users, `signed_rank` of pairs and `mcnemar` of paired ratios, and `excursion` of gauges, ratios and counts as well; both ask
    `growth` too of gauges whose arms share the clock."""

    def _contradictions(self) -> Iterator[Problem]:
        if self.effect == "ratio" and not KINDS[self.kind].is_measured:
            how = "its shift" if KINDS[self.kind].has_buckets else "its ratio already"
            known = f"A {self.kind} compares by {how}, so leave effect out."
            yield Problem(("effect",), "effect: ratio is for gauges and samples", known)
        elif self.effect == "ratio" and self.tolerance.absolute is not None:
            advice = "Leave out tolerance.absolute, or take effect: shift."
            yield Problem(("tolerance", "absolute"), "effect: ratio has no absolute tolerance", advice)
        if self.tolerance.absolute is not None:
            yield from self.misfit(self.tolerance.absolute, ("tolerance", "absolute"))
            yield from self._bare_points(self.tolerance.absolute, ("tolerance", "absolute"))
        if self.pass_within is not None and self.pass_within.absolute is not None:
            yield from self._bare_points(self.pass_within.absolute, ("pass_within", "absolute"))
        yield from self.pass_misfits()
        kind = KINDS[self.kind]
        if self.counter and kind.is_measured and not (kind.has_users or kind.is_paired):
            advice = "Take kind: count (events over time), ratio (events of a total) or histogram."
            yield Problem(("counter",), f"a counter is no {self.kind}", advice)
        if KINDS[self.kind].has_users:
            yield from self._no_users_setting()
        if self.dispersion is not None and not KINDS[self.kind].counts_events:
            advice = f"A {self.kind} has no dispersion of counts; leave it out."
            yield Problem(("dispersion",), "dispersion is for ratios and counts", advice)
        if KINDS[self.kind].is_paired:
            yield from self._no_paired_setting()
        elif self.noise_floor is not None:
            yield from self._floor_misfits(self.noise_floor)
        yield from self._switch_misfits()
        for problem in () if self.query is None else self.query.misfits(self):
            yield problem._replace(path=("query", *problem.path))
        for index, rule in enumerate(self.rules or ()):
            for problem in rule.misfits(self):
                yield problem._replace(path=("rules", index, *problem.path))
            if self.rules and rule in self.rules[:index]:
                yield Problem(
                    ("rules", index), f"the same rule {rule.rule} stands there twice", "Leave one out."
                )

    def _no_users_setting(self) -> Iterator[Problem]:
        """Find what is set that says nothing of users, who are no points in time."""
        if self.effect != "auto":
            yield Problem(
                ("effect",),
                f"effect: {self.effect} is for gauges and samples",
                "Users compare by the ratio of their means; leave effect out.",
            )
        for key, default in _OF_TIME.items():
            if getattr(self, key) != default:
                why = f"{key} means nothing of kind: users, whose rows are no points in time"
                yield Problem((key,), why, f"Leave {key} out.", at_key=True)

    def _no_paired_setting(self) -> Iterator[Problem]:
        """Find what is set that says nothing of paired requests, which are no points in time."""
        for key, default in _OF_INTERVALS.items():
            if getattr(self, key) != default:
                why = f"{key} means nothing of kind: {self.kind}, whose points are requests that both arms answered"
                yield Problem((key,), why, f"Leave {key} out.", at_key=True)
        if not KINDS[self.kind].is_share:
            return
        for key in ("tolerance", "pass_within"):
            size = getattr(self, key)
            if key in self.model_fields_set and size is not None and size.relative is not None:
                why = "shares of the same requests are compared by their difference"
                advice = f"Give it in percentage points: {key}: {{absolute: 0.1%}}."
                yield Problem((key, "relative"), why, advice)

    def pass_misfits(self) -> Iterator[Problem]:
        """Find what is wrong with what a pass is to exclude."""
        stated = self.pass_within
        if stated is None:
            return
        if stated.absolute is not None:
            if self.effect == "ratio":
                advice = "Leave out pass_within.absolute, or take effect: shift."
                yield Problem(("pass_within", "absolute"), "effect: ratio has no absolute part", advice)
                return
            wrong = list(self.misfit(stated.absolute, ("pass_within", "absolute")))
            wrong += [] if self.tolerance.absolute is None else self.misfit(self.tolerance.absolute, ())
            if wrong:
                yield from (problem for problem in wrong if problem.path)
                return
            if self.quantity(stated.absolute, "pass_within.absolute") < self.tolerated_absolute:
                yield self._too_narrow("absolute")
        if stated.relative is not None and stated.relative < self.tolerated_relative:
            yield self._too_narrow("relative")

    def _bare_points(self, quantity: Quantity, path: Path) -> Iterator[Problem]:
        """Find a number of a ratio that may be meant in percent."""
        number = quantity.number
        if KINDS[self.kind].is_share and not quantity.unit and _MANY_POINTS <= number <= 1:
            wrong = f"{number:g} of a ratio would be {100 * number:g} percentage points"
            yield Problem(path, wrong, f"Write {100 * number:g}% if you mean that, or {number:g}%.")

    def _switch_misfits(self) -> Iterator[Problem]:
        """Find what does not fit a before and after, or only that."""
        asked = [index for index, rule in enumerate(self.rules or ()) if rule.rule == "before_after"]
        if self.pairing != "before_after":
            for index in asked:
                advice = "Add pairing: before_after, or take another rule."
                yield Problem(("rules", index), "the rule before_after is for pairing: before_after", advice)
            return
        if KINDS[self.kind].has_buckets:
            advice = "Take kind: gauge of a percentile, or samples."
            yield Problem(("pairing",), f"pairing: before_after does not fit kind: {self.kind}", advice)
        if self.noise_floor is not None:
            advice = "Leave it out: earlier days say how much days differ."
            yield Problem(("noise_floor",), "pairing: before_after takes no noise_floor", advice)
        for index, rule in enumerate(self.rules or ()):
            if rule.rule not in _ABOUT_A_SWITCH or (isinstance(rule, Slo) and rule.change is not None):
                advice = "Take before_after, burn_rate or slo with a value, or leave rules out."
                wrong = f"with pairing: before_after the rule {rule.rule} would take a change of the hour for one of the release"
                yield Problem(("rules", index), wrong, advice)

    @staticmethod
    def _too_narrow(part: str) -> Problem:
        advice = "Give what a pass is to exclude at least the size of the tolerance, or write pass_within: tolerance."
        return Problem(
            ("pass_within", part), "a pass cannot exclude less harm than what is tolerated", advice
        )

    def _floor_misfits(self, floor: NoiseFloor) -> Iterator[Problem]:
        for problem in floor.misfits(self):
            yield problem._replace(path=("noise_floor", *problem.path))
        for index, rule in enumerate(self.rules or ()):
            if isinstance(rule, MannWhitney) and rule.method != "robust":
                why = f"method: {rule.method} knows no noise floor"
                yield Problem(
                    ("rules", index, "method"), why, "Take method: robust, or leave noise_floor out."
                )

    def misfit(self, quantity: Quantity, path: Path) -> Iterator[Problem]:
        """Find whether a quantity of the policy is not one of this metric."""
        try:
            self._in_unit(quantity)
        except ValueError as error:
            yield Problem(path, str(error))

    def not_positive(self, quantity: Quantity, path: Path) -> Iterator[Problem]:
        """Find whether a quantity of the policy is not one of this metric, or is not above 0."""
        yield from self.misfit(quantity, path)
        if quantity.number <= 0:
            yield Problem(
                path,
                f"{quantity.number:g}{quantity.unit} is not above 0",
                "Give the largest value that counts.",
            )

    def quantity(self, quantity: Quantity, what: str) -> float:
        """Give a quantity of the policy in this metric's unit, or as a fraction for a ratio.

        Raises
        ------
        ValueError
            If the units do not fit, or no metric of this kind can have such a value.
        """
        try:
            return self._in_unit(quantity)
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from None

    def _in_unit(self, quantity: Quantity) -> float:
        number, unit = quantity.number, quantity.unit
        if KINDS[self.kind].is_share:
            return self._fraction(number, unit)
        if KINDS[self.kind].is_rate and number < 0:
            raise ValueError(f"{number:g}{unit} is negative, which no count is")
        if unit == "%" and not is_share(self.unit):
            own = f"the metric's unit is {self.unit!r}" if self.unit else "the metric has no unit"
            raise ValueError(f"{number:g}% is in %, but {own}; give it in the metric's unit, as a number")
        return quantity.within(self.unit)

    def _fraction(self, number: float, unit: str) -> float:
        if unit not in ("", "%", "pp"):
            raise ValueError(
                f"{number:g}{unit} has the unit {unit!r}, but a ratio has none; write it like 0.1%"
            )
        if not unit and self.unit in ("%", "percent") and number != 0:
            raise ValueError(
                f"{number:g} could be a fraction or a percentage; write {percent(number)} or {number:g}%"
            )
        fraction = hundredth(number) if unit else number
        if not 0 <= fraction <= 1:
            meant = f"; did you mean {number:g}%?" if not unit and 1 < number <= 100 else ""
            raise ValueError(f"{number:g}{unit} is not between 0 % and 100 %, as a ratio is{meant}")
        return fraction

    @property
    def tolerated_relative(self) -> float:
        """The relative part of the tolerance, as a fraction of the baseline's level."""
        if self.tolerance.relative is not None:
            return self.tolerance.relative
        return 0.1 if self.tolerance.absolute is None else 0.0

    @property
    def tolerated_absolute(self) -> float:
        """The absolute part of the tolerance, in the metric's unit (a fraction for ratios)."""
        if self.tolerance.absolute is None:
            return KINDS[self.kind].absolute_tolerance
        return self.quantity(self.tolerance.absolute, "tolerance.absolute")

    @property
    def needed_points(self) -> int:
        """The fewest points (intervals for ratios, counts and histograms) in an arm that are judged."""
        if self.min_points is not None:
            return self.min_points
        return KINDS[self.kind].min_points

    @property
    def minute_ratios(self) -> bool:
        """Whether minutes are compared by their ratio: of a unit that has no values below 0, where nothing is asked in it."""
        if self.effect != "auto" or self.tolerance.absolute is not None:
            return self.effect == "ratio"
        return KINDS[self.kind].is_averaged and measures(self.unit) and not is_share(self.unit)

    @property
    def can_fail(self) -> bool:
        """Whether the metric can fail the release, and so has a share of alpha."""
        return self.role in ("required", "guard")


class Split(PolicyModel):
    """The shares of the traffic that the two arms are meant to get."""

    baseline: Share
    """The baseline's share of the two arms' traffic."""
    canary: Share
    """The canary's share of the two arms' traffic."""

    def _contradictions(self) -> Iterator[Problem]:
        total = self.baseline + self.canary
        if not abs(total - 1) < 1e-9:
            advice = "Give the parts of the two arms' own traffic, such as {baseline: 90%, canary: 10%}."
            yield Problem((), f"the two shares must add up to 100 %, found {100 * total:.6g} %", advice)


class Stage(PolicyModel):
    """One stage of a rollout: the canary's share of the traffic, for how long, and what it takes to leave it."""

    name: Name | None = None
    """What it is called; its share where left out."""
    canary: Share
    """The canary's share of the two arms' traffic: `5%`. Shares grow from stage to stage; the whole of the traffic is no stage, since nothing is left to compare with: a rollout is complete before."""
    min_duration: Duration | None = None
    """How long it lasts at least, from its first point on."""
    max_duration: Duration
    """When it is over: what is undecided by then is left to the policy's `on_deadline`. Planned looks are spread over it."""
    advance: Literal["no_harm", "proven", "time"] = "no_harm"
    """What it takes to leave the stage. `no_harm`: its own data exclude harm beyond the stage's bound, which is the release's `pass_within` times the root of the last stage's share over its own, at most 100 %.
    `proven`: they exclude harm beyond the release's `pass_within` itself. `time`: `min_duration` alone, which waives beta for this stage. A proven fault ends the rollout in any stage."""

    def _contradictions(self) -> Iterator[Problem]:
        if self.min_duration is not None and self.min_duration > self.max_duration:
            yield Problem(
                ("min_duration",), "min_duration is longer than max_duration", "Lower it, or raise the other."
            )
        if self.advance == "time" and self.min_duration is None:
            yield Problem(
                ("advance",), "advance: time needs a time", "Give the stage min_duration, such as 10m."
            )

    @property
    def title(self) -> str:
        """Its name, or else its share."""
        return self.name or f"{100 * self.canary:.6g}%"


class OnDoubt(PolicyModel):
    """What becomes of a rollout whose data are in doubt, by cause: `hold` it, `rollback`, or `warn` and go on without the metric, which waives the error rates for it."""

    no_traffic: Literal["hold", "rollback", "warn"] = "hold"
    """An arm gives no points, or has fallen silent."""
    split_mismatch: Literal["hold", "rollback", "warn"] = "hold"
    """The traffic is not split as the stage says, as the totals of ratios tell."""
    misread: Literal["hold", "rollback", "warn"] = "hold"
    """A metric's data are broken, or not what the policy says they are."""


class Segments(PolicyModel):
    """The segments of the traffic, such as regions or kinds of device, within which the arms are compared, and of which those to blame are named."""

    by: Annotated[tuple[Name, ...], BeforeValidator(listed)] = Field(min_length=1, max_length=2)
    """The columns of the data that name a row's segment: `[region]`, or two that cross, `[region, device]`. Where the data of one look are too thin for pairs of values, the first is taken alone."""
    share: Share = 0.5
    """The part of a metric's alpha that the mean of all segments has; the segments have the rest."""
    apart: RelativeTolerance | None = None
    """By how much a segment must be worse than the mean of the others to be to blame, as a part of the baseline's level: `5%`. Left out: half of what is tolerated."""

    def _contradictions(self) -> Iterator[Problem]:
        for index, name in enumerate(self.by):
            if name in _OF_POINTS:
                yield Problem(
                    ("by", index),
                    f"{shown(name)} is a column of the points",
                    "Name the columns that tell segments apart.",
                )
            if name in self.by[:index]:
                yield Problem(("by", index), f"the column {shown(name)} stands there twice", "Leave one out.")


class Policy(PolicyModel):
    """What is asked of a release.

    A policy states two error rates that hold for the verdict of one release, however many metrics it has.

    Raises
    ------
    PolicyError
        If a key is unknown, a value out of range, or settings contradict each other.

    Examples
    --------
    >>> policy = Policy(metrics=[Metric(name="latency_p99", unit="ms", direction="increase", tolerance="10%")])
    >>> policy.alpha, policy.beta, policy.metrics[0].role
    (0.01, 0.05, 'required')
    """

    version: Annotated[Literal[1], BeforeValidator(_version)] = 1
    """The format's version."""
    extends: str | None = None
    """Another policy file, relative to this one, whose settings hold where this one is silent; metrics are merged by name. Files only."""
    alpha: ErrorRate = 0.01
    """At most this chance to fail a release that is fine."""
    beta: ErrorRate = 0.05
    """At most this chance to pass a release that is not."""
    aggregate: Literal["worst", "score"] = "worst"
    """`worst`: the worst metric decides. `score`: a weighted score does (a failing required metric fails there too); it waives alpha and beta."""
    pass_score: Score = 95.0
    """With `aggregate: score`, the least score of a pass."""
    marginal_score: Score = 75.0
    """With `aggregate: score`, the least score of a marginal."""
    groups: dict[Name, Weight] = Field(default_factory=dict)
    """Weights of the groups in a score; 1 where left out."""
    split: Split | None = None
    """The shares of traffic that the arms are meant to get: `{baseline: 95%, canary: 5%}`. The exposures of counts without a total, and what
    the totals of ratios and the numbers of users are checked against: where they are shared otherwise, a pass is withheld."""
    max_points: Annotated[int, Field(strict=True, ge=2, le=1_000_000)] | None = None
    """When a watch ends: after so many points an arm (intervals of ratios, counts and histograms). Planned looks need it, or `max_duration`."""
    max_duration: Duration | None = None
    """When a watch ends: so long after a metric's first point, such as `1h`. It needs times."""
    on_deadline: Literal["marginal", "pass", "fail"] = "marginal"
    """What becomes of a metric that is undecided when the watch ends: `marginal`; `pass`, which waives beta (what is proven worse than the baseline,
    or lacks data, does not pass); `fail`, which waives alpha (what lacks data does not fail)."""
    control: Name | None = None
    """The arm of a service that the release does not touch, in the data and in the history: metrics with `pairing: before_after` are judged by how much more they changed than it did (difference in differences)."""
    segments: Segments | None = None
    """Segments of the traffic: `{by: [region]}`. The arms are compared within them, so that a different mix of segments is no effect, and those that are to blame are named: by `judge`, `Monitor` and `Rollout`."""
    stages: Annotated[tuple[Stage, ...] | None, BeforeValidator(listed)] = Field(
        default=None, min_length=1, max_length=50
    )
    """The stages of a rollout: `[{canary: 1%, max_duration: 30m}, {canary: 10%, max_duration: 1h}]`. `Rollout` keeps alpha and beta over all of them; `judge` and `Monitor` take no notice."""
    on_doubt: OnDoubt = OnDoubt()
    """With `stages`, what doubtful data do, by cause: `{no_traffic: hold, split_mismatch: rollback, misread: warn}`."""
    prometheus: Prometheus | None = None
    """What the metrics' queries have in common: `{baseline: version="1.4", canary: version="1.5", step: 15s, window: 30m}`."""
    metrics: Annotated[tuple[Metric, ...], BeforeValidator(listed)] = Field(min_length=1)
    """The metrics that are judged."""

    def _contradictions(self) -> Iterator[Problem]:
        if self.extends is not None:
            yield Problem(
                ("extends",), "extends works in policy files only", "Read the file with load_policy."
            )
        first: dict[str, int] = {}
        for index, metric in enumerate(self.metrics):
            if first.setdefault(metric.name, index) != index:
                twice = f"the metric {shown(metric.name)} stands there twice, first as metrics[{first[metric.name]}]"
                yield Problem(("metrics", index, "name"), twice, "Give each metric one entry.")
            for problem in query_problems(metric.query, self.prometheus):
                yield problem._replace(path=("metrics", index, "query", *problem.path))
        if not any(metric.can_fail for metric in self.metrics):
            yield Problem(
                ("metrics",), "no metric can fail the release", "Make at least one required or guard."
            )
        yield from self._unit_contradictions()
        yield from self._switch_contradictions()
        yield from self._stage_contradictions()
        yield from self._deadline_contradictions()
        yield from self._score_contradictions()

    def _unit_contradictions(self) -> Iterator[Problem]:
        """Find what is asked of users or of pairs that is not answered: they are judged whole, and users watched at one split."""
        first: dict[str, Metric] = {}
        for metric in self.metrics:
            kind = KINDS[metric.kind]
            if kind.has_users or kind.is_paired:
                first.setdefault("users" if kind.has_users else "pairs", metric)
        for units, metric in first.items():
            for key in ("stages", "segments"):
                if getattr(self, key) is not None:
                    why = (
                        f"{key} are not known of kind: {metric.kind}, which metric {shown(metric.name)} is of"
                    )
                    advice = f"Leave {key} out, or judge the {units} by a policy of their own."
                    yield Problem((key,), why, advice, at_key=True)

    def _switch_contradictions(self) -> Iterator[Problem]:
        switched = any(metric.pairing == "before_after" for metric in self.metrics)
        if self.control is not None and not switched:
            advice = "Leave it out, or set pairing: before_after."
            yield Problem(("control",), "control is for metrics with pairing: before_after", advice)
        for key in ("segments", "stages", "split") if switched else ():
            if getattr(self, key) is not None:
                wrong = f"{key} means nothing where all traffic is switched, as pairing: before_after says"
                yield Problem((key,), wrong, f"Leave {key} out, or take another pairing.", at_key=True)

    def _stage_contradictions(self) -> Iterator[Problem]:
        if self.stages is None:
            if self.on_doubt != OnDoubt():
                yield Problem(("on_doubt",), "on_doubt is for rollouts", "Give stages, or leave it out.")
            return
        for key in ("max_points", "max_duration", "split"):
            if getattr(self, key) is not None:
                advice = f"Leave {key} out."
                yield Problem((key,), f"the stages say it, so {key} means nothing", advice, at_key=True)
        for index, (before, stage) in enumerate(zip(self.stages, self.stages[1:], strict=False), 1):
            if stage.canary <= before.canary:
                wrong = f"{percent(stage.canary)} is no more than the stage before has"
                yield Problem(
                    ("stages", index, "canary"), wrong, "Give each stage a larger share than the one before."
                )
        first: dict[str, int] = {}
        for index, stage in enumerate(self.stages):
            if first.setdefault(stage.title, index) != index:
                twice = f"the stage {shown(stage.title)} stands there twice"
                yield Problem(("stages", index), twice, "Give each stage a name of its own.")

    def _deadline_contradictions(self) -> Iterator[Problem]:
        if self.max_points is not None and self.max_duration is not None:
            yield Problem(
                ("max_duration",), "max_points and max_duration are two ends of one watch", "Leave one out."
            )
        if self.has_deadline or self.stages is not None:
            return
        if self.on_deadline != "marginal":
            advice = "Give max_points or max_duration."
            yield Problem(("on_deadline",), "on_deadline needs a deadline", advice)
        for index, metric in enumerate(self.metrics):
            for number, rule in enumerate(metric.rules or ()):
                if isinstance(rule, Sequential) and rule.method_for(metric.kind) == "looks":
                    why = f"the sequential rule looks at a {metric.kind} at planned times, and no end is given to plan for"
                    advice = "Give the policy max_points or max_duration."
                    yield Problem(("metrics", index, "rules", number), why, advice)

    @property
    def has_users(self) -> bool:
        """Whether a metric is of users."""
        return any(KINDS[metric.kind].has_users for metric in self.metrics)

    @property
    def has_deadline(self) -> bool:
        """Whether a watch of this release has an end."""
        return self.max_points is not None or self.max_duration is not None

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> Any:
        """Say nothing of stages, segments or a control where there are none: a policy without them is what it was before there were any, to the digest."""
        written = write(self)
        if self.segments is None:
            written.pop("segments", None)
        if self.control is None:
            written.pop("control", None)
        if self.stages is None:
            for key in ("stages", "on_doubt"):
                written.pop(key, None)
        return written

    def _score_contradictions(self) -> Iterator[Problem]:
        settings = {"pass_score": 95.0, "marginal_score": 75.0, "groups": {}}
        if self.aggregate != "score":
            for key, default in settings.items():
                if getattr(self, key) != default:  # what a policy says of itself lists the defaults too
                    advice = f"Write aggregate: score, or leave {key} out."
                    yield Problem(
                        (key,), f"{key} means nothing with aggregate: {self.aggregate}", advice, at_key=True
                    )
            return
        if self.marginal_score > self.pass_score:
            at = "marginal_score" if "marginal_score" in self.model_fields_set else "pass_score"
            wrong = f"marginal_score {self.marginal_score:g} is above pass_score {self.pass_score:g}"
            yield Problem((at,), wrong, "Lower it, or raise pass_score.")
        used = sorted({metric.group for metric in self.metrics if metric.group is not None})
        for group in self.groups:
            if group not in used:
                near = nearest(group, used)
                hint = (
                    f"Did you mean {near!r}?"
                    if near
                    else f"Groups of the metrics: {', '.join(used) or 'none'}."
                )
                yield Problem(
                    ("groups", group), f"no metric is in the group {shown(group)}", hint, at_key=True
                )

    def _repr_html_(self) -> str:
        return policy_html(self)

    def __hash__(self) -> int:
        values = (
            frozenset(value.items()) if isinstance(value, dict) else value for value in self.__dict__.values()
        )
        return hash(tuple(values))
