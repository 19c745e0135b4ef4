"""Answers of Prometheus's HTTP API, as they come -> series of numbers, checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from canaryjudge.data.diagnostics import shown
from canaryjudge.data.pair import FloatArray
from canaryjudge.errors import DataError

__all__ = ["PromSeries", "Triples", "error_of", "read_response", "readable"]

Triples = list[list[float]]
"""The buckets of a native histogram: lower edge, upper edge and count of each."""

_DOCUMENT = "Give the JSON that /api/v1/query_range answers, whole."
_TOGETHER = "Put answers together that are of one server and one query."
_MOST_SHOWN = 300


@dataclass(frozen=True, slots=True)
class PromSeries:
    """One series of an answer.

    Attributes
    ----------
    labels : mapping of str to str
        What tells it from the others, its name under ``__name__``.
    time : ndarray, shape (n,)
        Seconds since 1970, ascending; staleness leaves a gap.
    value : ndarray, shape (n,)
        The numbers; of a native histogram, how many observations it counts.
    buckets : list of n lists, or None
        Of native histograms, the buckets at each time.
    """

    labels: Mapping[str, str]
    time: FloatArray
    value: FloatArray
    buckets: list[Triples] | None = None


@dataclass(slots=True)
class _Points:
    """The points of one series, out of one answer or several."""

    labels: Mapping[str, str]
    values: dict[float, float] = field(default_factory=dict)
    buckets: dict[float, Triples] = field(default_factory=dict)


def readable(text: Any) -> str:
    """Give what a server said as a line that is safe to print: no control characters, and not too long."""
    line = "".join(letter if letter.isprintable() else " " for letter in str(text)[: 4 * _MOST_SHOWN])
    line = " ".join(line.split())
    return line if len(line) <= _MOST_SHOWN else f"{line[:_MOST_SHOWN]}..."


def error_of(document: Any, redacted: Callable[[str], str] = str) -> str | None:
    """Give the error that an answer reports, without what must not be shown; None where it reports none."""
    if not isinstance(document, Mapping) or document.get("status") != "error":
        return None
    kind, text = document.get("errorType") or "error", document.get("error") or "no reason given"
    return f"{readable(redacted(str(kind)))}: {readable(redacted(str(text)))}"


def read_response(response: Any, where: str) -> list[PromSeries]:
    """Read one answer, or several that belong together.

    Parameters
    ----------
    response : dict, str, bytes or list of these
        Answers of ``/api/v1/query_range``, or of ``/api/v1/query``, which has one point a series. The points of a series that is in
        several of them are put together.
    where : str
        What to call it in errors.

    Returns
    -------
    list of PromSeries
        The series with any points, in their order.

    Raises
    ------
    DataError
        If it is not such an answer, or reports an error.

    Examples
    --------
    >>> answer = {"status": "success", "data": {"resultType": "matrix", "result": [
    ...     {"metric": {"instance": "a"}, "values": [[60, "1.5"], [120, "NaN"], [180, "+Inf"]]}]}}
    >>> [(series.labels, series.time.tolist(), series.value.tolist()) for series in read_response(answer, "cpu")]
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
            document = json.loads(document)
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
        if points.buckets.setdefault(time, buckets) != buckets:
            raise DataError(f"{where}: there are two histograms for the time {time:g}", _TOGETHER)


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


def _triples(histogram: Any, where: str) -> Triples:
    buckets = histogram.get("buckets", []) if isinstance(histogram, Mapping) else None
    fit = isinstance(buckets, list) and all(
        isinstance(bucket, list) and len(bucket) == 4 for bucket in buckets
    )
    if not isinstance(buckets, list) or not fit:
        raise DataError(f"{where}: {shown(histogram)} is not a native histogram", _DOCUMENT)
    # the first of the four says which edges belong to the bucket: no matter where observations are continuous
    return [[_number(part, where) for part in bucket[1:]] for bucket in buckets]


def _series(points: _Points, where: str) -> PromSeries:
    if not points.buckets:
        time = np.array(sorted(points.values))
        return PromSeries(points.labels, time, np.array([points.values[at] for at in time.tolist()]))
    if points.values:
        raise DataError(
            f"{where}, series {_written(points.labels)}: some points are numbers and others are histograms",
            "Ask for one of the two.",
        )
    time = np.array(sorted(points.buckets))
    buckets = [points.buckets[at] for at in time.tolist()]
    counts = np.array([sum(bucket[2] for bucket in row) for row in buckets])
    return PromSeries(points.labels, time, counts, buckets)
