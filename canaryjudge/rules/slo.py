"""Hold an aggregate of the canary's values against an objective: a threshold, two bounds, or a change from the baseline."""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import ndtri

from canaryjudge.data import MetricPair
from canaryjudge.policy import Metric, Slo
from canaryjudge.results import Finding, Interval, ObjectiveFacts, Outcome, Reason, Waiver
from canaryjudge.rules.changes import Comparison, compare
from canaryjudge.rules.decision import Share, more_points
from canaryjudge.rules.limits import Limit
from canaryjudge.rules.measures import Measure, Question, is_constant, measure, observed

__all__ = ["judge_objective"]

_UNBOUNDED = (-np.inf, np.inf)
_SMALLEST_PVALUE = 1e-300
_HOLDS = {"lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge}


@dataclass(frozen=True, slots=True)
class _Asked:
    """One bound of an objective, as numbers."""

    op: str
    """How the canary must stand to the limit."""
    limit: float
    """What the objective asks."""
    fail_limit: float
    """Beyond what it fails; the limit itself, or a laxer one."""

    @property
    def upward(self) -> bool:
        """Whether the canary must not lie above the limit; otherwise not below."""
        return self.op in ("lt", "lte")


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


def judge_objective(pair: MetricPair, metric: Metric, settings: Slo, share: Share) -> Finding:
    """Judge whether the canary meets an objective.

    An objective about the canary's own values holds whatever the baseline does. Where the baseline breaches it too, the canary is not to
    blame: marginal, unless the policy blames it. An objective relative to the baseline allows for the baseline's being an estimate.

    Parameters
    ----------
    pair : MetricPair
        Both arms.
    metric : Metric
        Its kind and unit.
    settings : Slo
        Aggregate, objective, evidence and blame.
    share : Share
        The error rates.

    Returns
    -------
    Finding
        The aggregate, its interval, p-values and outcome.
    """
    question = Question.about(pair, metric, settings)
    if settings.change is None:
        asked = _thresholds(metric, settings)
        if settings.evidence == "interval":
            judged = _by_interval(pair, question, asked, share)
        else:
            judged = _by_estimate(measure(pair.canary, question), measure(pair.baseline, question), asked)
        return _finding(pair, settings, share, question, judged)
    canary, baseline = measure(pair.canary, question), measure(pair.baseline, question)
    limit, fail_limit = (
        Limit(*settings.parts(change, metric), upward=settings.op in ("lt", "lte"))
        for change in (settings.change, settings.fail_change or settings.change)
    )
    level = baseline.estimate
    one = _Asked(settings.op or "lte", limit.at(level), fail_limit.at(level))
    if settings.evidence == "point":
        judged = _by_estimate(canary, baseline, (one,), relative=True)
    else:
        comparison = compare(pair, question, canary, baseline)
        judged = _by_comparison(pair, comparison, one, (limit, fail_limit), share)
    return _finding(pair, settings, share, question, replace(judged, limit=limit))


def _thresholds(metric: Metric, settings: Slo) -> tuple[_Asked, ...]:
    """Give the bounds that a policy names, in the metric's unit."""
    if settings.between is not None:
        ends, fails = (
            [settings.in_unit(end, metric) for end in pair]
            for pair in (settings.between, settings.fail_between or settings.between)
        )
        return _Asked("lte", ends[1], fails[1]), _Asked("gte", ends[0], fails[0])
    value = settings.value
    assert value is not None  # noqa: S101 - the policy asks for one form
    limit, fail = (settings.in_unit(amount, metric) for amount in (value, settings.fail_value or value))
    return (_Asked(settings.op or "lte", limit, fail),)


def _by_interval(pair: MetricPair, question: Question, asked: tuple[_Asked, ...], share: Share) -> _Judged:
    """Hold both arms against thresholds by their p-values."""
    sides = []
    for one in asked:
        # at the value itself, <= and > take a percentile for "at most", < and >= for "at least"
        canary, baseline = (
            measure(arm, question, mirrored=one.op in ("lt", "gte")) for arm in (pair.canary, pair.baseline)
        )
        worse, better = (0, 1) if one.upward else (1, 0)
        at_limit = canary.against(one.limit)
        sides.append(
            _Side(
                asked=one,
                breached=canary.against(one.fail_limit)[worse],
                warned=at_limit[worse],
                met=at_limit[better],
                fail_bounds=canary.bounds(share.level / len(asked)),
                pass_bounds=canary.bounds(share.beta),
                baseline_breaches=baseline.against(one.fail_limit)[worse] <= share.beta,
                baseline_warns=baseline.against(one.limit)[worse] <= share.beta,
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

    def certain(estimate: float, op: str, limit: float) -> float:
        return 1.0 if _HOLDS[op](estimate, limit) else 0.0

    sides = tuple(
        _Side(
            asked=one,
            breached=certain(canary.estimate, one.op, one.fail_limit),
            warned=certain(canary.estimate, one.op, one.limit),
            met=1 - certain(canary.estimate, one.op, one.limit),
            baseline_breaches=not relative and not _HOLDS[one.op](baseline.estimate, one.fail_limit),
            baseline_warns=not relative and not _HOLDS[one.op](baseline.estimate, one.limit),
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
    pair: MetricPair, comparison: Comparison, one: _Asked, limits: tuple[Limit, Limit], share: Share
) -> _Judged:
    """Hold the canary against a limit that moves with the baseline."""
    limit, fail_limit = limits
    worse, better = ("greater", "less") if one.upward else ("less", "greater")
    held = _HOLDS[one.op](comparison.canary.estimate, one.limit)
    certain = pair.kind in ("gauge", "samples") and all(
        is_constant(observed(arm)) for arm in (pair.canary, pair.baseline)
    )
    same = comparison.canary.estimate == comparison.baseline.estimate
    if certain and (same or comparison.canary.method == "mean"):
        fails = not _HOLDS[one.op](comparison.canary.estimate, one.fail_limit)
        only = (comparison.canary.estimate, comparison.canary.estimate)
        side = _Side(one, 0.0 if fails else 1.0, float(held), 1 - float(held), only, only)
    else:
        breached, warned = (
            float(getattr(comparison.pvalues(each, share.level), worse)) for each in (fail_limit, limit)
        )
        side = _Side(
            asked=one,
            breached=breached,
            warned=warned,
            met=float(getattr(comparison.pvalues(limit, share.beta), better)),
            fail_bounds=comparison.bounds(limit, share.level),
            pass_bounds=comparison.bounds(limit, share.beta),
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


def _zone(judged: _Judged, share: Share, *, blamed: bool) -> tuple[Outcome, Reason]:
    """Tell what is proven: a breach, a breach that only warns, a pass, or nothing yet."""
    if judged.abstains:
        return Outcome.MARGINAL, Reason.ABSTAINS
    level = share.level / len(judged.sides)
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
    if max(side.met for side in judged.sides) <= share.beta:
        return Outcome.PASS, Reason.IDENTICAL if judged.identical else Reason.OBJECTIVE_MET
    if judged.limit is not None and judged.limit.absolute is None and judged.baseline.estimate == 0:
        return Outcome.MARGINAL, Reason.NEEDS_ABSOLUTE_TOLERANCE
    return Outcome.MARGINAL, Reason.UNDECIDED


def _finding(pair: MetricPair, settings: Slo, share: Share, question: Question, judged: _Judged) -> Finding:
    outcome, reason = _zone(judged, share, blamed=settings.blame == "canary")
    canary, limits = judged.canary, {side.asked.upward: side.asked for side in judged.sides}
    facts: dict[str, Any] = {}
    if judged.tested:
        facts = _proofs(judged, share)
        if reason not in ("undecided", "abstains"):
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
    elif question.kind == "histogram":
        facts |= {"total_baseline": pair.baseline.events, "total_canary": pair.canary.events}
    return Finding(
        **facts,
        rule=settings.rule,
        outcome=outcome,
        reason=reason,
        method=judged.method,
        level=share.level,
        beta=share.beta,
        scale="objective",
        estimate=canary.estimate,
        limit_high=limits[True].limit if True in limits else None,
        limit_low=limits[False].limit if False in limits else None,
        baseline_level=judged.baseline.estimate,
        canary_level=canary.estimate,
        n_baseline=len(pair.baseline),
        n_canary=len(pair.canary),
        dispersion=judged.dispersion,
        of=settings.of,
        op=settings.op,
        waived=judged.waived,
        objective=_objective(question, judged, limits),
    )


def _proofs(judged: _Judged, share: Share) -> dict[str, Any]:
    """Give p-values, intervals and what is missing; each end of an interval is the one that is held against a bound."""
    sides, estimate = judged.sides, judged.canary.estimate
    bounds = [(_UNBOUNDED, _UNBOUNDED) if judged.abstains else (s.fail_bounds, s.pass_bounds) for s in sides]
    nearest = min(range(len(sides)), key=lambda i: abs(sides[i].asked.limit - estimate))
    upward, limit = sides[nearest].asked.upward, sides[nearest].asked.limit
    beyond = (estimate > limit) == upward
    bound = bounds[nearest][0 if beyond else 1][0 if upward == beyond else 1]
    level = share.level / len(sides)
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
        found, rate = (side.breached, level) if beyond else (side.met, share.beta)
        deviate = -float(ndtri(min(max(found, _SMALLEST_PVALUE), 0.5)))
        missing = more_points(points, deviate, -float(ndtri(rate)), power)
    return pvalues | {
        # the lower end proves a breach of the upper bound, the upper end that it is met
        "interval": Interval(low=bounds[0][0][0], high=bounds[-1][0][1], error=level),
        "pass_interval": Interval(low=bounds[-1][1][0], high=bounds[0][1][1], error=share.beta),
        "more_points": missing,
    }


def _objective(question: Question, judged: _Judged, limits: dict[bool, _Asked]) -> ObjectiveFacts | None:
    """Give what the limits do not say of an objective; None where they say it all."""
    laxer = {
        name: limits[upward].fail_limit
        for name, upward in (("fail_high", True), ("fail_low", False))
        if upward in limits and limits[upward].fail_limit != limits[upward].limit
    }
    facts: dict[str, Any] = laxer
    bucket = judged.canary.bucket
    if question.bound is not None:
        facts |= {"bound": question.bound}
    if bucket is not None:
        facts |= {"bucket_low": bucket[0], "bucket_high": bucket[1]}
    if judged.limit is not None:
        facts |= {"change_relative": judged.limit.relative, "change_absolute": judged.limit.absolute}
    return ObjectiveFacts(**facts) if facts else None
