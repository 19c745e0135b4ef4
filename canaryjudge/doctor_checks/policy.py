"""What a policy alone gives away: queries that average percentiles, rates over too short a time, names that say another unit."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Final

from canaryjudge.policy import Metric, Policy
from canaryjudge.policy.doubts import is_success, unprovable
from canaryjudge.policy.promql import made_up
from canaryjudge.policy.query import timing
from canaryjudge.quantities import convert, parse_duration
from canaryjudge.reports import Symptom

__all__ = ["FAILURES", "POLICY_CHECKS", "is_percentile", "named_unit", "names_failures"]

PolicyCheck = Callable[[Metric, Policy], Iterator[Symptom]]

_PERCENTILE: Final = re.compile(
    r"histogram_quantile|quantile\s*=|(?:^|[_.:-])p(?:50|75|90|95|98|99|999)(?:$|[^0-9])|percentile",
    re.IGNORECASE,
)
_MIXED: Final = re.compile(
    r"\b(avg|sum|mean)(?:_over_time)?\s*(?:by\s*\([^)]*\)|without\s*\([^)]*\))?\s*\(", re.IGNORECASE
)
_RANGE: Final = re.compile(r"\[([0-9][0-9a-z]*)\]")
_NAMED: Final = (
    (re.compile(r"(?:^|_)(?:ms|millis|milliseconds)(?!_total|_count|[a-z0-9])"), "ms"),
    (re.compile(r"(?:^|_)(?:us|micros|microseconds)(?!_total|_count|[a-z0-9])"), "us"),
    (re.compile(r"(?:^|_)(?:ns|nanos|nanoseconds)(?!_total|_count|[a-z0-9])"), "ns"),
    # a rate of seconds_total is a number of cores, of threads, of anything but seconds
    (re.compile(r"(?:^|_)(?:seconds|secs)(?!_total|_count|[a-z0-9])"), "s"),
    (re.compile(r"(?:^|_)bytes(?!_total|_count|[a-z0-9])"), "B"),
    (re.compile(r"(?:^|_)mib(?![a-z0-9])"), "MiB"),
)
_NAMED_SHARE: Final = re.compile(r"(?:^|_)(?:percent|percentage|pct)(?:_|$)")


FAILURES: Final = (
    r"err(?:or)?s?|fail\w*|exceptions?|timeouts?|[45]xx|reject\w*|drop\w*"
    r"|retr(?:y|ies)|restarts?|ooms?|crash\w*|throttl\w*|un(?:avail|success|healthy)\w*"
)
"""The words of names that are of failures."""


def names_failures(name: str) -> bool:
    """Tell whether a name is that of failures.

    Examples
    --------
    >>> names_failures("HTTP_5xx_pct"), names_failures("cpu_pct")
    (True, False)
    """
    return re.search(rf"(?:^|[^a-z0-9])(?:{FAILURES})(?:[^a-z0-9]|$)", name.lower()) is not None


def named_unit(name: str) -> str:
    """Give the unit that a name of small letters says, or nothing.

    Examples
    --------
    >>> [named_unit(name) for name in ("latency_p99_ms", "cpu_percent", "us_east_requests", "cpu_seconds_total")]
    ['ms', '%', '', '']
    """
    if _NAMED_SHARE.search(name):
        return "%"
    matches = ((pattern.search(name), unit) for pattern, unit in _NAMED)
    # in the middle, two letters are more likely a country or a namespace
    return next(
        (
            unit
            for found, unit in matches
            if found and (found.end() == len(name) or len(found[0].strip("_")) > 2)
        ),
        "",
    )


def is_percentile(text: str) -> bool:
    """Tell whether a name, or a query, is about a percentile.

    Examples
    --------
    >>> [is_percentile(text) for text in ("latency_p99", "rpc_duration{quantile='0.9'}", "cpu", "help99")]
    [True, True, False, False]
    """
    return _PERCENTILE.search(text) is not None


def _averaged(metric: Metric, _: Policy) -> Iterator[Symptom]:
    """Find an average, or a sum, around a percentile: of the pods' percentiles nothing gives that of the service."""
    for text in () if metric.query is None else metric.query.texts().values():
        for found in _MIXED.finditer(text):
            inside = _argument(text, found.end())
            # a sum of buckets inside of histogram_quantile is how it is meant to be
            if _PERCENTILE.search(inside):
                yield Symptom(
                    code="averaged_percentile",
                    severity="error",
                    metric=metric.name,
                    numbers={"by": found[1].lower(), "query": text[:200]},
                )
                break


