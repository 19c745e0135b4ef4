"""Columns and tables of any library or none: a narwhals Series or an array, and what stands in it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.diagnostics import Location, PlacedText, likely_name, near_twins, number_hint, shown
from canaryjudge.data.pair import FloatArray
from canaryjudge.errors import BrokenDataError, DataError
from canaryjudge.limits import CELLS, NAMED_COLUMNS, WHOLE

__all__ = [
    "Column",
    "Labels",
    "as_column",
    "as_frame",
    "check_column",
    "first_word",
    "floats_at_once",
    "has_large",
    "is_missing",
    "label_codes",
    "labels",
    "named_codes",
    "needed_column",
    "object_array",
    "refuse_twins",
    "replica_labels",
    "table_columns",
    "take",
    "time_index",
    "to_exact_floats",
    "to_floats",
    "user_codes",
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


def take(column: Column, index: np.ndarray[Any, Any] | slice) -> Column:
    """Give the points at some positions."""
    return column[index]


def time_index(series: Any) -> Any:
    """Give the index of a pandas object if it is one of times, else None."""
    index = getattr(series, "index", None)
    return index if type(index).__name__ == "DatetimeIndex" else None


def as_column(data: Any, place: Location, name: str) -> Column:
    """Bring array-like data into one of the two forms."""
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
    kinds = set(map(type, data))
    if kinds <= {int, float, bool}:
        try:
            numbers = np.array(data, dtype=np.float64)
        except OverflowError:
            return object_array(data)  # an integer beyond all floats: the slow way says which
        if int not in kinds or not has_large(numbers):
            return numbers
    return object_array(data)


def has_large(numbers: FloatArray) -> bool:
    """Tell whether there are numbers so large that floats leave out whole ones."""
    with np.errstate(invalid="ignore"):
        return bool((np.abs(numbers) >= WHOLE).any())


def _from_library(data: Any, place: Location, name: str) -> Column:
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


def to_floats(column: Column, place: Location, name: str) -> FloatArray:
    """Read a column of numbers.

    Examples
    --------
    >>> to_floats(np.array([1, None, Decimal("2.5")]), Location("cpu", "canary"), "value").tolist()
    [1.0, nan, 2.5]
    """
    array = column if isinstance(column, np.ndarray) else _from_series(column)
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        return as_written(array)
    if array.dtype.kind in "buif":
        with np.errstate(over="ignore"):  # a long double beyond all floats becomes infinite, which is counted
            return np.array(array, dtype=np.float64)
    return _from_objects(array.astype(object), place, name)


def _from_series(column: Column) -> np.ndarray[Any, Any]:
    import narwhals as nw  # noqa: PLC0415 - there is a Series, so it is loaded

    kind = column.dtype
    if kind == nw.Float64:
        return np.asarray(column.to_numpy())
    if kind == nw.Float32:
        return np.asarray(column.cast(nw.Float64).to_numpy()).astype(np.float32)
    if kind != nw.Decimal and (kind.is_numeric() or kind == nw.Boolean):
        try:
            return np.asarray(column.cast(nw.Float64).to_numpy())
        except ValueError:
            pass  # pyarrow refuses to round whole numbers
    return object_array(column.to_list())  # of decimals too, which not every library rounds correctly


def to_exact_floats(column: Column, place: Location, name: str) -> tuple[FloatArray, FloatArray | None]:
    """Read a column of counters: the nearest floats and, where there are whole numbers that these cannot hold, what they leave out.

    Examples
    --------
    >>> numbers, rest = to_exact_floats(np.array([2**60 + 1, 2**60 + 7]), Location("requests", "canary"), "value")
    >>> (numbers == 2.0**60).tolist(), rest.tolist()
    ([True, True], [1.0, 7.0])
    """
    numbers = to_floats(column, place, name)
    if not has_large(numbers) or not _is_exact(column):
        return numbers, None
    items = column.tolist() if isinstance(column, np.ndarray) else column.to_list()
    rest = np.zeros(len(numbers))
    for index in np.flatnonzero(np.isfinite(numbers)).tolist():
        rest[index] = float(Fraction(items[index]) - Fraction(numbers[index]))
    return numbers, rest


def _is_exact(column: Column) -> bool:
    """Tell whether a column may hold whole numbers that no float does."""
    if isinstance(column, np.ndarray):
        return column.dtype.kind in "iuO"
    import narwhals as nw  # noqa: PLC0415 - there is a Series, so it is loaded

    return column.dtype not in (nw.Float32, nw.Float64)


_PLAIN: Final = 1000
"""Whole numbers up to here are what they are in any column."""


def as_written(array: np.ndarray[Any, Any]) -> FloatArray:
    """Read numbers of few digits as the shortest decimals that they are written as: 0.1 is .1 in any column, and the same points are the same numbers.

    Examples
    --------
    >>> as_written(np.array([0.1, 250.3, np.nan], dtype=np.float32)).tolist()
    [0.1, 250.3, nan]
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        exact = array.astype(np.float64)
        found = exact.copy()
        left = np.isfinite(exact) & ((exact != np.rint(exact)) | (np.abs(exact) > _PLAIN))
        for digits in range(3, 10):
            if not left.any():
                break
            numbers = exact[left]
            places = digits - 1 - np.floor(np.log10(np.abs(numbers)))
            scale = 10.0 ** np.abs(places)
            short = np.where(places < 0, np.rint(numbers / scale) * scale, np.rint(numbers * scale) / scale)
            same = short.astype(array.dtype) == array[left]
            where = np.flatnonzero(left)[same]
            found[where], left[where] = short[same], False
    return found


