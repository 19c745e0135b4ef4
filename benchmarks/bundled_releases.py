"""How often a healthy release of ten metrics passes, fails or is held: four required and six guards, drawn from recorded healthy windows.

    python benchmarks/bundled_releases.py --corpus FOLDER [--runs N] [--history]

Each release takes ten healthy cases of one source (sources by their number of cases), cut to the shortest of them (30 points at least), and is judged through the public API: asked once with the default
policy; asked once where what is not proven worse passes (``pass_when: not_proven_worse``); and watched to the end of its window by rules that may be
asked at any time, where the policy passes what is undecided by then (``on_deadline: pass``), or does not. Beside it stand shares of releases with a fault
among the ten: one of the required metrics is replaced by a labeled fault, or by a shift of 50 %.

With ``--history`` releases are drawn from the healthy cases whose series have an own past of eight windows of the release's length or more, and judged with and without it; all ten metrics
are required in half of the rows.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from calibrated import Known, with_history
from corpus import Case, load_cases
from numpy.typing import NDArray
from tables import grid

import canaryjudge as cj

FloatArray = NDArray[np.float64]

_REQUIRED, _METRICS = 4, 10
_FEWEST = 30
_WAYS = {
    "asked once": {},
    "asked once, pass_when: not_proven_worse": {"pass_when": "not_proven_worse"},
    "watched to the end": {"watched": True},
    "watched to the end, on_deadline: pass": {"watched": True, "on_deadline": "pass"},
}
_FAULTS = {"none": "healthy", "fault": "one labeled fault", "shift50": "one shift of 50 %"}

Release = tuple[str, list[Case]]


def draw(cases: Sequence[Case], runs: int, rng: np.random.Generator) -> list[Release]:
    """Draw releases: ten cases of one source and pairing, the first of them faulty in some."""
    long = [case for case in cases if case.kind == "gauge" and min(map(len, _arms(case))) >= _FEWEST]
    groups: dict[str, dict[str, list[Case]]] = {effect: defaultdict(list) for effect in _FAULTS}
    for case in long:
        if case.effect in groups:
            groups[case.effect][case.source].append(case)
    healthy = {source: found for source, found in groups["none"].items() if len(found) >= 2 * _METRICS}
    releases = []
    for effect, of_source in groups.items():
        sources = [source for source in sorted(healthy) if of_source[source]]
        sizes = np.array([len(healthy[source]) for source in sources])
        for _ in range(runs):
            source = str(rng.choice(sources, p=sizes / sizes.sum()))
            chosen = [healthy[source][i] for i in rng.permutation(len(healthy[source]))[:_METRICS]]
            if effect != "none":
                chosen[0] = of_source[source][rng.integers(len(of_source[source]))]
            releases.append((effect, chosen))
    return releases


def judge_release(release: Release) -> dict[str, str]:
    """Judge one release in each way."""
    _, cases = release
    points = min(len(arm) for case in cases for arm in _arms(case))
    names = [f"metric_{number}" for number in range(len(cases))]
    data = {
        name: {arm: values[:points] for arm, values in zip(("baseline", "canary"), _arms(case), strict=True)}
        for name, case in zip(names, cases, strict=True)
    }
    found = {}
    for way, settings in _WAYS.items():
        options: dict[str, Any] = dict(settings)
        watched = options.pop("watched", False)
        passing = {"pass_when": options.pop("pass_when")} if "pass_when" in options else {}
        metrics = [
            cj.Metric(
                name=name,
                direction=case.bad_direction,
                role="required" if number < _REQUIRED else "guard",
                **({"rules": [cj.Sequential()]} if watched else {}),
                **passing,
            )
            for number, (name, case) in enumerate(zip(names, cases, strict=True))
        ]
        policy = cj.Policy(metrics=metrics, **options, **({"max_points": points} if watched else {}))
        found[way] = cj.judge(data, policy).outcome.value
    return found


def _arms(case: Case) -> tuple[FloatArray, FloatArray]:
    baseline, canary = (arm[np.isfinite(arm).all(axis=1)][:, 0] for arm in (case.baseline, case.canary))
    return baseline, canary


def bundles(cases: Sequence[Case], runs: int) -> tuple[str, list[str], list[list[str]]]:
    """Give the table of releases: what it is of, its heads, and its rows."""
    releases = draw(cases, runs, np.random.default_rng(1))
    with ProcessPoolExecutor() as pool:
        outcomes = list(pool.map(judge_release, releases, chunksize=8))
    rows = []
    sources = sorted({chosen[0].source for effect, chosen in releases if effect == "none"})
    kinds = [(effect, label, None) for effect, label in _FAULTS.items()]
    for effect, label, source in (*kinds, *(("none", f"healthy, {name}", name) for name in sources)):
        judged = [
            found
            for (of, chosen), found in zip(releases, outcomes, strict=True)
            if of == effect and source in (None, chosen[0].source)
        ]
        for way in _WAYS:
            counted = Counter(found[way] for found in judged)
            shares = [
                f"{100 * counted[outcome] / len(judged):.1f}" for outcome in ("pass", "marginal", "fail")
            ]
            first = way == next(iter(_WAYS))
            rows.append([label if first else "", str(len(judged)) if first else "", way, *shares])
    title = f"Percent of releases of {_METRICS} metrics, {_REQUIRED} of them required and {_METRICS - _REQUIRED} guards"
    return title, ["release", "n", "judged", "pass", "marginal", "fail"], rows


_WINDOWS = 8


def judge_with_past(drawn: tuple[str, list[Known]]) -> dict[str, str]:
    """Judge one healthy release of cases that have a past, with it and without; one metric of it made worse by half as well."""
    _, known = drawn
    arms = [_arms(one.case) for one in known]
    points = min(len(arm) for both in arms for arm in both)
    history = {}
    for number, one in enumerate(known):
        seen = np.isfinite(one.value)
        history[f"metric_{number}"] = {"time": one.time[seen], "value": one.value[seen]}
    found = {}
    for required in (_REQUIRED, _METRICS):
        metrics = [
            cj.Metric(
                name=f"metric_{number}",
                direction=one.case.bad_direction,
                role="required" if number < required else "guard",
            )
            for number, one in enumerate(known)
        ]
        for worse in (False, True):
            data = {
                f"metric_{number}": {"baseline": both[0][:points], "canary": both[1][:points]}
                for number, both in enumerate(arms)
            }
            if worse:
                up = known[0].case.bad_direction != "decrease"
                data["metric_0"]["canary"] = data["metric_0"]["canary"] * (1.5 if up else 1 / 1.5)
            for told in (False, True):
                key = f"{required} required, {'one 50 % worse' if worse else 'healthy'}, {'with' if told else 'without'} history"
                verdict = cj.judge(data, cj.Policy(metrics=metrics), history=history if told else None)
                found[key] = verdict.outcome.value
    return found


def past_bundles(folder: Path, runs: int) -> tuple[str, list[str], list[list[str]]]:
    """Give the table of healthy releases of cases that have a past."""
    groups: dict[str, list[Known]] = defaultdict(list)
    for one in with_history(folder)[0]:
        shortest = min(map(len, _arms(one.case)))
        if one.case.kind == "gauge" and shortest >= _FEWEST and _has_windows(one, shortest):
            groups[one.case.source].append(one)
    sources = [source for source in sorted(groups) if len(groups[source]) >= _METRICS]
    sizes = np.array([len(groups[source]) for source in sources])
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(runs):
        source = str(rng.choice(sources, p=sizes / sizes.sum()))
        chosen = rng.permutation(len(groups[source]))[:_METRICS]
        drawn.append((source, [groups[source][index] for index in chosen]))
    with ProcessPoolExecutor() as pool:
        outcomes = list(pool.map(judge_with_past, drawn, chunksize=8))
    rows = []
    for key in outcomes[0]:
        counted = Counter(found[key] for found in outcomes)
        rows.append(
            [key, *(f"{100 * counted[outcome] / runs:.1f}" for outcome in ("pass", "marginal", "fail"))]
        )
    cases = ", ".join(f"{len(groups[source])} of {source}" for source in sources)
    title = f"Percent of {runs} releases of {_METRICS} metrics, drawn from cases with a past of {_WINDOWS} windows ({cases})"
    return title, ["release", "pass", "marginal", "fail"], rows


def _has_windows(one: Known, points: int) -> bool:
    """Tell whether a past without its gaps holds windows enough."""
    steps = np.diff(one.time)
    breaks = np.flatnonzero(steps > 3 * np.median(steps)) + 1
    pieces = np.diff([0, *breaks.tolist(), len(one.time)])
    return int((pieces // points).sum()) >= _WINDOWS


def main() -> int:
    """Print the table; 2 where there is nothing to judge."""
    parser = argparse.ArgumentParser(description="Healthy and faulty releases of ten metrics.")
    parser.add_argument("--corpus", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--runs", type=int, default=400, help="releases of each kind")
    parser.add_argument("--history", action="store_true", help="judge with the series' own past instead")
    options = parser.parse_args()
    if options.history and options.corpus.is_dir():
        print(grid(*past_bundles(options.corpus, options.runs)))
        return 0
    cases = load_cases(options.corpus, ("aa", "ab", "abinj"))[0] if options.corpus.is_dir() else []
    if not cases:
        print(f"{options.corpus}: there are no cases of aa, ab and abinj", file=sys.stderr)
        return 2
    print(grid(*bundles(cases, options.runs)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
