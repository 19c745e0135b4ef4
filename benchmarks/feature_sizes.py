"""Print how often excursions fail healthy pairs of simulated series, without any margin.

``python benchmarks/feature_sizes.py`` prints the table of docs/statistics.md (20,000 pairs a row, about a minute).
"""

from __future__ import annotations

import numpy as np
from rank_sizes import ar1
from scipy.special import ndtr
from scipy.stats import expon, t

from canaryjudge.stats.excursions import excursion_test

PAIRS = 20_000
LEVEL = 0.003
ROWS = [(60, 60, 0.0), (60, 60, 0.5), (60, 60, 0.9), (60, 15, 0.9), (30, 30, 0.5), (30, 30, 0.9)]
SHAPES = {
    "normal": lambda z: z,
    "exponential": lambda z: expon.ppf(ndtr(z)),
    "t, 3 degrees of freedom": lambda z: t.ppf(ndtr(z), 3),
}


def main() -> None:
    """Simulate and print."""
    rng = np.random.default_rng(20260206)
    print(f"| baseline / canary points | rho | {' | '.join(SHAPES)} |")
    print(f"|{'---|' * (2 + len(SHAPES))}")
    for n, m, rho in ROWS:
        cells = []
        for shape in SHAPES.values():
            baseline, canary = (shape(ar1(rng, PAIRS, size, rho)) for size in (n, m))
            pvalue = excursion_test(baseline, canary, [0.0]).pvalue[:, 0]
            cells.append(f"{100 * (pvalue <= LEVEL).mean():.2g} %")
        print(f"| {n} / {m} | {rho:g} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
