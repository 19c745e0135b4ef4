"""Make history.csv: three days of a healthy service, a point every five minutes.

Windows differ though nothing is wrong: the level of the latency wanders by 3 % from three hours to the next, errors come in bursts, and CPU follows the day.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
STEP, DAYS, START = 300, 3, 1_760_000_400


def autoregressive(rng: np.random.Generator, points: int, rho: float) -> np.ndarray:
    """Give a series of unit variance whose neighbors resemble each other."""
    series = rng.normal(size=points)
    for t in range(1, points):
        series[t] = rho * series[t - 1] + np.sqrt(1 - rho**2) * series[t]
    return series


def service(rng: np.random.Generator) -> pd.DataFrame:
    """Give the service's metrics."""
    points = DAYS * 86400 // STEP
    time = START + STEP * np.arange(points)
    day = np.sin(2 * np.pi * time / 86400)
    level = np.repeat(rng.normal(size=points // 36), 36)
    latency = 120 * (1 + 0.03 * level + 0.02 * autoregressive(rng, points, 0.5))
    requests = rng.poisson(9000 * (1 + 0.3 * day))
    errors = rng.binomial(requests, 0.002)
    cpu = 40 + 12 * day + 2 * autoregressive(rng, points, 0.3)
    queue = np.exp(1.5 * autoregressive(rng, points, 0.95))
    columns = {
        "latency_p99": (latency.round(1), np.nan),
        "latency_p95": ((0.8 * latency + rng.normal(0, 0.2, points)).round(1), np.nan),
        "errors": (errors, requests),
        "cpu": (cpu.round(2), np.nan),
        "queue": (queue.round(3), np.nan),
    }
    return pd.concat(
        [
            pd.DataFrame({"metric": name, "time": time, "value": value, "total": total})
            for name, (value, total) in columns.items()
        ]
    )


if __name__ == "__main__":
    service(np.random.default_rng(7)).to_csv(HERE / "history.csv", index=False)
