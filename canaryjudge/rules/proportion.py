"""Has the canary's share of events, such as errors of requests, changed? A test of the proportions, pooled or within intervals."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from canaryjudge.rules.findings import EventsFinding
from canaryjudge.rules.registry import per_pair, rule
from canaryjudge.rules.rows import Pair
from canaryjudge.rules.settings import RuleSettings
from canaryjudge.rules.strata import asks_within, weigh_within
from canaryjudge.rules.totals import (
    Test,
    Totals,
    count_totals,
    difference_test,
    minus_one,
    rate_ratio_test,
    weigh_totals,
)
from canaryjudge.stats.proportions import (
    difference_bounds,
    difference_pvalues,
    risk_ratio_bounds,
    risk_ratio_pvalues,
)

__all__ = ["Proportion", "ProportionFinding"]

_RARE = 0.1
"""Up to this share of events the conditional test of rare events is exact for all practical purposes."""


class Proportion(RuleSettings):
    """Has the canary's share of events (errors of requests) changed? A two-sample test of the pooled proportions."""

    kinds: ClassVar[tuple[str, ...]] = ("ratio",)

    rule: Literal["proportion"] = "proportion"
    """The rule's name."""
    method: Literal["auto", "exact", "score"] = "auto"
    """`exact` is the conditional binomial test, `score` that of Miettinen and Nurminen; `auto` takes `exact` where events are rare."""


class ProportionFinding(EventsFinding):
    """Whether the share of events has changed."""

    rule: Literal["proportion"]
    """The rule's name."""


@rule(Proportion, ProportionFinding)
@per_pair
def judge(pair: Pair, settings: Proportion) -> dict[str, Any]:
    """Judge whether the canary's share of events is worse than tolerated.

    The pooled proportions are compared, or those of each interval where the split of the requests moves: by their ratio where the relative part of the
    tolerance decides, by their difference where the absolute part does.
    """
    if asks_within(pair.kind, *pair.arms, concurrent=pair.concurrent):
        return weigh_within(pair, settings.method)
    totals = count_totals(*pair.arms, "binomial", concurrent=pair.concurrent)
    pooled = (totals.baseline + totals.canary) / (totals.baseline_exposure + totals.canary_exposure)
    exact = settings.method == "exact" or (settings.method == "auto" and pooled <= _RARE)
    return weigh_totals(
        pair,
        totals,
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
