"""Gauges whose arms share the clock, compared minute by minute: what both arms feel at one time is in neither's difference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from canaryjudge.kinds import KINDS
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.decision import EvidenceRows, LimitRows, Limits
from canaryjudge.rules.findings import Waiver
from canaryjudge.rules.noise_floor import FloorRows, falls, part_that_lasts
from canaryjudge.rules.registry import Columns
from canaryjudge.rules.replicas import Yardstick, least, yardstick
from canaryjudge.rules.rows import Arm, Arms, BoolArray, FloatArray, Pair, Rows
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
    if not found.open.any():
        return
    asked, level = rows[found.open], level[found.open]
    minutes = _Minutes.of(asked, LimitRows.of(asked, level), level, ratio=ratio)
    needed = max(rows.min_points, FEWEST_FOR_A_LEVEL)
    if n < needed:
        harm = minutes.pvalue <= rows.rates.level
        gross = np.zeros(len(rows), dtype=np.bool_)
        gross[found.open] = harm
        found.put(pvalue=minutes.pvalue, pvalue_pass=1.0)
        found.settle(
            ~gross,
            Outcome.MARGINAL,
            Reason.TOO_LITTLE_DATA,
            method="pairs",
            more_points=needed - n,
        )
        if not harm.any():
            return
        minutes = minutes[harm]
    siblings = [minutes.siblings(row) for row in range(len(minutes.pvalue))]
    limits, floor, unproven = minutes.limits, minutes.floor, minutes.outside_proven_range.tolist()
    found.put(
        method="pairs",
        statistic=minutes.statistic,
        probability_worse=minutes.part_worse,
        autocorrelation=minutes.rho,
        waived=[
            tuple(dict.fromkeys((*_UNPROVEN[outside], *(known.waived if known else ()))))
            for outside, known in zip(unproven, siblings, strict=True)
        ],
        replicas=[known.facts(1.0) if known else None for known in siblings],
        noise_floor=floor.facts(minutes.unit),
    )
    found.zones(
        minutes.rows,
        limits,
        minutes.evidence,
        [
            known.evidence(partial(minutes.told_of_row, row), limits.row(row)) if known else None
            for row, known in enumerate(siblings)
        ],
    )


_UNPROVEN: Final[tuple[tuple[Waiver, ...], ...]] = ((), ("outside_proven_range",))


@dataclass(frozen=True, slots=True)
class _Minutes:
    """Rows, asked at their limits and at no change; s bad directions.

    Attributes
    ----------
    rows : Rows
        The rows.
    limits : LimitRows
        What is tolerated.
    logs : ndarray of bool, shape (rows,)
        Changes are compared on logarithms.
    unit : ndarray, shape (rows,)
        What the metric's unit is divided by to be that of the effect.
    floor : FloorRows
        The noise floor.
    at : ndarray, shape (rows, 2 s)
        What is asked of the limits, in the effect's unit.
    scales, lasts : ndarray, shape (rows, 2 s + 1)
        At each, and at no change: what the spread of the baseline's pods is multiplied by, and the noise floor.
    changes : ndarray, shape (rows, n)
        The change of each minute.
    tests : tuple of PairedTest
        One a bad direction, each for a rise: of a fall that of the arms turned round. Each is asked at the limit of a fail, at that of a pass and at no change.
    """

    rows: Rows
    limits: LimitRows
    logs: BoolArray
    unit: FloatArray
    floor: FloorRows
    at: FloatArray
    scales: FloatArray
    lasts: FloatArray
    changes: FloatArray
    tests: tuple[PairedTest, ...]

    @classmethod
    def of(cls, rows: Rows, limits: LimitRows, level: FloatArray, *, ratio: bool) -> _Minutes:
        """Ask rows whose baselines have these medians."""
        sides, absolute = len(limits.sides), limits.absolute
        logs = ~absolute & ratio
        unit, floor = np.where(absolute, 1.0, np.abs(level)), FloorRows.of(rows, level)
        with np.errstate(invalid="ignore"):
            at = np.where(logs[:, None], np.log1p(np.where(logs[:, None], limits.asked, 0.0)), limits.asked)
        # what the baseline's pods differ by is as many times as large at the limit; of logarithms it is not
        by_share = (~absolute & ~logs)[:, None]
        scales = np.concatenate([np.where(by_share, 1 + at, 1.0), np.ones((len(at), 1))], axis=1)
        lasts = floor.noise(scales, falls(limits, level), unit)
        changes = np.empty((len(at), rows.canary.points))
        parts: list[tuple[BoolArray, list[PairedTest]]] = []
        for effect, chosen in limits.effects(ratio=ratio):
            baseline, canary = (_points(rows, arms, chosen, effect) for arms in (rows.baseline, rows.canary))
            changes[chosen] = paired_changes(baseline, canary, effect)
            tests = []
            for side, sign in enumerate(limits.sides):
                turned = baseline, canary
                if sign < 0:
                    turned = (canary, baseline) if effect == "ratio" else (-baseline, -canary)
                places = [side, sides + side]
                tests.append(
                    paired_test(
                        turned[0],
                        turned[1],
                        sign * np.append(at[chosen][:, places], np.zeros((int(chosen.sum()), 1)), axis=1),
                        effect=effect,
                        levels=(rows.rates.level / sides, rows.rates.beta),
                        lasting=lasts[chosen][:, [*places, -1]],
                        lasting_df=floor.df[chosen][:, None],
                        fewest=rows.min_points,
                        wary=rows.horizon.staged == "stage",
                    )
                )
            parts.append((chosen, tests))
        joined_tests = tuple(
            PairedTest.joined([(chosen, tests[side]) for chosen, tests in parts]) for side in range(sides)
        )
        return cls(rows, limits, logs, unit, floor, at, scales, lasts, changes, joined_tests)

    def __getitem__(self, rows: BoolArray) -> _Minutes:
        names = [name for name in _Minutes.__slots__ if name != "tests"]
        own = {name: getattr(self, name)[rows] for name in names}
        return _Minutes(**own, tests=tuple(test[rows] for test in self.tests))

    @property
    def pvalue(self) -> FloatArray:
        """For "no worse than tolerated"."""
        least = np.min([test.pvalue_greater[:, 0] for test in self.tests], axis=0)
        return np.asarray(np.minimum(1.0, len(self.tests) * least))

    @property
    def rho(self) -> FloatArray:
        """Lag-1 autocorrelation of the changes."""
        return self.tests[0].rho

    @property
    def statistic(self) -> FloatArray:
        """How many standard errors the estimate lies beyond the first limit; NaN without any."""
        error = self.tests[0].standard_error[:, 0]
        beyond = self._signed(self.tests[0].estimate) - self.at[:, 0]
        return np.divide(beyond, error, out=np.full_like(error, np.nan), where=error != 0)

    @property
    def part_worse(self) -> FloatArray:
        """In what part of the minutes the canary is worse, ties counted half."""
        return np.asarray(((np.sign(self.limits.sides[0] * self.changes) + 1) / 2).mean(axis=1))

    @property
    def outside_proven_range(self) -> BoolArray:
        """Whether the guarantees do not reach to so few minutes that depend on each other so."""
        n = self.changes.shape[1]
        return np.asarray((n >= FEWEST_FOR_A_LEVEL) & (self.rho > np.interp(n, _PROVEN_POINTS, _PROVEN_RHO)))

    def _signed(self, change: FloatArray) -> FloatArray:
        """Turn a change that was found of the first direction into a rise."""
        return self.limits.sides[0] * change

    def _told(self, change: FloatArray) -> FloatArray:
        """Put changes, one a row or several, into the scale of the limits."""
        logs = self.logs.reshape(-1, *(1,) * (change.ndim - 1))
        with np.errstate(over="ignore", invalid="ignore"):
            return np.where(logs, np.expm1(np.where(logs, change, 0.0)), change)

    def told_of_row(self, row: int, change: float) -> float:
        """Put a change of one row into the scale of its limits."""
        with np.errstate(over="ignore"):
            return float(np.expm1(change)) if self.logs[row] else float(change)

    @property
    def evidence(self) -> EvidenceRows:
        """What the minutes say, in the scale of the limits."""
        limits, first = self.limits, self.tests[0]

        def pvalues(at: int) -> list[FloatArray]:
            both = [
                np.stack([test.pvalue_greater[:, at], test.pvalue_less[:, at]], axis=-1)
                for test in self.tests
            ]
            return [
                each if sign > 0 else each[:, ::-1] for sign, each in zip(limits.sides, both, strict=True)
            ]

        def bounds(which: int) -> FloatArray:
            ends = [
                np.stack([test.low[:, which, which], test.high[:, which, which]], axis=-1)
                for test in self.tests
            ]
            turned = [
                each if sign > 0 else -each[:, ::-1] for sign, each in zip(limits.sides, ends, strict=True)
            ]
            return self._told(np.stack(turned, axis=1))

        proven = self.pvalue <= self.rows.rates.level
        lasting = part_that_lasts(self.floor.standard_error / self.unit, first.standard_error[:, -1])
        return EvidenceRows(
            estimate=self._told(self._signed(first.estimate)),
            pvalues=np.stack([*pvalues(0), *pvalues(1)], axis=1),
            pvalues_none=pvalues(-1)[0],
            fail_bounds=bounds(0),
            pass_bounds=bounds(1),
            abstains=first.abstains & ~proven,
            abstains_pass=first.abstains,
            eventless=np.zeros_like(proven),
            lasting=np.where(self.floor.some, lasting, 0.0),
        )

    def siblings(self, row: int) -> Yardstick | None:
        """Give what the replicas of a row say."""
        if not (self.rows.baseline.replicas[row] or self.rows.canary.replicas[row]):
            return None
        pair, limits, n = self.rows.pair(row), self.limits.row(row), self.changes.shape[1]
        effect: Effect = "difference" if limits.absolute else "ratio" if self.logs[row] else "relative"
        asked = [*range(len(limits.asked)), -1]
        at_limits = [test.standard_error[row, at] for at in _asked_at(limits) for test in self.tests]
        errors, lasts = np.array([*at_limits, self.tests[0].standard_error[row, -1]]), self.lasts[row, asked]
        few = n < _FEW
        own = np.sqrt(np.maximum(errors**2 - lasts**2, 0.0)) * (_FEW_TIMES if few else 1.0)
        noise, noise_df = joined(own, n - 1.0 if few else _DF, lasts, float(self.floor.df[row]))
        return yardstick(
            pair,
            partial(_level_of, pair, effect),
            np.array([*self.at[row, asked[:-1]], 0.0]),
            levels=(pair.rates.level / len(limits.sides), pair.rates.beta),
            scales=self.scales[row, asked],
            noise=noise,
            noise_df=np.broadcast_to(noise_df, noise.shape),
        )


def _asked_at(limits: Limits) -> tuple[int, ...]:
    """Give which limits of each test are asked: that of a fail, and that of a pass where it is another."""
    return (0,) if limits.pass_by == "tolerance" else (0, 1)


def _points(rows: Rows, arms: Arms, chosen: BoolArray, effect: Effect) -> FloatArray:
    """Give the chosen rows' level in each minute: of ratios the geometric mean of an arm's replicas, which says the same of ten noisy ones as of one."""
    levels = arms.levels[chosen]
    if effect == "ratio" and arms.replicated:
        for index, row in enumerate(np.flatnonzero(chosen).tolist()):
            levels[index] = _over_replicas(rows.pair(row), arms.row(row), effect)
    return levels


def _over_replicas(pair: Pair, arm: Arm, effect: Effect) -> FloatArray:
    """Take an arm's replicas together, minute by minute."""
    if len(arm.replicas) < 2:
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
