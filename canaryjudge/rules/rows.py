"""What a rule sees: the arms of one metric as arrays, one pair a row, and what is asked of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any, Generic, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from canaryjudge.kinds import KINDS, KindName
from canaryjudge.stats.earlier_days import Windows
from canaryjudge.stats.usual_variation import usual_error_rate, usual_variation

__all__ = [
    "Arm",
    "Arms",
    "Batch",
    "BoolArray",
    "EarlierDays",
    "ErrorRates",
    "FloatArray",
    "Horizon",
    "IntArray",
    "Pair",
    "Question",
    "Rows",
    "Sizes",
    "Staged",
    "Wholes",
    "at_least",
    "excluded",
    "stretched",
    "usual_errors",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]
Staged = Literal["whole", "stage"]
_MOST_NOISE = 0.02
_Number = TypeVar("_Number", float, FloatArray)


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of one metric.

    Attributes
    ----------
    value : ndarray, shape (n,)
        Finite values in the metric's unit, in order of time; events for ratios and counts.
    total : ndarray, shape (n,), or None
        What the events are of (ratios) or their exposure (counts); positive.
    time : ndarray, shape (n,), or None
        Seconds since 1970, ascending.
    buckets : ndarray, shape (n, k), or None
        Of histograms: how many of an interval's observations lie in each bucket (not cumulative); `value` is then their sum.
    replicas : tuple of Arm
        Each replica's own points, in the order of the replicas' names; empty unless the data name several replicas of one of the arms. The
        points of the arm are those of all replicas, pooled.
    moments : ndarray, shape (1, 15), or None
        Of users: how many there are, with the means of what they bring and the sums of products of its deviations (`UserMoments.packed`); `value` and `total` then have the sum of each.
    """

    value: FloatArray
    total: FloatArray | None = None
    time: FloatArray | None = None
    buckets: FloatArray | None = None
    replicas: tuple[Arm, ...] = ()
    moments: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.value)

    def part(self, points: Any) -> Arm:
        """Give some of the points, by a slice, a mask or an index; without the replicas, whose points are others."""
        total, time, buckets = (
            None if column is None else column[points] for column in (self.total, self.time, self.buckets)
        )
        return Arm(self.value[points], total, time, buckets)

    @property
    def points(self) -> int:
        """How many points there are: of users, who are summed up, how many of them."""
        return len(self) if self.moments is None else int(self.moments[:, 0].sum())

    @property
    def levels(self) -> FloatArray:
        """The value of each point: of events, their share or rate."""
        return self.value if self.total is None else self.value / self.total

    @property
    def exposures(self) -> FloatArray:
        """The total of each point, 1 where there are none."""
        return np.ones(len(self.value)) if self.total is None else self.total

    @property
    def events(self) -> float:
        """Sum of the values."""
        return float(self.value.sum())

    @property
    def exposure(self) -> float:
        """Sum of the totals; the number of points where there are none."""
        return float(len(self.value) if self.total is None else self.total.sum())


@dataclass(frozen=True, slots=True)
class Arms:
    """One arm of many pairs: as `Arm`, with a leading axis of rows, and the replicas of each row."""

    value: FloatArray
    total: FloatArray | None
    time: FloatArray | None
    buckets: FloatArray | None
    replicas: tuple[tuple[Arm, ...], ...]
    moments: FloatArray | None = None

    @classmethod
    def of(cls, arms: Sequence[Arm]) -> Self:
        """Stack arms of one shape."""
        total, time, buckets, moments = (
            None if any(column is None for column in columns) else np.stack(columns)
            for columns in zip(
                *((arm.total, arm.time, arm.buckets, arm.moments) for arm in arms), strict=True
            )
        )
        replicas = tuple(arm.replicas for arm in arms)
        return cls(np.stack([arm.value for arm in arms]), total, time, buckets, replicas, moments)

    @property
    def points(self) -> int:
        """Points of each row."""
        return int(self.value.shape[1])

    @property
    def levels(self) -> FloatArray:
        """The value of each point: of events, their share or rate."""
        return self.value if self.total is None else self.value / self.total

    @property
    def exposures(self) -> FloatArray:
        """The total of each point, 1 where there are none."""
        return np.ones(self.value.shape) if self.total is None else self.total

    @property
    def replicated(self) -> bool:
        """Whether any row's replicas are told apart."""
        return any(self.replicas)

    def part(self, points: slice) -> Arms:
        """Give some of the points of each row, without the replicas, whose points are others."""
        total, time, buckets = (
            None if column is None else column[:, points] for column in (self.total, self.time, self.buckets)
        )
        return Arms(self.value[:, points], total, time, buckets, ((),) * len(self.value))

    def row(self, index: int) -> Arm:
        """Give one row."""
        total, time, buckets, moments = (
            None if column is None else column[index]
            for column in (self.total, self.time, self.buckets, self.moments)
        )
        return Arm(self.value[index], total, time, buckets, self.replicas[index], moments)

    def __getitem__(self, rows: BoolArray) -> Arms:
        total, time, buckets, moments = (
            None if column is None else column[rows]
            for column in (self.total, self.time, self.buckets, self.moments)
        )
        replicas = tuple(own for own, chosen in zip(self.replicas, rows, strict=True) if chosen)
        return Arms(self.value[rows], total, time, buckets, replicas, moments)


