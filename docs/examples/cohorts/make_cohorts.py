"""Makes the bundled cohorts: two releases, an hour of two regions and three kinds of device.

    python docs/examples/cohorts/make_cohorts.py

In both the canary has more of eu-west, where more requests fail. In `mix.csv` it is no worse in any segment; in `android.csv` it is in eu-west on Android.
"""

from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
MINUTES = 60
START = 1_772_442_000  # 2026-03-02T09:00:00Z
RATES = {"eu-west": 0.043, "us-east": 0.01}
LATENCIES = {"Android": 210, "iOS": 180, "web": 120}
DEVICES = {"Android": 0.4, "iOS": 0.35, "web": 0.25}
MIXES = {"baseline": {"eu-west": 0.3, "us-east": 0.7}, "canary": {"eu-west": 0.63, "us-east": 0.37}}


def main() -> None:
    """Write both releases."""
    rng = np.random.default_rng(20260302)
    for name, bad in (("mix", 1.0), ("android", 1.6)):
        lines = ["metric,region,device,arm,time,value,total"]
        for minute in range(MINUTES):
            time, busy = START + 60 * minute, 1 + 0.2 * np.sin(minute / 9)
            for arm, traffic in (("baseline", 9000), ("canary", 3000)):
                for region, rate in RATES.items():
                    for device, share in DEVICES.items():
                        worse = bad if (arm, region, device) == ("canary", "eu-west", "Android") else 1.0
                        requests = int(rng.poisson(traffic * busy * MIXES[arm][region] * share))
                        failed = int(rng.binomial(requests, rate * worse))
                        latency = LATENCIES[device] * (0.8 + 0.2 * busy) * worse * np.exp(rng.normal(0, 0.06))
                        cells = f"{region},{device},{arm},{time}"
                        lines.append(f"errors,{cells},{failed},{requests}")
                        lines.append(f"latency_p99,{cells},{latency:.0f},")
        (HERE / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
