"""Whether both arms are the same points, in whatever order and under whatever names: by a sample of them that does not grow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.notes import Note
from canaryjudge.data.series import Series
from canaryjudge.packing import pack, unpack
from canaryjudge.rules.rows import FloatArray
from canaryjudge.stats.differences import Merged

__all__ = ["MORE", "Sample", "same_in_line", "same_points", "signatures", "some_in_common"]

_LARGEST: Final = 1e30
_MOST: Final = 36
"""Different points that a stream keeps of an arm."""
_WHOLE: Final = 4096
"""The same where the whole window is at hand."""
_FEWEST: Final = 6
MORE: Final = 3
"""More different points than this are in both, to the last digit."""
_PART: Final = 0.2
"""So many points, and this part of the smaller arm's, are in both."""
_MANY: Final = 2000
"""So many points are sorted rather than put into sets."""
_TIMES: Final = 2.0
"""At least so many times what chance makes equal."""
_RARELY: Final = 1e-6
_GOLDEN: Final = 0.6180339887498949


def _none() -> FloatArray:
    return np.empty(0)


def signatures(value: FloatArray, total: FloatArray | None, buckets: FloatArray | None) -> FloatArray:
    """Give one number a point that only a point of the same numbers has: of levels the level itself.

    Examples
    --------
    >>> first, second, again = signatures(np.array([8.0, 9.0, 8.0]), np.array([1058.0, 1041.0, 1058.0]), None).tolist()
    >>> first == again, first == second
    (True, False)
    """
    found = value
    if total is not None:
        found = total + _GOLDEN * value
    if buckets is not None:
        places = np.arange(1, buckets.shape[1] + 1)
        found = (buckets * (1 + (places * _GOLDEN) % 1)).sum(axis=1)
    return np.asarray(found + 0.0)  # a negative zero equals a zero


@dataclass(frozen=True, slots=True)
class Sample:
    """Those of an arm's points that have the smallest hashes: two arms of the same points keep the same ones, in whatever order they came.

    Examples
    --------
    >>> sample = Sample().plus(np.array([3.0, 1.0, 3.0]))
    >>> sorted(zip(sample.values.tolist(), sample.counts.tolist()))
    [(1.0, 1.0), (3.0, 2.0)]
    """

    values: FloatArray = field(default_factory=_none)
    """Their signatures in single precision, in order of their hashes where these are not all; shape (n,)."""
    counts: FloatArray = field(default_factory=_none)
    """How often each came; shape (n,)."""
    whole: bool = True
    """Whether these are all."""
    most: int = _MOST
    """So many are kept."""

    @classmethod
    def of(cls, series: Series) -> Sample:
        """Give that of one arm, whole, its replicas side by side."""
        values = signatures(series.value, series.total, series.buckets)
        every, counts = np.unique(_rounded(values), return_counts=True)
        if len(every) > _WHOLE:
            return cls(most=_WHOLE).plus(values)
        return cls(every, counts.astype(np.float64), most=_WHOLE)

    def plus(self, values: FloatArray) -> Sample:
        """Add points by their signatures."""
        if not len(values):
            return self
        return self._with(_rounded(values), np.ones(len(values)), whole=True)

    def union(self, other: Sample) -> Sample:
        """Add another's points."""
        return self._with(other.values, other.counts, whole=other.whole)

    def _with(self, values: FloatArray, counts: FloatArray, *, whole: bool) -> Sample:
        every, inverse = np.unique(np.concatenate([self.values, values]), return_inverse=True)
        sums = np.bincount(
            inverse, weights=np.concatenate([self.counts, counts]), minlength=len(every)
        ).astype(np.float64)
        order = np.argsort(_hashes(every), kind="stable")[: self.most]
        whole = whole and self.whole and len(every) <= self.most
        return Sample(every[order], sums[order], whole, self.most)

    def up_to(self, other: Sample) -> tuple[FloatArray, FloatArray]:
        """Give what the other would have kept as well, ascending, and how often it came."""
        kept = np.ones(len(self.values), dtype=np.bool_)
        for each in (self, other):
            if not each.whole and len(each.values):
                kept &= _hashes(self.values) <= _hashes(each.values)[-1]
        order = np.argsort(self.values[kept])
        return self.values[kept][order], self.counts[kept][order]

    def state(self) -> list[Any]:
        """Give what `restore` reads."""
        counts = None if (self.counts == 1).all() else pack(self.counts.astype(np.float32))
        return [pack(self.values.astype(np.float32)), counts, self.whole]

    @classmethod
    def restore(cls, state: Any) -> Sample:
        """Read what `state` gave."""
        values = unpack(state[0], np.float32).astype(np.float64)
        if len(values) > _MOST or not np.isfinite(values).all():
            raise ValueError("a sample is not one")
        ones = np.ones(len(values))
        counts = ones if state[1] is None else unpack(state[1], np.float32, len(values)).astype(np.float64)
        return cls(values, counts, bool(state[2]))


