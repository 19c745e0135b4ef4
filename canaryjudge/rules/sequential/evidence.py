"""What every sequential method gives: evidence that grows interval by interval, can be asked at any time, saved, and merged."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Protocol, Self

import numpy as np

from canaryjudge.kinds import KINDS
from canaryjudge.packing import pack, pack_smooth, unpack, unpack_smooth
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.decision import Evidence, Limits, weigh
from canaryjudge.rules.findings import Draft, EventsFinding, Finding, Number, WatchFacts, build
from canaryjudge.rules.registry import Asking
from canaryjudge.rules.rows import ErrorRates, FloatArray, Pair, Question
from canaryjudge.stats.exact_sums import ExactSum
from canaryjudge.stats.score_evidence import MeanEvidence
from canaryjudge.stats.ties import above

__all__ = [
    "CHANGES",
    "AskedChanges",
    "ChangeSequence",
    "CountingProcess",
    "LogEvidence",
    "Process",
    "SequentialFinding",
    "State",
    "by_side",
    "load_curves",
    "load_sum",
    "save_curves",
    "save_sum",
]

State = dict[str, Any]
"""What a process remembers, as JSON has it."""
_AT_ONCE: Final = 1024
"""Intervals that are added up at once: what each adds to the sums is far larger than its points."""
_PART_SIZE: Final = 5
"""Bytes of what sums have behind the point."""
_PART_BITS: Final = 8 * _PART_SIZE
_MOST_SMOOTH: Final = 2**22
"""Sums of less than this have room in 64 bits with what is behind the point."""
_ORDER: Final = 12
"""Differences that are kept of sums along the grid of log ratios: of further ones little more vanishes than the rounding of the sums grows."""


class SequentialFinding(EventsFinding):
    """What a watch found."""

    rule: Literal["sequential"]
    """The rule's name."""
    statistic: Number = None
    """Of planned looks at ranks: the test's statistic at the limit."""


class Process(Protocol):
    """The evidence of one rule about one metric, since one start, at given error rates."""

    @property
    def points(self) -> int:
        """Intervals (samples where they are taken one by one) that were seen."""

    def taking(self, pair: Pair) -> Asking:
        """Take new intervals; of samples, one. Ask what is to be asked of a rule by then."""

    def finding(self) -> Finding:
        """Say what the evidence so far says."""

    def merge(self, other: Any) -> None:
        """Take over the evidence of another shard's process of the same rule and metric."""

    def save(self) -> State:
        """Give what is remembered."""

    def load(self, state: State) -> None:
        """Take what another process has saved."""


class CountingProcess(ABC):
    """What all processes share that add up evidence: how much they have seen, and how they say so."""

    method: ClassVar[str]
    """As findings call it."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._points = 0

    @property
    def points(self) -> int:
        """Intervals, or pairs of samples, that were seen."""
        return self._points

    def taking(self, pair: Pair) -> Asking:
        """Take new intervals, and ask nothing: what is added up says all."""
        size = len(pair.canary)
        if size <= _AT_ONCE or KINDS[pair.kind].is_raw:
            self.update(pair)
        else:
            for start in range(0, size, _AT_ONCE):
                self.update(pair.part(slice(start, start + _AT_ONCE)))
        yield from ()

    @abstractmethod
    def update(self, pair: Pair) -> None:
        """Take new intervals; of samples, one."""

    @property
    def known(self) -> dict[str, Any]:
        """What findings say of it, whatever was found."""
        return {
            "rule": "sequential",
            "method": self.method,
            "level": self._question.rates.level,
            "beta": self._question.rates.beta,
            "n_baseline": self._points,
            "n_canary": self._points,
        }

    def _found(self, **facts: Any) -> SequentialFinding:
        """Give a finding about all that was seen."""
        return SequentialFinding(**(self.known | facts))

    def cannot_say(self, reason: Reason, **facts: Any) -> SequentialFinding:
        """Give a finding that there is nothing to be said."""
        return self._found(outcome=Outcome.MARGINAL, reason=reason, **facts)


def by_side(limits: Limits, pairs: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Turn the "above" and "below" of what is asked of each side into "worse" and "no worse", or back."""
    signs = [sign for sign, _ in limits.sides]
    return [pair if signs[i % len(signs)] > 0 else (pair[1], pair[0]) for i, pair in enumerate(pairs)]


