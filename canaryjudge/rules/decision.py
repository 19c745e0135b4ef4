"""The three zones, the same for every rule: proven worse than tolerated, proven no worse, or neither yet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from canaryjudge.kinds import KINDS
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.findings import Finding, Interval, PassBound
from canaryjudge.rules.rows import ErrorRates, Question, Sizes

__all__ = ["Evidence", "Limits", "more_points", "tolerated", "weigh", "weigh_with", "without_proof"]

_MOST_TIMES_LONGER = 100
_UNBOUNDED = (-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Limits:
    """The changes that both outcomes are proven beyond and within, as fractions of the baseline's level or in the metric's unit.

    Attributes
    ----------
    absolute : bool
        Whether the absolute part of the tolerance is the larger, and so decides.
    high, low : float or None
        The largest tolerated change upwards, and downwards (negative); None where that direction is not bad.
    pass_high, pass_low : float or None
        The changes beyond which a pass excludes harm, where they are farther.
    pass_by : {"tolerance", "stated", "usual"}
        What those are: the tolerated ones, what the policy says, or how much the baseline itself varies.
    by_estimate : bool
        A pass also wants the estimate to be tolerated.
    """

    absolute: bool
    high: float | None
    low: float | None
    pass_high: float | None = None
    pass_low: float | None = None
    pass_by: PassBound = "tolerance"
    by_estimate: bool = False

    @property
    def sides(self) -> tuple[tuple[int, float], ...]:
        """Each bad direction as +1 or -1, with its limit."""
        return tuple((sign, limit) for sign, limit in ((1, self.high), (-1, self.low)) if limit is not None)

    @property
    def pass_sides(self) -> tuple[tuple[int, float], ...]:
        """The same with the limit of a pass."""
        if self.pass_by == "tolerance":
            return self.sides
        ends = ((1, self.pass_high), (-1, self.pass_low))
        return tuple((sign, limit) for sign, limit in ends if limit is not None)

    @property
    def asked(self) -> tuple[float, ...]:
        """At which changes a test is asked: at the limit of each side, and then at its limit of a pass where that is another."""
        own = self.sides if self.pass_by == "tolerance" else (*self.sides, *self.pass_sides)
        return tuple(limit for _, limit in own)

    @property
    def at_fail(self) -> slice:
        """Which of those a fail is held against."""
        return slice(len(self.sides))

    @property
    def at_pass(self) -> slice:
        """Which of those a pass is held against."""
        return slice(-len(self.sides), None)

    def allows(self, estimate: float) -> bool:
        """Tell whether a pass may have this estimate."""
        return not self.by_estimate or all(sign * estimate <= sign * limit for sign, limit in self.sides)


def tolerated(question: Question, level: float) -> Limits | None:
    """Give the tolerated changes at a baseline's level; None where that is 0 and there is no absolute part, so that nothing can be said."""
    tolerance, within = question.tolerance, question.pass_within or question.tolerance
    relative, size = tolerance.relative, abs(level)
    if tolerance.absolute_or_zero <= relative * size and level == 0 and math.isnan(tolerance.absolute):
        return None
    absolute = tolerance.absolute_or_zero > relative * size or level == 0
    (high, low), (pass_high, pass_low) = (
        _ends(part, size, absolute=absolute) for part in (tolerance, within)
    )
    up, down = 1 in question.sides, -1 in question.sides
    limits = Limits(absolute=absolute, high=high if up else None, low=low if down else None)
    if not (up and pass_high > high) and not (down and pass_low < low):
        return limits
    return replace(
        limits,
        pass_high=max(high, pass_high) if up else None,
        pass_low=min(low, pass_low) if down else None,
        pass_by="stated" if question.pass_stated else "usual",
        by_estimate=KINDS[question.kind].is_averaged,
    )


def _ends(sizes: Sizes[float], level: float, *, absolute: bool) -> tuple[float, float]:
    """Give the largest changes up and down in one scale; a fall goes down to the baseline divided by 1 + its relative part."""
    relative, fixed = sizes.relative, sizes.absolute_or_zero
    if absolute:
        rise = max(fixed, relative * level)
        return rise, -max(fixed, relative / (1 + relative) * level)
    in_parts = fixed / level
    return max(relative, in_parts), -max(relative / (1 + relative), in_parts)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a test says of a change, in the scale of the limits.

    Attributes
    ----------
    estimate : float
        The change.
    pvalues : sequence of (float, float)
        At each of `Limits.asked`, for "the change is at most the limit" and "at least".
    pvalues_none : tuple of (float, float)
        The same at no change.
    fail_bounds, pass_bounds : sequence of (float, float)
        Lower and upper bound at the level of a fail (halved where both directions are bad), one entry a bad direction in the order of `Limits.sides`, as held
        against its limit; and at that of a pass, as held against `Limits.pass_sides`.
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


