"""One verdict and what it rests on: all effects, one metric over time, the evidence of a watch, burn rates."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from canaryjudge.errors import DataError
from canaryjudge.explain.charts import objective_line
from canaryjudge.explain.effect_scale import EffectScale, effect_scale
from canaryjudge.explain.numbers import span_of_time
from canaryjudge.explain.sentences import main_number
from canaryjudge.explain.text import by_badness
from canaryjudge.kinds import KINDS
from canaryjudge.plots.style import (
    ARMS,
    OUTCOMES,
    POINTS,
    FloatArray,
    axes,
    drawn_text,
    label_times,
    lay_out,
    legend,
    tidy,
)
from canaryjudge.results import MetricResult, ReleaseResult, SeriesFacts
from canaryjudge.rules.burn_rate import BurnAlertFacts, BurnRateFinding, BurnWindow
from canaryjudge.rules.findings import Finding, Interval, WatchFacts
from canaryjudge.texts import cut, on_one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["burn_rates", "effects", "evidence", "series"]

_EDGE = 40.0
"""Effects beyond so many tolerances are drawn at the edge."""
_LINEAR = 0.6
"""Up to about here the scale is even; beyond, it is squeezed."""
_SQUEEZED = 2.0
"""Where effects lie beyond so many tolerances, the axis says that it is squeezed."""
_APART = 8.0
"""Points that labels of ticks must be apart."""
_LONGEST_NAME = 28


def effects(release: ReleaseResult, *, ax: Axes | None = None) -> Axes:
    """Draw each metric's effect with its intervals, in units of what is tolerated: 0 is no change, 1 the limit, right is worse; dashed is beyond what a pass excludes harm, where that is another.

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
    ticks = _ticks(ax, least, reach)
    ax.set_xticks(list(ticks), list(ticks.values()))
    ax.minorticks_off()
    return ax


def _ticks(ax: Axes, least: float, reach: float) -> dict[float, str]:
    """Give marks with their labels that show where the scale is squeezed: the limit, no change, and as many more as there is room for, up to the farthest effects."""
    on = (2, 5, 10, 20)
    named: list[tuple[float, str]] = [(1, "limit"), (0, "no change"), (0, "0")]
    named += [(_EDGE, f"≥ {_EDGE:g} ×"), (-_EDGE, f"≤ -{_EDGE:g} ×"), (-1, "-1 ×")]
    named += [(tick * sign, f"{tick * sign} ×") for tick in on for sign in (1, -1)]
    ax.set_xticks([0], [""])
    lay_out(ax)
    size = ax.xaxis.get_ticklabels()[0].get_fontsize()
    found: dict[float, tuple[float, float, str]] = {}
    for tick, label in named:
        drawn = ax.text(0, 0, label, fontsize=size)
        half = (drawn.get_window_extent().width + _APART * ax.figure.dpi / POINTS) / 2
        drawn.remove()
        place = float(ax.transData.transform((tick, 0))[0])
        clear = all(place + half <= low or place - half >= high for low, high, _ in found.values())
        if least <= tick <= reach and clear:
            found[tick] = place - half, place + half, label
    return {tick: found[tick][2] for tick in sorted(found)}


def _row(ax: Axes, row: int, result: MetricResult) -> list[float]:
    """Draw one metric, and give the places that its drawing needs."""
    look = OUTCOMES[result.outcome.value]
    finding = None if result.deciding is None else result.deciding.effect
    scale = None if finding is None else effect_scale(finding, shared=True)
    words = f"{main_number(result)[0]}  {result.outcome.value}"
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
    if finding.pass_by not in (None, "tolerance"):
        bounds = [scale.part(end) for end in (finding.pass_low, finding.pass_high) if end is not None]
        ax.vlines(bounds, row - 0.3, row + 0.3, color="#16202c", linewidth=1, linestyle=(0, (3, 2)))
        places += bounds
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
    return drawn_text(cut(on_one_line(name), _LONGEST_NAME))


