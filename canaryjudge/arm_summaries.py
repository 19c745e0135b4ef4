"""What an arm's points look like, in so few numbers that a verdict can carry them: a thinned series and some quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data import Arm, MetricPair
from canaryjudge.kinds import KINDS
from canaryjudge.results import QUANTILE_LEVELS, ArmFacts, SeriesFacts
from canaryjudge.rules.findings import Draft, build, ten_digits

__all__ = ["arm_facts", "facts_of_arms", "with_gaps"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_MOST_POINTS = 100
"""So many points are shown as they are."""
_STRETCHES = 40
"""More are shown by the level and the band of this many equal stretches of time."""
_BAND = (0.05, 0.5, 0.95)
_LARGE = 20_000
"""Of so many points the stretches are sorted one by one."""
_GAP = 2.5
"""A step this many times the usual one is a gap: the line must not run through it."""


def arm_facts(arm: Arm, pair: MetricPair) -> ArmFacts | None:
    """Describe one arm; None without points."""
    return facts_of_arms([(arm, pair)])[0]


def facts_of_arms(arms: Sequence[tuple[Arm, MetricPair]]) -> list[ArmFacts | None]:
    """Describe arms, each of a pair; None for one without points, or of users, of whom sums are known.

    Of gauges a stretch's band reaches from its lowest point to its highest, so that spikes stay visible; of raw observations and histograms it holds the
    middle 90 %, because among many requests some are always slow.
    """
    found: dict[int, Draft] = {}
    drawn = [bool(len(arm)) and not KINDS[pair.kind].has_users for arm, pair in arms]
    parts = [_numbers(arm, pair) for (arm, pair), own in zip(arms, drawn, strict=True) if own]
    numbers = ten_digits(np.concatenate([np.empty(0), *(part for own in parts for part in own)]))
    start = 0
    for index, (arm, pair) in enumerate(arms):
        if not drawn[index]:
            continue
        spread, at, bands = parts[len(found)]
        first, end = start + len(spread), start + len(spread) + len(at) + len(bands)
        places, columns = _broken(at, [numbers[i : i + len(at)] for i in range(first, end, len(at))])
        series: dict[str, Any] = {
            "start": None if arm.time is None else float(arm.time[0]),
            "at": places,
            "value": columns[len(columns) // 2],
        }
        if len(columns) > 1:
            band = "percentiles" if KINDS[pair.kind].has_observations else "extremes"
            series |= {"low": columns[0], "high": columns[2], "band": band}
        facts = {"series": Draft(SeriesFacts, series), "quantiles": tuple(numbers[start:first])}
        found[index] = Draft(ArmFacts, facts)
        start = end
    built = iter(build(list(found.values())))
    return [next(built) if index in found else None for index in range(len(arms))]


def _numbers(arm: Arm, pair: MetricPair) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Give an arm's quantiles, its positions and what stands there, row by row."""
    levels = arm.value if arm.total is None else arm.value / arm.total
    if KINDS[pair.kind].has_buckets and arm.buckets is not None and pair.edges is not None:
        spread = _bucket_quantiles(pair.edges, arm.buckets.sum(axis=0, keepdims=True), QUANTILE_LEVELS)[0]
    else:
        spread = _quantiles(np.sort(levels), QUANTILE_LEVELS)
    at = np.arange(len(arm), dtype=np.float64) if arm.time is None else arm.time - arm.time[0]
    at, bands = _bands(arm, at, levels, pair)
    return np.asarray(spread), at, bands.ravel()


def _bands(arm: Arm, at: FloatArray, levels: FloatArray, pair: MetricPair) -> tuple[FloatArray, FloatArray]:
    """Give where each position is, and what stands there: the level of few points, else the low end, the middle and the high end of what it stands for; shape (1 or 3, positions)."""
    buckets = arm.buckets if KINDS[pair.kind].has_buckets else None
    if buckets is None and len(arm) <= _MOST_POINTS:
        return at, levels[np.newaxis]
    firsts, middles = _stretches(at)
    if buckets is not None and pair.edges is not None:
        counts = np.add.reduceat(buckets, firsts, axis=0)
        bands = _bucket_quantiles(pair.edges, counts, _BAND).T
    elif KINDS[pair.kind].is_raw:
        bands = _quantiles_of_stretches(levels, firsts, _BAND)
    elif KINDS[pair.kind].is_measured:
        bands = _quantiles_of_stretches(levels, firsts, (0.0, 0.5, 1.0))
    else:
        exposure = np.ones(len(arm)) if arm.total is None else arm.total
        pooled = np.add.reduceat(arm.value, firsts) / np.add.reduceat(exposure, firsts)
        bands = np.array([np.minimum.reduceat(levels, firsts), pooled, np.maximum.reduceat(levels, firsts)])
    return middles, bands


