"""Durations as Go writes them (``1h30m``, ``500ms``), which Kubernetes' tools have in their manifests."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["go_duration", "shown_duration"]

_SECONDS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_PART: Final = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([^0-9.]*)")
_LONGEST: Final = 200
_MOST: Final = 9.2e9  # seconds: what 63 bits of nanoseconds hold


def go_duration(text: str) -> float:
    """Read a duration.

    Parameters
    ----------
    text : str
        As Go's `time.ParseDuration` takes it.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    ValueError
        If it is none, in Go's own words.

    Examples
    --------
    >>> go_duration("1h30m"), go_duration("500ms"), go_duration("0")
    (5400.0, 0.5, 0.0)
    """
    shown = f'"{text[:_LONGEST]}"'
    sign = -1.0 if text.startswith("-") else 1.0
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0.0
    if not rest or len(rest) > _LONGEST:
        raise ValueError(f"time: invalid duration {shown}")
    seconds, at = 0.0, 0
    while at < len(rest):
        part = _PART.match(rest, at)
        if part is None:
            raise ValueError(f"time: invalid duration {shown}")
        if not part[2]:
            raise ValueError(f"time: missing unit in duration {shown}")
        if part[2] not in _SECONDS:
            raise ValueError(f'time: unknown unit "{part[2]}" in duration {shown}')
        seconds += float(part[1]) * _SECONDS[part[2]]
        at = part.end()
    if seconds > _MOST:
        raise ValueError(f"time: invalid duration {shown}")
    return sign * seconds


def shown_duration(seconds: float) -> str:
    """Write a duration as Go does.

    Examples
    --------
    >>> shown_duration(5400), shown_duration(0.5), shown_duration(0), shown_duration(61.5)
    ('1h30m0s', '500ms', '0s', '1m1.5s')
    """
    if seconds == 0:
        return "0s"
    sign, size = "-" if seconds < 0 else "", round(abs(seconds) * 1e9)
    if size < 10**9:
        unit, scale = next((u, s) for u, s in (("ms", 10**6), ("µs", 10**3), ("ns", 1)) if size >= s)
        return f"{sign}{size / scale:.9g}{unit}"
    whole, nanos = divmod(size, 10**9)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    last = f"{second}.{nanos:09d}".rstrip("0").rstrip(".") + "s"
    return sign + (f"{hours}h" if hours else "") + (f"{minute}m" if minutes else "") + last