def series(result: MetricResult, *, ax: Axes | None = None) -> Axes:
    """Draw both arms of a metric over time, with the objective, and the moment of decision where there was one.

    Parameters
    ----------
    result : MetricResult
        What became of a metric, such as ``verdict.metrics["errors"]``.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes. Of many points a band shows the spread of each stretch of time (see `SeriesFacts`), and gaps are left open.

    Raises
    ------
    DataError
        If the result has no points.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> policy = cj.Policy(metrics=[cj.Metric(name="cpu", unit="%", direction="increase")])
    >>> verdict = cj.judge({"cpu": {"baseline": [50.0, 51.0] * 20, "canary": [50.0, 51.5] * 20}}, policy)
    >>> series(verdict.metrics["cpu"]).get_ylabel()
    'cpu, %'
    """
    arms = [
        (name, arm.series) for name, arm in (("baseline", result.baseline), ("canary", result.canary)) if arm
    ]
    if not arms:
        raise DataError(
            f"metric {result.name!r}: there are no points to draw", "Give data of at least one arm."
        )
    ax = tidy(axes(ax))
    dated = all(part.start is not None for _, part in arms) and (
        result.pairing == "concurrent" or len(arms) == 1
    )
    factor = 100.0 if KINDS[result.kind].is_share else 1.0
    for name, part in arms:
        _draw_arm(ax, name, part, factor, dated=dated)
    line = objective_line(result)
    if line is not None:
        ax.axhline(factor * line, color="#16202c", linewidth=1.2, linestyle=(0, (6, 3)), label="objective")
    watch = None if result.deciding is None else result.deciding.watch
    decided = None if watch is None else watch.decided_at
    if dated and decided is not None:
        ax.axvline(
            datetime.fromtimestamp(decided, UTC),  # type: ignore[arg-type] # matplotlib takes dates
            color=OUTCOMES[result.outcome.value]["color"],
            linewidth=1.6,
            label=f"decided: {result.outcome.value}",
        )
    unit = "%" if KINDS[result.kind].is_share else result.unit
    ax.set_ylabel(drawn_text(f"{result.name}{f', {unit}' if unit else ''}"))
    _label_time(ax, result, dated=dated)
    legend(ax)
    return ax


def _draw_arm(ax: Axes, name: str, part: SeriesFacts, factor: float, *, dated: bool) -> None:
    at: Any = np.array(part.at)
    if dated:
        at = np.array([datetime.fromtimestamp((part.start or 0.0) + place, UTC) for place in part.at])
    value = factor * _floats(part.value)
    alone = np.count_nonzero(np.isfinite(value)) == 1
    if part.band is not None:
        low, high = factor * _floats(part.low), factor * _floats(part.high)
        ax.fill_between(at, low, high, color=ARMS[name]["color"], alpha=0.15, linewidth=0)
    ax.plot(at, value, label=name, marker="o" if alone else None, **ARMS[name])


