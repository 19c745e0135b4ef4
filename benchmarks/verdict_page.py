"""Write docs/verdict-quality.md and its plots: what canaryjudge and its peers say of the same recorded cases.

    python benchmarks/verdict_page.py --corpus FOLDER [--jobs N] [--every N]

It judges every case as `verdict_quality` does, and every Nth one (default: third) of the healthy, shifted and faulty gauges once more after every
point; below are bundled releases, and bounds. The plots need the extra `plot`; tea-tasting, spotify-confidence and scikit-learn join in where they are installed. Exit code 2: the folder is not there, or holds no cases.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from bundled_releases import bundles
from corpus import Case, load_cases
from peers import LEGEND
from verdict_bounds import bounds
from verdict_looks import OURS, summarize_looks, watch_case
from verdict_quality import judge_case, report

_DOCS = Path(__file__).parents[1] / "docs"
_PAGE, _IMAGES = _DOCS / "verdict-quality.md", _DOCS / "images"
_TITLES = {
    ("aa", "none"): "nothing changed",
    ("abinj", "shift5"): "shift 5 %",
    ("abinj", "shift10"): "shift 10 % (the tolerance itself)",
    ("abinj", "shift25"): "shift 25 %",
    ("abinj", "shift50"): "shift 50 %",
    ("abinj", "tail2x"): "doubled tail (latencies)",
    ("ab", "fault"): "labeled faults",
    ("err", "null_0.1pct"): "errors .1 % in both",
    ("err", "0.1_to_0.2pct"): "errors .1 to .2 %",
    ("err", "0.1_to_0.5pct"): "errors .1 to .5 %",
}
_FOUND = (
    ("abinj", "shift25", "+25 %"),
    ("abinj", "shift50", "+50 %"),
    ("abinj", "tail2x", "doubled tail"),
    ("ab", "fault", "labeled faults"),
)
_WATCHED = {("aa", "none"), ("abinj", "shift25"), ("abinj", "shift50"), ("ab", "fault")}
_LEAST_POINTS = 10

_INTRO = """# What the verdicts are worth

Which judge fails what is healthy, and which finds what is not? Below, all judge the same recorded metrics: neighboring healthy windows, the same with
a known change, and labeled faults. The page and its plots are written by `python benchmarks/verdict_page.py --corpus DATA`.

A judge that alarms more finds more. So read each number beside the first row: a test that finds 90 % of the shifts and fails a third of what is healthy
has not found them. canaryjudge judges with its default policy (alpha 1 %, beta 5 %, tolerance 10 %); what it does not fail is marginal or
passes. Of the others, the percentage that alarms is shown: in any direction where nothing changed, in the true one otherwise.
"""
_HOW_WATCHED = """Every {} case of gauges, from the tenth point on, against the whole baseline; canaryjudge as a `Monitor` whose watch ends with the data. Percent
alarming at some look, and in parentheses the median part of the window that had passed by then.
"""
_BUNDLED = """## Ten metrics in one release

Each release has four required metrics and six guards, drawn from healthy windows of one source (sources by their number of cases) and cut to the shortest; in
some, one required metric is a labeled fault, or shifted by 50 %. A watch is asked at any time by the rule `sequential`, up to the end of the window
(`python benchmarks/bundled_releases.py --corpus DATA`).
"""
_LIMITS = """## How far from the possible

Each line ranks all cases by one statistic, and sets its thresholds *with the labels in hand*: 1.5 % of the healthy fail, and 5 % of the shifts of 10 %, the tolerance itself,
pass. No judge may do that; one that must know its level beforehand gets less. "Power" is what a test gets that knows each case's noise, where nothing else
disturbs. The classifiers (gradient-boosted trees) see all these statistics at once and are trained on the labels themselves, cross-validated: over cases drawn
at random, and over sources that they have not seen (`python benchmarks/verdict_bounds.py --corpus DATA`).
"""
_LESSONS = """## What stands in the way

- **Healthy windows drift.** Most of the healthy cases that fail come from one source (smd), whose neighboring windows differ by a quarter to a half
  and stay there. Nothing in two windows tells that from a release; concurrent arms or history can: calibrated on what a series did before
  (`python benchmarks/calibrated.py`), .4 % of the healthy fail.
