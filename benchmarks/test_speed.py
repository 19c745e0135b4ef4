"""Speed, beside what the same work costs with the peers in the same run; no time is asserted.

    pytest benchmarks/test_speed.py
        prints pytest-benchmark's table of canaryjudge's times, and below it a line a benchmark: both medians
        and their ratio.
    pytest benchmarks/test_speed.py --benchmark-json=speed.json
        writes the same; the peer, its median, the ratio and the peak memory are under `extra_info`.

The peers do less: `mannwhitneyu` gives a p-value for "no difference", without an interval, an effect or any
regard to autocorrelation.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.stats import mannwhitneyu

import canaryjudge as cj
from canaryjudge.stats.rank_test import shift_test

_ROOT = Path(__file__).resolve().parent.parent
_EXAMPLE = Path("docs/examples/checkout")
_SAMPLES = 2_000_000

Tell = Callable[[str], None]

_PREPARE_SAMPLES = f"""
import resource
import sys
from pathlib import Path
import numpy as np
rng = np.random.default_rng(5)
baseline, canary = rng.lognormal(4, 0.5, {_SAMPLES}), rng.lognormal(4, 0.5, {_SAMPLES})
"""
_JUDGE_SAMPLES = """
import canaryjudge as cj
policy = cj.Policy(metrics=[cj.Metric(name="latency", kind="samples", direction="increase")])
cj.judge({"latency": {"baseline": baseline, "canary": canary}}, policy)
"""
_TEST_SAMPLES = """
from scipy.stats import mannwhitneyu
mannwhitneyu(canary, baseline, method="asymptotic")
"""
# Linux hands a parent's ru_maxrss down to its child; VmHWM starts anew with the program.
_PRINT_PEAK = """
status = Path("/proc/self/status")
if status.exists():
    print(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1])
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1))
"""


@pytest.mark.parametrize("used", ["", "; canaryjudge.Policy, canaryjudge.judge"], ids=["alone", "and_use"])
def test_import(benchmark: BenchmarkFixture, tell: Tell, used: str) -> None:
    """`import canaryjudge` in a fresh process, alone and with what every program uses, beside the packages that it cannot do without."""
    needed = "import numpy, pydantic, scipy.special"
    benchmark.pedantic(_run, args=("-c", f"import canaryjudge{used}"), rounds=7, warmup_rounds=1)
    _compare(benchmark, tell, needed, lambda: _run("-c", needed), rounds=7)


def test_judge_twenty_gauges(benchmark: BenchmarkFixture, tell: Tell) -> None:
    """A release of 20 gauges of 60 points a side, everything imported."""
    rng = np.random.default_rng(1)
    names = [f"gauge_{number}" for number in range(20)]
    data = {name: {"baseline": rng.normal(100, 5, 60), "canary": rng.normal(100, 5, 60)} for name in names}
    policy = cj.Policy(metrics=[cj.Metric(name=name, direction="increase") for name in names])

    def peer() -> None:
        for arms in data.values():
            mannwhitneyu(arms["canary"], arms["baseline"])

    benchmark.pedantic(cj.judge, args=(data, policy), rounds=30, warmup_rounds=2)
    _compare(benchmark, tell, "20 x scipy.stats.mannwhitneyu", peer, rounds=30)


@pytest.mark.parametrize("kind", ["gauge", "ratio"])
def test_judge_within_two_hundred_segments(benchmark: BenchmarkFixture, tell: Tell, kind: str) -> None:
    """Five gauges, or ratios whose split moves, of 200 segments, an hour of both arms of each, frame to verdict, beside the same as 200 releases of their own."""
    rng = np.random.default_rng(1)
    names, minutes = [f"{kind}_{number}" for number in range(5)], 60
    rows = 200 * 2 * minutes
    share = np.linspace(0.05, 0.5, minutes)
    total = np.tile(np.rint(400 * np.concatenate([1 - share, share])), 200)
    frame = pd.concat(
        pd.DataFrame(
            {
                "metric": name,
                "segment": np.repeat(np.arange(200).astype(str), 2 * minutes),
                "arm": np.tile(np.repeat(["baseline", "canary"], minutes), 200),
                "time": np.tile(1_767_225_600.0 + 60 * np.arange(minutes), 400),
                **(
                    {"value": rng.normal(100, 5, rows)}
                    if kind == "gauge"
                    else {"value": rng.binomial(total.astype(int), 0.02), "total": total}
                ),
            }
        )
        for name in names
    )
    metrics = [cj.Metric(name=name, kind=kind, direction="increase") for name in names]
    policy = cj.Policy(metrics=metrics, segments={"by": ["segment"]})

    def peer() -> None:
        cj.judge_many(frame, cj.Policy(metrics=metrics), by="segment")

    benchmark.pedantic(cj.judge, args=(frame, policy), rounds=5, warmup_rounds=1)
    _compare(benchmark, tell, "judge_many of each segment", peer, rounds=5)


def test_watch_fifty_segments(benchmark: BenchmarkFixture, tell: Tell) -> None:
    """A minute of one ratio of 50 segments taken and looked at, after ten others, beside the same by a monitor a segment."""
    rng = np.random.default_rng(2)
    metric = cj.Metric(name="errors", kind="ratio", direction="increase")
    names, arms = np.arange(50).astype(str), ["baseline", "canary"]

    def minute(number: int) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "metric": "errors",
                "segment": np.repeat(names, 2),
                "arm": np.tile(arms, 50),
                "time": 1_767_225_600.0 + 60 * number,
                "value": rng.binomial(1000, 0.02, 100),
                "total": 1000,
            }
        )

    within = cj.Monitor(cj.Policy(metrics=[metric], segments={"by": ["segment"]}))
    alone = cj.Monitors(cj.Policy(metrics=[metric]), by="segment")
    numbers = iter(range(1000))

    def look() -> None:
        within.update(minute(next(numbers)))
        within.verdict()

    def peer() -> None:
        alone.update(minute(next(numbers)))
        for name in names:
            alone.verdicts()[name]

    for _ in range(10):
        look()
        peer()
    benchmark.pedantic(look, rounds=10)
    _compare(benchmark, tell, "a monitor a segment", peer, rounds=10)


def test_command_line(benchmark: BenchmarkFixture, tell: Tell) -> None:
    """`canaryjudge judge` on the bundled release from a cold start, beside the import of pandas alone."""
    files = ("--policy", str(_EXAMPLE / "policy.yaml"), "--data", str(_EXAMPLE / "metrics.csv"))
    command = ("-m", "canaryjudge.cli", "judge", *files, "--exit", "fail=0", "--exit", "marginal=0")
    benchmark.pedantic(_run, args=command, rounds=5, warmup_rounds=1)
    _compare(benchmark, tell, "import pandas", lambda: _run("-c", "import pandas"), rounds=5)


def test_two_million_samples(benchmark: BenchmarkFixture, tell: Tell) -> None:
    """Two million raw latencies a side, with each judge's peak memory in a process of its own."""
    rng = np.random.default_rng(5)
    baseline, canary = rng.lognormal(4, 0.5, _SAMPLES), rng.lognormal(4, 0.5, _SAMPLES)
    policy = cj.Policy(metrics=[cj.Metric(name="latency", kind="samples", direction="increase")])
    data = {"latency": {"baseline": baseline, "canary": canary}}

    def peer() -> None:
        mannwhitneyu(canary, baseline, method="asymptotic")

    benchmark.pedantic(cj.judge, args=(data, policy), rounds=1)
    _compare(benchmark, tell, "scipy.stats.mannwhitneyu, asymptotic", peer, rounds=1)
    peaks = {
        name: _peak_mib(code)
        for name, code in (("data", ""), ("canaryjudge", _JUDGE_SAMPLES), ("peer", _TEST_SAMPLES))
    }
    benchmark.extra_info["peak_rss_mib"] = peaks
    tell(
        f"{'':<28}peak memory {peaks['canaryjudge']} MiB, peer {peaks['peer']} MiB, "
        f"of which {peaks['data']} MiB numpy and the data"
    )


