"""OpenTelemetry metrics in JSON -> timeseries: what OTLP/HTTP sends, and what the collector's file exporter writes line by line."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, Literal, TypeAlias

from canaryjudge.data.diagnostics import shown
from canaryjudge.errors import DataError
from canaryjudge.limits import WHOLE
from canaryjudge.strict_json import RepeatedKeyError, read_strictly

__all__ = ["Attributes", "MetricShape", "Timeseries", "TimeseriesSet", "read_documents"]

MetricShape: TypeAlias = Literal["gauge", "sum", "histogram", "exponentialHistogram"]
Attributes: TypeAlias = tuple[tuple[str, str], ...]
_SHAPES: Final[tuple[MetricShape, ...]] = ("gauge", "sum", "histogram", "exponentialHistogram")
_DELTA, _CUMULATIVE = (
    (1, "1", "AGGREGATION_TEMPORALITY_DELTA"),
    (2, "2", "AGGREGATION_TEMPORALITY_CUMULATIVE"),
)
_OTHER_SIGNALS = ("resourceSpans", "resource_spans", "resourceLogs", "resource_logs")
_NO_VALUE: Final = 1
"""The flag of a data point that only says that there is none."""
_HINT = "Give what OTLP/HTTP sends as JSON, or what the collector's file exporter writes."
_PLAIN = "Write numbers as OTLP does: 12, 1.5, or whole ones as text."


@dataclass(slots=True)
class Timeseries:
    """The data points of one resource, metric and set of attributes.

    Attributes
    ----------
    metric : str
        The name in the document.
    shape : str
        The kind of its data points.
    cumulative : bool
        Whether each counts from its start on, not since the one before it.
    monotonic : bool
        Whether it only grows from its start on.
    unit : str
        What its values are in; empty where the document does not say.
    resource : int
        The number of its resource.
    attributes : dict of str to str
        Of the data points, and of the resource where they have no such attribute.
    times, starts : list of float
        Seconds since 1970; a start is 0 where it is not given.
    values : list
        Numbers; of histograms their data points.
    places : list of tuple
        Where each stands in the document.
    opening : bool
        Whether nothing had been counted before the first of them.
    """

    metric: str
    shape: MetricShape
    cumulative: bool
    monotonic: bool
    unit: str
    resource: int
    attributes: dict[str, str]
    times: list[float] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    places: list[tuple[str, int]] = field(default_factory=list)
    opening: bool = False

    @property
    def is_level(self) -> bool:
        """Whether it is a level that rises and falls, not a count of an interval."""
        return self.shape == "gauge" or (self.cumulative and not self.monotonic)

    @property
    def is_histogram(self) -> bool:
        """Whether its values are histograms."""
        return self.shape in ("histogram", "exponentialHistogram")

    def content(self, index: int) -> Any:
        """Return what a data point says, equal for equal ones."""
        value = self.values[index]
        if not self.is_histogram:
            return None if value != value else value  # noqa: PLR0124 - NaN
        return {key: each for key, each in value.items() if key != "exemplars"}

    def place(self, index: int) -> str:
        """Name a data point by its path."""
        prefix, number = self.places[index]
        return f"{prefix}.dataPoints[{number}]"


@dataclass(slots=True)
class TimeseriesSet:
    """What is in some documents.

    Attributes
    ----------
    series : dict
        The timeseries by metric, unit, resource, scope and attributes, in the order of their first data point.
    names : dict of str to None
        All metrics, read or not.
    summaries : dict of str to str
        The metrics that are summaries, and where.
    """

    series: dict[tuple[Any, ...], Timeseries] = field(default_factory=dict)
    names: dict[str, None] = field(default_factory=dict)
    summaries: dict[str, str] = field(default_factory=dict)
    resources: dict[Attributes, int] = field(default_factory=dict)

    def of(self, name: str) -> list[Timeseries]:
        """Return the timeseries of a metric."""
        return [each for each in self.series.values() if each.metric == name]

    def settle(self) -> None:
        """Put data points in order of time, and find the timeseries of which nothing had been counted before the first of them.

        Those began within the documents, or their resource had exported something before without them.
        """
        exported: dict[int, float] = {}
        for each in self.series.values():
            _order(each)
            exported[each.resource] = min(each.times[0], exported.get(each.resource, each.times[0]))
        first = min(exported.values(), default=0.0)
        for each in self.series.values():
            each.opening = each.starts[0] >= first or exported[each.resource] < each.times[0]


def _order(series: Timeseries) -> None:
    """Sort by time, and keep a data point once that was exported twice."""
    times = series.times
    if any(later <= before for before, later in pairwise(times)):
        order = sorted(range(len(times)), key=times.__getitem__)
        kept = order[:1]
        for index in order[1:]:
            if times[index] > times[kept[-1]]:
                kept.append(index)
            elif series.content(index) != series.content(kept[-1]):
                raise _shared(series, index)
        series.times = [times[i] for i in kept]
        series.starts = [series.starts[i] for i in kept]
        series.values = [series.values[i] for i in kept]
        series.places = [series.places[i] for i in kept]
    if series.cumulative:
        for index, (before, later) in enumerate(pairwise(series.starts), start=1):
            if 0 < later < before:
                raise _shared(series, index)


def _shared(series: Timeseries, index: int) -> DataError:
    return DataError(
        f"{series.place(index)}: {series.metric!r} has several values at one time, or starts that go back, in one timeseries",
        "Give each process an attribute of its own, such as service.instance.id, which OpenTelemetry asks for.",
    )


def read_documents(given: Any, wanted: Collection[str] | None) -> TimeseriesSet:
    """Read metrics in the JSON form of OTLP, with field names in either case."""
    found = TimeseriesSet()
    for prefix, document in _documents(given):
        groups = _field(document, "resourceMetrics", "resource_metrics")
        if groups is None:
            if any(name in document for name in _OTHER_SIGNALS) or not document:
                continue
            raise DataError(
                f"{prefix or 'the document'} has no resourceMetrics, only {shown(list(document))}", _HINT
            )
        for where, group in _items(groups, f"{prefix}{'.' if prefix else ''}resourceMetrics"):
            _read_resource(group, where, wanted, found)
    found.settle()
    return found


def _documents(given: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(given, str | bytes | bytearray):
        yield from _texts(given)
        return
    if isinstance(given, Mapping):
        yield "", given
        return
    if not isinstance(given, list | tuple):
        raise DataError(f"{shown(given)} ({type(given).__name__}) is no OTLP document", _HINT)
    yield from _items(given, "documents")


def _texts(text: str | bytes | bytearray) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if not isinstance(text, str):
        try:
            text = bytes(text).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise DataError("the document is not UTF-8 text", _HINT) from None
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    first = _decoded(lines[0][1], 1) if lines else {}
    if isinstance(first, DataError) or len(lines) < 2:
        whole = _decoded(text, 1) if len(lines) != 1 else first
        if isinstance(whole, DataError):
            raise whole
        yield from _documents(whole if isinstance(whole, Mapping | list) else [whole])
        return
    for number, line in lines:
        document = _decoded(line, number)
        if isinstance(document, DataError):
            raise document
        if not isinstance(document, Mapping):
            raise DataError(f"line {number}: {shown(document)} is no OTLP document", _HINT)
        yield f"line {number}", document


def _decoded(text: str, line: int) -> Any:
    """Return a JSON value, or the error that says why it is none."""
    if not text.strip():
        return DataError("the document is empty", _HINT)
    try:
        return read_strictly(text)
    except json.JSONDecodeError as error:
        where = f"line {line + error.lineno - 1}, column {error.colno}"
        return DataError(f"{where}: this is not JSON ({error.msg[:1].lower()}{error.msg[1:]})", _HINT)
    except RepeatedKeyError as error:
        return DataError(f"line {line}: {error}", "Leave one out.")
    except (RecursionError, ValueError) as error:
        return DataError(f"line {line}: this JSON cannot be read ({error})", _HINT)


def _field(item: Mapping[str, Any], camel: str, snake: str) -> Any:
    found = item.get(camel)
    return item.get(snake) if found is None else found


def _items(given: Any, where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if given is None:
        return
    if not isinstance(given, list | tuple):
        raise DataError(f"{where} is {shown(given)} where a list belongs", _HINT)
    for index, item in enumerate(given):
        if not isinstance(item, Mapping):
            raise DataError(f"{where}[{index}] is {shown(item)} where an object belongs", _HINT)
        yield f"{where}[{index}]", item


def _read_resource(
    group: Mapping[str, Any], where: str, wanted: Collection[str] | None, found: TimeseriesSet
) -> None:
    resource = group.get("resource") or {}
    if not isinstance(resource, Mapping):
        raise DataError(f"{where}.resource is {shown(resource)} where an object belongs", _HINT)
    common = _attributes(resource.get("attributes"), f"{where}.resource")
    number = found.resources.setdefault(tuple(sorted(common)), len(found.resources))
    for place, scoped in _items(_field(group, "scopeMetrics", "scope_metrics"), f"{where}.scopeMetrics"):
        scope = scoped.get("scope") or {}
        named = (
            tuple((key, shown(scope.get(key))) for key in ("name", "version") if key in scope)
            if isinstance(scope, Mapping)
            else ()
        )
        for path, metric in _items(scoped.get("metrics"), f"{place}.metrics"):
            name = metric.get("name")
            if not isinstance(name, str) or not name:
                raise DataError(f"{path} has the name {shown(name)}", "Give each metric a name.")
            found.names[name] = None
            if wanted is None or name in wanted:
                _read_metric(
                    metric, path, _Origin(name, _unit(metric, path), number, named, dict(common)), found
                )


@dataclass(frozen=True, slots=True)
class _Origin:
    """Whose data points they are: the metric's name and unit, the resource's number, the scope, and the resource's attributes."""

    metric: str
    unit: str
    resource: int
    scope: Attributes
    attributes: dict[str, str]

    @property
    def key(self) -> tuple[str, str, int, Attributes]:
        return self.metric, self.unit, self.resource, self.scope


