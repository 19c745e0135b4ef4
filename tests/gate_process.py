"""The command `serve` as a process of its own: started, asked, ended in good order or killed, and everything that it logged."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

PATIENCE = 60.0
"""Seconds within which whatever is waited for has come, however busy the machine is."""


def until(true, what, patience=PATIENCE):
    """Wait until something is true, and give it."""
    end = time.monotonic() + patience
    while not (found := true()):
        assert time.monotonic() < end, f"not within {patience:g} s: {what}"
        time.sleep(0.02)
    return found


def is_alive(pid):
    """Tell whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class GateProcess:
    """A gate in a process of its own."""

    def __init__(self, folder, *options, policies=None, store=None, port=0, environment=None):
        self.log = Path(folder, f"log{time.monotonic_ns()}")
        arguments = ("--policies", policies or Path(folder, "policies"), "--port", port)
        arguments += ("--store", store or f"sqlite:///{folder}/gate.db", *options)
        with self.log.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "canaryjudge.cli", "serve", *map(str, arguments)],
                stdout=said,
                stderr=said,
                env=os.environ | (environment or {}),
            )
        self._client = None

    @property
    def address(self):
        """Where it listens: http://HOST:PORT."""

        def found():
            assert self.process.poll() is None, self.log.read_text()
            return next((event["address"] for event in self.events() if event["event"] == "serving"), None)

        return until(found, "the gate serves")

    def events(self):
        """Everything that it logged: lines of JSON, whole ones."""
        return [
            json.loads(line) for line in self.log.read_text().splitlines(keepends=True) if line.endswith("\n")
        ]

    def __call__(self, method, path, **how):
        """Ask it."""
        self._client = self._client or httpx.Client(base_url=self.address, timeout=PATIENCE)
        return self._client.request(method, path, **how)

    def children(self):
        """The ids of the processes that it started."""
        pid = self.process.pid
        return [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]

    def memory(self):
        """The most bytes that it, and each of its processes, ever held at once."""
        found = []
        for pid in (self.process.pid, *self.children()):
            lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
            found += [1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
        return found

    def end(self, number=signal.SIGTERM):
        """End it by a signal, and give its exit code."""
        if self._client is not None:
            self._client.close()
            self._client = None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.end(signal.SIGKILL)
        elif self._client is not None:
            self._client.close()