def weigh(evidence: Evidence, limits: Limits, rates: ErrorRates, points: int) -> dict[str, Any]:
    """Turn evidence into the facts of an effect's finding; where both directions are bad, each may fail at half the level, and a pass needs both."""
    sides, count = limits.sides, len(limits.sides)
    level = rates.level / count
    at_fail, at_pass = evidence.pvalues[limits.at_fail], evidence.pvalues[limits.at_pass]
    fails = [pair[0] if sign > 0 else pair[1] for (sign, _), pair in zip(sides, at_fail, strict=True)]
    passes = [pair[1] if sign > 0 else pair[0] for (sign, _), pair in zip(sides, at_pass, strict=True)]
    worse = any(evidence.pvalues_none[0 if sign > 0 else 1] <= level for sign, _ in sides)
    pvalue, pvalue_pass = min(1.0, len(sides) * min(fails)), max(passes)
    allowed = limits.allows(evidence.estimate)
    outcome, reason = _zone(pvalue, pvalue_pass if allowed else 1.0, rates, evidence, worse=worse)
    # what abstains bounds nothing
    fail_bounds = [_UNBOUNDED] * len(sides) if evidence.abstains else evidence.fail_bounds
    pass_bounds = [_UNBOUNDED] * len(sides) if evidence.abstains_pass else evidence.pass_bounds
    # each end is the one held against a limit: the low end proves a fail above the upper limit, the high end a pass below it
    first, last = 0, len(sides) - 1
    nearest = min(range(len(sides)), key=lambda i: abs(sides[i][1] - evidence.estimate))
    sign, limit = sides[nearest]
    beyond = (evidence.estimate - limit) * sign > 0
    limit = limit if beyond else limits.pass_sides[nearest][1]
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
        "pass_interval": Interval(low=pass_bounds[last][0], high=pass_bounds[first][1], error=rates.beta),
        "limit_high": limits.high,
        "limit_low": limits.low,
        "pass_high": dict(limits.pass_sides).get(1),
        "pass_low": dict(limits.pass_sides).get(-1),
        "pass_by": limits.pass_by,
        "pvalue": pvalue,
        "pvalue_pass": pvalue_pass,
        "more_points": missing if outcome is Outcome.MARGINAL else None,
    }


def weigh_with(
    siblings: Evidence | None, evidence: Evidence, limits: Limits, rates: ErrorRates, points: int
) -> dict[str, Any]:
    """Weigh evidence of a change that counts only as far as the replicas bear it out: the larger p-value, the outer of two bounds.

    Where only the replicas leave it undecided, no number of points is missing.
    """
    alone = weigh(evidence, limits, rates, points)
    if siblings is None:
        return alone
    together = weigh(_borne_out(evidence, siblings), limits, rates, points)
    return together | {"more_points": alone["more_points"]} if together["more_points"] else together


def _borne_out(evidence: Evidence, other: Evidence) -> Evidence:
    def larger(pvalues: tuple[float, float], others: tuple[float, float]) -> tuple[float, float]:
        return max(pvalues[0], others[0]), max(pvalues[1], others[1])

    def outer(bounds: tuple[float, float], others: tuple[float, float]) -> tuple[float, float]:
        return min(bounds[0], others[0]), max(bounds[1], others[1])

    return replace(
        evidence,
        pvalues=[larger(*both) for both in zip(evidence.pvalues, other.pvalues, strict=True)],
        pvalues_none=larger(evidence.pvalues_none, other.pvalues_none),
        fail_bounds=[outer(*both) for both in zip(evidence.fail_bounds, other.fail_bounds, strict=True)],
        pass_bounds=[outer(*both) for both in zip(evidence.pass_bounds, other.pass_bounds, strict=True)],
        abstains=evidence.abstains or other.abstains,
        abstains_pass=evidence.abstains_pass or other.abstains_pass,
    )


def _zone(
    pvalue: float, pvalue_pass: float, rates: ErrorRates, evidence: Evidence, *, worse: bool
) -> tuple[Outcome, Reason]:
    if pvalue <= rates.level and not evidence.abstains:
        return Outcome.FAIL, Reason.PROVEN_WORSE
    if pvalue_pass <= rates.beta and not evidence.abstains_pass:
        return Outcome.PASS, Reason.PROVEN_SAFE
    if evidence.abstains or evidence.abstains_pass:
        return Outcome.MARGINAL, Reason.ABSTAINS
    return Outcome.MARGINAL, Reason.WORSE_BUT_MAYBE_TOLERABLE if worse else Reason.UNDECIDED


def without_proof(found: Finding) -> Finding:
    """Let what a rule about a feature could not decide pass, `nothing_found`, unless a fail would be proven at beta: then it is `suspected`."""
    if found.outcome is not Outcome.MARGINAL:
        return found
    if found.pvalue is not None and found.pvalue <= found.beta and found.reason is not Reason.ABSTAINS:
        return found.model_copy(update={"reason": Reason.SUSPECTED})
    return found.model_copy(update={"outcome": Outcome.PASS, "reason": Reason.NOTHING_FOUND})


def more_points(
    points: int, distance: float, half_width: float, power: int = 2, *, lasting: float = 0.0
) -> int | None:
    """Tell about how many more points would decide, if estimate and noise stay as they are; None where that is more than a hundred times as many.

    A half-width shrinks with the root of the points (`power` 2), or with the points (1: no events so far). That is ``points ((half_width / distance)^power - 1)``, or
    where a part L of the variance lasts ``points ((1 - L) / ((distance / half_width)^2 - L) - 1)``.

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
