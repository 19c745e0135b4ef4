"""Make metrics.csv: an hour of three rings of a release, a point a minute, beside the version that they replace.

The ring `beta` is the one that fills its cache over a slow link: its latency is 35 % higher.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
MINUTES, START = 60, 1_760_000_400
REQUESTS = {"stable": 9000, "internal": 900, "beta": 3000, "early": 3000}
SLOW = {"beta": 1.35}


def ring(rng: np.random.Generator, arm: str, load: np.ndarray) -> pd.DataFrame:
    """Give the metrics of one arm under the load that all share."""
    latency = 180 * load * SLOW.get(arm, 1.0) * np.exp(0.06 * rng.normal(size=MINUTES))
    requests = rng.poisson(REQUESTS[arm] * load)
    columns = {
        "latency_p99": (latency.round(1), np.nan),
        "errors": (rng.binomial(requests, 0.004), requests),
    }
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "metric": name,
                    "arm": arm,
                    "time": START + 60 * np.arange(MINUTES),
                    "value": value,
                    "total": total,
                }
            )
            for name, (value, total) in columns.items()
        ]
    )


def rings(rng: np.random.Generator) -> pd.DataFrame:
    """Give all arms."""
    load = 1 + 0.15 * np.sin(np.arange(MINUTES) / 9)
    return pd.concat([ring(rng, arm, load) for arm in REQUESTS])


if __name__ == "__main__":
    rings(np.random.default_rng(11)).to_csv(HERE / "metrics.csv", index=False)