def _from_objects(array: np.ndarray[Any, Any], place: Location, name: str) -> FloatArray:
    items = array.tolist()
    if any(isinstance(item, np.float32 | np.float16) for item in items):
        items = [float(str(item)) if isinstance(item, np.float32 | np.float16) else item for item in items]
    if all(issubclass(kind, (*_NUMBERS, type(None))) for kind in set(map(type, items))):
        try:
            return np.array(items, dtype=np.float64)
        except (OverflowError, ValueError):
            pass  # a number beyond all floats, or a signaling NaN: the slow way says which
    return _one_by_one(items, place, name)


def floats_at_once(column: Column, *, exact: bool = True) -> FloatArray | None:
    """Read a column of the numbers of many series; None where it takes a look at each to tell what they are, such as whole numbers beyond floats unless these will do.

    Examples
    --------
    >>> floats_at_once(np.array([1, None, 2.5])).tolist(), floats_at_once(np.array([1, "2"], dtype=object))
    ([1.0, nan, 2.5], None)
    """
    if not isinstance(column, np.ndarray):
        import narwhals as nw  # noqa: PLC0415 - there is a Series, so it is loaded

        kind = column.dtype
        if not kind.is_numeric() and kind != nw.Boolean:
            return None
    elif column.dtype.kind not in "buif":
        items = column.tolist()
        if not set(map(type, items)) <= {int, float, bool, type(None)}:
            return None
        try:
            numbers = np.array(items, dtype=np.float64)
        except OverflowError:
            return None
        return (
            None if exact and has_large(numbers) and any(isinstance(item, int) for item in items) else numbers
        )
    numbers = to_floats(column, Location("", ""), "")
    return None if exact and has_large(numbers) and _is_exact(column) else numbers


def first_word(items: Sequence[Any]) -> int | None:
    """Find the first text that does not even spell a number."""
    for index, item in enumerate(items):
        if isinstance(item, str):
            try:
                float(item)
            except ValueError:
                return index
    return None


def _one_by_one(items: list[Any], place: Location, name: str) -> FloatArray:
    numbers = np.full(len(items), np.nan)
    for index, item in enumerate(items):
        if is_missing(item):
            continue
        if isinstance(item, str | bytes):
            word = first_word(items)  # it says more than the number in quotes that may stand before it
            culprit = index if word is None else word
            text = items[culprit]
            placed = isinstance(text, PlacedText)
            where, whose = (text.where, f" ({place})") if placed else (place.at(culprit), "")
            raise BrokenDataError(
                f"{where}: {name} is the text {shown(items[culprit])} where a number belongs{whose}",
                number_hint(str(items[culprit])),
            )
        if not isinstance(item, _NUMBERS):
            nested = isinstance(item, list | tuple | dict | np.ndarray)
            raise BrokenDataError(
                f"{place.at(index)}: {name} is {shown(item)} ({type(item).__name__}) where a number belongs",
                _FLAT if nested else "Give real numbers, and leave a missing one empty (null).",
            )
        try:
            numbers[index] = float(item)
        except (OverflowError, ValueError):
            raise BrokenDataError(
                f"{place.at(index)}: {name} is {shown(item)}, which is no finite number of double precision",
                "Correct it, or leave it empty (null).",
            ) from None
    return numbers


