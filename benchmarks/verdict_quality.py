"""Verdict quality: what canaryjudge and its peers say of labeled cases from real systems.

    python benchmarks/verdict_quality.py --corpus FOLDER [--json FILE] [--jobs N] [--rawlat] [--level-only]

Each case of `aa_*` (nothing changed), `ab_*` (faults), `abinj_*` (a known shift, or a doubled tail) and
`err_*` (errors of requests), with ``--rawlat`` of `rawlat_*` too (raw latencies), is judged through the
public API: a policy of one metric with the default error rates and tolerance, the manifest's bad direction,
series without times. Beside it stand the judges of `peers`, on the same points in the same run.

Printed are percentages of cases: canaryjudge's fail, marginal and pass, and each peer's alarms; a peer's
alarm counts in any direction where nothing changed, in the true direction otherwise. Below are the faults
with at least 10 canary points, which is where canaryjudge begins to judge, and canaryjudge with ``effect:
ratio`` beside its default on the series that are positive throughout. The JSON holds the same numbers, splits
marginal by reason, and lists the healthy cases that failed and the cases that raised, if any. The same folder
gives the same JSON. Times and notes go to standard error. Exit code 2: the folder is not there, or holds none
of the files.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from corpus import Case, load_cases
from peers import ASKED_ONCE, GAUGE_PEERS, LEGEND, RATIO_PEERS, alarms

import canaryjudge as cj

_HEADS = f"{'corpus, effect':<18}{'pairing':<18}{'source':<8}{'cases':>6}{'fail':>7}{'marg':>6}{'pass':>6}"
_OUTCOMES = ("fail", "marginal", "pass")
_EFFECTS = (
    "none",
    "fault",
    "shift5",
    "shift10",
    "shift25",
    "shift50",
    "tail2x",
    "null_0.1pct",
    "0.1_to_0.2pct",
    "0.1_to_0.5pct",
)
_METRIC = "metric"
_LEVEL_ONLY: Final = "CANARYJUDGE_BENCHMARK_LEVEL_ONLY"


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one case.

    Attributes
    ----------
    corpus, effect, pairing, source : str
        The groups that it is counted in.
    healthy : bool
        Nothing changed.
    points : int
        Canary points that are not missing.
    outcome, reason : str
        canaryjudge's; `raised` and the error's text if it raised.
    wrong_way : bool
        It failed for a change opposite to the true one.
    ratio_outcome : str or None
        The outcome under ``effect: ratio``; None where a value is not positive.
    alarms : dict of str to bool
        The peers' answers.
    false_alarm : dict or None
        The facts of a healthy case that failed.
    """

    case_id: str
    corpus: str
    effect: str
    pairing: str
    source: str
    healthy: bool
    points: int
    outcome: str
    reason: str
    wrong_way: bool
    ratio_outcome: str | None
    alarms: dict[str, bool]
    false_alarm: dict[str, Any] | None


def judge_case(case: Case) -> Judged:
    """Judge one case with canaryjudge and with the peers of its kind."""
    baseline, canary = (arm[np.isfinite(arm).all(axis=1)] for arm in (case.baseline, case.canary))
    verdict = _verdict(case, "shift")
    positive = case.kind != "ratio" and bool((baseline > 0).all() and (canary > 0).all())
    ratio = _verdict(case, "ratio") if positive else None
    if case.kind == "ratio":
        answers = alarms(RATIO_PEERS | ASKED_ONCE["ratio"], baseline, canary, case.expected)
    else:
        answers = alarms(GAUGE_PEERS | ASKED_ONCE["gauge"], baseline[:, 0], canary[:, 0], case.expected)
    failed = isinstance(verdict, cj.Verdict) and verdict.outcome == "fail"
    return Judged(
        case_id=case.case_id,
        corpus=case.corpus,
        effect=case.effect,
        pairing=case.pairing,
        source=case.source,
        healthy=case.healthy,
        points=len(canary),
        outcome=_outcome(verdict),
        reason=verdict.metrics[_METRIC].reason if isinstance(verdict, cj.Verdict) else verdict,
        wrong_way=failed and _sign_of(verdict) == {"increase": -1, "decrease": 1}.get(case.expected),
        ratio_outcome=None if ratio is None else _outcome(ratio),
        alarms=answers,
        false_alarm=_facts(case, verdict) if failed and case.healthy else None,
    )


