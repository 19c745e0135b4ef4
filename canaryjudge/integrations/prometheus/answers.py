"""Answers of Prometheus's HTTP API -> the mapping that `judge` takes: series, checked, become arms and their replicas."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.diagnostics import likely_name, shown
from canaryjudge.data.pair import FloatArray
from canaryjudge.errors import DataError
from canaryjudge.kinds import KindName
from canaryjudge.limits import CELLS
from canaryjudge.strict_json import RepeatedKeyError, read_strictly
from canaryjudge.texts import on_one_line

__all__ = ["error_of", "from_prometheus", "readable", "said_by"]

_Triples = list[list[float]]
"""The buckets of a native histogram: lower edge, upper edge and count of each."""

_DOCUMENT = "Give the JSON that /api/v1/query_range answers, whole."
_TOGETHER = "Put answers together that are of one server and one query."
_MOST_SHOWN = 300
_NAME = "__name__"
_Name = TypeVar("_Name", str, tuple[str, ...])
SeriesColumns = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _PromSeries:
    """One series of an answer."""

    labels: Mapping[str, str]  # its name under __name__
    time: FloatArray  # (n,): seconds since 1970, ascending; staleness leaves a gap
    value: FloatArray  # (n,): of a native histogram, how many observations it counts
    buckets: list[_Triples] | None = None  # of native histograms, at each time
    counts: FloatArray | None = (
        None  # of native histograms: how many observations each says that it has; NaN where it does not
    )


@dataclass(slots=True)
class _Points:
    """The points of one series, out of one answer or several."""

    labels: Mapping[str, str]
    values: dict[float, float] = field(default_factory=dict)
    buckets: dict[float, _Triples] = field(default_factory=dict)
    counts: dict[float, float] = field(default_factory=dict)


def readable(text: Any) -> str:
    """Return what a server said as a line that is safe to print: no control characters, and not too long."""
    return on_one_line(str(text)[: 4 * _MOST_SHOWN], _MOST_SHOWN)


def error_of(document: Any, redacted: Callable[[str], str] = str) -> str | None:
    """Return the error that an answer reports, without what must not be shown; None where it reports none."""
    if not isinstance(document, Mapping) or document.get("status") != "error":
        return None
    kind, text = document.get("errorType") or "error", document.get("error") or "no reason given"
    return f"{readable(redacted(str(kind)))}: {readable(redacted(str(text)))}"


def said_by(document: Any) -> list[Any]:
    """List what a server said of its answer: warnings, such as of a partial one, and remarks; VictoriaMetrics only marks it."""
    if not isinstance(document, Mapping):
        return []
    partial = ["the answer is partial"] if document.get("isPartial") is True else []
    lines = [document.get(key) for key in ("warnings", "infos")]
    return [*partial, *(line for part in lines if isinstance(part, list) for line in part)]


def _told(response: Any) -> list[str]:
    """List what was said of answers in any of their shapes, as lines that are safe to print."""
    if isinstance(response, list):
        return [line for each in response for line in _told(each)]
    if isinstance(response, str | bytes):
        written = response.encode() if isinstance(response, str) else response
        says = any(mark in written for mark in (b'"warnings"', b'"infos"', b'"isPartial"'))
        response = json.loads(written) if says else None
    return [readable(line) for line in said_by(response)]


def _read_response(response: Any, where: str) -> list[_PromSeries]:
    """Read one answer, or several that belong together.

    Examples
    --------
    >>> answer = {"status": "success", "data": {"resultType": "matrix", "result": [
    ...     {"metric": {"instance": "a"}, "values": [[60, "1.5"], [120, "NaN"], [180, "+Inf"]]}]}}
    >>> [(series.labels, series.time.tolist(), series.value.tolist()) for series in _read_response(answer, "cpu")]
    [({'instance': 'a'}, [60.0, 120.0, 180.0], [1.5, nan, inf])]
    """
    known: dict[tuple[tuple[str, str], ...], _Points] = {}
    for document in response if isinstance(response, list) else [response]:
        for entry in _result(document, where):
            labels = _labels(entry, where)
            points = known.setdefault(tuple(sorted(labels.items())), _Points(labels))
            _add(points, entry, f"{where}, series {_written(labels)}")
    return [_series(points, where) for points in known.values() if points.values or points.buckets]


def _result(document: Any, where: str) -> list[Any]:
    if isinstance(document, str | bytes):
        try:
            document = read_strictly(document)
        except RepeatedKeyError as twice:
            raise DataError(
                f"{where}: the answer is no JSON that can be trusted: {twice}", _DOCUMENT
            ) from None
        except (ValueError, RecursionError):
            raise DataError(f"{where}: the answer is not JSON, or is cut off", _DOCUMENT) from None
    if error := error_of(document):
        raise DataError(f"{where}: Prometheus answered with an error: {error}", "Correct the query.")
    data = document.get("data") if isinstance(document, Mapping) else None
    if not isinstance(data, Mapping) or document.get("status") != "success":
        raise DataError(f"{where}: {shown(document)} is no answer of Prometheus", _DOCUMENT)
    kind, result = data.get("resultType"), data.get("result")
    if kind in ("scalar", "string"):
        raise DataError(
            f"{where}: the answer is a {kind}, which has neither labels nor a series of points",
            "Ask for series: a metric, or a function of one.",
        )
    if kind not in ("matrix", "vector"):
        raise DataError(f"{where}: the answer is of the type {shown(kind)}, not a matrix", _DOCUMENT)
    if not isinstance(result, list):
        raise DataError(f"{where}: the result is {shown(result)} where a list of series belongs", _DOCUMENT)
    return result


def _labels(entry: Any, where: str) -> dict[str, str]:
    labels = entry.get("metric") if isinstance(entry, Mapping) else None
    if not isinstance(labels, Mapping) or not all(isinstance(text, str) for text in labels.values()):
        raise DataError(f"{where}: {shown(entry)} is not a series with labels", _DOCUMENT)
    return {str(name): text for name, text in labels.items()}


def _written(labels: Mapping[str, str]) -> str:
    return shown(",".join(f"{name}={text}" for name, text in labels.items()))


def _add(points: _Points, entry: Mapping[str, Any], where: str) -> None:
    if not points.values and (plain := _all_numbers(entry)) is not None:
        points.values = plain
        return
    for time, text in _samples(entry, "value", "values", where):
        number = _number(text, where)
        before = points.values.setdefault(time, number)
        if before != number and not (np.isnan(before) and np.isnan(number)):
            raise DataError(
                f"{where}: there are two values for the time {time:g}, {before:g} and {number:g}",
                _TOGETHER,
            )
    for time, histogram in _samples(entry, "histogram", "histograms", where):
        buckets = _triples(histogram, where)
        points.counts[time] = _number(histogram.get("count", "NaN"), where)
        if points.buckets.setdefault(time, buckets) != buckets:
            raise DataError(f"{where}: there are two histograms for the time {time:g}", _TOGETHER)


def _all_numbers(entry: Mapping[str, Any]) -> dict[float, float] | None:
    """Read a series at once, which an answer has thousands of; None where a point takes a closer look."""
    samples = entry.get("values")
    if not isinstance(samples, list) or {"value", "histogram", "histograms"} & set(entry):
        return None
    if not all(type(sample) is list and len(sample) == 2 for sample in samples):
        return None
    times, texts = [sample[0] for sample in samples], [sample[1] for sample in samples]
    if not set(map(type, times)) <= {int, float} or not set(map(type, texts)) <= {str}:
        return None
    try:
        found = dict(zip(map(float, times), map(float, texts), strict=True))
    except (ValueError, OverflowError):
        return None
    return found if len(found) == len(samples) and np.isfinite([*found]).all() else None


def _samples(entry: Mapping[str, Any], one: str, many: str, where: str) -> list[tuple[float, Any]]:
    samples = entry.get(many, [])
    if one in entry:
        samples = [entry[one]]
    if not isinstance(samples, list):
        raise DataError(f"{where}: {many} is {shown(samples)}, which is not a list of points", _DOCUMENT)
    found = []
    for sample in samples:
        if not isinstance(sample, Sequence) or isinstance(sample, str) or len(sample) != 2:
            raise DataError(f"{where}: {shown(sample)} is not a point [time, value]", _DOCUMENT)
        time = _number(sample[0], where)
        if not np.isfinite(time):
            raise DataError(f"{where}: {shown(sample[0])} is not a time", _DOCUMENT)
        found.append((time, sample[1]))
    return found


def _number(text: Any, where: str) -> float:
    """Read a number as Prometheus writes it: 1.5, NaN, +Inf."""
    if isinstance(text, str | int | float) and not isinstance(text, bool):
        try:
            return float(text)
        except (ValueError, OverflowError):
            pass
    raise DataError(f"{where}: {shown(text)} is not a number", _DOCUMENT)


def _triples(histogram: Any, where: str) -> _Triples:
    buckets = histogram.get("buckets", []) if isinstance(histogram, Mapping) else None
    fit = isinstance(buckets, list) and all(
        isinstance(bucket, list) and len(bucket) == 4 for bucket in buckets
    )
    if not isinstance(buckets, list) or not fit:
        raise DataError(f"{where}: {shown(histogram)} is not a native histogram", _DOCUMENT)
    # the first of the four says which edges belong to the bucket: no matter where observations are continuous
    return [[_number(part, where) for part in bucket[1:]] for bucket in buckets]


def _series(points: _Points, where: str) -> _PromSeries:
    if not points.buckets:
        time = np.array(sorted(points.values))
        return _PromSeries(points.labels, time, np.array([points.values[at] for at in time.tolist()]))
    if points.values:
        raise DataError(
            f"{where}, series {_written(points.labels)}: some points are numbers and others are histograms",
            "Ask for one of the two.",
        )
    time = np.array(sorted(points.buckets))
    buckets = [points.buckets[at] for at in time.tolist()]
    held = np.array([sum(bucket[2] for bucket in row) for row in buckets])
    counts = np.array([points.counts[at] for at in time.tolist()])
    return _PromSeries(points.labels, time, held, buckets, counts)


def from_prometheus(
    response: Any,
    *,
    arm: str | None = None,
    metric: str | None = None,
    total: Any = None,
    replica: str = "instance",
    kind: KindName | None = None,
    counter: bool = False,
    segments: Sequence[str] = (),
) -> dict[str, dict[str, SeriesColumns]]:
    """Turn what Prometheus answered into data that can be judged.

    Parameters
    ----------
    response : dict, str, bytes, list of these, or mapping of arms to them
        JSON of ``/api/v1/query_range``: a matrix of floats or of native histograms. A vector of ``/api/v1/query`` is one point a series.
        Several answers in a list are put together. Without `arm`, a mapping of each arm's name to its answer.
    arm : str, optional
        The label whose values are the arms.
    metric : str, optional
        The metric's name. By default each series' own, its label ``__name__``.
    total : as `response`, optional
        Of a ratio or a count, what the response's events are of: the answer for the requests, where the response is the errors.
    replica : str
        The label that tells an arm's replicas apart. Where no series has it, the remaining labels do.
    kind : {"gauge", "samples", "ratio", "count", "histogram"}, optional
        The metric's kind, as in the policy. By default a histogram where series have the label ``le`` or native histograms, a ratio where
        there is a `total`, and else a gauge. Of ratios, counts and histograms the series of a replica are added up; of gauges and samples
        each series stands by itself.
    counter : bool
        The numbers are counters that only grow, to be differenced: set ``counter: true`` in the policy too.
    segments : sequence of str
        Labels that name segments of the traffic, such as ``["region"]``: each becomes a column, and series of different segments are kept apart.

    Returns
    -------
    dict
        ``{metric: {arm: {"value": ..., "time": ..., "replica": ...}}}``, with `total` for ratios and counts that have one and `le` for
        histograms; native histograms have `buckets`, a row of ``[lower, upper, count]`` an interval, in place of `value`.

    Raises
    ------
    DataError
        If it is no such answer or reports an error, a series lacks its arm or name, or events have no total.

    Notes
    -----
    An event that has not occurred yet has no series: no 503, no ``code="503"``. Where there is a total, a missing series of events is 0.
    A counter that appears after others of its replica began at 0 there, so its first events count (``increase()`` misses them). Where a
    counter pauses while others of its replica go on, it keeps its value, unless one of them falls: then the replica was restarted, and
    what is missing is 0.

    Examples
    --------
    >>> answer = {"status": "success", "data": {"resultType": "matrix", "result": [
    ...     {"metric": {"version": "1.4", "instance": "a"}, "values": [[60, "0.5"], [120, "0.6"]]},
    ...     {"metric": {"version": "1.5", "instance": "b"}, "values": [[60, "0.7"], [120, "NaN"]]}]}}
    >>> data = from_prometheus(answer, arm="version", metric="cpu")
    >>> data["cpu"]["1.5"]["value"].tolist(), data["cpu"]["1.5"]["replica"]
    ([0.7, nan], ['b', 'b'])
    """
    if total is not None and metric is None:
        raise DataError(
            "from_prometheus: two answers, and no name for their metric", "Name it: metric='errors'."
        )
    values, totals = _by_arm(response, arm, metric), None if total is None else _by_arm(total, arm, metric)
    if kind == "ratio" and totals is None:
        raise DataError("from_prometheus: a ratio needs total=", "Give the answer for the requests as total.")
    found: dict[str, dict[str, SeriesColumns]] = {} if metric is None else {metric: {}}
    for name in dict.fromkeys([*values, *(totals or {})]):
        for label in {**values.get(name, {}), **(totals or {}).get(name, {})}:
            asked = _Asked(
                f"metric {name!r}, arm {label!r}",
                frozenset({_NAME, arm or _NAME, *segments}),
                replica,
                counter,
            )
            events = values.get(name, {}).get(label, [])
            amounts = None if totals is None else totals.get(name, {}).get(label, [])
            columns = _in_segments(events, amounts, kind, asked, tuple(segments))
            if said := _told_of(label, arm, response, total):
                columns = (columns or {"value": np.empty(0)}) | {"said": said}
            found.setdefault(name, {})[label] = columns
    return found


def _told_of(label: str, arm: str | None, *responses: Any) -> str:
    """Put together what was said of the answers that one arm is from."""
    lines: list[str] = []
    for response in responses:
        if arm is None and isinstance(response, Mapping):
            response = next((each for name, each in response.items() if str(name) == label), None)  # noqa: PLW2901 - the arm's own
        lines += _told(response)
    return readable("; ".join(dict.fromkeys(lines)))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is known of one arm of a metric besides its series."""

    where: str
    ignored: frozenset[str]
    """Labels that tell no replicas apart."""
    replica: str
    counter: bool

    def names(self, series: Sequence[_PromSeries], *, apart: bool = False) -> Callable[[_PromSeries], str]:
        """Name the replica of each series: by the label, or else by what is common to all; `apart` by all that differs."""
        if any(self.replica in each.labels for each in series):
            names = [each.labels.get(self.replica, "") for each in series]
            if not apart or len(set(names)) == len(names):
                return lambda each: each.labels.get(self.replica, "")
        kept = [set(each.labels) - self.ignored for each in series]
        common = sorted(set().union(*kept) if apart else set.intersection(*kept))
        return lambda each: ",".join(f"{name}={each.labels[name]}" for name in common if name in each.labels)


