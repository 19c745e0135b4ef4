"""Hold an aggregate of the canary's values against an objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from canaryjudge.data import Arm, MetricPair
from canaryjudge.policy import Metric, Slo
from canaryjudge.results import Finding, Interval, Outcome, Reason
from canaryjudge.rules.decision import Share, more_points
from canaryjudge.rules.totals import burst_waivers, bursts_outlast
from canaryjudge.stats.dispersion import dispersion, temper, tempered_level
from canaryjudge.stats.long_run import dependence
from canaryjudge.stats.proportions import proportion_bounds, proportion_pvalues, rate_bounds, rate_pvalues
from canaryjudge.stats.quantiles import mean_bounds, mean_pvalues, quantile_bounds, quantile_pvalues

__all__ = ["judge_objective"]

_FEWEST_POINTS = 3
"""Fewer equal points are no proof that the value never changes."""


@dataclass(frozen=True, slots=True)
class _Measure:
    """An aggregate of one arm, and how well it is known."""

    points: int
    estimate: float
    method: str
    pvalues: Callable[[float], tuple[float, float]]
    """Value -> p-values of "at most" and "at least" that value."""
    bounds: Callable[[float], tuple[float, float]]
    """Level -> one-sided bounds."""
    dispersion: float | None = None
    eventless: bool = False
    """Whether bounds shrink with the points, not with their root, because there are no events."""
    rho: float = 0.0
    """How long bursts of events last, by the lag-1 autocorrelation of their rates."""

    @property
    def abstains(self) -> bool:
        """Whether bursts leave too few independent intervals to prove anything."""
        return bursts_outlast(self.points, self.rho)


def judge_objective(pair: MetricPair, metric: Metric, settings: Slo, share: Share) -> Finding:
    """Judge whether the canary meets an objective, whatever the baseline does.

    Where the baseline breaches the objective too, the canary is not to blame: marginal, unless the policy blames it.

    Parameters
    ----------
    pair : MetricPair
        Both arms.
    metric : Metric
        Its kind and unit.
    settings : Slo
        Aggregate, operator, value, evidence and blame.
    share : Share
        The error rates.

    Returns
    -------
    Finding
        The aggregate, its interval, p-values and outcome.
    """
    value = metric.quantity(settings.value, "the objective's value")
    below = settings.op in ("lt", "lte")
    canary, baseline = (_measure(arm, metric, settings) for arm in (pair.canary, pair.baseline))
    proven = settings.evidence == "interval"
    facts: dict[str, Any] = {"method": canary.method if proven else "point"}
    if proven:
        facts |= _evidence(canary, value, share, below=below)
        abstains = canary.abstains
        breached = facts["pvalue"] <= share.level and not abstains
        met = facts["pvalue_pass"] <= share.beta and not abstains
        baseline_breaches = _against(baseline, value, below=below)[0] <= share.beta
    else:
        breached = not _holds(canary.estimate, settings.op, value)
        met = not breached
        baseline_breaches = not _holds(baseline.estimate, settings.op, value)
        facts["waived"] = ("point_evidence",)
        abstains = False
    outcome, reason = _zone(
        breached=breached,
        met=met,
        abstains=abstains,
        shared=baseline_breaches and settings.blame == "environment",
    )
    if outcome is not Outcome.MARGINAL or reason == "environment_unhealthy":
        facts["more_points"] = None
    return Finding(
        **facts,
        rule=settings.rule,
        outcome=outcome,
        reason=reason,
        level=share.level,
        beta=share.beta,
        scale="objective",
        estimate=canary.estimate,
        limit_high=value if below else None,
        limit_low=None if below else value,
        baseline_level=baseline.estimate,
        canary_level=canary.estimate,
        n_baseline=len(pair.baseline),
        n_canary=len(pair.canary),
        dispersion=canary.dispersion,
        of=settings.of,
        op=settings.op,
        **_amounts(pair, settings),
    )


def _zone(*, breached: bool, met: bool, abstains: bool, shared: bool) -> tuple[Outcome, Reason]:
    if breached:
        return (Outcome.MARGINAL, "environment_unhealthy") if shared else (Outcome.FAIL, "breached")
    if met:
        return Outcome.PASS, "objective_met"
    return Outcome.MARGINAL, "abstains" if abstains else "undecided"


def _holds(estimate: float, op: str, value: float) -> bool:
    return {
        "lt": estimate < value,
        "lte": estimate <= value,
        "gt": estimate > value,
        "gte": estimate >= value,
    }[op]


def _against(measure: _Measure, value: float, *, below: bool) -> tuple[float, float]:
    """P-values of "the objective is met" and "it is not"."""
    at_most, at_least = measure.pvalues(value)
    return (at_most, at_least) if below else (at_least, at_most)


def _evidence(canary: _Measure, value: float, share: Share, *, below: bool) -> dict[str, Any]:
    pvalue, pvalue_pass = _against(canary, value, below=below)
    unbounded = (-np.inf, np.inf)
    fail_low, fail_high = unbounded if canary.abstains else canary.bounds(share.level)
    pass_low, pass_high = unbounded if canary.abstains else canary.bounds(share.beta)
    beyond = (canary.estimate > value) == below
    bound = (fail_low if below else fail_high) if beyond else (pass_high if below else pass_low)
    return {
        "pvalue": pvalue,
        "pvalue_pass": pvalue_pass,
        "interval": Interval(low=fail_low, high=fail_high, error=share.level),
        "pass_interval": Interval(low=pass_low, high=pass_high, error=share.beta),
        "more_points": more_points(
            canary.points,
            abs(value - canary.estimate),
            abs(bound - canary.estimate),
            1 if canary.eventless else 2,
        ),
        "autocorrelation": canary.rho if canary.dispersion is not None else None,
        "waived": () if canary.dispersion is None else burst_waivers(canary.rho, canary.points),
    }


def _amounts(pair: MetricPair, settings: Slo) -> dict[str, float]:
    if settings.of != "pooled":
        return {}
    return {
        "total_baseline": pair.baseline.exposure,
        "total_canary": pair.canary.exposure,
        "events_baseline": pair.baseline.events,
        "events_canary": pair.canary.events,
    }


def _measure(arm: Arm, metric: Metric, settings: Slo) -> _Measure:
    if settings.of == "pooled":
        return _pooled(arm, metric)
    if settings.of == "mean":
        if len(arm) >= _FEWEST_POINTS and (arm.value == arm.value[0]).all():
            return _constant(arm, metric, settings)
        return _Measure(
            points=len(arm),
            estimate=float(arm.value.mean()),
            method="mean",
            pvalues=lambda value: _pair_of(mean_pvalues(arm.value, value)),
            bounds=lambda level: _ends_of(mean_bounds(arm.value, level)),
        )
    percentile = settings.percentile
    if percentile is None:
        extreme = float(arm.value.max() if settings.of == "max" else arm.value.min())
        return _Measure(
            len(arm), extreme, "point", pvalues=lambda _: (1.0, 1.0), bounds=lambda _: (-np.inf, np.inf)
        )
    estimate = float(np.quantile(arm.value, percentile, method="inverted_cdf"))
    if settings.op in ("lte", "gt"):
        return _Measure(
            points=len(arm),
            estimate=estimate,
            method="quantile",
            pvalues=lambda value: _pair_of(quantile_pvalues(arm.value, percentile, value, dependent=True)),
            bounds=lambda level: _ends_of(quantile_bounds(arm.value, percentile, level, dependent=True)),
        )
    # the test tells "at most" from "above"; of the mirrored values, it tells "below" from "at least"
    mirrored, rest = -arm.value, round(1 - percentile, 12)

    def pvalues(value: float) -> tuple[float, float]:
        greater, less = _pair_of(quantile_pvalues(mirrored, rest, -value, dependent=True))
        return less, greater

    def bounds(level: float) -> tuple[float, float]:
        low, high = _ends_of(quantile_bounds(mirrored, rest, level, dependent=True))
        return -high, -low

    return _Measure(points=len(arm), estimate=estimate, method="quantile", pvalues=pvalues, bounds=bounds)


def _constant(arm: Arm, metric: Metric, settings: Slo) -> _Measure:
    """Every value is the same, and so is their mean: certain, even where it is the objective's value itself."""
    only = float(arm.value[0])
    met = _holds(only, settings.op, metric.quantity(settings.value, "the objective's value"))
    certain = (1.0, 0.0) if met == (settings.op in ("lt", "lte")) else (0.0, 1.0)
    return _Measure(len(arm), only, "mean", pvalues=lambda _: certain, bounds=lambda _: (only, only))


