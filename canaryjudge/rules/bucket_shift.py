"""Compare the arms' histograms by the rank test of bucket counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from canaryjudge.data import Arm, FloatArray, MetricPair
from canaryjudge.policy import Metric
from canaryjudge.results import BucketFacts, Finding, Outcome, Waiver
from canaryjudge.rules.decision import Evidence, Limits, Share, tolerated
from canaryjudge.rules.noise_floor import floor_of
from canaryjudge.rules.replicas import weigh_with, yardstick
from canaryjudge.stats.bucket_distributions import BucketBands, bucket_quantile
from canaryjudge.stats.bucket_rank_test import FEWEST_INTERVALS, BucketShift, bucket_shift_test

__all__ = ["judge_bucket_shift"]

_FEWEST_OBSERVATIONS = 6
_PROVEN_INTERVALS = 20
_PROVEN_EFFECTIVE_INTERVALS = 4.0
"""The error rates are proven by simulation down to these (tests/guarantees)."""


def judge_bucket_shift(pair: MetricPair, metric: Metric, rule: str, share: Share) -> Finding:
    """Judge whether the canary's observations are shifted beyond the tolerance, by how many lie in each bucket.

    Parameters
    ----------
    pair : MetricPair
        Both arms' histograms.
    metric : Metric
        Direction and tolerance.
    rule : str
        The rule's name.
    share : Share
        The error rates.

    Returns
    -------
    Finding
        Effect, interval, p-values and outcome. Where the buckets are too coarse to see a shift of the size of the tolerance, it says so.
    """
    edges, baseline, canary = pair.edges, pair.baseline.buckets, pair.canary.buckets
    assert edges is not None and baseline is not None and canary is not None  # noqa: PT018, S101 - as histograms have
    known: dict[str, Any] = {
        "rule": rule,
        "level": share.level,
        "beta": share.beta,
        "n_baseline": len(baseline),
        "n_canary": len(canary),
        "total_baseline": float(baseline.sum()),
        "total_canary": float(canary.sum()),
    }
    if min(known["total_baseline"], known["total_canary"]) < _FEWEST_OBSERVATIONS:
        return Finding(**known, outcome=Outcome.MARGINAL, reason="too_little_data", method="none")
    median = bucket_quantile(edges, baseline.sum(axis=0), 0.5)
    known |= {"baseline_level": median, "canary_level": bucket_quantile(edges, canary.sum(axis=0), 0.5)}
    limits = tolerated(metric, median)
    if limits is None:
        return Finding(**known, outcome=Outcome.MARGINAL, reason="needs_absolute_tolerance", method="none")
    concurrent = pair.pairing == "concurrent"
    bands = BucketBands(edges, baseline.sum(axis=0), canary.sum(axis=0))
    unit = _Unit(1.0, 1.0, 1.0) if limits.absolute else _Unit.of_median(median, bands)
    signs = np.array([limit for _, limit in limits.sides])
    scales = np.append(np.ones_like(signs) if limits.absolute else 1 + signs * np.sign(median), 1.0)
    levels = share.level / len(limits.sides), share.beta
    floor = floor_of(pair, metric, median)
    test = bucket_shift_test(
        bands,
        baseline,
        canary,
        [*(unit.limits(limit) for limit in signs), (0.0, 0.0)],
        levels=levels,
        scales=scales,
        concurrent=concurrent,
        lasting=None if floor is None else floor.noise(scales),
    )
    siblings = yardstick(
        replace(pair, baseline=_seen(pair.baseline), canary=_seen(pair.canary)),
        lambda replica: _median(edges, replica),
        np.array([*(limit * unit.size for limit in signs), 0.0]),
        levels=levels,
        scales=scales,
        noise=test.standard_error,
        noise_df=test.df,
    )
    fixed = 0.0 if floor is None else min(1.0, (floor.standard_error / float(test.standard_error[-1])) ** 2)
    found = weigh_with(
        siblings.evidence(lambda shift: shift / unit.size) if siblings else None,
        replace(unit.evidence(test, limits), lasting=fixed),
        limits,
        share,
        min(len(baseline), len(canary)),
    )
    if found["outcome"] is Outcome.MARGINAL and unit.too_coarse(test, limits):
        fullest = _fullest(edges, (baseline, canary))
        found |= {"reason": "abstains", "more_points": None, "fullest_bucket": fullest}
    upward = limits.high is not None
    return Finding(
        **known,
        **found,
        method="bucket_rank",
        statistic=float(test.statistic[0]),
        df=float(test.df[0]),
        probability_worse=test.probability_greater if upward else 1 - test.probability_greater,
        autocorrelation=test.rho,
        waived=tuple(dict.fromkeys((*_waived(test, pair), *(siblings.waived if siblings else ())))),
        **(siblings.facts(unit.size) if siblings else {}),
        **(floor.facts(unit.size) if floor and unit.size else {}),
    )


@dataclass(frozen=True, slots=True)
class _Unit:
    """What shifts are measured in: the baseline's median, which the buckets tell only within bounds, or the metric's unit.

    Attributes
    ----------
    size : float
        The unit.
    least, most : float
        What it may be.
    """

    size: float
    least: float
    most: float

    @classmethod
    def of_median(cls, median: float, bands: BucketBands) -> _Unit:
        """Take the baseline's median, with what else it may be."""
        low, high = bands.baseline_quantile(0.5)
        sizes = sorted((abs(low), abs(high)))
        return cls(abs(median), 0.0 if low < 0 < high else sizes[0], sizes[1])

    def limits(self, limit: float) -> tuple[float, float]:
        """Give a limit as a shift: where "at most" is to be refuted, and "at least"."""
        return limit * (self.most if limit > 0 else self.least), limit * (
            self.least if limit > 0 else self.most
        )

    def evidence(self, test: BucketShift, limits: Limits) -> Evidence:
        """Put the test's shifts into the scale of the limits; the test was asked at each limit, and last at no change."""
        at = range(len(limits.sides))
        pvalues = [(float(test.pvalue_greater[i]), float(test.pvalue_less[i])) for i in (*at, -1)]
        fails, passes = (
            [(self._low(float(test.low[i, j])), self._high(float(test.high[i, j]))) for i in at]
            for j in (0, 1)
        )
        return Evidence(
            estimate=test.estimate / self.size,
            pvalues=pvalues[:-1],
            pvalues_none=pvalues[-1],
            fail_bounds=fails,
            pass_bounds=passes,
            abstains=bool(test.abstains[:-1, 0].any()),
            abstains_pass=bool(test.abstains[:-1, 1].any()),
        )

    def too_coarse(self, test: BucketShift, limits: Limits) -> bool:
        """Tell whether the buckets leave open on which side of a limit the shift lies, and by more than that limit, with any number of observations."""
        open_for = test.open_high - test.open_low
        shifts = [self.size * limit for _, limit in limits.sides]
        return any(test.open_low <= at <= test.open_high and open_for >= abs(at) > 0 for at in shifts)

    def _low(self, shift: float) -> float:
        return _ratio(shift, self.most if shift > 0 else self.least)

    def _high(self, shift: float) -> float:
        return _ratio(shift, self.least if shift > 0 else self.most)


