"""Makes the bundled blue-green release: a week of the old version, the preview of the new one, and two days on which all traffic is switched to it.

    python docs/examples/blue-green/make_blue_green.py

At ten in the morning everything rises anyway. In `good.csv` the new version changes nothing; in `bad.csv` it is 25 % slower; in `storm.csv` the database is slow from the switch on, for this service and for another one that is not touched.
"""

from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
STEP, DAY = 600, 86_400
SWITCH = 1_772_445_600  # 2026-03-02T10:00:00Z
WINDOW = 2 * 3600
HEAD = "metric,arm,time,value,total"


def lines(
    rng: np.random.Generator, times: np.ndarray, arm: str, slower: float = 1.0, *, preview: bool = False
) -> list[str]:
    """Give the points of a version: a cycle of 40 %, 1 % more a day, and hours that differ by 1 %."""
    found = []
    for time in times.tolist():
        since = (time - SWITCH) / DAY
        busy = (1 + 0.4 * np.sin(2 * np.pi * (since + 0.03))) * 1.01**since
        hour = np.random.default_rng(time // 7200).normal(0, 0.01)
        latency = (60 if arm == "payments" else 140) * busy * slower * np.exp(hour + rng.normal(0, 0.04))
        found.append(f"latency_p99,{arm},{time},{latency:.1f},")
        if arm != "payments":
            requests = int(rng.poisson(300 if preview else 30_000 * busy))
            failed = int(rng.binomial(requests, 0.004 * busy))
            found.append(f"errors,{arm},{time},{failed},{requests}")
    return found


def main() -> None:
    """Write the week, the preview and the switches."""
    rng = np.random.default_rng(20260302)
    before, after = np.arange(SWITCH - WINDOW, SWITCH, STEP), np.arange(SWITCH, SWITCH + WINDOW, STEP)
    week = np.arange(SWITCH - WINDOW - 7 * DAY, SWITCH - WINDOW, STEP)
    files = {"history": lines(rng, week, "blue") + lines(rng, week, "payments")}
    files["preview"] = lines(rng, before, "blue") + lines(rng, before, "green", preview=True)
    for name, own, both in (("good", 1.0, 1.0), ("bad", 1.25, 1.0), ("storm", 1.0, 1.3)):
        files[name] = [*lines(rng, before, "blue"), *lines(rng, after, "green", own * both)]
        files[name] += [*lines(rng, before, "payments"), *lines(rng, after, "payments", both)]
    for name, points in files.items():
        (HERE / f"{name}.csv").write_text("\n".join([HEAD, *points]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
