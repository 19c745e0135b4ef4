"""Gates for tests: the real one, whose work is done in threads of this process, so that no test waits for processes to start."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

import httpx

from canaryjudge.server.app import app_of
from canaryjudge.server.gate import Gate
from canaryjudge.server.policies import PolicyFolder
from canaryjudge.server.store import Store

POLICY = """
version: 1
max_duration: 2h
metrics:
- {name: latency, unit: ms, direction: increase}
- {name: errors, kind: ratio, direction: increase, dispersion: 1}
"""


class Threads:
    """Stands for `Workers`."""

    timeout = 30.0
    waiting = restarts = 0

    async def run(self, _, function, *arguments):
        return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)

    def close(self):
        pass


class Clock:
    """The time of day, as a test says."""

    def __init__(self, now=1_796_000_000.0):
        self.now = now

    def __call__(self):
        return self.now


def policies(folder, **texts):
    """Write policies, and give their folder."""
    folder.mkdir(exist_ok=True)
    for name, text in (texts or {"default": POLICY}).items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return PolicyFolder(str(folder))


def gate(tmp_path, *, store=None, folder=None, now=None, access=None, limits=None):
    """Give a gate."""
    return Gate(
        store or Store(f"sqlite:///{tmp_path}/gate.db"),
        folder or policies(tmp_path / "policies"),
        Threads(),
        access=access,
        pullers=None if access is None else Threads(),
        limits=limits,
        now=now or Clock(),
    )


class Client:
    """Asks an application, in this process, in a loop of its own."""

    def __init__(self, app):
        self._loop = asyncio.new_event_loop()
        self._asked = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gate")

    def __call__(self, method, path, **how):
        return self._loop.run_until_complete(self._asked.request(method, path, **how))

    def close(self):
        self._loop.run_until_complete(self._asked.aclose())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


@contextmanager
def asking(tmp_path, settings=None, **how):
    """Ask a gate over HTTP."""
    client = Client(app_of(gate(tmp_path, **how), settings))
    try:
        yield client
    finally:
        client.close()


def minute(number, *, latency=100.0, errors=10, start=1_795_990_000.0):
    """Points of one minute: the canary's errors as told, the baseline's as ever."""
    time = [start + 60.0 * number]
    wiggle = 0.5 * ((number * 7) % 5 - 2)
    return {
        "latency": {
            "baseline": {"time": time, "value": [100.0 + wiggle]},
            "canary": {"time": time, "value": [latency - wiggle]},
        },
        "errors": {
            "baseline": {"time": time, "value": [10], "total": [1000]},
            "canary": {"time": time, "value": [errors], "total": [1000]},
        },
    }
