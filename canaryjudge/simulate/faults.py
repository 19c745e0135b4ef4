"""Faults of a known size, put into the canary of a pair."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data import Arm, FloatArray, MetricPair
from canaryjudge.kinds import KINDS, Fault

__all__ = ["Fault", "inject"]

_PART: Final = 0.1
"""The part of the points that a tail, or a burst, is about."""


def inject(
    pair: MetricPair,
    fault: Fault,
    size: float,
    direction: Literal["increase", "decrease", "either"],
    rng: np.random.Generator,
) -> MetricPair:
    """Put a fault of a size into the canary, whose replicas are left out: they are not told which of them is ill.

    Of a shift all points move, of a burst a tenth of the window in one piece does; of a tail a random tenth of the points, or of a histogram's observations, is ``1 + size``
    times as large. Values move by that part of the baseline's median, and events become more by that part of the canary's rate; downwards events and tails
    are divided by ``1 + size``. The bad direction of `either` is upwards.

    >>> pair = MetricPair("cpu", "gauge", Arm(np.full(20, 50.0)), Arm(np.full(20, 50.0)))
    >>> inject(pair, "shift", 0.1, "increase", np.random.default_rng(1)).canary.value[:3].tolist()
    [55.0, 55.0, 55.0]
    """
    upward = direction != "decrease"
    canary = replace(pair.canary, replicas=())
    if KINDS[pair.kind].counts_events:
        hit = _hit(len(canary), fault, rng)
        return replace(pair, canary=_events(canary, size, hit, rng, upward=upward))
    if KINDS[pair.kind].has_buckets:
        return replace(pair, canary=_histograms(pair, canary, fault, size, rng, upward=upward))
    hit = _hit(len(canary), fault, rng)
    factor = 1 + size if upward else 1 / (1 + size)
    moved = (
        canary.value * factor
        if fault == "tail"
        else canary.value + (1 if upward else -1) * size * abs(float(np.median(pair.baseline.value)))
    )
    return replace(pair, canary=replace(canary, value=np.where(hit, moved, canary.value)))


def _hit(points: int, fault: Fault, rng: np.random.Generator) -> NDArray[np.bool_]:
    hit = np.ones(points, dtype=bool)
    count = max(1, round(_PART * points))
    if fault == "tail":
        hit[:] = False
        hit[rng.permutation(points)[:count]] = True
    elif fault == "burst":
        start = int(rng.integers(0, points - count + 1))
        hit[:] = False
        hit[start : start + count] = True
    return hit


def _events(
    arm: Arm,
    size: float,
    hit: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    upward: bool,
) -> Arm:
    value = arm.value
    if not upward:
        whole = np.floor(value)
        kept = rng.binomial(whole.astype(np.int64), 1 / (1 + size)) + (value - whole) / (1 + size)
        return replace(arm, value=np.where(hit, kept, value))
    exposure = np.ones(len(arm)) if arm.total is None else arm.total
    rate = float(value.sum() / exposure.sum())
    more = rng.poisson(np.minimum(size * rate * exposure, 1e15)).astype(np.float64)
    risen = value + more
    if rate <= 1 and arm.total is not None and (value <= arm.total).all():
        risen = np.minimum(risen, arm.total)  # a share does not rise above all of it
    return replace(arm, value=np.where(hit, risen, value))


def _histograms(
    pair: MetricPair, arm: Arm, fault: Fault, size: float, rng: np.random.Generator, *, upward: bool
) -> Arm:
    counts, edges = arm.buckets, pair.edges
    assert counts is not None and edges is not None  # noqa: PT018, S101 - as histograms have
    low, finite = _lowest(edges), edges[:-1]
    if fault == "tail":
        factor = 1 + size if upward else 1 / (1 + size)
        moved = (1 - _PART) * counts + _PART * _moved(counts, np.append(low, finite), finite / factor)
        return _of_counts(arm, moved)
    both = counts.sum(axis=0).cumsum()
    median = float(np.interp(both[-1] / 2, np.append(0.0, both[:-1]), np.append(low, finite)))
    shift = (1 if upward else -1) * size * abs(median)
    moved = _moved(counts, np.append(low, finite), finite - shift)
    hit = _hit(len(arm), fault, rng)
    return _of_counts(arm, np.where(hit[:, None], moved, counts))


def _lowest(edges: FloatArray) -> float:
    """Where the first bucket is taken to begin: at 0 where values may be thought positive."""
    return 0.0 if edges[0] > 0 else float(edges[0] - (edges[1] - edges[0] if len(edges) > 2 else 1.0))


def _moved(counts: FloatArray, known: FloatArray, asked: FloatArray) -> FloatArray:
    """Count anew, each bucket's observations spread evenly over it, as if the edges stood elsewhere; the open bucket keeps its own."""
    below = np.concatenate([np.zeros((len(counts), 1)), counts.cumsum(axis=1)], axis=1)
    at = np.stack([np.interp(asked, known, row[: len(known)], left=0.0) for row in below])
    return np.diff(np.concatenate([np.zeros((len(counts), 1)), at, below[:, -1:]], axis=1), axis=1)


def _of_counts(arm: Arm, counts: FloatArray) -> Arm:
    """Round to whole observations, and keep their number."""
    below = np.rint(np.maximum(counts, 0.0).cumsum(axis=1))
    whole = np.diff(below, axis=1, prepend=0.0)
    return replace(arm, buckets=whole, value=whole.sum(axis=1))
