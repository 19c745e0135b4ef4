"""The sequential rule: the same questions asked at every look, valid at all of them; a method for each kind of metric."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import numpy as np

from canaryjudge.reasons import Outcome
from canaryjudge.rules.findings import EffectFinding, Finding
from canaryjudge.rules.mann_whitney import MannWhitney
from canaryjudge.rules.proportion import Proportion
from canaryjudge.rules.rate import Rate
from canaryjudge.rules.registry import per_pair, rule
from canaryjudge.rules.rows import Horizon, Pair, Question
from canaryjudge.rules.sequential.betting import BettingProcess
from canaryjudge.rules.sequential.calibrated import windows_of
from canaryjudge.rules.sequential.looks import LooksProcess, Plan
from canaryjudge.rules.sequential.pairs import PairProcess
from canaryjudge.rules.sequential.process import Process, SequentialFinding
from canaryjudge.rules.sequential.rates import RateProcess, check_counts
from canaryjudge.rules.sequential.scores import MeanProcess, RankProcess
from canaryjudge.rules.sequential.settings import Sequential
from canaryjudge.rules.sequential.tables import TableProcess
from canaryjudge.rules.sequential.watch import RESERVED, Watch
from canaryjudge.rules.settings import RuleSettings

__all__ = ["Watch", "before_the_end", "check_counts", "pool_replicas", "start_watch"]

_AT_LOOKS: Final[dict[str, RuleSettings]] = {"gauge": MannWhitney(), "ratio": Proportion(), "count": Rate()}
"""What is asked at planned looks."""
_RESERVED_OF_RATES: Final = 0.01
"""Evidence about rates grows fast enough to need no more for the time after a pass."""
_MOST_LOOKS: Final = 2000
"""Of longer series not every interval is looked at, which costs time and decides a little later."""


def start_watch(question: Question, settings: RuleSettings) -> Watch:
    """Start to watch a metric by a rule; one for a fixed window is asked at planned looks.

    Parameters
    ----------
    question : Question
        What is asked, with the error rates of all looks together.
    settings : RuleSettings
        The rule's settings.

    Returns
    -------
    Watch
        Without evidence yet.
    """
    if isinstance(settings, Sequential):
        reserved = _RESERVED_OF_RATES if settings.method_for(question.kind) == "mixture" else RESERVED
        return Watch(lambda asked: _process(asked, settings), question, reserved)
    return Watch(lambda asked: LooksProcess(asked, Plan(settings.rule, settings)), question)


def _process(question: Question, settings: Sequential) -> Process:
    method = settings.method_for(question.kind)
    if method == "looks":
        by_history = question.kind == "gauge" and windows_of(question.horizon) is not None
        asked = _AT_LOOKS[question.kind]
        return LooksProcess(
            question, Plan("sequential", asked, settings.looks, settings.spending, by_history)
        )
    if method == "betting":
        return BettingProcess(question, settings)
    simple: dict[str, Callable[[Question], Process]] = {
        "mixture": RateProcess,
        "cmh": TableProcess,
        "scores": RankProcess,
        "ranks": PairProcess,
        "mean": MeanProcess,
    }
    return simple[method](question)


def before_the_end(pair: Pair, horizon: Horizon, points: int, first: float | None) -> Pair | None:
    """Cut off what comes after the end of a watch.

    Parameters
    ----------
    pair : Pair
        New intervals; of samples, one.
    horizon : Horizon
        When the watch ends.
    points : int
        Points that were seen before.
    first : float or None
        Time of the first of them, or of these.

    Returns
    -------
    Pair or None
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
    return None if size <= 0 else pair if size == len(pair.canary) else pair.part(slice(size))


@rule(Sequential, SequentialFinding)
@per_pair
def judge(pair: Pair, settings: Sequential) -> dict[str, Any]:
    """Judge a whole series as it would have been watched, a look after every interval: by what would have been decided first, or what could be said at the end."""
    found = _watch_all(pair, settings)
    several = max(len(arm.replicas) for arm in pair.arms) > 1
    return dict(pool_replicas(found) if several else found)


def pool_replicas(finding: Finding) -> Finding:
    """Say of a comparison of the arms that it took their replicas together."""
    objective = isinstance(finding, EffectFinding) and finding.scale == "objective"
    if objective or "replicas_pooled" in finding.waived:
        return finding
    return finding.model_copy(update={"waived": (*finding.waived, "replicas_pooled")})


def _watch_all(pair: Pair, settings: Sequential) -> Finding:
    watched = start_watch(pair, settings)
    found = watched.look()
    first: float | None = None
    time: float | None = None
    stride = max(1, len(pair.canary) // _MOST_LOOKS) if pair.kind != "samples" else 1
    for number, block in enumerate(_intervals(pair), 1):
        times = block.baseline.time, block.canary.time
        if first is None and times[0] is not None and times[1] is not None:
            first = float(min(times[0][0], times[1][0]) if pair.kind == "samples" else times[1][0])
        if not watched.decided and before_the_end(block, pair.horizon, watched.points, first) is None:
            break
        time = None if times[1] is None else float(times[1][-1])
        watched.update(block)
        if number % stride == 0:
            found = watched.look(time)
        if found.outcome is Outcome.FAIL:
            return found
    return watched.look(time)


def _intervals(pair: Pair) -> Iterator[Pair]:
    """Cut a pair into what a stream would hand out: a point of each arm, or the samples of an interval."""
    if pair.kind != "samples":
        for index in range(pair.fewest):
            yield pair.part(slice(index, index + 1))
    elif pair.horizon.intervals is None:
        yield pair
    else:
        for baseline, canary in pair.horizon.intervals():
            yield replace(pair, baseline=pair.baseline.part(baseline), canary=pair.canary.part(canary))
