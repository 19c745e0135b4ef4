"""Real series watched point by point: a Monitor, a plain Mann-Whitney test and Kayenta's rule, each asked after every point."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from corpus import Case, load_cases
from numpy.typing import NDArray
from peers import alarms, kayenta_label, mann_whitney

import canaryjudge as cj

__all__ = ["watch_corpus"]

_FIRST_LOOK = 5
_ALPHAS = {"5": 0.05, "1": 0.01}
_SERIES = (("healthy pairs (aa)", "aa", "none"), ("a shift of 50 % (abinj)", "abinj", "shift50"))

FloatArray = NDArray[np.float64]


def watch_corpus(folder: Path, most: int | None = None) -> list[dict[str, Any]]:
    """Watch the gauges of a corpus.

    Parameters
    ----------
    folder : Path
        Where the manifests and the series are.
    most : int, optional
        Only so many cases of each, evenly chosen.

    Returns
    -------
    list of dict
        Percentages, for the healthy pairs and for the shifted ones.
    """
    cases, _ = load_cases(folder, ("aa", "abinj"))
    rows = []
    for name, corpus, effect in _SERIES:
        chosen = [
            case for case in cases if (case.corpus, case.effect, case.kind) == (corpus, effect, "gauge")
        ]
        if most is not None:
            chosen = chosen[:: max(len(chosen) // most, 1)]
        found = [_watched(case) for case in chosen]
        rows.append(
            {"series": name, "cases": len(found)}
            | {key: round(100 * float(np.mean([one[key] for one in found])), 3) for key in found[0]}
        )
    return rows


def _watched(case: Case) -> dict[str, bool]:
    baseline, canary = (arm[np.isfinite(arm).all(axis=1), 0] for arm in (case.baseline, case.canary))
    facts: dict[str, bool] = {}
    for name, alpha in _ALPHAS.items():
        said = _monitored(case, baseline, canary, alpha)
        facts |= {f"fail_{name}": "fail" in said, f"pass_{name}": "fail" not in said and said[-1] == "pass"}
    rules = {"mann_whitney": mann_whitney, "kayenta": kayenta_label}
    length = max(len(baseline), len(canary))
    for name, rule in rules.items():
        facts[name] = any(
            alarms({name: rule}, baseline[:size], canary[:size], case.expected)[name]
            for size in range(_FIRST_LOOK, length + 1)
        )
    return facts


def _monitored(case: Case, baseline: FloatArray, canary: FloatArray, alpha: float) -> list[str]:
    """Feed a Monitor the first five points and then one by one; what it said at each look."""
    metric = cj.Metric(name="metric", direction=case.bad_direction)
    length = min(len(baseline), len(canary))
    monitor = cj.Monitor(cj.Policy(alpha=alpha, metrics=[metric], max_points=length))
    said = []
    for size in range(_FIRST_LOOK, max(len(baseline), len(canary)) + 1):
        new = slice(0 if size == _FIRST_LOOK else size - 1, size)
        monitor.update({"metric": {"baseline": baseline[new], "canary": canary[new]}})
        said.append(monitor.verdict().outcome.value)
        if said[-1] == "fail":
            break
    return said
