"""Several arms beside one baseline under one load, for guarantees and benchmarks: made as pairs at once, and judged as rows of one batch."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from simulation import ar1

import canaryjudge as cj
from canaryjudge.data import MetricPair
from canaryjudge.data.reading import read_pairs_or_notes
from canaryjudge.judging import judge_releases

MINUTES = 60
TIMES = 60.0 * np.arange(MINUTES)
METRICS = {
    "gauges": {"name": "latency", "unit": "ms", "direction": "increase", "tolerance": "10%", "assumed_spread": 0},
    "events": {"name": "errors", "kind": "ratio", "direction": "increase", "tolerance": "10%", "assumed_spread": 0, "rules": ["proportion"]},
}  # fmt: skip


def gauges(rng: np.random.Generator, runs: int, changes: np.ndarray, rho: float = 0.3) -> np.ndarray:
    """Latencies of a baseline and some arms, each with noise of its own of 5 %, shape (runs, 1 + arms, minutes)."""
    arms = 1 + len(changes)
    load = np.exp(0.2 * ar1(rng, runs, MINUTES, 0.9))[:, None]
    noise = 0.05 * ar1(rng, runs * arms, MINUTES, rho).reshape(runs, arms, MINUTES)
    return 200 * load * np.exp(noise) * np.r_[1.0, changes][:, None]


def events(rng: np.random.Generator, runs: int, changes: np.ndarray, requests: int = 500) -> np.ndarray:
    """Errors of so many requests a minute, of which 2 % fail."""
    return rng.binomial(
        requests, 0.02 * np.r_[1.0, changes][:, None], (runs, 1 + len(changes), MINUTES)
    ).astype(float)


def series(kind: str, values: np.ndarray, requests: int = 500) -> dict[str, Any]:
    """One arm's series as data have it."""
    told: dict[str, Any] = {"time": TIMES, "value": values}
    return told | ({} if kind == "gauges" else {"total": np.full(MINUTES, requests)})


def data_of(kind: str, values: np.ndarray) -> dict[str, Any]:
    """One run's data: the baseline `stable`, and arms by their place."""
    names = ["stable", *(f"ring-{place}" for place in range(1, len(values)))]
    own = {arm: series(kind, each) for arm, each in zip(names, values, strict=True)}
    return {METRICS[kind]["name"]: own}


def pairs_of(kind: str, values: np.ndarray) -> Iterator[dict[str, MetricPair]]:
    """Each arm of each run beside its baseline, in this order."""
    name = METRICS[kind]["name"]
    policy = cj.Policy(metrics=[METRICS[kind]])
    made = {arm: series(kind, each) for arm, each in zip(("baseline", "canary"), values[0], strict=False)}
    like = read_pairs_or_notes({name: made}, policy, baseline="baseline", canary="canary")[name]
    for run in values:
        baseline = replace(like.baseline, value=run[0])
        for arm in run[1:]:
            yield {name: replace(like, baseline=baseline, canary=replace(like.canary, value=arm))}


def failed(kind: str, values: np.ndarray, alpha: float) -> np.ndarray:
    """Which arms of which runs fail at a level, shape (runs, arms)."""
    policy = cj.Policy(metrics=[METRICS[kind]], alpha=alpha)
    pairs = list(pairs_of(kind, values))
    found = judge_releases(pairs, policy, [("baseline", "canary")] * len(pairs))
    return np.array([release.outcome == "fail" for release, _ in found]).reshape(len(values), -1)
