"""Releases made up from what is assumed of a metric."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

import numpy as np

from canaryjudge.data import Arm, FloatArray, MetricPair, read_pairs
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric, Policy
from canaryjudge.simulate.assumptions import Assumed

__all__ = ["autoregressive", "drawn", "synthetic"]

_EDGES = 60
_LEVEL = 100.0


def autoregressive(rng: np.random.Generator, points: int, rho: float) -> FloatArray:
    """Give a stationary series of unit variance with a lag-1 autocorrelation.

    >>> series = autoregressive(np.random.default_rng(1), 10_000, 0.5)
    >>> abs(float(np.corrcoef(series[1:], series[:-1])[0, 1]) - 0.5) < 0.03
    True
    """
    noise = rng.normal(size=points)
    noise[1:] *= np.sqrt(1 - rho**2)
    return np.array(list(accumulate(noise.tolist(), lambda before, own: rho * before + own)))


@dataclass(frozen=True, slots=True)
class _Arm:
    """What an arm is drawn from."""

    assumed: Assumed
    """How the metric behaves."""
    level: float
    """The arm's own level."""
    usual: float
    """The metric's level, around which a histogram's edges lie in both arms."""
    points: int
    """How many; intervals of samples."""
    share: float
    """Its share of the traffic."""
    rng: np.random.Generator
    """Draws everything."""
    per_request: bool
    """Whether a gauge scatters the more the less traffic the arm gets."""


def synthetic(
    metric: Metric,
    assumed: Assumed,
    points: int,
    share: float,
    change: float,
    rng: np.random.Generator,
    *,
    per_request: bool = False,
) -> MetricPair:
    """Make up both arms of a release on one clock, with a canary that gets a share of the traffic and whose level has changed by a part; a noise floor between replicas is drawn for each arm."""
    arms = _arms(metric, assumed, points, share, change, rng, per_request=per_request)
    plain = Metric(name=metric.name, direction="increase", kind=metric.kind, interval=f"{assumed.interval}s")
    return read_pairs({metric.name: arms}, Policy(metrics=[plain]))[metric.name]


def drawn(
    metric: Metric,
    assumed: Assumed,
    points: int,
    share: float,
    change: float,
    rng: np.random.Generator,
    *,
    per_request: bool = False,
) -> MetricPair:
    """Make up the same as it comes out, without reading it as data are read; of all kinds but samples, whose arms get a request an interval at least."""
    arms = _arms(metric, assumed, points, share, change, rng, per_request=per_request)
    edges = arms["baseline"].pop("edges", None)
    arms["canary"].pop("edges", None)
    for arm in arms.values():
        if "total" in arm and KINDS[metric.kind].is_share:
            arm["total"] = np.maximum(arm["total"], 1)
        if "buckets" in arm:
            arm["value"] = arm["buckets"].sum(axis=1)
    baseline, canary = (
        Arm(**{name: np.asarray(column, dtype=np.float64) for name, column in arm.items()})  # type: ignore[arg-type]
        for arm in arms.values()
    )
    return MetricPair(metric.name, metric.kind, baseline, canary, "concurrent", assumed.interval, edges=edges)


def _arms(
    metric: Metric,
    assumed: Assumed,
    points: int,
    share: float,
    change: float,
    rng: np.random.Generator,
    *,
    per_request: bool,
) -> dict[str, Any]:
    """Draw the columns of both arms."""
    level = _LEVEL if assumed.level is None else metric.quantity(assumed.level, "level")
    floor = None if metric.noise_floor is None else metric.noise_floor.between_replicas
    lasting = 0.0 if floor is None else floor.size(metric, level) / level
    arms: dict[str, Any] = {}
    for name, part, factor in (("baseline", 1 - share, 1.0), ("canary", share, 1 + change)):
        own = max(0.0, factor * (1 + lasting * rng.normal()))
        arms[name] = _ARMS[metric.kind](_Arm(assumed, level * own, level, points, part, rng, per_request))
        if not KINDS[metric.kind].is_raw:
            arms[name]["time"] = assumed.interval * np.arange(points)
    return arms


def _gauge(arm: _Arm) -> dict[str, Any]:
    spread = (arm.assumed.spread or 0.0) / np.sqrt(arm.share if arm.per_request else 1.0)
    waves = autoregressive(arm.rng, arm.points, arm.assumed.autocorrelation)
    return {"value": arm.level * (1 + spread * waves)}


def _ratio(arm: _Arm) -> dict[str, Any]:
    total = arm.rng.poisson((arm.assumed.traffic or 1.0) * arm.share, arm.points)
    events = arm.rng.poisson(_bursts(arm, arm.level * total.astype(np.float64)))
    return {"value": np.minimum(events, total), "total": total}


def _count(arm: _Arm) -> dict[str, Any]:
    events = arm.rng.poisson(_bursts(arm, np.full(arm.points, arm.level * arm.share)))
    return {"value": events, "total": np.full(arm.points, arm.share)}


def _bursts(arm: _Arm, expected: FloatArray) -> FloatArray:
    """Let rates vary so that events do as many times as much as independent ones."""
    more = arm.assumed.dispersion - 1
    return expected if more == 0 else arm.rng.gamma(np.maximum(expected / more, 1e-12), more)


def _observations(arm: _Arm) -> tuple[FloatArray, Any]:
    """Draw observations, and the interval of each."""
    counts = arm.rng.poisson((arm.assumed.traffic or 1.0) * arm.share, arm.points)
    waves = autoregressive(arm.rng, arm.points, arm.assumed.autocorrelation)
    interval = np.repeat(np.arange(arm.points), counts)
    shared = (1 + arm.assumed.between_intervals * waves)[interval]
    own = 1 + (arm.assumed.spread or 0.0) * arm.rng.normal(size=len(interval))
    return arm.level * shared * own, interval


def _samples(arm: _Arm) -> dict[str, Any]:
    values, interval = _observations(arm)
    return {
        "value": values,
        "time": arm.assumed.interval * (interval + arm.rng.uniform(size=len(interval))),
    }


def _users(arm: _Arm) -> dict[str, Any]:
    return {"value": _observations(arm)[0]}


def _histogram(arm: _Arm) -> dict[str, Any]:
    values, interval = _observations(arm)
    reach = min(0.95, 4 * ((arm.assumed.spread or 0.0) + arm.assumed.between_intervals))
    edges = np.append(np.geomspace(arm.usual * (1 - reach), arm.usual * (2 + 2 * reach), _EDGES), np.inf)
    cells = interval * len(edges) + np.searchsorted(edges, values)
    buckets = np.bincount(cells, minlength=arm.points * len(edges)).reshape(arm.points, -1)
    return {"edges": edges, "buckets": buckets}


_ARMS: Final[dict[str, Callable[[_Arm], dict[str, Any]]]] = {
    "gauge": _gauge,
    "ratio": _ratio,
    "count": _count,
    "samples": _samples,
    "histogram": _histogram,
    "users": _users,
}
"""How an arm of each kind is drawn."""
