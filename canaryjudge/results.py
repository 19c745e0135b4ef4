"""What became of a metric and of a release: facts without words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, Union

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from canaryjudge.data import Note
from canaryjudge.kinds import KindName
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.reports import FloorFacts
from canaryjudge.rules import RULES, groups
from canaryjudge.rules.findings import Facts, Finding, Interval, Number, Scale, Waiver

__all__ = [
    "QUANTILE_LEVELS",
    "AnyFinding",
    "ArmFacts",
    "Because",
    "BlockFacts",
    "CulpritFacts",
    "DecisionFacts",
    "Doubt",
    "DoubtFacts",
    "HistoryFacts",
    "LeftOutFacts",
    "LookFacts",
    "MetricResult",
    "MetricSegments",
    "MetricTimeline",
    "Pairing",
    "ReleaseResult",
    "RolloutAction",
    "RolloutFacts",
    "RolloutWaived",
    "SegmentFacts",
    "SegmentSplitFacts",
    "SegmentsFacts",
    "SeriesFacts",
    "StageFacts",
    "TimelineFacts",
    "TrendFacts",
    "ValidFor",
    "Waived",
]

Pairing = Literal["concurrent", "windows"]

ValidFor = Literal["one_look", "all_looks"]

QUANTILE_LEVELS: Final = tuple(step / 40 for step in range(41))
"""Probabilities of the quantiles by which an arm's distribution is told."""

if TYPE_CHECKING:
    AnyFinding = Finding
else:
    AnyFinding = Annotated[
        Union[tuple(rule.finding for rule in RULES.values())],  # noqa: UP007 - as many as there are rules
        Field(discriminator="rule"),
    ]
    groups.AnyFinding = (
        AnyFinding  # groups hold any finding, and are findings: they find it once they are used
    )
"""What any rule found, told apart by the key `rule`."""


class SeriesFacts(Facts):
    """How an arm went over time, thinned to be looked at: at most a hundred positions, with the spread of what each stands for."""

    start: Number
    """Time of the first point, in seconds since 1970; None without times."""
    at: tuple[float, ...]
    """Where each position is: seconds since the start, or without times the place in line, from 0."""
    value: tuple[float | None, ...]
    """The level there, as a number of the metric's unit, a share or a rate; None where there are no points for a while."""
    low: tuple[float | None, ...] = ()
    """Lower end of the band; empty where each position is one point."""
    high: tuple[float | None, ...] = ()
    """Upper end of the band."""
    band: Literal["extremes", "percentiles"] | None = None
    """What the band holds: all points of that stretch of time, or the middle 90 % of its observations; None where each position is one point."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (
            not self.at
            or len(self.value) != len(self.at)
            or any(len(end) not in (0, len(self.at)) for end in (self.low, self.high))
        ):
            raise ValueError("its columns differ in length, or are empty")
        return self

    def since(self, start: float | None) -> tuple[float, ...]:
        """Give where each position is in seconds since a time; since its own start, or in line, where there is none."""
        shift = 0.0 if start is None or self.start is None else self.start - start
        return tuple(at + shift for at in self.at)

    def unbroken(self) -> Iterator[slice]:
        """Give the parts between the gaps."""
        start = 0
        for place, value in enumerate((*self.value, None)):
            if value is None:
                if place > start:
                    yield slice(start, place)
                start = place + 1


class ArmFacts(Facts):
    """What one arm's data look like."""

    series: SeriesFacts
    """How they went over time."""
    quantiles: tuple[float, ...] = ()
    """Quantiles of its points (of histograms: of all observations), at 0, 2.5, 5, ... 97.5 and 100 %."""

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        if len(self.quantiles) not in (0, len(QUANTILE_LEVELS)):
            raise ValueError("its quantiles are not whole")
        return self


