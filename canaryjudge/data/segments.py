"""Tables whose rows are of segments of the traffic -> the pairs of each segment beside those of the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.arm_columns import arm_columns
from canaryjudge.data.diagnostics import Location, likely_name, shown
from canaryjudge.data.frames import (
    Column,
    Labels,
    as_column,
    check_column,
    labels,
    named_codes,
    needed_column,
    table_columns,
    take,
)
from canaryjudge.data.pair import MetricPair
from canaryjudge.data.pairing import align
from canaryjudge.data.reading import check_names, kinds_of, pairs_or_notes, without_points
from canaryjudge.data.releases import read_parts, release_columns, silence_told
from canaryjudge.data.sources import ArmMapping, RawSeries, SeriesSource, raw_series, series_columns
from canaryjudge.data.tidy import TidyTable
from canaryjudge.errors import BrokenDataError, CanaryJudgeError, DataError
from canaryjudge.limits import SEGMENTS
from canaryjudge.policy import Policy, Segments

__all__ = [
    "NamedParts",
    "SegmentName",
    "SegmentedPairs",
    "each_part",
    "named_parts",
    "read_segments",
    "refuse_unnamed",
    "segments_of",
]

SegmentName = tuple[str, ...]
"""A segment: a text of each of the policy's columns."""

NamedParts = Mapping[str, Mapping[str, tuple[RawSeries, NDArray[np.intp]]]]
"""The points of each arm of each metric, and the number of the segment that each is of."""


_NAMED: Final = "Give a frame or a list of row dicts with metric, arm, value and the columns that the policy's segments name."


@dataclass(frozen=True, slots=True)
class SegmentedPairs:
    """The pairs of a release whose traffic is in segments.

    Attributes
    ----------
    whole : dict of str to MetricPair
        Both arms of every metric, whatever the segments; in the policy's order.
    names : list of tuple of str
        The segments, in the order in which they occur.
    segments : dict of str to list of MetricPair
        Each segment's own, of the metrics that name segments; an arm that a segment lacks has no points.
    """

    whole: dict[str, MetricPair]
    names: list[SegmentName]
    segments: dict[str, list[MetricPair]]
    by_first: Callable[[], SegmentedPairs]
    """Gives the same by the first of the columns alone."""

    def digests(self) -> Iterator[str]:
        """Give the SHA-256 of what was judged, in hexadecimal."""
        yield from (pair.digest() for pair in self.whole.values())
        for name, pairs in self.segments.items():
            for segment, pair in zip(self.names, pairs, strict=True):
                yield "\x1f".join((name, *segment))
                yield pair.digest()


def read_segments(
    data: Any, policy: Policy, settings: Segments, *, baseline: str, canary: str
) -> SegmentedPairs:
    """Read both arms of every metric, of each segment that the policy's columns name and of the whole.

    Raises
    ------
    DataError
        If nothing in it names a segment, a table has no such column, points without a name are among points with one, or there are more segments than are told apart.

    Examples
    --------
    >>> from canaryjudge.policy import Metric, Segments
    >>> policy = Policy(metrics=[Metric(name="cpu", direction="increase")])
    >>> rows = [{"metric": "cpu", "region": region, "arm": arm, "value": 1.0} for region in ("eu", "us") for arm in ("a", "b")]
    >>> found = read_segments(rows, policy, Segments(by=["region"]), baseline="a", canary="b")
    >>> found.names, [len(pair.canary) for pair in found.segments["cpu"]], len(found.whole["cpu"].canary)
    ([('eu',), ('us',)], [1, 1], 1)
    """
    arms = baseline, canary
    check_names(arms)
    if isinstance(data, Mapping):
        return _pairs(partial(_of_series, ArmMapping(data), policy, arms), policy, settings, arms)
    columns = table_columns(data)
    if columns is None:
        raise DataError(f"the policy compares within segments, which {shown(data)} does not name", _NAMED)
    rows = len(next(iter(columns.values()), ()))
    return segments_of(columns, policy, settings, arms, np.arange(1, rows + 1))


def segments_of(
    columns: Mapping[str, Column],
    policy: Policy,
    settings: Segments,
    arms: tuple[str, str],
    numbers: NDArray[np.intp],
) -> SegmentedPairs:
    """Read them from the columns of a table whose rows have these numbers."""
    if arm_columns(list(columns), [metric.name for metric in policy.metrics], arms):
        raise DataError(
            "the policy compares within segments, which no row of a table with a column an arm is of alone",
            f"Give the columns metric, arm, value and {' and '.join(settings.by)}; or a column a metric, with --wide or from_wide.",
        )
    return _pairs(partial(_of_rows, columns, numbers, arms), policy, settings, arms)