_LEVEL: Final = {"gauge": cj.MannWhitney(), "samples": cj.MannWhitney(), "ratio": cj.Proportion()}


@cache
def _policy(kind: str, direction: str, effect: str) -> cj.Policy:
    rules = {"rules": [_LEVEL[kind]]} if os.environ.get(_LEVEL_ONLY) else {}
    metric = cj.Metric(name=_METRIC, kind=kind, direction=direction, effect=effect, **rules)
    return cj.Policy(metrics=[metric])


def _verdict(case: Case, effect: str) -> cj.Verdict | str:
    """Judge a case through the public API; the text of the error if that raises, which it never should."""
    try:
        policy = _policy(case.kind, case.bad_direction, effect)
        return cj.judge(
            {_METRIC: {"baseline": _series(case.baseline), "canary": _series(case.canary)}}, policy
        )
    except Exception as error:  # noqa: BLE001 - one bad case must not cost the others
        return f"{type(error).__name__}: {error}"


def _series(arm: np.ndarray) -> Any:
    return arm[:, 0] if arm.shape[1] == 1 else {"total": arm[:, 0], "value": arm[:, 1]}


def _outcome(verdict: cj.Verdict | str) -> str:
    return verdict.outcome.value if isinstance(verdict, cj.Verdict) else "raised"


def _sign_of(verdict: cj.Verdict) -> int:
    finding = verdict.metrics[_METRIC].deciding
    return 0 if finding is None or finding.estimate is None else int(np.sign(finding.estimate))


def _facts(case: Case, verdict: cj.Verdict) -> dict[str, Any]:
    """Describe a false alarm; `margin` is how far beyond the tolerance its confidence bound lies."""
    finding = verdict.metrics[_METRIC].deciding
    facts: dict[str, Any] = {
        "case_id": case.case_id,
        "metric_kind": case.metric_kind,
        "direction": case.bad_direction,
        "reason": verdict.reason,
    }
    if finding is None or finding.interval is None:
        return facts | {"margin": 0.0}
    above = (finding.interval.low, finding.limit_high)
    below = (finding.limit_low, finding.interval.high)
    margins = [beyond - limit for beyond, limit in (above, below) if beyond is not None and limit is not None]
    wanted = (
        "scale",
        "estimate",
        "pvalue",
        "baseline_level",
        "canary_level",
        "n_baseline",
        "n_canary",
        "autocorrelation",
    )
    return (
        facts
        | {"margin": round(max(margins, default=0.0), 6)}
        | {name: getattr(finding, name) for name in wanted}
    )


def summarize(judged: Sequence[Judged], **group: str | None) -> dict[str, Any]:
    """Give the percentages of one group of cases."""
    size = len(judged)

    def percent(number: int) -> float:
        return round(100 * number / size, 4)

    outcomes = Counter(case.outcome for case in judged)
    reasons = Counter(case.reason for case in judged if case.outcome == "marginal")
    peers = [name for name in LEGEND if all(name in case.alarms for case in judged)]
    return group | {
        "cases": size,
        "percent": {outcome: percent(outcomes[outcome]) for outcome in _OUTCOMES},
        "marginal_by_reason": {reason: percent(number) for reason, number in sorted(reasons.items())},
        "failed_the_wrong_way": percent(sum(case.wrong_way for case in judged)),
        "raised": outcomes["raised"],
        "peers": {name: percent(sum(case.alarms[name] for case in judged)) for name in peers},
    }