@dataclass(frozen=True, slots=True)
class LogEvidence:
    """What a method says of a change, in the scale of the limits; evidence as natural logarithms.

    Attributes
    ----------
    estimate : float
        The change.
    found : sequence of (float, float)
        For "worse than the limit" and "no worse", at each of `Limits.asked`.
    none : tuple of (float, float)
        For "above no change" and "below".
    fail_bounds, pass_bounds, eventless
        As `Evidence` has them.
    """

    estimate: float
    found: Sequence[tuple[float, float]]
    none: tuple[float, float]
    fail_bounds: Sequence[tuple[float, float]]
    pass_bounds: Sequence[tuple[float, float]]
    eventless: bool = False

    def weigh(
        self, limits: Limits, rates: ErrorRates, points: int, *, visible: bool = True
    ) -> dict[str, Any]:
        """Give fields of a finding; the smallest visible change only where the bounds are of the same evidence."""
        evidence = self.evidence(limits)
        (watch,) = build([self.watch(evidence, limits, visible=visible)])
        return weigh(evidence, limits, rates, points) | {"watch": watch}

    def evidence(self, limits: Limits) -> Evidence:
        """Give the same as p-values that are valid at any time."""
        above, below = _pvalue(self.none[0]), _pvalue(self.none[1])
        return Evidence(
            estimate=self.estimate,
            pvalues=by_side(limits, [(_pvalue(worse), _pvalue(safe)) for worse, safe in self.found]),
            pvalues_none=(above, below),
            fail_bounds=self.fail_bounds,
            pass_bounds=self.pass_bounds,
            eventless=self.eventless,
        )

    def watch(self, evidence: Evidence, limits: Limits, *, visible: bool = True) -> Draft:
        """Give what is known of a watch."""
        fails = [worse for worse, _ in self.found[limits.at_fail]]
        safes = [safe for _, safe in self.found[limits.at_pass]]
        facts = {
            "log_e_fail": (max(fails) - math.log(len(fails))) / math.log(10),
            "log_e_pass": min(safes) / math.log(10),
            "smallest_visible": _smallest_visible(evidence, limits) if visible else None,
        }
        return Draft(WatchFacts, facts)


def _pvalue(log_e: float) -> float:
    """Turn log evidence into an anytime-valid p-value: min(1, 1 / e)."""
    return math.exp(-max(log_e, 0.0))


def _smallest_visible(evidence: Evidence, limits: Limits) -> float | None:
    """Give the smallest change in the bad direction that so much data would fail: the limit and the width of the interval."""
    found = []
    for (sign, limit), bounds in zip(limits.sides, evidence.fail_bounds, strict=True):
        bound = bounds[0] if sign > 0 else bounds[1]
        if not (math.isfinite(bound) and math.isfinite(evidence.estimate)):
            continue
        width = abs(evidence.estimate - bound)
        if not limits.absolute and evidence.estimate > -1 and bound > -1:
            grown = (1 + limit) * (1 + evidence.estimate) / (1 + bound)
            found.append(grown - 1)
        else:
            found.append(limit + sign * width)
    return min(found, key=abs) if found else None


def save_sum(sums: ExactSum) -> str:
    """Write sums as text: of each the five bytes behind the point, then as few before it as hold the largest."""
    size = np.min_scalar_type(-1 - int(abs(sums.whole).max(initial=0))).itemsize
    whole, parts = (
        np.ascontiguousarray(numbers.ravel(), dtype="<i8").view(np.uint8).reshape(-1, 8)
        for numbers in (sums.whole, sums.parts)
    )
    return pack(np.hstack([parts[:, :_PART_SIZE], whole[:, :size]]))


def save_curves(sums: ExactSum, runs: Sequence[int]) -> list[Any]:
    """Write sums of which so many at a time follow a smooth curve each: briefly, where all have room in 64 bits."""
    if int(abs(sums.whole).max(initial=0)) >= _MOST_SMOOTH:
        return [save_sum(sums)]
    numbers = (sums.whole << _PART_BITS) + sums.parts
    ends = np.cumsum(runs)
    return [pack_smooth(part, _order(len(part))) for part in np.split(numbers, ends[:-1])]


def _order(count: int) -> int:
    return _ORDER if count > 2 * _ORDER else 0


def load_curves(packed: Any, runs: Sequence[int]) -> ExactSum:
    """Read sums that `save_curves` wrote."""
    if len(packed) == 1:
        return load_sum(packed[0], (sum(runs),))
    parts = [unpack_smooth(part, _order(run), run) for part, run in zip(packed, runs, strict=True)]
    numbers = np.concatenate(parts)
    sums = ExactSum(())
    sums.whole, sums.parts = numbers >> _PART_BITS, numbers & (2**_PART_BITS - 1)
    return sums


def load_sum(text: Any, shape: tuple[int, ...]) -> ExactSum:
    """Read sums that `save_sum` wrote."""
    count = math.prod(shape)
    if not count:
        return ExactSum(shape)
    rows = unpack(text, np.uint8, (count, -1))
    parts = np.zeros((count, 8), dtype=np.uint8)
    parts[:, :_PART_SIZE] = rows[:, :_PART_SIZE]
    whole = np.ascontiguousarray(rows[:, _PART_SIZE:])
    sums = ExactSum(())
    sums.whole = whole.view(f"<i{whole.shape[1]}").astype(np.int64).reshape(shape)
    sums.parts = parts.view("<i8").astype(np.int64).reshape(shape)
    return sums


