"""Has the canary's rate of events per exposure changed? The exact conditional test of the rate ratio."""

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
    rate_ratio_test,
    weigh_totals,
)
from canaryjudge.stats.rates import rate_difference_bounds, rate_difference_pvalues

__all__ = ["Rate", "RateFinding"]


class Rate(RuleSettings):
    """Has the canary's rate of events per exposure changed? The exact conditional test of the rate ratio."""

    kinds: ClassVar[tuple[str, ...]] = ("count",)

    rule: Literal["rate"] = "rate"
    """The rule's name."""


class RateFinding(EventsFinding):
    """Whether the rate of events has changed."""

    rule: Literal["rate"]
    """The rule's name."""


@rule(Rate, RateFinding)
@per_pair
def judge(pair: Pair, _: Rate) -> dict[str, Any]:
    """Judge whether the canary's rate of events is worse than tolerated; an interval is the unit of exposure where there is none."""
    if asks_within(pair.kind, *pair.arms, concurrent=pair.concurrent):
        return weigh_within(pair, "exact")
    totals = count_totals(*pair.arms, "poisson", concurrent=pair.concurrent)
    return weigh_totals(pair, totals, relative=rate_ratio_test, absolute=_difference)


def _difference(totals: Totals) -> Test:
    return difference_test(totals, rate_difference_pvalues, rate_difference_bounds, rare=True)
