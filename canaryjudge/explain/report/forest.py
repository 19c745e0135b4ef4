"""An effect with its interval against what is tolerated. Right is worse, and the limit lies at the same place for every metric."""

from __future__ import annotations

import math

from canaryjudge.explain.changes import signed
from canaryjudge.explain.effect_scale import EffectScale, effect_scale
from canaryjudge.explain.glances import glance, held_against, interval_words
from canaryjudge.explain.numbers import set_number
from canaryjudge.explain.objectives import measured_in
from canaryjudge.explain.quantities import set_level
from canaryjudge.explain.report.markup import percent_of, text
from canaryjudge.results import Finding, Interval, MetricResult

__all__ = ["forest_strip"]

_ZERO, _LIMIT = 0.25, 0.48
"""Where no change and the limit lie."""
_MIDDLE, _HALF = 0.5, 0.2
_ENDS = 0.015, 0.985
_TALL = 58


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
    scale = None if finding is None else effect_scale(finding)
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


def _place(value: float, scale: EffectScale) -> float:
    """Give where a value lies, between 0 and 1 and beyond: even up to the limit, ever narrower beyond it.

    With two limits, the middle between them is in the middle.
    """
    part = _squeezed(scale.part(value))
    return _ZERO + (_LIMIT - _ZERO) * part if scale.other_unit is None else _MIDDLE + _HALF * part


def _squeezed(part: float) -> float:
    return math.asinh(2 * part) / math.asinh(2)


def _zones(finding: Finding, scale: EffectScale) -> str:
    places = [_place(limit, scale) for limit in (finding.limit_low, finding.limit_high) if limit is not None]
    first, last = (places[0], places[1]) if len(places) == 2 else (0.0, places[0])
    zones = f'<rect class="within" x="{percent_of(first)}" y="4" width="{percent_of(last - first)}" height="34" rx="2"/>'
    beyond = [(last, 1.0), *([(0.0, first)] if first > 0 else [])]
    return zones + "".join(
        f'<rect class="beyond" x="{percent_of(start)}" y="4" width="{percent_of(end - start)}" height="34"/>'
        for start, end in beyond
    )


def _baseline(finding: Finding, scale: EffectScale) -> str:
    if not scale.known:
        return ""
    name = "baseline" if finding.scale == "objective" else "no change"
    name = name if scale.other_unit is None else "0"  # between two limits there is no room for more
    at = percent_of(_place(scale.zero, scale))
    return f'<line class="zero" x1="{at}" x2="{at}" y1="4" y2="38"/><text x="{at}" y="53">{name}</text>'


def _limits(finding: Finding, scale: EffectScale, result: MetricResult) -> str:
    drawn = []
    for limit in (finding.limit_low, finding.limit_high):
        if limit is not None:
            at = percent_of(_place(limit, scale))
            # long words must not run into those of the middle
            side = "before" if limit == finding.limit_low and finding.limit_high is not None else "after"
            drawn.append(
                f'<line class="limit" x1="{at}" x2="{at}" y1="0" y2="41"/>'
                f'<text class="told {side}" x="{at}" dx="{14 if side == "before" else -14}" y="53">{text(_limit_words(limit, finding, result))}</text>'
            )
    return "".join(drawn)


def _limit_words(limit: float, finding: Finding, result: MetricResult) -> str:
    if finding.burn is not None:
        return f"{set_number(limit)} ×"
    if finding.scale == "objective":
        return set_level(limit, *measured_in(finding, result))
    return signed(limit, finding, result, chosen=True)


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


def _point(finding: Finding, scale: EffectScale) -> str:
    if finding.estimate is None:
        return ""
    at = percent_of(min(max(_place(finding.estimate, scale), _ENDS[0]), _ENDS[1]))
    return f'<circle class="estimate" cx="{at}" cy="21" r="4.5"/>'
