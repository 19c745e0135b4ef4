"""Print what judging costs: the tables of ``docs/performance.md``, beside what peers take in the same run.

``python benchmarks/performance.py`` prints medians of CPU time, and ratios, as Markdown. ``--services`` is how many releases of ten metrics the file has (a thousand take a minute, ten
thousand ten of them with little memory; 0 leaves the file out), ``--largest`` to what power of ten samples and batches grow, ``--repeats`` how often what is small is timed, ``--only`` one
of the tables. Libraries that are not installed are left out. The peers do less: a p-value for "no difference", without a limit or any regard to autocorrelation.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import pandas as pd
import peers
from scipy.stats import mannwhitneyu
from statsmodels.stats.nonparametric import rank_compare_2indep

import canaryjudge as cj

_ROOT = Path(__file__).resolve().parent.parent
_POINTS = 60
_GAUGES = 6
_PATIENCE: Final = 40.0
"""What is expected to take more seconds than this is left out."""


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


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table as Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    print(f"{title}\n", *(f"| {' | '.join(line)} |" for line in lines), "", sep="\n", flush=True)


def _one_release(repeats: int) -> list[list[str]]:
    rng = np.random.default_rng(1)
    pairs = [rng.normal(100, 5, (2, _POINTS)) for _ in range(20)]
    peer = _cpu(lambda: [mannwhitneyu(*pair).pvalue for pair in pairs], repeats)
    rows = []
    for what, metrics, made, target in (
        ("20 gauges of 60 points", _metrics(20, 0, 0), {}, "8 ms"),
        ("the same, 3 % of points missing", _metrics(20, 0, 0), {"gaps": 0.03}, "12 ms"),
        ("20 ratios, .2 % of 1,000 an interval", _metrics(0, 20, 0), {}, "8 ms"),
        ("20 ratios, 15 of 15,000 in all", _metrics(0, 20, 0), {"share": 0.001, "traffic": 250.0}, "8 ms"),
    ):
        frame = frame_of(1, metrics, rng, **made).drop(columns="service")
        policy = cj.Policy(metrics=metrics)
        took = _cpu(lambda frame=frame, policy=policy: cj.judge(frame, policy), repeats)
        against = f"{took / peer:.1f} x SciPy in a loop"
        rows.append([f"`judge`, {what}, warm", f"{1e3 * took:.0f} ms", target, against])
    return rows


def _at_once(repeats: int) -> list[list[str]]:
    rng = np.random.default_rng(2)
    rows = []
    for kind, metrics, target in (
        ("gauges", _metrics(1, 0, 0), "half of SciPy in a loop"),
        ("ratios", _metrics(0, 1, 0), ""),
        ("counts", _metrics(0, 0, 1), ""),
    ):
        frame, policy = frame_of(2000, metrics, rng), cj.Policy(metrics=metrics)
        arms = frame.value.to_numpy().reshape(2000, 2, _POINTS)
        took = _cpu(lambda frame=frame, policy=policy: cj.judge_many(frame, policy, by="service"), repeats)
        peer = _cpu(lambda arms=arms: [mannwhitneyu(*pair).pvalue for pair in arms], repeats)
        against = f"{took / peer:.2f} x SciPy in a loop"
        rows.append(
            [f"`judge_many`, 2,000 {kind}, frame to columns", f"{1e3 * took:.0f} ms", target, against]
        )
    return rows


def _latencies(points: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.lognormal(4, 0.5, points), rng.lognormal(4, 0.5, points)


def _judge_samples(baseline: np.ndarray, canary: np.ndarray) -> cj.Verdict:
    policy = cj.Policy(metrics=[cj.Metric(name="latency", kind="samples", direction="increase")])
    return cj.judge({"latency": {"baseline": baseline, "canary": canary}}, policy)


def _samples(repeats: int, largest: int) -> list[list[str]]:
    """Judge raw samples that are new each time, in turn with SciPy; and many of them, for the memory, in processes of their own."""
    points, times = min(10**6, 10**largest), []
    for seed in range(repeats):
        arms = _latencies(points, seed)
        took = []
        for call in (_judge_samples, mannwhitneyu):
            start = time.process_time()
            call(*arms)
            took.append(time.process_time() - start)
        times.append(took)
    ours, theirs = (median(each) for each in zip(*times, strict=True))
    ratio = median(one / other for one, other in times)
    rows = [
        [
            f"{points:,} v. {points:,} raw samples, p and interval",
            f"{ours:.2f} s",
            "2 x SciPy's p alone",
            f"{ratio:.2f} x SciPy ({theirs:.2f} s)",
        ]
    ]
    peaks = [
        float(_run("-c", _PEAK.format(points=10**largest, call=call))[0])
        for call in ("performance._judge_samples(*arms)", "performance.mannwhitneyu(*arms)")
    ]
    told = f"SciPy's process {peaks[1]:.2f} GB"
    rows.append([f"10^{largest} a side, memory of the process", f"{peaks[0]:.2f} GB", "2 GB", told])
    return rows


_PEAK = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import performance
arms = performance._latencies({{points}}, 1)
{{call}}
print(next(int(line.split()[1]) / 1e6 for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
"""Linux hands a parent's ru_maxrss down to its child; VmHWM starts anew with the program."""
_EXAMPLE = _ROOT / "docs" / "examples" / "checkout"
_NEEDED = "import numpy, scipy.special, pydantic, ruamel.yaml, pandas"


