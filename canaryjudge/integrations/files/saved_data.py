"""Data that were fetched, in a file: JSON that `--data` reads again, so that a verdict can be checked later."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["data_text", "write_data"]


def write_data(path: str | Path, data: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Write data to a file; see `data_text`.

    Parameters
    ----------
    path : str or pathlib.Path
        The file.
    data : mapping
        ``{metric: {arm: columns}}``.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    Path(path).write_text(data_text(data), encoding="utf-8")


def data_text(data: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Write data as JSON that reads back to the same verdict.

    JSON has neither NaN nor infinity: a missing number becomes null, and an infinite one the largest there is, which is left out of a
    judgment in the same way.

    Parameters
    ----------
    data : mapping
        ``{metric: {arm: columns}}``, a column being an array or a list, of buckets a list of lists.

    Returns
    -------
    str
        A line for each arm of a metric.

    Examples
    --------
    >>> print(data_text({"cpu": {"canary": {"value": np.array([0.5, np.nan]), "time": np.array([0.0, 60.0])}}}), end="")
    {"cpu": {
     "canary": {"value": [0.5, null], "time": [0.0, 60.0]}
    }}
    """
    metrics = []
    for metric, arms in data.items():
        lines = [f" {json.dumps(arm)}: {_columns(columns)}" for arm, columns in arms.items()]
        metrics.append(f"{json.dumps(metric)}: {{\n" + ",\n".join(lines) + "\n}")
    return "{" + ",\n".join(metrics) + "}\n"


def _columns(columns: Mapping[str, Any]) -> str:
    return json.dumps({name: _plain(column) for name, column in columns.items()}, allow_nan=False)


def _plain(item: Any) -> Any:
    if isinstance(item, np.ndarray):
        item = item.tolist()
    if isinstance(item, list):
        return [_plain(each) for each in item]
    if isinstance(item, float) and not math.isfinite(item):
        return None if math.isnan(item) else math.copysign(sys.float_info.max, item)
    return item
