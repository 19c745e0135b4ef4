"""A table with a column an arm, as dashboards export series that they have joined by time -> the mapping that `read_pairs` takes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.frames import Column, labels, take
from canaryjudge.data.times import time_column

__all__ = ["arm_columns", "from_arm_columns", "named_by_arm"]

_SEPARATOR: Final = r"[\s_.:/|-]*"
_SERIES: Final = re.compile(r"([\w:.-]*)\s*\{([^{}]*)\}")
_LABEL: Final = re.compile(r'[\w.]+\s*=\s*"?([^",]*)"?')


def arm_columns(
    names: Sequence[str], metrics: Sequence[str], arms: tuple[str, str]
) -> dict[str, tuple[str, str]]:
    """Find the columns of both arms of each metric; of a single metric, they may be named like the arms alone. None of a table with rows of points.

    Examples
    --------
    >>> arm_columns(["Time", "baseline", "canary"], ["latency"], ("baseline", "canary"))
    {'latency': ('baseline', 'canary')}
    >>> arm_columns(["ts", "cpu 1.4", "cpu 1.5", "rss 1.4"], ["cpu", "rss"], ("1.4", "1.5"))
    {'cpu': ('cpu 1.4', 'cpu 1.5')}
    """
    if "value" in names or "arm" in names:
        return {}
    if "metric" in names:
        return dict.fromkeys(metrics, arms) if all(arm in names for arm in arms) else {}
    found = {}
    for metric in metrics:
        fitting = [
            [name for name in names if _is_of(name, metric, arm, alone=len(metrics) == 1)] for arm in arms
        ]
        if all(len(each) == 1 for each in fitting):
            found[metric] = (fitting[0][0], fitting[1][0])
    return found


def _is_of(name: str, metric: str, arm: str, *, alone: bool) -> bool:
    text = name.strip()
    if alone and text == arm:
        return True
    if series := _SERIES.fullmatch(text):
        return arm in _LABEL.findall(series[2]) and series[1] in (("", metric) if alone else (metric,))
    first, second = re.escape(metric), re.escape(arm)
    either = f"{first}{_SEPARATOR}[(\\[]?{second}[)\\]]?|[(\\[]?{second}[)\\]]?{_SEPARATOR}{first}"
    return re.fullmatch(either, text) is not None


def named_by_arm(names: Sequence[str], arm: str) -> list[str]:
    """Give the metrics whose columns are named by an arm; one whose column has the name of the arm alone is called value.

    Examples
    --------
    >>> named_by_arm(["Time", "cpu 1.4", "cpu 1.5", 'rss{version="1.4"}', "1.4"], "1.4")
    ['cpu', 'rss', 'value']
    """
    between, own = r"[\s_.:/|-]+", re.escape(arm)
    found: dict[str, None] = {}
    for name in (each.strip() for each in names):
        if series := _SERIES.fullmatch(name):
            metric = (series[1] or "value") if arm in _LABEL.findall(series[2]) else ""
        elif name == arm:
            metric = "value"
        else:
            either = rf"(.*?\S){between}[(\[]?{own}[)\]]?|[(\[]?{own}[)\]]?{between}(\S.*)"
            match = re.fullmatch(either, name)
            metric = (match[1] or match[2]) if match else ""
        found |= {metric: None} if metric else {}
    return list(found)


def from_arm_columns(
    columns: Mapping[str, Column],
    metrics: Sequence[str],
    arms: tuple[str, str],
    numbers: NDArray[np.intp] | None = None,
) -> dict[str, dict[str, dict[str, Any]]] | None:
    """Take both arms of each metric from a table with a column an arm; None where it is none. Rows have the numbers that the caller gives them, if not from 1.

    Examples
    --------
    >>> columns = {"time": np.array([0.0, 60.0]), "baseline": np.array([1.0, 2.0]), "canary": np.array([3.0, 4.0])}
    >>> from_arm_columns(columns, ["cpu"], ("baseline", "canary"))["cpu"]["canary"]["value"].tolist()
    [3.0, 4.0]
    """
    found = arm_columns(list(columns), metrics, arms)
    if not found:
        return None
    used = {name for pair in found.values() for name in pair}
    time = time_column(name for name in columns if name not in used)
    beside = {"time": time, "replica": "replica" if "replica" in columns else None}
    rows = dict.fromkeys(found, np.arange(len(next(iter(columns.values())))))
    if "metric" in columns:
        metric_of_row, known = labels(columns["metric"], "metric", numbers)
        rows = {name: np.flatnonzero(metric_of_row == code) for code, name in enumerate(known)}
        found = dict.fromkeys(known, arms)
    return {
        metric: {
            arm: {
                role: _native(columns[column], rows[metric])
                for role, column in {"value": name, **beside}.items()
                if column is not None
            }
            | {"row": rows[metric] + 1 if numbers is None else numbers[rows[metric]]}
            for arm, name in zip(arms, pair, strict=True)
        }
        for metric, pair in found.items()
    }


def _native(column: Column, rows: np.ndarray[Any, Any]) -> Any:
    part = take(column, rows)
    return part if isinstance(part, np.ndarray) else part.to_native()
