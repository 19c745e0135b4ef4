"""Has what users bring changed: a mean a user, or a ratio of two? The delta method by users, with what was known of them from before taken out."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.decision import Evidence, tolerated, weigh
from canaryjudge.rules.findings import LevelFinding, Number
from canaryjudge.rules.registry import per_pair, rule
from canaryjudge.rules.rows import Arm, Pair
from canaryjudge.rules.settings import RuleSettings
from canaryjudge.stats.ratio_of_means import MeansComparison, UserMoments, compare_means

__all__ = ["MeansFinding", "RatioOfMeans", "comparable", "moments_of"]


class RatioOfMeans(RuleSettings):
    """Has what users bring (`value`), or its ratio to another sum over the same users (`total`), changed? The delta method by users."""

    kinds: ClassVar[tuple[str, ...]] = ("users",)

    rule: Literal["ratio_of_means"] = "ratio_of_means"
    """The rule's name. Where the data have a `covariate`, what was known of the users from before is taken out (CUPED)."""


class MeansFinding(LevelFinding):
    """Whether a mean of users, or a ratio of two, has changed."""

    rule: Literal["ratio_of_means"]
    """The rule's name."""
    standard_error: Number = None
    """Of the estimate; of a relative one, of the logarithm of the ratio of the levels."""
    df: Number = None
    """Welch's degrees of freedom at the limit."""
    explained: Number = None
    """The part of the variance that was known from before, and taken out; None where nothing was known."""
    total_baseline: Number = None
    """The baseline's sum of `total`."""
    total_canary: Number = None
    """The canary's."""


def moments_of(arm: Arm) -> UserMoments:
    """Give what an arm's users add up to."""
    return (
        UserMoments.of([])
        if arm.moments is None or not len(arm.moments)
        else UserMoments.unpacked(arm.moments[0])
    )


def comparable(
    baseline: UserMoments, canary: UserMoments, fewest: int
) -> tuple[MeansComparison | None, dict[str, Any]]:
    """Compare two arms; where nothing can be tested, None, with what there is to say."""
    if min(baseline.n, canary.n) < max(fewest, 2):
        return None, {"outcome": Outcome.MARGINAL, "reason": Reason.TOO_LITTLE_DATA}
    found = compare_means(baseline, canary)
    if found is None:
        return None, {"outcome": Outcome.MARGINAL, "reason": Reason.TOO_LITTLE_DATA}
    levels = {"baseline_level": found.levels[0], "canary_level": found.levels[1]}
    if max(found.variances) == 0 and found.levels[0] == found.levels[1]:
        facts = {"outcome": Outcome.PASS, "reason": Reason.IDENTICAL, "estimate": 0.0, "pvalue": 1.0}
        return None, levels | facts
    if min(found.variances) == 0:  # such as no buyer at all, of whom there may be some among more
        return None, levels | {"outcome": Outcome.MARGINAL, "reason": Reason.TOO_LITTLE_DATA}
    return found, levels


@rule(RatioOfMeans, MeansFinding)
@per_pair
def judge(pair: Pair, _: RatioOfMeans) -> dict[str, Any]:
    """Judge whether the level, value by total over all users, is worse than tolerated."""
    baseline, canary = map(moments_of, pair.arms)
    sizes = {"n_baseline": int(baseline.n), "n_canary": int(canary.n), "method": "none"}
    found, facts = comparable(baseline, canary, pair.min_points)
    if found is None:
        return sizes | facts
    limits = tolerated(pair, found.levels[0])
    if limits is None:
        return sizes | facts | {"outcome": Outcome.MARGINAL, "reason": Reason.NEEDS_ABSOLUTE_TOLERANCE}
    absolute, sides = limits.absolute, len(limits.sides)

    def pvalues(limit: float) -> tuple[float, float]:
        both = found.pvalues(limit, absolute=absolute)
        return float(both.greater), float(both.less)

    evidence = Evidence(
        estimate=found.change(absolute=absolute),
        pvalues=[pvalues(limit) for limit in limits.asked],
        pvalues_none=pvalues(0.0),
        fail_bounds=[found.bounds(pair.rates.level / sides, absolute=absolute)] * sides,
        pass_bounds=[found.bounds(pair.rates.beta, absolute=absolute)] * sides,
    )
    totals = [None if arm.total is None else float(arm.total.sum()) for arm in pair.arms]
    return (
        sizes
        | facts
        | weigh(evidence, limits, pair.rates, int(min(baseline.n, canary.n)))
        | {
            "method": "delta" if found.on_logarithms else "welch",
            "standard_error": found.standard_error(absolute=absolute or not found.on_logarithms),
            "df": found.at(limits.asked[0], absolute=absolute).df,
            "explained": found.explained if found.theta else None,
            "total_baseline": totals[0],
            "total_canary": totals[1],
        }
    )
