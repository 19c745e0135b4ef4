"""The sequential rule: the same questions asked at every look, valid at all of them; a method for each kind of metric."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from canaryjudge.data import MetricPair
from canaryjudge.data.stream import intervals
from canaryjudge.policy import AnyRule, MannWhitney, Metric, Proportion, Rate, RuleSettings, Sequential
from canaryjudge.results import Finding, Outcome
from canaryjudge.rules.decision import Horizon, Rule, Share
from canaryjudge.rules.mann_whitney import judge_shift
from canaryjudge.rules.proportion import judge_proportion
from canaryjudge.rules.rate import judge_rate
from canaryjudge.rules.sequential.betting import BettingProcess
from canaryjudge.rules.sequential.calibrated import judge_by_history, windows_of
from canaryjudge.rules.sequential.looks import LooksProcess, Plan
from canaryjudge.rules.sequential.pairs import PairProcess
from canaryjudge.rules.sequential.process import Process, chosen
from canaryjudge.rules.sequential.rates import RateProcess, check_counts
from canaryjudge.rules.sequential.scores import MeanProcess, RankProcess
from canaryjudge.rules.sequential.tables import TableProcess
from canaryjudge.rules.sequential.watch import RESERVED, Watch

__all__ = ["Watch", "before_the_end", "check_counts", "judge_sequential", "pool_replicas", "start_watch"]

_AT_LOOKS: Final[dict[str, tuple[Rule, RuleSettings]]] = {
    "gauge": (judge_shift, MannWhitney()),
    "ratio": (judge_proportion, Proportion()),
    "count": (judge_rate, Rate()),
}
"""What is asked at planned looks."""
_RESERVED_OF_RATES: Final = 0.01
"""Evidence about rates grows fast enough to need no more for the time after a pass."""
_MOST_LOOKS: Final = 2000
"""Of longer series not every interval is looked at, which costs time and decides a little later."""


def start_watch(metric: Metric, settings: AnyRule, rule: Rule | None, share: Share) -> Watch:
    """Start to watch a metric by a rule.

    Parameters
    ----------
    metric : Metric
        The metric.
    settings : AnyRule
        The rule's settings.
    rule : callable or None
        The rule itself where it is one for a fixed window: it is asked at planned looks.
    share : Share
        The error rates of all looks together.

    Returns
    -------
    Watch
        Without evidence yet.
    """
    if isinstance(settings, Sequential):
        reserved = _RESERVED_OF_RATES if settings.method_for(metric.kind) == "mixture" else RESERVED
        return Watch(lambda given: _process(metric, settings, given), share, reserved)
    assert rule is not None  # noqa: S101 - every other rule is one
    plan = Plan(settings.rule, rule, settings)
    return Watch(lambda given: LooksProcess(metric, plan, given), share)


def _process(metric: Metric, settings: Sequential, share: Share) -> Process:
    method = settings.method_for(metric.kind)
    if method == "looks":
        rule, asked = _AT_LOOKS[metric.kind]
        if metric.kind == "gauge" and windows_of(share.horizon) is not None:
            rule = judge_by_history
        return LooksProcess(metric, Plan("sequential", rule, asked, settings.looks, settings.spending), share)
    if method == "betting":
        return BettingProcess(metric, settings, share)
    simple: dict[str, Callable[[Metric, Share], Process]] = {
        "mixture": RateProcess,
        "cmh": TableProcess,
        "scores": RankProcess,
        "ranks": PairProcess,
        "mean": MeanProcess,
    }
    return simple[method](metric, share)


def before_the_end(pair: MetricPair, horizon: Horizon, points: int, first: float | None) -> MetricPair | None:
    """Cut off what comes after the end of a watch.

    Parameters
    ----------
    pair : MetricPair
        New intervals; of samples, one.
    horizon : Horizon
        When the watch ends.
    points : int
        Points that were seen before.
    first : float or None
        Time of the first of them, or of these.

    Returns
    -------
    MetricPair or None
        What is left; None if nothing is.
    """
    time = pair.canary.time
    if pair.kind == "samples":
        return None if horizon.is_over(points, first, None if time is None else float(time[0])) else pair
    size = len(pair.canary)
    if horizon.max_points is not None:
        size = min(size, horizon.max_points - points)
    elif horizon.max_duration is not None and time is not None and first is not None:
        size = int(np.searchsorted(time, first + horizon.max_duration + 1e-6, "right"))
    return None if size <= 0 else pair if size == len(pair.canary) else chosen(pair, slice(size))


def judge_sequential(pair: MetricPair, metric: Metric, settings: Sequential, share: Share) -> Finding:
    """Judge a whole series as it would have been watched: a look after every interval.

    Parameters
    ----------
    pair : MetricPair
        Both arms.
    metric : Metric
        Its settings.
    settings : Sequential
        The method.
    share : Share
        The error rates of all looks together, and how long is watched.

    Returns
    -------
    Finding
        What would have been decided first, and when; or else what could be said at the end.
    """
    several = max(len(arm.replicas) for arm in (pair.baseline, pair.canary)) > 1
    found = _watch_all(pair, metric, settings, share)
    return pool_replicas(found) if several else found


def pool_replicas(finding: Finding) -> Finding:
    """Say of a comparison of the arms that it took their replicas together."""
    if finding.scale == "objective" or "replicas_pooled" in finding.waived:
        return finding
    return finding.model_copy(update={"waived": (*finding.waived, "replicas_pooled")})


def _watch_all(pair: MetricPair, metric: Metric, settings: Sequential, share: Share) -> Finding:
    watched = start_watch(metric, settings, None, share)
    found = watched.look()
    first: float | None = None
    time: float | None = None
    stride = max(1, len(pair.canary) // _MOST_LOOKS) if pair.kind != "samples" else 1
    for number, block in enumerate(intervals(pair), 1):
        times = block.baseline.time, block.canary.time
        if first is None and times[0] is not None and times[1] is not None:
            first = float(min(times[0][0], times[1][0]) if pair.kind == "samples" else times[1][0])
        if not watched.decided and before_the_end(block, share.horizon, watched.points, first) is None:
            break
        time = None if times[1] is None else float(times[1][-1])
        watched.update(block)
        if number % stride == 0:
            found = watched.look(time)
        if found.outcome is Outcome.FAIL:
            return found
    return watched.look(time)
