"""Ratios and counts: the stratified mixture, at any split, with evidence made worth less where events come in bursts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from canaryjudge.errors import DataError
from canaryjudge.kinds import KINDS
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.decision import EvidenceRows, LimitRows, Limits, weigh_rows
from canaryjudge.rules.findings import build_rows
from canaryjudge.rules.rows import (
    Arm,
    ErrorRates,
    FloatArray,
    Pair,
    Question,
    Sizes,
    at_least,
    usual_errors,
)
from canaryjudge.rules.sequential.evidence import (
    CountingProcess,
    LogEvidence,
    SequentialFinding,
    State,
    load_curves,
    load_sum,
    save_curves,
)
from canaryjudge.stats.count_processes import (
    LOG_RATIOS,
    at_ratio,
    difference_bound,
    joint_pearson,
    likelihoods,
    log_evidence,
    pearson,
    ratio_bound,
    ratio_estimate,
    tilts,
)
from canaryjudge.stats.dispersion import FEWEST_WATCHED_INTERVALS, overdispersion
from canaryjudge.stats.exact_sums import ExactSum

__all__ = ["RateProcess", "RateSums", "check_counts", "say"]

_RELATIVE_WEIGHT = 0.9
"""Part of the pass evidence that goes to the relative tolerance, where there is an absolute one as well,"""
_EVEN_WEIGHT = 0.5
"""and where that is as wide as the baseline's own rate lets it be."""
_TOTALS, _POINTS, _PEARSONS = 7, len(LOG_RATIOS), 31
"""How many sums there are of each sort, see `RateSums`."""
_MOST_EVENTS = 2.0**47
_LEAST_EXPOSURE = 2.0**-20
"""Beyond these, sums that are exact to 2^-40 have no room."""


def check_counts(*arms: Arm) -> None:
    """Refuse new intervals that have more than 1.4e14 events or exposure, or less than 1e-6 exposure: no service has them and no sum holds them."""
    for arm in arms:
        if len(arm) == 1:
            total = 1.0 if arm.total is None else float(arm.total[0])
            most, least = max(float(arm.value[0]), total), min(total, 1.0)
        else:
            columns = [column for column in (arm.value, arm.total) if column is not None]
            most = max(float(column.max(initial=0.0)) for column in columns)
            least = 1.0 if arm.total is None else float(arm.total.min(initial=1.0))
        if most > _MOST_EVENTS or least < _LEAST_EXPOSURE:
            odd = most if most > _MOST_EVENTS else least
            raise DataError(
                f"{odd:g} events or exposure in one interval is out of range",
                "Give 'value' and 'total' in another unit, between 1e-6 and 1e14 an interval.",
            )


Numbers = float | FloatArray


@dataclass(frozen=True, slots=True)
class _Null:
    """The hypothesis "events at most r times the baseline's, plus a", in the direction that is bad."""

    log_ratio: float
    difference: float
    weight: float

    @property
    def key(self) -> float:
        """What its tilts are kept under."""
        return self.log_ratio


