"""Distributions of both arms, with bands that hold everywhere at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from canaryjudge.plots.style import ARMS, axes, finite, legend, tidy
from canaryjudge.stats.quantiles import dkw_margin, quantile_differences

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ecdf", "quantile_difference"]

_MOST = 2000
"""More steps than can be told apart are thinned to this many quantiles."""


def ecdf(baseline: Any, canary: Any, *, level: float = 0.95, unit: str = "", ax: Axes | None = None) -> Axes:
    """Draw the empirical distribution functions of both arms, each in a band that holds all of the true one.

    Parameters
    ----------
    baseline, canary : array_like
        Observations in `unit`; missing and infinite ones are left out.
    level : float
        Probability that a band holds the whole of its function, for independent observations.
    unit : str
        Their unit.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    DataError
        If an arm has no finite value.
    MissingExtraError
        If matplotlib is not installed.

    Notes
    -----
    The band is that of Dvoretzky, Kiefer and Wolfowitz with Massart's constant, sqrt(log(2 / (1 - level)) / (2 n)) to either side.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> ax = ecdf(rng.normal(100, 5, 60), rng.normal(110, 5, 60), unit="ms")
    >>> ax.get_ylabel()
    'share of points at most as large'
    """
    samples = {"baseline": finite(baseline, "baseline"), "canary": finite(canary, "canary")}
    ax = tidy(axes(ax))
    for name, values in samples.items():
        n = len(values)
        ascending = np.sort(values)
        rank = np.unique(np.linspace(1, n, min(n, _MOST)).round().astype(np.intp))
        x, share = ascending[rank - 1], rank / n
        margin = dkw_margin(n, level)
        look = ARMS[name]
        ax.fill_between(
            x,
            np.clip(share - margin, 0, 1),
            np.clip(share + margin, 0, 1),
            step="post",
            color=look["color"],
            alpha=0.15,
            linewidth=0,
        )
        # a step at the first value, so that one point is a step as well
        ax.plot(np.r_[x[0], x], np.r_[0.0, share], drawstyle="steps-post", label=f"{name} ({n:,})", **look)
    ax.set(ylim=(0, 1.01), xlabel=unit, ylabel="share of points at most as large")
    legend(ax)
    return ax


def quantile_difference(
    baseline: Any, canary: Any, *, level: float = 0.95, unit: str = "", ax: Axes | None = None
) -> Axes:
    """Draw how much each quantile of the canary lies above the baseline's, with a band for all of them together.

    Parameters
    ----------
    baseline, canary : array_like
        Observations in `unit`; missing and infinite ones are left out.
    level : float
        Probability that the band holds all true differences, for independent observations.
    unit : str
        Their unit.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    DataError
        If an arm has no finite value.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> ax = quantile_difference(rng.normal(100, 5, 400), rng.normal(110, 5, 400), unit="ms")
    >>> ax.get_xlabel()
    'quantile, %'
    """
    arms = finite(baseline, "baseline"), finite(canary, "canary")
    ax = tidy(axes(ax))
    found = quantile_differences(*arms, np.linspace(0.01, 0.99, 99), level)
    percent = 100 * found.probability
    known = np.isfinite(found.low) & np.isfinite(found.high)
    color = ARMS["canary"]["color"]
    ax.fill_between(
        percent,
        np.where(known, found.low, np.nan),
        np.where(known, found.high, np.nan),
        color=color,
        alpha=0.15,
        linewidth=0,
        label=f"{100 * level:.4g} % band" if known.any() else None,
    )
    ax.plot(percent, found.estimate, color=color, linewidth=1.8, label="canary minus baseline")
    ax.axhline(0, color="#16202c", linewidth=1, linestyle=(0, (1, 2)))
    ax.set(xlim=(0, 100), xlabel="quantile, %", ylabel=f"difference{f', {unit}' if unit else ''}")
    legend(ax)
    return ax
