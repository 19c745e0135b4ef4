"""A metric's segments as a forest plot: what there is to draw, the worst first, and the drawing of the report."""

from __future__ import annotations

from typing import Final, NamedTuple

from canaryjudge.explain.charts import Axis, axis_over, percent_of
from canaryjudge.explain.effects import signed
from canaryjudge.explain.layout import html_text
from canaryjudge.explain.numbers import confidence, count
from canaryjudge.explain.quantities import change, span
from canaryjudge.explain.segments import is_within, name_of
from canaryjudge.reasons import Outcome
from canaryjudge.results import MetricResult, ReleaseResult
from canaryjudge.rules.findings import EffectFinding, Interval

__all__ = ["Forest", "ForestRow", "forest_chart", "forest_of"]

_MOST: Final = 30
"""Segments that are drawn; the verdict has them all."""
_LONGEST: Final = 32
"""Letters of a name; what tells long ones apart is often at their end."""
_BEYOND: Final = 0.4
"""Intervals reach so far beyond all that is drawn besides, as a part of it, and are cut off there."""


class ForestRow(NamedTuple):
    """A segment, as it is drawn."""

    name: str
    """Long ones without their middle."""
    outcome: Outcome
    to_blame: bool
    estimate: float | None
    interval: Interval | None
    told: str
    """Its change in words."""


class Forest(NamedTuple):
    """What a forest plot of segments shows."""

    rows: tuple[ForestRow, ...]
    """The segments, the worst first."""
    rest: str
    """What is said of those that are not drawn; empty where all are."""
    means: tuple[tuple[str, float, Interval | None, str], ...]
    """The mean within segments, and the pooled change: name, change, interval, and the change in words."""
    limits: tuple[float, ...]
    """What is tolerated."""
    pass_limits: tuple[float, ...]
    """What a pass excludes, where that is something else."""
    flipped: bool
    """Whether less is worse, so that the axis is turned around."""
    axis: Axis
    ticks: tuple[str, ...]
    """The labels of its ticks."""
    told: tuple[str, ...]
    """What the intervals and lines are, and which side is worse."""

    def place(self, value: float) -> float:
        """Give where a change lies, 0 on the left and 1 on the right, which is worse."""
        at = min(max(self.axis.place(value), 0.0), 1.0)
        return 1 - at if self.flipped else at

    def ends(self, interval: Interval) -> tuple[tuple[float, bool], tuple[float, bool]]:
        """Give where an interval begins and ends, each with whether it goes on beyond the drawing."""
        ends = ((interval.low, -1.0), (interval.high, 2.0))
        parts = [far if end is None else self.axis.place(end) for end, far in ends]
        first, last = sorted(1 - part if self.flipped else part for part in parts)
        return (max(first, 0.0), first < 0), (min(last, 1.0), last > 1)


def forest_of(result: MetricResult, release: ReleaseResult) -> Forest | None:
    """Find what a forest plot of a metric's segments shows; None where no segment was compared."""
    facts = None if release.segments is None else release.segments.metrics.get(result.name)
    if facts is None or not facts.segments:
        return None

    def told(value: float) -> str:
        return signed(value, change(value, facts.scale, result.kind, result.unit))

    def blamed(name: tuple[str, ...]) -> bool:
        return any(
            all(part in (None, own) for part, own in zip(each.name, name, strict=False))
            for each in facts.culprits
        )

    rows = tuple(
        ForestRow(
            _shortened(name_of(each.name)), each.outcome, blamed(each.name), each.estimate, each.interval,
            "unknown" if each.estimate is None else told(each.estimate),
        )
        for each in facts.segments
    )  # fmt: skip
    effects = (each.effect for each in result.findings if is_within(each.rule, facts))
    finding = next((e for e in effects if isinstance(e, EffectFinding) and e.scale == facts.scale), None)
    interval = None if finding is None else finding.interval
    means = tuple(
        (name, value, around, told(value))
        for name, value, around in (
            ("within segments", facts.within, interval),
            ("pooled", facts.pooled, None),
        )
        if value is not None
    )
    limits = () if finding is None else _known(finding.limit_low, finding.limit_high)
    pass_limits = (
        ()
        if finding is None or finding.pass_by in (None, "tolerance")
        else tuple(
            end for end in _known(finding.pass_low, finding.pass_high) if told(end) not in map(told, limits)
        )
    )
    shown, hidden = rows[:_MOST], rows[_MOST:]
    axis = _axis(shown, [0.0, *(value for _, value, _, _ in means), *limits, *pass_limits], interval)
    words = [_interval_words(shown)] if any(row.interval for row in shown) else []
    for name, ends in (("solid line: tolerated", limits), ("dashed: what a pass excludes", pass_limits)):
        if ends:
            words.append(f"{name}, {' and '.join(map(told, ends))}")
    if len(limits) == 1:
        words.append("right is worse")
    return Forest(
        shown,
        "" if not hidden else _rest(hidden, facts.scale, result),
        means,
        limits,
        pass_limits,
        finding is not None and finding.limit_high is None and finding.limit_low is not None,
        axis,
        tuple(told(tick) if tick else "0" for tick in axis.ticks),
        tuple(words),
    )


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST // 2]}…{name[1 - _LONGEST // 2 :]}"


def _known(*ends: float | None) -> tuple[float, ...]:
    return tuple(end for end in ends if end is not None)


def _interval_words(rows: tuple[ForestRow, ...]) -> str:
    levels = {confidence(row.interval.confidence_level) for row in rows if row.interval is not None}
    return f"whiskers: {next(iter(levels))}" if len(levels) == 1 else "whiskers: confidence intervals"


