"""How staged rollouts keep their promises, and what a step of one costs.

    PYTHONPATH=tests python benchmarks/rollouts.py [--runs N] [--seed N]

Four stages (1, 5, 25 and 50 % of the traffic) of twelve points, five required gauges, `pass_within` 20 %, alpha 1 %, beta 5 %. N rollouts (default 20,000) by the vectorised engine of
`tests/staged.py`, which decides as the package does (tests/guarantees/test_rollout_guarantees.py); errors at 1 % of the traffic by the package itself. Times and sizes are of the package.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import staged
from scipy.special import logsumexp
from simulation import ar1
from tables import grid

import canaryjudge as cj

_BATCH = 1000
_WORLDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("healthy, noise 5 %, rho 0", {"rho": 0.0}),
    ("healthy, noise 5 %, rho .5", {"rho": 0.5}),
    ("healthy, noise 2 %, rho .5", {"rho": 0.5, "noise": 0.02}),
    ("healthy, noise 20 %, rho .5", {"rho": 0.5, "noise": 0.2}),
    ("+50 % from the start, noise 5 %, rho .5", {"rho": 0.5, "fault": 0}),
    ("+50 % from the start, noise 20 %, rho .5", {"rho": 0.5, "noise": 0.2, "fault": 0}),
    ("+50 % from stage three on, noise 5 %, rho 0", {"rho": 0.0, "fault": 2}),
    ("+50 % from stage three on, noise 5 %, rho .5", {"rho": 0.5, "fault": 2}),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description="Staged rollouts: what becomes of them, and what a step costs."
    )
    parser.add_argument(
        "--runs", type=int, default=20_000, metavar="N", help="rollouts a row (default: 20,000)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the simulation (default: 1)")
    options = parser.parse_args(arguments)
    _worlds(options.runs, options.seed)
    _bounds(options.runs, options.seed)
    _best(min(options.runs, 20_000), options.seed)
    _errors(max(options.runs // 100, 10), options.seed)
    _costs()
    return 0


def _worlds(runs: int, seed: int) -> None:
    rows = []
    for name, world in _WORLDS:
        rng = np.random.default_rng(seed)
        parts = [staged.play(rng, min(_BATCH, runs - start), **world) for start in range(0, runs, _BATCH)]
        became, _, stage, by_deadline = (np.concatenate(column) for column in zip(*parts, strict=True))
        back = became == "rollback"
        shares = (
            back.mean(),
            (back & (stage <= 1)).mean(),
            (became == "complete").mean(),
            by_deadline.mean(),
        )
        rows.append([name, *(f"{100 * share:.2f}" for share in shares)])
    print(
        grid(
            "What became of rollouts, in %",
            ["world", "rolled back", "by stage two", "complete", "by the deadline"],
            rows,
        ),
        end="\n\n",
    )


def _bounds(runs: int, seed: int) -> None:
    rows = [
        [
            f"noise {100 * noise:g} %, rho {rho:g}",
            *(
                f"{100 * staged.left_with_harm(runs, seed, stage, rho, noise) / runs:.2f}"
                for stage in range(4)
            ),
        ]
        for noise in (0.05, 0.2)
        for rho in (0.0, 0.5, 0.7, 0.8, 0.9)
    ]
    shares = [f"{100 * share:g} %" for share in staged.SHARES]
    print(
        grid("Stages left though the harm is all of their bound, in %", ["world", *shares], rows),
        end="\n\n",
    )


def _best(runs: int, seed: int) -> None:
    """Show what any test of the last stage's own minutes could find: the likelihood ratio of no harm to harm of all of the bound at the strongest dependence that is allowed for."""
    n, metrics = staged.MINUTES + 1, 5
    rng, rows = np.random.default_rng(seed), []
    healthy = ar1(rng, runs, n, 0.5) - 0.2 / (0.05 * 2**0.5)
    for strongest in (0.5, 0.7, 0.77, 0.8, 0.9):
        harmed = ar1(rng, runs, n, strongest)
        found = []
        for statistic in (
            lambda series: -series.mean(axis=1) / series.std(axis=1),
            lambda series, at=strongest: (
                _likelihood(series, 0.5, healthy.mean()) - _likelihood(series, at, 0.0)
            ),
        ):
            critical = np.quantile(statistic(harmed), 1 - staged.BETA)
            found.append((statistic(healthy) > critical).mean() ** metrics)
        rows.append([f"rho up to {strongest:g}", *(f"{100 * share:.1f}" for share in found)])
    print(
        grid(
            "Healthy releases (noise 5 %, rho .5) whose last stage excludes harm in all five gauges, in %, where beta holds",
            ["dependence", "mean / sd", "best test"],
            rows,
        ),
        end="\n\n",
    )


