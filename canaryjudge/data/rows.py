"""From what the data are and what the policy says of a metric to what a rule sees."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Final

from canaryjudge.data.pair import MetricPair
from canaryjudge.data.raw_intake import complete_parts
from canaryjudge.errors import DataError
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric
from canaryjudge.policy.doubts import wholes_of
from canaryjudge.rules.rows import ErrorRates, Horizon, Pair, Question, Sizes, stretched

__all__ = ["about_metric", "question_of", "row_of", "rows_of"]

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
    concurrent = pair.pairing == "concurrent"
    return _asked_of(question_of(metric, rates, concurrent=concurrent, pass_times=pass_times), pair)


def rows_of(asked: Iterable[tuple[MetricPair, Metric, ErrorRates]], horizon: Horizon) -> list[Pair]:
    """Give the same for many, whose metrics are often the same."""
    questions: dict[tuple[int, ErrorRates, bool], Question] = {}
    found = []
    for pair, metric, rates in asked:
        concurrent = pair.pairing == "concurrent"
        key = id(metric), rates, concurrent
        if key not in questions:
            questions[key] = question_of(metric, rates, concurrent=concurrent, horizon=horizon)
        found.append(_asked_of(questions[key], pair))
    return found


def _asked_of(question: Question, pair: MetricPair) -> Pair:
    if KINDS[pair.kind].is_raw and pair.baseline.time is not None and pair.canary.time is not None:
        intervals = partial(complete_parts, pair, unfinished=False)
        question = replace(question, horizon=replace(question.horizon, intervals=intervals))
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