def _pooled(arm: Arm, metric: Metric) -> _Measure:
    """Events over total, with the events worth less where they come in bursts."""
    ratio = metric.kind == "ratio"
    totals = np.ones(len(arm)) if arm.total is None else arm.total
    found = dispersion(arm.value, totals, family="binomial" if ratio else "poisson")
    factor, df = float(found.factor), found.df
    events, total = arm.events / factor, float(totals.sum()) / factor
    test, bound = (proportion_pvalues, proportion_bounds) if ratio else (rate_pvalues, rate_bounds)

    def pvalues(value: float) -> tuple[float, float]:
        raw = test(events, total, value)
        return float(temper(raw.greater, df)), float(temper(raw.less, df))

    return _Measure(
        points=len(arm),
        estimate=events / total,
        method="exact_ratio" if ratio else "exact_rate",
        pvalues=pvalues,
        bounds=lambda level: _ends_of(bound(events, total, tempered_level(level, df))),
        dispersion=factor,
        eventless=events == 0,
        rho=float(dependence(arm.value / totals)) if factor > 1 else 0.0,
    )


def _pair_of(pvalues: Any) -> tuple[float, float]:
    return float(pvalues.greater), float(pvalues.less)


def _ends_of(bounds: Any) -> tuple[float, float]:
    return float(bounds.low), float(bounds.high)
