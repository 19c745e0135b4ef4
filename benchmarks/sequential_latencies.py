"""Latencies under watch: independent requests, and requests that share their interval's weather."""

from __future__ import annotations

import math

import numpy as np
import sequential_peers as peers
from numpy.typing import NDArray
from sequential_engines import WATCHED, Decisions, decide, pair_evidence, score_evidence
from sequential_report import ALPHA, BETA, NEEDED, Report, facts_of, summed, two
from tables import grid

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair, question_of, row_of
from canaryjudge.rules import ErrorRates, Pair
from canaryjudge.rules.sequential.betting import RankBettingProcess
from canaryjudge.rules.sequential.interval_scores import RankScoreProcess

__all__ = ["EFFECTS", "PAIRS", "lognormal", "watch_latencies", "watch_shocks"]

PAIRS = 4000
"""Requests an arm at most."""
_STRIDE = 50
_SPREAD = 0.6
EFFECTS = ("", "+5 %", "+10 %", "+20 %", "tail")
"""What changed; tail: 3 % of requests are 5 times slower."""

FloatArray = NDArray[np.float64]


def lognormal(rng: np.random.Generator, effect: str, runs: int) -> tuple[FloatArray, FloatArray]:
    """Draw latencies of both arms, shape (runs, PAIRS)."""
    baseline, canary = np.exp(4 + _SPREAD * rng.standard_normal((2, runs, PAIRS)))
    if effect == "tail":
        return baseline, np.where(rng.random(canary.shape) < 0.03, 5 * canary, canary)
    return baseline, canary * (1 + float(effect.strip("+ %") or 0) / 100)


def watch_latencies(report: Report) -> None:
    """Show independent requests, looked at after every pair."""
    runs, rng = report.public, np.random.default_rng(2)
    methods: dict[str, dict[str, Decisions]] = {}
    agreed = []
    for effect in EFFECTS:
        baseline, canary = lognormal(rng, effect, runs)
        looks = np.arange(1, PAIRS + 1)
        evidence = np.array([pair_evidence(b, c, 0.0, looks) for b, c in zip(baseline, canary, strict=True)])
        ours = decide(evidence >= NEEDED)
        agreed.append(_replayed(baseline, canary, ours))
        z = np.array([peers.wins(b, c) for b, c in zip(baseline, canary, strict=True)])
        bands, quantiles = peers.distribution_bands(baseline, canary, _STRIDE, ALPHA)
        for name, found in {
            "canaryjudge, method ranks": ours,
            "Mann-Whitney after every pair": peers.naive_mann_whitney(z),
            "DKW-type bands (Howard-Ramdas), every 50": bands,
            "quantiles .5 .9 .95 (Howard-Ramdas), every 50": quantiles,
            "asymptotic sequence of the mean": peers.asymptotic_mean(baseline, canary),
            "Mann-Whitney, 16 looks, O'Brien-Fleming": peers.group_sequential(z, "obrien_fleming"),
            "Mann-Whitney, 16 looks, Pocock": peers.group_sequential(z, "pocock"),
        }.items():
            methods.setdefault(name, {})[effect] = found
    rows = [
        {"method": name, "effect": effect or "none"} | facts_of(one)
        for name, found in methods.items()
        for effect, one in found.items()
    ]
    shown = [
        [name, f"{found[''].failed:.1f}", *(two(found[effect], PAIRS) for effect in EFFECTS[1:])]
        for name, found in methods.items()
    ]
    heads = ["", "none\nfound", *(f"{effect}\nfound    n" for effect in EFFECTS[1:])]
    title = f"b. Latencies, independent requests: lognormal, log-sd .6, at most {PAIRS:,} an arm, tolerance 0, {runs} runs"
    notes = (
        "Percent of runs in which the canary was found slower, and the median requests an arm until then; tail: 3 % of requests 5 times slower.",
        "All are one-sided at 5 % but the bands and the quantile test, which are two-sided as published.",
        f"The rule's own process, fed one pair less and then that pair, fails at the same pair in {summed(agreed)} runs.",
    )
    report.show("latencies", grid(title, heads, shown, notes), rows)
    ours_by_effect = methods["canaryjudge, method ranks"]
    report.want_rate("ranks: % found where nothing changed", 5, ours_by_effect[""].outcome < 0)
    report.want_delay("ranks: +10 % found after requests an arm", 600, ours_by_effect["+10 %"])
    report.want_delay("ranks: a tail found after requests an arm", 1100, ours_by_effect["tail"])


def _replayed(baseline: FloatArray, canary: FloatArray, found: Decisions) -> tuple[int, int]:
    """Ask the rule's process just before and just after the pair at which the engine found something."""
    metric = cj.Metric(
        name="latency",
        kind="samples",
        direction="increase",
        tolerance="0%",
        rules=[cj.Sequential(independent=True)],
    )
    same = 0
    for run, after in enumerate(found.after.tolist()):
        process = RankBettingProcess(question_of(metric, ErrorRates(ALPHA * WATCHED, BETA)))
        last = int(min(after, PAIRS))
        said = []
        for start, stop in ((0, last - 1), (last - 1, last)):
            process.update(_pair("latency", baseline[run, start:stop], canary[run, start:stop]))
            said.append(process.finding().outcome == "fail")
        same += said == [False, math.isfinite(after)]
    return same, len(found.after)


