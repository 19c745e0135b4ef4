"""Print what the default policy says of arms that ran at the same time, recorded and with nothing wrong in any.

``python benchmarks/executors.py --corpus FOLDER`` reads `manifest.csv` and `series.csv.gz` (`case_id,arm,replica,i,value`) and judges each pair as it is and with a canary
that is made worse by a factor: minute by minute, by several assumed spreads, and by ranks (`pairing: windows`), which know nothing of the clock.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tables import grid

import canaryjudge as cj

FACTORS = (1.0, 1.25, 1.5)
SETTINGS: dict[str, dict[str, Any]] = {
    "minute by minute": {},
    "assumed_spread: 0 %": {"assumed_spread": 0},
    "assumed_spread: 6 %": {"assumed_spread": "6%"},
    "assumed_spread: 10 %": {"assumed_spread": "10%"},
    "ranks (pairing: windows)": {"pairing": "windows"},
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="where the files are")
    folder = parser.parse_args().corpus
    manifest = pd.read_csv(folder / "manifest.csv").set_index("case_id")
    cases = dict(iter(pd.read_csv(folder / "series.csv.gz").groupby("case_id")))
    rows = []
    for name, settings in SETTINGS.items():
        row = [name]
        for factor in FACTORS:
            seen: Counter[str] = Counter()
            for case, points in cases.items():
                facts = manifest.loc[case]
                metric = cj.Metric(name="m", direction=facts.bad_direction, **settings)
                worse = factor if facts.bad_direction == "increase" else 1 / factor
                value = points.value * np.where(points.arm == "canary", worse, 1.0)
                frame = points.assign(metric="m", value=value, time=facts.interval_s * points.i)
                seen[cj.judge(frame.drop(columns=["case_id", "i"]), cj.Policy(metrics=[metric])).outcome] += 1
            row += [f"{100 * seen[what] / len(cases):.1f}" for what in ("fail", "pass")]
        rows.append(row)
    heads = ["", *(f"x {factor:g}\n{what}" for factor in FACTORS for what in ("fail", "pass"))]
    print(grid(f"{len(cases)} pairs that ran at the same time, per cent", heads, rows))


if __name__ == "__main__":
    main()
