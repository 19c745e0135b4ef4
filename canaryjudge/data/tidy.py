"""Tidy tables: the rows of each arm of each metric brought together, of one release or of many, and every column read at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.arm_columns import other_layouts
from canaryjudge.data.arm_facts import ArmFacts, FactColumns, fact_columns
from canaryjudge.data.diagnostics import Location
from canaryjudge.data.frames import (
    Column,
    Labels,
    floats_at_once,
    labels,
    needed_column,
    refuse_twins,
    replica_labels,
    take,
    user_codes,
)
from canaryjudge.data.pair import FloatArray
from canaryjudge.data.requests import ids_of_table
from canaryjudge.data.sources import RawSeries
from canaryjudge.data.times import Times, time_column, times_at_once
from canaryjudge.errors import BrokenDataError, DataError
from canaryjudge.kinds import Kind

__all__ = ["PlainColumns", "SinglePoints", "TidyRows", "TidyTable"]

_NONE: Final[Mapping[str, Kind]] = {}


class SinglePoints(NamedTuple):
    """One point of each arm of each metric of many releases."""

    whole: NDArray[np.bool_]
    """Which releases have these and nothing else; shape (releases,)."""
    value: FloatArray
    """NaN where there is none, as below; shape (releases, metrics, 2)."""
    total: FloatArray
    time: FloatArray
    zones: frozenset[str]
    """The zones in which the times were written."""


class PlainColumns(NamedTuple):
    """The points of many arms as whole columns, with what is so of each arm."""

    value: FloatArray
    total: FloatArray | None
    time: FloatArray | None
    starts: NDArray[np.intp]
    """Where each arm's begin."""
    facts: FactColumns


