"""Timeseries of OpenTelemetry metrics: the data points of one process, metric and set of attributes, in order of time."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, TypeAlias

from canaryjudge.errors import DataError

__all__ = ["Attributes", "Found", "Shape", "Timeseries"]

Shape: TypeAlias = Literal["gauge", "sum", "histogram", "exponentialHistogram"]
Attributes: TypeAlias = tuple[tuple[str, str], ...]


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
    shape: Shape
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
        """Give what a data point says, equal for equal ones."""
        value = self.values[index]
        if not self.is_histogram:
            return None if value != value else value  # noqa: PLR0124 - NaN
        return {key: each for key, each in value.items() if key != "exemplars"}

    def place(self, index: int) -> str:
        """Name a data point by its path."""
        prefix, number = self.places[index]
        return f"{prefix}.dataPoints[{number}]"


@dataclass(slots=True)
class Found:
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
        """Give the timeseries of a metric."""
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
