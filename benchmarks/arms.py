"""What judging several canaries together costs, and what Holm's procedure loses to one that knows how arms with one baseline are correlated.

    PYTHONPATH=tests python benchmarks/arms.py [--runs N] [--seed N]

Arms of `tests/ringed.py`: an hour, a point a minute, alpha 1 %, beta 5 %, one metric; N runs (default 300) a row by `judge` itself. The second table is normal theory with known variances, equal groups (a correlation
of one half) and so large a change that equal parts of alpha find it in three of four runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import ringed
from scipy.special import ndtri
from tables import grid

import canaryjudge as cj
from canaryjudge.stats.many_to_one import dunnett_critical

_ALPHA = 0.01
_WORLDS = {"gauges": ringed.gauges, "events": ringed.events}
_SIZES = {"gauges": (1.0, 1.2, 1.6), "events": (1.0, 1.3, 1.6)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Several canaries under one alpha.")
    parser.add_argument("--runs", type=int, default=300, metavar="N", help="runs a row (default: 300)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the simulation (default: 1)")
    options = parser.parse_args(arguments)
    _one_bad(options.runs, options.seed)
    _theory(20_000, options.seed)
    return 0


def _one_bad(runs: int, seed: int) -> None:
    rows = []
    for kind, world in _WORLDS.items():
        policy = cj.Policy(metrics=[ringed.METRICS[kind]])
        for change in _SIZES[kind]:
            rng, found = np.random.default_rng(seed), []
            for values in world(rng, runs, np.array([1.0, 1.0, change, 1.0])):
                data = ringed.data_of(kind, values)
                arms = list(next(iter(data.values())))[1:]
                told = cj.judge(data, policy, baseline="stable", canary=arms)
                alone = [cj.judge(data, policy, baseline="stable", canary=arm).outcome for arm in arms]
                others = [arm for arm in arms if arm != "ring-3"]
                found.append(
                    (
                        told["ring-3"].outcome == "fail",
                        alone[2] == "fail",
                        told.worst == "ring-3",
                        any(told[arm].outcome == "fail" for arm in others),
                        np.mean([told[arm].outcome == "pass" for arm in others]),
                        np.mean([alone[arms.index(arm)] == "pass" for arm in others]),
                    )
                )
            shares = np.mean(np.array(found, dtype=float), axis=0)
            rows.append([kind, f"{100 * (change - 1):+.0f} %", *(f"{100 * share:.1f}" for share in shares)])
    print(
        grid(
            "One of four arms is worse, in %",
            [
                "kind",
                "change",
                "it fails",
                "alone",
                "named worst",
                "another fails",
                "others pass",
                "those alone",
            ],
            rows,
        )
    )


def _theory(runs: int, seed: int) -> None:
    rows = []
    for arms in (3, 8, 20):
        for bad in (1, max(2, arms // 2)):
            rng = np.random.default_rng(seed)
            size = ndtri(0.75) - ndtri(_ALPHA / arms)
            effects = size * (np.arange(arms) < bad)
            half = np.sqrt(0.5)
            noise = half * rng.normal(size=(runs, arms)) - half * rng.normal(size=(runs, 1))
            t = effects + noise
            left = np.arange(arms, 0, -1)
            equal = np.full(arms, -ndtri(_ALPHA / arms))
            holm = -ndtri(_ALPHA / left)
            dunnett = np.array([dunnett_critical(_ALPHA, np.full(k, half), np.inf) for k in left])
            power = [np.mean(_stepped(t, limits)[:, :bad]) for limits in (equal, holm, dunnett)]
            rows.append([f"{arms}", f"{bad}", *(f"{100 * share:.1f}" for share in power)])
    print(grid("Bad arms that fail, in %", ["arms", "of them bad", "alpha / K", "Holm", "Dunnett"], rows))


def _stepped(t: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Tell which are beyond their limits, from the largest down to the first that is not."""
    order = np.argsort(-t, axis=1)
    beyond = np.logical_and.accumulate(np.take_along_axis(t, order, axis=1) > limits, axis=1)
    found = np.empty_like(beyond)
    np.put_along_axis(found, order, beyond, axis=1)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
