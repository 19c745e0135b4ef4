"""The three zones, the same for every rule: proven worse than tolerated, proven no worse, or neither yet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from canaryjudge.data import Arm, MetricPair
from canaryjudge.policy import Metric
from canaryjudge.results import Finding, Interval, Outcome, Reason

__all__ = [
    "Evidence",
    "Horizon",
    "Limits",
    "Rule",
    "Share",
    "more_points",
    "tolerated",
    "weigh",
    "without_proof",
]

_MOST_TIMES_LONGER = 100
_UNBOUNDED = (-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Horizon:
    """How long a metric is watched, and what is known of it from before.

    Attributes
    ----------
    max_points : int or None
        Points an arm after which the watch ends.
    max_duration : float or None
        Seconds after which it ends.
    history : MetricPair or None
        Both arms of the metric at a time at which they ran the same version.
    replicas : callable or None
        Gives the replicas of baseline and canary as they are by now, each as one point at its level.
    """

    max_points: int | None = None
    max_duration: float | None = None
    history: MetricPair | None = None
    replicas: Callable[[], tuple[tuple[Arm, ...], tuple[Arm, ...]]] | None = None

    def is_over(self, points: int, first: float | None, last: float | None) -> bool:
        """Tell whether the watch has ended, after so many points and at the time of the last."""
        if self.max_points is not None:
            return points >= self.max_points
        if self.max_duration is None or first is None or last is None:
            return False
        return last - first >= self.max_duration


@dataclass(frozen=True, slots=True)
class Share:
    """The error rates that one rule may use.

    Attributes
    ----------
    level : float
        Probability of a false fail: its part of the policy's alpha.
    beta : float
        Probability of a false pass: the policy's.
    horizon : Horizon
        For how long, where the rule asks more than once.
    """

    level: float
    beta: float
    horizon: Horizon = Horizon()


Rule = Callable[[MetricPair, Metric, Any, Share], Finding]
"""A rule: data of one metric, the metric's settings, the rule's own, and its error rates -> what it found."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The tolerated changes, as fractions of the baseline's level or in the metric's unit.

    Attributes
    ----------
    absolute : bool
        Whether the absolute part of the tolerance is the larger, and so decides.
    high, low : float or None
        The largest tolerated change upwards, and downwards (negative); None where that direction is not bad.
    """

    absolute: bool
    high: float | None
    low: float | None

    @property
    def sides(self) -> tuple[tuple[int, float], ...]:
        """Each bad direction as +1 or -1, with its limit."""
        return tuple((sign, limit) for sign, limit in ((1, self.high), (-1, self.low)) if limit is not None)


def tolerated(metric: Metric, level: float) -> Limits | None:
    """Give the tolerated changes at a baseline's level.

    Parameters
    ----------
    metric : Metric
        Its tolerance and direction.
    level : float
        The baseline's level: its median, share or rate.

    Returns
    -------
    Limits or None
        The larger of the relative and the absolute part; None where the level is 0 and there is no absolute part, so that
        nothing can be said.
    """
    relative, absolute = metric.tolerated_relative, metric.tolerated_absolute
    up = metric.direction in ("increase", "either")
    down = metric.direction in ("decrease", "either")
    if absolute > relative * abs(level):
        return Limits(absolute=True, high=absolute if up else None, low=-absolute if down else None)
    if level == 0:
        if metric.tolerance.absolute is None:
            return None
        return Limits(absolute=True, high=0.0 if up else None, low=0.0 if down else None)
    # a fall is tolerated down to the baseline divided by 1 + tolerance
    return Limits(
        absolute=False, high=relative if up else None, low=-relative / (1 + relative) if down else None
    )


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a test says of a change, in the scale of the limits; one entry a bad direction, in the order of `Limits.sides`.

    Attributes
    ----------
    estimate : float
        The change.
    pvalues : sequence of (float, float)
        At each limit, for "the change is at most the limit" and "at least".
    pvalues_none : tuple of (float, float)
        The same at no change.
    fail_bounds, pass_bounds : sequence of (float, float)
        Lower and upper bound at the level of a fail (halved where both directions are bad) and of a pass, as held against that limit.
    abstains, abstains_pass : bool
        The test cannot be honest at the level of a fail, or of a pass.
    eventless : bool
        Neither arm has an event, so that bounds shrink with the points, not with their root.
    lasting : float
        The part of the estimate's variance that more points do not average out.
    """

    estimate: float
    pvalues: Sequence[tuple[float, float]]
    pvalues_none: tuple[float, float]
    fail_bounds: Sequence[tuple[float, float]]
    pass_bounds: Sequence[tuple[float, float]]
    abstains: bool = False
    abstains_pass: bool = False
    eventless: bool = False
    lasting: float = 0.0