def _stretches(at: FloatArray) -> tuple[IntArray, FloatArray]:
    """Find the first point of each stretch of time that has points, and where its middle is."""
    firsts = np.flatnonzero(np.diff(at, prepend=-1.0))
    if len(firsts) <= _MOST_POINTS:
        return firsts, at[firsts]
    width = at[-1] / _STRETCHES
    numbers = np.minimum(at / width, _STRETCHES - 1).astype(np.intp)
    firsts = np.flatnonzero(np.diff(numbers, prepend=-1))
    return firsts, (numbers[firsts] + 0.5) * width


def with_gaps(at: FloatArray, rows: FloatArray) -> tuple[tuple[float, ...], list[tuple[float | None, ...]]]:
    """Break a series (rows of numbers at ascending positions) where nothing came for a while: there a position is repeated, with None in each row, so that no line runs through it."""
    numbers = ten_digits(np.concatenate([at, *rows]))
    return _broken(at, [numbers[i : i + len(at)] for i in range(0, len(numbers), len(at))])


def _broken(
    at: FloatArray, rounded: list[list[float]]
) -> tuple[tuple[float, ...], list[tuple[float | None, ...]]]:
    steps = np.diff(at)
    usual = float(np.sort(steps)[len(steps) // 2]) if len(steps) else 0.0
    gaps = np.flatnonzero(steps > _GAP * usual)[::-1].tolist() if usual > 0 else []
    places, *columns = (list[Any](numbers) for numbers in rounded)
    for before in gaps:
        for column in columns:
            column.insert(before + 1, None)
        places.insert(before + 1, places[before])
    return tuple(places), [tuple(column) for column in columns]


def _quantiles(ascending: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Read quantiles off sorted numbers, as NumPy's default does."""
    return np.asarray(
        np.interp(np.asarray(levels) * (len(ascending) - 1), np.arange(len(ascending)), ascending)
    )


def _quantiles_of_stretches(levels: FloatArray, firsts: IntArray, wanted: Sequence[float]) -> FloatArray:
    """Read quantiles, one row a level, off each stretch of a series as `_quantiles` does, all stretches at once."""
    sizes, ranked = np.diff(firsts, append=len(levels)), levels.copy()
    if len(levels) < _LARGE:
        ranked = levels[np.lexsort((levels, np.repeat(firsts, sizes)))]
    else:
        for stretch in np.split(ranked, firsts[1:]):
            stretch.sort()
    place = firsts + np.asarray(wanted)[:, np.newaxis] * (sizes - 1)
    below = np.floor(place).astype(np.intp)
    part = place - below
    return np.asarray(ranked[below] * (1 - part) + ranked[np.ceil(place).astype(np.intp)] * part)


def _bucket_quantiles(edges: FloatArray, counts: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Read quantiles, one column a level, off rows of buckets in straight lines between the edges; an open bucket is all at its edge."""
    upper = edges.copy()
    upper[np.isinf(upper)] = edges[-2] if len(edges) > 1 else 0.0
    lower = np.append(min(0.0, upper[0]), upper[:-1])
    reached = counts.cumsum(axis=1)
    wanted = np.asarray(levels) * reached[:, -1:]
    first_held = (counts > 0).argmax(axis=1)[:, np.newaxis]
    bucket = np.maximum((reached[:, np.newaxis] < wanted[:, :, np.newaxis]).sum(axis=2), first_held)
    bucket = np.minimum(bucket, len(edges) - 1)
    held, until = (np.take_along_axis(columns, bucket, axis=1) for columns in (counts, reached))
    share = np.divide(wanted - until + held, held, out=np.ones_like(wanted), where=held > 0)
    return np.asarray(lower[bucket] + (upper - lower)[bucket] * share)