def _unit(metric: Mapping[str, Any], path: str) -> str:
    unit = metric.get("unit")
    if unit is None or isinstance(unit, str):
        return (unit or "").strip()
    raise DataError(
        f"{path}: the unit is {shown(unit)}", "Write the unit as text, as UCUM has it: ms, By, 1."
    )


def _read_metric(metric: Mapping[str, Any], path: str, origin: _Origin, found: TimeseriesSet) -> None:
    if metric.get("summary") is not None:
        found.summaries.setdefault(origin.metric, path)
        return
    data: Any = None
    for shape in _SHAPES:
        snake = "exponential_histogram" if shape == "exponentialHistogram" else shape
        data = _field(metric, shape, snake)
        if data is not None:
            break
    if data is None:
        return
    if not isinstance(data, Mapping):
        raise DataError(f"{path}.{shape} is {shown(data)} where an object belongs", _HINT)
    where = f"{path}.{shape}"
    cumulative = shape != "gauge" and _is_cumulative(data, where)
    monotonic = shape != "sum" or _field(data, "isMonotonic", "is_monotonic") is True
    points = _field(data, "dataPoints", "data_points")
    for index, (place, point) in enumerate(_items(points, f"{where}.dataPoints")):
        if _flags(point, place) & _NO_VALUE:
            continue
        own = _attributes(point.get("attributes"), place)
        key = (origin.key, shape, cumulative, monotonic, own if len(own) < 2 else tuple(sorted(own)))
        series = found.series.get(key)
        if series is None:
            attributes = origin.attributes | dict(own)
            kind = (shape, cumulative, monotonic, origin.unit)
            series = Timeseries(origin.metric, *kind, origin.resource, attributes)
            found.series[key] = series
        series.times.append(_seconds(_field(point, "timeUnixNano", "time_unix_nano"), place))
        series.starts.append(_start(_field(point, "startTimeUnixNano", "start_time_unix_nano"), place))
        series.values.append(point if series.is_histogram else _value(point, place, shape))
        series.places.append((where, index))


