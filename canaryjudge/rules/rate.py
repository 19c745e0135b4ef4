"""Compare the arms' rates of events per exposure."""

from __future__ import annotations

from canaryjudge.data import MetricPair
from canaryjudge.policy import Metric, Rate
from canaryjudge.results import Finding
from canaryjudge.rules.decision import Share
from canaryjudge.rules.totals import (
    Test,
    Totals,
    count_totals,
    difference_test,
    judge_totals,
    rate_ratio_test,
)
from canaryjudge.stats.rates import rate_difference_bounds, rate_difference_pvalues

__all__ = ["judge_rate"]


def judge_rate(pair: MetricPair, metric: Metric, settings: Rate, share: Share) -> Finding:
    """Judge whether the canary's rate of events is worse than tolerated.

    Parameters
    ----------
    pair : MetricPair
        Events of both arms and their exposures; an interval is the unit of exposure where there are none.
    metric : Metric
        Direction and tolerance.
    settings : Rate
        The rule's settings.
    share : Share
        The error rates.

    Returns
    -------
    Finding
        Effect, interval, p-values and outcome.
    """
    totals = count_totals(pair, "poisson")
    return judge_totals(
        pair, metric, share, totals, rule=settings.rule, relative=rate_ratio_test, absolute=_difference
    )


def _difference(totals: Totals) -> Test:
    return difference_test(totals, rate_difference_pvalues, rate_difference_bounds, rare=True)
