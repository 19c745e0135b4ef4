"""Print how often the growth test takes healthy series for a leak, and how often it finds one.

``python benchmarks/growth_sizes.py`` takes a minute or two; ``--runs`` sets how many series a row has.
"""

from __future__ import annotations

import argparse

import numpy as np
from rank_sizes import ar1
from tables import grid

from canaryjudge.stats.growth import growth_test, largest_swing, seen_smoothing

LEVELS = (0.05, 0.01, 0.001, 0.0002)
TOLERATED = float(np.log(1.1))
NO_GROWTH = (
    "rho 0",
    "rho .9",
    "random walk",
    "random walk, t with 2 df",
    "steps of rho .5",
    "steps of rho .8",
    "smoothed random walk",
    "smoothed, range told",
    "smoothed rho .9, range told",
    "slow sine",
)


def smoothed(series: np.ndarray, points: int = 5) -> np.ndarray:
    """Give the moving average over some points."""
    sums = np.cumsum(np.pad(series, ((0, 0), (1, 0))), axis=1)
    return (sums[:, points:] - sums[:, :-points]) / points


def no_growth(name: str, rng: np.random.Generator, runs: int, n: int) -> np.ndarray:
    """Give series that lead nowhere."""
    match name:
        case "random walk":
            return np.cumsum(rng.normal(size=(runs, n)), axis=1)
        case "random walk, t with 2 df":
            return np.cumsum(rng.standard_t(2, (runs, n)), axis=1)
        case "steps of rho .5" | "steps of rho .8":
            return np.cumsum(ar1(rng, runs, n, float(name.rsplit(maxsplit=1)[-1])), axis=1)
        case "smoothed random walk" | "smoothed, range told":
            return smoothed(np.cumsum(rng.normal(size=(runs, n + 4)), axis=1))
        case "smoothed rho .9, range told":
            return smoothed(ar1(rng, runs, n + 4, 0.9))
        case "slow sine":
            phase = rng.uniform(0, 2 * np.pi, (runs, 1))
            return np.sin(np.pi * np.arange(n) / n + phase) + 0.05 * rng.normal(size=(runs, n))
        case _:
            return ar1(rng, runs, n, float(name.rsplit(maxsplit=1)[-1]))


def rates(pvalues: np.ndarray) -> list[str]:
    """Give how many per cent of p-values lie at the levels."""
    return [f"{100 * (pvalues <= level).mean():.3g}" for level in LEVELS]


def print_sizes(runs: int) -> None:
    """Print how often no growth is taken for growth; the end level is made to matter nowhere."""
    for n in (10, 15, 30, 60, 240):
        rows = []
        for name in NO_GROWTH:
            series = no_growth(name, np.random.default_rng(1), runs, n)
            series = series - series[:, :1] + 1e-9
            found = growth_test(series, [0.0], smoothing=5 if "told" in name else 1)
            rows.append(
                [
                    name,
                    *rates(found.pvalue_greater[:, 0]),
                    "abstains" if found.abstains else str(found.blocks),
                ]
            )
        print(
            grid(
                f"{n} points that lead nowhere: growth found, per cent",
                ["", *(f"{100 * level:g} %" for level in LEVELS), "blocks"],
                rows,
            )
        )


def print_seen(runs: int) -> None:
    """Print the same of the difference of two arms, with blocks as long as both arms seem to be smoothed: as the rule asks."""
    names = (
        "rho .9",
        "random walk",
        "smoothed random walk",
        "smoothed rho .9, range told",
        "steps of rho .5",
        "steps of rho .8",
    )
    for n in (10, 15, 30, 60):
        rows = []
        for name in names:
            rng = np.random.default_rng(3)
            both = [no_growth(name, rng, runs, n) for _ in range(2)]
            change = both[1] - both[0]
            change = change - change[:, :1] + 1e-9
            seen = seen_smoothing(*both)
            pvalues = np.ones(runs)
            silent = 0
            for smoothing in np.unique(seen):
                alike = seen == smoothing
                found = growth_test(change[alike], [0.0], smoothing=int(smoothing))
                pvalues[alike] = found.pvalue_greater[:, 0]
                silent += int(found.abstains * alike.sum())
            rows.append([name.removesuffix(", range told"), *rates(pvalues), f"{100 * silent / runs:.2g}"])
        title = f"{n} points of two arms that lead nowhere, smoothing as seen: growth found, per cent"
        print(grid(title, ["", *(f"{100 * level:g} %" for level in LEVELS), "abstains"], rows))


def arms(name: str, rng: np.random.Generator, runs: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Give the logarithms of both arms; of the baseline, of each replica where it has several."""
    t = np.arange(n)
    noise = 0.01 * ar1(rng, 2 * runs, n, 0.5).reshape(2, runs, n)
    kind, _, detail = name.partition(", ")
    if kind == "saw":  # ten replicas of the baseline and one of the canary, each at its own time
        period = float(detail.split()[1]) * n
        replicas = np.log(0.7 + 0.6 * ((t + rng.uniform(0, period, (11, runs, 1))) % period) / period)
        return replicas[1:] + noise[0], replicas[0] + noise[1]
    if kind == "warm-up":
        start = float(detail.split()[1]) / 100
        return noise[0], noise[1] + np.log(1 - (1 - start) * np.exp(-t / (n / 3)))
    if kind == "both warm up":
        curve = np.log(1 - 0.5 * np.exp(-t / (n / 3)))
        return noise[0] + curve, noise[1] + curve
    if kind == "leak in steps":
        return noise[0], noise[1] + np.log1p(0.45 * np.floor(t / max(1, n / 12)) / 12)
    grown, spread, rho = (float(part.split()[1]) for part in detail.split(", "))
    own = spread / 100 * ar1(rng, runs, n, rho)
    return 0 * own + 0.003 * rng.normal(size=(runs, n)), np.log1p(grown / 100 * t / (n - 1)) + own


def print_arms(runs: int) -> None:
    """Print what is found in arms that move, with the baseline's own largest swing."""
    names = [
        "saw, period 1.2 windows",
        "saw, period 3 windows",
        "warm-up, from 50 %",
        "warm-up, from 70 %",
        "both warm up, from 50 %",
        "leak in steps",
        *(
            f"leak, of 42 %, noise {spread} %, rho {rho}"
            for spread, rho in ((1, 0), (2, 0), (3, 0), (5, 0), (1.41, 0.8), (3, 0.8))
        ),
        "leak, of 20 %, noise 1 %, rho 0",
        "leak, of 100 %, noise 10 %, rho 0",
    ]
    for n in (15, 60):
        rows = []
        for name in names:
            baseline, canary = arms(name, np.random.default_rng(2), runs, n)
            replicas = baseline if baseline.ndim == 3 else baseline[None]
            changes, usual = canary - replicas.mean(axis=0), largest_swing(replicas).max(axis=0)
            plain = growth_test(changes, [TOLERATED]).pvalue_greater[:, 0]
            found = growth_test(changes, [TOLERATED], usual=usual).pvalue_greater[:, 0]
            rows.append([name, *rates(plain), *rates(found)])
        heads = [
            "",
            *(f"{side} {100 * level:g} %" for side in ("alone\n", "beyond swing\n") for level in LEVELS),
        ]
        print(grid(f"{n} points: growth beyond 10 % found, per cent", heads, rows))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000, help="series a row")
    runs = parser.parse_args().runs
    print_sizes(runs)
    print_seen(runs)
    print_arms(runs // 4)


if __name__ == "__main__":
    main()
