"""What calibrations, plans and the doctor found, as facts without words, and how such reports are written, read back and shown."""

from __future__ import annotations

from abc import abstractmethod
from html import escape
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ValidationError
from scipy.special import betaincinv

from canaryjudge.errors import DataError
from canaryjudge.kinds import Fault, KindName
from canaryjudge.rules.findings import Facts, Number
from canaryjudge.texts import as_json

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CalibrationFacts",
    "Duplicate",
    "FloorFacts",
    "Form",
    "MetricCalibration",
    "MetricPlan",
    "ObservedRate",
    "PlanFacts",
    "PlanPoint",
    "Proposal",
    "ProposalReason",
    "ReadinessFacts",
    "Report",
    "Severity",
    "SharePlan",
    "SimulatedPlan",
    "SmallestFault",
    "Symptom",
    "SymptomCode",
    "read_json",
]


_Model = TypeVar("_Model", bound=BaseModel)


def read_json(model: type[_Model], text: str | bytes, what: str) -> _Model:
    """Read what a report wrote as JSON; `what` says in the error what it should have been."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise DataError(
            f"this is not a {what}: {where}: {first['msg']}", "Give the JSON that canaryjudge wrote."
        ) from None


class Report(Facts):
    """Base of calibrations, plans and checks of readiness."""

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain data, as `to_json` writes it."""
        return self.model_dump(mode="json")

    def to_json(self) -> str:
        """Give it as JSON; the same input gives the same bytes, and `from_json` reads it back."""
        return as_json(self.to_dict()) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote.

        Raises
        ------
        DataError
            If the text is something else.
        """
        return read_json(cls, text, cls.__name__.lower())

    @abstractmethod
    def explain(self) -> str:
        """Give it in sentences and tables, for a terminal."""

    @abstractmethod
    def to_markdown(self) -> str:
        """Give it as Markdown, for a pull request or a pipeline's summary."""

    @abstractmethod
    def to_frame(self) -> pd.DataFrame:
        """Give its table as a pandas frame."""

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.explain())}</pre>"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    __str__ = __repr__


Role = Literal["required", "guard", "advisory", "muted"]


class ObservedRate(Facts):
    """How often something happened, with its exact 95 % interval."""

    count: int
    """How often."""
    trials: int
    """Of how many."""
    independent: float
    """What they are worth: as many would share no data. The interval is that of so many."""
    rate: float
    """The share."""
    low: float
    """Lower end (Clopper and Pearson)."""
    high: float
    """Upper end."""

    @classmethod
    def of(cls, count: int, trials: int, independent: float, error: float = 0.05) -> Self:
        """Give a rate with the interval of Clopper and Pearson, for as many trials as these are worth."""
        rate = count / trials
        worth = max(1.0, min(independent, float(trials)))
        events = rate * worth
        low = float(betaincinv(events, worth - events + 1, error / 2)) if count else 0.0
        high = float(betaincinv(events + 1, worth - events, 1 - error / 2)) if count < trials else 1.0
        return cls(count=count, trials=trials, independent=worth, rate=rate, low=low, high=high)


class FloorFacts(Facts):
    """How much healthy windows, or replicas, differ beyond the scatter of their points."""

    between: Literal["windows", "replicas"]
    """Which."""
    spread: float
    """Standard deviation: a part of the level, or in the metric's unit."""
    absolute: bool
    """Whether it is in the metric's unit, because the level is 0 at times."""
    measured_from: int
    """How many windows, or replicas, it was measured from."""
    df: float
    """Degrees of freedom with which it is known."""


class SmallestFault(Facts):
    """The smallest fault of a kind that is found often enough."""

    fault: Fault
    """What was put into the canary."""
    size: Number
    """The smallest size that fails in so many pairs: a part of the level or rate. None where none up to 16 times does."""
    power: float
    """In what part of the pairs."""