Labels = tuple[NDArray[np.intp], list[str]]
"""Each row's position in the list of names, and the names."""


def as_frame(data: Any) -> Any:
    """Give a table as a narwhals DataFrame."""
    import narwhals as nw  # noqa: PLC0415 - plain arrays go without it

    index = time_index(data)
    try:
        if index is not None and hasattr(data, "assign") and "time" not in data.columns:
            data = data.assign(time=index)
        data = _in_usual_types(data)
        foreign = _foreign_columns(data)
        data = data.assign(**foreign) if foreign else data
        frame = nw.from_native(data, pass_through=True)
        if isinstance(frame, nw.LazyFrame):
            frame = frame.collect()
    except (
        Exception
    ) as error:  # each library has errors of its own, and a lazy one runs the caller's query here
        raise DataError(
            f"the table cannot be read ({' '.join(str(error).split())[:200]})",
            "Give a table with one name a column.",
        ) from error
    return frame if isinstance(frame, nw.DataFrame) else None


def _in_usual_types(data: Any) -> Any:
    """Give a table of pyarrow with its texts in one of the forms that everybody reads: some are views, in dictionaries of views, runs, or bytes."""
    if not type(data).__module__.startswith("pyarrow") or not hasattr(data, "set_column"):
        return data
    import pyarrow as pa  # noqa: PLC0415 - there is a table of it, so it is loaded
    import pyarrow.compute as pc  # noqa: PLC0415

    for index, field in enumerate(data.schema):
        kind, column = field.type, data.column(index)
        if pa.types.is_run_end_encoded(kind):
            column = pa.chunked_array([pc.run_end_decode(part) for part in column.chunks], kind.value_type)
            kind = kind.value_type
        inner = kind.value_type if pa.types.is_dictionary(kind) else kind
        if str(inner) in _ODD_TEXTS:
            column = column.cast(inner) if inner is not kind else column
            column = column.cast(pa.large_string())
        if column is not data.column(index):
            data = data.set_column(index, field.name, column)
    return data


_ODD_TEXTS: Final = frozenset(("string_view", "binary", "large_binary", "binary_view"))


def _foreign_columns(data: Any) -> dict[Any, Any]:
    """Give a pandas frame's columns that pandas does not work with: whose bytes are in the other order, in this machine's, and records as objects."""
    if type(data).__module__.partition(".")[0] != "pandas" or getattr(data, "ndim", 0) != 2:
        return {}
    return {
        name: data[name].to_numpy().astype(object if kind.kind == "V" else kind.newbyteorder("="))
        for name, kind in data.dtypes.items()
        if isinstance(kind, np.dtype) and (kind.kind == "V" or not kind.isnative)
    }


def table_columns(data: Any) -> dict[str, Column] | None:
    """Give the columns of a table or of a list of row dicts, by name."""
    if isinstance(data, list | tuple):
        return _columns_of_rows(data)
    frame = as_frame(data)
    return None if frame is None else {str(name): frame[:, place] for place, name in enumerate(frame.columns)}


def _columns_of_rows(rows: Sequence[Any]) -> dict[str, Column] | None:
    if rows and not any(isinstance(row, Mapping) for row in rows):
        return None
    names: dict[Any, None] = {}
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            raise DataError(
                f"row {number} is {shown(row)}, not a mapping of columns", "Give each row as {column: value}."
            )
        names.update(dict.fromkeys(row))
        if len(names) > NAMED_COLUMNS and len(names) * len(rows) > CELLS:
            raise DataError(
                f"row {number}: up to here the {len(rows):,} rows have {len(names):,} different columns",
                "Give all rows the same columns.",
            )
    if len(set(map(str, names))) < len(names):
        twice = next(name for name in names if not isinstance(name, str) and str(name) in names)
        raise DataError(
            f"the column {str(twice)!r} stands there twice, as text and as {shown(twice)}", "Leave one out."
        )
    return {str(name): object_array([row.get(name) for row in rows]) for name in names}


