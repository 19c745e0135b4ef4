"""What the default rule of ratios finds of `err_*`, at two error rates.

    python benchmarks/error_ratios.py --corpus FOLDER

Errors of requests over real request volumes: 0.1 % in both arms, and 0.1 to 0.2 or 0.5 % in the canary. Each case is judged through
the public API with the default tolerance, at alpha 1 % and 5 %. Exit code 2: the folder holds no such files.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from corpus import Case, load_cases
from tables import grid

import canaryjudge as cj

_ALPHAS = (0.01, 0.05)
_EFFECTS = ("null_0.1pct", "0.1_to_0.2pct", "0.1_to_0.5pct")


def frame_of(cases: list[Case]) -> pd.DataFrame:
    """Give all cases as one table."""
    parts = []
    for case in cases:
        for arm, ticks in (("baseline", case.baseline), ("canary", case.canary)):
            total, value = ticks[np.isfinite(ticks).all(axis=1)].T
            own = {"case": case.case_id, "metric": "errors", "arm": arm, "total": total, "value": value}
            parts.append(pd.DataFrame(own))
    return pd.concat(parts)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, required=True, help="folder of err_manifest.csv")
    cases, _ = load_cases(parser.parse_args().corpus, ("err",))
    if not cases:
        sys.exit(2)
    metric = cj.Metric(name="errors", kind="ratio", direction="increase")
    rows = []
    for effect in _EFFECTS:
        chosen = [case for case in cases if case.effect == effect]
        frame = frame_of(chosen)
        row = [effect, str(len(chosen))]
        for alpha in _ALPHAS:
            policy = cj.Policy(alpha=alpha, metrics=[metric])
            found = Counter(cj.judge_many(frame, policy, by="case").outcomes.values())
            row += [f"{100 * found[what] / len(chosen):.1f} %" for what in ("fail", "marginal", "pass")]
        rows.append(row)
    head = [
        "effect",
        "cases",
        *(f"{what} at {100 * alpha:g} %" for alpha in _ALPHAS for what in ("fail", "marginal", "pass")),
    ]
    print(grid("Errors of requests, percent of cases", head, rows))


if __name__ == "__main__":
    main()
