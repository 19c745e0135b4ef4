"""Running a gate: store, policies, processes and the server, together until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from canaryjudge.errors import DataError
from canaryjudge.integrations.prometheus.client import Access
from canaryjudge.server.app import Settings, app_of
from canaryjudge.server.gate import Gate, Limits
from canaryjudge.server.guards import log, log_to
from canaryjudge.server.policies import PolicyFolder
from canaryjudge.server.store import Store
from canaryjudge.server.workers import Workers

__all__ = ["Serving", "serve"]

_GRACE: Final = 10
_HEAD_SECONDS: Final = 10.0
"""How long the head of a request may take to come."""
_OTHER_FILES: Final = 200
_AT_ONCE: Final = 2000
"""Connections that are open at once; more are told to come back."""


@dataclass(frozen=True, slots=True)
class Serving:
    """How a gate is run.

    Attributes
    ----------
    policies, store : str
        The folder of the policies, and the store's address.
    host, port : str, int
        Where it listens.
    workers : int
        Processes that judge.
    timeout : float
        Seconds that a piece of work may take.
    access : Access or None
        The server that points are fetched from.
    limits, settings : Limits, Settings
        How much is taken, and from whom.
    """

    policies: str
    store: str
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 2
    timeout: float = 30.0
    access: Access | None = None
    limits: Limits = field(default_factory=Limits)
    settings: Settings = field(default_factory=Settings)


def serve(how: Serving) -> None:
    """Serve until SIGTERM or SIGINT, finish what is under way, and return."""
    log_to()
    _let_open_files(_AT_ONCE + _OTHER_FILES)
    policies = PolicyFolder(how.policies)
    for name, why in policies.unwatched().items():
        log.warning("a policy for finished data alone", extra={"facts": {"policy": name, "detail": why}})
    with closing(_listening(how.host, how.port)) as listener, closing(Store(how.store)) as store:
        gate = Gate(
            store,
            policies,
            Workers(how.workers, timeout=how.timeout),
            access=how.access,
            pullers=None
            if how.access is None
            else Workers(how.workers, timeout=how.timeout + how.access.timeout),
            limits=how.limits,
        )
        config = uvicorn.Config(
            app_of(gate, how.settings),
            http=_Protocol,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            limit_concurrency=_AT_ONCE,
            timeout_graceful_shutdown=_GRACE,
            backlog=_AT_ONCE,
            h11_max_incomplete_event_size=65536,
        )
        host, port = listener.getsockname()[:2]
        facts = {
            "address": f"http://{f'[{host}]' if ':' in host else host}:{port}",
            "policies": policies.names,
            "prometheus": how.access is not None,
        }
        log.info("serving", extra={"facts": facts})
        _Server(config).run(sockets=[listener])
    log.info("stopped")


def _let_open_files(count: int) -> None:
    """Have as many connections at once as are answered: many systems let a process open 1,024 files if it does not ask for more."""
    with suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415 - not on every system

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
        if soft not in (resource.RLIM_INFINITY, wanted) and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class _Protocol(H11Protocol):
    """HTTP/1.1 of which a head must come within some seconds: connections that say nothing do not keep out others."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait until a head is whole, or end the connection."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._wait()
        else:
            self._wait_no_longer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._wait_no_longer()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(_HEAD_SECONDS, self.transport.close)

    def _wait_no_longer(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


class _Server(uvicorn.Server):
    """A server that stops when it is told to, and leaves the process to end in its own order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listen to what ends a process."""
        before = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _listening(host: str, port: int) -> socket.socket:
    """Listen, or say why that cannot be."""
    listener = None
    try:
        family: Any = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_AT_ONCE)  # who asks before the server runs waits for it
    except (OSError, OverflowError) as error:
        if listener is not None:
            listener.close()
        raise DataError(
            f"the gate cannot listen on {host}:{port}: {getattr(error, 'strerror', None) or error}",
            "Name another --port, or an address of this machine with --host.",
        ) from None
    return listener
