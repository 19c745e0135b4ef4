"""Processes that judge: what is asked is done, what takes too long is ended, and what dies is replaced."""

import asyncio
import os
import time

import pytest

from canaryjudge.errors import DataError
from canaryjudge.server.workers import BusyError, WorkerError, Workers


def refuse(text):
    raise DataError(text, "Do not.")


def with_workers(work, **how):
    async def run():
        workers = Workers(1, **how)
        try:
            return await work(workers)
        finally:
            workers.close()

    return asyncio.run(run())


def test_work_is_done_elsewhere_and_its_errors_come_back():
    async def work(workers):
        pid = await workers.run("a", os.getpid)
        assert pid not in (os.getpid(), None)
        assert await workers.run("b", os.getpid) == pid
        with pytest.raises(DataError, match="no good"):
            await workers.run("a", refuse, "no good")
        assert await workers.run("a", os.getpid) == pid

    with_workers(work)


def test_what_takes_too_long_is_ended_and_what_dies_is_replaced():
    async def work(workers):
        first = await workers.run("a", os.getpid)
        workers.timeout = 0.2
        with pytest.raises(WorkerError, match=r"longer than 0\.2 s"):
            await workers.run("a", time.sleep, 60)
        workers.timeout = 30.0
        second = await workers.run("a", os.getpid)
        assert second != first
        with pytest.raises(WorkerError, match="ended before it was done"):
            await workers.run("a", os._exit, 3)
        assert await workers.run("a", os.getpid) != second
        assert workers.restarts == 2

    with_workers(work)


def test_more_than_may_wait_is_refused():
    async def work(workers):
        await workers.run("a", os.getpid)
        found = await asyncio.gather(
            *(workers.run("a", time.sleep, 0.02) for _ in range(10)), return_exceptions=True
        )
        assert [type(each) for each in found].count(BusyError) == 7

    with_workers(work, waiting=3)


def test_who_goes_away_leaves_the_process_in_order():
    async def work(workers):
        await workers.run("a", os.getpid)
        asked = asyncio.create_task(workers.run("a", time.sleep, 0.2))
        await asyncio.sleep(0.05)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert isinstance(await workers.run("a", os.getpid), int)
        assert workers.restarts == 0

    with_workers(work)
