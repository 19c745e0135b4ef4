"""Tables whose rows are of segments of the traffic -> the pairs of each segment beside those of the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.diagnostics import likely_name, shown
from canaryjudge.data.frames import (
    Column,
    check_column,
    labels,
    named_codes,
    needed_column,
    table_columns,
    take,
)
from canaryjudge.data.pair import MetricPair
from canaryjudge.data.pairing import align
from canaryjudge.data.reading import check_names, kinds_of, pairs_or_notes, source_of, without_points
from canaryjudge.data.releases import read_parts, release_columns
from canaryjudge.data.tidy import TidyTable
from canaryjudge.errors import BrokenDataError, CanaryJudgeError, DataError
from canaryjudge.limits import SEGMENTS
from canaryjudge.policy import Policy, Segments

__all__ = ["SegmentName", "SegmentedPairs", "read_segments", "segments_of"]

SegmentName = tuple[str, ...]
"""A segment: a text of each of the policy's columns."""


_LAID: Final = ("value", "time", "total", "le", "replica")
"""Columns of series that have one entry a point."""


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
        If it is no table with a row a point, has no such column, has rows without a name among rows with one, or more segments than are told apart.

    Examples
    --------
    >>> from canaryjudge.policy import Metric, Segments
    >>> policy = Policy(metrics=[Metric(name="cpu", direction="increase")])
    >>> rows = [{"metric": "cpu", "region": region, "arm": arm, "value": 1.0} for region in ("eu", "us") for arm in ("a", "b")]
    >>> found = read_segments(rows, policy, Segments(by=["region"]), baseline="a", canary="b")
    >>> found.names, [len(pair.canary) for pair in found.segments["cpu"]], len(found.whole["cpu"].canary)
    ([('eu',), ('us',)], [1, 1], 1)
    """
    check_names((baseline, canary))
    rest: Mapping[Any, Any] | None = None
    columns = None if isinstance(data, Mapping) else table_columns(data)
    if isinstance(data, Mapping):
        columns, rest = _of_mapping(data, settings.by)
    if columns is None:
        raise DataError(
            f"the policy compares within segments, which {'a mapping of series' if isinstance(data, Mapping) else shown(data)} does not name",
            "Give a frame or a list of row dicts with metric, arm, value and the columns that the policy's segments name.",
        )
    rows = len(next(iter(columns.values()), ()))
    return segments_of(columns, policy, settings, (baseline, canary), np.arange(1, rows + 1), rest=rest)


def _of_mapping(
    data: Mapping[Any, Any], by: tuple[str, ...]
) -> tuple[dict[str, Column] | None, dict[Any, Any]]:
    """Lay series that have columns of segments, as a server's answers do, into one table; give the rest of the metrics as they are."""
    import pandas as pd  # noqa: PLC0415 - only those who compare within segments pay for it

    def names(series: Any) -> bool:
        return isinstance(series, Mapping) and all(name in series for name in by)

    parts, rest = [], {}
    for metric, arms in data.items():
        if not isinstance(arms, Mapping) or not any(map(names, arms.values())):
            rest[metric] = arms
            continue
        for arm, series in arms.items():
            told = {name: column for name, column in series.items() if name != "said"} if series else {}
            odd = [name for name in told if name not in (*_LAID, *by)]
            if odd:
                raise DataError(
                    f"metric {metric!r}, arm {arm!r}: series with {odd[0]!r} cannot be told apart by segments",
                    "Give a table with a row a point, and of histograms the column le.",
                )
            if told:
                parts.append(pd.DataFrame({name: list(column) for name, column in told.items()}))
                parts[-1].insert(0, "arm", str(arm))
                parts[-1].insert(0, "metric", str(metric))
    return (table_columns(pd.concat(parts, ignore_index=True)) if parts else None), rest


def segments_of(
    columns: Mapping[str, Column],
    policy: Policy,
    settings: Segments,
    arms: tuple[str, str],
    numbers: NDArray[np.intp],
    *,
    pooled: tuple[str, ...] = (),
    rest: Mapping[Any, Any] | None = None,
) -> SegmentedPairs:
    """Read them from the columns of a table whose rows have these numbers; further columns may tell series of a segment apart that are pooled, and metrics that name no segments may be given otherwise."""
    by, asked, given = settings.by, policy, (columns, numbers)
    for name in ("metric", "arm", "value", *by):
        check_column(columns, name)
    metric, known = labels(needed_column(columns, "metric"), "metric", numbers)
    named = np.ones(len(metric), dtype=np.bool_)
    for name in (*by, *pooled):
        named &= named_codes(columns[name])[0] >= 0
    some = np.bincount(metric, weights=named, minlength=len(known)) > 0
    _refuse_unnamed(np.flatnonzero(some[metric] & ~named), metric, known, numbers, by)
    _refuse_missing(policy, [*known, *(rest or {})])
    told = {name for name, is_told in zip(known, some.tolist(), strict=True) if is_told}
    own = [each for each in policy.metrics if each.name in told]
    if not own:
        raise DataError(
            f"no row of the policy's metrics names its {' and '.join(by)}",
            f"Fill in the column {by[0]!r}, or leave segments out of the policy.",
        )
    whole: dict[str, MetricPair] = {}
    if len(own) < len(policy.metrics):  # what names no segments is read as ever
        others = policy.model_copy(
            update={"metrics": tuple(each for each in policy.metrics if each.name not in told)}
        )
        chosen = np.flatnonzero(~some[metric])
        source = (
            TidyTable(_rows(columns, chosen), kinds_of(others), numbers[chosen])
            if rest is None
            else source_of(rest, others)
        )
        whole |= pairs_or_notes(source, others, arms)
    policy = policy.model_copy(update={"metrics": tuple(own)})
    chosen = np.flatnonzero(named)
    columns, numbers = _rows(columns, chosen), numbers[chosen]
    codes, keys = release_columns(columns, by)
    if len(keys) > SEGMENTS:
        raise DataError(
            f"the data have {len(keys):,} segments by {' and '.join(by)}, more than {SEGMENTS:,}",
            "Take a column with fewer values, such as a region; of an identifier each value is a segment.",
        )
    names = [key if isinstance(key, tuple) else (key,) for key in keys]
    series = release_columns(columns, [*by, *pooled])[0] if pooled else codes
    columns = {name: column for name, column in columns.items() if name not in by}
    apart = _apart(columns, series)
    whole |= pairs_or_notes(TidyTable(apart, kinds_of(policy), numbers), policy, arms, forget=True)
    parts = [
        _pairs_of(found, name, policy, arms)
        for name, found in zip(
            names,
            read_parts(apart if pooled else columns, codes, len(names), policy, arms, numbers),
            strict=True,
        )
    ]
    if pooled:
        parts = [{name: _told_together(pair) for name, pair in pairs.items()} for pairs in parts]
    return SegmentedPairs(
        {each.name: whole[each.name] for each in asked.metrics},
        names,
        {each.name: [pairs[each.name] for pairs in parts] for each in own},
        lambda: segments_of(
            given[0], asked, _by_first(settings), arms, given[1], pooled=settings.by[1:], rest=rest
        ),
    )


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


def _refuse_unnamed(
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

    if "replica" in columns:
        own, known = named_codes(columns["replica"])
        codes = np.unique(codes * (len(known) + 1) + own + 1, return_inverse=True)[1]
    names = [str(code) for code in range(int(codes.max(initial=-1)) + 1)]
    parts = pd.Categorical.from_codes(codes, pd.Index(names))
    series = nw.from_native(pd.Series(parts), series_only=True)
    return {**columns, "replica": series}


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
