"""Hold an aggregate of the canary's values against an objective: a threshold, two bounds, or a change from the baseline."""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy.special import ndtri

from canaryjudge.policy import Change, Slo
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.changes import Comparison, compare
from canaryjudge.rules.decision import more_points
from canaryjudge.rules.findings import EffectFinding, Facts, Interval, Number, Waiver
from canaryjudge.rules.limits import Limit
from canaryjudge.rules.measures import Aggregate, Measure, is_constant, measure, observed
from canaryjudge.rules.registry import per_pair, rule
from canaryjudge.rules.rows import ErrorRates, Pair

__all__ = ["ObjectiveFacts", "SloFinding"]

_UNBOUNDED = (-np.inf, np.inf)
_SMALLEST_PVALUE = 1e-300
_HOLDS = {"lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge}


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
    bucket_low: Number = None
    """Of histograms: lower edge of the bucket that the percentile, or the bound of `within`, lies in."""
    bucket_high: Number = None
    """The upper edge of that bucket."""


class SloFinding(EffectFinding):
    """Whether the canary meets an objective."""

    rule: Literal["slo"]
    """The rule's name."""
    of: str
    """The aggregate that the objective is about."""
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


@rule(Slo, SloFinding)
@per_pair
def judge(pair: Pair, settings: Slo) -> dict[str, Any]:
    """Judge whether the canary meets an objective.

    An objective about the canary's own values holds whatever the baseline does. Where the baseline breaches it too, the canary is not to
    blame: marginal, unless the policy blames it. An objective relative to the baseline allows for the baseline's being an estimate.
    """
    aggregate = Aggregate.about(pair, settings)
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
    one = _Asked(settings.op or "lte", limit.at(level), fail_limit.at(level))
    if settings.evidence == "point":
        judged = _by_estimate(canary, baseline, (one,), relative=True)
    else:
        comparison = compare(pair, aggregate, canary, baseline)
        judged = _by_comparison(pair, comparison, one, (limit, fail_limit), pair.rates)
    return _found(pair, settings, aggregate, replace(judged, limit=limit))


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
    pair: Pair, comparison: Comparison, one: _Asked, limits: tuple[Limit, Limit], rates: ErrorRates
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
    elif aggregate.kind == "histogram":
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
    if bucket is not None:
        facts |= {"bucket_low": bucket[0], "bucket_high": bucket[1]}
    if judged.limit is not None:
        facts |= {"change_relative": judged.limit.relative, "change_absolute": judged.limit.absolute}
    return ObjectiveFacts(**facts) if facts else None
