"""Times in any of their spellings -> seconds since 1970; and the intervals that they keep."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import numpy as np

from canaryjudge.data.diagnostics import Location, shown
from canaryjudge.data.frames import Column, floats_at_once, is_missing, object_array, to_floats
from canaryjudge.data.pair import FloatArray
from canaryjudge.errors import BrokenDataError, DataError

__all__ = [
    "LATEST",
    "NAIVE",
    "TIME_NAMES",
    "Times",
    "common_slots",
    "iso",
    "median_step",
    "mixed_zones",
    "time_column",
    "times_at_once",
    "to_times",
    "unclear_zones",
]

NAIVE = "no time zone"
"""What stands for the zone of a time that has none; it is read as UTC."""

_CHUNK = 200_000  # texts that are Python objects at the same time
LATEST: Final = 253402300800.0
"""Seconds; the year 10000, which neither ISO 8601 nor datetime can write."""
_OFFSET = re.compile(r"[+-]\d{1,2}(?::?\d{2})?$")
_UTC_NAMES = frozenset({"UTC", "Z", "GMT", "ETC/UTC", "+00:00", "-00:00", "TZUTC()", "ZULU"})
_UNITS = ((1e17, 1e9, "nanoseconds"), (1e14, 1e6, "microseconds"), (1e11, 1e3, "milliseconds"))
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?:,? +(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?)?")
"""What spreadsheets write where days come first; wherever dots part them, they do."""
_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*")
_PEEK = 16
"""So many texts are looked at first."""
_HINT = "Write times like 2024-05-01T12:00:00Z, or as seconds since 1970."


@dataclass(frozen=True, slots=True)
class Times:
    """Times of one arm."""

    seconds: FloatArray
    """Since 1970, UTC; NaN where there is no time; shape (n,)."""
    zones: frozenset[str] = frozenset()
    """The zones or offsets that they were written in; empty for numbers."""
    unit: str | None = None
    """What numbers were taken to be, if not seconds."""

    def __len__(self) -> int:
        return len(self.seconds)

    def __getitem__(self, index: Any) -> Times:
        return Times(self.seconds[index], self.zones, self.unit)


def iso(seconds: float) -> str:
    """Write a time in ISO 8601, UTC.

    Examples
    --------
    >>> iso(0)
    '1970-01-01T00:00:00Z'
    """
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (OverflowError, OSError, ValueError):
        return f"{seconds:g} s"


def unclear_zones(zones: Collection[str]) -> bool:
    """Tell whether times without a zone stand beside times with one: whatever their zone, only the latter are instants.

    Examples
    --------
    >>> unclear_zones({"UTC", "+02:00"}), unclear_zones({"UTC", NAIVE})
    (False, True)
    """
    return len(zones) > 1 and NAIVE in zones


def mixed_zones(where: str, zones: Collection[str]) -> DataError:
    """Make the error for times that cannot be compared because only some of them say their zone."""
    return DataError(
        f"{where}: the times mix {' and '.join(sorted(zones))}",
        "Convert all times to UTC, or give each its zone, such as Z or +02:00.",
    )


def to_times(column: Column | Times, place: Location) -> Times:
    """Read a column of times, or look over those that were read at once.

    Examples
    --------
    >>> to_times(np.array(["1970-01-01T01:00:00+01:00"]), Location("cpu", "canary"))
    Times(seconds=array([0.]), zones=frozenset({'+01:00'}), unit=None)
    """
    if isinstance(column, Times):
        times = column
    elif isinstance(column, np.ndarray):
        times = _from_array(column, place)
    else:
        times = _from_series(column, place)
    with np.errstate(invalid="ignore"):
        beyond = np.flatnonzero(np.abs(times.seconds) > LATEST)
    if len(beyond):
        raise _unreadable(place, int(beyond[0]), f"{times.seconds[beyond[0]]:g} s since 1970")
    return times


def times_at_once(column: Column) -> Times | None:
    """Read a column of the times of many series; None where each must be read by itself, such as for a unit or zone of its own.

    Examples
    --------
    >>> times_at_once(np.array([1.7e12, np.nan])).unit, times_at_once(np.array([1.7e12, 1.7e9]))
    ('milliseconds', None)
    """
    numbers = floats_at_once(column, exact=False)
    if numbers is not None:
        return _of_one_unit(numbers)
    try:
        times = to_times(column, Location("", ""))
    except DataError:
        return None
    return times if len(times.zones) < 2 and times.unit is None else None


def _of_one_unit(numbers: FloatArray) -> Times | None:
    """Take numbers as times where the size of each tells the same unit."""
    numbers[~np.isfinite(numbers)] = np.nan
    size = np.abs(numbers)
    low, high = float(np.fmin.reduce(size, initial=np.inf)), float(np.fmax.reduce(size, initial=0.0))
    if any(low <= least < high for least, _, _ in _UNITS) or _are_dates(numbers):
        return None
    return _in_seconds(numbers, high)


def _from_series(column: Column, place: Location) -> Times:
    import narwhals as nw  # noqa: PLC0415 - there is a Series, so it is loaded

    if column.dtype == nw.Date:
        column = column.cast(nw.Datetime("us"))
    if column.dtype == nw.Datetime:
        microseconds = column.dt.timestamp("us").cast(nw.Float64).to_numpy()
        zone = column.dtype.time_zone
        zones = frozenset({NAIVE if zone is None else _zone_name(zone)})
        return Times(np.asarray(microseconds, dtype=np.float64) / 1e6, zones)
    if column.dtype.is_numeric() or column.dtype == nw.Boolean:
        return _from_numbers(to_floats(column, place, "time"), place)
    # of objects the first tell the type, and others may be among them
    if column.dtype == nw.String and str(getattr(column.to_native(), "dtype", "")) != "object":
        return _from_text(column, place)
    if column.dtype in (nw.Categorical, nw.Enum) and all(
        isinstance(text, str) or is_missing(text) for text in column.unique().to_list()
    ):
        return _from_text(column, place)
    return _from_objects(column.to_list(), place)


def _from_array(array: np.ndarray[Any, Any], place: Location) -> Times:
    if array.dtype.kind == "M":
        return Times(_from_datetime64(array), frozenset({NAIVE}))
    if array.dtype.kind in "buif":
        return _from_numbers(to_floats(array, place, "time"), place)
    if array.dtype.kind == "U":
        return _from_text(array, place)
    return _from_objects(array.astype(object).tolist(), place)


def _from_datetime64(array: np.ndarray[Any, Any]) -> FloatArray:
    seconds = array.astype("datetime64[us]").astype(np.int64) / 1e6
    seconds[np.isnat(array)] = np.nan
    return np.asarray(seconds)


def _from_numbers(numbers: FloatArray, place: Location) -> Times:
    numbers[~np.isfinite(numbers)] = np.nan
    if _are_dates(numbers):
        index = int(np.flatnonzero(~np.isnan(numbers))[0])
        raise BrokenDataError(
            f"{place.at(index)}: {numbers[index]:.0f} may be a date or seconds since 1970", _HINT
        )
    known = np.abs(numbers[~np.isnan(numbers)])
    size = (
        float(np.median(known)) if len(known) else 0.0
    )  # the median: one stray number must not rescale all others
    return _in_seconds(numbers, size)


def _are_dates(numbers: FloatArray) -> bool:
    """Tell whether all numbers look like dates without what parts them, such as 20240501 and 20240501120000: read as seconds they would be other times."""
    known = numbers[~np.isnan(numbers)]
    if not len(known) or not 1e7 < known[0] < 1e14 or (known != np.rint(known)).any():
        return False
    days = np.where(known >= 1e13, known // 1e6, known)
    years, months = days // 1e4, days // 100 % 100
    of_day = np.where(known >= 1e13, known % 1e6, 0)
    return bool(
        ((years >= 1970) & (years < 2100) & (months >= 1) & (months <= 12)).all()
        and ((days % 100 >= 1) & (days % 100 <= 31)).all()
        and ((of_day // 1e4 < 24) & (of_day // 100 % 100 < 60) & (of_day % 100 < 60)).all()
    )


def _in_seconds(numbers: FloatArray, size: float) -> Times:
    """Take numbers of this size as times in the unit that it tells."""
    for least, per_second, unit in _UNITS:
        if size > least:
            return Times(numbers / per_second, unit=unit)
    return Times(numbers)


def _from_objects(items: list[Any], place: Location) -> Times:
    items = [None if is_missing(item) else item for item in items]
    families = {kind: _family(kind) for kind in set(map(type, items))}
    found = set(families.values()) - {"missing"}
    if not found:
        return Times(np.full(len(items), np.nan))
    first = next(families[type(item)] for item in items if families[type(item)] != "missing")
    if found != {first} or first == "other":
        index = next(
            i for i, item in enumerate(items) if families[type(item)] not in ({"missing", first} - {"other"})
        )
        raise _unreadable(place, index, shown(items[index]))
    if first == "numbers":
        return _from_numbers(to_floats(object_array(items), place, "time"), place)
    if first == "text":
        return _from_text(object_array(items), place)
    if first == "datetimes":
        return _from_datetimes(items, place)
    return Times(_from_datetime64(np.array(items, dtype="datetime64[us]")), frozenset({NAIVE}))


def _family(kind: type) -> str:
    if kind is type(None):
        return "missing"
    if issubclass(kind, str):
        return "text"
    if issubclass(kind, datetime):
        return "datetimes"
    if issubclass(kind, np.datetime64 | date):
        return "dates"
    if issubclass(kind, np.timedelta64 | complex | bytes) or not hasattr(kind, "__float__"):
        return "other"
    return "numbers"


def _from_datetimes(items: list[datetime | None], place: Location) -> Times:
    seconds = np.full(len(items), np.nan)
    zones: dict[str, int] = {}
    for index, item in enumerate(items):
        if item is None:
            continue
        aware = item.utcoffset() is not None
        seconds[index] = (item if aware else item.replace(tzinfo=UTC)).timestamp()
        zones.setdefault(_zone_name(str(item.tzinfo)) if aware else NAIVE, index)
    _one_zone(place, zones)
    return Times(seconds, frozenset(zones))


def _from_text(column: Column, place: Location) -> Times:
    if (numbers := _spelled(column)) is not None:
        return _from_numbers(numbers, place)
    seconds = np.full(len(column), np.nan)
    zones: dict[str, int] = {}
    for start in range(0, len(column), _CHUNK):
        part = column[start : start + _CHUNK]
        texts = part.tolist() if isinstance(part, np.ndarray) else part.to_list()
        texts = [None if is_missing(text) else text for text in texts]
        seconds[start : start + _CHUNK] = _parse(texts, start, place)
        for zone, index in _zones_of(texts).items():
            zones.setdefault(zone, start + index)
    _one_zone(place, zones)
    return Times(seconds, frozenset(zones))


def _spelled(column: Column) -> FloatArray | None:
    """Read numbers of seconds that are written as text, as every other reader would; None where they are no such numbers."""
    first = column[:_PEEK]
    texts = [
        text
        for text in (first.tolist() if isinstance(first, np.ndarray) else first.to_list())
        if not is_missing(text)
    ]
    if not all(_NUMBER.fullmatch(text) or not text.strip() for text in texts):
        return None
    items = column.tolist() if isinstance(column, np.ndarray) else column.to_list()
    items = [None if is_missing(text) or not text.strip() else text for text in items]
    if not any(items) or not all(text is None or _NUMBER.fullmatch(text) for text in items):
        return None
    return np.array([math.nan if text is None else float(text) for text in items])


def _parse(texts: Sequence[str | None], start: int, place: Location) -> FloatArray:
    import pandas as pd  # noqa: PLC0415 - only times in text need it

    # pandas takes "now" and "today" for times and would read the clock; ISO 8601 begins with a digit
    plain = [text if text and text[:1].isdigit() else None for text in texts]
    parsed = pd.to_datetime(object_array(plain), format="ISO8601", utc=True, errors="coerce")
    if (bad := parsed.isna()).any():
        for index in np.flatnonzero(bad).tolist():
            plain[index] = _day_first(texts[index])
        parsed = pd.to_datetime(object_array(plain), format="ISO8601", utc=True, errors="coerce")
        bad = parsed.isna()
        for index in np.flatnonzero(bad).tolist():
            text = texts[index]
            if text is not None and text.strip():
                raise _unreadable(place, start + index, shown(text))
    seconds = parsed.as_unit("us").asi8 / 1e6
    seconds[bad] = np.nan
    return np.asarray(seconds, dtype=np.float64)


def _day_first(text: str | None) -> str | None:
    """Write 30.11.2026 09:00 as ISO 8601 does; nothing of what is anything else."""
    found = _DOTTED.fullmatch(text.strip()) if text else None
    return "{2}-{1:0>2}-{0:0>2}T{3:0>2}:{4}:{5}".format(*found.groups("00")) if found else None


def _zones_of(texts: Sequence[str | None]) -> dict[str, int]:
    """Give each zone that occurs, with the index of the first text that has it."""
    ends = {text[10:][-6:] for text in texts if text and text.strip()}
    zones = {end: _zone_of_end(end) for end in ends}
    found = set(zones.values())
    if len(found) < 2:
        return dict.fromkeys(found, 0)
    firsts: dict[str, int] = {}
    for index, text in enumerate(texts):
        if text and text.strip():
            firsts.setdefault(zones[text[10:][-6:]], index)
    return firsts


def _zone_of_end(end: str) -> str:
    if end[-1:] in ("Z", "z"):
        return "UTC"
    match = _OFFSET.search(end)
    return _zone_name(match[0]) if match else NAIVE


def _zone_name(name: str) -> str:
    text = name[3:] if re.match(r"UTC[+-]", name) else name
    if _OFFSET.fullmatch(text):
        digits = text[1:].replace(":", "")
        digits = digits.zfill(2) + "00" if len(digits) <= 2 else digits.zfill(4)
        text = f"{text[0]}{digits[:2]}:{digits[2:]}"
    return "UTC" if text.upper() in _UTC_NAMES else text


def _one_zone(place: Location, zones: dict[str, int]) -> None:
    if unclear_zones(zones):
        zoned = min(index for zone, index in zones.items() if zone != NAIVE)
        raise mixed_zones(place.at(max(zones[NAIVE], zoned)), zones)


def _unreadable(place: Location, index: int, found: str) -> DataError:
    return BrokenDataError(f"{place.at(index)}: {found} cannot be read as a time", _HINT)


TIME_NAMES: Final = ("time", "timestamp", "@timestamp", "ts", "date", "datetime")
"""Names that a column of times may have, in upper or lower case."""


def time_column(
    names: Iterable[str], how: str = "Leave out or rename the one that is not meant.", where: str = ""
) -> str | None:
    """Find the column of times by its name.

    Examples
    --------
    >>> time_column(["version", "@Timestamp", "cpu"])
    '@Timestamp'
    """
    found = [name for name in names if name.strip().lower() in TIME_NAMES]
    if len(found) > 1:
        listed = f"{', '.join(map(repr, found[:-1]))} and {found[-1]!r}"
        which = "either" if len(found) == 2 else "any"
        raise DataError(f"{where}the columns are named {listed}, and {which} may hold the times", how)
    return found[0] if found else None


_STEADY = 0.5  # length of the mean direction of a series' times from which they have a phase


def median_step(times: Sequence[FloatArray | None]) -> float | None:
    """Give the median of the steps within each of some series, in seconds; None where there are no steps.

    Examples
    --------
    >>> median_step([np.array([0.0, 15.0, 30.0]), np.array([5.0, 20.0])])
    15.0
    """
    steps = [np.diff(time) for time in times if time is not None]
    moves = np.concatenate([*steps, np.empty(0)])
    moves = moves[moves > 0]
    if not len(moves):
        return None
    moves.sort()
    half = len(moves) // 2
    return float(moves[half] if len(moves) % 2 else (moves[half - 1] + moves[half]) / 2)


def common_slots(times: Sequence[FloatArray], interval: float | None) -> tuple[list[FloatArray], list[float]]:
    """Give every time of several series the number of its interval.

    A series that keeps a beat is rounded about its own phase, so that scrapes half an interval apart do not flip between two
    neighbors with every jitter; one without a beat (irregular, or several points an interval) takes the grid of the first that has one.

    Examples
    --------
    Scrapes every 15 s, of one replica 5 s after the other:

    >>> slots, lags = common_slots([np.array([0.0, 15.0, 30.0]), np.array([5.0, 20.3, 35.0])], 15.0)
    >>> [slot.tolist() for slot in slots], np.round(lags, 1).tolist()
    ([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]], [0.0, 5.1])
    """
    origin = times[0][0]
    if interval is None:
        return [time - origin for time in times], [0.0] * len(times)
    places = [(time - origin) / interval for time in times]
    if all(bool((place == np.rint(place)).all()) for place in places):
        return places, [0.0] * len(times)  # all are on one grid, as whole minutes are
    beats = [_beat(place) for place in places]
    phases = [
        float(np.angle(beat) / (2 * np.pi) * interval) if abs(beat) >= _STEADY else None for beat in beats
    ]
    first = next((index for index, phase in enumerate(phases) if phase is not None), 0)
    lead = phases[first] or 0.0
    lags = [
        0.0 if phase is None else _lag(phase - lead, interval, time[0] - times[first][0])
        for time, phase in zip(times, phases, strict=True)
    ]
    slots = [
        np.floor((time - origin - lead - lag) / interval + 0.5) for time, lag in zip(times, lags, strict=True)
    ]
    return slots, lags


def _lag(difference: float, interval: float, head_start: float) -> float:
    """Bring a difference of phases to the nearest neighbor; of two equally near ones the series that started later is behind."""
    half = interval / 2
    lag = (difference + half) % interval - half
    return float(np.copysign(half, head_start)) if half - abs(lag) < 1e-6 * interval else lag


def _beat(places: FloatArray) -> complex:
    """Give the mean of the times as points on a circle of one interval: its angle is their phase, its length how steady it is."""
    return complex(np.exp(2j * np.pi * (places % 1)).mean())
