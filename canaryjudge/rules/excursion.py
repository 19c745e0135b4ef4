"""Judge points of the canary that lie far beyond everything that the baseline shows: bursts leave the median where it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, NamedTuple

import numpy as np
from scipy.special import betaincinv, gammainccinv, gammaincinv, stdtrit

from canaryjudge.kinds import KINDS
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.findings import EffectFinding, Number
from canaryjudge.rules.noise_floor import FloorRows
from canaryjudge.rules.registry import Columns, rule
from canaryjudge.rules.replicas import lasting
from canaryjudge.rules.rows import BoolArray, FloatArray, IntArray, Rows, Sizes
from canaryjudge.rules.settings import RuleSettings
from canaryjudge.settings import RelativeTolerance
from canaryjudge.stats.excursions import excursion_pvalue, excursion_test
from canaryjudge.stats.quantiles import medians
from canaryjudge.stats.ties import about, above

__all__ = ["Excursion", "ExcursionFinding"]

_FEWEST_POINTS = 6
"""Fewer points of the baseline show too little to lie beyond."""
_PROVEN_POINTS = 30
_PROVEN_EFFECTIVE_POINTS = 4.0
"""The rate of false fails is proven by simulation down to these numbers of baseline points (tests/guarantees)."""
_DOUBT = 1e-3
"""How often an interval's events prove more than they should."""
_NONE = 1e-12
_KNOWN = 1e12
"""Degrees of freedom of what is known for certain."""
_FAR = 20.0
"""A single point so many times farther out than is tolerated (by default ten times the baseline's level beyond its worst point) is suspicious by itself: of recorded healthy
windows that pass one in a hundred has one, of faults that would pass one in eleven."""


class Excursion(RuleSettings):
    """Do points of the canary (of ratios and counts: its intervals' shares and rates) lie far beyond everything that the baseline shows? Bursts leave the median where it was, and make the noise that hides them."""

    kinds: ClassVar[tuple[str, ...]] = ("gauge", "ratio", "count")

    rule: Literal["excursion"] = "excursion"
    """The rule's name."""
    tolerance: RelativeTolerance = 0.5
    """How far points may lie beyond the baseline's worst one, relative to its median. The metric's own tolerance counts where it is the larger."""

    @property
    def weight(self) -> float:
        """Its part of the metric's alpha: a tenth of what a rule about the level takes."""
        return 0.1


class ExcursionFinding(EffectFinding):
    """How many points of the canary lie beyond everything that the baseline shows.

    Estimate and limit are distances from the baseline's worst point, which is `baseline_level`.
    """

    rule: Literal["excursion"]
    """The rule's name."""
    beyond: Number = None
    """The bound beyond which points count, in the metric's unit."""
    points_beyond: int | None = None
    """How many points of the canary lie beyond that bound; None where there are too few points to ask."""
    beyond_from: Number = None
    """When the first of them was, in seconds since 1970; None without times."""
    beyond_until: Number = None
    """When the last of them was."""
    among_first: int | None = None
    """All of them are among so many first points of the canary."""


