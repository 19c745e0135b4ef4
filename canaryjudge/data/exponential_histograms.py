"""Exponential histograms, as OpenTelemetry writes them or as ranges with a count, as Prometheus gives its native ones -> sparse buckets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from canaryjudge.data.diagnostics import shown
from canaryjudge.data.pair import FloatArray
from canaryjudge.errors import BrokenDataError, DataError

__all__ = [
    "FINEST",
    "SparseBuckets",
    "Where",
    "bounded_edges",
    "exponential_buckets",
    "field_of",
    "on_a_grid",
    "powers",
    "range_buckets",
    "read_counts",
    "snapped",
    "without_finest",
]


@dataclass(frozen=True, slots=True)
class SparseBuckets:
    """The non-empty buckets of histograms that need not have a layout in common."""

    size: int
    """How many histograms there are."""
    row: NDArray[np.intp]
    """The histogram that each bucket is of; shape (m,)."""
    lower: FloatArray
    upper: FloatArray
    """Its edges: it holds what is above `lower` and at most `upper`; shape (m,)."""
    count: FloatArray
    """Its observations, above 0; shape (m,)."""

    @property
    def edges(self) -> FloatArray:
        """All upper edges, ascending: what ends a bucket or the gap below it, and infinity."""
        edges: FloatArray = np.unique(np.concatenate([self.lower, self.upper, [np.inf]]))
        return edges[edges > -np.inf]

    def up_to(self, edges: FloatArray) -> FloatArray:
        """Count each histogram's observations that are at most as large as each edge.

        Examples
        --------
        >>> buckets = SparseBuckets(1, np.array([0, 0]), np.array([1.0, 4.0]), np.array([2.0, 8.0]), np.array([5.0, 6.0]))
        >>> buckets.up_to(np.array([1.0, 3.0, 6.0, np.inf])).tolist()
        [[0.0, 5.0, nan, 11.0]]
        """
        shape = (self.size, len(edges))
        first = edges.searchsorted(self.upper)
        counts = np.bincount(self.row * shape[1] + first, weights=self.count, minlength=shape[0] * shape[1])
        cumulative = counts.reshape(shape).cumsum(axis=1)
        inside = edges.searchsorted(self.lower, "right")
        split = np.flatnonzero(inside < first)
        if len(split):
            depth = np.zeros((shape[0], shape[1] + 1))
            np.add.at(depth, (self.row[split], inside[split]), 1)
            np.add.at(depth, (self.row[split], first[split]), -1)
            cumulative[depth.cumsum(axis=1)[:, :-1] > 0] = np.nan
        return cumulative

    @classmethod
    def joined(cls, parts: Iterable[SparseBuckets]) -> SparseBuckets:
        """Put histograms one after the other."""
        given = list(parts)
        starts = np.cumsum([0, *(part.size for part in given)])
        none = cls(0, np.empty(0, dtype=np.intp), np.empty(0), np.empty(0), np.empty(0))
        rows = [part.row + start for part, start in zip(given, starts[:-1], strict=True)]
        return cls(
            int(starts[-1]),
            np.concatenate([none.row, *rows]),
            np.concatenate([none.lower, *(part.lower for part in given)]),
            np.concatenate([none.upper, *(part.upper for part in given)]),
            np.concatenate([none.count, *(part.count for part in given)]),
        )


Where: TypeAlias = Callable[[int], str]
"""Names the n-th histogram in the caller's data, for errors."""

_SCALES: Final = range(-10, 21)
_MOST_INDEX: Final = 2**31
_MOST_EDGES: Final = 2000
_MOST_CELLS: Final = 5 * 10**7
"""Counts that are held at once, of as many histograms at as many edges: 400 MB."""
_FEWEST_EDGES: Final = 50
_PADDING: Final = 6
"""Octaves beyond the observations that get an edge: a watch that begins well may see much larger values later."""
_WIDEST: Final = 200
_LEAST: Final = 2.0**-1022
"""The width of a zero bucket that has none: with a positive edge above them, zeros stay sizes."""
_FIELDS = {
    "scale": "scale",
    "zeroCount": "zero_count",
    "zeroThreshold": "zero_threshold",
    "positive": "positive",
    "negative": "negative",
    "offset": "offset",
    "bucketCounts": "bucket_counts",
    "count": "count",
}
_HINT = (
    'Write an interval as OpenTelemetry does: {"scale": 3, "zeroCount": 2, "positive": {"offset": -4, "bucketCounts": [1, 2]}}; '
    "scales are whole numbers from -10 to 20."
)


