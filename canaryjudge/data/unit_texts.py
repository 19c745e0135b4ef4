"""Numbers that carry their unit, as dashboards show them: 980 ms beside 1.02 s, 0.4%, 1.2K req/s -> plain numbers of one unit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final, NamedTuple

import numpy as np

from canaryjudge.data.frames import Column, is_missing, object_array
from canaryjudge.data.pair import FloatArray
from canaryjudge.quantities import factor, measures

__all__ = ["has_unit", "read_cells", "without_units"]

_CELL: Final = re.compile(
    r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z%\u00b5\u03bc][^\d,;:]*)?"
)
_SCALES: Final = {"K": 10**3, "Mil": 10**6, "Bil": 10**9, "Tri": 10**12}
_PREFIX: Final = re.compile(r"([KMBT])\s+(\S+)")
_OF_PREFIX: Final = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_CLOCK: Final = frozenset({"s", "sec", "m", "min", "h"})


class _Cell(NamedTuple):
    number: Fraction
    unit: str


def has_unit(text: str) -> bool:
    """Tell whether a text is a number with a unit that is known.

    Examples
    --------
    >>> [has_unit(text) for text in ("980 ms", "1.2%", "1.2K req/s", "12 apples", "12")]
    [True, True, True, False, False]
    """
    found = _CELL.fullmatch(text)
    return found is not None and found[2] is not None and _cell(text) is not None


def read_cells(columns: Sequence[Column]) -> tuple[list[FloatArray], str] | None:
    """Read columns of a table as `without_units` does; None where they are no texts of that kind.

    Examples
    --------
    >>> read_cells([np.array(["1.5%", "2%"])])
    ([array([1.5, 2. ])], '%')
    """
    if not any(map(_is_text, columns)):
        return None
    return without_units(
        [column.tolist() if isinstance(column, np.ndarray) else column.to_list() for column in columns]
    )


def without_units(columns: Sequence[Any]) -> tuple[list[FloatArray], str] | None:
    """Read columns of such texts as numbers of one unit, that of the first; None where they are anything else.

    Examples
    --------
    >>> numbers, unit = without_units([["980 ms", "1.02 s"], ["", "0 s"]])
    >>> [column.tolist() for column in numbers], unit
    ([[980.0, 1020.0], [nan, 0.0]], 'ms')
    >>> without_units([["fast", "980 ms"]]), without_units([[980.0, 1020.0]])
    (None, None)
    """
    if not any(isinstance(item, str) and has_unit(item) for column in columns for item in column):
        return None
    read: list[list[_Cell | None]] = []
    for column in columns:
        cells: list[_Cell | None] = []
        for item in column:
            blank = is_missing(item) or (isinstance(item, str) and item.strip() in ("", "NaN"))
            cell = None if blank else _cell(item if isinstance(item, str) else repr(item))
            if cell is None and not blank:
                return None
            cells.append(cell)
        read.append(cells)
    unit = next((cell.unit for cells in read for cell in cells if cell is not None and cell.number), "")
    found = []
    for cells in read:
        numbers = [_in_unit(cell, unit) for cell in cells]
        if any(number is None for number in numbers):
            return None
        found.append(np.asarray(object_array(numbers), dtype=np.float64))
    return found, unit


def _is_text(column: Column) -> bool:
    return column.dtype.kind in "OU" if isinstance(column, np.ndarray) else not column.dtype.is_numeric()


def _cell(text: str) -> _Cell | None:
    found = _CELL.fullmatch(text)
    if found is None:
        return None
    number, unit = Fraction(found[1]), (found[2] or "").strip()
    if unit in _SCALES:
        return _Cell(number * _SCALES[unit], "")
    if (prefixed := _PREFIX.fullmatch(unit)) is not None:
        number, unit = number * _OF_PREFIX[prefixed[1]], prefixed[2]
    per = unit.rpartition("/")[2] if "/" in unit else ""
    known = not unit or measures(unit) or per in _CLOCK
    return _Cell(number, unit) if known else None


def _in_unit(cell: _Cell | None, unit: str) -> float | None:
    """Give a number in a unit, correctly rounded; None where it measures something else. Nothing is nothing in every unit."""
    if cell is None:
        return float("nan")
    by = factor(cell.unit, unit) if cell.number else Fraction(0)
    return None if by is None else float(cell.number * by)
