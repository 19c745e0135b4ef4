"""Quantities as people write them: ``10%``, ``0.02pp``, ``5ms``, ``5m``.

A bare number is never guessed at: where a fraction and a count could both be meant, the unit is asked for.
"""

from __future__ import annotations

import math
import re
from typing import Final

__all__ = ["convert", "parse_duration", "parse_fraction", "parse_quantity", "same_dimension"]

_NUMBER_AND_UNIT: Final = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\s\d]\S*)?\s*")

_SECONDS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "m": 60.0,
    "min": 60.0,
    "minutes": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_BYTES: Final = {
    "B": 1.0,
    "bytes": 1.0,
    "kB": 1e3,
    "KB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "TB": 1e12,
    "KiB": 2.0**10,
    "MiB": 2.0**20,
    "GiB": 2.0**30,
    "TiB": 2.0**40,
}
_DIMENSIONS: Final = (_SECONDS, _BYTES)


def _split(text: str, what: str, example: str) -> tuple[float, str]:
    match = _NUMBER_AND_UNIT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not {what}; write it like {example}")
    return float(match[1]), match[2] or ""


def parse_fraction(value: object) -> float:
    """Read a fraction: ``"10%"`` or ``0.1``.

    Parameters
    ----------
    value : str or float
        A string with a percent sign, or a number that is the fraction itself.

    Returns
    -------
    float
        The fraction, so that ``"10%"`` gives 0.1.

    Raises
    ------
    ValueError
        If it is neither.

    Examples
    --------
    >>> parse_fraction("0.5%"), parse_fraction(0.1)
    (0.005, 0.1)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is not a fraction; write it like 10% or 0.1")  # noqa: TRY004 - pydantic wants ValueError
    number, unit = (float(value), "") if not isinstance(value, str) else _split(value, "a fraction", "10% or 0.1")
    if unit not in ("", "%"):
        raise ValueError(f"{value!r} has the unit {unit!r} where a fraction is needed; write it like 10% or 0.1")
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not finite; write a fraction like 10% or 0.1")
    return number / 100 if unit == "%" else number


def parse_duration(value: object) -> float:
    """Read a duration: ``"90s"``, ``"5m"``, ``"1h"``; the unit is required.

    Parameters
    ----------
    value : str
        A number and one of ns, us, ms, s, m, h, d.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    ValueError
        If the unit is missing or not one of time, or the duration is not positive.

    Examples
    --------
    >>> parse_duration("5m")
    300.0
    """
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is a duration without a unit; write it like 90s, 5m or 1h")  # noqa: TRY004 - pydantic wants ValueError
    number, unit = _split(value, "a duration", "90s, 5m or 1h")
    if unit not in _SECONDS:
        raise ValueError(f"{value!r} is not a duration; write it like 90s, 5m or 1h")
    seconds = number * _SECONDS[unit]
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(f"{value!r} is not a positive duration; write it like 90s, 5m or 1h")
    return seconds


def parse_quantity(value: object) -> tuple[float, str]:
    """Read a number with an optional unit, such as ``"5ms"``, ``"0.1%"`` or ``200``.

    Parameters
    ----------
    value : str or float
        The quantity.

    Returns
    -------
    tuple of (float, str)
        The number and its unit, the empty string where there is none.

    Raises
    ------
    ValueError
        If no number can be read, or it is not finite.

    Examples
    --------
    >>> parse_quantity("5ms"), parse_quantity(200)
    ((5.0, 'ms'), (200.0, ''))
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is not a quantity; write a number with its unit, like 5ms or 0.1%")  # noqa: TRY004 - pydantic wants ValueError
    number, unit = (float(value), "") if not isinstance(value, str) else _split(value, "a quantity", "5ms or 0.1%")
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not finite; write a number with its unit, like 5ms or 0.1%")
    return number, unit


def same_dimension(unit: str, other: str) -> bool:
    """Tell whether two units measure the same thing, so that `convert` can go between them."""
    return unit == other or any(unit in units and other in units for units in _DIMENSIONS)


def convert(number: float, unit: str, to: str) -> float:
    """Convert between units of one dimension.

    Parameters
    ----------
    number : float
        The quantity in `unit`.
    unit, to : str
        Units of time or of bytes, or the same unit twice.

    Returns
    -------
    float
        The quantity in `to`.

    Raises
    ------
    ValueError
        If the two units measure different things.

    Examples
    --------
    >>> convert(0.2, "s", to="ms")
    200.0
    """
    if unit == to:
        return number
    for units in _DIMENSIONS:
        if unit in units and to in units:
            return float(f"{number * units[unit] / units[to]:.15g}")
    raise ValueError(f"the unit {unit!r} cannot be converted to the metric's unit {to!r}")
