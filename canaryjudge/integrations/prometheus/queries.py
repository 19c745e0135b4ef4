"""A policy's queries, asked of a Prometheus server: the data that `judge` and `Monitor` take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from canaryjudge.data.times import iso
from canaryjudge.errors import DataError, PolicyError
from canaryjudge.integrations.prometheus.answers import from_prometheus, readable, said_by
from canaryjudge.integrations.prometheus.client import Access, PrometheusClient, Span
from canaryjudge.policy import Metric, Policy, Query
from canaryjudge.policy.query import (
    ARM,
    MOST_STEPS,
    SELECTOR,
    filled,
    history_of,
    selector_of,
    timing,
    timing_problem,
)
from canaryjudge.quantities import shown

__all__ = ["Fetched", "QueryOverrides", "check_selectors", "fetch", "fetch_history"]

_SETTLING = 10_000
"""Milliseconds after which a scrape has ended, as Prometheus has it by default: what is younger may still change."""
_PAST = "history"
"""What the baseline's past is called beside the arms."""
_OVERLAP = 20
"""Steps that are asked again when a watch goes on, so that counters join and stragglers are found."""


class QueryOverrides(NamedTuple):
    """What is asked in place of what the policy says.

    Attributes
    ----------
    baseline, canary : str, tuple of str or None
        What stands for ``${selector}``; of several arms one for all, in which ``${arm}`` is each arm's name, or one for each.
    window : float or None
        Seconds that the data go back.
    at : float or None
        When the data end, in seconds since 1970; the present where it is None.
    since : mapping of str to (float or None)
        How far each metric is known already; what follows is asked, however long ago that was.
    now : float or None
        The present, where several questions are to agree about it; the clock's where it is None.
    names : mapping of str to str
        What stands for ``${service}``, ``${revision}`` and ``${stable}`` in selectors.
    """

    baseline: str | tuple[str, ...] | None = None
    canary: str | tuple[str, ...] | None = None
    window: float | None = None
    at: float | None = None
    since: Mapping[str, float | None] = {}
    now: float | None = None
    names: Mapping[str, str] = {}


class Fetched(NamedTuple):
    """What came of it.

    Attributes
    ----------
    data : dict
        ``{metric: {arm: columns}}``, as `judge` takes it; an arm for which there is nothing has no columns.
    remarks : list of str
        What to know about it: warnings of the server, and queries that find nothing.
    """

    data: dict[str, dict[str, dict[str, Any]]]
    remarks: list[str]


def fetch(
    policy: Policy,
    access: Access,
    wanted: QueryOverrides | None = None,
    *,
    baseline: str | Sequence[str] = "baseline",
    canary: str | Sequence[str] = "canary",
) -> Fetched:
    """Ask a server for the data of every metric of a policy.

    All times are multiples of the step, so that a question that is asked again asks for the same points. Without `at`, the newest is a step old,
    or 10 s where the step is longer: what is younger may still change.

    Parameters
    ----------
    policy : Policy
        Whose metrics have a `query` each.
    access : Access
        How the server is reached.
    wanted : QueryOverrides, optional
        What is asked in place of what the policy says.
    baseline, canary : str or sequence of str
        What to call the arms in the data; of several canaries all of them, and one baseline for all or one for each.

    Returns
    -------
    Fetched
        The data, with remarks.

    Raises
    ------
    PolicyError
        If a metric has no query, or an arm no selector.
    DataError
        If the server cannot be reached, or answers an error or no answer at all.
    MissingExtraError
        If httpx is not installed.
    """
    wanted = wanted or QueryOverrides()
    arms = _names(baseline), _names(canary)
    asked = [_asked(metric, policy, wanted, arms) for metric in policy.metrics]
    return _run(_fetched(asked, access))


