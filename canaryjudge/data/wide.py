"""A wide table, as dashboards and exports have it -> the mapping that `read_pairs` takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from canaryjudge.data.columns import Column, take
from canaryjudge.data.frames import labels, needed_column, table_columns
from canaryjudge.data.places import shown
from canaryjudge.errors import DataError

__all__ = ["from_wide"]


def from_wide(
    frame: Any,
    *,
    arm: str,
    time: str | None = None,
    metrics: Mapping[str, str | Mapping[str, str]],
) -> dict[str, dict[str, dict[str, Any]]]:
    """Turn a wide table, a column a metric, into data that can be judged.

    Parameters
    ----------
    frame : DataFrame or list of dict
        A table of pandas, polars or pyarrow, or rows as dicts.
    arm : str
        The column that names each row's arm; all arms are kept.
    time : str, optional
        The column of times. A pandas frame with a DatetimeIndex brings its own.
    metrics : mapping of str to (str or mapping)
        For each metric its column, or ``{"value": column, "total": column}``.

    Returns
    -------
    dict
        ``{metric: {arm: {"value": ..., "total": ..., "time": ..., "row": ...}}}``; `row` counts the table's rows from 1, for errors.

    Raises
    ------
    DataError
        If it is not a table, a column is missing, or a row names no arm.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"version": ["baseline", "canary"], "p99": [120.0, 131.0]})
    >>> from_wide(frame, arm="version", metrics={"latency_p99": "p99"})["latency_p99"]["canary"]["value"].tolist()
    [131.0]
    """
    columns = table_columns(frame)
    if columns is None:
        raise DataError(
            f"{shown(frame)} is not a table",
            "Give a frame of pandas, polars or pyarrow, or a list of row dicts.",
        )
    if not isinstance(metrics, Mapping) or not metrics:
        raise DataError("from_wide: metrics names no metric", 'Write metrics={"latency_p99": "p99"}.')
    named = {str(metric): _columns_of(str(metric), spec) for metric, spec in metrics.items()}
    if not columns:
        return {metric: {} for metric in named}
    found = {
        metric: {role: needed_column(columns, name) for role, name in names.items()}
        for metric, names in named.items()
    }
    when = _time_column(columns, time)
    arm_of_row, arms = labels(needed_column(columns, arm), arm)
    rows_of_arm = {name: np.flatnonzero(arm_of_row == code) for code, name in enumerate(arms)}
    return {
        metric: {name: _part(parts | when, rows) for name, rows in rows_of_arm.items()}
        for metric, parts in found.items()
    }


def _columns_of(metric: str, spec: Any) -> dict[str, str]:
    if isinstance(spec, str):
        return {"value": spec}
    if not isinstance(spec, Mapping) or "value" not in spec or set(spec) - {"value", "total"}:
        raise DataError(
            f"from_wide: metric {metric!r} is given as {shown(spec)}",
            'Write the column\'s name, or {"value": column, "total": column}.',
        )
    return {str(role): str(name) for role, name in spec.items()}


def _time_column(columns: Mapping[str, Column], time: str | None) -> dict[str, Column]:
    if time is not None:
        return {"time": needed_column(columns, time)}
    return {}


def _part(parts: Mapping[str, Column], rows: np.ndarray[Any, Any]) -> dict[str, Any]:
    cut = {role: take(column, rows) for role, column in parts.items()}
    native = {role: part if isinstance(part, np.ndarray) else part.to_native() for role, part in cut.items()}
    return native | {"row": rows + 1}
