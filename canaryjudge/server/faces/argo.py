"""Argo Rollouts: a measurement of its `web` provider. Three outcomes: successful, failed, and inconclusive, which pauses the rollout."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from canaryjudge.server.asking import key_of, wish_of
from canaryjudge.server.gate import Gate
from canaryjudge.server.guards import Bodies

__all__ = ["routes"]


def routes(gate: Gate, _: Bodies) -> list[Route]:
    """Give the routes: GET, or POST with any body, /argo/SERVICE/REVISION."""

    async def measured(request: Request) -> Response:
        """Tell how a release stands, which begins with the first question."""
        told = await gate.asked(key_of(request), wish_of(request))
        facts = told.facts
        if request.query_params.get("format") == "text":
            return PlainTextResponse(f"{facts['outcome']}\n")
        names = ("outcome", "action", "reason", "score", "no_data", "stage", "share")
        verdict = {name: facts[name] for name in names if name in facts}
        metrics = {name: result["outcome"] for name, result in facts["metrics"].items()}
        return JSONResponse({"verdict": verdict, "metrics": metrics})

    return [Route("/argo/{service}/{revision}", measured, methods=["GET", "POST", "PUT"])]
