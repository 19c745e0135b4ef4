"""Both arms over time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise

from canaryjudge.explain.changes import level
from canaryjudge.explain.quantities import suited
from canaryjudge.explain.report.axis import Axis, axis_over
from canaryjudge.explain.report.markup import percent_of, text
from canaryjudge.explain.times import span_of_time
from canaryjudge.facts import ArmFacts, SeriesFacts
from canaryjudge.results import MetricResult

__all__ = ["objective_line", "series_chart", "value_axis"]

_WIDE, _TALL = 600, 250
"""Units of a drawing; finer than the eye, and short in writing."""
_DAY = 86400.0
_SHORT = 4
"""Longer units have no room beside a tick."""
_INNER = slice(1, -1)
"""Among many requests some are always extreme: the axis leaves out the outermost quantiles."""


def value_axis(result: MetricResult) -> Axis:
    """Find the axis of values that the series and the distributions of a metric share."""
    values: list[float] = []
    for arm in _arms(result):
        columns = (arm.series.value, arm.series.low, arm.series.high)
        values += [value for column in columns for value in column if value is not None]
        values += arm.quantiles[_INNER] if arm.series.band == "percentiles" else arm.quantiles
    low, high = min(values), max(values)
    line = objective_line(result)
    if line is not None and low - (high - low) <= line <= high + (high - low):
        low, high = min(low, line), max(high, line)
    return axis_over(low, high)


def objective_line(result: MetricResult) -> float | None:
    """Give the bound of an objective about the values themselves, to be drawn among them."""
    for finding in result.findings:
        if (
            finding.scale == "objective"
            and finding.burn is None
            and finding.of != "within"
            and not finding.parts
        ):
            return finding.limit_high if finding.limit_high is not None else finding.limit_low
    return None


def series_chart(result: MetricResult, axis: Axis) -> str:
    """Draw both arms over time; the canary over the baseline.

    Parameters
    ----------
    result : MetricResult
        The metric, with points of at least one arm.
    axis : Axis
        The axis of its values.

    Returns
    -------
    str
        A figure of fixed height, as wide as its place.
    """
    together = result.pairing == "concurrent" or len(_arms(result)) == 1
    starts = [arm.series.start for arm in _arms(result) if arm.series.start is not None]
    origin = min(starts) if together and starts else None
    last = max((_ends_at(arm.series, origin) for arm in _arms(result)), default=0.0)
    heights = "".join(f"M0 {_y(axis, tick)}h{_WIDE}" for tick in axis.ticks)
    grid = f'<path class="grid" d="{heights}"/>'
    line = objective_line(result)
    if line is not None and axis.low <= line <= axis.high:
        grid += f'<path class="objective" d="M0 {_y(axis, line)}h{_WIDE}"/>'
    drawn = "".join(
        _arm(arm.series, name, axis, origin, last)
        for name, arm in (("baseline", result.baseline), ("canary", result.canary))
        if arm is not None
    )
    labels = "".join(
        f'<span style="top:{percent_of(1 - axis.place(tick))}">{text(_tick(tick, axis, result))}</span>'
        for tick in axis.ticks
    )
    first_word, last_word = _span_words(origin, last, starts)
    return (
        f'<div class="chart" role="img" aria-label="{text(_alternative(result))}">'
        f'<div class="ticks">{labels}</div>'
        f'<svg viewBox="0 0 {_WIDE} {_TALL}" preserveAspectRatio="none" aria-hidden="true">{grid}{drawn}</svg>'
        f'<div class="ends"><span>{text(first_word)}</span><span>{text(last_word)}</span></div></div>'
    )


def _tick(tick: float, axis: Axis, result: MetricResult) -> str:
    """Label a tick, the topmost with the unit where that is short."""
    share = result.kind == "ratio"
    rung = suited("" if share else result.unit, *axis.ticks)
    label = axis.label(tick, share=share, size=float(rung.size))
    unit = rung.word if tick == axis.ticks[-1] and len(rung.word) <= _SHORT else ""
    return f"{label} {unit}".rstrip()


def _arms(result: MetricResult) -> list[ArmFacts]:
    return [arm for arm in (result.baseline, result.canary) if arm is not None]


def _ends_at(series: SeriesFacts, origin: float | None) -> float:
    shift = 0.0 if origin is None or series.start is None else series.start - origin
    return shift + series.at[-1]


def _arm(series: SeriesFacts, name: str, axis: Axis, origin: float | None, last: float) -> str:
    shift = 0.0 if origin is None or series.start is None else series.start - origin
    xs = [round(_WIDE * (at + shift) / last) if last > 0 else _WIDE // 2 for at in series.at]
    band = ""
    if series.band is not None:
        there_and_back = (
            _points(xs[part], series.high[part], axis) + _points(xs[part], series.low[part], axis)[::-1]
            for part in _unbroken(series.value)
        )
        band = f'<path class="band {name}" d="{"".join(f"{_path(points)}z" for points in there_and_back)}"/>'
    path = "".join(_path(_points(xs[part], series.value[part], axis)) for part in _unbroken(series.value))
    return f'{band}<path class="line {name}" d="{path}"/>'


def _unbroken(values: tuple[float | None, ...]) -> Iterator[slice]:
    """Give the parts between the gaps."""
    start = 0
    for place, value in enumerate((*values, None)):
        if value is None:
            if place > start:
                yield slice(start, place)
            start = place + 1


def _points(xs: list[int], values: tuple[float | None, ...], axis: Axis) -> list[tuple[int, int]]:
    return [(x, _y(axis, value)) for x, value in zip(xs, values, strict=True) if value is not None]


def _path(points: list[tuple[int, int]]) -> str:
    """Write a line through points by its steps, which takes fewer letters than its places."""
    steps = [f"{x - before[0]} {y - before[1]}" for before, (x, y) in pairwise(points)]
    return f"M{points[0][0]} {points[0][1]}l{' '.join(steps) or '0 0'}".replace(" -", "-")


def _y(axis: Axis, value: float) -> int:
    return round(_TALL * (1 - axis.place(value)))


def _span_words(origin: float | None, last: float, starts: list[float]) -> tuple[str, str]:
    """Say where the time axis begins and ends."""
    if origin is not None:
        pattern = "%H:%M" if last < _DAY else "%d %b %H:%M"
        pattern = "%H:%M:%S" if last < 120 else pattern
        first, end = (
            datetime.fromtimestamp(int(at), UTC).strftime(pattern) for at in (origin, origin + last)
        )
        return first, f"{end} UTC"
    if starts:
        return "start of each window", f"after {span_of_time(last)}"
    return "first", "last, in the order given"


def _alternative(result: MetricResult) -> str:
    said = [
        f"{name} from {level(arm.quantiles[0], result)} to {level(arm.quantiles[-1], result)}, median {level(arm.quantiles[20], result)}"
        for name, arm in (("baseline", result.baseline), ("canary", result.canary))
        if arm is not None
    ]
    return f"{result.name} over time: {'; '.join(said)}"
