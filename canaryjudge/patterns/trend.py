"""A warm-up or a leak across stages: whether a metric's effect fades or grows, and when it crosses what is tolerated."""

from __future__ import annotations

import math
from typing import Any, Final

from canaryjudge.monitor.effect_trace import Blocks
from canaryjudge.results import TrendFacts
from canaryjudge.stats.effect_trend import (
    FEWEST_TREND_BLOCKS,
    Crossing,
    crossing_time,
    trend_test,
)

__all__ = ["trend_of"]

_LEVEL: Final = 0.01
_DIGITS: Final = 4


def trend_of(blocks: Blocks, sides: tuple[int, ...]) -> TrendFacts:
    """Tell whether an effect grows or fades; where both directions are bad, on the side where it is in the end, or was at first."""
    thirds = max(len(blocks.changes) // 3, 1)
    fell = sides == (-1,)
    ends = [_side(blocks, part, sides) for part in (slice(-thirds, None), slice(thirds))]
    tests = {side: trend_test(blocks.times, side * blocks.changes, blocks.weights) for side in set(ends)}
    later, first = (tests[side] for side in ends)
    facts: dict[str, Any] = {"level": _LEVEL, "blocks": later.blocks, "needed": FEWEST_TREND_BLOCKS}
    if later.abstains:
        return TrendFacts(told="too_few_blocks", **facts)
    looks = 2 if len(sides) > 1 else 1  # the side is chosen by the data
    grows, fades = (min(1.0, looks * pvalue) for pvalue in (later.pvalue_grows, first.pvalue_fades))
    facts |= {"pvalue_grows": _short(grows), "pvalue_fades": _short(fades)}
    if grows <= _LEVEL:
        crossing = crossing_time(
            blocks.times, ends[0] * blocks.changes, blocks.limit, weights=blocks.weights, curve=later.grows_as
        )
        return TrendFacts(told="grows", **facts, **_told(crossing, blocks, ends[0], -1.0 if fell else 1.0))
    if fades <= _LEVEL:
        crossing = _faded(blocks, ends[1], as_line=first.fades_as == "line")
        if crossing.start > 0:
            return TrendFacts(
                told="fades", **facts, **_told(crossing, blocks, ends[1], -1.0 if fell else 1.0)
            )
    return TrendFacts(told="neither", **facts)


def _side(blocks: Blocks, part: slice, sides: tuple[int, ...]) -> float:
    """Give the direction in which a change is worse, for changes that are told as worse when larger unless either is."""
    if len(sides) == 1:
        return 1.0
    known = blocks.changes[part][blocks.weights[part] > 0]
    return -1.0 if len(known) and known.mean() < 0 else 1.0


def _faded(blocks: Blocks, side: float, *, as_line: bool) -> Crossing:
    """Fit what fades; a line that falls is one that rises, upside down."""
    if not as_line:
        return crossing_time(
            blocks.times, side * blocks.changes, blocks.limit, weights=blocks.weights, curve="decay"
        )
    found = crossing_time(blocks.times, -side * blocks.changes, -blocks.limit, weights=blocks.weights)
    return Crossing(-found.start, -found.end, -found.rate, found.at, found.low, found.high)


def _told(crossing: Crossing, blocks: Blocks, side: float, sign: float) -> dict[str, float | None]:
    """Give the fit as facts, in which positive is larger."""
    limit, start, end, rate = (
        side * sign * each for each in (blocks.limit, crossing.start, crossing.end, crossing.rate)
    )
    began = float(blocks.times[0])
    crosses: list[float | None] = [None, None, None]
    # what fades from within the tolerance crosses nothing
    if math.isfinite(crossing.at) and (crossing.rate > 0 or crossing.start > blocks.limit):
        crosses = [
            round(each) if math.isfinite(each) else None
            for each in (crossing.at, crossing.low, crossing.high)
        ]
        if crosses[1] is not None and crosses[1] < began:
            crosses[1] = None
    return {
        "limit": float(f"{limit:.10g}"),
        "start": _short(start),
        "end": _short(end),
        "rate": _short(rate),
        "crosses": crosses[0],
        "crosses_low": crosses[1],
        "crosses_high": crosses[2],
    }


def _short(value: float) -> float | None:
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
