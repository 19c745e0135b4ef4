"""A series as one line of blocks, for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from canaryjudge.facts import SeriesFacts

__all__ = ["BLOCKS", "SHORTEST", "Frame", "frame_over", "sparkline"]

BLOCKS = "▁▂▃▄▅▆▇█"
"""From low to high."""
SHORTEST = 8
"""With room for fewer blocks than this nothing can be seen."""


class Frame(NamedTuple):
    """What several sparklines share, so that they can be compared."""

    low: float
    """What the lowest block stands for."""
    high: float
    """What the highest block stands for."""
    start: float | None
    """Time of the first column; None where each series begins at its own."""
    span: float
    """From the first column to the last."""
    columns: int
    """How many there are."""


def frame_over(series: list[SeriesFacts], room: int, *, together: bool) -> Frame | None:
    """Find the frame of some series.

    Parameters
    ----------
    series : list of SeriesFacts
        What is to be drawn.
    room : int
        The most columns.
    together : bool
        Whether they share a clock; otherwise each begins at the left.

    Returns
    -------
    Frame or None
        None where there is nothing to draw, or no room for it.
    """
    values = [value for one in series for value in one.value if value is not None]
    if not values or room < SHORTEST:
        return None
    starts = [one.start for one in series if one.start is not None]
    start = min(starts) if together and len(starts) == len(series) else None
    span = max(_shift(one, start) + one.at[-1] for one in series if one.at)
    positions = max(len(one.at) for one in series)
    return Frame(min(values), max(values), start, span, min(room, positions))


def sparkline(series: SeriesFacts, frame: Frame) -> str:
    """Draw a series.

    Parameters
    ----------
    series : SeriesFacts
        Its positions; where several share a column, their mean is drawn.
    frame : Frame
        Where it is drawn.

    Returns
    -------
    str
        Blocks, and spaces where nothing came; no spaces at the end.

    Examples
    --------
    >>> cpu = SeriesFacts(start=None, at=(0, 1, 2, 3, 4), value=(1, 2, None, 8, 4))
    >>> sparkline(cpu, frame_over([cpu], 60, together=True))
    '▁▂ █▄'
    """
    drawn = [" "] * frame.columns
    for part in _parts(series):
        found: dict[int, list[float]] = {}
        for at, value in part:
            found.setdefault(_column(at + _shift(series, frame.start), frame), []).append(value)
        level = 0.0
        for column in range(min(found), max(found) + 1):
            # between two points that no gap parts, the earlier one holds
            level = math.fsum(found[column]) / len(found[column]) if column in found else level
            drawn[column] = _block(level, frame)
    return "".join(drawn).rstrip()


def _parts(series: SeriesFacts) -> Iterator[list[tuple[float, float]]]:
    """Give the points between the gaps."""
    part: list[tuple[float, float]] = []
    for at, value in zip(series.at, series.value, strict=True):
        if value is not None:
            part.append((at, value))
        elif part:
            yield part
            part = []
    if part:
        yield part


def _shift(series: SeriesFacts, start: float | None) -> float:
    return 0.0 if start is None or series.start is None else series.start - start


def _column(at: float, frame: Frame) -> int:
    return round((frame.columns - 1) * at / frame.span) if frame.span > 0 else 0


def _block(level: float, frame: Frame) -> str:
    # halves first: the distance of the largest floats is not finite
    height = frame.high / 2 - frame.low / 2
    if height <= 0:
        return BLOCKS[3]
    return BLOCKS[min(int((level / 2 - frame.low / 2) / height * len(BLOCKS)), len(BLOCKS) - 1)]
