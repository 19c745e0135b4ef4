"""Has the service changed beyond what it does at these hours anyway? Before and after a switch of all traffic, held against earlier days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from canaryjudge.kinds import KINDS
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.decision import Evidence, Limits, tolerated, weigh
from canaryjudge.rules.findings import LevelFinding, NoiseFloorFacts, Number
from canaryjudge.rules.registry import per_pair, rule
from canaryjudge.rules.rows import Arm, EarlierDays, FloatArray, Pair
from canaryjudge.rules.settings import RuleSettings
from canaryjudge.stats.earlier_days import Departure, Windows, against_days, jump_at_switch

__all__ = ["BeforeAfter", "BeforeAfterFinding", "window_level"]

_CONTINUITY = 0.5
"""So many events are added to those of a window, so that a window without any has a logarithm."""
_FAR = 3 * 1.4826
"""Robust standard deviations, in median absolute deviations, from where on points are drawn in."""
_FEWEST_FOR_A_LINE = 4


class BeforeAfter(RuleSettings):
    """Has the service changed from before to after a switch, beyond what it does at these hours anyway? The change is held against that of earlier days between the same times of the clock."""

    kinds: ClassVar[tuple[str, ...]] = ("gauge", "samples", "ratio", "count")

    rule: Literal["before_after"] = "before_after"
    """The rule's name."""


class BeforeAfterFinding(LevelFinding):
    """How far a service is, after a switch, from what earlier days let expect.

    The estimate is the departure from that; `baseline_level` is what was to be expected after the switch, and `before_level` what was measured before it. `noise_floor` is by how much days differ.
    """

    rule: Literal["before_after"]
    """The rule's name."""
    before_level: Number = None
    """The baseline's own level, before the switch."""
    days: int = 0
    """Earlier days that it was held against; 0 where there are none, or too few."""
    weekdays: bool = False
    """Whether these are of the release's own day of the week."""
    days_left_out: int = 0
    """Days of the history that lack points at these times of the clock."""
    carried: Number = None
    """Which part of what is peculiar to a day's level before was expected after; 1 is all of it."""
    control_change: Number = None
    """How much the untouched service changed from before to after, as a part of its level or in the metric's unit; None where there is none."""


def window_level(kind: str, value: FloatArray, exposure: FloatArray) -> float:
    """Give the level of a window: of gauges the mean, points farther than 3 robust standard deviations from the median drawn in to there; of samples the median; of events their rate with half an event more."""
    if not len(value):
        return float("nan")
    if KINDS[kind].counts_events:
        return float((value.sum() + _CONTINUITY) / exposure.sum())
    median = float(np.median(value))
    if KINDS[kind].is_raw:
        return median
    away = value - median
    far = _FAR * float(np.median(np.abs(away)))
    return median + float(np.clip(away, -far, far).mean())


@rule(BeforeAfter, BeforeAfterFinding)
@per_pair
def judge(pair: Pair, _: BeforeAfter) -> Mapping[str, Any]:
    """Judge a switch against earlier days: of levels above 0 on logarithms, else by differences; without earlier days by a line on either side, which passes nothing."""
    own = _levels(pair)
    earlier = pair.earlier or EarlierDays()
    found = _by_days(pair, own, earlier) or _by_lines(pair, earlier)
    shared: dict[str, Any] = {
        "before_level": _shown(pair.baseline, own[0], pair),
        "canary_level": _shown(pair.canary, own[1], pair),
        "days_left_out": earlier.left_out,
        "control_change": _control_change(earlier),
    }
    if found is None:
        facts = {"outcome": Outcome.MARGINAL, "reason": Reason.TOO_LITTLE_DATA, "method": "none"}
        return facts | shared | {"baseline_level": shared["before_level"]}
    departure = found.departure
    shared |= {"baseline_level": found.expected, "method": found.method, "days": departure.days}
    limits = tolerated(pair, found.expected)
    if limits is None:
        return {"outcome": Outcome.MARGINAL, "reason": Reason.NEEDS_ABSOLUTE_TOLERANCE} | shared
    told = weigh(found.evidence(limits, pair), limits, pair.rates, pair.fewest) | {"more_points": None}
    if not departure.days:
        shared["canary_level"] = found.expected + departure.estimate  # both where the lines end
        if told["outcome"] is Outcome.PASS:
            told |= {"outcome": Outcome.MARGINAL, "reason": Reason.UNDECIDED}
        return told | shared | {"waived": ("no_earlier_days",)}
    spread = float(found.outer(departure.spread, limits))
    floor = NoiseFloorFacts(spread=spread, df=departure.df)
    own_days = {"weekdays": earlier.weekdays, "carried": departure.carried, "noise_floor": floor}
    return told | shared | own_days


