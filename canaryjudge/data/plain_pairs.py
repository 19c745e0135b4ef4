"""Pairs of which whole columns tell that nothing is odd: most are so, and of many releases they are made at once, without a look at each.

What is plain would be left as it is by `clean` and `align`, without a note; whatever may not be is left to them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.arm_facts import FactColumns
from canaryjudge.data.counters import FEWEST
from canaryjudge.data.diagnostics import near_twins
from canaryjudge.data.pair import Arm, FloatArray, MetricPair
from canaryjudge.data.pairing import UNITS_APART, may_be_count, same_arms
from canaryjudge.data.sameness import MORE, signatures
from canaryjudge.data.series import Series
from canaryjudge.data.silence import GAP, LEAST, TAIL, WHOLE
from canaryjudge.data.tidy import PlainColumns, TidyRows
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric, Policy

__all__ = ["plain_pairs"]

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.intp]


def plain_pairs(
    rows: TidyRows, count: int, policy: Policy, arms: tuple[str, str]
) -> list[dict[str, MetricPair] | None]:
    """Make the pairs of those of so many releases of which all are plain; None for another.

    Examples
    --------
    >>> value = np.array([3.0, 4.0, 5.0, 3.5, 4.0, 5.5, 3.0, 4.5, 5.0, 3.5, 4.2, np.nan])
    >>> groups = (np.zeros(12, dtype=int), ["cpu"]), (np.tile([0, 1], 6), ["old", "new"])
    >>> rows = TidyRows({"value": value}, groups, releases=np.repeat([0, 1], 6), kinds={"cpu": KINDS["gauge"]})
    >>> policy = Policy(metrics=[Metric(name="cpu", direction="increase", min_points=3)])
    >>> first, second = plain_pairs(rows, 2, policy, ("old", "new"))
    >>> first["cpu"].baseline.value.tolist(), second
    ([3.0, 5.0, 4.0], None)
    """
    none: list[dict[str, MetricPair] | None] = [None] * count
    names = [metric.name for metric in policy.metrics]
    columns = rows.plain_columns() if all(map(_is_looked_at_alone, policy.metrics)) else None
    if columns is None or near_twins(arms, rows.arms) or near_twins(names, rows.metrics):
        return none
    places = rows.places_of(count, names, arms)
    timed = columns.facts.timed[places]
    plain = np.asarray((places >= 0).all(axis=(1, 2)) & (timed.all(axis=(1, 2)) | ~timed.any(axis=(1, 2))))
    ends = columns.facts.last[places].max(axis=1)
    of_metric: list[list[MetricPair | None]] = []
    for at, metric in enumerate(policy.metrics):
        chosen = np.flatnonzero(plain)
        asked = _Asked(metric, columns, places[chosen, at, 0], places[chosen, at, 1], ends[chosen])
        made: list[MetricPair | None] = [None] * count
        for index, pair in zip(chosen.tolist(), asked.pairs(), strict=True):
            made[index] = pair
        plain &= np.array([pair is not None for pair in made], dtype=np.bool_)
        of_metric.append(made)
    each = zip(*of_metric, strict=True)
    return [
        {pair.name: pair for pair in own if pair is not None} if whole else None
        for whole, own in zip(plain.tolist(), each, strict=True)
    ]


def _is_looked_at_alone(metric: Metric) -> bool:
    """Tell whether all that may be odd about a metric's points shows in them, one by one or arm beside arm."""
    kind, derived = KINDS[metric.kind], metric.counter or metric.query is not None
    return not (
        derived
        or metric.warmup is not None
        or kind.has_buckets
        or kind.has_users
        or kind.is_paired
        or may_be_count(metric)
    )


