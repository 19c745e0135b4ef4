"""Prometheus' queries, for tools that can ask nothing else: Flagger's MetricTemplates, Argo's `prometheus` provider, Grafana.

The answer is that of a server which had scraped the gate all the time. Of a release's outcome, score and share all looks are known since it began; of
other gauges the last one.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from canaryjudge.errors import CanaryJudgeError, DataError
from canaryjudge.integrations.writers.prometheus import (
    OUTCOMES,
    Constant,
    Selector,
    prometheus_error,
    query_of,
    shown_number,
    succeeded,
)
from canaryjudge.integrations.writers.summary import Answer
from canaryjudge.quantities import parse_duration
from canaryjudge.server.asking import time_of
from canaryjudge.server.gate import Gate, Key, Told
from canaryjudge.server.guards import Bodies, Refused
from canaryjudge.server.metrics import RELEASES, samples_of
from canaryjudge.server.openapi import answer, does, in_query, json_of

__all__ = ["describe", "routes"]

_LONGEST: Final = 65_536
_OLD: Final = 3600.0
"""Seconds after the last look at which a pass of the newest release of a service is no answer to what asks without a revision: that may be about the next one."""
_OF_A_SERVICE: Final = 100
"""So many releases of one service are known to a query."""
_LOOKBACK: Final = 300.0
"""Seconds after now in which a value still holds, as in Prometheus: clocks differ."""
_STEPS: Final = 11_000
"""Of one series, as in Prometheus."""
_SAMPLES: Final = 500_000
"""Of one answer."""
_Series = tuple[dict[str, str], list[float], list[float]]
"""Labels, and since when which value holds."""


def routes(gate: Gate, bodies: Bodies) -> list[Route]:
    """Give the routes: GET or POST /api/v1/query and /api/v1/query_range."""

    async def query(request: Request) -> Response:
        """Answer what holds at a time."""
        return await _answered(gate, bodies, request, _instant)

    async def query_range(request: Request) -> Response:
        """Answer what held from step to step."""
        return await _answered(gate, bodies, request, _range)

    methods = ["GET", "POST"]
    return [
        Route("/api/v1/query", query, methods=methods),
        Route("/api/v1/query_range", query_range, methods=methods),
    ]


async def _answered(gate: Gate, bodies: Bodies, request: Request, how: Any) -> Response:
    """Answer in Prometheus' form, whatever comes of it."""
    try:
        fields = dict(request.query_params)
        if request.method == "POST":
            body = await bodies.read(request, _LONGEST)
            fields |= dict(parse_qsl(body.decode(errors="replace"), max_num_fields=100))
        found = await how(gate, fields)
    except Refused as error:
        found = prometheus_error(error.status, "bad_data", error.detail)
    except (DataError, ValueError) as error:
        found = prometheus_error(400, "bad_data", str(error))
    except CanaryJudgeError as error:
        found = prometheus_error(503, "unavailable", error.message)
    return Response(found.body, found.status, media_type=found.content_type)


async def _instant(gate: Gate, fields: Mapping[str, str]) -> Answer:
    asked, now = query_of(fields.get("query", "")), gate.now()
    at = time_of("time", fields["time"]) if fields.get("time") else now
    if isinstance(asked, Constant):
        return asked.answer(at)
    result = [
        {"metric": labels, "value": [at, shown_number(found)]}
        for labels, since, values in await _series(gate, asked)
        if (found := _value(since, values, at, now)) is not None
    ]
    return succeeded("vector", result)


async def _range(gate: Gate, fields: Mapping[str, str]) -> Answer:
    asked, now = query_of(fields.get("query", "")), gate.now()
    start, end = (time_of(name, fields.get(name, "")) for name in ("start", "end"))
    step = _step(fields.get("step", ""))
    if end < start:
        raise DataError("end is before start", "Give start, end and step.")
    count = int((end - start) / step) + 1
    if count > _STEPS:
        raise DataError(
            f"there are {count:,} steps, and at most {_STEPS:,} are answered", "Give a longer step."
        )
    times = [start + step * number for number in range(count)]
    if isinstance(asked, Constant):
        values = [[at, shown_number(asked.value)] for at in times]
        return succeeded("matrix", [{"metric": {}, "values": values}])
    found = await _series(gate, asked)
    if len(found) * count > _SAMPLES:
        said = (
            f"the answer would have {len(found) * count:,} samples; ask of one service, or with a longer step"
        )
        return prometheus_error(422, "execution", said)
    return await asyncio.to_thread(_matrix, found, times, now)


