"""Tables of many releases -> the pairs of each: brought together and read as whole columns, not release by release."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.arm_columns import arm_columns, from_arm_columns
from canaryjudge.data.diagnostics import shown
from canaryjudge.data.frames import (
    Column,
    Labels,
    labels,
    named_codes,
    needed_column,
    refuse_twins,
    table_columns,
    take,
)
from canaryjudge.data.pair import MetricPair
from canaryjudge.data.plain_pairs import plain_pairs
from canaryjudge.data.reading import check_names, kinds_of, pairs_or_notes
from canaryjudge.data.sources import ArmMapping, SeriesSource
from canaryjudge.data.tidy import SinglePoints, TidyRows, TidyTable
from canaryjudge.errors import CanaryJudgeError, DataError
from canaryjudge.policy import Policy

__all__ = [
    "ReleaseKey",
    "Updates",
    "read_parts",
    "read_releases",
    "read_updates",
    "release_columns",
    "release_tables",
    "silence_told",
    "sources_of_parts",
]

ReleaseKey: TypeAlias = str | tuple[str, ...]
"""What tells a release from the others: the text in its column, or a text of each of several columns."""

_BLOCK: Final = 1 << 17
"""Rows that are read at once: so few that their columns stay near, so many that a release costs little."""
_OF_POINTS: Final = ("metric", "arm", "value", "total", "le")


def read_releases(
    data: Any,
    policy: Policy,
    *,
    by: str | Sequence[str],
    baseline: str = "baseline",
    canary: str = "canary",
) -> Iterator[tuple[ReleaseKey, dict[str, MetricPair] | CanaryJudgeError]]:
    """Read both arms of every metric of a policy, of each of many releases.

    Parameters
    ----------
    data : DataFrame, list of dict, or iterable of such
        A tidy table of any library with the rows of all releases, in any order; or tables one after another, each with
        all rows of its releases: then only one of them is held at a time.
    policy : Policy
        Which metrics to read of every release, and what they are.
    by : str or sequence of str
        The column, or the columns, that tell releases apart.
    baseline, canary : str
        What the data call the two arms.

    Yields
    ------
    key : str or tuple of str
        The text in the release's column; of several columns, one of each.
    pairs : dict of str to MetricPair, or CanaryJudgeError
        What the release's own rows alone would be read as; where they cannot be judged, the error that says why, with the rows as they
        are numbered in the table.

    Raises
    ------
    DataError
        If it is no table, a column is missing, a row names no release, or a release comes again in a later table.

    Examples
    --------
    >>> import pandas as pd
    >>> from canaryjudge.policy import Metric
    >>> policy = Policy(metrics=[Metric(name="cpu", direction="increase")])
    >>> frame = pd.DataFrame({
    ...     "service": ["cart", "cart", "search"], "metric": "cpu", "arm": ["baseline", "canary", "canary"], "value": [0.4, 0.5, 0.6],
    ... })
    >>> (cart, pairs), (search, error) = read_releases(frame, policy, by="service")
    >>> cart, pairs["cpu"].canary.value.tolist()
    ('cart', [0.5])
    >>> search, error.message
    ('search', "the data have no arm 'baseline'")
    """
    arms = str(baseline), str(canary)
    check_names(arms)
    return _releases(_tables(data), policy, columns_of(by), arms)


def columns_of(by: str | Sequence[str]) -> tuple[str, ...]:
    """Give the columns that tell releases apart, which are none of the points' own."""
    names = (by,) if isinstance(by, str) else tuple(map(str, by))
    taken = [name for name in names if name in _OF_POINTS]
    if not names or taken:
        what = f"names {taken[0]!r}, a column of the points" if taken else "names no column"
        raise DataError(f"by {what}", "Name the columns that tell releases apart, such as by='service'.")
    return names


@dataclass(frozen=True, slots=True)
class Updates:
    """New points of some releases, brought together.

    Attributes
    ----------
    keys : list of str or tuple of str
        The releases.
    points : SinglePoints or None
        Their points as whole columns, where each arm has one.
    """

    keys: list[ReleaseKey]
    points: SinglePoints | None
    _block: _Block
    _first: int

    def source(self, index: int) -> SeriesSource:
        """Give the rows of one release, to be read by themselves."""
        return self._block.source(self._first + index)


def read_updates(data: Any, policy: Policy, by: tuple[str, ...], arms: tuple[str, str]) -> Iterator[Updates]:
    """Bring the new points of many releases together, of tables as `read_releases` takes them; a release may come in several."""
    for columns in _tables(data):
        if not columns:
            continue
        release, keys = release_columns(columns, by)
        rest = {name: column for name, column in columns.items() if name not in by}
        for first, last, rows in _blocks(release, len(keys)):
            block = _Block(rest, release, rows, first, last, policy, arms)
            yield Updates(keys[first:last], block.single_points(), block, first)


