"""Wide tables, a column a metric: which column is which, by what the command line says and by the names in a policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from canaryjudge.data.diagnostics import likely_name, number_hint, shown
from canaryjudge.data.frames import (
    Column,
    check_column,
    first_word,
    is_missing,
    refuse_twins,
    table_columns,
)
from canaryjudge.data.sources import refuse_columns
from canaryjudge.data.unit_texts import read_cells
from canaryjudge.data.wide import from_columns, row_columns
from canaryjudge.errors import DataError
from canaryjudge.integrations.files.layouts import Roles, check_once
from canaryjudge.limits import NAMED_COLUMNS
from canaryjudge.policy import Metric, Policy

__all__ = ["WideTable", "columns_of", "likely_totals", "named_column", "numeric_columns", "widen_table"]

_TOTALS: Final = ("total", "requests")
"""What the total of a ratio may be called; of a count, whose exposure may be anything, none is guessed."""


@dataclass(frozen=True, slots=True)
class NamedColumns:
    """The columns of a metric that were named."""

    value: str
    total: str | None = None  # what they are out of


def _named_columns(texts: Sequence[str], policy: Policy, names: Sequence[str]) -> dict[str, NamedColumns]:
    """Read texts like ``errors=error_count/requests``.

    Names of columns may have slashes of their own: a slash divides where what is on either side is a column.

    Examples
    --------
    >>> policy = Policy(metrics=[Metric(name="errors", kind="ratio", direction="increase")])
    >>> _named_columns(["errors=5xx/s/all/s"], policy, ["version", "5xx/s", "all/s"])
    {'errors': NamedColumns(value='5xx/s', total='all/s')}
    """
    found: dict[str, NamedColumns] = {}
    for text in texts:
        metric, columns = _metric_of(text, policy)
        if metric.name in found:
            raise DataError(
                f"--column {text}: the columns of {metric.name!r} are given twice", "Give them once."
            )
        given = columns_of(text, columns, names) if names else NamedColumns(columns)
        if given.total is not None and metric.kind not in ("ratio", "count"):
            raise DataError(
                f"--column {text}: the metric {metric.name!r} is of kind {metric.kind}, which has no total",
                f"Give the column of its values only, or set kind: ratio: --column {metric.name}={given.value}.",
            )
        found[metric.name] = given
    return found


def _metric_of(text: str, policy: Policy) -> tuple[Metric, str]:
    known = {metric.name: metric for metric in policy.metrics}
    # a metric's name may have equals signs of its own
    fitting = [name for name in known if text.startswith(f"{name}=")]
    if fitting:
        name = max(fitting, key=len)
        if columns := text[len(name) + 1 :]:
            return known[name], columns
    name, _ = named_column(text)
    raise DataError(
        f"--column {text}: the policy has no metric {name!r}", likely_name(name, known, "metrics")
    )


def named_column(text: str) -> tuple[str, str]:
    """Part a text like ``errors=error_count/requests`` at its first equals sign."""
    name, _, columns = text.partition("=")
    if not name or not columns:
        raise DataError(
            f"--column {text}: this names no column",
            "Write METRIC=VALUE or METRIC=VALUE/TOTAL, such as errors=error_count/requests.",
        )
    return name, columns


def columns_of(text: str, columns: str, names: Sequence[str]) -> NamedColumns:
    """Find a value, or a value and a total, among the names of a table's columns; the whole text is for errors."""
    slashes = [index for index, mark in enumerate(columns) if mark == "/"]
    ways = [NamedColumns(columns)] if columns in names else []
    for at in slashes:
        value, total = columns[:at], columns[at + 1 :]
        if value in names and total in names:
            ways.append(NamedColumns(value, total))
    if len(ways) > 1:
        raise DataError(
            f"--column {text}: this can be read in {len(ways)} ways, because names of columns have slashes in them",
            "Rename one of the columns.",
        )
    if ways:
        return ways[0]
    parts = columns.split("/") if len(slashes) == 1 else [columns]
    missing = next(part for part in parts if part not in names)
    raise DataError(
        f"--column {text}: the table has no column {missing!r}", likely_name(missing, names, "columns")
    )


