"""What whole columns tell of every arm in them: the facts by which most arms are seen to need no cleaning and no note."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.pair import FloatArray
from canaryjudge.data.times import LATEST
from canaryjudge.kinds import Kind

__all__ = ["HUGE", "ArmFacts", "FactColumns", "fact_columns", "facts_of"]

BoolArray: TypeAlias = NDArray[np.bool_]

HUGE: Final = 1e150
"""Larger numbers stand for "none" (the largest double) and have no finite square."""
_NUMBERS: Final = 1e30
"""Of larger levels it is not told here how long they stand still."""


class ArmFacts(NamedTuple):
    """What is so of one arm, as it was given."""

    size: int
    """Points; at least one."""
    finite: bool
    """All values are, and none is huge."""
    low: float
    high: float
    """The smallest and the largest value; NaN where one is missing."""
    parts: bool
    """A value lies between 0 and 1."""
    grows: bool
    """Every value is larger than the one before."""
    sinks: bool
    """A value is less than the one before and more than a tenth of it."""
    totals: bool
    """There are totals."""
    out_of: bool
    """They are finite and positive, and no value is larger than its own."""
    positive: bool
    """They are finite and positive."""
    totals_grow: bool
    """Each is larger than the one before."""
    timed: bool
    """There are times."""
    in_time: bool
    """All points have one, none before the one before."""
    apart: bool
    """No two points share their time."""
    first: float
    last: float
    """When the arm begins and ends; without times its first and last place in line."""
    shortest: float
    longest: float
    """The steps between points; of one point infinite and its negative."""
    step: float
    """The median of the steps, where more than half are the shortest; NaN where it is not known."""
    missing: float
    """How many steps of that length the longer ones leave out."""
    pause: float
    """The longest time between two points that say something new; infinite where it is not known."""
    news: float
    """When the last of those was."""
    replica: str = ""
    """The replica that all points are of; none where the data do not name it."""


class FactColumns(NamedTuple):
    """The same of many arms, one an entry of each array."""

    size: NDArray[np.intp]
    finite: BoolArray
    low: FloatArray
    high: FloatArray
    parts: BoolArray
    grows: BoolArray
    sinks: BoolArray
    totals: BoolArray
    out_of: BoolArray
    positive: BoolArray
    totals_grow: BoolArray
    timed: BoolArray
    in_time: BoolArray
    apart: BoolArray
    first: FloatArray
    last: FloatArray
    shortest: FloatArray
    longest: FloatArray
    step: FloatArray
    missing: FloatArray
    pause: FloatArray
    news: FloatArray

    def at(self, arms: NDArray[np.intp]) -> FactColumns:
        """Give those of some arms."""
        columns: list[Any] = [column[arms] for column in self]
        return FactColumns(*columns)

    def each(self) -> list[ArmFacts]:
        """Give those of each arm."""
        return list(starmap(ArmFacts, zip(*(column.tolist() for column in self), strict=True)))


def fact_columns(
    value: FloatArray,
    total: FloatArray | None,
    time: FloatArray | None,
    starts: NDArray[np.intp],
    kinds: Sequence[Kind | None],
) -> FactColumns:
    """Tell what is so of many arms, given whole columns, where each arm starts in them and what kind its metric is."""
    with np.errstate(invalid="ignore", over="ignore"):
        sizes = np.diff(starts, append=len(value))
        where = _Places(starts, sizes)
        columns: list[Any] = [sizes, *_of_values(value, where), *_of_totals(value, total, where)]
        columns += _of_times(time, where)
        columns += _of_news(value, total, time, where, kinds)
    return FactColumns(*columns)


def facts_of(
    value: FloatArray,
    total: FloatArray | None,
    time: FloatArray | None,
    starts: NDArray[np.intp],
    kinds: Sequence[Kind | None],
) -> list[ArmFacts]:
    """Tell the same of each arm.

    Examples
    --------
    >>> from canaryjudge.kinds import KINDS
    >>> value, time = np.array([3.0, 1.0, 2.0, np.nan]), np.array([0.0, 60.0, 120.0, 60.0])
    >>> first, second = facts_of(value, None, time, np.array([0, 3]), [KINDS["gauge"]] * 2)
    >>> first.finite, first.low, first.apart, first.step, second.finite
    (True, 1.0, True, 60.0, False)
    """
    return fact_columns(value, total, time, starts, kinds).each() if len(starts) else []


class _Places(NamedTuple):
    """Where arms start in whole columns, and how long they are."""

    starts: NDArray[np.intp]
    sizes: NDArray[np.intp]

    def any(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return np.logical_or.reduceat(mask, self.starts)

    def steps(self, column: FloatArray) -> FloatArray:
        """Give what each point is more than the one before, infinite for the first of an arm."""
        steps = np.empty(len(column))
        np.subtract(column[1:], column[:-1], out=steps[1:])
        steps[self.starts] = np.inf
        return steps


def _of_values(value: FloatArray, where: _Places) -> list[NDArray[np.generic]]:
    low, high = np.minimum.reduceat(value, where.starts), np.maximum.reduceat(value, where.starts)
    before = np.empty(len(value))
    before[1:] = value[:-1]
    before[where.starts] = np.nan
    fell = value < before
    fell &= value > before / 10
    return [
        (low >= -HUGE) & (high <= HUGE),
        low,
        high,
        where.any((value > 0) & (value < 1)),
        ~where.any(value <= before),
        where.any(fell),
    ]


def _of_totals(value: FloatArray, total: FloatArray | None, where: _Places) -> list[NDArray[np.generic]]:
    if total is None:
        none = np.zeros(len(where.starts), dtype=np.bool_)
        return [none] * 4
    low, high = np.minimum.reduceat(total, where.starts), np.maximum.reduceat(total, where.starts)
    positive = (low > 0) & (high <= HUGE)
    there = positive if positive.all() else where.any(~np.isnan(total))
    return [
        there,
        positive & ~where.any(value > total),
        positive,
        np.minimum.reduceat(where.steps(total), where.starts) > 0,
    ]


def _of_times(time: FloatArray | None, where: _Places) -> list[NDArray[np.generic]]:
    if time is None:
        every, last = np.ones(len(where.starts), dtype=np.bool_), where.sizes - 1.0
        alone = last == 0
        return [
            ~every,
            every,
            every,
            np.zeros(len(last)),
            last,
            np.where(alone, np.inf, 1.0),
            np.where(alone, -np.inf, 1.0),
            np.where(alone, np.nan, 1.0),
            np.zeros(len(last)),
        ]
    first, last = time[where.starts], time[where.starts + where.sizes - 1]
    steps = where.steps(time)
    shortest = np.minimum.reduceat(steps, where.starts)
    usual = np.add.reduceat(steps == np.repeat(shortest, where.sizes), where.starts, dtype=np.intp)
    known = (2 * usual > where.sizes - 1) & np.isfinite(shortest) & (shortest > 0)
    steps[where.starts] = -np.inf
    longest = np.maximum.reduceat(steps, where.starts)
    step = np.where(known, shortest, np.nan)
    left_out = np.rint(steps / np.repeat(step, where.sizes)) - 1
    missing = np.add.reduceat(np.maximum(left_out, 0), where.starts)
    known_ends = np.isfinite(first) & np.isfinite(last) & (np.maximum(np.abs(first), np.abs(last)) <= LATEST)
    return [
        known_ends if known_ends.all() else where.any(~np.isnan(time)),
        known_ends & (shortest >= 0),
        known_ends & (shortest > 0),
        first,
        last,
        shortest,
        longest,
        step,
        missing,
    ]


def _of_news(
    value: FloatArray,
    total: FloatArray | None,
    time: FloatArray | None,
    where: _Places,
    kinds: Sequence[Kind | None],
) -> list[FloatArray]:
    averaged = np.array([kind is not None and kind.is_averaged for kind in kinds])
    counted = np.array([kind is not None and kind.counts_events for kind in kinds])
    fresh = np.ones(len(value), dtype=np.bool_)
    if averaged.any():
        level = np.clip(value, -_NUMBERS, _NUMBERS).astype(np.float32)
        moved = level != 0
        moved[1:] &= level[1:] != level[:-1]
        moved[where.starts] = level[where.starts] != 0
        fresh = moved if averaged.all() else np.where(np.repeat(averaged, where.sizes), moved, fresh)
    if counted.any():
        traffic = (value if total is None else np.where(np.isnan(total), value, total)) > 0
        fresh = traffic if counted.all() else np.where(np.repeat(counted, where.sizes), traffic, fresh)
    chosen = np.flatnonzero(fresh)
    counts = np.add.reduceat(fresh, where.starts, dtype=np.intp)
    ends = counts.cumsum()
    pause, news = np.full(len(counts), np.inf), np.full(len(counts), -np.inf)
    some = np.flatnonzero(counts)
    if not len(some):
        return [pause, news]
    when = (chosen - np.repeat(where.starts, counts)).astype(np.float64) if time is None else time[chosen]
    begins = (ends - counts)[some]
    steps = np.empty(len(when))
    np.subtract(when[1:], when[:-1], out=steps[1:])
    steps[begins] = 0.0
    pause[some], news[some] = np.maximum.reduceat(steps, begins), when[ends[some] - 1]
    return [pause, news]