def _by_arm(response: Any, arm: str | None, metric: str | None) -> dict[str, dict[str, list[_PromSeries]]]:
    """Sort the series by metric and arm."""
    what = "the answer" if metric is None else f"metric {metric!r}"
    found: dict[str, dict[str, list[_PromSeries]]] = {}
    if arm is not None:
        for each in _read_response(response, what):
            if arm not in each.labels:
                raise DataError(
                    f"{what}: a series has no label {arm!r} that names its arm",
                    likely_name(arm, each.labels, "labels"),
                )
            found.setdefault(_name(each, metric), {}).setdefault(each.labels[arm], []).append(each)
        return found
    if not isinstance(response, Mapping) or "status" in response or not response:
        raise DataError(
            f"from_prometheus: {shown(response)} does not tell its arms apart",
            "Name the label that does, as in arm='version', or give a mapping of arms to their answers.",
        )
    for label, document in response.items():
        series = _read_response(document, f"{what}, arm {str(label)!r}")
        for name in dict.fromkeys([metric] if metric is not None else [_name(each, None) for each in series]):
            own = [each for each in series if metric is not None or _name(each, None) == name]
            found.setdefault(str(name), {})[str(label)] = own
    for arms in found.values():  # an arm without an answer is an arm without data
        arms.update({str(label): [] for label in response if str(label) not in arms})
    return found


