"""The segments of a metric as a forest plot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from canaryjudge.errors import DataError
from canaryjudge.explain.forests import Forest, forest_of
from canaryjudge.explain.text import by_badness
from canaryjudge.plots.style import OUTCOMES, axes, drawn_text, tidy
from canaryjudge.results import ReleaseResult
from canaryjudge.rules.findings import Interval
from canaryjudge.texts import cut, on_one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["segments"]

_LONGEST_NAME: Final = 32
_INK: Final = "#16202c"


def segments(release: ReleaseResult, metric: str | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw a metric's change in each segment as a forest plot: the worst on top, those to blame named, the mean within segments and the pooled change as diamonds below.

    Parameters
    ----------
    release : Verdict or ReleaseResult
        What became of a release whose policy has `segments`.
    metric : str, optional
        The metric; where it is left out the one that decided, or the worst that was compared within segments.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes: a row a segment, of thirty at most, with its interval, and the rest told in a line; the solid line is what is tolerated, the dashed one what a pass excludes, where that is
        something else, and right is worse where a metric has a bad side. The changes are parts of the baseline's level or in the metric's unit, as in ``verdict.segments``.

    Raises
    ------
    DataError
        If the verdict has no segments, or none of that metric.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import canaryjudge as cj
    >>> draws = np.random.default_rng(1)
    >>> rows = [
    ...     {"metric": "cpu", "region": region, "arm": arm, "time": 60.0 * minute, "value": draws.normal(level, 2)}
    ...     for region, arm, level in (("eu", "baseline", 50), ("eu", "canary", 70), ("us", "baseline", 40), ("us", "canary", 40))
    ...     for minute in range(60)
    ... ]
    >>> policy = cj.Policy(metrics=[cj.Metric(name="cpu", direction="increase")], segments={"by": ["region"]})
    >>> [label.get_text() for label in segments(cj.judge(rows, policy)).get_yticklabels()]
    ['eu', 'us', 'within segments', 'pooled']
    """
    name, forest = _chosen(release, metric)
    lines = len(forest.rows) + len(forest.means)
    height = 1.2 + 0.26 * (lines + bool(forest.rest)) + 0.2 * len(forest.told)
    ax = axes(ax, width=7.2, height=height)
    tidy(ax)
    ax.grid(visible=False, axis="y")
    ax.axvline(0, color="#55616f", linewidth=1, linestyle=(0, (1, 2)))
    for end in forest.limits:
        ax.axvline(end, color=_INK, linewidth=1.5)
    for end in forest.pass_limits:
        ax.axvline(end, color=_INK, linewidth=1, linestyle=(0, (3, 2)))
    for y, row in enumerate(forest.rows):
        look = OUTCOMES[row.outcome.value]
        if row.interval is not None:
            _whiskers(ax, y, row.interval, forest, look["color"], 2.2 if row.to_blame else 1.4)
        if row.estimate is not None:
            face = look["color"] if row.to_blame else "white"
            ax.plot([row.estimate], [y], markersize=6, markerfacecolor=face, markeredgewidth=1.5, **look)
        _beside(ax, y, f"{row.told}, to blame" if row.to_blame else row.told, look["color"])
    for y, (_, value, around, told) in enumerate(forest.means, len(forest.rows)):
        if around is not None:
            _whiskers(ax, y, around, forest, _INK, 2.2)
        face = "white" if around is None else _INK
        ax.plot([value], [y], marker="d", markersize=9, color=_INK, markerfacecolor=face)
        _beside(ax, y, told, _INK)
    ax.axhline(len(forest.rows) - 0.5, color="#dfe4ea", linewidth=1)
    names = [*(drawn_text(row.name) for row in forest.rows), *(mean for mean, *_ in forest.means)]
    ax.set_yticks(range(lines), names)
    for label, row in zip(ax.get_yticklabels(), forest.rows, strict=False):
        if row.to_blame:
            label.set(color=OUTCOMES["fail"]["color"], fontweight="bold")
    ends = (forest.axis.low, forest.axis.high)
    ax.set(xlim=ends[::-1] if forest.flipped else ends, ylim=(lines - 0.5, -0.5))
    ax.set_xticks(forest.axis.ticks, [drawn_text(label) for label in forest.ticks])
    said = (f"change of {drawn_text(cut(on_one_line(name), _LONGEST_NAME))}", *forest.told, forest.rest)
    ax.set_xlabel(
        "\n".join(drawn_text(part) if place else part for place, part in enumerate(said) if part),
        fontsize="small",
    )
    return ax


def _chosen(release: ReleaseResult, metric: str | None) -> tuple[str, Forest]:
    """Find the metric that is drawn, and what there is to draw of it."""
    if release.segments is None:
        raise DataError(
            "the verdict has no segments", "Give the policy `segments`, and data that have such columns."
        )
    if metric is not None and metric not in release.metrics:
        raise DataError(f"the verdict has no metric {metric!r}", f"It has: {', '.join(release.metrics)}.")
    ordered = sorted(by_badness(release), key=lambda result: result.name != release.deciding_metric)
    wanted = [result for result in ordered if metric in (None, result.name)]
    found = ((result.name, forest_of(result, release)) for result in wanted)
    chosen = next(((name, forest) for name, forest in found if forest is not None), None)
    if chosen is None:
        which = "every metric" if metric is None else f"metric {metric!r}"
        raise DataError(
            f"{which}: there are no segments in which it was compared",
            "Draw a metric of which `verdict.segments.metrics` has segments.",
        )
    return chosen


def _whiskers(ax: Axes, y: int, interval: Interval, forest: Forest, color: str, width: float) -> None:
    """Draw an interval; where it goes on beyond the axis, with an arrow."""
    axis = forest.axis
    low = axis.low if interval.low is None else max(interval.low, axis.low)
    high = axis.high if interval.high is None else min(interval.high, axis.high)
    ax.plot([low, high], [y, y], color=color, linewidth=width, solid_capstyle="butt")
    for end, known, arrow in ((low, interval.low, "<"), (high, interval.high, ">")):
        turned = {"<": ">", ">": "<"}[arrow] if forest.flipped else arrow
        marker = "|" if known == end else turned
        ax.plot([end], [y], marker=marker, color=color, markersize=5, clip_on=False)


def _beside(ax: Axes, y: int, told: str, color: str) -> None:
    ax.annotate(
        drawn_text(told), (1.02, y), xycoords=("axes fraction", "data"), va="center", fontsize="small", color=color, annotation_clip=False,
    )  # fmt: skip
