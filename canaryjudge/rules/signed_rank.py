"""Are requests answered worse than by the baseline? The signed-rank test of pairs, with the Hodges-Lehmann change."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np

from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.decision import Evidence, tolerated, weigh
from canaryjudge.rules.findings import LevelFinding, Number, Waiver
from canaryjudge.rules.registry import per_pair, rule
from canaryjudge.rules.rows import Pair
from canaryjudge.rules.settings import RuleSettings
from canaryjudge.rules.totals import agreeing
from canaryjudge.stats.quantiles import median
from canaryjudge.stats.signed_rank import signed_rank_test

__all__ = ["SignedRank", "SignedRankFinding"]

_PROVEN_PAIRS = 50


class SignedRank(RuleSettings):
    """Are requests answered worse than by the baseline? The signed-rank test of pairs, relative to each request's own baseline."""

    kinds: ClassVar[tuple[str, ...]] = ("pairs",)

    rule: Literal["signed_rank"] = "signed_rank"
    """The rule's name."""


class SignedRankFinding(LevelFinding):
    """Whether the same requests are answered worse."""

    rule: Literal["signed_rank"]
    """The rule's name."""
    statistic: Number = None
    """Distance of no change from the estimate, in standard errors."""
    df: Number = None
    """Degrees of freedom of the standard error."""


@rule(SignedRank, SignedRankFinding)
@per_pair
def judge(pair: Pair, _: SignedRank) -> dict[str, Any]:
    """Judge whether the typical change of a request, in parts of what the baseline took for the same one, lies beyond what is tolerated."""
    baseline, canary = pair.baseline.value, pair.canary.value
    level = median(baseline)
    known: dict[str, Any] = {
        "outcome": Outcome.MARGINAL,
        "method": "none",
        "baseline_level": level,
        "canary_level": median(canary),
    }
    if baseline.min() == baseline.max() == canary.min() == canary.max():
        return known | {
            "outcome": Outcome.PASS,
            "reason": Reason.IDENTICAL,
            "estimate": 0.0,
            "pvalue": 1.0,
            "probability_worse": 0.5,
        }
    if pair.logarithmic and min(baseline.min(), canary.min()) <= 0:
        return known | {"reason": Reason.ABSTAINS, "method": "not_positive"}
    limits = tolerated(pair, level)
    if limits is None:
        return known | {"reason": Reason.NEEDS_ABSOLUTE_TOLERANCE}
    logs = pair.logarithmic
    asked = np.array([*limits.asked, 0.0])
    test = signed_rank_test(
        np.log(canary / baseline) if logs else canary - baseline,
        np.log1p(asked) if logs else asked,
        units=1.0 if logs or limits.absolute else np.abs(baseline),
        levels=[pair.rates.level / len(limits.sides), pair.rates.beta],
        size=1.0 if logs else max(np.abs(baseline).max(), np.abs(canary).max()),
    )

    def told(change: Any) -> Any:
        return np.expm1(change) if logs else change

    pvalues = np.column_stack([test.pvalue_greater, test.pvalue_less])
    sides = len(limits.sides)
    bounds = []
    for which, at, level_of in (
        (0, slice(sides), pair.rates.level / sides),
        (1, slice(-1 - sides, -1), pair.rates.beta),
    ):
        ends = np.array([[told(test.low[which]), told(test.high[which])]])
        bounds.append(agreeing(ends, asked[None, at], pvalues[None, at], level_of)[0].tolist())
    evidence = Evidence(
        estimate=float(told(test.estimate)),
        pvalues=pvalues[:-1].tolist(),
        pvalues_none=tuple(pvalues[-1].tolist()),
        fail_bounds=bounds[0],
        pass_bounds=bounds[1],
        abstains=test.abstains,
        abstains_pass=test.abstains,
    )
    waived: tuple[Waiver, ...] = () if pair.fewest >= _PROVEN_PAIRS else ("outside_proven_range",)
    return (
        known
        | weigh(evidence, limits, pair.rates, pair.fewest)
        | {
            "method": "signed_rank",
            "statistic": test.statistic,
            "df": test.df,
            "probability_worse": test.probability_greater
            if 1 in pair.sides
            else 1 - test.probability_greater,
            "autocorrelation": max(test.rho, 0.0),
            "waived": waived,
        }
    )