@dataclass(frozen=True, slots=True)
class Sizes(Generic[_Number]):
    """The size of a change or of a spread in two parts, of which the larger counts.

    Attributes
    ----------
    relative : float, or ndarray, shape (rows,)
        As a part of the baseline's level.
    absolute : float, or ndarray, shape (rows,)
        In the metric's unit; NaN where the policy gives none.
    """

    relative: _Number
    absolute: _Number

    @property
    def absolute_or_zero(self) -> _Number:
        """The absolute part, 0 where there is none."""
        return np.where(np.isnan(self.absolute), 0.0, self.absolute)[()]  # type: ignore[return-value]

    def __getitem__(self: Sizes[FloatArray], rows: BoolArray) -> Sizes[FloatArray]:
        return Sizes(self.relative[rows], self.absolute[rows])

    @staticmethod
    def stacked(sizes: Sequence[Sizes[float]]) -> Sizes[FloatArray]:
        """Give sizes as columns, one a row."""
        return Sizes(np.array([size.relative for size in sizes]), np.array([size.absolute for size in sizes]))


@dataclass(frozen=True, slots=True)
class EarlierDays:
    """What a service did on earlier days between the two times of the clock at which baseline and canary were measured.

    Attributes
    ----------
    windows : Windows or None
        The levels of windows on earlier days; None where there are none.
    control : Windows or None
        Those of a service that the release does not touch, of the same windows.
    own_control : pair of float, or None
        The level of that service beside the baseline and beside the canary; None where none is given, NaN where it lacks points.
    scatter : float
        Of ratios and counts: the variance of an earlier day's logarithmic change that independent events have by themselves, on the mean.
    weekdays : bool
        Whether the days that count are of the release's own day of the week.
    left_out : int
        Days that lack points at the release's times of the clock.
    """

    windows: Windows | None = None
    control: Windows | None = None
    own_control: tuple[float, float] | None = None
    scatter: float = 0.0
    weekdays: bool = False
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Wholes:
    """What a metric that should be large may be a share of, such as a success rate of 1 or of 100.

    Attributes
    ----------
    sizes : tuple of (float, float, float)
        Each such whole; from which part of it on a level is a share of it where all values are within it; and from which part on whatever the values are.
    """

    sizes: tuple[tuple[float, float, float], ...] = ()

    def of(self, level: float, highest: float) -> float | None:
        """Give the whole that a level, beside the highest of all values, is a share of; None where none is known, or what lacks to it is not the smaller part."""
        for whole, within, anyway in self.sizes:
            if level <= whole and level > (within if highest <= whole else anyway) * whole:
                return whole
        return None


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """The error rates that one rule may use: `level` of a false fail, its part of the policy's alpha; and `beta` of a false pass."""

    level: float
    beta: float


