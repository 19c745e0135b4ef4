"""Ratios and counts under watch: steady traffic, other splits, bursts."""

from __future__ import annotations

import numpy as np
import sequential_peers as peers
from numpy.typing import NDArray
from sequential_engines import Decisions, Traffic, mixture
from sequential_report import ALPHA, BETA, Report, agreeing, count, facts_of, summed, three
from tables import grid

import canaryjudge as cj
from canaryjudge.stats.dispersion import pooled_dispersion

__all__ = ["steady", "watch_counts"]

_ABSOLUTE = 0.0002
"""The tolerated difference of a ratio where the policy states none: .02 points."""

FloatArray = NDArray[np.float64]


def steady(name: str, baseline: float, canary: float, errors: float = 0.01, intervals: int = 180) -> Traffic:
    """Give traffic that never changes."""
    return Traffic(name, np.full(intervals, baseline), np.full(intervals, canary), errors)


_SHARES = np.repeat([0.01, 0.05, 0.25, 0.5], 30)
_TRAFFICS = (
    steady("95/5, 1 % errors", 19_000.0, 1000.0),
    steady("95/5, .1 % errors", 19_000.0, 1000.0, 0.001),
    steady("low, 1 % errors", 50.0, 50.0, intervals=360),
    Traffic("ramp, 1 % errors", 2000 * (1 - _SHARES), 2000 * _SHARES),
)
_SHOWN = {
    "monitor": "Monitor, ratio",
    "ratio": "engine, ratio",
    "count": "engine, count",
    "naive": "z at every look",
    "beta": "beta mixture",
    "fixed": "z at the end",
}
_HEADS = {name: f"{head}\n fail  pass  med" for name, head in _SHOWN.items()}
_NOTES = (
    "Percent of runs failed and passed, and the median of intervals to decide; x: the true ratio. ratio: kind ratio, relative tolerance, so",
    ".02 points are tolerated as well. count: kind count, or kind ratio with `absolute: 0`. Both state `dispersion: 1.0`. Naive z, the beta",
    "mixture (Lindon and Malek 2022, two-sided, k = 100) and the z test at the end know of neither. All ask about the tolerated ratio.",
)


def watch_counts(report: Report) -> None:
    """Show tolerances and true ratios, other traffic, and bursts."""
    rng = np.random.default_rng(1)
    traffic = steady("", 1000.0, 1000.0)
    rows, shown, agreed = [], [], []
    for tolerance in (0.1, 0.25, 0.5):
        for ratio in sorted({1.0, 1.25, 1.5, 2.0, 3.0, 1 + tolerance}):
            found, same = _compared(report, rng, traffic, tolerance, ratio)
            agreed.append(same)
            shown.append([f"{tolerance:.0%}, x{ratio:g}", *(three(found[name], 180) for name in _SHOWN)])
            rows.append(
                {"tolerance": tolerance, "ratio": ratio}
                | {name: facts_of(one) for name, one in found.items()}
            )
            for key in ("ratio", "count"):
                _count_targets(report, tolerance, ratio, key, found[key])
        shown.append([])
    title = f"a. Ratios and counts: 1,000 requests an arm and interval, 1 % errors, {report.runs:,} runs, {report.public} through the Monitor"
    notes = (*_NOTES, f"Monitor and engine decide alike, and at the same look, in {summed(agreed)} runs.")
    report.show("counts", grid(title, ["tolerance", *_HEADS.values()], shown[:-1], notes), rows)
    _other_traffic(report, rng)
    _bursts(report, rng)


def _count_targets(report: Report, tolerance: float, ratio: float, key: str, found: Decisions) -> None:
    most = {(0.1, 2.0): 3, (0.5, 2.0): 12, (0.5, 3.0): 3, (0.5, 1.0): 8, (0.25, 1.0): 26}.get(
        (tolerance, ratio)
    )
    if most is not None:
        verb = "passed" if ratio == 1 else "failed"
        report.want_delay(f"{key}, tolerance {tolerance:.0%}: ratio {ratio:g} {verb} in", most, found)
    if ratio == 1 + tolerance:
        where = f"{key}, tolerance {tolerance:.0%}: %"
        report.want_rate(f"{where} failed at the tolerance", 100 * ALPHA, found.outcome < 0)
        if key == "count":
            report.want_rate(f"{where} passed at the tolerance", 100 * BETA, found.outcome > 0)


def _compared(
    report: Report, rng: np.random.Generator, traffic: Traffic, tolerance: float, ratio: float
) -> tuple[dict[str, Decisions | None], tuple[int, int]]:
    events = traffic.counts(rng, ratio, report.runs)
    found: dict[str, Decisions | None] = {
        "monitor": _monitored((events[0][: report.public], events[1][: report.public]), traffic, tolerance),
        "ratio": mixture(events, traffic, tolerance, absolute=_ABSOLUTE),
        "count": mixture(events, traffic, tolerance),
        "naive": peers.naive_z(events, traffic, tolerance),
        "beta": peers.beta_mixture(events, traffic, tolerance),
        "fixed": peers.fixed_window(events, traffic, tolerance),
    }
    return found, agreeing(found["monitor"], found["ratio"].first(report.public))


