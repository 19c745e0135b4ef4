"""Compare the arms' distributions by the robust two-sample rank test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from canaryjudge.data import Arm, MetricPair
from canaryjudge.policy import MannWhitney, Metric
from canaryjudge.results import Finding, Outcome, Waiver
from canaryjudge.rules.bucket_shift import judge_bucket_shift
from canaryjudge.rules.decision import Evidence, Share, tolerated
from canaryjudge.rules.noise_floor import floor_of
from canaryjudge.rules.replicas import weigh_with, yardstick
from canaryjudge.stats.quantiles import median
from canaryjudge.stats.rank_test import ShiftTest, shift_test

__all__ = ["judge_shift"]

_FEWEST_POINTS = 6
"""Fewer points say nothing of how they depend on each other."""
_PROVEN_POINTS = 20
_PROVEN_EFFECTIVE_POINTS = 4.0
"""The error rates of the robust test are proven by simulation down to these (tests/guarantees)."""


def judge_shift(pair: MetricPair, metric: Metric, settings: MannWhitney, share: Share) -> Finding:
    """Judge whether the canary is shifted beyond the tolerance.

    Parameters
    ----------
    pair : MetricPair
        Both arms; of a ratio, the shares of the intervals are compared.
    metric : Metric
        Direction, tolerance and kind of effect.
    settings : MannWhitney
        The method.
    share : Share
        The error rates.

    Returns
    -------
    Finding
        Effect, interval, p-values and outcome.
    """
    if pair.kind == "histogram":
        return judge_bucket_shift(pair, metric, settings.rule, share)
    baseline, canary = _values(pair.baseline), _values(pair.canary)
    middle = median(baseline)
    known = {
        "rule": settings.rule,
        "level": share.level,
        "beta": share.beta,
        "baseline_level": middle,
        "canary_level": median(canary),
        "n_baseline": len(baseline),
        "n_canary": len(canary),
    }
    if np.ptp(baseline) == 0 and np.ptp(canary) == 0 and baseline[0] == canary[0]:
        return Finding(
            **known,
            outcome=Outcome.PASS,
            reason="identical",
            method="none",
            estimate=0.0,
            probability_worse=0.5,
            pvalue=1.0,
        )
    logarithmic = metric.effect == "ratio"
    if logarithmic and _least(pair) <= 0:
        return Finding(**known, outcome=Outcome.MARGINAL, reason="abstains", method="not_positive")
    limits = tolerated(metric, middle)
    if limits is None:
        return Finding(**known, outcome=Outcome.MARGINAL, reason="needs_absolute_tolerance", method="none")
    if settings.method == "robust" and min(len(baseline), len(canary)) < _FEWEST_POINTS:
        return Finding(**known, outcome=Outcome.MARGINAL, reason="too_little_data", method="none")
    if logarithmic:
        baseline, canary = np.log(baseline), np.log(canary)
    unit = 1.0 if limits.absolute or logarithmic else abs(middle)
    level = share.level / len(limits.sides)
    at = [float(np.log1p(limit)) if logarithmic else limit * unit for _, limit in limits.sides]
    relative = not limits.absolute and not logarithmic
    # c - b - limit |b| is c - (1 + limit) b, or c - (1 - limit) b where b is negative
    scales = np.array([*(1 + limit * np.sign(middle) if relative else 1.0 for _, limit in limits.sides), 1.0])
    asked, levels = np.array([*at, 0.0]), (level, share.beta)
    floor = floor_of(pair, metric, middle)
    test = shift_test(
        baseline,
        canary,
        asked,
        levels=levels,
        scales=scales,
        concurrent=pair.pairing == "concurrent" and pair.kind != "samples",
        method=settings.method,
        lasting=None if floor is None else floor.noise(scales, abs(middle) if logarithmic else 1.0),
    )

    def effect(shift: Any) -> float:
        with np.errstate(over="ignore"):
            return float(np.expm1(shift)) if logarithmic else float(shift) / unit

    def level_of(replica: Arm) -> float:
        found = median(_values(replica))
        return float(np.log(found)) if logarithmic else found

    fixed = (
        0.0 if floor is None else _part_of(floor.standard_error, test, abs(middle) if logarithmic else 1.0)
    )
    evidence = replace(_evidence(test, limits.sides, effect), lasting=fixed)
    siblings = yardstick(
        pair, level_of, asked, levels=levels, scales=scales, noise=test.standard_error, noise_df=test.df
    )
    return Finding(
        **known,
        **weigh_with(
            siblings.evidence(effect) if siblings else None,
            evidence,
            limits,
            share,
            min(len(baseline), len(canary)),
        ),
        method=f"{test.method}_rank",
        statistic=float(test.statistic[0]),
        df=float(test.df[0]),
        probability_worse=float(
            test.probability_greater if limits.high is not None else 1 - test.probability_greater
        ),
        autocorrelation=float(test.rho),
        waived=tuple(dict.fromkeys((*_waived(test, pair), *(siblings.waived if siblings else ())))),
        **(siblings.facts(unit) if siblings else {}),
        **(floor.facts(abs(middle) if logarithmic else unit) if floor else {}),
    )


def _part_of(standard_error: float, test: ShiftTest, unit: float) -> float:
    """Give the part of the estimate's variance that more points do not average out."""
    return min(1.0, (standard_error / unit / max(float(test.standard_error[-1]), np.finfo(float).tiny)) ** 2)


def _values(arm: Arm) -> Any:
    return arm.value if arm.total is None else arm.value / arm.total


def _least(pair: MetricPair) -> float:
    arms = (arm for pooled in (pair.baseline, pair.canary) for arm in (pooled, *pooled.replicas) if len(arm))
    return min(float(_values(arm).min()) for arm in arms)


def _evidence(
    test: ShiftTest, sides: tuple[tuple[int, float], ...], effect: Callable[[Any], float]
) -> Evidence:
    """Put the test's shifts into the scale of the limits; the test was asked at each limit, and last at no change."""
    at = range(len(sides))
    return Evidence(
        estimate=effect(test.estimate),
        pvalues=[(float(test.pvalue_greater[i]), float(test.pvalue_less[i])) for i in at],
        pvalues_none=(float(test.pvalue_greater[-1]), float(test.pvalue_less[-1])),
        fail_bounds=[(effect(test.low[i, 0]), effect(test.high[i, 0])) for i in at],
        pass_bounds=[(effect(test.low[i, 1]), effect(test.high[i, 1])) for i in at],
        abstains=bool(test.abstains[: len(sides), 0].any()),
        abstains_pass=bool(test.abstains[: len(sides), 1].any()),
    )


def _waived(test: ShiftTest, pair: MetricPair) -> tuple[Waiver, ...]:
    if test.method != "robust":
        return ("independence_assumed",)
    n, m = len(pair.baseline), len(pair.canary)
    effective = 2 / (1 / n + 1 / m) * (1 - float(test.rho)) / (1 + float(test.rho))
    proven = min(n, m) >= _PROVEN_POINTS and effective >= _PROVEN_EFFECTIVE_POINTS
    return () if proven else ("outside_proven_range",)