def _pair(name: str, baseline: FloatArray, canary: FloatArray, minute: float = 0.0) -> Pair:
    time_of = np.full(len(canary), minute)
    return as_row(
        MetricPair(name, "samples", Arm(baseline, time=time_of), Arm(canary, time=time_of), "concurrent")
    )


def _weather(
    rng: np.random.Generator, shape: tuple[int, int, int], sd: float, rho: float, change: float
) -> tuple[FloatArray, FloatArray]:
    runs, intervals, each = shape
    noise = rng.standard_normal((2, runs, intervals))
    shocks = noise.copy()
    for t in range(1, intervals):
        shocks[..., t] = rho * shocks[..., t - 1] + math.sqrt(1 - rho**2) * noise[..., t]
    values = np.exp(4 + sd * shocks[..., None] + _SPREAD * rng.standard_normal((2, runs, intervals, each)))
    return values[0], values[1] * (1 + change)


def watch_shocks(report: Report) -> None:
    """Show intervals whose weather differs between the arms, by both methods for samples."""
    runs, intervals, each = max(report.public // 2, 10), 180, 100
    rng = np.random.default_rng(3)
    looks = each * np.arange(1, intervals + 1)
    rows, shown, agreed = [], [], []
    for tolerance in (0.0, 0.1):
        for sd, rho in ((0.0, 0.0), (0.1, 0.0), (0.1, 0.7), (0.2, 0.7)):
            cells: dict[str, list[Decisions]] = {"ranks": [], "scores": []}
            for change in (tolerance, 0.2, 0.5):
                baseline, canary = _weather(rng, (runs, intervals, each), sd, rho, change)
                pairs = [
                    pair_evidence(b.ravel(), c.ravel(), tolerance, looks)
                    for b, c in zip(baseline, canary, strict=True)
                ]
                cells["ranks"].append(decide(np.array(pairs) >= NEEDED))
                above, below = score_evidence(baseline, canary, tolerance)
                found = decide(above >= NEEDED, below >= -math.log(BETA))
                cells["scores"].append(found)
                agreed.append(_rescored(baseline[:2], canary[:2], tolerance, found))
            row = [f"tolerance {tolerance:.0%}, sd {sd:g}, rho {rho:g}"]
            for name, (null, *faults) in cells.items():
                row.append(f"{null.failed:.1f}")
                row += [two(fault, intervals) for fault in faults]
                rows.append(
                    {"tolerance": tolerance, "sd": sd, "rho": rho, "method": name}
                    | dict(
                        zip(("at_tolerance", "+20 %", "+50 %"), map(facts_of, (null, *faults)), strict=True)
                    )
                )
            shown.append(row)
            where = f"scores, tolerance {tolerance:.0%}, sd {sd:g}, rho {rho:g}: % false fails"
            report.want_rate(where, 7.5, cells["scores"][0].outcome < 0)
        shown.append([])
    heads = [""]
    for name in ("ranks", "scores"):
        heads += [f"{name}\nfalse", f"{name}, +20 %\nfail   med", f"{name}, +50 %\nfail   med"]
    title = f"c. Latencies with interval shocks: {each} requests an arm and interval, log-sd .6, {intervals} looks, {runs} runs"
    notes = (
        "Shocks of the logarithm hit each arm's interval, sd and lag-1 correlation as given. false: percent failed where the canary is slower",
        "by what is tolerated. ranks takes every request as independent (`independent: true`), scores is the default. Median intervals.",
        f"The process of `scores`, fed and asked interval by interval, decides alike in {summed(agreed)} runs.",
    )
    report.show("shocks", grid(title, heads, shown[:-1], notes), rows)


def as_row(pair: MetricPair) -> Pair:
    """Give what a watch is fed with: it knows itself what is asked."""
    metric = cj.Metric(name="m", kind=pair.kind, direction="increase")
    return row_of(pair, metric, ErrorRates(0.01, 0.05))


def _rescored(
    baseline: FloatArray, canary: FloatArray, tolerance: float, found: Decisions
) -> tuple[int, int]:
    metric = cj.Metric(
        name="latency", kind="samples", direction="increase", tolerance=f"{tolerance:.0%}", effect="ratio"
    )
    same = 0
    for run in range(len(canary)):
        process = RankScoreProcess(question_of(metric, ErrorRates(ALPHA * WATCHED, BETA)))
        outcome, after = 0, math.inf
        for t in range(canary.shape[1]):
            process.update(_pair("latency", baseline[run, t], canary[run, t], 60.0 * t))
            said = process.finding().outcome
            if said != "marginal":
                outcome, after = (-1 if said == "fail" else 1), float(t + 1)
                break
        same += (outcome, after) == (found.outcome[run], found.after[run])
    return same, len(canary)
