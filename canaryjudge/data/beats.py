"""Series that report at one beat, each at its own phase -> the numbers of the intervals that their points belong to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from canaryjudge.data.pair import FloatArray

__all__ = ["common_slots", "median_step"]

_STEADY = 0.5  # length of the mean direction of a series' times from which they have a phase


def median_step(times: Sequence[FloatArray | None]) -> float | None:
    """Give the median of the steps within each of some series, in seconds; None where there are no steps.

    Examples
    --------
    >>> median_step([np.array([0.0, 15.0, 30.0]), np.array([5.0, 20.0])])
    15.0
    """
    steps = [np.diff(time) for time in times if time is not None]
    moves = np.concatenate([*steps, np.empty(0)])
    moves = moves[moves > 0]
    return float(np.median(moves)) if len(moves) else None


def common_slots(times: Sequence[FloatArray], interval: float | None) -> tuple[list[FloatArray], list[float]]:
    """Give every time of several series the number of its interval.

    A series that keeps a beat is rounded about its own phase, so that scrapes half an interval apart do not flip between two
    neighbors with every jitter; one without a beat (irregular, or several points an interval) takes the grid of the first that has one.

    Parameters
    ----------
    times : sequence of ndarray
        The times of each series, in seconds, ascending; none is empty.
    interval : float or None
        The length of the intervals in seconds; None makes one of each time.

    Returns
    -------
    slots : list of ndarray
        Whole numbers, ascending in each series.
    lags : list of float
        By how many seconds each series is behind the grid; negative where it is ahead.

    Examples
    --------
    Scrapes every 15 s, of one replica 5 s after the other:

    >>> slots, lags = common_slots([np.array([0.0, 15.0, 30.0]), np.array([5.0, 20.3, 35.0])], 15.0)
    >>> [slot.tolist() for slot in slots], np.round(lags, 1).tolist()
    ([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]], [0.0, 5.1])
    """
    origin = times[0][0]
    if interval is None:
        return [time - origin for time in times], [0.0] * len(times)
    beats = [_beat(time - origin, interval) for time in times]
    phases = [
        float(np.angle(beat) / (2 * np.pi) * interval) if abs(beat) >= _STEADY else None for beat in beats
    ]
    first = next((index for index, phase in enumerate(phases) if phase is not None), 0)
    lead = phases[first] or 0.0
    lags = [
        0.0 if phase is None else _lag(phase - lead, interval, time[0] - times[first][0])
        for time, phase in zip(times, phases, strict=True)
    ]
    slots = [
        np.floor((time - origin - lead - lag) / interval + 0.5) for time, lag in zip(times, lags, strict=True)
    ]
    return slots, lags


def _lag(difference: float, interval: float, head_start: float) -> float:
    """Bring a difference of phases to the nearest neighbor; of two equally near ones the series that started later is behind."""
    half = interval / 2
    lag = (difference + half) % interval - half
    return float(np.copysign(half, head_start)) if half - abs(lag) < 1e-6 * interval else lag


def _beat(time: FloatArray, interval: float) -> complex:
    """Give the mean of the times as points on a circle of one interval: its angle is their phase, its length how steady it is."""
    return complex(np.exp(2j * np.pi * ((time / interval) % 1)).mean())
