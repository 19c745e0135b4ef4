"""Sentences about a metric and the release as a whole, built from facts; no number is computed on the way."""

from __future__ import annotations

from typing import Final

from canaryjudge.explain.histories import rates_of_what
from canaryjudge.explain.layout import cut, listed, on_one_line
from canaryjudge.explain.notes import note_sentence
from canaryjudge.explain.numbers import count, percent, score, set_percent
from canaryjudge.explain.segments import found_in, segment_lead, segment_remarks, segments_left_out
from canaryjudge.explain.words import words_of
from canaryjudge.kinds import KINDS
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.results import MetricResult, ReleaseResult
from canaryjudge.rules.findings import Finding

__all__ = [
    "CAME_OUT",
    "clause",
    "headline",
    "is_quiet",
    "main_number",
    "metric_sentence",
    "not_proven",
    "one_line",
    "other_findings",
    "promise",
    "quiet_sentence",
    "remarks",
    "rule_sentence",
    "silent_arms",
    "title",
    "waivers",
]

_NOTED: Final = {
    Reason.BROKEN: "broken",
    Reason.SILENT: "silent",
    Reason.SAME_DATA: "same_data",
    Reason.TOLERANCE_TOO_WIDE: "tolerance_too_wide",
}
"""Reasons that a note tells whole."""
_DOUBTS = (
    "looks_like_counter",
    "units_apart",
    "never_falls",
    "made_up_values",
    "uncounted",
    "suggest_samples",
)


def metric_sentence(result: MetricResult, release: ReleaseResult, *, brief: bool = False) -> str:
    """Say what became of a metric and why; briefly, without intervals, tests and what the data would say if they were sound."""
    deciding = result.deciding
    if result.reason in _NOTED:
        return _noted_sentence(result, brief=brief)
    if result.reason is Reason.NO_DATA_FAILS and min(result.n_baseline, result.n_canary):
        return f"{_noted(result, 'silent')}, which the policy fails"
    if deciding is not None:
        said = found_in(deciding.rule, result, release) + rule_sentence(deciding, result, brief=brief)
        if lead := segment_lead(result, release):
            return lead if brief else f"{lead}; {said}"
        otherwise = "" if brief else f"; otherwise: {said}"
        if result.reason in (Reason.DEADLINE_PASSES, Reason.DEADLINE_FAILS):
            does = "passes" if result.outcome is Outcome.PASS else "fails"
            return f"the watch is over, and the policy {does} what is undecided by then: {said}"
        if result.reason is Reason.SPLIT_MISMATCH:
            found = next(note.facts for note in result.warnings if note.code == "split_mismatch")
            got, planned = (percent(float(found[name])) for name in ("found", "expected"))
            where = f"in {found['segment']} " if "segment" in found else ""
            return (
                f"{where}the canary got {got} of the traffic where the policy's split gives it {planned}, so the arms may not be alike"
                f"{otherwise}"
            )
        if result.reason is Reason.SEGMENTS_LEFT_OUT and release.segments is not None:
            return f"{segments_left_out(release.segments.metrics[result.name])}{otherwise}"
        if result.reason is Reason.MISREAD:
            odd = next(note for note in result.warnings if note.code in _DOUBTS)
            return f"the data may not be what the policy says, so they decide nothing: {note_sentence(odd)}{otherwise}"
        if result.reason is Reason.UNPAIRED:
            if KINDS[result.kind].is_paired:
                return f"more than a twentieth of an arm's requests were not answered by the other ({_sizes(result)} judged), and nobody knows what it would have said{otherwise}"
            return f"more than a fifth of the minutes have a point of one arm alone ({_sizes(result)} judged), and nobody knows what the other arm did in them{otherwise}"
        if result.watch_over:
            return f"the watch is over, and nothing was decided: {said}"
        if result.reason is Reason.NOT_PROVEN_WORSE:
            return f"{said}; it passes because the policy passes what is not proven worse"
        if result.reason is Reason.TOO_LITTLE_DATA and deciding.outcome is Outcome.PASS:
            return (
                "one arm lacks far more of its values than the other (missing or infinite, see the notes), and what is "
                f"missing may be the fault itself{otherwise}"
            )
        return said
    if result.reason in (Reason.NO_DATA, Reason.NO_DATA_FAILS):
        why = ", which the policy fails" if result.reason is Reason.NO_DATA_FAILS else ""
        return f"no data in {' and '.join(silent_arms(result, release))}{why} ({_sizes(result)})"
    needed = next(
        (
            int(note.facts["needed"])
            for note in result.warnings
            if note.code == "too_few_points" and "needed" in note.facts
        ),
        None,
    )
    least = f" where {count(needed)} a side are needed" if needed else ""
    return f"too little data: {_sizes(result)}{least}"


