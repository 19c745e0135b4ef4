"""How often a change right at the tolerance is misjudged where replicas of one version differ.

``python benchmarks/replica_sizes.py`` prints a line a case: false fails and false passes at a nominal 5 %, of 4,000 simulated pairs of 60 points a
replica; half of what varies in time the replicas of an arm share.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from replicated import SHAPES, SPREADS, simulate

RUNS = 4000


def main() -> None:
    """Print the table."""
    print("| baseline v. canary replicas | they differ by | rho | failed | passed |\n|---|---|---|---|---|")
    for (many, few, spread, rho), fails, passes in simulate(RUNS, SHAPES, SPREADS, (0.0, 0.5)):
        print(
            f"| {many} v. {few} | {spread:.0%} | {rho} | {100 * fails / RUNS:.1f} % | {100 * passes / RUNS:.1f} % |"
        )


if __name__ == "__main__":
    main()
