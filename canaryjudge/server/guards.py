"""What stands before every answer: who may ask, how much is read of a question, what is logged of it, and errors as problem details without internals."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
import logging
import sys
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from canaryjudge.errors import CanaryJudgeError
from canaryjudge.server.gate import ConflictError, UnknownReleaseError
from canaryjudge.server.looks import UnreadableReleaseError
from canaryjudge.server.policies import UnknownPolicyError
from canaryjudge.server.store import StoreError
from canaryjudge.server.workers import BusyError, WorkerError
from canaryjudge.texts import on_one_line

__all__ = ["Bodies", "Guard", "Refused", "log_to", "problem", "problem_of"]

PROBLEM: Final = "application/problem+json"
_OPEN: Final = frozenset({"/healthz", "/readyz"})
"""What may be asked without a token: it tells nothing but that the gate is there."""
_STATUSES: Final[tuple[tuple[type[CanaryJudgeError], int], ...]] = (
    (UnknownReleaseError, 404),
    (UnknownPolicyError, 404),
    (ConflictError, 409),
    (BusyError, 503),
    (WorkerError, 503),
    (StoreError, 503),
    (UnreadableReleaseError, 503),
)
_RETRY_SECONDS: Final = 2
_LINGER: Final = 2.0
"""Seconds for which the rest of a body that was refused is read and thrown away."""
_TITLES: Final = {
    400: "bad request",
    401: "a token is needed",
    403: "not for others",
    404: "not found",
    405: "method not allowed",
    408: "too slow",
    409: "conflict",
    413: "too large",
    415: "unknown media type",
    422: "cannot be judged",
    500: "a bug of canaryjudge",
    503: "not now",
}
log: Final = logging.getLogger("canaryjudge.gate")


class Refused(Exception):  # noqa: N818 - what is answered
    """A question that is answered with a problem."""

    def __init__(self, status: int, detail: str, hint: str = "") -> None:
        self.status, self.detail, self.hint = status, detail, hint
        super().__init__(detail)


def problem(status: int, detail: str, hint: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a problem (RFC 9457): what is wrong, and what to do about it."""
    title = _TITLES.get(status, "refused")
    document = {"type": "about:blank", "title": title, "status": status, "detail": on_one_line(detail, 2000)}
    if hint:
        document["hint"] = on_one_line(hint, 2000)
    more = {"Retry-After": str(_RETRY_SECONDS)} if status == 503 else {}
    return JSONResponse(document, status, {**more, **(headers or {})}, PROBLEM)


def problem_of(error: BaseException) -> Response:
    """Answer with what went wrong; what nobody foresaw is logged, and not told."""
    if isinstance(error, Refused):
        return problem(error.status, error.detail, error.hint)
    if isinstance(error, CanaryJudgeError):
        status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 422)
        return problem(status, error.message, error.hint)
    log.error("bug", exc_info=error)
    return problem(500, "something went wrong that nobody foresaw", "Please report it with the gate's log.")


class Bodies:
    """Reads bodies, each and all together within bounds, unpacked as they come.

    Parameters
    ----------
    each : int
        Bytes that a body may have, unpacked.
    together : int
        Bytes of all bodies that are being read.
    seconds : float
        How long one may take to come.
    """

    def __init__(self, each: int, together: int, seconds: float = 30.0) -> None:
        self.each, self._together, self._seconds = each, together, seconds
        self._held = 0

    async def read(self, request: Request, most: int | None = None) -> bytes:
        """Read a body, of so many bytes at most where that is less than any may have.

        Raises
        ------
        Refused
            If it is too large, too slow, or packed in a way that cannot be unpacked.
        """
        try:
            async with asyncio.timeout(self._seconds):
                return await self._read(request, min(self.each, most or self.each))
        except TimeoutError:
            raise Refused(
                408, f"the body did not come within {self._seconds:g} s", "Send it faster, or in parts."
            ) from None
        except ClientDisconnect:
            raise Refused(400, "the body ended before its end") from None

    async def _read(self, request: Request, most: int) -> bytes:
        said = request.headers.get("content-length", "0")
        if said.isascii() and said.isdigit() and int(said) > most:
            raise self._too_large(most)
        packing = request.headers.get("content-encoding", "identity").strip().lower()
        if packing not in ("identity", "gzip"):
            raise Refused(
                415, f"the body is packed by {packing[:40]!r}", "Send it as it is, or packed by gzip."
            )
        unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS) if packing == "gzip" else None
        parts: list[bytes] = []
        size = came = 0
        try:
            async for chunk in request.stream():
                part = chunk
                came += len(chunk)
                if came > most:
                    raise self._too_large(most)
                if unpacker is not None:
                    try:
                        part = unpacker.decompress(chunk, most - size + 1)
                    except zlib.error:
                        raise Refused(
                            400, "the body is not gzip", "Leave out Content-Encoding, or pack it."
                        ) from None
                    if unpacker.unused_data:
                        raise Refused(400, "the packed body goes on after its end", "Send one gzip file.")
                size += len(part)
                self._held += len(part)
                parts.append(part)
                if size > most:
                    raise self._too_large(most)
                if self._held > self._together:
                    raise Refused(
                        503, "the gate is reading as much as it can hold", "Send it again in some seconds."
                    )
            if unpacker is not None and not unpacker.eof:
                raise Refused(400, "the packed body ends before its end", "Send all of it.")
            return b"".join(parts)
        finally:
            self._held -= size

    def _too_large(self, most: int) -> Refused:
        return Refused(
            413,
            f"the body has more than {most:,} bytes",
            "Send fewer points at once, or let the gate take more with --max-body."
            if most == self.each
            else "Is it what the tool sends?",
        )


