"""A column of any library or a plain sequence, as one of two things: a narwhals Series or a one-dimensional array."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from canaryjudge.data.number_text import number_hint
from canaryjudge.data.pair import FloatArray
from canaryjudge.data.places import Place, shown
from canaryjudge.errors import DataError

__all__ = [
    "Column",
    "as_column",
    "first_word",
    "is_missing",
    "object_array",
    "take",
    "time_index",
    "to_floats",
]

Column: TypeAlias = Any
"""A narwhals Series or an ndarray: what narwhals has no type for without being imported."""

_NUMBERS = (int, float, np.integer, np.floating, np.bool_, Decimal, Fraction)
_MISSING_TYPES = ("NoneType", "NAType", "NaTType")
_FLAT = "Give each column as a flat list or array, one number a point."


def is_missing(item: Any) -> bool:
    """Tell whether an item stands for no value: None, NaN, or pandas' NA and NaT."""
    return type(item).__name__ in _MISSING_TYPES or (isinstance(item, float) and math.isnan(item))


def object_array(items: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Put items into an array one by one, however they are nested."""
    return np.fromiter(items, dtype=object, count=len(items))


def take(column: Column, index: np.ndarray[Any, Any]) -> Column:
    """Give the points at some positions."""
    return column[index]


def time_index(series: Any) -> Any:
    """Give the index of a pandas object if it is one of times, else None."""
    index = getattr(series, "index", None)
    return index if type(index).__name__ == "DatetimeIndex" else None


def as_column(data: Any, place: Place, name: str) -> Column:
    """Bring array-like data into one of the two forms.

    Parameters
    ----------
    data : array-like or Series
        A list, a tuple, an ndarray, a Series or Index of pandas, a Series of polars, an array of pyarrow.
    place : Place
        Whose it is.
    name : str
        What it is: ``value``, ``time`` or ``total``.

    Returns
    -------
    narwhals Series or ndarray, shape (n,)
        The same data.

    Raises
    ------
    DataError
        If it is not a flat column.
    """
    if isinstance(data, list | tuple | range):
        column: Column = _from_sequence(data)
    elif isinstance(data, np.ma.MaskedArray):
        column = object_array(data.tolist()) if data.ndim == 1 else np.asarray(data)
    elif isinstance(data, np.ndarray):
        column = np.asarray(data)
    else:
        column = _from_library(data, place, name)
    if getattr(column, "ndim", 1) != 1:
        raise DataError(f"{place}: {name} has the shape {column.shape}", _FLAT)
    return column


def _from_sequence(data: Sequence[Any]) -> np.ndarray[Any, Any]:
    if set(map(type, data)) <= {int, float, bool}:
        try:
            return np.array(data, dtype=np.float64)
        except OverflowError:
            pass  # an integer beyond all floats: the slow way says which
    return object_array(data)


def _from_library(data: Any, place: Place, name: str) -> Column:
    import narwhals as nw  # noqa: PLC0415 - plain arrays go without it

    native = (
        data.to_series() if type(data).__name__.endswith("Index") and hasattr(data, "to_series") else data
    )
    column = nw.from_native(native, series_only=True, pass_through=True)
    if isinstance(column, nw.Series):
        return column
    if hasattr(data, "__array__") and not np.isscalar(data):
        return np.asarray(data)
    raise DataError(f"{place}: {name} is {shown(data)}, which is not a column", _FLAT)


def to_floats(column: Column, place: Place, name: str) -> FloatArray:
    """Read a column of numbers.

    Parameters
    ----------
    column : narwhals Series or ndarray, shape (n,)
        Numbers of any type, with None, NaN or null where there is none; booleans count as 0 and 1.
    place : Place
        Whose it is.
    name : str
        What it is: ``value``, ``time`` or ``total``.

    Returns
    -------
    ndarray, shape (n,)
        A copy as floats; NaN where the number is missing.

    Raises
    ------
    DataError
        If an item is not a number; it names the first.

    Examples
    --------
    >>> to_floats(np.array([1, None, Decimal("2.5")]), Place("cpu", "canary"), "value").tolist()
    [1.0, nan, 2.5]
    """
    array = column if isinstance(column, np.ndarray) else _from_series(column)
    if array.dtype.kind in "buif":
        with np.errstate(over="ignore"):  # a long double beyond all floats becomes infinite, which is counted
            return np.array(array, dtype=np.float64)
    return _from_objects(array.astype(object), place, name)


def _from_series(column: Column) -> np.ndarray[Any, Any]:
    import narwhals as nw  # noqa: PLC0415 - there is a Series, so it is loaded

    if column.dtype.is_numeric() or column.dtype == nw.Boolean:
        return np.asarray(column.cast(nw.Float64).to_numpy())
    return object_array(column.to_list())


def _from_objects(array: np.ndarray[Any, Any], place: Place, name: str) -> FloatArray:
    items = array.tolist()
    if all(issubclass(kind, (*_NUMBERS, type(None))) for kind in set(map(type, items))):
        try:
            return np.array(items, dtype=np.float64)
        except (OverflowError, ValueError):
            pass  # a number beyond all floats, or a signaling NaN: the slow way says which
    return _one_by_one(items, place, name)


def first_word(items: Sequence[Any]) -> int | None:
    """Find the first text that does not even spell a number."""
    for index, item in enumerate(items):
        if isinstance(item, str):
            try:
                float(item)
            except ValueError:
                return index
    return None


def _one_by_one(items: list[Any], place: Place, name: str) -> FloatArray:
    numbers = np.full(len(items), np.nan)
    for index, item in enumerate(items):
        if is_missing(item):
            continue
        if isinstance(item, str | bytes):
            word = first_word(items)  # it says more than the number in quotes that may stand before it
            culprit = index if word is None else word
            raise DataError(
                f"{place.at(culprit)}: {name} is the text {shown(items[culprit])} where a number belongs",
                number_hint(str(items[culprit])),
            )
        if not isinstance(item, _NUMBERS):
            nested = isinstance(item, list | tuple | dict | np.ndarray)
            raise DataError(
                f"{place.at(index)}: {name} is {shown(item)} ({type(item).__name__}) where a number belongs",
                _FLAT if nested else "Give real numbers, and leave a missing one empty (null).",
            )
        try:
            numbers[index] = float(item)
        except (OverflowError, ValueError):
            raise DataError(
                f"{place.at(index)}: {name} is {shown(item)}, which is no finite number of double precision",
                "Correct it, or leave it empty (null).",
            ) from None
    return numbers