class RateProcess(CountingProcess):
    """Evidence about two rates.

    Of a ratio that is bad when it falls, and is mostly successes, the failures are counted: they are rare, and evidence
    about rare events is as good as it can be.
    """

    method = "mixture"

    def __init__(self, question: Question) -> None:
        super().__init__(question)
        self._stated = question.dispersion
        self.flipped: bool | None = None
        self._directions = question.sides
        self.tilted: tuple[tuple[int, float], ...] = ()
        self.sums = ExactSum((0,))
        self.informative = 0
        self._said: SequentialFinding | None = None

    @property
    def question(self) -> Question:
        """What it is asked."""
        return self._question

    def begun(self) -> RateProcess | None:
        """Give it with what it has added up; one that has nothing yet as it will begin, None where that depends on its first interval."""
        if self.flipped is not None:
            return self
        if KINDS[self._question.kind].is_share and self._question.sides != (1,):
            return None
        twin = RateProcess(self._question)
        twin._start(flipped=False)
        return twin

    def is_like(self, other: RateProcess) -> bool:
        """Tell whether the same is asked of another, if at another level, and it adds up the same."""
        rates = replace(other.question.rates, level=self._question.rates.level)
        horizon = self._question.horizon
        asked = replace(other.question, rates=rates, horizon=horizon)
        return self.flipped == other.flipped and asked == self._question

    def update(self, pair: Pair) -> None:
        """Take new intervals."""
        (cells,) = pair.strata or (pair,)
        n_b, n_c = cells.baseline.exposures, cells.canary.exposures
        x_b, x_c = cells.baseline.value, cells.canary.value
        if not len(x_b):
            return
        self._said = None
        check_counts(*cells.arms)
        if self.flipped is None:
            mostly = KINDS[self._question.kind].is_share and 2 * float(x_b[0]) > float(n_b[0])
            self._start(flipped=mostly and self._question.sides != (1,))
        if self.flipped:
            x_b, x_c = n_b - x_b, n_c - x_c
        if pair.strata:
            self.sums.add_all(self._of_strata(x_b, x_c, n_b, n_c))
            self.informative += bool((x_b + x_c > 0).any())
        elif len(x_b) == 1:  # the common case, in plain numbers: the same sums in a third of the time
            numbers = float(x_b[0]), float(x_c[0]), float(n_b[0]), float(n_c[0])
            self.sums.add(self.terms(*numbers))
            self.informative += numbers[0] + numbers[1] > 0
        else:
            self.sums.add_all(self.terms(x_b, x_c, n_b, n_c))
            self.informative += int((x_b + x_c > 0).sum())
        self._points += len(pair.canary)

    def _of_strata(self, x_b: FloatArray, x_c: FloatArray, n_b: FloatArray, n_c: FloatArray) -> FloatArray:
        """Give what the segments of one interval add: evidence each by itself, and by how much it varies all together, since what befalls an arm may befall all of them."""
        terms = self.terms(x_b, x_c, n_b, n_c)
        pearsons = slice(_TOTALS + _POINTS, _TOTALS + _POINTS + _PEARSONS)
        terms[:, pearsons] = 0.0
        terms[0, pearsons] = joint_pearson(x_b, x_c, n_b, n_c)
        terms[:, _TOTALS - 1] = 0.0
        terms[0, _TOTALS - 1] = float((x_b + x_c).sum()) ** 2 / float((n_b + n_c).sum())
        return terms

    def terms(self, x_b: Numbers, x_c: Numbers, n_b: Numbers, n_c: Numbers) -> FloatArray:
        """Give what intervals add to the sums, in their order."""
        both, events = n_b + n_c, x_b + x_c
        mantel_haenszel = (x_c * n_b - x_b * n_c) / both, n_b * n_c / both
        counted = np.array([x_b, x_c, n_b, n_c, *mantel_haenszel, events * events / both]).T
        terms = [counted, likelihoods(x_b, x_c, n_b, n_c), pearson(x_b, x_c, n_b, n_c)]
        for direction, log_ratio in self.tilted:
            arms = (n_b, n_c) if direction > 0 else (n_c, n_b)
            terms.append(tilts(*arms, math.exp(log_ratio)))
        return np.concatenate(terms, axis=-1)

    def _start(self, *, flipped: bool) -> None:
        self.flipped = flipped
        self.tilted = tuple(
            dict.fromkeys(
                (sign * (-1 if flipped else 1), null.key)
                for sign in self._directions
                for sizes in (self._question.tolerance, self._widest)
                for null in self.nulls(sizes)
                if null.difference > 0
            )
        )
        self.sums = ExactSum((sum(self._runs),))

    @property
    def _runs(self) -> tuple[int, ...]:
        """How many sums there are of each sort."""
        return _TOTALS, _POINTS, _PEARSONS, *[_POINTS] * len(self.tilted)

    def pass_within(self, total: float, events: float) -> Sizes[float]:
        """Give what a pass excludes, where the baseline has had so many events; the evidence is valid at all limits together, so it may follow the baseline."""
        question = self._question
        if not self._follows:
            return self._widest
        return usual_errors(events, total, question.sides, question.tolerance, question.pass_times)

    @property
    def _follows(self) -> bool:
        """Whether what a pass excludes is left to the baseline."""
        question = self._question
        return question.pass_within is None and KINDS[question.kind].is_share and len(question.sides) == 1

    @property
    def _widest(self) -> Sizes[float]:
        """The most that a pass may leave open."""
        known = Sizes(0.0, 1.0) if self._follows else self._question.pass_sizes
        return at_least(self._question.tolerance, known)

    def nulls(self, sizes: Sizes[float]) -> tuple[_Null, ...]:
        """Give the hypotheses whose union is "worse by no more than this", for events that are bad when they rise."""
        relative, absolute = sizes.relative, sizes.absolute_or_zero
        if not absolute:
            return (self._relative(relative, 1.0),)
        if not relative:
            return (_Null(0.0, absolute, 1.0),)
        weight = _EVEN_WEIGHT if self._follows else _RELATIVE_WEIGHT
        return (
            self._relative(relative, weight),
            _Null(0.0, absolute, 1 - weight),
        )

    def _relative(self, tolerance: float, weight: float) -> _Null:
        if (
            self.flipped
        ):  # successes down to 1 / (1 + t): failures up to t / (1 + t) and the baseline's / (1 + t)
            return _Null(-math.log1p(tolerance), tolerance / (1 + tolerance), weight)
        return _Null(math.log1p(tolerance), 0.0, weight)

    def merge(self, other: RateProcess) -> None:
        """Add the other's evidence, interval by interval."""
        if other.flipped is None:
            return
        self._said = None
        if self.flipped is None:
            self.load(other.save())
            return
        if self.flipped != other.flipped:
            raise DataError(
                "the ratio is mostly successes in one shard and mostly failures in the other",
                "Merge shards of one service.",
            )
        self.sums.merge(other.sums)
        self._points += other._points
        self.informative += other.informative

    def save(self) -> State:
        """Give what is remembered."""
        if self.flipped is None:
            return {}
        return {
            "flipped": self.flipped,
            "intervals": self._points,
            "informative": self.informative,
            "sums": save_curves(self.sums, self._runs),
        }

    def load(self, state: State) -> None:
        """Take what another process has saved."""
        self._said = None
        if not state:
            return
        self._start(flipped=bool(state["flipped"]))
        self._points, self.informative = int(state["intervals"]), int(state["informative"])
        if isinstance(state["sums"], str):  # as versions 1 and 2 have them
            self.sums = load_sum(state["sums"], self.sums.whole.shape)
        else:
            self.sums = load_curves(state["sums"], self._runs)

    def finding(self) -> SequentialFinding:
        """Say what the evidence so far says."""
        if self._said is None:
            say([self])
        assert self._said is not None  # noqa: S101 - it has just been said
        return self._said

    def say(self, finding: SequentialFinding) -> None:
        """Keep what the evidence says until there is more of it."""
        self._said = finding

    @property
    def has_said(self) -> bool:
        """Whether there is nothing new to say."""
        return self._said is not None

    @property
    def likeness(self) -> tuple[Any, ...]:
        """What tells whether what the evidence of processes says can be weighed together."""
        question = self._question
        asked = question.kind, question.sides, question.rates, question.pass_stated, question.pass_times
        return self.flipped, self._points, *asked

    def look(self) -> _Look:
        """Add up the evidence so far."""
        assert self.flipped is not None  # noqa: S101 - it has begun
        sums = RateSums(self.sums.value, self.tilted)
        x_b, x_c, n_b, n_c, excess, weight, _ = sums.totals.tolist()
        rates = x_b / n_b, x_c / n_c
        if self.flipped:
            x_b, x_c = n_b - x_b, n_c - x_c
            rates = 1 - rates[0], 1 - rates[1]
        within = self.pass_within(n_b, x_b)
        look = _Look(
            sums, self.nulls(self._question.tolerance), within, self.nulls(within), flipped=self.flipped
        )
        look.rate, look.difference = rates[0], (-1 if self.flipped else 1) * excess / weight
        look.dispersion = self._overdispersion(sums, look.log_ratio)
        look.facts = {
            "baseline_level": rates[0],
            "canary_level": rates[1],
            "total_baseline": n_b,
            "total_canary": n_c,
            "events_baseline": x_b,
            "events_canary": x_c,
            "dispersion": look.dispersion,
        }
        return look

    def _overdispersion(self, sums: RateSums, log_ratio: float) -> float:
        """Estimate by how the arms share the events of an interval; where few intervals have any, by how all events are spread over intervals."""
        if self.informative >= FEWEST_WATCHED_INTERVALS:
            pearsons = float(at_ratio(sums.pearson, log_ratio))
            return float(overdispersion(pearsons, self.informative, self._stated))
        events, exposure = sums.totals[0] + sums.totals[1], sums.totals[2] + sums.totals[3]
        pearsons = float(sums.totals[6] * exposure / events - events) if events else 0.0
        return float(overdispersion(pearsons, self._points, self._stated))


