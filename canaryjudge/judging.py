"""The judge: data and a policy in, a verdict with its reasons out. Error rates are shared out here and nowhere else."""

from __future__ import annotations

import gc
import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, overload

import numpy as np

from canaryjudge._version import __version__
from canaryjudge.arm_summaries import facts_of_arms
from canaryjudge.arm_verdicts import ArmVerdicts
from canaryjudge.data import (
    AskedPair,
    History,
    MetricPair,
    ReleaseKey,
    about_metric,
    asked_pairs,
    read_releases,
    rows_of,
    with_exposures,
)
from canaryjudge.data.exposures import by_split, splits_of
from canaryjudge.data.reading import (
    check_names,
    named_arms,
    pairs_of_arms,
    pairs_or_notes,
    read_pairs_or_notes,
    source_of,
)
from canaryjudge.data.releases import columns_of, release_tables
from canaryjudge.data.segments import SegmentedPairs, read_segments, segments_of
from canaryjudge.data.sources import SeriesSource
from canaryjudge.errors import CanaryJudgeError, DataError, PolicyError
from canaryjudge.history import Asked, known_past, past_of, with_past
from canaryjudge.kinds import KINDS
from canaryjudge.outcomes import DataSummary, asked_rules, at_deadline, conclude, metric_result
from canaryjudge.policy import Metric, Policy, RuleSettings, Segments, Tolerance
from canaryjudge.progress import Progress, progress_of
from canaryjudge.reasons import Outcome
from canaryjudge.results import (
    ArmRanking,
    ArmsFacts,
    HistoryFacts,
    MetricResult,
    MetricSegments,
    Pairing,
    ReleaseResult,
    SegmentsFacts,
)
from canaryjudge.rules import (
    ErrorRates,
    Horizon,
    default_rules,
    ending_beyond,
    find,
)
from canaryjudge.rules.findings import Draft, Finding, LevelFinding, build
from canaryjudge.rules.growth import GrowthFinding
from canaryjudge.segments import (
    SegmentedMetric,
    asked_in_segments,
    judge_within,
    level_rule,
    splits_of_segments,
    too_thin,
)
from canaryjudge.verdict import Verdict
from canaryjudge.verdicts import MetricRow, ReleaseRow, Verdicts

__all__ = [
    "Case",
    "check_policy",
    "collected_later",
    "digest",
    "judge",
    "judge_cases",
    "judge_many",
    "judge_releases",
    "policy_digest",
    "rule_levels",
    "shares",
]


@overload
def judge(
    data: Any, policy: Policy, *, baseline: str = "baseline", canary: str = "canary", history: Any = None
) -> Verdict: ...


@overload
def judge(
    data: Any,
    policy: Policy,
    *,
    baseline: str | list[str] | tuple[str, ...] = "baseline",
    canary: list[str] | tuple[str, ...],
    history: Any = None,
) -> ArmVerdicts: ...