def _releases(
    tables: Iterable[Mapping[str, Column]], policy: Policy, by: tuple[str, ...], arms: tuple[str, str]
) -> Iterator[tuple[ReleaseKey, dict[str, MetricPair] | CanaryJudgeError]]:
    known: set[ReleaseKey] = set()
    for columns in tables:
        if not columns:
            continue
        release, keys = release_columns(columns, by)
        _refuse_again(keys, known, by)
        rest = {name: column for name, column in columns.items() if name not in by}
        for first, last, rows in _blocks(release, len(keys)):
            block = _Block(rest, release, rows, first, last, policy, arms)
            yield from zip(keys[first:last], block.all_pairs(), strict=True)


def read_parts(
    columns: Mapping[str, Column],
    part: NDArray[np.intp],
    count: int,
    policy: Policy,
    arms: tuple[str, str],
    numbers: NDArray[np.intp],
) -> Iterator[dict[str, MetricPair] | CanaryJudgeError]:
    """Read both arms of every metric of each of so many parts of one table, whose rows have these numbers; an arm or a metric that a part lacks has no points there."""
    whole = silence_told(policy)
    for first, last, rows in _blocks(part, count):
        yield from _Block(columns, part, rows, first, last, whole, arms, numbers).all_pairs()


def silence_told(policy: Policy) -> Policy:
    """Let a policy say of every metric what no data do, as it does by default."""
    told = tuple(metric.model_copy(update={"no_data": metric.no_data}) for metric in policy.metrics)
    return policy.model_copy(update={"metrics": told})


def sources_of_parts(
    columns: Mapping[str, Column],
    part: NDArray[np.intp],
    count: int,
    policy: Policy,
    arms: tuple[str, str],
    numbers: NDArray[np.intp],
) -> Iterator[SeriesSource]:
    """Give the rows of each part of a table, such as a segment's, to be read by themselves: brought together and read at once."""
    for first, last, rows in _blocks(part, count):
        block = _Block(columns, part, rows, first, last, policy, arms, numbers)
        yield from (block.source(number) for number in range(first, last))


def release_tables(
    data: Any, by: Sequence[str], *, again: bool = False
) -> Iterator[tuple[ReleaseKey, Mapping[str, Column], NDArray[np.intp]]]:
    """Give the rows of each release as a table of its own, with their numbers; a release may come in several tables if `again`."""
    known: set[ReleaseKey] = set()
    for columns in _tables(data):
        if not columns:
            continue
        release, keys = release_columns(columns, by)
        if not again:
            _refuse_again(keys, known, by)
        rest = {name: column for name, column in columns.items() if name not in by}
        order = np.argsort(release, kind="stable")
        ends = np.bincount(release, minlength=len(keys)).cumsum()
        for key, rows in zip(keys, np.split(order, ends[:-1]), strict=True):
            yield key, {name: take(column, rows) for name, column in rest.items()}, rows + 1


def _refuse_again(keys: Sequence[ReleaseKey], known: set[ReleaseKey], by: Sequence[str]) -> None:
    """Refuse a release that was in an earlier table."""
    for key in keys:
        if key in known:
            told = ", ".join(key) if isinstance(key, tuple) else key
            raise DataError(
                f"the release {told!r} comes again in a later table",
                f"Give all rows of a release in one table, such as by sorting by {', '.join(by)}.",
            )
        known.add(key)


def _tables(data: Any) -> Iterator[Mapping[str, Column]]:
    whole = None if isinstance(data, Mapping) else table_columns(data)
    if whole is not None:
        yield whole
        return
    parts = () if isinstance(data, Mapping | str) or not isinstance(data, Iterable) else data
    number = 0
    for number, part in enumerate(parts, start=1):
        columns = None if isinstance(part, Mapping) else table_columns(part)
        if columns is None:
            raise _no_table(f"table {number} is {shown(part)}")
        yield columns
    if not number and parts is not data:
        raise _no_table(f"the data are {shown(data)}")


def _no_table(what: str) -> DataError:
    return DataError(
        what,
        "Give a frame of pandas, polars or pyarrow, or a list of row dicts, with metric, arm and value and the columns that tell releases "
        "apart; or such tables one after another.",
    )


def release_columns(
    columns: Mapping[str, Column], by: Sequence[str], *, first: int = 1
) -> tuple[NDArray[np.intp], list[ReleaseKey]]:
    """Give every row the number of its release, and the releases in the order in which they occur; `first` is the number of the first row.

    Examples
    --------
    >>> columns = {"service": np.array(["b", "a", "b"]), "zone": np.array([1, 1, 2])}
    >>> codes, keys = release_columns(columns, ["service", "zone"])
    >>> codes.tolist(), keys
    ([0, 1, 2], [('b', '1'), ('a', '1'), ('b', '2')])
    """
    of_row = [needed_column(columns, name) for name in by]
    numbers = np.arange(first, first + len(of_row[0]))
    codes, names = labels(of_row[0], by[0], numbers)
    if len(by) == 1:
        return codes, [*names]
    parts: list[Labels] = [(codes, names)]
    firsts = codes
    for name, column in zip(by[1:], of_row[1:], strict=True):
        own, known = labels(column, name, numbers)
        parts.append((own, known))
        found, firsts, codes = np.unique(codes * len(known) + own, return_index=True, return_inverse=True)
        order = np.argsort(firsts)
        place = np.empty(len(found), dtype=np.intp)
        place[order] = np.arange(len(found))
        firsts, codes = firsts[order], place[codes]
    return codes, [tuple(known[own[row]] for own, known in parts) for row in firsts.tolist()]


