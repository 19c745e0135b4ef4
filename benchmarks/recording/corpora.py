"""Recorded metrics of real systems, judged by the default policy: all of the labeled cases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from corpus import Case as Recorded
from corpus import load_cases

import canaryjudge as cj
from recording.facts import Case, Fact, of_verdict

__all__ = ["CORPORA", "cases", "concurrent"]

CORPORA = ("aa", "ab", "abinj", "err", "rawlat")


def cases(corpus: str) -> Iterator[Case]:
    """Give every case of a corpus."""
    needed = ("aa", corpus) if corpus == "abinj" else (corpus,)
    for case in load_cases(Path("shared/data/dev"), needed)[0]:
        if case.corpus == corpus:
            yield case.case_id, lambda case=case: _judged(case)


def _judged(case: Recorded) -> list[Fact]:
    baseline, canary = (arm[np.isfinite(arm).all(axis=1)] for arm in (case.baseline, case.canary))
    metric = cj.Metric(name="metric", kind=case.kind, direction=case.bad_direction)
    data = {"metric": {"baseline": _series(case.kind, baseline), "canary": _series(case.kind, canary)}}
    return of_verdict(cj.judge(data, cj.Policy(metrics=[metric])))


def _series(kind: str, rows: Any) -> Any:
    return {"total": rows[:, 0], "value": rows[:, 1]} if kind == "ratio" else rows[:, 0]


def concurrent() -> Iterator[Case]:
    """Give two arms at the same time: as they are, with replicas, with a floor, with a shift."""
    manifest = pd.read_csv("shared/data/concurrent/manifest.csv")
    series = pd.read_csv("shared/data/concurrent/series.csv.gz")
    groups = dict(iter(series.groupby("case_id")))
    for row in manifest.to_dict("records"):
        ticks = groups.get(row["case_id"])
        if ticks is None:
            continue
        for factor in (1.0, 1.25):
            for floor in (None, {"between_replicas": "3%", "replicas": 12}):
                name = f"{row['case_id']} x {factor:g}{' floor' if floor else ''}"
                yield (
                    name,
                    lambda row=row, ticks=ticks, factor=factor, floor=floor: _shared(
                        row, ticks, factor, floor
                    ),
                )


def _shared(
    row: dict[str, Any], ticks: pd.DataFrame, factor: float, floor: dict[str, Any] | None
) -> list[Fact]:
    data = {"metric": {}}
    for arm, own in ticks.groupby("arm"):
        scale = factor if arm == "canary" else 1.0
        time = 1_772_632_800.0 + row["interval_s"] * own["i"].to_numpy()
        data["metric"][str(arm)] = {
            "time": time,
            "value": scale * own["value"].to_numpy(),
            "replica": own["replica"].astype(str).to_numpy(),
        }
    metric = {
        "name": "metric",
        "direction": row["bad_direction"],
        **({"noise_floor": floor} if floor else {}),
    }
    return of_verdict(cj.judge(data, cj.Policy(metrics=[metric])))
