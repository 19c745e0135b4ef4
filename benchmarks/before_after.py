"""Print how switches of all traffic are judged: simulated ones with a daily cycle, and recorded series that last a week or more.

``python benchmarks/before_after.py`` judges two hours after a switch against two before, of a service with a cycle of 50 %, 1 % more a day, points of 5 minutes with 5 % of noise, and seven days of history (or 14),
whose levels differ from window to window, or from day to day as a whole: by `pairing: before_after`; by `pairing: windows` with the same history, which is what there was before; by STL (statsmodels), whose season and
last trend are taken off, with the spread of what is left of windows; and by plain Mann-Whitney, two-sided at 5 %. Beside them, what an oracle finds that knows the spread, and has the days' own changes alone, or the same hours less a straight trend.
``--corpus FOLDER`` judges recorded series of hours instead (`aa_manifest.csv`, `aa_series.csv.gz`): ten hours after a moment against ten before, as they are and made worse.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu, norm
from scipy.stats import t as student
from tables import grid

import canaryjudge as cj

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from switches import Switch

ALPHA, TOLERANCE = 0.01, 0.1
HOUR, DAY, WINDOW = 3600.0, 86400.0, 7200.0
RECORDED = 10
"""Hours of a window of a recorded series."""
WAYS = ("before_after", "windows", "STL", "plain")


def asked(data: dict[str, Any], history: dict[str, Any], direction: str = "increase") -> dict[str, str]:
    """Judge in every way that a policy has."""
    found = {}
    for pairing in WAYS[:2]:
        metric = cj.Metric(name="m", direction=direction, pairing=pairing)
        found[pairing] = cj.judge(
            {"m": data}, cj.Policy(metrics=[metric]), history={"m": history}
        ).outcome.value
    after, before = data["canary"]["value"], data["baseline"]["value"]
    found["plain"] = "fail" if mannwhitneyu(after, before).pvalue <= 0.05 else "pass"
    return found


def by_stl(data: dict[str, Any], history: dict[str, Any]) -> str:
    """Judge what is left of windows of two hours when STL has taken off season and trend."""
    from statsmodels.tsa.seasonal import STL  # noqa: PLC0415 - for this column alone

    start = data["canary"]["time"][0]
    series = pd.concat([pd.Series(part["value"], part["time"]) for part in (history, data["baseline"])])
    hours = np.log(series.groupby(np.floor((series.index - start) / HOUR)).mean())
    fit = STL(hours.to_numpy(), period=24, robust=True).fit()
    left = fit.resid.reshape(-1, 2).mean(axis=1)
    ahead = np.log(np.mean(data["canary"]["value"])) - fit.trend[-1] - fit.seasonal[-24:-22].mean()
    bound = student.ppf(1 - ALPHA, len(left) - 1) * left.std(ddof=1)
    return "fail" if ahead - np.log1p(TOLERANCE) > bound else "pass"


def simulated(runs: int) -> None:
    """Print the table of simulated switches."""
    rows, rng = [], np.random.default_rng(1)
    for of, days, spread in [
        *(("windows", 7, spread) for spread in (0.015, 0.02, 0.03, 0.05)),
        ("windows", 14, 0.02),
        *(("days", 7, spread) for spread in (0.02, 0.05)),
    ]:
        row = [f"{of}, {100 * spread:g} %, {days} days"]
        for shift in (0.0, 0.1, 0.2):
            seen = {way: Counter[str]() for way in WAYS}
            for _ in range(runs):
                seed, hour = int(rng.integers(2**32)), float(rng.integers(1, 23))
                switch = Switch(seed, days=days, shift=shift, spread=spread, of=of, hour=hour)
                start = switch.switched - WINDOW
                parts = (
                    switch.time >= start,
                    switch.time >= switch.switched,
                    switch.time >= start - days * DAY,
                )
                cut = {
                    "baseline": parts[0] & ~parts[1],
                    "canary": parts[1],
                    "history": parts[2] & ~parts[0],
                }
                data = {
                    name: {"time": switch.time[at], "value": switch.value[at]} for name, at in cut.items()
                }
                history = data.pop("history")
                for way, outcome in (asked(data, history) | {"STL": by_stl(data, history)}).items():
                    seen[way][outcome] += 1
            row += [f"{100 * seen[way]['fail'] / runs:.0f}" for way in WAYS]
        beyond = np.log1p(0.2) - np.log1p(TOLERANCE)
        noise = 0.05**2 / 24
        own = 2 * (spread**2 * (of == "windows") + noise) * (1 + 1 / days)
        same = (spread**2 + noise) * (1 + 1 / days + 3 * (days + 1) / (days * (days - 1)))
        row += [f"{100 * norm.sf(norm.isf(ALPHA) - beyond / np.sqrt(one)):.0f}" for one in (own, same)]
        rows.append(row)
    heads = ["", *(f"{shift}\n{way}" for shift in ("+0 %", "+10 %", "+20 %") for way in WAYS)]
    heads += ["oracle\nown change", "oracle\nsame hours"]
    print(grid(f"Switches that fail, per cent of {runs} (tolerance 10 %, alpha 1 %)", heads, rows))


def moments(folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, str]]:
    """Give moments of recorded series of hours, a week or more after their start: all times and values, which are before, which after, and the bad direction."""
    manifest = pd.read_csv(folder / "aa_manifest.csv")
    series = dict(list(pd.read_csv(folder / "aa_series.csv.gz").groupby(["case_id", "arm"])))
    for _, cases in manifest[manifest.interval_s == HOUR].groupby(["group", "metric", "entity"]):
        points: dict[float, float] = {}
        for case in cases.itertuples():
            for arm, begin in (("baseline", case.t0_baseline), ("canary", case.t0_canary)):
                own = series[case.case_id, arm].dropna()
                points |= zip((begin + HOUR * own.i).tolist(), own.value.tolist(), strict=True)
        time = np.array(sorted(points))
        value = np.array([points[at] for at in time.tolist()])
        direction = "decrease" if cases.bad_direction.iloc[0] == "decrease" else "increase"
        for at in np.arange(time[0] + 7 * DAY, time[-1] - (RECORDED - 1) * HOUR + 1, 31 * HOUR):
            before = (time >= at - RECORDED * HOUR) & (time < at)
            after = (time >= at) & (time < at + RECORDED * HOUR)
            if before.sum() == after.sum() == RECORDED:
                yield time, value, before, after, direction


def recorded(folder: Path) -> None:
    """Print the table of recorded series."""
    found = list(moments(folder))
    ways, rows = ("before_after", "windows", "plain"), []
    for factor in (1.0, 1.25, 1.5):
        seen = {way: Counter[str]() for way in ways}
        for time, value, before, after, direction in found:
            worse = np.where(after, factor if direction == "increase" else 1 / factor, 1.0) * value
            data = {
                arm: {"time": time[at], "value": worse[at]}
                for arm, at in (("baseline", before), ("canary", after))
            }
            earlier = time < time[before][0]
            for way, outcome in asked(
                data, {"time": time[earlier], "value": value[earlier]}, direction
            ).items():
                seen[way][outcome] += 1
        cells = [f"{100 * seen[way][what] / len(found):.1f}" for way in ways for what in ("fail", "pass")]
        rows.append([f"x {factor:g}", *cells])
    heads = ["", *(f"{way}\n{what}" for way in ways for what in ("fail", "pass"))]
    print(grid(f"Recorded series: {len(found)} moments, per cent", heads, rows))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, help="where recorded series are")
    parser.add_argument("--runs", type=int, default=300, help="simulated switches a cell")
    options = parser.parse_args()
    if options.corpus is None:
        simulated(options.runs)
    else:
        recorded(options.corpus)


if __name__ == "__main__":
    main()