def _name(series: _PromSeries, metric: str | None) -> str:
    name = series.labels.get(_NAME) if metric is None else metric
    if name is None:
        raise DataError(
            "the answer: a series has no name, as those of functions have none", "Name it: metric='cpu'."
        )
    return name


def _columns(
    values: list[_PromSeries], totals: list[_PromSeries] | None, kind: KindName | None, asked: _Asked
) -> SeriesColumns:
    """Return the columns of one arm."""
    if not values and not totals:
        return {}
    native = sum(each.buckets is not None for each in values)
    if native == len(values) and native:
        return _native(values, asked)
    if native:
        raise _some_native(asked)
    if kind == "histogram" or (kind is None and any("le" in each.labels for each in values)):
        return _classic(values, asked)
    if totals is not None or kind in ("count", "ratio"):
        return _counts(values, totals, asked)
    names = asked.names(values, apart=True)
    return _stacked([({"value": each.value}, each.time, names(each)) for each in values])


def _in_segments(
    values: list[_PromSeries],
    totals: list[_PromSeries] | None,
    kind: KindName | None,
    asked: _Asked,
    segments: tuple[str, ...],
) -> SeriesColumns:
    """Return the columns of one arm, those of its segments one after another, each with the labels that name it."""
    if not any(name in each.labels for name in segments for each in [*values, *(totals or [])]):
        return _columns(values, totals, kind, asked)

    def name_of(each: _PromSeries) -> tuple[str, ...]:
        return tuple(each.labels.get(name, "") for name in segments)

    of_values = _grouped(values, name_of)
    of_totals = None if totals is None else _grouped(totals, name_of)
    parts: list[SeriesColumns] = []
    for segment in dict.fromkeys([*of_values, *(of_totals or ())]):
        own = None if of_totals is None else of_totals.get(segment, [])
        part = _columns(of_values.get(segment, []), own, kind, asked)
        rows = len(part["time"])
        parts.append(part | {name: [text] * rows for name, text in zip(segments, segment, strict=True)})
    if len({"buckets" in part for part in parts}) > 1:
        raise _some_native(asked)
    found: SeriesColumns = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        fill = "" if name == "replica" else np.nan  # what a segment's own series may lack
        found[name] = [entry for part in parts for entry in part.get(name, [fill] * len(part["time"]))]
    return found


