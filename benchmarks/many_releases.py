"""Print what judging costs: one release, thousands at once, and a file of ten thousand, beside what peers take in the same run.

``python benchmarks/many_releases.py`` prints medians of CPU time, and ratios; ``--services`` is how many releases of ten metrics the file has (a thousand take a minute, ten
thousand ten of them with little memory; 0 leaves the file out), ``--repeats`` how often the small ones are timed. The peers do less: a p-value for "no difference", without an interval, an effect, a limit, or any
regard to autocorrelation.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu
from tables import grid

import canaryjudge as cj

_POINTS = 60
_GAUGES = 6


def _metrics(gauges: int, ratios: int, counts: int) -> list[cj.Metric]:
    kinds = ["gauge"] * gauges + ["ratio"] * ratios + ["count"] * counts
    return [
        cj.Metric(name=f"{kind}_{number}", kind=kind, direction="either" if kind == "count" else "increase")
        for number, kind in enumerate(kinds)
    ]


def frame_of(
    services: int,
    metrics: list[cj.Metric],
    rng: np.random.Generator,
    *,
    share: float = 0.002,
    traffic: float = 1000.0,
    gaps: float = 0.0,
) -> pd.DataFrame:
    """Make up healthy releases that share the clock, one under the other."""
    values, totals = [], []
    for metric in metrics:
        shape = (services, 2, _POINTS)
        total = np.full(shape, np.nan)
        if metric.kind == "gauge":
            value = rng.normal(100, 5, shape)
        elif metric.kind == "ratio":
            total = np.maximum(rng.poisson(traffic, shape), 1).astype(float)
            value = rng.binomial(total.astype(int), share).astype(float)
        else:
            value = rng.poisson(300, shape).astype(float)
        values.append(value)
        totals.append(total)
    value, total = np.stack(values, axis=1), np.stack(totals, axis=1)
    names = [metric.name for metric in metrics]
    codes = [
        np.repeat(np.arange(services), len(metrics) * 2 * _POINTS),
        np.tile(np.repeat(np.arange(len(metrics)), 2 * _POINTS), services),
        np.tile(np.repeat([0, 1], _POINTS), services * len(metrics)),
    ]
    labels = [[f"service-{number:05}" for number in range(services)], names, ["baseline", "canary"]]
    columns: dict[str, Any] = {
        name: pd.Categorical.from_codes(code, label)
        for name, code, label in zip(("service", "metric", "arm"), codes, labels, strict=True)
    }
    columns["time"] = np.tile(1.7e9 + 60.0 * np.arange(_POINTS), services * len(metrics) * 2)
    columns["value"] = value.ravel()
    if any(metric.kind == "ratio" for metric in metrics):
        columns["total"] = total.ravel()
    frame = pd.DataFrame(columns)
    return frame[rng.random(len(frame)) >= gaps].reset_index(drop=True) if gaps else frame


def _cpu(call: Callable[[], object], repeats: int) -> float:
    call()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return median(times)


def _one_release(repeats: int) -> list[list[str]]:
    rng = np.random.default_rng(1)
    pairs = [rng.normal(100, 5, (2, _POINTS)) for _ in range(20)]
    peer = _cpu(lambda: [mannwhitneyu(*pair).pvalue for pair in pairs], repeats)
    rows = []
    for what, metrics, made in (
        ("20 gauges", _metrics(20, 0, 0), {}),
        ("20 gauges, 3 % of points missing", _metrics(20, 0, 0), {"gaps": 0.03}),
        ("20 ratios, .2 % of 1,000 an interval", _metrics(0, 20, 0), {}),
        ("20 ratios, 15 of 15,000 in all", _metrics(0, 20, 0), {"share": 0.001, "traffic": 250.0}),
    ):
        frame = frame_of(1, metrics, rng, **made).drop(columns="service")
        policy = cj.Policy(metrics=metrics)
        took = _cpu(lambda frame=frame, policy=policy: cj.judge(frame, policy), repeats)
        rows.append([f"judge, {what}", f"{1e3 * took:.1f}", f"{1e3 * peer:.1f}", f"{took / peer:.2f}"])
    return rows


def _at_once(repeats: int) -> list[list[str]]:
    rng = np.random.default_rng(2)
    rows = []
    for kind, metrics in (
        ("gauges", _metrics(1, 0, 0)),
        ("ratios", _metrics(0, 1, 0)),
        ("counts", _metrics(0, 0, 1)),
    ):
        frame, policy = frame_of(2000, metrics, rng), cj.Policy(metrics=metrics)
        arms = frame.value.to_numpy().reshape(2000, 2, _POINTS)
        took = _cpu(lambda frame=frame, policy=policy: cj.judge_many(frame, policy, by="service"), repeats)
        peer = _cpu(lambda arms=arms: [mannwhitneyu(*pair).pvalue for pair in arms], repeats)
        rows.append(
            [f"judge_many, 2,000 {kind}", f"{1e3 * took:.0f}", f"{1e3 * peer:.0f}", f"{took / peer:.2f}"]
        )
    return rows


def _watches(releases: int = 2000, alone: int = 40, looks: int = 60) -> list[list[str]]:
    """Watch releases of one ratio, a look a minute, together and each by a monitor of its own; of the looks after the first five."""
    metric = cj.Metric(name="errors", kind="ratio", direction="increase", tolerance="50%")
    policy, rng = cj.Policy(metrics=[metric]), np.random.default_rng(4)
    together, apart = cj.Monitors(policy, by="service"), [cj.Monitor(policy) for _ in range(alone)]
    names = [f"service-{number:05}" for number in range(releases)]
    whole, each = [], []
    for minute in range(looks):
        total = rng.poisson(1000, (releases, 2))
        value = rng.binomial(total, 0.01)
        columns = {
            "service": np.repeat(names, 2),
            "metric": "errors",
            "arm": ["baseline", "canary"] * releases,
        }
        frame = pd.DataFrame(
            {**columns, "time": 60.0 * minute, "value": value.ravel(), "total": total.ravel()}
        )
        start = time.process_time()
        together.update(frame)
        together.verdicts().to_frame()
        whole.append((time.process_time() - start) / releases)
        start = time.process_time()
        for number, monitor in enumerate(apart):
            own = zip(("baseline", "canary"), value[number], total[number], strict=True)
            points = {arm: {"time": [60.0 * minute], "value": [some], "total": [of]} for arm, some, of in own}
            monitor.update({"errors": points})
            monitor.verdict()
        each.append((time.process_time() - start) / alone)
    rows = []
    for what, summed in (("the median look", median), ("all looks", np.mean)):
        one, many = 1e6 * summed(each[5:]), 1e6 * summed(whole[5:])
        rows.append(
            [
                f"Monitors, {releases:,} of one ratio, {what}",
                f"{many:.0f}",
                f"{one:.0f}",
                f"{one / many:.0f} x",
            ]
        )
    return rows


_JUDGE = """
import resource, sys, time
import canaryjudge as cj
path, gauges, ratios, counts = sys.argv[1], *map(int, sys.argv[2:5])
kinds = ["gauge"] * gauges + ["ratio"] * ratios + ["count"] * counts
metrics = [
    cj.Metric(name=f"{kind}_{number}", kind=kind, direction="either" if kind == "count" else "increase")
    for number, kind in enumerate(kinds)
]
start = time.perf_counter()
verdicts = cj.judge_many(cj.scan_parquet(path, by="service"), cj.Policy(metrics=metrics), by="service")
rows = verdicts.to_frame()
took = time.perf_counter() - start
print(took, time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, len(rows))
"""


def _file(services: int) -> list[list[str]]:
    """Judge files of two sizes in processes of their own, and tell how the cost grows."""
    rows, found = [], []
    for many in sorted({max(1, services // 4), services}):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "fleet.parquet"
            metrics = _metrics(_GAUGES, 3, 1)
            frame_of(many, metrics, np.random.default_rng(3)).to_parquet(path)
            command = [sys.executable, "-c", _JUDGE, str(path), str(_GAUGES), "3", "1"]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        took, cpu, memory, judged = (float(part) for part in done.stdout.split())
        found.append((many, cpu))
        rows.append(
            [
                f"{int(judged):,} services of ten metrics, Parquet to rows",
                f"{took:.1f} s",
                f"{cpu:.1f} s CPU",
                f"{memory:.2f} GB",
            ]
        )
    if len(found) == 2:
        (few, less), (many, more) = found
        exponent = np.log(more / less) / np.log(many / few)
        rows.append(["cost grows with the services to the power of", f"{exponent:.2f}", "", ""])
    return rows


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--services", type=int, default=1000, help="releases of ten metrics in the file; 0: none"
    )
    parser.add_argument("--repeats", type=int, default=9, help="how often what is small is timed")
    asked = parser.parse_args()
    heads = ["60 points an arm, warm, CPU", "ms", "mannwhitneyu, ms", "ratio"]
    print(grid("One release", heads, _one_release(asked.repeats)))
    print()
    print(grid("Many at once", heads, _at_once(max(1, asked.repeats // 3))))
    print()
    heads = ["a look, CPU", "us a release", "Monitor alone, us", "as fast"]
    print(grid("Watches", heads, _watches()))
    if asked.services:
        print()
        print(grid("A file", ["", "time", "", "memory"], _file(asked.services)))
    print()
    print(f"memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
