"""A table that was written column by column where rows or arms belong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from canaryjudge.errors import DataError

__all__ = ["refuse_columns"]


def refuse_columns(data: Mapping[Any, Any]) -> None:
    """Refuse ``{"time": [...], "arm": [...]}``, and what pandas makes of a table by default, ``{"time": {"0": ..., "1": ...}}``.

    Raises
    ------
    DataError
        If the data are one of these: it says what was expected.

    Examples
    --------
    >>> refuse_columns({"cpu": {"canary": [0.5, 0.7]}})
    >>> refuse_columns({"arm": ["canary", "canary"], "cpu": [0.5, 0.7]})
    Traceback (most recent call last):
        ...
    canaryjudge.errors.DataError: the data are columns (arm, cpu) where rows or arms belong. ...
    """
    if not data or not (all(map(_is_list, data.values())) or all(map(_is_numbered, data.values()))):
        return
    names = [str(name) for name in data]
    rest = f" and {len(names) - 8} more" if len(names) > 8 else ""
    raise DataError(
        f"the data are columns ({', '.join(names[:8])}{rest}) where rows or arms belong",
        'Give a list of rows, [{"metric": "cpu", "arm": "canary", "value": 0.5}, ...] (pandas: orient="records"), a frame, or a mapping '
        "{metric: {arm: series}}.",
    )


def _is_list(column: Any) -> bool:
    return isinstance(column, list | tuple)


def _is_numbered(column: Any) -> bool:
    return (
        isinstance(column, Mapping)
        and bool(column)
        and all(str(key) == str(index) for index, key in enumerate(column))
        and not any(isinstance(item, Mapping | list | tuple) for item in column.values())
    )
