"""Harness: a custom health source, which asks for a range of time, and reads values, times and service instances by their paths."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from canaryjudge.integrations.writers.prometheus import OUTCOMES
from canaryjudge.server.asking import key_of, time_of, wish_of
from canaryjudge.server.gate import Gate, Told
from canaryjudge.server.guards import Bodies, Refused
from canaryjudge.server.openapi import in_query, json_of, of_a_release

__all__ = ["describe", "routes"]

_PATH: Final = "/harness/{service}/{revision}"
_INSTANCES: Final = 100
"""So many service instances are told of."""


def routes(gate: Gate, _: Bodies) -> list[Route]:
    """Give the routes: GET, or POST with any body, /harness/SERVICE/REVISION?start=&end=&instance=."""

    async def series(request: Request) -> Response:
        """Tell how a release stood at each look in a range of time, and at its end: 100 pass, 50 marginal, 0 fail."""
        key, query = key_of(request), request.query_params
        start, end = (time_of(name, query.get(name, "")) for name in ("start", "end"))
        instances = query.getlist("instance") or [key.revision]
        if end < start:
            raise Refused(422, "end is before start", "Give start and end.")
        if len(instances) > _INSTANCES:
            raise Refused(422, f"there are {len(instances)} instances", f"Name at most {_INSTANCES}.")
        told = await gate.asked(key, wish_of(request))
        points = _points(told, start, end, gate.now())
        return JSONResponse({"series": [{"instance": name, "points": points} for name in instances]})

    return [Route(_PATH, series, methods=["GET", "POST"])]


def _points(told: Told, start: float, end: float, now: float) -> list[dict[str, float]]:
    """Give the looks of a range, and how it stands at the end: a range without a look is not one without a verdict."""
    stood = [(look[0], look[1]) for look in told.facts["looks"] if look[0] <= end]
    found = [(at, outcome) for at, outcome in stood if at >= start]
    last = min(end, now)
    if stood and last >= start and (not found or found[-1][0] < last):
        found.append((last, stood[-1][1]))
    return [{"timestamp": int(1000 * at), "value": 100 * OUTCOMES[outcome]} for at, outcome in found]


def describe() -> dict[str, Any]:
    """Describe the routes."""
    time = {"type": "string"}
    more = [
        in_query("start", "Seconds or milliseconds since 1970, or ISO 8601.", time) | {"required": True},
        in_query("end", "The same.", time) | {"required": True},
        in_query("instance", "What Harness calls the canary's instances.", {"type": "array", "items": time}),
    ]
    said = "How a release stood at each look, for Harness: 100 pass, 50 marginal, 0 fail."
    return {_PATH: of_a_release(said, json_of({"type": "object"}), None, more, methods=("get", "post"))}
