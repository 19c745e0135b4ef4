"""OpenTelemetry metrics -> data that can be judged: sums, gauges, histograms and exponential histograms in OTLP's JSON form."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from canaryjudge.data.diagnostics import likely_name, nearest, shown
from canaryjudge.errors import DataError
from canaryjudge.integrations.otlp.counts import InstanceNames, bucket_counts, event_counts
from canaryjudge.integrations.otlp.documents import Timeseries, TimeseriesSet, read_documents
from canaryjudge.policy import Policy

__all__ = ["document_data", "from_otlp"]

_SIMILAR: Final = 0.8
_HINT = 'Write a name, {"name": ..., "where": {attribute: value or regular expression}}, or {"value": ..., "total": ...} of these.'


def from_otlp(
    document: Any,
    *,
    arm: str,
    metrics: Mapping[str, Any] | None = None,
    replica: str | None = "service.instance.id",
    segments: Sequence[str] = (),
) -> dict[str, dict[str, dict[str, Any]]]:
    """Turn OpenTelemetry metrics into data that can be judged.

    Parameters
    ----------
    document : mapping, list of mapping, str or bytes
        An ``ExportMetricsServiceRequest`` in OTLP's JSON form [1]_, several of them, or their text: one JSON value, or one a line as the
        collector's file exporter writes it.
    arm : str
        The attribute, of data points or of their resource, whose values name the arms: ``service.version``. What lacks it is left out.
    metrics : mapping, optional
        For each metric of the policy where it is in the document: a name; ``{"name": name, "where": {attribute: value}}``, where a value may be
        a regular expression that matches all of the attribute; or, for ratios and counts, ``{"value": ..., "total": ...}`` of these, in which a
        histogram stands for the number of its observations. ``"absent": 0`` beside a name says that what the document does not know has not
        happened yet. By default all metrics are read under their own names, but for summaries.
    replica : str, optional
        The attribute that tells instances apart.
    segments : sequence of str
        Attributes, of data points or of their resource, that name segments of the traffic, such as ``["cloud.region"]``: each becomes a column, and what is of different segments is not added up.

    Returns
    -------
    dict
        ``{metric: {arm: columns}}`` as `judge` takes it. A metric of which the document has nothing is left out.

    Raises
    ------
    DataError
        If the document is not what OTLP says (it names the place), nothing has the arm's attribute, a name or an attribute is likely
        misspelled, or a metric is a summary.

    Notes
    -----
    Cumulative data points become what they grew by since the one before, each timeseries by itself; a start that moved and a value that
    fell are restarts. So the policy need not say anything of counters, and what it says is fulfilled. The first point of a timeseries counts if it began within the document, or if
    its resource had exported something before without it: nothing had been counted then. Sums that may fall are levels where they are
    cumulative.

    The unit of a metric in the document goes with the data. `judge` converts them to the unit that the policy gives the metric, and refuses
    them where that measures something else.

    Of one instance and time, the points of several attributes are added up; gauges become further replicas.

    References
    ----------
    .. [1] OpenTelemetry, *OpenTelemetry Protocol Specification*, "JSON Protobuf Encoding".

    Examples
    --------
    >>> def point(minute, count):
    ...     return {"timeUnixNano": str(60 * 10**9 * minute), "asInt": str(count)}
    >>> def exported(version, points):
    ...     resource = {"attributes": [{"key": "service.version", "value": {"stringValue": version}}]}
    ...     counted = {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": points}
    ...     return {"resource": resource, "scopeMetrics": [{"metrics": [{"name": "http.errors", "sum": counted}]}]}
    >>> document = {"resourceMetrics": [exported("1.4", [point(1, 70), point(2, 75), point(3, 2)]), exported("1.5", [point(1, 7)])]}
    >>> data = from_otlp(document, arm="service.version", metrics={"errors": "http.errors"})
    >>> data["errors"]["1.4"]["value"].tolist(), data["errors"]["1.4"]["time"].tolist()
    ([5.0, 2.0], [120.0, 180.0])
    """
    wanted = None if metrics is None else _wanted_metrics(metrics)
    names = None if wanted is None else set().union(*(one.names for one in wanted.values()))
    found = read_documents(document, names)
    if wanted is None:
        wanted = {
            name: _MetricChoice(_SeriesChoice(name)) for name in found.names if name not in found.summaries
        }
    every = list(found.series.values())
    for attribute in (arm, *segments) if every else ():
        _check_attribute(attribute, every, "no data point")
    data = {}
    for metric, one in wanted.items():
        by_arm = _by_arm(metric, one, found, arm, InstanceNames(replica, tuple(segments)))
        if by_arm or not one.names.isdisjoint(found.names):
            data[metric] = by_arm
    return data


def document_data(
    text: str, policy: Policy | None, *, arm_attribute: str
) -> dict[str, dict[str, dict[str, Any]]]:
    """Take a policy's metrics, or all, from a document under their own names, as the command line does."""
    names = None if policy is None else {metric.name: metric.name for metric in policy.metrics}
    segments = () if policy is None or policy.segments is None else policy.segments.by
    return from_otlp(text, arm=arm_attribute, metrics=names, segments=segments)


def _by_arm(
    metric: str, one: _MetricChoice, found: TimeseriesSet, arm: str, by: InstanceNames
) -> dict[str, dict[str, Any]]:
    value = one.value.of(found, metric)
    # where there are events of other attributes, there are none of these
    frame = one.total if one.total is not None else _SeriesChoice(one.value.name)
    around = frame.of(found, metric)
    if around and one.value.name not in found.names and not one.value.may_be_absent:
        raise DataError(
            f"metric {metric!r}: the document has no {one.value.name!r}, and {frame.name!r} is there",
            f'If it is absent until the first of them, write {{"name": "{one.value.name}", "absent": 0}}.',
        )
    if not any(name in each.attributes for name in by.segments for each in (*value, *around)):
        by = replace(by, segments=())  # a metric of no segments is one of the whole
    names = sorted({each.attributes[arm] for each in (*value, *around) if arm in each.attributes})
    by_arm = {}
    for name in names:
        where = f"metric {metric!r}, arm {name!r}"
        parts = [[each for each in part if each.attributes.get(arm) == name] for part in (value, around)]
        columns = _columns(one, (parts[0], parts[1]), where, by)
        if columns is not None:
            by_arm[name] = columns
    return by_arm


def _columns(
    one: _MetricChoice, parts: tuple[list[Timeseries], list[Timeseries]], where: str, by: InstanceNames
) -> dict[str, Any] | None:
    """Return the columns of one arm."""
    series, around = parts
    if one.counted or all(each.shape == "sum" and not each.is_level for each in around):
        value, total = (event_counts(part, where, by) for part in parts)
        unit = {} if any(each.is_histogram for each in series or around) else _unit(series or around, where)
        columns: dict[str, Any] = {"value": value.at(total, where)[:, 0], "increases": True} | unit
        return columns | ({} if one.total is None else {"total": total.columns[:, 0]}) | total.beside
    if not series:
        return None
    for kinds in ([each.is_level for each in series], [each.is_histogram for each in series]):
        if any(kinds) and not all(kinds):
            other = series[kinds.index(not kinds[0])]
            raise DataError(
                f"{where}: {series[0].metric!r} is a {series[0].shape} ({series[0].place(0)}) and a {other.shape} ({other.place(0)})",
                "Choose those of one kind by their attributes, with where.",
            )
    unit = _unit(series, where)
    if series[0].is_level:
        return _levels(series, by) | unit
    edges, counts = bucket_counts(series, where, by)
    return {"edges": edges, "buckets": counts.columns, "increases": True} | unit | counts.beside


def _unit(series: list[Timeseries], where: str) -> dict[str, Any]:
    """Return the unit of the values, if all that say one say the same; numbers of observations have none."""
    by_unit = {each.unit: each for each in series if each.unit}
    if len(by_unit) > 1:
        places = " and ".join(f"{unit!r} ({each.place(0)})" for unit, each in list(by_unit.items())[:2])
        raise DataError(
            f"{where}: {series[0].metric!r} is in {places}",
            "Export a metric in one unit, or choose those of one by their attributes, with where.",
        )
    return {"unit": next(iter(by_unit))} if by_unit else {}


def _levels(series: list[Timeseries], by: InstanceNames) -> dict[str, Any]:
    """Put levels side by side; several of one instance are told apart."""
    names = [by.of(each) for each in series]
    several = {name for name, times in Counter(names).items() if times > 1}
    names = [
        (f"{name[0]}/{index}", *name[1:]) if name in several else name for index, name in enumerate(names)
    ]
    time = np.array([time for each in series for time in each.times])
    order = np.argsort(time, kind="stable")
    of = np.repeat(np.arange(len(series)), [len(each.times) for each in series])
    value = np.array([value for each in series for value in each.values], dtype=np.float64)
    return {"value": value[order], "time": time[order]} | by.columns(names, of[order])


@dataclass(frozen=True, slots=True)
class _SeriesChoice:
    """The timeseries of a name whose attributes match."""

    name: str
    where: tuple[tuple[str, re.Pattern[str] | str], ...] = ()  # a text, or a pattern that matches all of it
    may_be_absent: bool = False  # a document without it means that nothing was counted

    def of(self, found: TimeseriesSet, metric: str) -> list[Timeseries]:
        """Return the timeseries; none where the documents may just not have any yet."""
        if self.name in found.summaries:
            raise DataError(
                f"{found.summaries[self.name]}: {self.name!r} is a summary, whose quantiles cannot be added up over instances and intervals",
                "Export a histogram instead.",
            )
        near = nearest(self.name, found.names, _SIMILAR)
        if self.name not in found.names and near and not self.may_be_absent:
            raise DataError(
                f"metric {metric!r}: the document has no {self.name!r}",
                likely_name(self.name, found.names, "metrics"),
            )
        series = found.of(self.name)
        for key, _ in self.where if series and not self.may_be_absent else ():
            advice = ' If it comes with the first of them only, write "absent": 0 beside the name.'
            _check_attribute(key, series, f"metric {metric!r}: no data point of {self.name!r}", advice)
        return [each for each in series if self._takes(each)]

    def _takes(self, series: Timeseries) -> bool:
        return all(
            key in series.attributes and _matches(pattern, series.attributes[key])
            for key, pattern in self.where
        )


def _matches(pattern: re.Pattern[str] | str, text: str) -> bool:
    return text == pattern if isinstance(pattern, str) else pattern.fullmatch(text) is not None


def _check_attribute(key: str, series: list[Timeseries], what: str, advice: str = "") -> None:
    """Refuse an attribute that nothing has."""
    if not any(key in each.attributes for each in series):
        known = dict.fromkeys(key for each in series for key in each.attributes)
        raise DataError(f"{what} has the attribute {key!r}", likely_name(key, known, "attributes") + advice)


@dataclass(frozen=True, slots=True)
class _MetricChoice:
    """One metric of the result."""

    value: _SeriesChoice
    total: _SeriesChoice | None = None
    counted: bool = False  # numbers of events, in which a histogram stands for the number of its observations

    @property
    def names(self) -> set[str]:
        """The names in the document."""
        return {self.value.name} | (set() if self.total is None else {self.total.name})


def _wanted_metrics(metrics: Mapping[str, Any]) -> dict[str, _MetricChoice]:
    """Read which metrics are wanted, and where they are in the document.

    Examples
    --------
    >>> _wanted_metrics({"errors": {"value": {"name": "requests", "where": {"status": "500"}}, "total": "requests"}})["errors"].total
    _SeriesChoice(name='requests', where=(), may_be_absent=False)
    """
    if not isinstance(metrics, Mapping) or not metrics:
        raise DataError(
            "from_otlp: metrics names no metric", 'Write metrics={"latency": "http.server.request.duration"}.'
        )
    found = {}
    for metric, spec in metrics.items():
        where = f"from_otlp: metric {str(metric)!r}"
        if isinstance(spec, Mapping) and "value" in spec and not set(spec) - {"value", "total"}:
            total = None if spec.get("total") is None else _choice(spec["total"], where)
            found[str(metric)] = _MetricChoice(_choice(spec["value"], where), total, counted=True)
        else:
            found[str(metric)] = _MetricChoice(_choice(spec, where))
    return found


def _choice(spec: Any, where: str) -> _SeriesChoice:
    if isinstance(spec, str):
        return _SeriesChoice(spec)
    fits = isinstance(spec, Mapping) and not set(spec) - {"name", "where", "absent"}
    if not fits or not isinstance(spec.get("name"), str) or not isinstance(spec.get("where", {}), Mapping):
        raise DataError(f"{where} is given as {shown(spec)}", _HINT)
    absent = spec.get("absent")
    if absent is not None and (isinstance(absent, bool) or absent != 0):
        raise DataError(f"{where}: absent is {shown(absent)}", "Write 0, or leave it out.")
    patterns = tuple((str(key), _pattern(value, where)) for key, value in spec.get("where", {}).items())
    return _SeriesChoice(spec["name"], patterns, absent is not None)


def _pattern(value: Any, where: str) -> re.Pattern[str] | str:
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    if re.escape(text) == text:
        return text
    try:
        return re.compile(f"{re.escape(text)}|(?:{text})")
    except re.error as error:
        raise DataError(
            f"{where}: {shown(value)} is no regular expression ({error})", "Escape what is meant literally."
        ) from None
