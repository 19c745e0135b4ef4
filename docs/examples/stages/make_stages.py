"""Makes the bundled releases in stages: what a pipeline would fetch at each share of the traffic.

    python docs/examples/stages/make_stages.py

`good-1.csv`, `good-10.csv` and `good-50.csv` have nothing new, `bad-1.csv` five times the errors at 1 % of the traffic, and `late-50.csv` a latency that is
40 % higher at half of it.
"""

from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
MINUTES = 90
START = 1_772_442_000  # 2026-03-02T09:00:00Z


def main() -> None:
    """Write the releases."""
    rng = np.random.default_rng(20260303)
    for name, percent, errors, slower in (
        ("good", 1, 1.0, 1.0),
        ("good", 10, 1.0, 1.0),
        ("good", 50, 1.0, 1.0),
        ("bad", 1, 5.0, 1.0),
        ("late", 50, 1.0, 1.4),
    ):
        share = percent / 100
        lines = ["metric,arm,time,value,total"]
        for minute in range(MINUTES):
            time = START + 60 * minute
            for arm, part, factor, slow in (
                ("baseline", 1 - share, 1.0, 1.0),
                ("canary", share, errors, slower),
            ):
                requests = int(rng.poisson(20_000 * part))
                lines.append(f"errors,{arm},{time},{rng.binomial(requests, 0.004 * factor)},{requests}")
                lines.append(f"latency_p99,{arm},{time},{slow * rng.normal(240, 10):.0f},")
        (HERE / f"{name}-{percent}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
