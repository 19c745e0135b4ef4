"""Where something stands in the caller's data, and what else they may have meant: the parts of every data error."""

from __future__ import annotations

import difflib
import re
import reprlib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from canaryjudge.limits import NEAR_CHARACTERS, NEAR_NAMES

__all__ = ["Location", "PlacedText", "likely_name", "near_twins", "nearest", "number_hint", "shown"]

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def shown(value: Any) -> str:
    """Give a value as a message shows it: one short line, whatever it is."""
    try:
        return " ".join(_SHORT.repr(value).split())
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return f"a value of type {type(value).__name__} that is too long to be written"


def likely_name(wrong: str, known: Iterable[str], what: str, *, taken: Iterable[str] = ()) -> str:
    """Say which known name was probably meant, or list them.

    Examples
    --------
    >>> likely_name("canry", ["baseline", "canary"], "arms")
    "Did you mean 'canary'? Known arms: baseline, canary."
    """
    names = list(known)
    if not names:
        return f"There are no {what}."
    if what == "columns" and len(names) == 1 and ";" in names[0]:
        return (
            f"The {what} seem to be separated by semicolons: read the table with sep=';' (and decimal=',')."
        )
    apart = set(taken)
    free = (name for name in names if name not in apart)
    near = nearest(wrong, free, 0.5)
    rest = f" and {len(names) - 20} more" if len(names) > 20 else ""
    listed = f"Known {what}: {', '.join(names[:20])}{rest}."
    return f"Did you mean {near!r}? {listed}" if near is not None else listed


def near_twins(names: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Find to each of some names another that differs from it by white space or case only, but for those that are meant themselves.

    Examples
    --------
    >>> near_twins(["errors"], ["errors", "Errors ", "error"]), near_twins(["a", "A"], ["a", "A"])
    ({'errors': 'Errors '}, {})
    """
    meant = set(names)
    others = [other for other in known if other not in meant]
    if not others:
        return {}
    by_letters = {_letters(name): name for name in meant}
    found: dict[str, str] = {}
    for other in others:
        if (name := by_letters.get(_letters(other))) is not None:
            found.setdefault(name, other)
    return found


def _letters(name: str) -> str:
    if name.isascii():
        return "".join(name.split()).casefold()
    letters = unicodedata.normalize("NFKC", name).casefold()
    return "".join(
        letter for letter in letters if not letter.isspace() and unicodedata.category(letter) != "Cf"
    )


def nearest(wrong: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Find which known name was probably meant; of very many, the first are looked at."""
    near = difflib.get_close_matches(wrong[:NEAR_CHARACTERS], islice(known, NEAR_NAMES), n=1, cutoff=cutoff)
    return near[0] if near else None


class PlacedText(str):
    """A text where a number belongs, which knows its place in the caller's file."""

    __slots__ = ("where",)
    where: str

    def __new__(cls, text: str, where: str) -> Self:
        """Make one of a cell."""
        made = str.__new__(cls, text)
        made.where = where
        return made


@dataclass(frozen=True, slots=True)
class Location:
    """The points of one arm of one metric, in the caller's data."""

    metric: str
    arm: str
    """The caller's names."""
    rows: NDArray[np.integer[Any]] | None = None
    """The number of each point's row, as the caller counts them; None where the points stand in an array; shape (n,)."""

    def __str__(self) -> str:
        return f"metric {self.metric!r}, arm {self.arm!r}"

    def at(self, index: int) -> str:
        """Name one point: its row in a table, counted from 1, or its index in an array, counted from 0."""
        return f"{self}, index {index}" if self.rows is None else f"{self}, row {self.rows[index]}"


_NUMBER: Final = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_THOUSANDS: Final = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?")
_SPACED: Final = re.compile(r"[+-]?\d{1,3}(?:[ _'\u00a0\u2009\u202f]\d{3})+(?:[.,]\d*)?")
_COMMA: Final = re.compile(r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d*),\d+(?:[eE][+-]?\d+)?")
_PERCENT: Final = re.compile(_NUMBER.replace(r"\.", "[.,]") + r"\s*%")
_UNIT: Final = re.compile(rf"({_NUMBER})\s*([A-Za-z\u00b5/]+)")


def number_hint(text: str) -> str:
    """Say what to strip or replace so that a text becomes a number.

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
