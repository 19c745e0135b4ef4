"""The three zones, the same for every rule: proven worse than tolerated, proven no worse, or neither yet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np

from canaryjudge.kinds import KINDS
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.findings import PassBound, intervals
from canaryjudge.rules.rows import Batch, BoolArray, ErrorRates, FloatArray, IntArray, Question, Rows, Sizes
from canaryjudge.stats.paired_shift import Effect
from canaryjudge.stats.ties import above

__all__ = [
    "Evidence",
    "EvidenceRows",
    "LimitRows",
    "Limits",
    "more_points",
    "tolerated",
    "weigh",
    "weigh_rows",
    "weigh_with",
]

_MOST_TIMES_LONGER = 100
_UNBOUNDED = (-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Limits:
    """The changes that both outcomes are proven beyond and within, as fractions of the baseline's level or in the metric's unit.

    Attributes
    ----------
    absolute : bool
        Whether the absolute part of the tolerance is the larger, and so decides.
    high, low : float or None
        The largest tolerated change upwards, and downwards (negative); None where that direction is not bad.
    pass_high, pass_low : float or None
        The changes beyond which a pass excludes harm, where they are farther.
    pass_by : {"tolerance", "stated", "usual"}
        What those are: the tolerated ones, what the policy says, or how much the baseline itself varies.
    by_estimate : bool
        A pass also wants the estimate to be tolerated.
    """

    absolute: bool
    high: float | None
    low: float | None
    pass_high: float | None = None
    pass_low: float | None = None
    pass_by: PassBound = "tolerance"
    by_estimate: bool = False

    @property
    def sides(self) -> tuple[tuple[int, float], ...]:
        """Each bad direction as +1 or -1, with its limit."""
        return tuple((sign, limit) for sign, limit in ((1, self.high), (-1, self.low)) if limit is not None)

    @property
    def pass_sides(self) -> tuple[tuple[int, float], ...]:
        """The same with the limit of a pass."""
        if self.pass_by == "tolerance":
            return self.sides
        ends = ((1, self.pass_high), (-1, self.pass_low))
        return tuple((sign, limit) for sign, limit in ends if limit is not None)

    @property
    def asked(self) -> tuple[float, ...]:
        """At which changes a test is asked: at the limit of each side, and then at its limit of a pass where that is another."""
        own = self.sides if self.pass_by == "tolerance" else (*self.sides, *self.pass_sides)
        return tuple(limit for _, limit in own)

    @property
    def at_fail(self) -> slice:
        """Which of those a fail is held against."""
        return slice(len(self.sides))

    @property
    def at_pass(self) -> slice:
        """Which of those a pass is held against."""
        return slice(-len(self.sides), None)


@dataclass(frozen=True, slots=True)
class LimitRows:
    """`Limits` of many rows, one a row; one column a bad direction, that of a rise first.

    Attributes
    ----------
    sides : tuple of int
        The bad directions.
    absolute : ndarray of bool, shape (rows,)
        As of `Limits`.
    ends, pass_ends : ndarray, shape (rows, sides)
        The largest tolerated changes, and those beyond which a pass excludes harm.
    wider : ndarray of bool, shape (rows,)
        The latter are farther.
    pass_by : {"stated", "usual"}
        What they are where they are farther.
    by_estimate : bool
        As of `Limits`, where they are farther.
    """

    sides: tuple[int, ...]
    absolute: BoolArray
    ends: FloatArray
    pass_ends: FloatArray
    wider: BoolArray
    pass_by: PassBound
    by_estimate: bool

    @classmethod
    def of(cls, rows: Rows, level: FloatArray) -> Self:
        """Give the tolerated changes at baselines' levels; where one is 0 and there is no absolute part, nothing can be said."""
        return cls.at(rows, rows.tolerance, rows.pass_within, level)

    @classmethod
    def at(
        cls, batch: Batch, tolerance: Sizes[FloatArray], within: Sizes[FloatArray], level: FloatArray
    ) -> Self:
        """Give them for sizes that are told apart from the rows."""
        size = np.abs(level)
        absolute = above(tolerance.absolute_or_zero, tolerance.relative * size) | (level == 0)
        ends, pass_ends = (_ends(part, size, absolute, batch.sides) for part in (tolerance, within))
        signs = np.array(batch.sides)
        farther = above(signs * pass_ends, signs * ends)
        by: PassBound = "stated" if batch.pass_stated else "usual"
        return cls(
            batch.sides,
            absolute,
            ends,
            np.where(farther, pass_ends, ends),
            np.asarray(farther.any(axis=-1)),
            by,
            KINDS[batch.kind].is_averaged and batch.pass_times == 1,
        )

    @classmethod
    def alone(cls, limits: Limits) -> Self:
        """Make a row of limits."""
        return cls(
            tuple(sign for sign, _ in limits.sides),
            np.array([limits.absolute]),
            np.array([[limit for _, limit in limits.sides]]),
            np.array([[limit for _, limit in limits.pass_sides]]),
            np.array([limits.pass_by != "tolerance"]),
            limits.pass_by,
            limits.by_estimate,
        )

    @property
    def signs(self) -> IntArray:
        """The bad directions as an array, shape (sides,)."""
        return np.array(self.sides)

    @property
    def asked(self) -> FloatArray:
        """At which changes a test is asked: at each limit of a fail, and then at each of a pass; shape (rows, 2 sides)."""
        return np.concatenate([self.ends, self.pass_ends], axis=-1)

    def effects(self, *, ratio: bool) -> list[tuple[Effect, BoolArray]]:
        """Tell which rows' changes are differences, and which are shares of the baseline's level, or logarithms of ratios in their place; only those that there are."""
        of_level: Effect = "ratio" if ratio else "relative"
        parts: list[tuple[Effect, BoolArray]] = [("difference", self.absolute), (of_level, ~self.absolute)]
        return [part for part in parts if part[1].any()]

    def __getitem__(self, rows: BoolArray) -> LimitRows:
        columns = {name: getattr(self, name)[rows] for name in ("absolute", "ends", "pass_ends", "wider")}
        return replace(self, **columns)

    def row(self, index: int) -> Limits:
        """Give the limits of one row."""
        (high, low), (pass_high, pass_low) = (
            (ends.get(1), ends.get(-1))
            for column in (self.ends, self.pass_ends)
            for ends in [dict(zip(self.sides, column[index].tolist(), strict=True))]
        )
        limits = Limits(absolute=bool(self.absolute[index]), high=high, low=low)
        if not self.wider[index]:
            return limits
        return replace(
            limits,
            pass_high=pass_high,
            pass_low=pass_low,
            pass_by=self.pass_by,
            by_estimate=self.by_estimate,
        )


