"""All differences between the points of two samples: their quantiles and their distribution, at any size.

The differences ``canary_i - baseline_j`` hold everything a rank test needs: their median is the Hodges-Lehmann shift, the
share above a value is the Mann-Whitney statistic of the samples moved by it. Small samples are subtracted outright; of large
ones the differences are never made: they are counted over the two sorted samples, in linear time a count. Differences that equal a value
but for rounding are equal to it (`canaryjudge.stats.ties`), so that the same points in another unit are counted alike.
"""

from __future__ import annotations

import math
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from canaryjudge.stats.bounds import FloatArray
from canaryjudge.stats.ties import ROUNDING, about

__all__ = ["Differences", "Merged", "all_differences", "reached"]

Side = Literal["low", "high"]

_OUTRIGHT = 250_000
"""Up to this many differences a pair of samples they are made and sorted."""
_SKETCH = 1024
"""Larger samples are first thinned to this many quantiles each, to find where to count."""
_SKETCH_ERROR = 1 / (16 * _SKETCH)
"""How far off the rank of a quantile of the thinned samples is expected to be."""
_SLOPE_SPAN = 0.005
"""Ranks this far to both sides tell how steep the quantiles are."""
_RANK_ERROR = 1e-6
"""Quantiles of large samples are exact to this share of the differences, far below what a test can tell."""
_OVERSHOOT = 0.02
"""A step goes this much of the bracket past the interpolated place, so that the bracket closes from both sides."""
_SHARE_ERROR = 5e-8
"""Shares of very large samples are exact to this: a p-value of 1 % to a thousandth of a percent point."""
_STRETCHES = 2**13
"""For a quantile a sample several times as large is counted by so many stretches of it, where that is as good as point by point."""
_FINE_STRETCHES = 2**16
"""The same for a share."""


class Differences(Protocol):
    """Distribution of the differences, for a batch of pairs of samples."""

    pairs: int
    """Differences a pair of samples."""

    @property
    def samples(self) -> tuple[FloatArray, FloatArray] | None:
        """Baseline and canary, each row ascending, where they had to be sorted."""
        ...

    def quantile(self, tail: ArrayLike, side: Side) -> FloatArray:
        """Give the order statistic number ``floor(tail * pairs)`` from that end, counted from 0; shapes (batch, k)."""
        ...

    def anchor(self, tail: float, side: Side) -> FloatArray:
        """Give the same for measuring spread, shape (batch,); its rank may be off by a thousandth in large samples."""
        ...

    def below(self, value: FloatArray) -> FloatArray:
        """Give the share of differences below each value of shape (batch, k), those equal to it counted half."""
        ...

    def median(self) -> FloatArray:
        """Give the median, shape (batch,): the Hodges-Lehmann shift."""
        ...


def all_differences(baseline: FloatArray, canary: FloatArray, size: float = 0.0) -> Differences:
    """Prepare the differences ``canary_i - baseline_j`` of each pair of samples in a batch.

    Parameters
    ----------
    baseline : ndarray, shape (batch, n)
        One sample a row.
    canary : ndarray, shape (batch, m)
        The other.
    size : float
        They are rounded as numbers of this size at least: of logarithms 1.

    Returns
    -------
    Differences
        Their distribution.

    Examples
    --------
    >>> differences = all_differences(np.array([[1.0, 2.0, 3.0]]), np.array([[2.0, 4.0]]))
    >>> differences.median().tolist()
    [1.0]
    """
    if baseline.shape[-1] * canary.shape[-1] <= _OUTRIGHT:
        return _Outright(baseline, canary, size)
    return _Counted(baseline, canary, size)


