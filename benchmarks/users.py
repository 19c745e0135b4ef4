"""Users of A/B tests: how often intervals hold what they should, what is gained by what was known before, what looking costs, the same example beside tea-tasting, and a million users.

    python benchmarks/users.py [--runs N] [--seed N]

Worlds: clicks of users who have 1 to 200 views each and a rate of their own; revenue of users of whom 5 % buy for a log-normal amount; conversions of 5 %. Nothing differs between the arms. `naive` takes every view as independent, `textbook` is the
delta method on the logarithm of the ratio with Welch's t, as tea-tasting has it, and `ours` the same with its allowance for skewness. The comparison with tea-tasting, on the data that it makes up for its documentation, needs it: ``pip install tea-tasting``.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import resource
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tables import grid

import canaryjudge as cj
from canaryjudge.stats.cluster_quantiles import cluster_parts
from canaryjudge.stats.ratio_of_means import MeansComparison, UserMoments, compare_means

FloatArray = NDArray[np.float64]
_LEVEL = 0.025
_SIZES = ((200, 200), (2000, 2000), (1900, 100))
_PEEKS, _EACH = 20, 1000


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Users of A/B tests.")
    parser.add_argument("--runs", type=int, default=2000, metavar="N", help="runs a row (default: 2000)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the simulation (default: 1)")
    options = parser.parse_args(arguments)
    _million(options.seed)
    _coverage(options.runs, options.seed)
    _percentiles(max(options.runs // 5, 1), options.seed)
    _known_before(options.seed)
    _looks(max(options.runs // 10, 1), options.seed)
    _beside_tea_tasting(options.seed)
    return 0


def _clicks(rng: np.random.Generator, size: int) -> tuple[FloatArray, FloatArray | None]:
    views = np.floor(np.exp(rng.uniform(0, np.log(201), size))).clip(1, 200)
    return rng.binomial(views.astype(int), rng.beta(1, 4, size)).astype(float), views


def _revenue(rng: np.random.Generator, size: int) -> tuple[FloatArray, FloatArray | None]:
    return (rng.random(size) < 0.05) * rng.lognormal(3, 1, size), None


def _conversions(rng: np.random.Generator, size: int) -> tuple[FloatArray, FloatArray | None]:
    return (rng.random(size) < 0.05) * 1.0, None


_WORLDS: dict[str, Callable[..., tuple[FloatArray, FloatArray | None]]] = {
    "clicks": _clicks,
    "revenue": _revenue,
    "conversions": _conversions,
}


def _compared(baseline: UserMoments, canary: UserMoments, *, adjust: bool = True) -> MeansComparison:
    found = compare_means(baseline, canary, adjust=adjust)
    if found is None:
        raise ValueError("an arm has no total")
    return found


def _coverage(runs: int, seed: int) -> None:
    rows = []
    for name, draw in _WORLDS.items():
        for sizes in _SIZES:
            rng, kept = np.random.default_rng(seed), np.zeros((runs, 3))
            for run in range(runs):
                arms = [draw(rng, size) for size in sizes]
                found = _compared(*(UserMoments.of(*arm) for arm in arms))
                if not found.on_logarithms:
                    kept[run] = math.nan  # nobody buys: nothing is said
                    continue
                both = [each.bounds(_LEVEL, absolute=False) for each in (found.without_allowance(), found)]
                kept[run] = [_naive(arms), *(low <= 0 <= high for low, high in both)]
            shares = [float(np.nanmean(own)) if np.isfinite(own).any() else math.nan for own in kept.T]
            rows.append(
                [
                    name,
                    f"{sizes[0]:,} v. {sizes[1]:,}",
                    *("" if math.isnan(share) else f"{100 * share:.1f} %" for share in shares),
                ]
            )
    heads = ["world", "users", "naive", "textbook", "ours"]
    print(grid(f"How often a 95 % interval holds the truth ({runs} runs)", heads, rows))


def _naive(arms: Sequence[tuple[FloatArray, FloatArray | None]]) -> float:
    """Tell whether the interval holds the truth that takes every view, or every user, as independent."""
    events = [(value.sum(), value.size if total is None else total.sum()) for value, total in arms]
    if arms[0][1] is None and any(value.max() > 1 for value, _ in arms):
        return math.nan
    spread = math.sqrt(sum(1 / hits - 1 / of for hits, of in events))
    return float(abs(math.log(events[1][0] / events[1][1] / (events[0][0] / events[0][1]))) <= 1.96 * spread)


def _percentiles(runs: int, seed: int) -> None:
    rows = []
    for p in (0.5, 0.95, 0.99):
        for sizes in ((200, 200), (1000, 100)):
            rng, kept = np.random.default_rng(seed), np.zeros((runs, 2))
            for run in range(runs):
                arms = [_latencies(rng, size) for size in sizes]
                for way in (0, 1):
                    parts = [cluster_parts(x, user if way else np.arange(len(x)), p) for x, user in arms]
                    found = _compared(*map(UserMoments.of, parts))
                    low, high = found.bounds(_LEVEL, absolute=False)
                    kept[run, way] = low <= 0 <= high
            shares = (f"{100 * share:.1f} %" for share in kept.mean(axis=0))
            rows.append([f"p{100 * p:g}", f"{sizes[0]:,} v. {sizes[1]:,}", *shares])
    heads = ["latency", "users", "naive", "ours"]
    print(grid(f"The same of percentiles, of 1 to 200 requests a user ({runs} runs)", heads, rows))


def _latencies(rng: np.random.Generator, size: int) -> tuple[FloatArray, NDArray[np.intp]]:
    counts = np.floor(np.exp(rng.uniform(0, np.log(201), size))).clip(1, 200).astype(int)
    user = np.repeat(np.arange(size), counts)
    return np.exp(rng.normal(0, 0.5, size)[user] + rng.normal(0, 0.4, len(user))), user


def _known_before(seed: int) -> None:
    rows = []
    for rho in (0.3, 0.5, 0.7, 0.9):
        rng = np.random.default_rng(seed)
        arms = []
        for _ in range(2):
            before = rng.normal(10, 2, 20_000)
            value = 10 + rho * (before - 10) + math.sqrt(1 - rho**2) * rng.normal(0, 2, 20_000)
            arms.append(UserMoments.of(value, covariate=before))
        found, plain = _compared(*arms), _compared(*arms, adjust=False)
        widths = [np.ptp(each.bounds(_LEVEL, absolute=False)) for each in (found, plain)]
        rows.append([f"{rho}", f"{widths[0] / widths[1]:.3f}", f"{math.sqrt(1 - rho**2):.3f}"])
    heads = ["correlation", "interval as wide", "sqrt(1 - rho^2)"]
    print(grid("What is known from before (20,000 users an arm)", heads, rows))


def _looks(runs: int, seed: int) -> None:
    rows = []
    for name, draw in _WORLDS.items():
        rng, failed = np.random.default_rng(seed), np.zeros((runs, 2), dtype=bool)
        metric = cj.Metric(name="m", kind="users", direction="decrease", tolerance="0%")
        policy = cj.Policy(alpha=0.05, metrics=[metric])
        for run in range(runs):
            monitor, sums = cj.Monitor(policy), [UserMoments.of([])] * 2
            for _ in range(_PEEKS):
                new = [draw(rng, _EACH // 2) for _ in range(2)]
                arms = zip(("baseline", "canary"), new, strict=True)
                monitor.update({"m": {arm: {"value": value, "total": total} for arm, (value, total) in arms}})
                sums = [known.plus(UserMoments.of(*own)) for known, own in zip(sums, new, strict=True)]
                found = _compared(*sums)
                textbook = found.without_allowance().pvalues(0.0, absolute=False)
                failed[run] |= [monitor.verdict().outcome == "fail", bool(textbook.less <= 0.05)]
        rows.append([name, *(f"{100 * share:.1f} %" for share in failed.mean(axis=0))])
    heads = ["world", "Monitor", "textbook at each look"]
    print(
        grid(
            f"Healthy ones that fail at 5 %, {_PEEKS} looks, {_EACH:,} users apart ({runs} runs)", heads, rows
        ),
        "\n",
    )


def _beside_tea_tasting(seed: int) -> None:
    if importlib.util.find_spec("tea_tasting") is None:
        print("tea-tasting is not installed")
        return
    import tea_tasting as tt  # noqa: PLC0415 - it may not be there

    data = tt.make_users_data(seed=seed, covariates=True)
    columns = {name: data[name].to_numpy() for name in data.column_names}
    rows = []
    for title, own, metric in (
        ("orders a session", ("orders", "sessions"), tt.RatioOfMeans("orders", "sessions")),
        ("and before", ("orders", "sessions", "orders_covariate", "sessions_covariate"), None),
        ("revenue a user", ("revenue", None), tt.Mean("revenue")),
        ("and before", ("revenue", None, "revenue_covariate"), tt.Mean("revenue", "revenue_covariate")),
    ):
        asked = metric or tt.RatioOfMeans(*own)
        theirs = tt.Experiment({"m": asked}).analyze(data)["m"]
        found = _compared(
            *(
                UserMoments.of(
                    *(None if name is None else columns[name][columns["variant"] == arm] for name in own)
                )
                for arm in (0, 1)
            )
        )
        ours = (found.change(absolute=False), *found.without_allowance().bounds(_LEVEL, absolute=False))
        told = theirs.rel_effect_size, theirs.rel_effect_size_ci_lower, theirs.rel_effect_size_ci_upper
        rows.append(
            [
                title,
                *(_triple(each) for each in (told, ours, (ours[0], *found.bounds(_LEVEL, absolute=False)))),
            ]
        )
    heads = ["metric", "tea-tasting", "textbook", "ours"]
    print(
        grid(
            f"The example of tea-tasting {tt.__version__}: {len(columns['variant']):,} users, relative change and 95 % interval",
            heads,
            rows,
        ),
        "\n",
    )


def _triple(numbers: Sequence[float]) -> str:
    return f"{100 * numbers[0]:+.4f} % ({100 * numbers[1]:+.4f} to {100 * numbers[2]:+.4f})"


def _million(seed: int) -> None:
    rng, size = np.random.default_rng(seed), 500_000
    policy = cj.Policy(metrics=[cj.Metric(name="clicks", kind="users", direction="decrease", tolerance="2%")])
    data: dict[str, Any] = {
        arm: {
            "user": np.arange(size),
            "value": rng.gamma(2, 1, size),
            "total": rng.integers(1, 9, size).astype(float),
            "covariate": rng.gamma(2, 1, size),
        }
        for arm in ("baseline", "canary")
    }
    start = time.perf_counter()
    cj.judge({"clicks": data}, policy).to_json()
    took, peak = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"A million users, clicks a session with a covariate: {took:.2f} s, at most {peak / 1024:.0f} MiB in all\n"
    )


if __name__ == "__main__":
    raise SystemExit(main())