def tolerated(question: Question, level: float) -> Limits | None:
    """Give the tolerated changes at a baseline's level; None where that is 0 and there is no absolute part, so that nothing can be said."""
    if level == 0 and math.isnan(question.tolerance.absolute):
        return None
    tolerance, within = (
        Sizes(np.array([part.relative]), np.array([part.absolute]))
        for part in (question.tolerance, question.pass_sizes)
    )
    return LimitRows.at(question, tolerance, within, np.array([level])).row(0)


def _ends(
    sizes: Sizes[FloatArray], level: FloatArray, absolute: BoolArray, sides: tuple[int, ...]
) -> FloatArray:
    """Give the largest changes in each bad direction in one scale; a fall goes down to the baseline divided by 1 + its relative part."""
    fixed = sizes.absolute_or_zero
    in_parts = fixed / np.where(absolute, 1.0, level)
    relative = {1: sizes.relative, -1: sizes.relative / (1 + sizes.relative)}
    ends = [
        sign
        * np.where(absolute, np.maximum(fixed, relative[sign] * level), np.maximum(relative[sign], in_parts))
        for sign in sides
    ]
    return np.stack(ends, axis=-1)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a test says of a change, in the scale of the limits.

    Attributes
    ----------
    estimate : float
        The change.
    pvalues : sequence of (float, float)
        At each of `Limits.asked`, for "the change is at most the limit" and "at least".
    pvalues_none : tuple of (float, float)
        The same at no change.
    fail_bounds, pass_bounds : sequence of (float, float)
        Lower and upper bound at the level of a fail (halved where both directions are bad), one entry a bad direction in the order of `Limits.sides`, as held
        against its limit; and at that of a pass, as held against `Limits.pass_sides`.
    abstains, abstains_pass : bool
        The test cannot be honest at the level of a fail, or of a pass.
    eventless : bool
        Neither arm has an event, so that bounds shrink with the points, not with their root.
    lasting : float
        The part of the estimate's variance that more points do not average out.
    """

    estimate: float
    pvalues: Sequence[tuple[float, float]]
    pvalues_none: tuple[float, float]
    fail_bounds: Sequence[tuple[float, float]]
    pass_bounds: Sequence[tuple[float, float]]
    abstains: bool = False
    abstains_pass: bool = False
    eventless: bool = False
    lasting: float = 0.0


@dataclass(frozen=True, slots=True)
class EvidenceRows:
    """`Evidence` of many rows, one a row.

    Attributes
    ----------
    estimate : ndarray, shape (rows,)
        As of `Evidence`.
    pvalues : ndarray, shape (rows, 2 sides, 2)
        At each of `LimitRows.asked`.
    pvalues_none : ndarray, shape (rows, 2)
        As of `Evidence`.
    fail_bounds, pass_bounds : ndarray, shape (rows, sides, 2)
        The same.
    abstains, abstains_pass, eventless, lasting : ndarray, shape (rows,)
        The same.
    """

    estimate: FloatArray
    pvalues: FloatArray
    pvalues_none: FloatArray
    fail_bounds: FloatArray
    pass_bounds: FloatArray
    abstains: BoolArray
    abstains_pass: BoolArray
    eventless: BoolArray
    lasting: FloatArray

    @classmethod
    def of(cls, evidence: Sequence[Evidence], limits: Sequence[Limits]) -> Self:
        """Make rows of evidence, each with its limits."""
        both = zip(evidence, limits, strict=True)
        return cls(
            np.array([each.estimate for each in evidence]),
            np.array([[*each.pvalues[own.at_fail], *each.pvalues[own.at_pass]] for each, own in both]),
            np.array([each.pvalues_none for each in evidence]),
            np.array([each.fail_bounds for each in evidence]),
            np.array([each.pass_bounds for each in evidence]),
            np.array([each.abstains for each in evidence]),
            np.array([each.abstains_pass for each in evidence]),
            np.array([each.eventless for each in evidence]),
            np.array([each.lasting for each in evidence]),
        )

    def row(self, index: int, limits: Limits) -> Evidence:
        """Give the evidence of one row, which has these limits."""
        return Evidence(
            float(self.estimate[index]),
            self.pvalues[index, : len(limits.asked)].tolist(),
            tuple(self.pvalues_none[index].tolist()),
            self.fail_bounds[index].tolist(),
            self.pass_bounds[index].tolist(),
            bool(self.abstains[index]),
            bool(self.abstains_pass[index]),
            bool(self.eventless[index]),
            float(self.lasting[index]),
        )


def weigh_rows(evidence: EvidenceRows, limits: LimitRows, rates: ErrorRates, points: int) -> dict[str, Any]:
    """Turn evidence into the facts of findings, a column each; where both directions are bad, each may fail at half the level, and a pass needs both."""
    signs, count = limits.signs, len(limits.sides)
    up, level = signs > 0, rates.level / count
    at_fail, at_pass = evidence.pvalues[:, :count], evidence.pvalues[:, count:]
    fails = np.where(up, at_fail[..., 0], at_fail[..., 1])
    passes = np.where(up, at_pass[..., 1], at_pass[..., 0])
    none = np.where(up, evidence.pvalues_none[:, :1], evidence.pvalues_none[:, 1:])
    worse = (none <= level).any(axis=1)
    pvalue, pvalue_pass = np.minimum(1.0, count * fails.min(axis=1)), passes.max(axis=1)
    estimate = evidence.estimate[:, None]
    beyond_limit = above(signs * estimate, signs * limits.ends, np.where(limits.absolute, 0.0, 1.0)[:, None])
    tolerated_estimate = ~beyond_limit.any(axis=1)
    allowed = tolerated_estimate | ~limits.wider | (not limits.by_estimate)
    failed = (pvalue <= rates.level) & ~evidence.abstains
    passed = ~failed & (np.where(allowed, pvalue_pass, 1.0) <= rates.beta) & ~evidence.abstains_pass
    silent = evidence.abstains | evidence.abstains_pass
    zones = np.select([failed, passed, silent, worse], [0, 1, 2, 3], 4).tolist()
    # what abstains bounds nothing
    unbounded = np.array(_UNBOUNDED)
    fail_bounds = np.where(evidence.abstains[:, None, None], unbounded, evidence.fail_bounds)
    pass_bounds = np.where(evidence.abstains_pass[:, None, None], unbounded, evidence.pass_bounds)
    # each end is the one held against a limit: the low end proves a fail above the upper limit, the high end a pass below it
    fail_ends, pass_ends = (
        list(zip(low.tolist(), high.tolist(), [error] * len(low), strict=True))
        for low, high, error in (
            (fail_bounds[:, 0, 0], fail_bounds[:, -1, 1], level),
            (pass_bounds[:, -1, 0], pass_bounds[:, 0, 1], rates.beta),
        )
    )
    missing: list[int | None] = [None] * len(zones)
    for row in np.flatnonzero(~failed & ~passed).tolist():
        change = float(evidence.estimate[row])
        nearest = int(np.abs(limits.ends[row] - change).argmin())
        sign, limit = limits.sides[nearest], float(limits.ends[row, nearest])
        beyond = (change - limit) * sign > 0
        limit = limit if beyond else float(limits.pass_ends[row, nearest])
        bounds = (fail_bounds if beyond else pass_bounds)[row, nearest]
        missing[row] = more_points(
            points,
            abs(limit - change),
            abs(float(bounds[0 if (sign > 0) == beyond else 1]) - change),
            1 if evidence.eventless[row] else 2,
            lasting=float(evidence.lasting[row]),
        )
    return {
        "outcome": [_ZONES[zone][0] for zone in zones],
        "reason": [_ZONES[zone][1] for zone in zones],
        "scale": ["absolute" if absolute else "relative" for absolute in limits.absolute.tolist()],
        "estimate": evidence.estimate,
        "interval": fail_ends,
        "pass_interval": pass_ends,
        **{
            name: None if sign not in limits.sides else ends[:, limits.sides.index(sign)]
            for ends, names in (
                (limits.ends, ("limit_high", "limit_low")),
                (limits.pass_ends, ("pass_high", "pass_low")),
            )
            for sign, name in zip((1, -1), names, strict=True)
        },
        "pass_by": [limits.pass_by if wider else "tolerance" for wider in limits.wider.tolist()],
        "pvalue": pvalue,
        "pvalue_pass": pvalue_pass,
        "more_points": missing,
    }


_ZONES: Final = (
    (Outcome.FAIL, Reason.PROVEN_WORSE),
    (Outcome.PASS, Reason.PROVEN_SAFE),
    (Outcome.MARGINAL, Reason.ABSTAINS),
    (Outcome.MARGINAL, Reason.WORSE_BUT_MAYBE_TOLERABLE),
    (Outcome.MARGINAL, Reason.UNDECIDED),
)


def weigh(evidence: Evidence, limits: Limits, rates: ErrorRates, points: int) -> dict[str, Any]:
    """Weigh the evidence of one pair."""
    columns = weigh_rows(EvidenceRows.of([evidence], [limits]), LimitRows.alone(limits), rates, points)
    found = {name: None if column is None else column[0] for name, column in columns.items()}
    return {
        name: value.item()
        if isinstance(value, np.generic)
        else intervals([value])[0]
        if isinstance(value, tuple)
        else value
        for name, value in found.items()
    }


def weigh_with(
    siblings: Evidence | None, evidence: Evidence, limits: Limits, rates: ErrorRates, points: int
) -> dict[str, Any]:
    """Weigh evidence of a change that counts only as far as the replicas bear it out: the larger p-value, the outer of two bounds.

    Where only the replicas leave it undecided, no number of points is missing.
    """
    alone = weigh(evidence, limits, rates, points)
    if siblings is None:
        return alone
    together = weigh(_borne_out(evidence, siblings), limits, rates, points)
    return together | {"more_points": alone["more_points"]} if together["more_points"] else together


def _borne_out(evidence: Evidence, other: Evidence) -> Evidence:
    def larger(pvalues: tuple[float, float], others: tuple[float, float]) -> tuple[float, float]:
        return max(pvalues[0], others[0]), max(pvalues[1], others[1])

    def outer(bounds: tuple[float, float], others: tuple[float, float]) -> tuple[float, float]:
        return min(bounds[0], others[0]), max(bounds[1], others[1])

    return replace(
        evidence,
        pvalues=[larger(*both) for both in zip(evidence.pvalues, other.pvalues, strict=True)],
        pvalues_none=larger(evidence.pvalues_none, other.pvalues_none),
        fail_bounds=[outer(*both) for both in zip(evidence.fail_bounds, other.fail_bounds, strict=True)],
        pass_bounds=[outer(*both) for both in zip(evidence.pass_bounds, other.pass_bounds, strict=True)],
        abstains=evidence.abstains or other.abstains,
        abstains_pass=evidence.abstains_pass or other.abstains_pass,
    )


def more_points(
    points: int, distance: float, half_width: float, power: int = 2, *, lasting: float = 0.0
) -> int | None:
    """Tell about how many more points would decide, if estimate and noise stay as they are; None where that is more than a hundred times as many.

    A half-width shrinks with the root of the points (`power` 2), or with the points (1: no events so far). That is ``points ((half_width / distance)^power - 1)``, or
    where a part L of the variance lasts ``points ((1 - L) / ((distance / half_width)^2 - L) - 1)``.

    Examples
    --------
    >>> more_points(60, distance=5.0, half_width=10.0)
    180
    >>> more_points(60, distance=5.0, half_width=10.0, lasting=0.125)
    360
    """
    if not (math.isfinite(distance) and math.isfinite(half_width)) or distance == 0:
        return None
    ratio = half_width / distance
    if not 1 < ratio <= _MOST_TIMES_LONGER:
        return None
    times = ratio**power
    if lasting:
        left = ratio**-power - lasting
        times = (1 - lasting) / left if left > 0 else math.inf
    return math.ceil(points * (times - 1)) if times <= _MOST_TIMES_LONGER else None
