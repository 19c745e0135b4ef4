"""Print how often whole releases fail, pass and are held: healthy ones, harmed ones, and those that only look as if they were.

``python benchmarks/whole_releases.py`` judges releases of six metrics by the default policy, at 15 and 60 minutes; ``--runs`` sets how many a row has (a hundred take some three minutes),
``--world`` where the script is that makes them up, ``--only`` one world. Without that script it says so.
"""

from __future__ import annotations

import argparse
import collections
import importlib.util
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tables import grid

import canaryjudge as cj

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from simulation import judged

FloatArray = NDArray[np.float64]

_WORLD = Path(__file__).resolve().parents[2] / "shared" / "prototypes" / "release_world.py"
_GAUGES: Final = ("p50", "p99", "cpu", "memory")
_RANGE: Final = 5
POLICY: Final = cj.Policy(
    metrics=[
        cj.Metric(name="errors", kind="ratio", direction="increase"),
        cj.Metric(name="p99", unit="ms", direction="increase"),
        cj.Metric(name="p50", unit="ms", direction="increase"),
        cj.Metric(name="cpu", unit="%", direction="increase"),
        cj.Metric(name="memory", unit="MiB", direction="increase"),
        cj.Metric(name="requests", kind="count", direction="either"),
    ],
    split={"baseline": "95%", "canary": "5%"},
)


def _minutes(frame: pd.DataFrame) -> FloatArray:
    return np.asarray((frame.time - frame.time.min()) / 60, dtype=np.float64)


def _as_it_is(frame: pd.DataFrame, _: int, __: np.random.Generator) -> pd.DataFrame:
    return frame


def _filling(frame: pd.DataFrame, points: int) -> FloatArray:
    return 1 - 0.5 * np.exp(-3 * _minutes(frame) / points)


def _fresh_start(frame: pd.DataFrame, points: int, _: np.random.Generator) -> pd.DataFrame:
    """Let both arms have just started: memory fills from half, latencies and load fall from half as much again."""
    settling = 1 + 0.5 * np.exp(-6 * _minutes(frame) / points)
    new = {name: frame[name] * settling for name in ("p50", "p99", "cpu")}
    return frame.assign(memory=frame.memory * _filling(frame, points), **new)


def _warm_up(frame: pd.DataFrame, points: int, _: np.random.Generator) -> pd.DataFrame:
    """Let the canary alone fill its memory, from half."""
    return frame.assign(memory=frame.memory * np.where(frame.arm == "canary", _filling(frame, points), 1.0))


def _saws(frame: pd.DataFrame, points: int, rng: np.random.Generator) -> pd.DataFrame:
    """Let memory grow from .7 to 1.3 of its level and be collected, each replica at its own time, in 1.2 windows."""
    period = 1.2 * points
    phase = frame.replica.map({name: rng.uniform(0, period) for name in frame.replica.unique()})
    return frame.assign(memory=frame.memory * (0.7 + 0.6 * ((_minutes(frame) + phase) % period) / period))


def _smoothed(frame: pd.DataFrame, _: int, __: np.random.Generator) -> pd.DataFrame:
    """Make every gauge an average over five minutes."""
    average = frame.groupby("replica")[list(_GAUGES)].transform(lambda column: column.rolling(_RANGE).mean())
    return frame.assign(**{name: average[name] for name in _GAUGES}).dropna()


_Change = Callable[[pd.DataFrame, int, np.random.Generator], pd.DataFrame]
WORLDS: Final[dict[str, tuple[str, _Change, int]]] = {
    # the scenario, what becomes of it, and points before the window
    "healthy": ("healthy", _as_it_is, 0),
    "p99 +30 %": ("p99", _as_it_is, 0),
    "errors .1 -> 1 %": ("errors", _as_it_is, 0),
    "leak to +42 %": ("leak", _as_it_is, 0),
    "fresh start of both arms": ("healthy", _fresh_start, 0),
    "canary warms up from half its memory": ("healthy", _warm_up, 0),
    "garbage-collection saws": ("healthy", _saws, 0),
    "averages over five minutes": ("healthy", _smoothed, _RANGE - 1),
}


def made(world: ModuleType, name: str, points: int, seed: int, *, replicas: bool) -> pd.DataFrame:
    """Make up one release."""
    scenario, change, before = WORLDS[name]
    frame = world.release(np.random.default_rng(seed), points=points + before, scenario=scenario)
    return world.tidy(change(frame, points, np.random.default_rng([seed, 1])), replicas)


def counted(world: ModuleType, name: str, points: int, runs: int, *, replicas: bool) -> list[str]:
    """Judge so many releases and count."""
    counts: collections.Counter[str] = collections.Counter()
    releases = (made(world, name, points, seed, replicas=replicas) for seed in range(runs))
    for verdict in judged(releases, POLICY):
        counts[verdict.outcome.value] += 1
        metrics = verdict.metrics.values()
        counts["held"] += any(metric.reason == "ends_beyond_tolerance" for metric in metrics)
        counts["memory"] += verdict.metrics["memory"].outcome is cj.Outcome.FAIL
        counts["grown"] += any(
            finding.rule == "growth" and finding.outcome is cj.Outcome.FAIL
            for metric in metrics
            for finding in metric.findings
        )
    shown = ("pass", "marginal", "fail", "memory", "grown", "held")
    return [f"{100 * counts[each] / runs:.1f}" for each in shown]


def _load(path: Path) -> ModuleType | None:
    if not path.is_file():
        return None
    spec: Any = importlib.util.spec_from_file_location("release_world", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="releases a row")
    parser.add_argument("--world", type=Path, default=_WORLD, help="the script that makes up releases")
    parser.add_argument("--replicas", action="store_true", help="tell replicas apart")
    parser.add_argument("--only", choices=WORLDS, help="one world")
    options = parser.parse_args()
    world = _load(options.world)
    if world is None:
        print(f"skipped: there is no {options.world.name} to make up releases with (--world)")
        return
    warnings.simplefilter("ignore")
    heads = [
        "",
        "passed",
        "held",
        "failed",
        "failed\nby memory",
        "failed\nby growth",
        "withheld:\nends beyond",
    ]
    for points in (15, 60):
        rows = [
            [name, *counted(world, name, points, options.runs, replicas=options.replicas)]
            for name in ([options.only] if options.only else WORLDS)
        ]
        print(grid(f"{points} minutes, {options.runs} releases, per cent", heads, rows))


if __name__ == "__main__":
    main()
