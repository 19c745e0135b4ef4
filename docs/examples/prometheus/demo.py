"""A release watched by a real Prometheus: python demo.py, or python demo.py --slow 2 --fail 0.1 for one with a fault.

It starts two processes of service.py, versions 1.4 and 1.5, and a Prometheus that scrapes them every second; sends both the same traffic for
a minute; then judges the release with one command, shows it, and ends what it started. It needs the program prometheus, Debian's
package of that name. All of it stays on this machine.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).parent
SECONDS = 60.0
CONNECTIONS = 3
PAUSE = 0.015

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1m}}
scrape_configs:
- job_name: shop
  static_configs:
  - targets: [{targets}]
"""


@contextlib.contextmanager
def process(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """Run a program, and end it at the end."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as started:  # noqa: S603 - our own programs
        try:
            yield started
        finally:
            started.terminate()


@contextlib.contextmanager
def services(options: Sequence[Sequence[str]]) -> Iterator[list[int]]:
    """Run services with these options; their ports."""
    with contextlib.ExitStack() as stack:
        ports = []
        for index, own in enumerate(options):
            command = [sys.executable, str(HERE / "service.py"), "--seed", str(index), *own]
            running = stack.enter_context(process(command))
            ports.append(int(running.stdout.readline() if running.stdout else 0))
        yield ports


@contextlib.contextmanager
def prometheus(program: str, targets: Sequence[int]) -> Iterator[str]:
    """Run a Prometheus that scrapes these ports of this machine; its URL."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "prometheus.yml"
        listed = ", ".join(f"'127.0.0.1:{port}'" for port in targets)
        config.write_text(CONFIG.format(targets=listed), encoding="utf-8")
        port = free_port()
        command = [program, f"--config.file={config}", f"--storage.tsdb.path={folder}/data"]
        with process([*command, f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]) as running:
            wait_until_ready(port, running)
            yield f"http://127.0.0.1:{port}"


def free_port() -> int:
    """Find a port that nobody listens on."""
    import socket  # noqa: PLC0415 - nothing else here needs it

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(port: int, running: subprocess.Popen[str]) -> None:
    """Wait for the server to answer, 20 seconds at most."""
    for _ in range(100):
        if running.poll() is not None:
            raise SystemExit("prometheus ended at once; run it by hand to see why")
        try:
            asking = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            asking.request("GET", "/-/ready")
            if asking.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            asking.close()
        time.sleep(0.2)
    raise SystemExit("prometheus did not become ready within 20 seconds")


@contextlib.contextmanager
def traffic(ports: Sequence[int]) -> Iterator[None]:
    """Send every service the same traffic meanwhile, three minutes at most."""
    over = threading.Event()
    end = time.monotonic() + 180
    users = [
        threading.Thread(target=visit, args=(port, end, over)) for port in ports for _ in range(CONNECTIONS)
    ]
    for user in users:
        user.start()
    try:
        yield
    finally:
        over.set()
        for user in users:
            user.join()


def visit(port: int, end: float, over: threading.Event) -> None:
    """Ask one service again and again, over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    while time.monotonic() < end and not over.wait(PAUSE):
        connection.request("GET", "/")
        connection.getresponse().read()
    connection.close()


def main() -> int:
    """Play the release; the exit code is that of the judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slow", default="1", help="how many times slower the canary answers")
    parser.add_argument("--fail", default="0.01", help="the share of the canary's answers that are errors")
    options = parser.parse_args()
    program = shutil.which("prometheus")
    if program is None:
        raise SystemExit("prometheus is not installed: apt-get install --no-install-recommends prometheus")
    versions = [["--version", "1.4"], ["--version", "1.5", "--slow", options.slow, "--fail", options.fail]]
    policy = os.path.relpath(HERE / "policy.yaml")
    with services(versions) as ports, prometheus(program, ports) as url, traffic(ports):
        print(f"sending traffic for {SECONDS:.0f} s", file=sys.stderr)
        time.sleep(SECONDS)
        command = ["judge", "--policy", policy, "--prometheus", url]
        print(f"$ canaryjudge {' '.join(command)}", flush=True)
        return subprocess.run([sys.executable, "-m", "canaryjudge.cli", *command], check=False).returncode  # noqa: S603 - our own command


if __name__ == "__main__":
    sys.exit(main())
