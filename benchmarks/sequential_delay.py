"""How soon, and how rightly, a release is decided while it runs: canaryjudge beside other ways to look at running data.

    python benchmarks/sequential_delay.py [--runs N] [--quick] [--json FILE] [--corpus FOLDER]

Simulated releases, seeded, alpha = beta = 5 %. Ratios and counts: a look after every interval. Latencies: a look after every pair of
requests, or after every interval where the requests of one share its weather. A median is that of all runs, in intervals or in requests an
arm: an undecided run is longer than all, and ">180" says that half the runs were undecided after 180.

canaryjudge's engines are run for N runs (default 2,000), and a tenth as many runs of the same data go through the public path, a `Monitor`
that is fed and asked interval by interval, or the rule's own process: how many of these agree is printed. With --corpus, the
real series of `aa_*` and `abinj_*` are watched by a Monitor point by point. Packages that are installed are fed the same data; which were
skipped is printed. The last table holds what was measured against the targets. The JSON holds the same numbers; the same options
give the same JSON. Times and notes go to standard error. --quick takes a tenth of the runs. Exit code 2: the folder is not there, or holds
none of the files.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sequential_peers as peers
from corpus import Case, load_cases
from numpy.typing import NDArray
from peers import alarms, kayenta_label, mann_whitney
from sequential_counts import steady, watch_counts
from sequential_engines import Decisions, mixture
from sequential_latencies import EFFECTS, PAIRS, lognormal, watch_latencies, watch_shocks
from sequential_report import ALPHA, BETA, Report, facts_of, finite, three, two
from tables import grid

import canaryjudge as cj

_FIRST_LOOK = 5
_ALPHAS = {"5": 0.05, "1": 0.01}
_SERIES = (("healthy pairs (aa)", "aa", "none"), ("a shift of 50 % (abinj)", "abinj", "shift50"))

FloatArray = NDArray[np.float64]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0, or 2 where the folder holds nothing."""
    parser = argparse.ArgumentParser(
        description="Speed to decide of sequential tests, canaryjudge and its peers."
    )
    parser.add_argument("--runs", type=int, default=2000, metavar="N", help="simulated runs (default: 2,000)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    parser.add_argument("--corpus", type=Path, metavar="FOLDER", help="folder of manifests and series")
    parser.add_argument("--only", metavar="PARTS", default="abcde", help="which parts: a to e (default: all)")
    options = parser.parse_args(arguments)
    if options.corpus is not None and not (options.corpus / "aa_manifest.csv").is_file():
        print(f"{options.corpus}: there is no aa_manifest.csv", file=sys.stderr)
        return 2
    report = Report(max(options.runs // (10 if options.quick else 1), 20))
    print(f"canaryjudge {cj.__version__}, alpha {ALPHA:.0%}, beta {BETA:.0%}\n")
    parts: dict[str, Callable[[Report], None]] = {
        "a": watch_counts,
        "b": watch_latencies,
        "c": watch_shocks,
        "d": lambda report: _real(report, options.corpus, quick=options.quick),
        "e": _packages,
    }
    for name in options.only:
        start = time.perf_counter()
        if name != "d" or options.corpus is not None:
            parts[name](report)
            print(f"part {name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    _targets(report)
    if options.json is not None:
        document = {
            "canaryjudge": cj.__version__,
            "runs": report.runs,
            "tables": report.tables,
            "targets": [
                {"what": what, "sign": sign, "limit": limit, "found": finite(found), "note": note}
                for what, sign, limit, found, note in report.targets
            ],
        }
        options.json.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return 0


def _real(report: Report, folder: Path, *, quick: bool) -> None:
    rows = watch_corpus(folder, most=100 if quick else None)
    shown = [
        [
            row["series"],
            f"{row['cases']:,}",
            f"{row['fail_5']:.1f}",
            f"{row['pass_5']:.1f}",
            f"{row['fail_1']:.1f}",
            f"{row['pass_1']:.1f}",
            f"{row['mann_whitney']:.1f}",
            f"{row['kayenta']:.1f}",
        ]
        for row in rows
    ]
    heads = [
        "series",
        "cases",
        "alpha 5 %\nfailed",
        "\npassed",
        "alpha 1 %\nfailed",
        "\npassed",
        "MW\nalarms",
        "Kayenta\nalarms",
    ]
    notes = (
        "Percent of cases that a Monitor ever failed, and that it had passed at the end (a fail after a pass counts as failed). It is asked after",
        "every point from the fifth; `max_points` is the series' length, the tolerance 10 %, nothing is known from history. alpha 5 % is the",
        "level of the peers; 1 % is the policy's default. MW: plain two-sided Mann-Whitney, p < .05, ever; Kayenta's rule, ever; both at the",
        "same looks, and where something changed in the true direction.",
    )
    report.show("real", grid("d. Real series, watched point by point", heads, shown, notes), rows)
    report.want("real healthy pairs: % ever failed, alpha 5 %", "<=", 4, rows[0]["fail_5"])
    report.want("real healthy pairs: % ever failed, alpha 1 %", "<=", 4, rows[0]["fail_1"])
    report.want("real series, +50 %: % found, alpha 5 %", ">=", 93, rows[1]["fail_5"])


def _packages(report: Report) -> None:
    rng, runs = np.random.default_rng(5), max(report.public // 2, 10)
    traffic = steady("", 1000.0, 1000.0)
    found = [name for name in peers.PACKAGES if peers.runs(name)]
    skipped = [name for name in peers.PACKAGES if name not in found]
    rows, shown = [], []
    asked = {
        "savvi": peers.savvi_decisions,
        "sequential_analysis": peers.sequential_analysis_decisions,
    }
    used = [name for name in asked if name in found]
    if used:
        for ratio in (1.0, 1.5, 2.0, 3.0):
            events = traffic.counts(rng, ratio, runs)
            answers: dict[str, Decisions | None] = {
                "canaryjudge": mixture(events, traffic, 0.5),
                "beta mixture": peers.beta_mixture(events, traffic, 0.5),
            }
            answers |= {name: asked[name](events, traffic, 0.5) for name in used}
            shown.append([f"tolerance 50 %, ratio {ratio:g}", *(three(one, 180) for one in answers.values())])
            rows.append({"ratio": ratio} | {name: facts_of(one) for name, one in answers.items()})
        heads = ["counts", *(f"{name}\n fail  pass  med" for name in answers)]
        title = f"e. Packages, on the same counts as canaryjudge's engine (kind count): {runs} runs"
        report.show("packages_counts", grid(title, heads, shown), rows)
    if "ville" in found:
        cells, facts = [], []
        for effect in EFFECTS:
            baseline, canary = lognormal(rng, effect, runs)
            one = peers.ville_found(baseline, canary)
            cells.append(two(one, PAIRS))
            facts.append({"effect": effect or "none"} | facts_of(one))
        heads = ["", *(f"{effect or 'none'}\nfound    n" for effect in EFFECTS)]
        title = f"e. ville's AsymptoticCS of the mean difference of pairs, two-sided: {runs} runs"
        report.show("packages_latencies", grid(title, heads, [["ville", *cells]]), facts)
    print(
        f"Packages that were run: {', '.join(found) or 'none'}; skipped, as they are not installed or cannot be imported: {', '.join(skipped) or 'none'}.\n"
    )


def _targets(report: Report) -> None:
    shown = [
        [
            what,
            f"{sign} {limit:g}",
            "undecided" if math.isinf(found) else f"{found:.3g}",
            _met(sign, limit, found),
            note,
        ]
        for what, sign, limit, found, note in report.targets
    ]
    if shown:
        print(grid("Targets", ["", "wanted", "measured", "", "remark"], shown))


def _met(sign: str, limit: float, found: float) -> str:
    return "met" if (found <= limit if sign == "<=" else found >= limit) else "MISSED"


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


if __name__ == "__main__":
    sys.exit(main())
