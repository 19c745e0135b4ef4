"""What Flagger allows: the range of each metric's value, and how many failed checks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from canaryjudge.integrations.thresholds import Bounds, Edge

__all__ = ["BUILT_IN", "allowed", "analysis_threshold"]

BUILT_IN: Final = ("request-success-rate", "request-duration")
"""The metrics that Flagger has queries for: a percentage, and the 99th percentile in milliseconds."""


def allowed(metric: Mapping[str, Any]) -> Bounds:
    """Give what a metric's value may be.

    Parameters
    ----------
    metric : mapping
        As it stands under ``spec.analysis.metrics``. Without a `thresholdRange`, the deprecated `threshold` (0 where it is left out)
        is the least value of request-success-rate, and the largest of every other metric.

    Returns
    -------
    Bounds
        Both ends are allowed; those of request-duration are cut to whole milliseconds, as Flagger cuts them.

    Examples
    --------
    >>> allowed({"name": "request-success-rate", "threshold": 99}).low
    Edge(value=99.0, strict=False)
    >>> allowed({"name": "request-duration", "thresholdRange": {"max": 0.9}}).high
    Edge(value=0.0, strict=False)
    """
    name, given = metric.get("name"), metric.get("thresholdRange")
    if isinstance(given, Mapping):
        low, high = given.get("min"), given.get("max")
    else:
        threshold = metric.get("threshold") or 0
        low, high = (threshold, None) if name == "request-success-rate" else (None, threshold)
    ends = [None if end is None else float(end) for end in (low, high)]
    if name == "request-duration":
        ends = [None if end is None or not math.isfinite(end) else float(math.trunc(end)) for end in ends]
    return Bounds(*(None if end is None else Edge(end) for end in ends))


def analysis_threshold(threshold: float | None) -> int:
    """Give after how many failed checks a Canary is rolled back: 1 where nothing, or nothing sensible, is said."""
    return int(threshold) if threshold is not None and threshold >= 1 else 1
