"""What counts and ratios are out of: the policy's split as exposures, and what the policy leaves unsaid about them.

A count without totals is out of its intervals: by the policy's split, or else an interval of each replica counts the same. An interval in
which three replicas reported is then three times the exposure of one in which one did, and a counter's increase over two intervals, because a
scrape is missing, counts as two. Where the data do not name replicas, an interval of
the canary counts as one of the baseline.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import chdtrc

from canaryjudge.data.notes import Note
from canaryjudge.data.pair import Arm, FloatArray, MetricPair
from canaryjudge.kinds import KINDS, Kind
from canaryjudge.policy import Metric, Policy, Split

__all__ = [
    "Splits",
    "by_split",
    "equal_exposure",
    "has_shares",
    "split_mismatch",
    "splits_of",
    "with_exposures",
]

Splits = tuple[tuple[float, Split], ...]
"""Splits of the traffic, each with the time after which it holds, in seconds since 1970; ascending."""

_NEAR_ONE = 0.9
"""Shares above this are taken for successes."""
_OBJECTIVES = ("slo", "burn_rate")
"""Rules that know nothing of a tolerance."""
_MISMATCH_LEVEL = 0.001
_SMALLEST_MISMATCH = 0.02
"""A split is off where chance explains it this rarely, and by more than this part of the share."""


def with_exposures(pair: MetricPair, metric: Metric, policy: Policy) -> MetricPair:
    """Use the policy's split: as the exposures of a count without totals, and to check the totals of a ratio."""
    if (unstated := _unstated(pair, metric, policy)) is not None:
        pair = replace(pair, notes=(*pair.notes, unstated))
    pair = by_split(pair, metric, splits_of(policy))
    if policy.split is None:
        return pair
    if has_shares(KINDS[metric.kind]) and len(pair.baseline) and len(pair.canary):
        note = _mismatch_of_totals(pair, policy.split.canary)
        return pair if note is None else replace(pair, notes=(*pair.notes, note))
    return pair


def has_shares(kind: Kind) -> bool:
    """Tell whether the data of a kind say how the traffic is shared: by requests, or by users."""
    return (kind.is_share and not kind.is_paired) or kind.has_users


def splits_of(policy: Policy) -> Splits:
    """Give the policy's split, for all times."""
    return () if policy.split is None else ((-np.inf, policy.split),)


def by_split(pair: MetricPair, metric: Metric, splits: Splits) -> MetricPair:
    """Give a count without totals the split of its time as its exposures, however many replicas reported."""
    if not splits or not KINDS[metric.kind].is_rate or not _untold(pair):
        return pair
    shares = [(split.baseline, split.canary) for _, split in splits]
    baseline, canary = (
        _given(arm, np.array(own), splits)
        for arm, own in zip((pair.baseline, pair.canary), zip(*shares, strict=True), strict=True)
    )
    return replace(pair, reported=False, baseline=baseline, canary=canary)


def _unstated(pair: MetricPair, metric: Metric, policy: Policy) -> Note | None:
    """Name what the policy leaves to a default that may not be meant."""
    if not (len(pair.baseline) and len(pair.canary)):
        return None
    if (note := equal_exposure(metric, policy, untold=_untold(pair))) is not None:
        return note
    if (
        KINDS[metric.kind].is_share
        and not KINDS[metric.kind].is_paired
        and metric.direction == "decrease"
        and "tolerance" not in metric.model_fields_set
        and not (metric.rules and all(rule.rule in _OBJECTIVES for rule in metric.rules))
    ):
        share = pair.baseline.events / pair.baseline.exposure
        fallen = share / (1 + metric.tolerated_relative)
        if share > _NEAR_ONE:
            return Note(
                code="success_ratio",
                facts={"times": (1 - fallen) / max(1 - share, 1 / pair.baseline.exposure)},
            )
    return None


def _given(arm: Arm, shares: FloatArray, splits: Splits) -> Arm:
    """Give each point the share of the latest split that began before it."""
    if arm.time is None or len(shares) == 1:
        return replace(arm, total=np.full(len(arm), shares[0]))
    begun = np.searchsorted([since for since, _ in splits], arm.time) - 1
    return replace(arm, total=shares[np.maximum(begun, 0)])


def _untold(pair: MetricPair) -> bool:
    """Tell whether the data do not say what a count is out of."""
    return pair.reported or (pair.baseline.total is None and pair.canary.total is None)


def equal_exposure(metric: Metric, policy: Policy, *, untold: bool) -> Note | None:
    """Note that an interval counts the same in both arms, where neither the data nor the policy say what a count is out of."""
    silent = KINDS[metric.kind].is_rate and policy.split is None and untold
    return Note(code="equal_exposure") if silent else None


def split_mismatch(expected: float, found: float, pvalue: float) -> Note | None:
    """Note that the canary's share of the traffic is not the expected one, where chance explains it rarely and it is off by much."""
    if pvalue >= _MISMATCH_LEVEL or abs(found / expected - 1) < _SMALLEST_MISMATCH:
        return None
    return Note(code="split_mismatch", facts={"expected": expected, "found": found})


def _mismatch_of_totals(pair: MetricPair, expected: float) -> Note | None:
    baseline, canary = (
        float(arm.points) if KINDS[pair.kind].has_users else arm.exposure
        for arm in (pair.baseline, pair.canary)
    )
    both = baseline + canary
    chi2 = (canary - both * expected) ** 2 / (both * expected * (1 - expected))
    return split_mismatch(expected, canary / both, float(chdtrc(1, chi2)))