def _noted_sentence(result: MetricResult, *, brief: bool) -> str:
    """Say what is wrong with the data, and what they would have said otherwise."""
    sentence = _noted(result, _NOTED[result.reason])
    if brief:
        return sentence
    if result.deciding is None:
        return f"{sentence} ({_sizes(result)} judged)"
    return f"{sentence}; otherwise: {rule_sentence(result.deciding, result)}"


def _noted(result: MetricResult, code: str) -> str:
    """Give the sentence of a note that decided."""
    codes = (code, "both_silent") if code == "silent" else (code,)
    return next(note_sentence(note) for note in result.warnings if note.code in codes)


def _sizes(result: MetricResult) -> str:
    return f"{count(result.n_canary)} v. {count(result.n_baseline)} {KINDS[result.kind].points}"


def silent_arms(result: MetricResult, release: ReleaseResult) -> list[str]:
    """Name the arms without data."""
    sizes = ((release.baseline_arm, result.n_baseline), (release.canary_arm, result.n_canary))
    return [arm for arm, n in sizes if n == 0]


def rule_sentence(finding: Finding, result: MetricResult, *, brief: bool = False) -> str:
    """Say what one rule found of a metric."""
    return words_of(finding, result, brief=brief).sentence()


def main_number(result: MetricResult) -> tuple[str, str]:
    """Give the main number of a metric and what it is a change of or held against, such as ``("+23 %", "148 ms v. 120 ms")``."""
    finding = result.deciding
    if finding is None or finding.reason in (Reason.NO_DATA, Reason.TOO_LITTLE_DATA):
        return result.reason.words, ""
    return words_of(finding, result).main_number()


def other_findings(result: MetricResult) -> list[Finding]:
    """Give the findings beside the one that decided that have something to say."""
    return [
        finding
        for index, finding in enumerate(result.findings)
        if index != result.deciding_rule and not is_quiet(finding, index, result)
    ]


def is_quiet(finding: Finding, index: int, result: MetricResult) -> bool:
    """Tell whether a finding is of a rule about a feature that has nothing to say against the canary, and did not decide; of a canary that fails, that it does so until the end is no news."""
    if index == result.deciding_rule:
        return False
    if finding.reason is Reason.ENDS_BEYOND_TOLERANCE:
        return result.outcome is Outcome.FAIL
    nothing_found = finding.reason is Reason.NOTHING_FOUND
    return finding.outcome is Outcome.PASS and (nothing_found or bool(words_of(finding, result).feature))


def quiet_sentence(result: MetricResult) -> str:
    """Name the rules that have nothing to say against the canary, in one sentence; empty where there are none, or the metric fails anyway."""
    if result.outcome is Outcome.FAIL:
        return ""
    absent: list[str] = []
    unseen: list[str] = []
    for index, finding in enumerate(result.findings):
        if is_quiet(finding, index, result):
            what = words_of(finding, result).feature or f"fault by {finding.rule}"
            (unseen if finding.reason is Reason.NOTHING_FOUND else absent).append(what)
    said = [f"no {' and no '.join(absent)}"] if absent else []
    if unseen:
        one = "a small one" if len(unseen) == 1 else "small ones"
        said.append(f"no {' and no '.join(unseen)} seen, though {one} may have been missed")
    return "; ".join(said)


_ACTIONS = {"promote": "promote", "hold": "hold", "rollback": "roll back"}
CAME_OUT: Final = {Outcome.FAIL: "failed", Outcome.MARGINAL: "undecided", Outcome.PASS: "passed"}
"""How metrics came out, the worst first."""
_LONGEST_LINE = 199
_SHORTEST_NAME = 40


def title(release: ReleaseResult) -> str:
    """Give outcome and action: ``FAIL: roll back``."""
    return f"{release.outcome.value.upper()}: {_ACTIONS[release.action]}"


def headline(release: ReleaseResult) -> str:
    """Say in one sentence how many metrics came out how, and which decided."""
    counts = [
        f"{n} {word}"
        for outcome, word in CAME_OUT.items()
        if (
            n := sum(
                result.outcome is outcome and result.role != "muted" for result in release.metrics.values()
            )
        )
    ]
    muted = sum(result.role == "muted" for result in release.metrics.values())
    counts += [f"{muted} muted"] if muted else []
    if len(release.metrics) == 1:
        (only,) = release.metrics.values()
        rule = f" (rule {release.deciding_rule})" if release.deciding_rule else ""
        return f"The only metric, {only.name}, {counts[0].split(' ', 1)[1].replace('undecided', 'is undecided')}{rule}."
    parts = f"Of {len(release.metrics)} metrics {', '.join(counts)}"
    if release.aggregate == "score" and release.score is not None:
        parts += f"; score {score(release.score)} of 100"
    if release.deciding_metric is None:
        return f"{parts}."
    by = f" (rule {release.deciding_rule})" if release.deciding_rule else ""
    proven = release.metrics[release.deciding_metric].outcome is Outcome.PASS
    verb = {
        Outcome.FAIL: "decided",
        Outcome.MARGINAL: "holds it",
        Outcome.PASS: "was the hardest to prove" if proven else "is not proven fine",
    }[release.outcome]
    others = f"; {what}" if (what := not_proven(release, but=release.deciding_metric)) else ""
    return f"{parts}; {release.deciding_metric} {verb}{by}{others}."


