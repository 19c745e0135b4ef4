"""A small web service that measures itself: python service.py --version 1.5 --slow 2 --fail 0.1.

It answers / after some milliseconds, a few of its answers are errors, and /metrics tells Prometheus of both. The port is printed.
"""

from __future__ import annotations

import argparse
import random
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EDGES = (0.002, 0.004, 0.006, 0.008, 0.01, 0.013, 0.016, 0.02, 0.03, 0.05, 0.1, 0.25, 1.0)


class Service(ThreadingHTTPServer):
    """Works, and counts what it did."""

    daemon_threads = True

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(("127.0.0.1", options.port), Handler)
        self.options = options
        self.chance = random.Random(options.seed)  # noqa: S311 - no secrets are drawn
        self.lock = threading.Lock()
        self.codes: Counter[int] = Counter()
        self.seconds: list[float] = []

    def work(self) -> int:
        """Take a request's time, and give its status."""
        begin = time.perf_counter()
        with self.lock:
            pause = 0.006 * self.chance.lognormvariate(0, 0.35) * self.options.slow
            code = 500 if self.chance.random() < self.options.fail else 200
        time.sleep(pause)
        with self.lock:
            self.codes[code] += 1
            self.seconds.append(time.perf_counter() - begin)
        return code

    def metrics(self) -> str:
        """Write what Prometheus scrapes: counters, a histogram, and the process's CPU time."""
        label = f'version="{self.options.version}"'
        with self.lock:
            codes, seconds = dict(self.codes), list(self.seconds)
        lines = ["# TYPE http_requests_total counter"]
        lines += [f'http_requests_total{{{label},code="{code}"}} {codes[code]}' for code in sorted(codes)]
        lines.append("# TYPE http_request_duration_seconds histogram")
        name = "http_request_duration_seconds"
        for edge in EDGES:
            lines.append(f'{name}_bucket{{{label},le="{edge}"}} {sum(each <= edge for each in seconds)}')
        lines.append(f'{name}_bucket{{{label},le="+Inf"}} {len(seconds)}')
        lines.append(f"{name}_sum{{{label}}} {sum(seconds)}")
        lines.append(f"{name}_count{{{label}}} {len(seconds)}")
        lines.append("# TYPE process_cpu_seconds_total counter")
        lines.append(f"process_cpu_seconds_total{{{label}}} {time.process_time()}")
        return "\n".join(lines) + "\n"


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    server: Service
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Work, or tell of it."""
        code, body = (
            (200, self.server.metrics()) if self.path == "/metrics" else (self.server.work(), "done\n")
        )
        content = body.encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--version", default="1.4", help="the label version of every metric")
    parser.add_argument("--slow", type=float, default=1.0, help="how many times slower it answers")
    parser.add_argument("--fail", type=float, default=0.01, help="the share of answers that are errors")
    parser.add_argument("--seed", type=int, default=1)
    service = Service(parser.parse_args())
    print(service.server_port, flush=True)
    service.serve_forever()


if __name__ == "__main__":
    main()
