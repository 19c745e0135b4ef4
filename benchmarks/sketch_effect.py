"""Print what a sketch does to quantiles and to the p-values of the rank test, beside the raw values.

``python benchmarks/sketch_effect.py`` prints the tables of docs/sketch.md for simulated latencies (about half a minute);
``--corpus FOLDER`` adds recorded ones, from the folder with `rawlat_manifest.csv`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from corpus import load_cases
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

import canaryjudge as cj
from canaryjudge.data.sketches import LogBuckets

ERRORS = (0.01, 0.02, 0.05)
QUANTILES = (0.5, 0.9, 0.99, 0.999)
PAIRS = 2000
CHANGES = (0.0, 0.05)

FloatArray = NDArray[np.float64]
Pair = tuple[FloatArray, FloatArray]


def lognormal_pairs(change: float, pairs: int, n: int = 1000) -> Iterable[Pair]:
    """Give pairs of simulated latencies, the canary's longer by a change."""
    rng = np.random.default_rng(1)
    for _ in range(pairs):
        yield rng.lognormal(4, 0.6, n), (1 + change) * rng.lognormal(4, 0.6, n)


def quantile_errors(samples: list[FloatArray], error: float) -> FloatArray:
    """Give the relative errors of a sketch's quantiles, a row a sample."""
    found = []
    for values in samples:
        sketch = cj.Sketch(relative_error=error)
        sketch.add(values)
        true = np.quantile(values, QUANTILES, method="lower")
        found.append([sketch.quantile(q) for q in QUANTILES] / true - 1)
    return np.abs(found)


def p_values(pairs: Iterable[Pair], errors: tuple[float, ...]) -> FloatArray:
    """Give the p-values of the rank test, one-sided for longer: of the raw values, and of their buckets for each error."""
    scales = [LogBuckets(error) for error in errors]
    found = []
    for baseline, canary in pairs:
        arms = [(baseline, canary), *((scale.keys(baseline), scale.keys(canary)) for scale in scales)]
        found.append([mannwhitneyu(b, c, alternative="less", method="asymptotic").pvalue for b, c in arms])
    return np.array(found)


def print_quantiles(named: dict[str, list[FloatArray]]) -> None:
    """Print the table of quantiles."""
    heads = " | ".join(f"p{100 * q:g}, mean / largest" for q in QUANTILES)
    print(f"| values | relative error | {heads} |\n|---|---|{'---|' * len(QUANTILES)}")
    for name, samples in named.items():
        for error in ERRORS:
            off = 100 * quantile_errors(samples, error)
            cells = " | ".join(
                f"{mean:.2f} % / {most:.2f} %"
                for mean, most in zip(off.mean(axis=0), off.max(axis=0), strict=True)
            )
            print(f"| {name} | {error:.0%} | {cells} |")


def print_p_values(named: dict[str, Iterable[Pair]]) -> None:
    """Print the table of p-values."""
    print(
        "\n| pairs | relative error | p <= 5 % raw | sketch | p <= 1 % raw | sketch | other verdict at 1 % "
        "| p off by, median | 99 of 100 within |\n|---|---|---|---|---|---|---|---|---|"
    )
    for name, pairs in named.items():
        found = p_values(pairs, ERRORS)
        raw = found[:, 0]
        for error, sketched in zip(ERRORS, found[:, 1:].T, strict=True):
            off = np.abs(sketched - raw)
            rates = " | ".join(
                f"{100 * (raw <= level).mean():.2f} % | {100 * (sketched <= level).mean():.2f} %"
                for level in (0.05, 0.01)
            )
            other = ((raw <= 0.01) != (sketched <= 0.01)).sum()
            print(
                f"| {name} | {error:.0%} | {rates} | {other} of {len(raw):,} | {np.median(off):.1g} | {np.quantile(off, 0.99):.1g} |"
            )


def print_speed() -> None:
    """Print how long a million values take."""
    values = np.random.default_rng(2).lognormal(4, 0.6, 1_000_000)
    when = np.arange(len(values)) * 600 / len(values)
    best = np.inf
    for _ in range(5):
        sketch = cj.Sketch()
        started = time.perf_counter()
        sketch.add(values, time=when)
        best = min(best, time.perf_counter() - started)
    size, rows = len(sketch.to_json()), len(sketch.columns()["buckets"])
    print(f"\na million values over {rows} intervals: {best:.2f} s, {size / 1000:.0f} kB of JSON")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, help="where rawlat_manifest.csv is")
    options = parser.parse_args()
    rng = np.random.default_rng(3)
    samples = {"lognormal, 200 of 10,000": [rng.lognormal(4, 0.6, 10_000) for _ in range(200)]}
    pairs: dict[str, Iterable[Pair]] = {
        f"lognormal, {change:.0%} longer" if change else "lognormal, no change": lognormal_pairs(
            change, PAIRS
        )
        for change in CHANGES
    }
    if options.corpus is not None:
        cases, skipped = load_cases(options.corpus, ("rawlat",))
        for sentence in skipped:
            print(sentence)
        arms = [(case.baseline[:, 0], case.canary[:, 0]) for case in cases]
        if arms:
            samples[f"recorded, {2 * len(arms)} windows"] = [arm for pair in arms for arm in pair]
            pairs["recorded"] = arms
    print_quantiles(samples)
    print_p_values(pairs)
    print_speed()


if __name__ == "__main__":
    main()
