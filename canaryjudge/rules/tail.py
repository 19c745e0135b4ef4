"""Compare how many observations of the arms lie far out: a tail may grow where the median stays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import BeforeValidator, WithJsonSchema

from canaryjudge.kinds import KINDS
from canaryjudge.quantities import QUANTITY_PATTERN, hundredth, parse_quantity
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.findings import EventsFinding, Number
from canaryjudge.rules.proportion import Proportion
from canaryjudge.rules.registry import judge_pair, per_pair, rule
from canaryjudge.rules.rows import Arm, BoolArray, FloatArray, IntArray, Pair, Sizes
from canaryjudge.rules.settings import AskedMetric, RuleSettings
from canaryjudge.settings import Problem, Quantity, RelativeTolerance
from canaryjudge.stats.bucket_distributions import counts_at_most
from canaryjudge.stats.ties import about, above

__all__ = ["Tail", "TailFinding"]

_DEFAULT = 0.95
_WIDEST = 5.0
"""An edge that leaves more than this many times the asked share beyond it, or less than one such part of it, is about another tail."""
_INTERVAL = 10.0
"""Samples with times are counted in intervals of so many seconds,"""
_MOST_INTERVALS = 360
"""but in no more than this,"""
_MOST_BLOCKS, _BLOCK = 30, 20
"""and samples without times in so many blocks of so many samples at least, in their order."""


_PERCENTILE = re.compile(r"p([0-9]{1,2}(?:\.[0-9]{1,12})?)")


def _bound(value: object) -> object:
    if (
        value is None
        or isinstance(value, Quantity)
        or (isinstance(value, str) and _PERCENTILE.fullmatch(value))
    ):
        return value
    number, unit = parse_quantity(value)
    return Quantity(number=number, unit=unit)


Bound = Annotated[
    str | Quantity | None,
    BeforeValidator(_bound),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number"},
                {"type": "string", "pattern": f"{_PERCENTILE.pattern}|{QUANTITY_PATTERN}"},
                {"type": "null"},
            ],
            "examples": ["p95", "300ms"],
        }
    ),
]


class Tail(RuleSettings):
    """Have more observations moved far out? The share beyond a bound, canary against baseline: a fault of few requests leaves the median where it was."""

    kinds: ClassVar[tuple[str, ...]] = ("samples", "histogram")

    rule: Literal["tail"] = "tail"
    """The rule's name."""
    beyond: Bound = None
    """Where the tail begins: a percentile of the baseline (`p95`; `p5` where a decrease is bad, and the tail lies below), or a fixed bound in the metric's unit
    (`300ms`). Left out: `p95`, or `p5`. Of histograms the bucket edge that leaves the most similar share beyond it is taken, or the first edge beyond a
    fixed bound; the verdict names it."""
    tolerance: RelativeTolerance = 0.5
    """By how much the share beyond the bound may rise, relative to the baseline's: at `50%`, from 5 % of the requests to 7.5 %. At least 0.02
    percentage points are tolerated."""

    @property
    def percentile(self) -> float | None:
        """The percentile as a probability; None where the bound is fixed or left out."""
        return hundredth(self.beyond[1:]) if isinstance(self.beyond, str) else None

    def in_unit_of(self, metric: AskedMetric) -> Self:
        """Give the same settings with every quantity in the metric's unit."""
        if not isinstance(self.beyond, Quantity):
            return self
        bound = Quantity(number=metric.quantity(self.beyond, "the bound of the tail"))
        return self.model_copy(update={"beyond": bound})

    def misfits(self, metric: AskedMetric) -> Iterator[Problem]:
        """Find what does not fit a metric; paths start at the rule."""
        yield from super().misfits(metric)
        if metric.direction == "either":
            advice = "Give the metric a direction: increase or decrease."
            yield Problem((), "a tail needs one bad direction, not direction: either", advice)
        elif isinstance(self.beyond, Quantity):
            yield from metric.misfit(self.beyond, ("beyond",))
        elif self.percentile is not None:
            yield from self._percentile_misfits(metric)

    def _percentile_misfits(self, metric: AskedMetric) -> Iterator[Problem]:
        upward = metric.direction == "increase"
        assert self.percentile is not None  # noqa: S101 - as was asked before
        if not (0.5 <= self.percentile < 1 if upward else 0 < self.percentile <= 0.5):
            side, example = ("above", "p95") if upward else ("below", "p5")
            message = f"{self.beyond} does not begin a tail of bad values, which lie {side} where direction: {metric.direction} is bad"
            yield Problem(("beyond",), message, f"Take a percentile such as {example}.")


