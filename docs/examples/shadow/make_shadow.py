"""Make the logs of a shadow: 1,200 orders read by the old version, by a second copy of it, and by a new one that reads the new table, and metrics.csv, the pairs that they become.

The new version rounds the totals of orders with a discount, which are 2 % of them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import canaryjudge as cj

HERE = Path(__file__).parent
ORDERS = 1200


def answers(rng: np.random.Generator) -> dict[str, list[dict[str, Any]]]:
    """Give the three logs."""
    cents = rng.integers(500, 20_000, ORDERS)
    discounted = rng.random(ORDERS) < 0.02
    work = rng.lognormal(3, 0.6, ORDERS)
    logs: dict[str, list[dict[str, Any]]] = {}
    for arm, slower in (("old", 1.0), ("old_2", 1.0), ("new", 1.03)):
        late = rng.random(ORDERS) < 0.02
        took = slower * work * np.exp(0.1 * rng.normal(size=ORDERS))
        logs[arm] = [
            {
                "request": f"r{index:04}",
                "ms": round(float(took[index]), 2),
                "answer": {
                    "order": index,
                    "total": round(float(cents[index]), -2) / 100
                    if arm == "new" and discounted[index]
                    else float(cents[index]) / 100,
                    "currency": "EUR",
                    "read_at": f"12:{index // 60:02}:{index % 60 + late[index]:02}",
                },
            }
            for index in rng.permutation(ORDERS).tolist()
        ]
    return logs


def table(logs: dict[str, list[dict[str, Any]]]) -> pd.DataFrame:
    """Give what is judged as one table."""
    compared = cj.compare_answers(logs["old"], logs["new"], logs["old_2"], fields=["$.total", "$.read_at"])
    latency = {
        arm: {"request": [row["request"] for row in logs[log]], "value": [row["ms"] for row in logs[log]]}
        for arm, log in (("baseline", "old"), ("canary", "new"))
    }
    parts = [
        pd.DataFrame({"metric": metric, "arm": arm, **columns})
        for metric, arms in {"latency": latency, **compared}.items()
        for arm, columns in arms.items()
    ]
    return pd.concat(parts)


if __name__ == "__main__":
    made = answers(np.random.default_rng(5))
    for name, log in made.items():
        (HERE / f"{name}.ndjson").write_text("".join(f"{json.dumps(row)}\n" for row in log), encoding="utf-8")
    table(made).to_csv(HERE / "metrics.csv", index=False)