class MetricCalibration(Facts):
    """What a history says of one metric."""

    name: str
    """The metric."""
    kind: KindName
    """Its kind."""
    unit: str
    """Its unit."""
    role: Role
    """Its role in the policy."""
    alpha: float
    """Its share of the policy's alpha."""
    source: Literal["releases", "replicas", "neighbors", "clock", "none"]
    """What the healthy pairs are: past releases, concurrent replicas, neighboring windows, windows at the same time of the day; none where the history is too short."""
    points: int
    """Points of a window."""
    interval_s: Number
    """Spacing of the points in seconds."""
    windows: int
    """Windows of the history that share no data."""
    replicas: int
    """Series that ran side by side."""
    failed: ObservedRate | None
    """How often healthy pairs failed by the policy as it is."""
    marginal: Number
    """The share of them that is marginal."""
    failed_by_rule: dict[str, float]
    """The share of pairs that each rule failed."""
    floors: tuple[FloorFacts, ...]
    """How much healthy windows and replicas differ."""
    failed_proposed: ObservedRate | None
    """How often healthy pairs failed by the proposed policy; each was judged by a noise floor that its own data had no part in."""
    marginal_proposed: Number
    """The share of them that is marginal."""
    faults: tuple[SmallestFault, ...]
    """The smallest faults that the proposed policy finds."""
    found: ObservedRate | None
    """How many of the past releases that turned out bad fail by the policy as it is."""
    autocorrelation: Number
    """Lag-1 autocorrelation within windows, the median."""
    seasonality: Number
    """The part of the variance that the time of the day explains; None for less than two days."""
    gaps: Number
    """The part of the history's intervals that has no point."""
    more_points: int | None
    """How many more points a side would decide half of the pairs that are undecided, as their verdicts say."""


class Duplicate(Facts):
    """Two metrics that move together where nothing is wrong."""

    first: str
    """One metric."""
    second: str
    """The other."""
    correlation: float
    """Spearman's rank correlation of their changes."""
    pairs: int
    """Over so many healthy pairs."""


ProposalReason = Literal[
    "differs_anyway",  # healthy windows or replicas differ beyond their points' scatter
    "rule_cries_wolf",  # this rule alone fails healthy pairs too often
    "tolerance_too_tight",  # healthy pairs still fail too often, up to this tolerance
    "too_noisy",  # no tolerance below 100 % keeps the promise, or nothing below a doubling would be found
    "dependent_points",  # fewer points are worth less than four independent ones
    "undecided_for_long",  # so much longer would decide most healthy pairs
]


class Proposal(Facts):
    """A change of the policy."""

    metric: str | None
    """The metric; None where it is about the whole policy."""
    field: str
    """The key to change."""
    old: Any
    """What it is, as the policy would write it; None where it is left out."""
    new: Any
    """What is proposed; None takes it out."""
    reason: ProposalReason
    """Why."""
    numbers: dict[str, float]
    """The numbers that belong to it."""


class CalibrationFacts(Facts):
    """What a history says of a policy."""

    alpha: float
    """The policy's."""
    beta: float
    """The policy's."""
    power: float
    """The part of pairs in which a fault is to be found."""
    seed: int
    """Of the random draws."""
    metrics: dict[str, MetricCalibration]
    """Each metric, in the policy's order."""
    duplicates: tuple[Duplicate, ...]
    """Metrics that move together."""
    pooled: tuple[str, ...] = ()
    """The columns of the segments within which the policy compares, which were pooled here."""
    no_gate: bool
    """Whether every metric that can fail a release is too noisy for that; muting is not proposed then, for a policy needs a gate."""
    proposals: tuple[Proposal, ...]
    """What to change, and why."""


class PlanPoint(Facts):
    """What is to be expected after so long."""

    points: int
    """Points an arm."""
    seconds: float
    """How long that is."""
    power: float
    """Probability that a regression of the size fails by then, at one look."""
    passes: float
    """Probability that a healthy canary passes."""


class SharePlan(Facts):
    """What a share of the traffic can tell."""

    share: float
    """The canary's share of the traffic; the baseline has the rest."""
    needed_points: int | None
    """Points after which a regression of the size is found with the power; None where no number would do."""
    needed_s: Number
    """How long that is."""
    visible: Number
    """The smallest regression that is found with the power by the deadline; None where none up to 32 times is."""