class HistoryFacts(Facts):
    """What a service's own past says of a metric: how much it differs with nothing wrong, which this judgement allows for."""

    windows: int
    """How many windows of the canary's length it holds that share no data; a past pair of arms is two. 0 where it holds none."""
    points: int
    """How many points each has; of past releases, as many as they had."""
    source: Literal["releases", "replicas", "neighbors", "clock"] | None = None
    """What was compared: the arms of past releases, series that ran side by side, windows that follow each other, or windows at the same time of the day."""
    start: Number = None
    """Its first point, in seconds since 1970; None without times."""
    end: Number = None
    """Its last one that counts."""
    late: int = 0
    """Points left out because they do not lie before the baseline's first."""
    floor: FloorFacts | None = None
    """By how much healthy arms differ beyond the scatter of their points; None where the history does not say."""
    dispersion: Number = None
    """Of ratios and counts: how many times the counts of an interval vary more than independent events do; None where it does not say."""
    lacks: Literal["metric", "windows", "arms", "replicas"] | None = None
    """Why there is no floor: nothing of the metric, fewer than eight windows, one series alone where the arms share the clock, or two alone that differ for good or by less than is assumed."""
    stated: Literal["noise_floor", "replicas"] | None = None
    """What says it in its place: the policy's own `noise_floor`, or the replicas of the release."""


class MetricResult(Facts):
    """What became of one metric."""

    name: str
    """The metric."""
    kind: KindName
    """Its kind."""
    unit: str
    """Its unit."""
    direction: Literal["increase", "decrease", "either"]
    """Its bad direction."""
    role: Literal["required", "guard", "advisory", "muted"]
    """Its part in the verdict."""
    weight: float
    """Its weight."""
    group: str | None
    """Its group."""
    pairing: Pairing
    """How the arms were paired."""
    interval_s: Number
    """Spacing of the points in seconds."""
    overlap_start: Number
    """Start of the time that both arms cover and that was judged, in seconds since 1970; None unless they were paired in time."""
    overlap_end: Number
    """Its end."""
    alpha: float
    """Its share of the policy's alpha."""
    outcome: Outcome
    """What it says."""
    reason: Reason
    """Why."""
    deciding_rule: int | None
    """Position of the finding that decided, None where no rule could be asked."""
    n_baseline: int
    """Points of the baseline that were judged."""
    n_canary: int
    """Points of the canary that were judged."""
    findings: tuple[AnyFinding, ...]
    """What each rule found, in the policy's order."""
    unproven: tuple[str, ...] = ()
    """On a pass: rules that found nothing against the canary, without proof that there is nothing."""
    watch_over: bool = False
    """Whether the watch of this metric has ended without a decision by its rules."""
    warnings: tuple[Note, ...]
    """What is odd about the data, with counts."""
    history: HistoryFacts | None = None
    """What the service's own past says of it; None where none was given."""
    baseline: ArmFacts | None = None
    """What the baseline's points look like, to be drawn; None without points."""
    canary: ArmFacts | None = None
    """What the canary's look like."""

    @model_validator(mode="after")
    def _decided_by_its_own(self) -> Self:
        if self.deciding_rule is not None and not 0 <= self.deciding_rule < len(self.findings):
            raise ValueError("the rule that decided is none of its own")
        return self

    @property
    def deciding(self) -> Finding | None:
        """The finding that decided."""
        return None if self.deciding_rule is None else self.findings[self.deciding_rule]

    @property
    def holds(self) -> bool:
        """Whether a pass cannot mean what it says, so that even a guard holds the release: its data are doubtful, or nothing can be told of an estimate beyond what is tolerated."""
        if self.reason.holds:
            return True
        found = [finding.effect for finding in self.findings if finding.reason is Reason.ABSTAINS]
        return self.reason is Reason.ABSTAINS and any(
            effect.intolerable for effect in found if effect is not None
        )

    @property
    def lacks_data(self) -> bool:
        """Whether the metric is as it is for want of data, or of enough."""
        return self.reason.lacks_data


class Waived(Facts):
    """A guarantee that the verdict does not give, and whose doing that is."""

    what: Waiver
    """The guarantee that is given up."""
    metric: str | None = None
    """The metric whose settings give it up; None where the whole policy does."""


