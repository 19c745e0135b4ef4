"""What a calibration on a series' own past does to verdicts: the healthy cases of a corpus, judged with what their earlier windows say.

    python benchmarks/calibrated.py --corpus FOLDER [--json FILE] [--jobs N]

Each healthy case of `aa_*` whose series has earlier windows (other cases of the same system, entity and metric that end before its baseline begins) is
judged three times by the default policy of one metric: as it is, with the noise floor that `calibrate` measures from those earlier windows, and
with all that it proposes but for muting. So are the shifts of 25 and 50 % and the doubled tails that `abinj_*` adds to these cases. Printed are percentages that
fail and that are marginal, by pairing and source, and over how many earlier windows. Exit code 2: the folder holds none of the files.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from corpus import Case, load_cases

import canaryjudge as cj

_SERIES = ["source", "system", "entity", "metric"]
_EFFECTS = ("none", "shift25", "shift50", "tail2x")
_WAYS = ("as it is", "noise floor", "proposed")


@dataclass(frozen=True, slots=True)
class Known:
    """A case with its series' earlier points.

    Attributes
    ----------
    case : Case
        The case.
    faulty : tuple of (str, ndarray)
        The same canary with faults in it.
    time, value : ndarray, shape (n,)
        The earlier points.
    """

    case: Case
    faulty: tuple[tuple[str, np.ndarray], ...]
    time: np.ndarray
    value: np.ndarray


def with_history(folder: Path) -> tuple[list[Known], int]:
    """Give the healthy cases that have a history, and the number of those that have none."""
    cases, _ = load_cases(folder, ("aa", "abinj"))
    healthy = {case.case_id: case for case in cases if case.corpus == "aa"}
    manifest = pd.read_csv(folder / "aa_manifest.csv", keep_default_na=False)
    bases = pd.read_csv(folder / "abinj_manifest.csv", keep_default_na=False)
    injected: dict[str, list[tuple[str, np.ndarray]]] = {}
    canaries = {case.case_id: case for case in cases if case.corpus == "abinj"}
    for row in bases.to_dict("records"):
        if row["effect"] in _EFFECTS and row["case_id"] in canaries:
            injected.setdefault(row["base_case_id"], []).append(
                (row["effect"], canaries[row["case_id"]].canary[:, 0])
            )
    found: list[Known] = []
    without = 0
    for _, rows in manifest.groupby(_SERIES):
        arms = [
            (float(row[f"t0_{arm}"]), float(row["interval_s"]), getattr(healthy[row["case_id"]], arm)[:, 0])
            for row in rows.to_dict("records")
            for arm in ("baseline", "canary")
        ]
        for row in rows.to_dict("records"):
            earlier: dict[float, float] = {}
            for start, step, values in arms:
                times = start + step * np.arange(len(values))
                if times[-1] < float(row["t0_baseline"]):
                    earlier |= dict(zip(times.tolist(), values.tolist(), strict=True))
            if len(earlier) < 2 * int(row["n_canary"]):
                without += 1
                continue
            order = sorted(earlier)
            found.append(
                Known(
                    healthy[row["case_id"]],
                    tuple(injected.get(row["case_id"], ())),
                    np.array(order),
                    np.array([earlier[time] for time in order]),
                )
            )
    return found, without


def judge_known(known: Known) -> list[dict[str, Any]]:
    """Judge one case, healthy and with its faults, in the three ways."""
    case = known.case
    plain = cj.Policy(metrics=[cj.Metric(name="m", direction=case.bad_direction)])
    seen = np.isfinite(known.value)
    history = {"m": {"time": known.time[seen], "value": known.value[seen]}}
    policies: dict[str, cj.Policy] = {"as it is": plain}
    windows = 0
    try:
        found = cj.calibrate(history, plain, length=len(case.canary))
    except cj.DataError:  # the earlier points are in pieces shorter than the canary
        policies |= {"noise floor": plain, "proposed": plain}
    else:
        windows = found.metrics["m"].windows
        for way, fields in (
            ("noise floor", ("noise_floor",)),
            ("proposed", ("noise_floor", "tolerance", "rules")),
        ):
            kept = tuple(one for one in found.proposals if one.field in fields)
            policies[way] = found.model_copy(update={"proposals": kept}).apply(plain)
    rows = []
    for effect, canary in (("none", case.canary[:, 0]), *known.faulty):
        row = {"effect": effect, "pairing": case.pairing, "source": case.source, "windows": windows}
        for way, policy in policies.items():
            data = {"m": {"baseline": _finite(case.baseline[:, 0]), "canary": _finite(canary)}}
            row[way] = cj.judge(data, policy).outcome.value
        rows.append(row)
    return rows


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def tabulated(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Give the percentages by effect, pairing and source."""
    frame = pd.DataFrame(rows)
    parts = []
    for effect in _EFFECTS:
        of_effect = frame[frame["effect"] == effect]
        groups = [("all", "all", of_effect)] if len(of_effect) else []
        groups += [
            (pairing, source, part) for (pairing, source), part in of_effect.groupby(["pairing", "source"])
        ]
        for pairing, source, part in groups:
            line: dict[str, Any] = {
                "effect": effect,
                "pairing": pairing,
                "source": source,
                "cases": len(part),
            }
            line["earlier windows"] = float(part["windows"].median())
            for way in _WAYS:
                line[f"{way}: fail"] = round(100 * float((part[way] == "fail").mean()), 1)
                line[f"{way}: marginal"] = round(100 * float((part[way] == "marginal").mean()), 1)
            parts.append(line)
    return pd.DataFrame(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="Judge healthy cases with what their own past says.")
    parser.add_argument("--corpus", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table there too")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    options = parser.parse_args(arguments)
    if not (options.corpus / "aa_manifest.csv").is_file():
        print(f"{options.corpus}: there is no aa_manifest.csv", file=sys.stderr)
        return 2
    known, without = with_history(options.corpus)
    with ProcessPoolExecutor(options.jobs) as pool:
        rows = [row for found in pool.map(judge_known, known, chunksize=4) for row in found]
    table = tabulated(rows)
    print(table.to_string(index=False))
    print(f"{len(known)} healthy cases have a history of two windows or more, {without} have none")
    if options.json is not None:
        options.json.write_text(json.dumps(table.to_dict("records"), indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
