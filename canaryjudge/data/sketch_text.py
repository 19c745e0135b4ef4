"""The counts of a sketch as JSON and back: canonical text, and a sentence for whatever is not it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from canaryjudge.data.places import shown
from canaryjudge.errors import DataError

__all__ = ["LARGEST_COUNT", "Counts", "read_counts", "read_sketch", "write_sketch"]

Counts: TypeAlias = dict[int, Counter[int]]
"""How many values each bucket holds, by the interval's number and the bucket's key."""
LARGEST_COUNT: Final = 2**53
"""Above it, floats leave out whole numbers; nothing is observed so often."""
_FORMAT: Final = "canaryjudge.sketch"
_VERSION: Final = 1


def write_sketch(settings: Mapping[str, Any], counts: Counts) -> str:
    """Write a sketch on one line, everything in order.

    Parameters
    ----------
    settings : mapping
        `relative_error`, `interval` and `timed`.
    counts : mapping
        What was counted.

    Returns
    -------
    str
        JSON.
    """
    intervals = [
        {"interval": number, "keys": sorted(buckets), "counts": [buckets[key] for key in sorted(buckets)]}
        for number, buckets in sorted(counts.items())
    ]
    body = {"format": _FORMAT, "version": _VERSION, **settings, "intervals": intervals}
    return json.dumps(body, separators=(",", ":"))


def read_sketch(text: Any) -> dict[str, Any]:
    """Read what `write_sketch` has written, the counts not yet looked at.

    Raises
    ------
    DataError
        If it is something else.
    """
    try:
        body = json.loads(text)
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


def read_counts(intervals: list[Any], latest: float, largest: int) -> Counts:
    """Read the counts of a sketch.

    Parameters
    ----------
    intervals : list
        An entry an interval.
    latest : float
        No interval's number is further from 0.
    largest : int
        No bucket's key is further from 0.

    Returns
    -------
    dict
        The counts.

    Raises
    ------
    DataError
        If an entry is not one, or could not have been counted.
    """
    counts: Counts = {}
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