@dataclass(frozen=True, slots=True)
class WideTable:
    """What is known of a wide table before it is read.

    Attributes
    ----------
    policy : Policy
        Whose metrics are in it.
    arm : str or None
        The column that names the arm; None where all rows are of one.
    columns : sequence of str
        Which columns are a metric's, such as ``errors=error_count/requests``; the others are found by the metrics' names.
    replica, time : str, optional
        The columns of replicas and of times; by default they are found by their names.
    past : bool
        Whether it is a history, in which each arm is a healthy series of its own.
    """

    policy: Policy
    arm: str | None
    columns: Sequence[str] = ()
    replica: str | None = None
    time: str | None = None
    past: bool = False

    def layout(self, names: Sequence[str], source: str) -> Roles:
        """Choose the columns that are worth reading.

        Examples
        --------
        >>> policy = Policy(metrics=[Metric(name="cpu", direction="increase")])
        >>> roles = WideTable(policy, "version").layout(["version", "ts", "cpu"], "export.csv")
        >>> sorted(roles.names), sorted(roles.numbers), roles.time
        (['version'], ['cpu'], 'ts')
        """
        check_once(names, dict.fromkeys(names), source)
        self.check(names)
        try:
            used = {name for metric in _found(self, names, list).values() for name in metric.used}
        except DataError:
            if len(names) > NAMED_COLUMNS:
                raise
            return Roles(
                tuple(names), names=frozenset({self.arm} if self.arm else ())
            )  # told once its columns are known
        refuse_twins(names, used, f"{source}, ")
        beside = self._beside([name for name in names if name not in used])
        labels = {self.arm, beside["replica"], beside["apart"], *self.segments} - {None}
        chosen = used | labels | {beside["time"], "release"}
        return Roles(
            tuple(name for name in names if name in chosen),
            names=frozenset(name for name in labels if name is not None),
            numbers=frozenset(used.intersection(names)),
            time=beside["time"],
            units=True,
        )

    def check(self, names: Sequence[str]) -> None:
        """Refuse columns that are named and not there, before a format is read that takes only those that are named."""
        for name in (self.arm, self.replica, self.time, *self.segments):
            if name is not None and names:
                check_column(names, name)

    @property
    def segments(self) -> tuple[str, ...]:
        """The columns that name segments of the traffic; a history is not told apart by them."""
        asked = self.policy.segments
        return () if asked is None or self.past else asked.by

    def _beside(self, names: Sequence[str]) -> dict[str, str | None]:
        names = [name for name in names if name not in self.segments]
        return row_columns(names, arm=self.arm, time=self.time, replica=self.replica)


def widen_table(table: Any, wide: WideTable, source: str = "") -> dict[str, dict[str, dict[str, Any]]]:
    """Take a policy's metrics from a wide table.

    Examples
    --------
    >>> policy = Policy(metrics=[Metric(name="errors", kind="ratio", direction="increase")])
    >>> rows = [{"version": arm, "failed": 3, "served": 400} for arm in ("baseline", "canary")]
    >>> widen_table(rows, WideTable(policy, "version", ["errors=failed/served"]))["errors"]["canary"]["total"].tolist()
    [400]
    """
    columns = _columns(table)
    names = list(columns)
    wide.check(names)
    found = _found(wide, names, lambda: numeric_columns(columns))
    if not found:
        return {}
    where = f"{source}, " if source else ""
    used = dict.fromkeys(name for metric in found.values() for name in metric.used)
    if wide.past and "release" in columns and "release" not in (wide.arm, *used):
        raise DataError(
            f"{where}the column 'release': a history of releases, each with two arms, is read from a tidy table only",
            "Give the columns metric, arm, release and value; or leave the column out, if each arm is a healthy series of its own.",
        )
    refuse_twins(names, used, where)
    for name in used:
        if name in columns:
            _check_numbers(columns[name], name, where)
    widened = from_columns(
        columns,
        {name: metric.roles for name, metric in found.items()},
        arm=wide.arm,
        time=wide.time,
        replica=wide.replica,
        segments=wide.segments,
    )
    return {
        name: {arm: part | found[name].note for arm, part in arms.items()} for name, arms in widened.items()
    }


def _columns(table: Any) -> dict[str, Column]:
    if isinstance(table, Mapping):
        refuse_columns(table)
    columns = None if isinstance(table, Mapping) else table_columns(table)
    if columns is None:
        raise DataError(
            f"the data are {shown(table)}, which is not a table, so no column can name the arm",
            "Give rows, or leave out --wide.",
        )
    return columns


@dataclass(frozen=True, slots=True)
class _Found:
    value: str
    total: str | None = None
    by_name: bool = False

    @property
    def used(self) -> list[str]:
        return [self.value] if self.total is None else [self.value, self.total]

    @property
    def roles(self) -> dict[str, str]:
        return {"value": self.value} if self.total is None else {"value": self.value, "total": self.total}

    @property
    def note(self) -> dict[str, str]:
        return {"total_by_name": self.total} if self.by_name and self.total is not None else {}


