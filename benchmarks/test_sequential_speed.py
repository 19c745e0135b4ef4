"""Speed of the sequential rules, beside what the same work costs with the peers in the same run; no time is asserted.

    pytest benchmarks/test_sequential_speed.py
        prints pytest-benchmark's table of canaryjudge's times, and below it a line a benchmark: its median, in
        the unit of its target, the target, and the ratio to a peer where there is one.
    pytest benchmarks/test_sequential_speed.py --benchmark-json=speed.json
        writes the same; the target, the peer, its median and the ratio are under `extra_info`.

Peers: scipy's tests, which sort everything anew at each look; a plain Beta mixture (Lindon and Malek 2022), which has one null hypothesis
and no confidence sequence; and, where they are installed, savvi and sequential-analysis.
"""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.special import betaln
from scipy.stats import mannwhitneyu

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair, question_of, row_of
from canaryjudge.rules import ErrorRates, Pair
from canaryjudge.rules.sequential.betting import RankBettingProcess
from canaryjudge.rules.sequential.histograms import HistogramProcess
from canaryjudge.rules.sequential.interval_scores import RankScoreProcess
from canaryjudge.rules.sequential.rates import RateProcess
from canaryjudge.stats.count_processes import likelihoods, log_evidence
from canaryjudge.stats.group_sequential import boundaries, design

Tell = Callable[[str], None]
FloatArray = NDArray[np.float64]

_RATES = ErrorRates(0.05, 0.05)
_MILLION = 1_000_000
_METRICS = 10_000
_CHUNK = 250
_EDGES = np.array([*np.geomspace(10, 1000, 19), math.inf])


def test_interval_of_counts(benchmark: BenchmarkFixture, tell: Tell) -> None:
    """One interval into the evidence of one metric; the peer is the sum of a Beta mixture and its p-value."""
    process = RateProcess(question_of(_counted(absolute=True), _RATES))
    pair = _counts(12.0, 15.0)

    def peer() -> None:
        _beta_mixture(15.0, 27.0)

    benchmark.pedantic(process.update, args=(pair,), rounds=2000, warmup_rounds=50)
    _tell(benchmark, tell, ("us", 1e6), 20.0)
    _compare(benchmark, tell, "a Beta mixture's p-value", peer, rounds=2000)


def test_interval_of_counts_one_null(benchmark: BenchmarkFixture, tell: Tell) -> None:
    """The same where no difference is tolerated as well (kind count)."""
    process = RateProcess(question_of(_counted(absolute=False), _RATES))
    benchmark.pedantic(process.update, args=(_counts(12.0, 15.0),), rounds=2000, warmup_rounds=50)
    _tell(benchmark, tell, ("us", 1e6), 20.0)


def test_look_at_counts(benchmark: BenchmarkFixture, tell: Tell) -> None:
    """A look at one metric, with its estimate, its confidence sequences and their words' numbers."""
    process = RateProcess(question_of(_counted(absolute=True), _RATES))
    for events in range(10, 30):
        process.update(_counts(float(events), float(events + 3)))
    benchmark.pedantic(process.finding, rounds=300, warmup_rounds=10)
    _tell(benchmark, tell, ("us", 1e6), None)
    savvi = _package("savvi.multinomial")
    if savvi is not None:
        test = savvi.Multinomial(0.05, np.array([0.5, 0.5]))
        test.update(np.array([460, 390]))
        _compare(benchmark, tell, "savvi's confidence interval (cvxpy)", test.calculate_conf_int, rounds=10)


@pytest.mark.parametrize("metrics", [1, 20])
def test_monitor_interval(benchmark: BenchmarkFixture, tell: Tell, metrics: int) -> None:
    """An interval of counts through the public path: update and verdict, everything checked and recorded."""
    names = [f"errors_{i}" for i in range(metrics)]
    policy = cj.Policy(
        metrics=[
            cj.Metric(name=name, kind="ratio", direction="increase", tolerance="50%", dispersion=1.0)
            for name in names
        ]
    )
    monitor, rng = cj.Monitor(policy), np.random.default_rng(1)
    minutes = iter(range(10**6))

    def step() -> None:
        now = 60.0 * next(minutes)
        monitor.update(
            {
                name: {
                    arm: {"time": [now], "value": [int(rng.binomial(1000, 0.012))], "total": [1000]}
                    for arm in ("baseline", "canary")
                }
                for name in names
            }
        )
        monitor.verdict()

    benchmark.pedantic(step, rounds=100, warmup_rounds=5)
    _tell(benchmark, tell, ("us a metric", 1e6 / metrics), None)


