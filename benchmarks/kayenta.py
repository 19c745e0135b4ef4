"""Kayenta's judge of one metric, as a rule beside others: canaryjudge's own compatibility mode, reduced to its label."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from canaryjudge.compat.kayenta.classifier import classify
from canaryjudge.integrations.kayenta.config import MetricOptions

__all__ = ["kayenta_label"]

_SIGNS: Final = {"High": 1, "Low": -1}

FloatArray = NDArray[np.float64]


def kayenta_label(
    baseline: FloatArray, canary: FloatArray, allowed_increase: float = 1.0, allowed_decrease: float = 1.0
) -> int:
    """Classify one metric in either direction: 1 for High, -1 for Low, 0 for Pass, Nodata and Error.

    Parameters
    ----------
    baseline, canary : ndarray, shapes (n,) and (m,)
        Points, without missing ones.
    allowed_increase, allowed_decrease : float
        High needs a ratio of the means of at least the one, Low of at most the other.

    Returns
    -------
    int
        The label; other options are at their defaults.

    Examples
    --------
    >>> kayenta_label(np.arange(100.0, 160.0), np.arange(130.0, 190.0))
    1
    """
    options = MetricOptions(allowed_increase=allowed_increase, allowed_decrease=allowed_decrease)
    arms = np.asarray(baseline, dtype=np.float64), np.asarray(canary, dtype=np.float64)
    return _SIGNS.get(classify("metric", arms, options).label, 0)
