"""What a rule found and what became of a metric: facts without words.

Numbers are kept to ten significant digits, so that the same data give the same bytes on every machine; what is not finite
(not computed, or unbounded) is None, because JSON has no other word for it.
"""

from __future__ import annotations

import math
from typing import Literal

from canaryjudge.data import Note
from canaryjudge.facts import ArmFacts, BucketFacts, BurnFacts, Facts, Interval, Number, ObjectiveFacts
from canaryjudge.policy import Kind
from canaryjudge.reasons import Outcome, Reason

__all__ = [
    "ArmFacts",
    "BucketFacts",
    "BurnFacts",
    "Finding",
    "Interval",
    "MetricResult",
    "Number",
    "ObjectiveFacts",
    "Outcome",
    "Pairing",
    "Reason",
    "ReleaseResult",
    "Scale",
    "ValidFor",
    "Waived",
    "Waiver",
]


Pairing = Literal["concurrent", "windows"]

ValidFor = Literal["one_look", "all_looks"]

Scale = Literal["relative", "absolute", "objective"]

Waiver = Literal[
    "aggregate_score",
    "no_data_ignored",
    "not_proven_worse_passes",
    "point_evidence",
    "independence_assumed",
    "outside_proven_range",
    "replicas_pooled",
    "nothing_required",
    "deadline_passes",
    "deadline_fails",
]


def _rounded_up(value: float, digits: int = 2) -> float:
    """Give the next number of so few digits that is no smaller."""
    step = 10.0 ** (math.floor(math.log10(value)) + 1 - digits)
    return float(f"{math.ceil(value / step * (1 - 1e-12)) * step:.{digits}g}")