def _blocks(release: NDArray[np.intp], count: int) -> Iterator[tuple[int, int, slice | NDArray[np.intp]]]:
    """Give the releases in groups, from one number up to another, with the rows of each group."""
    order = None if bool((release[1:] >= release[:-1]).all()) else np.argsort(release, kind="stable")
    ends = np.bincount(release, minlength=count).cumsum()
    first, start = 0, 0
    while first < count:
        last = max(int(ends.searchsorted(start + _BLOCK, "right")), first + 1)
        end = int(ends[last - 1])
        yield first, last, slice(start, end) if order is None else order[start:end]
        first, start = last, end


class _Block:
    """Some releases of a table, whose rows are brought together and read at once; but those with rows without a name, which tell what is wrong."""

    def __init__(
        self,
        columns: Mapping[str, Column],
        release: NDArray[np.intp],
        rows: slice | NDArray[np.intp],
        first: int,
        last: int,
        policy: Policy,
        arms: tuple[str, str],
        numbers: NDArray[np.intp] | None = None,
    ) -> None:
        self._policy, self._arms, self._first, self._is_part = policy, arms, first, numbers is not None
        self._columns = {name: take(column, rows) for name, column in columns.items()}
        if numbers is not None:
            self._numbers = numbers[rows]
        else:
            self._numbers = (np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows) + 1
        self._release = release[rows] - first
        self._rows: TidyRows | None = None
        self._alone = np.ones(last - first, dtype=np.bool_)
        if not arm_columns(list(columns), [metric.name for metric in policy.metrics], arms):
            self._read()

    def _read(self) -> None:
        metric, arm, _ = (needed_column(self._columns, name) for name in ("metric", "arm", "value"))
        refuse_twins(self._columns, ("total", "replica", "le"))
        groups = named_codes(metric), named_codes(arm)
        unnamed = (groups[0][0] < 0) | (groups[1][0] < 0)
        columns, release, numbers = self._columns, self._release, self._numbers
        self._alone = np.bincount(release[unnamed], minlength=len(self._alone)) > 0
        if unnamed.any():
            chosen = np.flatnonzero(~self._alone[release])
            columns = {name: take(column, chosen) for name, column in columns.items()}
            release, numbers = release[chosen], numbers[chosen]
            groups = (groups[0][0][chosen], groups[0][1]), (groups[1][0][chosen], groups[1][1])
        self._rows = TidyRows(
            columns, groups, releases=release, numbers=numbers, kinds=kinds_of(self._policy)
        )
        self._bounds = self._rows.bounds_of_releases(len(self._alone))

    def all_pairs(self) -> Iterator[dict[str, MetricPair] | CanaryJudgeError]:
        """Give the pairs of each release, or what is wrong with it."""
        plain: list[dict[str, MetricPair] | None] = [None] * len(self._alone)
        if self._rows is not None:
            plain = plain_pairs(self._rows, len(self._alone), self._policy, self._arms)
        for code, pairs in enumerate(plain, start=self._first):
            yield self.pairs(code) if pairs is None or self._alone[code - self._first] else pairs

    def single_points(self) -> SinglePoints | None:
        """Give the points of the releases where each arm has one."""
        if self._rows is None or self._alone.any():
            return None
        metrics = [metric.name for metric in self._policy.metrics]
        return self._rows.single_points(len(self._alone), metrics, self._arms)

    def pairs(self, code: int) -> dict[str, MetricPair] | CanaryJudgeError:
        """Give the pairs of one release, or what is wrong with it."""
        try:
            return pairs_or_notes(self.source(code), self._policy, self._arms)
        except CanaryJudgeError as error:
            return error

    def source(self, number: int) -> SeriesSource:
        """Give the rows of one release."""
        code = number - self._first
        if self._rows is not None and not self._alone[code]:
            table = TidyTable.of_rows(self._rows, self._bounds[code], self._bounds[code + 1])
            if self._is_part:
                table.arms = list(dict.fromkeys([*table.arms, *self._arms]))
            return table
        own = np.flatnonzero(self._release == code)
        columns = {name: take(column, own) for name, column in self._columns.items()}
        numbers = self._numbers[own]
        if self._rows is None:
            metrics = [metric.name for metric in self._policy.metrics]
            return ArmMapping(from_arm_columns(columns, metrics, self._arms, numbers) or {})
        return TidyTable(columns, kinds_of(self._policy), numbers)
