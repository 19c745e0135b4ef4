"""Points an interval, as they come: what both arms have is handed out, what only one has waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np

from canaryjudge.data.buckets import common_edges, lasting, left_out, regrouped, too_few_common
from canaryjudge.data.diagnostics import Location
from canaryjudge.data.exponential_histograms import on_a_grid
from canaryjudge.data.intake import SURPLUS, Intake, IntArray, KnownPoints, Reach, Tally, block_hash, slots_of
from canaryjudge.data.pair import Arm, FloatArray, MetricPair
from canaryjudge.data.pairing import partners
from canaryjudge.data.series import Series
from canaryjudge.errors import DataError
from canaryjudge.kinds import KINDS, Kind
from canaryjudge.packing import pack, pack_times, read_flag, unpack, unpack_times
from canaryjudge.policy import Metric

__all__ = ["IntervalIntake"]

_PENDING = 64  # points of one clock that wait for the other arm, and the slots that they wait
_UNTIMED = 4096
_LEARNING = 32

_NONE: FloatArray = np.empty((0, 0))


class IntervalIntake(Intake):
    """What one metric with a point an interval has been given.

    Points are rows of one array: time, value, the total where there is one, and the buckets of a histogram.
    """

    def __init__(self, metric: Metric, names: tuple[str, str]) -> None:
        super().__init__(metric, names)
        self._known = (KnownPoints(), KnownPoints())
        self._pending = (_NONE, _NONE)
        self._early: IntArray = np.empty(0, dtype=np.int64)
        self._spacing = metric.interval

    @property
    def interval(self) -> float | None:
        """The policy's spacing, or the median step of the first complete intervals."""
        return self._spacing

    @property
    def waiting(self) -> tuple[FloatArray, FloatArray]:
        """The times of the points that wait, of each arm."""
        first, second = (rows[:, 0] if len(rows) else np.empty(0) for rows in self._pending)
        return first, second

    @property
    def waiting_totals(self) -> tuple[float, float]:
        """The mean total of the points that wait, of each arm; 0 where none do."""
        first, second = (
            float(rows[:, 2].mean()) if self.agreement.totals and len(rows) else float(len(rows) > 0)
            for rows in self._pending
        )
        return first, second

    def fit(self, arms: Sequence[Series]) -> list[int]:
        """Find the edges that all histograms so far know, and tell how many of each arm's own are not among them.

        As soon as intervals have been handed out, their edges stay.
        """
        given = [
            (arm.edges, arm.buckets) for arm in arms if arm.edges is not None and arm.buckets is not None
        ]
        if all(self.edges is not None and np.array_equal(edges, self.edges) for edges, _ in given):
            return [0] * len(arms)
        where = f"metric {self.metric.name!r}"
        before = self.edges
        layouts = given if before is None else [*given, (before, self._waiting_buckets(before))]
        common = common_edges(layouts)
        if before is not None and self.tally.blocks:
            if not np.isin(before, common).all():
                raise DataError(
                    f"{where}: edges of the buckets are missing that the intervals judged so far had",
                    "Give the same buckets in every update, or begin a new monitor.",
                )
            # those of exponential layouts are as many as there are values: what is new of them is no loss
            return [
                0
                if arm.edges is None
                else int((~np.isin(arm.edges, before) & ~on_a_grid(arm.edges, arm.factor)).sum())
                for arm in arms
            ]
        if len(common) < 2:
            raise too_few_common(where, "both arms", common)
        self.edges = lasting(common, layouts, [arm.factor for arm in arms])
        if before is not None and not np.array_equal(before, self.edges):
            self._regroup(before, self.edges)
        return [
            0 if arm.edges is None or arm.buckets is None else left_out(arm.edges, arm.buckets, common)
            for arm in arms
        ]

    def _waiting_buckets(self, edges: FloatArray) -> FloatArray:
        parts = [rows[:, self._columns :] for rows in self._pending if len(rows)]
        return np.concatenate([np.empty((0, len(edges))), *parts])

    def _regroup(self, before: FloatArray, edges: FloatArray) -> None:
        """Bring what waits to other edges, and what is remembered of it."""
        pending, known = list(self._pending), list(self._known)
        for index, rows in enumerate(self._pending):
            if len(rows):
                moved = pending[index] = self._by_edges(rows, before, edges)
                if self.timed:
                    known[index] = KnownPoints(known[index].floor).remember(_keys(moved), moved)
        self._pending, self._known = (pending[0], pending[1]), (known[0], known[1])

    def _by_edges(self, rows: FloatArray, before: FloatArray, edges: FloatArray) -> FloatArray:
        if np.array_equal(before, edges):
            return rows
        return np.hstack([rows[:, : self._columns], regrouped(before, rows[:, self._columns :], edges)])

    @property
    def _columns(self) -> int:
        return 3 if self.agreement.totals else 2

    def take(self, arms: Sequence[Series]) -> list[int]:
        """Add what is new, and tell how many points of each arm are too late."""
        known, pending, reach, late = list(self._known), list(self._pending), list(self.reach), [0, 0]
        for index, series in enumerate(arms):
            rows = _rows(series)
            if not len(rows):
                continue
            if series.edges is not None and self.edges is not None:
                # what is remembered of a histogram must not depend on the edges of those that came with it
                rows = self._by_edges(rows, series.edges, self.edges)
            first, last = np.inf, -np.inf
            if series.time is not None:
                keys = _keys(rows)
                keys, rows = _merged(KINDS[self.metric.kind], keys, rows)
                place = Location(self.metric.name, self.names[index])
                new, late[index] = known[index].unknown(keys, rows, place)
                if new is not None:
                    keys, rows = keys[new], rows[new]
                    if not len(rows):
                        continue
                known[index] = known[index].remember(keys, rows)
                first, last = float(rows[0, 0]), float(rows[-1, 0])
            self._saw(
                index,
                None if series.time is None else rows[:, 0],
                rows[:, 1],
                rows[:, 2] if self.agreement.totals else None,
                None if self.edges is None else rows[:, self._columns :],
            )
            reach[index] = reach[index].plus(Reach(len(rows), first, last))
            pending[index] = _appended(pending[index], rows)
        self._known = (known[0], known[1])
        self._pending = (pending[0], pending[1])
        self.reach = (reach[0], reach[1])
        return late

    def complete(self) -> tuple[list[MetricPair], list[int]]:
        """Hand out what is complete, and tell how many points of each arm were dropped for want of a partner."""
        baseline, canary = self._pending
        pairs = []
        if len(baseline) and len(canary):
            if self.windows:
                count = min(len(baseline), len(canary))
                self._pending = (baseline[count:].copy(), canary[count:].copy())
                baseline, canary = baseline[:count], canary[:count]
            else:
                slots = [slots_of(rows[:, 0], self.slot) for rows in self._pending]
                if len(baseline) == len(canary) and (slots[0] == slots[1]).all():
                    self._pending = (baseline[:0].copy(), canary[:0].copy())
                else:
                    here, there = partners(slots[0], slots[1], one_each=True)
                    self._pending = (baseline[~here], canary[~there])
                    baseline, canary = baseline[here], canary[there]
            if len(baseline):
                pairs.append(self._pair(baseline, canary))
        return pairs, self._drop()

    def _pair(self, baseline: FloatArray, canary: FloatArray) -> MetricPair:
        together: FloatArray | None = None
        pairing: Literal["concurrent", "windows"] = "windows"
        first, last = np.inf, -np.inf
        if self.timed:
            later = np.maximum(baseline[:, 0], canary[:, 0])
            first, last = float(later.min()), float(later.max())
            self._learn(later)
            if not self.windows:
                together, pairing = later, "concurrent"
        self._count(baseline, canary, first, last)
        return MetricPair(
            name=self.metric.name,
            kind=self.metric.kind,
            baseline=self._arm(baseline, together),
            canary=self._arm(canary, together),
            pairing=pairing,
            interval=self._spacing,
            edges=self.edges,
        )

    def _arm(self, rows: FloatArray, time: FloatArray | None) -> Arm:
        if time is None and self.timed:
            time = rows[:, 0].copy()
        return Arm(
            rows[:, 1].copy(),
            rows[:, 2].copy() if self.agreement.totals else None,
            time,
            None if self.edges is None else rows[:, self._columns :].copy(),
        )

    def _count(self, baseline: FloatArray, canary: FloatArray, first: float, last: float) -> None:
        size = 8 * baseline.shape[1]
        texts = baseline.tobytes(), canary.tobytes()
        digest = 0
        for index in range(len(baseline)):
            # without a time, the place in line is what tells a point from its equals
            place = b"" if self.timed else (self.tally.blocks + index).to_bytes(8, "little")
            part = slice(index * size, index * size + size)
            digest += block_hash(place, texts[0][part], texts[1][part])
        count = len(baseline)
        self.tally = self.tally.plus(Tally((count, count), count, first, last, digest))

    def _learn(self, times: FloatArray) -> None:
        known = len(self._early)
        if self.metric.interval is None and known < _LEARNING:
            more = np.rint(times[: _LEARNING - known] * 1e6).astype(np.int64)
            self._early = np.sort(np.concatenate([self._early, more]))
            self._spacing = _median_step(self._early)

    def _drop(self) -> list[int]:
        kept, dropped = list(self._pending), [0, 0]
        most = SURPLUS if self.timed else _UNTIMED
        for index, rows in enumerate(self._pending):
            if not len(rows):
                continue
            if self.windows:  # those first in line have their partners first
                kept[index] = rows[:most]
            elif self.windows is None:
                kept[index] = rows[-most:]
            else:
                kept[index] = rows[self._first_fresh(rows) :][-_PENDING:]
            dropped[index] = len(rows) - len(kept[index])
            if dropped[index]:
                kept[index] = kept[index].copy()
        self._pending = (kept[0], kept[1])
        return dropped

    def _first_fresh(self, rows: FloatArray) -> int:
        settled = self.metric.interval is not None or len(self._early) >= _LEARNING
        if self._spacing is None or not settled:
            return 0
        newest = max(reach.last for reach in self.reach)
        return int(rows[:, 0].searchsorted(newest - _PENDING * self._spacing))

    def same_data(self, other: Self) -> bool:
        """Tell whether both have been given the same points."""
        counts = [mine.shared(theirs) for mine, theirs in zip(self._known, other._known, strict=True)]
        # a few equal points are chance: 0 errors of 3 requests are common in each of two regions
        return 2 * sum(same for _, same in counts) > sum(common for common, _ in counts)

    def merge(self, other: Self) -> None:
        """Take over what another has been given; nothing is handed out before the next `complete`."""
        super().merge(other)
        self._known = (self._known[0].union(other._known[0]), self._known[1].union(other._known[1]))
        first, second = (
            _sorted(_joined(mine, theirs)) for mine, theirs in zip(self._pending, other._pending, strict=True)
        )
        self._pending = (first, second)
        self._early = np.sort(np.concatenate([self._early, other._early]))[:_LEARNING]
        self._spacing = self.metric.interval or _median_step(self._early)

    def state(self) -> dict[str, Any]:
        """Give what `restore` reads."""
        found = super().state() | {"totals": self.agreement.totals}
        if self.edges is not None:
            found["edges"] = pack(self.edges)
            end = self.agreement.end
            found["end"] = end if end is not None and np.isfinite(end) else None
        if any(len(rows) for rows in self._pending):
            found["pending"] = [pack(rows) for rows in self._pending]
        if self.timed:
            found |= {"seen": [known.state() for known in self._known], "early": pack_times(self._early)}
        return found

    def restore(self, state: dict[str, Any]) -> None:
        """Read what `state` gave."""
        super().restore(state)
        self.agreement = replace(self.agreement, totals=read_flag(state["totals"]))
        if "edges" in state:
            self.edges = unpack(state["edges"])
            end = np.inf if state["end"] is None else float(state["end"])
            self.agreement = replace(self.agreement, end=end)
            if not (np.diff(self.edges) > 0).all():
                raise ValueError("the edges do not ascend")
        width = self._columns + (0 if self.edges is None else len(self.edges))
        if "pending" in state:
            first, second = (unpack(text, shape=(-1, width)) for text in state["pending"])
            if not (np.isfinite(first).all() and np.isfinite(second).all()):
                raise ValueError("what waits is not finite")
            self._pending = (first, second)
        if self.timed:
            before, after = (KnownPoints.restore(part) for part in state["seen"])
            self._known = (before, after)
            self._early = unpack_times(state["early"])[:_LEARNING]
            self._spacing = self.metric.interval or _median_step(self._early)


