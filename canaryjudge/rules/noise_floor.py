"""A policy's noise floor at work: by how much two healthy arms differ, however many points they have."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np

from canaryjudge.rules.decision import LimitRows
from canaryjudge.rules.findings import Draft, NoiseFloorFacts
from canaryjudge.rules.replicas import lasting, told_apart
from canaryjudge.rules.rows import BoolArray, FloatArray, Pair, Rows
from canaryjudge.stats.replicas import LastingNoise, joined

__all__ = ["Floor", "FloorRows", "falls", "floor_of", "one_against_others", "part_that_lasts"]

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


def falls(limits: LimitRows, level: FloatArray) -> FloatArray:
    """Give by how much the levels fall at each of the limits that are asked, and last at no change, in the metric's unit; shape (rows, k + 1)."""
    unit = np.where(limits.absolute, 1.0, np.abs(level))[:, None]
    fallen = np.maximum(0.0, -unit * limits.asked)
    return np.concatenate([fallen, np.zeros((len(fallen), 1))], axis=1)


@dataclass(frozen=True, slots=True)
class FloorRows:
    """`Floor` of many rows, one a row; where there is none, nothing is larger than 0.

    Attributes
    ----------
    spread, parts, df, assumed, each_fallen : ndarray, shape (rows,)
        As of `Floor`.
    """

    spread: FloatArray
    parts: FloatArray
    df: FloatArray
    assumed: BoolArray
    each_fallen: FloatArray

    @classmethod
    def of(cls, rows: Rows, level: FloatArray) -> Self:
        """Give what a policy states, or assumes, of rows whose baselines have these levels."""
        if rows.baseline.replicated or rows.canary.replicated or rows.wholes.sizes:
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
            np.zeros(len(level)),
        )

    def __getitem__(self, rows: BoolArray) -> FloorRows:
        return FloorRows(*(getattr(self, name)[rows] for name in FloorRows.__slots__))

    @property
    def some(self) -> BoolArray:
        """Where there is one."""
        return (self.spread > 0) | (self.each_fallen > 0)

    @property
    def standard_error(self) -> FloatArray:
        """As of `Floor`, one a row."""
        return self.spread * np.sqrt(self.parts)

    def noise(self, scales: FloatArray, falls: FloatArray, unit: FloatArray) -> FloatArray:
        """Give as `Floor` does what healthy arms differ by at limits, shape (rows, k)."""
        spread, each = self.spread[:, None], self.each_fallen[:, None]
        at = np.where(each == 0, np.abs(scales) * spread, spread + each * falls)
        return np.asarray(at * (np.sqrt(self.parts) / unit)[:, None])

    def of_events(
        self,
        rate: FloatArray,
        exposures: tuple[FloatArray, FloatArray],
        chance: FloatArray,
        df: FloatArray,
        *,
        fallen: FloatArray,
    ) -> tuple[FloatArray, FloatArray]:
        """Tell how many times the variance of events grows by it, and with how many degrees of freedom that is known; where there is none, that is not at all.

        Of the logarithm of the ratio of two rates, n independent events have the variance 1/n an arm; what the arms differ by adds to it. `chance` is 1 - rate of a
        share and 1 of a count; the exposures are those divided by the events' dispersion. It is asked at the limit that has fallen the most.
        """
        some, falls = self.some, np.where(self.each_fallen > 0, fallen, 0.0)
        rate, chance = np.where(some, rate, 1.0), np.where(some, chance, 1.0)
        independent = np.sum([(chance + falls) / (rate * exposure) for exposure in exposures], axis=0)
        error = (self.spread + self.each_fallen * falls) * np.sqrt(self.parts)
        own = np.where(some, error / rate / np.sqrt(independent), 1.0)
        times, known = joined(np.ones_like(own), df, own, self.df)
        return np.where(some, np.square(times), 1.0), np.where(some, known, df)

    def facts(self, unit: FloatArray) -> list[Draft | None]:
        """Say how wide each is; the spread in the scale of the limits."""
        columns = (self.some, self.spread / unit, self.df, self.assumed)
        return [
            Draft(NoiseFloorFacts, {"spread": spread, "df": df, "assumed": assumed}) if some else None
            for some, spread, df, assumed in zip(*(column.tolist() for column in columns), strict=True)
        ]


def one_against_others(baseline: int = 0, canary: int = 0) -> float:
    """Give how many variances of a pod's level the difference of the arms has; 0 pods are not named."""
    return 1 / (baseline or _OTHERS) + 1 / (canary or 1)


def part_that_lasts(floor: _Number, standard_error: _Number) -> _Number:
    """Give the part of an estimate's variance that more points do not average out."""
    share: _Number = np.minimum(1.0, (floor / np.maximum(standard_error, np.finfo(float).tiny)) ** 2)
    return share
