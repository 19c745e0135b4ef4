"""Findings -> the outcome of a metric -> the outcome of the release: the same for one look and for many."""

from __future__ import annotations

import math
import operator
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from canaryjudge.data import Arm, FloatArray, MetricPair, Note
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric, Policy, RuleSettings
from canaryjudge.policy.doubts import too_wide, unprovable, wholes_of
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.results import (
    HistoryFacts,
    MetricResult,
    Pairing,
    ReleaseResult,
    ValidFor,
    Waived,
)
from canaryjudge.rules.findings import Draft, Finding, LevelFinding, built

__all__ = ["DataSummary", "asked_rules", "at_deadline", "conclude", "metric_result", "says_nothing"]

_ACTIONS = {Outcome.PASS: "promote", Outcome.MARGINAL: "hold", Outcome.FAIL: "rollback"}
_SCORES = {Outcome.PASS: 100.0, Outcome.MARGINAL: 50.0, Outcome.FAIL: 0.0}
_UNMATCHED = 0.05
"""A pass is withheld where the other arm did not answer this part of an arm's requests."""
_UNUSABLE = ("missing_values", "infinite_values", "missing_times")
_LOPSIDED = 0.2
"""A pass is withheld where an arm lacks this much more of its points than the other, or the arms this much of their minutes in common."""

_LONG_SILENCE = 0.2
"""A pass is withheld where both arms said nothing for so much of the window, up to its end."""
_UNSEEN = 0.001
"""A pass is withheld where this part of an arm's observations is in none of its buckets."""


@dataclass(frozen=True, slots=True)
class DataSummary:
    """What data there were of a metric.

    Attributes
    ----------
    pairing : {"concurrent", "windows"}
        How the arms were paired.
    interval : float or None
        Spacing of the points in seconds.
    span : tuple of float, or None
        First and last time that both arms cover, in seconds since 1970.
    n_baseline, n_canary : int
        Points of the arms.
    notes : tuple of Note
        What is odd about them.
    pair : MetricPair or None
        The points, where they are at hand.
    history : HistoryFacts or None
        What the service's own past says of it.
    """

    pairing: Pairing
    interval: float | None
    span: tuple[float, float] | None
    n_baseline: int
    n_canary: int
    notes: tuple[Note, ...]
    pair: MetricPair | None = None
    history: HistoryFacts | None = None

    @classmethod
    def of(cls, pair: MetricPair, history: HistoryFacts | None = None) -> DataSummary:
        """Describe a pair."""
        sizes = pair.baseline.points, pair.canary.points
        return cls(pair.pairing, pair.interval, pair.overlap, *sizes, pair.notes, pair, history)

    @property
    def highest(self) -> float:
        """The largest value of both arms; infinite where the points are not at hand."""
        pair = self.pair
        arms = [] if pair is None else [arm for arm in (pair.baseline, pair.canary) if len(arm)]
        return max((_highest(arm, None if pair is None else pair.edges) for arm in arms), default=math.inf)


def _highest(arm: Arm, edges: FloatArray | None) -> float:
    """Give an arm's largest value; of a histogram, the last edge that is finite below which it has observations."""
    if arm.buckets is None or edges is None:
        return float(arm.levels.max())
    filled = np.flatnonzero(arm.buckets.sum(axis=0))
    return (
        float(edges[filled[-1]] if np.isfinite(edges[filled[-1]]) else edges[-2]) if len(filled) else math.inf
    )


def asked_rules(rules: tuple[RuleSettings, ...], data: DataSummary, metric: Metric) -> tuple[bool, ...]:
    """Tell which rules are asked: where there are data enough all, where there are fewer those that may find gross harm."""
    if (lacks := _lacking(data, metric)) is None:
        return (True,) * len(rules)
    by_minutes = data.pairing == "concurrent" and KINDS[metric.kind].is_averaged
    gross = lacks[1] is Reason.TOO_LITTLE_DATA and by_minutes
    return tuple(gross and rule.finds_gross_harm for rule in rules)


def _lacking(data: DataSummary, metric: Metric) -> tuple[Outcome, Reason] | None:
    """Tell what becomes of a metric for want of data; None where there are enough."""
    fewest = min(data.n_baseline, data.n_canary)
    if fewest == 0:
        return (
            (Outcome.FAIL, Reason.NO_DATA_FAILS)
            if metric.no_data == "fail"
            else (Outcome.MARGINAL, Reason.NO_DATA)
        )
    if fewest < metric.needed_points:
        return Outcome.MARGINAL, Reason.TOO_LITTLE_DATA
    return None


