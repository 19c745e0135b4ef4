"""Has the canary's share of events, such as errors of requests, changed? A test of the proportions, pooled or within intervals."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

import numpy as np

from canaryjudge.rules.findings import EventsFinding
from canaryjudge.rules.registry import Columns, rule
from canaryjudge.rules.rows import Rows
from canaryjudge.rules.settings import RuleSettings
from canaryjudge.rules.strata import asks_within, weigh_within
from canaryjudge.rules.totals import Method, Methods, count_totals, minus_one, weigh_totals
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
def judge(rows: Rows, settings: Proportion, found: Columns) -> None:
    """Judge whether the canary's share of events is worse than tolerated.

    The pooled proportions are compared, or those of each interval where the split of the requests moves: by their ratio where the relative part of the
    tolerance decides, by their difference where the absolute part does.
    """
    within = asks_within(rows.kind, rows.baseline, rows.canary, concurrent=rows.concurrent)
    found.part(within, rows, lambda rows, found: weigh_within(rows, settings.method, found))
    rare = {"exact": np.inf, "auto": _RARE, "score": -np.inf}[settings.method]
    methods = Methods(rare, _RATIO, _DIFFERENCE)

    def pooled(rows: Rows, found: Columns) -> None:
        totals = count_totals(rows.baseline, rows.canary, "binomial", concurrent=rows.concurrent)
        weigh_totals(rows, totals, methods, found)

    found.part(~within, rows, pooled)


_RATIO: Final = Method(
    "score",
    lambda xc, nc, xb, nb, change: risk_ratio_pvalues(xc, nc, xb, nb, 1 + change),
    lambda *totals: minus_one(risk_ratio_bounds(*totals)),
)
_DIFFERENCE: Final = Method("difference", difference_pvalues, difference_bounds)