class TailFinding(EventsFinding):
    """How the share of observations beyond a bound has changed; the scale of all but the bound is a share."""

    rule: Literal["tail"]
    """The rule's name."""
    beyond: Number = None
    """The bound beyond which observations were counted, in the metric's unit; None where no edge of the buckets lies near."""


@rule(Tail, TailFinding)
@per_pair
def judge(pair: Pair, settings: Tail) -> dict[str, Any]:
    """Judge whether the canary's share of observations beyond a bound is worse than tolerated, as a comparison of proportions.

    Notes
    -----
    Of a bound that is the baseline's own percentile q, the baseline's share beyond is no surprise, but the bound is: with densities f, its error moves
    the canary's share by f_canary / f_baseline times the error of a share 1 - q. Where the canary's tail is r times the baseline's, so are its
    densities there, and the test of the ratio r, which takes the baseline's share for an estimate, allows for just that.
    """
    upward = 1 in pair.sides
    bound = _of_histogram(pair, settings) if KINDS[pair.kind].has_buckets else _of_samples(pair, settings)
    if bound is None:
        return {"outcome": Outcome.MARGINAL, "reason": Reason.ABSTAINS, "method": "no_edge"}
    # the absolute part that ratios have by default: of a tail that the baseline does not have, no change is a change in percent
    asked = replace(
        _counted(pair, bound, upward=upward),
        sides=(1,),
        tolerance=Sizes(settings.tolerance, KINDS["ratio"].absolute_tolerance),
        pass_within=Sizes(0.0, np.nan),  # what a tail's pass excludes is what is tolerated of it
    )
    own: dict[str, Any] = {"rule": settings.rule, "beyond": bound}
    if KINDS[pair.kind].is_raw:  # blocks are no unit that anyone could collect more of
        own |= {"n_baseline": len(pair.baseline), "n_canary": len(pair.canary), "more_points": None}
    return dict(judge_pair(asked, Proportion())) | own


def _of_samples(pair: Pair, settings: Tail) -> float:
    if isinstance(settings.beyond, Quantity):
        return settings.beyond.number
    at = settings.percentile or (_DEFAULT if 1 in pair.sides else 1 - _DEFAULT)
    return float(np.quantile(pair.baseline.value, at, method="inverted_cdf"))


def _of_histogram(pair: Pair, settings: Tail) -> float | None:
    """Find the edge that begins the tail; None where there is none near it."""
    assert pair.edges is not None and pair.baseline.buckets is not None  # noqa: PT018, S101 - as histograms have
    finite, upward = pair.edges[:-1], 1 in pair.sides
    if isinstance(settings.beyond, Quantity):
        bound = settings.beyond.number
        low, high = about(bound, 0.0)
        beyond = finite[finite >= low][:1] if upward else finite[finite <= high][-1:]
        return float(beyond[0]) if len(beyond) else None
    at = settings.percentile or (_DEFAULT if upward else 1 - _DEFAULT)
    below = pair.baseline.buckets.sum(axis=0).cumsum()
    shares = below[:-1] / below[-1]
    left, asked = (1 - shares, 1 - at) if upward else (shares, at)
    with np.errstate(divide="ignore"):
        apart = np.abs(np.log(left / asked))
    nearest = int(apart.argmin())
    return float(finite[nearest]) if apart[nearest] <= np.log(_WIDEST) else None