@dataclass(frozen=True, slots=True)
class Horizon:
    """How long a metric is watched, and what is known of it beside the points.

    Attributes
    ----------
    max_points : int or None
        Points an arm after which the watch ends.
    max_duration : float or None
        Seconds after which it ends.
    replicas : callable or None
        Gives the replicas of baseline and canary as they are by now, each as one point at its level.
    intervals : callable or None
        Of samples: gives which of baseline and canary lie in each interval that is over, as a stream hands them out; None where they have no times.
    staged : {"whole", "stage"} or None
        Whether it is a watch of a rollout, of all of it or of one stage: a pass is one for the time being, since the next stage begins anew; and as stages are short, points pass that tell little of
        their own noise, but fewer than 20 of a stage are taken to resemble each other strongly.
    outcome_only : bool
        Whether nobody reads more than the outcome: p-values of several looks together, which take most of the time of a simulation, are then left out.
    """

    max_points: int | None = None
    max_duration: float | None = None
    replicas: Callable[[], tuple[tuple[Arm, ...], tuple[Arm, ...]]] | None = None
    intervals: Callable[[], Sequence[tuple[slice, slice]]] | None = None
    staged: Staged | None = None
    outcome_only: bool = False

    def is_over(self, points: int, first: float | None, last: float | None) -> bool:
        """Tell whether the watch has ended, after so many points and at the time of the last."""
        if self.max_points is not None:
            return points >= self.max_points
        if self.max_duration is None or first is None or last is None:
            return False
        return last - first >= self.max_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What the rows of a batch have in common.

    Attributes
    ----------
    kind : str
        The kind of metric.
    sides : tuple of int
        The bad directions: 1 where a rise is bad, -1 where a fall is, both where either is.
    rates : ErrorRates
        The error rates; of a watch, of all looks together.
    concurrent : bool
        The arms share the clock: of all kinds but samples, point i of both lies in the same interval.
    logarithmic : bool
        Changes are compared on logarithms, as ratios.
    minute_ratios : bool
        They are where the arms are compared minute by minute.
    assumed_spread : float
        By what part of the level pods differ, where nothing has measured it; of a share near its whole, by what part of what lacks to it.
    wholes : Wholes
        What such a share may be of.
    edges : ndarray, shape (k,), or None
        Of histograms: the upper edge of each bucket, inclusive, ascending; the last is infinite.
    interval : float or None
        Spacing of the points in seconds, where there are times.
    counting_interval : float or None
        Of samples: the length of the intervals in which they are to be counted, in seconds, where the policy gives one.
    differenced : bool
        The points are what counters grew by up to their times, rather than what began at them.
    dispersion : float or None
        Of ratios and counts: how many times counts of an interval vary more than independent events, where the policy says.
    min_points : int
        The fewest points of an arm that are judged.
    pass_stated : bool
        The policy says what a pass excludes.
    pass_times : float
        How many times as much harm a pass may leave open as the metric's own, which it does at an early stage of a rollout; at most all of the level.
    horizon : Horizon
        For how long a rule is asked that is asked more than once.
    """

    kind: KindName
    sides: tuple[int, ...]
    rates: ErrorRates
    concurrent: bool = False
    logarithmic: bool = False
    minute_ratios: bool = False
    assumed_spread: float = 0.0
    wholes: Wholes = Wholes()
    edges: FloatArray | None = None
    interval: float | None = None
    counting_interval: float | None = None
    differenced: bool = False
    dispersion: float | None = None
    min_points: int = 1
    pass_stated: bool = False
    pass_times: float = 1.0
    horizon: Horizon = field(default_factory=Horizon)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Batch):
    """What is asked of one pair.

    Attributes
    ----------
    tolerance : Sizes of float
        The largest change that is tolerated.
    pass_within : Sizes of float, or None
        Harm beyond this is what a pass excludes; no less than the tolerance. None leaves it to how much the baseline itself usually varies.
    floor : Sizes of float
        Standard deviation by which healthy windows differ, or healthy replicas where the arms share the clock; 0 where the policy gives none.
    floor_df : float
        Degrees of freedom with which that is known.
    earlier : EarlierDays or None
        What earlier days say, where it was looked up.
    """

    tolerance: Sizes[float]
    pass_within: Sizes[float] | None = None
    floor: Sizes[float] = Sizes(0.0, 0.0)
    floor_df: float = np.inf
    earlier: EarlierDays | None = None

    @property
    def likeness(self) -> tuple[Any, ...]:
        """What tells, beside the shape, whether pairs are rows of one batch."""
        return _LIKE(self)

    @property
    def pass_sizes(self) -> Sizes[float]:
        """What a pass excludes, where it is not left to the baseline."""
        return self.pass_within or stretched(self.tolerance, self.pass_times)

    def of(self, baseline: Arm, canary: Arm, **facts: Any) -> Pair:
        """Ask it of two arms, with what else is known of these."""
        own = {name: getattr(self, name) for name in _OF_QUESTION}
        own.update(facts)
        return Pair(**own, baseline=baseline, canary=canary)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair(Question):
    """One row: both arms of one metric, and what is asked of them.

    Attributes
    ----------
    baseline, canary : Arm
        The arms.
    strata : tuple of Pair
        Of one interval of a watch within segments: the arms of each segment, of which these are pooled; nothing elsewhere.
    """

    baseline: Arm
    canary: Arm
    strata: tuple[Pair, ...] = ()

    @property
    def question(self) -> Question:
        """What is asked, without the arms."""
        return Question(**{name: getattr(self, name) for name in _OF_QUESTION})

    @property
    def arms(self) -> tuple[Arm, Arm]:
        """Baseline and canary."""
        return self.baseline, self.canary

    @property
    def fewest(self) -> int:
        """Points of the arm that has fewer."""
        return min(len(self.baseline), len(self.canary))

    @property
    def likeness(self) -> tuple[Any, ...]:
        """What tells whether pairs are rows of one batch: the shape, and what is asked."""
        return (len(self.baseline), len(self.canary), id(self.edges), *_LIKE(self))

    def part(self, points: Any) -> Pair:
        """Give some of the points of both arms, by a slice or an index."""
        return replace(self, baseline=self.baseline.part(points), canary=self.canary.part(points))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows(Batch):
    """Pairs of one kind and shape, of which the same is asked; one a row.

    Attributes
    ----------
    baseline, canary : Arms
        The arms.
    tolerance, pass_within, floor : Sizes of ndarray
        As of `Question`, one a row; what a pass excludes is always known.
    floor_df : ndarray, shape (rows,)
        The same.
    earlier : tuple of EarlierDays or None
        The same, one a row.
    """

    baseline: Arms
    canary: Arms
    tolerance: Sizes[FloatArray]
    pass_within: Sizes[FloatArray]
    floor: Sizes[FloatArray]
    floor_df: FloatArray
    earlier: tuple[EarlierDays | None, ...]

    @classmethod
    def of(cls, pairs: Sequence[Pair]) -> Self:
        """Stack pairs that have their batch in common."""
        return cls.asked(pairs[0], pairs, [pair.arms for pair in pairs])

    @classmethod
    def asked(cls, batch: Batch, questions: Sequence[Question], arms: Sequence[tuple[Arm, Arm]]) -> Self:
        """Stack pairs of arms, of each of which its question is asked."""
        baseline, canary = (Arms.of(own) for own in zip(*arms, strict=True))
        tolerance = Sizes.stacked([asked.tolerance for asked in questions])
        return cls(
            **{name: getattr(batch, name) for name in Batch.__slots__},
            baseline=baseline,
            canary=canary,
            tolerance=tolerance,
            pass_within=_excluded(batch, baseline, tolerance, [asked.pass_within for asked in questions]),
            floor=Sizes.stacked([asked.floor for asked in questions]),
            floor_df=np.array([asked.floor_df for asked in questions]),
            earlier=tuple(asked.earlier for asked in questions),
        )

    def __len__(self) -> int:
        return len(self.baseline.value)

    def __iter__(self) -> Iterator[Pair]:
        return (self.pair(index) for index in range(len(self)))

    @property
    def fewest(self) -> int:
        """Points of the arm that has fewer."""
        return min(self.baseline.points, self.canary.points)

    @property
    def replicated(self) -> list[bool]:
        """Whether each row's replicas are told apart."""
        return [
            bool(both[0] or both[1])
            for both in zip(self.baseline.replicas, self.canary.replicas, strict=True)
        ]

    def pair(self, index: int) -> Pair:
        """Give one row."""
        return Pair(
            **{name: getattr(self, name) for name in Batch.__slots__},
            baseline=self.baseline.row(index),
            canary=self.canary.row(index),
            tolerance=_of_row(self.tolerance, index),
            pass_within=_of_row(self.pass_within, index),
            floor=_of_row(self.floor, index),
            floor_df=float(self.floor_df[index]),
            earlier=self.earlier[index],
        )

    def __getitem__(self, rows: BoolArray) -> Self:
        return replace(
            self,
            baseline=self.baseline[rows],
            canary=self.canary[rows],
            tolerance=self.tolerance[rows],
            pass_within=self.pass_within[rows],
            floor=self.floor[rows],
            floor_df=self.floor_df[rows],
            earlier=tuple(own for own, chosen in zip(self.earlier, rows, strict=True) if chosen),
        )


