"""A wide table, as dashboards and exports have it -> the mapping that `read_pairs` takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from canaryjudge.data.diagnostics import shown
from canaryjudge.data.frames import Column, labels, needed_column, table_columns, take
from canaryjudge.data.times import time_column
from canaryjudge.data.unit_texts import read_cells
from canaryjudge.errors import DataError

__all__ = ["from_columns", "from_wide", "row_columns"]

_INSTANCES: Final = ("pod", "instance", "host", "hostname", "zone", "region")
"""Columns that may tell replicas apart, the finest first."""


def from_wide(
    frame: Any,
    *,
    arm: str,
    time: str | None = None,
    replica: str | None = None,
    segments: Sequence[str] = (),
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
        The column of times; by default one that is named `time`, `timestamp`, `@timestamp`, `ts`, `date` or `datetime`, in upper or lower
        case. A pandas frame with a DatetimeIndex brings its own.
    replica : str, optional
        The column that tells the instances of an arm apart; by default `replica`, if there is one.
    segments : sequence of str
        The columns that name segments of the traffic, such as ``["region"]``, which stay beside each metric's.
    metrics : mapping of str to (str or mapping)
        For each metric its column, or ``{"value": column, "total": column}``.

    Returns
    -------
    dict
        ``{metric: {arm: {"value": ..., "total": ..., "time": ..., "replica": ..., "row": ...}}}``; `row` counts the table's rows from 1,
        for errors.

    Raises
    ------
    DataError
        If it is not a table, a column is missing, two may hold the times, or a row names no arm.

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
    return from_columns(columns, named, arm=arm, time=time, replica=replica, segments=segments)


def from_columns(
    columns: Mapping[str, Column],
    metrics: Mapping[str, Mapping[str, str]],
    *,
    arm: str | None,
    time: str | None = None,
    replica: str | None = None,
    segments: Sequence[str] = (),
) -> dict[str, dict[str, dict[str, Any]]]:
    """Turn the columns of a wide table into data that can be judged.

    Examples
    --------
    >>> columns = {"p99": np.array([120.0, 131.0]), "Time": np.array([0.0, 60.0])}
    >>> from_columns(columns, {"latency": {"value": "p99"}}, arm=None)["latency"]["history"]["time"].tolist()
    [0.0, 60.0]
    """
    if not columns:
        return {metric: {} for metric in metrics}
    found: dict[str, dict[str, Column]] = {
        metric: {role: needed_column(columns, name) for role, name in names.items()}
        for metric, names in metrics.items()
    }
    units: dict[str, dict[str, str]] = {}
    for metric, parts in found.items():
        for role, column in parts.items():
            if (read := read_cells([column])) is not None:
                (parts[role],), unit = read
                units |= {metric: {"unit": unit}} if role == "value" else {}
    used = {name for names in metrics.values() for name in names.values()} | set(segments)
    beside = row_columns([name for name in columns if name not in used], arm=arm, time=time, replica=replica)
    of_row: dict[str, Any] = {
        role: needed_column(columns, name) for role, name in beside.items() if name is not None
    }
    of_row |= {name: needed_column(columns, name) for name in segments}
    apart = {name: of_row.pop("apart") for role, name in beside.items() if role == "apart" and name}
    if arm is None:
        rows_of_arm = {"history": np.arange(len(next(iter(columns.values()))))}
    else:
        arm_of_row, arms = labels(needed_column(columns, arm), arm)
        rows_of_arm = {name: np.flatnonzero(arm_of_row == code) for code, name in enumerate(arms)}
    return {
        metric: {
            name: _part(parts | of_row, apart, rows) | units.get(metric, {})
            for name, rows in rows_of_arm.items()
        }
        for metric, parts in found.items()
    }


def row_columns(
    names: Sequence[str], *, arm: str | None, time: str | None = None, replica: str | None = None
) -> dict[str, str | None]:
    """Choose the columns that say when and where a row of a wide table is from.

    Examples
    --------
    >>> row_columns(["version", "timestamp", "pod"], arm="version")
    {'time': 'timestamp', 'replica': None, 'apart': 'pod'}
    """
    others = [name for name in names if name not in (arm, replica)]
    if time is None:
        time = time_column(
            others,
            "Name the one that is meant (--time COLUMN, or time= of from_wide), or leave the other out.",
        )
    if replica is None and "replica" in others and time != "replica":
        replica = "replica"
    lower = {name.strip().lower(): name for name in others if name != time}
    apart = next((lower[name] for name in _INSTANCES if name in lower), None) if replica is None else None
    return {"time": time, "replica": replica, "apart": apart}


def _columns_of(metric: str, spec: Any) -> dict[str, str]:
    if isinstance(spec, str):
        return {"value": spec}
    if not isinstance(spec, Mapping) or "value" not in spec or set(spec) - {"value", "total"}:
        raise DataError(
            f"from_wide: metric {metric!r} is given as {shown(spec)}",
            'Write the column\'s name, or {"value": column, "total": column}.',
        )
    return {str(role): str(name) for role, name in spec.items()}


def _part(
    parts: Mapping[str, Column], apart: Mapping[str, Column], rows: np.ndarray[Any, Any]
) -> dict[str, Any]:
    cut = {role: _native(column, rows) for role, column in parts.items()}
    labels_of = {"apart": {name: _native(column, rows) for name, column in apart.items()}} if apart else {}
    return cut | labels_of | {"row": rows + 1}


def _native(column: Column, rows: np.ndarray[Any, Any]) -> Any:
    part = take(column, rows)
    return part if isinstance(part, np.ndarray) else part.to_native()
