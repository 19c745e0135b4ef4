"""Print what a gate answers while points come in: how long callers wait who all ask at once, beside what its smallest answer costs under the same load.

``PYTHONPATH=tests python benchmarks/gate.py`` starts ``canaryjudge serve`` as it is delivered, watches a release of ``--metrics`` metrics to which a minute of points is pushed every second, and
lets ``--callers`` connections ask it again as soon as they are answered, for ``--seconds`` each: for ``/healthz``, the short answer, the verdict in full, and the last two in turn.
Callers are one process more, on the same cores. ``--store`` is ``sqlite``, ``postgresql`` (a cluster of its own) or both.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
from gate_process import GateProcess
from postgresql import cluster

_ONE: Final = "/v1/releases/checkout/v2"
_START: Final = 1_795_990_000
_ASKED: Final = {
    "/healthz": ["/healthz"],
    "short answer": [_ONE],
    "verdict": [f"{_ONE}/verdict"],
    "both in turn": [_ONE, f"{_ONE}/verdict"],
}


def policy_of(metrics: int) -> dict[str, Any]:
    """Give a policy: two gauges for every ratio."""
    kinds = [{} if number % 3 else {"kind": "ratio", "dispersion": 1} for number in range(metrics)]
    return {
        "version": 1,
        "max_duration": "1d",
        "metrics": [
            {"name": f"metric_{number}", "direction": "increase", **kind} for number, kind in enumerate(kinds)
        ],
    }


def minute(number: int, metrics: int) -> dict[str, Any]:
    """Give the points of one minute of a healthy release."""
    rng = np.random.default_rng(number)
    time_ = [_START + 60 * number]
    return {
        f"metric_{metric}": {
            arm: {"time": time_, "value": [round(rng.normal(100, 5), 3)]}
            if metric % 3
            else {"time": time_, "value": [int(rng.integers(5, 15))], "total": [1000]}
            for arm in ("baseline", "canary")
        }
        for metric in range(metrics)
    }


async def _ask(host: str, port: int, paths: Sequence[str], first: int, end: float, took: list[float]) -> int:
    """Ask for one path after the other on one connection, and say how many bytes the last answer had."""
    reader, writer = await asyncio.open_connection(host, port, limit=2**22)
    number, size = first, 0
    while time.perf_counter() < end:
        began = time.perf_counter()
        writer.write(f"GET {paths[number % len(paths)]} HTTP/1.1\r\nHost: gate\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(head.decode())
        size = int(head.partition(b"content-length: ")[2].partition(b"\r")[0])
        await reader.readexactly(size)
        took.append(time.perf_counter() - began)
        number += 1
    writer.close()
    return size


def _callers(address: str, callers: int, paths: Sequence[str], seconds: float, told: Any) -> None:
    """Be all callers, in a process of its own; send how long answers took, the bytes of one, and the CPU seconds of this."""
    host, _, port = address.removeprefix("http://").partition(":")
    took: list[float] = []

    async def run() -> list[int]:
        end = time.perf_counter() + seconds
        return await asyncio.gather(
            *(_ask(host, int(port), paths, number, end, took) for number in range(callers))
        )

    sizes = asyncio.run(run())
    told.send((took, max(sizes), time.process_time()))


def _cpu(pid: int) -> float:
    """Tell how many CPU seconds a process took."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class _Pushing(threading.Thread):
    """Pushes a minute a second."""

    def __init__(self, address: str, metrics: int, first: int) -> None:
        super().__init__()
        self.number, self.took = first, list[float]()
        self.over = threading.Event()
        self._address, self._metrics = address, metrics

    def run(self) -> None:
        """Push until it is over."""
        with httpx.Client(base_url=self._address, timeout=60) as client:
            while not self.over.wait(max(0.0, 1 - (self.took[-1] if self.took else 0))):
                began = time.perf_counter()
                client.post(_ONE, json=minute(self.number, self._metrics)).raise_for_status()
                self.took.append(time.perf_counter() - began)
                self.number += 1


def measure(store: str | None, options: argparse.Namespace) -> None:
    """Print a table for one kind of store."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "policies").mkdir()
        Path(folder, "policies", "default.json").write_text(
            json.dumps(policy_of(options.metrics)), encoding="utf-8"
        )
        with (
            GateProcess(folder, store=store) as gate,
            httpx.Client(base_url=gate.address, timeout=60) as client,
        ):
            for number in range(60):
                client.post(_ONE, json=minute(number, options.metrics)).raise_for_status()
            first, trivial = 60, 1.0
            print(
                "| asked | bytes | answers/s | p50 ms | p99 ms | most ms | p99 to /healthz | pushes, and p50 ms of one | CPU s/s of gate, judges, callers | load |"
            )
            print("|---|---|---|---|---|---|---|---|---|---|")
            for name, paths in _ASKED.items():
                pushing = _Pushing(gate.address, options.metrics, first)
                pushing.start()
                before = _cpu(gate.process.pid), sum(map(_cpu, gate.children()))
                hear, tell = multiprocessing.Pipe(duplex=False)
                process = multiprocessing.Process(
                    target=_callers, args=(gate.address, options.callers, paths, options.seconds, tell)
                )
                process.start()
                took, size, own = hear.recv()
                process.join()
                load = os.getloadavg()[0]
                after = _cpu(gate.process.pid), sum(map(_cpu, gate.children()))
                pushing.over.set()
                pushing.join()
                first = pushing.number
                p50, p99 = np.percentile(took, [50, 99])
                trivial = p99 if name == "/healthz" else trivial
                shares = [
                    *((b - a) / options.seconds for a, b in zip(before, after, strict=True)),
                    own / options.seconds,
                ]
                print(
                    f"| {name} | {size:,} | {len(took) / options.seconds:.0f} | {1000 * p50:.0f} | {1000 * p99:.0f} | {1000 * max(took):.0f} | {p99 / trivial:.2f} "
                    f"| {len(pushing.took)}, {1000 * np.median(pushing.took):.0f} | {', '.join(f'{share:.2f}' for share in shares)} | {load:.1f} |",
                    flush=True,
                )
            if gate.end() != 0:
                raise RuntimeError(gate.log.read_text())


@contextlib.contextmanager
def _stores(wanted: str) -> Iterator[Iterator[tuple[str, str | None]]]:
    with contextlib.ExitStack() as stack:

        def each() -> Iterator[tuple[str, str | None]]:
            if wanted != "postgresql":
                yield "SQLite", None
            if wanted != "sqlite":
                yield "PostgreSQL", f"{stack.enter_context(cluster())}/postgres"

        yield each()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--metrics", type=int, default=60)
    parser.add_argument("--callers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--store", choices=["sqlite", "postgresql", "both"], default="both")
    options = parser.parse_args()
    print(
        f"{options.callers} callers, {options.metrics} metrics, a minute of points a second, {os.cpu_count()} cores\n"
    )
    with _stores(options.store) as stores:
        for name, store in stores:
            print(f"{name}:\n", flush=True)
            measure(store, options)
            print()


if __name__ == "__main__":
    main()