def test_many_metrics(benchmark: BenchmarkFixture, tell: Tell) -> None:
    """An interval of 10,000 metrics with one split: likelihoods added, and evidence for fail and pass."""
    rng = np.random.default_rng(2)
    x_b, x_c = (rng.poisson(10.0, _METRICS).astype(float) for _ in range(2))
    sums = np.zeros((_METRICS, 121))
    null = math.log(1.5)

    def step() -> None:
        for start in range(0, _METRICS, _CHUNK):
            part = slice(start, start + _CHUNK)
            sums[part] += likelihoods(x_b[part], x_c[part], 1000.0, 1000.0)
            for side in (1, -1):
                log_evidence(sums[part], null, side)

    def peer() -> None:
        both = x_b + x_c
        for share in (0.6, 0.5):
            betaln(60 + x_c, 40 + both - x_c) - x_c * math.log(share) - (both - x_c) * math.log1p(-share)

    benchmark.pedantic(step, rounds=20, warmup_rounds=2)
    _tell(benchmark, tell, ("us a metric", 1e6 / _METRICS), 1.0)
    _compare(benchmark, tell, "two vectorized Beta mixtures", peer, rounds=20)


def test_many_metrics_update_alone(benchmark: BenchmarkFixture, tell: Tell) -> None:
    """The same, the likelihoods alone."""
    rng = np.random.default_rng(2)
    x_b, x_c = (rng.poisson(10.0, _METRICS).astype(float) for _ in range(2))
    sums = np.zeros((_METRICS, 121))

    def step() -> None:
        for start in range(0, _METRICS, _CHUNK):
            part = slice(start, start + _CHUNK)
            sums[part] += likelihoods(x_b[part], x_c[part], 1000.0, 1000.0)

    benchmark.pedantic(step, rounds=20, warmup_rounds=2)
    _tell(benchmark, tell, ("us a metric", 1e6 / _METRICS), 1.0)


@pytest.mark.parametrize("tolerance", ["0%", "10%"])
def test_million_pairs(benchmark: BenchmarkFixture, tell: Tell, tolerance: str) -> None:
    """A million pairs of independent latencies in a hundred updates."""
    baseline, canary = _latencies(_MILLION)
    blocks = [
        _samples(b, c)
        for b, c in zip(np.array_split(baseline, 100), np.array_split(canary, 100), strict=True)
    ]

    def ingest() -> None:
        process = RankBettingProcess(question_of(_sampled(tolerance), _RATES))
        for block in blocks:
            process.update(block)

    benchmark.pedantic(ingest, rounds=3, warmup_rounds=1)
    _tell(benchmark, tell, ("s", 1.0), 0.3)


def test_look_at_million_pairs(benchmark: BenchmarkFixture, tell: Tell) -> None:
    """A look after a million pairs, beside a test that sorts them."""
    baseline, canary = _latencies(_MILLION)
    process = RankBettingProcess(question_of(_sampled("10%"), _RATES))
    process.update(_samples(baseline, canary))
    benchmark.pedantic(process.finding, rounds=50, warmup_rounds=3)
    _tell(benchmark, tell, ("ms", 1e3), None)
    _compare(
        benchmark,
        tell,
        "scipy.stats.mannwhitneyu",
        lambda: mannwhitneyu(canary, baseline, method="asymptotic"),
        rounds=1,
    )


def test_look_at_thousand_pairs(benchmark: BenchmarkFixture, tell: Tell) -> None:
    """The same after a thousand pairs: a look costs the same however much was seen."""
    baseline, canary = _latencies(1000)
    process = RankBettingProcess(question_of(_sampled("10%"), _RATES))
    process.update(_samples(baseline, canary))
    benchmark.pedantic(process.finding, rounds=50, warmup_rounds=3)
    _tell(benchmark, tell, ("ms", 1e3), None)


