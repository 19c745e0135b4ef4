"""What is read of a table, and as what, by the names of its columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from canaryjudge.data.arm_columns import arm_columns, other_layouts
from canaryjudge.data.diagnostics import likely_name
from canaryjudge.data.frames import refuse_twins
from canaryjudge.data.times import time_column
from canaryjudge.errors import DataError

__all__ = ["Layout", "Roles", "check_once", "history", "tidy", "tidy_or_by_arms"]

_TIDY_COLUMNS: Final = ("metric", "arm", "value", "time", "total", "replica", "le")
"""What a tidy table may have; the first three it must."""
_USER_COLUMNS: Final = ("user", "covariate", "covariate_total")
"""What it may have as well where a metric is of users."""
_HISTORY_COLUMNS: Final = (*_TIDY_COLUMNS, "release", "outcome")
_NAMES: Final = frozenset({"metric", "arm", "replica", "release", "outcome", "user", "request"})
_NUMBERS: Final = frozenset({"value", "total", "covariate", "covariate_total"})


@dataclass(frozen=True, slots=True)
class Roles:
    """The columns of a table that are worth reading.

    Attributes
    ----------
    chosen : tuple of str
        All of them, in the table's order.
    names : frozenset of str
        Those that name something: they are read as the text that stands there, so that 2.10 does not become 2.1.
    numbers : frozenset of str
        Those in which every text is a mistake.
    time : str or None
        The one of times, if it is known.
    placed : bool
        Such a text is kept with its place, for those who tell from the row whose metric is broken.
    units : bool
        A number with its unit is none; it is kept as it stands there.
    """

    chosen: tuple[str, ...]
    names: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    time: str | None = None
    placed: bool = False
    units: bool = False

    @property
    def used(self) -> frozenset[str]:
        """Those of which it is known what they are."""
        return self.names | self.numbers | (frozenset() if self.time is None else {self.time})


Layout: TypeAlias = Callable[[Sequence[str], str], Roles]
"""Takes the names of the columns and the file's name, for errors."""


def check_once(names: Sequence[str], chosen: Collection[str], source: str) -> None:
    """Make sure that each of some columns stands there once."""
    times = Counter(names)
    for name in chosen:
        if times[name] > 1:
            raise DataError(f"{source}: the column {name!r} stands there twice", "Leave one out.")


def tidy(names: Sequence[str], source: str, *, paired: bool = False) -> Roles:
    """Choose the columns of a tidy table, with the ids of requests where metrics are paired by them.

    Examples
    --------
    >>> tidy(["metric", "Timestamp", "arm", "pod", "value"], "data.csv").chosen
    ('metric', 'Timestamp', 'arm', 'value')
    """
    known = (*_TIDY_COLUMNS, "request") if paired and "request" in names else _TIDY_COLUMNS
    return _rows_of_points(names, source, known, _TIDY_COLUMNS[:3])


def tidy_or_by_arms(
    metrics: Sequence[str],
    arms: tuple[str, ...],
    segments: Sequence[str] = (),
    *,
    by_user: bool = False,
    paired: bool = False,
) -> Layout:
    """Return a layout of tidy tables, whose cells are the trouble of their metrics and not of the file, and of those that have a column an arm; of the former, further columns may name segments, or tell of users or requests.

    Examples
    --------
    >>> tidy_or_by_arms(["latency"], ("old", "new"))(["Time", "pods", "old", "new"], "grafana.csv").chosen
    ('Time', 'old', 'new')
    """

    def layout(names: Sequence[str], source: str) -> Roles:
        found = arm_columns(names, metrics, arms)
        if not found:
            known = (*_TIDY_COLUMNS, *_USER_COLUMNS) if by_user else _TIDY_COLUMNS
            known = (*known, "request") if paired else known
            roles = _rows_of_points(names, source, known, _TIDY_COLUMNS[:3])
            return _with_segments(replace(roles, placed=True), names, segments, source)
        used = {name for pair in found.values() for name in pair}
        time = time_column((name for name in names if name not in used), where=f"{source}: ")
        chosen = tuple(name for name in dict.fromkeys(names) if name in (*used, time, "replica", "metric"))
        check_once(names, chosen, source)
        return Roles(chosen, _NAMES.intersection(chosen), frozenset(used), time, units=True)

    return layout


def _with_segments(roles: Roles, names: Sequence[str], segments: Sequence[str], source: str) -> Roles:
    """Choose the columns of segments as well."""
    for name in segments:
        if name not in names:
            advice = likely_name(name, list(dict.fromkeys(names)), "columns")
            raise DataError(
                f"{source}: there is no column {name!r}, which the policy's segments name", advice
            )
    check_once(names, segments, source)
    chosen = tuple(name for name in dict.fromkeys(names) if name in roles.chosen or name in segments)
    return replace(roles, chosen=chosen, names=roles.names | set(segments))


def history(names: Sequence[str], source: str) -> Roles:
    """Choose the columns of a tidy table of the past, whose arm may be left out, and which may name releases.

    Examples
    --------
    >>> history(["metric", "release", "outcome", "value"], "past.csv").chosen
    ('metric', 'release', 'outcome', 'value')
    """
    return _rows_of_points(names, source, _HISTORY_COLUMNS, ("metric", "value"))


def _rows_of_points(names: Sequence[str], source: str, known: Sequence[str], needed: Sequence[str]) -> Roles:
    for name in needed:
        if name not in names:
            raise DataError(f"{source}: there is no column {name!r}", other_layouts(name, names))
    refuse_twins(names, [name for name in known if name != "time"], f"{source}: ")
    time = time_column(dict.fromkeys(names), where=f"{source}: ")
    chosen = tuple(name for name in dict.fromkeys(names) if name in known or name == time)
    check_once(names, chosen, source)
    return Roles(chosen, _NAMES.intersection(chosen), _NUMBERS.intersection(chosen), time)
