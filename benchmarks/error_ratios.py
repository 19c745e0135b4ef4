"""What `proportion` says of errors of requests over real request volumes, at alpha 1 and 5 %.

    python benchmarks/error_ratios.py --corpus FOLDER

Each case of `err_*` (.1 % of errors in both arms, .1 to .2 %, .1 to .5 %) is judged through the public API with the default policy, but for alpha.
Exit code 2: the folder is not there, or holds no such cases.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from corpus import load_cases

import canaryjudge as cj


def main() -> int:
    """Print a line a group of cases and level."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    options = parser.parse_args()
    cases, _ = load_cases(options.corpus, ("err",))
    if not cases:
        print(f"{options.corpus}: no cases of errors are there", file=sys.stderr)
        return 2
    print("| errors | alpha | fail | marginal | pass |\n|---|---|---|---|---|")
    for alpha in (0.01, 0.05):
        policy = cj.Policy(
            alpha=alpha, metrics=[cj.Metric(name="errors", kind="ratio", direction="increase")]
        )
        outcomes: dict[str, Counter[str]] = {}
        for case in cases:
            arms = {
                name: {"total": ticks[:, 0], "value": ticks[:, 1]}
                for name, ticks in (("baseline", case.baseline), ("canary", case.canary))
            }
            verdict = cj.judge({"errors": arms}, policy)
            outcomes.setdefault(case.effect, Counter())[verdict.outcome.value] += 1
        for group, counts in sorted(outcomes.items()):
            shares = " | ".join(
                f"{100 * counts[outcome] / counts.total():.1f} %" for outcome in ("fail", "marginal", "pass")
            )
            print(f"| {group} | {alpha:.0%} | {shares} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
