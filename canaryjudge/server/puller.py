"""Fetching points when they are due: of several gates, one does it for a release."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Final

from canaryjudge.errors import CanaryJudgeError
from canaryjudge.server.gate import Gate, Key

__all__ = ["pulling", "tidying"]

_PAUSE: Final = 1.0
_AT_ONCE: Final = 16
_HOUR: Final = 3600.0
log: Final = logging.getLogger("canaryjudge.gate")


async def pulling(gate: Gate) -> None:
    """Fetch what is due, again and again, until this is cancelled."""
    under_way: dict[Key, asyncio.Task[None]] = {}
    while True:
        try:
            due = await asyncio.to_thread(gate.store.due, gate.now(), 4 * _AT_ONCE)
        except CanaryJudgeError as error:
            log.warning("cannot tell what is due", extra={"facts": {"detail": error.message}})
            due = []
        for key in (Key(service, revision) for service, revision, _ in due):
            if key not in under_way and len(under_way) < _AT_ONCE:
                task = asyncio.create_task(_pulled(gate, key))
                under_way[key] = task
                task.add_done_callback(partial(_over, under_way, key))
        try:
            await asyncio.sleep(_PAUSE)
        except asyncio.CancelledError:
            for task in under_way.values():
                task.cancel()
            raise


def _over(under_way: dict[Key, asyncio.Task[None]], key: Key, _: asyncio.Task[None]) -> None:
    under_way.pop(key, None)


async def _pulled(gate: Gate, key: Key) -> None:
    try:
        await gate.pull(key)
    except CanaryJudgeError as error:
        log.warning(
            "nothing fetched",
            extra={"facts": {"service": key.service, "revision": key.revision, "detail": error.message}},
        )
    except Exception as error:
        log.exception("bug", exc_info=error)


async def tidying(gate: Gate, keep: float) -> None:
    """Forget, once an hour, what nobody has touched for so many seconds."""
    while True:
        try:
            gone = await asyncio.to_thread(gate.store.forget, gate.now() - keep)
            if gone:
                log.info("forgot", extra={"facts": {"releases": gone}})
        except CanaryJudgeError as error:
            log.warning("cannot forget", extra={"facts": {"detail": error.message}})
        await asyncio.sleep(_HOUR)