class _Outright:
    samples = None

    def __init__(self, baseline: FloatArray, canary: FloatArray, size: float = 0.0) -> None:
        self._baseline, self._canary, self._size = baseline, canary, size
        self._sorted = (canary[:, :, None] - baseline[:, None, :]).reshape(len(baseline), -1)
        self._sorted.sort(axis=1)
        self._largest = np.maximum(np.abs(baseline).max(axis=1), size)
        self.pairs = self._sorted.shape[1]

    def quantile(self, tail: ArrayLike, side: Side) -> FloatArray:
        return np.take_along_axis(self._sorted, _position(tail, self.pairs, side), axis=1)

    def anchor(self, tail: float, side: Side) -> FloatArray:
        from_end = min(max(math.floor(tail * self.pairs), 0), self.pairs - 1)
        return self._sorted[:, from_end if side == "low" else self.pairs - 1 - from_end]

    def below(self, value: FloatArray) -> FloatArray:
        # no difference is off by more; where none is so close, none is equal
        slack = ROUNDING * (self._largest[:, None] + np.abs(value))
        ends = np.concatenate([value - slack, np.nextafter(value + slack, np.inf)], axis=1)
        found = np.array([row.searchsorted(end) for row, end in zip(self._sorted, ends, strict=True)])
        below, reached = found[:, : value.shape[1]], found[:, value.shape[1] :]
        counted = below + reached
        for row in np.flatnonzero((below != reached).any(axis=1)):
            counted[row] = self._counted(row, value[row])
        return np.asarray(counted / (2 * self.pairs))

    def _counted(self, row: np.intp, value: FloatArray) -> NDArray[np.intp]:
        """Count the differences below values, and those up to them, by the rounding of each."""
        low, high = about(self._baseline[row], value[:, None], self._size)
        canary = np.sort(self._canary[row])
        return np.asarray(
            np.searchsorted(canary, low, "left").sum(axis=1)
            + np.searchsorted(canary, high, "right").sum(axis=1)
        )

    def median(self) -> FloatArray:
        low, high = self._sorted[:, (self.pairs - 1) // 2], self._sorted[:, self.pairs // 2]
        return low + (high - low) / 2


class Merged:
    """How two ascending samples lie among each other; a stable sort takes ascending runs as they are, so that merging them takes linear time.

    Examples
    --------
    >>> merged = Merged(np.array([1.0, 2.0, 5.0]), np.array([2.0, 3.0]))
    >>> merged.below.tolist(), merged.up_to.tolist()
    ([0, 0, 2], [2, 2])
    """

    def __init__(self, first: FloatArray, second: FloatArray) -> None:
        self._of_second = np.argsort(np.concatenate([first, second]), kind="stable") >= len(first)
        self.up_to = _places(self._of_second)
        """For each point of the second, how many of the first are no larger."""

    @property
    def below(self) -> NDArray[np.intp]:
        """For each point of the first, how many of the second are less."""
        return _places(~self._of_second)


def _places(marked: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Count, for each that is marked, those before it that are not."""
    found = np.flatnonzero(marked)
    found -= np.arange(len(found))
    return found


def reached(upper: FloatArray, up_to: NDArray[np.intp], lower: FloatArray) -> bool:
    """Tell whether the last of those that count as up to a point is equal to it, of any point: then some are."""
    return bool(((up_to > 0) & (upper.take(up_to - 1, mode="clip") >= lower)).any())


class _Counted:
    def __init__(self, baseline: FloatArray, canary: FloatArray, size: float) -> None:
        self._size = size
        self.samples = self._baseline, self._canary = np.sort(baseline, axis=1), np.sort(canary, axis=1)
        self.pairs = baseline.shape[1] * canary.shape[1]
        self._shares: dict[tuple[int, float], float] = {}
        self._ranked: dict[tuple[int, int], float] = {}
        largest = np.maximum(
            np.abs(self._baseline[:, [0, -1]]).max(axis=1), np.abs(self._canary[:, [0, -1]]).max(axis=1)
        )
        self._rounding = (
            4 * np.finfo(float).eps * largest
        )  # equal differences of rounded points differ by less
        self._sketch = _Outright(_thinned(self._baseline, _SKETCH), _thinned(self._canary, _SKETCH))

    def quantile(self, tail: ArrayLike, side: Side) -> FloatArray:
        positions = np.broadcast_to(
            _position(tail, self.pairs, side), (len(self._baseline), np.shape(tail)[-1])
        )
        return np.array([[self._search(row, int(one)) for one in line] for row, line in enumerate(positions)])

    def anchor(self, tail: float, side: Side) -> FloatArray:
        return self._sketch.anchor(tail, side)

    def below(self, value: FloatArray) -> FloatArray:
        return np.array(
            [[self._share_below(row, float(at)) for at in line] for row, line in enumerate(value)]
        )

    def _share_below(self, row: int, value: float) -> float:
        if (row, value) not in self._shares:
            below, up_to, error = self._count_roughly(row, value, _FINE_STRETCHES)
            if error > _SHARE_ERROR * self.pairs:
                below, up_to = self._count_both(row, value)
            self._shares[row, value] = (below + up_to) / (2 * self.pairs)
        return self._shares[row, value]

    def median(self) -> FloatArray:
        return self.quantile([[0.5]], "low")[:, 0]

    def _count_both(self, row: int, value: float) -> tuple[int, int]:
        """Count the differences below a value, and those up to it."""
        baseline, canary = self._baseline[row], self._canary[row]
        # canary - baseline <= v  <=>  baseline >= canary - v: the shorter is moved
        if len(canary) < len(baseline):
            low, high = about(canary, -value, self._size)
            found = Merged(low, baseline).up_to
            up_to = int(found.sum())
            return int(Merged(baseline, high).below.sum()) if reached(high, found, baseline) else up_to, up_to
        low, high = about(baseline, value, self._size)
        found = Merged(canary, high).up_to
        up_to = int(found.sum())
        return int(Merged(low, canary).below.sum()) if reached(canary, found, low) else up_to, up_to

    def _count(self, row: int, value: float) -> int:
        """Count the differences up to a value."""
        baseline, canary = self._baseline[row], self._canary[row]
        if len(canary) < len(baseline):
            return int(Merged(about(canary, -value, self._size)[0], baseline).up_to.sum())
        return int(Merged(canary, about(baseline, value, self._size)[1]).up_to.sum())

    def _count_roughly(self, row: int, value: float, stretches: int) -> tuple[float, float, float]:
        """Count the differences below a value and up to it by the middle of each stretch of the baseline, and tell how far off that may be.

        How many canary points the points of a stretch exceed differs by no more than the ends of the stretch do, and by about as much above its middle as below.
        """
        baseline, canary = self._baseline[row], self._canary[row]
        if len(baseline) < 4 * stretches:
            return 0.0, 0.0, np.inf
        low, high = about(_thinned(baseline[np.newaxis], stretches)[0], value, self._size)
        below = up_to = np.searchsorted(canary, high, "right")
        if reached(canary, up_to, low):
            below = np.searchsorted(canary, low, "left")
        size, steps = len(baseline) / stretches, np.diff(up_to).astype(np.float64)
        error = 2 * size * float(np.sqrt((steps * steps).sum() / 12))
        return size * float(below.sum()), size * float(up_to.sum()), error

    def _next_above(self, row: int, value: float) -> float:
        """Give the least difference above a value that some pair of points has."""
        baseline, canary = self._baseline[row], self._canary[row]
        following = Merged(canary, about(baseline, value, self._size)[1]).up_to
        there = following < len(canary)
        gaps = canary[following[there]] - baseline[there]
        above = gaps[gaps > value]
        return float(above.min()) if len(above) else float(canary[-1] - baseline[0])

    def _search(self, row: int, target: int) -> float:
        """Find the difference of a rank (from 0) by counting at ever closer values."""
        if (row, target) not in self._ranked:
            found = self._by_newton(row, target)
            self._ranked[row, target] = self._by_bracketing(row, target) if found is None else found
        return self._ranked[row, target]

    def _by_newton(self, row: int, target: int) -> float | None:
        """Go from the sketch's quantile by its slope: of many smooth differences two counts are enough."""
        close = _RANK_ERROR * self.pairs
        if close < 1:
            return None
        low, high = self._bracket(row, target / self.pairs, _SLOPE_SPAN)
        slope = (high - low) / (2 * _SLOPE_SPAN)
        low, high = self._bracket(row, target / self.pairs, _SKETCH_ERROR)
        value = (low + high) / 2
        for _ in range(4):
            _, count, error = self._count_roughly(row, value, _STRETCHES)
            if error > close:
                count = self._count(row, value)
            missing = target + 0.5 - count
            if abs(missing) <= close:
                return value
            value += missing / self.pairs * slope
        return None

    def _by_bracketing(self, row: int, target: int) -> float:
        low, high = self._bracket(row, target / self.pairs, _SKETCH_ERROR)
        (low, count_low), (high, count_high) = self._widen(row, target, low, high)
        if count_low > target:  # not even the lowest difference lies below the rank
            return low
        for step in range(200):
            if count_high - count_low <= max(1.0, _RANK_ERROR * self.pairs) or high - low <= 1e-12 * max(
                abs(high), abs(low)
            ):
                break
            way = (target + 0.5 - count_low) / (count_high - count_low) if step % 4 < 3 else 0.5
            middle = low + (high - low) * min(
                max(way + _OVERSHOOT * (1 if way < 0.5 else -1), _OVERSHOOT), 1 - _OVERSHOOT
            )
            if not low < middle < high:
                break
            count = self._count(row, middle)
            flat = count in (count_low, count_high)
            if count > target:
                high, count_high = middle, count
            else:
                low, count_low = middle, count
            if flat:  # many equal differences: go from one that occurs to the next
                following = self._next_above(row, low)
                count = self._count(row, following + self._rounding[row])
                if count > target:
                    return following
                low, count_low = following + self._rounding[row], count
        return self._next_above(row, low)

    def _bracket(self, row: int, share: float, width: float) -> tuple[float, float]:
        edges = self._sketch.quantile(
            np.clip([[share - width, share + width]] * len(self._baseline), 0, 1), "low"
        )[row]
        return float(edges[0]), float(edges[1])

    def _widen(
        self, row: int, target: int, low: float, high: float
    ) -> tuple[tuple[float, int], tuple[float, int]]:
        """Move the ends apart until the low one has at most the target's count, and the high one more."""
        lowest = float(self._canary[row, 0] - self._baseline[row, -1])
        highest = float(self._canary[row, -1] - self._baseline[row, 0])
        spread = max(high - low, (highest - lowest) * 1e-9, np.finfo(float).tiny)
        count_low, count_high = (self._count(row, end) for end in (low, high))
        while count_low > target and low > lowest:
            high, count_high = low, count_low
            low, spread = max(low - spread, lowest), 4 * spread
            count_low = self._count(row, low)
        while count_high <= target and high < highest:
            low, count_low = high, count_high
            high, spread = min(high + spread, highest), 4 * spread
            count_high = self._count(row, high)
        return (low, count_low), ((high, count_high) if count_low <= target else (low, count_low))


def _thinned(rows: FloatArray, most: int) -> FloatArray:
    n = rows.shape[1]
    if n <= most:
        return rows
    return rows[:, ((np.arange(most) + 0.5) * n / most).astype(np.intp)]


def _position(tail: ArrayLike, pairs: int, side: Side) -> NDArray[np.intp]:
    from_end = np.clip(np.floor(np.asarray(tail, dtype=np.float64) * pairs), 0, pairs - 1).astype(np.intp)
    return from_end if side == "low" else pairs - 1 - from_end
