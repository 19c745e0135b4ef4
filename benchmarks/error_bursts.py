"""Print how often bursts of errors fail a release, by its level alone and by the default rules, and how often a healthy service that bursts does.

``python benchmarks/error_bursts.py`` prints the table of docs/statistics.md (sixty minutes of 2,000 requests an arm, 400 releases a row, a quarter of a minute).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tables import grid

import canaryjudge as cj

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from simulation import failed

FloatArray = NDArray[np.float64]

_RUNS, _MINUTES, _REQUESTS, _USUAL = 400, 60, 2000, 0.001
_BURSTS = [(1, 0.05), (3, 0.05), (5, 0.02), (10, 0.02), (30, 0.005)]
"""Minutes in a row of the canary, and their share of errors."""
_HEALTHY = [(30, 0.01), (120, 0.05)]
"""Both arms have a minute with that share once in so many minutes, at random."""


def _policy(rules: tuple[cj.Proportion, ...] | None) -> cj.Policy:
    return cj.Policy(metrics=[cj.Metric(name="errors", kind="ratio", direction="increase", rules=rules)])


def _failed(shares: list[tuple[FloatArray, FloatArray]], rng: np.random.Generator) -> list[str]:
    total = np.full(_MINUTES, float(_REQUESTS))
    releases = [
        {
            "errors": {
                arm: {"value": rng.binomial(_REQUESTS, share).astype(float), "total": total}
                for arm, share in zip(("baseline", "canary"), arms, strict=True)
            }
        }
        for arms in shares
    ]
    return [
        f"{100 * failed(releases, _policy(rules)) / len(releases):.1f} %"
        for rules in ((cj.Proportion(),), None)
    ]


def main() -> None:
    """Simulate and print."""
    rng = np.random.default_rng(1)
    usual = np.full(_MINUTES, _USUAL)
    rows = [["nothing", *_failed([(usual, usual)] * _RUNS, rng)]]
    for minutes, share in _BURSTS:
        faulty = usual.copy()
        faulty[20 : 20 + minutes] = share
        rows.append([f"{minutes} minutes of {share:.1%}", *_failed([(usual, faulty)] * _RUNS, rng)])
    for rarity, share in _HEALTHY:
        worlds = [
            tuple(np.where(rng.random(_MINUTES) < 1 / rarity, share, _USUAL) for _ in range(2))
            for _ in range(_RUNS)
        ]
        rows.append([f"healthy: {share:.0%} once in {rarity} minutes, both arms", *_failed(worlds, rng)])
    title = f"Releases that fail at alpha 1 %: {_MINUTES} minutes of {_REQUESTS:,} requests an arm, usually {_USUAL:.1%} errors"
    print(grid(title, ["canary", "proportion alone", "default rules"], rows))


if __name__ == "__main__":
    main()
