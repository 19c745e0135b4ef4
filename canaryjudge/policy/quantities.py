"""Quantities as people write them: ``10%``, ``0.02pp``, ``5ms``, ``5m``.

A bare number is never guessed at: where a fraction and a count could both be meant, the unit is asked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

__all__ = [
    "DURATION_PATTERN",
    "PERCENT_PATTERN",
    "QUANTITY_PATTERN",
    "WITH_UNIT_PATTERN",
    "convert",
    "parse_duration",
    "parse_fraction",
    "parse_quantity",
    "percent",
    "same_dimension",
    "shown",
]

_SECONDS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,  # the micro sign
    "\u03bcs": 1e-6,  # the Greek letter, which looks the same
    "ms": 1e-3,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "hours": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
    "days": 86400.0,
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
_SHARES: Final = {"%": 1.0, "pp": 1.0}
_DIMENSIONS: Final = (_SECONDS, _BYTES, _SHARES)
_LONGEST_DURATION: Final = 366 * 86400.0

_NUMBER: Final = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?"
_UNIT: Final = r"(?![eE][+-]?[0-9])[^\s0-9.,:;+_-]\S*"
QUANTITY_PATTERN: Final = rf"^\s*({_NUMBER})\s*({_UNIT})?\s*$"
"""A number with an optional unit, for JSON Schema too."""
WITH_UNIT_PATTERN: Final = rf"^\s*({_NUMBER})\s*({_UNIT})\s*$"
"""A number with a unit."""
PERCENT_PATTERN: Final = rf"^\s*{_NUMBER}\s*%\s*$"
"""A fraction in percent."""
DURATION_PATTERN: Final = rf"^\s*{_NUMBER}\s*({'|'.join(_SECONDS)})\s*$"
"""A number with a unit of time."""
_QUANTITY: Final = re.compile(QUANTITY_PATTERN)
_LONGEST_TEXT: Final = 100


def shown(value: object) -> str:
    """Show a value in an error as the user wrote it, cut where it is long.

    Examples
    --------
    >>> shown("fast"), shown(True), shown({"a": 1})
    ("'fast'", 'true', 'a mapping')
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value.bit_length() > 100:
        return "a huge number"
    if isinstance(value, str | int | float):
        text = repr(value) if not isinstance(value, str) or len(value) <= 60 else repr(value[:57] + "...")
        return text if len(text) <= 100 else text[:97] + "..."
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return f"a Python {type(value).__name__}"


def percent(fraction: float) -> str:
    """Write a fraction in percent, so that `parse_fraction` reads the same number.

    Examples
    --------
    >>> percent(0.007), percent(12.0)
    ('0.7%', '1200%')
    """
    number = Decimal(repr(fraction)).scaleb(2)
    return f"{number:f}%" if 1e-6 <= fraction < 1e16 else f"{number}%"


def _number_and_unit(value: object, what: str, example: str) -> tuple[Decimal | float, str]:
    if isinstance(value, str):
        match = _QUANTITY.match(value) if len(value) <= _LONGEST_TEXT else None
        if match is None:
            raise ValueError(f"{shown(value)} is not {what}; write it like {example}")
        number: Decimal | float = Decimal(match[1])
        unit = match[2] or ""
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number, unit = _as_float(value), ""
    else:
        raise ValueError(f"{shown(value)} is not {what}; write it like {example}")  # noqa: TRY004 - pydantic wants ValueError
    if not math.isfinite(float(number)):
        raise ValueError(f"{shown(value)} is not finite; write {what} like {example}")
    return number, unit


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


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
    >>> parse_fraction("0.7%"), parse_fraction(0.1)
    (0.007, 0.1)
    """
    number, unit = _number_and_unit(value, "a fraction", "10% or 0.1")
    if unit == "%":
        return float(Decimal(number).scaleb(-2))  # decimal, for 0.7 / 100 is 0.006999... in binary
    if unit:
        raise ValueError(
            f"{shown(value)} has the unit {unit!r} where a fraction is needed; write it like 10% or 0.1"
        )
    if isinstance(value, str):
        raise ValueError(f"{shown(value)} is text without a %; write 10%, or 0.1 without quotes")  # noqa: TRY004 - pydantic wants ValueError
    return float(number)


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
        If the unit is missing or not one of time, or the duration is not positive or longer than 366 days.

    Examples
    --------
    >>> parse_duration("5m")
    300.0
    """
    number, unit = _number_and_unit(value, "a duration", "90s, 5m or 1h")
    if not unit:
        raise ValueError(f"{shown(value)} is a duration without a unit; write it like 90s, 5m or 1h")
    if unit not in _SECONDS:
        raise ValueError(f"{shown(value)} is not a duration; write it like 90s, 5m or 1h")
    seconds = _exactly(float(number) * _SECONDS[unit])
    if not _SECONDS["ns"] <= seconds <= _LONGEST_DURATION:
        raise ValueError(
            f"{shown(value)} is not a duration between 1ns and 366d; write it like 90s, 5m or 1h"
        )
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
    number, unit = _number_and_unit(value, "a quantity", "5ms, 0.1% or 200")
    return float(number), unit


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
        Units of time, of bytes or of percent (``%`` and ``pp``), or the same unit twice.

    Returns
    -------
    float
        The quantity in `to`.

    Raises
    ------
    ValueError
        If the two units measure different things, or the result is not finite.

    Examples
    --------
    >>> convert(0.2, "s", to="ms")
    200.0
    """
    if unit == to:
        return number
    for units in _DIMENSIONS:
        if unit in units and to in units:
            converted = _exactly(number * units[unit] / units[to])
            if not math.isfinite(converted):
                raise ValueError(f"{number:g}{unit} is not finite in {to!r}; take a smaller number")
            return converted
    if not to:
        raise ValueError(f"it has the unit {unit!r} but the metric has none; add unit: {unit} to the metric")
    raise ValueError(
        f"the unit {unit!r} cannot be converted to the metric's unit {to!r}; give it in the metric's unit"
    )


def _exactly(number: float) -> float:
    """Drop the last digits, which are only the rounding of a factor such as 1e-9."""
    return float(f"{number:.15g}")
