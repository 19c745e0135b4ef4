"""The effects of all metrics against what is tolerated: a forest plot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from canaryjudge.explain.effect_scale import EffectScale, effect_scale
from canaryjudge.explain.glances import glance
from canaryjudge.explain.text import by_badness
from canaryjudge.plots.canvas import OUTCOMES, axes, tidy
from canaryjudge.results import Interval, MetricResult, ReleaseResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["effects"]

_EDGE = 40.0
"""Effects beyond so many tolerances are drawn at the edge."""
_LINEAR = 0.6
"""Up to about here the scale is even; beyond, it is squeezed."""
_SQUEEZED = 2.0
"""Where effects lie beyond so many tolerances, the axis says that it is squeezed."""
_APART = 0.09
"""Part of the width that labels of ticks must be apart."""
_LONGEST_NAME = 28


def effects(release: ReleaseResult, *, ax: Axes | None = None) -> Axes:
    """Draw each metric's effect with its intervals, in units of what is tolerated: 0 is no change, 1 the limit, right is worse.

    Parameters
    ----------
    release : Verdict or ReleaseResult
        What became of a release.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes; a row a metric, the worst on top. The thick interval is the one that proves a pass, the thin one a fail.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> policy = cj.Policy(metrics=[cj.Metric(name="cpu", direction="increase")])
    >>> verdict = cj.judge({"cpu": {"baseline": [50.0, 51.0] * 20, "canary": [50.0, 51.5] * 20}}, policy)
    >>> [label.get_text() for label in effects(verdict).get_yticklabels()]
    ['cpu']
    """
    ordered = by_badness(release)
    ax = axes(ax, height=1.4 + 0.42 * len(ordered))
    drawn = [_row(ax, row, result) for row, result in enumerate(ordered)]
    reach = max([1.6, *(1.15 * part for parts in drawn for part in parts)])
    least = min([-0.9, *(1.15 * part for parts in drawn for part in parts)])
    tidy(ax)
    ax.grid(visible=False, axis="y")
    ax.set_xscale("asinh", linear_width=_LINEAR)
    ticks = _ticks(least, reach)
    names = {0: "no change", 1: "limit", int(_EDGE): f"≥ {_EDGE:g} ×", -int(_EDGE): f"≤ -{_EDGE:g} ×"}
    ax.set_xticks(ticks, [names.get(tick, f"{tick} ×") for tick in ticks])
    ax.minorticks_off()
    ax.axvspan(1, reach, facecolor="none", edgecolor="#d5a99c", hatch="///", linewidth=0, zorder=0)
    ax.axvline(0, color="#55616f", linewidth=1, linestyle=(0, (1, 2)))
    ax.axvline(1, color="#16202c", linewidth=1.5)
    ax.set_yticks(range(len(ordered)), [_shortened(result.name) for result in ordered])
    squeezed = " (far ones are drawn closer together)" if max(reach, -least) > _SQUEEZED else ""
    ax.set(
        xlim=(least, reach),
        ylim=(len(ordered) - 0.5, -0.5),
        xlabel=f"change, in parts of what is tolerated{squeezed}",
    )
    return ax


def _ticks(least: float, reach: float) -> list[int]:
    """Give marks that show where the scale is squeezed: as many as there is room for, up to the farthest effects."""
    on = (0, 1, 2, 5, 10, 20, 40)
    room = np.arcsinh([least / _LINEAR, reach / _LINEAR])
    ticks: list[int] = []
    for tick in sorted({*on, *(-tick for tick in on)}, key=abs):
        place = np.arcsinh(tick / _LINEAR)
        near = [abs(place - np.arcsinh(other / _LINEAR)) for other in ticks]
        if least <= tick <= reach and all(gap > _APART * (room[1] - room[0]) for gap in near):
            ticks.append(tick)
    return sorted(ticks)


def _row(ax: Axes, row: int, result: MetricResult) -> list[float]:
    """Draw one metric, and give the places that its drawing needs."""
    finding, look = result.deciding, OUTCOMES[result.outcome.value]
    scale = None if finding is None else effect_scale(finding, shared=True)
    words = f"{glance(result)[0]}  {result.outcome.value}"
    ax.annotate(
        words.replace("$", r"\$"),
        (1.01, row),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize="small",
        color=look["color"],
        annotation_clip=False,
    )
    if finding is None or scale is None:
        return []
    places = []
    for interval, width in ((finding.interval, 1.5), (finding.pass_interval, 4.5)):
        if interval is not None:
            ends = _ends(interval, scale)
            ax.plot(ends, [row, row], color=look["color"], linewidth=width, solid_capstyle="butt")
            places += ends
    if finding.estimate is not None:
        part = float(np.clip(scale.part(finding.estimate), -_EDGE, _EDGE))
        ax.plot([part], [row], markersize=7, markerfacecolor="white", markeredgewidth=1.8, **look)
        places.append(part)
    return places


def _ends(interval: Interval, scale: EffectScale) -> list[float]:
    beyond = float(np.copysign(np.inf, scale.unit))
    ends = (
        -beyond if interval.low is None else scale.part(interval.low),
        beyond if interval.high is None else scale.part(interval.high),
    )
    return sorted(float(np.clip(end, -_EDGE, _EDGE)) for end in ends)


def _shortened(name: str) -> str:
    text = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
    return text.replace("$", r"\$")  # matplotlib would read it as a formula
