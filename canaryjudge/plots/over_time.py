"""What happens over time: both arms, and the evidence for and against the canary."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from canaryjudge.errors import DataError
from canaryjudge.explain.report.series import objective_line
from canaryjudge.facts import SeriesFacts
from canaryjudge.plots.canvas import ARMS, OUTCOMES, FloatArray, axes, legend, tidy
from canaryjudge.results import Finding, MetricResult, ReleaseResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["evidence", "series"]


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
    factor = 100.0 if result.kind == "ratio" else 1.0
    for name, part in arms:
        _draw_arm(ax, name, part, factor, dated=dated)
    line = objective_line(result)
    if line is not None:
        ax.axhline(factor * line, color="#16202c", linewidth=1.2, linestyle=(0, (6, 3)), label="objective")
    decided = None if result.deciding is None else result.deciding.decided_at
    if dated and decided is not None:
        ax.axvline(
            datetime.fromtimestamp(decided, UTC),  # type: ignore[arg-type] # matplotlib takes dates
            color=OUTCOMES[result.outcome.value]["color"],
            linewidth=1.6,
            label=f"decided: {result.outcome.value}",
        )
    unit = "%" if result.kind == "ratio" else result.unit
    ax.set_ylabel(f"{result.name}{f', {unit}' if unit else ''}".replace("$", r"\$"))
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
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415 - only those who plot need it

        locator = AutoDateLocator()  # type: ignore[no-untyped-call] # of matplotlib
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call] # of matplotlib
        ax.set_xlabel("time, UTC")
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
    looks = _findings(verdicts, metric, rule)
    ax = tidy(axes(ax))
    points = np.array([finding.n_canary for finding in looks])
    sides = (
        ("fail", "evidence of harm", [_evidence(each)[0] for each in looks], looks[-1].level),
        ("pass", "evidence of harmlessness", [_evidence(each)[1] for each in looks], looks[-1].beta),
    )
    planned = looks[-1].looks_planned is not None
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
    decided = looks[-1].decided_after
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


def _findings(verdicts: Sequence[ReleaseResult], metric: str, rule: int) -> list[Finding]:
    results = [verdict.metrics[metric] for verdict in verdicts if metric in verdict.metrics]
    if not results:
        known = ", ".join(sorted({name for verdict in verdicts for name in verdict.metrics})) or "none"
        raise DataError(
            f"no verdict here has a metric {metric!r} (there are: {known})", "Give the verdicts of a watch."
        )
    findings = [result.findings[rule] for result in results if rule < len(result.findings)]
    weighed = [finding for finding in findings if _evidence(finding) != (None, None)]
    if not weighed:
        raise DataError(
            f"metric {metric!r}: rule {rule} weighs no evidence from look to look",
            "Draw a metric that a Monitor has looked at, or another of its rules.",
        )
    # between planned looks a verdict repeats what the last one found
    return list({(finding.n_canary, finding.looks): finding for finding in weighed}.values())


def _evidence(finding: Finding) -> tuple[float | None, float | None]:
    """Give log10 of the evidence of harm and of harmlessness; of planned looks, that of their p-values."""
    if finding.looks_planned is None:
        return finding.log_e_fail, finding.log_e_pass
    harm, safe = (
        None if pvalue is None else -math.log10(max(pvalue, sys.float_info.min))
        for pvalue in (finding.pvalue, finding.pvalue_pass)
    )
    return harm, safe
