"""Rows of users, or sums over them -> what the users of an arm add up to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.arm_facts import HUGE
from canaryjudge.data.diagnostics import Location, nearest, shown
from canaryjudge.data.frames import Column, to_floats, user_codes
from canaryjudge.data.notes import Note, NoteList
from canaryjudge.data.pair import Arm, FloatArray, MetricPair
from canaryjudge.data.series import Series
from canaryjudge.data.sources import RawSeries
from canaryjudge.data.units import conversion, scaled
from canaryjudge.errors import BrokenDataError, DataError
from canaryjudge.policy import Metric
from canaryjudge.stats.ratio_of_means import SUMS, UserMoments

__all__ = ["align_users", "read_users", "user_pair"]


def read_users(raw: RawSeries, metric: Metric) -> Series:
    """Sum up the users of one arm: several rows of one add up, but for what was known from before, which each of them may repeat.

    Examples
    --------
    >>> raw = RawSeries(Location("clicks", "canary"), np.array([1.0, 2.0, 4.0]), total=np.array([3.0, 3.0, 5.0]), user=np.array([7, 8, 7]))
    >>> series = read_users(raw, Metric(name="clicks", kind="users", direction="decrease"))
    >>> series.moments[0, :3].tolist(), series.value.tolist(), series.total.tolist()
    ([2.0, 3.5, 5.5], [7.0], [11.0])
    """
    place, note = raw.place, NoteList(raw.place.arm)
    if raw.buckets is not None or raw.le is not None:
        raise DataError(
            f"{place}: the data are buckets, and the metric's kind is users", "Give the column 'value'."
        )
    per_unit, notes = conversion(raw.unit, metric, place)
    note.notes.extend(notes)
    if raw.sums is not None:
        moments = _of_sums(raw.sums, place, per_unit)
        totals, before = "total" in raw.sums, "covariate" in raw.sums
    else:
        columns, user = _usable(raw, note, per_unit)
        totals, before = columns[1] is not None, columns[2] is not None
        moments = (
            UserMoments.of(*_by_user(columns, user, place)) if columns[0] is not None else UserMoments.of([])
        )
    if not moments.n:
        return Series(place.arm, np.empty(0), notes=tuple(note.notes))
    sums = moments.n * moments.mean[:2]
    return Series(
        place.arm,
        sums[:1],
        sums[1:2] if totals else None,
        notes=tuple(note.notes),
        unit="" if metric.unit else raw.unit,
        moments=moments.packed()[np.newaxis],
        covariate=before,
    )


def _of_sums(given: Mapping[str, float], place: Location, per_unit: Fraction) -> UserMoments:
    """Take sums, which must be those of some users."""
    sums = {name: number for name, number in given.items() if name != "n"}
    n = given["n"]
    if n < 1 or n != int(n):
        raise BrokenDataError(
            f"{place}: n is {n:g}, which is no number of users", "Count the users whose rows are added up."
        )
    for name in sums:
        if name not in SUMS:
            near = nearest(name, SUMS)
            hint = f"Did you mean {near!r}?" if near else f"Known sums: {', '.join(SUMS)}."
            raise BrokenDataError(f"{place}: {shown(name)} is no sum that is known here", hint)
    if "value" not in sums:
        raise BrokenDataError(
            f"{place}: the sum of value is missing",
            "Give the sums of all that there is, and of the products of each two.",
        )
    try:
        moments = UserMoments.from_sums(n, sums)
    except ValueError as error:
        raise BrokenDataError(
            f"{place}: {error}",
            "Give the sums of all that there is, and of the products of each two, over the same users.",
        ) from None
    if per_unit == 1:
        return moments
    factors = np.array([float(per_unit), 1.0, float(per_unit), 1.0])
    return UserMoments(moments.n, moments.mean * factors, moments.products * np.outer(factors, factors))


_Columns = tuple[FloatArray, FloatArray | None, FloatArray | None, FloatArray | None]


def _usable(raw: RawSeries, note: NoteList, per_unit: Fraction) -> tuple[_Columns, NDArray[np.int64] | None]:
    """Read the rows that can be used; what is not known from before counts as 0, which is as fair to both arms."""
    place = raw.place

    def read(column: Column | None, name: str) -> FloatArray | None:
        if column is None:
            return None
        numbers = to_floats(column, place, name)
        return (
            None if np.isnan(numbers).all() else numbers
        )  # a table's column that is there for other metrics

    user = _users(raw.user, place)
    value = scaled(to_floats(raw.value, place, "value"), per_unit)
    total = read(raw.total, "total")
    before, whole = read(raw.covariate, "covariate"), read(raw.covariate_total, "covariate_total")
    if before is None and whole is not None:
        raise DataError(
            f"{place}: there is a covariate_total and no covariate", "Give both, or leave both out."
        )
    before = None if before is None else scaled(_known(before), per_unit)
    whole = None if whole is None else _known(whole)
    told = np.abs(value) if total is None else np.maximum(np.abs(value), np.abs(total))
    if not (told <= HUGE).all():
        for code, marked in (("missing_values", np.isnan(told)), ("infinite_values", told > HUGE)):
            if count := int(marked.sum()):
                note(code, count)
        keep = told <= HUGE
        value, user = value[keep], None if user is None else user[keep]
        total, before, whole = (None if column is None else column[keep] for column in (total, before, whole))
    if total is not None and len(total) and total.min() < 0:
        raise BrokenDataError(f"{place}: a total is {total.min():g}, and none can be negative", "Correct it.")
    return (value, total, before, whole), user


def _known(column: FloatArray) -> FloatArray:
    return np.where(np.abs(column) <= HUGE, column, 0.0)


def _users(column: Column | None, place: Location) -> NDArray[np.int64] | None:
    """Give the number of the user of each row; None where each row is a user."""
    if column is None:
        return None
    codes = user_codes(column)
    without = np.flatnonzero(codes < 0)
    if len(without):
        raise BrokenDataError(
            f"{place.at(int(without[0]))}: there is no user",
            "Fill in the column 'user', or leave out the row.",
        )
    return codes


def _by_user(columns: _Columns, user: NDArray[np.int64] | None, place: Location) -> _Columns:
    """Add up the rows of each user."""
    value, total, before, whole = columns
    if user is None or not len(value):
        return columns
    place_of = user - user.min()
    rows = np.bincount(place_of)
    if rows.max() == 1:
        return columns
    chosen = rows > 0
    first = np.zeros(len(rows), dtype=np.intp)
    first[place_of[::-1]] = np.arange(len(user))[::-1]

    def summed(column: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(place_of, column)[chosen], dtype=np.float64)

    def once(column: FloatArray | None, name: str) -> FloatArray | None:
        if column is None:
            return None
        own = column[first]
        other = np.flatnonzero(column != own[place_of])
        if len(other):
            row = int(other[0])
            raise BrokenDataError(
                f"{place}: the rows of one user say that {name} is {own[place_of[row]]:g}, and that it is {column[row]:g}",
                "Give what was known of a user from before, the same in each row.",
            )
        return own[chosen]

    totals = None if total is None else summed(total)
    return summed(value), totals, once(before, "covariate"), once(whole, "covariate_total")


def align_users(metric: Metric, baseline: Series, canary: Series) -> MetricPair:
    """Put two arms of users side by side, with what is odd about them."""
    arms, pair = (baseline, canary), user_pair(metric, baseline, canary)
    notes = [note for arm in arms for note in arm.notes]
    if np.array_equal(_moments(baseline), _moments(canary)) and _moments(baseline)[0, 5] > 0:
        notes.append(Note(code="same_data", count=pair.baseline.points))
    for series, arm in zip(arms, (pair.baseline, pair.canary), strict=True):
        if arm.points < metric.needed_points:
            notes.append(
                Note(
                    code="too_few_points",
                    arm=series.arm,
                    count=arm.points,
                    facts={"needed": metric.needed_points},
                )
            )
    return replace(pair, notes=tuple(notes))


def user_pair(metric: Metric, baseline: Series, canary: Series) -> MetricPair:
    """Put two arms of users side by side, which must be of one form; either may be empty."""
    _check_forms(metric, [arm for arm in (baseline, canary) if arm.moments is not None])
    return MetricPair(metric.name, metric.kind, _arm(baseline), _arm(canary))


def _moments(arm: Series) -> FloatArray:
    return np.zeros((1, 15)) if arm.moments is None else arm.moments


def _arm(series: Series) -> Arm:
    return Arm(series.value, series.total, moments=series.moments)


def _check_forms(metric: Metric, arms: list[Series]) -> None:
    """Refuse arms of which only one has totals, or is known from before."""
    if len(arms) < 2:
        return
    for name in ("total", "covariate"):
        has = [arm.covariate if name == "covariate" else arm.total is not None for arm in arms]
        if has[0] != has[1]:
            first, second = (arms[0], arms[1]) if has[0] else (arms[1], arms[0])
            raise DataError(
                f"metric {metric.name!r}: the users of {first.arm!r} have a {name}, and those of {second.arm!r} have none",
                f"Give '{name}' in both arms, or in none.",
            )