def _run(*arguments: str) -> tuple[str, float]:
    """Run Python in a process of its own; give what it prints, and its CPU time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *arguments], cwd=_ROOT, check=True, capture_output=True, text=True, env=os.environ
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _cold(repeats: int) -> list[list[str]]:
    """Judge the example in cold processes, in turn with the imports of the packages that it needs."""
    files = ("--policy", str(_EXAMPLE / "policy.yaml"), "--data", str(_EXAMPLE / "metrics.csv"))
    judge = ("-m", "canaryjudge.cli", "judge", *files, "--exit", "fail=0", "--exit", "marginal=0")
    times = [[_run(*arguments)[1] for arguments in (judge, ("-c", _NEEDED))] for _ in range(repeats + 1)][1:]
    ours, floor = (median(each) for each in zip(*times, strict=True))
    ratio = median(one / other for one, other in times)
    told = f"{ratio:.2f} x `{_NEEDED}` ({1e3 * floor:.0f} ms)"
    return [
        ["`canaryjudge judge` of the example, cold", f"{1e3 * ours:.0f} ms", "2 x the import floor", told]
    ]


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
                f"a look of `Monitors`, {releases:,} releases of one ratio: {what}",
                f"{many:.0f} µs a release",
                "a twentieth of a `Monitor` alone",
                f"a {one / many:.0f}th of {one:.0f} µs",
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
                f"{cpu:.0f} s, {memory:.2f} GB",
                "60 s, 1.5 GB" if many == 10_000 else "",
                f"in {took:.0f} s",
            ]
        )
    if len(found) == 2:
        (few, less), (many, more) = found
        exponent = np.log(more / less) / np.log(many / few)
        rows.append(["its cost grows with the services to the power of", f"{exponent:.2f}", "1.05", ""])
    return rows


def _exponent(sizes: Sequence[int], times: Sequence[float | None]) -> str:
    """Fit how the cost grows over the three largest sizes that were measured."""
    known = [(size, took) for size, took in zip(sizes, times, strict=True) if took is not None][-3:]
    return f"{np.polyfit(*np.log(np.array(known).T), 1)[0]:.2f}" if len(known) == 3 else ""


def _grown(
    title: str, sizes: Sequence[int], callers: dict[str, Callable[[int], Callable[[], object]]], repeats: int
) -> None:
    """Time each at ever larger sizes, until the next would try patience; each caller makes a call of a size."""
    rows = []
    for name, caller in callers.items():
        times: list[float | None] = []
        for size in sizes:
            step = size / sizes[len(times) - 1] if times else 1.0
            if times and (times[-1] is None or step * times[-1] > _PATIENCE):
                times.append(None)
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    call = caller(size)
                    start = time.process_time()
                    call()
                    once = time.process_time() - start
                    times.append(once if once > 1 else _cpu(call, max(3, repeats // 2)))
                except MemoryError:
                    times.append(None)
        told = [_told(took) for took in times]
        rows.append([name, *told, _exponent(sizes, times)])
    _table(title, ["CPU", *(f"{size:,}" for size in sizes), "exponent"], rows)


def _told(took: float | None) -> str:
    if took is None:
        return ""
    return f"{1e3 * took:.3g} ms" if took < 1 else f"{took:.3g} s"


def _peers() -> dict[str, Callable[[np.ndarray, np.ndarray], object]]:
    """Give what judges one pair of samples, by the name in the tables."""
    libraries = {
        f"{name.replace('_', '-')} {version(name)}": peers.ASKED_ONCE["gauge"][name]
        for name in peers.ASKED_ONCE["gauge"]
    }
    return {
        f"SciPy {version('scipy')}, `mannwhitneyu`": mannwhitneyu,
        f"statsmodels {version('statsmodels')}, `rank_compare_2indep`": lambda baseline, canary: (
            rank_compare_2indep(canary, baseline).conf_int()
        ),
        "Kayenta's rule (`canaryjudge.compat`)": peers.kayenta_label,
        **libraries,
    }


def _by_points(repeats: int, largest: int) -> None:
    def of(judge: Callable[[np.ndarray, np.ndarray], object]) -> Callable[[int], Callable[[], object]]:
        def caller(points: int) -> Callable[[], object]:
            arms = _latencies(points, 1)
            return lambda: judge(*arms)

        return caller

    sizes = [10, 60, *(10**power for power in range(3, largest + 1))]
    judges = {"**`judge`, raw samples**": _judge_samples, **_peers()}
    _grown("One metric, points an arm", sizes, {name: of(judge) for name, judge in judges.items()}, repeats)


def _by_batch(repeats: int, largest: int) -> None:
    metrics = _metrics(1, 0, 0)
    policy = cj.Policy(metrics=metrics)

    def arms_of(many: int) -> np.ndarray:
        return np.random.default_rng(5).normal(100, 5, (2, many, _POINTS))

    def many_at_once(many: int) -> Callable[[], object]:
        frame = frame_of(many, metrics, np.random.default_rng(5))
        return lambda: cj.judge_many(frame, policy, by="service").to_frame()

    def along_the_axis(many: int) -> Callable[[], object]:
        arms = arms_of(many)
        return lambda: mannwhitneyu(*arms, axis=1, method="asymptotic")

    def of(judge: Callable[[np.ndarray, np.ndarray], object]) -> Callable[[int], Callable[[], object]]:
        def caller(many: int) -> Callable[[], object]:
            arms = arms_of(many)
            return lambda: [judge(*pair) for pair in zip(*arms, strict=True)]

        return caller

    callers: dict[str, Callable[[int], Callable[[], object]]] = {
        "**`judge_many`, frame to rows**": many_at_once,
        f"SciPy {version('scipy')}, `axis=`": along_the_axis,
        **{f"{name}, in a loop": of(judge) for name, judge in _peers().items()},
    }
    _grown("Gauges of 60 points, metrics", [10**power for power in range(largest)], callers, repeats)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--services", type=int, default=1000, help="releases of ten metrics in the file; 0: none"
    )
    parser.add_argument(
        "--largest", type=int, default=6, help="10 to the power of this is the largest sample"
    )
    parser.add_argument("--repeats", type=int, default=9, help="how often what is small is timed")
    parser.add_argument("--only", choices=["aims", "points", "batch"], help="one of the tables")
    asked = parser.parse_args()
    missing = [name for name in ("tea_tasting", "spotify_confidence") if not find_spec(name)]
    if missing:
        print(f"not installed, and left out: {', '.join(missing)}\n")
    print(
        f"canaryjudge {cj.__version__}, Python {platform.python_version()}, NumPy {np.__version__}, pandas {pd.__version__}\n"
    )
    if asked.only in (None, "aims"):
        rows = [
            *_one_release(asked.repeats),
            *_at_once(max(1, asked.repeats // 3)),
            *(_file(asked.services) if asked.services else []),
            *_samples(max(1, asked.repeats // 2), asked.largest),
            *_watches(),
            *_cold(asked.repeats),
        ]
        _table("What it costs", ["figure", "measured", "to reach", "beside"], rows)
    if asked.only in (None, "points"):
        _by_points(asked.repeats, asked.largest)
    if asked.only in (None, "batch"):
        _by_batch(asked.repeats, asked.largest - 1)
    print(f"memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
