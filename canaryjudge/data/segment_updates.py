"""Updates of a watch whose rows are of segments of the traffic -> the arms of each metric in each segment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.counters import CounterState
from canaryjudge.data.diagnostics import shown
from canaryjudge.data.frames import (
    Column,
    check_column,
    labels,
    named_codes,
    needed_column,
    object_array,
    table_columns,
    take,
)
from canaryjudge.data.reading import check_names, check_update, kinds_of, series_of, without_points
from canaryjudge.data.releases import release_columns, sources_of_parts
from canaryjudge.data.segments import SegmentName, each_part, named_parts, refuse_unnamed
from canaryjudge.data.series import Series
from canaryjudge.data.sources import ArmMapping, SeriesSource
from canaryjudge.data.tidy import TidyTable
from canaryjudge.errors import BrokenDataError, DataError
from canaryjudge.limits import SEGMENTS
from canaryjudge.policy import Policy, Segments

__all__ = ["KnownBefore", "SegmentCounters", "check_number", "read_update", "together", "told", "update_of"]

SegmentCounters: TypeAlias = Mapping[SegmentName, tuple[CounterState, CounterState] | None]
"""Where the counters of a metric stand, in each segment; under the empty name those of a metric that names none."""


@dataclass(frozen=True, slots=True)
class KnownBefore:
    """What a watch knows that an update is read for.

    Attributes
    ----------
    within : frozenset of str
        The metrics that are watched within segments; others are read as a whole, whatever their rows name.
    counters : mapping
        The last points of counters of each metric, from which they go on.
    broken : dict
        Takes the errors of metrics whose data are broken as a whole; of one segment's the arms have no points and a note.
    """

    within: frozenset[str]
    counters: Mapping[str, SegmentCounters] = field(default_factory=dict)
    broken: dict[str, BrokenDataError] = field(default_factory=dict)


def told(name: SegmentName) -> str:
    """Write the name of a segment."""
    return " / ".join(name)


def read_update(
    data: Any,
    policy: Policy,
    settings: Segments,
    arms: tuple[str, str],
    known: KnownBefore,
) -> dict[str, tuple[Series, Series]]:
    """Read both arms of every metric of an update, of those that are watched within segments and name them in each of these.

    Parameters
    ----------
    data : frame, list of dict, or mapping
        As `Monitor.update` takes them.
    policy, settings : Policy, and its segments
        Which metrics to read, and what names a segment.
    arms : tuple of str
        The names of baseline and canary.
    known : KnownBefore
        What the watch knows; it takes what is broken.

    Returns
    -------
    dict of str to tuple of Series
        Baseline and canary of each metric; what counts of those that name segments is in their `segments`.

    Raises
    ------
    DataError
        If the update cannot be read, rows name no segment among rows that do, or there are more segments than are told apart.

    Examples
    --------
    >>> from canaryjudge.policy import Metric
    >>> policy = Policy(metrics=[Metric(name="cpu", direction="increase")])
    >>> rows = [{"metric": "cpu", "region": region, "arm": arm, "time": 0, "value": 1.0} for region in ("eu", "us") for arm in ("a", "b")]
    >>> found = read_update(rows, policy, Segments(by=["region"]), ("a", "b"), KnownBefore(frozenset({"cpu"})))
    >>> {name: len(arm) for name, arm in found["cpu"][1].segments.items()}
    {('eu',): 1, ('us',): 1}
    """
    check_names(arms)
    if isinstance(data, Mapping):
        return _of_mapping(ArmMapping(data, kinds_of(policy)), policy, settings, arms, known)
    columns = table_columns(data)
    if columns is None:
        raise DataError(
            f"the policy compares within segments, which {shown(data)} does not name",
            "Give a frame or a list of row dicts with metric, arm, value and the columns that the policy's segments name.",
        )
    return update_of(columns, policy, settings, arms, known)


def _of_mapping(
    data: ArmMapping, policy: Policy, settings: Segments, arms: tuple[str, str], known: KnownBefore
) -> dict[str, tuple[Series, Series]]:
    """Read an update of series of any shape that have columns of segments, as a server's answers do."""
    found = {metric.name: without_points(arms) for metric in policy.metrics}
    check_update(data, policy, arms)
    names, parts, whole = named_parts(data, policy, arms, settings.by)
    inside = [metric for metric in policy.metrics if metric.name in parts and metric.name in known.within]
    rest = {
        metric: whole.get(metric, own)
        for metric, own in data.given.items()
        if metric not in {each.name for each in inside}
    }
    if rest:
        found |= _whole(ArmMapping(rest, kinds_of(policy)), policy, list(rest), arms, known)
    if inside:
        check_number(len(names), settings.by)
        asked = policy.model_copy(update={"metrics": tuple(inside)})
        own = {metric.name: parts[metric.name] for metric in inside}
        found |= _in_each(names, each_part(own, len(names), asked, arms), asked, arms, known)
    return found


