"""Has what is so or not of each request changed, such as success or a mismatch? The requests of which it is so in one arm alone tell."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Final, Literal

import numpy as np

from canaryjudge.rules.decision import EvidenceRows, LimitRows
from canaryjudge.rules.findings import EventsFinding, Number
from canaryjudge.rules.registry import Columns, rule
from canaryjudge.rules.rows import Arms, Rows, Sizes
from canaryjudge.rules.settings import RuleSettings
from canaryjudge.rules.totals import EXACT_RATIO, Method, Methods, Totals, count_totals, pooled, weigh_events
from canaryjudge.stats.rates import rate_difference_bounds, rate_difference_pvalues

__all__ = ["McNemar", "McNemarFinding"]

_BLOCKS: Final = 60
"""Requests are counted in so many stretches, which tell whether what differs comes in bursts."""
_PAIRS: Final = 20
"""Each of at least so many pairs."""


class McNemar(RuleSettings):
    """Has what is so or not of each request changed (success, a mismatch)? The difference of the two shares by the requests of which it is so in one arm alone."""

    kinds: ClassVar[tuple[str, ...]] = ("paired_ratio",)

    rule: Literal["mcnemar"] = "mcnemar"
    """The rule's name."""


class McNemarFinding(EventsFinding):
    """Whether a share of the same requests has changed."""

    rule: Literal["mcnemar"]
    """The rule's name."""
    only_baseline: Number = None
    """Requests of which it is so in the baseline alone."""
    only_canary: Number = None
    """Requests of which it is so in the canary alone."""
    pvalue_mcnemar: Number = None
    """McNemar's exact test of no change at all, in both directions."""


_METHODS: Final = Methods(
    np.inf, EXACT_RATIO, Method("paired_difference", rate_difference_pvalues, rate_difference_bounds)
)


@rule(McNemar, McNemarFinding)
def judge(rows: Rows, _: McNemar, found: Columns) -> None:
    """Judge whether the canary's share is worse than tolerated.

    Of requests of which it is so in both arms, or in neither, nothing can be told: the difference of the shares is that of the two others, whose numbers are few and nearly independent. As Poisson
    counts they vary more than they do, by the square of their difference, so that the test errs on the safe side.
    """
    alone = [_alone(rows.baseline, rows.canary), _alone(rows.canary, rows.baseline)]
    totals = count_totals(alone[0], alone[1], "poisson", concurrent=True)
    absolute = Sizes(0.0 * rows.tolerance.relative, rows.tolerance.absolute_or_zero)
    within = Sizes(0.0 * rows.tolerance.relative, rows.pass_within.absolute_or_zero)
    n = float(rows.baseline.points)
    only = [arm.value.sum(axis=1) for arm in alone]
    weigh_events(
        replace(rows, tolerance=absolute, pass_within=within, assumed_spread=0.0),
        totals,
        np.zeros(len(rows)),
        _asked,
        found,
    )
    events = [arm.value.sum(axis=1) for arm in (rows.baseline, rows.canary)]
    exact = EXACT_RATIO.pvalues(only[1], n, only[0], n, 0.0)
    found.revise(
        np.ones(len(rows), dtype=np.bool_),
        baseline_level=events[0] / n,
        canary_level=events[1] / n,
        total_baseline=n,
        total_canary=n,
        events_baseline=events[0],
        events_canary=events[1],
        only_baseline=only[0],
        only_canary=only[1],
        pvalue_mcnemar=np.where(
            only[0] + only[1] > 0, np.minimum(1.0, 2 * np.minimum(exact.greater, exact.less)), 1.0
        ),
    )


def _asked(rows: Rows, totals: Totals, limits: LimitRows) -> tuple[list[str], EvidenceRows]:
    """Test differences as those of rare events, and none at all by McNemar's exact test: events of one arm alone are as many in the other half the time."""
    codes, evidence = pooled(_METHODS, rows, totals, limits)
    told = {"exact_difference": "exact_paired_difference"}
    return [told.get(code, code) for code in codes], evidence


def _alone(arm: Arms, other: Arms) -> Arms:
    """Count the requests of which it is so in one arm alone, and all of them, in stretches."""
    rows, points = arm.value.shape
    blocks = max(1, min(_BLOCKS, points // _PAIRS))
    starts = np.linspace(0, points, blocks, endpoint=False).astype(np.intp)
    only = ((arm.value > 0) & (other.value == 0)).astype(np.float64)
    sizes = np.diff(np.append(starts, points)).astype(np.float64)
    return Arms(np.add.reduceat(only, starts, axis=1), np.tile(sizes, (rows, 1)), None, None, ((),) * rows)
