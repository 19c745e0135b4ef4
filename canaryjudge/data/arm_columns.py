"""A table with a column an arm, as dashboards export series that they have joined by time -> the mapping that `read_pairs` takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.diagnostics import likely_name
from canaryjudge.data.frames import Column, labels, refuse_twins, take
from canaryjudge.data.times import TIME_NAMES, time_column
from canaryjudge.data.unit_texts import read_cells
from canaryjudge.limits import COLUMN_CHARACTERS

__all__ = ["arm_columns", "from_arm_columns", "named_by_arm", "other_layouts", "told_arms"]

_SEPARATOR: Final = r"[\s_.:/|-]*"
_SERIES: Final = re.compile(r"([\w:.-]*)\s*\{([^{}]*)\}")
_LABEL: Final = re.compile(r'[\w.]+\s*=\s*"?([^",]*)"?')
_NAMES_ARMS: Final = re.compile(
    r"arm|version|release|track|variant|group|deployment|revision|app_version|service_version|image_tag",
    re.IGNORECASE,
)
_NAMED_LABEL: Final = re.compile(r'([\w.]+)\s*=\s*"?([^",]*)"?')


def arm_columns(
    names: Sequence[str], metrics: Sequence[str], arms: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    """Find the columns of all arms of each metric; of a single metric, they may be named like the arms alone. None of a table with rows of points.

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
    found: dict[str, tuple[str, ...]] = {}
    for metric in metrics:
        fitting = [
            [name for name in names if _is_of(name, metric, arm, alone=len(metrics) == 1)] for arm in arms
        ]
        if all(len(each) == 1 for each in fitting):
            found[metric] = tuple(each[0] for each in fitting)
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
    for name in (each.strip() for each in names if len(each) <= COLUMN_CHARACTERS):
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


def told_arms(names: Sequence[str]) -> tuple[str, str] | None:
    """Guess the arms from the names of two columns, of a metric and an arm each, or of series that differ in one label; None where they do not tell.

    Examples
    --------
    >>> told_arms(['p99{job="shop",version="1.4"}', 'p99{job="shop",version="1.5"}', 'cpu{version="1.4"}', 'cpu{version="1.5"}'])
    ('1.4', '1.5')
    >>> told_arms(["v1", "v2"]), told_arms(["v1", "v2", "v3"])
    (('v1', 'v2'), None)
    >>> told_arms(["p99 v1", "p99 v2", "error rate v1", "error rate v2"])
    ('v1', 'v2')
    """
    series = [_SERIES.fullmatch(name.strip()) for name in names]
    known = [each for each in series if each is not None]
    if len(known) == len(names) > 1:
        labels_of = [dict(_NAMED_LABEL.findall(each[2])) for each in known]
        values = {key: list(dict.fromkeys(each.get(key, "") for each in labels_of)) for key in labels_of[0]}
        two = [found for found in values.values() if len(found) == 2 and all(found)]
        return (two[0][0], two[0][1]) if len(two) == 1 else None
    if known:
        return None
    if len(names) > 2:  # a metric and an arm each
        parts = [name.rpartition(" ") for name in names]
        arms = list(dict.fromkeys(arm for _, _, arm in parts))
        metrics = {metric for metric, _, _ in parts}
        paired = all(metrics) and len(arms) == 2 and len(set(parts)) == len(names) == 2 * len(metrics)
        return (arms[0], arms[1]) if paired else None
    return (names[0], names[1]) if len(names) == 2 else None


def other_layouts(name: str, names: Sequence[str]) -> str:
    """Say how a table is read that lacks a column of tidy ones: first what its names suggest, then what there is.

    Examples
    --------
    >>> other_layouts("metric", ["time", "version", "p99_ms"]).partition(". ")[0]
    'For a column a metric, say that version names the arms: --wide version, or from_wide'
    >>> other_layouts("metric", ["Time", "v1", "v2"]).partition(". ")[0]
    'For a column an arm, name the arms: --baseline v1 --canary v2'
    """
    listed = likely_name(name, names, "columns")
    others = [each for each in names if each.strip().lower() not in TIME_NAMES]
    versions = [each for each in names if _NAMES_ARMS.fullmatch(each.strip())]
    if name != "metric":
        versions, others = [], []
    if len(versions) == 1:
        return f"For a column a metric, say that {versions[0]} names the arms: --wide {shlex.quote(versions[0])}, or from_wide. {listed}"
    if len(others) == 1 and len(names) == 2:
        return f"There is one series, and a release has two: let the dashboard join them (in Grafana: Inspect, Data, Series joined by time). {listed}"
    if (arms := told_arms(others)) is not None:
        baseline, canary = map(shlex.quote, arms)
        return f"For a column an arm, name the arms: --baseline {baseline} --canary {canary}. {listed}"
    return (
        f"{listed} A tidy table has metric, arm and value; for a column a metric, name the arm's column (--wide, from_wide); for a column "
        "an arm, name the arms as the columns are (--baseline, --canary), with the metric before them where there are several."
    )


def from_arm_columns(
    columns: Mapping[str, Column],
    metrics: Sequence[str],
    arms: tuple[str, ...],
    numbers: NDArray[np.intp] | None = None,
) -> dict[str, dict[str, dict[str, Any]]] | None:
    """Take the arms of each metric from a table with a column an arm; None where it is none. Rows have the numbers that the caller gives them, if not from 1.

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
    refuse_twins([name for name in columns if name not in used], ["metric", "replica"])
    time = time_column(name for name in columns if name not in used)
    beside = {"time": time, "replica": "replica" if "replica" in columns else None}
    rows = dict.fromkeys(found, np.arange(len(next(iter(columns.values())))))
    if "metric" in columns:
        metric_of_row, known = labels(columns["metric"], "metric", numbers)
        rows = {name: np.flatnonzero(metric_of_row == code) for code, name in enumerate(known)}
        found = dict.fromkeys(known, arms)
    return {
        metric: {
            arm: value
            | {
                role: _native(columns[column], rows[metric])
                for role, column in beside.items()
                if column is not None
            }
            | {"row": rows[metric] + 1 if numbers is None else numbers[rows[metric]]}
            for arm, value in zip(arms, _values([columns[name] for name in pair], rows[metric]), strict=True)
        }
        for metric, pair in found.items()
    }


def _values(pair: Sequence[Column], rows: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
    """Take the values of all arms, and the unit where the cells have it, one for all."""
    read = read_cells([take(column, rows) for column in pair])
    if read is not None:
        return [{"value": values, "unit": read[1]} for values in read[0]]
    return [{"value": _native(column, rows)} for column in pair]


def _native(column: Column, rows: np.ndarray[Any, Any]) -> Any:
    part = take(column, rows)
    return part if isinstance(part, np.ndarray) else part.to_native()