class SegmentFacts(Facts):
    """What became of one segment of the traffic, of one metric."""

    name: tuple[str, ...]
    """The segment: the text of each of the policy's columns."""
    part_baseline: Number
    """The part of the baseline's traffic that it has: of its requests, its exposure or its points."""
    part_canary: Number
    """The part of the canary's."""
    outcome: Outcome
    """Whether it is proven worse than tolerated (`fail`, under one alpha with the release), or no worse than what a pass excludes (`pass`, at beta)."""
    estimate: Number
    """The canary's change in it, in the scale of the metric's; positive is larger."""
    interval: Interval | None
    """Its confidence interval at the segment's own part of alpha."""
    pvalue: Number
    """Adjusted for all segments and the release, for "it is within what is tolerated"; a fail where it is at most the metric's level."""
    pvalue_pass: Number
    """For "it is worse than what a pass excludes"."""


class CulpritFacts(Facts):
    """A segment that is to blame: worse than tolerated, and worse than the others by more than the policy's `apart`."""

    name: tuple[str | None, ...]
    """The segment; None for a column of which it has all values."""
    estimate: Number
    """The canary's change in it."""
    pvalue: Number
    """Adjusted, for "it is within what is tolerated, or like the others"."""


class LeftOutFacts(Facts):
    """A segment that could not be compared."""

    name: tuple[str, ...]
    """The segment."""
    why: Literal["no_baseline", "no_canary", "too_little_data", "broken"]
    """Why: an arm has none of it, there are too few points or events for a test of its own, or its data contradict themselves."""


class MetricSegments(Facts):
    """What the segments of the traffic say of a metric."""

    scale: Scale
    """What its changes are: parts of the baseline's level, or in the metric's unit."""
    pooled: Number
    """The change of the whole, whatever the mix of segments."""
    within: Number
    """The mean change within segments, which decides."""
    by_mix: Number
    """What the mix alone makes of the canary's pooled level, as a part of the baseline's; 0 where both arms have one mix."""
    mix_pvalue: Number
    """For "both arms have one mix of segments"."""
    most_moved: tuple[str | None, ...] | None
    """The segment, or the value of one of two columns, of which the canary has the most more of its traffic than the baseline."""
    more: Number
    """By how much."""
    unlike: Number
    """P-value for "the change is the same in all segments"."""
    segments: tuple[SegmentFacts, ...]
    """Each segment that was compared, the worst first."""
    culprits: tuple[CulpritFacts, ...]
    """Those to blame; an error among them, or a fail of a release that is fine, has at most the chance alpha in all."""
    only: bool
    """Whether all others are proven to be within what a pass excludes, at beta."""
    level: float
    """The level that adjusted p-values are held against: the metric's part of alpha, or its rule's."""
    left_out: tuple[LeftOutFacts, ...]
    """Segments that could not be compared, at most twenty of them."""
    left_out_count: int
    """How many there are."""
    left_out_part: Number
    """Their part of the traffic: of both arms, or of one if that is more."""
    thin_part: Number
    """The part of those with too little data."""
    found_in: dict[str, tuple[str, ...]]
    """Of rules about a feature, which are asked in each segment: the segment whose finding the metric has."""


class SegmentSplitFacts(Facts):
    """A segment whose traffic is not split as the policy says."""

    name: tuple[str, ...]
    """The segment."""
    metric: str
    """The metric whose totals tell."""
    expected: float
    """The canary's share by the policy's `split`."""
    found: float
    """The share that it got."""
    right_in_sum: bool
    """Whether the traffic of all segments together is split as it should be."""


class SegmentsFacts(Facts):
    """What the segments of the traffic say of a release."""

    by: tuple[str, ...]
    """The columns that name a segment."""
    asked_by: tuple[str, ...]
    """The policy's columns: more, where pairs of values had too little data, so that the first was taken alone."""
    count: int
    """How many segments there are."""
    one: tuple[str, ...] | None
    """The only one, where there is no other."""
    unnamed: tuple[str, ...]
    """Metrics whose data name no segment, judged as a whole."""
    splits: tuple[SegmentSplitFacts, ...]
    """Segments whose traffic is split otherwise than the policy says, adjusted for their number."""
    metrics: dict[str, MetricSegments]
    """What they say of each metric that was compared within them."""