_OF_QUESTION = (*Batch.__slots__, *Question.__slots__)
_LIKE = attrgetter(*(name for name in Batch.__slots__ if name != "edges"))


def excluded(pair: Pair) -> Sizes[float]:
    """Give harm beyond which a pass excludes: what the policy says, or how much the baseline itself usually varies; no less than the tolerance."""
    return _of_row(Rows.of([pair]).pass_within, 0)


def _excluded(
    question: Batch, baseline: Arms, tolerance: Sizes[FloatArray], stated: Sequence[Sizes[float] | None]
) -> Sizes[FloatArray]:
    """Give the same, one a row."""
    kind, usual = KINDS[question.kind], stretched(tolerance, question.pass_times)
    if kind.is_averaged and baseline.points > 1:
        usual = Sizes(usual_variation(baseline.value, tolerance.relative), tolerance.absolute)
        usual = stretched(usual, question.pass_times, np.abs(np.median(baseline.value, axis=1)))
    elif kind.is_share and kind.is_paired and len(question.sides) == 1:
        usual = Sizes(tolerance.relative, np.fmax(tolerance.absolute, _half_of_noise(question, baseline)))
    elif kind.is_share and len(question.sides) == 1:
        events, total = baseline.value.sum(axis=1), baseline.exposures.sum(axis=1)
        usual = usual_errors(events, total, question.sides, tolerance, question.pass_times)
    if all(sizes is None for sizes in stated):
        return usual
    own = at_least(tolerance, Sizes.stacked([sizes or Sizes(0.0, np.nan) for sizes in stated]))
    said = np.array([sizes is not None for sizes in stated])
    return Sizes(np.where(said, own.relative, usual.relative), np.where(said, own.absolute, usual.absolute))