def _matrix(found: list[_Series], times: list[float], now: float) -> Answer:
    result = []
    for labels, since, values in found:
        held = ((at, _value(since, values, at, now)) for at in times)
        samples = [[at, shown_number(value)] for at, value in held if value is not None]
        if samples:
            result.append({"metric": labels, "values": samples})
    return succeeded("matrix", result)


def _step(text: str) -> float:
    """Read a step: seconds, or a duration such as 1m."""
    try:
        step = float(text)
    except ValueError:
        step = parse_duration(text)
    if not 1e-3 <= step < 1e9:
        raise DataError(f"step is {text[:40]!r}", "Give seconds, or a duration such as 1m.")
    return step


def _value(since: list[float], values: list[float], at: float, now: float) -> float | None:
    """Give what held at a time; None before the first look, and in the future."""
    place = bisect_right(since, at) - 1
    return None if place < 0 or at > now + _LOOKBACK else values[place]


async def _series(gate: Gate, asked: Selector) -> list[_Series]:
    """Find the releases that are asked for, and what is known of their gauge."""
    service, revision = asked.only("service"), asked.only("revision")
    if service is not None and revision is not None:
        told = await gate.told(Key(service, revision))
        return [] if told is None else _of_one(told, asked)
    limit = RELEASES if service is None else _OF_A_SERVICE
    newest = service is not None and all(label != "revision" for label, _, _ in asked.matchers)
    found = await gate.latest(limit, service=service)
    if newest and found:
        found = [max(found, key=lambda one: one.started)]
        found = [one for one in found if one.facts["outcome"] != "pass" or gate.now() - one.updated <= _OLD]
    return [series for one in found for series in _of_one(one, asked)]


def _of_one(told: Told, asked: Selector) -> list[_Series]:
    looks = told.facts["looks"]
    own = {"service": told.key.service, "revision": told.key.revision}
    steps: dict[str, list[Any]] = {
        "canaryjudge_judged": [1.0 for _ in looks],
        "canaryjudge_release_outcome": [OUTCOMES[look[1]] for look in looks],
        "canaryjudge_release_score": [look[3] for look in looks],
        "canaryjudge_rollout_share": [look[4] for look in looks],
    }
    if asked.name in steps:
        known = [
            (look[0], value)
            for look, value in zip(looks, steps[asked.name], strict=True)
            if value is not None
        ]
        found = [(own, [at for at, _ in known], [value for _, value in known])] if known else []
    else:
        found = [(labels, [looks[-1][0]], [value]) for labels, value in samples_of(told, asked.name)]
    return [
        ({"__name__": asked.name, **labels}, since, values)
        for labels, since, values in found
        if asked.chooses(labels)
    ]


def describe() -> dict[str, Any]:
    """Describe the routes."""
    text = {"type": "string"}
    fields = {
        "query": "A gauge's name, with = and != on labels.",
        "time": "When; now, where it is left out.",
        "start": "From when on.",
        "end": "Until when.",
        "step": "Seconds, or a duration.",
    }
    others = {
        str(status): answer("Prometheus' form of an error.", json_of({"type": "object"}))
        for status in (400, 408, 413, 415, 422, 503)
    }
    found: dict[str, Any] = {}
    for path, said, names in (
        ("/api/v1/query", "What holds at a time, as Prometheus answers.", ("query", "time")),
        ("/api/v1/query_range", "What held from step to step.", ("query", "start", "end", "step")),
    ):
        parameters = [in_query(name, fields[name], text) for name in names]
        form = {"schema": {"type": "object", "properties": dict.fromkeys(names, text)}}
        body = {"application/x-www-form-urlencoded": form}
        found[path] = {
            "get": does(said, json_of({"type": "object"}), others, parameters),
            "post": does(said, json_of({"type": "object"}), others, None, body),
        }
    return found
