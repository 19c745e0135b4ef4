"""How many requests a shift takes by pairs and between different requests, and what a million pairs cost: ``python benchmarks/pairs.py``."""

from __future__ import annotations

import resource
import time

import numpy as np
import pandas as pd

import canaryjudge as cj

RUNS, POWER = 100, 0.8
CHANGE = 0.05
BETWEEN, WITHIN = 0.6, 0.1


def arms(rng: np.random.Generator, n: int, *, paired: bool) -> dict[str, dict[str, np.ndarray]]:
    """Draw latencies of requests that vary by 60 %, and of answers to the same one that do by 10 %."""
    slow = rng.lognormal(4, BETWEEN, (2, n))
    noise = np.exp(WITHIN * rng.normal(size=(2, n)))
    columns = slow[0] * noise[0], (1 + CHANGE) * slow[0 if paired else 1] * noise[1]
    return {
        arm: {"request": np.arange(n), "value": value}
        for arm, value in zip(("baseline", "canary"), columns, strict=True)
    }


def power(n: int, *, paired: bool) -> float:
    """Tell how often any shift of the level is found at 1 %."""
    rng = np.random.default_rng(n)
    rule = "signed_rank" if paired else "mann_whitney"
    metric = cj.Metric(
        name="ms",
        kind="pairs" if paired else "samples",
        direction="increase",
        tolerance={"relative": 0.0, "absolute": 0.0},
        rules=[rule],
    )
    policy = cj.Policy(metrics=[metric])
    found = [cj.judge({"ms": arms(rng, n, paired=paired)}, policy).outcome for _ in range(RUNS)]
    return found.count("fail") / RUNS


def needed(*, paired: bool) -> int:
    """Give the fewest requests, of steps of a fifth, that find it four times of five."""
    n = 20
    while power(n, paired=paired) < POWER:
        n = int(1.2 * n) + 1
    return n


def main() -> None:
    """Print both."""
    pairs, others = needed(paired=True), needed(paired=False)
    print(
        f"a shift of {CHANGE:.0%} at alpha 1 %, power {POWER:.0%}: {pairs} pairs, {others} requests an arm otherwise"
    )
    n, rng = 1_000_000, np.random.default_rng(1)
    columns, order = arms(rng, n, paired=True), rng.permutation(n)
    canary = {name: column[order] for name, column in columns["canary"].items()}
    frame = pd.concat(
        [
            pd.DataFrame({"metric": "ms", "arm": arm, **own})
            for arm, own in (("baseline", columns["baseline"]), ("canary", canary))
        ]
    )
    policy = cj.Policy(metrics=[cj.Metric(name="ms", kind="pairs", direction="increase")])
    begun = time.perf_counter()
    cj.judge(frame, policy)
    took = time.perf_counter() - begun
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"a million pairs: {took:.2f} s, {most:.0f} MB at most, the frame with them")


if __name__ == "__main__":
    main()
