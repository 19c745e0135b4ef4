"""Histograms beside the samples they were made of: verdicts on recorded latencies, sizes and power, intervals, and speed.

``python benchmarks/histograms.py`` prints all tables (some minutes); ``--only recorded|sizes|widths|speed`` one of them. The recorded
latencies are read from ``../shared/data/dev``, or from ``--corpus``, and skipped, saying so, where they are not.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from corpus import Case, load_cases
from numpy.typing import NDArray
from scipy import stats
from tables import grid

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair, read_pairs, row_of
from canaryjudge.rules import ErrorRates, judge_pair
from canaryjudge.stats.bucket_distributions import BucketBands
from canaryjudge.stats.bucket_rank_test import bucket_shift_test
from canaryjudge.stats.rank_test import shift_test

FloatArray = NDArray[np.float64]

_CORPUS = Path(__file__).resolve().parents[2] / "shared" / "data" / "dev"
_BUCKETS = 20
_RATES = ErrorRates(level=0.01, beta=0.05)
_PROMETHEUS = np.array([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, np.inf])


def _policy(kind: str, unit: str = "us") -> cj.Policy:
    return cj.Policy(metrics=[cj.Metric(name="latency", kind=kind, unit=unit, direction="increase")])


def _log_edges(values: FloatArray, buckets: int = _BUCKETS) -> FloatArray:
    """Space the edges evenly in the logarithm, from the .1 % to the 99.9 % quantile."""
    low, high = np.quantile(values, [0.001, 0.999])
    return np.append(np.geomspace(low, high, buckets - 1), np.inf)


def _even_edges(values: FloatArray, buckets: int = _BUCKETS) -> FloatArray:
    """Give each bucket the same share of the values."""
    return np.append(np.unique(np.quantile(values, np.linspace(0.02, 0.98, buckets - 1))), np.inf)


def _counts(parts: list[FloatArray], edges: FloatArray) -> FloatArray:
    counted = [np.bincount(np.searchsorted(edges, part), minlength=len(edges)) for part in parts]
    return np.array(counted, dtype=np.float64)


def _cut(values: FloatArray, intervals: int | None) -> list[FloatArray]:
    """Cut the requests into consecutive intervals; None makes each an interval of its own."""
    return np.array_split(values, len(values) if intervals is None else min(intervals, len(values)))


def recorded(folder: Path) -> None:
    """Judge each recorded pair as samples, and as 20-bucket histograms of several numbers of intervals."""
    if not folder.is_dir():
        print(f"recorded latencies: skipped, there is no {folder}\n")
        return
    cases, _ = load_cases(folder, ("rawlat",))
    rows, notes = [], []
    for label, intervals, layout in (
        ("20 intervals", 20, _log_edges),
        ("60 intervals", 60, _log_edges),
        ("1 interval", 1, _log_edges),
        ("an interval a request", None, _log_edges),
        ("20 intervals, even buckets", 20, _even_edges),
        ("an interval a request, even buckets", None, _even_edges),
    ):
        found = [_both_ways(case, intervals, layout) for case in cases]
        same = sum(samples.outcome == histogram.outcome for samples, histogram in found)
        failing = [
            (case.healthy, samples.outcome == "fail", histogram.outcome == "fail")
            for case, (samples, histogram) in zip(cases, found, strict=True)
        ]
        faults = sum(not healthy for healthy, _, _ in failing)
        rows.append(
            [
                label,
                *(f"{sum(not each[0] and each[which] for each in failing)} of {faults}" for which in (1, 2)),
                *(str(sum(each[0] and each[which] for each in failing)) for which in (1, 2)),
                f"{100 * same / len(cases):.1f} %",
                f"{100 * sum(one == other for _, one, other in failing) / len(cases):.1f} %",
            ]
        )
        if not rows[:-1]:
            notes = _disagreements(cases, found)
    heads = [
        "cut into",
        "faults found:\nsamples",
        "histograms",
        "healthy failed:\nsamples",
        "histograms",
        "same\noutcome",
        "same\nfail or not",
    ]
    title = f"Recorded request latencies, {len(cases)} pairs: samples (mann_whitney) v. {_BUCKETS} buckets; tolerance 10 %, alpha 1 %, beta 5 %"
    print(grid(title, heads, rows, notes))


def _both_ways(
    case: Case, intervals: int | None, layout: Callable[[FloatArray], FloatArray]
) -> tuple[cj.Verdict, cj.Verdict]:
    arms = [values[:, 0][np.isfinite(values[:, 0])] for values in (case.baseline, case.canary)]
    edges = layout(arms[0])
    names = ("baseline", "canary")
    histograms = {
        name: {"edges": edges, "buckets": _counts(_cut(values, intervals), edges)}
        for name, values in zip(names, arms, strict=True)
    }
    samples = cj.judge({"latency": dict(zip(names, arms, strict=True))}, _policy("samples"))
    return samples, cj.judge({"latency": histograms}, _policy("histogram"))


def _disagreements(cases: list[Case], found: list[tuple[cj.Verdict, cj.Verdict]]) -> list[str]:
    """List how the outcomes differ, and each pair that fails one way only."""
    changes = Counter(
        (samples.outcome.value, histogram.outcome.value)
        for samples, histogram in found
        if samples.outcome != histogram.outcome
    )
    lines = ["Of 20 intervals, outcomes that differ (samples -> histograms):"]
    lines += [f"  {samples} -> {histogram}: {n}" for (samples, histogram), n in changes.most_common()]
    for case, (samples, histogram) in zip(cases, found, strict=True):
        if (samples.outcome == "fail") != (histogram.outcome == "fail"):
            lines += [
                f"  {case.case_id}: {samples.reason}",
                f"  {'':<{len(case.case_id)}}  {histogram.reason}",
            ]
    return lines


_SHAPES: dict[str, Callable[[np.random.Generator, Any], FloatArray]] = {
    "lognormal, log-sd .5": lambda rng, size: 0.1 * np.exp(0.5 * rng.standard_normal(size)),
    "gamma, shape 2": lambda rng, size: 0.06 * rng.standard_gamma(2, size),
    "Weibull, shape 1.5": lambda rng, size: 0.12 * rng.weibull(1.5, size),
    "two peaks": lambda rng, size: (
        np.where(rng.random(size) < 0.6, 0.08, 0.3) * np.exp(0.27 * rng.standard_normal(size))
    ),
}


def sizes(runs: int) -> None:
    """Print false fails and false passes right at the tolerance, and power, beside the test of the raw samples."""
    rows = []
    for name, draw in _SHAPES.items():
        rng = np.random.default_rng(1)
        long = draw(rng, 1_000_000)
        middle = float(np.median(long))
        layouts = {"20": _log_edges(long), "12": _log_edges(long, 12), "Prometheus": _PROMETHEUS}
        outcomes: dict[tuple[str, str], Counter[str]] = {}
        for shift in (0.1, 0.0, 0.25, 0.5):
            for _ in range(runs):
                baseline, canary = draw(rng, (30, 60)), draw(rng, (30, 60)) + shift * middle
                for layout, outcome in _outcomes(baseline, canary, layouts).items():
                    outcomes.setdefault((layout, f"{shift:g}"), Counter())[outcome] += 1
        for layout in ("samples", *layouts):
            at, none, *far = (outcomes[layout, shift] for shift in ("0.1", "0", "0.25", "0.5"))
            shares = at["fail"], at["pass"], none["pass"], *(each["fail"] for each in far)
            rows.append(
                [
                    name if layout == "samples" else "",
                    layout,
                    *(f"{100 * share / runs:.1f} %" for share in shares),
                ]
            )
        rows.append([])
    heads = [
        "values",
        "judged as",
        "at the tolerance:\nfail",
        "pass",
        "no change:\npass",
        "+25 %:\nfail",
        "+50 %:\nfail",
    ]
    title = f"Sizes and power: 30 intervals of 60 requests, shift of the canary's values, tolerance 10 %, alpha 1 %, beta 5 %, {runs} runs"
    print(grid(title, heads, rows[:-1]))


def _outcomes(baseline: FloatArray, canary: FloatArray, layouts: dict[str, FloatArray]) -> dict[str, str]:
    metric = cj.Metric(name="latency", kind="samples", direction="increase")
    pair = MetricPair("latency", "samples", Arm(baseline.ravel()), Arm(canary.ravel()))
    found = {"samples": judge_pair(row_of(pair, metric, _RATES), cj.MannWhitney()).outcome.value}
    metric = cj.Metric(name="latency", kind="histogram", direction="increase")
    for name, edges in layouts.items():
        arms = []
        for values in (baseline, canary):
            counts = _counts(list(values), edges)
            arms.append(Arm(counts.sum(axis=1), buckets=counts))
        pair = MetricPair("latency", "histogram", *arms, edges=edges)
        found[name] = judge_pair(row_of(pair, metric, _RATES), cj.MannWhitney()).outcome.value
    return found


def widths() -> None:
    """Print the width of the interval of the shift, beside that of the samples' test on the same requests, and what buckets alone leave open."""
    rows = []
    for requests in (200, 1000, 10_000, 100_000):
        for buckets in (12, 20, 60):
            found = np.array([_widths(np.random.default_rng(seed), requests, buckets) for seed in range(20)])
            samples, histogram, left_open, exact = np.median(found, axis=0)
            rows.append(
                [
                    f"{requests:,}",
                    str(buckets),
                    f"{100 * exact:.2f}",
                    f"{100 * samples:.2f}",
                    f"{100 * histogram:.2f}",
                    f"{100 * left_open:.2f}",
                ]
            )
    heads = [
        "requests an arm",
        "buckets",
        "exact\n(asymptotic)",
        "samples",
        "histogram",
        "left open\nby the buckets",
    ]
    title = "Width of the 90 % interval of the shift, in percent of the median: lognormal, log-sd .5, single histograms, 20 runs"
    print(grid(title, heads, rows))


