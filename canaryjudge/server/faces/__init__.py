"""How deploy tools ask the gate: a file a tool, each over the same core."""

from __future__ import annotations

from typing import Any

from starlette.routing import Route

from canaryjudge.server.faces import argo, flagger, harness, kayenta, prometheus, webhook
from canaryjudge.server.gate import Gate
from canaryjudge.server.guards import Bodies

__all__ = ["describe", "routes"]

_FACES = (argo, flagger, prometheus, kayenta, harness, webhook)


def routes(gate: Gate, bodies: Bodies) -> list[Route]:
    """Give the routes of all tools."""
    return [route for face in _FACES for route in face.routes(gate, bodies)]


def describe() -> dict[str, Any]:
    """Describe the routes of all tools, in OpenAPI."""
    return {path: item for face in _FACES for path, item in face.describe().items()}