def weigh(evidence: Evidence, limits: Limits, share: Share, points: int) -> dict[str, Any]:
    """Turn evidence into the facts of a finding: outcome, reason, p-values, intervals, and what is missing.

    Parameters
    ----------
    evidence : Evidence
        What the test says.
    limits : Limits
        What is tolerated.
    share : Share
        The error rates.
    points : int
        Points a side, for telling how many more would decide.

    Returns
    -------
    dict
        Fields of a `Finding`. Where both directions are bad, each may fail at half the level, and a pass needs both.
    """
    sides = limits.sides
    level = share.level / len(sides)
    fails = [
        pair[0] if sign > 0 else pair[1] for (sign, _), pair in zip(sides, evidence.pvalues, strict=True)
    ]
    passes = [
        pair[1] if sign > 0 else pair[0] for (sign, _), pair in zip(sides, evidence.pvalues, strict=True)
    ]
    worse = any(evidence.pvalues_none[0 if sign > 0 else 1] <= level for sign, _ in sides)
    pvalue, pvalue_pass = min(1.0, len(sides) * min(fails)), max(passes)
    outcome, reason = _zone(pvalue, pvalue_pass, share, evidence, worse=worse)
    # what abstains bounds nothing
    fail_bounds = [_UNBOUNDED] * len(sides) if evidence.abstains else evidence.fail_bounds
    pass_bounds = [_UNBOUNDED] * len(sides) if evidence.abstains_pass else evidence.pass_bounds
    # each end is the one held against a limit: the low end proves a fail above the upper limit, the high end a pass below it
    first, last = 0, len(sides) - 1
    nearest = min(range(len(sides)), key=lambda i: abs(sides[i][1] - evidence.estimate))
    sign, limit = sides[nearest]
    beyond = (evidence.estimate - limit) * sign > 0
    bound = (fail_bounds if beyond else pass_bounds)[nearest][0 if (sign > 0) == beyond else 1]
    missing = more_points(
        points,
        abs(limit - evidence.estimate),
        abs(bound - evidence.estimate),
        1 if evidence.eventless else 2,
        lasting=evidence.lasting,
    )
    return {
        "outcome": outcome,
        "reason": reason,
        "scale": "absolute" if limits.absolute else "relative",
        "estimate": evidence.estimate,
        "interval": Interval(low=fail_bounds[first][0], high=fail_bounds[last][1], error=level),
        "pass_interval": Interval(low=pass_bounds[last][0], high=pass_bounds[first][1], error=share.beta),
        "limit_high": limits.high,
        "limit_low": limits.low,
        "pvalue": pvalue,
        "pvalue_pass": pvalue_pass,
        "more_points": missing if outcome is Outcome.MARGINAL else None,
    }


def _zone(
    pvalue: float, pvalue_pass: float, share: Share, evidence: Evidence, *, worse: bool
) -> tuple[Outcome, Reason]:
    if pvalue <= share.level and not evidence.abstains:
        return Outcome.FAIL, Reason.PROVEN_WORSE
    if pvalue_pass <= share.beta and not evidence.abstains_pass:
        return Outcome.PASS, Reason.PROVEN_SAFE
    if evidence.abstains or evidence.abstains_pass:
        return Outcome.MARGINAL, Reason.ABSTAINS
    return Outcome.MARGINAL, Reason.WORSE_BUT_MAYBE_TOLERABLE if worse else Reason.UNDECIDED


def without_proof(found: Finding) -> Finding:
    """Let what a rule about a feature could not decide pass, but for evidence against the canary.

    Parameters
    ----------
    found : Finding
        What was found.

    Returns
    -------
    Finding
        Where it was marginal: a pass with the reason `nothing_found`, or marginal, `suspected`, where a fail would be proven at beta.
    """
    if found.outcome is not Outcome.MARGINAL:
        return found
    if found.pvalue is not None and found.pvalue <= found.beta and found.reason != "abstains":
        return found.model_copy(update={"reason": Reason.SUSPECTED})
    return found.model_copy(update={"outcome": Outcome.PASS, "reason": Reason.NOTHING_FOUND})


def more_points(
    points: int, distance: float, half_width: float, power: int = 2, *, lasting: float = 0.0
) -> int | None:
    """Tell about how many more points would decide, if estimate and noise stay as they are.

    Parameters
    ----------
    points : int
        Points a side so far.
    distance : float
        From the estimate to the limit.
    half_width : float
        From the estimate to the confidence bound that has to get to the limit.
    power : int
        2 where a half-width shrinks with the root of the points, 1 where it shrinks with the points (no events so far).
    lasting : float
        The part of its variance that does not shrink.

    Returns
    -------
    int or None
        ``points ((half_width / distance)^power - 1)``, or where a part L lasts ``points ((1 - L) / ((distance / half_width)^2 - L) - 1)``; None where more
        than a hundred times as many would be needed.

    Examples
    --------
    >>> more_points(60, distance=5.0, half_width=10.0)
    180
    >>> more_points(60, distance=5.0, half_width=10.0, lasting=0.125)
    360
    """
    if not (math.isfinite(distance) and math.isfinite(half_width)) or distance == 0:
        return None
    ratio = half_width / distance
    if not 1 < ratio <= _MOST_TIMES_LONGER:
        return None
    times = ratio**power
    if lasting:
        left = ratio**-power - lasting
        times = (1 - lasting) / left if left > 0 else math.inf
    return math.ceil(points * (times - 1)) if times <= _MOST_TIMES_LONGER else None
