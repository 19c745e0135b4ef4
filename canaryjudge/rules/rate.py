"""Has the canary's rate of events per exposure changed? The exact conditional test of the rate ratio."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

import numpy as np

from canaryjudge.rules.findings import EventsFinding
from canaryjudge.rules.registry import Columns, rule
from canaryjudge.rules.rows import Rows
from canaryjudge.rules.settings import RuleSettings
from canaryjudge.rules.strata import asks_within, weigh_within
from canaryjudge.rules.totals import EXACT_RATIO, Method, Methods, count_totals, weigh_totals
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
def judge(rows: Rows, _: Rate, found: Columns) -> None:
    """Judge whether the canary's rate of events is worse than tolerated; an interval is the unit of exposure where there is none."""
    within = asks_within(rows.kind, rows.baseline, rows.canary, concurrent=rows.concurrent)
    found.part(within, rows, lambda rows, found: weigh_within(rows, "exact", found))

    def pooled(rows: Rows, found: Columns) -> None:
        totals = count_totals(rows.baseline, rows.canary, "poisson", concurrent=rows.concurrent)
        weigh_totals(rows, totals, _METHODS, found)

    found.part(~within, rows, pooled)


_METHODS: Final = Methods(
    np.inf, EXACT_RATIO, Method("difference", rate_difference_pvalues, rate_difference_bounds)
)
