"""A tidy table, a row a point, as a source of series."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.columns import Column, take
from canaryjudge.data.frames import labels, needed_column
from canaryjudge.data.places import Place
from canaryjudge.data.raw import RawSeries
from canaryjudge.data.time_column import time_column

__all__ = ["TidyTable"]


class TidyTable:
    """Columns `metric`, `arm`, `value` and, where given, `time`, `total`, `replica`, `le`; others are ignored."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self.metrics: list[str] = []
        self.arms: list[str] = []
        self._rows: dict[tuple[str, str], NDArray[np.intp]] = {}
        self._value: Column = np.empty(0)
        self._optional = {name: columns[name] for name in ("total", "replica", "le") if name in columns}
        if (time := time_column(columns)) is not None:
            self._optional["time"] = columns[time]
        if columns:
            metric, arm, self._value = (needed_column(columns, name) for name in ("metric", "arm", "value"))
            metric_of_row, self.metrics = labels(metric, "metric")
            arm_of_row, self.arms = labels(arm, "arm")
            if len(metric_of_row):
                self._group(metric_of_row * len(self.arms) + arm_of_row)

    def _group(self, group_of_row: NDArray[np.intp]) -> None:
        # numpy sorts integers of 8 and 16 bits in linear time
        small = group_of_row.astype(np.min_scalar_type(len(self.metrics) * len(self.arms)))
        order = np.argsort(small, kind="stable")
        starts = np.flatnonzero(np.diff(small[order], prepend=small[order[:1]]) != 0)
        parts = np.split(order, starts)
        for part in parts:
            metric, arm = divmod(int(group_of_row[part[0]]), len(self.arms))
            self._rows[self.metrics[metric], self.arms[arm]] = part

    def series(self, metric: str, arm: str) -> RawSeries:
        """Give one arm of one metric; one without points where it does not occur."""
        rows = self._rows.get((metric, arm))
        if rows is None:
            return RawSeries(Place(metric, arm), np.empty(0))
        extra: dict[str, Any] = {name: take(column, rows) for name, column in self._optional.items()}
        return RawSeries(Place(metric, arm, rows + 1), take(self._value, rows), **extra)