def _widths(rng: np.random.Generator, requests: int, buckets: int) -> tuple[float, float, float, float]:

    arms = np.exp(0.5 * rng.standard_normal((2, requests)))
    edges = _log_edges(arms[0], buckets)
    counts = [_counts([arm], edges) for arm in arms]
    found = bucket_shift_test(
        BucketBands(edges, *(each[0] for each in counts)), *counts, [0.0], levels=[0.05]
    )
    samples = shift_test(arms[0], arms[1], [0.0], levels=[0.05])
    # the standard error of the Hodges-Lehmann shift is sqrt(1/12 (1/n + 1/m)) over the integral of the squared density
    density = np.exp(0.5**2 / 4) / (2 * 0.5 * np.sqrt(np.pi))
    exact = 2 * stats.norm.isf(0.05) * np.sqrt(2 / (12 * requests)) / density
    return (
        float(samples.high[0, 0] - samples.low[0, 0]),
        float(found.high[0, 0] - found.low[0, 0]),
        found.open_high - found.open_low,
        float(exact),
    )


def speed() -> None:
    """Print how long an hour of 100,000 requests a second takes, from arrays to the verdict."""
    rng = np.random.default_rng(3)
    edges = np.append(np.geomspace(0.01, 2, _BUCKETS - 1), np.inf)
    shares = np.diff(stats.lognorm(0.6, scale=0.1).cdf(edges), prepend=0.0)
    times = 1_767_225_600.0 + 10 * np.arange(360)
    data = {
        "latency": {
            arm: {
                "edges": edges,
                "buckets": rng.multinomial(1_000_000, shares, size=360).astype(float),
                "time": times,
            }
            for arm in ("baseline", "canary")
        }
    }
    policy = _policy("histogram", "s")
    pair = read_pairs(data, policy, baseline="baseline", canary="canary")["latency"]
    metric = policy.metrics[0]
    parts: dict[str, Callable[[], object]] = {
        "cj.judge, arrays to verdict": lambda: cj.judge(data, policy),
        "of which reading the arrays": lambda: read_pairs(data, policy, baseline="baseline", canary="canary"),
        "of which the rule": lambda: judge_pair(row_of(pair, metric, _RATES), cj.MannWhitney()),
    }
    rows = []
    for name, run in parts.items():
        run()
        taken = sorted(_seconds(run) for _ in range(100))
        rows.append([name, f"{1000 * median(taken):.2f} ms", f"{1000 * taken[0]:.2f} ms"])
    title = "100,000 requests a second for an hour: 360 intervals x 20 buckets x 2 arms, 100 rounds"
    print(grid(title, ["", "median", "fastest"], rows))


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=("recorded", "sizes", "widths", "speed"))
    parser.add_argument("--corpus", type=Path, default=_CORPUS)
    parser.add_argument("--runs", type=int, default=1000)
    options = parser.parse_args()
    tables: dict[str, Callable[[], None]] = {
        "recorded": lambda: recorded(options.corpus),
        "sizes": lambda: sizes(options.runs),
        "widths": widths,
        "speed": speed,
    }
    for name, show in tables.items():
        if options.only in (None, name):
            show()


if __name__ == "__main__":
    main()