def _floats(values: Sequence[float | None]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _label_time(ax: Axes, result: MetricResult, *, dated: bool) -> None:
    if dated:
        label_times(ax)
        return
    timed = any(arm is not None and arm.series.start is not None for arm in (result.baseline, result.canary))
    ax.set_xlabel("seconds since the start of each window" if timed else "points, in the order given")


def evidence(
    verdicts: Sequence[ReleaseResult], metric: str, *, rule: int = 0, ax: Axes | None = None
) -> Axes:
    """Draw how the evidence of a watch grew from look to look, with what it takes to decide, and when it did.

    Parameters
    ----------
    verdicts : sequence of Verdict
        What `Monitor.verdict` gave at each look, in order.
    metric : str
        Which metric.
    rule : int
        Which of its rules, by place.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes: log10 of the evidence of harm and of harmlessness over the canary's points, and the lines log10(1 / level) and
        log10(1 / beta) at which they decide. Of a rule that is asked at planned looks, the evidence is 1 / p, its p-value being that
        of all looks together.

    Raises
    ------
    DataError
        If the verdicts know no such metric, or its rule weighs no evidence: it was asked once, or has not had a look yet.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> policy = cj.Policy(metrics=[cj.Metric(name="errors", kind="ratio", direction="increase", tolerance="50%")])
    >>> monitor, looks = cj.Monitor(policy), []
    >>> for minute in range(12):
    ...     arms = {"baseline": 10, "canary": 41}
    ...     monitor.update({"errors": {
    ...         arm: {"time": [60.0 * minute], "value": [errors], "total": [1000]} for arm, errors in arms.items()
    ...     }})
    ...     looks.append(monitor.verdict())
    >>> evidence(looks, "errors").get_xlabel()
    'points of the canary'
    """
    weighed = _weighed(verdicts, metric, rule)
    looks, watches = [finding for finding, _ in weighed], [watch for _, watch in weighed]
    ax = tidy(axes(ax))
    points = np.array([finding.n_canary for finding in looks])
    sides = (
        ("fail", "evidence of harm", [_evidence(*each)[0] for each in weighed], looks[-1].level),
        ("pass", "evidence of harmlessness", [_evidence(*each)[1] for each in weighed], looks[-1].beta),
    )
    planned = watches[-1].looks_planned is not None
    for outcome, name, found, level in sides:
        look = OUTCOMES[outcome]
        ax.plot(
            points,
            _floats(found),
            color=look["color"],
            marker=look["marker"] if planned or len(looks) == 1 else None,
            drawstyle="steps-post" if planned else "default",
            linewidth=1.8,
            linestyle="-" if outcome == "fail" else (0, (5, 2)),
            label=name,
        )
        ax.axhline(-np.log10(level), color=look["color"], linewidth=1, linestyle=(0, (1, 2)))
        ax.annotate(
            "fails" if outcome == "fail" else "passes", (1, -np.log10(level)), xycoords=("axes fraction", "data"), ha="right", va="bottom",
            color=look["color"], fontsize="small",
        )  # fmt: skip
    decided = watches[-1].decided_after
    if decided is not None:
        ax.axvline(
            decided,
            color="#16202c",
            linewidth=1.2,
            label=f"decided after {decided:,}: {looks[-1].outcome.value}",
        )
    if planned:
        ax.set_xlim(left=0)
    ax.set(xlabel="points of the canary", ylabel="log10 of the evidence")
    legend(ax)
    return ax


def _weighed(verdicts: Sequence[ReleaseResult], metric: str, rule: int) -> list[tuple[Finding, WatchFacts]]:
    """Give what a rule found at each look, with its evidence."""
    results = [verdict.metrics[metric] for verdict in verdicts if metric in verdict.metrics]
    if not results:
        known = ", ".join(sorted({name for verdict in verdicts for name in verdict.metrics})) or "none"
        raise DataError(
            f"no verdict here has a metric {metric!r} (there are: {known})", "Give the verdicts of a watch."
        )
    findings = [result.findings[rule] for result in results if rule < len(result.findings)]
    watched = [(finding, finding.watch) for finding in findings if finding.watch is not None]
    weighed = [each for each in watched if _evidence(*each) != (None, None)]
    if not weighed:
        raise DataError(
            f"metric {metric!r}: rule {rule} weighs no evidence from look to look",
            "Draw a metric that a Monitor has looked at, or another of its rules.",
        )
    # between planned looks a verdict repeats what the last one found
    return list({(finding.n_canary, watch.looks): (finding, watch) for finding, watch in weighed}.values())


def _evidence(finding: Finding, watch: WatchFacts) -> tuple[float | None, float | None]:
    """Give log10 of the evidence of harm and of harmlessness; of planned looks, that of their p-values."""
    if watch.looks_planned is None:
        return watch.log_e_fail, watch.log_e_pass
    harm, safe = (
        None if pvalue is None else -math.log10(max(pvalue, sys.float_info.min))
        for pvalue in (finding.pvalue, finding.pvalue_pass)
    )
    return harm, safe


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
    effects = (finding.effect for finding in result.findings)
    burn = next((found.burn for found in effects if isinstance(found, BurnRateFinding) and found.burn), None)
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