def needed_column(columns: Mapping[str, Column], name: str) -> Column:
    """Give a column that must be there."""
    check_column(columns, name)
    return columns[name]


def check_column(names: Collection[str], name: str) -> None:
    """Refuse the name of a column that is not there, or that is there once more but for white space or case."""
    if name not in names:
        raise DataError(f"the table has no column {name!r}", likely_name(name, names, "columns"))
    refuse_twins(names, [name])


def refuse_twins(names: Collection[str], used: Iterable[str], where: str = "") -> None:
    """Refuse a column that differs from one that has a meaning by white space or case only: it would be lost without a word.

    Examples
    --------
    >>> refuse_twins(["metric", "arm", "value", "Total "], ["value", "total"])
    Traceback (most recent call last):
        ...
    canaryjudge.errors.DataError: the column 'Total ' differs from 'total' by white space or case only. Rename it, or leave it out.
    """
    for name, twin in near_twins(used, names).items():
        raise DataError(
            f"{where}the column {twin!r} differs from {name!r} by white space or case only",
            "Rename it, or leave it out.",
        )


def labels(column: Column, name: str, numbers: NDArray[np.intp] | None = None) -> Labels:
    """Give every row the number of its label; rows have the numbers that the caller gives them, if not from 1."""
    codes, names = named_codes(column)
    without = np.flatnonzero(codes < 0)
    if len(without):
        row = without[0] + 1 if numbers is None else numbers[without[0]]
        raise DataError(
            f"row {row}: there is no {name}", f"Fill in the column {name!r}, or leave out the row."
        )
    return codes, names


def named_codes(column: Column) -> Labels:
    """Give every row the number of its label, in the order in which they occur, and -1 where there is none."""
    codes, found = label_codes(column)
    names: dict[str, int] = {}
    merged = np.array(
        [
            -1 if is_missing(label) or not str(label).strip() else names.setdefault(str(label), len(names))
            for label in found
        ]
        + [-1],
        dtype=np.intp,
    )
    same = len(names) == len(found)
    return codes if same else merged[codes], list(names)


def replica_labels(column: Column) -> tuple[NDArray[np.intp], np.ndarray[Any, Any]]:
    """Give every row the number of its replica's name, and the names, of which the last is empty: rows without one have it.

    Examples
    --------
    >>> codes, names = replica_labels(np.array(["a", None, "b", ""], dtype=object))
    >>> names[codes].tolist()
    ['a', '', 'b', '']
    """
    if not isinstance(column, np.ndarray):
        import narwhals as nw  # noqa: PLC0415 - there is a Series, so it is loaded

        if column.dtype in (nw.String, nw.Categorical, nw.Enum):
            codes, found = label_codes(column)
            texts = ["" if is_missing(label) else str(label) for label in found]
            empty = [code for code, text in enumerate(texts) if not text]
            if empty:
                codes = np.where(np.isin(codes, empty), -1, codes)
            return codes, object_array([*texts, ""])
    items = column.tolist() if isinstance(column, np.ndarray) else column.to_list()
    known: dict[str, int] = {"": -1}
    codes = np.array(
        [known.setdefault("" if is_missing(item) else _text(item), len(known) - 1) for item in items],
        dtype=np.intp,
    )
    return codes, object_array([*list(known)[1:], ""])