def _some_native(asked: _Asked) -> DataError:
    return DataError(
        f"{asked.where}: some series are native histograms and others are numbers", "Ask for one of the two."
    )


def _counts(values: list[_PromSeries], totals: list[_PromSeries] | None, asked: _Asked) -> SeriesColumns:
    """Add up the series of each replica; of a ratio, events that have no series are 0."""
    every = [*values, *(totals or [])]
    names = asked.names(every)
    parts = []
    own = _grouped(values, names)
    of_all = None if totals is None else _grouped(totals, names)
    for name in dict.fromkeys([*own, *(of_all or ())]):
        events = own.get(name, [])
        amounts = None if of_all is None else of_all.get(name, [])
        if amounts == []:
            of = f" for {name}" if name else ""
            raise DataError(
                f"{asked.where}: there are events{of}, and no total that they are of",
                f"Let both queries keep the same labels, {asked.replica} among them.",
            )
        grid = _Grid.of([*events, *(amounts or [])], asked)
        rows: NDArray[np.bool_] = np.ones(len(grid.time), dtype=np.bool_)
        columns = {"value": grid.numbers[: len(events)].sum(axis=0)}
        if amounts is not None:
            known: NDArray[np.bool_] = np.any(grid.present[len(events) :], axis=0)
            columns["total"] = np.where(known, grid.numbers[len(events) :].sum(axis=0), np.nan)
            # a counter is read again later; the events of an interval without a total are not
            rows = known if asked.counter else rows
        parts.append(({key: column[rows] for key, column in columns.items()}, grid.time[rows], name))
    return _stacked(parts)