def test_judge_an_hour_of_histograms(benchmark: BenchmarkFixture, tell: Tell) -> None:
    """100,000 requests a second for an hour: 360 intervals of 20 buckets a side, everything imported."""
    rng = np.random.default_rng(3)
    edges = np.append(np.geomspace(0.01, 2, 19), np.inf)
    times = 1_767_225_600.0 + 10 * np.arange(360)
    data = {
        "latency": {
            arm: {
                "edges": edges,
                "buckets": rng.multinomial(1_000_000, np.full(20, 0.05), size=360).astype(np.float64),
                "time": times,
            }
            for arm in ("baseline", "canary")
        }
    }
    policy = cj.Policy(metrics=[cj.Metric(name="latency", kind="histogram", unit="s", direction="increase")])
    some = rng.lognormal(-2.3, 0.6, (2, 100_000))

    def peer() -> None:
        mannwhitneyu(*some, method="asymptotic")

    benchmark.pedantic(cj.judge, args=(data, policy), rounds=30, warmup_rounds=2)
    _compare(benchmark, tell, "mannwhitneyu of 100,000 of the 360 million requests", peer, rounds=10)


def test_batch_of_shift_tests(benchmark: BenchmarkFixture, tell: Tell) -> None:
    """20,000 pairs of 60 points in one call, as simulations and fleets need them."""
    rng = np.random.default_rng(3)
    baseline, canary = rng.normal(100, 5, (20_000, 60)), rng.normal(100, 5, (20_000, 60))

    def peer() -> None:
        mannwhitneyu(canary, baseline, axis=1, method="asymptotic")

    benchmark.pedantic(shift_test, args=(baseline, canary, [10.0]), rounds=2)
    _compare(benchmark, tell, "scipy.stats.mannwhitneyu, axis=1", peer, rounds=2)


def _run(*arguments: str) -> str:
    """Run Python in a fresh process, where the package is found whether or not it is installed."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=_ROOT, check=True, capture_output=True, text=True
    ).stdout


def _peak_mib(code: str) -> int:
    return round(int(_run("-c", _PREPARE_SAMPLES + code + _PRINT_PEAK)) / 1024)


def _compare(
    benchmark: BenchmarkFixture, tell: Tell, peer: str, run: Callable[[], Any], *, rounds: int
) -> None:
    """Time the peer after canaryjudge, and record both medians."""
    if benchmark.stats is None:  # --benchmark-disable
        return
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    ours, theirs = benchmark.stats.stats.median, median(times[1:])
    benchmark.extra_info.update(peer=peer, peer_median_s=theirs, times_the_peer=ours / theirs)
    tell(f"{benchmark.name:<28}{ours:>8.3g} s, {ours / theirs:>5.2f} x {peer} ({theirs:.3g} s)")
