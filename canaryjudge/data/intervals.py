"""Whole series, cut into the intervals that a stream would hand out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from canaryjudge.data.observations import complete_parts
from canaryjudge.data.pair import MetricPair
from canaryjudge.kinds import KINDS

__all__ = ["intervals"]


def intervals(pair: MetricPair, *, unfinished: bool = False) -> Iterator[MetricPair]:
    """Cut whole series into what a stream would hand out, interval by interval.

    Parameters
    ----------
    pair : MetricPair
        Both arms.
    unfinished : bool, optional
        Whether raw observations of the last interval count too, though more of them might follow; a stream waits.

    Yields
    ------
    MetricPair
        One interval: a point of each arm, or all raw observations of it; without times these are one interval.

    Examples
    --------
    >>> import numpy as np
    >>> from canaryjudge.data import Arm
    >>> arm = Arm(np.arange(3.0))
    >>> [part.canary.value.tolist() for part in intervals(MetricPair("cpu", "gauge", arm, arm))]
    [[0.0], [1.0], [2.0]]
    """
    if not KINDS[pair.kind].is_raw:
        for index in range(min(len(pair.baseline), len(pair.canary))):
            yield _part(pair, slice(index, index + 1), slice(index, index + 1))
    elif pair.baseline.time is None or pair.canary.time is None:
        yield pair
    else:
        for first, second in complete_parts(pair, unfinished=unfinished):
            yield _part(pair, first, second)


def _part(pair: MetricPair, first: slice, second: slice) -> MetricPair:
    return replace(pair, baseline=pair.baseline.part(first), canary=pair.canary.part(second), notes=())
