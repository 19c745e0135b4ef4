"""Compare the arms' shares of events, such as errors of requests."""

from __future__ import annotations

from canaryjudge.data import MetricPair
from canaryjudge.policy import Metric, Proportion
from canaryjudge.results import Finding
from canaryjudge.rules.decision import Share
from canaryjudge.rules.totals import (
    Test,
    Totals,
    count_totals,
    difference_test,
    judge_totals,
    minus_one,
    rate_ratio_test,
)
from canaryjudge.stats.proportions import (
    difference_bounds,
    difference_pvalues,
    risk_ratio_bounds,
    risk_ratio_pvalues,
)

__all__ = ["judge_proportion"]

_RARE = 0.1
"""Up to this share of events the conditional test of rare events is exact for all practical purposes."""


def judge_proportion(pair: MetricPair, metric: Metric, settings: Proportion, share: Share) -> Finding:
    """Judge whether the canary's share of events is worse than tolerated.

    The pooled proportions are compared: by their ratio where the relative part of the tolerance decides, by their difference
    where the absolute part does.

    Parameters
    ----------
    pair : MetricPair
        Events and totals of both arms.
    metric : Metric
        Direction and tolerance.
    settings : Proportion
        The method.
    share : Share
        The error rates.

    Returns
    -------
    Finding
        Effect, interval, p-values and outcome.
    """
    totals = count_totals(pair, "binomial")
    pooled = (totals.baseline + totals.canary) / (totals.baseline_exposure + totals.canary_exposure)
    exact = settings.method == "exact" or (settings.method == "auto" and pooled <= _RARE)
    return judge_totals(
        pair,
        metric,
        share,
        totals,
        rule=settings.rule,
        relative=rate_ratio_test if exact else _score_ratio,
        absolute=lambda totals: difference_test(totals, difference_pvalues, difference_bounds, rare=exact),
    )


def _score_ratio(totals: Totals) -> Test:
    return Test(
        method="score",
        pvalues=lambda change: risk_ratio_pvalues(*totals.arms, 1 + change),
        bounds=lambda level: minus_one(risk_ratio_bounds(*totals.arms, level)),
        estimate=totals.ratio - 1,
    )
