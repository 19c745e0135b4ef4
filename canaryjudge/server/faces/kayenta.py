"""Kayenta, from both sides: its remote judge, which Spinnaker's Kayenta asks, and its own interface, which Argo's `kayenta` provider asks.

The judge is a function of the request alone. The interface tells how the gate's own releases stand: a canary config is a policy, an execution a release.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from canaryjudge.compat.kayenta import judge_kayenta
from canaryjudge.errors import DataError
from canaryjudge.integrations.writers.kayenta import kayenta_scores
from canaryjudge.server.gate import Gate, Key, Wish, anybody
from canaryjudge.server.guards import Bodies
from canaryjudge.server.looks import read_object
from canaryjudge.server.openapi import does, in_path, in_query, json_of, refusals
from canaryjudge.texts import as_json

__all__ = ["describe", "routes"]

_JUDGE: Final = "/kayenta/judge"
_CONFIGS: Final = "/kayenta/canaryConfig"
_BEGIN: Final = "/kayenta/canary/{policy}"
_EXECUTION: Final = "/kayenta/canary/{service}/{revision}/{passes}/{marginal}"
_LONGEST: Final = 65_536


def routes(gate: Gate, bodies: Bodies) -> list[Route]:
    """Give the routes: POST /kayenta/judge, and what Argo asks of Kayenta."""

    async def judge(request: Request) -> Response:
        """Judge metric set pairs as Kayenta's own judge does, with our verdict beside it."""
        body = await bodies.read(request)
        return Response(await gate.workers.run(anybody(), _judged, body), media_type="application/json")

    async def configs(request: Request) -> Response:
        """List the policies as canary configs."""
        names = await asyncio.to_thread(lambda: gate.policies.names)
        application = request.query_params.get("application")
        return JSONResponse(
            [
                {"id": name, "name": name, "applications": [application] if application else []}
                for name in names
            ]
        )

    async def begin(request: Request) -> Response:
        """Begin to watch a release."""
        document = read_object(await bodies.read(request, _LONGEST))
        scopes, thresholds = document.get("scopes"), document.get("thresholds")
        scope = next(iter(scopes.values()), None) if isinstance(scopes, dict) else None
        service = request.query_params.get("application")
        stable, revision = (_scope(scope, arm) for arm in ("controlScope", "experimentScope"))
        if service is None or revision is None or not isinstance(thresholds, dict):
            raise DataError(
                "there is no application, no scope with an experimentScope, or no thresholds",
                "Is it what Argo Rollouts posts?",
            )
        passes, marginal = (thresholds.get(name) for name in ("pass", "marginal"))
        if not isinstance(passes, int) or not isinstance(marginal, int):
            raise DataError("thresholds has no pass and marginal", "Give two whole numbers.")
        kayenta_scores(passes, marginal)
        wish = Wish(policy=request.path_params["policy"], stable=stable)
        key = (await gate.asked(Key.of(service, revision), wish)).key
        return JSONResponse({"canaryExecutionId": f"{key.service}/{key.revision}/{passes}/{marginal}"})

    async def execution(request: Request) -> Response:
        """Tell how a release stands, as a score that says the same by the thresholds."""
        of = request.path_params
        scores = kayenta_scores(_threshold(of["passes"]), _threshold(of["marginal"]))
        told = await gate.known(Key.of(of["service"], of["revision"]))
        score = {"score": scores[told.said.outcome], "classificationReason": told.said.reason}
        return JSONResponse({"complete": True, "result": {"judgeResult": {"score": score}}})

    return [
        Route(_JUDGE, judge, methods=["POST"]),
        Route(_CONFIGS, configs, methods=["GET"]),
        Route(_BEGIN, begin, methods=["POST"]),
        Route(_EXECUTION, execution, methods=["GET"]),
    ]


def _judged(body: bytes) -> str:
    return as_json(judge_kayenta(body))


def _scope(scope: Any, arm: str) -> str | None:
    """Give the name of a scope."""
    own = scope.get(arm) if isinstance(scope, Mapping) else None
    name = own.get("scope") if isinstance(own, Mapping) else None
    return name if isinstance(name, str) else None


def describe() -> dict[str, Any]:
    """Describe the routes."""
    whole = {"type": "integer"}
    body = {"application/json": {"schema": {"type": "object"}}}
    application = in_query("application", "The service.", {"type": "string"})
    execution = _EXECUTION.replace(":int", "")
    names = [in_path(name) for name in ("service", "revision")]
    names += [in_path(name) | {"schema": whole} for name in ("passes", "marginal")]
    any_object = json_of({"type": "object"})
    return {
        _JUDGE: {"post": does("Judge as Kayenta's remote judge.", any_object, refusals(), body=body)},
        _CONFIGS: {
            "get": does("The policies as canary configs.", json_of({"type": "array"}), None, [application])
        },
        _BEGIN: {
            "parameters": [in_path("policy")],
            "post": does(
                "Begin a release, as Argo's kayenta provider does.",
                any_object,
                refusals(404, 409),
                [application | {"required": True}],
                body,
            ),
        },
        execution: {
            "parameters": names,
            "get": does("How it stands, as Kayenta's score.", any_object, refusals(404)),
        },
    }


def _threshold(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3):
        raise DataError(f"the threshold is {text[:40]!r}", "Give whole numbers from 0 to 100.")
    return int(text)