def _ratio(shift: float, size: float) -> float:
    return shift / size if size else float(np.sign(shift)) * np.inf if shift else 0.0


def _seen(arm: Arm) -> Arm:
    """Leave out replicas without observations, which have no level."""
    return replace(arm, replicas=tuple(replica for replica in arm.replicas if replica.value.sum() > 0))


def _median(edges: FloatArray, arm: Arm) -> float:
    assert arm.buckets is not None  # noqa: S101 - a histogram's replicas have buckets
    return bucket_quantile(edges, arm.buckets.sum(axis=0), 0.5)


def _fullest(edges: FloatArray, arms: tuple[FloatArray, FloatArray]) -> BucketFacts:
    """Find the bucket that holds the largest share of an arm."""
    shares = np.array([counts.sum(axis=0) / counts.sum() for counts in arms])
    bucket = int(shares.max(axis=0).argmax())
    return BucketFacts(
        low=edges[bucket - 1] if bucket else None, high=edges[bucket], share=float(shares[:, bucket].max())
    )


def _waived(test: BucketShift, pair: MetricPair) -> tuple[Waiver, ...]:
    n, m = len(pair.baseline), len(pair.canary)
    if min(n, m) < FEWEST_INTERVALS:
        return ("independence_assumed",)
    effective = 2 / (1 / n + 1 / m) * (1 - test.rho) / (1 + test.rho)
    proven = min(n, m) >= _PROVEN_INTERVALS and effective >= _PROVEN_EFFECTIVE_INTERVALS
    return () if proven else ("outside_proven_range",)
