"""Text that stands where a number belongs -> what to do about it."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["number_hint"]

_NUMBER: Final = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_THOUSANDS: Final = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?")
_SPACED: Final = re.compile(r"[+-]?\d{1,3}(?:[ _'\u00a0\u2009\u202f]\d{3})+(?:[.,]\d*)?")
_COMMA: Final = re.compile(r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d*),\d+(?:[eE][+-]?\d+)?")
_PERCENT: Final = re.compile(_NUMBER.replace(r"\.", "[.,]") + r"\s*%")
_UNIT: Final = re.compile(rf"({_NUMBER})\s*([A-Za-z\u00b5/]+)")


def number_hint(text: str) -> str:
    """Say what to strip or replace so that a text becomes a number.

    Parameters
    ----------
    text : str
        What stands in the data.

    Returns
    -------
    str
        A sentence or two.

    Examples
    --------
    >>> number_hint("0,12")
    'Write decimals with a point: 0.12.'
    >>> number_hint("8,433")
    'Leave out what separates thousands: 8433. If the comma stands before decimals, write a point: 8.433.'
    >>> number_hint("12 %")
    'Leave out the percent sign: 12.'
    """
    text = text.strip()
    if _PERCENT.fullmatch(text):
        return f"Leave out the percent sign: {text.rstrip('%').rstrip().replace(',', '.')}."
    if _THOUSANDS.fullmatch(text):
        hint = f"Leave out what separates thousands: {text.replace(',', '')}."
        could_be_decimals = text.count(",") == 1 and "." not in text
        return (
            f"{hint} If the comma stands before decimals, write a point: {text.replace(',', '.')}."
            if could_be_decimals
            else hint
        )
    if _SPACED.fullmatch(text):
        return f"Leave out what separates thousands: {re.sub(r'[^0-9.,+-]', '', text).replace(',', '.')}."
    if _COMMA.fullmatch(text):
        return f"Write decimals with a point: {text.replace('.', '').replace(',', '.')}."
    if (found := _UNIT.fullmatch(text)) is not None:
        return f"Give numbers without the unit {found[2]!r}, such as {found[1]}; the policy says it, as unit."
    return "Give numbers, without quotes, and leave a missing one empty (null)."