def not_proven(release: ReleaseResult, *, but: str | None = None) -> str:
    """Say which metrics a pass leaves unproven, `but` one; empty where there are none."""
    names = [on_one_line(name) for name in release.unproven if name != but]
    if not names:
        return ""
    guards = all(
        result.role == "guard" for name, result in release.metrics.items() if name in release.unproven
    )
    what, are = ("guard", "is") if len(names) == 1 else ("guards", "are")
    return f"{f'the {what} ' if guards else ''}{listed(names)} {are} not proven fine"


def one_line(release: ReleaseResult) -> str:
    """Say it in one line of under 200 characters: outcome, deciding metric, numbers."""
    outcome = release.outcome.value.upper()
    if release.deciding_metric is None:
        return f"{outcome}: no metric was judged"
    result = release.metrics[release.deciding_metric]
    others = sum(
        other.outcome is release.outcome and other.name != result.name and other.role != "muted"
        for other in release.metrics.values()
    )
    tail = f" (and {others} more)" if others and release.outcome is not Outcome.PASS else ""
    if what := not_proven(release, but=result.name):
        tail = f" ({cut(what, _LONGEST_LINE // 3)})"
    rated = (
        f"score {score(release.score)}; "
        if release.aggregate == "score" and release.score is not None
        else ""
    )
    before, name, after = f"{outcome}: {rated}", on_one_line(result.name), f": {clause(result, release)}"
    room = _LONGEST_LINE - len(tail)
    # a long name makes way for the reason, and only then the reason's end is lost
    name = cut(name, max(room - len(before) - len(after), _SHORTEST_NAME))
    return cut(before + name + after, room) + tail


def clause(result: MetricResult, release: ReleaseResult) -> str:
    """Say the main thing about a metric: the sentence about it up to its first semicolon."""
    return on_one_line(metric_sentence(result, release).split("; ")[0])


def promise(release: ReleaseResult) -> str:
    """Say what the two error rates are, and for how many looks."""
    if release.aggregate == "score":
        return "Nothing but the release should differ between the arms' windows; this data alone cannot vouch for that."
    looks = "this one look at finished data" if release.valid_for == "one_look" else "all looks together"
    start = "Apart from what is waived, at most" if release.waived else "At most"
    return (
        f"{start} {set_percent(release.alpha)} of releases that are fine fail, and at most {set_percent(release.beta)} of verdicts pass a release with harm beyond the "
        f"bound that they print, over all metrics, for {looks}; {rates_of_what(release.metrics.values())}."
    )


def remarks(release: ReleaseResult) -> list[str]:
    """Say what else is to be known of a release: what fails as well, what passed unproven, and what is waived."""
    said = []
    if release.also_failing:
        said.append(
            f"Now that one metric has failed, these fail as well (Holm): {', '.join(release.also_failing)}"
        )
    said += segment_remarks(release.segments)
    return [*said, *(f"Waived: {waiver}" for waiver in waivers(release))]


def waivers(release: ReleaseResult) -> list[str]:
    """Say which guarantees are given up, each once, of which metrics, and by what."""
    given_up: dict[str, list[str]] = {}
    for waived in release.waived:
        given_up.setdefault(waived.what, []).extend([waived.metric] if waived.metric else [])
    return [
        f"{listed(names)}: {_WAIVERS[what]}" if names else _WAIVERS[what] for what, names in given_up.items()
    ]


_WAIVERS: Final = {
    "aggregate_score": "aggregate: score weighs metrics against each other, so neither alpha nor beta holds",
    "no_data_ignored": "no_data: ignore lets the release pass where there is no data",
    "not_proven_worse_passes": "pass_when: not_proven_worse passes what is undecided, so beta does not hold",
    "point_evidence": "evidence: point compares an estimate without its interval, so neither alpha nor beta holds",
    "independence_assumed": "points or events are taken as independent; where they are not, releases fail and pass too often",
    "outside_proven_range": "its points are so few, or so alike from one to the next, that alpha and beta are not proven to hold; a longer window would mend that",
    "no_earlier_days": "nothing tells what the service does at these hours on other days, so its change is told by a line on either side of the switch alone; alpha and beta do not hold, and nothing passes. Give history of three days or more",
    "replicas_pooled": "its replicas are taken together; the more they differ, the more often releases fail and pass wrongly",
    "deadline_passes": "on_deadline: pass lets it pass undecided, so beta does not hold",
    "deadline_fails": "on_deadline: fail fails it undecided, so alpha does not hold",
    "nothing_required": "no metric is required, so a pass proves nothing",
}
"""What is given up, and by what."""
