"""Print what the minute-by-minute test of two arms on one clock promises, and what it finds.

``python benchmarks/paired_sizes.py`` prints the critical values beside simulated ones, the sizes on healthy differences, and the power (some
minutes; ``--runs`` sets how many series a row has).
"""

from __future__ import annotations

import argparse

import numpy as np
from rank_sizes import ar1
from tables import grid

from canaryjudge.stats.paired_shift import mean_tail, paired_test
from canaryjudge.stats.rank_test import shift_test

LEVELS = (0.05, 0.01, 0.0016, 0.0002)
TOLERATED = float(np.log(1.1))
PUBLISHED = {
    (10, 0.5): (1.66, 2.37, 3.28),
    (12, 0.5): (1.45, 2.03, 2.73),
    (15, 0.5): (1.25, 1.71, 2.23),
    (4, 0.9): (11.7, 22.8, 45.8),
    (5, 0.9): (9.1, 15.5, 26.9),
    (6, 0.9): (7.7, 12.3, 19.7),
    (7, 0.9): (6.8, 10.5, 15.8),
    (8, 0.9): (6.2, 9.3, 13.6),
    (9, 0.9): (5.7, 8.4, 12.1),
}
"""|mean| / sd at levels of 1, .16 and .02 %, as simulated before."""
PROCESSES = (
    "rho 0",
    "rho .3",
    "rho .5",
    "rho .7",
    "rho .8",
    "rho .9",
    "rho .95",
    "random walk",
    "smoothed over 5",
    "rho .9 + white",
    "t with 3 df",
    "rho .5, t with 3 df",
    "skewed",
)


def process(name: str, rng: np.random.Generator, runs: int, n: int) -> np.ndarray:
    """Give series whose mean is 0 (from 20 points on the winsorized one), in units of about their standard deviation."""
    match name:
        case "random walk":
            return np.cumsum(rng.normal(size=(runs, n)), axis=1)
        case "smoothed over 5":
            sums = np.cumsum(rng.normal(size=(runs, n + 5)), axis=1)
            return (sums[:, 5:] - sums[:, :-5]) / 5
        case "rho .9 + white":
            return ar1(rng, runs, n, 0.9) + rng.normal(size=(runs, n))
        case "t with 3 df":
            return rng.standard_t(3, (runs, n))
        case "rho .5, t with 3 df":
            noise = rng.standard_t(3, (runs, n + 20))
            for t in range(1, n + 20):
                noise[:, t] += 0.5 * noise[:, t - 1]
            return noise[:, 20:]
        case "skewed":
            return rng.exponential(size=(runs, n)) - (1.0 if n < 20 else 1 - np.exp(-2.833))
        case _:
            return ar1(rng, runs, n, float(name.removeprefix("rho ")))


def rates(pvalues: np.ndarray) -> list[str]:
    """Give how many per cent of p-values lie at the levels."""
    return [f"{100 * (pvalues <= level).mean():.3g}" for level in LEVELS]


def print_critical_values(runs: int) -> None:
    """Print the exact tails at the published critical values, and simulated ones."""
    rows = []
    for (n, rho), values in PUBLISHED.items():
        series = ar1(np.random.default_rng(n), runs, n, rho)
        ratio = np.abs(series.mean(axis=1)) / series.std(axis=1, ddof=1)
        exact = mean_tail(np.array(values) * np.sqrt(n), n, n - 1, rho)
        rows.append(
            [
                f"n = {n}, rho {rho:g}",
                *(
                    f"{value:g}: {100 * tail:.3f} / {50 * (ratio > value).mean():.3f}"
                    for value, tail in zip(values, exact, strict=True)
                ),
            ]
        )
    print(
        grid(
            "Mean over sd: per cent beyond the published critical values, exact / simulated",
            ["", "1 %", ".16 %", ".02 %"],
            rows,
        )
    )


def print_sizes(runs: int) -> None:
    """Print how often healthy differences are taken for a shift."""
    for n in (10, 15, 20, 30, 60, 120, 240):
        rows = []
        for name in PROCESSES:
            noise = 0.05 * process(name, np.random.default_rng(1), runs if n <= 60 else runs // 4, n)
            found = paired_test(np.ones_like(noise), 1.1 * np.exp(noise), [TOLERATED])
            rows.append(
                [
                    name,
                    *rates(found.pvalue_greater[:, 0]),
                    *rates(found.pvalue_less[:, 0]),
                    f"{100 * found.abstains.mean():.1f}",
                ]
            )
        heads = [
            "",
            *(f"{side} {100 * level:g} %" for side in ("fails\n", "passes\n") for level in LEVELS),
            "abstains",
        ]
        print(grid(f"{n} points exactly at the limit, per cent", heads, rows))


def print_gross_sizes(runs: int) -> None:
    """Print how often few points are taken for gross harm where the limit is as small as the noise."""
    rows = []
    for n in (4, 6, 9):
        for name in ("rho 0", "rho .5", "rho .9", "rho .95", "random walk", "t with 3 df"):
            for tolerated in (0.0, 0.02):
                noise = 0.05 * process(name, np.random.default_rng(2), runs, n)
                load = 0.05 * ar1(np.random.default_rng(3), runs, n, 0.5)
                found = paired_test(np.exp(load), np.exp(load + noise + tolerated), [tolerated])
                rows.append([f"{n} points, {name}, limit {tolerated:g}", *rates(found.pvalue_greater[:, 0])])
    print(
        grid(
            "Gross harm found at the limit, per cent", ["", *(f"{100 * level:g} %" for level in LEVELS)], rows
        )
    )


def print_power(runs: int) -> None:
    """Print how often harm is found, by pairs and by ranks."""
    rows = []
    for n, harm, rho, spread in [
        *((n, harm, 0.5, spread) for n in (4, 9) for harm in (2.0, 10.0) for spread in (0.05, 0.1, 0.2)),
        *(
            (n, 1.3, rho, spread)
            for n in (10, 15, 20, 30, 60)
            for rho, spread in ((0.0, 0.07), (0.5, 0.07), (0.8, 0.03))
        ),
        *((n, 1.5, 0.8, 0.0141) for n in (15, 20, 30, 60)),
    ]:
        rng = np.random.default_rng(4)
        load = np.exp(0.3 * ar1(rng, runs, n, 0.9))
        baseline, canary = load, harm * load * np.exp(spread * ar1(rng, runs, n, rho))
        pairs = paired_test(baseline, canary, [TOLERATED]).pvalue_greater[:, 0]
        some = min(runs, 1000)
        ranks = shift_test(
            np.log(baseline[:some]), np.log(canary[:some]), [TOLERATED], concurrent=True, levels=[0.0016]
        ).pvalue_greater[:, 0]
        rows.append(
            [f"{n} points, x {harm:g}, noise {100 * spread:g} %, rho {rho:g}", *rates(pairs), *rates(ranks)]
        )
    heads = ["", *(f"{side} {100 * level:g} %" for side in ("pairs\n", "ranks\n") for level in LEVELS)]
    print(grid("Harm found against a limit of 10 %, with a shared load of 30 %, per cent", heads, rows))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40_000, help="series a row")
    runs = parser.parse_args().runs
    print_critical_values(10 * runs)
    print_sizes(runs)
    print_gross_sizes(runs)
    print_power(runs // 10)


if __name__ == "__main__":
    main()
