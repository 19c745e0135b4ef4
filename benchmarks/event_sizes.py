"""Print how often events that are compared within intervals fail equal arms, and find worse ones: with bursts, ramps and shared loads.

``python benchmarks/event_sizes.py`` takes some minutes; ``--runs`` sets how many releases a row has.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from rank_sizes import ar1
from tables import grid

from canaryjudge.stats.stratified_events import stratified_test

LEVELS = (0.05, 0.01, 0.0016, 0.0002)
RAMP = (0.05, 0.25, 0.5, 0.9)
SCENARIOS = [
    # requests a minute, error rate, share of the canary (None: the ramp), sd and rho of each arm's own bursts, sd of the shared ones
    ("sparse, 2,000 requests, .1 %, 5 %", 2000, 0.001, 0.05, 0.0, 0.0, 0.0),
    (".1 %, 5 %, no bursts", 20_000, 0.001, 0.05, 0.0, 0.0, 0.0),
    (".1 %, 5 %, bursts 15 %, rho .3", 20_000, 0.001, 0.05, 0.15, 0.3, 0.0),
    (".1 %, 5 %, bursts 50 %, rho .3", 20_000, 0.001, 0.05, 0.5, 0.3, 0.0),
    ("1 %, 5 %, bursts 15 %, rho .3", 20_000, 0.01, 0.05, 0.15, 0.3, 0.0),
    ("1 %, 5 %, bursts 30 %, rho .8", 20_000, 0.01, 0.05, 0.3, 0.8, 0.0),
    ("1 %, 5 %, bursts 30 %, shared 70 %", 20_000, 0.01, 0.05, 0.3, 0.0, 0.7),
    ("1 %, 50 %, bursts 30 %, rho .8, shared 70 %", 20_000, 0.01, 0.5, 0.3, 0.8, 0.7),
    ("1 %, ramp, shared 70 %", 20_000, 0.01, None, 0.0, 0.0, 0.7),
    ("1 %, ramp, bursts 30 %, shared 70 %", 20_000, 0.01, None, 0.3, 0.0, 0.7),
    ("1 %, ramp, bursts 30 %, rho .8, shared 70 %", 20_000, 0.01, None, 0.3, 0.8, 0.7),
    ("1 %, ramp, bursts 10 %, rho .8, shared 50 %", 20_000, 0.01, None, 0.1, 0.8, 0.5),
    ("30 %, ramp, bursts 5 %, rho .3, shared 30 %", 2000, 0.3, None, 0.05, 0.3, 0.3),
    ("30 %, 50 %, no bursts", 2000, 0.3, 0.5, 0.0, 0.0, 0.3),
]


def events(
    rng: np.random.Generator, runs: int, n: int, scenario: tuple, ratio: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Give events and requests of the baseline, then of the canary, whose rate is so many times as high."""
    _, requests, rate, share, spread, rho, shared = scenario
    split = np.repeat(RAMP, -(-n // len(RAMP)))[:n] if share is None else np.full(n, share)
    common = np.exp(shared * ar1(rng, runs, n, 0.7))
    found = []
    for part, times in ((1 - split, 1.0), (split, ratio)):
        total = rng.poisson(requests * part, (runs, n))
        own = np.exp(spread * ar1(rng, runs, n, rho) - spread**2 / 2)
        found += [rng.binomial(total, np.minimum(rate * times * common * own, 0.95)), total]
    return tuple(found)


def rates(pvalues: np.ndarray) -> list[str]:
    """Give how many per cent of p-values lie at the levels."""
    return [f"{100 * (pvalues <= level).mean():.3g}" for level in LEVELS]


def table(
    title: str, runs: int, n: int, row: Callable[[np.random.Generator, tuple], list[str]], heads: list[str]
) -> None:
    """Print a row a scenario, in slices that fit into memory."""
    rows = [[scenario[0], *row(np.random.default_rng(1), scenario)] for scenario in SCENARIOS]
    print(grid(f"{title}, {n} minutes, {runs:,} releases a row, per cent", ["", *heads], rows))


def many(runs: int, one: Callable[[int], tuple[np.ndarray, ...]]) -> list[np.ndarray]:
    """Gather results of slices of 1,000 releases."""
    parts = [one(min(1000, runs - start)) for start in range(0, runs, 1000)]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000, help="releases a row")
    runs = parser.parse_args().runs
    sides = [f"{side} {100 * level:g} %" for side in ("fails\n", "passes\n") for level in LEVELS]
    for n in (15, 30, 60):
        for measure in ("ratio", "difference"):

            def equal(
                rng: np.random.Generator, scenario: tuple, measure: str = measure, n: int = n
            ) -> list[str]:
                def one(some: int) -> tuple[np.ndarray, ...]:
                    baseline, totals, canary, requests = events(rng, some, n, scenario, 1.0)
                    limit = 1.0 if measure == "ratio" else 0.0
                    found = stratified_test(
                        baseline, totals, canary, requests, [limit], measure=measure, levels=[]
                    )
                    return found.pvalue_greater[:, 0], found.pvalue_less[:, 0], found.abstains

                greater, less, abstains = many(runs, one)
                return [*rates(greater), *rates(less), f"{100 * abstains.mean():.1f}"]

            table(
                f"Equal arms at a {measure} of {'1' if measure == 'ratio' else '0'}",
                runs,
                n,
                equal,
                [*sides, "abstains"],
            )

        def worse(rng: np.random.Generator, scenario: tuple, n: int = n) -> list[str]:
            def one(some: int) -> tuple[np.ndarray, ...]:
                found = stratified_test(*events(rng, some, n, scenario, 1.5), [1.1], levels=[])
                return (found.pvalue_greater[:, 0], found.estimate)

            pvalues, estimates = many(runs // 5, one)
            return [*rates(pvalues), f"{np.median(estimates):.2f}"]

        table(
            "Half as many errors again, tolerated 10 %: found",
            runs // 5,
            n,
            worse,
            [*(f"{100 * level:g} %" for level in LEVELS), "estimate"],
        )


if __name__ == "__main__":
    main()