def say(processes: Sequence[RateProcess]) -> None:
    """Find what the evidence of processes says, of those together of which the same is asked: it is their `finding` until there is more evidence."""
    alike: dict[tuple[Any, ...], list[RateProcess]] = {}
    for process in processes:
        if process.flipped is None:
            process.say(process.cannot_say(Reason.TOO_LITTLE_DATA, method="none"))
        elif not process.has_said:
            alike.setdefault(process.likeness, []).append(process)
    for group in alike.values():
        _say_alike(group)


def _say_alike(processes: Sequence[RateProcess]) -> None:
    """Find it of those that are weighed together."""
    question, points = processes[0].question, processes[0].points
    looks = [process.look() for process in processes]
    tolerance = Sizes.stacked([process.question.tolerance for process in processes])
    levels = np.array([look.rate for look in looks])
    # a ratio can be proven too large even against a baseline without events, so a level of 0 is no obstacle here
    levels = np.where((levels == 0) & np.isnan(tolerance.absolute), np.finfo(float).tiny, levels)
    rows = LimitRows.at(question, tolerance, Sizes.stacked([look.within for look in looks]), levels)
    limits = [rows.row(index) for index in range(len(looks))]
    found = [look.evidence(own, question.rates) for look, own in zip(looks, limits, strict=True)]
    evidence = [each.evidence(own) for each, own in zip(found, limits, strict=True)]
    weighed = weigh_rows(EvidenceRows.of(evidence, limits), rows, question.rates, points)
    columns = {
        name: [None] * len(looks)
        if column is None
        else column.tolist()
        if isinstance(column, np.ndarray)
        else column
        for name, column in weighed.items()
    }
    facts = []
    for index, (process, look) in enumerate(zip(processes, looks, strict=True)):
        own = {name: column[index] for name, column in columns.items()}
        if (
            own["outcome"] is Outcome.MARGINAL
            and look.facts["events_baseline"] == 0
            and not limits[index].absolute
        ):
            own |= {"reason": Reason.NEEDS_ABSOLUTE_TOLERANCE, "more_points": None}
        watch = found[index].watch(evidence[index], limits[index])
        facts.append(process.known | look.facts | own | {"watch": watch})
    said = {name: [each[name] for each in facts] for name in facts[0]}
    for process, finding in zip(processes, build_rows(SequentialFinding, said, len(facts)), strict=True):
        process.say(finding)


