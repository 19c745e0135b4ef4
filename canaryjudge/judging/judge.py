"""The judge: data and a policy in, a verdict with its reasons out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, overload

import numpy as np

from canaryjudge.arm_verdicts import ArmVerdicts
from canaryjudge.data import (
    MetricPair,
    ReleaseKey,
    read_releases,
)
from canaryjudge.data.reading import (
    check_names,
    named_arms,
    read_pairs_or_notes,
)
from canaryjudge.data.releases import columns_of, release_tables
from canaryjudge.data.segments import read_segments, segments_of
from canaryjudge.errors import CanaryJudgeError
from canaryjudge.history import known_past
from canaryjudge.judging.arms import judge_arms
from canaryjudge.judging.releases import check_policy, collected_later, judge_releases, verdict_of
from canaryjudge.judging.segments import verdict_within
from canaryjudge.policy import Policy, Segments
from canaryjudge.policy.switches import refuse_before_after
from canaryjudge.progress import Progress, progress_of
from canaryjudge.verdict import Verdict
from canaryjudge.verdicts import MetricRow, ReleaseRow, Verdicts

__all__ = ["judge", "judge_many"]


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
    arms that share a baseline are compared with each other, so that its noise, which all of them have in common, is no part of it, within segments where the policy names some. The same for the best.

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
        return judge_arms(data, policy, named_arms(baseline, canary), history)
    arms = str(baseline), str(canary)
    known = known_past(history, policy, arms)
    if policy.segments is not None:
        parts = read_segments(data, policy, policy.segments, baseline=arms[0], canary=arms[1])
        return verdict_within(parts, policy, policy.segments, arms, known)
    pairs = read_pairs_or_notes(data, policy, baseline=arms[0], canary=arms[1])
    return verdict_of(pairs, policy, arms, known)


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
    refuse_before_after(
        policy,
        "judge_many",
        "It takes no history, so judge each switch with judge and the service's own history.",
    )
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
        names, rows, errors, lambda key: verdict_of(pairs[key], policy, arms), lambda key: metrics[key]
    )


_UNJUDGED: Final = ReleaseRow(None, "hold", None, None, None, None)
_AT_ONCE: Final = 1024
"""Metrics that are judged at once: more are no faster."""


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
            verdicts[key] = verdict_within(parts, policy, settings, arms)
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
