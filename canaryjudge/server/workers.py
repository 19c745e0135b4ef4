"""Processes that judge, so that the loop that answers never waits for numbers: a bounded number, each with a limit of time."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, Final, TypeVar

from canaryjudge.errors import CanaryJudgeError

__all__ = ["BusyError", "WorkerError", "Workers"]

_T = TypeVar("_T")
_GRACE: Final = 5.0


class BusyError(CanaryJudgeError):
    """There is more to do than may wait; later there may be less."""


class WorkerError(CanaryJudgeError):
    """A piece of work came to no end, or took its process with it."""


class Workers:
    """Processes, each of which does one piece of work at a time.

    Parameters
    ----------
    count : int
        How many.
    timeout : float
        Seconds that a piece of work may take; its process is ended then, and another takes its place.
    waiting : int
        How many pieces may wait for each.
    """

    def __init__(self, count: int, *, timeout: float = 30.0, waiting: int = 256) -> None:
        self.timeout, self._most = timeout, waiting
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="worker")
        self._workers = [_Worker() for _ in range(count)]
        self._locks = [asyncio.Lock() for _ in range(count)]
        self._waiting = [0] * count
        self.restarts = 0

    @property
    def waiting(self) -> int:
        """How many pieces of work are under way or wait."""
        return sum(self._waiting)

    async def run(self, key: str, function: Callable[..., _T], *arguments: Any) -> _T:
        """Have a piece of work done, in the process that has done what else has this key: it may remember.

        Raises
        ------
        BusyError
            If too many wait already.
        WorkerError
            If it takes too long, or its process dies of it.
        Exception
            Whatever the function raises.
        """
        place = zlib.crc32(key.encode()) % len(self._workers)
        if self._waiting[place] >= self._most:
            raise BusyError("the gate has more to judge than may wait", "Ask again in some seconds.")
        self._waiting[place] += 1
        try:
            async with self._locks[place]:
                loop = asyncio.get_running_loop()
                done = loop.run_in_executor(
                    self._threads, self._workers[place].do, function, arguments, self.timeout
                )
                try:
                    found = await asyncio.shield(done)
                except asyncio.CancelledError:
                    await asyncio.wait([done])  # the process is not free before
                    raise
        finally:
            self._waiting[place] -= 1
        if isinstance(found, BaseException):
            self.restarts += isinstance(found, WorkerError)
            raise found
        result: _T = found
        return result

    def close(self) -> None:
        """End the processes, and what they are at."""
        for worker in self._workers:
            worker.close()
        self._threads.shutdown(wait=True, cancel_futures=True)


class _Worker:
    """A process, started when there is something to do."""

    def __init__(self) -> None:
        self._process: Any = None
        self._pipe: Connection | None = None
        self._is_closed = False
        self._changing = threading.Lock()

    def do(self, function: Callable[..., Any], arguments: tuple[Any, ...], timeout: float) -> Any:
        """Do a piece of work, and return its result, or the exception that it ended with."""
        try:
            pipe = self._started()
            pipe.send((function, arguments))
            if not pipe.poll(timeout):
                self.end()
                return WorkerError(
                    f"this took longer than {timeout:g} s, and was ended",
                    "Send fewer points at once, or give the gate more time with --judge-timeout.",
                )
            return pipe.recv()
        except (EOFError, OSError):
            self.end()
            return WorkerError(
                "the process that judged ended before it was done", "There may be too little memory."
            )

    def _started(self) -> Connection:
        if self._pipe is None or not self._process.is_alive():
            self.end()
            context = multiprocessing.get_context("spawn")
            with self._changing:
                if self._is_closed:
                    raise EOFError
                self._pipe, other = context.Pipe()
                self._process = context.Process(target=_serve, args=(other,), daemon=True)
                self._process.start()
                other.close()  # so that either side hears when the other is gone
        return self._pipe

    def end(self) -> None:
        """End the process."""
        with self._changing:
            if self._process is not None:
                self._process.kill()
                self._process.join(_GRACE)
            if self._pipe is not None:
                self._pipe.close()
            self._process = self._pipe = None

    def close(self) -> None:
        """End the process for good; whoever waits for its work hears that it ended."""
        with self._changing:
            self._is_closed = True
            if self._process is not None:
                self._process.kill()
                self._process.join(_GRACE)


def _end_with_parent() -> None:
    """End at once when the gate was killed, in the midst of work that nobody waits for any more."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _serve(pipe: Connection) -> None:
    """Do what is asked until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal, which the gate heeds by itself
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            function, arguments = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            found = function(*arguments)
        except Exception as error:  # noqa: BLE001 - it is raised where the work was asked for
            found = error
        try:
            pipe.send(found)
        except (EOFError, OSError):
            return
        except Exception as error:  # noqa: BLE001 - what cannot be sent
            pipe.send(WorkerError(f"a result cannot be told ({type(error).__name__})"))
