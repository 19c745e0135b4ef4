"""The gate's own interface, described in OpenAPI; what tools ask is described by those tools."""

from __future__ import annotations

from typing import Any, Final

from canaryjudge._version import __version__
from canaryjudge.server.looks import MEDIA

__all__ = ["description"]

_NAME: Final = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:@+~-]{0,199}$"}
_TEXT: Final = {"type": "string", "maxLength": 1000}
_WISHES: Final = {
    "policy": "The policy's name; that of the service, or default, where it is left out.",
    "baseline": "What the data call the baseline.",
    "canary": "What the data call the canary.",
    "baseline_selector": "What stands for ${selector} in the baseline's queries.",
    "canary_selector": "The same of the canary's.",
    "stable": "The baseline's revision, which stands for ${stable} in selectors.",
}
_OUTCOME: Final = {"type": "string", "enum": ["pass", "marginal", "fail"]}
_ACTION: Final = {"type": "string", "enum": ["promote", "advance", "hold", "rollback", "complete"]}


def description() -> dict[str, Any]:
    """Give the description, of OpenAPI 3.1."""
    one = "/v1/releases/{service}/{revision}"
    points = {
        media: {"schema": {"$ref": "#/components/schemas/Points"} if media == "application/json" else {}}
        for media in MEDIA
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "canaryjudge",
            "version": __version__,
            "description": "A gate that remembers: releases by service and revision, judged at every look.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{}, {"bearer": []}],
        "paths": {
            "/": {"get": _does("The page of releases.", _page(), {"422": _problem()}, [_before()])},
            "/healthz": {"get": _does("Whether the gate is there.", _plain()) | {"security": []}},
            "/readyz": {"get": _does("Whether the store answers.", _plain()) | {"security": []}},
            "/metrics": {"get": _does("Metrics of the gate and of its releases.", _plain())},
            "/openapi.json": {"get": _does("This description.", _json({"type": "object"}))},
            "/v1/judge": {
                "post": _does(
                    "Judge finished data once, and keep nothing.",
                    _json({"type": "object"}),
                    _refusals(404),
                    body={"application/json": {"schema": {"$ref": "#/components/schemas/Asked"}}},
                )
            },
            "/v1/releases": {
                "get": _does(
                    "List releases, the latest first.",
                    _json({"type": "object", "required": ["releases", "before"]}),
                    {"422": _problem()},
                    [
                        _before(),
                        _in_query("limit", "How many.", {"type": "integer", "minimum": 1, "maximum": 1000}),
                    ],
                )
            },
            one: {
                "parameters": [_in_path("service"), _in_path("revision")],
                "put": _does(
                    "Begin a release; one that has begun is told as it is.",
                    _json({"$ref": "#/components/schemas/Told"}),
                    {
                        "201": _answer("It has begun.", _json({"$ref": "#/components/schemas/Told"})),
                        **_refusals(404, 409),
                    },
                    _wishes(),
                    {"application/json": {"schema": {"$ref": "#/components/schemas/Begun"}}},
                    needed=False,
                ),
                "post": _does(
                    "Take points, and tell how the release stands with them; it begins with the first.",
                    _json({"$ref": "#/components/schemas/Told"}),
                    _refusals(404, 409),
                    [
                        *_wishes(),
                        {
                            "name": "Idempotency-Key",
                            "in": "header",
                            "description": "By which a push that is tried again is known; needed where the points have no times.",
                            "schema": {
                                "type": "string",
                                "minLength": 1,
                                "maxLength": 200,
                                "pattern": "^[!-~]+$",
                            },
                        },
                    ],
                    points,
                ),
                "get": _does(
                    "Tell how it stands.", _json({"$ref": "#/components/schemas/Told"}), _refusals(404)
                ),
                "delete": _does("Forget it.", None, _refusals(404)),
            },
            f"{one}/verdict": _of_one(
                _does("The last verdict in full.", _json({"type": "object"}), _refusals(404))
            ),
            f"{one}/report": _of_one(_does("The last verdict as a page.", _page(), _refusals(404))),
            f"{one}/explanation": _of_one(_does("The last verdict in sentences.", _plain(), _refusals(404))),
        },
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Problem": {
                    "type": "object",
                    "required": ["title", "status", "detail"],
                    "properties": {
                        "type": {"type": "string"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string"},
                        "hint": {"type": "string"},
                    },
                },
                "Told": {
                    "type": "object",
                    "required": [
                        "service",
                        "revision",
                        "policy",
                        "version",
                        "outcome",
                        "action",
                        "reason",
                        "metrics",
                        "looks",
                    ],
                    "properties": {
                        "service": _NAME,
                        "revision": _NAME,
                        "policy": {"type": "string"},
                        "version": {"type": "integer", "minimum": 1},
                        "outcome": _OUTCOME,
                        "action": _ACTION,
                        "reason": {"type": "string"},
                        "score": {"type": ["number", "null"]},
                        "no_data": {"type": "boolean"},
                        "stage": {"type": "string"},
                        "share": {"type": "number"},
                        "metrics": {"type": "object"},
                        "explanation": {"type": "string"},
                        "looks": {"type": "array"},
                    },
                },
                "Points": {
                    "description": "Rows, or a mapping of metrics to arms to columns, as judge takes them.",
                    "oneOf": [
                        {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["metric", "arm", "value"],
                                "properties": {
                                    "metric": {"type": "string"},
                                    "arm": {"type": "string"},
                                    "value": {"type": "number"},
                                    "time": {"type": ["number", "string"]},
                                    "total": {"type": "number"},
                                    "replica": {"type": "string"},
                                },
                            },
                        },
                        {"type": "object", "additionalProperties": {"type": "object"}},
                    ],
                },
                "Begun": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        **{
                            name: {**_TEXT, "description": said}
                            for name, said in _WISHES.items()
                            if name != "policy"
                        },
                        "policy": {
                            "oneOf": [_TEXT, {"type": "object"}],
                            "description": "A policy's name, or a policy.",
                        },
                        "history": {"$ref": "#/components/schemas/Points"},
                    },
                },
                "Asked": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["policy", "data"],
                    "properties": {
                        "policy": {
                            "oneOf": [_TEXT, {"type": "object"}],
                            "description": "A policy's name, or a policy.",
                        },
                        "data": {"$ref": "#/components/schemas/Points"},
                        "baseline": _TEXT,
                        "canary": _TEXT,
                        "history": {"$ref": "#/components/schemas/Points"},
                    },
                },
            },
        },
    }


