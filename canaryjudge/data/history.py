"""Recorded metrics of a healthy service, or of past releases -> clean series: what a calibration learns from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.cleaning import clean
from canaryjudge.data.diagnostics import likely_name
from canaryjudge.data.frames import labels, object_array, table_columns, take
from canaryjudge.data.reading import source_of
from canaryjudge.data.series import Series
from canaryjudge.data.sources import ArmMapping, SeriesSource, TidyTable
from canaryjudge.errors import DataError
from canaryjudge.policy import Policy

__all__ = ["History", "Release", "read_history"]

_ONE: Final = "history"
_COLUMNS: Final = ("value", "buckets", "exponential")
"""A mapping with one of these is one series; any other names several."""
_HEALTHY: Final = {
    "good": True,
    "healthy": True,
    "pass": True,
    "ok": True,
    "bad": False,
    "faulty": False,
    "fail": False,
}


@dataclass(frozen=True, slots=True)
class Release:
    """A release of the past.

    Attributes
    ----------
    name : str
        Its name in the data.
    healthy : bool
        Whether it turned out well.
    metrics : dict of str to tuple of Series
        Baseline and canary of each metric.
    """

    name: str
    healthy: bool
    metrics: dict[str, tuple[Series, Series]]


@dataclass(frozen=True, slots=True)
class History:
    """What is known of a service from before.

    Attributes
    ----------
    tracks : dict of str to tuple of Series
        Healthy series of each metric: one, or several that ran side by side (replicas, arms of one version).
    releases : tuple of Release
        Past releases, each with two arms.
    """

    tracks: dict[str, tuple[Series, ...]]
    releases: tuple[Release, ...] = ()


def read_history(data: Any, policy: Policy, *, baseline: str = "baseline", canary: str = "canary") -> History:
    """Read what is known of a service from before.

    Parameters
    ----------
    data : frame, mapping or list of dict
        A tidy table as `read_pairs` takes it, in which `arm` may be left out: every arm, and every replica, is then a healthy series of its own. Or a mapping
        ``{metric: series}``, or ``{metric: {name: series}}`` of several that ran side by side. With a column `release` each release has its own
        baseline and canary, and a column `outcome` (good or bad) says what became of it; good where it is left out.
    policy : Policy
        Which metrics to read.
    baseline, canary : str
        What releases call their two arms.

    Returns
    -------
    History
        Clean series.

    Raises
    ------
    DataError
        If the data cannot mean that, or have none of the policy's metrics.

    Examples
    --------
    >>> from canaryjudge.policy import Metric
    >>> policy = Policy(metrics=[Metric(name="cpu", direction="increase")])
    >>> history = read_history({"cpu": {"pod-a": [1.0, 2.0], "pod-b": [2.0, 1.0]}}, policy)
    >>> [(track.arm, track.value.tolist()) for track in history.tracks["cpu"]]
    [('pod-a', [1.0, 2.0]), ('pod-b', [2.0, 1.0])]
    """
    if isinstance(data, Mapping):
        source: SeriesSource = ArmMapping({name: _named(series) for name, series in data.items()})
        return History(_tracks(source, policy))
    columns = table_columns(data)
    if columns is None:
        return History(_tracks(source_of(data), policy))
    if "release" in columns:
        return _releases(columns, policy, (baseline, canary))
    if columns and "arm" not in columns:
        rows = len(next(iter(columns.values())))
        columns = columns | {"arm": object_array([_ONE] * rows)}
    return History(_tracks(TidyTable(columns), policy))


def _named(series: Any) -> Any:
    several = isinstance(series, Mapping) and not any(name in series for name in _COLUMNS)
    return series if several else {_ONE: series}


def _tracks(source: SeriesSource, policy: Policy) -> dict[str, tuple[Series, ...]]:
    _check_metrics(source.metrics, policy)
    found: dict[str, tuple[Series, ...]] = {}
    for metric in policy.metrics:
        arms = [clean(source.series(metric.name, arm), metric) for arm in source.arms]
        found[metric.name] = tuple(track for arm in arms for track in _parts(arm) if len(track))
    return found


def _parts(arm: Series) -> tuple[Series, ...]:
    return arm.replicas if len(arm.replicas) > 1 else (arm,)


def _check_metrics(known: list[str], policy: Policy) -> None:
    if not any(metric.name in known for metric in policy.metrics):
        name = policy.metrics[0].name
        raise DataError(
            f"the history has no metric of the policy, such as {name!r}",
            f"{likely_name(name, known, 'metrics')} Name them as in the policy.",
        )


def _releases(columns: Mapping[str, Any], policy: Policy, arms: tuple[str, str]) -> History:
    codes, names = labels(columns["release"], "release")
    healthy = _outcomes(columns, codes, names)
    releases = []
    for code, name in enumerate(names):
        part = {key: take(column, np.flatnonzero(codes == code)) for key, column in columns.items()}
        source = TidyTable(part)
        missing = [arm for arm in arms if arm not in source.arms]
        if missing:
            raise DataError(
                f"release {name!r} has no arm {missing[0]!r}",
                f"{likely_name(missing[0], source.arms, 'arms')} Name yours with baseline and canary.",
            )
        metrics = {
            metric.name: (
                clean(source.series(metric.name, arms[0]), metric),
                clean(source.series(metric.name, arms[1]), metric),
            )
            for metric in policy.metrics
            if metric.name in source.metrics
        }
        releases.append(Release(name, healthy[name], metrics))
    _check_metrics(sorted({name for release in releases for name in release.metrics}), policy)
    return History({metric.name: () for metric in policy.metrics}, tuple(releases))


def _outcomes(columns: Mapping[str, Any], codes: NDArray[np.intp], names: list[str]) -> dict[str, bool]:
    if "outcome" not in columns:
        return dict.fromkeys(names, True)
    found: dict[str, bool] = {}
    words, known = labels(columns["outcome"], "outcome")
    for row, (code, word) in enumerate(zip(codes.tolist(), words.tolist(), strict=True)):
        said = known[word].strip().lower()
        if said not in _HEALTHY:
            raise DataError(
                f"row {row + 1}: the outcome {said!r} is not known", f"Write one of {', '.join(_HEALTHY)}."
            )
        if found.setdefault(names[code], _HEALTHY[said]) != _HEALTHY[said]:
            raise DataError(
                f"release {names[code]!r} has two outcomes", "Give every row of a release the same outcome."
            )
    return found
