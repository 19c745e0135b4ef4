"""The intervals of objectives: how often each bound misses the truth, and how wide they are beside the exact ones.

    python benchmarks/objective_intervals.py [--runs N] [--seed N]

Ratios: errors of 0.1 % at 1,000 to 1,000,000 requests, and rarer ones, by adding up binomial probabilities: no simulation, so the
figures are exact. `exact` is Clopper and Pearson's interval, `score` Wilson's as this library takes it (never finer than the exact
one), `Wilson` the same unguarded.

Percentiles: the 99th of lognormal latencies, independent requests. Beside the interval of canaryjudge, which allows for requests that
resemble their neighbors, stands the exact one by order statistics, which takes them as independent. From buckets the interval's ends
are edges, and it is compared with the exact one of the same requests.

Changes: the canary's limit is exactly where it lies. Levels are those of one end. Everything is seeded.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from scipy.special import ndtri
from scipy.stats import binom
from tables import grid

from canaryjudge import Metric, Slo
from canaryjudge.data import Arm, MetricPair, row_of
from canaryjudge.rules import ErrorRates
from canaryjudge.rules.aggregates import Aggregate, measure
from canaryjudge.rules.changes import Limit, compare
from canaryjudge.rules.slo import aggregate_of
from canaryjudge.stats.proportions import proportion_bounds, score_bounds, wilson_bounds

_LEVELS = (0.05, 0.01)
_EDGES = np.array([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, np.inf])
"""The twelve buckets of Prometheus's clients."""
_SIGMA = 0.8
_METHODS: dict[str, Callable[..., object]] = {
    "exact": proportion_bounds,
    "score": score_bounds,
    "Wilson": wilson_bounds,
}


def ratios() -> list[list[str]]:
    """Add up how often each bound of a ratio misses it, and how wide the interval is on average."""
    rows = []
    for requests, share in [
        (1_000, 0.001),
        (10_000, 0.001),
        (100_000, 0.001),
        (1_000_000, 0.001),
        (1_000, 0.0001),
        (100_000, 0.000003),
    ]:
        x = np.arange(binom.ppf(1e-13, requests, share), binom.ppf(1 - 1e-13, requests, share) + 1)
        chance = binom.pmf(x, requests, share)
        for level in _LEVELS:
            row = [f"{requests:,}", f"{100 * share:g} %", f"{100 * level:g} %"]
            widths = {}
            for name, bounds in _METHODS.items():
                found = bounds(x, requests, level)
                low, high = chance[found.low > share].sum(), chance[found.high < share].sum()
                widths[name] = float((chance * (found.high - found.low)).sum())
                row.append(f"{100 * low:.2f} / {100 * high:.2f} %")
            row += [f"{100 * widths['exact']:.3g} %", f"{widths['score'] / widths['exact']:.3f}"]
            rows.append(row)
    return rows