def summarize_groups(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """Summarize each corpus and effect, and within it each pairing, and within that each source."""
    groups = []
    for (corpus, effect), cases in _split(judged, lambda case: (case.corpus, case.effect)):
        groups.append(summarize(cases, corpus=corpus, effect=effect, pairing=None, source=None))
        for pairing, paired in _split(cases, lambda case: case.pairing):
            groups.append(summarize(paired, corpus=corpus, effect=effect, pairing=pairing, source=None))
            groups.extend(
                summarize(sourced, corpus=corpus, effect=effect, pairing=pairing, source=source)
                for source, sourced in _split(paired, lambda case: case.source)
            )
    return groups


def summarize_ratio(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """Set ``effect: ratio`` beside the default on the cases that are positive throughout."""
    rows = []
    positive = [case for case in judged if case.ratio_outcome is not None]
    for (corpus, effect), cases in _split(positive, lambda case: (case.corpus, case.effect)):
        row: dict[str, Any] = {"corpus": corpus, "effect": effect, "cases": len(cases)}
        for name, outcomes in (
            ("shift", [case.outcome for case in cases]),
            ("ratio", [case.ratio_outcome for case in cases]),
        ):
            row[name] = {
                outcome: round(100 * outcomes.count(outcome) / len(cases), 4) for outcome in _OUTCOMES
            }
        rows.append(row)
    return rows


def _split(judged: Iterable[Judged], key: Callable[[Judged], Any]) -> list[tuple[Any, list[Judged]]]:
    """Group cases, effects in their natural order and all else by name."""
    groups: dict[Any, list[Judged]] = {}
    for case in judged:
        groups.setdefault(key(case), []).append(case)

    def rank(name: Any) -> tuple[Any, ...]:
        corpus, effect = name if isinstance(name, tuple) else (name, "")
        return corpus, _EFFECTS.index(effect) if effect in _EFFECTS else len(_EFFECTS), effect

    return [(name, groups[name]) for name in sorted(groups, key=rank)]


def report(judged: Sequence[Judged], skipped: Sequence[str]) -> dict[str, Any]:
    """Put together what is printed and written."""
    policy = _policy("gauge", "increase", "shift")
    enough = [case for case in judged if case.corpus == "ab" and case.points >= 10]
    alarms_of_healthy = [case.false_alarm for case in judged if case.false_alarm is not None]
    return {
        "canaryjudge": cj.__version__,
        "policy": {
            "alpha": policy.alpha,
            "beta": policy.beta,
            "tolerance": policy.metrics[0].tolerated_relative,
        },
        "skipped": list(skipped),
        "groups": summarize_groups(judged),
        "ab_with_at_least_10_canary_points": summarize(enough) if enough else None,
        "effect_ratio_where_positive": summarize_ratio(judged),
        "healthy_cases": sum(case.healthy for case in judged),
        "healthy_failed": sorted(alarms_of_healthy, key=lambda facts: (-facts["margin"], facts["case_id"])),
        "raised": [
            {"case_id": case.case_id, "error": case.reason} for case in judged if case.outcome == "raised"
        ],
    }


def _jobs(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("give at least one job")
    return number


def as_text(document: dict[str, Any]) -> str:
    """Lay the report out as tables."""
    policy = document["policy"]
    shown = [name for name in LEGEND if any(name in group["peers"] for group in document["groups"])]
    heads = "".join(f"{LEGEND[name][0]:>7}" for name in shown)
    rates = f"alpha {policy['alpha']:.0%}, beta {policy['beta']:.0%}, tolerance {policy['tolerance']:.0%}"
    lines = [
        f"canaryjudge {document['canaryjudge']}, {rates}: percent of cases; peers: percent of cases alarming",
        "",
        _HEADS + heads,
    ]
    for group in document["groups"]:
        whole = group["pairing"] is None
        if not whole and group["source"] is None and _repeats(group, document["groups"]):
            continue
        name = f"{group['corpus']} {group['effect']}" if whole else ""
        lines.append(_row(name, group["pairing"] or "all", group["source"] or "all", group, shown))
    enough = document["ab_with_at_least_10_canary_points"]
    if enough:
        lines += ["", _row("ab fault, with at least 10 canary points", "", "", enough, shown)]
    lines += ["", *(f"{LEGEND[name][0]:<7}{LEGEND[name][1]}" for name in shown)]
    if document["effect_ratio_where_positive"]:
        lines += ["", *_ratio_table(document["effect_ratio_where_positive"])]
    failed, healthy, raised = (
        len(document["healthy_failed"]),
        document["healthy_cases"],
        len(document["raised"]),
    )
    lines += ["", f"{failed:,} of {healthy:,} healthy cases failed; {raised:,} cases raised an error."]
    return "\n".join(lines)


def _repeats(group: dict[str, Any], groups: Sequence[dict[str, Any]]) -> bool:
    """Tell whether a pairing's row has the same cases as the row above it or the only row below it."""
    place = ("corpus", "effect")
    family = [other for other in groups if all(other[key] == group[key] for key in place)]
    sources = sum(other["pairing"] == group["pairing"] and other["source"] is not None for other in family)
    return group["cases"] == family[0]["cases"] or sources == 1


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _row(name: str, pairing: str, source: str, group: dict[str, Any], peers: Sequence[str]) -> str:
    percent = group["percent"]
    label = (
        f"{_short(name, 17):<18}{_short(pairing, 17):<18}{_short(source, 7):<8}" if pairing else f"{name:<44}"
    )
    cells = "".join(
        f"{group['peers'][peer]:>7.1f}" if peer in group["peers"] else f"{'-':>7}" for peer in peers
    )
    ours = f"{percent['fail']:>7.1f}{percent['marginal']:>6.1f}{percent['pass']:>6.1f}"
    return f"{label}{group['cases']:>6,}{ours}{cells}"


def _ratio_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = ["For information, on the series that are positive throughout:", ""]
    lines.append(f"{'':<18}{'':>6}{'effect: shift (default)':>28}{'effect: ratio':>22}")
    lines.append(
        f"{'corpus, effect':<18}{'cases':>6}"
        f"{'fail':>10}{'marg':>9}{'pass':>9}{'fail':>8}{'marg':>7}{'pass':>7}"
    )
    for row in rows:
        name = f"{row['corpus']} {row['effect']}"
        default = "".join(f"{row['shift'][outcome]:>9.1f}" for outcome in _OUTCOMES)
        ratio = "".join(f"{row['ratio'][outcome]:>7.1f}" for outcome in _OUTCOMES)
        cells = f" {default} {ratio}"
        lines.append(f"{_short(name, 17):<18}{row['cases']:>6,}{cells}")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0, or 2 where there is nothing to judge."""
    parser = argparse.ArgumentParser(description="Judge labeled cases with canaryjudge and its peers.")
    parser.add_argument(
        "--corpus", required=True, type=Path, metavar="FOLDER", help="folder of manifests and series"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the tables there too")
    parser.add_argument(
        "--jobs", type=_jobs, default=os.cpu_count() or 1, metavar="N", help="processes (default: one a core)"
    )
    parser.add_argument("--rawlat", action="store_true", help="judge the raw latencies too")
    parser.add_argument(
        "--level-only",
        action="store_true",
        help="ask for the level alone, not for the default policy's other rules",
    )
    options = parser.parse_args(arguments)
    if options.level_only:
        os.environ[_LEVEL_ONLY] = "1"  # for all processes
    corpora = ("aa", "ab", "abinj", "err", *(("rawlat",) if options.rawlat else ()))
    if not options.corpus.is_dir():
        print(f"{options.corpus}: there is no such folder", file=sys.stderr)
        return 2
    start = time.perf_counter()
    cases, skipped = load_cases(options.corpus, corpora)
    if not cases:
        print(
            f"{options.corpus}: there are no cases of {', '.join(corpora)}: no manifest with its series",
            file=sys.stderr,
        )
        return 2
    for sentence in skipped:
        print(sentence, file=sys.stderr)
    if options.jobs == 1:
        judged = [judge_case(case) for case in cases]
    else:
        with ProcessPoolExecutor(options.jobs) as pool:
            judged = list(pool.map(judge_case, cases, chunksize=16))
    document = report(judged, skipped)
    print(as_text(document))
    if options.json is not None:
        options.json.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    print(
        f"{len(cases):,} cases in {time.perf_counter() - start:.0f} s, {options.jobs} jobs", file=sys.stderr
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
