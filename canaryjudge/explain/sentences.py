"""Sentences about a metric, what its rules found, and the release as a whole, built from facts; no number is computed on the way."""

from __future__ import annotations

from typing import Final

from canaryjudge.explain.burn_rate import burn_found
from canaryjudge.explain.changes import (
    against_baseline,
    counted,
    interval_of,
    level,
    moved,
    no_harm,
    passing_tolerance,
    tolerated,
    typical,
)
from canaryjudge.explain.evidence import amount, evidence, outlook, proven_fine, sizes
from canaryjudge.explain.excursion import FEATURES, excursion_found, has_own_tolerance
from canaryjudge.explain.layout import cut, on_one_line
from canaryjudge.explain.notes import note_sentence
from canaryjudge.explain.numbers import count, more, percent, score, set_percent
from canaryjudge.explain.quantities import change, set_level
from canaryjudge.explain.slo import objective_found, without_percent
from canaryjudge.reasons import Outcome
from canaryjudge.results import MetricResult, ReleaseResult, Waived
from canaryjudge.rules.findings import Finding
from canaryjudge.rules.mann_whitney import BucketFacts

__all__ = [
    "clause",
    "headline",
    "metric_sentence",
    "one_line",
    "promise",
    "rule_sentence",
    "title",
    "waiver_sentence",
]

_DOUBTS = ("looks_like_counter", "units_apart")
_SAYS = {Outcome.PASS: "passes", Outcome.MARGINAL: "is undecided", Outcome.FAIL: "fails"}


def metric_sentence(result: MetricResult, release: ReleaseResult) -> str:
    """Say what became of a metric and why."""
    deciding = result.deciding
    if deciding is not None:
        if result.reason in ("deadline_passes", "deadline_fails"):
            does = "passes" if result.outcome is Outcome.PASS else "fails"
            return f"the watch is over, and the policy {does} what is undecided by then: {rule_sentence(deciding, result)}"
        if result.reason == "split_mismatch":
            found = next(note.facts for note in result.warnings if note.code == "split_mismatch")
            got, planned = (percent(float(found[name])) for name in ("found", "expected"))
            return (
                f"the canary got {got} of the traffic where the policy's split gives it {planned}, so the arms may not be alike; "
                f"otherwise: {rule_sentence(deciding, result)}"
            )
        if result.reason == "misread":
            odd = next(note for note in result.warnings if note.code in _DOUBTS)
            return f"the data may not be what the policy says, so they decide nothing: {note_sentence(odd)}; otherwise: {rule_sentence(deciding, result)}"
        if result.watch_over:
            return f"the watch is over, and nothing was decided: {rule_sentence(deciding, result)}"
        if result.reason == "not_proven_worse":
            return f"{rule_sentence(deciding, result)}; it passes because the policy passes what is not proven worse"
        if result.reason == "too_little_data" and deciding.outcome is Outcome.PASS:
            return (
                "one arm lacks far more of its values than the other (missing or infinite, see the notes), and what is "
                f"missing may be the fault itself; of those that are there: {rule_sentence(deciding, result)}"
            )
        return rule_sentence(deciding, result)
    if result.reason in ("no_data", "no_data_fails"):
        why = ", which the policy fails" if result.reason == "no_data_fails" else ""
        return f"no data in {' and '.join(silent_arms(result, release))}{why} ({sizes(result.n_baseline, result.n_canary, result)})"
    needed = next(
        (
            int(note.facts["needed"])
            for note in result.warnings
            if note.code == "too_few_points" and "needed" in note.facts
        ),
        None,
    )
    least = f" where {count(needed)} a side are needed" if needed else ""
    return f"too little data: {sizes(result.n_baseline, result.n_canary, result)}{least}"


def silent_arms(result: MetricResult, release: ReleaseResult) -> list[str]:
    """Name the arms without data."""
    sizes = ((release.baseline_arm, result.n_baseline), (release.canary_arm, result.n_canary))
    return [arm for arm, n in sizes if n == 0]