class ReleaseResult(Facts):
    """What became of a release: everything that a verdict knows, before words."""

    outcome: Outcome
    """`pass`, `marginal` or `fail`."""
    action: Literal["promote", "hold", "rollback"]
    """What to do about it."""
    alpha: float
    """At most this chance to fail a release that is fine."""
    beta: float
    """At most this chance to pass a release that is not."""
    valid_for: ValidFor
    """Whether the two rates hold for this look alone or for all looks together."""
    aggregate: Literal["worst", "score"]
    """How the metrics were put together."""
    score: Number
    """Weighted share of passes, 0 to 100, a marginal counting half; None where no metric has data."""
    deciding_metric: str | None
    """The metric that decided."""
    deciding_rule: str | None
    """Its rule that decided."""
    also_failing: tuple[str, ...]
    """Metrics that Holm's procedure would fail as well, now that one has failed."""
    unproven: tuple[str, ...]
    """On a pass: guards that were not proven fine; under `aggregate: score` other metrics too."""
    waived: tuple[Waived, ...]
    """Guarantees that the policy's own settings, or its data, give up."""
    baseline_arm: str
    """The caller's name of the baseline."""
    canary_arm: str
    """The caller's name of the canary."""
    metrics: dict[str, MetricResult]
    """Each metric's result, in the policy's order."""
    segments: SegmentsFacts | None = None
    """What the segments of the traffic say; None where the policy asks for none."""

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> Any:
        """Say nothing of segments where there are none: such a verdict is what it was before there were any, to the byte."""
        written = write(self)
        if self.segments is None:
            written.pop("segments", None)
        return written

    @classmethod
    def model_rebuild(cls, **options: Any) -> bool | None:
        """Build the schema, on first use; first that of its metrics, which a verdict has as well."""
        MetricResult.model_rebuild()
        return super().model_rebuild(**options)

    @model_validator(mode="after")
    def _decided_by_its_own(self) -> Self:
        if self.deciding_metric is not None and self.deciding_metric not in self.metrics:
            raise ValueError("the metric that decided is none of its own")
        return self

    @property
    def lacks_data(self) -> bool:
        """Whether the release is marginal, and every metric that counts and did not pass is so for want of data."""
        held = [m for m in self.metrics.values() if m.role != "muted" and m.outcome is not Outcome.PASS]
        return self.outcome is Outcome.MARGINAL and bool(held) and all(m.lacks_data for m in held)


class ArmRanking(Facts):
    """Which of several arms is the best of a metric, and which the worst, as far as it is proven."""

    metric: str
    """The metric."""
    best: str | None
    """The arm that is better than each of the others; None where none is proven to be."""
    worst: str | None
    """The arm that is worse than each of the others; None where none is proven to be."""
    pvalue_best: Number = None
    """Of the arm that looks best: the largest p-value of its comparisons with the others; None where arms have baselines of their own, and their intervals are compared."""
    pvalue_worst: Number = None
    """The same of the arm that looks worst."""
    level: float
    """An arm is named where that is no larger."""


class ArmsFacts(Facts):
    """What became of several arms, judged under one alpha, before words."""

    outcome: Outcome
    """`fail` if any arm fails, `pass` if all pass, else `marginal`."""
    action: Literal["promote", "hold", "rollback"]
    """What to do, by the arm that came out worst."""
    alpha: float
    """At most this chance to fail any arm that is fine, over all arms and metrics; and at most this to name a wrong arm as the best or the worst of any metric."""
    beta: float
    """At most this chance, for each arm, to pass it if it is not fine."""
    best: str | None
    """The arm that is named the best of some metric, and no other is, nor it the worst of any; None where there is none."""
    worst: str | None
    """The arm that is named the worst of some metric, and no other is, nor it the best of any; None where there is none."""
    ranking: tuple[ArmRanking, ...]
    """Best and worst arm of each metric by which all arms can be compared."""
    arms: Mapping[str, ReleaseResult]
    """What became of each arm, in the order in which they were named."""

    @model_validator(mode="after")
    def _of_its_own_arms(self) -> Self:
        named = {self.best, self.worst, *(arm for one in self.ranking for arm in (one.best, one.worst))}
        if not named <= {None, *self.arms}:
            raise ValueError("the best or the worst arm is none of its own")
        return self

    def having(self, outcome: Outcome) -> list[str]:
        """Name the arms with an outcome."""
        return [arm for arm, release in self.arms.items() if release.outcome is outcome]