@np.errstate(
    all="ignore"
)  # what a caller wants of his own numbers; here what is beyond all floats is looked at
def judge(
    data: Any,
    policy: Policy,
    *,
    baseline: str | Sequence[str] = "baseline",
    canary: str | Sequence[str] = "canary",
    history: Any = None,
) -> Verdict | ArmVerdicts:
    """Judge a canary against its baseline, or several canaries under one alpha.

    Parameters
    ----------
    data : frame, mapping or list of records
        A tidy frame (pandas, polars, pyarrow, ...) with columns `metric`, `arm`, `value` and optionally `time` and `total`; a
        mapping ``{metric: {baseline: series, canary: series}}``; or what `from_wide` gives.
    policy : Policy
        What is asked of the release.
    baseline : str or list of str
        Name of the old version's arm in the data; of several canaries one for all, or a list with one for each.
    canary : str or list of str
        Name of the new version's arm in the data; or a list of those of several rings or versions, up to 100, which are judged under one alpha.
    history : frame, mapping or list of records, optional
        The same metrics at times when nothing was wrong, as `calibrate` takes them: one series a metric, several side by side (a column `replica` or `arm`), or past
        releases. What windows of the canary's own length differ by, or series that ran side by side where the arms share the clock, is allowed for as a `noise_floor` of the policy would
        be, which wins where there is one. Points that do not lie before the baseline are left out.

    Returns
    -------
    Verdict or ArmVerdicts
        Outcome, action, reasons, and each metric's findings. The same data and policy give the same verdict, to the byte. Of several canaries, a mapping of the arms to
        their verdicts, with the best and the worst of them.

    Raises
    ------
    DataError
        If the data cannot mean what the policy needs, or the arms are not there or named in a way that cannot be meant. Thin or odd data are a result with a reason, not an error.

    Notes
    -----
    Of K canaries each is judged at alpha / K; once some have failed, each of the k others is at alpha / k (Holm's procedure [1]_), so that any of them that is fine fails with a chance of at most alpha, however
    they depend on each other. An arm is named the worst of a metric where it is proven worse than each other one at the metric's share of alpha / 2K, by the rule about the metric's level with nothing tolerated:
    arms that share a baseline are compared with each other, so that its noise, which all of them have in common, is no part of it. The same for the best.

    Any metric may fail the release, so alpha is shared out over metrics by weight, and over a metric's rules equally (weighted
    Bonferroni; rules about a feature of the data count a tenth). Every required metric must pass, so each is tested at beta itself (an intersection-union test).

    Examples
    --------
    >>> import numpy as np, canaryjudge as cj
    >>> rng = np.random.default_rng(7)
    >>> data = {"latency_p99": {"baseline": rng.normal(120, 6, 60), "canary": rng.normal(158, 6, 60)}}
    >>> policy = cj.Policy(metrics=[cj.Metric(name="latency_p99", unit="ms", direction="increase")])
    >>> verdict = cj.judge(data, policy)
    >>> verdict.outcome.value, verdict.action
    ('fail', 'rollback')

    References
    ----------
    .. [1] S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian J. of Statistics 6 (1979), 65-70.
    """
    check_policy(policy)
    if isinstance(canary, (list, tuple)) or isinstance(baseline, (list, tuple)):
        if policy.segments is not None:
            raise PolicyError(
                "the policy compares within segments, which is for one canary",
                "Judge each canary by itself, at alpha divided by their number, or leave segments out of the policy.",
            )
        return _judge_arms(data, policy, named_arms(baseline, canary), history)
    arms = str(baseline), str(canary)
    known = known_past(history, policy, arms)
    if policy.segments is not None:
        parts = read_segments(data, policy, policy.segments, baseline=arms[0], canary=arms[1])
        return _verdict_within(parts, policy, policy.segments, arms, known)
    pairs = read_pairs_or_notes(data, policy, baseline=arms[0], canary=arms[1])
    return _verdict(pairs, policy, arms, known)


