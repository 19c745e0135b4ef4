"""Burn rates of an error budget over several windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from canaryjudge.errors import DataError
from canaryjudge.explain.times import span_of_time
from canaryjudge.facts import BurnAlertFacts, BurnWindow
from canaryjudge.plots.canvas import OUTCOMES, axes, legend, tidy
from canaryjudge.results import MetricResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["burn_rates"]

_LEAST = 0.01
"""A logarithmic axis knows no zero: slower burning is drawn here."""


def burn_rates(result: MetricResult, *, ax: Axes | None = None) -> Axes:
    """Draw how fast the canary burned its error budget over each window, against the rate that each alert allows.

    Parameters
    ----------
    result : MetricResult
        What became of a metric with a rule `burn_rate`.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes: a row an alert, its windows as intervals, its limit as a line. Alerts that so short data could not be asked have none.

    Raises
    ------
    DataError
        If no rule of the metric is a burn rate.
    MissingExtraError
        If matplotlib is not installed.
    """
    burn = next((finding.burn for finding in result.findings if finding.burn is not None), None)
    if burn is None:
        raise DataError(
            f"metric {result.name!r}: none of its rules is a burn rate", "Give it the rule burn_rate."
        )
    ax = tidy(axes(ax, height=1.4 + 0.6 * len(burn.alerts)))
    ax.grid(visible=False, axis="y")
    ax.set_xscale("log")
    for row, alert in enumerate(burn.alerts):
        _draw(ax, row, alert)
    rates = [
        burn.burn_rate or 0.0,
        burn.baseline_burn_rate or 0.0,
        *(alert.burn_rate for alert in burn.alerts),
    ]
    ends = [
        window.interval.high or 0.0 for alert in burn.alerts for window in (alert.long, alert.short) if window
    ]
    ax.set_xlim(_LEAST * 0.8, 2.5 * max(*rates, *ends))
    ax.axvline(
        max(burn.baseline_burn_rate or 0.0, _LEAST), color="#76808d", linestyle=(0, (4, 2)), label="baseline"
    )
    ax.set_yticks(
        range(len(burn.alerts)),
        [f"{span_of_time(alert.long_s)}\nand {span_of_time(alert.short_s)}" for alert in burn.alerts],
    )
    ax.set(ylim=(len(burn.alerts) - 0.5, -0.5), xlabel="burn rate: 1 uses the budget up in its period")
    legend(ax)
    return ax


def _draw(ax: Axes, row: int, alert: BurnAlertFacts) -> None:
    ax.plot(
        [alert.burn_rate] * 2,
        [row - 0.36, row + 0.36],
        color="#16202c",
        linewidth=2.2,
        label=None if row else "limit",
    )
    if not alert.asked:
        ax.annotate(
            "not asked of so short data", (_LEAST, row), va="center", fontsize="small", color="#55616f"
        )
        return
    state = {True: "fail", False: "pass", None: "marginal"}[alert.exceeded]
    for window, offset, marker, name in (
        (alert.long, -0.13, "o", "long window"),
        (alert.short, 0.13, "s", "short window"),
    ):
        if window is not None:
            _bar(ax, row + offset, window, OUTCOMES[state]["color"], marker, None if row else name)


def _bar(ax: Axes, y: float, window: BurnWindow, color: str, marker: str, label: str | None) -> None:
    low, high = window.interval.low or 0.0, window.interval.high
    right = ax.get_xlim()[1] if high is None else high
    ax.plot([max(low, _LEAST), max(right, _LEAST)], [y, y], color=color, linewidth=1.8)
    ax.plot(
        [max(window.burn_rate or 0.0, _LEAST)],
        [y],
        color=color,
        marker=marker,
        linestyle="",
        markerfacecolor="white",
        label=label,
    )
