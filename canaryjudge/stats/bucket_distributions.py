r"""Distributions that are known by the counts of buckets: curves through them, their quantiles, and what they leave open.

A curve is read between the edges; quantiles and shares are never finer than a bucket. What two histograms leave open of
P(canary - shift > baseline) is the least and the most that it may be. Counts say how many observations lie in a bucket, not where in it. A test that fills the gaps by one interpolation takes its error for a
finding as soon as there are enough requests, and proves a shift of 10 % absent where all requests lie in one bucket. Here the gaps are
filled in several quite different ways, and what is proven has to be so for all of them:

* within a bucket the density (over the logarithm of the value, where edges are positive) lies between those of the neighboring buckets; at a
  peak or in a dip it may go on rising, or falling, by as much as it did from the neighbor. `early` and `late` are the extreme
  distributions of this kind: all that is dense first, or last. `level` is one density throughout.
* both arms are filled in the same way, because they are two versions of one service: a shift within the tolerance moves a shape rather than
  makes a new one. But for a part of it they are filled in opposite ways, which allows for shapes that differ: `_OPPOSED` of it, and more the
  less the buckets tell. It is all of it where one bucket holds three quarters of both arms or more, falling to nothing more where it holds half;
  and where a bucket with a quarter of them or more has four times the density of both its neighbors, so that a peak may be narrower than it,
  falling to nothing more at twice.
* of the first and the last bucket, which are open, nothing is believed: the arms are filled in opposite ways throughout.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from canaryjudge.stats.bounds import FloatArray
from canaryjudge.stats.ties import about

__all__ = [
    "BucketBands",
    "BucketCurve",
    "Curve",
    "bucket_quantile",
    "bucket_quantile_bucket",
    "counts_at_most",
]

Interpolation = Literal["early", "level", "late"]
_SHAPES: tuple[Interpolation, ...] = ("early", "late", "level")

_PIECES = 4
"""Straight pieces for each half of a bucket."""
_OPPOSED = 0.05
"""How far arms may be filled in opposite ways where buckets are not blind; see tests/guarantees/test_histogram_guarantees.py."""
_MOST_SHARE = 0.5
"""A bucket with more of both arms (geometric mean) begins to hide what happens in it,"""
_SIZEABLE = 0.25
"""and all of it with so much more; a peak is sizeable from this share on."""
_STEEPEST = 1e9
"""A density this many times the bucket's own is a single value."""
_ATOM = 1e-9
"""Relative width of a single value."""


class Curve:
    """One distribution: its cumulative shares go in straight lines from knot to knot.

    Parameters
    ----------
    values : ndarray, shape (m,)
        Knots, ascending.
    shares : ndarray, shape (m,)
        Share of observations up to each; what is missing to 1 lies at infinity.

    Attributes
    ----------
    centers, mass : ndarray, shape (m - 1,)
        The middle of each piece, and the share of observations in it.
    """

    def __init__(self, values: FloatArray, shares: FloatArray) -> None:
        self.values, self.shares = values, shares
        self.centers, self.mass = (values[1:] + values[:-1]) / 2, np.diff(shares)

    def quantiles(self, probabilities: FloatArray) -> FloatArray:
        """Give quantiles; the last knot for those at infinity."""
        return np.interp(probabilities, self.shares, self.values)

    def probability_greater(self, baseline: Curve, shifts: FloatArray) -> FloatArray:
        """Give P(a value of this curve - shift > one of the baseline) for each shift of shape (s,)."""
        moved = self.centers - shifts[:, None]
        below = np.interp(moved, baseline.values, baseline.shares, left=0.0)
        return np.asarray(below @ self.mass + (1 - self.shares[-1]))


Pairs = tuple[tuple[Curve, Curve], ...]