def _hashes(values: FloatArray) -> NDArray[np.uint64]:
    """Mix the bits of numbers, as splitmix64 does."""
    bits = values.view(np.uint64).copy()
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    return bits


def some_in_common(first: FloatArray, second: FloatArray) -> bool:
    """Tell whether two arms have so many equal points, by their signatures, that `same_points` is to be asked.

    Examples
    --------
    >>> some_in_common(np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0]))
    False
    """
    if min(len(first), len(second)) >= _MANY:
        mine, theirs = np.sort(first), np.sort(second)
        if len(np.unique(_also_in(mine, theirs))) <= MORE:
            return False
        mine, theirs = _rounded(mine), _rounded(theirs)
        shared = min(len(_also_in(mine, theirs)), len(_also_in(theirs, mine)))
    else:
        numbers, others = set(first.tolist()), second.tolist()
        if numbers.isdisjoint(others) or len(numbers.intersection(others)) <= MORE:
            return False
        # as samples have them: in single precision, where more are equal
        rounded = [_rounded(each).tolist() for each in (first, second)]
        sets = set(rounded[0]), set(rounded[1])
        shared = min(sum(map(sets[1].__contains__, rounded[0])), sum(map(sets[0].__contains__, rounded[1])))
    return shared >= max(_FEWEST, _PART * min(len(first), len(second)))


def _also_in(ascending: FloatArray, points: FloatArray) -> FloatArray:
    """Give those of ascending points that other ascending points have too."""
    nearest = ascending.take(Merged(ascending, points).up_to - 1, mode="clip")
    return np.asarray(points[nearest == points])


def _rounded(values: FloatArray) -> FloatArray:
    return np.minimum(np.maximum(values, -_LARGEST), _LARGEST).astype(np.float32).astype(np.float64)


def same_points(samples: tuple[Sample, Sample]) -> Note | None:
    """Note that the arms have more points in common than chance makes equal.

    How often two points of different arms are equal is held against how often two points of one arm are: numbers that are coarse, such
    as counts of a few events, equal each other everywhere. Arms that hold the same coarse numbers, each as often, are the same too.

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(100, 3, (2, 60))
    >>> old, same, new = (Sample(most=100).plus(values) for values in (noise[0], noise[0][::-1], noise[1]))
    >>> same_points((old, same)).count, same_points((old, new))
    (60, None)
    """
    from scipy.special import pdtrc  # noqa: PLC0415 - few arms have any point in common

    (mine, often), (theirs, too) = samples[0].up_to(samples[1]), samples[1].up_to(samples[0])
    common, first, second = np.intersect1d(mine, theirs, assume_unique=True, return_indices=True)
    sizes = float(often.sum()), float(too.sum())
    shared = float(np.minimum(often[first], too[second]).sum())
    if shared < max(_FEWEST, _PART * min(sizes)):
        return None
    across = float((often[first] * too[second]).sum())
    within = sum(float((each * (each - 1)).sum()) / 2 for each in (often, too))
    pairs = sum(size * (size - 1) / 2 for size in sizes)
    chance = (within + 0.5) / pairs * sizes[0] * sizes[1]
    alike = across >= _TIMES * chance and float(pdtrc(across - 1, chance)) <= _RARELY
    if not alike and samples[0].whole and samples[1].whole and len(common) == len(mine) == len(theirs):
        size, kinds = sizes[0], len(common)
        alike = bool((often[first] == too[second]).all()) and (kinds - 1) / 2 * np.log(
            4 * np.pi * size / kinds
        ) >= -np.log(_RARELY)
    if not alike:
        return None
    part = shared / min(sizes)
    facts: dict[str, float | str] = {} if part >= 1 else {"part": part}
    whole = samples[0].whole and samples[1].whole
    return Note(code="same_data", count=round(shared) if whole else None, facts=facts)


def same_in_line(first: FloatArray, second: FloatArray) -> Note | None:
    """Note that every point of the arms equals its partner, where they change too often for that to be chance.

    Examples
    --------
    >>> coarse = np.random.default_rng(1).integers(0, 3, 40).astype(float)
    >>> same_in_line(coarse, coarse).count
    40
    >>> same_in_line(np.ones(40), np.ones(40))
    """
    if len(first) != len(second) or first[0] != second[0] or not (first == second).all():
        return None
    runs = first[np.flatnonzero(np.diff(first, prepend=np.inf))]
    shares = np.unique(runs, return_counts=True)[1] / max(len(runs), 1)
    if len(runs) < _FEWEST or len(runs) * np.log(float((shares**2).sum())) > np.log(_RARELY):
        return None
    return Note(code="same_data", count=len(first))