RolloutAction = Literal["advance", "hold", "rollback", "complete"]

Doubt = Literal["no_traffic", "split_mismatch", "misread"]

Because = Literal[
    "excluded",  # harm beyond the bound is excluded
    "time",  # the stage asks for time alone, which is over
    "deadline",  # the stage is over undecided, and the policy says what then
    "fault",  # the canary is proven worse than tolerated
    "doubt",  # the data are in doubt
    "young",  # the stage has not lasted as long as it must
    "undecided",  # harm beyond the stage's bound is not excluded yet
    "release_undecided",  # it is, but the release has not passed yet
]
"""Why a rollout does what it does."""


class StageFacts(Facts):
    """A stage of a rollout, and how it went."""

    name: str
    """The stage."""
    share: float
    """The canary's share of the traffic."""
    advance: Literal["no_harm", "proven", "time"]
    """What it takes to leave it."""
    bound_times: float
    """How many times as much harm as the release's `pass_within` its data must exclude, at most all of the level."""
    min_duration_s: Number
    """How long it lasts at least, in seconds; None where it may be left at once."""
    max_duration_s: float
    """How long it may last."""
    status: Literal["left", "current", "failed", "ahead"]
    """How it stands."""
    because: Because | None = None
    """Why it was left, or failed."""
    began: Number = None
    """Its first point, in seconds since 1970."""
    ended: Number = None
    """The last point before it was left, or so far."""
    evidence: str = ""
    """One line: what its own data said when it was left or failed, or say so far."""


class DoubtFacts(Facts):
    """What is doubtful about a metric's data."""

    cause: Doubt
    """The cause, by which the policy's `on_doubt` chooses what becomes of it."""
    does: Literal["hold", "rollback", "warn"]
    """What it does."""
    stage: str
    """The stage in which it is so."""
    metric: str
    """The metric."""
    expected: Number = None
    """Under `split_mismatch`: the canary's share as the stage says."""
    found: Number = None
    """Under `split_mismatch`: the share that it got."""


class RolloutWaived(Facts):
    """A guarantee that a rollout does not give, and whose doing that is."""

    what: Literal["by_time", "left_at_deadline", "failed_at_deadline", "warned", "doubt_fails"]
    """What gives it up."""
    stage: str
    """In which stage."""


class DecisionFacts(Facts):
    """What a rollout decided at a moment, where that was something else than before."""

    at: float
    """When: the time of the latest point, in seconds since 1970."""
    action: RolloutAction
    """What was decided."""
    because: Because
    """Why."""
    stage: str
    """The stage that it was in; of `advance`, the one that was left."""
    cause: Doubt | None = None
    """Where the data were in doubt: what was wrong with them."""
    metric: str | None = None
    """And of which metric."""


class LookFacts(Facts):
    """What a stage's own data said of a metric from look to look, thinned to a few dozen looks: the effect of its rule about the level, in parts of what is tolerated: 1 is the limit, more is worse."""

    stage: str
    """The stage."""
    scale: Scale
    """What `limit` is: a part of the baseline's level, in the metric's unit, or the objective itself."""
    limit: Number
    """The limit that is 1, at the latest look."""
    bound: Number
    """The part beyond which the stage's pass excludes harm; None under `objective`."""
    at: tuple[float, ...]
    """When, in seconds since 1970; looks that say the same as the one before are left out."""
    estimate: tuple[Number, ...]
    """The estimate."""
    low: tuple[Number, ...]
    """Lower end of the interval that proves a pass; None where there is none."""
    high: tuple[Number, ...]
    """Its upper end, the worse one."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if len({len(self.at), len(self.estimate), len(self.low), len(self.high)}) != 1:
            raise ValueError("its columns differ in length")
        return self


class BlockFacts(Facts):
    """The change of the canary against the baseline over the whole rollout, in at most two dozen blocks of equally many intervals; larger is worse."""

    length: int
    """How many intervals a block has."""
    limit: float
    """The change that is tolerated, in the scale of `change`."""
    scale: Literal["relative", "absolute"]
    """What `change` is: a part of the baseline's level, or in the metric's unit."""
    at: tuple[float, ...]
    """The middle of each block, in seconds since 1970."""
    change: tuple[Number, ...]
    """The change within it; None where nothing can be said."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if len(self.at) != len(self.change):
            raise ValueError("its columns differ in length")
        return self


