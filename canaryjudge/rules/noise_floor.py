"""A policy's noise floor at work: by how much two healthy arms differ, however many points they have."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np

from canaryjudge.rules.findings import Draft, NoiseFloorFacts
from canaryjudge.rules.replicas import lasting, told_apart
from canaryjudge.rules.rows import BoolArray, FloatArray, Pair, Rows
from canaryjudge.stats.replicas import LastingNoise, joined

__all__ = ["Floor", "FloorRows", "floor_of", "one_against_others", "part_that_lasts"]

_Number = TypeVar("_Number", float, FloatArray)

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
    """

    spread: float
    parts: float
    df: float
    assumed: bool = False

    @property
    def standard_error(self) -> float:
        """Standard deviation of the difference of two healthy arms, in the metric's unit."""
        return self.spread * math.sqrt(self.parts)

    def noise(self, scales: FloatArray, unit: float = 1.0) -> LastingNoise:
        """Give it to a test whose limits scale levels like this, and whose shifts are measured in so many of the metric's units."""
        return LastingNoise(np.abs(scales) * self.standard_error / unit, self.df)

    def facts(self, unit: float) -> NoiseFloorFacts:
        """Say how wide it is; the spread in the scale of the limits."""
        return NoiseFloorFacts(spread=self.spread / unit, df=self.df, assumed=self.assumed)


def floor_of(pair: Pair, level: float) -> Floor | None:
    """Give the floor that a policy states for arms that are paired like these, or what it assumes where nothing has measured one; None where there is neither."""
    spread = max(pair.floor.relative * abs(level), pair.floor.absolute)
    pods = [len(lasting(arm.replicas)) for arm in pair.arms]
    if spread > 0:
        return Floor(spread, sum(1 / max(1, n) for n in pods) if pair.concurrent else 2.0, pair.floor_df)
    assumed = pair.assumed_spread * abs(level)
    if not pair.concurrent or told_apart(pair) or assumed == 0:
        return None
    return Floor(assumed, one_against_others(*pods), math.inf, assumed=True)


@dataclass(frozen=True, slots=True)
class FloorRows:
    """`Floor` of many rows, one a row; the spread is 0 where there is none.

    Attributes
    ----------
    spread, parts, df, assumed : ndarray, shape (rows,)
        As of `Floor`.
    """

    spread: FloatArray
    parts: FloatArray
    df: FloatArray
    assumed: BoolArray

    @classmethod
    def of(cls, rows: Rows, level: FloatArray) -> Self:
        """Give what a policy states, or assumes, of rows whose baselines have these levels."""
        if rows.baseline.replicated or rows.canary.replicated:
            found = [floor_of(pair, at) for pair, at in zip(rows, level.tolist(), strict=True)]
            own = [floor or Floor(0.0, 1.0, math.inf) for floor in found]
            return cls(*(np.array([getattr(floor, name) for floor in own]) for name in Floor.__slots__))
        stated = np.maximum(rows.floor.relative * np.abs(level), rows.floor.absolute)
        some = stated > 0
        assumed = (rows.assumed_spread if rows.concurrent else 0.0) * np.abs(level)
        ones = np.ones(len(level))
        return cls(
            np.where(some, stated, assumed),
            np.where(some, 2.0, one_against_others()) * ones,
            np.where(some, rows.floor_df, np.inf),
            ~some,
        )

    def __getitem__(self, rows: BoolArray) -> FloorRows:
        return FloorRows(*(getattr(self, name)[rows] for name in FloorRows.__slots__))

    @property
    def some(self) -> BoolArray:
        """Where there is one."""
        return self.spread > 0

    @property
    def standard_error(self) -> FloatArray:
        """As of `Floor`, one a row."""
        return self.spread * np.sqrt(self.parts)

    def of_events(
        self, rate: FloatArray, exposures: tuple[FloatArray, FloatArray], chance: FloatArray, df: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Tell how many times the variance of events grows by it, and with how many degrees of freedom that is known; where there is none, that is not at all.

        Of the logarithm of the ratio of two rates, n independent events have the variance 1/n an arm; what the arms differ by adds to it. `chance` is 1 - rate of a
        share and 1 of a count; the exposures are those divided by the events' dispersion.
        """
        some = self.some
        rate, chance = np.where(some, rate, 1.0), np.where(some, chance, 1.0)
        independent = np.sum([chance / (rate * exposure) for exposure in exposures], axis=0)
        own = np.where(some, self.standard_error / rate / np.sqrt(independent), 1.0)
        times, known = joined(np.ones_like(own), df, own, self.df)
        return np.where(some, np.square(times), 1.0), np.where(some, known, df)

    def facts(self, unit: FloatArray) -> list[Draft | None]:
        """Say how wide each is; the spread in the scale of the limits."""
        columns = ((self.spread / unit).tolist(), self.df.tolist(), self.assumed.tolist())
        return [
            Draft(NoiseFloorFacts, {"spread": spread, "df": df, "assumed": assumed}) if spread > 0 else None
            for spread, df, assumed in zip(*columns, strict=True)
        ]


def one_against_others(baseline: int = 0, canary: int = 0) -> float:
    """Give how many variances of a pod's level the difference of the arms has; 0 pods are not named."""
    return 1 / (baseline or _OTHERS) + 1 / (canary or 1)


def part_that_lasts(floor: _Number, standard_error: _Number) -> _Number:
    """Give the part of an estimate's variance that more points do not average out."""
    share: _Number = np.minimum(1.0, (floor / np.maximum(standard_error, np.finfo(float).tiny)) ** 2)
    return share