def percentiles(rng: np.random.Generator, runs: int) -> list[list[str]]:
    """Count how often each bound of a percentile misses it, from requests and from buckets."""
    rows = []
    truth = float(np.exp(_SIGMA * ndtri(0.99)) * 0.08)
    for requests in (200, 1_000, 10_000, 100_000):
        size = runs if requests < 100_000 else max(1, runs // 5)
        wrong, found = np.zeros((3, 2, 2)), np.zeros((3, 2, size))
        for run in range(size):
            latencies = 0.08 * np.exp(_SIGMA * rng.normal(size=requests))
            arm = _bucketed(latencies)
            ask = {
                kind: measure(one, Aggregate("p99", 0.99, None, kind, _EDGES, score=False))
                for kind, one in (("samples", Arm(latencies)), ("histogram", arm))
            }
            for i, level in enumerate(_LEVELS):
                ends = (
                    ask["samples"].bounds(level),
                    _order_statistics(latencies, 0.99, level),
                    ask["histogram"].bounds(level),
                )
                for method, (low, high) in enumerate(ends):
                    wrong[method, i] += low > truth, high < truth
                    found[method, i, run] = high - low
        for i, level in enumerate(_LEVELS):
            own, exact, buckets = (
                f"{100 * wrong[m, i, 0] / size:.1f} / {100 * wrong[m, i, 1] / size:.1f} %" for m in range(3)
            )
            rows.append(
                [
                    f"{requests:,}",
                    f"{100 * level:g} %",
                    own,
                    exact,
                    buckets,
                    *(_width(np.median(found[m, i])) for m in (0, 1, 2)),
                ]
            )
    return rows


def _order_statistics(values: np.ndarray, q: float, level: float) -> tuple[float, float]:
    """Bound a quantile of independent values, exactly."""
    ranked = np.concatenate([[-np.inf], np.sort(values), [np.inf]])
    low, high = (int(binom.ppf(at, len(values), q)) for at in (level, 1 - level))
    return float(ranked[low]), float(ranked[high + 1])


def _bucketed(latencies: np.ndarray) -> Arm:
    """Count latencies in buckets, in twenty intervals."""
    index = np.searchsorted(_EDGES, latencies)
    rows = np.stack([np.bincount(part, minlength=len(_EDGES)) for part in np.array_split(index, 20)])
    return Arm(rows.sum(axis=1).astype(float), buckets=rows.astype(float))


def _width(width: float) -> str:
    return "unbounded" if np.isinf(width) else f"{width:.3f} s"


def changes(rng: np.random.Generator, runs: int) -> list[list[str]]:
    """Count how often a canary exactly at its limit fails, and passes."""
    cases: list[tuple[str, Slo, Callable[[], MetricPair]]] = [
        (
            "mean of 60 v. 60 points, <= +10 %",
            Slo(of="mean", op="lte", change="+10%"),
            lambda: _pair("gauge", rng.normal(100, 5, 60), 1.1 * rng.normal(100, 5, 60)),
        ),
        (
            "p99 of 2,000 v. 18,000 requests, <= +10 %",
            Slo(of="p99", op="lte", change="+10%"),
            lambda: _pair("samples", rng.lognormal(0, _SIGMA, 18_000), 1.1 * rng.lognormal(0, _SIGMA, 2_000)),
        ),
        (
            "errors .5 % v. .75 %, 12,000 v. 108,000 requests, <= +50 %",
            Slo(of="pooled", op="lte", change="+50%"),
            lambda: _pair(
                "ratio", rng.binomial(1_800, 0.005, 60), rng.binomial(200, 0.0075, 60), totals=(1_800, 200)
            ),
        ),
        (
            "the same, <= +50 % or +0.25 percentage points",
            Slo(of="pooled", op="lte", change={"relative": "+50%", "absolute": "0.25%"}),
            lambda: _pair(
                "ratio", rng.binomial(1_800, 0.005, 60), rng.binomial(200, 0.0075, 60), totals=(1_800, 200)
            ),
        ),
        (
            "share within 1, 300 v. 3,000 requests, >= -3 percentage points",
            Slo(of="within", bound=1, op="gte", change={"absolute": "-3%"}),
            lambda: _pair(
                "samples", rng.normal(size=3_000) + 1 - ndtri(0.95), rng.normal(size=300) + 1 - ndtri(0.92)
            ),
        ),
    ]
    rows = []
    for name, rule, draw in cases:
        pvalues = np.array([_pvalues(draw(), rule) for _ in range(runs)])
        rows.append(
            [
                name,
                *(
                    f"{100 * np.mean(pvalues[:, side] <= level):.2f} %"
                    for level in _LEVELS
                    for side in (0, 1)
                ),
            ]
        )
    return rows


def _pair(
    kind: str, baseline: np.ndarray, canary: np.ndarray, totals: tuple[int, int] | None = None
) -> MetricPair:
    arms = [
        Arm(values.astype(float), None if totals is None else np.full(len(values), float(totals[i])))
        for i, values in enumerate((baseline, canary))
    ]
    return MetricPair("m", kind, *arms)


def _pvalues(pair: MetricPair, rule: Slo) -> tuple[float, float]:
    metric = Metric(name="m", kind=pair.kind, direction="increase", rules=[rule])
    row = row_of(pair, metric, ErrorRates(0.01, 0.05))
    question = aggregate_of(row, rule.in_unit_of(metric))
    limit = Limit(*rule.parts(rule.change, metric), upward=rule.op in ("lt", "lte"))
    found = compare(row, question, measure(pair.canary, question), measure(pair.baseline, question))
    both = found.pvalues(limit, 0.05)
    pair_of = float(both.greater), float(both.less)
    return pair_of if limit.upward else pair_of[::-1]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000, help="simulated releases a row")
    parser.add_argument("--seed", type=int, default=20260305)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    methods = [f"{name} misses\nlow / high" for name in _METHODS]
    print(
        grid(
            "Ratios, by adding up",
            ["requests", "ratio", "level", *methods, "width of\nexact", "score\n/ exact"],
            ratios(),
        )
    )
    methods = ["canaryjudge", "order\nstatistics", "12 buckets"]
    heads = [
        "requests",
        "level",
        *(f"{name}\nmisses low / high" for name in methods),
        *(f"{name}\nwidth" for name in methods),
    ]
    print(grid("\n99th percentile", heads, percentiles(rng, options.runs)))
    heads = [
        "a canary exactly at its limit",
        *(f"{what} at\n{level:.0%}" for level in _LEVELS for what in ("fails", "passes")),
    ]
    print(grid("\nRelative to the baseline", heads, changes(rng, options.runs)))


if __name__ == "__main__":
    main()
