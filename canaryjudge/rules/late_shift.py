"""Judge the last half of the canary by itself: a fault that starts half way shows there before it moves the level of the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray

from canaryjudge.kinds import KINDS
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.mann_whitney import MannWhitney, ShiftFinding
from canaryjudge.rules.registry import Columns, find, judge_pairs, rule
from canaryjudge.rules.rows import Arm, Pair, Rows, Sizes, at_least
from canaryjudge.rules.settings import RuleSettings
from canaryjudge.settings import RelativeTolerance

__all__ = ["LateShift", "LateShiftFinding"]

_FEWEST: Final = 20
"""The rank test's error rates are proven from so many points on."""


class LateShift(RuleSettings):
    """Is the last half of the canary shifted? A fault that starts half way shows there before it moves the level of the whole."""

    kinds: ClassVar[tuple[str, ...]] = ("gauge", "samples", "histogram")

    rule: Literal["late_shift"] = "late_shift"
    """The rule's name."""
    tolerance: RelativeTolerance = 0.25
    """The tolerated shift of the last half, relative to the baseline's median. The metric's own tolerance counts where it is the larger."""

    @property
    def weight(self) -> float:
        """Its part of the metric's alpha: a tenth of what a rule about the level takes."""
        return 0.1


class LateShiftFinding(ShiftFinding):
    """Whether the last part of the canary is shifted."""

    rule: Literal["late_shift"]  # type: ignore[assignment] # findings are told apart by it
    """The rule's name."""
    part: Literal["half", "third"] = "half"
    """Of which part it tells."""


@rule(LateShift, LateShiftFinding)
def judge(rows: Rows, settings: LateShift, found: Columns) -> None:
    """Judge the last half by the rank test: against the whole baseline, or against the same time of it where the arms share the clock.

    In a window that has no clock with the other the last third is asked as well, each at half the level: a step within the half looks like points that depend on each other.
    It fails where a shift is proven; where it is neither proven nor ruled out, it is a pass with the reason `nothing_found`, or marginal, `suspected`,
    where it would be proven at beta. The tolerance of the level holds here as well where it is the larger.
    """
    parts = ["half"]
    if not rows.concurrent and KINDS[rows.kind].is_measured and rows.canary.points >= 3 * _FEWEST:
        parts = ["half", "third"]
    tests = len(parts)
    asked = replace(rows, rates=replace(rows.rates, level=rows.rates.level / tests))
    each = [_shifts(asked, settings, part) for part in parts]
    which = _telling_most(each)
    found.take_from(each, which)
    pvalues, marginal = found.told("pvalue"), found.are(Outcome.MARGINAL)
    suspected = np.array([pvalue is not None and pvalue <= rows.rates.beta for pvalue in pvalues])
    suspected &= np.array([reason is not Reason.ABSTAINS for reason in found.told("reason")])
    found.revise(marginal & suspected, reason=Reason.SUSPECTED)
    found.revise(marginal & ~suspected, outcome=Outcome.PASS, reason=Reason.NOTHING_FOUND)
    found.revise(
        np.ones(len(rows), dtype=np.bool_),
        rule=settings.rule,
        level=tests * asked.rates.level,
        pvalue=[None if pvalue is None else min(1.0, tests * pvalue) for pvalue in pvalues],
        more_points=None,
        part=[parts[one] for one in which.tolist()],
    )


def _shifts(rows: Rows, settings: LateShift, part: str) -> Columns:
    """Ask the rank test of a part of each row."""
    if rows.baseline.replicated or rows.canary.replicated or (KINDS[rows.kind].is_raw and rows.concurrent):
        found = Columns(rows, MannWhitney())
        late = [_late(pair, settings, part) for pair in rows]
        found.take([dict(shift) for shift in judge_pairs(late, MannWhitney())])
        return found
    return find(_late_rows(rows, settings, part), MannWhitney())


def _telling_most(each: Sequence[Columns]) -> NDArray[np.intp]:
    """Choose of each row the part that tells the most: a proven shift before what is not ruled out, and of those alike the less probable."""
    doubt = [2 * ~found.are(Outcome.FAIL) + found.are(Outcome.PASS) for found in each]
    pvalues = [
        np.array([1.0 if pvalue is None else pvalue for pvalue in found.told("pvalue")]) for found in each
    ]
    return np.asarray(np.lexsort((pvalues, doubt), axis=0)[0])


def _late_rows(whole: Rows, settings: LateShift, part: str) -> Rows:
    """Take the last part of the canaries, and of the baselines where the arms share the clock: points that are aligned are cut at one place."""
    late = slice(_before(part, whole.canary.points), None)
    tolerance = Sizes(np.maximum(settings.tolerance, whole.tolerance.relative), whole.tolerance.absolute)
    return replace(
        whole,
        canary=whole.canary.part(late),
        baseline=whole.baseline.part(late) if whole.concurrent else whole.baseline,
        tolerance=tolerance,
        pass_within=at_least(tolerance, whole.pass_within),
        min_points=1,
    )


def _late(whole: Pair, settings: LateShift, part: str) -> Pair:
    """Take the last part of one canary, of the baseline where the arms share the clock, and of each replica."""
    tolerance = Sizes(max(settings.tolerance, whole.tolerance.relative), whole.tolerance.absolute)
    pair = replace(whole, tolerance=tolerance, min_points=1)
    canary, first = pair.canary, _before(part, len(pair.canary))
    late = slice(first, None)
    start = None if canary.time is None or not len(canary) else float(canary.time[first])
    own = replace(canary.part(late), replicas=_late_replicas(canary, start, part))
    if not pair.concurrent:
        return replace(pair, canary=own)
    baseline = pair.baseline
    # the arms' clocks may tell slightly different times of one interval
    same = _since(baseline, start, late) if KINDS[pair.kind].is_raw else late
    return replace(
        pair,
        canary=own,
        baseline=replace(baseline.part(same), replicas=_late_replicas(baseline, start, part)),
    )


def _before(part: str, points: int) -> int:
    """Count the points before a part."""
    return points // 2 if part == "half" else points - points // 3


def _late_replicas(arm: Arm, start: float | None, part: str) -> tuple[Arm, ...]:
    """Take what each replica has from a time on; without times, its last part."""
    return tuple(
        replica.part(_since(replica, start, slice(_before(part, len(replica)), None)))
        for replica in arm.replicas
    )


def _since(arm: Arm, start: float | None, otherwise: slice) -> slice:
    if arm.time is None or start is None:
        return otherwise
    return slice(int(arm.time.searchsorted(start)), None)