def metric_result(
    data: DataSummary, metric: Metric, alpha: float, findings: tuple[Finding, ...], arms: tuple[str, str]
) -> Draft:
    """Put a metric's findings together, as a draft of a `MetricResult`; there are none where its rules could not be asked."""
    if notes := tuple(_about_settings(data, metric, findings)):
        data = replace(data, notes=(*data.notes, *notes))
    deciding: int | None = None
    lacks = _lacking(data, metric)
    outcome, reason = lacks or (Outcome.MARGINAL, Reason.TOO_LITTLE_DATA)
    if lacks and not any(finding.outcome is Outcome.FAIL for finding in findings):
        findings = ()  # so few points can only show gross harm
    if findings:
        outcome, reason, deciding = _metric_outcome(findings, metric)
        if outcome is Outcome.PASS and _lopsided(data, arms):
            outcome, reason = Outcome.MARGINAL, Reason.TOO_LITTLE_DATA
        if outcome is Outcome.PASS and any(note.code == "split_mismatch" for note in data.notes):
            outcome, reason = Outcome.MARGINAL, Reason.SPLIT_MISMATCH
        if outcome is Outcome.PASS and _unpaired(data, metric):
            outcome, reason = Outcome.MARGINAL, Reason.UNPAIRED
        if _misread(data, outcome) or (outcome is Outcome.PASS and _averaged_extreme(data, findings)):
            outcome, reason = Outcome.MARGINAL, Reason.MISREAD
    withheld = _withheld(data, metric, outcome)
    if withheld is not None:
        outcome, reason = withheld
        deciding = None if reason is Reason.NO_DATA_FAILS else deciding
    start, end = data.span or (None, None)
    passes = outcome is Outcome.PASS
    facts = {
        "name": metric.name,
        "kind": metric.kind,
        "unit": metric.unit,
        "direction": metric.direction,
        "role": metric.role,
        "weight": metric.weight,
        "group": metric.group,
        "pairing": data.pairing,
        "interval_s": data.interval,
        "overlap_start": start,
        "overlap_end": end,
        "alpha": alpha,
        "outcome": outcome,
        "reason": reason,
        "deciding_rule": deciding,
        "n_baseline": data.n_baseline,
        "n_canary": data.n_canary,
        "findings": findings,
        "unproven": tuple(f.rule for f in findings if f.reason is Reason.NOTHING_FOUND) if passes else (),
        "warnings": data.notes,
        "history": data.history,
    }
    return Draft(MetricResult, facts)


def _about_settings(data: DataSummary, metric: Metric, findings: tuple[Finding, ...]) -> Iterator[Note]:
    """Note what the policy asks that means something else at these levels than it seems to."""
    for objective in dict.fromkeys(unprovable(metric)):
        perhaps = {"100%": "99.99%", "0%": "0.01%"}.get(objective, "0.01")
        yield Note(code="unprovable_objective", facts={"objective": objective, "perhaps": perhaps})
    for finding in findings:
        if (
            not isinstance(finding, LevelFinding)
            or finding.baseline_level is None
            or finding.canary_level is None
        ):
            continue
        wide = (
            None
            if _unclear(finding)
            else too_wide(
                metric,
                finding.baseline_level,
                finding.canary_level,
                data.highest if wholes_of(metric).sizes else math.inf,
            )
        )
        if wide is not None and (wide.beyond or not KINDS[metric.kind].is_share):
            told = {
                "tolerated": wide.tolerated,
                "level": wide.level,
                "change": wide.change,
                "allowed": wide.allowed,
            }
            best = {} if wide.best is None else {"best": wide.best}
            yield Note(code="tolerance_too_wide", facts={**told, **best})
        return


def _unclear(finding: LevelFinding) -> bool:
    """Tell whether a level is no yardstick: of values around 0 it is all noise."""
    interval, level = finding.pass_interval, abs(finding.baseline_level or 0.0)
    if interval is None or interval.low is None or interval.high is None or finding.scale != "absolute":
        return False
    return interval.high - interval.low >= level