class _Asked(NamedTuple):
    """Both arms of one metric of many releases."""

    metric: Metric
    columns: PlainColumns
    baseline: IntArray
    """The places of the arms, shape (n,)."""
    canary: IntArray
    ends: FloatArray
    """When each release's arms end, over all metrics; shape (n, 2)."""

    def pairs(self) -> list[MetricPair | None]:
        """Give the pairs that are plain, and None for the others."""
        first, second = (self.columns.facts.at(arm) for arm in (self.baseline, self.canary))
        found: list[MetricPair | None] = [None] * len(self.baseline)
        plain = np.flatnonzero(self._by_facts(first, second))
        shape = 2 * first.size[plain] + first.totals[plain]
        for own in np.unique(shape).tolist():
            chosen = plain[shape == own]
            size, totals = divmod(own, 2)
            points = [self.columns.starts[arm[chosen]][:, None] + np.arange(size) for arm in self[2:4]]
            made = self._of_size(points, first.step[chosen], totals=bool(totals))
            for index, pair in zip(chosen.tolist(), made, strict=True):
                found[index] = pair
        return found

    def _by_facts(self, first: FactColumns, second: FactColumns) -> BoolArray:
        """Tell which may be, by what is so of each arm."""
        metric, kind, timed = self.metric, KINDS[self.metric.kind], first.timed
        plain = (first.size == second.size) & (first.size >= max(metric.needed_points, 2))
        plain &= (first.size <= WHOLE) & (first.totals == second.totals)
        falls = [each.sinks | (each.low < 0) for each in (first, second)]
        plain &= falls[0] | falls[1]  # what falls is no counter
        step = np.where(timed, first.step, 1.0)
        if metric.interval is not None:
            plain &= step == metric.interval
        for each in (first, second):
            plain &= each.finite
            if kind.counts_events:
                plain &= (each.low >= 0) & (~each.totals | each.positive)
                growing = np.where(each.totals, each.totals_grow, each.grows)
                plain &= ~growing | (each.size < FEWEST)
            if kind.is_share:
                plain &= ~each.parts & each.out_of
        if metric.pairing == "before_after":  # which is before the other is looked at one by one
            return np.zeros(len(plain), dtype=np.bool_)
        if metric.pairing == "concurrent":
            plain &= timed
        if kind.is_raw:
            return np.asarray(plain & (self.columns.time is None))
        for each in (first, second):
            plain &= each.apart & (each.shortest == step) & (each.longest == step)
        plain &= step >= LEAST
        together = timed & (metric.pairing != "windows")
        for mine, other, end in zip((first, second), (second, first), self.ends.T, strict=True):
            until = np.where(timed, end, mine.last)
            until = np.where(together, np.maximum(other.last, self.ends.max(axis=1)), until)
            plain &= (mine.pause <= GAP * step) & (until - mine.news <= TAIL * step)
        return np.asarray(plain)

    def _of_size(self, points: list[IntArray], steps: FloatArray, *, totals: bool) -> list[MetricPair | None]:
        """Give those of one size, by where their points are and the steps between them."""
        metric, kind, (value, total, time, *_) = self.metric, KINDS[self.metric.kind], self.columns
        total = total if totals and kind.counts_events else None
        values, exposures = (
            [value[at] for at in points],
            [None if total is None else total[at] for at in points],
        )
        plain = (values[0][:, 0] != values[0][:, -1]) & (values[1][:, 0] != values[1][:, -1])
        pairing: Literal["concurrent", "windows"] = "windows"
        if time is not None and metric.pairing != "windows":
            pairing = "concurrent"
            plain &= (time[points[0]] == time[points[1]]).all(axis=1)
        if kind.is_measured or (kind.is_rate and total is not None):
            levels = [own if of is None else own / of for own, of in zip(values, exposures, strict=True)]
            plain &= _in_one_unit(levels[0], levels[1])
        marks = [signatures(own, of, None) for own, of in zip(values, exposures, strict=True)]
        alike = _may_be_the_same(marks[0], marks[1])
        intervals = [
            metric.interval if time is None or metric.interval is not None else step
            for step in steps.tolist()
        ]
        size = points[0].shape[1]

        def arm(first: int) -> Arm:
            own = slice(first, first + size)
            return Arm(value[own], None if total is None else total[own], None if time is None else time[own])

        found: list[MetricPair | None] = [None] * len(intervals)
        firsts = points[0][:, 0].tolist(), points[1][:, 0].tolist()
        for index in np.flatnonzero(plain).tolist():
            baseline, canary = arm(firsts[0][index]), arm(firsts[1][index])
            if not alike[index] or not _are_the_same(baseline, canary):
                found[index] = MetricPair(
                    metric.name, metric.kind, baseline, canary, pairing, intervals[index]
                )
        return found


def _in_one_unit(first: FloatArray, second: FloatArray) -> BoolArray:
    """Tell in which rows the middles of both arms are so near each other that no unit lies between them."""
    half = first.shape[1] // 2
    middles = [np.abs(np.partition(levels, half, axis=1)[:, half]) for levels in (first, second)]
    low, high = np.minimum(*middles), np.maximum(*middles)
    with np.errstate(over="ignore"):
        return np.asarray((low == 0) | (high < UNITS_APART * low))


def _may_be_the_same(first: FloatArray, second: FloatArray) -> BoolArray:
    """Tell in which rows more than a few points of one arm are points of the other."""
    both = np.concatenate([first, second], axis=1)
    of_second = np.argsort(both, axis=1) >= first.shape[1]
    both.sort(axis=1)
    met = (both[:, 1:] == both[:, :-1]) & (of_second[:, 1:] != of_second[:, :-1])
    return np.asarray((met.sum(axis=1) > MORE) | (first == second).all(axis=1))


def _are_the_same(baseline: Arm, canary: Arm) -> bool:
    arms = Series("", baseline.value, baseline.total), Series("", canary.value, canary.total)
    return bool(same_arms(arms, arms))
