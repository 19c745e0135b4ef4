"""How often a service fails with nothing wrong, a metric a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from canaryjudge.errors import DataError
from canaryjudge.plots.canvas import OUTCOMES, axes, legend, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from canaryjudge.studies import CalibrationFacts, ObservedRate

__all__ = ["false_fails"]


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
    ax.set_yticks(range(len(known)), [metric.name.replace("$", r"\$") for metric in known])
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