def _classic(values: list[_PromSeries], asked: _Asked) -> SeriesColumns:
    """Add up the buckets of each replica, edge by edge."""
    odd = next((each for each in values if "le" not in each.labels), None)
    if odd is not None:
        raise DataError(
            f"{asked.where}: a series of the histogram has no label 'le'",
            "Ask for the buckets, ..._bucket, and keep the label le in aggregations: sum by (le, instance).",
        )
    own = _Asked(asked.where, asked.ignored | {"le"}, asked.replica, asked.counter)
    values = _one_spelling(values, own)
    names = own.names(values)
    parts = []
    for name, histograms in _grouped(values, names).items():
        for number, group in enumerate(_layouts(histograms, own)):
            grid = _Grid.of(group, asked)
            order, place = np.unique([_edge(each.labels["le"], asked) for each in group], return_inverse=True)
            counts = np.zeros((len(grid.time), len(order)))
            np.add.at(counts.T, place, grid.numbers)
            labels = ["+Inf" if edge == np.inf else repr(edge) for edge in order.tolist()]
            columns = {"value": counts.ravel(), "le": np.array(labels * len(grid.time), dtype=object)}
            parts.append(
                (columns, np.repeat(grid.time, len(order)), f"{name} ({number + 1})" if number else name)
            )
    return _stacked(parts)


