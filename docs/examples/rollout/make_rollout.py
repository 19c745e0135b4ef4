"""Makes the bundled rollout: three releases, minute by minute, as a pipeline would fetch them.

    python docs/examples/rollout/make_rollout.py

`bad.csv` has twice the errors from the start, `good.csv` nothing new, `late.csv` five times the errors from minute 40 on.
"""

from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
MINUTES = 60
START = 1_772_442_000  # 2026-03-02T09:00:00Z


def main() -> None:
    """Write the three releases."""
    rng = np.random.default_rng(20260302)
    for name, errors in (
        ("good", np.ones(MINUTES)),
        ("bad", np.full(MINUTES, 2.0)),
        ("late", np.where(np.arange(MINUTES) < 40, 1.0, 5.0)),
    ):
        lines = ["metric,arm,time,value,total"]
        busy = 1 + 0.3 * np.sin(np.arange(MINUTES) / 12)
        load = 50 + 4 * np.cumsum(rng.normal(0, 0.15, MINUTES))
        for minute in range(MINUTES):
            time = START + 60 * minute
            for arm, share, factor in (("baseline", 0.9, 1.0), ("canary", 0.1, errors[minute])):
                requests = int(rng.poisson(20_000 * share * busy[minute]))
                failed = int(rng.binomial(requests, 0.004 * factor))
                cpu = load[minute] + rng.normal(0, 2)
                lines.append(f"errors,{arm},{time},{failed},{requests}")
                lines.append(f"cpu,{arm},{time},{cpu:.1f},")
        (HERE / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
