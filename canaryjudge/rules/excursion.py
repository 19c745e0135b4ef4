"""Judge points of the canary that lie far beyond everything that the baseline shows: bursts leave the median where it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from scipy.special import betaincinv, gammainccinv, gammaincinv, stdtrit

from canaryjudge.kinds import KINDS
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.findings import EffectFinding, Number
from canaryjudge.rules.noise_floor import floor_of
from canaryjudge.rules.registry import per_pair, rule
from canaryjudge.rules.replicas import lasting
from canaryjudge.rules.rows import ErrorRates, FloatArray, IntArray, Pair, Sizes
from canaryjudge.rules.settings import RuleSettings
from canaryjudge.settings import RelativeTolerance
from canaryjudge.stats.excursions import excursion_pvalue, excursion_test
from canaryjudge.stats.quantiles import median

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
@per_pair
def judge(pair: Pair, settings: Excursion) -> dict[str, Any]:
    """Judge whether points of the canary lie beyond the baseline's worst one, by more than tolerated.

    It fails where that is proven; not where the baseline's median is 0 and no absolute tolerance says what that would be. Nothing proves that there
    are none: a pass has the reason `nothing_found`, and where so many points lie out there that independent points would hardly, or one lies farther out by
    far, it is marginal, `suspected`.
    """
    if pair.fewest < _FEWEST_POINTS:
        return {"outcome": Outcome.PASS, "reason": Reason.NOTHING_FOUND, "method": "none"}
    independent = _share_of_replicas(pair)
    looked = [_Looked.at(pair, sign) for sign in pair.sides]
    room, tests = _room(pair, len(looked))
    found = [_side(side, side.margin(pair.tolerance, settings, room), independent) for side in looked]
    worst = min(found, key=lambda side: side.pvalue)
    pvalue = min(1.0, tests * worst.pvalue)
    suspicion = min(1.0, len(looked) * min(side.suspicion for side in found))
    outcome, reason = _outcome(
        pvalue,
        0.0 if any(side.far for side in found) else suspicion,
        pair.rates,
        tolerates=pair.tolerance.absolute_or_zero > 0 or all(side.level != 0 for side in looked),
    )
    rho, n = worst.facts["autocorrelation"], len(pair.baseline)
    thin = n < _PROVEN_POINTS or n * (1 - rho) / (1 + rho) < _PROVEN_EFFECTIVE_POINTS
    return (
        worst.facts
        | _when(pair, worst.places)
        | {
            "pvalue": pvalue,
            "pvalue_pass": 1.0,
            "outcome": outcome,
            "reason": reason,
            "method": "precedence",
            "waived": ("outside_proven_range",) if thin and outcome is Outcome.FAIL else (),
        }
    )


def _room(pair: Pair, sides: int) -> tuple[float, int]:
    """Give how much worse a healthy arm's level may be than the other's, as far as a noise floor has measured it, as a part of the level; and in how many parts the level of the test is shared out."""
    level = median(pair.baseline.levels)
    floor = floor_of(pair, level)
    if floor is None or floor.assumed or level == 0:
        return 0.0, sides
    # half of the level for the floor, half for the points
    times = -float(stdtrit(min(floor.df, _KNOWN), pair.rates.level / (2 * sides)))
    return times * floor.standard_error / abs(level), 2 * sides


def _outcome(
    pvalue: float, suspicion: float, rates: ErrorRates, *, tolerates: bool
) -> tuple[Outcome, Reason]:
    # of a baseline around 0 no share is a tolerance: what is beyond it is suspicious, and to be judged by an absolute one
    if pvalue <= rates.level and tolerates:
        return Outcome.FAIL, Reason.PROVEN_WORSE
    if min(pvalue, suspicion) <= rates.beta:
        return Outcome.MARGINAL, Reason.SUSPECTED
    return Outcome.PASS, Reason.NOTHING_FOUND


def _share_of_replicas(pair: Pair) -> float:
    """Give what share of the points is independent at most: a replica that differs from its siblings is one observation, not all its points."""
    arms = [(lasting(arm.replicas), arm) for arm in pair.arms if arm.replicas]
    return min((max(1, len(replicas)) / len(arm) for replicas, arm in arms), default=1.0)


@dataclass(frozen=True, slots=True)
class _Looked:
    """The points as they are asked: larger is worse.

    Attributes
    ----------
    sign : int
        1 where a rise is bad, -1 where a fall is.
    baseline, canary : ndarray, shapes (n,) and (m,)
        The points. Of ratios and counts they are the intervals' shares (of failures, where the share of successes falls) and rates, and of the canary what the
        interval's events prove at least: of little traffic, a share is large by chance.
    raw : ndarray, shape (m,)
        The canary's, as they are.
    level : float
        The baseline's median.
    of_failures : bool
        They are what lacks to 1.
    """

    sign: int
    baseline: FloatArray
    canary: FloatArray
    raw: FloatArray
    level: float
    of_failures: bool = False

    @classmethod
    def at(cls, pair: Pair, sign: int) -> _Looked:
        """Look at a pair in one direction."""
        arms = pair.arms
        if KINDS[pair.kind].is_measured:
            baseline, canary = (sign * arm.value for arm in arms)
            return cls(sign, baseline, canary, canary, median(baseline))
        totals = [arm.exposures for arm in arms]
        failures = KINDS[pair.kind].is_share and sign < 0
        events = [
            total - arm.value if failures else arm.value for arm, total in zip(arms, totals, strict=True)
        ]
        rates = [sign * count / total for count, total in zip(events, totals, strict=True)]
        if failures:
            rates = [-rate for rate in rates]
        least = _at_least(pair.kind, events[1], totals[1], sign)
        return cls(sign, rates[0], least, rates[1], median(rates[0]), failures)

    def shown(self, value: float) -> float:
        """Give a number as the metric has it."""
        return 1 - value if self.of_failures else self.sign * value

    def margin(self, tolerance: Sizes[float], settings: Excursion, room: float) -> float:
        """Give what is tolerated beyond the baseline's worst point: a canary that is worse by no more than its level may be has its worst points worse as well, and so has one whose level differs by `room` though nothing is wrong."""
        worst, level = abs(self.shown(float(self.baseline.max()))), abs(self.shown(self.level))
        own = max(
            settings.tolerance * abs(self.level),
            tolerance.relative * max(worst, level),
            tolerance.absolute_or_zero,
        )
        return own + room * max(worst, level)


