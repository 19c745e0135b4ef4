"""What the report draws: marks, an axis, an effect against its limits, both arms over time, and their distributions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from canaryjudge.explain.effect_scale import EffectScale, effect_scale
from canaryjudge.explain.layout import html_text
from canaryjudge.explain.numbers import span_of_time
from canaryjudge.explain.quantities import level_of, suited
from canaryjudge.explain.sentences import main_number
from canaryjudge.explain.words import Words, words_of
from canaryjudge.kinds import KINDS
from canaryjudge.reasons import Outcome
from canaryjudge.results import ArmFacts, MetricResult, SeriesFacts
from canaryjudge.rules.findings import EffectFinding, Interval
from canaryjudge.rules.slo import SloFinding

__all__ = [
    "SYMBOLS",
    "Axis",
    "axis_over",
    "distribution_chart",
    "forest_strip",
    "mark",
    "objective_line",
    "percent_of",
    "series_chart",
    "value_axis",
]

SYMBOLS = (
    '<svg class="symbols" width="0" height="0" aria-hidden="true"><defs>'
    '<symbol id="mark-pass" viewBox="0 0 24 24"><circle fill="var(--tone)" stroke="transparent" cx="12" cy="12" r="11"/>'
    '<path d="M6.5 12.5l3.8 3.8 7.2-8.1"/></symbol>'
    '<symbol id="mark-marginal" viewBox="0 0 24 24"><path fill="var(--tone)" stroke="transparent" d="M12 .8L23.2 12 12 23.2.8 12z"/>'
    '<path d="M9.5 8.5v7M14.5 8.5v7"/></symbol>'
    '<symbol id="mark-fail" viewBox="0 0 24 24"><path fill="var(--tone)" stroke="transparent" d="M7.4 1h9.2L23 7.4v9.2L16.6 23H7.4L1 16.6V7.4z"/>'
    '<path d="M8 8l8 8M16 8l-8 8"/></symbol>'
    '<pattern id="beyond" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<path d="M0 0v7"/></pattern>'
    "</defs></svg>"
)
"""Definitions that the marks and zones of the page refer to."""


def mark(outcome: Outcome) -> str:
    """Draw the sign of an outcome: a circle with a tick, a diamond with a pause, an octagon with a cross."""
    return f'<svg class="mark" aria-hidden="true"><use href="#mark-{outcome.value}"/></svg>'


def percent_of(place: float) -> str:
    """Write a place between 0 and 1 as a percentage of the drawing."""
    return f"{100 * place:.3g}%"


_LARGE = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, slots=True)
class Axis:
    """A span of values."""

    low: float
    """Its lower end."""
    high: float
    """Its upper end, another one."""
    ticks: tuple[float, ...]
    """Round values between them."""

    def place(self, value: float) -> float:
        """Give where a value lies, 0 at the low end and 1 at the high one."""
        return (value - self.low) / (self.high - self.low)

    def label(self, tick: float, *, share: bool, size: float = 1.0) -> str:
        """Write a tick with as many decimals as the ticks differ in; shares in percent, others in a unit of this size."""
        factor = 100.0 if share else 1 / size
        step = factor * (self.ticks[1] - self.ticks[0] if len(self.ticks) > 1 else abs(tick) or 1.0)
        value, suffix = factor * tick, " %" if share else ""
        size = max(abs(factor * end) for end in self.ticks)
        if size >= 1e16 or size < 1e-5:
            return f"{value:.2g}{suffix}" if value else f"0{suffix}"
        if size >= 1e4:
            scale, letter = next((scale, letter) for scale, letter in _LARGE if size >= scale)
            value, step, suffix = value / scale, step / scale, f" {letter}{suffix.strip()}"
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        return f"{value:,.{min(decimals, 9)}f}{suffix if value or share else ''}"


def axis_over(low: float, high: float) -> Axis:
    """Make an axis that holds the values between two, with a margin, and two to four round ticks.

    Examples
    --------
    >>> axis = axis_over(97.0, 131.0)
    >>> axis.ticks, axis.label(100.0, share=False)
    ((100.0, 120.0), '100')
    >>> axis_over(5.0, 5.0).place(5.0)
    0.5
    """
    width = high - low
    if not math.isfinite(width):  # the span of such numbers is beyond what a float can hold
        low, high = low / 4, high / 4
        width = high - low
    flat = width <= 1e-9 * max(abs(low), abs(high))
    pad = (abs(high) / 10 or 1.0) if flat else width * 0.06
    low, high = low - pad, high + pad
    step = _round_step((high - low) / 3)
    first, last = math.ceil(low / step), math.floor(high / step)
    return Axis(
        low, high, tuple(round(n * step, 12 - math.floor(math.log10(step))) for n in range(first, last + 1))
    )


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * nice for nice in (1.0, 2.0, 5.0, 10.0) if power * nice >= rough * 0.999)


_ZERO, _LIMIT = 0.25, 0.48
"""Where no change and the limit lie."""
_MIDDLE, _HALF = 0.5, 0.2
_ENDS = 0.015, 0.985
_STRIP_TALL = 58


def forest_strip(result: MetricResult) -> str:
    """Draw the effect that decided on a metric; nothing where there is none to draw."""
    words = None if result.deciding is None else words_of(result.deciding, result)
    finding = None if words is None else words.finding.effect
    scale = None if finding is None else effect_scale(finding)
    if words is None or finding is None or scale is None:
        return ""
    parts = [_zones(finding, scale), _baseline(finding, scale), _limits(finding, scale, words)]
    parts += [
        _bar(finding.interval, scale, "fail-interval"),
        _bar(finding.pass_interval, scale, "pass-interval"),
    ]
    parts.append(_point(finding, scale))
    told = ", ".join(part for part in (*main_number(result), words.interval(), words.limits()) if part)
    return (
        f'<svg class="strip {result.outcome.value}" height="{_STRIP_TALL}" role="img" '
        f'aria-label="{html_text(f"Effect of {result.name}: {told}")}">{"".join(parts)}</svg>'
    )


def _place(value: float, scale: EffectScale) -> float:
    """Give where a value lies, between 0 and 1 and beyond: even up to the limit, ever narrower beyond it.

    With two limits, the middle between them is in the middle.
    """
    part = _squeezed(scale.part(value))
    return _ZERO + (_LIMIT - _ZERO) * part if scale.other_unit is None else _MIDDLE + _HALF * part


def _squeezed(part: float) -> float:
    return math.asinh(2 * part) / math.asinh(2)


def _zones(finding: EffectFinding, scale: EffectScale) -> str:
    places = [_place(limit, scale) for limit in (finding.limit_low, finding.limit_high) if limit is not None]
    first, last = (places[0], places[1]) if len(places) == 2 else (0.0, places[0])
    zones = f'<rect class="within" x="{percent_of(first)}" y="4" width="{percent_of(last - first)}" height="34" rx="2"/>'
    beyond = [(last, 1.0), *([(0.0, first)] if first > 0 else [])]
    return zones + "".join(
        f'<rect class="beyond" x="{percent_of(start)}" y="4" width="{percent_of(end - start)}" height="34"/>'
        for start, end in beyond
    )


def _baseline(finding: EffectFinding, scale: EffectScale) -> str:
    if not scale.known:
        return ""
    name = "baseline" if finding.scale == "objective" else "no change"
    name = name if scale.other_unit is None else "0"  # between two limits there is no room for more
    at = percent_of(_place(scale.zero, scale))
    return f'<line class="zero" x1="{at}" x2="{at}" y1="4" y2="38"/><text x="{at}" y="53">{name}</text>'


def _limits(finding: EffectFinding, scale: EffectScale, words: Words[Any]) -> str:
    drawn = []
    for limit in (finding.limit_low, finding.limit_high):
        if limit is not None:
            at = percent_of(_place(limit, scale))
            # long words must not run into those of the middle
            side = "before" if limit == finding.limit_low and finding.limit_high is not None else "after"
            drawn.append(
                f'<line class="limit" x1="{at}" x2="{at}" y1="0" y2="41"/>'
                f'<text class="told {side}" x="{at}" dx="{14 if side == "before" else -14}" y="53">{html_text(words.limit(limit))}</text>'
            )
    if finding.pass_by not in (None, "tolerance"):
        ends = (
            percent_of(_place(end, scale)) for end in (finding.pass_low, finding.pass_high) if end is not None
        )
        drawn += [f'<line class="pass-limit" x1="{at}" x2="{at}" y1="4" y2="38"/>' for at in ends]
    return "".join(drawn)


def _bar(interval: Interval | None, scale: EffectScale, name: str) -> str:
    if interval is None or (interval.low is None and interval.high is None):
        return ""
    beyond = math.copysign(math.inf, scale.unit)
    ends = sorted(
        (
            -beyond if interval.low is None else _place(interval.low, scale),
            beyond if interval.high is None else _place(interval.high, scale),
        )
    )
    start, end = (min(max(place, _ENDS[0]), _ENDS[1]) for place in ends)
    drawn = f'<line class="{name}" x1="{percent_of(start)}" x2="{percent_of(end)}" y1="21" y2="21"/>'
    if name == "fail-interval":
        # closed ends stay in sight where the interval is hardly wider than the point
        drawn += "".join(
            f'<line class="end" x1="{percent_of(end)}" x2="{percent_of(end)}" y1="15" y2="27"/>'
            for end, outside in ((start, ends[0] < _ENDS[0]), (end, ends[1] > _ENDS[1]))
            if not outside
        )
        drawn += "".join(
            _arrow(end, right=right)
            for end, outside, right in ((start, ends[0] < _ENDS[0], False), (end, ends[1] > _ENDS[1], True))
            if outside
        )
    return drawn


def _arrow(place: float, *, right: bool) -> str:
    """Show that an interval goes on beyond the drawing."""
    path = "M-5 -5L1 0-5 5" if right else "M5 -5L-1 0 5 5"
    return f'<svg class="arrow" aria-hidden="true" x="{percent_of(place)}" y="21"><path d="{path}"/></svg>'


def _point(finding: EffectFinding, scale: EffectScale) -> str:
    if finding.estimate is None:
        return ""
    at = percent_of(min(max(_place(finding.estimate, scale), _ENDS[0]), _ENDS[1]))
    return f'<circle class="estimate" cx="{at}" cy="21" r="4.5"/>'


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
    slo = next((f for f in result.findings if isinstance(f, SloFinding) and f.of != "within"), None)
    if slo is None:
        return None
    return slo.limit_high if slo.limit_high is not None else slo.limit_low


def series_chart(result: MetricResult, axis: Axis) -> str:
    """Draw both arms over time; the canary over the baseline."""
    together = result.pairing == "concurrent" or len(_arms(result)) == 1
    starts = [arm.series.start for arm in _arms(result) if arm.series.start is not None]
    origin = min(starts) if together and starts else None
    last = max((arm.series.since(origin)[-1] for arm in _arms(result)), default=0.0)
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
        f'<span style="top:{percent_of(1 - axis.place(tick))}">{html_text(_tick(tick, axis, result))}</span>'
        for tick in axis.ticks
    )
    first_word, last_word = _span_words(origin, last, starts)
    return (
        f'<div class="chart" role="img" aria-label="{html_text(_alternative(result))}">'
        f'<div class="ticks">{labels}</div>'
        f'<svg viewBox="0 0 {_WIDE} {_TALL}" preserveAspectRatio="none" aria-hidden="true">{grid}{drawn}</svg>'
        f'<div class="ends"><span>{html_text(first_word)}</span><span>{html_text(last_word)}</span></div></div>'
    )


def _tick(tick: float, axis: Axis, result: MetricResult) -> str:
    """Label a tick, the topmost with the unit where that is short."""
    share = KINDS[result.kind].is_share
    rung = suited("" if share else result.unit, *axis.ticks)
    label = axis.label(tick, share=share, size=float(rung.size))
    unit = rung.word if tick == axis.ticks[-1] and len(rung.word) <= _SHORT else ""
    return f"{label} {unit}".rstrip()


def _arms(result: MetricResult) -> list[ArmFacts]:
    return [arm for arm in (result.baseline, result.canary) if arm is not None]


def _arm(series: SeriesFacts, name: str, axis: Axis, origin: float | None, last: float) -> str:
    xs = [round(_WIDE * at / last) if last > 0 else _WIDE // 2 for at in series.since(origin)]
    band = ""
    if series.band is not None:
        there_and_back = (
            _points(xs[part], series.high[part], axis) + _points(xs[part], series.low[part], axis)[::-1]
            for part in series.unbroken()
        )
        band = f'<path class="band {name}" d="{"".join(f"{_path(points)}z" for points in there_and_back)}"/>'
    path = "".join(_path(_points(xs[part], series.value[part], axis)) for part in series.unbroken())
    return f'{band}<path class="line {name}" d="{path}"/>'


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


def _level(value: float, result: MetricResult) -> str:
    return level_of(value, result.kind, result.unit)


def _alternative(result: MetricResult) -> str:
    said = [
        f"{name} from {_level(arm.quantiles[0], result)} to {_level(arm.quantiles[-1], result)}, median {_level(arm.quantiles[20], result)}"
        for name, arm in (("baseline", result.baseline), ("canary", result.canary))
        if arm is not None
    ]
    return f"{result.name} over time: {'; '.join(said)}"


_NESTED = ((1, 39), (4, 36), (10, 30))
"""Pairs of quantiles: the middle 95, 80 and 50 %."""
_MEDIAN = 20
_WIDTH = 0.3


def distribution_chart(result: MetricResult, axis: Axis) -> str:
    """Draw the distributions of both arms side by side."""
    arms = (("baseline", result.baseline, 0.27), ("canary", result.canary, 0.73))
    drawn = "".join(_strip(arm, name, middle, axis) for name, arm, middle in arms if arm is not None)
    grid = "".join(
        f'<line class="grid" x1="0" x2="100%" y1="{at}" y2="{at}"/>'
        for at in (percent_of(1 - axis.place(tick)) for tick in axis.ticks)
    )
    names = "".join(f"<span>{name}</span>" for name, _, _ in arms)
    told = "; ".join(
        f"half of the {name} from {_level(arm.quantiles[10], result)} to {_level(arm.quantiles[30], result)}"
        for name, arm, _ in arms
        if arm is not None
    )
    return (
        f'<div class="spread" role="img" aria-label="{html_text(f"Distribution of {result.name}: {told}")}">'
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
