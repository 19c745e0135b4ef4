"""Error rates: on healthy pairs, observed against promised, and the chance to see a regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from canaryjudge.errors import DataError
from canaryjudge.plots.style import OUTCOMES, axes, drawn_text, legend, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from canaryjudge.reports import CalibrationFacts, ObservedRate

__all__ = ["calibration", "false_fails", "power"]


def false_fails(found: CalibrationFacts, *, ax: Axes | None = None) -> Axes:
    """Draw how often each metric failed on healthy pairs, by the policy as it is and as it is proposed.

    Parameters
    ----------
    found : Calibration
        What `calibrate` gave.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes: each rate in percent with its interval, beside the release's alpha.

    Raises
    ------
    DataError
        If no metric has healthy pairs.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np, canaryjudge as cj
    >>> policy = cj.Policy(metrics=[cj.Metric(name="cpu", direction="increase")])
    >>> history = {"cpu": np.random.default_rng(1).normal(50, 5, 400)}
    >>> found = cj.calibrate(history, policy, length=20, pairs=20)
    >>> false_fails(found).get_xlabel()
    'healthy pairs that fail, %'
    """
    known = [metric for metric in found.metrics.values() if metric.failed is not None]
    if not known:
        raise DataError("no metric of the calibration has healthy pairs", "Give a longer history.")
    ax = tidy(axes(ax, height=1.4 + 0.42 * len(known)))
    for row, metric in enumerate(known):
        _draw(ax, row - 0.12, metric.failed, "fail", "the policy as it is" if not row else None)
        _draw(ax, row + 0.12, metric.failed_proposed, "pass", "as proposed" if not row else None)
    alpha = 100 * found.alpha
    ax.axvline(alpha, color="#16202c", linewidth=1, linestyle=(0, (4, 2)), label=f"alpha, {alpha:g} %")
    ax.set_yticks(range(len(known)), [drawn_text(metric.name) for metric in known])
    ax.set(xlabel="healthy pairs that fail, %", ylim=(len(known) - 0.5, -0.5))
    ax.set_xlim(left=0)
    legend(ax)
    return ax


def _draw(ax: Axes, row: float, rate: ObservedRate | None, outcome: str, label: str | None) -> None:
    if rate is None:
        return
    middle = 100 * rate.rate
    ax.errorbar(
        middle,
        row,
        xerr=[[middle - 100 * rate.low], [100 * rate.high - middle]],
        fmt=OUTCOMES[outcome]["marker"],
        color=OUTCOMES[outcome]["color"],
        capsize=3,
        markersize=5,
        label=label,
    )


_COLORS = ("#0063b0", "#b02a0c", "#00694f", "#855300", "#6b4fa0", "#55616f")
_MARKERS = "osD^vP"


def power(
    sizes: Any,
    chance: Any,
    *,
    labels: Sequence[str] = (),
    target: float | None = None,
    unit: str = "points a side",
    ax: Axes | None = None,
) -> Axes:
    """Draw the chance to see regressions against how much data, or time, there is.

    Parameters
    ----------
    sizes : array_like, shape (n,)
        Numbers of points, or times.
    chance : array_like, shape (n,) or (k, n)
        The chance of a fail at each, one curve a regression; NaN where it is not known.
    labels : sequence of str, length k
        What each curve is of, such as ``"+20 %"``.
    target : float, optional
        The chance that is wanted.
    unit : str
        What sizes are.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    DataError
        If the shapes do not fit.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> power([10, 20, 40], [[0.2, 0.5, 0.9], [0.5, 0.9, 1.0]], labels=["+10 %", "+20 %"]).get_xlabel()
    'points a side'
    """
    x, curves = np.asarray(sizes, dtype=np.float64), np.atleast_2d(np.asarray(chance, dtype=np.float64))
    if x.ndim != 1 or curves.shape[-1] != len(x) or (labels and len(labels) != len(curves)):
        raise DataError(
            f"{len(x)} sizes, chances of shape {curves.shape} and {len(labels)} labels do not fit together",
            "Give a row of chances a label, and a chance a size.",
        )
    ax = tidy(axes(ax))
    for row, curve in enumerate(curves):
        ax.plot(
            x,
            curve,
            color=_COLORS[row % len(_COLORS)],
            marker=_MARKERS[row % len(_MARKERS)],
            markersize=4,
            label=labels[row] if labels else None,
        )
    if target is not None:
        ax.axhline(target, color="#16202c", linewidth=1, linestyle=(0, (1, 2)))
    ax.set(ylim=(-0.02, 1.02), xlabel=unit, ylabel="chance of a fail")
    legend(ax)
    return ax


def calibration(
    nominal: Any, observed: Any, *, low: Any = None, high: Any = None, ax: Axes | None = None
) -> Axes:
    """Draw error rates that were observed against those that were promised; on or below the line is well.

    Parameters
    ----------
    nominal, observed : array_like, shape (n,)
        Promised and observed rates; points with NaN are left out.
    low, high : array_like, shape (n,), optional
        Ends of the observed rates' intervals.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    DataError
        If the shapes do not fit, or no point is known.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> calibration([0.01, 0.05], [0.008, 0.04], low=[0.004, 0.03], high=[0.014, 0.05]).get_ylabel()
    'observed error rate'
    """
    columns = [np.asarray(column, dtype=np.float64).ravel() for column in (nominal, observed)]
    ends = [None if end is None else np.asarray(end, dtype=np.float64).ravel() for end in (low, high)]
    lengths = {len(column) for column in (*columns, *ends) if column is not None}
    if len(lengths) != 1:
        raise DataError(
            f"the columns have different lengths ({sorted(lengths)})", "Give a value a point in each."
        )
    known = np.isfinite(columns[0]) & np.isfinite(columns[1])
    if not known.any():
        raise DataError("no point has both rates", "Give promised and observed rates.")
    x, y = columns[0][known], columns[1][known]
    ax = tidy(axes(ax, width=4.2, height=4.0))
    below, above = (
        np.zeros(len(y)) if end is None else np.nan_to_num(np.maximum(sign * (end[known] - y), 0))
        for end, sign in zip(ends, (-1.0, 1.0), strict=True)
    )
    most = 1.1 * max(float((y + above).max()), float(x.max()), 1e-6)
    ax.plot([0, most], [0, most], color="#16202c", linewidth=1, linestyle=(0, (4, 2)), label="as promised")
    ax.errorbar(x, y, yerr=[below, above], fmt="o", color=_COLORS[0], capsize=3, label="observed")
    ax.set(xlim=(0, most), ylim=(0, most), xlabel="promised error rate", ylabel="observed error rate")
    legend(ax)
    return ax