class TidyRows:
    """The rows of a table, those of one arm of one metric side by side; each column is read at once, where it takes no look at each arm.

    Parameters
    ----------
    columns : mapping of str to column
        The table's; `metric`, `arm`, `value` and, where given, a time, `total`, `replica`, `le` are used, of users `user`, `covariate`, `covariate_total`, and of pairs `request`.
    groups : tuple of (codes, names), each
        The metric and the arm of every row; -1 where there is none.
    releases : ndarray of int, shape (n,), optional
        Which release each row is of; one by default.
    numbers : ndarray of int, shape (n,), optional
        The number of each row, as the caller counts them; from 1 by default.
    kinds : mapping of str to Kind
        The kinds of the metrics that will be read; of others there are no facts.
    """

    def __init__(
        self,
        columns: Mapping[str, Column],
        groups: tuple[Labels, Labels],
        *,
        releases: NDArray[np.intp] | None = None,
        numbers: NDArray[np.intp] | None = None,
        kinds: Mapping[str, Kind] = _NONE,
    ) -> None:
        (metric, self.metrics), (arm, self.arms) = groups
        group = metric * len(self.arms) + arm
        if releases is not None:
            group += releases * (len(self.metrics) * len(self.arms))
        order = _order(group)
        if order is not None:
            group = group[order]
        self._order = np.arange(len(group)) if order is None else order
        self._numbers = self._order + 1 if numbers is None else numbers[self._order]
        self._starts = np.flatnonzero(np.diff(group, prepend=-1))
        self._bounds = [*self._starts.tolist(), len(group)]
        self.owners = group[self._starts]
        self._floats: dict[str, FloatArray] = {}
        self._unread: dict[str, Column] = {}
        self._time: Times | None = None
        self._replica: NDArray[np.intp] | None = None
        self._users: NDArray[np.int64] | None = None
        if "replica" in columns:
            self._replica, self._replicas = replica_labels(columns["replica"])
            if order is not None:
                self._replica = self._replica[order]
        self._requests: NDArray[np.int64] | None = None
        if "request" in columns and any(kind.is_paired for kind in kinds.values()):
            ids = ids_of_table(columns["request"])
            self._requests = ids if order is None else ids[order]
        by_user = any(kind.has_users for kind in kinds.values())
        for name in ("value", "total", "le", *(("covariate", "covariate_total") if by_user else ())):
            if name not in columns:
                continue
            found = None if name == "le" else floats_at_once(columns[name])
            if found is None:
                self._unread[name] = columns[name]
            else:
                self._floats[name] = found if order is None else found[order]
        if by_user and "user" in columns:
            self._users = user_codes(columns["user"])
            if order is not None:
                self._users = self._users[order]
        if (name_of_time := time_column(columns)) is not None:
            times = times_at_once(columns[name_of_time])
            if times is None:
                self._unread["time"] = columns[name_of_time]
            else:
                self._time = times if order is None else times[order]
        self._kinds = kinds
        self._facts: list[ArmFacts | None] | None = None

    def __len__(self) -> int:
        return len(self.owners)

    @cached_property
    def _columns(self) -> FactColumns | None:
        """Tell what is so of every arm, where all that is asked could be read at once."""
        value, seconds = self._floats.get("value"), None if self._time is None else self._time.seconds
        if not self._kinds or not len(self) or value is None or {"total", "time"} & set(self._unread):
            return None
        return fact_columns(value, self._floats.get("total"), seconds, self._starts, self._kinds_of_arms)

    @property
    def _kinds_of_arms(self) -> list[Kind | None]:
        known = [self._kinds.get(name) for name in self.metrics]
        metric = (self.owners // max(len(self.arms), 1)) % max(len(self.metrics), 1)
        return [known[code] for code in metric.tolist()]

    def _facts_of(self, place: int) -> ArmFacts | None:
        """Tell what is so of one arm: of a metric of these kinds, and with no more than one replica."""
        if self._facts is None:
            self._facts = [None] * len(self)
            if self._columns is not None:
                each = zip(self._columns.each(), self._kinds_of_arms, strict=True)
                self._facts = [None if kind is None else facts for facts, kind in each]
            if self._replica is not None and len(self):
                lows = np.minimum.reduceat(self._replica, self._starts).tolist()
                highs = np.maximum.reduceat(self._replica, self._starts).tolist()
                self._facts = [
                    None if facts is None or low != high else facts._replace(replica=self._replicas[low])
                    for facts, low, high in zip(self._facts, lows, highs, strict=True)
                ]
        return self._facts[place]

    def plain_columns(self) -> PlainColumns | None:
        """Give the points of all arms as whole columns; None where these could not be read at once, times have a unit of their own or replicas are told apart."""
        if self._columns is None or self._replica is not None or (self._time is not None and self._time.unit):
            return None
        seconds = None if self._time is None else self._time.seconds
        return PlainColumns(
            self._floats["value"], self._floats.get("total"), seconds, self._starts, self._columns
        )

    def places_of(self, count: int, metrics: Sequence[str], arms: tuple[str, str]) -> NDArray[np.intp]:
        """Give the places of both arms of some metrics of so many releases; -1 where there is none; shape (releases, metrics, 2)."""
        wanted = np.full((max(len(self.metrics), 1), max(len(self.arms), 1)), -1)
        for i, metric in enumerate(metrics):
            for j, arm in enumerate(arms):
                if metric in self.metrics and arm in self.arms:
                    wanted[self.metrics.index(metric), self.arms.index(arm)] = 2 * i + j
        release, own = np.divmod(self.owners, wanted.size)
        place = wanted.ravel()[own]
        found = np.full((count, 2 * len(metrics)), -1, dtype=np.intp)
        some = place >= 0
        found[release[some], place[some]] = np.flatnonzero(some)
        return found.reshape(count, len(metrics), 2)

    def bounds_of_releases(self, count: int) -> list[int]:
        """Give where the arms of each release begin among all, and where those of the last end."""
        size = max(len(self.metrics) * len(self.arms), 1)
        return [*self.owners.searchsorted(np.arange(count) * size).tolist(), len(self)]

    def single_points(self, count: int, metrics: Sequence[str], arms: tuple[str, str]) -> SinglePoints | None:
        """Give the points of so many releases where each arm has one, as whole columns; None where columns could not be read at once, or replicas are told apart."""
        if self._unread or self._replica is not None or self._time is None or "value" not in self._floats:
            return None
        if self._time.unit is not None or not len(self):
            return None
        places = self.places_of(count, metrics, arms)
        whole = ((places >= 0) & (np.diff(self._bounds)[places] == 1)).all(axis=(1, 2))
        every = np.bincount(self.owners // (len(self.metrics) * len(self.arms)), minlength=count)
        whole &= every == 2 * len(metrics)
        rows, chosen = self._starts[places], whole[:, None, None]

        def of(column: FloatArray | None) -> FloatArray:
            return np.full(places.shape, np.nan) if column is None else np.where(chosen, column[rows], np.nan)

        value, total = of(self._floats["value"]), of(self._floats.get("total"))
        return SinglePoints(whole, value, total, of(self._time.seconds), self._time.zones)

    def places(self, first: int, last: int) -> dict[tuple[str, str], int]:
        """Give the places of some arms by the names of their metrics and their own, in the order in which they occur."""
        metrics, arms = self.metrics, self.arms
        metric, arm = np.divmod(self.owners[first:last] % (len(metrics) * len(arms) or 1), len(arms) or 1)
        rows = self._numbers[self._starts[first:last]].tolist()
        each = sorted(zip(rows, range(first, last), metric.tolist(), arm.tolist(), strict=True))
        return {(metrics[of], arms[which]): place for _, place, of, which in each}

    def series(self, place: int, metric: str, arm: str) -> RawSeries:
        """Give the columns of one arm by its place among all."""
        start, end = self._bounds[place], self._bounds[place + 1]
        columns: dict[str, Any] = {name: column[start:end] for name, column in self._floats.items()}
        if self._time is not None:
            columns["time"] = self._time[start:end]
        if self._replica is not None:
            columns["replica"] = self._replicas[self._replica[start:end]]
        if self._users is not None and metric in self._kinds and self._kinds[metric].has_users:
            columns["user"] = self._users[start:end]
            if columns["user"].min(initial=0) < 0:
                row = self._numbers[start + int(columns["user"].argmin())]
                raise BrokenDataError(
                    f"row {row}: there is no user", "Fill in the column 'user', or leave out the row."
                )
        if self._requests is not None and metric in self._kinds and self._kinds[metric].is_paired:
            columns["request"] = self._requests[start:end]
        if self._unread:
            rows = self._order[start:end]
            columns |= {name: take(column, rows) for name, column in self._unread.items()}
        return RawSeries(
            Location(metric, arm, self._numbers[start:end]), facts=self._facts_of(place), **columns
        )


def _order(group: NDArray[np.intp]) -> NDArray[np.intp] | None:
    """Give the order that brings equal numbers together and leaves their rows in line; None where they are."""
    if not len(group) or bool((group[1:] >= group[:-1]).all()):
        return None
    # numpy sorts integers of 8 and 16 bits in linear time
    return np.argsort(group.astype(np.min_scalar_type(int(group.max()))), kind="stable")


class TidyTable:
    """Columns `metric`, `arm`, `value` and, where given, a time, `total`, `replica`, `le`, of users `user`, `covariate`, `covariate_total`, of pairs `request`; others are ignored."""

    def __init__(
        self,
        columns: Mapping[str, Column],
        kinds: Mapping[str, Kind] = _NONE,
        numbers: NDArray[np.intp] | None = None,
    ) -> None:
        self.metrics: list[str] = []
        self.arms: list[str] = []
        self._places: dict[tuple[str, str], int] = {}
        if not columns:
            return
        if "metric" not in columns:
            raise DataError("the table has no column 'metric'", other_layouts("metric", list(columns)))
        metric, arm, _ = (needed_column(columns, name) for name in ("metric", "arm", "value"))
        beside = (
            ("user", "covariate", "covariate_total") if any(kind.has_users for kind in kinds.values()) else ()
        )
        paired = ("request",) if any(kind.is_paired for kind in kinds.values()) else ()
        refuse_twins(columns, ("total", "replica", "le", *beside, *paired))
        groups = labels(metric, "metric", numbers), labels(arm, "arm", numbers)
        self._rows = TidyRows(columns, groups, numbers=numbers, kinds=kinds)
        self.metrics, self.arms = self._rows.metrics, self._rows.arms
        self._places = self._rows.places(0, len(self._rows))

    @classmethod
    def of_rows(cls, rows: TidyRows, first: int, last: int) -> TidyTable:
        """Take the arms at some places among all for a table of their own: of one release."""
        found = cls({})
        found._rows, found._places = rows, rows.places(first, last)
        found.metrics = list(dict.fromkeys(metric for metric, _ in found._places))
        found.arms = list(dict.fromkeys(arm for _, arm in found._places))
        return found

    def series(self, metric: str, arm: str) -> RawSeries:
        """Give one arm of one metric; one without points where it does not occur."""
        place = self._places.get((metric, arm))
        if place is None:
            return RawSeries(Location(metric, arm), np.empty(0))
        return self._rows.series(place, metric, arm)
