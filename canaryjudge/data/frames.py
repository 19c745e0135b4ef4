"""A table of any library -> a narwhals DataFrame or plain columns, and the labels of its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.columns import Column, is_missing, object_array, time_index
from canaryjudge.data.places import likely_name, shown
from canaryjudge.errors import DataError

__all__ = ["Labels", "as_frame", "label_codes", "labels", "needed_column", "table_columns"]

Labels = tuple[NDArray[np.intp], list[str]]
"""Each row's position in the list of names, and the names."""


def as_frame(data: Any) -> Any:
    """Give a table as a narwhals DataFrame.

    Parameters
    ----------
    data : object
        A DataFrame of pandas or polars, a LazyFrame, a pyarrow Table: whatever narwhals understands.

    Returns
    -------
    narwhals.DataFrame or None
        The table, with the DatetimeIndex of a pandas frame as its column `time`; None if it is no table.

    Raises
    ------
    DataError
        If narwhals cannot take it, say because two columns have one name.
    """
    import narwhals as nw  # noqa: PLC0415 - plain arrays go without it

    index = time_index(data)
    try:
        if index is not None and hasattr(data, "assign") and "time" not in data.columns:
            data = data.assign(time=index)
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


def table_columns(data: Any) -> dict[str, Column] | None:
    """Give the columns of a table or of a list of row dicts, by name.

    Parameters
    ----------
    data : frame or sequence of mappings
        The table.

    Returns
    -------
    dict or None
        Columns of one length; None if the data are neither.

    Raises
    ------
    DataError
        If a row of a list is not a mapping.
    """
    if isinstance(data, list | tuple):
        return _columns_of_rows(data)
    frame = as_frame(data)
    return None if frame is None else {str(name): frame[name] for name in frame.columns}


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
    return {str(name): object_array([row.get(name) for row in rows]) for name in names}


def needed_column(columns: Mapping[str, Column], name: str) -> Column:
    """Give a column that must be there.

    Raises
    ------
    DataError
        If it is not; it names the nearest that is.
    """
    if name not in columns:
        raise DataError(f"the table has no column {name!r}", likely_name(name, columns, "columns"))
    return columns[name]


def labels(column: Column, name: str) -> Labels:
    """Give every row the number of its label.

    Parameters
    ----------
    column : narwhals Series or ndarray, shape (n,)
        Text, or anything that names a metric or an arm when it is written as text.
    name : str
        The column's name.

    Returns
    -------
    tuple of (ndarray of int, shape (n,), list of str)
        Each row's position in the list, and the list.

    Raises
    ------
    DataError
        If a row has no label.
    """
    codes, found = label_codes(column)
    empty = [code for code, label in enumerate(found) if is_missing(label) or not str(label).strip()]
    without = np.flatnonzero(np.isin(codes, [-1, *empty]))
    if len(without):
        raise DataError(
            f"row {without[0] + 1}: there is no {name}", f"Fill in the column {name!r}, or leave out the row."
        )
    names: dict[str, int] = {}
    merged = np.array([names.setdefault(str(label), len(names)) for label in found], dtype=np.intp)
    return (merged[codes] if len(codes) else np.empty(0, dtype=np.intp)), list(names)


def label_codes(column: Column) -> tuple[NDArray[np.intp], list[Any]]:
    """Give every row the number of its label, -1 where there is none, and the labels as they stand there."""
    if isinstance(column, np.ndarray):
        return _codes_of_objects(column.tolist())
    import narwhals as nw  # noqa: PLC0415 - there is a Series, so it is loaded

    if column.dtype not in (nw.String, nw.Categorical, nw.Enum) and not column.dtype.is_integer():
        return _codes_of_objects(column.to_list())
    if column.implementation.is_pandas():
        import pandas as pd  # noqa: PLC0415 - there is a pandas Series, so it is loaded

        codes, found = pd.factorize(column.to_native())
        return codes.astype(np.intp), list(found)
    if column.null_count():
        return _codes_of_objects(column.to_list())
    found = column.unique().to_list()
    codes = column.replace_strict(found, list(range(len(found))), return_dtype=nw.Int64).to_numpy()
    return np.asarray(codes, dtype=np.intp), found


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
    return str(int(item)) if whole else str(item)