def update_of(
    columns: Mapping[str, Column],
    policy: Policy,
    settings: Segments,
    arms: tuple[str, str],
    known: KnownBefore,
    *,
    numbers: NDArray[np.intp] | None = None,
) -> dict[str, tuple[Series, Series]]:
    """Read the same of columns, whose rows may have other numbers than from 1."""
    found = {metric.name: without_points(arms) for metric in policy.metrics}
    if not columns or not len(next(iter(columns.values()))):
        return found
    for name in ("metric", "arm", "value", *settings.by):
        check_column(columns, name)
    rows = len(next(iter(columns.values())))
    numbers = np.arange(1, rows + 1) if numbers is None else numbers
    check_update(TidyTable(columns), policy, arms)
    metric, names = labels(needed_column(columns, "metric"), "metric")
    names_one = np.ones(rows, dtype=np.bool_)
    for name in settings.by:
        names_one &= named_codes(columns[name])[0] >= 0
    some = np.bincount(metric, weights=names_one, minlength=len(names)) > 0
    refuse_unnamed(np.flatnonzero(some[metric] & ~names_one), metric, names, numbers, settings.by)
    asked = np.array([name in known.within for name in names]) & some
    ours = _of_arms(columns, arms)
    whole = np.flatnonzero(~asked[metric] & ours)
    if len(whole):
        part = {name: take(column, whole) for name, column in columns.items()}
        source = TidyTable(_by_segment(part, settings.by, names_one[whole]), kinds_of(policy), numbers[whole])
        named = [name for name, is_asked in zip(names, asked.tolist(), strict=True) if not is_asked]
        found |= _whole(source, policy, named, arms, known)
    chosen = asked[metric] & ours
    if not chosen.any():
        return found
    inside = [each for each in policy.metrics if each.name in names and asked[names.index(each.name)]]
    part = {name: take(column, np.flatnonzero(chosen)) for name, column in columns.items()}
    found |= _within(part, numbers[chosen], inside, policy, settings.by, arms, known)
    return found


def _refuse_all_broken(
    found: Mapping[str, tuple[Series, Series]], wrong: Mapping[str, BrokenDataError], known: KnownBefore
) -> None:
    """Take metrics as broken as a whole where nothing of an update can be read."""
    if wrong and not any(len(arm) for both in found.values() for arm in both):
        known.broken.update(wrong)


def _of_arms(columns: Mapping[str, Column], arms: tuple[str, str]) -> NDArray[np.bool_]:
    """Tell which rows are of the two arms."""
    codes, names = labels(needed_column(columns, "arm"), "arm")
    return np.array([name in arms for name in names], dtype=np.bool_)[codes]


def _by_segment(
    columns: dict[str, Column], by: tuple[str, ...], names_one: NDArray[np.bool_]
) -> dict[str, Column]:
    """Let the rows of each segment, and of each replica within it, be a series of its own, which are pooled to one point an interval."""
    if not names_one.any():
        return columns
    codes = [named_codes(columns[name]) for name in (*by, *(["replica"] if "replica" in columns else []))]
    texts = [
        told(tuple(names[code] for code, (_, names) in zip(row, codes, strict=True) if code >= 0))
        for row in zip(*(own.tolist() for own, _ in codes), strict=True)
    ]
    return {**columns, "replica": object_array(texts)}


