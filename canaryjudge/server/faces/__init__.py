"""How deploy tools ask the gate: a file a tool, each over the same core."""

from __future__ import annotations

from starlette.routing import Route

from canaryjudge.server.faces import argo
from canaryjudge.server.gate import Gate
from canaryjudge.server.guards import Bodies

__all__ = ["routes"]

_FACES = (argo,)


def routes(gate: Gate, bodies: Bodies) -> list[Route]:
    """Give the routes of all tools."""
    return [route for face in _FACES for route in face.routes(gate, bodies)]