def user_codes(column: Column) -> NDArray[np.int64]:
    """Give every row the number of its user, -1 where none is named; of whole numbers that lie close together, these less the least."""
    if not isinstance(column, np.ndarray):
        import narwhals as nw  # noqa: PLC0415 - there is a Series, so it is loaded

        if column.implementation.is_polars() and column.dtype == nw.String:
            ranks = column.to_native().rank("dense").fill_null(0).to_numpy()
            return np.asarray(ranks, dtype=np.int64) - 1
        if not column.dtype.is_integer() or column.null_count():
            return label_codes(column)[0].astype(np.int64)
        column = column.to_numpy()
    if column.dtype.kind not in "iu" or not len(column):
        return label_codes(column)[0].astype(np.int64)
    low = column.min()
    if int(column.max()) - int(low) <= 4 * len(column):
        return np.asarray(column - low, dtype=np.int64)
    return np.asarray(np.unique(column, return_inverse=True)[1], dtype=np.int64)


def label_codes(column: Column) -> tuple[NDArray[np.intp], list[Any]]:
    """Give every row the number of its label, -1 where there is none, and the labels as they stand there."""
    if isinstance(column, np.ndarray):
        return _codes_of_objects(column.tolist())
    import narwhals as nw  # noqa: PLC0415 - there is a Series, so it is loaded

    if column.dtype not in (nw.String, nw.Categorical, nw.Enum) and not column.dtype.is_integer():
        return _codes_of_objects(column.to_list())
    if column.implementation.is_pandas():
        if getattr(column.to_native().dtype, "storage", None) == "pyarrow":
            return _codes_of_arrow(column.to_arrow())
        import pandas as pd  # noqa: PLC0415 - there is a pandas Series, so it is loaded

        codes, found = pd.factorize(column.to_native())
        return codes.astype(np.intp), list(found)
    if column.implementation.is_pyarrow():
        return _codes_of_arrow(column.to_native())
    if column.null_count():
        return _codes_of_objects(column.to_list())
    found = column.unique(maintain_order=True).to_list()
    codes = column.replace_strict(found, list(range(len(found))), return_dtype=nw.Int64).to_numpy()
    return np.asarray(codes, dtype=np.intp), found


_SMALL: Final = 1 << 28
"""Bytes; so many texts are put in one piece before they are looked at."""


def _codes_of_arrow(column: Any) -> tuple[NDArray[np.intp], list[Any]]:
    """Take the labels of a column of pyarrow, in chunks or in one piece, from its dictionary."""
    given = hasattr(column.type, "index_type")
    if hasattr(column, "combine_chunks"):
        column = column.unify_dictionaries() if given else column
        column = column.combine_chunks() if column.nbytes < _SMALL else column
    encoded = column.dictionary_encode()
    if hasattr(encoded, "combine_chunks"):
        encoded = encoded.combine_chunks()
    codes = np.asarray(encoded.indices.cast("int64").fill_null(-1), dtype=np.intp)
    known = encoded.dictionary.to_pylist()
    return _as_they_occur(codes, known) if given else (codes, known)


def _as_they_occur(codes: NDArray[np.intp], known: list[Any]) -> tuple[NDArray[np.intp], list[Any]]:
    """Give labels numbers in the order in which they occur, and leave out those that do not."""
    firsts = np.full(len(known) + 1, len(codes), dtype=np.intp)
    firsts[codes[::-1]] = np.arange(len(codes))[::-1]
    order = np.argsort(firsts[:-1], kind="stable")[: np.count_nonzero(firsts[:-1] < len(codes))]
    number = np.full(len(known) + 1, -1, dtype=np.intp)
    number[order] = np.arange(len(order))
    return number[codes], [known[code] for code in order.tolist()]


def _codes_of_objects(items: list[Any]) -> tuple[NDArray[np.intp], list[str]]:
    known: dict[str, int] = {}
    codes = np.empty(len(items), dtype=np.intp)
    for index, item in enumerate(items):
        codes[index] = -1 if is_missing(item) else known.setdefault(_label(item), len(known))
    return codes, list(known)


def _label(item: Any) -> str:
    whole = (
        isinstance(item, float) and item.is_integer()
    )  # a column of integers that some library turned into floats
    return str(int(item)) if whole else _text(item)


def _text(item: Any) -> str:
    try:
        return str(item)
    except ValueError:  # of a whole number of more than 4,300 digits, or of what somebody else made
        raise DataError(
            f"{shown(item)} is no name", "Name metrics, arms and replicas by short texts."
        ) from None