class Finding(Facts):
    """What one rule found of one metric."""

    rule: str
    """The rule's name."""
    outcome: Outcome
    """What it says."""
    reason: Reason
    """Why."""
    method: str
    """Code of the test that was used: of sequential rules `mixture`, `cmh`, `scores`, `ranks`, `betting`, `mean_sequence`, `history`; `robust_rank`, `exact_rank`, `asymptotic_rank`, `exact_conditional`, `score`, `difference`, `exact_difference`,
    `mean`, `mean_difference`, `quantile`, `bucket_quantile`, `bucket_rank`, `share`, `combined`, `paired_shares`, `exact_ratio`, `exact_rate`, `point`, `precedence`, `not_positive` (no logarithms), or `none`."""
    level: float
    """Probability of a false fail that this rule may use."""
    beta: float
    """Probability of a false pass."""
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
    pvalue: Number = None
    """For the null hypothesis that the canary is fine; a fail where it is at most `level`."""
    pvalue_pass: Number = None
    """For the null hypothesis that the canary is worse than tolerated; a pass where it is at most `beta`."""
    statistic: Number = None
    """The test's statistic at the limit."""
    df: Number = None
    """Degrees of freedom of its t distribution, where it has one."""
    probability_worse: Number = None
    """P(a canary point is worse than a baseline point), equals counted half."""
    baseline_level: Number = None
    """The baseline's median, share or rate, or its aggregate under `objective`."""
    canary_level: Number = None
    """The canary's."""
    n_baseline: int = 0
    """Points (intervals of ratios and counts) of the baseline."""
    n_canary: int = 0
    """Points of the canary."""
    total_baseline: Number = None
    """Total of the baseline: its requests, its exposure."""
    total_canary: Number = None
    """Total of the canary."""
    events_baseline: Number = None
    """Events of the baseline."""
    events_canary: Number = None
    """Events of the canary."""
    replicas_baseline: int | None = None
    """Replicas of the baseline by which the change was held against how much replicas of one arm differ; None where they are not told apart."""
    replicas_canary: int | None = None
    """Replicas of the canary."""
    replica_spread: Number = None
    """Standard deviation between replicas of one arm, in the scale of the estimate."""
    replica_dispersion: Number = None
    """Of ratios and counts: variance between the replicas of one arm over that of independent events, by which the change was held too."""
    noise_floor: Number = None
    """Standard deviation by which healthy windows (or replicas, where the arms share the clock) differ by the policy's noise floor, in the scale of the
    estimate: the intervals are widened by it. None where there is none."""
    noise_floor_df: Number = None
    """Degrees of freedom with which it is known."""
    autocorrelation: Number = None
    """Lag-1 autocorrelation that the test allowed for."""
    dispersion: Number = None
    """Variance between intervals over that of independent events; 1 where no more was found."""
    log_e_fail: Number = None
    """Of sequential rules: log10 of the evidence that the canary is worse than tolerated (an e-value: 2 is a hundred times what luck explains)."""
    log_e_pass: Number = None
    """The same, that it is no worse."""
    smallest_visible: Number = None
    """Of sequential rules: the smallest change in the bad direction that so much data would fail."""
    looks: int | None = None
    """Of planned looks: how many have been taken."""
    looks_planned: int | None = None
    """Of planned looks: how many there will be."""
    decided_after: int | None = None
    """Of sequential rules: points a side after which it was decided; None while it is not."""
    decided_at: Number = None
    """The time of that point, in seconds since 1970."""
    more_points: int | None = None
    """About how many more points a side would decide, at the present noise and estimate; None where more points are not the way."""
    of: str | None = None
    """The aggregate that an objective is about."""
    burn: BurnFacts | None = None
    """Of a burn rate: the windows that were asked, and the budget."""
    op: str | None = None
    """How it must stand to the limit."""
    objective: ObjectiveFacts | None = None
    """What an objective asks beyond `op` and its limit."""
    beyond: Number = None
    """Of a tail: the bound beyond which observations were counted, in the metric's unit; the scale of all else is a share. Of an excursion: the bound beyond which points
    count; estimate and limit are distances from the baseline's worst point, which is `baseline_level`."""
    points_beyond: int | None = None
    """Of an excursion: how many points of the canary lie beyond that bound."""
    fullest_bucket: BucketFacts | None = None
    """Of histograms whose buckets are too coarse to see a change of the size of the limit: the one that holds the largest share of an arm."""
    parts: tuple[Finding, ...] = ()
    """Of a group of rules: what each of them found, in the policy's order. The other fields are those of the one that decided."""
    waived: tuple[Waiver, ...] = ()
    """Guarantees that this rule does not give."""

    @property
    def levels_apart(self) -> bool:
        """Whether the two levels differ noticeably otherwise than by `estimate`, which is the test's own: by a tenth of it, and of what is tolerated."""
        canary, baseline = self.canary_level, self.baseline_level
        if self.estimate is None or canary is None or baseline is None:
            return False
        if self.scale == "objective" or self.points_beyond is not None:  # no change of levels at all
            return False
        if self.scale == "relative" and baseline == 0:
            return False
        change = (canary - baseline) / (abs(baseline) if self.scale == "relative" else 1.0)
        size = max(
            abs(value) for value in (self.estimate, self.limit_high, self.limit_low) if value is not None
        )
        return abs(change - self.estimate) > size / 10

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
    def far_from_decided(self) -> bool:
        """Whether it would take more than ten times the data that there are."""
        return self.more_points is not None and self.more_points > 10 * min(self.n_baseline, self.n_canary)

    @property
    def smallest_passing_tolerance(self) -> float | None:
        """About the smallest tolerance that these data would pass, in the scale of the estimate: the end of the pass interval, as a policy would write it."""
        interval, planned = self.pass_interval, self.looks_planned is not None or self.log_e_fail is not None
        if interval is None or planned or self.scale == "objective":
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
        if self.scale == "objective" or self.points_beyond is not None:
            return False
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


class MetricResult(Facts):
    """What became of one metric."""

    name: str
    """The metric."""
    kind: Kind
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
    findings: tuple[Finding, ...]
    """What each rule found, in the policy's order."""
    unproven: tuple[str, ...] = ()
    """On a pass: rules that found nothing against the canary, without proof that there is nothing."""
    watch_over: bool = False
    """Whether the watch of this metric has ended without a decision by its rules."""
    warnings: tuple[Note, ...]
    """What is odd about the data, with counts."""
    baseline: ArmFacts | None = None
    """What the baseline's points look like, to be drawn; None without points."""
    canary: ArmFacts | None = None
    """What the canary's look like."""

    @property
    def deciding(self) -> Finding | None:
        """The finding that decided."""
        return None if self.deciding_rule is None else self.findings[self.deciding_rule]

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

    @property
    def lacks_data(self) -> bool:
        """Whether the release is marginal, and every metric that counts and did not pass is so for want of data."""
        held = [m for m in self.metrics.values() if m.role != "muted" and m.outcome is not Outcome.PASS]
        return self.outcome is Outcome.MARGINAL and bool(held) and all(m.lacks_data for m in held)
