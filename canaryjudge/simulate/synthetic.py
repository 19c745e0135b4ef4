"""Releases made up from what is assumed of a metric."""

from __future__ import annotations

from typing import Any

import numpy as np

from canaryjudge.data import FloatArray, MetricPair, read_pairs
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric, Policy
from canaryjudge.simulate.assumptions import Assumed

__all__ = ["autoregressive", "synthetic"]

_EDGES = 60
_LEVEL = 100.0


def autoregressive(rng: np.random.Generator, points: int, rho: float) -> FloatArray:
    """Give a stationary series of unit variance with a lag-1 autocorrelation.

    Examples
    --------
    >>> series = autoregressive(np.random.default_rng(1), 10_000, 0.5)
    >>> abs(float(np.corrcoef(series[1:], series[:-1])[0, 1]) - 0.5) < 0.03
    True
    """
    from scipy.signal import lfilter  # noqa: PLC0415 - slow to import

    noise = rng.normal(size=points)
    noise[1:] *= np.sqrt(1 - rho**2)
    return np.asarray(lfilter([1.0], [1.0, -rho], noise), dtype=np.float64)


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
    """Make up both arms of a release.

    Parameters
    ----------
    metric : Metric
        Its kind; a noise floor between replicas is drawn for each arm.
    assumed : Assumed
        How it behaves.
    points : int
        Points an arm; intervals of samples.
    share : float
        The canary's share of the traffic.
    change : float
        By what part of its level the canary has changed.
    rng : numpy.random.Generator
        Draws everything.
    per_request : bool
        Whether a gauge scatters the more the less traffic an arm gets.

    Returns
    -------
    MetricPair
        As the judge takes it, with the arms on one clock.
    """
    level = _LEVEL if assumed.level is None else metric.quantity(assumed.level, "level")
    floor = None if metric.noise_floor is None else metric.noise_floor.between_replicas
    arms: dict[str, Any] = {}
    for name, part, factor in (("baseline", 1 - share, 1.0), ("canary", share, 1 + change)):
        lasting = 0.0 if floor is None else floor.size(metric, level) / level
        own = max(0.0, factor * (1 + lasting * rng.normal()))
        arms[name] = _ARMS[metric.kind](
            assumed, level * own, level, points, part, rng, part if per_request else 1.0
        )
        if not KINDS[metric.kind].is_raw:
            arms[name]["time"] = assumed.interval * np.arange(points)
    plain = Metric(name=metric.name, direction="increase", kind=metric.kind, interval=f"{assumed.interval}s")
    return read_pairs({metric.name: arms}, Policy(metrics=[plain]))[metric.name]


def _gauge(
    assumed: Assumed, level: float, _: float, points: int, __: float, rng: np.random.Generator, part: float
) -> dict[str, Any]:
    spread = (assumed.spread or 0.0) / np.sqrt(part)
    return {"value": level * (1 + spread * autoregressive(rng, points, assumed.autocorrelation))}


def _events(
    assumed: Assumed, level: float, _: float, points: int, part: float, rng: np.random.Generator, __: float
) -> dict[str, Any]:
    total = rng.poisson((assumed.traffic or 1.0) * part, points)
    return {
        "value": np.minimum(rng.poisson(_bursts(assumed, level * total.astype(np.float64), rng)), total),
        "total": total,
    }


def _counts(
    assumed: Assumed, level: float, _: float, points: int, part: float, rng: np.random.Generator, __: float
) -> dict[str, Any]:
    return {
        "value": rng.poisson(_bursts(assumed, np.full(points, level * part), rng)),
        "total": np.full(points, part),
    }


def _bursts(assumed: Assumed, expected: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Let rates vary so that events do as many times as much as independent ones."""
    more = assumed.dispersion - 1
    return expected if more == 0 else rng.gamma(np.maximum(expected / more, 1e-12), more)


def _observations(
    assumed: Assumed, level: float, points: int, part: float, rng: np.random.Generator
) -> tuple[FloatArray, Any]:
    counts = rng.poisson((assumed.traffic or 1.0) * part, points)
    shared = 1 + assumed.between_intervals * autoregressive(rng, points, assumed.autocorrelation)
    interval = np.repeat(np.arange(points), counts)
    spread = assumed.spread or 0.0
    return level * shared[interval] * (1 + spread * rng.normal(size=len(interval))), interval


def _samples(
    assumed: Assumed, level: float, _: float, points: int, part: float, rng: np.random.Generator, __: float
) -> dict[str, Any]:
    values, interval = _observations(assumed, level, points, part, rng)
    return {"value": values, "time": assumed.interval * (interval + rng.uniform(size=len(interval)))}


def _histogram(
    assumed: Assumed, level: float, base: float, points: int, part: float, rng: np.random.Generator, __: float
) -> dict[str, Any]:
    values, interval = _observations(assumed, level, points, part, rng)
    reach = min(0.95, 4 * ((assumed.spread or 0.0) + assumed.between_intervals))
    edges = np.append(np.geomspace(base * (1 - reach), base * (2 + 2 * reach), _EDGES), np.inf)
    cells = interval * len(edges) + np.searchsorted(edges, values)
    return {"edges": edges, "buckets": np.bincount(cells, minlength=points * len(edges)).reshape(points, -1)}


_ARMS = {
    "gauge": _gauge,
    "ratio": _events,
    "count": _counts,
    "samples": _samples,
    "histogram": _histogram,
}