class TrendFacts(Facts):
    """Whether a metric's effect grows (a leak) or fades (a warm-up) over the stages. It informs, and fails nothing."""

    told: Literal["grows", "fades", "neither", "too_few_blocks"]
    """What it does: `grows` in the bad direction, `fades` from there toward no change, or `neither` as far as can be told."""
    level: float
    """The level of the test of either: noise about a level is called one of them about so often, and a random walk at most five times as often."""
    pvalue_grows: Number = None
    """For the null hypothesis that it does not grow; None where there are too few blocks."""
    pvalue_fades: Number = None
    """For the null hypothesis that it does not fade."""
    blocks: int
    """How many blocks say something."""
    needed: int
    """How many it takes."""
    limit: Number = None
    """What is tolerated in the direction that is bad here, in the scale of the blocks; positive is larger, as in all that follows."""
    start: Number = None
    """Of what grows or fades: the fitted change at the first block."""
    end: Number = None
    """At the last block."""
    rate: Number = None
    """Its slope at the last block, a second."""
    crosses: Number = None
    """When it crosses what is tolerated, in seconds since 1970, if it goes on as it does; before the last block, when it did. None where it does not within ten times as long as it has been watched."""
    crosses_low: Number = None
    """Lower end of the interval of that time, at 90 %; None where it may have been there from the start on."""
    crosses_high: Number = None
    """Its upper end; None where it may never be."""
    until: Number = None
    """When all stages that are left are over at the latest; None once the rollout has ended."""

    @property
    def warns(self) -> bool:
        """Whether it grows, and will cross what is tolerated before the remaining stages are over."""
        return (
            self.told == "grows"
            and self.crosses is not None
            and self.until is not None
            and self.crosses <= self.until
        )


class MetricTimeline(Facts):
    """How a metric went through a rollout."""

    looks: tuple[LookFacts, ...] = ()
    """What each stage's own data said of it, from look to look."""
    blocks: BlockFacts | None = None
    """Its effect over time; None where there is none yet."""
    trend: TrendFacts | None = None
    """Whether that grows or fades; None where there is none yet."""


class TimelineFacts(Facts):
    """How a rollout went over time, thinned to be looked at."""

    decisions: tuple[DecisionFacts, ...] = ()
    """What was decided when, in order; of very many holds the latest."""
    metrics: dict[str, MetricTimeline] = Field(default_factory=dict)
    """Each metric, in the policy's order."""


class RolloutFacts(Facts):
    """What became of a rollout, before words."""

    action: RolloutAction
    """`advance` (the canary gets `share` from now on), `hold`, `rollback` or `complete`."""
    because: Because
    """Why."""
    stage: str
    """The stage that it is in: after `advance`, the one that begins."""
    share: float
    """What the canary should get of the traffic now: the stage's share; 0 after `rollback`, 1 after `complete`."""
    next_share: Number
    """What it gets in the stage after this one; None in the last."""
    wait_s: Number = None
    """Under `hold`: about how many more seconds it takes at the present rate; None where nobody knows."""
    alpha: float
    """At most this chance to roll back a release that is fine, over all looks and stages."""
    beta: float
    """At most this chance to complete a release with harm beyond what its pass excludes; and, for each stage, to leave it with harm beyond its bound."""
    stages: tuple[StageFacts, ...]
    """Each stage, in order."""
    doubts: tuple[DoubtFacts, ...]
    """What is doubtful about the data."""
    waived: tuple[RolloutWaived, ...]
    """Guarantees that the policy's settings give up."""
    at_stage: ReleaseResult
    """What the present stage's own data say, at its bound."""
    release: ReleaseResult
    """What all data since the start say of the release."""
    timeline: TimelineFacts = TimelineFacts()
    """How it went over time."""
