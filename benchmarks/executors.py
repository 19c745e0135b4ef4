"""Print what the default policy says of arms that ran at the same time, recorded and with nothing wrong in any.

``python benchmarks/executors.py --corpus FOLDER`` reads `manifest.csv` and `series.csv.gz` (`case_id,arm,replica,i,value`) and judges each pair as it is and with a canary
that is made worse by a factor: minute by minute, by several assumed spreads, by ranks (`pairing: windows`), which know nothing of the clock, and with a history: the other pairs of the same metric,
of the same job (where it has four or more) or of other runs.
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
    "without history, of jobs with 4 others": {},
    "history: the same job": {},
    "history: other runs": {},
}


BEGIN = 1e6
"""When the pairs ran, in seconds; others ran before."""
FEWEST = 4
"""Past releases without which there is no floor."""


def others(case: str, same: str, manifest: pd.DataFrame) -> list[str]:
    """Name the other pairs of a metric: those of its job, or those of other runs."""
    facts = manifest.loc[case]
    kin = manifest.job == facts.job if same == "job" else manifest.trace != facts.trace
    return list(manifest.index[kin & (manifest.metric == facts.metric) & (manifest.index != case)])


def past(case: str, name: str, manifest: pd.DataFrame, cases: dict[str, pd.DataFrame]) -> pd.DataFrame | None:
    """Give other pairs as past releases, where the row is about that."""
    if not name.startswith("history:"):
        return None
    found = [
        cases[other].assign(metric="m", release=other, time=manifest.loc[other].interval_s * cases[other].i)
        for other in others(case, "job" if name.endswith("job") else "runs", manifest)
    ]
    return pd.concat(found).drop(columns=["case_id", "i", "replica"]) if found else None


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="where the files are")
    folder = parser.parse_args().corpus
    manifest = pd.read_csv(folder / "manifest.csv").set_index("case_id")
    manifest["job"] = manifest.trace.str.split("_").str[0]
    cases = dict(iter(pd.read_csv(folder / "series.csv.gz").groupby("case_id")))
    few = {case: points for case, points in cases.items() if len(others(case, "job", manifest)) >= FEWEST}
    rows = []
    for name, settings in SETTINGS.items():
        asked = few if "job" in name else cases
        pasts = {case: past(case, name, manifest, cases) for case in asked}
        row = [name, str(len(asked))]
        for factor in FACTORS:
            seen: Counter[str] = Counter()
            for case, points in asked.items():
                facts = manifest.loc[case]
                metric = cj.Metric(name="m", direction=facts.bad_direction, **settings)
                worse = factor if facts.bad_direction == "increase" else 1 / factor
                value = points.value * np.where(points.arm == "canary", worse, 1.0)
                frame = points.assign(metric="m", value=value, time=BEGIN + facts.interval_s * points.i)
                verdict = cj.judge(
                    frame.drop(columns=["case_id", "i"]), cj.Policy(metrics=[metric]), history=pasts[case]
                )
                seen[verdict.outcome] += 1
            row += [f"{100 * seen[what] / len(asked):.1f}" for what in ("fail", "pass")]
        rows.append(row)
    heads = ["", "pairs", *(f"x {factor:g}\n{what}" for factor in FACTORS for what in ("fail", "pass"))]
    print(grid("Pairs that ran at the same time, per cent", heads, rows))


if __name__ == "__main__":
    main()