def _withheld(data: DataSummary, metric: Metric, outcome: Outcome) -> tuple[Outcome, Reason] | None:
    """Tell what becomes of a metric whose data cannot mean what its rules made of them; a proven fault stays one."""
    codes = {note.code for note in data.notes}
    if outcome is Outcome.FAIL:
        return None
    if "broken" in codes:
        return Outcome.MARGINAL, Reason.BROKEN
    if min(data.n_baseline, data.n_canary) == 0:
        return None
    silent = any(map(says_nothing, data.notes))
    if silent and metric.no_data == "fail":
        return Outcome.FAIL, Reason.NO_DATA_FAILS
    if "same_data" in codes:
        return Outcome.MARGINAL, Reason.SAME_DATA
    if silent and (outcome is Outcome.PASS or "silent" in codes):
        return Outcome.MARGINAL, Reason.SILENT
    wide = next((note.facts for note in data.notes if note.code == "tolerance_too_wide"), None)
    if outcome is Outcome.PASS and wide is not None and float(wide["change"]) > float(wide["allowed"]):
        return Outcome.MARGINAL, Reason.TOLERANCE_TOO_WIDE
    return None


def says_nothing(note: Note) -> bool:
    """Tell whether a note is of a silence that withholds a pass: of one arm; of both, where it lasts for a fifth of the window up to its end, as it does where the service is down."""
    lasts = "silent_end" not in note.facts and "before" not in note.facts
    long = float(note.facts.get("part", 0.0)) >= _LONG_SILENCE
    return note.code == "silent" or (note.code == "both_silent" and lasts and long)


def at_deadline(result: MetricResult, on_deadline: Literal["marginal", "pass", "fail"]) -> MetricResult:
    """Let the policy decide what the watch has left undecided; it passes neither what was proven worse than the baseline, nor what has no data."""
    if result.outcome is not Outcome.MARGINAL:
        return result
    facts: dict[str, object] = {"watch_over": True}
    if on_deadline == "fail" and not result.lacks_data:
        facts |= {"outcome": Outcome.FAIL, "reason": Reason.DEADLINE_FAILS}
    elif on_deadline == "pass" and (result.reason.let_through or result.reason is Reason.ABSTAINS):
        facts |= {"outcome": Outcome.PASS, "reason": Reason.DEADLINE_PASSES}
    return result.model_copy(update=facts)


def _lopsided(data: DataSummary, arms: tuple[str, str]) -> bool:
    """Tell whether one arm lacks far more of its points than the other: what is missing may be the fault itself."""
    shares = []
    for points, name in zip((data.n_baseline, data.n_canary), arms, strict=True):
        unusable = sum(note.count or 0 for note in data.notes if note.code in _UNUSABLE and note.arm == name)
        shares.append(unusable / (unusable + points) if points else 0.0)
    return abs(shares[0] - shares[1]) > _LOPSIDED


def _unpaired(data: DataSummary, metric: Metric) -> bool:
    """Tell whether too many of the minutes that are compared by pairs, or of the requests, have a point of one arm alone: what the other would have said is unknown."""
    if KINDS[metric.kind].is_paired:
        alone = [note for note in data.notes if note.code == "unmatched_requests"]
        return any(float(note.facts["part"]) > _UNMATCHED for note in alone)
    if data.pairing != "concurrent" or not KINDS[metric.kind].is_averaged:
        return False
    single = sum(note.count or 0 for note in data.notes if note.code == "unpaired")
    return single > _LOPSIDED * (single + min(data.n_baseline, data.n_canary))


def _misread(data: DataSummary, outcome: Outcome) -> bool:
    """Tell whether an outcome rests on data that do not look like what the policy says: undeclared counters prove nothing; arms in different units, levels that never fall, values that a query made up and observations in no bucket no pass."""
    codes = {note.code for note in data.notes}
    no_pass = {"units_apart", "never_falls", "made_up_values"}
    return (outcome is not Outcome.MARGINAL and "looks_like_counter" in codes) or (
        outcome is Outcome.PASS and (not codes.isdisjoint(no_pass) or _uncounted(data))
    )


def _averaged_extreme(data: DataSummary, findings: tuple[Finding, ...]) -> bool:
    """Tell whether the largest or smallest value was asked for, of points that are means of several at one time: that hides the one that is bad."""
    if not any(note.code == "suggest_samples" for note in data.notes):
        return False
    return any(getattr(finding, "of", None) in ("min", "max") for finding in findings)


def _uncounted(data: DataSummary) -> bool:
    """Tell whether an arm's histograms lack more of their observations than a high percentile leaves out."""
    return any(float(note.facts["share"]) > _UNSEEN for note in data.notes if note.code == "uncounted")


