"""Gauges whose arms share the clock, compared minute by minute: what both arms feel at one time is in neither's difference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from canaryjudge.kinds import KINDS
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.decision import Evidence, Limits, tolerated
from canaryjudge.rules.findings import Waiver
from canaryjudge.rules.noise_floor import Floor, falls, floor_of, part_that_lasts
from canaryjudge.rules.registry import Columns
from canaryjudge.rules.replicas import Yardstick, least, yardstick
from canaryjudge.rules.rows import Arm, FloatArray, Pair, Rows
from canaryjudge.stats.paired_shift import (
    FEWEST_FOR_A_LEVEL,
    FEWEST_FOR_GROSS_HARM,
    Effect,
    PairedTest,
    over_replicas,
    paired_changes,
    paired_test,
)
from canaryjudge.stats.replicas import joined

__all__ = ["FEWEST_MINUTES", "compare_minutes", "shares_minutes"]

FEWEST_MINUTES: Final = FEWEST_FOR_GROSS_HARM
_FEW = 20
_DF, _FEW_TIMES = 8.0, 3.0**0.5
"""Degrees of freedom of the minutes' standard error; under 20 minutes there are fewer, and it counts as for an autocorrelation of .5, which is assumed there."""
_PROVEN_POINTS, _PROVEN_RHO = (10, 30, 60, 120), (0.5, 0.7, 0.8, 0.9)
"""Up to which autocorrelation so many points keep the error rates, by simulation (tests/guarantees)."""


def shares_minutes(rows: Rows) -> bool:
    """Tell whether the arms have a level in each minute, and in the same ones."""
    return rows.concurrent and KINDS[rows.kind].is_averaged


