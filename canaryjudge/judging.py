"""The judge: data and a policy in, a verdict with its reasons out. Error rates are shared out here and nowhere else."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import Any

from canaryjudge._version import __version__
from canaryjudge.data import History, MetricPair, about_metric, row_of, with_exposures
from canaryjudge.data.reading import read_pairs_or_notes
from canaryjudge.errors import PolicyError
from canaryjudge.history import Asked, known_past, past_of, with_past
from canaryjudge.outcomes import DataSummary, at_deadline, conclude, is_asked, metric_result
from canaryjudge.policy import Metric, Policy, RuleSettings
from canaryjudge.reasons import Outcome
from canaryjudge.results import HistoryFacts, MetricResult, Pairing, ValidFor
from canaryjudge.rules import ErrorRates, Horizon, default_rules, ending_beyond, judge_pairs
from canaryjudge.rules.findings import Finding, LevelFinding
from canaryjudge.verdict import Verdict

__all__ = ["digest", "judge", "judge_alike", "judge_metric", "rule_levels", "shares"]


def judge(
    data: Any, policy: Policy, *, baseline: str = "baseline", canary: str = "canary", history: Any = None
) -> Verdict:
    """Judge a canary against its baseline.

    Parameters
    ----------
    data : frame, mapping or list of records
        A tidy frame (pandas, polars, pyarrow, ...) with columns `metric`, `arm`, `value` and optionally `time` and `total`; a
        mapping ``{metric: {baseline: series, canary: series}}``; or what `from_wide` gives.
    policy : Policy
        What is asked of the release.
    baseline : str
        Name of the old version's arm in the data.
    canary : str
        Name of the new version's arm in the data.
    history : frame, mapping or list of records, optional
        The same metrics at times when nothing was wrong, as `calibrate` takes them: one series a metric, several side by side (a column `replica` or `arm`), or past
        releases. What windows of the canary's own length differ by, or series that ran side by side where the arms share the clock, is allowed for as a `noise_floor` of the policy would
        be, which wins where there is one. Points that do not lie before the baseline are left out.

    Returns
    -------
    Verdict
        Outcome, action, reasons, and each metric's findings. The same data and policy give the same verdict, to the byte.

    Raises
    ------
    DataError
        If the data cannot mean what the policy needs. Thin or odd data are a result with a reason, not an error.

    Notes
    -----
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
    """
    if not isinstance(policy, Policy):
        raise PolicyError(
            f"the policy is a {type(policy).__name__}",
            "Make it with Policy(...), or read it with load_policy(path).",
        )
    baseline, canary = str(baseline), str(canary)
    known = known_past(history, policy, (baseline, canary))
    pairs = read_pairs_or_notes(data, policy, baseline=baseline, canary=canary)
    from canaryjudge.explain import one_line  # noqa: PLC0415 - the words are loaded when they are wanted

    alphas = shares(policy)
    results = {
        metric.name: judge_metric(
            with_exposures(pairs[metric.name], metric, policy),
            metric,
            policy,
            alphas[metric.name],
            (baseline, canary),
            known,
        )
        for metric in policy.metrics
    }
    sequential = all(
        rule.rule == "sequential"
        for metric in policy.metrics
        for rule in _rules(metric, pairs[metric.name].pairing)
    )
    valid_for: ValidFor = "all_looks" if sequential else "one_look"
    release = conclude(results, policy, (baseline, canary), valid_for)
    return Verdict(
        **dict(release),
        reason=one_line(release),
        version=__version__,
        policy_digest=digest([policy.model_dump_json(exclude={"extends"})]),
        data_digest=digest(
            [
                baseline,
                canary,
                *(pairs[name].digest() for name in results),
                *([] if known is None else [known.digest()]),
            ]
        ),
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


def digest(parts: Iterable[str]) -> str:
    """Give the SHA-256 of texts, in hexadecimal."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def judge_metric(
    pair: MetricPair,
    metric: Metric,
    policy: Policy,
    alpha: float,
    arms: tuple[str, str] = ("baseline", "canary"),
    history: History | None = None,
) -> MetricResult:
    """Judge one metric, whose arms have their exposures, at its share of alpha; `arms` are the caller's names of baseline and canary."""
    past = None if history is None else past_of(metric, history, Asked.of(pair))
    told = metric if past is None else with_past(metric, past)
    return judge_alike([pair], [told], policy, alpha, arms, past)[0]


def judge_alike(
    pairs: Sequence[MetricPair],
    metrics: Sequence[Metric],
    policy: Policy,
    alpha: float,
    arms: tuple[str, str] = ("baseline", "canary"),
    past: HistoryFacts | None = None,
) -> list[MetricResult]:
    """Judge pairs of one metric and pairing, all at once, as each would be judged alone; its versions may differ in their noise floors."""
    data = [DataSummary.of(pair, past) for pair in pairs]
    rules = _rules(metrics[0], pairs[0].pairing)
    horizon = Horizon(policy.max_points, policy.max_duration)
    findings: list[list[Finding]] = [[] for _ in pairs]
    with about_metric(metrics[0].name):
        for rule, level in zip(rules, rule_levels(rules, alpha), strict=True):
            rates = ErrorRates(level, policy.beta)
            asked = [index for index, metric in enumerate(metrics) if is_asked(rule, data[index], metric)]
            rows = [row_of(pairs[index], metrics[index], rates, horizon) for index in asked]
            for index, finding in zip(asked, judge_pairs(rows, rule.in_unit_of(metrics[0])), strict=True):
                findings[index].append(finding)
    watched = all(rule.rule == "sequential" for rule in rules)

    def result_of(index: int) -> MetricResult:
        pair, metric, found = pairs[index], metrics[index], findings[index]
        result = metric_result(data[index], metric, alpha, tuple(found), arms)
        if result.outcome is Outcome.PASS and any(
            isinstance(finding.effect, LevelFinding) for finding in found
        ):
            end = ending_beyond(row_of(pair, metric, ErrorRates(alpha, policy.beta)))
            if end is not None:
                result = metric_result(data[index], metric, alpha, (*found, end), arms)
        points = min((finding.n_canary for finding in found), default=0)
        over = watched and horizon.is_over(points, *(data[index].span or (None, None)))
        return at_deadline(result, policy.on_deadline) if over else result

    return [result_of(index) for index in range(len(pairs))]


def _rules(metric: Metric, pairing: Pairing) -> tuple[RuleSettings, ...]:
    return metric.rules or default_rules(metric, one_clock=pairing == "concurrent")
