"""What a history says of a metric, as a plan assumes it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from canaryjudge.data import FloatArray, Series
from canaryjudge.data.times import median_step
from canaryjudge.errors import PolicyError
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric, Policy, Quantity
from canaryjudge.policy.assumptions import Assumed
from canaryjudge.stats.bucket_distributions import bucket_quantile
from canaryjudge.stats.dispersion import Family, dispersion
from canaryjudge.stats.long_run import dependence

__all__ = ["learned", "refuse_nothing"]

_BLOCK = 60
"""Points over which scatter and autocorrelation are measured: longer waves are no scatter."""
_FEWEST = 10
_OF_NORMAL = 1.349
"""Interquartile range of a normal distribution, in standard deviations."""
_MINUTE = 60.0
_MOST_NAMED: Final = 3
_EXAMPLES: Final = {"spread": "5%", "level": "0.1%", "traffic": "5000"}
"""What an assumption looks like; the level is that of a ratio."""
_EVENTS: Final = "100"
"""The level of a count."""


def learned(tracks: Sequence[Series], metric: Metric) -> Assumed | None:
    """Measure what a plan needs.

    Parameters
    ----------
    tracks : sequence of Series
        The whole service's history.
    metric : Metric
        Its kind.

    Returns
    -------
    Assumed or None
        None where there are fewer than ten points, or a level of 0.
    """
    known = [track for track in tracks if len(track) >= _FEWEST]
    if not known:
        return None
    interval = metric.interval or median_step([track.time for track in known]) or _MINUTE
    if KINDS[metric.kind].counts_events:
        return _of_events(known, metric, interval)
    if KINDS[metric.kind].has_buckets:
        return _of_histograms(known, interval)
    if KINDS[metric.kind].is_raw:
        return _of_samples(known, metric.interval or _MINUTE)
    values = np.concatenate([track.value for track in known])
    level = float(np.median(values))
    blocks = [block for track in known for block in _blocks(track.value)]
    spread = float(np.sqrt(np.mean([block.var(ddof=1) for block in blocks])))
    rho = float(np.median([dependence(block) for block in blocks]))
    return _assumed(level, spread / abs(level) if level else 0.0, interval, autocorrelation=rho)


def _blocks(values: FloatArray) -> list[FloatArray]:
    return [block for block in np.array_split(values, max(1, len(values) // _BLOCK)) if len(block) >= _FEWEST]


def _assumed(level: float, spread: float, interval: float, **more: float) -> Assumed | None:
    if level == 0:
        return None
    return Assumed.model_construct(
        **{
            **Assumed().__dict__,
            "interval": interval,
            "level": Quantity(number=abs(level)),
            "spread": spread,
            **more,
        }
    )


def _of_events(known: list[Series], metric: Metric, interval: float) -> Assumed | None:
    events = float(sum(track.value.sum() for track in known))
    points = sum(len(track) for track in known)
    exposure = [np.ones(len(track)) if track.total is None else track.total for track in known]
    whole = float(sum(total.sum() for total in exposure))
    family: Family = KINDS[metric.kind].family
    factors = [
        float(dispersion(values, totals, family=family).factor)
        for track, total in zip(known, exposure, strict=True)
        for values, totals in zip(_blocks(track.value), _blocks(total), strict=True)
    ]
    own = {"dispersion": float(np.mean(factors)) if factors else 1.0}
    if KINDS[metric.kind].is_rate:
        return _assumed(events / points, 0.0, interval, **own)
    return _assumed(events / whole, 0.0, interval, traffic=whole / points, **own)


def _of_samples(known: list[Series], interval: float) -> Assumed | None:
    values = np.concatenate([track.value for track in known])
    low, level, high = (float(part) for part in np.quantile(values, [0.25, 0.5, 0.75]))
    timed = [track for track in known if track.time is not None]
    spread = (high - low) / _OF_NORMAL / abs(level) if level else 0.0
    if not timed:
        return _assumed(level, spread, interval)
    counts, middles = [], []
    for track in timed:
        assert track.time is not None  # noqa: S101 - as was asked
        slots = ((track.time - track.time[0]) // interval).astype(np.intp)
        sizes = np.bincount(slots)
        counts.append(sizes)
        ends = sizes.cumsum()
        middles.append([float(np.median(part)) for part in np.split(track.value, ends[:-1]) if len(part)])
    traffic = float(np.mean(np.concatenate(counts)))
    return _assumed(level, spread, interval, traffic=traffic, **_shared(middles, level, spread, traffic))


def _of_histograms(known: list[Series], interval: float) -> Assumed | None:
    track = known[0]
    assert track.buckets is not None and track.edges is not None  # noqa: PT018, S101 - as histograms have
    counts = track.buckets.sum(axis=0)
    low, level, high = (float(bucket_quantile(track.edges, counts, q)) for q in (0.25, 0.5, 0.75))
    spread = (high - low) / _OF_NORMAL / abs(level) if level else 0.0
    traffic = float(np.mean(track.value))
    middles = [float(bucket_quantile(track.edges, row, 0.5)) for row in track.buckets if row.sum() > 0]
    return _assumed(level, spread, interval, traffic=traffic, **_shared([middles], level, spread, traffic))


def _shared(middles: list[list[float]], level: float, spread: float, traffic: float) -> dict[str, float]:
    """Split the variance of the intervals' medians into that of so many observations and what an interval shares."""
    blocks = [block for track in middles for block in _blocks(np.array(track))]
    if not blocks or level == 0:
        return {}
    seen = float(np.mean([block.var(ddof=1) for block in blocks])) / level**2
    by_chance = np.pi / 2 * spread**2 / max(traffic, 1.0)
    between = float(np.sqrt(max(0.0, seen - by_chance)))
    rho = float(np.median([dependence(block) for block in blocks])) if between else 0.0
    return {"between_intervals": between, "autocorrelation": rho}


def refuse_nothing(policy: Policy, assumed: Mapping[str, Assumed]) -> None:
    """Refuse to plan where of no metric enough is known.

    Parameters
    ----------
    policy : Policy
        The policy.
    assumed : mapping of str to Assumed
        What is known of each of its metrics.

    Raises
    ------
    PolicyError
        It says what is missing, and how to give it.
    """
    lacking = {metric.name: assumed[metric.name].lacks(metric.kind) for metric in policy.metrics}
    if not all(lacking.values()):
        return
    kinds = {metric.name: metric.kind for metric in policy.metrics}
    shown = list(lacking.items())[:_MOST_NAMED]
    what = ", ".join(f"the {' and '.join(fields)} of {name}" for name, fields in shown)
    more = f", and of {len(lacking) - len(shown)} more metrics theirs" if len(lacking) > len(shown) else ""
    keys = [
        f"{name}.{field}={_EVENTS if (field, kinds[name]) == ('level', 'count') else _EXAMPLES[field]}"
        for name, fields in shown
        for field in fields
    ]
    examples = " ".join(f"--assume {shlex.quote(key)}" for key in keys)
    raise PolicyError(
        f"nothing can be planned without {what}{more}",
        f"Assume them (your own numbers: {examples}; assume= in Python), or give healthy metrics of the whole service (--history FILE).",
    )