def _rest(hidden: tuple[ForestRow, ...], scale: str, result: MetricResult) -> str:
    """Say what became of the segments that are not drawn."""
    known = [row.estimate for row in hidden if row.estimate is not None]
    reach = f", {span(min(known), max(known), scale, result.kind, result.unit)}" if known else ""
    blame = sum(row.to_blame for row in hidden)
    named = f"; {count(blame)} of them to blame" if blame else ""
    return f"and {count(len(hidden))} more, less bad{reach}{named}"


def _axis(rows: tuple[ForestRow, ...], values: list[float], mean: Interval | None) -> Axis:
    """Make an axis over all estimates and lines, and over as much of the intervals as leaves those apart."""
    core = [*values, *(row.estimate for row in rows if row.estimate is not None)]
    low, high = min(core), max(core)
    reach = _BEYOND * (high - low)
    ends = [
        end
        for each in (mean, *(row.interval for row in rows))
        if each is not None
        for end in (each.low, each.high)
        if end is not None
    ]
    return axis_over(max(min([low, *ends]), low - reach), min(max([high, *ends]), high + reach))


_ROW: Final = 22
"""Pixels that a row of the report has."""
_BLAME: Final = '<span class="blame">, to blame</span>'
"""What stands beside those to blame where there is room."""


def forest_chart(result: MetricResult, release: ReleaseResult) -> str:
    """Draw a metric's segments for the report, names on the left and changes on the right; nothing where no two were compared."""
    forest = forest_of(result, release)
    if forest is None or len(forest.rows) + bool(forest.rest) < 2:
        return ""
    lines = len(forest.rows) + len(forest.means)
    drawn = "".join(
        f'<line class="{name}" x1="{at}" x2="{at}" y1="0" y2="{_ROW * lines}"/>'
        for name, ends in (("zero", (0.0,)), ("limit", forest.limits), ("pass-limit", forest.pass_limits))
        for at in (percent_of(forest.place(end)) for end in ends)
    )
    drawn += (
        f'<line class="grid" x1="0" x2="100%" y1="{_ROW * len(forest.rows)}" y2="{_ROW * len(forest.rows)}"/>'
    )
    drawn += "".join(_segment(row, _ROW * index + _ROW // 2, forest) for index, row in enumerate(forest.rows))
    drawn += "".join(
        _mean(value, around, _ROW * (len(forest.rows) + index) + _ROW // 2, forest)
        for index, (_, value, around, _) in enumerate(forest.means)
    )
    names = "".join(
        f'<span class="{"blamed" if row.to_blame else "named"}">{html_text(row.name)}</span>'
        for row in forest.rows
    ) + "".join(f"<span>{name}</span>" for name, _, _, _ in forest.means)
    changes = "".join(
        f'<span class="{"blamed" if row.to_blame else "named"}">{html_text(row.told)}{_BLAME if row.to_blame else ""}</span>'
        for row in forest.rows
    ) + "".join(f"<span>{html_text(told)}</span>" for _, _, _, told in forest.means)
    ticks = "".join(
        f'<span style="left:{percent_of(forest.place(tick))}">{html_text(label)}</span>'
        for tick, label in zip(forest.axis.ticks, forest.ticks, strict=True)
    )
    said = "; ".join(part for part in (forest.rest, *forest.told) if part)
    return (
        f'<figure class="forest"><div class="rows" role="img" aria-label="{html_text(_alternative(result, forest))}">'
        f'<div class="names">{names}</div><div class="drawn"><svg height="{_ROW * lines}" aria-hidden="true">{drawn}</svg>'
        f'<div class="at">{ticks}</div></div><div class="changes">{changes}</div></div>'
        f"<figcaption>{html_text(said[:1].upper() + said[1:])}.</figcaption></figure>"
    )


def _segment(row: ForestRow, y: int, forest: Forest) -> str:
    whisker = ""
    if row.interval is not None:
        (left, beyond_left), (right, beyond_right) = forest.ends(row.interval)
        whisker = f'<line class="fail-interval" x1="{percent_of(left)}" x2="{percent_of(right)}" y1="{y}" y2="{y}"/>'
        whisker += "".join(
            f'<line class="end" x1="{percent_of(at)}" x2="{percent_of(at)}" y1="{y - 4}" y2="{y + 4}"/>'
            for at, beyond in ((left, beyond_left), (right, beyond_right))
            if not beyond
        )
    point = ""
    if row.estimate is not None:
        filled = " blamed" if row.to_blame else ""
        point = f'<circle class="estimate{filled}" cx="{percent_of(forest.place(row.estimate))}" cy="{y}" r="4.5"/>'
    return f'<g class="{row.outcome.value}">{whisker}{point}</g>'


def _mean(value: float, around: Interval | None, y: int, forest: Forest) -> str:
    bar = ""
    if around is not None:
        (left, _), (right, _) = forest.ends(around)
        bar = f'<line class="mean" x1="{percent_of(left)}" x2="{percent_of(right)}" y1="{y}" y2="{y}"/>'
    filled = "" if around is None else ' class="whole"'
    return f'{bar}<svg class="diamond" x="{percent_of(forest.place(value))}" y="{y}"><path{filled} d="M-7 0L0-6 7 0 0 6z"/></svg>'


def _alternative(result: MetricResult, forest: Forest) -> str:
    """Say what the drawing shows to those who cannot see it; the table beside it has the rest."""
    rows = [f"{row.name} {row.told}{' (to blame)' if row.to_blame else ''}" for row in forest.rows[:5]]
    means = [f"{name} {told}" for name, _, _, told in forest.means]
    return f"Change of {result.name} by segment, the worst first: {'; '.join(rows)}. {'; '.join(means)}"
