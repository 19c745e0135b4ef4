"""Segments that could not be compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from canaryjudge.reasons import Reason
from canaryjudge.results import (
    LeftOutFacts,
    MetricSegments,
)
from canaryjudge.rules.findings import (
    built,
)
from canaryjudge.rules.rows import BoolArray
from canaryjudge.segments.effects import SegmentedMetric

__all__ = ["facts_of_none", "left_out"]

_MOST_NAMED = 20


def left_out(own: SegmentedMetric, known: BoolArray) -> dict[str, Any]:
    """Name the segments that were not compared, why, and how much of the traffic they have."""
    out: list[LeftOutFacts] = []
    places: dict[str, list[int]] = {}
    for place in np.flatnonzero(~known).tolist():
        pair, why = own.pairs[place], "too_little_data"
        if any(finding.reason is Reason.IDENTICAL for finding in own.results[place].findings):
            continue
        if any(note.code == "broken" for note in pair.notes):
            why = "broken"
        elif not len(pair.baseline) or not len(pair.canary):
            why = "no_baseline" if len(pair.canary) else "no_canary" if len(pair.baseline) else "no_data"
        if why == "no_data":
            continue
        places.setdefault(why, []).append(place)
        out.append(built(LeftOutFacts, {"name": own.names[place], "why": why}))
    return {
        "left_out": tuple(out[:_MOST_NAMED]),
        "left_out_count": len(out),
        "left_out_part": _part(own, [place for each in places.values() for place in each]),
        "thin_part": _part(own, places.get("too_little_data", [])),
    }


def _part(own: SegmentedMetric, places: list[int]) -> float:
    """Give the part of the traffic that some segments have: of either arm or of both, for one of the canary's alone may be much of its traffic and little of both."""
    baseline, canary = own.traffic
    whole = baseline.sum() + canary.sum()
    parts = [arm[places].sum() for arm in own.parts]
    return float(max(*parts, (baseline[places].sum() + canary[places].sum()) / whole if whole else 0.0))


def facts_of_none(own: SegmentedMetric) -> MetricSegments:
    """Say what there is to say where no segment could be compared."""
    return built(
        MetricSegments,
        {
            "scale": "relative",
            "pooled": None,
            "within": None,
            "by_mix": None,
            "mix_pvalue": None,
            "most_moved": None,
            "more": None,
            "unlike": None,
            "segments": (),
            "culprits": (),
            "only": False,
            "level": own.level,
            **left_out(own, np.zeros(len(own.names), dtype=np.bool_)),
            "found_in": {},
        },
    )