@rule(Excursion, ExcursionFinding)
def judge(rows: Rows, settings: Excursion, found: Columns) -> None:
    """Judge whether points of the canary lie beyond the baseline's worst one, by more than tolerated.

    It fails where that is proven; not where the baseline's median is 0 and no absolute tolerance says what that would be. Nothing proves that there
    are none: a pass has the reason `nothing_found`, and where so many points lie out there that independent points would hardly, or one lies farther out by
    far, it is marginal, `suspected`.
    """
    if min(rows.baseline.points, rows.canary.points) < _FEWEST_POINTS:
        found.settle(found.open, Outcome.PASS, Reason.NOTHING_FOUND)
        return
    independent = np.array([_share_of_replicas(rows, row) for row in range(len(rows))])
    room, parts = _room(rows)
    looked = [_Looked.at(rows, sign) for sign in rows.sides]
    sides = [_Side.of(side, side.margin(rows.tolerance, settings, room), independent) for side in looked]
    pvalues = np.stack([side.pvalue for side in sides], axis=1)
    which = pvalues.argmin(axis=1)
    pvalue = np.minimum(1.0, parts * pvalues.min(axis=1))
    suspicion = np.minimum(1.0, len(sides) * np.min([side.suspicion for side in sides], axis=0))
    suspicion = np.where(np.any([side.far for side in sides], axis=0), 0.0, suspicion)
    # of a baseline around 0 no share is a tolerance: what is beyond it is suspicious, and to be judged by an absolute one
    tolerates = (rows.tolerance.absolute_or_zero > 0) | np.all([side.level != 0 for side in looked], axis=0)
    failed = (pvalue <= rows.rates.level) & tolerates
    suspected = np.minimum(pvalue, suspicion) <= rows.rates.beta
    zones = np.select([failed, suspected], [0, 1], 2).tolist()
    rho, n = np.array([side.rho for side in sides])[which, np.arange(len(rows))], rows.baseline.points
    thin = (n < _PROVEN_POINTS) | (n * (1 - rho) / (1 + rho) < _PROVEN_EFFECTIVE_POINTS)
    found.put(
        pvalue=pvalue,
        pvalue_pass=1.0,
        outcome=[_ZONES[zone][0] for zone in zones],
        reason=[_ZONES[zone][1] for zone in zones],
        method="precedence",
        waived=[("outside_proven_range",) if unproven else () for unproven in (thin & failed).tolist()],
    )
    for number, side in enumerate(sides):
        chosen = which == number
        found.revise(chosen, scale="absolute", **side.columns())
        beyond = chosen & (side.beyond > 0)
        if beyond.any():
            found.revise(beyond, **side.when(rows, beyond))
    found.conclude()


_ZONES: Final = (
    (Outcome.FAIL, Reason.PROVEN_WORSE),
    (Outcome.MARGINAL, Reason.SUSPECTED),
    (Outcome.PASS, Reason.NOTHING_FOUND),
)


def _room(rows: Rows) -> tuple[FloatArray, IntArray]:
    """Give how much worse a healthy arm's level may be than the other's, as far as a noise floor has measured it, as a part of the level; and in how many parts the level of the test is shared out."""
    sides, level = len(rows.sides), np.abs(medians(rows.baseline.levels))
    floor = FloorRows.of(rows, level)
    measured = floor.some & ~floor.assumed & (level > 0)
    # half of the level for the floor, half for the points
    times = -stdtrit(np.minimum(floor.df, _KNOWN), rows.rates.level / (2 * sides))
    room = times * floor.standard_error / np.where(measured, level, 1.0)
    return np.where(measured, room, 0.0), np.where(measured, 2 * sides, sides)


def _share_of_replicas(rows: Rows, row: int) -> float:
    """Give what share of a row's points is independent at most: a replica that differs from its siblings is one observation, not all its points."""
    arms = [
        (lasting(arms.replicas[row]), arms.points)
        for arms in (rows.baseline, rows.canary)
        if arms.replicas[row]
    ]
    return min((max(1, len(replicas)) / points for replicas, points in arms), default=1.0)


@dataclass(frozen=True, slots=True)
class _Looked:
    """The points as they are asked: larger is worse.

    Attributes
    ----------
    sign : int
        1 where a rise is bad, -1 where a fall is.
    baseline, canary : ndarray, shapes (rows, n) and (rows, m)
        The points. Of ratios and counts they are the intervals' shares (of failures, where the share of successes falls) and rates, and of the canary what the
        interval's events prove at least: of little traffic, a share is large by chance.
    raw : ndarray, shape (rows, m)
        The canary's, as they are.
    level : ndarray, shape (rows,)
        The baseline's median.
    of_failures : bool
        They are what lacks to 1.
    """

    sign: int
    baseline: FloatArray
    canary: FloatArray
    raw: FloatArray
    level: FloatArray
    of_failures: bool = False

    @classmethod
    def at(cls, rows: Rows, sign: int) -> _Looked:
        """Look at rows in one direction."""
        arms = rows.baseline, rows.canary
        if KINDS[rows.kind].is_measured:
            baseline, canary = (sign * arm.value for arm in arms)
            return cls(sign, baseline, canary, canary, medians(baseline))
        totals = [arm.exposures for arm in arms]
        failures = KINDS[rows.kind].is_share and sign < 0
        events = [
            total - arm.value if failures else arm.value for arm, total in zip(arms, totals, strict=True)
        ]
        rates = [sign * count / total for count, total in zip(events, totals, strict=True)]
        if failures:
            rates = [-rate for rate in rates]
        least = _at_least(rows.kind, events[1], totals[1], sign)
        return cls(sign, rates[0], least, rates[1], medians(rates[0]), failures)

    def shown(self, value: FloatArray) -> FloatArray:
        """Give numbers as the metric has them."""
        return 1 - value if self.of_failures else self.sign * value

    def margin(self, tolerance: Sizes[FloatArray], settings: Excursion, room: FloatArray) -> FloatArray:
        """Give what is tolerated beyond the baseline's worst point: a canary that is worse by no more than its level may be has its worst points worse as well, and so has one whose level differs by `room` though nothing is wrong."""
        worst, level = np.abs(self.shown(self.baseline.max(axis=1))), np.abs(self.shown(self.level))
        largest = np.maximum(worst, level)
        parts = (
            settings.tolerance * np.abs(self.level),
            tolerance.relative * largest,
            tolerance.absolute_or_zero,
        )
        return np.asarray(np.max(parts, axis=0) + room * largest)


