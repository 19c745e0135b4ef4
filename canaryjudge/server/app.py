"""The gate over HTTP: its own interface, a page for people, and what keeps it running."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from canaryjudge.errors import CanaryJudgeError
from canaryjudge.server import faces
from canaryjudge.server.asking import batch_of, key_of, wish_of
from canaryjudge.server.gate import Gate, Told, unknown
from canaryjudge.server.guards import Bodies, Guard, Refused, problem, problem_of
from canaryjudge.server.metrics import GateMetrics
from canaryjudge.server.openapi import description
from canaryjudge.server.page import page_of
from canaryjudge.server.puller import pulling, tidying

__all__ = ["Settings", "app_of"]

_A_PAGE: Final = 100
_MOST_LISTED: Final = 1000
_REFRESH: Final = "15"
"""Seconds after which a browser asks for the page again."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator may choose.

    Attributes
    ----------
    tokens : sequence of str
        Each of which lets a caller in; everybody is where there is none.
    body : int
        Bytes of one body.
    bodies : int
        Bytes of all bodies that are read or waited on.
    body_seconds : float
        How long a body may take to come.
    keep : float
        Seconds that a release is kept that nobody has touched.
    hosts : frozenset of str or None
        What the gate may be called by those who ask; anything where it is None.
    """

    tokens: Sequence[str] = ()
    body: int = 8_000_000
    bodies: int = 128_000_000
    body_seconds: float = 30.0
    keep: float = 30 * 86400.0
    hosts: frozenset[str] | None = None


def app_of(gate: Gate, settings: Settings | None = None) -> Guard:
    """Put a gate behind HTTP: an ASGI application, which owns the gate and closes it when it stops."""
    settings = settings or Settings()
    metrics = GateMetrics(gate)
    bodies = Bodies(settings.body, settings.bodies, settings.body_seconds)
    native = _Native(gate, bodies, metrics)

    @asynccontextmanager
    async def living(_: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(tidying(gate, settings.keep))]
        if gate.pullers is not None:
            tasks.append(asyncio.create_task(pulling(gate)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks)
            await gate.close()

    app = Starlette(
        routes=[*native.routes(), *faces.routes(gate, bodies)],
        lifespan=living,
        exception_handlers={
            CanaryJudgeError: _told,
            Refused: _told,
            Exception: _told,
            404: lambda request, _: problem(
                404, f"there is nothing at {request.url.path[:200]}", "See /openapi.json."
            ),
            405: lambda request, _: problem(
                405, f"{request.method[:20]} is not for {request.url.path[:200]}", "See /openapi.json."
            ),
        },
    )
    return Guard(app, settings.tokens, metrics.count, settings.hosts)


async def _told(_: Request, error: Exception) -> Response:
    return problem_of(error)


class _Native:
    """The gate's own interface."""

    def __init__(self, gate: Gate, bodies: Bodies, metrics: GateMetrics) -> None:
        self._gate, self._bodies, self._metrics = gate, bodies, metrics

    def routes(self) -> list[Route]:
        one = "/v1/releases/{service}/{revision}"
        return [
            Route("/", self.page, methods=["GET"]),
            Route("/healthz", self.healthz, methods=["GET"]),
            Route("/readyz", self.readyz, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
            Route("/openapi.json", self.openapi, methods=["GET"]),
            Route("/v1/judge", self.judge, methods=["POST"]),
            Route("/v1/releases", self.releases, methods=["GET"]),
            Route(one, self.begin, methods=["PUT"]),
            Route(one, self.push, methods=["POST"]),
            Route(one, self.told, methods=["GET"]),
            Route(one, self.delete, methods=["DELETE"]),
            Route(f"{one}/verdict", self.verdict, methods=["GET"]),
            Route(f"{one}/report", self.report, methods=["GET"]),
            Route(f"{one}/explanation", self.explanation, methods=["GET"]),
        ]

    async def page(self, request: Request) -> Response:
        """Show the releases to people."""
        before = _before(request)
        told = await self._gate.latest(_A_PAGE, before)
        return HTMLResponse(
            page_of(told, self._gate.now(), _following(told, _A_PAGE)),
            headers=_PAGE_HEADERS | {"Refresh": _REFRESH},
        )

    async def healthz(self, _: Request) -> Response:
        """Tell that the gate is there."""
        return PlainTextResponse("ok\n")

    async def readyz(self, _: Request) -> Response:
        """Tell whether the store answers."""
        await asyncio.to_thread(self._gate.store.check)
        return PlainTextResponse("ok\n")

    async def metrics(self, _: Request) -> Response:
        """Give metrics of the gate and of its releases, as Prometheus reads them."""
        return PlainTextResponse(await self._metrics.text(), media_type="text/plain; version=0.0.4")

    async def openapi(self, _: Request) -> Response:
        """Describe this interface."""
        return JSONResponse(description(faces.describe()))

    async def judge(self, request: Request) -> Response:
        """Judge finished data once."""
        return Response(
            await self._gate.judge(await self._bodies.read(request)), media_type="application/json"
        )

    async def releases(self, request: Request) -> Response:
        """List the releases."""
        limit = request.query_params.get("limit", str(_A_PAGE))
        if not (limit.isascii() and limit.isdigit() and len(limit) <= 4 and 1 <= int(limit) <= _MOST_LISTED):
            raise Refused(422, f"limit is {limit[:40]!r}", f"Give a whole number from 1 to {_MOST_LISTED}.")
        found = await self._gate.latest(int(limit), _before(request))
        listed = [
            {
                "service": told.key.service,
                "revision": told.key.revision,
                "policy": told.policy_name,
                "version": told.version,
                "outcome": told.facts["outcome"],
                "action": told.facts["action"],
                "started": told.started,
                "updated": told.updated,
            }
            for told in found
        ]
        return JSONResponse({"releases": listed, "before": _following(found, int(limit))})

    async def begin(self, request: Request) -> Response:
        """Begin a release, with a policy, selectors and a history where they are given."""
        key, body = key_of(request), await self._bodies.read(request)
        wish = wish_of(request, await self._gate.document(body) if body.strip() else {})
        known = await self._gate.told(key)
        told = await self._gate.begin(key, wish) if known is None else known.as_wished(wish)
        return _short(told, 200 if known else 201)

    async def push(self, request: Request) -> Response:
        """Take points, and tell how the release stands with them."""
        key, batch, wish = key_of(request), await batch_of(request, self._bodies), wish_of(request)
        return _short(await self._gate.push(key, batch, wish))

    async def told(self, request: Request) -> Response:
        """Tell how a release stands."""
        return _short(await self._gate.known(key_of(request)))

    async def delete(self, request: Request) -> Response:
        """Forget a release."""
        if not await self._gate.delete(key_of(request)):
            raise unknown(key_of(request))
        return Response(status_code=204)

    async def verdict(self, request: Request) -> Response:
        """Give the last verdict in full."""
        return Response(await self._gate.verdict(key_of(request)), media_type="application/json")

    async def report(self, request: Request) -> Response:
        """Give the last verdict as a page."""
        return HTMLResponse(await self._gate.report(key_of(request)), headers=_PAGE_HEADERS)

    async def explanation(self, request: Request) -> Response:
        """Give the last verdict in sentences."""
        return PlainTextResponse(await self._gate.explanation(key_of(request)))


def _short(told: Told, status: int = 200) -> Response:
    return Response(told.text, status, media_type="application/json")


_PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; form-action 'none'; base-uri 'none'"
}


def _following(found: Sequence[Told], limit: int) -> str | None:
    """Say where a list goes on; None where there are no more."""
    if len(found) < limit:
        return None
    return f"{found[-1].updated!r},{','.join(found[-1].key)}"


def _before(request: Request) -> tuple[float, str, str] | None:
    """Read where a list goes on: as `before` was told."""
    text = request.query_params.get("before")
    if text is None:
        return None
    updated, _, names = text.partition(",")
    service, _, revision = names.partition(",")
    try:
        return float(updated), service, revision
    except ValueError:
        raise Refused(422, f"before is {text[:60]!r}", "Give what the list before told as before.") from None