- **Shifts.** No single ranking finds more of the shifts than the rank test in use, and with it the default policy is within a few points of what a test finds that
  knows the noise. The plain rank test needs a p-value of 1e-12 to be right so often.
- **Marginal.** Even if its noise were known, a third of the healthy windows would be too short or too noisy to prove a change below 10 %. More points, a wider
  tolerance, or the role `guard` are the ways out, and `canaryjudge plan` says which.
- **Faults and doubled tails.** Single statistics of spread, shape, tail or bursts find less at this rate of false alarms than one hopes for; together, with the labels to learn from, they
  find half of the doubled tails and three fifths of the faults, and a third of the faults on sources that they have not seen, which is where a release is. A
  doubled tail of a tenth of the points is three points of thirty: that the three largest points are the canary's has a chance of an eighth.
"""


def page(
    document: dict[str, Any], looks: list[dict[str, Any]], every: int, tables: Sequence[tuple[Any, ...]]
) -> str:
    """Lay the results out as Markdown."""
    names = [name for name in LEGEND if any(name in group["peers"] for group in document["groups"])]
    heads = ["cases", "n", "fail", "marginal", "pass", *(LEGEND[name][0] for name in names)]
    whole = [group for group in document["groups"] if group["pairing"] is None]
    rows = [
        _row(title, group, names) for key, title in _TITLES.items() for group in whole if _key(group) == key
    ]
    enough = document["ab_with_at_least_10_canary_points"]
    if enough:
        rows.append(_row("labeled faults, at least 10 canary points", enough, names))
    healthy = [g for g in document["groups"] if _key(g) == ("aa", "none") and g["source"]]
    faults = [g for g in document["groups"] if _key(g) == ("ab", "fault") and g["source"]]
    shifts = [g for g in document["groups"] if _key(g) == ("abinj", "shift25") and g["source"]]
    parts = [
        _INTRO,
        "## Asked once\n",
        _table(heads, rows),
        "![found against false fails](images/verdict-tradeoff.svg)\n",
    ]
    parts += [f"- **{LEGEND[name][0]}**: {LEGEND[name][1]}" for name in names]
    for title, groups in (("nothing changed", healthy), ("shift 25 %", shifts), ("labeled faults", faults)):
        parts += [
            f"\n### By pairing and source: {title}\n",
            _table(heads, [_row(f"{g['pairing']}, {g['source']}", g, names) for g in groups]),
        ]
    parts += [
        "\n## Asked after every point\n",
        _HOW_WATCHED.format(_ordinal(every)),
        _table(
            ["cases", "n", OURS, *(LEGEND[name][0] for name in looks[0]["alarmed"] if name != OURS)],
            [_looked(g) for g in looks if not g["source"]],
        ),
        "![asked after every point](images/verdict-looks.svg)\n",
        "### By source: nothing changed\n",
        _table(
            ["source", "n", OURS, *(LEGEND[name][0] for name in looks[0]["alarmed"] if name != OURS)],
            [_looked(g) for g in looks if g["source"] and _key(g) == ("aa", "none")],
        ),
        _BUNDLED,
        _table(*tables[0][1:3]),
        _LIMITS,
        f"{tables[1][0]}.\n",
        _table(*tables[1][1:3]),
        _LESSONS,
    ]
    return "\n".join(parts)


def _key(group: dict[str, Any]) -> tuple[str, str]:
    return group["corpus"], group["effect"]


def _row(title: str, group: dict[str, Any], names: Sequence[str]) -> list[str]:
    ours = [f"{group['percent'][outcome]:.1f}" for outcome in ("fail", "marginal", "pass")]
    peers = [f"{group['peers'][name]:.1f}" if name in group["peers"] else "" for name in names]
    return [title, str(group["cases"]), *ours, *peers]


def _looked(group: dict[str, Any]) -> list[str]:
    cells = []
    for name in group["alarmed"]:
        delay = group["delay"][name]
        cells.append(f"{group['alarmed'][name]:.1f}" + ("" if delay is None else f" ({delay:.0f} %)"))
    return [group["source"] or _TITLES[_key(group)], str(group["cases"]), *cells]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _ordinal(number: int) -> str:
    return {1: "single", 2: "second", 3: "third"}.get(number, f"{number}th")


def _chosen(cases: Sequence[Case], every: int) -> list[Case]:
    gauges = [c for c in cases if (c.corpus, c.effect) in _WATCHED and len(c.canary) >= _LEAST_POINTS]
    return gauges[::every]


def _group(groups: list[dict[str, Any]], corpus: str, effect: str) -> dict[str, Any]:
    return next(
        group
        for group in groups
        if (group["corpus"], group["effect"]) == (corpus, effect)
        and not group["source"]
        and not group.get("pairing")
    )


def _plot_tradeoff(groups: list[dict[str, Any]], path: Path) -> None:
    """Draw found faults against failed healthy cases, a panel an effect."""
    import matplotlib as mpl  # noqa: PLC0415 - plots are an extra
    from matplotlib import pyplot as plt  # noqa: PLC0415

    mpl.rcParams["svg.hashsalt"] = "canaryjudge"
    figure, axes = plt.subplots(1, len(_FOUND), figsize=(12, 3.4), sharey=True)
    healthy = _group(groups, "aa", "none")
    for axis, (corpus, effect, title) in zip(axes, _FOUND, strict=True):
        found = _group(groups, corpus, effect)
        for name in healthy["peers"]:
            x, y = healthy["peers"][name], found["peers"][name]
            axis.scatter(x, y, color="tab:gray", s=18)
            axis.annotate(LEGEND[name][0], (x, y), fontsize=7, xytext=(3, 3), textcoords="offset points")
        x, y = healthy["percent"]["fail"], found["percent"]["fail"]
        axis.scatter(x, y, color="tab:red", s=36, zorder=3)
        axis.annotate(OURS, (x, y), fontsize=8, xytext=(5, -9), textcoords="offset points", color="tab:red")
        axis.set(title=title, xlabel="healthy cases failed, %", xlim=(-2, 62), ylim=(-4, 104))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("found, %")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _plot_delays(groups: list[dict[str, Any]], path: Path) -> None:
    """Draw, for judges asked after every point, false fails beside what is found and how soon."""
    import matplotlib as mpl  # noqa: PLC0415 - plots are an extra
    from matplotlib import pyplot as plt  # noqa: PLC0415

    mpl.rcParams["svg.hashsalt"] = "canaryjudge"
    healthy, found = _group(groups, "aa", "none"), _group(groups, "abinj", "shift50")
    names = list(healthy["alarmed"])
    labels = [name if name == OURS else LEGEND[name][0] for name in names]
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.2), sharey=True)
    panels = (
        ("healthy cases failed at some look, %", healthy["alarmed"]),
        ("+50 % found by the end, %", found["alarmed"]),
        ("median part of the window until then, %", found["delay"]),
    )
    for axis, (title, values) in zip(axes, panels, strict=True):
        colors = ["tab:red" if name == OURS else "tab:gray" for name in names]
        axis.barh(labels, [values[name] or 0 for name in names], color=colors)
        axis.set(title=title, xlim=(0, 100))
        axis.title.set_fontsize(9)
        axis.grid(alpha=0.3, axis="x")
    axes[0].invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge, draw and write; 0, or 2 where there is nothing to judge."""
    parser = argparse.ArgumentParser(description="Write the page about the quality of verdicts.")
    parser.add_argument("--corpus", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--every", type=int, default=3, metavar="N", help="watch every Nth case")
    parser.add_argument(
        "--releases", type=int, default=400, metavar="N", help="bundled releases of each kind"
    )
    options = parser.parse_args(arguments)
    cases, skipped = load_cases(options.corpus, ("aa", "ab", "abinj", "err"))
    if not cases:
        print(f"{options.corpus}: there are no cases", file=sys.stderr)
        return 2
    with ProcessPoolExecutor(max(1, options.jobs)) as pool:
        judged = list(pool.map(judge_case, cases, chunksize=16))
        watched = list(pool.map(watch_case, _chosen(cases, options.every), chunksize=4))
    document, looks = report(judged, skipped), summarize_looks(watched)
    _IMAGES.mkdir(exist_ok=True)
    _plot_tradeoff(document["groups"], _IMAGES / "verdict-tradeoff.svg")
    _plot_delays(looks, _IMAGES / "verdict-looks.svg")
    tables = bundles(cases, options.releases), bounds(cases)
    _PAGE.write_text(page(document, looks, options.every, tables), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