def field_of(item: Mapping[str, Any], name: str) -> Any:
    """Give a field by its name in JSON, or by its name in Protocol Buffers; None where it has neither."""
    found = item.get(name)
    return item.get(_FIELDS[name]) if found is None else found


def exponential_buckets(items: Sequence[Any], where: Where) -> SparseBuckets:
    r"""Read exponential histograms.

    Bucket i of the positive ones covers :math:`(b^{i}, b^{i+1}]` with :math:`b = 2^{2^{-scale}}`, the negative ones mirror them, and the
    zero bucket covers what is at most `zeroThreshold` away from 0, or the smallest normal double [1]_. Fields that are left out are 0, as in Protocol Buffers.

    References
    ----------
    .. [1] OpenTelemetry, *Metrics Data Model*, "ExponentialHistogram".

    Examples
    --------
    >>> item = {"scale": 0, "zeroCount": "3", "zeroThreshold": 0.1, "positive": {"offset": 1, "bucketCounts": [4, 0, 5]}}
    >>> found = exponential_buckets([item], "interval {}".format)
    >>> found.lower.tolist(), found.upper.tolist(), found.count.tolist()
    ([2.0, 8.0, -0.1], [4.0, 16.0, 0.1], [4.0, 5.0, 3.0])
    """
    read = []
    for number, item in enumerate(items):
        try:
            read.append(_exponential(item))
        except DataError as error:
            raise BrokenDataError(f"{where(number)}: {error.message}", error.hint) from None
    sides = [side for each in read for side in each.sides]
    filled = _Filled(
        row=np.repeat(np.arange(2 * len(read)) // 2, [len(counts) for _, counts in sides]),
        mirrored=np.repeat(np.arange(2 * len(read)) % 2 == 1, [len(counts) for _, counts in sides]),
        index=np.concatenate(
            [np.empty(0, dtype=np.int64), *(np.arange(len(counts)) + offset for offset, counts in sides)]
        ),
        count=np.concatenate([np.empty(0), *(counts for _, counts in sides)]),
    ).some()
    scale = np.array([each.scale for each in read], dtype=np.int64)
    zeros = np.array([each.zeros for each in read], dtype=np.float64)
    totals = zeros + np.bincount(filled.row, weights=filled.count, minlength=len(read))
    for number, each in enumerate(read):
        if each.claimed is not None and each.claimed != totals[number]:
            raise BrokenDataError(
                f"{where(number)}: the count is {each.claimed:g}, and the buckets hold {totals[number]:g}",
                "Give all of the buckets.",
            )
    reach = np.array([max(each.threshold, _LEAST) for each in read], dtype=np.float64)
    return filled.placed(scale, zeros, reach)


@dataclass(frozen=True, slots=True)
class _Read:
    """One exponential histogram: what it says, and offset and counts of its positive and negative buckets."""

    scale: int
    zeros: float
    threshold: float
    claimed: float | None
    sides: tuple[tuple[int, FloatArray], tuple[int, FloatArray]]


@dataclass(frozen=True, slots=True)
class _Filled:
    """Buckets of both signs of many exponential histograms, by their index."""

    row: NDArray[np.intp]
    mirrored: NDArray[np.bool_]
    index: NDArray[np.int64]
    count: FloatArray

    def some(self) -> _Filled:
        """Keep those that are not empty."""
        there = np.flatnonzero(self.count)
        return _Filled(self.row[there], self.mirrored[there], self.index[there], self.count[there])

    def placed(self, scale: NDArray[np.int64], zeros: FloatArray, reach: FloatArray) -> SparseBuckets:
        """Give them their edges, and the zero buckets theirs: what reaches into one of them cannot be told from it."""
        near, far = np.empty(len(self.row)), np.empty(len(self.row))
        scales = scale[self.row]
        for each in np.unique(scales):
            of = np.flatnonzero(scales == each)
            near[of], far[of] = powers(self.index[of], int(each)), powers(self.index[of] + 1, int(each))
        within = np.flatnonzero(near < reach[self.row])
        np.maximum.at(reach, self.row[within], far[within])
        apart = near >= reach[self.row]
        zeros = zeros + np.bincount(self.row[~apart], weights=self.count[~apart], minlength=len(scale))
        middle = np.flatnonzero(zeros)
        row, near, far = self.row[apart], near[apart], far[apart]
        mirrored = self.mirrored[apart]
        return SparseBuckets(
            len(scale),
            np.concatenate([row, middle]),
            np.concatenate([np.where(mirrored, -far, near), -reach[middle]]),
            np.concatenate([np.where(mirrored, -near, far), reach[middle]]),
            np.concatenate([self.count[apart], zeros[middle]]),
        )


def _exponential(item: Any) -> _Read:
    if not isinstance(item, Mapping) or not any(name in item or _FIELDS[name] in item for name in _FIELDS):
        raise BrokenDataError(f"{shown(item)} is no exponential histogram", _HINT)
    scale = _whole(field_of(item, "scale"), "scale")
    if scale not in _SCALES:
        raise BrokenDataError(f"the scale is {scale}", _HINT)
    zeros = read_counts([field_of(item, "zeroCount") or 0], "zeroCount")
    threshold = _number(field_of(item, "zeroThreshold") or 0, "zeroThreshold")
    if not 0 <= threshold < math.inf:
        raise BrokenDataError(f"the zeroThreshold is {threshold:g}", "Give a width of 0 or more.")
    claimed = field_of(item, "count")
    return _Read(
        scale,
        float(zeros[0]),
        threshold,
        None if claimed is None else _number(claimed, "count"),
        (_side(field_of(item, "positive"), "positive"), _side(field_of(item, "negative"), "negative")),
    )


def _side(side: Any, name: str) -> tuple[int, FloatArray]:
    """Give the offset and the counts of the buckets of one sign."""
    if side is None:
        return 0, np.empty(0)
    if not isinstance(side, Mapping):
        raise BrokenDataError(f"{name} is {shown(side)}", _HINT)
    offset = _whole(field_of(side, "offset"), f"{name}.offset")
    if not -_MOST_INDEX <= offset < _MOST_INDEX:
        raise BrokenDataError(
            f"{name}.offset is {offset}, and no bucket of a double is so far from 1",
            "Give a 32-bit number, as OpenTelemetry does.",
        )
    counts = field_of(side, "bucketCounts")
    return offset, read_counts([] if counts is None else counts, f"{name}.bucketCounts")


def _whole(value: Any, name: str) -> int:
    number = _number(0 if value is None else value, name)
    if not math.isfinite(number) or number != int(number):
        raise BrokenDataError(f"{name} is {shown(value)} where a whole number belongs", _HINT)
    return int(number)


def _number(value: Any, name: str) -> float:
    if isinstance(value, int | float | str | np.integer | np.floating) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    raise BrokenDataError(
        f"{name} is {shown(value)} where a number belongs", "Give numbers, or texts that spell them."
    )


def read_counts(values: Any, name: str) -> FloatArray:
    """Read counts, numbers or texts that spell them.

    Examples
    --------
    >>> read_counts(["3", 4], "bucketCounts").tolist()
    [3.0, 4.0]
    """
    if not isinstance(values, list | tuple | np.ndarray):
        raise BrokenDataError(f"{name} is {shown(values)} where a list of counts belongs", _HINT)
    try:
        numbers = list(map(float, values)) if set(map(type, values)) <= {int, float, str} else None
    except (ValueError, OverflowError):
        numbers = None  # the slow way says which
    if numbers is None:
        numbers = [_number(value, f"a count in {name}") for value in values]
    counts = np.array(numbers, dtype=np.float64)
    unfit = np.flatnonzero(~((counts >= 0) & np.isfinite(counts)))
    if len(unfit):
        raise BrokenDataError(f"a count in {name} is {counts[unfit[0]]:g}", "Give counts of zero or more.")
    return counts


def range_buckets(rows: Sequence[Any], where: Where) -> SparseBuckets:
    """Read histograms that list their non-empty buckets, each with both edges.

    Examples
    --------
    >>> found = range_buckets([[["0.5", "1", "7"], [2, 4, 1]], []], "interval {}".format)
    >>> found.size, found.row.tolist(), found.upper.tolist(), found.count.tolist()
    (2, [0, 0], [1.0, 4.0], [7.0, 1.0])
    """
    tables = [_triples(row, number, where) for number, row in enumerate(rows)]
    row = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    flat = np.concatenate([np.empty((0, 3)), *tables])
    lower, upper, count = snapped(flat[:, 0]), snapped(flat[:, 1]), flat[:, 2]
    wrong = ~(lower <= upper) | (upper == -np.inf) | (lower == np.inf) | ~((count >= 0) & np.isfinite(count))
    for index in np.flatnonzero(wrong)[:1]:
        raise BrokenDataError(
            f"{where(int(row[index]))}: {shown(flat[index].tolist())} is no bucket",
            "Give [lower edge, upper edge, count], the edges ascending and the count 0 or more.",
        )
    some = np.flatnonzero(count > 0)
    some = some[np.lexsort([upper[some], lower[some], row[some]])]
    row, lower, upper, count = row[some], lower[some], upper[some], count[some]
    for index in np.flatnonzero((lower[1:] < upper[:-1]) & (row[1:] == row[:-1]))[:1]:
        raise BrokenDataError(
            f"{where(int(row[index]))}: the buckets {lower[index]:g} to {upper[index]:g} and "
            f"{lower[index + 1]:g} to {upper[index + 1]:g} overlap",
            "Give each observation one bucket, with counts that are not cumulative.",
        )
    return SparseBuckets(len(tables), row, lower, upper, count)


def _triples(row: Any, number: int, where: Where) -> FloatArray:
    items = list(row) if isinstance(row, list | tuple | np.ndarray) else [row]
    for item in items:
        if not isinstance(item, list | tuple | np.ndarray) or len(item) != 3:
            raise BrokenDataError(
                f"{where(number)}: {shown(item)} is no bucket",
                "Give each bucket as [lower edge, upper edge, count].",
            )
    try:
        return np.array([[_number(part, "a bucket's part") for part in item] for item in items]).reshape(
            -1, 3
        )
    except DataError as error:
        raise BrokenDataError(
            f"{where(number)}: {error.message}", "Give [lower edge, upper edge, count], all three numbers."
        ) from None


def bounded_edges(buckets: SparseBuckets, where: str) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Choose the edges by which histograms are counted: theirs, as far as memory allows, and powers of two around them.

    Examples
    --------
    >>> buckets = SparseBuckets(1, np.array([0]), np.array([1.0]), np.array([3.0]), np.array([5.0]))
    >>> edges, listed = bounded_edges(buckets, "latency")
    >>> edges[listed].tolist(), edges[-3:].tolist()
    ([1.0, 3.0, inf], [128.0, 256.0, inf])
    """
    most = int(np.clip(_MOST_CELLS / max(buckets.size, 1), _FEWEST_EDGES, _MOST_EDGES))
    every = edges = buckets.edges
    for scale in range(_SCALES[-1] - 1, _SCALES[0] - 1, -1):
        if len(edges) <= most:
            break
        edges = without_finest(every, scale)
    if len(edges) > most:
        raise BrokenDataError(
            f"{where}: the histograms have {len(every)} different edges",
            "Give all histograms of a metric the same buckets, or exponential ones.",
        )
    sizes = edges[(edges > _LEAST) & np.isfinite(edges)]
    if len(sizes):
        least, largest = (int(np.floor(np.log2(size))) for size in (sizes[0], sizes[-1]))
        if largest - least <= _WIDEST:
            octaves = powers(np.arange(least - _PADDING, largest + _PADDING + 2), 0)
            edges = np.union1d(edges, octaves[(octaves > 0) & np.isfinite(octaves)])
    return edges, np.isin(edges, every)


_EXACT: Final = Context(prec=40)
FINEST: Final = 20
"""The largest scale of OpenTelemetry: an octave in 2^20 buckets."""
_PROMETHEUS: Final = 8
"""The finest schema of Prometheus."""
_BEYOND: Final = 2000
"""Octaves from 1 beyond which there are no doubles."""


@lru_cache(maxsize=2**16)
def _root(numerator: int, scale: int) -> float:
    """Give 2 ** (numerator / 2 ** scale), correctly rounded: powers of floats differ between machines in the last bit."""
    return float(_EXACT.power(Decimal(2), _EXACT.divide(Decimal(numerator), Decimal(2**scale))))


def powers(index: ArrayLike, scale: int) -> FloatArray:
    r"""Give the boundaries of an exponential layout, :math:`2^{i \, 2^{-s}}`.

    Examples
    --------
    >>> powers([-1, 0, 1, 8], 3).tolist()
    [0.9170040432046712, 1.0, 1.0905077326652577, 2.0]
    """
    i = np.asarray(index, dtype=np.int64)
    if scale <= 0:
        octave, root = np.clip(i, -_BEYOND, _BEYOND) << -scale, np.ones(i.shape)
    else:
        octave = i >> scale
        rests, place = np.unique(i - (octave << scale), return_inverse=True)
        roots = np.array([_root(rest, scale) for rest in rests.tolist()], dtype=np.float64)
        root = roots[place].reshape(i.shape)
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.ldexp(root, np.clip(octave, -_BEYOND, _BEYOND).astype(np.int32)))


def _grid_index(edges: FloatArray) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Give each edge's nearest index at the finest scale, and whether it lies there."""
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = np.log2(np.abs(edges)) * 2.0**FINEST
        nearest = np.rint(exact)
        # a logarithm is good to 1e-13 of its 1000 octaves; another edge lies so near by chance once in a million
        there = np.isfinite(exact) & (np.abs(exact - nearest) < 5e-7)
    return np.where(there, nearest, 0.0).astype(np.int64), there


def on_a_grid(edges: FloatArray, factor: float = 1.0) -> NDArray[np.bool_]:
    """Tell which edges are boundaries of exponential layouts, multiplied by a factor.

    Examples
    --------
    >>> on_a_grid(np.array([0.3, 0.5, 1.0905077326652577, np.inf])).tolist()
    [False, True, True, False]
    """
    return _grid_index(edges / factor)[1]


def without_finest(edges: FloatArray, scale: int, factor: float = 1.0) -> FloatArray:
    """Leave out the edges that only exponential layouts of a finer scale have, multiplied by a factor.

    Examples
    --------
    >>> without_finest(np.array([0.3, 1.0, 1.0905077326652577, np.inf]), 2).tolist()
    [0.3, 1.0, inf]
    """
    index, there = _grid_index(edges / factor)
    step = 1 << (FINEST - scale)
    kept: NDArray[np.bool_] = ~there | (index % step == 0)
    return edges[kept]


def snapped(values: FloatArray) -> FloatArray:
    """Move values to the boundary of an exponential layout that they miss by a rounding: Prometheus and others round theirs differently.

    Examples
    --------
    >>> snapped(np.array([0.7071067811865475, 0.7, -np.inf])).tolist()
    [0.7071067811865476, 0.7, -inf]
    """
    index, there = _grid_index(values)
    step = 1 << (FINEST - _PROMETHEUS)
    found = np.flatnonzero(there & (index % step == 0))
    given = values[found]
    exact = np.copysign(powers(index[found] // step, _PROMETHEUS), given)
    moved = values.copy()
    moved[found] = np.where(np.abs(exact - given) <= 4 * np.spacing(np.abs(given)), exact, given)
    return moved
