"""A rollout over time: the canary's share of the traffic with what was decided, and the effects of its metrics."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from canaryjudge.errors import DataError
from canaryjudge.explain.numbers import set_percent
from canaryjudge.explain.timelines import (
    MOST_DRAWN,
    Drawn,
    StageSpan,
    drawn_metrics,
    limit_words,
    marks,
    stage_spans,
)
from canaryjudge.plots.style import ARMS, OUTCOMES, axes, drawn_text, label_times, many_axes, tidy
from canaryjudge.results import LookFacts, RolloutFacts
from canaryjudge.texts import cut, on_one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["rollout_effect", "timeline"]

_LONGEST_NAME: Final = 24
_LINEAR: Final = 0.67
"""Up to about here the scale of effects is even; beyond, it is squeezed."""
_PARTS: Final = (0.0, 1.0, -1.0, 2.0, 5.0, 10.0, 20.0, 50.0, -2.0, -5.0)
"""Where effects are labeled, in parts of what is tolerated: the first that have room."""
_APART: Final = 0.12
"""Parts of the height that labels must be apart."""
_SOFT: Final = "#55616f"
_INK: Final = "#16202c"
_HEIGHT: Final = 1.7


def timeline(rollout: RolloutFacts, *, ax: Axes | None = None) -> Axes:
    """Draw a rollout over time: the canary's share as steps, one a stage, with what was decided; and below it the effect of each metric that can hold it, of the eight worst if they are more.

    Parameters
    ----------
    rollout : RolloutVerdict
        What `Rollout.verdict` gave.
    ax : matplotlib.axes.Axes, optional
        Where to draw the share, without the metrics.

    Returns
    -------
    matplotlib.axes.Axes
        The axes of the share, the topmost of the figure; those of the metrics follow in `ax.figure.axes`.

    Raises
    ------
    DataError
        If it has no points yet.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> policy = cj.Policy(
    ...     metrics=[cj.Metric(name="errors", kind="ratio", direction="increase", tolerance="50%")],
    ...     stages=[cj.Stage(canary="5%", max_duration="1h"), cj.Stage(canary="50%", max_duration="1h")],
    ... )
    >>> rollout = cj.Rollout(policy)
    >>> for minute in range(12):
    ...     arms = {"baseline": 95, "canary": 5}
    ...     rollout.update({"errors": {
    ...         arm: {"time": [60.0 * minute], "value": [errors], "total": [100 * errors]} for arm, errors in arms.items()
    ...     }})
    >>> [axes.get_ylabel() for axes in timeline(rollout.verdict()).figure.axes]
    ['canary', 'errors']
    """
    spans = _spans(rollout)
    if ax is not None:
        return _shares(rollout, spans, ax)
    drawn = drawn_metrics(rollout)[:MOST_DRAWN]
    rows = many_axes(1 + len(drawn), width=7.2, height=_HEIGHT)
    top = _shares(rollout, spans, rows[0])
    for own, each in zip(rows[1:], drawn, strict=True):
        _effect(rollout, each, spans, own)
    for own in rows[:-1]:
        own.tick_params(labelbottom=False)
        own.set_xlabel("")
    label_times(rows[-1])
    if drawn:
        handles, labels = rows[-1].get_legend_handles_labels()
        rows[0].figure.legend(
            handles,
            labels,
            loc="outside upper center",
            ncols=5,
            columnspacing=1.4,
            frameon=False,
            fontsize="small",
        )
    return top


def rollout_effect(rollout: RolloutFacts, metric: str, *, ax: Axes | None = None) -> Axes:
    """Draw the effect of a metric over a rollout, in parts of what is tolerated: in blocks of time, and as each stage's own data had it from look to look, with the interval that proves a pass.

    Parameters
    ----------
    rollout : RolloutVerdict
        What `Rollout.verdict` gave.
    metric : str
        Which metric.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes: up is worse; the solid line is what is tolerated, the dashed ones what each stage must exclude.

    Raises
    ------
    DataError
        If there is no such metric, or nothing to draw yet.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> policy = cj.Policy(
    ...     metrics=[cj.Metric(name="errors", kind="ratio", direction="increase", tolerance="50%")],
    ...     stages=[cj.Stage(canary="5%", max_duration="1h")],
    ... )
    >>> rollout = cj.Rollout(policy)
    >>> for minute in range(12):
    ...     arms = {"baseline": 95, "canary": 5}
    ...     rollout.update({"errors": {
    ...         arm: {"time": [60.0 * minute], "value": [errors], "total": [100 * errors]} for arm, errors in arms.items()
    ...     }})
    >>> rollout_effect(rollout.verdict(), "errors").get_ylabel()
    'errors'
    """
    known = rollout.timeline.metrics
    if metric not in known:
        raise DataError(f"the rollout has no metric {metric!r}", f"It has: {', '.join(known) or 'none'}.")
    spans = _spans(rollout)
    ax = axes(ax)
    _effect(rollout, Drawn(rollout.release.metrics[metric], known[metric]), spans, ax)
    label_times(ax)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize="small")
    return ax


def _spans(rollout: RolloutFacts) -> list[StageSpan]:
    spans = stage_spans(rollout)
    if not spans:
        raise DataError("the rollout has no points to draw", "Give it data, and ask again.")
    return spans


def _at(seconds: float) -> Any:
    return datetime.fromtimestamp(seconds, UTC)


def _shares(rollout: RolloutFacts, spans: list[StageSpan], ax: Axes) -> Axes:
    """Draw the share; each is a step, whatever its size, as 1 % and 50 % do not fit on one scale."""
    tidy(ax)
    shares = sorted({stage.share for stage in rollout.stages} | {rollout.share})
    height = {share: float(place) for place, share in enumerate(shares)}
    times = [span.start for span in spans] + [spans[-1].end]
    levels = [height[span.share] for span in spans] + [height[spans[-1].share]]
    at = [_at(time) for time in times]
    ax.fill_between(at, levels, -0.6, step="post", color=ARMS["canary"]["color"], alpha=0.12, linewidth=0)
    ax.step(at, levels, where="post", **ARMS["canary"])
    for span in spans:
        if span.name:
            ax.annotate(
                drawn_text(cut(span.name, _LONGEST_NAME)),
                (_at(span.start), height[span.share]),
                xytext=(5, 4),
                textcoords="offset points",
                fontsize="small",
                color=_INK,
            )
    for each in marks(rollout):
        ax.plot(
            [_at(each.at)],
            [height.get(each.share, 0.0)],
            linestyle="none",
            markersize=8,
            zorder=5,
            clip_on=False,
            **OUTCOMES[each.outcome.value],
        )
        if each.says in ("roll back", "complete") or each.says.startswith("hold"):
            ax.annotate(
                each.says,
                (_at(each.at), height.get(each.share, 0.0)),
                xytext=(-8, -12),
                textcoords="offset points",
                ha="right",
                fontsize="small",
                color=OUTCOMES[each.outcome.value]["color"],
            )
    ax.set_yticks(list(height.values()), [set_percent(share) for share in height])
    ax.set(xlim=(_at(spans[0].start), _at(spans[-1].end)), ylim=(-0.6, len(shares) - 0.3), ylabel="canary")
    label_times(ax)
    return ax


def _effect(rollout: RolloutFacts, drawn: Drawn, spans: list[StageSpan], ax: Axes) -> None:
    tidy(ax)
    looks, blocks = drawn.timeline.looks, drawn.timeline.blocks
    stages = {stage.name: stage for stage in rollout.stages}
    reach = [1.2, -0.8]
    if blocks is not None and blocks.limit:
        parts = np.array([np.nan if part is None else part / blocks.limit for part in blocks.change])
        ax.plot(
            [_at(time) for time in blocks.at],
            parts,
            linestyle="none",
            marker="o",
            markersize=3,
            color=_SOFT,
            label="effect in blocks",
        )
        reach += [1.1 * float(part) for part in parts[np.isfinite(parts)]]
    for number, own in enumerate(looks):
        stage = stages.get(own.stage)
        ended = own.at[-1] if stage is None or stage.ended is None else max(stage.ended, own.at[-1])
        began = own.at[0] if stage is None or stage.began is None else stage.began
        _look(ax, own, ended, first=not number)
        reach += [1.1 * part for part in own.estimate if part is not None]
        if own.bound is not None:
            reach.append(1.1 * own.bound)
            if own.bound != 1:
                ax.hlines(
                    own.bound,
                    _at(began),
                    _at(ended),
                    color=_INK,
                    linewidth=1.1,
                    linestyle=(0, (4, 2)),
                    label="" if number else "to be excluded",
                )
    both = drawn.result.direction == "either" and not (looks and looks[-1].scale == "objective")
    low, high = min(reach), max(reach)
    low = min(low, -high) if both else low
    for limit in (1.0, -1.0) if both else (1.0,):
        ax.axhline(limit, color=_INK, linewidth=1.4, label="tolerated" if limit == 1 else "")
    ax.axhline(0, color=_SOFT, linewidth=1, linestyle=(0, (1, 2)))
    ax.set_yscale("asinh", linear_width=_LINEAR)
    ax.set(xlim=(_at(spans[0].start), _at(spans[-1].end)), ylim=(low, high))
    ax.minorticks_off()
    bounds = [own.bound for own in looks if own.bound is not None]
    ticks = _ticks(low, high, bounds)
    ax.set_yticks(ticks, ["0" if part == 0 else drawn_text(limit_words(drawn, part)) for part in ticks])
    ax.set_ylabel(drawn_text(cut(on_one_line(drawn.result.name), _LONGEST_NAME)))


def _look(ax: Axes, own: LookFacts, ended: float, *, first: bool) -> None:
    """Draw what a stage's own data say: a look stands until the next one."""
    at: Any = [_at(time) for time in (*own.at, max(ended, own.at[-1] + 1))]
    far = 1e3
    low, estimate, high = (
        [unknown if part is None else part for part in (*column, column[-1])]
        for column, unknown in ((own.low, -far), (own.estimate, np.nan), (own.high, far))
    )
    color = ARMS["canary"]["color"]
    ax.fill_between(
        at,
        low,
        high,
        step="post",
        color=color,
        alpha=0.16,
        linewidth=0,
        label="interval" if first else "",
    )
    ax.step(
        at,
        estimate,
        where="post",
        color=color,
        linewidth=1.8,
        label="stage's own data" if first else "",
    )
    if ended - own.at[0] < 1:  # it was the last of its stage
        ax.vlines(at[0], low[0], high[0], color=color, alpha=0.3, linewidth=4)
        ax.plot(at[:1], estimate[:1], linestyle="none", marker="o", markersize=4, color=color)


def _ticks(low: float, high: float, bounds: list[float]) -> list[float]:
    def place(part: float) -> float:
        ends = [float(np.arcsinh(each / _LINEAR)) for each in (low, high, part)]
        return (ends[2] - ends[0]) / (ends[1] - ends[0])

    found: list[float] = []
    for part in (*_PARTS, *bounds):
        if low <= part <= high and all(abs(place(part) - place(other)) >= _APART for other in found):
            found.append(part)
    return sorted(found)
