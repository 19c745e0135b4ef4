"""Sentences about metrics and what their rules found, built from facts; no number is computed on the way."""

from __future__ import annotations

from canaryjudge.explain.budgets import burn_found
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
from canaryjudge.explain.evidence import amount, evidence, proven_fine, sizes
from canaryjudge.explain.features import excursion_found, has_own_tolerance
from canaryjudge.explain.notes import note_sentence
from canaryjudge.explain.numbers import count, more, percent
from canaryjudge.explain.objectives import objective_found, without_percent
from canaryjudge.explain.quantities import change, set_level
from canaryjudge.explain.watching import outlook
from canaryjudge.results import BucketFacts, Finding, MetricResult, Outcome, ReleaseResult

__all__ = ["metric_sentence", "rule_sentence"]

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
    lacking = [
        arm
        for arm, n in ((release.baseline_arm, result.n_baseline), (release.canary_arm, result.n_canary))
        if n == 0
    ]
    if result.reason in ("no_data", "no_data_fails"):
        why = ", which the policy fails" if result.reason == "no_data_fails" else ""
        return (
            f"no data in {' and '.join(lacking)}{why} ({sizes(result.n_baseline, result.n_canary, result)})"
        )
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