def _monitored(events: tuple[FloatArray, FloatArray], traffic: Traffic, tolerance: float) -> Decisions:
    """Feed Monitors interval by interval, and ask after each; the first decision ends a watch."""
    metric = cj.Metric(
        name="errors", kind="ratio", direction="increase", tolerance=f"{tolerance:.0%}", dispersion=1.0
    )
    policy = cj.Policy(alpha=ALPHA, beta=BETA, metrics=[metric])
    outcome, after = np.zeros(len(events[0]), dtype=np.int64), np.full(len(events[0]), np.inf)
    for run, (x_b, x_c) in enumerate(zip(*events, strict=True)):
        monitor = cj.Monitor(policy)
        for t in range(traffic.intervals):
            arms = {"baseline": (x_b[t], traffic.baseline[t]), "canary": (x_c[t], traffic.canary[t])}
            monitor.update(
                {
                    "errors": {
                        arm: {"time": [10.0 * t], "value": [value], "total": [total]}
                        for arm, (value, total) in arms.items()
                    }
                }
            )
            said = monitor.verdict().outcome
            if said != "marginal":
                outcome[run], after[run] = (-1 if said == "fail" else 1), t + 1
                break
    return Decisions(outcome, after)


def _other_traffic(report: Report, rng: np.random.Generator) -> None:
    rows, shown, agreed = [], [], []
    smaller = Report(max(report.runs // 2, 20))
    names = [name for name in _SHOWN if name != "fixed"]
    for traffic in _TRAFFICS:
        tolerance = 1.0 if traffic.intervals == 360 else 0.5
        for ratio in (1.0, 1 + tolerance, 3.0 if tolerance == 1 else 2.0):
            found, same = _compared(smaller, rng, traffic, tolerance, ratio)
            agreed.append(same)
            cells = [three(found[name], traffic.intervals) for name in names]
            shown.append([f"{traffic.name}, x{ratio:g}", *cells])
            rows.append(
                {"traffic": traffic.name, "tolerance": tolerance, "ratio": ratio}
                | {name: facts_of(one) for name, one in found.items()}
            )
    title = f"a. Other traffic: tolerance 50 % (100 % at low traffic), {smaller.runs:,} runs, {smaller.public} through the Monitor"
    notes = (
        "95/5: 19,000 and 1,000 requests an interval. low: 50 an arm, 360 intervals. ramp: 1, 5, 25 and 50 % of 2,000 requests, 30 intervals each;",
        "the beta mixture has no answer where the split changes.",
        f"Monitor and engine decide alike, and at the same look, in {summed(agreed)} runs.",
    )
    report.show(
        "traffic", grid(title, ["traffic, truth", *(_HEADS[name] for name in names)], shown, notes), rows
    )


def _bursts(report: Report, rng: np.random.Generator) -> None:
    """Show counts of variance phi times the mean, at the tolerated ratio and at twice and three times the baseline's rate."""
    tolerance, intervals, runs = 0.1, 180, report.runs
    traffic = steady("", 1.0, 1.0, intervals=intervals)
    names = {
        "stated": "stated",
        "history": "history of 60",
        "unknown": "not stated",
        "calm": "stated as 1.0",
        "beta": "beta mixture",
        "naive": "z at every look",
    }
    rows, shown = [], []
    for mean, phi in ((10.0, 1.0), (10.0, 2.0), (10.0, 5.0), (2.0, 2.0), (2.0, 5.0)):
        found: dict[float, dict[str, Decisions]] = {}
        for ratio in (1 + tolerance, 2.0, 3.0):
            events = (
                _bursty(rng, mean, phi, (runs, intervals)),
                _bursty(rng, ratio * mean, phi, (runs, intervals)),
            )
            past = [_bursty(rng, mean, phi, (runs, 60)) for _ in range(2)]
            alone = np.ones(60)
            learned = pooled_dispersion(past[0], alone, past[1], alone, concurrent=True, family="poisson")
            beta = peers.beta_mixture(events, traffic, tolerance)
            assert beta is not None  # noqa: S101 - the split is steady
            found[ratio] = {
                "stated": mixture(events, traffic, tolerance, stated=phi),
                "history": mixture(events, traffic, tolerance, stated=np.asarray(learned.factor)),
                "unknown": mixture(events, traffic, tolerance, stated=None),
                "calm": mixture(events, traffic, tolerance, stated=1.0),
                "beta": beta,
                "naive": peers.naive_z(events, traffic, tolerance),
            }
        cells = []
        for name in names:
            null = found[1 + tolerance][name]
            delays = [count(found[ratio][name].median, intervals) for ratio in (2.0, 3.0)]
            cells.append(f"{null.failed:>5.1f}{delays[0]:>5}{delays[1]:>5}")
            rows.append(
                {"mean": mean, "phi": phi, "method": name}
                | {str(ratio): facts_of(by_name[name]) for ratio, by_name in found.items()}
            )
        shown.append([f"mean {mean:g}, phi {phi:g}", *cells])
        if mean >= 10:
            failed = found[1 + tolerance]["history"].outcome < 0
            report.want_rate(f"bursts, mean {mean:g}, phi {phi:g}, with history: % false fails", 7.5, failed)
    heads = ["counts", *(f"{name}\n fail  x 2  x 3" for name in names.values())]
    notes = (
        "Percent failed where the true ratio is the tolerated 1.1, and the median intervals until twice and three times the rate is failed (or",
        "passed). The first four are canaryjudge, by what is known of the dispersion.",
    )
    title = f"a. Bursty counts: variance phi times the mean, tolerance 10 %, 180 looks, {runs:,} runs"
    report.show("bursts", grid(title, heads, shown, notes), rows)


def _bursty(rng: np.random.Generator, mean: float, phi: float, shape: tuple[int, int]) -> FloatArray:
    means = np.full(shape, mean) if phi == 1 else rng.gamma(mean / (phi - 1), phi - 1, shape)
    return rng.poisson(means).astype(np.float64)