def _grouped(
    series: Iterable[_PromSeries], names: Callable[[_PromSeries], _Name]
) -> dict[_Name, list[_PromSeries]]:
    found: dict[_Name, list[_PromSeries]] = {}
    for each in series:
        found.setdefault(names(each), []).append(each)
    return found


def _one_spelling(series: list[_PromSeries], asked: _Asked) -> list[_PromSeries]:
    """Join the series of one bucket whose edge is spelled in two ways, as a server that was upgraded spells it: 1 and 1.0."""
    alike: dict[tuple[Any, ...], list[_PromSeries]] = {}
    for each in series:
        labels = tuple(sorted(item for item in each.labels.items() if item[0] != "le"))
        alike.setdefault((labels, _edge(each.labels["le"], asked)), []).append(each)
    return [parts[0] if len(parts) == 1 else _joined(parts, asked) for parts in alike.values()]


def _joined(parts: list[_PromSeries], asked: _Asked) -> _PromSeries:
    points: dict[float, tuple[float, str]] = {}
    for each in parts:
        le = each.labels["le"]
        for time, value in zip(each.time.tolist(), each.value.tolist(), strict=True):
            known, spelled = points.setdefault(time, (value, le))
            if known != value and not (np.isnan(known) and np.isnan(value)):
                raise DataError(
                    f"{asked.where}: the bucket up to {float(le):g} is there twice, as le {spelled} with {known:g} and as le {le} with {value:g} at the time {time:g}",
                    "Ask for one of the two spellings.",
                )
    time = np.array(sorted(points))
    return _PromSeries(parts[0].labels, time, np.array([points[at][0] for at in time.tolist()]))


def _layouts(series: list[_PromSeries], asked: _Asked) -> list[list[_PromSeries]]:
    """Part histograms that have other edges: their cumulative counts cannot be added."""
    whole: dict[tuple[tuple[str, str], ...], list[_PromSeries]] = {}
    for each in series:
        labels = tuple(sorted(item for item in each.labels.items() if item[0] != "le"))
        whole.setdefault(labels, []).append(each)
    parts: dict[frozenset[float], list[_PromSeries]] = {}
    for histogram in whole.values():
        parts.setdefault(frozenset(_edge(each.labels["le"], asked) for each in histogram), []).extend(
            histogram
        )
    return list(parts.values())


def _edge(text: str, asked: _Asked) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(
            f"{asked.where}: le is {shown(text)}, which is no number", "Keep le as it is."
        ) from None


