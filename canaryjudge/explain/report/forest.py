"""An effect with its interval against what is tolerated. Right is worse, and the limit lies at the same place for every metric."""

from __future__ import annotations

import math
from dataclasses import dataclass

from canaryjudge.explain.changes import signed
from canaryjudge.explain.glances import glance, held_against, interval_words
from canaryjudge.explain.numbers import level_of, number
from canaryjudge.explain.objectives import measured_in
from canaryjudge.explain.report.markup import percent_of, text
from canaryjudge.results import Finding, Interval, MetricResult

__all__ = ["forest_strip"]

_ZERO, _LIMIT = 0.25, 0.48
"""Where no change and the limit lie."""
_MIDDLE, _HALF = 0.5, 0.2
_ENDS = 0.015, 0.985
_TALL = 58


@dataclass(frozen=True, slots=True)
class _Scale:
    """Places on the strip: even up to the limit, ever narrower beyond it, so that ten times the tolerance can still be seen.

    `zero` is None where there is no sensible place for it. With two limits, the middle between them is in the middle.
    """

    zero: float | None
    unit: float
    other_unit: float | None = None

    def place(self, value: float) -> float:
        """Give where a value lies, between 0 and 1 and beyond."""
        if self.other_unit is not None and self.zero is not None:
            side = self.unit if value >= self.zero else self.other_unit
            return _MIDDLE + _HALF * _squeezed((value - self.zero) / side)
        return _ZERO + (_LIMIT - _ZERO) * _squeezed((value - (self.zero or 0.0)) / self.unit)


def forest_strip(result: MetricResult) -> str:
    """Draw the effect that decided on a metric.

    Parameters
    ----------
    result : MetricResult
        What became of the metric.

    Returns
    -------
    str
        An SVG as wide as its place; nothing where there is no effect to draw.
    """
    finding = result.deciding
    scale = None if finding is None else _scale_of(finding)
    if finding is None or scale is None:
        return ""
    parts = [_zones(finding, scale), _baseline(finding, scale), _limits(finding, scale, result)]
    parts += [
        _bar(finding.interval, scale, "fail-interval"),
        _bar(finding.pass_interval, scale, "pass-interval"),
    ]
    parts.append(_point(finding, scale))
    told = ", ".join(
        part
        for part in (*glance(result), interval_words(finding, result), held_against(finding, result))
        if part
    )
    return (
        f'<svg class="strip {result.outcome.value}" height="{_TALL}" role="img" '
        f'aria-label="{text(f"Effect of {result.name}: {told}")}">{"".join(parts)}</svg>'
    )


def _scale_of(finding: Finding) -> _Scale | None:
    high, low = finding.limit_high, finding.limit_low
    if high is not None and low is not None:
        middle = (high + low) / 2 if finding.scale == "objective" else 0.0
        return _Scale(middle, high - middle, middle - low) if high > middle > low else None
    limit = high if high is not None else low
    ends = [
        end
        for interval in (finding.interval, finding.pass_interval)
        if interval is not None
        for end in (interval.low, interval.high)
        if end is not None
    ]
    known = [*ends, *([] if finding.estimate is None else [finding.estimate])]
    if limit is None or not known:
        return None
    bad = 1.0 if high is not None else -1.0
    zero = finding.baseline_level if finding.scale == "objective" else 0.0
    reach = max(abs(value - limit) for value in known)
    if zero is not None and bad * (limit - zero) > reach / 12:
        return _Scale(zero, limit - zero)
    # the limit is no change at all, or the baseline is no better than it: what was found sets the scale
    unit = bad * (reach or abs(limit) or 1.0) / 2
    return _Scale(limit - unit, unit)


def _squeezed(part: float) -> float:
    return math.asinh(2 * part) / math.asinh(2)


def _zones(finding: Finding, scale: _Scale) -> str:
    places = [scale.place(limit) for limit in (finding.limit_low, finding.limit_high) if limit is not None]
    first, last = (places[0], places[1]) if len(places) == 2 else (0.0, places[0])
    zones = f'<rect class="within" x="{percent_of(first)}" y="4" width="{percent_of(last - first)}" height="34" rx="2"/>'
    beyond = [(last, 1.0), *([(0.0, first)] if first > 0 else [])]
    return zones + "".join(
        f'<rect class="beyond" x="{percent_of(start)}" y="4" width="{percent_of(end - start)}" height="34"/>'
        for start, end in beyond
    )


def _baseline(finding: Finding, scale: _Scale) -> str:
    if scale.zero is None or (finding.scale == "objective" and scale.zero != finding.baseline_level):
        return ""
    name = "baseline" if finding.scale == "objective" else "no change"
    at = percent_of(scale.place(scale.zero))
    return f'<line class="zero" x1="{at}" x2="{at}" y1="4" y2="38"/><text x="{at}" y="53">{name}</text>'


def _limits(finding: Finding, scale: _Scale, result: MetricResult) -> str:
    drawn = []
    for limit in (finding.limit_low, finding.limit_high):
        if limit is not None:
            at = percent_of(scale.place(limit))
            # long words must not run into those of the middle
            side = "before" if limit == finding.limit_low and finding.limit_high is not None else "after"
            drawn.append(
                f'<line class="limit" x1="{at}" x2="{at}" y1="0" y2="41"/>'
                f'<text class="told {side}" x="{at}" dx="{14 if side == "before" else -14}" y="53">{text(_limit_words(limit, finding, result))}</text>'
            )
    return "".join(drawn)


def _limit_words(limit: float, finding: Finding, result: MetricResult) -> str:
    if finding.burn is not None:
        return f"{number(limit)} ×"
    if finding.scale == "objective":
        return level_of(limit, *measured_in(finding, result))
    return signed(limit, finding, result)


def _bar(interval: Interval | None, scale: _Scale, name: str) -> str:
    if interval is None or (interval.low is None and interval.high is None):
        return ""
    beyond = math.copysign(math.inf, scale.unit)
    ends = sorted(
        (
            -beyond if interval.low is None else scale.place(interval.low),
            beyond if interval.high is None else scale.place(interval.high),
        )
    )
    start, end = (min(max(place, _ENDS[0]), _ENDS[1]) for place in ends)
    drawn = f'<line class="{name}" x1="{percent_of(start)}" x2="{percent_of(end)}" y1="21" y2="21"/>'
    if name == "fail-interval":
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


def _point(finding: Finding, scale: _Scale) -> str:
    if finding.estimate is None:
        return ""
    at = percent_of(min(max(scale.place(finding.estimate), _ENDS[0]), _ENDS[1]))
    return f'<circle class="estimate" cx="{at}" cy="21" r="5.5"/>'
