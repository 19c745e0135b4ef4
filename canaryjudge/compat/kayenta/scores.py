"""Kayenta's score: the share of metrics that pass in each group, the groups weighted, and two gates before it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

__all__ = ["Labeled", "Scored", "score", "verdict_word"]

_COUNTED: Final = ("Pass", "High", "Low", "NodataFailMetric")


@dataclass(frozen=True, slots=True)
class Labeled:
    """What the score takes of a metric's result; muted ones are left out before.

    Attributes
    ----------
    label : str
        How it was classified.
    reason : str or None
        Why.
    critical : bool
        Whether it fails the whole canary.
    groups : tuple of str
        The groups that it counts in.
    """

    label: str
    reason: str | None
    critical: bool
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scored:
    """The score of the whole canary.

    Attributes
    ----------
    score : float
        From 0 to 100, but where the weights do not add up to 100.
    reason : str
        Why it is 0, where a gate made it so.
    groups : mapping of str to float
        Each group's score as it is shown, in the order in which the metrics name them.
    """

    score: float
    reason: str
    groups: Mapping[str, float]


def score(results: Sequence[Labeled], weights: Mapping[str, float]) -> Scored:
    """Score a canary.

    Notes
    -----
    A group in which no metric has data is shown as 0, and counted as 100.

    Examples
    --------
    >>> results = [Labeled("Pass", None, False, ("a",)), Labeled("High", "cpu was classified as High", False, ("a", "b"))]
    >>> score(results, {"a": 75.0}).score
    37.5
    """
    groups = {
        name: _group_score(name, results)
        for name in dict.fromkeys(g for each in results for g in each.groups)
    }
    displayed = {name: 0.0 if own is None else own for name, own in groups.items()}
    failing = next((each for each in results if each.critical and each.label != "Pass"), None)
    if failing is not None:
        return Scored(0.0, f"Canary Failed: {failing.reason}", displayed)
    lacking = sum(each.label == "Nodata" for each in results)
    if results and lacking / len(results) * 100 >= 50:
        return Scored(0.0, "Canary Failed: 50% or more metrics returned NODATA", displayed)
    without = [name for name in groups if name not in weights]
    rest = (100 - sum(weights.values())) / len(without) if without else 0.0
    total = 0.0
    for name, own in groups.items():
        total += (100.0 if own is None else own) * (weights.get(name, rest) / 100)
    return Scored(_rounded(total), "", displayed)


def verdict_word(total: float, pass_score: float, marginal_score: float) -> str:
    """Return Kayenta's word for a score."""
    if total >= pass_score:
        return "Pass"
    return "Marginal" if total >= marginal_score else "Fail"


def _group_score(name: str, results: Sequence[Labeled]) -> float | None:
    labels = Counter(each.label for each in results for group in each.groups if group == name)
    counted = sum(labels[label] for label in _COUNTED)
    return labels["Pass"] / counted * 100 if counted else None


def _rounded(total: float) -> float:
    """Round half up on the decimal text of the double, as Kayenta does."""
    return (
        float(Decimal(repr(total)).quantize(Decimal("0.01"), ROUND_HALF_UP, Context()))
        if math.isfinite(total)
        else total
    )