def _is_cumulative(data: Mapping[str, Any], where: str) -> bool:
    given = _field(data, "aggregationTemporality", "aggregation_temporality")
    if given in _DELTA or given in _CUMULATIVE:
        return given in _CUMULATIVE
    raise DataError(
        f"{where}: the aggregationTemporality is {shown(given)}",
        "Say 1 for deltas or 2 for cumulative data points, or the names of these.",
    )


def _attributes(given: Any, where: str) -> Attributes:
    """Read attributes as texts."""
    if not given:
        return ()
    found = []
    for place, item in _items(given, f"{where}.attributes"):
        key = item.get("key")
        if not isinstance(key, str):
            raise DataError(f"{place} has the key {shown(key)}", 'Write {"key": ..., "value": ...}.')
        found.append((key, _text(item.get("value"), place)))
    return tuple(found)


def _text(value: Any, where: str) -> str:
    if isinstance(value, Mapping):
        value = next(iter(value.values()), "")
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    try:
        return json.dumps(value, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        raise DataError(f"{where}: the value cannot be read", "Give values as OTLP does.") from None


def _flags(point: Mapping[str, Any], where: str) -> int:
    flags = point.get("flags")
    return 0 if flags is None else int(_number(flags, f"{where}.flags"))


def _number(value: Any, where: str) -> float:
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            pass
        else:
            if math.isfinite(number) or where.endswith("asDouble"):
                return number
    raise DataError(f"{where} is {shown(value)} where a number belongs", _PLAIN)


def _value(point: Mapping[str, Any], where: str, shape: MetricShape) -> float:
    whole = _field(point, "asInt", "as_int")
    if whole is not None:
        number = _number(whole, f"{where}.asInt")
        # a counter that large is differenced before it becomes a float
        return int(whole) if abs(number) >= WHOLE and not isinstance(whole, float) else number
    value = _field(point, "asDouble", "as_double")
    if value is None:
        raise DataError(
            f"{where} has neither asInt nor asDouble", "Flag a data point without a value with flags: 1."
        )
    number = _number(value, f"{where}.asDouble")
    if shape == "sum" and not math.isfinite(number):
        raise DataError(f"{where}.asDouble is {number:g}, which no sum can be", _PLAIN)
    return number


def _seconds(nanoseconds: Any, where: str) -> float:
    if nanoseconds is None or (seconds := _number(nanoseconds, f"{where}.timeUnixNano") / 1e9) <= 0:
        raise DataError(
            f"{where}: the timeUnixNano is {shown(nanoseconds)}", "Give every data point its time."
        )
    return seconds


def _start(nanoseconds: Any, where: str) -> float:
    return 0.0 if nanoseconds is None else _number(nanoseconds, f"{where}.startTimeUnixNano") / 1e9