@dataclass(frozen=True, slots=True)
class _Parts:
    """Data whose points name segments, not read yet."""

    names: list[SegmentName]
    known: list[str]
    """The metrics that occur."""
    told: frozenset[str]
    """Those that name segments."""
    rest: Callable[[Policy], SeriesSource]
    """The other metrics as they are."""
    whole: Callable[[Policy], SeriesSource]
    """Those that name segments, each segment a series of its own within an arm."""
    each: Callable[[Policy], Iterator[dict[str, MetricPair] | CanaryJudgeError]]
    """Gives the pairs of each segment, or what is wrong with it."""
    unnamed: DataError
    """What is wrong where no metric names any."""


def _pairs(
    parted: Callable[[tuple[str, ...], tuple[str, ...]], _Parts],
    policy: Policy,
    settings: Segments,
    arms: tuple[str, str],
    *,
    pooled: tuple[str, ...] = (),
) -> SegmentedPairs:
    """Read the parts by some columns; further ones may tell series of a segment apart that are pooled."""
    by, asked, parts = settings.by, policy, parted(settings.by, pooled)
    _refuse_missing(policy, parts.known)
    own = tuple(each for each in policy.metrics if each.name in parts.told)
    if not own:
        raise parts.unnamed
    if len(parts.names) > SEGMENTS:
        raise DataError(
            f"the data have {len(parts.names):,} segments by {' and '.join(by)}, more than {SEGMENTS:,}",
            "Take a column with fewer values, such as a region; of an identifier each value is a segment.",
        )
    whole: dict[str, MetricPair] = {}
    if len(own) < len(policy.metrics):  # what names no segments is read as ever
        rest = tuple(each for each in policy.metrics if each.name not in parts.told)
        others = policy.model_copy(update={"metrics": rest})
        whole |= pairs_or_notes(parts.rest(others), others, arms)
    policy = policy.model_copy(update={"metrics": own})
    whole |= pairs_or_notes(parts.whole(policy), policy, arms, forget=True)
    found = [
        _pairs_of(pairs, name, policy, arms)
        for name, pairs in zip(parts.names, parts.each(policy), strict=True)
    ]
    if pooled:
        found = [{name: _told_together(pair) for name, pair in pairs.items()} for pairs in found]
    return SegmentedPairs(
        {each.name: whole[each.name] for each in asked.metrics},
        parts.names,
        {each.name: [pairs[each.name] for pairs in found] for each in own},
        lambda: _pairs(parted, asked, _by_first(settings), arms, pooled=settings.by[1:]),
    )


def _of_rows(
    columns: Mapping[str, Column],
    numbers: NDArray[np.intp],
    arms: tuple[str, str],
    by: tuple[str, ...],
    pooled: tuple[str, ...],
) -> _Parts:
    """Part the rows of a table; the segments are those that the two arms have."""
    for name in ("metric", "arm", "value", *by):
        check_column(columns, name)
    metric, known = labels(needed_column(columns, "metric"), "metric", numbers)
    named = np.ones(len(metric), dtype=np.bool_)
    for name in (*by, *pooled):
        named &= named_codes(columns[name])[0] >= 0
    some = np.bincount(metric, weights=named, minlength=len(known)) > 0
    refuse_unnamed(np.flatnonzero(some[metric] & ~named), metric, known, numbers, by)
    others, chosen = np.flatnonzero(~some[metric]), np.flatnonzero(named)
    own, rows = _rows(columns, chosen), numbers[chosen]
    series = _segment_codes(own, [*by, *pooled])[0]
    points = {name: column for name, column in own.items() if name not in by}
    apart = _apart(points, series)
    arm, named_arms = named_codes(own["arm"])
    of_arms = np.flatnonzero(np.isin(arm, [code for code, name in enumerate(named_arms) if name in arms]))
    codes, names = _segment_codes(_rows(own, of_arms), by)
    parts = _rows(apart if pooled else points, of_arms)
    return _Parts(
        names,
        known,
        frozenset(name for name, is_told in zip(known, some.tolist(), strict=True) if is_told),
        lambda policy: TidyTable(_rows(columns, others), kinds_of(policy), numbers[others]),
        lambda policy: TidyTable(apart, kinds_of(policy), rows),
        lambda policy: read_parts(parts, codes, len(names), policy, arms, rows[of_arms]),
        DataError(
            f"no row of the policy's metrics names its {' and '.join(by)}",
            f"Fill in the column {by[0]!r}, or leave segments out of the policy.",
        ),
    )


def _segment_codes(
    columns: Mapping[str, Column], by: Sequence[str]
) -> tuple[NDArray[np.intp], list[SegmentName]]:
    """Give every row the number of its segment, and the segments in the order in which they occur."""
    codes, keys = release_columns(columns, by)
    return codes, [key if isinstance(key, tuple) else (key,) for key in keys]