def _argument(text: str, start: int) -> str:
    """Give what stands between the bracket that was just opened and its end."""
    depth = 1
    for index in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[index], 0)
        if depth == 0:
            return text[start:index]
    return text[start:]


def _short_rates(metric: Metric, policy: Policy) -> Iterator[Symptom]:
    if metric.query is None:
        return
    step, _ = timing(metric.query, policy.prometheus)
    for text in metric.query.texts().values():
        for written in _RANGE.findall(text):
            try:
                seconds = parse_duration(written)
            except ValueError:
                continue  # the server will say so
            if seconds < step:
                yield Symptom(
                    code="short_rate_window",
                    severity="warning",
                    metric=metric.name,
                    numbers={"range": written, "step": step},
                )
                return


def _made_up(metric: Metric, _: Policy) -> Iterator[Symptom]:
    """Find a query that answers where nothing is measured; of events, what counts is whether their total does."""
    texts = {} if metric.query is None else metric.query.texts()
    found = made_up(texts.get("total", texts.get("value", "")))
    if found is not None and found[1] is not None and not ("total" in texts and found[1] == 0):
        value = "a made-up value" if math.isnan(found[1]) else found[1]
        numbers: dict[str, float | str] = {"what": found[0], "value": value}
        yield Symptom(code="made_up_values", severity="warning", metric=metric.name, numbers=numbers)


def _named_units(metric: Metric, _: Policy) -> Iterator[Symptom]:
    texts = [metric.name, *(() if metric.query is None else metric.query.texts().values())]
    for pattern, unit in _NAMED:
        if not metric.unit or not any(pattern.search(text.lower()) for text in texts):
            continue
        try:
            same = convert(1.0, unit, metric.unit) == 1.0
        except ValueError:
            same = False
        converted = metric.query is not None and re.search(r"[*/]\s*[0-9]", metric.query.value) is not None
        if not same and not converted:
            yield Symptom(
                code="unit_and_name",
                severity="warning",
                metric=metric.name,
                numbers={"named": unit, "unit": metric.unit},
            )
            return


def _objectives(metric: Metric, _: Policy) -> Iterator[Symptom]:
    """Find objectives that no data prove."""
    for objective in dict.fromkeys(unprovable(metric)):
        perhaps = {"100%": "99.99%", "0%": "0.01%"}.get(objective, "0.01")
        numbers: dict[str, float | str] = {"objective": objective, "perhaps": perhaps}
        yield Symptom(code="unprovable_objective", severity="error", metric=metric.name, numbers=numbers)


def _success(metric: Metric, _: Policy) -> Iterator[Symptom]:
    """Find success rates whose tolerance is a part of them, which near 100 % is many times their failures."""
    if is_success(metric):
        tolerated = metric.tolerated_relative
        numbers: dict[str, float | str] = {"tolerated": tolerated, "left": tolerated / (1 + tolerated)}
        yield Symptom(code="success_tolerance", severity="warning", metric=metric.name, numbers=numbers)


POLICY_CHECKS: Final[tuple[PolicyCheck, ...]] = (
    _averaged,
    _short_rates,
    _made_up,
    _named_units,
    _objectives,
    _success,
)
"""Each check of a metric's settings: a new one is a line here."""
