"""A metric's own past, measured for the judgement at hand: its noise floor and its dispersion, as a policy would state them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Final
from zlib import crc32

import numpy as np

from canaryjudge.data import History, MetricPair, Series, read_history
from canaryjudge.data.pairing import align
from canaryjudge.data.times import median_step
from canaryjudge.errors import DataError
from canaryjudge.history.healthy_windows import HealthyPairs, Length, healthy_pairs, pairs_of_releases
from canaryjudge.history.noise_floor import FEWEST_POINTS, as_floor, changes_of, floor_facts
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric, NoiseFloor, Policy
from canaryjudge.policy.doubts import wholes_of
from canaryjudge.reports import FloorFacts
from canaryjudge.results import HistoryFacts, Pairing
from canaryjudge.rules.replicas import FEWEST_REPLICAS, lasting
from canaryjudge.stats.dispersion import FEWEST_WATCHED_INTERVALS, UNKNOWN_DISPERSION, pooled_dispersion

__all__ = ["FEWEST_WINDOWS", "Asked", "known_past", "past_of", "with_past"]

FEWEST_WINDOWS: Final = 8
"""Fewer windows know so little of how much they differ that next to nothing could be proven; 24 and more know it well."""
_MOST_PAIRS: Final = 200
_MOST_TRACKS: Final = 5
"""Of more series side by side the dispersion is not known better."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a metric's past is asked for.

    Attributes
    ----------
    pairing : {"concurrent", "windows"}
        How the arms are compared.
    points : int
        How many points the canary has.
    seconds : float or None
        How long it is, where there are times.
    before : float or None
        When the arms begin, in seconds since 1970: what is not earlier is left out.
    own_replicas : bool
        Whether the release itself tells by how much replicas differ.
    """

    pairing: Pairing
    points: int
    seconds: float | None = None
    before: float | None = None
    own_replicas: bool = False

    @classmethod
    def of(cls, pair: MetricPair) -> Asked:
        """Ask for a pair that is about to be judged."""
        arms, time, seconds = (pair.baseline, pair.canary), pair.canary.time, None
        starts = [float(arm.time[0]) for arm in arms if arm.time is not None and len(arm)]
        if time is not None and len(time):
            seconds = float(time[-1] - time[0]) + (pair.interval or 0.0)
        pods = [len(lasting(arm.replicas)) for arm in arms]
        apart = pair.pairing == "concurrent" and min(pods) >= 1 and sum(pods) >= FEWEST_REPLICAS
        return cls(pair.pairing, len(pair.canary), seconds, min(starts, default=None), own_replicas=apart)


def known_past(history: Any, policy: Policy, arms: tuple[str, str]) -> History | None:
    """Read what a judgement is given of the past; None where it is given nothing."""
    if history is None:
        return None
    with _about_history():
        return read_history(history, policy, baseline=arms[0], canary=arms[1])


@contextmanager
def _about_history() -> Iterator[None]:
    """Say of an error that it is about the history."""
    try:
        yield
    except DataError as error:
        raise DataError(f"history: {error.message}", error.hint) from None


def past_of(metric: Metric, known: History, asked: Asked) -> HistoryFacts:
    """Measure by how much a metric differs from itself with nothing wrong, and how its counts vary."""
    with _about_history():
        return _past_of(metric, known, asked)


def _past_of(metric: Metric, known: History, asked: Asked) -> HistoryFacts:
    tracks, late = _earlier(known.tracks.get(metric.name, ()), asked.before)
    arms: list[tuple[Series, Series]] = []
    for release in known.releases:
        if release.healthy and metric.name in release.metrics:
            both, dropped = _earlier(release.metrics[metric.name], asked.before)
            late += dropped
            if len(both) == 2:
                arms.append((both[0], both[1]))
    series = [*tracks, *(arm for both in arms for arm in both)]
    interval = metric.interval or median_step([one.time for one in series])
    length = _length(asked, None if KINDS[metric.kind].is_raw else interval)
    facts: dict[str, Any] = {"windows": 0, "points": length.points, "late": late} | _span(series)
    if not series:
        return HistoryFacts(**facts, lacks="metric")
    facts["dispersion"] = _dispersion(metric, tracks, arms, length)
    stated = None if metric.noise_floor is None else getattr(metric.noise_floor, _PARTS[asked.pairing])
    if stated is not None or asked.own_replicas:
        return HistoryFacts(**facts, stated="replicas" if stated is None else "noise_floor")
    found = _healthy(metric, tracks, arms, asked.pairing, length)
    if found is None:
        return HistoryFacts(**facts, lacks="arms" if asked.pairing == "concurrent" else "windows")
    facts |= {"windows": found.windows, "source": found.source}
    if found.source == "releases":
        facts["points"] = int(np.median([len(pair.canary) for pair in found.pairs]))
    changes = changes_of(found.pairs, metric)
    floor = floor_facts(found, changes)
    if found.windows < FEWEST_WINDOWS or floor is None:
        return HistoryFacts(**facts, lacks="windows")
    if found.source == "replicas" and found.replicas < FEWEST_REPLICAS and _says_little(floor, metric, found):
        return HistoryFacts(**facts, lacks="replicas")
    return HistoryFacts(**facts, floor=floor)


def _says_little(floor: FloorFacts, metric: Metric, found: HealthyPairs) -> bool:
    """Tell whether two series differ for good, or hardly: that is one difference, and other pods may differ by more."""
    arms = [arm.levels for pair in found.pairs for arm in (pair.baseline, pair.canary)]
    level = float(np.median([arm.mean() for arm in arms]))
    whole = wholes_of(metric).of(level, max(float(arm.max()) for arm in arms))
    assumed = metric.assumed_spread * (1.0 if whole is None else whole / level - 1)
    return floor.df <= 1 or not (floor.absolute or floor.spread > assumed)


_PARTS: Final[dict[Pairing, str]] = {"concurrent": "between_replicas", "windows": "between_windows"}


def with_past(metric: Metric, *pasts: HistoryFacts) -> Metric:
    """Give the metric as a policy would have it that states what its past says; what the policy itself states stays."""
    found = [past.floor for past in pasts if past.floor is not None]
    measured, own = as_floor(found), metric.noise_floor
    update: dict[str, Any] = {}
    if measured is not None:
        told = measured.model_dump(exclude_none=True)
        mine = {} if own is None else own.model_dump(exclude_none=True)
        update["noise_floor"] = measured if own is None else NoiseFloor.model_validate(told | mine)
    if any(floor.between == "replicas" for floor in found):
        update["assumed_spread"] = 0.0
    dispersion = next((past.dispersion for past in pasts if past.dispersion is not None), None)
    if dispersion is not None and metric.dispersion is None:
        update["dispersion"] = dispersion
    return metric.model_copy(update=update) if update else metric


def _earlier(series: Sequence[Series], before: float | None) -> tuple[tuple[Series, ...], int]:
    """Leave out what does not lie before a time, and count it."""
    kept, late = [], 0
    for one in series:
        part = one
        if before is not None and one.time is not None and len(one) and one.time[-1] >= before:
            part = replace(one.part(one.time < before), replicas=())
            late += len(one) - len(part)
        if len(part):
            kept.append(part)
    return tuple(kept), late


def _length(asked: Asked, interval: float | None) -> Length:
    """Give the canary's own length, in the history's points where these have an interval; never so few that they have no change."""
    points = asked.points if asked.seconds is None or interval is None else round(asked.seconds / interval)
    return Length(max(FEWEST_POINTS, points), asked.seconds)


def _span(series: Sequence[Series]) -> dict[str, float]:
    times = [one.time for one in series if one.time is not None]
    if not times:
        return {}
    return {"start": min(float(time[0]) for time in times), "end": max(float(time[-1]) for time in times)}


def _healthy(
    metric: Metric,
    tracks: Sequence[Series],
    arms: Sequence[tuple[Series, Series]],
    pairing: Pairing,
    length: Length,
) -> HealthyPairs | None:
    """Cut pairs that are compared as the release is; None where there are none: of one series alone, what arms that share the clock differ by is not known."""
    if arms:
        found = pairs_of_releases(arms, metric)
    else:
        rng = np.random.default_rng(crc32(metric.name.encode()))
        alone = metric if pairing == "concurrent" else metric.model_copy(update={"pairing": "windows"})
        # windows that begin within others are between the levels of two, and differ by less
        found = healthy_pairs(tracks, alone, length, _MOST_PAIRS, rng, step=1.0)
    kept = np.flatnonzero([pair.pairing == pairing for pair in found.pairs])
    if not len(kept):
        return None
    if found.source == "releases":
        found = replace(found, windows=2 * len(kept))
    return found if len(kept) == len(found.pairs) else found.some(kept, len(kept))


def _dispersion(
    metric: Metric, tracks: Sequence[Series], arms: Sequence[tuple[Series, Series]], length: Length
) -> float | None:
    """Measure how many times counts vary more than independent events do, half a standard error on the safe side; by how series that ran side by side share their events, where there are some.

    One series alone also varies by what both arms of a release would feel, so all that it says is "at most": where that is more than what is assumed of what is not known, it says nothing.
    """
    if not KINDS[metric.kind].counts_events:
        return None
    beside = [(one, other) for one, other in (*arms, *combinations(tracks[:_MOST_TRACKS], 2))]
    concurrent = metric.model_copy(update={"pairing": "auto"})
    pairs = [align(concurrent, *both) for both in beside] if metric.pairing != "windows" else []
    pairs = [pair for pair in pairs if pair.pairing == "concurrent"]
    if not pairs:
        apart = metric.model_copy(update={"pairing": "windows"})
        windows = [*tracks, *(arm for both in arms for arm in both)]
        points = min(length.points, max(map(len, windows)) // 2)
        rng = np.random.default_rng(crc32(metric.name.encode()))
        cut = healthy_pairs(windows, apart, Length(max(2, points), None), _MOST_PAIRS, rng)
        pairs = list(cut.pairs)
    factors, freedom = [], 0.0
    for pair in pairs:
        found = pooled_dispersion(
            pair.baseline.value,
            pair.baseline.exposures,
            pair.canary.value,
            pair.canary.exposures,
            concurrent=pair.pairing == "concurrent",
            family=KINDS[pair.kind].family,
        )
        own = len(pair.canary) - 1.0
        factors.append(own * float(found.factor))
        freedom += own
    if freedom < FEWEST_WATCHED_INTERVALS - 1:
        return None
    factor = sum(factors) / freedom * (1 + 0.5 * np.sqrt(2 / freedom))
    if pairs[0].pairing != "concurrent" and factor > UNKNOWN_DISPERSION:
        return None
    return float(min(factor, 1000.0))