class SimulatedPlan(Facts):
    """What releases that were made up, and judged by the real code, say."""

    points: int
    """Points an arm."""
    judged: ObservedRate
    """How many with a regression of the size fail, at one look."""
    watched: ObservedRate | None
    """How many a Monitor fails, asked after every point."""
    delay_points: Number
    """The median of the points after which it does; None where it fails fewer than half."""


Form = Literal["shift", "events", "none"]
"""The closed form of a rule's power: of a shift, of events, or none."""


class MetricPlan(Facts):
    """What is to be expected of one metric."""

    name: str
    """The metric."""
    kind: KindName
    """Its kind."""
    rule: str
    """The rule that is planned for."""
    form: Form
    """The closed form: of a shift, of events, or none for such rules."""
    alpha: float
    """The level of the rule."""
    lacking: str | None
    """What must be known for a plan and is not."""
    per_request: bool
    """Whether its points scatter the more the fewer requests an arm gets."""
    interval_s: float
    """Spacing of the points."""
    level: Number
    """Its level."""
    spread: Number
    """Standard deviation of a point, or of an observation, relative to the level."""
    one_series: bool
    """Whether the history has one series of a gauge alone, whose slow variation is taken to be felt by both arms."""
    between_intervals: float
    """Of samples and histograms: the standard deviation that an interval shares."""
    autocorrelation: float
    """Lag-1 autocorrelation."""
    traffic: Number
    """Requests of an interval."""
    dispersion: float
    """Of events."""
    shares: tuple[SharePlan, ...]
    """By shares of the traffic."""
    curve: tuple[PlanPoint, ...]
    """By time, at the planned share."""
    simulated: SimulatedPlan | None
    """What simulation says at the planned share and the deadline."""


class PlannedStage(Facts):
    """What is to be expected of one stage while nothing is wrong."""

    name: str
    """What it is called."""
    share: float
    """The canary's share of the traffic."""
    min_duration_s: Number
    """How long it lasts at least."""
    max_duration_s: float
    """When it is over."""
    excludes: dict[str, float]
    """Of each metric, the harm beyond which leaving it excludes, relative to the level; none where it is left by time."""
    left: ObservedRate | None
    """How many of the healthy rollouts that come so far leave it by its deadline; None where none comes so far."""
    left_after_s: Number
    """After how long half of them have left it; None where fewer do."""
    proposed_s: Number
    """The shortest `max_duration` with which healthy rollouts leave it with the power; None where none up to eight times as long does."""


class Exposure(Facts):
    """How much of the traffic meets a regression of one metric before the rollout is stopped.

    Counted are the stages from the one on in which the regression begins: the canary's share times how long, up to the rollback or else the last deadline. A rollout that is
    completed exposes everything from then on: it has no part in the mean, and counts as more than any other in the quantiles.
    """

    metric: str
    """The metric that is worse."""
    size: float
    """By what part of its level."""
    stopped: ObservedRate
    """How many rollouts are rolled back, of those that reach the stage in which it begins."""
    stopped_in: tuple[float, ...]
    """The part of them that is rolled back in each stage."""
    held: float
    """The part that is neither rolled back nor completed by the last deadline."""
    complete: ObservedRate
    """How many are completed."""
    stopped_after_s: Number
    """After how long with the regression half of them are rolled back; None where fewer are."""
    mean_s: Number
    """The mean exposure of those that are not completed, in seconds of all of the traffic; None where all are."""
    median_s: Number
    """The median exposure; None where half of them are completed."""
    p95_s: Number
    """The exposure that 95 % do not exceed; None where more than 5 % are completed."""
    oracle_s: Number
    """The least mean exposure of any method with the policy's error rates, even one that knew the baseline, the noise and the size (Wald); None where it is not known."""
    mean: Number
    """The mean exposure in requests; None where the traffic is not known."""
    median: Number
    """The median exposure in requests."""
    p95: Number
    """The exposure in requests that 95 % do not exceed."""
    oracle: Number
    """The least mean exposure in requests."""