def _rows(series: Series) -> FloatArray:
    columns = [series.value] if series.total is None else [series.value, series.total]
    width = 1 + len(columns)
    buckets = series.buckets
    rows = np.zeros((len(series), width + (0 if buckets is None else buckets.shape[1])))
    if series.time is not None:
        rows[:, 0] = series.time
    for index, column in enumerate(columns):
        rows[:, 1 + index] = column
    if buckets is not None:
        rows[:, width:] = buckets
    rows += 0.0  # a negative zero equals a zero, and so must its bytes
    return rows


def _keys(rows: FloatArray) -> IntArray:
    return np.rint(rows[:, 0] * 1e6).astype(np.int64)


def _merged(kind: Kind, keys: IntArray, rows: FloatArray) -> tuple[IntArray, FloatArray]:
    """Make one point of those of one time: a gauge's average, the sum of anything else."""
    if len(keys) < 2 or not (repeats := keys[1:] == keys[:-1]).any():
        return keys, rows
    starts = np.flatnonzero(np.concatenate([[True], ~repeats]))
    merged = np.add.reduceat(rows, starts, axis=0)
    merged[:, 0] = rows[starts, 0]
    if kind.is_averaged:
        merged[:, 1] /= np.diff(np.append(starts, len(keys)))
    return keys[starts], merged


def _joined(first: FloatArray, second: FloatArray) -> FloatArray:
    if not len(first):
        return second
    return np.concatenate([first, second]) if len(second) else first


def _appended(rows: FloatArray, new: FloatArray) -> FloatArray:
    if not len(rows):
        return new
    rows = np.concatenate([rows, new])
    if (rows[1:, 0] < rows[:-1, 0]).any():
        rows = rows[np.argsort(rows[:, 0], kind="stable")]
    return rows


def _sorted(rows: FloatArray) -> FloatArray:
    return rows[np.lexsort(rows.T[::-1])] if len(rows) else rows


def _median_step(times: IntArray) -> float | None:
    steps = np.diff(times)
    steps = np.sort(steps[steps > 0])
    if not len(steps):
        return None
    middle = steps[(len(steps) - 1) // 2 : len(steps) // 2 + 1]
    return float(middle.sum()) / len(middle) / 1e6