def _found(wide: WideTable, names: Sequence[str], numeric: Callable[[], list[str]]) -> dict[str, _Found]:
    given = _named_columns(wide.columns, wide.policy, names)
    found: dict[str, _Found] = {}
    for metric in wide.policy.metrics:
        if metric.kind == "histogram":
            raise DataError(
                f"the metric {metric.name!r} is a histogram, which no single column can hold",
                "Give a tidy table with the columns metric, arm, time, le and value.",
            )
        value = given[metric.name].value if metric.name in given else metric.name
        if value in names:
            found[metric.name] = _Found(value)
        elif names and "no_data" not in metric.model_fields_set:
            raise DataError(
                f"the table has no column for the metric {metric.name!r}",
                f"{likely_name(metric.name, names, 'columns')} Say which it is with --column {metric.name}=COLUMN. "
                "If it may be absent, set no_data in the policy.",
            )
    values = {one.value for one in found.values()}
    return {
        metric.name: _with_total(
            found[metric.name],
            metric,
            given.get(metric.name),
            names,
            lambda: _candidates(wide, names, values, numeric),
        )
        for metric in wide.policy.metrics
        if metric.name in found
    }


def _with_total(
    found: _Found,
    metric: Metric,
    given: NamedColumns | None,
    names: Sequence[str],
    candidates: Callable[[], list[str]],
) -> _Found:
    if given is not None and given.total is not None:
        return _Found(found.value, given.total)
    if metric.kind not in ("ratio", "count"):
        return found
    likely, own = likely_totals(metric.name, found.value, names), f"{metric.name}_total"
    if metric.kind == "count" and likely != [own]:
        return found
    option = f"--column {metric.name}={found.value}/"
    if len(likely) > 1:
        raise DataError(
            f"the total of the metric {metric.name!r} may be the column {' or '.join(map(repr, likely))}",
            f"Say which it is: {option}{likely[0]} or {option}{likely[1]}.",
        )
    if likely:
        return _Found(found.value, likely[0], by_name=True)
    there = candidates()
    listed = (
        f"Other columns of numbers: {', '.join(there)}." if there else "There is no other column of numbers."
    )
    raise DataError(
        f"the table has no column for the total of the metric {metric.name!r}; looked for {', '.join((own, *_TOTALS))}",
        f"Say what the events are of: {option}{there[0] if len(there) == 1 else 'COLUMN'}. {listed}",
    )


def likely_totals(metric: str, value: str, names: Sequence[str]) -> list[str]:
    """Find by their names the columns that may hold what a metric's events are of: its own, or else those of all.

    Examples
    --------
    >>> likely_totals("errors", "errors", ["errors", "errors_total", "requests"]), likely_totals("5xx", "5xx", ["5xx", "requests"])
    (['errors_total'], ['requests'])
    """
    own = f"{metric}_total"
    return [
        name
        for name in ([own] if own in names and own != value else _TOTALS)
        if name in names and name != value
    ]


def _candidates(
    wide: WideTable, names: Sequence[str], values: set[str], numeric: Callable[[], list[str]]
) -> list[str]:
    """Return the columns of numbers that are nothing else."""
    beside = row_columns(
        [name for name in names if name not in values and name not in wide.segments],
        arm=wide.arm,
        time=wide.time,
        replica=wide.replica,
    )
    taken = values | {wide.arm, *wide.segments} | set(beside.values())
    return [name for name in numeric() if name not in taken]


def numeric_columns(columns: Mapping[str, Column]) -> list[str]:
    """Give the names of the columns of numbers."""
    return [
        name for name, column in columns.items() if _is_numeric(column) or read_cells([column]) is not None
    ]


def _is_numeric(column: Column) -> bool:
    if not isinstance(column, np.ndarray):
        return bool(column.dtype.is_numeric())
    items = [item for item in column.tolist() if not is_missing(item)]
    return bool(items) and all(isinstance(item, int | float) for item in items)


def _check_numbers(column: Column, name: str, where: str) -> None:
    """Find the word that has turned a whole column into text, whichever arm it is in; numbers with their units are none."""
    if read_cells([column]) is not None:
        return
    items = (
        column.tolist()
        if hasattr(column, "tolist")
        else []
        if column.dtype.is_numeric()
        else column.to_list()
    )
    index = first_word(items)
    if index is not None and items[index].strip():
        raise DataError(
            f"{where}row {index + 1}: {name} is the text {shown(items[index])} where a number belongs",
            number_hint(items[index]),
        )
