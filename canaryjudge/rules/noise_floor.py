"""A policy's noise floor at work: by how much two healthy arms differ, however many points they have."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from canaryjudge.data import Arm, FloatArray, MetricPair
from canaryjudge.policy import Metric
from canaryjudge.rules.replicas import lasting
from canaryjudge.stats.replicas import LastingNoise, joined

__all__ = ["Floor", "floor_of"]


@dataclass(frozen=True, slots=True)
class Floor:
    """How much healthy arms differ.

    Attributes
    ----------
    spread : float
        Standard deviation of one window's level, or of one replica's, in the metric's unit.
    parts : float
        How many such variances the difference of the arms has: 2 of windows, 1/R + 1/S of R and S replicas.
    df : float
        Degrees of freedom with which the spread is known.
    """

    spread: float
    parts: float
    df: float

    @property
    def standard_error(self) -> float:
        """Standard deviation of the difference of two healthy arms, in the metric's unit."""
        return self.spread * math.sqrt(self.parts)

    def noise(self, scales: FloatArray, unit: float = 1.0) -> LastingNoise:
        """Give it to a test.

        Parameters
        ----------
        scales : ndarray, shape (k,)
            What levels are multiplied by at each limit; an arm at that level varies so many times as much.
        unit : float
            What the test's shifts are measured in, in the metric's unit.
        """
        return LastingNoise(np.abs(scales) * self.standard_error / unit, self.df)

    def of_events(
        self, rate: float, exposures: tuple[float, float], chance: float, df: float
    ) -> tuple[float, float]:
        """Tell how many times the variance of events grows by it.

        Of the logarithm of the ratio of two rates, n independent events have the variance 1/n an arm; what the arms differ by adds to it.

        Parameters
        ----------
        rate : float
            Events per exposure, of both arms together.
        exposures : tuple of float
            Of both arms, divided by the dispersion of their events.
        chance : float
            1 - rate of a share, and 1 of a count.
        df : float
            Degrees of freedom with which the dispersion is known.

        Returns
        -------
        tuple of (float, float)
            The factor, and its degrees of freedom.
        """
        independent = sum(chance / (rate * exposure) for exposure in exposures)
        times, known = joined(1.0, df, self.standard_error / rate / math.sqrt(independent), self.df)
        return float(times) ** 2, float(known)

    def facts(self, unit: float) -> dict[str, Any]:
        """Give fields of a `Finding`; the spread in the scale of the limits."""
        return {"noise_floor": self.spread / unit, "noise_floor_df": self.df}


def floor_of(pair: MetricPair, metric: Metric, level: float) -> Floor | None:
    """Give the floor that a policy states for arms that are paired like these.

    Parameters
    ----------
    pair : MetricPair
        Both arms: as windows, or on one clock.
    metric : Metric
        Its settings.
    level : float
        The baseline's level.

    Returns
    -------
    Floor or None
        None where the policy states none for this pairing, or one of 0.
    """
    floor = metric.noise_floor
    if floor is None:
        return None
    concurrent = pair.pairing == "concurrent"
    stated = floor.between_replicas if concurrent else floor.between_windows
    spread = 0.0 if stated is None else stated.size(metric, level)
    if spread == 0:
        return None
    if not concurrent:
        return Floor(spread, 2.0, floor.windows_freedom)
    parts = sum(1 / _replicas(arm) for arm in (pair.baseline, pair.canary))
    return Floor(spread, parts, floor.replicas_freedom)


def _replicas(arm: Arm) -> int:
    return max(1, len(lasting(arm.replicas)))
