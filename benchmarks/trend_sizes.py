"""How often noise is called a trend, how often leaks and warm-ups are told, and how often the interval of a crossing holds it.

    PYTHONPATH=tests python benchmarks/trend_sizes.py [--runs N] [--seed N]

N series a cell (default 4,000) of n blocks of m points. Growth is in units of what white noise of the points would have in the mean of all of them (sd / root of n m).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from simulation import ar1
from tables import grid

from canaryjudge.stats.effect_trend import Curve, crossing_time, trend_test

_LEVEL = 0.01
_SIZES = ((8, 1), (12, 1), (18, 1), (24, 1), (12, 4), (18, 4), (24, 4))
_RHOS = (0.0, 0.5, 0.9, 1.0)


def noise(rng: np.random.Generator, runs: int, blocks: int, points: int, rho: float) -> np.ndarray:
    """Give block means of AR(1) noise of unit sd, or of a random walk."""
    if rho == 1:
        series = np.cumsum(rng.normal(size=(runs, blocks * points)), axis=1)
    else:
        series = ar1(rng, runs, blocks * points, rho)
    return np.asarray(series.reshape(runs, blocks, points).mean(axis=2))


def told(series: np.ndarray) -> tuple[float, float]:
    """Give how often series are called growing and fading."""
    times = np.arange(series.shape[1])
    found = [trend_test(times, one) for one in series]
    return (
        float(np.mean([each.pvalue_grows <= _LEVEL for each in found])),
        float(np.mean([each.pvalue_fades <= _LEVEL for each in found])),
    )


def shape_of(name: str, blocks: int) -> np.ndarray:
    """Give what happens, from 0 to 1."""
    u = (np.arange(blocks) + 0.5) / blocks
    shapes = {
        "leak": u,
        "leak that begins half way": np.maximum(u - 0.5, 0) * 2,
        "warm-up over a third": np.exp(-3 * u),
        "warm-up over a tenth": np.exp(-10 * u),
    }
    return shapes[name]


def crossings(
    rng: np.random.Generator, runs: int, blocks: int, points: int, rho: float, curve: Curve
) -> tuple[float, float]:
    """Give in what part of the trends that are told the interval (90 %) holds the time, and in what part they are told."""
    times, limit, size = np.arange(blocks), 0.1, 40 / np.sqrt(blocks * points)
    u, held, count = (times + 0.5) / blocks, 0, 0
    scale = 0.1 if curve == "line" else 0.25
    effect, true = (scale * u, 1.0) if curve == "line" else (scale * np.exp(-4 * u), np.log(2.5) / 4)
    for one in effect + noise(rng, runs, blocks, points, rho) * scale / size:
        test = trend_test(times, one)
        if (test.pvalue_grows if curve == "line" else test.pvalue_fades) > _LEVEL:
            continue
        found = crossing_time(times, one, limit, curve=curve)
        count += 1
        held += found.low <= true * blocks - 0.5 <= found.high
    return held / max(count, 1), count / runs


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Trends of effects: error rates and what is told.")
    parser.add_argument("--runs", type=int, default=4000, metavar="N", help="series a cell (default: 4,000)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the simulation (default: 1)")
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(options.seed)
    names = ["rho 0", "rho .5", "rho .9", "random walk"]
    rows = []
    for blocks, points in _SIZES:
        rates = [told(noise(rng, options.runs, blocks, points, rho)) for rho in _RHOS]
        rows.append([f"{blocks} blocks of {points}", *(f"{100 * g:.1f} / {100 * f:.1f}" for g, f in rates)])
    print(grid("Noise that is called growing / fading, in %", ["", *names], rows), end="\n\n")
    rows = []
    for name, size in (
        ("leak", 30),
        ("leak that begins half way", 30),
        ("warm-up over a third", 40),
        ("warm-up over a tenth", 80),
    ):
        cells = []
        for rho in (0.0, 0.5):
            effect = shape_of(name, 24) * size / np.sqrt(24 * 4)
            rates = told(effect + noise(rng, options.runs // 4, 24, 4, rho))
            cells.append(f"{100 * max(rates):.0f}")
        rows.append([f"{name}, {size}", *cells])
    print(grid("Trends that are told, in % (24 blocks of 4)", ["", "rho 0", "rho .5"], rows), end="\n\n")
    rows = []
    for curve in ("line", "decay"):
        for blocks, points in ((12, 1), (24, 1), (18, 4)):
            cells = [crossings(rng, options.runs // 4, blocks, points, rho, curve) for rho in (0.0, 0.5, 0.9)]
            rows.append(
                [
                    f"{curve}, {blocks} blocks of {points}",
                    *(f"{100 * held:.0f} ({100 * part:.0f})" for held, part in cells),
                ]
            )
    print(
        grid(
            "Intervals of 90 % that hold the crossing, in % (of those told, in %)",
            ["", "rho 0", "rho .5", "rho .9"],
            rows,
        )
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
