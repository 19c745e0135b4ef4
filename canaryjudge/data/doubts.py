"""What data give away that are not what the policy says of them: undeclared counters are in `differencing`, other mistakes here."""

from __future__ import annotations

import re

import numpy as np

from canaryjudge.data.notes import Note
from canaryjudge.data.series import Series
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric

__all__ = ["doubts"]

_THOUSANDS = (1e3, 1e6, 1e9, 1024.0, 1024.0**2)
_NEAR = 0.25
"""Levels differ by a power of a thousand if they do so within this part of it."""
_COUNTS = re.compile(r"error|fail|exception|timeout|5xx|4xx|reject|retries|crash|count|requests|events")
_RATES = re.compile(
    r"rate|ratio|share|percent|pct|per_|/|time(?!out)|latency|duration|seconds|_ms|bytes|depth|size"
)


def doubts(metric: Metric, arms: tuple[Series, Series]) -> list[Note]:
    """Note what makes it doubtful that the data are what the policy says.

    Parameters
    ----------
    metric : Metric
        Its name and kind.
    arms : tuple of (Series, Series)
        Baseline and canary.

    Returns
    -------
    list of Note
        `units_apart` where the medians differ by about a power of a thousand, with the factor, and the arm of the larger; `looks_like_count` for a gauge of whole
        numbers whose name is that of events, unless the policy says ``kind: gauge`` itself.
    """
    if not KINDS[metric.kind].is_measured or not all(len(arm) for arm in arms):
        return []
    notes = []
    levels = [
        abs(float(np.sort(arm.value)[len(arm) // 2])) for arm in arms
    ]  # near enough for a factor of a thousand
    if min(levels) > 0:
        factor = max(levels) / min(levels)
        if any(abs(factor / times - 1) <= _NEAR for times in _THOUSANDS):
            larger = arms[int(np.argmax(levels))].arm
            notes.append(Note(code="units_apart", arm=larger, facts={"factor": factor}))
    if _is_count(metric, arms):
        notes.append(Note(code="looks_like_count"))
    return notes


def _is_count(metric: Metric, arms: tuple[Series, Series]) -> bool:
    name = metric.name.lower()
    if "kind" in metric.model_fields_set or metric.unit:
        return False
    if not _COUNTS.search(name) or _RATES.search(name):
        return False
    if not any(arm.value.any() for arm in arms):
        return False
    return all(bool((arm.value >= 0).all() and (arm.value == np.rint(arm.value)).all()) for arm in arms)