class BucketBands:
    """The distributions of both arms that agree with their histograms.

    Parameters
    ----------
    edges : ndarray, shape (k,)
        Upper edges of the buckets, ascending; the last infinite.
    baseline, canary : ndarray, shape (k,)
        Observations in each bucket; some in each arm.

    Attributes
    ----------
    middle : tuple of Curve
        The smooth reading of the baseline, and of the canary.

    Examples
    --------
    >>> edges, counts = np.array([1.0, 2.0, 4.0, 8.0, np.inf]), np.array([10.0, 30, 40, 20, 0])
    >>> bands = BucketBands(edges, counts, counts[[0, 2, 1, 3, 4]])
    >>> [bands.probability_greater(np.array([0.0]), side).round(3).tolist() for side in ("least", "most")]
    [[0.433], [0.497]]
    """

    def __init__(self, edges: FloatArray, baseline: FloatArray, canary: FloatArray) -> None:
        self._baseline = edges, baseline
        arms = [_Filled(edges, counts) for counts in (baseline, canary)]
        self._opposed = max(_OPPOSED, _blindness(*arms))
        self.middle = arms[0].smooth, arms[1].smooth

        def filled(sides: tuple[Interpolation, Interpolation]) -> Pairs:
            alike: tuple[Interpolation, ...] = ("early", "level", "late")
            shapes = [*((shape, shape) for shape in alike), sides]
            return tuple(
                (arms[0].curve(first, sides[0]), arms[1].curve(second, sides[1])) for first, second in shapes
            )

        self._most = filled(("early", "late"))
        self._least = filled(("late", "early"))

    def probability_greater(self, shifts: FloatArray, side: Literal["least", "most"]) -> FloatArray:
        """Give the least, or the most, that P(canary - shift > baseline) may be, at each shift of shape (s,)."""
        pairs = self._most if side == "most" else self._least
        alike = np.array([canary.probability_greater(baseline, shifts) for baseline, canary in pairs[:-1]])
        baseline, canary = pairs[-1]
        # the extreme one of the three is what is shared; the opposed filling goes beyond all of them
        shared = alike.max(axis=0) if side == "most" else alike.min(axis=0)
        opposed = canary.probability_greater(baseline, shifts)
        return np.asarray((1 - self._opposed) * shared + self._opposed * opposed)

    def baseline_quantile(self, probability: float) -> tuple[float, float]:
        """Bound a quantile of the baseline, however its buckets are filled; infinite where it may lie in an open one."""
        filled = _Filled(*self._baseline, beside_peaks=True)
        early, late = filled.curve("early", "early"), filled.curve("late", "late")
        low, high = (float(curve.quantiles(np.array([probability]))[0]) for curve in (early, late))
        return low, high if probability <= late.shares[-1] else np.inf