def rule_sentence(finding: Finding, result: MetricResult) -> str:
    """Say what one rule found of a metric."""
    if finding.rule == "late_shift":
        own = ", by late_shift's own tolerance" if has_own_tolerance(finding, result) else ""
        return f"last half{own}: {rule_sentence(finding.model_copy(update={'rule': 'mann_whitney'}), result)}"
    if finding.points_beyond is not None:
        return excursion_found(finding, result)
    if finding.beyond is not None:
        where = "below" if result.direction == "decrease" else "above"
        shares = result.model_copy(update={"kind": "ratio", "unit": "", "direction": "increase"})
        told = rule_sentence(finding.model_copy(update={"beyond": None}), shares)
        return f"share of observations {where} {set_level(finding.beyond, result.kind, result.unit)}: {told}"
    if finding.reason == "identical":
        return f"both arms are {level(finding.canary_level, result)} throughout ({sizes(finding.n_baseline, finding.n_canary, result, finding)})"
    if finding.reason == "nothing_found" and finding.pvalue is None:
        return f"nothing could be asked ({sizes(finding.n_baseline, finding.n_canary, result, finding)})"
    if finding.parts:
        return _group(finding, result)
    if finding.reason == "needs_absolute_tolerance" and finding.scale == "objective":
        return f"{without_percent(finding, result)} ({amount(finding, result)})"
    if finding.reason == "needs_absolute_tolerance":
        return (
            f"the arms cannot be compared in percent: the baseline's level is {level(finding.baseline_level, result)} and the canary's "
            f"{level(finding.canary_level, result)}; give tolerance.absolute ({sizes(finding.n_baseline, finding.n_canary, result, finding)})"
        )
    if finding.method == "not_positive":
        return f"there are values of 0 or below, which effect: ratio cannot compare; take effect: shift ({sizes(finding.n_baseline, finding.n_canary, result, finding)})"
    if finding.method == "no_edge":
        return f"no edge of the buckets lies near where the rule {finding.rule} begins ({sizes(finding.n_baseline, finding.n_canary, result, finding)})"
    if finding.reason == "too_little_data":
        more = (
            outlook(finding, result.interval_s, counted(result, finding), None, over=result.watch_over)
            if finding.rule == "sequential" or finding.looks_planned is not None
            else ""
        )
        return f"too little data for the rule {finding.rule}: {sizes(finding.n_baseline, finding.n_canary, result, finding)}{more}"
    return "; ".join(
        said
        for said in (_found(finding, result), _typical(finding, result), evidence(finding, result))
        if said
    )


def _typical(finding: Finding, result: MetricResult) -> str:
    return "" if finding.burn is not None else typical(finding, result)


def _group(finding: Finding, result: MetricResult) -> str:
    """Say what each rule of a group found, the one whose outcome is the group's first."""
    parts = sorted(finding.parts, key=lambda part: part.outcome is not finding.outcome)
    said = [f"{part.rule} {_SAYS[part.outcome]}, {rule_sentence(part, result)}" for part in parts]
    of = "any" if finding.rule == "any_of" else "all"
    word = "or" if of == "any" else "and"
    return f"{of} of {len(parts)}: {f'; {word} '.join(said)}"


def _found(finding: Finding, result: MetricResult) -> str:
    passed = proven_fine(finding)
    interval = finding.pass_interval if passed else finding.interval
    if finding.burn is not None:
        return burn_found(finding, finding.burn, _missing(finding, result))
    if finding.scale == "objective":
        ci = f" ({interval_of(interval, finding, result)})" if interval else ""
        return objective_found(finding, result, ci, _unprovable(finding), _missing(finding, result))
    ci = f" ({interval_of(interval, finding, result)})" if interval else ""
    tolerance = f"the tolerated {tolerated(finding, result)}"
    share = ", of which no percentage can be told" if finding.estimate is None else ""
    what = f"canary is {moved(finding, result)}, {against_baseline(finding, result)}{share}{ci}"
    if finding.reason == "proven_worse":
        return f"{what}, beyond {tolerance}"
    if passed and finding.harmless:
        return f"{what}, which is no harm: only {no_harm(finding, result)} is"
    if passed:
        return f"{what}, within {tolerance}"
    if finding.reason == "nothing_found" and finding.harmless:
        return f"{what}: {no_harm(finding, result)} is not proven"
    if finding.reason in ("suspected", "nothing_found"):
        return f"{what}: {'suspicious, but ' if finding.reason == 'suspected' else ''}not proven beyond {tolerance}"
    if finding.reason == "worse_but_maybe_tolerable":
        return (
            f"{what}: worse than the baseline, but not proven beyond {tolerance}{_missing(finding, result)}"
        )
    if finding.fullest_bucket is not None:
        return f"{what}: {_bucket(finding.fullest_bucket, result)}, too coarse to see {tolerance}"
    if finding.reason == "abstains":
        return f"{what}: its points are too few, or depend on each other too strongly, to prove {_unprovable(finding)}{_missing(finding, result)}"
    if finding.harmless:
        return (
            f"{what}: {no_harm(finding, result)} is neither proven nor ruled out{_missing(finding, result)}"
        )
    return f"{what}: proven neither beyond nor within {tolerance}{_missing(finding, result)}"


def _bucket(bucket: BucketFacts, result: MetricResult) -> str:
    share = percent(bucket.share)
    if bucket.low is None or bucket.high is None:
        where = "up to" if bucket.low is None else "above"
        return f"{share} of an arm's observations lie in the open bucket {where} {_edge(bucket.high if bucket.low is None else bucket.low, result)}"
    return f"{share} of an arm's observations lie in one bucket, {_edge(bucket.low, result)} to {_edge(bucket.high, result)}"


def _edge(value: float | None, result: MetricResult) -> str:
    return "unknown" if value is None else set_level(value, result.kind, result.unit)