@dataclass(frozen=True, slots=True)
class _Found:
    """A departure from what was to be expected.

    Attributes
    ----------
    departure : Departure
        Itself, on logarithms or in the metric's unit.
    expected : float
        The level that was to be expected after the switch.
    method : str
        Code of the test.
    logs : bool
        Whether it is on logarithms.
    """

    departure: Departure
    expected: float
    method: str
    logs: bool = False

    def inner(self, change: float, limits: Limits) -> float:
        """Put a change from the scale of the limits into that of the departure."""
        size = abs(self.expected)
        if self.logs:
            with np.errstate(divide="ignore"):
                return float(np.log(max(0.0, 1 + (change / size if limits.absolute else change))))
        return change if limits.absolute else change * size

    def outer(self, change: float, limits: Limits) -> float:
        """Put it back."""
        size = abs(self.expected)
        if self.logs:
            with np.errstate(over="ignore"):
                return float(np.expm1(change)) * (size if limits.absolute else 1.0)
        return change if limits.absolute else change / size

    def evidence(self, limits: Limits, pair: Pair) -> Evidence:
        """Say what it tells, in the scale of the limits."""

        def pvalues(change: float) -> tuple[float, float]:
            greater, less = self.departure.pvalues(self.inner(change, limits)).tolist()
            return greater, less

        def bounds(error: float) -> list[tuple[float, float]]:
            low, high = self.departure.bounds(error)
            return [(self.outer(low, limits), self.outer(high, limits))] * len(limits.sides)

        return Evidence(
            estimate=self.outer(self.departure.estimate, limits),
            pvalues=[pvalues(limit) for limit in limits.asked],
            pvalues_none=pvalues(0.0),
            fail_bounds=bounds(pair.rates.level / len(limits.sides)),
            pass_bounds=bounds(pair.rates.beta),
            lasting=1.0,
        )


def _levels(pair: Pair) -> tuple[float, float]:
    before, after = (window_level(pair.kind, points.value, points.exposures) for points in pair.arms)
    return before, after


def _shown(arm: Arm, level: float, pair: Pair) -> float:
    """Give a level as it was measured."""
    return arm.events / arm.exposure if KINDS[pair.kind].counts_events else level


def _control_change(earlier: EarlierDays) -> float | None:
    if earlier.own_control is None:
        return None
    before, after = earlier.own_control
    return after / before - 1 if before > 0 else after - before


def _by_days(pair: Pair, own: tuple[float, float], earlier: EarlierDays) -> _Found | None:
    """Hold it against earlier days; None where there are too few."""
    windows = earlier.windows
    if windows is None:
        return None
    controls = [] if earlier.own_control is None else [earlier.own_control]
    tables = [windows, *(() if earlier.control is None else (earlier.control,))]
    if len(controls) != len(tables) - 1:
        return None
    known = [*own, *(level for one in controls for level in one)]
    known += [float(np.nanmin([one.before, one.after])) for one in tables if one.own.any()]
    logs = min(known) > 0

    def scaled(levels: Any) -> Any:
        return np.log(levels) if logs else np.asarray(levels, dtype=np.float64)

    before, after = scaled(windows.before), scaled(windows.after)
    release = scaled(own)
    if earlier.control is not None:
        before, after = before - scaled(earlier.control.before), after - scaled(earlier.control.after)
        release = release - scaled(controls[0])
    extra = 0.0
    if logs and KINDS[pair.kind].counts_events:
        extra = max(0.0, sum(1 / (arm.events + _CONTINUITY) for arm in pair.arms) - earlier.scatter)
    departure = against_days(
        (float(release[0]), float(release[1])), Windows(before, after, windows.days, windows.groups), extra
    )
    if departure is None or np.isnan(departure.estimate):
        return None
    level = _shown(pair.canary, own[1], pair)
    if logs:
        expected = (level if level > 0 else own[1]) * float(np.exp(-departure.estimate))
    else:
        expected = own[1] - departure.estimate
    return _Found(departure, expected, "earlier_days", logs=logs)


def _by_lines(pair: Pair, earlier: EarlierDays) -> _Found | None:
    """Tell the jump at the switch by a line on either side, less that of the untouched service; None where there are too few points."""
    before, after = pair.arms
    if before.time is None or after.time is None or min(len(before), len(after)) < _FEWEST_FOR_A_LINE:
        return None
    # the switch is where the new version begins
    at = float(after.time[0])
    jump = jump_at_switch(before.levels, after.levels, (before.time, after.time), at)
    if earlier.own_control is not None and min(earlier.own_control) > 0:
        # its windows alone are known: their ratio is taken off
        shift = jump.expected * (earlier.own_control[1] / earlier.own_control[0] - 1)
        jump = Departure(jump.estimate - shift, jump.expected + shift, jump.standard_error, jump.df)
    return _Found(jump, jump.expected, "interrupted_series")