def _does(
    summary: str,
    content: dict[str, Any] | None,
    others: dict[str, Any] | None = None,
    parameters: list[dict[str, Any]] | None = None,
    body: dict[str, Any] | None = None,
    *,
    needed: bool = True,
) -> dict[str, Any]:
    """Describe what one method does."""
    good = (
        {"204": {"description": "It is forgotten."}}
        if content is None
        else {"200": _answer("As asked.", content)}
    )
    found: dict[str, Any] = {
        "summary": summary,
        "responses": {**good, **(others or {}), "401": _problem(), "503": _problem()},
    }
    if parameters:
        found["parameters"] = parameters
    if body is not None:
        found["requestBody"] = {"required": needed, "content": body}
    return found


def _of_one(get: dict[str, Any]) -> dict[str, Any]:
    return {"parameters": [_in_path("service"), _in_path("revision")], "get": get}


def _answer(said: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"description": said, "content": content}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _plain() -> dict[str, Any]:
    return {"text/plain": {"schema": {"type": "string"}}}


def _page() -> dict[str, Any]:
    return {"text/html": {"schema": {"type": "string"}}}


def _problem() -> dict[str, Any]:
    return {
        "description": "What is wrong, and what to do about it.",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _refusals(*more: int) -> dict[str, Any]:
    return {str(status): _problem() for status in (400, 408, 413, 415, 422, *more)}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": _NAME}


def _in_query(name: str, said: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": said, "schema": schema}


def _before() -> dict[str, Any]:
    return _in_query(
        "before", "Where the list goes on: what the list before told as before.", {"type": "string"}
    )


def _wishes() -> list[dict[str, Any]]:
    return [_in_query(name, said, _TEXT) for name, said in _WISHES.items()]
