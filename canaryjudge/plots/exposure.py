"""Blast radius: how much of the traffic meets a regression before a rollout is stopped, by its size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from canaryjudge.errors import DataError
from canaryjudge.plots.style import axes, drawn_text, legend, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from canaryjudge.reports import PlanFacts

__all__ = ["exposure"]

_LINES: Final = (
    ("p95", "at most so many in 95 % of rollouts", {"color": "#b02a0c", "marker": "^", "linestyle": "-"}),
    ("mean", "mean of those not completed", {"color": "#0063b0", "marker": "o", "linestyle": "-"}),
    (
        "median",
        "at most so many in half of rollouts",
        {"color": "#00694f", "marker": "s", "linestyle": (0, (4, 2))},
    ),
    (
        "oracle",
        "an oracle needs to stop it",
        {"color": "#55616f", "marker": ".", "linestyle": (0, (1, 2))},
    ),
)
_STAGE: Final = "#f1f4f8", "#e3e9f1"
_ROOM: Final = 2.0
"""How far the axis reaches beyond what is drawn, in times."""


def exposure(found: PlanFacts, metric: str, *, ax: Axes | None = None) -> Axes:
    """Draw how much of the traffic meets a regression of one metric before the rollout is stopped, against the size of the regression.

    Parameters
    ----------
    found : Plan
        What `plan` gave for a policy with stages.
    metric : str
        The metric that is worse.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes: requests, or minutes of all of the traffic where it is not known, on a logarithmic scale, with the mean of rollouts that are not completed, what half and 95 % of all do not exceed, and what an
        oracle needs; behind them, what each stage exposes if it lasts as long as it may. Where too many rollouts are completed for a quantile, everybody meets the regression, and the line ends.

    Raises
    ------
    DataError
        If the plan has no exposure of such a metric.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> from canaryjudge.planning import Simulation
    >>> errors = cj.Metric(name="errors", kind="ratio", direction="increase", tolerance="50%", dispersion=1)
    >>> policy = cj.Policy(metrics=[errors], stages=[cj.Stage(canary="5%", max_duration="20m"), cj.Stage(canary="50%", max_duration="20m")])
    >>> found = cj.plan(policy, assume={"errors": {"level": "1%", "traffic": 20000}}, simulation=Simulation(5))
    >>> exposure(found, "errors").get_ylabel()
    'requests that meet it'
    """
    rollout = found.rollout
    own = [] if rollout is None else [one for one in rollout.exposures if one.metric == metric]
    if rollout is None or not own:
        known = [] if rollout is None else list(dict.fromkeys(one.metric for one in rollout.exposures))
        raise DataError(
            f"the plan has no exposure of {metric!r}", f"It has those of: {', '.join(known) or 'none'}."
        )
    ax = tidy(axes(ax))
    counted = rollout.traffic_per_s is not None
    unit = rollout.traffic_per_s or 1 / 60
    sizes = np.array([100 * one.size for one in own])
    lowest, highest = np.inf, 0.0
    for name, label, style in _LINES:
        values = np.array([np.nan if (at := getattr(one, f"{name}_s")) is None else unit * at for one in own])
        if np.isnan(values).all():
            continue
        lowest, highest = min(lowest, float(np.nanmin(values))), max(highest, float(np.nanmax(values)))
        ax.plot(sizes, values, markersize=5, linewidth=1.6, label=label, **style)
    ends = np.cumsum([unit * stage.share * stage.max_duration_s for stage in rollout.stages])
    low, high = lowest / _ROOM, max(highest, float(ends[-1])) * _ROOM
    begins = np.concatenate([[low], ends[:-1]])
    for number, (stage, begin, end) in enumerate(zip(rollout.stages, begins, ends, strict=True)):
        if end <= low:
            continue
        ax.axhspan(max(begin, low), end, color=_STAGE[number % 2], zorder=0, linewidth=0)
        ax.text(
            1.01,
            end,
            f"{drawn_text(stage.name)} ends",
            transform=ax.get_yaxis_transform(),
            ha="left",
            va="center",
            fontsize="small",
            color="#55616f",
        )
    what = f"{rollout.traffic_unit} that meet it" if counted else "minutes of all traffic that meet it"
    ax.set(
        xscale="log",
        yscale="log",
        ylim=(low, high),
        xlabel=f"{drawn_text(metric)}: worse by",
        ylabel=drawn_text(what),
    )
    ax.set_xticks(sizes, [f"{size:.3g} %" for size in sizes])
    ax.set_xlim(sizes[0] / 1.06, sizes[-1] * 1.06)
    ax.minorticks_off()
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    ax.grid(visible=False, axis="x")
    legend(ax)
    return ax