class _Filled:
    """One arm's histogram, filled in each way."""

    def __init__(self, edges: FloatArray, counts: FloatArray, *, beside_peaks: bool = False) -> None:
        finite, shares = edges[:-1], counts / counts.sum()
        self._logarithmic = bool(finite[0] > 0)
        self._finite, self._shares = finite, shares
        at = np.log(finite) if self._logarithmic else finite
        width = np.diff(at)
        inner = shares[1:-1]
        ends = (width[0], width[-1]) if len(width) else (1.0, 1.0)
        density = inner / width
        # an open bucket counts as wide as its neighbor
        around = shares / np.concatenate([ends[:1], width, ends[1:]])
        with np.errstate(divide="ignore", invalid="ignore"):
            doublings = np.log2(density / np.maximum(around[:-2], around[2:]))
        self.peaked = np.clip(np.where(density > 0, doublings - 1, 0.0), 0.0, 1.0)
        self.inner = inner
        self._reached = np.minimum(shares.cumsum()[:-1], 1.0)  # up to each finite edge
        least, most = _density_range(density, around, beside_peaks=beside_peaks)
        if len(inner):  # beside an open bucket that holds some the density may fall to nothing
            least[[0, -1]] = np.where(shares[[0, -1]] > 0, 0.0, least[[0, -1]])
        values, reached = self._two_pieces(
            at, width, np.array([most, least, density]), np.array([least, most, density])
        )
        self._knots = dict(zip(_SHAPES, zip(values, reached, strict=True), strict=True))
        self._ends = ends

    def curve(self, shape: Interpolation, side: Interpolation) -> Curve:
        """Fill the buckets by `shape`, and the open ones to one side."""
        values, shares = self._knots[shape]
        first, last = self._finite[0], self._finite[-1]
        atom = _ATOM * max(abs(float(first)), abs(float(last)), float(np.finfo(float).tiny))
        until = self._reached[-1]
        if side == "late":  # the first bucket at its edge, the last at infinity
            return Curve(
                np.concatenate([[first - atom], values, [last]]), np.concatenate([[0.0], shares, [until]])
            )
        if self._logarithmic:  # the first at 0
            lowest, start = [-atom, 0.0], [0.0, self._shares[0]]
        else:  # at minus infinity, or so far down that it makes no difference
            lowest, start = [first - 1e9 * (last - first + abs(first) + 1.0)], [self._shares[0]]
        return Curve(
            np.concatenate([lowest, values, [last, last + atom]]),
            np.concatenate([start, shares, [until, 1.0]]),
        )

    def _values(self, at: FloatArray) -> FloatArray:
        return np.exp(at) if self._logarithmic else at

    def _two_pieces(
        self, at: FloatArray, width: FloatArray, first: FloatArray, second: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Begin each bucket with one density and end it with another, a shape a row; knots and shares."""
        apart, middle = first - second, np.broadcast_to(width / 2, first.shape).copy()
        share = np.divide(self.inner - second * width, apart, out=middle, where=apart != 0) / width
        split = np.clip(share, 0.0, 1.0) * width
        until = np.minimum(first * split, self.inner)
        steps = np.arange(_PIECES) / _PIECES

        def knots(starts: FloatArray, head: FloatArray, whole: FloatArray) -> FloatArray:
            both = np.stack([starts + 0 * head, starts + head], axis=2)[..., None]
            return both + np.stack([head, whole - head], axis=2)[..., None] * steps

        values = self._values(knots(at[:-1], split, width)).reshape(len(first), -1)
        return values, knots(self._reached[:-1], until, self.inner).reshape(len(first), -1)

    @property
    def smooth(self) -> Curve:
        """The smooth reading, with open buckets as wide as their neighbors."""
        at, ends = np.log(self._finite) if self._logarithmic else self._finite, self._ends
        whole = np.concatenate([[at[0] - ends[0]], at, [at[-1] + ends[1]]])
        reached = np.concatenate([[0.0], self._reached, [1.0]])
        steps = np.arange(2 * _PIECES) / (2 * _PIECES)
        values = self._values(whole[:-1, None] + np.diff(whole)[:, None] * steps).ravel()
        last = self._values(whole[-1:])
        return Curve(np.concatenate([values, last]), np.append(_smooth(reached, steps).ravel(), 1.0))


def _blindness(baseline: _Filled, canary: _Filled) -> float:
    """Tell how little the buckets say where most of both arms lies, from 0 to 1."""
    both = np.sqrt(baseline.inner * canary.inner)
    holds_most = np.minimum((both - _MOST_SHARE) / _SIZEABLE, 1.0)
    stands_out = np.maximum(baseline.peaked, canary.peaked) * np.minimum(both / _SIZEABLE, 1.0)
    return float(np.maximum(holds_most, stands_out).max(initial=0.0))


def _density_range(
    density: FloatArray, around: FloatArray, *, beside_peaks: bool
) -> tuple[FloatArray, FloatArray]:
    """Bound the density within each bucket by those around it."""
    left, right = around[:-2], around[2:]
    lower, upper = np.minimum(left, right), np.maximum(left, right)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        risen, fallen = density**2 / lower, density**2 / upper
    rising = density > upper
    if beside_peaks:  # the peak itself may lie on the edge, so that the density rises right up to it
        beyond = np.concatenate([[0.0], around, [0.0]])
        rising |= np.where(left > right, left >= beyond[:-4], right >= beyond[4:]) & (risen > upper)
    most = np.where(rising, np.minimum(risen, _STEEPEST * density), np.maximum(upper, density))
    least = np.where(density < lower, fallen, np.minimum(lower, density))
    return least, most


def _smooth(reached: FloatArray, steps: FloatArray) -> FloatArray:
    """Go on between edges in a straight line of the log odds; of the share, where they are infinite."""
    rise = np.diff(reached)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = logit(reached)
        smooth = expit(odds[:-1, None] + np.diff(odds)[:, None] * steps)
    return np.where(np.isfinite(smooth), smooth, reached[:-1, None] + rise * steps)


class BucketCurve:
    r"""The share of observations beyond a value, from counts in buckets.

    Between two edges the log odds of lying beyond a value are taken to fall on a straight line in the logarithm of the value (in the value
    itself where edges are not positive): exact for log-logistic values, close for lognormal ones in their tails too, where a straight line
    in the share would put far too many observations next to the edge.

    Parameters
    ----------
    edges : array_like, shape (k,)
        Upper edges of the buckets, ascending; the last infinite.
    counts : array_like, shape (k,)
        Observations in each bucket; some.

    Examples
    --------
    >>> curve = BucketCurve([0.1, 0.2, 0.4, np.inf], [20, 30, 40, 10])
    >>> round(curve.quantile(0.5), 3), curve.log_odds([0.4]).round(3).tolist()
    (0.2, [-2.197])
    """

    def __init__(self, edges: ArrayLike, counts: ArrayLike) -> None:
        finite = np.asarray(edges, dtype=np.float64)[:-1]
        observed = np.asarray(counts, dtype=np.float64)
        # each summed up from its own end: of counts that are no whole numbers a difference would leave crumbs where there are none
        beyond, below = observed[::-1].cumsum()[::-1][1:], observed.cumsum()[:-1]
        with np.errstate(divide="ignore"):
            odds = np.log(beyond) - np.log(below)
        self._logarithmic = bool(len(finite) and finite[0] > 0)
        self._edges = np.log(finite) if self._logarithmic else finite
        self._odds = odds
        self._known = np.isfinite(odds)

    def log_odds(self, values: ArrayLike) -> FloatArray:
        """Give the log odds of lying beyond values.

        Parameters
        ----------
        values : array_like, shape (n,)
            Values.

        Returns
        -------
        ndarray, shape (n,)
            Log odds; NaN where a value lies outside the edges between which there are observations on both sides.
        """
        at = np.asarray(values, dtype=np.float64)
        edges, odds = self._edges[self._known], self._odds[self._known]
        if not len(edges):
            return np.full(at.shape, np.nan)
        if self._logarithmic:
            at = np.log(np.where(at > 0, at, np.nan))
        # rounding must not put an edge outside
        slack = 1e-12 * max(abs(float(edges[0])), abs(float(edges[-1])), 1.0)
        inside = (at >= edges[0] - slack) & (at <= edges[-1] + slack)
        return np.where(inside, np.interp(at, edges, odds), np.nan)

    def quantile(self, probability: float) -> float:
        """Give a quantile; where it lies beyond the edges that say something, the nearest of them."""
        edges, odds = self._edges[self._known], self._odds[self._known]
        if len(edges):
            target = math.log1p(-probability) - math.log(probability)
            found = float(np.interp(-target, -odds, edges))
        else:  # everything lies in one bucket
            beneath = np.flatnonzero(np.isneginf(self._odds))
            found = float(self._edges[beneath[0] if len(beneath) else -1])
        return math.exp(found) if self._logarithmic else found


def counts_at_most(edges: ArrayLike, counts: ArrayLike, value: float) -> tuple[FloatArray, FloatArray]:
    """Count the observations that are at most a value: the fewest and the most that the buckets allow.

    What proves that many are at most the value is the fewest, what proves that many lie above it is the most.

    Parameters
    ----------
    edges : array_like, shape (k,)
        Upper edges of the buckets, inclusive, ascending; the last infinite.
    counts : array_like, shape (..., k)
        Observations in each bucket.
    value : float
        The value, in the unit of the edges.

    Returns
    -------
    tuple of ndarray, shapes (...) and (...)
        Both are the same where the value is an edge.

    Examples
    --------
    >>> [both.tolist() for both in counts_at_most([0.1, 0.2, np.inf], [[20, 30, 10], [0, 4, 1]], 0.15)]
    [[20.0, 0.0], [50.0, 4.0]]
    """
    upper, observed = np.asarray(edges, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    low, high = about(value, 0.0)
    whole = int(np.searchsorted(upper, high, side="right"))  # buckets that end at the value or before
    cut = int(np.searchsorted(upper, low, side="left")) + 1  # and the one that it lies in
    return observed[..., :whole].sum(axis=-1), observed[..., :cut].sum(axis=-1)


def bucket_quantile_bucket(edges: ArrayLike, counts: ArrayLike, q: float) -> tuple[float, float]:
    """Find the bucket that holds a quantile: the smallest value that at least a share `q` of the observations do not exceed.

    Parameters
    ----------
    edges : array_like, shape (k,)
        Upper edges of the buckets, inclusive, ascending; the last infinite.
    counts : array_like, shape (k,)
        Observations in each bucket; some.
    q : float
        Probability, between 0 and 1.

    Returns
    -------
    tuple of float
        The bucket's lower and upper edge; -inf and inf where it is open.

    Raises
    ------
    ValueError
        There are no observations.

    Examples
    --------
    >>> bucket_quantile_bucket([0.1, 0.2, np.inf], [20, 30, 10], 0.5)
    (0.1, 0.2)
    """
    upper, below = np.asarray(edges, dtype=np.float64), np.cumsum(counts, dtype=np.float64)
    if not below[-1] > 0:
        raise ValueError("there are no observations in any bucket")
    # rounding must not put what an edge reaches exactly into the next bucket
    holding = int(np.searchsorted(below, q * below[-1] * (1 - 1e-12), side="left"))
    while below[holding] == 0:  # a quantile of 0 lies in the first bucket that holds anything
        holding += 1
    return (float(upper[holding - 1]) if holding else -np.inf), float(upper[holding])


def bucket_quantile(edges: ArrayLike, counts: ArrayLike, q: float) -> float:
    """Estimate a quantile by a smooth reading between edges; it stays in the bucket that holds it.

    Parameters
    ----------
    edges, counts, q
        As `bucket_quantile_bucket` takes them.

    Returns
    -------
    float
        The estimate; the nearest edge where the bucket is open, or holds all that lies on that side.

    Examples
    --------
    >>> round(bucket_quantile([0.1, 0.2, 0.4, np.inf], [20, 30, 40, 10], 0.6), 3)
    0.227
    """
    low, high = bucket_quantile_bucket(edges, counts, q)
    return float(np.clip(BucketCurve(edges, counts).quantile(q), low, high))
