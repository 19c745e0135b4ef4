"""Print the sizes and the power of the rank test on simulated series, beside the plain Mann-Whitney test.

``python benchmarks/rank_sizes.py`` prints the table of docs/statistics.md (20,000 pairs a row, about a minute);
``python benchmarks/rank_sizes.py --family`` adds 20,000 releases of twenty healthy metrics (several minutes).
"""

from __future__ import annotations

import argparse

import numpy as np

from canaryjudge.stats.rank_test import shift_test

PAIRS = 20_000
LEVELS = (0.05, 0.01, 0.0005)
ROWS = [
    (60, 60, 0.0),
    (60, 60, 0.5),
    (60, 60, 0.9),
    (30, 30, 0.0),
    (30, 30, 0.5),
    (30, 30, 0.9),
    (60, 15, 0.0),
    (60, 15, 0.5),
    (240, 240, 0.5),
    (240, 240, 0.9),
]


def ar1(rng: np.random.Generator, runs: int, n: int, rho: float) -> np.ndarray:
    """Give stationary AR(1) series of unit variance, one a row."""
    noise = rng.normal(size=(runs, n))
    series = np.empty_like(noise)
    series[:, 0] = noise[:, 0]
    for t in range(1, n):
        series[:, t] = rho * series[:, t - 1] + np.sqrt(1 - rho**2) * noise[:, t]
    return series


def print_sizes() -> None:
    """Print false-fail rates at the edge of the tolerance and power at one standard deviation beyond it."""
    print(
        "| baseline / canary points | rho | size at 5 % | 1 % | .05 % | power at +1 sd, 1 % | plain Mann-Whitney, size at 1 % |"
    )
    print("|---|---|---|---|---|---|---|")
    for n, m, rho in ROWS:
        rng = np.random.default_rng(1)
        runs = PAIRS if n < 200 else PAIRS // 5
        baseline, canary = ar1(rng, runs, n, rho), ar1(rng, runs, m, rho)
        robust = shift_test(baseline, canary, [0.0, -1.0])
        plain = shift_test(baseline, canary, [0.0], method="asymptotic") if n < 200 else None
        sizes = " | ".join(f"{100 * (robust.pvalue_greater[:, 0] <= level).mean():.3g} %" for level in LEVELS)
        power = f"{100 * (robust.pvalue_greater[:, 1] <= 0.01).mean():.0f} %"
        textbook = f"{100 * (plain.pvalue_greater[:, 0] <= 0.01).mean():.3g} %" if plain is not None else ""
        print(f"| {n} / {m} | {rho:g} | {sizes} | {power} | {textbook} |")


def print_family(releases: int = 20_000, metrics: int = 20, n: int = 60, alpha: float = 0.01) -> None:
    """Print how many releases of healthy metrics fail by any metric at its share of alpha."""
    print(f"\n{releases:,} releases of {metrics} healthy metrics of {n} points, alpha {alpha:.0%}:")
    for rho in (0.0, 0.5, 0.9):
        rng = np.random.default_rng(42)
        failed = abstained = 0
        for start in range(0, releases, 250):
            some = min(250, releases - start)
            test = shift_test(
                ar1(rng, some * metrics, n, rho),
                ar1(rng, some * metrics, n, rho),
                [0.0],
                levels=[alpha / metrics],
            )
            abstains = test.abstains[:, 0, 0]
            fails = (test.pvalue_greater[:, 0] <= alpha / metrics) & ~abstains
            failed += int(fails.reshape(some, metrics).any(axis=1).sum())
            abstained += int(abstains.sum())
        print(
            f"rho {rho:g}: {100 * failed / releases:.2f} % fail, {100 * abstained / releases / metrics:.1f} % of the tests abstain"
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", action="store_true", help="add the family-wise rates")
    options = parser.parse_args()
    print_sizes()
    if options.family:
        print_family()


if __name__ == "__main__":
    main()
