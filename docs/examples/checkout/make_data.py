"""Make the bundled release: a checkout service whose canary times out under load. Seeded, so that it always gives the same files.

Run it from anywhere: python docs/examples/checkout/make_data.py
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

MINUTES = 60
START = datetime(2026, 3, 4, 14, 0, tzinfo=UTC)
SHARES = {"baseline": 0.90, "canary": 0.10}
VERSIONS = {"baseline": "2.9", "canary": "2.10"}


def neighbors(rng: np.random.Generator, rho: float) -> np.ndarray:
    """Give an AR(1) series of unit variance: each minute resembles the one before."""
    noise = rng.normal(size=MINUTES)
    series = np.empty(MINUTES)
    series[0] = noise[0]
    for minute in range(1, MINUTES):
        series[minute] = rho * series[minute - 1] + np.sqrt(1 - rho**2) * noise[minute]
    return series


def main() -> None:
    """Write metrics.csv, and the same as dashboards export it: export.csv, and panel.csv as Grafana writes it, beside this script."""
    rng = np.random.default_rng(20260304)
    load = 9000 * (
        1 + 0.12 * np.sin(np.linspace(0, 2.2, MINUTES)) + 0.04 * neighbors(rng, 0.6)
    )  # requests a minute, both arms
    rows: list[tuple[object, ...]] = []
    exported: list[tuple[object, ...]] = []
    for arm, share in SHARES.items():
        canary = arm == "canary"
        requests = rng.poisson(load * share)
        # the canary's connection pool is too small: more timeouts, and a slower tail
        errors = rng.binomial(requests, 0.0045 if canary else 0.0011)
        p99 = (181 if canary else 138) * np.exp(0.05 * (load / 9000 - 1) + 0.045 * neighbors(rng, 0.5))
        cpu = 41 + 25 * (load / 9000 - 1) + (0.4 if canary else 0.0) + 1.1 * neighbors(rng, 0.7)
        for minute in range(MINUTES):
            time = (START + timedelta(minutes=minute)).isoformat().replace("+00:00", "Z")
            rows += [
                ("errors", arm, time, errors[minute], requests[minute]),
                ("latency_p99", arm, time, f"{p99[minute]:.1f}", ""),
                ("cpu", arm, time, f"{cpu[minute]:.2f}", ""),
                ("requests", arm, time, requests[minute], f"{share:.2f}"),
            ]
            exported.append((time, VERSIONS[arm], f"{p99[minute]:.1f}", errors[minute], requests[minute]))
    write("metrics.csv", [("metric", "arm", "time", "value", "total"), *rows])
    write("export.csv", [("Time", "version", "p99_ms", "error_count", "requests"), *sorted(exported)])
    by_minute = [exported[minute::MINUTES] for minute in range(MINUTES)]
    series = [
        f'{name}{{version="{version}"}}' for name in ("p99", "error_rate") for version in VERSIONS.values()
    ]
    panel = [
        (
            str(arms[0][0])[:19].replace("T", " "),
            *(f"{float(str(p99)):.0f} ms" for _, _, p99, _, _ in arms),
            *(f"{100 * int(str(errors)) / int(str(requests)):.2f}%" for _, _, _, errors, requests in arms),
        )
        for arms in by_minute
    ]
    write("panel.csv", [("Time", *series), *panel])


def write(name: str, rows: list[tuple[object, ...]]) -> None:
    """Write a table beside this script."""
    with (Path(__file__).parent / name).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    main()