CHANGES: Final = (-0.5, -0.2, -0.1, 0.0, 0.1, 0.2, 0.5, 1.0, 3.0)
"""Relative changes at which confidence sequences are inverted, beside the tolerated ones."""


@dataclass(frozen=True, slots=True)
class AskedChanges:
    """Changes about which evidence is kept from the start: relative ones, then absolute ones where some are tolerated."""

    relative: FloatArray
    absolute: FloatArray

    @classmethod
    def of(cls, question: Question, sides: Sequence[int]) -> Self:
        """Give those that are tolerated on some sides, with others around them."""
        parts = question.tolerance, question.pass_sizes
        sizes = [max(part.relative, question.tolerance.relative) for part in parts]
        ends = (size if sign > 0 else -size / (1 + size) for sign in sides for size in sizes)
        absolute = question.tolerance.absolute_or_zero
        times = 0.5, 1.0, 2.0, 4.0, max(1.0, parts[1].absolute_or_zero / (absolute or 1.0))
        steps = {0.0, *(sign * each * absolute for sign in (1, -1) for each in times)}
        return cls(np.array(sorted({*CHANGES, *ends})), np.array(sorted(steps)) if absolute else np.zeros(0))

    def __len__(self) -> int:
        return len(self.relative) + len(self.absolute)

    def within(self, limits: Limits) -> tuple[slice, FloatArray]:
        """Give those in the scale of the limits, and their places among all."""
        if limits.absolute:
            return slice(len(self.relative), None), self.absolute
        return slice(len(self.relative)), self.relative


class ChangeSequence:
    """Evidence at a number of changes, and between them."""

    def __init__(self, changes: FloatArray, found: MeanEvidence) -> None:
        order = np.argsort(changes, kind="stable")
        self._changes = changes[order]
        self._found = MeanEvidence(
            *(values[order] for values in (found.above, found.below, found.mean, found.rho))
        )

    def at(self, change: float) -> MeanEvidence:
        """Give the evidence that the change is above (and below) one of those that were asked about."""
        i = int(np.argmin(abs(self._changes - change)))
        return MeanEvidence(
            *(
                values[i]
                for values in (self._found.above, self._found.below, self._found.mean, self._found.rho)
            )
        )

    @property
    def estimate(self) -> float:
        """The change at which the mean score is 0, that is at which the arms are alike."""
        mean = np.minimum.accumulate(self._found.mean)
        if mean[0] <= 0:
            return float(self._changes[0])
        if mean[-1] >= 0:
            return float(self._changes[-1])
        return float(np.interp(0.0, -mean, self._changes))

    def bounds(self, level: float) -> tuple[float, float]:
        """Invert the evidence: what lies outside has been rejected."""
        needed = -math.log(level)
        low, high = self._end(self._found.above, needed, 1), self._end(self._found.below, needed, -1)
        # between two changes that were asked about, the straight line may overshoot
        return min(low, self.estimate), max(high, self.estimate)

    def _end(self, evidence: FloatArray, needed: float, side: int) -> float:
        points, values = self._changes[::side], evidence[::side]
        rejected = np.flatnonzero(values >= needed)
        if not len(rejected):
            return -side * math.inf
        last = int(rejected[-1])
        if last == len(points) - 1:
            return float(points[last])
        drop = (values[last] - needed) / (values[last] - values[last + 1])
        return float(points[last] + drop * (points[last + 1] - points[last]))

    def finding(self, limits: Limits, rates: ErrorRates, points: int) -> dict[str, Any]:
        """Hold the evidence against the limits, whose ends and 0 are among the changes; gives fields of a finding."""
        sides, none = limits.sides, self.at(0.0)
        asked = list(limits.asked)
        for place, (sign, limit) in zip(range(len(asked))[limits.at_pass], limits.pass_sides, strict=True):
            # evidence is kept at few changes: of a pass, at the farthest that is no farther
            asked[place] = sign * max(
                0.0, *(sign * self._changes[~above(sign * self._changes, sign * limit)])
            )
        found = [self.at(limit) for limit in asked]
        evidence = LogEvidence(
            estimate=self.estimate,
            found=by_side(limits, [(float(one.above), float(one.below)) for one in found]),
            none=(float(none.above), float(none.below)),
            fail_bounds=[self.bounds(rates.level / len(sides))] * len(sides),
            pass_bounds=[self.bounds(rates.beta)] * len(sides),
        )
        return evidence.weigh(limits, rates, points) | {"autocorrelation": float(none.rho)}