def test_million_scored_samples(benchmark: BenchmarkFixture, tell: Tell) -> None:
    """A million samples an arm in a hundred intervals, scored, with a look after every one."""
    baseline, canary = _latencies(_MILLION)
    blocks = [
        _samples(b, c, 60.0 * i)
        for i, (b, c) in enumerate(
            zip(np.array_split(baseline, 100), np.array_split(canary, 100), strict=True)
        )
    ]

    def watch() -> None:
        process = RankScoreProcess(question_of(_sampled("10%", independent=False), _RATES))
        for block in blocks:
            process.update(block)
            process.finding()

    benchmark.pedantic(watch, rounds=3, warmup_rounds=1)
    _tell(benchmark, tell, ("s", 1.0), None)
    _compare(
        benchmark,
        tell,
        "scipy.stats.mannwhitneyu of each interval",
        lambda: [mannwhitneyu(block.canary.value, block.baseline.value) for block in blocks],
        rounds=1,
    )


@pytest.mark.parametrize("requests", [1_000, 100_000])
def test_interval_of_histogram(benchmark: BenchmarkFixture, tell: Tell, requests: int) -> None:
    """One interval of a histogram of 20 buckets."""
    process = HistogramProcess(question_of(_bucketed(), _RATES))
    pair = _histogram(requests)
    benchmark.pedantic(process.update, args=(pair,), rounds=100, warmup_rounds=5)
    _tell(benchmark, tell, ("us", 1e6), None)


def test_look_at_histogram(benchmark: BenchmarkFixture, tell: Tell) -> None:
    """A look at it, with the confidence sequence."""
    process = HistogramProcess(question_of(_bucketed(), _RATES))
    process.update(_histogram(100_000))
    benchmark.pedantic(process.finding, rounds=50, warmup_rounds=5)
    _tell(benchmark, tell, ("us", 1e6), None)


def test_boundaries_of_sixty_looks(benchmark: BenchmarkFixture, tell: Tell) -> None:
    """Boundaries by O'Brien-Fleming-like spending at 60 looks."""
    fractions = np.arange(1, 61) / 60
    benchmark.pedantic(boundaries, args=(fractions, 0.05), rounds=20, warmup_rounds=2)
    _tell(benchmark, tell, ("ms", 1e3), 50.0)
    package = _package("sequential_analysis.group_sequential")
    if package is not None:
        _compare(
            benchmark,
            tell,
            "sequential-analysis",
            lambda: package.group_sequential_design(0.05, fractions.tolist()),
            rounds=1,
        )


def test_design_of_sixty_looks(benchmark: BenchmarkFixture, tell: Tell) -> None:
    """The same with futility boundaries, power, and the drift that has it."""
    fractions = np.arange(1, 61) / 60
    benchmark.pedantic(design, args=(fractions, 0.05, 0.9), rounds=3, warmup_rounds=1)
    _tell(benchmark, tell, ("ms", 1e3), 50.0)
    package = _package("sequential_analysis.group_sequential")
    if package is not None:
        _compare(
            benchmark,
            tell,
            "sequential-analysis",
            lambda: package.group_sequential_design(
                0.05, fractions.tolist(), futility="obrien-fleming", power=0.9
            ),
            rounds=1,
        )


@pytest.mark.parametrize("kind", ["ratio", "count", "samples", "independent", "histogram", "gauge"])
def test_saved_state(benchmark: BenchmarkFixture, tell: Tell, kind: str) -> None:
    """Save and load a Monitor of one metric after 360 intervals; its size."""
    policy = _saved_policy(kind)
    monitor = cj.Monitor(policy)
    rng = np.random.default_rng(3)
    for number in range(360):
        monitor.update({"metric": {arm: _saved_data(kind, rng, number) for arm in ("baseline", "canary")}})
        if number % 60 == 59:
            monitor.verdict()
    text = monitor.to_json()

    def there_and_back() -> None:
        cj.Monitor.from_json(monitor.to_json(), policy)

    benchmark.pedantic(there_and_back, rounds=10, warmup_rounds=1)
    benchmark.extra_info["state_bytes"] = len(text)
    tell(f"{f'saved state of {kind}':<36}{len(text) / 1000:>8.1f} kB, target 20 kB")