def _whole(
    source: Any,
    policy: Policy,
    names: list[str],
    arms: tuple[str, str],
    known: KnownBefore,
) -> dict[str, tuple[Series, Series]]:
    """Read metrics that are not compared within segments."""
    own = tuple(metric for metric in policy.metrics if metric.name in names)
    if not own:
        return {}
    state = {metric.name: known.counters.get(metric.name, {}).get(()) for metric in own}
    asked = policy.model_copy(update={"metrics": own})
    return series_of(source, asked, arms, partial=True, counters=state, broken=known.broken)


def _within(
    columns: dict[str, Column],
    numbers: NDArray[np.intp],
    metrics: list[Any],
    policy: Policy,
    by: tuple[str, ...],
    arms: tuple[str, str],
    known: KnownBefore,
) -> dict[str, tuple[Series, Series]]:
    """Read metrics in each segment of an update."""
    codes, keys = release_columns(columns, by)
    names = [key if isinstance(key, tuple) else (key,) for key in keys]
    check_number(len(names), by)
    asked = policy.model_copy(update={"metrics": tuple(metrics)})
    plain = {key: column for key, column in columns.items() if key not in by}
    return _in_each(
        names, sources_of_parts(plain, codes, len(names), asked, arms, numbers), asked, arms, known
    )


def _in_each(
    names: list[SegmentName],
    sources: Iterable[SeriesSource],
    asked: Policy,
    arms: tuple[str, str],
    known: KnownBefore,
) -> dict[str, tuple[Series, Series]]:
    """Read metrics in each segment of an update, in the order of their names."""
    parts: dict[str, dict[SegmentName, tuple[Series, Series]]] = {metric.name: {} for metric in asked.metrics}
    all_wrong: dict[str, BrokenDataError] = {}
    for name, source in sorted(zip(names, sources, strict=True), key=lambda each: each[0]):
        wrong: dict[str, BrokenDataError] = {}
        state = {metric.name: known.counters.get(metric.name, {}).get(name) for metric in asked.metrics}
        own = tuple(metric for metric in asked.metrics if metric.name in source.metrics)
        try:
            there = asked.model_copy(update={"metrics": own})
            found = series_of(source, there, arms, partial=True, counters=state, broken=wrong)
        except DataError as error:
            raise DataError(f"segment {told(name)!r}: {error.message}", error.hint) from error
        for metric, both in found.items():
            parts[metric][name] = without_points(arms, wrong[metric]) if metric in wrong else both
        all_wrong = {**wrong, **all_wrong}
    joined = {metric: _joined(arms, found) for metric, found in parts.items()}
    _refuse_all_broken(joined, all_wrong, known)
    return joined


def check_number(count: int, by: tuple[str, ...]) -> None:
    """Refuse more segments than are told apart."""
    if count > SEGMENTS:
        raise DataError(
            f"the data have {count:,} segments by {' and '.join(by)}, more than {SEGMENTS:,}",
            "Take a column with fewer values, such as a region; of an identifier each value is a segment.",
        )


def _joined(
    arms: tuple[str, str], found: Mapping[SegmentName, tuple[Series, Series]]
) -> tuple[Series, Series]:
    """Give both arms with those of the segments in them."""
    first, second = (
        together(arm, {name: both[place] for name, both in found.items()}) for place, arm in enumerate(arms)
    )
    return first, second


def together(arm: str, segments: Mapping[SegmentName, Series]) -> Series:
    """Put the segments of an arm into one, whose own points tell when there were any."""
    there = [each for each in segments.values() if len(each)]
    times = [each.time for each in there if each.time is not None]
    time = np.sort(np.concatenate(times)) if times and len(times) == len(there) else None
    return Series(
        arm,
        np.zeros(sum(map(len, there))),
        time=time,
        end=max((each.end for each in segments.values()), default=-np.inf),
        start=min((each.start for each in segments.values()), default=np.inf),
        segments=segments,
    )