def _unprovable(finding: Finding) -> str:
    levels = (("fail", finding.interval, finding.level), ("pass", finding.pass_interval, finding.beta))
    return " or ".join(
        f"a {what} at the level of {percent(allowed)}"
        for what, interval, allowed in levels
        if interval is not None and interval.low is None and interval.high is None
    )


def _missing(finding: Finding, result: MetricResult) -> str:
    if finding.rule == "sequential" or finding.looks_planned is not None:
        visible = (
            None
            if finding.smallest_visible is None
            else change(finding.smallest_visible, finding.scale, result.kind, result.unit)
        )
        return outlook(finding, result.interval_s, counted(result, finding), visible, over=result.watch_over)
    if finding.more_points is None and finding.noise_floor is not None:
        return "; more points alone would hardly decide, because healthy arms differ as well"
    if finding.more_points is None:
        siblings = finding.replica_spread is not None or finding.replica_dispersion is not None
        return "; more replicas would decide, more points would not" if siblings else ""
    said = f"; about {more(finding.more_points, counted(result, finding))} a side would decide at the present noise"
    enough = passing_tolerance(finding, result) if finding.far_from_decided else ""
    return f"{said}; these data would pass with a tolerance of about {enough}" if enough else said


_QUIET = {"excursion": "burst", "late_shift": "late shift"}
"""What rules about features look for."""


def other_findings(result: MetricResult) -> list[Finding]:
    """Give the findings beside the one that decided that have something to say."""
    return [
        finding
        for index, finding in enumerate(result.findings)
        if index != result.deciding_rule and not is_quiet(finding, index, result)
    ]


def is_quiet(finding: Finding, index: int, result: MetricResult) -> bool:
    """Tell whether a finding is of a rule about a feature that has nothing to say against the canary, and did not decide."""
    return (
        index != result.deciding_rule
        and finding.outcome is Outcome.PASS
        and (finding.rule in FEATURES or finding.reason == "nothing_found")
    )


def quiet_sentence(result: MetricResult) -> str:
    """Name the rules that have nothing to say against the canary, in one sentence; empty where there are none, or the metric fails anyway."""
    if result.outcome is Outcome.FAIL:
        return ""
    quiet = [f for i, f in enumerate(result.findings) if is_quiet(f, i, result)]
    absent = [_QUIET.get(f.rule, f"fault by {f.rule}") for f in quiet if f.reason != "nothing_found"]
    unseen = [_QUIET.get(f.rule, f"fault by {f.rule}") for f in quiet if f.reason == "nothing_found"]
    said = [f"no {' and no '.join(absent)}"] if absent else []
    if unseen:
        them = "one" if len(unseen) == 1 else "them"
        said.append(f"no {' and no '.join(unseen)} found, which does not rule {them} out")
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
        Outcome.PASS: "was the hardest to prove" if proven else "is unproven",
    }[release.outcome]
    return f"{parts}; {release.deciding_metric} {verb}{by}."


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
        f"{start} {set_percent(release.alpha)} of releases that are fine fail, and at most {set_percent(release.beta)} of those that are not pass, "
        f"over all metrics, for {looks}; provided that nothing but the release differs between the arms' windows, for which "
        "this data alone cannot vouch."
    )


def remarks(release: ReleaseResult) -> list[str]:
    """Say what else is to be known of a release: what fails as well, what passed unproven, and what is waived."""
    said = []
    if release.also_failing:
        said.append(
            f"Now that one metric has failed, these fail as well (Holm): {', '.join(release.also_failing)}"
        )
    if release.unproven:
        said.append(f"Passed unproven: {', '.join(release.unproven)}")
    return [*said, *(f"Waived: {waiver_sentence(waived)}" for waived in release.waived)]


def waiver_sentence(waived: Waived) -> str:
    """Say which guarantee is given up, and by what."""
    sentence = {
        "aggregate_score": "aggregate: score weighs metrics against each other, so neither alpha nor beta holds",
        "no_data_ignored": "no_data: ignore lets the release pass without this metric",
        "not_proven_worse_passes": "pass_when: not_proven_worse passes what is undecided, so beta does not hold",
        "point_evidence": "evidence: point compares an estimate without its interval, so neither alpha nor beta holds",
        "independence_assumed": "points or events are taken as independent; if they are not, releases fail and pass too often",
        "outside_proven_range": "so few or so dependent points lie outside the range in which the test's error rates are proven",
        "replicas_pooled": "replicas are taken together, so by as much as they differ among themselves releases fail and pass too often",
        "deadline_passes": "on_deadline: pass lets it pass undecided, so beta does not hold",
        "deadline_fails": "on_deadline: fail fails it undecided, so alpha does not hold",
        "nothing_required": "no metric is required, so a pass proves nothing",
    }[waived.what]
    return f"{waived.metric}: {sentence}" if waived.metric else sentence