class RolloutPlan(Facts):
    """What is to be expected of a policy's rollouts, by simulation."""

    runs: int
    """Rollouts of each kind."""
    step_s: float
    """Seconds between two looks: the shortest interval of the metrics."""
    since: str
    """The stage in which regressions begin."""
    traffic_per_s: Number
    """Requests of the whole service a second; None where nothing says."""
    traffic_unit: str
    """What is counted: requests, or what was stated."""
    traffic_of: str | None
    """The metric whose totals say how many; None where it is stated, or not known."""
    left_out: tuple[str, ...]
    """Metrics of which too little is known to simulate them."""
    stages: tuple[PlannedStage, ...]
    """Each stage."""
    complete: ObservedRate
    """How many healthy rollouts are completed."""
    complete_after_s: Number
    """After how long half of them are; None where fewer are."""
    rolled_back: ObservedRate
    """How many healthy rollouts are rolled back."""
    exposures: tuple[Exposure, ...]
    """By metric and size of its regression."""


class PlanFacts(Facts):
    """What is to be expected of a policy's releases."""

    size: float
    """The regression that is to be found, relative to the level."""
    power: float
    """How surely."""
    share: float
    """The planned share of the traffic."""
    deadline_s: float
    """How long a canary runs."""
    seed: int
    """Of the simulation."""
    metrics: dict[str, MetricPlan]
    """Each metric, in the policy's order."""
    pooled: tuple[str, ...] = ()
    """The columns of the segments within which the policy compares, which are pooled here."""
    staged: bool = False
    """Whether the policy has stages, whose shares and durations are planned for."""
    rollout: RolloutPlan | None = None
    """Of a policy with stages: how its rollouts go, where they were simulated."""


Severity = Literal["error", "warning", "info"]

SymptomCode = Literal[
    "averaged_percentile",  # the query averages or adds up percentiles
    "pooled_percentiles",  # a percentile of several replicas, which are averaged here
    "short_rate_window",  # a rate over less than two steps
    "made_up_values",  # the query answers where nothing is measured
    "uncounted",  # a part of the observations is in no bucket
    "success_tolerance",  # a success rate whose tolerance is a part of it
    "unprovable_objective",  # an objective of exactly 0 or 100 %
    "tolerance_too_wide",  # the tolerance is wider than the level, or than what is left to the best
    "silent",  # an arm stopped reporting
    "unit_and_name",  # the name says another unit than the policy
    "no_metric",  # the data do not have it
    "no_arm_data",  # one arm has none of it
    "unreadable",  # it cannot mean what the policy says
    "too_few_points",  # fewer than the policy asks for
    "few_points",  # so few that little can be proven
    "coarse_resolution",  # too few points by the deadline
    "gaps",  # intervals without a point
    "bad_values",  # missing or infinite values
    "duplicate_times",  # several points at one time
    "undeclared_counter",  # values that only grow
    "counter_resets",  # restarts
    "lost_members",  # a sum of counters that lost a member, or got it back
    "clocks_apart",  # an arm's data end or begin much earlier
    "time_zone",  # by whole half hours
    "no_overlap",  # the arms share no time
    "same_data",  # both arms are the same points
    "constant",  # an arm never changes
    "arms_in_other_units",  # the levels differ by a power of a thousand
    "unit_and_level",  # the level is unlikely in this unit
    "coarse_buckets",  # the bucket of the median is wider than the tolerance
    "no_infinite_bucket",  # observations beyond the last bucket are unseen
    "split_mismatch",  # the arms' traffic is not what the split says
    "little_traffic",  # what could be found is far beyond the tolerance
]


class Symptom(Facts):
    """Something that keeps a metric from being judged well."""

    code: SymptomCode
    """What it is."""
    severity: Severity
    """`error`: what is judged is wrong, or nothing can be. `warning`: it can be judged, but badly. `info`: good to know."""
    metric: str
    """The metric."""
    arm: str | None = None
    """The arm, by the caller's name; None where it is about both."""
    numbers: dict[str, float | str]
    """The facts that belong to it."""


class ReadinessFacts(Facts):
    """What keeps a service's metrics from being judged well."""

    metrics: tuple[str, ...]
    """The metrics that were looked at, in the policy's order."""
    with_data: bool
    """Whether there were data to look at, or the policy alone."""
    symptoms: tuple[Symptom, ...]
    """What was found; errors first."""