def _at_least(kind: str, events: FloatArray, totals: FloatArray, sign: int) -> FloatArray:
    """Bound the intervals' shares or rates by their events alone (Clopper and Pearson; Garwood), on the side that proves least."""
    some = np.maximum(events, _NONE)
    if KINDS[kind].is_share:  # of failures where a fall is bad
        return np.where(events > 0, betaincinv(some, totals - events + 1, _DOUBT), 0.0)
    if sign > 0:
        return np.where(events > 0, gammaincinv(some, _DOUBT), 0.0) / totals
    return -gammainccinv(events + 1, _DOUBT) / totals


class _Side(NamedTuple):
    """What lies out in one direction, one entry a row."""

    looked: _Looked
    margin: FloatArray
    """What is tolerated."""
    pvalue: FloatArray
    suspicion: FloatArray
    """The p-value were points independent, by their number alone."""
    far: BoolArray
    """Whether a point lies out so far that there need be no other."""
    worst: FloatArray
    """The baseline's worst point."""
    deciding: FloatArray
    """The canary's point that decides."""
    beyond: IntArray
    """How many points lie out there."""
    rho: FloatArray
    """The autocorrelation that was allowed for."""

    @classmethod
    def of(cls, looked: _Looked, margin: FloatArray, independent: FloatArray) -> _Side:
        """Ask about one direction."""
        test = excursion_test(looked.baseline, looked.canary, margin[:, None], most_independent=independent)
        worst, sizes = looked.baseline.max(axis=1), (looked.baseline.shape[1], looked.canary.shape[1])
        order, beyond = np.maximum(test.order[:, 0], 1), test.beyond[:, 0]
        deciding = np.take_along_axis(np.sort(looked.raw, axis=1), -order[:, None], axis=1)[:, 0]
        suspicion = np.ones(len(beyond))
        suspicion[beyond > 0] = excursion_pvalue(*sizes, beyond[beyond > 0])
        far = above(looked.canary.max(axis=1) - worst, _FAR * margin, worst) & (margin > 0)
        return cls(looked, margin, test.pvalue[:, 0], suspicion, far, worst, deciding, beyond, test.rho)

    def columns(self) -> dict[str, Any]:
        """Tell in the metric's own unit; as columns of findings."""
        looked, limit = self.looked, "limit_high" if self.looked.sign > 0 else "limit_low"
        return {
            "estimate": looked.sign * (self.deciding - self.worst),
            limit: looked.sign * self.margin,
            "baseline_level": looked.shown(self.worst),
            "canary_level": looked.shown(self.deciding),
            "autocorrelation": self.rho,
            "beyond": looked.shown(self.worst + self.margin),
            "points_beyond": self.beyond,
        }

    def when(self, rows: Rows, chosen: BoolArray) -> dict[str, Any]:
        """Say when points lie out there, of rows in which some do."""
        edge = about(self.worst[chosen], self.margin[chosen])[1]
        out = self.looked.canary[chosen] > edge[:, None]
        first, last = out.argmax(axis=1), out.shape[1] - 1 - out[:, ::-1].argmax(axis=1)
        if rows.canary.time is None:
            return {"among_first": last + 1}
        times = (
            np.take_along_axis(rows.canary.time[chosen], at[:, None], axis=1)[:, 0] for at in (first, last)
        )
        return {"among_first": last + 1, **dict(zip(("beyond_from", "beyond_until"), times, strict=True))}