def _saved_policy(kind: str) -> cj.Policy:
    rules = [cj.Sequential(independent=True)] if kind == "independent" else None
    kind_of = "samples" if kind == "independent" else kind
    metric = cj.Metric(name="metric", kind=kind_of, direction="increase", rules=rules)
    return cj.Policy(metrics=[metric], max_points=360 if kind == "gauge" else None)


def _saved_data(kind: str, rng: np.random.Generator, number: int) -> dict[str, Any]:
    now = 60.0 * number
    match kind:
        case "ratio" | "count":
            return {"time": [now], "value": [int(rng.binomial(1000, 0.01))], "total": [1000]}
        case "gauge":
            return {"time": [now], "value": rng.normal(100, 5, 1)}
        case "histogram":
            counts = rng.multinomial(1000, np.full(20, 1 / 20)).cumsum()
            return {"time": np.full(20, now), "value": counts, "le": _EDGES}
    return {"time": now + rng.uniform(0, 60, 50), "value": rng.lognormal(4, 0.6, 50)}


def _counted(*, absolute: bool) -> cj.Metric:
    kind = "ratio" if absolute else "count"
    return cj.Metric(name="errors", kind=kind, direction="increase", tolerance="50%", dispersion=1.0)


def _sampled(tolerance: str, *, independent: bool = True) -> cj.Metric:
    rules = [cj.Sequential(independent=True)] if independent else None
    return cj.Metric(name="latency", kind="samples", direction="increase", tolerance=tolerance, rules=rules)


def _bucketed() -> cj.Metric:
    return cj.Metric(name="latency", kind="histogram", direction="increase")


def _counts(baseline: float, canary: float) -> Pair:
    arms = (Arm(np.array([events]), np.array([1000.0]), np.array([0.0])) for events in (baseline, canary))
    return as_row(MetricPair("errors", "ratio", *arms, "concurrent", 60.0))


def _samples(baseline: FloatArray, canary: FloatArray, now: float = 0.0) -> Pair:
    arms = (Arm(values, time=np.full(len(values), now)) for values in (baseline, canary))
    return as_row(MetricPair("latency", "samples", *arms, "concurrent", 60.0))


def _histogram(requests: int) -> Pair:
    rng = np.random.default_rng(4)
    shares = np.diff(np.concatenate([[0.0], 1 / (1 + (100 / _EDGES[:-1]) ** 2), [1.0]]))
    buckets = [rng.multinomial(requests, shares)[None, :].astype(float) for _ in range(2)]
    arms = (Arm(counts.sum(axis=1), time=np.array([0.0]), buckets=counts) for counts in buckets)
    return as_row(MetricPair("latency", "histogram", *arms, "concurrent", 60.0, edges=_EDGES))


def _latencies(size: int) -> FloatArray:
    return np.random.default_rng(5).lognormal(4, 0.6, (2, size))


def _beta_mixture(x: float, both: float) -> float:
    evidence = betaln(50 + x, 50 + both - x) - betaln(50, 50) + both * math.log(2)
    return min(1.0, math.exp(-float(evidence)))


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except Exception:  # noqa: BLE001 - whatever keeps a package from being imported, it is no peer here
        return None


def _tell(benchmark: BenchmarkFixture, tell: Tell, unit: tuple[str, float], target: float | None) -> None:
    """Record the median in the unit of the target."""
    if benchmark.stats is None:  # --benchmark-disable
        return
    name, factor = unit
    found = benchmark.stats.stats.median * factor
    benchmark.extra_info.update(unit=name, found=found, target=target)
    wanted = "" if target is None else f", target {target:g}: {'met' if found <= target else 'MISSED'}"
    tell(f"{benchmark.name.removeprefix('test_'):<36}{found:>8.3g} {name}{wanted}")


def as_row(pair: MetricPair) -> Pair:
    """Give what a watch is fed with: it knows itself what is asked."""
    metric = cj.Metric(name="m", kind=pair.kind, direction="increase")
    return row_of(pair, metric, ErrorRates(0.01, 0.05))


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
    tell(f"{'':<36}{ours / theirs:>8.3g} x {peer} ({theirs:.3g} s)")
