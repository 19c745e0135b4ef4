"""Does the canary creep away from the baseline? A leak is no level: what grows through a window is worse at its end than the whole of it shows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.decision import Evidence, Limits, tolerated, weigh
from canaryjudge.rules.findings import EffectFinding, Finding, Number
from canaryjudge.rules.registry import per_pair, rule
from canaryjudge.rules.replicas import lasting
from canaryjudge.rules.rows import FloatArray, Pair, Sizes
from canaryjudge.rules.settings import RuleSettings
from canaryjudge.stats.growth import (
    FEWEST_BLOCKS,
    GrowthTest,
    growth_test,
    largest_swing,
    seen_smoothing,
)
from canaryjudge.stats.paired_shift import Effect, paired_changes
from canaryjudge.stats.quantiles import median

__all__ = ["Growth", "GrowthFinding", "ending_beyond"]

_END = 3
"""The end of a window is its last third: of fewer points, the noise alone ends beyond a tolerance too often."""


class Growth(RuleSettings):
    """Does the canary grow away from the baseline, beyond what is tolerated by the end of the window? Leaks and creeping latencies, of arms that share the clock."""

    kinds: ClassVar[tuple[str, ...]] = ("gauge",)
    since_the_start: ClassVar[bool] = True

    rule: Literal["growth"] = "growth"
    """The rule's name."""

    @property
    def weight(self) -> float:
        """Its part of the metric's alpha: three tenths of what a rule about the level takes."""
        return 0.3


class GrowthFinding(EffectFinding):
    """How far the canary grew away from the baseline within the window.

    The estimate is what it grew by; the levels are those at the end of the window.
    """

    rule: Literal["growth"]
    """The rule's name."""
    end: Number = None
    """How far the canary lies from the baseline at the end of the window, in the scale of the estimate."""
    end_points: int | None = None
    """Of how many points that is the median: a third of the window."""
    rate: Number = None
    """Growth from point to point, in the scale of the estimate."""
    until: Number = None
    """Points from the last one until the tolerance is crossed at this rate; negative where it was crossed before, None where it is not going to be."""
    usual: Number = None
    """How far the baseline, or one of its replicas, rises or falls by itself within the window; growth that is not larger is none."""
    blocks: int | None = None
    """How many averages of neighboring points were compared."""


@rule(Growth, GrowthFinding)
@per_pair
def judge(pair: Pair, _: Growth) -> dict[str, Any]:
    """Judge whether the canary grew by more than the tolerance.

    It fails where that is proven and the end of the window lies beyond the tolerance as well; where only the end does, a pass is withheld. Of arms that do not share the clock nothing is
    asked: what grows may be the hour.
    """
    looked = _Looked.at(pair)
    if looked is None:
        return {"outcome": Outcome.PASS, "reason": Reason.NOTHING_FOUND, "method": "none"}
    if looked.ends_beyond and looked.found["outcome"] is not Outcome.FAIL:
        return looked.found | {"outcome": Outcome.MARGINAL, "reason": Reason.ENDS_BEYOND_TOLERANCE}
    return looked.found


def ending_beyond(pair: Pair) -> Finding | None:
    """Find that the window ends beyond the tolerance, of a kind that is asked for growth; it takes no part of alpha, and can but withhold a pass."""
    looked = _Looked.at(pair) if pair.kind in Growth.kinds else None
    if looked is None or not looked.ends_beyond:
        return None
    return GrowthFinding(
        **looked.found
        | {
            "rule": "growth",
            "outcome": Outcome.MARGINAL,
            "reason": Reason.ENDS_BEYOND_TOLERANCE,
            "method": "none",
            "level": 0.0,
            "beta": pair.rates.beta,
            "n_baseline": len(pair.baseline),
            "n_canary": len(pair.canary),
            "pvalue": None,
            "pvalue_pass": None,
            "interval": None,
            "pass_interval": None,
        }
    )


