"""Judge the last half of the canary by itself: a fault that starts half way shows there before it moves the level of the whole."""

from __future__ import annotations

from dataclasses import replace

from canaryjudge.data import Arm, MetricPair
from canaryjudge.policy import LateShift, MannWhitney, Metric, Tolerance
from canaryjudge.results import Finding
from canaryjudge.rules.decision import Share, without_proof
from canaryjudge.rules.mann_whitney import judge_shift

__all__ = ["judge_late_shift"]


def judge_late_shift(pair: MetricPair, metric: Metric, settings: LateShift, share: Share) -> Finding:
    """Judge whether the last half of the canary is shifted by more than tolerated.

    Parameters
    ----------
    pair : MetricPair
        Both arms.
    metric : Metric
        Direction, and the tolerance of its level, which holds here as well where it is the larger.
    settings : LateShift
        The tolerance.
    share : Share
        The error rates.

    Returns
    -------
    Finding
        That of the rank test of the last half: against the whole baseline, or against the same time of it where the arms share the clock. A fail
        where it is proven; where it is neither proven nor ruled out, a pass with the reason `nothing_found`, or marginal, `suspected`, where it would
        be proven at beta.
    """
    own = Tolerance.model_construct(
        relative=max(settings.tolerance, metric.tolerated_relative), absolute=metric.tolerance.absolute
    )
    found = judge_shift(_late(pair), metric.model_copy(update={"tolerance": own}), MannWhitney(), share)
    return without_proof(found).model_copy(update={"rule": settings.rule, "more_points": None})


def _late(pair: MetricPair) -> MetricPair:
    """Take the last half of the canary, and of the baseline where the arms share the clock."""
    canary, half = pair.canary, slice(len(pair.canary) // 2, None)
    start = None if canary.time is None or not len(canary) else float(canary.time[len(canary) // 2])
    late = replace(canary.part(half), replicas=_late_replicas(canary, start))
    if pair.pairing != "concurrent":
        return replace(pair, canary=late)
    baseline = pair.baseline
    # points that are aligned are cut at one place: the arms' clocks may tell slightly different times of one interval
    same = _since(baseline, start, half) if pair.kind == "samples" else half
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
