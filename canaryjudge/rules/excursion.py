"""Judge points of the canary that lie far beyond everything that the baseline shows: bursts leave the median where it was."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from canaryjudge.data import MetricPair
from canaryjudge.policy import Excursion, Metric
from canaryjudge.results import Finding, Outcome, Reason
from canaryjudge.rules.decision import Share
from canaryjudge.rules.replicas import lasting
from canaryjudge.stats.excursions import excursion_pvalue, excursion_test

__all__ = ["judge_excursion"]

_FEWEST_POINTS = 6
"""Fewer points of the baseline show too little to lie beyond."""
_PROVEN_POINTS = 30
_PROVEN_EFFECTIVE_POINTS = 4.0
"""The rate of false fails is proven by simulation down to these numbers of baseline points (tests/guarantees)."""


def judge_excursion(pair: MetricPair, metric: Metric, settings: Excursion, share: Share) -> Finding:
    """Judge whether points of the canary lie beyond the baseline's worst one, by more than tolerated.

    Parameters
    ----------
    pair : MetricPair
        Both arms of a gauge.
    metric : Metric
        Direction, and the tolerance of its level, which holds here as well where it is the larger.
    settings : Excursion
        The tolerance.
    share : Share
        The error rates.

    Returns
    -------
    Finding
        A fail where it is proven; not where the baseline's median is 0 and no absolute tolerance says what that would be. Nothing proves that there is none: a pass has the reason `nothing_found`, and where so many points lie out there
        that independent points would hardly, it is marginal, `suspected`.
    """
    baseline, canary = pair.baseline.value, pair.canary.value
    known = {
        "rule": settings.rule,
        "level": share.level,
        "beta": share.beta,
        "n_baseline": len(baseline),
        "n_canary": len(canary),
    }
    if min(len(baseline), len(canary)) < _FEWEST_POINTS:
        return Finding(**known, outcome=Outcome.PASS, reason="nothing_found", method="none")
    signs = {"increase": (1,), "decrease": (-1,), "either": (1, -1)}[metric.direction]
    independent = _share_of_replicas(pair)
    found = [_side(sign, pair, _margin(sign, pair, metric, settings), independent) for sign in signs]
    worst = min(found, key=lambda side: side.pvalue)
    pvalue = min(1.0, len(signs) * worst.pvalue)
    suspicion = min(1.0, len(signs) * min(side.suspicion for side in found))
    outcome, reason = _outcome(
        pvalue, suspicion, share, tolerates=bool(np.median(baseline)) or metric.tolerated_absolute > 0
    )
    rho = worst.facts["autocorrelation"]
    thin = len(baseline) < _PROVEN_POINTS or len(baseline) * (1 - rho) / (1 + rho) < _PROVEN_EFFECTIVE_POINTS
    return Finding(
        **known,
        **worst.facts,
        pvalue=pvalue,
        pvalue_pass=1.0,
        outcome=outcome,
        reason=reason,
        method="precedence",
        waived=("outside_proven_range",) if thin and outcome is Outcome.FAIL else (),
    )


def _outcome(pvalue: float, suspicion: float, share: Share, *, tolerates: bool) -> tuple[Outcome, Reason]:
    # of a baseline around 0 no share is a tolerance: what is beyond it is suspicious, and to be judged by an absolute one
    if pvalue <= share.level and tolerates:
        return Outcome.FAIL, "proven_worse"
    if min(pvalue, suspicion) <= share.beta:
        return Outcome.MARGINAL, "suspected"
    return Outcome.PASS, "nothing_found"


def _margin(sign: int, pair: MetricPair, metric: Metric, settings: Excursion) -> float:
    """Give what is tolerated beyond the baseline's worst point: a canary that is worse by no more than its level may be has its worst points worse as well."""
    level = abs(float(np.median(pair.baseline.value)))
    worst = abs(float(pair.baseline.value.max() if sign > 0 else pair.baseline.value.min()))
    return max(
        settings.tolerance * level, metric.tolerated_relative * max(worst, level), metric.tolerated_absolute
    )


def _share_of_replicas(pair: MetricPair) -> float:
    """Give what share of the points is independent at most: a replica that differs from its siblings is one observation, not all its points."""
    arms = [(lasting(arm.replicas), arm) for arm in (pair.baseline, pair.canary) if arm.replicas]
    return min((max(1, len(replicas)) / len(arm) for replicas, arm in arms), default=1.0)


class _Side(NamedTuple):
    """What lies out in one direction."""

    pvalue: float
    suspicion: float
    """The p-value were points independent, by their number alone."""
    facts: dict[str, Any]
    """Fields of a finding."""


def _side(sign: int, pair: MetricPair, margin: float, independent: float) -> _Side:
    """Ask about one direction, and tell in the metric's own unit."""
    baseline, canary = sign * pair.baseline.value, sign * pair.canary.value
    test = excursion_test(baseline, canary, [margin], most_independent=independent)
    beyond, order = int(test.beyond[0]), int(test.order[0])
    worst, deciding = float(baseline.max()), float(np.sort(canary)[-max(order, 1)])
    suspicion = float(excursion_pvalue(len(baseline), len(canary), beyond)) if beyond else 1.0
    facts = {
        "scale": "absolute",
        "estimate": sign * (deciding - worst),
        "limit_high" if sign > 0 else "limit_low": sign * margin,
        "baseline_level": sign * worst,
        "canary_level": sign * deciding,
        "autocorrelation": float(test.rho),
        "beyond": sign * (worst + margin),
        "points_beyond": beyond,
    }
    return _Side(float(test.pvalue[0]), suspicion, facts)