@dataclass(frozen=True, slots=True)
class _NamedSeries:
    """The points of one arm of one metric, and the names of the segments that they are of."""

    raw: RawSeries
    labels: tuple[Labels, ...]
    """Of each column of names; nothing where the series lacks one."""
    named: NDArray[np.bool_]
    """Which points have a name of each; shape (n,)."""

    @classmethod
    def of(cls, series: Any, place: Location, names: Sequence[str]) -> _NamedSeries:
        """Take a series with the columns that name its segments."""
        raw, given = raw_series(series, place), {} if series is None else series_columns(series)
        size = len(raw.value) if raw.buckets is None else raw.histograms
        if not size or any(given.get(name) is None for name in names):
            return cls(raw, (), np.zeros(size, dtype=np.bool_))
        columns = {name: as_column(given[name], place, name) for name in names}
        for name, column in columns.items():
            if len(column) != size:
                raise DataError(
                    f"{place}: there are {size} points and {name} has {len(column)}",
                    "Give the columns of a series the same length.",
                )
        told = tuple(map(named_codes, columns.values()))
        return cls(raw, told, np.logical_and.reduce([codes >= 0 for codes, _ in told]))

    def segments(self, count: int) -> tuple[NDArray[np.intp], list[SegmentName]]:
        """Give every point the number of its segment by so many of the columns, and the segments in the order in which they occur."""
        codes, known = self.labels[0]
        names: list[SegmentName] = [(name,) for name in known]
        for own, more in self.labels[1:count]:
            pairs, firsts, codes = np.unique(codes * len(more) + own, return_index=True, return_inverse=True)
            order = np.argsort(firsts)
            codes = np.argsort(order)[codes]
            names = [(*names[pair // len(more)], more[pair % len(more)]) for pair in pairs[order].tolist()]
        return codes, names

    def refuse_unnamed(self, by: Sequence[str]) -> None:
        """Refuse points without a name."""
        unnamed = np.flatnonzero(~self.named)
        if len(unnamed):
            more = f", nor do {len(unnamed) - 1:,} further points" if len(unnamed) > 1 else ""
            raise DataError(
                f"{self.raw.place.at(int(unnamed[0]))} names no {' and '.join(by)}, though other points of the metric do{more}",
                "Fill them in, for instance with 'other', or leave those points out.",
            )


def named_parts(
    data: ArmMapping, wanted: Policy, arms: tuple[str, str], by: tuple[str, ...], pooled: tuple[str, ...] = ()
) -> tuple[list[SegmentName], NamedParts, dict[str, dict[str, RawSeries]]]:
    """Give the segments that the series of a mapping name, the points of the two arms with the segment of each, and of each metric that names some all arms, each segment a series of its own."""
    names: dict[SegmentName, int] = {}
    parts: dict[str, dict[str, tuple[RawSeries, NDArray[np.intp]]]] = {}
    whole: dict[str, dict[str, RawSeries]] = {}
    for metric in (each.name for each in wanted.metrics if each.name in data.given):
        given = {
            arm: _NamedSeries.of(series, Location(metric, arm), (*by, *pooled))
            for arm, series in data.given[metric].items()
        }
        if not any(series.named.any() for series in given.values()):
            continue
        whole[metric], parts[metric] = {}, {}
        for arm, series in given.items():
            series.refuse_unnamed((*by, *pooled))
            raw = whole[metric][arm] = series.raw
            if not series.labels:
                continue
            own = _own_series(series.segments(len(series.labels))[0], raw.replica)
            replicas = np.array([str(code) for code in range(own.max() + 1)], dtype=object)[own]
            whole[metric][arm] = replace(raw, replica=replicas)
            if arm in arms:
                codes, keys = series.segments(len(by))
                place = np.array([names.setdefault(key, len(names)) for key in keys], dtype=np.intp)
                parts[metric][arm] = whole[metric][arm] if pooled else raw, place[codes]
    return list(names), parts, whole


def _of_series(
    data: ArmMapping, wanted: Policy, arms: tuple[str, str], by: tuple[str, ...], pooled: tuple[str, ...]
) -> _Parts:
    """Part the series of a mapping that have columns of segments, as a server's answers do."""
    names, parts, whole = named_parts(data, wanted, arms, by, pooled)
    rest = {metric: own for metric, own in data.given.items() if metric not in whole}
    return _Parts(
        names,
        data.metrics,
        frozenset(whole),
        lambda policy: ArmMapping(rest, kinds_of(policy)),
        lambda policy: ArmMapping(whole, kinds_of(policy)),
        lambda policy: _each_part(parts, len(names), policy, arms),
        DataError(
            "the policy compares within segments, which a mapping of series does not name",
            f"Give the series of a metric the columns that the policy's segments name ({', '.join(by)}), or a table with a row a point.",
        ),
    )


def each_part(series: NamedParts, count: int, policy: Policy, arms: tuple[str, str]) -> Iterator[ArmMapping]:
    """Give the points of each of so many segments, to be read by themselves; an arm that a segment lacks has none."""
    rows = {
        (metric, arm): np.split(
            np.argsort(codes, kind="stable"), np.bincount(codes, minlength=count).cumsum()[:-1]
        )
        for metric, own in series.items()
        for arm, (_, codes) in own.items()
    }
    for code in range(count):
        part: dict[str, dict[str, RawSeries | None]] = {
            metric: dict.fromkeys(arms)
            | {arm: raw.rows(rows[metric, arm][code]) for arm, (raw, _) in own.items()}
            for metric, own in series.items()
        }
        yield ArmMapping(part, kinds_of(policy))


def _each_part(
    series: NamedParts,
    count: int,
    policy: Policy,
    arms: tuple[str, str],
) -> Iterator[dict[str, MetricPair] | CanaryJudgeError]:
    """Read both arms of every metric of each of so many segments; an arm that a segment lacks has no points there."""
    for part in each_part(series, count, policy, arms):
        try:
            yield pairs_or_notes(part, silence_told(policy), arms)
        except CanaryJudgeError as error:
            yield error


def _by_first(settings: Segments) -> Segments:
    """Ask for the first column alone."""
    return settings.model_copy(update={"by": settings.by[:1]})


def _rows(columns: Mapping[str, Column], chosen: NDArray[np.intp]) -> dict[str, Column]:
    return {name: take(column, chosen) for name, column in columns.items()}


def _refuse_missing(policy: Policy, known: list[str]) -> None:
    """Refuse a metric that is not there, unless the policy says what no data do."""
    for metric in policy.metrics:
        if metric.name not in known and "no_data" not in metric.model_fields_set:
            raise DataError(
                f"the data have no metric {metric.name!r}",
                f"{likely_name(metric.name, known, 'metrics')} If it may be absent, set no_data in the policy.",
            )


def refuse_unnamed(
    rows: NDArray[np.intp],
    metric: NDArray[np.intp],
    known: list[str],
    numbers: NDArray[np.intp],
    by: tuple[str, ...],
) -> None:
    """Refuse rows that name no segment, of a metric whose other rows do."""
    if len(rows):
        more = f", nor do {len(rows) - 1:,} further rows" if len(rows) > 1 else ""
        raise DataError(
            f"row {numbers[rows[0]]}: metric {known[metric[rows[0]]]!r} names no {' and '.join(by)} here, though other rows of it do{more}",
            "Fill them in, for instance with 'other', or leave those rows out.",
        )


def _apart(columns: Mapping[str, Column], codes: NDArray[np.intp]) -> dict[str, Column]:
    """Let each segment's rows, and each replica's within it, be a series of its own, so that they are differenced apart and pooled to one point an interval."""
    import narwhals as nw  # noqa: PLC0415 - only those who compare within segments pay for it
    import pandas as pd  # noqa: PLC0415 - the same

    codes = _own_series(codes, columns.get("replica"))
    names = [str(code) for code in range(int(codes.max(initial=-1)) + 1)]
    parts = pd.Categorical.from_codes(codes, pd.Index(names))
    series = nw.from_native(pd.Series(parts), series_only=True)
    return {**columns, "replica": series}


def _own_series(codes: NDArray[np.intp], replica: Column | None) -> NDArray[np.intp]:
    """Give the replicas of each segment numbers of their own."""
    if replica is None:
        return codes
    own, known = named_codes(replica)
    found: NDArray[np.intp] = np.unique(codes * (len(known) + 1) + own + 1, return_inverse=True)[1]
    return found


def _told_together(pair: MetricPair) -> MetricPair:
    """Leave out the series that a whole was pooled of: they are segments, and no replicas."""
    return replace(
        pair,
        baseline=replace(pair.baseline, replicas=()),
        canary=replace(pair.canary, replicas=()),
        notes=tuple(note for note in pair.notes if note.code != "replica_silent"),
    )


def _pairs_of(
    found: dict[str, MetricPair] | CanaryJudgeError, name: SegmentName, policy: Policy, arms: tuple[str, str]
) -> dict[str, MetricPair]:
    """Give the pairs of a segment; of one that is broken, pairs without points that say so."""
    if isinstance(found, BrokenDataError):
        return {each.name: align(each, *without_points(arms, found)) for each in policy.metrics}
    if isinstance(found, CanaryJudgeError):
        raise DataError(f"segment {' / '.join(name)!r}: {found.message}", found.hint)
    return found
