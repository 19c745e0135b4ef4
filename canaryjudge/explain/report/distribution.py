"""How the values of both arms are distributed: darker where more of them lie, on the axis of the series beside it."""

from __future__ import annotations

from canaryjudge.explain.changes import level
from canaryjudge.explain.report.axis import Axis
from canaryjudge.explain.report.markup import percent_of, text
from canaryjudge.facts import ArmFacts
from canaryjudge.results import MetricResult

__all__ = ["distribution_chart"]

_NESTED = ((1, 39), (4, 36), (10, 30))
"""Pairs of quantiles: the middle 95, 80 and 50 %."""
_MEDIAN = 20
_WIDTH = 0.3


def distribution_chart(result: MetricResult, axis: Axis) -> str:
    """Draw the distributions of both arms side by side.

    Parameters
    ----------
    result : MetricResult
        The metric, with points of at least one arm.
    axis : Axis
        The axis of its values.

    Returns
    -------
    str
        A figure as tall as the series.
    """
    arms = (("baseline", result.baseline, 0.27), ("canary", result.canary, 0.73))
    drawn = "".join(_strip(arm, name, middle, axis) for name, arm, middle in arms if arm is not None)
    grid = "".join(
        f'<line class="grid" x1="0" x2="100%" y1="{at}" y2="{at}"/>'
        for at in (percent_of(1 - axis.place(tick)) for tick in axis.ticks)
    )
    names = "".join(f"<span>{name}</span>" for name, _, _ in arms)
    told = "; ".join(
        f"half of the {name} from {level(arm.quantiles[10], result)} to {level(arm.quantiles[30], result)}"
        for name, arm, _ in arms
        if arm is not None
    )
    return (
        f'<div class="spread" role="img" aria-label="{text(f"Distribution of {result.name}: {told}")}">'
        f'<svg aria-hidden="true">{grid}{drawn}</svg><div class="names">{names}</div></div>'
    )


def _strip(arm: ArmFacts, name: str, middle: float, axis: Axis) -> str:
    ends = [1 - axis.place(quantile) for quantile in arm.quantiles]
    left, right, center = (percent_of(middle + side * _WIDTH / 2) for side in (-1.0, 1.0, 0.0))
    boxes = "".join(
        f'<rect x="{left}" width="{percent_of(_WIDTH)}" y="{percent_of(ends[high])}" '
        f'height="{percent_of(ends[low] - ends[high])}"/>'
        for low, high in _NESTED
    )
    whisker = ""
    if arm.series.band != "percentiles":
        whisker = (
            f'<line x1="{center}" x2="{center}" y1="{percent_of(ends[-1])}" y2="{percent_of(ends[0])}"/>'
        )
    at = percent_of(ends[_MEDIAN])
    median = f'<line class="median" x1="{left}" x2="{right}" y1="{at}" y2="{at}"/>'
    return f'<g class="strips {name}">{whisker}{boxes}{median}</g>'
