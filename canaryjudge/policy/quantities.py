"""Quantities as people write them: ``10%``, ``0.02pp``, ``5ms``, ``200m``, ``1h30m``.

A bare number is never guessed at: where a fraction and a count could both be meant, the unit is asked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from canaryjudge.policy.units import SECONDS

__all__ = [
    "DURATION_PATTERN",
    "PERCENT_PATTERN",
    "QUANTITY_PATTERN",
    "WITH_UNIT_PATTERN",
    "parse_duration",
    "parse_fraction",
    "parse_quantity",
    "percent",
    "shown",
]

_LONGEST_DURATION: Final = 366 * 86400.0
_IN_ORDER: Final = ("w", "d", "h", "m", "s", "ms", "us", "ns")
"""The units that one duration may have parts in."""

_NUMBER: Final = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?"
_UNIT: Final = r"(?![eE][+-]?[0-9])[^\s0-9.,:;+_-]\S*"
QUANTITY_PATTERN: Final = rf"^\s*({_NUMBER})\s*({_UNIT})?\s*$"
"""A number with an optional unit, for JSON Schema too."""
WITH_UNIT_PATTERN: Final = rf"^\s*({_NUMBER})\s*({_UNIT})\s*$"
"""A number with a unit."""
PERCENT_PATTERN: Final = rf"^\s*{_NUMBER}\s*%\s*$"
"""A fraction in percent."""
_PARTS: Final = "".join(rf"(?:([0-9]+(?:\.[0-9]+)?){unit})?" for unit in _IN_ORDER)
DURATION_PATTERN: Final = rf"^\s*(?:{_NUMBER}\s*({'|'.join(SECONDS)})|(?=[0-9]){_PARTS})\s*$"
"""A number with a unit of time; or several, the largest unit first."""
_QUANTITY: Final = re.compile(QUANTITY_PATTERN)
_COMPOUND: Final = re.compile(rf"\s*(?=[0-9]){_PARTS}\s*")
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
    """Read a duration: ``"90s"``, ``"5m"``, ``"1h30m"``; the unit is required.

    Parameters
    ----------
    value : str
        A number and a unit of time (ns, us, ms, s, m, h, d, w or its name), or several of them, the largest first.

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
    >>> parse_duration("5m"), parse_duration("1h30m")
    (300.0, 5400.0)
    """
    seconds = _in_parts(value)
    if seconds is None:
        number, unit = _number_and_unit(value, "a duration", "90s, 5m or 1h")
        if not unit:
            raise ValueError(f"{shown(value)} is a duration without a unit; write it like 90s, 5m or 1h")
        if unit not in SECONDS:
            raise ValueError(f"{shown(value)} is not a duration; write it like 90s, 5m or 1h")
        seconds = Fraction(number) * SECONDS[unit]
    if not SECONDS["ns"] <= seconds <= _LONGEST_DURATION:
        raise ValueError(
            f"{shown(value)} is not a duration between 1ns and 366d; write it like 90s, 5m or 1h"
        )
    return float(seconds)


def _in_parts(value: object) -> Fraction | None:
    """Add up a duration of two parts or more, such as ``1h30m``; None for all else."""
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        return None
    match = _COMPOUND.fullmatch(value)
    written = {} if match is None else dict(zip(_IN_ORDER, match.groups(), strict=True))
    parts = [Fraction(part) * SECONDS[unit] for unit, part in written.items() if part]
    return sum(parts, Fraction()) if len(parts) > 1 else None


def parse_quantity(value: object, *, example: str = "5ms, 0.1% or 200") -> tuple[float, str]:
    """Read a number with an optional unit, such as ``"5ms"``, ``"0.1%"`` or ``200``.

    Parameters
    ----------
    value : str or float
        The quantity.
    example : str
        What a complaint says that it should look like.

    Returns
    -------
    tuple of (float, str)
        The number and its unit, the empty string where there is none; of a duration in parts, such as ``1m30s``, the seconds.

    Raises
    ------
    ValueError
        If no number can be read, or it is not finite.

    Examples
    --------
    >>> parse_quantity("5ms"), parse_quantity(200)
    ((5.0, 'ms'), (200.0, ''))
    """
    seconds = _in_parts(value)
    if seconds is not None:
        return float(seconds), "s"
    number, unit = _number_and_unit(value, "a quantity", example)
    return float(number), unit


def relative_or_absolute(value: Any, *, signed: bool = False, example: str | None = None) -> Any:
    """Read a quantity that stands alone as the part that its unit says it is; anything else is given back.

    Parameters
    ----------
    value : object
        What the policy says.
    signed : bool
        Whether the advice shows the sign of a bare number, which is then of percent.
    example : str, optional
        What a quantity may look like, for errors.

    Returns
    -------
    object
        ``{"relative": value}`` for percent, ``{"absolute": value}`` for all other units.

    Raises
    ------
    ValueError
        If it has no unit, or is no quantity.

    Examples
    --------
    >>> relative_or_absolute("10%"), relative_or_absolute("5ms")
    ({'relative': '10%'}, {'absolute': '5ms'})
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return value
    number, unit = parse_quantity(value) if example is None else parse_quantity(value, example=example)
    if not unit:
        plain = f"{number:+g}%" if signed else f"{number:g}%"
        fraction = percent(number) if not signed and 0 < number <= 1 else plain
        could = f"{shown(value)} could be a fraction or a number of units"
        raise ValueError(f"{could}; write {fraction}, or {{absolute: {number:g}}}")
    return {"relative" if unit == "%" else "absolute": value}
