"""Anything that can ask an address and read a status: 200 pass, 409 fail, 503 not yet."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from canaryjudge.integrations.writers.argo import argo_json
from canaryjudge.integrations.writers.summary import JSON
from canaryjudge.server.asking import key_of, wish_of
from canaryjudge.server.gate import ConflictError, Gate
from canaryjudge.server.guards import Bodies, Refused
from canaryjudge.server.openapi import answer, in_query, of_a_release, problem, verdict_in_short

__all__ = ["describe", "routes"]

_PATH: Final = "/webhook/{service}/{revision}"
_YES, _NO, _LATER = 200, 409, 503
_MARGINAL: Final = {"ok": _YES, "wait": _LATER, "fail": _NO}
_AGAIN: Final = "15"
"""Seconds after which to ask again."""


def routes(gate: Gate, _: Bodies) -> list[Route]:
    """Give the routes: GET, or POST or PUT with any body, /webhook/SERVICE/REVISION."""

    async def told(request: Request) -> Response:
        """Tell by the status how a release stands, which begins with the first question."""
        wanted = request.query_params.get("marginal", "wait")
        if wanted not in _MARGINAL:
            raise Refused(422, f"marginal is {wanted[:40]!r}", f"It may be: {', '.join(_MARGINAL)}.")
        try:
            said = (await gate.asked(key_of(request), wish_of(request))).said
        except ConflictError as error:  # 409 is a verdict here
            raise Refused(422, error.message, error.hint) from None
        status = {"pass": _YES, "fail": _NO}.get(said.outcome, _MARGINAL[wanted])
        if status == _YES and said.lacks_data:
            status = _LATER  # nothing speaks for it yet
        headers = {"Retry-After": _AGAIN} if status == _LATER else {}
        return Response(argo_json(said), status, headers, JSON)

    return [Route(_PATH, told, methods=["GET", "POST", "PUT"])]


def describe() -> dict[str, Any]:
    """Describe the routes."""
    marginal = in_query(
        "marginal", "What a marginal release is.", {"type": "string", "enum": list(_MARGINAL)}
    )
    others = {
        "409": answer("It fails.", verdict_in_short()),
        "503": answer("Not yet: ask again.", verdict_in_short() | problem()["content"]),
    }
    said = "How a release stands, by the status: 200 pass, 409 fail, 503 not yet."
    return {_PATH: of_a_release(said, verdict_in_short(), others, [marginal], methods=("get", "post", "put"))}
