"""From what the data are and what the policy says of a metric to what a rule sees."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

from canaryjudge.data.pair import MetricPair
from canaryjudge.data.raw_intake import complete_parts
from canaryjudge.errors import DataError
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric
from canaryjudge.policy.doubts import wholes_of
from canaryjudge.rules.rows import ErrorRates, Horizon, Pair, Question, Rows, Sizes, stretched

__all__ = ["AskedPair", "about_metric", "asked_pairs", "question_of", "row_of", "rows_of"]

_SIDES: Final = {"increase": (1,), "decrease": (-1,), "either": (1, -1)}


def question_of(
    metric: Metric,
    rates: ErrorRates,
    *,
    concurrent: bool = False,
    horizon: Horizon | None = None,
    pass_times: float = 1.0,
) -> Question:
    """Give what a rule is asked of a metric, at its error rates, where the arms are paired so; a pass may leave open so many times as much as the policy says."""
    absolute = metric.tolerated_absolute
    given = metric.tolerance.absolute is not None or absolute > 0
    return Question(
        kind=metric.kind,
        sides=_SIDES[metric.direction],
        rates=rates,
        concurrent=concurrent,
        logarithmic=metric.effect == "ratio",
        minute_ratios=metric.minute_ratios,
        assumed_spread=metric.assumed_spread,
        wholes=wholes_of(metric),
        counting_interval=metric.interval,
        dispersion=metric.dispersion,
        min_points=metric.needed_points,
        horizon=horizon or Horizon(),
        tolerance=Sizes(metric.tolerated_relative, absolute if given else math.nan),
        pass_stated=metric.pass_within is not None,
        pass_times=pass_times,
        pass_within=_pass_within(metric, pass_times),
        floor=_floor(metric, concurrent=concurrent),
        floor_df=_floor_df(metric, concurrent=concurrent),
    )


def _pass_within(metric: Metric, times: float) -> Sizes[float] | None:
    stated = metric.pass_within
    if stated is None:
        return None
    absolute = (
        math.nan if stated.absolute is None else metric.quantity(stated.absolute, "pass_within.absolute")
    )
    own = Sizes(metric.tolerated_relative if stated.relative is None else stated.relative, absolute)
    return stretched(own, times) if times != 1 else Sizes(stated.relative or 0.0, absolute)


def _floor(metric: Metric, *, concurrent: bool) -> Sizes[float]:
    floor = metric.noise_floor
    spread = None if floor is None else floor.between_replicas if concurrent else floor.between_windows
    if spread is None:
        return Sizes(0.0, 0.0)
    absolute = 0.0 if spread.absolute is None else metric.quantity(spread.absolute, "noise_floor")
    return Sizes(spread.relative or 0.0, absolute)


def _floor_df(metric: Metric, *, concurrent: bool) -> float:
    floor = metric.noise_floor
    if floor is None:
        return math.inf
    return floor.replicas_freedom if concurrent else floor.windows_freedom


def row_of(pair: MetricPair, metric: Metric, rates: ErrorRates, *, pass_times: float = 1.0) -> Pair:
    """Give what a rule sees of a metric's pair, at the error rates that it may use."""
    question = question_of(metric, rates, concurrent=pair.pairing == "concurrent", pass_times=pass_times)
    if KINDS[pair.kind].is_raw and pair.baseline.time is not None and pair.canary.time is not None:
        question = _in_parts(question, pair)
    return _row(question, pair)


class AskedPair(NamedTuple):
    """A pair and what is asked of it: all that a `Pair` is made of, where it is looked at by itself."""

    pair: MetricPair
    question: Question
    likeness: tuple[Any, ...]
    """What tells whether pairs are rows of one batch."""

    @property
    def row(self) -> Pair:
        """What a rule sees of it."""
        return _row(self.question, self.pair)


def asked_pairs(asked: Iterable[tuple[MetricPair, Metric, ErrorRates]], horizon: Horizon) -> list[AskedPair]:
    """Say what is asked of pairs, whose metrics are often the same."""
    known: dict[tuple[int, ErrorRates, bool], tuple[Question, tuple[Any, ...]]] = {}
    found = []
    for pair, metric, rates in asked:
        concurrent = pair.pairing == "concurrent"
        key = id(metric), rates, concurrent
        if key not in known:
            question = question_of(metric, rates, concurrent=concurrent, horizon=horizon)
            known[key] = question, question.likeness
        question, likeness = known[key]
        if KINDS[pair.kind].is_raw and pair.baseline.time is not None and pair.canary.time is not None:
            question, likeness = _in_parts(question, pair), (id(pair),)
        if pair.earlier is not None:
            question = replace(question, earlier=pair.earlier)
        shape = len(pair.baseline), len(pair.canary), pair.interval, pair.differenced, id(pair.edges)
        found.append(AskedPair(pair, question, (*shape, *likeness)))
    return found


def rows_of(asked: Sequence[AskedPair]) -> Rows:
    """Stack pairs that are alike."""
    questions, arms = [one.question for one in asked], [(one.pair.baseline, one.pair.canary) for one in asked]
    return Rows.asked(asked[0].row, questions, arms)


def _in_parts(question: Question, pair: MetricPair) -> Question:
    """Let the points of samples that have times be told by the intervals in which they lie."""
    intervals = partial(complete_parts, pair, unfinished=False)
    return replace(question, horizon=replace(question.horizon, intervals=intervals))


def _row(question: Question, pair: MetricPair) -> Pair:
    return question.of(
        pair.baseline,
        pair.canary,
        kind=pair.kind,
        edges=pair.edges,
        interval=pair.interval,
        differenced=pair.differenced,
    )


@contextmanager
def about_metric(name: str) -> Iterator[None]:
    """Say of an error in the data which metric it is about."""
    try:
        yield
    except DataError as error:
        raise DataError(f"metric {name!r}: {error.message}", error.hint) from None