def fetch_history(
    policy: Policy,
    access: Access,
    wanted: QueryOverrides | None = None,
    *,
    baseline: str | Sequence[str] = "baseline",
    canary: str | Sequence[str] = "canary",
) -> Fetched:
    """Ask a server for the baseline's past: the same queries, up to where the data begin.

    A judgement can do without it, so what goes wrong is a remark and no error.

    Parameters
    ----------
    policy : Policy
        Whose metrics have a `query` each; its `prometheus.history` says how much is asked for.
    access : Access
        How the server is reached.
    wanted : QueryOverrides, optional
        The same as the data were asked with.
    baseline, canary : str or sequence of str
        The same.

    Returns
    -------
    Fetched
        ``{metric: {"history": columns}}``, with remarks; no data where nothing is wanted or to be had.
    """
    wanted = wanted or QueryOverrides()
    arms = _names(baseline), _names(canary)
    if len(set(arms[0])) > 1:
        return Fetched(
            {}, ["several baselines have no common past, so none is asked for; give it with --history"]
        )
    asked = [
        question._replace(span=span)
        for question in (_asked(metric, policy, wanted, arms) for metric in policy.metrics)
        if (span := _before(question, policy, wanted)) is not None
    ]
    return _run(_fetched_past(asked, access))


def _names(arms: str | Sequence[str]) -> tuple[str, ...]:
    return (arms,) if isinstance(arms, str) else tuple(map(str, arms))


def _before(question: _Asked, policy: Policy, wanted: QueryOverrides) -> Span | None:
    """Give the time before the data; None where it is not asked for."""
    step_s, window = timing(question.query, policy.prometheus)
    length = history_of(policy.prometheus, step_s, window if wanted.window is None else wanted.window)
    if length is None:
        return None
    step, end = question.span.step, question.span.start - question.span.step
    start = end - int(length * 1000) // step * step
    return Span(max(min(start, end), end - MOST_STEPS * step), end, step)


async def _fetched_past(asked: list[_Asked], access: Access) -> Fetched:
    found = Fetched({}, [])
    async with PrometheusClient(access) as client:
        for question in asked:
            where = f"the history of metric {question.metric.name!r}"
            documents: dict[str, dict[str, Any]] = {}
            try:
                for column, text in question.query.texts().items():
                    promql = text.replace(SELECTOR, next(iter(question.selectors.values())))
                    document = await client.query_range(promql, question.span, where)
                    said = [readable(access.redacted(str(line))) for line in said_by(document)]
                    documents[column] = {_PAST: {**document, "warnings": [], "infos": [], "isPartial": False}}
                    found.remarks.extend(f"{where}: {line}" for line in said)
                found.data.update(_columns(question, documents, access))
            except DataError as error:
                found.remarks.append(f"{error.message}; it is judged without")
    return found


class _Asked(NamedTuple):
    """The questions of one metric."""

    metric: Metric
    query: Query
    selectors: dict[str, str]
    """What stands for ``${selector}`` in those of each arm, the baseline first."""
    span: Span
    segments: tuple[str, ...] = ()


def _asked(
    metric: Metric,
    policy: Policy,
    wanted: QueryOverrides,
    arms: tuple[tuple[str, ...], tuple[str, ...]],
) -> _Asked:
    query, shared = metric.query, policy.prometheus
    if query is None:
        advice = "Give it one, such as query: 'rate(errors_total{${selector}}[1m])'."
        raise PolicyError(f"the metric {metric.name!r} has no query", advice)
    selectors: dict[str, str] = {}
    for side, names in zip(("baseline", "canary"), arms, strict=True):
        places = [place for place in (wanted, query, shared) if place is not None]
        found = next((given for place in places if (given := getattr(place, side)) is not None), None)
        if not found:
            advice = f"Give the policy prometheus.{side}, such as 'version=\"1.4\"', or the command line --{side}-selector."
            raise PolicyError(
                f"nothing says what {SELECTOR} is for the {side} of the metric {metric.name!r}", advice
            )
        each = [found] * len(names) if isinstance(found, str) else found
        if len(each) != len(names):
            raise PolicyError(
                f"--{side}-selector is given {len(each)} times, and there {'is' if len(names) == 1 else 'are'} {len(names)} of --{side}",
                f"Give one for all, in which {ARM} is each arm's name, or one for each in the same order.",
            )
        for name, text in zip(names, each, strict=True):
            own, problem = filled(text, wanted.names)
            if problem is not None:
                raise PolicyError(
                    f"{side} of the metric {metric.name!r}: {problem.message}: {shown(own)}", problem.hint
                )
            selectors.setdefault(name, selector_of(own, name))
    _refuse_same(selectors, metric.name)
    step, window = timing(query, shared)
    window = window if wanted.window is None else wanted.window
    if problem := timing_problem(step, window):
        raise PolicyError(f"metric {metric.name!r}: {problem.message}", problem.hint)
    span = _span(round(step * 1000), window, wanted, metric.name)
    segments = () if policy.segments is None else policy.segments.by
    return _Asked(metric, query, selectors, span, segments)


