"""What all plots share: the axes, the colors, and what is done with numbers before they are drawn."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from canaryjudge.errors import DataError, MissingExtraError
from canaryjudge.texts import on_one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "ARMS",
    "OUTCOMES",
    "POINTS",
    "axes",
    "drawn_text",
    "finite",
    "label_times",
    "lay_out",
    "legend",
    "many_axes",
    "tidy",
]

FloatArray = NDArray[np.float64]

ARMS: Final[dict[str, dict[str, Any]]] = {
    "baseline": {"color": "#76808d", "linestyle": (0, (4, 2)), "linewidth": 1.4},
    "canary": {"color": "#0063b0", "linestyle": "-", "linewidth": 1.8},
}
"""How the lines of each arm look: apart in lightness and dashes, too."""
OUTCOMES: Final[dict[str, dict[str, Any]]] = {
    "pass": {"color": "#00694f", "marker": "o"},
    "marginal": {"color": "#855300", "marker": "D"},
    "fail": {"color": "#b02a0c", "marker": "X"},
}
"""Color and shape of each outcome, as in the report."""


POINTS: Final = 72.0
"""An inch."""


def axes(ax: Axes | None, width: float = 6.4, height: float = 3.6) -> Axes:
    """Give the caller's axes, or new ones of this size in inches: where somebody looks on, in a figure of pyplot's, which is shown; else in one that nobody need close.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    if ax is not None:
        return ax
    return many_axes(1, width, height)[0]


def many_axes(rows: int, width: float, height: float) -> list[Axes]:
    """Give new axes below each other on one axis of time, each so high, where `axes` would have them.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    size: Any = {"figsize": (width, rows * height), "layout": "constrained"}
    try:
        import matplotlib  # noqa: ICN001, PLC0415 - only those who plot need it
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - as above
        from matplotlib.figure import Figure  # noqa: PLC0415 - as above
    except ImportError:
        raise MissingExtraError(
            "plots need matplotlib", "Install it with: pip install 'canaryjudge[plot]'."
        ) from None
    laid: Any = {"nrows": rows, "sharex": rows > 1, "squeeze": False}
    if "ipykernel" in sys.modules or ("matplotlib.pyplot" in sys.modules and matplotlib.is_interactive()):
        import matplotlib.pyplot as plt  # noqa: PLC0415 - as above

        drawn = plt.subplots(**size, **laid)[1]
    else:
        drawn = FigureCanvasAgg(Figure(**size)).figure.subplots(**laid)
    return list(drawn[:, 0])


def drawn_text(words: str) -> str:
    """Give what a user named as it is drawn: matplotlib would read a $ as the beginning of a formula."""
    return on_one_line(words).replace("$", r"\$")


def finite(values: Any, name: str, *, least: int = 1) -> FloatArray:
    """Bring values into a flat array without what is missing or infinite.

    Raises
    ------
    DataError
        If they are not numbers, or fewer than needed are left.
    """
    try:
        array = np.asarray(values, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        raise DataError(f"{name}: these are not numbers", "Give a list or an array of numbers.") from None
    kept = array[np.isfinite(array)]
    if len(kept) < least:
        raise DataError(
            f"{name}: {len(kept)} finite {'value' if len(kept) == 1 else 'values'}, and {least} or more are needed to draw it",
            "Give data; missing values are left out.",
        )
    return kept


def tidy(ax: Axes) -> Axes:
    """Take away lines that say nothing."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(visible=True, color="#e8ecf1", linewidth=0.8)
    ax.set_axisbelow(True)
    return ax


def lay_out(ax: Axes) -> float:
    """Give the axes their place in the figure, and return their width in points, which says how many labels there is room for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of too small a figure, which is told when it is drawn
        ax.figure.canvas.figure.draw_without_rendering()
    return float(ax.get_window_extent().width) * POINTS / ax.figure.dpi


_DATE_WIDTH: Final = 50.0
"""Points that a time or a day needs on an axis."""


def label_times(ax: Axes) -> None:
    """Label an axis of times, as many as there is room for; the day stands on the right."""
    from matplotlib import dates  # noqa: PLC0415 - only those who plot need it

    most = max(4, int(lay_out(ax) / _DATE_WIDTH))
    locator = dates.AutoDateLocator(minticks=2, maxticks=most)  # type: ignore[no-untyped-call] # of matplotlib
    for every, longest in (
        (dates.SECONDLY, 60),
        (dates.MINUTELY, 60),
        (dates.HOURLY, 24),
        (dates.MONTHLY, 12),
    ):
        locator.intervald[every] = [*locator.intervald[every], longest]  # lest a few labels be too many
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call] # of matplotlib
    ax.set_xlabel("time, UTC", loc="left")  # the day stands on the right


def legend(ax: Axes) -> None:
    """Add a legend where something has a name."""
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize="small")
