"""The unit that data say they are in, held against the metric's: converted, refused where it measures something else, or noted."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from canaryjudge.data.diagnostics import Location, shown
from canaryjudge.data.frames import is_missing
from canaryjudge.data.notes import Note
from canaryjudge.data.pair import FloatArray
from canaryjudge.errors import DataError
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric
from canaryjudge.quantities import factor, is_share, measures

__all__ = ["conversion", "different_units", "scaled", "scaled_edges", "told_unit"]


def told_unit(given: Any, place: Location) -> str:
    """Read the unit of a series: a text, or a column that repeats one; nothing where there is none."""
    if given is None or isinstance(given, str):
        return (given or "").strip()
    items = given.tolist() if hasattr(given, "tolist") else given if isinstance(given, Sequence) else [0]
    items = [item for item in items if not is_missing(item)] if isinstance(items, Sequence) else [items]
    named = {item if isinstance(item, str) else "" for item in items}
    if len(named) > 1 or not all(isinstance(item, str) for item in items):
        raise DataError(
            f"{place}: the unit is {shown(given)}",
            "Give one unit, as text, such as 'ms'; bring all points to it.",
        )
    return next(iter(named), "").strip()


def conversion(unit: str, metric: Metric, place: Location) -> tuple[Fraction, tuple[Note, ...]]:
    """Tell by what the data must be multiplied to be in the metric's unit.

    Examples
    --------
    >>> latency = Metric(name="latency", unit="ms", direction="increase")
    >>> conversion("s", latency, Location("latency", "canary"))
    (Fraction(1000, 1), ())
    """
    own = metric.unit
    if not unit or not own or KINDS[metric.kind].is_share:
        return Fraction(1), ()
    found = factor(unit, own)
    if found is not None and (found == 1 or not KINDS[metric.kind].is_rate):
        return found, ()
    if found is not None:
        raise DataError(
            f"{place}: the data are in {unit!r} and the metric's unit is {own!r}, and counts are judged as they are",
            f"Set the metric's unit to {unit}.",
        )
    if measures(unit) and measures(own):
        raise DataError(
            f"{place}: the data are in {unit!r}, which cannot be converted to the metric's unit {own!r}",
            "Correct the unit in the policy, or in the data.",
        )
    if is_share(unit):  # 1 is what has no unit
        return Fraction(1), ()
    facts: dict[str, float | str] = {"unit": unit, "expected": own}
    return Fraction(1), (Note(code="unknown_unit", arm=place.arm, facts=facts),)


def different_units(metric: Metric, units: Sequence[str]) -> DataError | None:
    """Give the error for arms or updates in different units of a metric that has none, or nothing."""
    given = sorted({unit for unit in units if unit})
    if len(given) < 2:
        return None
    if metric.unit or KINDS[metric.kind].is_share or all(factor(unit, given[0]) == 1 for unit in given):
        return None
    return DataError(
        f"metric {metric.name!r}: the data are in {' and '.join(map(repr, given))}",
        "Give the metric a unit in the policy, to which they are converted.",
    )


def scaled(numbers: FloatArray, by: Fraction) -> FloatArray:
    """Multiply numbers, correctly rounded where the factor or its inverse is whole."""
    return numbers if by == 1 else numbers * float(by.numerator) / float(by.denominator)


def scaled_edges(edges: FloatArray, by: Fraction) -> FloatArray:
    """Multiply edges as they are written in decimals, so that 0.29 s and 290 ms are the same edge.

    Examples
    --------
    >>> scaled_edges(np.array([0.005, 0.29, np.inf]), Fraction(100)).tolist(), 0.29 * 100
    ([0.5, 29.0, inf], 28.999999999999996)
    """
    if by == 1:
        return edges
    return np.array([edge if np.isinf(edge) else float(Fraction(repr(edge)) * by) for edge in edges.tolist()])