def _refuse_same(selectors: Mapping[str, str], metric: str) -> None:
    """Refuse arms that would be the same data."""
    known: dict[str, str] = {}
    for name, selector in selectors.items():
        if selector in known:
            both = "both arms" if len(selectors) == 2 else f"the arms {known[selector]!r} and {name!r}"
            advice = "Name a label that differs, such as the version."
            if len(selectors) > 2:
                advice = f'Put {ARM} where an arm\'s name belongs, as in ring="{ARM}", or give --canary-selector once for each.'
            raise PolicyError(f"{both} of the metric {metric!r} have the selector {selector}", advice)
        known[selector] = name


def check_selectors(policy: Policy, wanted: QueryOverrides) -> None:
    """Refuse what no server is worth asking: a metric without a query, an arm without a selector.

    Raises
    ------
    PolicyError
        As `fetch`.
    """
    for metric in policy.metrics:
        _asked(metric, policy, wanted, (("baseline",), ("canary",)))


def _span(step: int, window: float, wanted: QueryOverrides, metric: str) -> Span:
    present = time.time_ns() // 1_000_000 if wanted.now is None else int(wanted.now * 1000)
    settled = present - min(step, _SETTLING)
    now = settled if wanted.at is None else round(wanted.at * 1000)
    end = now // step * step
    start = end - int(window * 1000) // step * step
    since = wanted.since.get(metric)
    if since is not None:
        start = int(since * 1000) // step * step - _OVERLAP * step
    return Span(max(min(start, end), end - MOST_STEPS * step), end, step)


def _run(work: Coroutine[Any, Any, Fetched]) -> Fetched:
    """Run to the end, beside a loop that runs already: a notebook's."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


async def _fetched(asked: list[_Asked], access: Access) -> Fetched:
    found = Fetched({}, [])
    async with PrometheusClient(access) as client:
        for question in asked:
            documents: dict[str, dict[str, Any]] = {}
            for column, text in question.query.texts().items():
                for arm, selector in question.selectors.items():
                    where = f"metric {question.metric.name!r}, arm {arm!r}"
                    promql = text.replace(SELECTOR, selector)
                    document = await client.query_range(promql, question.span, where)
                    said = [readable(access.redacted(str(line))) for line in said_by(document)]
                    documents.setdefault(column, {})[arm] = {
                        **document,
                        "warnings": said,
                        "infos": [],
                        "isPartial": False,
                    }
                    found.remarks.extend(f"{where}: {line}" for line in said)
            found.data.update(_columns(question, documents, access))
            found.remarks.extend(_silences(question, documents))
    return found


def _columns(
    question: _Asked, documents: Mapping[str, Mapping[str, Any]], access: Access
) -> dict[str, dict[str, dict[str, Any]]]:
    metric = question.metric
    try:
        return from_prometheus(
            documents["value"],
            metric=metric.name,
            total=documents.get("total"),
            replica=question.query.replica,
            kind=metric.kind,
            counter=metric.counter,
            segments=question.segments,
        )
    except DataError as error:
        raise DataError(access.redacted(error.message), error.hint) from None


def _silences(question: _Asked, documents: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Say which queries found nothing; of events that is no wonder, unless no arm has any."""
    silent = {
        (column, arm): not document["data"]["result"]
        for column, answers in documents.items()
        for arm, document in answers.items()
    }
    name, texts = question.metric.name, question.query.texts()
    remarks = []
    for arm, selector in question.selectors.items():
        for column, text in texts.items():
            if silent[column, arm] and (column == "total" or "total" not in texts):
                asked = readable(text.replace(SELECTOR, selector))
                start, end, step = (number / 1000 for number in question.span)
                when = f"asked every {step:g} s from {iso(start)} to {iso(end)}"
                remarks.append(f"metric {name!r}, arm {arm!r}: Prometheus has nothing for {asked} ({when})")
    if "total" in texts and all(silent["value", arm] for arm in question.selectors) and not remarks:
        asked = readable(texts["value"])
        which = "either" if len(question.selectors) == 2 else "any"
        remarks.append(
            f"metric {name!r}: there is no series for {asked} in {which} arm, so that counts as 0 events"
        )
    return remarks