class Guard:
    """Asks for a token before anything is read, logs each answer, and turns errors into problems.

    Parameters
    ----------
    app : callable
        What is guarded.
    tokens : sequence of str
        Each of which lets in; none where everybody may ask.
    counted : callable
        Is told of each answer: method, route, status and seconds.
    hosts : frozenset of str, optional
        What the gate may be called by those who ask; anything where it is left out.
    """

    def __init__(
        self,
        app: ASGIApp,
        tokens: Sequence[str],
        counted: Callable[[str, str, int, float], None],
        hosts: frozenset[str] | None = None,
    ) -> None:
        self._app, self._tokens, self._counted = app, [token.encode() for token in tokens], counted
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500
        started = leaves_body = False
        comes = _has_body(scope)

        async def heard() -> Message:
            nonlocal comes
            message = await receive()
            comes = comes and message["type"] == "http.request" and message.get("more_body", False)
            return message

        async def told(message: Message) -> None:
            nonlocal status, started, leaves_body
            if message["type"] == "http.response.start":
                status, started, leaves_body = message["status"], True, comes
                closing = [(b"connection", b"close")] if comes and status != 401 else []
                message["headers"] = [*message.get("headers", ()), *_ALWAYS, *closing]
            elif leaves_body and status != 401 and not message.get("more_body", False):
                # who still sends would see the connection break before the answer
                await send({**message, "more_body": True})
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LINGER):
                        while comes:
                            await heard()
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        try:
            if (strange := self._strange(scope)) is not None:
                await strange(scope, _nothing, told)
            elif self._may_ask(scope):
                await self._app(scope, heard, told)
            else:
                ask = {
                    "WWW-Authenticate": 'Bearer realm="canaryjudge", Basic realm="canaryjudge"',
                    "Connection": "close",
                }
                answer = problem(
                    401,
                    "this gate answers those who have its token",
                    "Send Authorization: Bearer TOKEN.",
                    ask,
                )
                await answer(scope, _nothing, told)
        except Exception as error:
            if started:
                log.exception("bug", exc_info=error)
            else:
                await problem_of(error)(scope, _nothing, told)
        finally:
            self._count(scope, status, time.perf_counter() - began)

    def _strange(self, scope: Scope) -> Response | None:
        """Refuse what another site has a browser ask: the browser may send a password along, or stand on this machine."""
        headers = dict(scope["headers"])
        site, mode = headers.get(b"sec-fetch-site", b""), headers.get(b"sec-fetch-mode", b"")
        reads = scope["method"] == "GET" and (scope["path"] == "/" or scope["path"].endswith("/report"))
        if site in (b"cross-site", b"same-site") and not (reads and mode == b"navigate"):
            return problem(403, "another site has asked this of a browser", "Ask the gate itself.")
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        if self._hosts is not None and name not in self._hosts:
            return problem(
                403,
                f"the gate is not called {on_one_line(name, 60)}",
                "Ask 127.0.0.1, or give the gate tokens.",
            )
        return None

    def _may_ask(self, scope: Scope) -> bool:
        if not self._tokens or scope["path"] in _OPEN:
            return True
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        kind, _, secret = given.partition(b" ")
        if kind.lower() == b"basic":
            try:
                secret = base64.b64decode(secret.strip(), validate=True).partition(b":")[2]
            except binascii.Error:
                return False
        elif kind.lower() != b"bearer":
            return False
        # each is compared, so that the time tells nothing
        found = [hmac.compare_digest(secret.strip(), token) for token in self._tokens]
        return any(found)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None) or "other"
        self._counted(scope["method"], route, status, seconds)
        params = scope.get("path_params") or {}
        facts = {
            "method": scope["method"],
            "path": scope["path"][:500],
            "status": status,
            "ms": round(1000 * seconds, 1),
        }
        log.info(
            "request", extra={"facts": facts | {name: str(value)[:200] for name, value in params.items()}}
        )


_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
)


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0") != b"")
        for name, value in scope["headers"]
    )


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


class _Lines(logging.Formatter):
    """A line of JSON an event."""

    def format(self, record: logging.LogRecord) -> str:
        """Write an event."""
        facts: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            facts["error"] = self.formatException(record.exc_info)
        return json.dumps(facts)


def log_to(stream: Any = None, level: str = "INFO") -> None:
    """Log events of the gate, and what the server under it has to say, as lines of JSON."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Lines())
    for name in ("canaryjudge.gate", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level if name == "canaryjudge.gate" else "WARNING")
