"""Moments and durations as people read them."""

from __future__ import annotations

from canaryjudge.data.times import iso
from canaryjudge.explain.numbers import number

__all__ = ["moment", "span_of_time", "time_of"]

_UNITS = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"), (1.0, "second"))


def moment(seconds: float) -> str:
    """Write a time to the second, UTC.

    Examples
    --------
    >>> moment(12.7)
    '1970-01-01T00:00:12Z'
    """
    return iso(float(int(seconds)))


def span_of_time(seconds: float) -> str:
    """Write about how long it is, in the unit that suits.

    Examples
    --------
    >>> span_of_time(90), span_of_time(360), span_of_time(5400), span_of_time(0.2)
    ('90 seconds', '6 minutes', '90 minutes', '0.2 seconds')
    """
    size, name = next(((size, name) for size, name in _UNITS if seconds >= 2 * size), _UNITS[-1])
    about = number(seconds / size, 2)
    return f"{about} {name}" if about == "1" else f"{about} {name}s"


def time_of(points: int, interval: float) -> str:
    """Write about how long so many points take, at so many seconds each.

    Examples
    --------
    >>> time_of(41, 60.0)
    '41 minutes'
    """
    return span_of_time(points * interval)
