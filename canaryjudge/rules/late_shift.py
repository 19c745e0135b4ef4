"""Judge the last half of the canary by itself: a fault that starts half way shows there before it moves the level of the whole."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from canaryjudge.kinds import KINDS
from canaryjudge.rules.decision import without_proof
from canaryjudge.rules.mann_whitney import MannWhitney, ShiftFinding
from canaryjudge.rules.registry import Columns, judge_pairs, rule
from canaryjudge.rules.rows import Arm, Pair, Rows, Sizes
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
    shifts = judge_pairs([_late(pair, settings) for pair in rows], MannWhitney())
    own = {"rule": settings.rule, "more_points": None}
    found.take([dict(without_proof(shift)) | own for shift in shifts])


def _late(whole: Pair, settings: LateShift) -> Pair:
    """Take the last half of the canary, and of the baseline where the arms share the clock."""
    tolerance = Sizes(max(settings.tolerance, whole.tolerance.relative), whole.tolerance.absolute)
    pair = replace(whole, tolerance=tolerance, min_points=1)
    canary, half = pair.canary, slice(len(pair.canary) // 2, None)
    start = None if canary.time is None or not len(canary) else float(canary.time[len(canary) // 2])
    late = replace(canary.part(half), replicas=_late_replicas(canary, start))
    if not pair.concurrent:
        return replace(pair, canary=late)
    baseline = pair.baseline
    # points that are aligned are cut at one place: the arms' clocks may tell slightly different times of one interval
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