def _likelihood(series: np.ndarray, rho: float, mean: float) -> np.ndarray:
    """Give the log likelihood of AR(1) series in units of their standard deviation, whatever that is."""
    n = series.shape[1]
    inverse = np.linalg.inv(rho ** np.abs(np.subtract.outer(np.arange(n), np.arange(n))))
    square, cross = ((series @ inverse) * series).sum(axis=1), mean * (series @ inverse).sum(axis=1)
    scales = np.linspace(0.02, 4.0, 400) / np.sqrt(square / n)[:, None]
    logs = (n - 1) * np.log(scales) - (square[:, None] * scales**2 - 2 * cross[:, None] * scales) / 2
    whole = logsumexp(logs, axis=1) + np.log(scales[:, 0]) - mean**2 * inverse.sum() / 2
    return np.asarray(whole + np.linalg.slogdet(inverse)[1] / 2)


def _errors(runs: int, seed: int) -> None:
    rows = []
    for rate, most in ((0.01, 10), (0.001, 40)):
        minutes = staged.minutes_to_stop(runs, seed, rate, most)
        rows.append(
            [
                f"{100 * rate:g} % errors, five times as many",
                f"{np.median(minutes):g}",
                f"{np.quantile(minutes, 0.9):g}",
            ]
        )
    print(
        grid("Minutes until stopped, at 1 % of 20,000 requests a minute", ["errors", "median", "90 %"], rows),
        end="\n\n",
    )


def _costs() -> None:
    """Time a step of twenty metrics, and weigh the state."""
    rng, rows = np.random.default_rng(1), []
    for kind in ("gauge", "ratio"):
        metric = {"kind": kind, "direction": "increase", "pass_within": "60%", "tolerance": "10%"}
        policy = cj.Policy(
            metrics=[{"name": f"m{number}"} | metric for number in range(20)],
            stages=[cj.Stage(canary=share, max_duration="1h") for share in staged.SHARES],
        )
        rollout, times, sizes = cj.Rollout(policy), [], []
        noise = ar1(rng, 40, 200, 0.0).reshape(20, 2, 200)
        for minute in range(120):
            share = rollout.verdict().share
            data = {
                f"m{number}": {
                    arm: _point(kind, minute, noise[number, place, minute], rng, part)
                    for place, (arm, part) in enumerate((("baseline", 1 - share), ("canary", share)))
                }
                for number in range(20)
            }
            start = time.process_time()
            rollout.update(data)
            rollout.verdict()
            times.append(time.process_time() - start)
            sizes.append(len(rollout.to_json()) / 20)
            if rollout.verdict().action in ("complete", "rollback"):
                break
        rows.append(
            [
                kind,
                f"{1000 * np.median(times):.0f}",
                f"{1000 * np.quantile(times, 0.95):.0f}",
                f"{max(sizes) / 1000:.1f}",
            ]
        )
    print(grid("Twenty metrics", ["kind", "ms a step, median", "95 %", "kB of state a metric"], rows))


def _point(
    kind: str, minute: int, noise: float, rng: np.random.Generator, share: float
) -> dict[str, list[float]]:
    if kind == "gauge":
        return {"time": [60.0 * minute], "value": [100 + 5 * noise]}
    total = round(20_000 * share)
    return {"time": [60.0 * minute], "value": [int(rng.binomial(total, 0.01))], "total": [total]}


if __name__ == "__main__":
    sys.exit(main())
