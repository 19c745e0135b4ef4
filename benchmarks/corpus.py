"""Labeled cases on disk: manifests with a line a case, and series with a row a tick, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Case", "load_cases"]

FloatArray = NDArray[np.float64]
Series = dict[tuple[str, str], FloatArray]


@dataclass(frozen=True, slots=True)
class Case:
    """One metric of one release, with what is known to have happened.

    Attributes
    ----------
    case_id, corpus, effect, pairing, source, metric_kind : str
        What it is, and the groups that it is counted in.
    kind : {"gauge", "ratio", "samples"}
        How canaryjudge is to take it.
    bad_direction : {"increase", "decrease", "either"}
        What the policy would say.
    expected : {"increase", "decrease", "either", "none"}
        What truly changed.
    baseline, canary : ndarray, shape (n, columns)
        Ticks in order: the value, or requests and errors. A missing tick is NaN.
    """

    case_id: str
    corpus: str
    effect: str
    pairing: str
    source: str
    metric_kind: str
    kind: str
    bad_direction: str
    expected: str
    baseline: FloatArray
    canary: FloatArray

    @property
    def healthy(self) -> bool:
        """Whether nothing changed."""
        return self.expected == "none"


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a corpus lies on disk."""

    series: str
    columns: tuple[str, ...]
    kind: str = "gauge"
    borrows_baseline: bool = False


_LAYOUTS = {
    "aa": _Layout("aa_series.csv.gz", ("value",)),
    "ab": _Layout("ab_series.csv.gz", ("value",)),
    "abinj": _Layout("abinj_canary.csv.gz", ("value",), borrows_baseline=True),
    "err": _Layout("err_counts.csv.gz", ("requests", "errors"), kind="ratio"),
    "rawlat": _Layout("rawlat_samples.csv.gz", ("value_us",), kind="samples"),
}


def load_cases(folder: Path, corpora: tuple[str, ...]) -> tuple[list[Case], list[str]]:
    """Load the cases of some corpora.

    Parameters
    ----------
    folder : Path
        Where `*_manifest.csv` and the series are.
    corpora : tuple of str
        `aa`, `ab`, `abinj`, `err`, `rawlat`.

    Returns
    -------
    tuple of list
        The cases in the manifests' order, and sentences that say what was left out.
    """
    cases: list[Case] = []
    skipped: list[str] = []
    healthy: Series = {}
    pairings: dict[str, str] = {}
    for corpus in corpora:
        layout, manifest_name = _LAYOUTS[corpus], f"{corpus}_manifest.csv"
        missing = [name for name in (manifest_name, layout.series) if not (folder / name).is_file()]
        if missing:
            skipped.append(f"{corpus}: skipped, there is no {' and no '.join(missing)}")
            continue
        manifest = pd.read_csv(folder / manifest_name, keep_default_na=False)
        series = _read_series(folder / layout.series, layout.columns)
        rows = manifest.to_dict("records")
        if corpus == "aa":
            healthy = series
            pairings = {row["case_id"]: row["pairing"] for row in rows}
        baselines = healthy if layout.borrows_baseline else series
        found = [_case(corpus, layout, row, baselines, series, pairings) for row in rows]
        known = [case for case in found if case is not None]
        if len(known) < len(found):
            skipped.append(
                f"{corpus}: {len(found) - len(known)} of {len(found)} cases skipped, "
                f"their baseline is not in {_LAYOUTS['aa'].series}"
            )
        cases.extend(known)
    return cases, skipped


def _read_series(path: Path, columns: tuple[str, ...]) -> Series:
    """Read the ticks of each case and arm in order; a file without arms holds canaries."""
    frame = pd.read_csv(path, dtype=dict.fromkeys(columns, np.float64) | {"case_id": str})
    if "arm" not in frame:
        frame = frame.assign(arm="canary")
    frame = frame.sort_values(["case_id", "arm", "i"], kind="stable")
    values = frame[list(columns)].to_numpy()
    places = frame.groupby(["case_id", "arm"]).indices
    return {(str(case), str(arm)): values[rows] for (case, arm), rows in places.items()}


def _case(
    corpus: str,
    layout: _Layout,
    row: dict[str, Any],
    baselines: Series,
    canaries: Series,
    pairings: dict[str, str],
) -> Case | None:
    """Put a case together; None where it borrows a baseline that is not there."""
    case_id, base_id = row["case_id"], row.get("base_case_id", row["case_id"])
    owner = base_id if layout.borrows_baseline else case_id
    if layout.borrows_baseline and (owner, "baseline") not in baselines:
        return None
    empty = np.empty((0, len(layout.columns)))
    healthy = int(row["label"]) == 0
    # Latencies have no bad direction in their manifest, errors no expected one: both are bad when they rise.
    bad_direction = row.get("bad_direction", "increase")
    return Case(
        case_id=case_id,
        corpus=corpus,
        effect=row.get("effect", "none" if healthy else "fault"),
        pairing=row.get("pairing", pairings.get(base_id, "unknown")),
        source=row["source"],
        metric_kind=row["metric_kind"],
        kind=layout.kind,
        bad_direction=bad_direction,
        expected="none" if healthy else row.get("expected_direction", bad_direction),
        baseline=baselines.get((owner, "baseline"), empty),
        canary=canaries.get((case_id, "canary"), empty),
    )
