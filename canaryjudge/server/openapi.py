"""The gate's own interface, described in OpenAPI; what tools ask is described by those tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from canaryjudge._version import __version__
from canaryjudge.server.looks import MEDIA

__all__ = [
    "answer",
    "description",
    "does",
    "in_path",
    "in_query",
    "json_of",
    "of_a_release",
    "plain",
    "problem",
    "refusals",
    "verdict_in_short",
    "wishes",
]

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


def description(tools: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Give the description, of OpenAPI 3.1, with the paths of tools."""
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
            "/": {"get": does("The page of releases.", _page(), {"422": problem()}, [_before()])},
            "/healthz": {"get": does("Whether the gate is there.", plain()) | {"security": []}},
            "/readyz": {"get": does("Whether the store answers.", plain()) | {"security": []}},
            "/metrics": {"get": does("Metrics of the gate and of its releases.", plain())},
            "/openapi.json": {"get": does("This description.", json_of({"type": "object"}))},
            "/v1/judge": {
                "post": does(
                    "Judge finished data once, and keep nothing.",
                    json_of({"type": "object"}),
                    refusals(404),
                    body={"application/json": {"schema": {"$ref": "#/components/schemas/Asked"}}},
                )
            },
            "/v1/releases": {
                "get": does(
                    "List releases, the latest first.",
                    json_of({"type": "object", "required": ["releases", "before"]}),
                    {"422": problem()},
                    [
                        _before(),
                        in_query("limit", "How many.", {"type": "integer", "minimum": 1, "maximum": 1000}),
                    ],
                )
            },
            one: {
                "parameters": [in_path("service"), in_path("revision")],
                "put": does(
                    "Begin a release; one that has begun is told as it is.",
                    json_of({"$ref": "#/components/schemas/Told"}),
                    {
                        "201": answer("It has begun.", json_of({"$ref": "#/components/schemas/Told"})),
                        **refusals(404, 409),
                    },
                    wishes(),
                    {"application/json": {"schema": {"$ref": "#/components/schemas/Begun"}}},
                    needed=False,
                ),
                "post": does(
                    "Take points, and tell how the release stands with them; it begins with the first.",
                    json_of({"$ref": "#/components/schemas/Told"}),
                    refusals(404, 409),
                    [
                        *wishes(),
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
                "get": does(
                    "Tell how it stands.", json_of({"$ref": "#/components/schemas/Told"}), refusals(404)
                ),
                "delete": does("Forget it.", None, refusals(404)),
            },
            f"{one}/verdict": _of_one(
                does("The last verdict in full.", json_of({"type": "object"}), refusals(404))
            ),
            f"{one}/report": _of_one(does("The last verdict as a page.", _page(), refusals(404))),
            f"{one}/explanation": _of_one(does("The last verdict in sentences.", plain(), refusals(404))),
            **(tools or {}),
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


def of_a_release(
    summary: str,
    content: dict[str, Any],
    others: dict[str, Any] | None = None,
    parameters: Sequence[dict[str, Any]] = (),
    *,
    methods: Sequence[str],
) -> dict[str, Any]:
    """Describe a path of one release, which begins with the first question; the same by each method."""
    one = does(summary, content, {**refusals(404, 409), **(others or {})}, [*wishes(), *parameters])
    return {"parameters": [in_path("service"), in_path("revision")], **dict.fromkeys(methods, one)}


def verdict_in_short() -> dict[str, Any]:
    """Describe `argo_json`."""
    return json_of({"type": "object", "required": ["verdict", "metrics"]})


def does(
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
        else {"200": answer("As asked.", content)}
    )
    found: dict[str, Any] = {
        "summary": summary,
        "responses": {**good, "401": problem(), "403": problem(), "503": problem(), **(others or {})},
    }
    if parameters:
        found["parameters"] = parameters
    if body is not None:
        found["requestBody"] = {"required": needed, "content": body}
    return found


def _of_one(get: dict[str, Any]) -> dict[str, Any]:
    return {"parameters": [in_path("service"), in_path("revision")], "get": get}


def answer(said: str, content: dict[str, Any]) -> dict[str, Any]:
    """Describe an answer."""
    return {"description": said, "content": content}


def json_of(schema: dict[str, Any]) -> dict[str, Any]:
    """Describe content that is JSON."""
    return {"application/json": {"schema": schema}}


def plain() -> dict[str, Any]:
    """Describe content that is text."""
    return {"text/plain": {"schema": {"type": "string"}}}


def _page() -> dict[str, Any]:
    return {"text/html": {"schema": {"type": "string"}}}


def problem() -> dict[str, Any]:
    """Describe what is told where something is wrong."""
    return {
        "description": "What is wrong, and what to do about it.",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def refusals(*more: int) -> dict[str, Any]:
    """Describe the problems that a question with a body may meet, and more."""
    return {str(status): problem() for status in (400, 408, 413, 415, 422, *more)}


def in_path(name: str) -> dict[str, Any]:
    """Describe a name in the path."""
    return {"name": name, "in": "path", "required": True, "schema": _NAME}


def in_query(name: str, said: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Describe a parameter."""
    return {"name": name, "in": "query", "description": said, "schema": schema}


def _before() -> dict[str, Any]:
    return in_query(
        "before", "Where the list goes on: what the list before told as before.", {"type": "string"}
    )


def wishes() -> list[dict[str, Any]]:
    """Describe how a release is to be watched, as parameters."""
    return [in_query(name, said, _TEXT) for name, said in _WISHES.items()]