class RateSums:
    """What is added up over intervals, by name.

    `totals` are the events and exposures of both arms, numerator and denominator of Mantel and Haenszel's difference, and the squared
    events of both arms over their exposure.
    """

    def __init__(self, sums: FloatArray, tilted: tuple[tuple[int, float], ...]) -> None:
        ends = np.cumsum((_TOTALS, _POINTS, _PEARSONS, *[_POINTS] * len(tilted)))
        self.totals, self.likelihoods, self.pearson, *rest = np.split(sums, ends[:-1], axis=-1)
        self.tilts = dict(zip(tilted, rest, strict=True))


class _Look:
    """The evidence of a process, asked once."""

    def __init__(
        self,
        sums: RateSums,
        nulls: tuple[_Null, ...],
        within: Sizes[float],
        safe: tuple[_Null, ...],
        *,
        flipped: bool,
    ) -> None:
        self._sums, self._tilts = sums.likelihoods, sums.tilts
        self._nulls, self.within, self._safe = nulls, within, safe
        self.facts: dict[str, Any] = {}
        self._flip = -1 if flipped else 1
        estimate = float(ratio_estimate(self._sums))
        self.log_ratio = 0.0 if math.isnan(estimate) else estimate
        self.rate, self.difference, self.dispersion = 0.0, 0.0, 1.0

    def evidence(self, limits: Limits, rates: ErrorRates) -> LogEvidence:
        """Give evidence in the scale of the limits."""
        self._limits = limits
        sides = limits.sides
        level = rates.level / len(sides)
        above, below = (self._log_evidence(sign, _Null(0.0, 0.0, 1.0), 1) for sign in (1, -1))
        return LogEvidence(
            estimate=self._estimate(),
            found=[self._against(sign) for sign, _ in sides] * (len(self._limits.asked) // len(sides)),
            none=(above, below),
            fail_bounds=[self._bounds(sign, level) for sign, _ in sides],
            pass_bounds=[self._bounds(sign, rates.beta) for sign, _ in sides],
            eventless=float(np.ptp(self._sums)) == 0,
        )

    def _against(self, sign: int) -> tuple[float, float]:
        """Weigh a direction: what is tolerated is a union of hypotheses, so all must fall for a fail; for a pass the mean of the evidence."""
        fails = [self._log_evidence(sign, null, 1) for null in self._nulls]
        safes = [math.log(null.weight) + self._log_evidence(sign, null, -1) for null in self._safe]
        return min(fails), float(np.logaddexp.reduce(safes))

    def _log_evidence(self, sign: int, null: _Null, side: int) -> float:
        direction = sign * self._flip
        tilt = self._tilts[direction, null.key] if null.difference else None
        return float(
            log_evidence(
                self._toward(direction),
                null.log_ratio,
                side,
                tilt=tilt,
                difference=null.difference,
                dispersion=self.dispersion,
            )
        )

    def _toward(self, direction: int) -> FloatArray:
        return self._sums[::direction]

    def _estimate(self) -> float:
        if self._limits.absolute:
            return self.difference
        return self.difference / self.rate if self._flip < 0 else math.expm1(min(self.log_ratio, 700.0))

    def _bounds(self, sign: int, level: float) -> tuple[float, float]:
        """Give the confidence sequence as the evidence of one direction has it."""
        direction = sign * self._flip
        if self._limits.absolute or self._flip < 0:
            unit = 1.0 if self._limits.absolute else self.rate
            if (direction, 0.0) not in self._tilts:
                return -math.inf, math.inf
            levels = {1: level, -1: level * self._safe[-1].weight}
            ends = [self._difference_bound(direction, side, levels[side]) / unit for side in (1, -1)]
        else:
            ends = [self._ratio_bound(direction, 1, level, self._nulls[0])]
            ends.append(self._ratio_bound(direction, -1, level * self._safe[0].weight, self._safe[0]))
            if len(self._safe) > 1 and self._limits.pass_by != "tolerance" and self.rate > 0:
                # either kind of evidence may pass it
                room = self._difference_bound(direction, -1, level * self._safe[1].weight) / self.rate
                ends[1] = min(ends[1], direction * math.log1p(max(direction * room, -1 + 1e-12)))
        low, high = ends if sign * self._flip > 0 else (-ends[1], -ends[0])
        if self._flip < 0:
            low, high = -high, -low
        if self._limits.absolute or self._flip < 0:
            return low, high
        return math.expm1(low), math.expm1(min(high, 700.0)) if math.isfinite(high) else math.inf

    def _difference_bound(self, direction: int, side: int, level: float) -> float:
        sums, tilt = self._toward(direction), self._tilts[direction, 0.0]
        return difference_bound(sums, tilt, side, level, dispersion=self.dispersion)

    def _ratio_bound(self, direction: int, side: int, level: float, null: _Null) -> float:
        sums = self._toward(direction)
        return ratio_bound(sums, side, level, null=null.log_ratio, dispersion=self.dispersion)
