"""The judges that are in use today, reduced to one answer: whether a metric alarms, and in which direction.

Each takes the finite points of baseline and canary and gives 1 for "higher", -1 for "lower" and 0 for none.

The first six are those of the table that comes with the corpus, and reproduce its columns for unchanged cases
and for faults to within a point. Its columns for known shifts hold a second set of cases as well, so they
differ. Where that table leaves a definition open, the one that reproduces it was taken: both arms' means for
"1.25 x", a quarter of the baseline's mean either way for the band, an allowedDecrease of 0.9 beside an
allowedIncrease of 1.1.

Libraries for online experiments join in where they are installed (``pip install tea-tasting spotify-confidence``). Both compare means as their
documentation shows, at their default level of 5 %: gauges and samples point by point, errors as the ratio of the ticks' errors to their requests.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from canaryjudge.compat.kayenta.classifier import classify
from canaryjudge.integrations.kayenta.config import MetricOptions

__all__ = ["ASKED_ONCE", "GAUGE_PEERS", "LEGEND", "RATIO_PEERS", "alarms", "kayenta_label", "mann_whitney"]

_LEVEL = 0.05
_MARGIN = 0.25
_STRIKES = 5
_SIGNS: Final = {"High": 1, "Low": -1}

FloatArray = NDArray[np.float64]
Peer = Callable[[FloatArray, FloatArray], int]


def mann_whitney(baseline: FloatArray, canary: FloatArray) -> int:
    """Plain two-sided Mann-Whitney test, p < .05."""
    if not len(baseline) or not len(canary):
        return 0
    test = stats.mannwhitneyu(canary, baseline)
    return _sign(test.statistic - len(baseline) * len(canary) / 2) if test.pvalue < _LEVEL else 0


def welch(baseline: FloatArray, canary: FloatArray) -> int:
    """Welch's two-sided t test, p < .05; no alarm where it has no p-value (one point, equal constants)."""
    if len(baseline) < 2 or len(canary) < 2:
        return 0
    test = stats.ttest_ind(canary, baseline, equal_var=False)
    return _sign(test.statistic) if test.pvalue < _LEVEL else 0


def mean_ratio(baseline: FloatArray, canary: FloatArray) -> int:
    """Compare the means: above 1.25 x the baseline's is higher, below .75 x lower."""
    if not len(baseline) or not len(canary):
        return 0
    mean = baseline.mean()
    return int(canary.mean() > (1 + _MARGIN) * mean) or -int(canary.mean() < (1 - _MARGIN) * mean)


def band(baseline: FloatArray, canary: FloatArray) -> int:
    """Count 5 canary points above 1.25 x the baseline's mean (higher) or below .75 x (lower), like Flagger.

    Flagger holds each check against a fixed range of the user's, and rolls back at `threshold: 5` failed
    checks, in a row or not. Here the range is the baseline's mean and a quarter of it either way, and the
    five are of one side; where both sides have five, the first to be asked (higher) is named.
    """
    if not len(baseline) or not len(canary):
        return 0
    mean = baseline.mean()
    above, below = (canary > (1 + _MARGIN) * mean).sum(), (canary < (1 - _MARGIN) * mean).sum()
    if max(above, below) < _STRIKES:
        return 0
    return 1 if above >= below else -1


def two_proportions(baseline: FloatArray, canary: FloatArray) -> int:
    """Two-proportion z test of the pooled errors, two-sided, p < .05; its square is the chi-squared test.

    Parameters
    ----------
    baseline, canary : ndarray, shapes (n, 2) and (m, 2)
        Requests and errors of each tick.

    Returns
    -------
    int
        The direction.
    """
    pooled = np.array([arm.sum(axis=0) for arm in (baseline, canary)])
    table = np.column_stack([pooled[:, 1], pooled[:, 0] - pooled[:, 1]])
    if not (table.sum(axis=0).all() and table.sum(axis=1).all()):
        return 0
    shares = pooled[:, 1] / pooled[:, 0]
    return (
        _sign(shares[1] - shares[0]) if stats.chi2_contingency(table, correction=False).pvalue < _LEVEL else 0
    )


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


LIBRARY_LEGEND = {
    "tea_tasting": ("tea", "tea-tasting, Mean or RatioOfMeans, p < .05"),
    "spotify_confidence": ("spot", "spotify-confidence, StudentsTTest or ZTest, p < .05"),
}
"""Each library's heading in a table, and what is asked of it."""


def library_peers(kind: str) -> dict[str, Callable[[FloatArray, FloatArray], int]]:
    """Give the libraries that are installed, as judges of a kind: ``gauge`` or ``ratio``."""
    asked = {
        ("tea_tasting", "gauge"): _tea_mean,
        ("tea_tasting", "ratio"): _tea_ratio,
        ("spotify_confidence", "gauge"): _spotify_mean,
        ("spotify_confidence", "ratio"): _spotify_ratio,
    }
    return {name: asked[name, kind] for name in LIBRARY_LEGEND if importlib.util.find_spec(name)}


def _tea_mean(baseline: FloatArray, canary: FloatArray) -> int:
    return _tea(importlib.import_module("tea_tasting").Mean("value"), _table({"value": (baseline, canary)}))