@np.errstate(all="ignore")
def judge_many(
    data: Any,
    policy: Policy,
    *,
    by: str | Sequence[str],
    baseline: str = "baseline",
    canary: str = "canary",
    progress: Progress | bool | None = None,
) -> Verdicts:
    """Judge many releases by one policy, all at once.

    Parameters
    ----------
    data : frame, list of records, or iterable of such
        A tidy table of any library as `judge` takes it, with the rows of all releases in any order; or tables one after another, each with all rows of its releases, as
        `scan_parquet` gives them.
    policy : Policy
        What is asked of every release.
    by : str or sequence of str
        The column, or the columns, that tell releases apart.
    baseline, canary : str
        Names of the old and the new version's arm in the data.
    progress : callable, bool or None
        Called with how many releases are judged and how many there are; or whether to show a bar on standard error: where somebody looks on, by default.

    Returns
    -------
    Verdicts
        A row a release and a row a metric, as frames; ``verdicts[key]`` is what `judge` gives for that release alone, to the byte. A release that cannot be judged is a row that says what is wrong.

    Raises
    ------
    DataError
        If it is no table, or a column is missing, or a row names no release.

    Notes
    -----
    The error rates alpha and beta are those of each release. Metrics of which the same is asked are rows of one batch, whatever releases they are of; the points are kept in memory, 8 bytes a number.

    Examples
    --------
    >>> import numpy as np, pandas as pd, canaryjudge as cj
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame({
    ...     "service": np.repeat(["cart", "search"], 60), "metric": "cpu", "arm": ["baseline", "canary"] * 60, "value": rng.normal(50, 1, 120),
    ... })
    >>> policy = cj.Policy(metrics=[cj.Metric(name="cpu", unit="%", direction="increase")])
    >>> cj.judge_many(frame, policy, by="service").to_frame()[["service", "outcome"]].values.tolist()
    [['cart', 'pass'], ['search', 'pass']]
    """
    check_policy(policy)
    arms, names = (str(baseline), str(canary)), columns_of(by)
    tell = progress_of("judged", wanted=progress)
    if policy.segments is not None:
        return _many_within(data, policy, policy.segments, names, arms, tell)
    pairs: dict[ReleaseKey, dict[str, MetricPair]] = {}
    errors: dict[ReleaseKey, CanaryJudgeError] = {}
    rows: dict[ReleaseKey, ReleaseRow] = {}
    metrics: dict[ReleaseKey, list[MetricRow]] = {}
    for key, found in read_releases(data, policy, by=by, baseline=arms[0], canary=arms[1]):
        rows[key] = _UNJUDGED
        if isinstance(found, CanaryJudgeError):
            errors[key], rows[key] = found, ReleaseRow.broken(found)
        else:
            pairs[key] = found
    unread = len(errors)
    tell(unread, len(rows))
    several = max(1, _AT_ONCE // max(1, len(policy.metrics)))
    keys = list(pairs)
    for start in range(0, len(keys), several):
        some = keys[start : start + several]
        with collected_later():
            found_of_each = _each_judged([pairs[key] for key in some], policy, arms)
        for key, judged in zip(some, found_of_each, strict=True):
            if isinstance(judged, CanaryJudgeError):
                errors[key], rows[key] = judged, ReleaseRow.broken(judged)
                del pairs[key]
            else:
                rows[key], metrics[key] = judged
        tell(unread + start + len(some), len(rows))
    return Verdicts(
        names, rows, errors, lambda key: _verdict(pairs[key], policy, arms), lambda key: metrics[key]
    )


_UNJUDGED: Final = ReleaseRow(None, "hold", None, None, None, None)
_AT_ONCE: Final = 1024
"""Metrics that are judged at once: more are no faster."""


@contextmanager
def collected_later() -> Iterator[None]:
    """Spare the collector of cycles, of which there are none here, its looks at thousands of findings again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def check_policy(policy: Any) -> None:
    """Refuse what is no policy."""
    if not isinstance(policy, Policy):
        raise PolicyError(
            f"the policy is a {type(policy).__name__}",
            "Make it with Policy(...), or read it with load_policy(path).",
        )


def _each_judged(
    releases: Sequence[Mapping[str, MetricPair]], policy: Policy, arms: tuple[str, str]
) -> list[tuple[ReleaseRow, list[MetricRow]] | CanaryJudgeError]:
    """Judge releases at once; where one cannot be judged, each by itself."""
    try:
        return [
            (ReleaseRow.of(release), [MetricRow.of(result) for result in release.metrics.values()])
            for release, _ in judge_releases(releases, policy, [arms] * len(releases))
        ]
    except CanaryJudgeError as error:
        if len(releases) == 1:
            return [error]
    return [judged for release in releases for judged in _each_judged([release], policy, arms)]


def judge_releases(
    releases: Sequence[Mapping[str, MetricPair]],
    policy: Policy,
    arms: Sequence[tuple[str, str]],
    histories: Sequence[History | None] | None = None,
) -> Iterator[tuple[ReleaseResult, list[Case]]]:
    """Judge releases at once, each with the names of its arms, and of its past; each with what was judged of it."""
    alphas = shares(policy)
    cases = [
        [
            Case.of(
                with_exposures(pairs[metric.name], metric, policy),
                metric,
                alphas[metric.name],
                history,
                names,
            )
            for metric in policy.metrics
        ]
        for pairs, names, history in zip(releases, arms, histories or [None] * len(releases), strict=True)
    ]
    found = iter(judge_cases([case for own in cases for case in own], policy))
    kinds = {(id(case.metric), case.pair.pairing): case for own in cases for case in own}
    at_looks = {
        key: all(rule.rule == "sequential" for rule in _rules(case.metric, case.pair.pairing))
        for key, case in kinds.items()
    }
    for own, names in zip(cases, arms, strict=True):
        results = {case.pair.name: next(found) for case in own}
        sequential = all(at_looks[id(case.metric), case.pair.pairing] for case in own)
        yield conclude(results, policy, names, "all_looks" if sequential else "one_look"), own


def _many_within(
    data: Any,
    policy: Policy,
    settings: Segments,
    by: tuple[str, ...],
    arms: tuple[str, str],
    tell: Progress,
) -> Verdicts:
    """Judge many releases within segments, one after another: the segments of each are judged at once."""
    check_names(arms)
    verdicts: dict[ReleaseKey, Verdict] = {}
    errors: dict[ReleaseKey, CanaryJudgeError] = {}
    rows: dict[ReleaseKey, ReleaseRow] = {}
    for key, columns, numbers in release_tables(data, by):
        try:
            parts = segments_of(columns, policy, settings, arms, numbers)
            verdicts[key] = _verdict_within(parts, policy, settings, arms)
            rows[key] = ReleaseRow.of(verdicts[key])
        except CanaryJudgeError as error:
            errors[key], rows[key] = error, ReleaseRow.broken(error)
        tell(len(rows), len(rows))
    return Verdicts(
        by,
        rows,
        errors,
        verdicts.__getitem__,
        lambda key: [MetricRow.of(result) for result in verdicts[key].metrics.values()],
    )


def _verdict_within(
    parts: SegmentedPairs,
    policy: Policy,
    settings: Segments,
    arms: tuple[str, str],
    history: History | None = None,
) -> Verdict:
    """Give the verdict of one release by its segments; by the first of two columns, where pairs of values have too little data."""
    with np.errstate(all="ignore"), collected_later():
        release, cases = _judge_within(parts, policy, settings, arms, history)
        facts = release.segments
        if facts is not None and len(parts.names[0]) > 1 and any(map(too_thin, facts.metrics.values())):
            release, cases = _judge_within(parts.by_first(), policy, settings, arms, history)
        return _written(release, cases, [*parts.digests()], policy, arms, history)


def _judge_within(
    parts: SegmentedPairs,
    policy: Policy,
    settings: Segments,
    arms: tuple[str, str],
    history: History | None,
) -> tuple[ReleaseResult, list[Case]]:
    """Judge a release as a whole and in each segment, and put both together."""
    alphas = shares(policy)
    cases = [
        Case.of(
            with_exposures(parts.whole[metric.name], metric, policy),
            metric,
            alphas[metric.name],
            history,
            arms,
        )
        for metric in policy.metrics
    ]
    within = {
        case.pair.name: case
        for case in cases
        if case.pair.name in parts.segments and level_rule(case.metric, case.pair) is not None
    }
    count, split = len(parts.names), splits_of(policy)
    in_each = policy.model_copy(update={"beta": policy.beta / count})
    own: list[Case] = []
    for name, case in within.items():
        asked, part = asked_in_segments(case.metric), case.alpha * (1 - settings.share) / count
        own += [Case(by_split(pair, asked, split), asked, part, arms=arms) for pair in parts.segments[name]]
    whole = dict(zip(parts.whole, judge_cases(cases, policy), strict=True))
    found = judge_cases(own, in_each)
    metrics = []
    for place, (name, case) in enumerate(within.items()):
        chosen = slice(place * count, (place + 1) * count)
        rules = _rules(case.metric, case.pair.pairing)
        level = rule_levels(rules, case.alpha)[level_rule(case.metric, case.pair) or 0]
        pairs = [each.pair for each in own[chosen]]
        metrics.append(
            SegmentedMetric(
                case.metric,
                case.pair,
                pairs,
                whole[name],
                found[chosen],
                parts.names,
                level,
                policy.beta,
                in_each.beta,
            )
        )
    splits = {
        name: splits_of_segments(parts.segments[name], parts.names, case.metric, policy)
        for name, case in within.items()
    }
    facts: dict[str, MetricSegments] = {}
    for each, judged in zip(metrics, judge_within(metrics, settings, arms, splits), strict=True):
        whole[each.metric.name] = judged.result
        if judged.facts is not None:
            facts[each.metric.name] = judged.facts
    release = conclude(whole, policy, arms, "one_look")
    told = SegmentsFacts(
        by=settings.by[: len(parts.names[0])],
        asked_by=settings.by,
        count=count,
        one=parts.names[0] if count == 1 else None,
        unnamed=tuple(name for name in parts.whole if name not in within),
        splits=tuple(split for found_splits in splits.values() for split in found_splits),
        metrics=facts,
    )
    return release.model_copy(update={"segments": told}), cases


@np.errstate(all="ignore")  # of many, a verdict is given later
def _verdict(
    pairs: Mapping[str, MetricPair], policy: Policy, arms: tuple[str, str], history: History | None = None
) -> Verdict:
    """Give the verdict of one release."""
    ((release, cases),) = judge_releases([pairs], policy, [arms], [history])
    return _written(release, cases, [pairs[name].digest() for name in release.metrics], policy, arms, history)


def _written(
    release: ReleaseResult,
    cases: Sequence[Case],
    digests: Sequence[str],
    policy: Policy,
    arms: tuple[str, str],
    history: History | None,
) -> Verdict:
    """Write a verdict of what became of a release, with digests of its data."""
    from canaryjudge.explain import one_line  # noqa: PLC0415 - the words are loaded when they are wanted

    arms_of = [(arm, case.pair) for case in cases for arm in (case.pair.baseline, case.pair.canary)]
    facts = facts_of_arms(arms_of)
    drawn = {
        name: result.model_copy(update={"baseline": baseline, "canary": canary})
        for (name, result), baseline, canary in zip(
            release.metrics.items(), facts[::2], facts[1::2], strict=True
        )
    }
    return Verdict(
        **dict(release) | {"metrics": drawn},
        reason=one_line(release),
        version=__version__,
        policy_digest=policy_digest(policy),
        data_digest=digest(
            [
                *arms,
                *digests,
                *([] if history is None else [history.digest()]),
            ]
        ),
    )


def _judge_arms(data: Any, policy: Policy, arms: list[tuple[str, str]], history: Any) -> ArmVerdicts:
    """Judge several arms under one alpha by Holm's procedure: each at its part of alpha, and once some have failed, the others at theirs of what is left."""
    from canaryjudge.explain.arms import arms_reason  # noqa: PLC0415 - the words are loaded when they are wanted

    source = source_of(data, policy, tuple(dict.fromkeys(name for names in arms for name in names)))
    pairs = pairs_of_arms(source, policy, arms)
    pasts = [known_past(history, policy, names) for names in arms]
    found: dict[int, tuple[ReleaseResult, list[Case]]] = {}
    ranking: tuple[ArmRanking, ...] | None = None
    left = list(range(len(arms)))
    while left:
        own = policy.model_copy(update={"alpha": policy.alpha / len(left)})
        judged = judge_releases(
            [pairs[arm] for arm in left], own, [arms[arm] for arm in left], [pasts[arm] for arm in left]
        )
        found |= zip(left, judged, strict=True)
        if ranking is None:  # of all arms, at their equal parts of alpha
            ranking = _ranked([found[arm] for arm in left], policy, source)
        failing = [arm for arm in left if found[arm][0].outcome is Outcome.FAIL]
        left = [arm for arm in left if arm not in failing] if failing else []
    releases = {names[1]: found[arm][0] for arm, names in enumerate(arms)}
    worst = max(releases.values(), key=lambda release: release.outcome.badness)
    told = {
        names[1]: _written(
            *found[arm], [pairs[arm][name].digest() for name in pairs[arm]], policy, names, pasts[arm]
        )
        for arm, names in enumerate(arms)
    }
    bests, worsts = ({getattr(one, side) for one in ranking or ()} - {None} for side in ("best", "worst"))
    facts: dict[str, Any] = {
        "outcome": worst.outcome,
        "action": worst.action,
        "alpha": policy.alpha,
        "beta": policy.beta,
        "best": next(iter(bests)) if len(bests) == 1 and not bests & worsts else None,
        "worst": next(iter(worsts)) if len(worsts) == 1 and not bests & worsts else None,
        "ranking": ranking or (),
        "arms": told,
        "version": __version__,
        "policy_digest": policy_digest(policy),
    }
    return ArmVerdicts(**facts, reason=arms_reason(ArmsFacts.model_construct(**facts)))


def _ranked(
    judged: Sequence[tuple[ReleaseResult, list[Case]]], policy: Policy, source: SeriesSource
) -> tuple[ArmRanking, ...]:
    """Name the best and the worst arm of each metric that can fail them: where they share a baseline, the one that is proven better or worse than each of the others, of which the baseline's noise is no part."""
    arms = [release.canary_arm for release, _ in judged]
    level = {name: alpha / (2 * len(arms)) for name, alpha in shares(policy).items()}
    asked: dict[str, tuple[Metric, str, str]] = {}
    for metric in policy.metrics:
        changes = _changes([release.metrics[metric.name] for release, _ in judged])
        if metric.can_fail and metric.direction != "either" and changes is not None:
            ends = arms[int(np.argmin(changes))], arms[int(np.argmax(changes))]
            asked[metric.name] = metric, *(ends[::-1] if metric.direction == "decrease" else ends)
    if len({release.baseline_arm for release, _ in judged}) > 1:
        return tuple(_ranked_apart(judged, policy, asked, level))
    cases = {
        (name, first, second): case
        for name, (metric, best, worst) in asked.items()
        for first, second in dict.fromkeys(
            [(best, arm) for arm in arms if arm != best] + [(arm, worst) for arm in arms if arm != worst]
        )
        if (case := _compared(metric, judged[0], (first, second), policy, source)) is not None
    }
    results = judge_cases(list(cases.values()), policy)
    pvalues = {
        key: result.findings[0].pvalue if result.findings else None
        for key, result in zip(cases, results, strict=True)
    }
    found = []
    for name, (_, best, worst) in asked.items():
        over_best = [pvalues.get((name, best, arm)) for arm in arms if arm != best]
        under_worst = [pvalues.get((name, arm, worst)) for arm in arms if arm != worst]
        largest = [
            None if None in own else max(value for value in own if value is not None)
            for own in (over_best, under_worst)
        ]
        named = [
            arm if value is not None and value <= level[name] else None
            for arm, value in zip((best, worst), largest, strict=True)
        ]
        found.append(
            ArmRanking(
                metric=name,
                best=named[0],
                worst=named[1],
                pvalue_best=largest[0],
                pvalue_worst=largest[1],
                level=level[name],
            )
        )
    return tuple(found)


def _changes(results: Sequence[MetricResult]) -> list[float] | None:
    """Give how much the level of each arm differs from its baseline's, in one scale; None where that is not known of any, or its data mean nothing."""
    if any(result.holds or result.lacks_data for result in results):
        return None
    levels = [finding for result in results if (finding := _about_level(result)) is not None]
    changes = [finding.estimate for finding in levels if finding.estimate is not None]
    one_scale = len({finding.scale for finding in levels}) == 1
    return changes if one_scale and len(changes) == len(results) else None


def _about_level(result: MetricResult) -> LevelFinding | None:
    """Give what the rule about the level of such metrics found, if it was asked."""
    rule = KINDS[result.kind].default_rules[0]
    found = (finding for finding in result.findings if finding.rule == rule)
    return next((finding for finding in found if isinstance(finding, LevelFinding)), None)


def _compared(
    metric: Metric,
    judged: tuple[ReleaseResult, list[Case]],
    arms: tuple[str, str],
    policy: Policy,
    source: SeriesSource,
) -> Case | None:
    """Ask of two arms whether the second is worse than the first at all, by the rule about the level; None where they cannot be compared."""
    (known,) = (case for case in judged[1] if case.pair.name == metric.name)
    nothing = "0" if KINDS[metric.kind].is_share or metric.tolerance.absolute is not None else None
    plain = known.metric.model_copy(
        update={
            "tolerance": Tolerance.model_validate({"relative": 0.0, "absolute": nothing}),
            "pass_within": None,
            "rules": tuple(
                rule
                for rule in _rules(metric, known.pair.pairing)
                if rule.rule == KINDS[metric.kind].default_rules[0]
            ),
        }
    )
    alone = policy.model_copy(update={"metrics": (plain,), "split": None})
    try:
        pair = pairs_or_notes(source, alone, arms)[metric.name]
        return Case(with_exposures(pair, plain, alone), plain, policy.alpha, arms=arms)
    except DataError:
        return None


def _ranked_apart(
    judged: Sequence[tuple[ReleaseResult, list[Case]]],
    policy: Policy,
    asked: Mapping[str, tuple[Metric, str, str]],
    level: Mapping[str, float],
) -> Iterator[ArmRanking]:
    """Name the best and the worst of arms that have baselines of their own: those whose intervals lie apart from all others, when all hold together."""
    cases = [
        replace(case, alpha=level[case.pair.name])
        for _, own in judged
        for case in own
        if case.pair.name in asked
    ]
    intervals: dict[tuple[str, str], tuple[float, float]] = {}
    for case, result in zip(cases, judge_cases(cases, policy), strict=True):
        finding = _about_level(result)
        interval = None if finding is None else finding.interval
        low, high = (None, None) if interval is None else (interval.low, interval.high)
        ends = (-math.inf if low is None else low, math.inf if high is None else high)
        falls = case.metric.direction == "decrease"
        intervals[case.pair.name, case.arms[1]] = (-ends[1], -ends[0]) if falls else ends
    for name, (_, best, worst) in asked.items():
        own = {arm: ends for (metric, arm), ends in intervals.items() if metric == name}
        is_best = all(own[best][1] < ends[0] for arm, ends in own.items() if arm != best)
        is_worst = all(own[worst][0] > ends[1] for arm, ends in own.items() if arm != worst)
        yield ArmRanking(
            metric=name,
            best=best if is_best else None,
            worst=worst if is_worst else None,
            level=level[name],
        )


def shares(policy: Policy) -> dict[str, float]:
    """Share alpha out over the metrics by weight.

    Parameters
    ----------
    policy : Policy
        Alpha and the metrics.

    Returns
    -------
    dict of str to float
        Each metric's share, in the policy's order. What cannot fail the release takes no part of alpha, and is asked at no more
        than all of it.
    """
    family = math.fsum(metric.weight for metric in policy.metrics if metric.can_fail)
    return {
        metric.name: policy.alpha
        * metric.weight
        / (family if metric.can_fail else max(family, metric.weight))
        for metric in policy.metrics
    }


def rule_levels(rules: Sequence[RuleSettings], alpha: float) -> list[float]:
    """Share a metric's part of alpha out over its rules: equally, but for those about a feature, which take a tenth of what the others do.

    Parameters
    ----------
    rules : sequence of rule settings
        The metric's rules.
    alpha : float
        The metric's part.

    Returns
    -------
    list of float
        Each rule's level.

    Examples
    --------
    >>> from canaryjudge import Excursion, LateShift, MannWhitney
    >>> [round(level, 6) for level in rule_levels([MannWhitney(), Excursion(), LateShift()], 0.01)]
    [0.008333, 0.000833, 0.000833]
    """
    whole = math.fsum(rule.weight for rule in rules)
    return [alpha * rule.weight / whole for rule in rules]


def policy_digest(policy: Policy) -> str:
    """Give the SHA-256 of a policy, of whatever others it was made."""
    return digest([policy.model_dump_json(exclude={"extends"})])


def digest(parts: Iterable[str]) -> str:
    """Give the SHA-256 of texts, in hexadecimal."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Case:
    """One metric of one release, to be judged.

    Attributes
    ----------
    pair : MetricPair
        Its arms, with their exposures.
    metric : Metric
        What is asked of it, told of its past.
    alpha : float
        Its share of alpha.
    past : HistoryFacts or None
        What its past says.
    arms : tuple of str
        What the data call them.
    """

    pair: MetricPair
    metric: Metric
    alpha: float
    past: HistoryFacts | None = None
    arms: tuple[str, str] = ("baseline", "canary")

    @classmethod
    def of(
        cls,
        pair: MetricPair,
        metric: Metric,
        alpha: float,
        history: History | None = None,
        arms: tuple[str, str] = ("baseline", "canary"),
    ) -> Case:
        """Look up what a history says of a metric."""
        past = None if history is None else past_of(metric, history, Asked.of(pair))
        return cls(pair, metric if past is None else with_past(metric, past), alpha, past, arms)


@np.errstate(all="ignore")
def judge_cases(cases: Sequence[Case], policy: Policy) -> list[MetricResult]:
    """Judge metrics, of one release or of many, as each would be judged alone: those of which the same is asked are rows of one batch."""
    data = [DataSummary.of(case.pair, case.past) for case in cases]
    horizon = Horizon(policy.max_points, policy.max_duration)
    first = {(id(case.metric), case.pair.pairing): case for case in cases}
    known = {key: _rules(case.metric, case.pair.pairing) for key, case in first.items()}
    rules = [known[id(case.metric), case.pair.pairing] for case in cases]
    rates = {case.alpha: ErrorRates(case.alpha, policy.beta) for case in cases}
    whole = asked_pairs(((case.pair, case.metric, rates[case.alpha]) for case in cases), horizon)
    alike: dict[tuple[Any, ...], list[int]] = {}
    for index, case in enumerate(cases):
        asked = asked_rules(rules[index], data[index], case.metric)
        alike.setdefault((asked, rules[index], case.metric.unit, *whole[index].likeness), []).append(index)
    findings: list[tuple[Finding, ...]] = [()] * len(cases)
    for places in alike.values():
        try:
            found = _asked(cases, whole, places, rules[places[0]], data[places[0]])
        except DataError:
            for place in places:  # one of them breaks a rule: say which
                with about_metric(cases[place].metric.name):
                    _asked(cases, whole, [place], rules[place], data[place])
            raise
        for place, own in zip(places, found, strict=True):
            findings[place] = own
    drafts = [
        metric_result(facts, case.metric, case.alpha, own, case.arms)
        for facts, case, own in zip(data, cases, findings, strict=True)
    ]
    for index, end in _ends(drafts, whole).items():
        case = cases[index]
        drafts[index] = metric_result(
            data[index], case.metric, case.alpha, (*findings[index], end), case.arms
        )
    return [
        _at_its_end(result, facts, own, policy, horizon)
        for result, facts, own in zip(build(drafts), data, rules, strict=True)
    ]


def _asked(
    cases: Sequence[Case],
    whole: Sequence[AskedPair],
    places: Sequence[int],
    rules: tuple[RuleSettings, ...],
    data: DataSummary,
) -> list[tuple[Finding, ...]]:
    """Ask those of which the same is asked."""
    rows, metric = rows_of([whole[place] for place in places]), cases[places[0]].metric
    levels, asked = rule_levels(rules, rows.rates.level), asked_rules(rules, data, metric)
    found = [
        find(replace(rows, rates=ErrorRates(level, rows.rates.beta)), rule.in_unit_of(metric)).findings()
        for rule, level, is_asked in zip(rules, levels, asked, strict=True)
        if is_asked
    ]
    return list(zip(*found, strict=True)) if found else [()] * len(places)


def _ends(drafts: Sequence[Draft], whole: Sequence[AskedPair]) -> dict[int, Finding]:
    """Find which of those that would pass end beyond the tolerance, where no rule has asked for that."""
    alike: dict[tuple[Any, ...], list[int]] = {}
    for index, (_, facts) in enumerate(drafts):
        if (
            facts["outcome"] is Outcome.PASS
            and any(isinstance(finding.effect, LevelFinding) for finding in facts["findings"])
            and not any(isinstance(finding, GrowthFinding) for finding in facts["findings"])
        ):
            alike.setdefault(whole[index].likeness, []).append(index)
    found: dict[int, Finding] = {}
    for places in alike.values():
        ends = ending_beyond(rows_of([whole[place] for place in places]))
        found |= {place: end for place, end in zip(places, ends, strict=True) if end is not None}
    return found


def _at_its_end(
    result: MetricResult, data: DataSummary, rules: Sequence[RuleSettings], policy: Policy, horizon: Horizon
) -> MetricResult:
    """Let the policy decide what a watch has left undecided when it is over."""
    if not all(rule.rule == "sequential" for rule in rules):
        return result
    points = min((finding.n_canary for finding in result.findings), default=0)
    over = horizon.is_over(points, *(data.span or (None, None)))
    return at_deadline(result, policy.on_deadline) if over else result


def _rules(metric: Metric, pairing: Pairing) -> tuple[RuleSettings, ...]:
    return metric.rules or default_rules(metric, one_clock=pairing == "concurrent")