def _counted(pair: Pair, bound: float, *, upward: bool) -> Pair:
    """Count the observations beyond the bound in each interval, as events of a ratio."""
    concurrent = pair.concurrent
    if KINDS[pair.kind].has_buckets:
        assert pair.edges is not None  # noqa: S101 - a histogram has edges
        arms = [_of_buckets(arm, pair.edges, bound, upward=upward) for arm in pair.arms]
        return _ratio(pair, arms, concurrent=concurrent)

    def beyond(arm: Arm) -> BoolArray:
        return above(arm.value, bound) if upward else above(bound, arm.value)

    far = [beyond(arm) for arm in pair.arms]
    which = _intervals(pair.baseline.time, pair.canary.time, concurrent=concurrent)
    replicas = [
        tuple(Arm(beyond(own).astype(np.float64), np.ones(len(own))) for own in arm.replicas)
        for arm in pair.arms
    ]
    if which is None:
        counted = [_in_blocks(mask) for mask in far]
    else:
        counted = [_in_intervals(*both) for both in zip(far, which, strict=True)]
    arms = [replace(arm, replicas=own) for arm, own in zip(counted, replicas, strict=True)]
    return _ratio(pair, arms, concurrent=concurrent and which is not None)


def _intervals(
    baseline: FloatArray | None, canary: FloatArray | None, *, concurrent: bool
) -> list[IntArray] | None:
    """Find the number of each sample's interval; arms that share the clock count from the same start."""
    if baseline is None or canary is None:
        return None
    starts = baseline[0], canary[0]
    width = max(_INTERVAL, max(baseline[-1] - starts[0], canary[-1] - starts[1]) / _MOST_INTERVALS)
    return [
        np.asarray((time - (min(starts) if concurrent else start)) // width, dtype=np.intp)
        for time, start in zip((baseline, canary), starts, strict=True)
    ]


def _in_intervals(far: BoolArray, which: IntArray) -> Arm:
    events = np.bincount(which, weights=far.astype(np.float64)).astype(np.float64)
    return Arm(events, np.bincount(which).astype(np.float64))


def _in_blocks(far: BoolArray) -> Arm:
    blocks = max(1, min(_MOST_BLOCKS, len(far) // _BLOCK))
    return _in_intervals(far, np.arange(len(far)) * blocks // len(far))


def _of_buckets(arm: Arm, edges: FloatArray, bound: float, *, upward: bool) -> Arm:
    assert arm.buckets is not None  # noqa: S101 - a histogram has buckets
    below = counts_at_most(edges, arm.buckets, bound)[0]
    replicas = tuple(_of_buckets(own, edges, bound, upward=upward) for own in arm.replicas)
    return Arm(arm.value - below if upward else below, arm.value, replicas=replicas)


def _ratio(pair: Pair, arms: list[Arm], *, concurrent: bool) -> Pair:
    """Pair the counts; an interval without an observation, of either arm where they share the clock, says nothing."""
    baseline, canary = arms
    if concurrent:
        shared = min(len(baseline), len(canary))
        seen = (baseline.exposures[:shared] > 0) & (canary.exposures[:shared] > 0)
        baseline, canary = baseline.part(slice(shared)).part(seen), canary.part(slice(shared)).part(seen)
    else:
        baseline, canary = (arm.part(arm.exposures > 0) for arm in arms)
    baseline, canary = (
        replace(part, replicas=arm.replicas) for part, arm in zip((baseline, canary), arms, strict=True)
    )
    return Pair(
        kind="ratio",
        sides=pair.sides,
        rates=pair.rates,
        tolerance=pair.tolerance,
        concurrent=concurrent,
        baseline=baseline,
        canary=canary,
    )
