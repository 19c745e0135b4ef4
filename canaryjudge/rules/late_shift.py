"""Judge the last half of the canary by itself: a fault that starts half way shows there before it moves the level of the whole."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np

from canaryjudge.kinds import KINDS
from canaryjudge.rules.decision import without_proof
from canaryjudge.rules.mann_whitney import MannWhitney, ShiftFinding
from canaryjudge.rules.registry import Columns, find, judge_pairs, rule
from canaryjudge.rules.rows import Arm, Pair, Rows, Sizes, at_least
from canaryjudge.rules.settings import RuleSettings
from canaryjudge.settings import RelativeTolerance

__all__ = ["LateShift", "LateShiftFinding"]


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
    """Whether the last half of the canary is shifted."""

    rule: Literal["late_shift"]  # type: ignore[assignment] # findings are told apart by it
    """The rule's name."""


@rule(LateShift, LateShiftFinding)
def judge(rows: Rows, settings: LateShift, found: Columns) -> None:
    """Judge the last half by the rank test: against the whole baseline, or against the same time of it where the arms share the clock.

    It fails where a shift is proven; where it is neither proven nor ruled out, it is a pass with the reason `nothing_found`, or marginal, `suspected`,
    where it would be proven at beta. The tolerance of the level holds here as well where it is the larger.
    """
    raw = KINDS[rows.kind].is_raw and rows.concurrent
    if raw or rows.baseline.replicated or rows.canary.replicated:
        shifts = [
            dict(shift) for shift in judge_pairs([_late(pair, settings) for pair in rows], MannWhitney())
        ]
    else:
        late = _late_rows(rows, settings)
        columns = find(late, MannWhitney())
        shifts = [columns.fields(row) for row in range(len(rows))]
    own = {"rule": settings.rule, "more_points": None}
    found.take([without_proof(shift) | own for shift in shifts])


def _late_rows(whole: Rows, settings: LateShift) -> Rows:
    """Take the last half of the canaries, and of the baselines where the arms share the clock: points that are aligned are cut at one place."""
    half = slice(whole.canary.points // 2, None)
    tolerance = Sizes(np.maximum(settings.tolerance, whole.tolerance.relative), whole.tolerance.absolute)
    return replace(
        whole,
        canary=whole.canary.part(half),
        baseline=whole.baseline.part(half) if whole.concurrent else whole.baseline,
        tolerance=tolerance,
        pass_within=at_least(tolerance, whole.pass_within),
        min_points=1,
    )


def _late(whole: Pair, settings: LateShift) -> Pair:
    """Take the last half of one canary, and of each of its replicas."""
    tolerance = Sizes(max(settings.tolerance, whole.tolerance.relative), whole.tolerance.absolute)
    pair = replace(whole, tolerance=tolerance, min_points=1)
    canary, half = pair.canary, slice(len(pair.canary) // 2, None)
    start = None if canary.time is None or not len(canary) else float(canary.time[len(canary) // 2])
    late = replace(canary.part(half), replicas=_late_replicas(canary, start))
    if not pair.concurrent:
        return replace(pair, canary=late)
    baseline = pair.baseline
    # the arms' clocks may tell slightly different times of one interval
    same = _since(baseline, start, half) if KINDS[pair.kind].is_raw else half
    return replace(
        pair,
        canary=late,
        baseline=replace(baseline.part(same), replicas=_late_replicas(baseline, start)),
    )


def _late_replicas(arm: Arm, start: float | None) -> tuple[Arm, ...]:
    """Take what each replica has from a time on; without times, its last half."""
    return tuple(
        replica.part(_since(replica, start, slice(len(replica) // 2, None))) for replica in arm.replicas
    )


def _since(arm: Arm, start: float | None, otherwise: slice) -> slice:
    if arm.time is None or start is None:
        return otherwise
    return slice(int(arm.time.searchsorted(start)), None)
