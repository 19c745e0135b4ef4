"""What judges say when they are asked after every point: how often they fail what is healthy, and how soon they find a fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from corpus import Case
from peers import GAUGE_PEERS, alarms

import canaryjudge as cj

__all__ = ["Watched", "summarize_looks", "watch_case"]

_FIRST = 10
"""Nobody is asked before so many points."""
OURS = "canaryjudge"
_METRIC = "metric"


@dataclass(frozen=True, slots=True)
class Watched:
    """When each judge alarmed first.

    Attributes
    ----------
    corpus, effect, source : str
        The groups that the case is counted in.
    points : int
        Canary points.
    alarmed_after : dict of str to (int or None)
        Canary points after which each judge alarmed first, in the right direction where something changed; None where it never did.
    """

    corpus: str
    effect: str
    source: str
    points: int
    alarmed_after: dict[str, int | None]


def watch_case(case: Case) -> Watched:
    """Ask every judge after every point of the canary, against the whole baseline; a `Monitor` gets both arms point by point."""
    baseline, canary = (arm[np.isfinite(arm).all(axis=1)][:, 0] for arm in (case.baseline, case.canary))
    after: dict[str, int | None] = {OURS: _monitor(case, baseline, canary)}
    open_peers = dict(GAUGE_PEERS)
    for points in range(_FIRST, len(canary) + 1):
        answers = alarms(open_peers, baseline, canary[:points], case.expected)
        for name, alarmed in answers.items():
            if alarmed:
                after[name] = points
                del open_peers[name]
        if not open_peers:
            break
    return Watched(
        case.corpus,
        case.effect,
        case.source,
        len(canary),
        {name: after.get(name) for name in (OURS, *GAUGE_PEERS)},
    )


def _monitor(case: Case, baseline: np.ndarray, canary: np.ndarray) -> int | None:
    """Replay what a `Monitor` decides whose watch ends with the data; `judge` with the rule `sequential` is just that."""
    points = min(len(baseline), len(canary))
    if points < _FIRST:
        return None
    metric = cj.Metric(name=_METRIC, direction=case.bad_direction, rules=[cj.Sequential()])
    data = {_METRIC: {"baseline": baseline[:points], "canary": canary[:points]}}
    result = cj.judge(data, cj.Policy(metrics=[metric], max_points=points)).metrics[_METRIC]
    found = result.deciding
    if result.outcome != "fail" or found is None:
        return None
    watch = found.watch
    planned = (watch and watch.looks_planned) or 1
    looks = (watch and watch.looks) or planned
    return (watch and watch.decided_after) or round(points * looks / planned)


def summarize_looks(watched: Sequence[Watched]) -> list[dict[str, Any]]:
    """Give, for each corpus and effect and each source of it, the share that each judge alarmed on and the median share of the window until then."""
    groups: dict[tuple[str, str, str | None], list[Watched]] = {}
    for case in watched:
        for source in (None, case.source):
            groups.setdefault((case.corpus, case.effect, source), []).append(case)
    return [
        {
            "corpus": corpus,
            "effect": effect,
            "source": source,
            "cases": len(cases),
            "alarmed": {name: _alarmed(cases, name) for name in cases[0].alarmed_after},
            "delay": {name: _delay(cases, name) for name in cases[0].alarmed_after},
        }
        for (corpus, effect, source), cases in groups.items()
    ]


def _alarmed(cases: Sequence[Watched], name: str) -> float:
    return round(100 * sum(case.alarmed_after[name] is not None for case in cases) / len(cases), 4)


def _delay(cases: Sequence[Watched], name: str) -> float | None:
    """Median part of the canary's window that had passed, of the cases that were found."""
    parts = [after / case.points for case in cases if (after := case.alarmed_after[name]) is not None]
    return round(100 * median(parts), 2) if parts else None
