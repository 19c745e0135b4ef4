"""A policy's noise floor at work: by how much two healthy arms differ, however many points they have."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from canaryjudge.rules.decision import Limits
from canaryjudge.rules.findings import NoiseFloorFacts
from canaryjudge.rules.replicas import lasting, told_apart
from canaryjudge.rules.rows import FloatArray, Pair
from canaryjudge.stats.replicas import LastingNoise, joined

__all__ = ["Floor", "falls", "floor_of", "one_against_others", "part_that_lasts"]


_OTHERS = 10
"""One pod stands against so many others, where the data do not name them."""


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
    assumed : bool
        Whether nothing has measured it.
    each_fallen : float
        By how much the spread is larger for each unit that a level has fallen: of a share it is a part of what lacks to the whole, and the canary at a limit lacks more.
    """

    spread: float
    parts: float
    df: float
    assumed: bool = False
    each_fallen: float = 0.0

    @property
    def standard_error(self) -> float:
        """Standard deviation of the difference of two healthy arms, in the metric's unit."""
        return self.spread * math.sqrt(self.parts)

    def noise(self, scales: FloatArray, falls: FloatArray, unit: float = 1.0) -> LastingNoise:
        """Give it to a test at whose limits levels are scaled like this, and have fallen by so much, and whose shifts are measured in so many of the metric's units."""
        at = np.abs(scales) * self.spread if self.each_fallen == 0 else self.spread + self.each_fallen * falls
        return LastingNoise(at * math.sqrt(self.parts) / unit, self.df)

    def of_events(
        self, rate: float, exposures: tuple[float, float], chance: float, df: float, *, fallen: float
    ) -> tuple[float, float]:
        """Tell how many times the variance of events grows by it, and with how many degrees of freedom that is known.

        Of the logarithm of the ratio of two rates, n independent events have the variance 1/n an arm; what the arms differ by adds to it. `chance` is 1 - rate of a
        share and 1 of a count; the exposures are those divided by the events' dispersion. It is asked at the limit that has fallen the most.
        """
        falls = fallen if self.each_fallen else 0.0
        independent = sum((chance + falls) / (rate * exposure) for exposure in exposures)
        error = (self.spread + self.each_fallen * falls) * math.sqrt(self.parts)
        times, known = joined(1.0, df, error / rate / math.sqrt(independent), self.df)
        return float(times) ** 2, float(known)

    def facts(self, unit: float) -> NoiseFloorFacts:
        """Say how wide it is; the spread in the scale of the limits."""
        return NoiseFloorFacts(spread=self.spread / unit, df=self.df, assumed=self.assumed)


def floor_of(pair: Pair, level: float) -> Floor | None:
    """Give the floor that a policy states for arms that are paired like these, or what it assumes where nothing has measured one; None where there is neither."""
    spread = max(pair.floor.relative * abs(level), pair.floor.absolute)
    pods = [len(lasting(arm.replicas)) for arm in pair.arms]
    if spread > 0:
        return Floor(spread, sum(1 / max(1, n) for n in pods) if pair.concurrent else 2.0, pair.floor_df)
    if not pair.concurrent or told_apart(pair) or pair.assumed_spread == 0 or level == 0:
        return None
    part, others = pair.assumed_spread, one_against_others(*pods)
    left = _left(pair, level)
    if left is None:
        return Floor(part * abs(level), others, math.inf, assumed=True)
    return Floor(part * left, others, math.inf, assumed=True, each_fallen=part)


def _left(pair: Pair, level: float) -> float | None:
    """Give what lacks to the whole in the baseline, of a share that lacks the smaller part."""
    if not pair.wholes.sizes:
        return None
    whole = pair.wholes.of(level, max(float(arm.levels.max()) for arm in pair.arms))
    baseline = pair.baseline
    return None if whole is None else max(0.0, whole - baseline.events / baseline.exposure)


def falls(limits: Limits, level: float) -> FloatArray:
    """Give by how much the level falls at each of the limits that are asked, and at no change, in the metric's unit."""
    unit = 1.0 if limits.absolute else abs(level)
    return np.array([*(max(0.0, -unit * limit) for limit in limits.asked), 0.0])


def one_against_others(baseline: int = 0, canary: int = 0) -> float:
    """Give how many variances of a pod's level the difference of the arms has; 0 pods are not named."""
    return 1 / (baseline or _OTHERS) + 1 / (canary or 1)


def part_that_lasts(floor: float, standard_error: float) -> float:
    """Give the part of an estimate's variance that more points do not average out."""
    return min(1.0, (floor / max(standard_error, np.finfo(float).tiny)) ** 2)