@dataclass(frozen=True, slots=True)
class _Looked:
    """What there is to see: the fields of a finding, and whether the end of the window lies beyond what is tolerated."""

    found: dict[str, Any]
    ends_beyond: bool

    @classmethod
    def at(cls, pair: Pair) -> _Looked | None:
        """Look at a pair; None where there is nothing to see."""
        if not pair.concurrent or pair.fewest < FEWEST_BLOCKS:
            return None
        baseline, canary = pair.baseline.levels, pair.canary.levels
        strict = replace(pair, pass_within=Sizes(0.0, np.nan))  # a pass finds nothing, and excludes nothing
        limits = tolerated(strict, median(baseline))
        if limits is None or (pair.logarithmic and min(baseline.min(), canary.min()) <= 0):
            return None
        scale = _Scale.of(pair, limits)
        changes = paired_changes(baseline, canary, scale.effect)
        smoothing = int(seen_smoothing(scale.of_arm(baseline), scale.of_arm(canary)))
        arms = [replica.levels for replica in lasting(pair.baseline.replicas) if len(replica) > 1]
        usual = max(
            float(largest_swing(scale.of_arm(arm), min(smoothing, len(arm)))) for arm in (arms or [baseline])
        )
        levels = pair.rates.level / len(limits.sides), pair.rates.beta
        tests = [
            growth_test(
                sign * changes,
                [abs(scale.inner(limit))],
                levels=levels,
                smoothing=smoothing,
                usual=usual,
            )
            for sign, limit in limits.sides
        ]
        last = slice(-(len(changes) // _END), None)
        end = median(changes[last])
        beyond = [sign * end - abs(scale.inner(limit)) for sign, limit in limits.sides]
        side = int(np.argmax(beyond))
        (sign, _), test = limits.sides[side], tests[side]
        until = float(test.until[0])
        found = weigh(
            scale.evidence(tests, limits, [far > 0 for far in beyond]), limits, pair.rates, pair.fewest
        )
        if found["outcome"] is Outcome.MARGINAL:
            found |= {"outcome": Outcome.PASS, "reason": Reason.NOTHING_FOUND}
        found |= {
            "estimate": scale.outer(sign * float(test.growth)),
            "method": "block_growth",
            "more_points": None,
            "baseline_level": median(baseline[last]),
            "canary_level": median(canary[last]),
            "end": scale.outer(end),
            "end_points": len(changes) // _END,
            "rate": scale.outer(sign * float(test.growth)) / test.steps,
            "until": until if until > -len(baseline) else None,
            "usual": scale.outer(usual),
            "blocks": test.blocks,
        }
        return cls(found, beyond[side] > 0)


@dataclass(frozen=True, slots=True)
class _Scale:
    """In what changes are measured: logarithms, parts of the baseline's level, or the metric's unit."""

    effect: Effect

    @classmethod
    def of(cls, pair: Pair, limits: Limits) -> _Scale:
        """Choose it as the tolerance is told."""
        return cls("difference" if limits.absolute else "ratio" if pair.logarithmic else "relative")

    def of_arm(self, levels: FloatArray) -> FloatArray:
        """Put the levels of an arm, or of a replica, into it."""
        if self.effect == "ratio":
            return np.log(np.maximum(levels, np.finfo(float).tiny))
        return levels / abs(levels.mean() or 1.0) if self.effect == "relative" else levels

    def inner(self, change: float) -> float:
        """Put a change from the scale of the limits into it."""
        return float(np.log1p(change)) if self.effect == "ratio" else change

    def outer(self, change: float) -> float:
        """Put a change back."""
        return float(np.expm1(change)) if self.effect == "ratio" else change

    def evidence(self, tests: list[GrowthTest], limits: Limits, beyond: list[bool]) -> Evidence:
        """Put what was found of each bad direction together; nothing speaks against a canary that ends within what is tolerated."""
        found = [(sign, test) for (sign, _), test in zip(limits.sides, tests, strict=True)]

        def bounds(level: int) -> list[tuple[float, float]]:
            ends = [(sign * float(test.low[level]), sign * float(test.high[level])) for sign, test in found]
            return [(self.outer(min(both)), self.outer(max(both))) for both in ends]

        return Evidence(
            estimate=self.outer(found[0][0] * float(tests[0].growth)),
            pvalues=[
                (greater, less) if sign > 0 else (less, greater)
                for (sign, test), ends_beyond in zip(found, beyond, strict=True)
                for greater in [float(test.pvalue_greater[0]) if ends_beyond else 1.0]
                for less in [float(test.pvalue_less[0])]
            ],
            pvalues_none=(1.0, 1.0),
            fail_bounds=bounds(0),
            pass_bounds=bounds(1),
            abstains=tests[0].abstains,
            abstains_pass=tests[0].abstains,
        )