def _half_of_noise(question: Batch, baseline: Arms) -> FloatArray:
    """Give half the share of what is wrong with the baseline already, of mismatches that of a second baseline's: at most one percentage point."""
    share = baseline.value.sum(axis=1) / baseline.exposures.sum(axis=1)
    return np.asarray(np.minimum(share if question.sides == (1,) else 1 - share, _MOST_NOISE) / 2)


def at_least(sizes: Sizes[_Number], others: Sizes[_Number]) -> Sizes[_Number]:
    """Give the larger of two sizes, part by part."""
    return Sizes(np.maximum(sizes.relative, others.relative), np.fmax(sizes.absolute, others.absolute))


def stretched(sizes: Sizes[_Number], times: float, level: _Number | float = np.inf) -> Sizes[_Number]:
    """Give so many times a size, but no more than all of the level, unless it is more by itself.

    Examples
    --------
    >>> stretched(Sizes(0.2, 5.0), 3), stretched(Sizes(0.2, 5.0), 9).relative
    (Sizes(relative=0.6000000000000001, absolute=15.0), 1.0)
    """
    if times == 1:
        return sizes

    def at_most(size: Any, most: Any) -> Any:
        found = np.maximum(size, np.minimum(most, size * times))
        return found if np.ndim(found) else float(found)

    return Sizes(at_most(sizes.relative, 1.0), at_most(sizes.absolute, level))


def usual_errors(
    events: _Number, total: _Number, sides: tuple[int, ...], tolerance: Sizes[_Number], times: float = 1.0
) -> Sizes[_Number]:
    """Give the same of a share of events, which are errors where a rise is bad; where a fall is, what is no event is one. And so many times as much, but no more than all errors."""
    wrong = np.asarray(events if sides == (1,) else total - events)
    usual = usual_error_rate(wrong[..., None], np.asarray(total)[..., None])
    few: _Number = np.where(2 * wrong < total, usual, 0.0)[()]  # type: ignore[assignment]
    own = Sizes(tolerance.relative, np.fmax(tolerance.absolute, few))
    return own if times == 1 else stretched(own, times, wrong / np.maximum(total, 1e-300))


def _of_row(sizes: Sizes[FloatArray], index: int) -> Sizes[float]:
    return Sizes(float(sizes.relative[index]), float(sizes.absolute[index]))
