"""Argo Rollouts: a measurement of its `web` provider. Three outcomes: successful, failed, and inconclusive, which pauses the rollout.

Always JSON: Argo Rollouts up to 1.10 takes any other answer for a success, whatever it says.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from canaryjudge.integrations.writers.argo import argo_answer
from canaryjudge.server.asking import key_of, wish_of
from canaryjudge.server.gate import Gate
from canaryjudge.server.guards import Bodies
from canaryjudge.server.openapi import of_a_release, verdict_in_short

__all__ = ["describe", "routes"]

_PATH = "/argo/{service}/{revision}"


def routes(gate: Gate, _: Bodies) -> list[Route]:
    """Give the routes: GET, or POST or PUT with any body, /argo/SERVICE/REVISION."""

    async def measured(request: Request) -> Response:
        """Tell how a release stands, which begins with the first question."""
        answer = argo_answer((await gate.asked(key_of(request), wish_of(request))).said)
        return Response(answer.body, answer.status, media_type=answer.content_type)

    return [Route(_PATH, measured, methods=["GET", "POST", "PUT"])]


def describe() -> dict[str, Any]:
    """Describe the routes."""
    said = "A measurement of Argo Rollouts' web provider, with jsonPath {$.verdict}."
    return {_PATH: of_a_release(said, verdict_in_short(), methods=("get", "post", "put"))}
