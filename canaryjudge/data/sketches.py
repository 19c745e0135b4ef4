"""Raw values at volume -> counts per interval and bucket of a fixed relative width: small, mergeable, a histogram metric."""

from __future__ import annotations

import json
import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Context, Decimal
from functools import lru_cache
from itertools import accumulate
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.diagnostics import Location, shown
from canaryjudge.data.frames import as_column, to_floats
from canaryjudge.data.pair import FloatArray
from canaryjudge.data.times import to_times
from canaryjudge.errors import DataError
from canaryjudge.strict_json import RepeatedKeyError, read_strictly

__all__ = [
    "LARGEST_COUNT",
    "BucketCounts",
    "LogBuckets",
    "Sketch",
    "read_counts",
    "read_sketch",
    "write_sketch",
]

_LEAST_ERROR, _LARGEST_ERROR = 0.0001, 0.5
_LEAST_INTERVAL: Final = 0.001
_LATEST: Final = 253402300800.0  # seconds: the year 10000

_IntArray = NDArray[np.int64]


class _Given(Location):
    """What was given to a sketch: it is of no metric and no arm yet."""

    __slots__ = ()

    def __str__(self) -> str:
        return "sketch"


_PLACE: Final = _Given("", "")


class Sketch:
    r"""Counts of values in buckets of a fixed relative width, an interval of time each: small, mergeable, a histogram metric.

    This is the DDSketch [1]_. With the relative error :math:`e` and :math:`\gamma = (1 + e) / (1 - e)`, bucket :math:`i` counts the
    values in :math:`(\gamma^i, \gamma^{i+1}]`, so that any of them is within :math:`e` of the bucket's representative,
    :math:`\gamma^i (1 + e)`. Negative values have buckets of their own, mirrored. The edges depend on `relative_error` alone, to the
    last bit and on any machine, so the sketches of two arms can be compared.

    What a sketch has counted depends on the values only, not on their order, nor on how they were shared out over sketches that were merged.

    Parameters
    ----------
    relative_error : float
        Any quantile is off by at most this part of it; between 0.0001 and 0.5.
    interval : float
        The length of the intervals, in seconds, at least 0.001; they begin at whole multiples of it since 1970.

    Raises
    ------
    DataError
        If one of the two is not such a number.

    Notes
    -----
    Values nearer to zero than 1e-12 count as zero. Memory is bounded: an interval has at most :math:`\log(10^{12}) / \log\gamma` buckets a
    sign (1,382 at 1 %), and what is smaller than a 10^12th of the interval's largest magnitude is counted in the lowest of them. The
    error holds for every quantile that is larger than that. Intervals are kept as long as the sketch is.

    References
    ----------
    .. [1] C. Masson, J. E. Rim, H. K. Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees",
       PVLDB 12(12), 2019, 2195-2205.

    Examples
    --------
    >>> sketch = Sketch(relative_error=0.01, interval=60)
    >>> sketch.add([12.0, 14.5, 230.0], time=[0, 30, 65])
    >>> sketch.count, round(sketch.quantile(0.5), 1)
    (3, 14.4)
    >>> sketch.columns()["time"]
    [0.0, 60.0]
    """

    def __init__(self, relative_error: float = 0.01, interval: float = 10.0) -> None:
        hint = "Give a fraction between 0.0001 and 0.5, such as 0.01 for 1 %."
        limits = (_LEAST_ERROR, _LARGEST_ERROR)
        self._relative_error = _setting(relative_error, "relative_error", limits, hint)
        hint = "Give seconds, at least 0.001, such as 10."
        self._interval = _setting(interval, "interval", (_LEAST_INTERVAL, _LATEST), hint)
        self._scale = LogBuckets(self._relative_error)
        self._timed: bool | None = None
        self._counts: BucketCounts = {}

    @property
    def relative_error(self) -> float:
        """The largest error of a quantile, as a part of it."""
        return self._relative_error

    @property
    def interval(self) -> float:
        """The length of an interval, in seconds."""
        return self._interval

    @property
    def count(self) -> int:
        """How many values it has counted."""
        return sum(sum(buckets.values()) for buckets in self._counts.values())

    def add(self, values: Any, time: Any = None, counts: Any = None) -> None:
        """Count values.

        Parameters
        ----------
        values : array-like, shape (n,)
            Finite numbers, in any unit.
        time : array-like, shape (n,), or one time, optional
            When each was observed: datetimes, ISO 8601 text, or seconds since 1970, as `judge` takes them. Leave it out every time, and
            the sketch is one interval.
        counts : array-like, shape (n,), optional
            How often each was observed, as whole numbers; once where left out.

        Raises
        ------
        DataError
            If a value is no finite number, a time or a count cannot be read, lengths differ, or some values have times and others have
            none. Nothing is counted then.
        """
        numbers = _finite(values)
        when = self._interval_of(time, len(numbers))
        often = np.ones(len(numbers)) if counts is None else _whole(counts, len(numbers))
        kept = often > 0
        if not kept.any():
            return
        self._take_times(time is not None)
        intervals, which = np.unique(when, return_inverse=True)
        keys = self._scale.keys(numbers)
        low, width = int(keys.min()), int(keys.max() - keys.min()) + 1
        cells, place = np.unique((which * width + (keys - low))[kept], return_inverse=True)
        found = np.bincount(place, weights=often[kept])  # exact, for no sum is above 2^53
        touched = set()
        for cell, count in zip(cells.tolist(), found.tolist(), strict=True):
            interval = int(intervals[cell // width])
            touched.add(interval)
            self._counts.setdefault(interval, Counter())[cell % width + low] += int(count)
        self._bound(touched)

    def merge(self, other: Sketch) -> None:
        """Add what another sketch has counted, as if its values had been added here.

        Parameters
        ----------
        other : Sketch
            One of the same relative error and interval.

        Raises
        ------
        DataError
            If it is none, or only one of the two has times.
        """
        if not isinstance(other, Sketch):
            raise DataError(f"sketch: {shown(other)} is not a Sketch", "Merge a Sketch with a Sketch.")
        for name in ("relative_error", "interval"):
            own, others = getattr(self, name), getattr(other, name)
            if own != others:
                raise DataError(
                    f"sketch: {name} is {own:g} here and {others:g} in the other sketch, so their buckets differ",
                    f"Make all sketches of a metric with the same {name}.",
                )
        if other._timed is None:
            return
        self._take_times(other._timed)
        for interval, buckets in other._counts.items():
            self._counts.setdefault(interval, Counter()).update(buckets)
        self._bound(other._counts)

    def quantile(self, q: float) -> float:
        """Estimate a quantile of all values, over all intervals.

        Parameters
        ----------
        q : float
            Between 0 and 1: 0.99 for the 99th percentile.

        Returns
        -------
        float
            Within `relative_error` of the value of rank 1 + floor(q (n - 1)), NumPy's ``method="lower"``.

        Raises
        ------
        DataError
            If q is not between 0 and 1, or nothing was added.
        """
        asked = _setting(q, "the quantile", (0.0, 1.0), "Give a fraction between 0 and 1, such as 0.99.")
        total: Counter[int] = Counter()
        for buckets in self._counts.values():
            total.update(buckets)
        if not total:
            raise DataError("sketch: it is empty, so it has no quantiles", "Add values first.")
        keys = sorted(total)
        below = list(accumulate(total[key] for key in keys))
        rank = math.floor(asked * (below[-1] - 1))
        return self._scale.middle(keys[bisect_right(below, rank)])

    def columns(self, between: tuple[float, float] | None = None) -> dict[str, list[Any]]:
        """Give a series for `judge`: one arm of a metric with ``kind: histogram``.

        Parameters
        ----------
        between : tuple of float, optional
            Two positive numbers: the edges then span them whatever was added, and what lies outside is counted in the first bucket or the
            infinite one. For a `Monitor`, which goes on with the edges of its first update.

        Returns
        -------
        dict
            `time`, the start of each interval in seconds since 1970 (left out where the sketch has no times); `edges`, the k upper edges
            of the buckets from the lowest occupied one to the highest, the last infinite; `buckets`, k counts an interval. Empty if nothing
            was added.

        Raises
        ------
        DataError
            If `between` is not two positive numbers in ascending order.

        Examples
        --------
        >>> sketch = Sketch(relative_error=0.1)
        >>> sketch.add([1.0, 1.1, 1.3])
        >>> found = sketch.columns()
        >>> [round(edge, 3) for edge in found["edges"]], found["buckets"]
        ([0.818, 1.0, 1.222, 1.494, inf], [[0, 1, 1, 1, 0]])
        >>> sketch.columns(between=(1.1, 1.2))["buckets"]
        [[1, 1, 1]]
        """
        keys = self._contiguous() if between is None else self._spanning(between)
        if not self._counts:
            return {}
        edges = [self._scale.upper(key) for key in keys]
        if math.isfinite(edges[-1]):
            edges.append(math.inf)
        intervals = sorted(self._counts)
        rows = []
        for interval in intervals:
            row = [0] * len(edges)
            for key, count in self._counts[interval].items():
                row[bisect_left(keys, key)] += count
            rows.append(row)
        time = [number * self._interval for number in intervals]
        return ({"time": time} if self._timed else {}) | {"edges": edges, "buckets": rows}

    def to_json(self) -> str:
        """Write everything it has counted as JSON; equal sketches give equal text.

        Returns
        -------
        str
            One line. `keys` are buckets in ascending order: 0 counts zeros, k > 0 the values in the k-th bucket above 1e-12, -k its mirror.
        """
        settings = {
            "relative_error": self._relative_error,
            "interval": self._interval,
            "timed": self._timed,
        }
        return write_sketch(settings, self._counts)

    @classmethod
    def from_json(cls, text: str) -> Sketch:
        """Read what `to_json` has written.

        Parameters
        ----------
        text : str
            The JSON.

        Returns
        -------
        Sketch
            An equal sketch.

        Raises
        ------
        DataError
            If it is not the JSON of a sketch.
        """
        body = read_sketch(text)
        sketch = cls(body["relative_error"], body["interval"])
        sketch._timed = body["timed"]
        latest = _LATEST / sketch.interval if sketch._timed else 0
        sketch._counts = read_counts(body["intervals"], latest, sketch._scale.largest)
        sketch._bound(sketch._counts)
        return sketch

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sketch) and self._state() == other._state()

    __hash__ = None  # type: ignore[assignment] # it changes

    def __repr__(self) -> str:
        settings = f"relative_error={self._relative_error:g}, interval={self._interval:g}"
        values, size = self.count, len(self._counts)
        return f"Sketch({settings}): {values:,} value{'s' * (values != 1)} in {size:,} interval{'s' * (size != 1)}"

    def _state(self) -> tuple[Any, ...]:
        return self._relative_error, self._interval, self._timed, self._counts

    def _interval_of(self, time: Any, n: int) -> _IntArray:
        """Give the number of the interval of each value; one time stands for all, and none for the interval 0."""
        if time is None:
            return np.zeros(n, dtype=np.int64)
        single = isinstance(time, str) or not hasattr(time, "__len__")
        seconds = to_times(as_column([time] if single else time, _PLACE, "time"), _PLACE).seconds
        if not single:
            _same_length(len(seconds), n, "time")
        missing = np.flatnonzero(np.isnan(seconds))
        if len(missing):
            raise DataError(
                f"{_PLACE.at(int(missing[0]))}: there is no time", "Give each value a time, or none of them."
            )
        numbers: _IntArray = np.floor(seconds / self._interval).astype(np.int64)
        return np.repeat(numbers, n) if single else numbers

    def _take_times(self, timed: bool) -> None:  # noqa: FBT001 - what is taken is the flag
        if self._timed not in (None, timed):
            have, lack = ("have times", "have none") if self._timed else ("have no times", "have them")
            raise DataError(
                f"sketch: the values counted so far {have}, and those to be added {lack}",
                "Give all values of a sketch their times, or none of them.",
            )
        self._timed = timed

    def _bound(self, intervals: Iterable[int]) -> None:
        """Collapse what is smaller than a 10^12th of an interval's largest magnitude into the lowest bucket that is kept."""
        for interval in intervals:
            buckets = self._counts[interval]
            lowest = max(map(abs, buckets)) - self._scale.span + 1
            for key in [key for key in buckets if 0 < abs(key) < lowest]:
                buckets[lowest if key > 0 else -lowest] += buckets.pop(key)

    def _contiguous(self) -> list[int]:
        """List the keys of the columns: from the lowest occupied to the highest, without the desert around zero."""
        used = {key for buckets in self._counts.values() for key in buckets}
        keys = used & {0}
        for side in ([key for key in used if key < 0], [key for key in used if key > 0]):
            if side:
                keys.update(range(min(side) - 1, max(side) + 1))
        return sorted(keys)

    def _spanning(self, between: tuple[float, float]) -> list[int]:
        """List the keys whose edges span two numbers."""
        two = isinstance(between, tuple | list) and len(between) == 2
        numbers = _finite(list(between)) if two else np.zeros(2)
        if not 0 < numbers[0] < numbers[1]:
            raise DataError(
                f"sketch: between is {shown(between)}",
                "Give two positive numbers, the smaller first, such as (1, 60_000).",
            )
        low, high = self._scale.keys(numbers).tolist()
        return list(range(low - 1, high + 1))


def _setting(value: Any, name: str, limits: tuple[float, float], hint: str) -> float:
    known = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not known or not limits[0] <= value <= limits[1]:  # NaN is in no limits
        raise DataError(f"sketch: {name} is {shown(value)}", hint)
    return float(value)


def _finite(values: Any) -> FloatArray:
    numbers = to_floats(as_column(values, _PLACE, "values"), _PLACE, "the value")
    odd = np.flatnonzero(~np.isfinite(numbers))
    if len(odd):
        found = "missing" if np.isnan(numbers[odd[0]]) else "infinite"
        hint = "Give finite numbers, and leave out what was not measured."
        raise DataError(f"{_PLACE.at(int(odd[0]))}: the value is {found}", hint)
    return numbers


def _whole(counts: Any, n: int) -> FloatArray:
    often = to_floats(as_column(counts, _PLACE, "counts"), _PLACE, "the count")
    _same_length(len(often), n, "counts")
    odd = np.flatnonzero(~((often >= 0) & (often <= LARGEST_COUNT) & (often == np.floor(often))))
    if len(odd):
        found = f"the count is {often[odd[0]]:g}, which is no whole number of values"
        raise DataError(f"{_PLACE.at(int(odd[0]))}: {found}", "Give how often each value was observed.")
    if often.sum() > LARGEST_COUNT:
        hint = "Check what the counts are of."
        raise DataError(f"sketch: the counts add up to {often.sum():g}, more than can be counted", hint)
    return often


def _same_length(found: int, n: int, name: str) -> None:
    if found != n:
        raise DataError(
            f"sketch: there are {n} values and {found} of {name}", f"Give values and {name} the same length."
        )


BucketCounts: TypeAlias = dict[int, Counter[int]]
"""How many values each bucket holds, by the interval's number and the bucket's key."""
LARGEST_COUNT: Final = 2**53
"""Above it, floats leave out whole numbers; nothing is observed so often."""
_FORMAT: Final = "canaryjudge.sketch"
_VERSION: Final = 1


def write_sketch(settings: Mapping[str, Any], counts: BucketCounts) -> str:
    """Write a sketch on one line, everything in order."""
    intervals = [
        {"interval": number, "keys": sorted(buckets), "counts": [buckets[key] for key in sorted(buckets)]}
        for number, buckets in sorted(counts.items())
    ]
    body = {"format": _FORMAT, "version": _VERSION, **settings, "intervals": intervals}
    return json.dumps(body, separators=(",", ":"))


def read_sketch(text: Any) -> dict[str, Any]:
    """Read what `write_sketch` has written, the counts not yet looked at."""
    try:
        body = read_strictly(text)
    except RepeatedKeyError as error:
        raise _unreadable(str(error)) from None
    except (TypeError, ValueError, RecursionError):
        raise _unreadable("it is not JSON, or is cut short") from None
    if not isinstance(body, dict) or body.get("format") != _FORMAT:
        raise _unreadable("it has another format")
    if body.get("version") != _VERSION:
        raise _unreadable(f"its version is {shown(body.get('version'))}, and {_VERSION} is known here")
    for name in ("relative_error", "interval", "timed", "intervals"):
        if name not in body:
            raise _unreadable(f"there is no {name}")
    timed, intervals = body["timed"], body["intervals"]
    if not (timed is None or isinstance(timed, bool)) or not isinstance(intervals, list):
        raise _unreadable("timed is no truth value, or intervals no list")
    if (timed is None) != (not intervals):
        raise _unreadable("timed does not fit intervals")
    return body


def read_counts(intervals: list[Any], latest: float, largest: int) -> BucketCounts:
    """Read the counts of a sketch."""
    counts: BucketCounts = {}
    for index, entry in enumerate(intervals):
        where = f"intervals[{index}]"
        number, keys, found = _parts(entry, where)
        if abs(number) > latest or number in counts:
            raise _unreadable(f"{where}.interval is {shown(number)}, which is twice there or too large")
        if not keys or len(keys) != len(found) or keys != sorted(set(keys)) or max(map(abs, keys)) > largest:
            raise _unreadable(f"{where}.keys are no ascending buckets, one for each count")
        if not all(0 < count <= LARGEST_COUNT for count in found):
            raise _unreadable(f"{where}.counts has a count that none can be")
        counts[number] = Counter(dict(zip(keys, found, strict=True)))
    return counts


def _parts(entry: Any, where: str) -> tuple[int, list[int], list[int]]:
    fields = entry if isinstance(entry, dict) else {}
    number, keys, found = (fields.get(name) for name in ("interval", "keys", "counts"))
    whole = type(number) is int and all(
        isinstance(items, list) and all(type(item) is int for item in items) for items in (keys, found)
    )
    if not whole:
        raise _unreadable(f"{where} has no interval with keys and counts")
    return number, keys, found  # type: ignore[return-value] # whole says so


def _unreadable(why: str) -> DataError:
    return DataError(f"this is not the JSON of a sketch: {why}", "Give what Sketch.to_json has written.")


_SMALLEST: Final = 1e-12
_SPAN: Final = 1e12
_LARGEST: Final = float(np.finfo(np.float64).max)
_EXACT: Final = Context(prec=40)


@lru_cache(maxsize=2**16)
def _power(relative_error: float, exponent: int) -> float:
    """Give gamma to a power, correctly rounded: logarithms and powers of floats differ between machines in the last bit."""
    error = Decimal(repr(relative_error))
    return float(_EXACT.power(_EXACT.divide(_EXACT.add(1, error), _EXACT.subtract(1, error)), exponent))


class LogBuckets:
    r"""Buckets of a fixed relative width, :math:`(\gamma^{i-1}, \gamma^i]` with :math:`\gamma = (1 + e) / (1 - e)`.

    A bucket's key is 0 for zero, k > 0 for the k-th bucket above 1e-12 or so, and -k for its mirror among the negative values, which has
    its closed end nearer to zero; so keys are ordered as values are, and every bucket holds what is at most its upper edge.

    Examples
    --------
    >>> buckets = LogBuckets(0.5)  # gamma is 3
    >>> keys = buckets.keys(np.array([1.0, 1.5, 3.0, 4.0, 0.0, -3.0])).tolist()
    >>> keys, [buckets.upper(key) for key in keys]
    ([26, 27, 27, 28, 0, -28], [1.0, 3.0, 3.0, 9.0, 0.0, -3.0])
    """

    def __init__(self, relative_error: float) -> None:
        self._error = relative_error
        self._log = 2 * math.atanh(relative_error)
        self._first = math.floor(math.log(_SMALLEST) / self._log)
        self.span = math.ceil(math.log(_SPAN) / self._log)
        self.largest = math.ceil(math.log(_LARGEST) / self._log) + 1 - self._first

    def keys(self, values: FloatArray) -> NDArray[np.int64]:
        """Find the bucket of each value."""
        if not len(values):
            return np.zeros(0, dtype=np.int64)
        least = self._edge(0)
        magnitude = np.abs(values)
        clipped = np.maximum(magnitude, least)
        keys = np.ceil(np.log(clipped) / self._log).astype(np.int64) - self._first
        # the logarithm may be off by a rounding, so each value is held against its bucket's edges
        low = int(keys.min()) - 1
        edges = self._edges(keys - low, low)
        negative = values < 0
        above, at = clipped > edges[keys - low], clipped == edges[keys - low]
        keys += above | (negative & at)
        below, at = clipped < edges[keys - low - 1], clipped == edges[keys - low - 1]
        keys -= below | (~negative & at)
        keys[magnitude < least] = 0
        return np.where(negative, -keys, keys)

    def upper(self, key: int) -> float:
        """Give a bucket's upper edge; infinite beyond the largest float."""
        if key == 0:
            return 0.0
        return self._edge(key) if key > 0 else -self._edge(-key - 1)

    def middle(self, key: int) -> float:
        """Give the number that all values of a bucket are within the relative error of: the lower edge times 1 + e, up to the sign."""
        if key == 0:
            return 0.0
        return math.copysign(min(self._edge(abs(key) - 1) * (1 + self._error), _LARGEST), key)

    def _edge(self, rank: int) -> float:
        return _power(self._error, self._first + rank)

    def _edges(self, offsets: NDArray[np.int64], low: int) -> NDArray[Any]:
        """Tabulate the edges of the occupied buckets; NaN elsewhere."""
        needed = np.zeros(int(offsets.max()) + 1, dtype=np.bool_)
        needed[offsets] = needed[offsets - 1] = True
        edges = np.full(len(needed), np.nan)
        for offset in np.flatnonzero(needed).tolist():
            edges[offset] = self._edge(low + offset)
        return edges