def _at_least(kind: str, events: FloatArray, totals: FloatArray, sign: int) -> FloatArray:
    """Bound the intervals' shares or rates by their events alone (Clopper and Pearson; Garwood), on the side that proves least."""
    some = np.maximum(events, _NONE)
    if KINDS[kind].is_share:  # of failures where a fall is bad
        return np.where(events > 0, betaincinv(some, totals - events + 1, _DOUBT), 0.0)
    if sign > 0:
        return np.where(events > 0, gammaincinv(some, _DOUBT), 0.0) / totals
    return -gammainccinv(events + 1, _DOUBT) / totals


class _Side(NamedTuple):
    """What lies out in one direction."""

    pvalue: float
    suspicion: float
    """The p-value were points independent, by their number alone."""
    places: IntArray
    """Which of the canary's points do, in order of time."""
    far: bool
    """Whether a point lies out so far that there need be no other."""
    facts: dict[str, Any]
    """Fields of a finding."""


def _side(looked: _Looked, margin: float, independent: float) -> _Side:
    """Ask about one direction, and tell in the metric's own unit."""
    test = excursion_test(looked.baseline, looked.canary, [margin], most_independent=independent)
    beyond, order = int(test.beyond[0]), int(test.order[0])
    worst, deciding = float(looked.baseline.max()), float(np.sort(looked.raw)[-max(order, 1)])
    sizes = len(looked.baseline), len(looked.canary)
    suspicion = float(excursion_pvalue(*sizes, beyond)) if beyond else 1.0
    facts = {
        "scale": "absolute",
        "estimate": looked.sign * (deciding - worst),
        "limit_high" if looked.sign > 0 else "limit_low": looked.sign * margin,
        "baseline_level": looked.shown(worst),
        "canary_level": looked.shown(deciding),
        "autocorrelation": float(test.rho),
        "beyond": looked.shown(worst + margin),
        "points_beyond": beyond,
    }
    places = np.flatnonzero(looked.canary > worst + margin)
    far = float(looked.canary.max()) - worst > _FAR * margin > 0
    return _Side(float(test.pvalue[0]), suspicion, places, far, facts)


def _when(pair: Pair, places: IntArray) -> dict[str, Any]:
    """Say when points lie out there."""
    if not len(places):
        return {}
    time = pair.canary.time
    span = {} if time is None else {"beyond_from": time[places[0]], "beyond_until": time[places[-1]]}
    return {"among_first": int(places[-1]) + 1} | {name: float(at) for name, at in span.items()}