def _metric_outcome(findings: tuple[Finding, ...], metric: Metric) -> tuple[Outcome, Reason, int]:
    """Fail a metric if any rule fails, pass it if all do; the first of the worst decides."""
    lenient = metric.pass_when == "not_proven_worse"

    def rank(index: int) -> tuple[int, bool, bool, int, float, float, int]:
        finding = findings[index]
        let_through = lenient and finding.reason.let_through
        return (
            finding.outcome.badness,
            not let_through,
            finding.reason is not Reason.NOTHING_FOUND,
            -finding.reason.severity,
            0.0
            if finding.outcome is Outcome.MARGINAL
            else finding.level,  # what is about the level is named first
            -_strength(finding),
            -index,
        )

    deciding = max(range(len(findings)), key=rank)
    outcome, reason = findings[deciding].outcome, findings[deciding].reason
    if reason is Reason.NOTHING_FOUND:  # by every rule, and none of them proves anything
        return Outcome.MARGINAL, Reason.UNDECIDED, deciding
    if lenient and reason.let_through:
        return Outcome.PASS, Reason.NOT_PROVEN_WORSE, deciding
    return outcome, reason, deciding


def _strength(finding: Finding) -> float:
    """How near a finding's p-value is to the level that it is held against; smaller is stronger."""
    if finding.outcome is Outcome.PASS:
        return 1.0 if finding.pvalue_pass is None else -finding.pvalue_pass
    return 1.0 if finding.pvalue is None else finding.pvalue / finding.level


def conclude(
    results: Mapping[str, MetricResult], policy: Policy, arms: tuple[str, str], valid_for: ValidFor
) -> ReleaseResult:
    """Put the metrics' results together, in the policy's order."""
    ignored = {
        metric.name
        for metric in policy.metrics
        if metric.no_data == "ignore" and results[metric.name].reason in (Reason.NO_DATA, Reason.SILENT)
    }
    counted = [result for name, result in results.items() if name not in ignored and result.role != "muted"]
    score = _score(counted, policy)
    outcome = _by_score(counted, score, policy) if policy.aggregate == "score" else _by_worst(counted)
    deciding = _deciding(counted, outcome)
    finding = None if deciding is None or deciding.reason.holds else deciding.deciding
    facts = {
        "outcome": outcome,
        "action": _ACTIONS[outcome],
        "alpha": policy.alpha,
        "beta": policy.beta,
        "valid_for": valid_for,
        "aggregate": policy.aggregate,
        "score": score,
        "deciding_metric": None if deciding is None else deciding.name,
        "deciding_rule": None if finding is None else finding.rule,
        "also_failing": _also_failing(results.values(), policy.alpha) if outcome is Outcome.FAIL else (),
        "unproven": _unproven(counted) if outcome is Outcome.PASS else (),
        "waived": _waived(results, policy, ignored),
        "baseline_arm": arms[0],
        "canary_arm": arms[1],
        "metrics": dict(results),
    }
    return built(ReleaseResult, facts)


def _by_worst(counted: list[MetricResult]) -> Outcome:
    if any(result.outcome is Outcome.FAIL and result.role in ("required", "guard") for result in counted):
        return Outcome.FAIL
    judged = [result for result in counted if not result.lacks_data]
    required = [result for result in counted if result.role == "required"]
    held = any(result.outcome is Outcome.FAIL for result in counted)  # an advisory one
    doubted = any(result.holds for result in counted if result.role == "guard")
    if held or doubted or not judged or any(result.outcome is not Outcome.PASS for result in required):
        return Outcome.MARGINAL
    return Outcome.PASS


def _by_score(counted: list[MetricResult], score: float | None, policy: Policy) -> Outcome:
    required = [result for result in counted if result.role == "required"]
    if any(result.outcome is Outcome.FAIL for result in required):
        return Outcome.FAIL
    if score is None:
        return Outcome.MARGINAL
    lacking = any(result.lacks_data for result in required) or any(
        result.holds for result in counted if result.role != "advisory"
    )
    if score >= policy.pass_score:
        return Outcome.MARGINAL if lacking else Outcome.PASS
    if score >= policy.marginal_score:
        return Outcome.MARGINAL
    # a fail must stand without the advisory metrics, and whatever the data that are lacking would say
    hopeful = [_hoped_for(result) if lacking else result for result in counted if result.role != "advisory"]
    best = _score(hopeful, policy)
    return Outcome.FAIL if best is not None and best < policy.marginal_score else Outcome.MARGINAL


