"""Gauges with a history: the change is held against how much two arms of one version differ over such a window."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import stdtr, stdtrit

from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.decision import Evidence, tolerated, weigh
from canaryjudge.rules.mann_whitney import ShiftFinding
from canaryjudge.rules.rows import FloatArray, Horizon, Pair

__all__ = ["FEWEST_WINDOWS", "judge_by_history", "windows_of"]

FEWEST_WINDOWS = 10
"""Fewer windows of history know the noise too roughly."""
_TRIMMED = 0.1
"""Part of the points that is left out at either end of an arm: spikes of history are no yardstick."""


def windows_of(horizon: Horizon) -> int | None:
    """Give the points of a whole watch, where the history holds enough windows of that length; else None."""
    history = horizon.history
    if history is None or history.kind != "gauge" or not history.concurrent:
        return None
    length = horizon.max_points
    if length is None and horizon.max_duration is not None and history.interval:
        length = int(horizon.max_duration // history.interval)
    return length if length and len(history.canary) // length >= FEWEST_WINDOWS else None


def judge_by_history(pair: Pair) -> ShiftFinding:
    """Hold the change of the trimmed mean against its changes between arms that ran the same version.

    Notes
    -----
    By t = (d - mean d_h) / (sd d_h sqrt(1 + 1/H)) with H - 1 degrees of freedom, d_h being the change over as many first points of
    each of the history's H windows.
    """
    history, length, rates = pair.horizon.history, windows_of(pair.horizon), pair.rates
    assert history is not None  # noqa: S101 - asked only where there is one
    assert length is not None  # noqa: S101
    size = len(pair.canary)
    count = len(history.canary) // length
    baseline, canary = (
        _trimmed_mean(arm.value[: count * length].reshape(count, length)[:, :size])
        for arm in (history.baseline, history.canary)
    )
    level, canary_level = (float(_trimmed_mean(arm.value)) for arm in (pair.baseline, pair.canary))
    known = {
        "rule": "mann_whitney",
        "method": "history",
        "level": rates.level,
        "beta": rates.beta,
        "baseline_level": level,
        "canary_level": canary_level,
        "n_baseline": size,
        "n_canary": size,
        "df": count - 1,
    }
    limits = tolerated(pair, level)
    if limits is None:
        return ShiftFinding(**known, outcome=Outcome.MARGINAL, reason=Reason.NEEDS_ABSOLUTE_TOLERANCE)
    unit = 1.0 if limits.absolute else abs(level)
    bias = float((canary - baseline).mean())
    estimate = canary_level - level - bias
    root = math.sqrt(1 + 1 / count)

    def spread(limit: float) -> float:
        scale = 1.0 if limits.absolute else 1 + limit * math.copysign(1.0, level)
        return max(float((canary - scale * baseline).std(ddof=1)) * root, 1e-300)

    def pvalues(limit: float) -> tuple[float, float]:
        t = (estimate - limit * unit) / spread(limit)
        return float(stdtr(count - 1, -t)), float(stdtr(count - 1, t))

    def bounds(limit: float, error: float) -> tuple[float, float]:
        reach = -float(stdtrit(count - 1, error)) * spread(limit)
        return (estimate - reach) / unit, (estimate + reach) / unit

    sides = limits.sides
    evidence = Evidence(
        estimate=estimate / unit,
        pvalues=[pvalues(limit) for _, limit in sides],
        pvalues_none=pvalues(0.0),
        fail_bounds=[bounds(limit, rates.level / len(sides)) for _, limit in sides],
        pass_bounds=[bounds(limit, rates.beta) for _, limit in sides],
    )
    return ShiftFinding(**known, **weigh(evidence, limits, rates, size))


def _trimmed_mean(values: FloatArray) -> FloatArray:
    n = values.shape[-1]
    cut = int(_TRIMMED * n)
    return np.asarray(np.sort(values, axis=-1)[..., cut : n - cut].mean(axis=-1))
