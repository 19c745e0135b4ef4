"""Which timeseries of OpenTelemetry documents a metric of the policy is made of, as `from_otlp` is told."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from canaryjudge.data.diagnostics import likely_name, shown
from canaryjudge.errors import DataError
from canaryjudge.integrations.otlp_series import Found, Timeseries

__all__ = ["Choice", "Wanted", "check_attribute", "wanted_metrics"]

_SIMILAR: Final = 0.8
_HINT = 'Write a name, {"name": ..., "where": {attribute: value or regular expression}}, or {"value": ..., "total": ...} of these.'


@dataclass(frozen=True, slots=True)
class Choice:
    """The timeseries of a name whose attributes match.

    Attributes
    ----------
    name : str
        The metric in the document.
    where : tuple
        Attributes with what they must be: a text, or a pattern that matches all of it.
    may_be_absent : bool
        A document without the metric, or without the attributes, means that nothing was counted.
    """

    name: str
    where: tuple[tuple[str, re.Pattern[str] | str], ...] = ()
    may_be_absent: bool = False

    def of(self, found: Found, metric: str) -> list[Timeseries]:
        """Give the timeseries; none where the documents may just not have any yet.

        Raises
        ------
        DataError
            If the name or an attribute is likely misspelled, or the metric is a summary.
        """
        if self.name in found.summaries:
            raise DataError(
                f"{found.summaries[self.name]}: {self.name!r} is a summary, whose quantiles cannot be added up over instances and intervals",
                "Export a histogram instead.",
            )
        near = difflib.get_close_matches(self.name, found.names, n=1, cutoff=_SIMILAR)
        if self.name not in found.names and near and not self.may_be_absent:
            raise DataError(
                f"metric {metric!r}: the document has no {self.name!r}",
                likely_name(self.name, found.names, "metrics"),
            )
        series = found.of(self.name)
        for key, _ in self.where if series and not self.may_be_absent else ():
            advice = ' If it comes with the first of them only, write "absent": 0 beside the name.'
            check_attribute(key, series, f"metric {metric!r}: no data point of {self.name!r}", advice)
        return [each for each in series if self._takes(each)]

    def _takes(self, series: Timeseries) -> bool:
        return all(
            key in series.attributes and _matches(pattern, series.attributes[key])
            for key, pattern in self.where
        )


def _matches(pattern: re.Pattern[str] | str, text: str) -> bool:
    return text == pattern if isinstance(pattern, str) else pattern.fullmatch(text) is not None


def check_attribute(key: str, series: list[Timeseries], what: str, advice: str = "") -> None:
    """Refuse an attribute that nothing has.

    Raises
    ------
    DataError
        It names the attributes that there are.
    """
    if not any(key in each.attributes for each in series):
        known = dict.fromkeys(key for each in series for key in each.attributes)
        raise DataError(f"{what} has the attribute {key!r}", likely_name(key, known, "attributes") + advice)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One metric of the result.

    Attributes
    ----------
    value : Choice
        Values, or numbers of events.
    total : Choice or None
        What the events are of.
    counted : bool
        Numbers of events are wanted, in which a histogram stands for the number of its observations.
    """

    value: Choice
    total: Choice | None = None
    counted: bool = False

    @property
    def names(self) -> set[str]:
        """The names in the document."""
        return {self.value.name} | (set() if self.total is None else {self.total.name})


def wanted_metrics(metrics: Mapping[str, Any]) -> dict[str, Wanted]:
    """Read which metrics are wanted, and where they are in the document.

    Parameters
    ----------
    metrics : mapping
        For each metric a name, ``{"name": ..., "where": ...}``, or ``{"value": ..., "total": ...}`` of these.

    Raises
    ------
    DataError
        If it is none of these.

    Examples
    --------
    >>> wanted_metrics({"errors": {"value": {"name": "requests", "where": {"status": "500"}}, "total": "requests"}})["errors"].total
    Choice(name='requests', where=(), may_be_absent=False)
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
            found[str(metric)] = Wanted(_choice(spec["value"], where), total, counted=True)
        else:
            found[str(metric)] = Wanted(_choice(spec, where))
    return found


def _choice(spec: Any, where: str) -> Choice:
    if isinstance(spec, str):
        return Choice(spec)
    fits = isinstance(spec, Mapping) and not set(spec) - {"name", "where", "absent"}
    if not fits or not isinstance(spec.get("name"), str) or not isinstance(spec.get("where", {}), Mapping):
        raise DataError(f"{where} is given as {shown(spec)}", _HINT)
    absent = spec.get("absent")
    if absent is not None and (isinstance(absent, bool) or absent != 0):
        raise DataError(f"{where}: absent is {shown(absent)}", "Write 0, or leave it out.")
    patterns = tuple((str(key), _pattern(value, where)) for key, value in spec.get("where", {}).items())
    return Choice(spec["name"], patterns, absent is not None)


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