def _tea_ratio(baseline: FloatArray, canary: FloatArray) -> int:
    data = _table({"errors": (baseline[:, 1], canary[:, 1]), "requests": (baseline[:, 0], canary[:, 0])})
    return _tea(importlib.import_module("tea_tasting").RatioOfMeans("errors", "requests"), data)


def _tea(metric: Any, data: pd.DataFrame) -> int:
    if data["arm"].value_counts().min() < 2 or data["arm"].nunique() < 2:
        return 0
    found = (
        importlib.import_module("tea_tasting")
        .Experiment(metric=metric, variant="arm")
        .analyze(data)["metric"]
    )
    return int(np.sign(found.effect_size)) if found.pvalue < _LEVEL else 0


def _spotify_mean(baseline: FloatArray, canary: FloatArray) -> int:
    if not len(baseline) or not len(canary):
        return 0
    # of a series far from 0 the sums of squares lose the variance; the library refuses what rounding makes negative
    center = float(np.median(baseline))
    moved = [arm - center for arm in (baseline, canary)]
    sums = [(arm.sum(), (arm**2).sum(), len(arm)) for arm in moved]
    return _spotify(importlib.import_module("spotify_confidence").StudentsTTest, sums)


def _spotify_ratio(baseline: FloatArray, canary: FloatArray) -> int:
    # an error is a success of a request: the square of one is one
    sums = [(arm[:, 1].sum(), arm[:, 1].sum(), arm[:, 0].sum()) for arm in (baseline, canary)]
    return _spotify(importlib.import_module("spotify_confidence").ZTest, sums)


def _spotify(test: Any, sums: list[tuple[float, float, float]]) -> int:
    if min(each[2] for each in sums) < 2:
        return 0
    frame = pd.DataFrame(sums, columns=["sum", "squares", "points"]).assign(arm=["baseline", "canary"])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # what pandas deprecates
        try:
            compared = test(
                frame,
                numerator_column="sum",
                numerator_sum_squares_column="squares",
                denominator_column="points",
                categorical_group_columns="arm",
                interval_size=1 - _LEVEL,
            )
            found = compared.difference(level_1="baseline", level_2="canary").iloc[0]
        except ValueError:  # a variance that rounding makes negative: constant arms
            return 0
    return int(np.sign(found["difference"])) if found["p-value"] < _LEVEL else 0


def _table(columns: dict[str, tuple[FloatArray, FloatArray]]) -> pd.DataFrame:
    arms = {name: np.concatenate(values) for name, values in columns.items()}
    sizes = [len(values) for values in next(iter(columns.values()))]
    return pd.DataFrame(arms | {"arm": np.repeat([0, 1], sizes)})


GAUGE_PEERS: dict[str, Peer] = {
    "mann_whitney": mann_whitney,
    "welch": welch,
    "kayenta": kayenta_label,
    "kayenta_1.1": partial(kayenta_label, allowed_increase=1.1, allowed_decrease=0.9),
    "mean_1.25": mean_ratio,
    "band_5": band,
}
"""Judges of gauges and samples."""

ASKED_ONCE: dict[str, dict[str, Peer]] = {kind: library_peers(kind) for kind in ("gauge", "ratio")}
"""Libraries that are too slow to ask after every point, by kind; those that are installed."""

RATIO_PEERS: dict[str, Peer] = {"two_proportion_z": two_proportions}
"""Judges of errors of requests."""

LEGEND = {
    "mann_whitney": ("MW", "Mann-Whitney p < .05 (the test of PipeCD, whose level is fixed)"),
    "welch": ("Welch", "Welch t p < .05"),
    "kayenta": ("Kay", "Kayenta's rule"),
    "kayenta_1.1": ("Kay1.1", "Kayenta, allowedIncrease 1.1, allowedDecrease 0.9"),
    "mean_1.25": (
        "x1.25",
        "mean above 1.25 x baseline's, or below .75 x (a threshold as of Argo Rollouts or Keptn)",
    ),
    "band_5": ("5 out", "5 points outside the baseline's mean +- 25 % (Flagger-like)"),
    "two_proportion_z": ("z", "two-proportion z p < .05"),
    **LIBRARY_LEGEND,
}
"""Each judge's heading in a table, and what it stands for."""


def alarms(
    peers: dict[str, Peer], baseline: FloatArray, canary: FloatArray, expected: str
) -> dict[str, bool]:
    """Ask each judge for an alarm in the expected direction, or in any where none is the right one.

    Parameters
    ----------
    peers : dict
        The judges.
    baseline, canary : ndarray
        The points, as the judges take them.
    expected : {"increase", "decrease", "either", "none"}
        The true change.

    Returns
    -------
    dict of str to bool
        Each judge's answer.
    """
    wanted = {"increase": (1,), "decrease": (-1,)}.get(expected, (1, -1))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter(
            "ignore"
        )  # constant arms: the peers say nothing of use, which is part of how they judge
        return {name: peer(baseline, canary) in wanted for name, peer in peers.items()}


def _sign(number: float) -> int:
    return int(np.sign(number))