def compare_minutes(rows: Rows, found: Columns, level: FloatArray) -> None:
    """Judge the open rows, whose baselines have these medians: beyond the tolerance, within it, or neither; of fewer minutes than are needed gross harm alone."""
    n = rows.canary.points
    ratio = rows.logarithmic or rows.minute_ratios
    if ratio:
        found.settle(
            (least(rows) < 0) | ((level == 0) & rows.logarithmic),
            Outcome.MARGINAL,
            Reason.ABSTAINS,
            method="not_positive",
        )
    nothing_tolerated = (level == 0) & np.isnan(rows.tolerance.absolute)
    found.settle(nothing_tolerated, Outcome.MARGINAL, Reason.NEEDS_ABSOLUTE_TOLERANCE)
    if n < FEWEST_FOR_GROSS_HARM:
        found.settle(found.open, Outcome.MARGINAL, Reason.TOO_LITTLE_DATA)
        return
    asked = [
        _Asked.of(pair, middle, ratio=ratio)
        for pair, middle in zip(rows[found.open], level[found.open].tolist(), strict=True)
    ]
    minutes = [_Minutes.of(each, tests) for each, tests in zip(asked, _tests(asked), strict=True)]
    needed = max(rows.min_points, FEWEST_FOR_A_LEVEL)
    if n < needed:
        gross = np.zeros(len(rows), dtype=np.bool_)
        gross[found.open] = [each.proves_harm for each in minutes]
        found.put(pvalue=[each.pvalue for each in minutes], pvalue_pass=1.0)
        found.settle(
            ~gross,
            Outcome.MARGINAL,
            Reason.TOO_LITTLE_DATA,
            method="pairs",
            more_points=needed - n,
        )
        minutes = [each for each in minutes if each.proves_harm]
    found.put(
        method="pairs",
        statistic=[each.statistic for each in minutes],
        probability_worse=[each.part_worse for each in minutes],
        autocorrelation=[float(each.test.rho) for each in minutes],
        waived=[each.waived for each in minutes],
        replicas=[each.siblings.facts(1.0) if each.siblings else None for each in minutes],
        noise_floor=[
            each.asked.floor.facts(each.asked.unit) if each.asked.floor else None for each in minutes
        ],
    )
    found.zones(
        rows[found.open],
        [each.asked.limits for each in minutes],
        [each.evidence for each in minutes],
        [each.siblings.evidence(each.told, each.asked.limits) if each.siblings else None for each in minutes],
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one row is asked.

    Attributes
    ----------
    pair : Pair
        The row.
    limits : Limits
        What is tolerated.
    effect : {"ratio", "relative", "difference"}
        What is compared.
    unit : float
        What the metric's unit is divided by to be that of the effect.
    floor : Floor or None
        The noise floor.
    baseline, canary : ndarray, shape (n,)
        Points of the arms.
    at : ndarray, shape (k,)
        What is asked of the limits, in the effect's unit.
    scales, lasts : ndarray, shape (k + 1,)
        At each, and at no change: what the spread of the baseline's pods is multiplied by, and the noise floor.
    """

    pair: Pair
    limits: Limits
    effect: Effect
    unit: float
    floor: Floor | None
    baseline: FloatArray
    canary: FloatArray
    at: FloatArray
    scales: FloatArray
    lasts: FloatArray

    @classmethod
    def of(cls, pair: Pair, level: float, *, ratio: bool) -> _Asked:
        """Ask a row whose baseline has this median."""
        limits = tolerated(pair, level)
        assert limits is not None  # noqa: S101 - rows of which nothing can be said are settled
        effect: Effect = "difference" if limits.absolute else "ratio" if ratio else "relative"
        unit, floor = 1.0 if limits.absolute else abs(level), floor_of(pair, level)
        at = np.array([np.log1p(limit) if effect == "ratio" else limit for limit in limits.asked])
        # what the baseline's pods differ by is as many times as large at the limit; of logarithms it is not
        scales = np.append(1 + at, 1.0) if effect == "relative" else np.ones(len(at) + 1)
        lasts = (
            np.zeros_like(scales)
            if floor is None
            else floor.noise(scales, falls(limits, level), unit).standard_error
        )
        baseline, canary = (_points(pair, arm, effect) for arm in pair.arms)
        return cls(pair, limits, effect, unit, floor, baseline, canary, at, scales, lasts)

    @property
    def lasts_df(self) -> float:
        """Degrees of freedom with which the noise floor is known."""
        return np.inf if self.floor is None else self.floor.df

    def at_side(self, side: int) -> list[int]:
        """Give where the limits of a fail and of a pass of one direction stand, and no change."""
        places = np.arange(len(self.at))
        return [side, int(places[self.limits.at_pass][side]), -1]

    @property
    def levels(self) -> tuple[float, float]:
        """Error rates of the bounds."""
        return self.pair.rates.level / len(self.limits.sides), self.pair.rates.beta


def _tests(asked: list[_Asked]) -> list[tuple[PairedTest, ...]]:
    """Test rows of one effect together, each bad direction as a rise, at its limits of a fail and of a pass and at no change."""
    found: list[tuple[PairedTest, ...]] = [()] * len(asked)
    for effect in dict.fromkeys(each.effect for each in asked):
        places = [place for place, each in enumerate(asked) if each.effect == effect]
        rows = [asked[place] for place in places]
        baseline, canary = np.stack([row.baseline for row in rows]), np.stack([row.canary for row in rows])
        for side, (sign, _) in enumerate(rows[0].limits.sides):
            arms = baseline, canary
            if sign < 0:
                arms = (canary, baseline) if effect == "ratio" else (-baseline, -canary)
            test = paired_test(
                *arms,
                np.array([sign * np.append(row.at, 0.0)[row.at_side(side)] for row in rows]),
                effect=effect,
                levels=rows[0].levels,
                lasting=np.array([row.lasts[row.at_side(side)] for row in rows]),
                lasting_df=np.array([[row.lasts_df] for row in rows]),
                fewest=rows[0].pair.min_points,
            )
            for index, place in enumerate(places):
                found[place] = (*found[place], test.row(index))
    return found


@dataclass(frozen=True, slots=True)
class _Minutes:
    """One row, asked at its limits and at no change.

    Attributes
    ----------
    asked : _Asked
        What it was asked.
    changes : ndarray, shape (n,)
        The change of each minute.
    tests : tuple of PairedTest
        One a bad direction, each for a rise: of a fall that of the arms turned round. The last limit of the first is no change.
    siblings : Yardstick or None
        What the replicas say.
    """

    asked: _Asked
    changes: FloatArray
    tests: tuple[PairedTest, ...]
    siblings: Yardstick | None

    @classmethod
    def of(cls, asked: _Asked, tests: tuple[PairedTest, ...]) -> _Minutes:
        """Put together what the minutes and the replicas say."""
        pair, effect, n = asked.pair, asked.effect, len(asked.pair.canary)
        at_limits = [test.standard_error[at] for at in _asked_at(asked.limits) for test in tests]
        errors = np.array([*at_limits, tests[0].standard_error[-1]])
        few = n < _FEW
        own = np.sqrt(np.maximum(errors**2 - asked.lasts**2, 0.0)) * (_FEW_TIMES if few else 1.0)
        noise, noise_df = joined(own, n - 1.0 if few else _DF, asked.lasts, asked.lasts_df)
        siblings = yardstick(
            pair,
            partial(_level_of, pair, effect),
            np.append(asked.at, 0.0),
            levels=asked.levels,
            scales=asked.scales,
            noise=noise,
            noise_df=np.broadcast_to(noise_df, noise.shape),
        )
        changes = paired_changes(asked.baseline, asked.canary, effect)
        return cls(asked, changes, tests, siblings)

    @property
    def test(self) -> PairedTest:
        """The test of the first bad direction."""
        return self.tests[0]

    @property
    def pvalue(self) -> float:
        """For "no worse than tolerated"."""
        return min(1.0, len(self.tests) * min(float(test.pvalue_greater[0]) for test in self.tests))

    @property
    def proves_harm(self) -> bool:
        """Whether the minutes alone prove more than is tolerated."""
        return self.pvalue <= self.asked.pair.rates.level

    @property
    def statistic(self) -> float:
        """How many standard errors the estimate lies beyond the first limit."""
        limit = self.asked.limits.sides[0][1]
        at = float(np.log1p(limit)) if self.asked.effect == "ratio" else limit
        error = float(self.test.standard_error[0])
        return (self._signed(self.test.estimate) - at) / error if error else float(np.nan)

    @property
    def part_worse(self) -> float:
        """In what part of the minutes the canary is worse, ties counted half."""
        sign = self.asked.limits.sides[0][0]
        return float(np.mean((np.sign(sign * self.changes) + 1) / 2))

    @property
    def waived(self) -> tuple[Waiver, ...]:
        """Guarantees that such minutes do not give."""
        n, rho = len(self.changes), float(self.test.rho)
        proven = n < FEWEST_FOR_A_LEVEL or rho <= np.interp(n, _PROVEN_POINTS, _PROVEN_RHO)
        own: tuple[Waiver, ...] = () if proven else ("outside_proven_range",)
        return tuple(dict.fromkeys((*own, *(self.siblings.waived if self.siblings else ()))))

    def told(self, change: Any) -> float:
        """Put a change into the scale of the limits."""
        with np.errstate(over="ignore"):
            return float(np.expm1(change)) if self.asked.effect == "ratio" else float(change)

    def _signed(self, change: Any) -> float:
        """Turn a change that was found of the first direction into a rise."""
        return self.asked.limits.sides[0][0] * float(change)

    @property
    def evidence(self) -> Evidence:
        """What the minutes say, in the scale of the limits."""
        told, sides = self.told, list(zip(self.asked.limits.sides, self.tests, strict=True))

        def pvalues(sign: int, test: PairedTest, at: int) -> tuple[float, float]:
            both = float(test.pvalue_greater[at]), float(test.pvalue_less[at])
            return both if sign > 0 else both[::-1]

        def bounds(which: int) -> list[tuple[float, float]]:
            ends = (
                (sign, float(test.low[which, which]), float(test.high[which, which]))
                for (sign, _), test in sides
            )
            return [
                (told(low), told(high)) if sign > 0 else (told(-high), told(-low)) for sign, low, high in ends
            ]

        abstains = bool(self.test.abstains)
        return Evidence(
            estimate=told(self._signed(self.test.estimate)),
            pvalues=[
                pvalues(sign, test, at) for at in _asked_at(self.asked.limits) for (sign, _), test in sides
            ],
            pvalues_none=pvalues(self.asked.limits.sides[0][0], self.test, -1),
            fail_bounds=bounds(0),
            pass_bounds=bounds(1),
            abstains=abstains and not self.proves_harm,
            abstains_pass=abstains,
            lasting=0.0
            if self.asked.floor is None
            else part_that_lasts(
                self.asked.floor.standard_error / self.asked.unit, float(self.test.standard_error[-1])
            ),
        )


def _asked_at(limits: Limits) -> tuple[int, ...]:
    """Give which limits of each test are asked: that of a fail, and that of a pass where it is another."""
    return (0,) if limits.pass_by == "tolerance" else (0, 1)


def _points(pair: Pair, arm: Arm, effect: Effect) -> FloatArray:
    """Give an arm's level in each minute: of ratios the geometric mean of its replicas, which says the same of ten noisy ones as of one."""
    if effect != "ratio" or len(arm.replicas) < 2:
        return arm.levels
    columns = [_in_minutes(pair, arm, replica) for replica in arm.replicas]
    if any(column is None for column in columns):
        return arm.levels
    together = over_replicas(np.stack([column for column in columns if column is not None], axis=-1), effect)
    return np.where(np.isnan(together), arm.levels, together)


def _in_minutes(pair: Pair, arm: Arm, replica: Arm) -> FloatArray | None:
    """Give a replica's level in each minute of an arm, NaN where it has none; None where nothing says which minute is which."""
    n = len(arm)
    if arm.time is None or replica.time is None or pair.interval is None:
        return replica.levels if len(replica) == n and n > 1 else None
    place = np.clip(arm.time.searchsorted(replica.time - pair.interval / 2), 0, n - 1)
    inside = np.abs(arm.time[place] - replica.time) <= pair.interval / 2
    sums, counts = np.zeros(n), np.zeros(n)
    np.add.at(sums, place[inside], replica.levels[inside])
    np.add.at(counts, place[inside], 1.0)
    return np.asarray(np.divide(sums, counts, out=np.full(n, np.nan), where=counts > 0))


def _level_of(pair: Pair, effect: Effect, replica: Arm) -> float:
    """Give a replica's level beside the baseline's of the same minutes, in the effect's unit."""
    own = _in_minutes(pair, pair.canary, replica)
    beside = pair.baseline.levels
    if own is None:
        own, beside = np.array([np.median(replica.levels)]), np.array([beside.mean()])
    there = ~np.isnan(own)
    if not there.any():
        return 0.0
    own, beside = own[there], beside[there]
    if effect == "relative":
        size = abs(float(np.median(beside))) or abs(float(pair.baseline.levels.mean()))
        return float(np.median(own)) / (size or 1.0)
    return float(
        np.median(paired_changes(np.maximum(beside, 0.0) if effect == "ratio" else beside, own, effect))
    )