def _native(values: list[_PromSeries], asked: _Asked) -> SeriesColumns:
    names = asked.names(values, apart=True)
    replicas = asked.names(values)
    known = {
        name: np.unique(np.concatenate([each.time for each in own]))
        for name, own in _grouped(values, replicas).items()
    }
    parts = []
    for each in values:
        time, rows = each.time, list(each.buckets or ())
        counts = np.full(len(time), np.nan) if each.counts is None else each.counts
        earlier = known[replicas(each)]
        earlier = earlier[: earlier.searchsorted(time[0])]
        if asked.counter and len(earlier):  # its replica was there before it, so it began empty
            time, rows, counts = np.append(earlier[-1], time), [[], *rows], np.append(0.0, counts)
        parts.append(({"buckets": _objects(rows), "counts": counts}, time, names(each)))
    stacked = _stacked(parts)
    if np.isnan(stacked["counts"]).all():
        del stacked["counts"]
    return stacked | {"buckets": stacked["buckets"].tolist()}


def _objects(rows: list[_Triples]) -> NDArray[np.object_]:
    return np.fromiter(rows, dtype=object, count=len(rows))


def _stacked(parts: Iterable[tuple[Mapping[str, NDArray[Any]], FloatArray, str]]) -> SeriesColumns:
    """Put the columns of all replicas together, in order of time."""
    parts = list(parts)
    time = np.concatenate([part[1] for part in parts])
    order = np.argsort(time, kind="stable")
    columns: SeriesColumns = {
        key: np.concatenate([part[0][key] for part in parts])[order] for key in parts[0][0]
    }
    columns["time"] = time[order]
    if any(name for _, _, name in parts):
        names = np.repeat(
            np.array([name for _, _, name in parts], dtype=object), [len(part[1]) for part in parts]
        )
        columns["replica"] = names[order].tolist()
    if "le" in columns:
        columns["le"] = columns["le"].tolist()
    return columns


@dataclass(frozen=True, slots=True)
class _Grid:
    """The series of one replica on one clock."""

    time: FloatArray  # (n,): when any series has a point
    numbers: FloatArray  # (s, n): filled in where a series has no point
    present: NDArray[np.bool_]  # (s, n)

    @classmethod
    def of(cls, series: Sequence[_PromSeries], asked: _Asked) -> _Grid:
        """Lay series on one clock; a missing point of an interval's count is 0, of a counter see `_carried`."""
        time = np.unique(np.concatenate([each.time for each in series]))
        if len(series) * len(time) > CELLS:
            raise DataError(
                f"{asked.where}: there are {len(series):,} series with {len(time):,} different times",
                "Ask for all of them at the same times, for fewer series or a shorter window.",
            )
        numbers = np.full((len(series), len(time)), np.nan)
        present = np.zeros(numbers.shape, dtype=np.bool_)
        for row, each in enumerate(series):
            at = time.searchsorted(each.time)
            numbers[row, at] = each.value
            present[row, at] = True
        if asked.counter:
            return cls(time, _carried(numbers, present), present)
        return cls(time, np.where(present, numbers, 0.0), present)


def _carried(numbers: FloatArray, present: NDArray[np.bool_]) -> FloatArray:
    """Fill in counters: 0 before they appear and after a restart of their replica, and else what they were last."""
    known = np.isfinite(numbers)
    columns = np.arange(numbers.shape[1])
    last = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    before = np.concatenate([np.full((len(numbers), 1), -1), last[:, :-1]], axis=1)
    previous = np.take_along_axis(numbers, np.maximum(before, 0), axis=1)
    fell = (known & (before >= 0) & (numbers < previous)).any(axis=0)
    restart = np.maximum.accumulate(np.where(fell, columns, 0))
    current = (last >= 0) & (last >= restart)
    carried = np.where(current, np.take_along_axis(numbers, np.maximum(last, 0), axis=1), 0.0)
    # a first point that is NaN says that there is a counter, and not what it is
    unknown = (last < 0) & np.logical_or.accumulate(present, axis=1)
    return np.where(known | np.isinf(numbers), numbers, np.where(unknown, np.nan, carried))
