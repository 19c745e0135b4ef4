"""Libraries for online experiments as judges of a release, where they are installed: ``pip install tea-tasting spotify-confidence``.

Both compare means as their documentation shows, at their default level of 5 %: gauges and samples point by point, errors as the ratio of the
ticks' errors to their requests.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["LIBRARY_LEGEND", "library_peers"]

_LEVEL = 0.05

_library = importlib.import_module

FloatArray = NDArray[np.float64]

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
    return _tea(_library("tea_tasting").Mean("value"), _table({"value": (baseline, canary)}))


def _tea_ratio(baseline: FloatArray, canary: FloatArray) -> int:
    data = _table({"errors": (baseline[:, 1], canary[:, 1]), "requests": (baseline[:, 0], canary[:, 0])})
    return _tea(_library("tea_tasting").RatioOfMeans("errors", "requests"), data)


def _tea(metric: Any, data: pd.DataFrame) -> int:
    if data["arm"].value_counts().min() < 2 or data["arm"].nunique() < 2:
        return 0
    found = _library("tea_tasting").Experiment(metric=metric, variant="arm").analyze(data)["metric"]
    return int(np.sign(found.effect_size)) if found.pvalue < _LEVEL else 0


def _spotify_mean(baseline: FloatArray, canary: FloatArray) -> int:
    if not len(baseline) or not len(canary):
        return 0
    # of a series far from 0 the sums of squares lose the variance; the library refuses what rounding makes negative
    center = float(np.median(baseline))
    moved = [arm - center for arm in (baseline, canary)]
    sums = [(arm.sum(), (arm**2).sum(), len(arm)) for arm in moved]
    return _spotify(_library("spotify_confidence").StudentsTTest, sums)


def _spotify_ratio(baseline: FloatArray, canary: FloatArray) -> int:
    # an error is a success of a request: the square of one is one
    sums = [(arm[:, 1].sum(), arm[:, 1].sum(), arm[:, 0].sum()) for arm in (baseline, canary)]
    return _spotify(_library("spotify_confidence").ZTest, sums)


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