def _hoped_for(result: MetricResult) -> MetricResult:
    if (result.role == "required" and result.lacks_data) or (result.role != "advisory" and result.holds):
        return result.model_copy(update={"outcome": Outcome.PASS, "reason": Reason.PROVEN_SAFE})
    return result


def _score(counted: list[MetricResult], policy: Policy) -> float | None:
    """Weighted mean within each group, then over the groups by their weights; metrics without data are left out."""
    groups: dict[str | None, list[MetricResult]] = {}
    for result in counted:
        if not result.lacks_data or result.outcome is Outcome.FAIL:
            groups.setdefault(result.group, []).append(result)
    if not groups:
        return None
    means = [
        _mean([_SCORES[r.outcome] for r in members], [r.weight for r in members])
        for members in groups.values()
    ]
    weights = [policy.groups.get(name, 1.0) if name is not None else 1.0 for name in groups]
    return round(_mean(means, weights), 9)  # so that 95 is 95 in any order of the metrics


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return math.fsum(map(operator.mul, values, weights)) / math.fsum(weights)


def _deciding(counted: list[MetricResult], outcome: Outcome) -> MetricResult | None:
    """Choose the metric to name: the worst that brought the outcome about; on a pass the required one that was the hardest to prove."""
    if outcome is Outcome.FAIL:
        eligible = [r for r in counted if r.role != "advisory"]
    elif outcome is Outcome.PASS:
        eligible = [r for r in counted if r.role == "required"]
        eligible = eligible or [r for r in counted if r.outcome is Outcome.PASS]
    else:
        eligible = [
            r
            for r in counted
            if r.outcome is Outcome.FAIL
            or (r.outcome is Outcome.MARGINAL and (r.role == "required" or (r.role == "guard" and r.holds)))
        ]
    eligible = eligible or counted
    if len(eligible) < 2:
        return eligible[0] if eligible else None

    def rank(result: MetricResult) -> tuple[int, int, float]:
        strength = _strength(result.deciding) if result.deciding else 1.0
        return -result.outcome.badness, result.reason.severity, strength

    return min(eligible, key=rank)


def _unproven(counted: list[MetricResult]) -> tuple[str, ...]:
    """Name what a pass leaves unproven; only a score passes a required metric that is, or a guard that failed."""
    return tuple(r.name for r in counted if r.role in ("required", "guard") and r.outcome is not Outcome.PASS)


def _also_failing(results: Iterable[MetricResult], alpha: float) -> tuple[str, ...]:
    """Step down by Holm's procedure: each metric that a test has failed leaves its share of alpha to the rest."""
    family = [result for result in results if result.role in ("required", "guard")]
    failed: list[MetricResult] = []
    while True:
        left = [result for result in family if result not in failed]
        weight = math.fsum(result.weight for result in left)
        more = [result for result in left if _fails_at(result, alpha * result.weight / weight)]
        if not more:
            return tuple(result.name for result in failed if result.outcome is not Outcome.FAIL)
        failed += more


def _fails_at(result: MetricResult, alpha: float) -> bool:
    return any(
        finding.pvalue is not None
        and finding.pvalue <= alpha * finding.level / result.alpha
        and finding.reason not in (Reason.ABSTAINS, Reason.ENVIRONMENT_UNHEALTHY)
        for finding in result.findings
        if finding.method != "point"
    )


def _waived(
    results: Mapping[str, MetricResult], policy: Policy, ignored: Collection[str]
) -> tuple[Waived, ...]:
    waived = [Waived(what="aggregate_score")] if policy.aggregate == "score" else []
    if not any(metric.role == "required" and metric.name not in ignored for metric in policy.metrics):
        waived.append(Waived(what="nothing_required"))
    for metric in policy.metrics:
        result = results[metric.name]
        if result.role == "muted":
            continue
        if metric.no_data == "ignore":
            waived.append(Waived(what="no_data_ignored", metric=metric.name))
        if metric.pass_when == "not_proven_worse":
            waived.append(Waived(what="not_proven_worse_passes", metric=metric.name))
        if result.reason in (Reason.DEADLINE_PASSES, Reason.DEADLINE_FAILS):
            waived.append(Waived(what=result.reason.value, metric=metric.name))
        kinds = dict.fromkeys(what for finding in result.findings for what in finding.waived)
        waived += [Waived(what=what, metric=metric.name) for what in kinds]
    return tuple(waived)
