"""Make unready.csv: a release whose data have troubles: a canary in another time zone, errors of little traffic, and CPU as a fraction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
POINTS, START = 40, 1_760_000_400


def main() -> None:
    """Write the release."""
    rng = np.random.default_rng(3)
    parts = []
    for arm, ahead in (("baseline", 0), ("canary", 1800)):
        time = START + 120 * np.arange(POINTS)
        total = rng.poisson(40, POINTS)
        parts += [
            pd.DataFrame(
                {
                    "metric": "latency_p99",
                    "arm": arm,
                    "time": time + ahead,
                    "value": rng.normal(120, 5, POINTS).round(1),
                }
            ),
            pd.DataFrame(
                {
                    "metric": "errors",
                    "arm": arm,
                    "time": time,
                    "value": rng.binomial(total, 0.01),
                    "total": total,
                }
            ),
            pd.DataFrame(
                {"metric": "cpu", "arm": arm, "time": time, "value": rng.normal(0.4, 0.02, POINTS).round(3)}
            ),
        ]
    pd.concat(parts).to_csv(HERE / "unready.csv", index=False)


if __name__ == "__main__":
    main()
