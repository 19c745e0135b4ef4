"""How a rollout went over time, in memory that does not grow: what was decided when, and what each stage's own data said from look to look."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from canaryjudge.data.rows import question_of
from canaryjudge.monitor.effect_trace import Blocks, EffectTrace
from canaryjudge.packing import pack, pack_times, unpack, unpack_times
from canaryjudge.patterns.trend import trend_of
from canaryjudge.policy import Metric
from canaryjudge.results import (
    BlockFacts,
    DecisionFacts,
    LookFacts,
    MetricResult,
    MetricTimeline,
    ReleaseResult,
    StageFacts,
    TimelineFacts,
    TrendFacts,
)
from canaryjudge.rules import ErrorRates
from canaryjudge.rules.findings import EffectFinding, Interval, ten_digits

__all__ = ["Timeline"]

_MOST_LOOKS: Final = 24
"""Looks of a stage; of more only every second, fourth, ... is kept, and the latest."""
_MOST_OF_PAST: Final = 12
"""Looks of a stage that is over."""
_MOST_DECISIONS: Final = 60
"""Of more the oldest holds are left out."""
_DIGITS: Final = 4
"""As many as half a float has."""


@dataclass
class _Looks:
    """What a stage's own data said of a metric, from look to look."""

    seen: int = 0
    """How many looks said something new."""
    at: list[int] = field(default_factory=list)
    says: list[tuple[float, float, float]] = field(default_factory=list)
    """Estimate, lower and upper end, in parts of the limit, as halves of floats."""
    scale: str = "relative"
    limit: float | None = None
    bound: float | None = None

    def add(self, time: float, result: MetricResult) -> None:
        """Take what a look says, where it is news."""
        finding = _about_the_level(result)
        if finding is None:
            return
        low, high = _ends(finding)
        part = [math.nan if finding.estimate is None else _part(finding, finding.estimate), low, high]
        with np.errstate(over="ignore"):
            halves = np.array(part).astype(np.float16).astype(np.float64)
        self.scale, self.limit, self.bound = finding.scale, _limit(finding), _bound(finding)
        if self.says and np.array_equal(halves, self.says[-1], equal_nan=True):
            return
        stride = self._stride
        if len(self.says) > 1 and (self.seen - 1) % stride:  # it was there as the latest
            del self.says[-1], self.at[-1]
        self.says.append((float(halves[0]), float(halves[1]), float(halves[2])))
        self.at.append(round(time))
        self.seen += 1
        if self._stride > stride:
            self.says, self.at = self.says[::2], self.at[::2]

    def end(self) -> None:
        """Keep fewer of a stage that is over, the last among them."""
        while len(self.says) > _MOST_OF_PAST:
            kept = sorted({*range(0, len(self.says), 2), len(self.says) - 1})
            self.says, self.at = [self.says[i] for i in kept], [self.at[i] for i in kept]

    @property
    def _stride(self) -> int:
        """Which looks are kept for good: every first, second, fourth, ..."""
        stride = 1
        while (self.seen - 1) // stride + 1 > _MOST_LOOKS:
            stride *= 2
        return stride

    def facts(self, stage: str) -> LookFacts:
        """Give it as facts."""
        columns = [[_short(part) for part in column] for column in zip(*self.says, strict=True)]
        estimate, low, high = (tuple(column) for column in columns)
        return LookFacts(
            stage=stage,
            scale=self.scale,
            limit=self.limit,
            bound=self.bound,
            at=tuple(map(float, self.at)),
            estimate=estimate,
            low=low,
            high=high,
        )

    def save(self) -> list[Any]:
        """Give what is remembered, as JSON has it."""
        times = pack_times(np.array(self.at, dtype=np.int64))
        return [
            self.seen,
            times,
            pack(np.array(self.says, dtype=np.float16)),
            self.scale,
            self.limit,
            self.bound,
        ]

    @classmethod
    def load(cls, state: Sequence[Any]) -> _Looks:
        """Read what was saved."""
        seen, times, says, scale, limit, bound = state
        kept = unpack(says, "<f2", (-1, 3)).astype(np.float64).tolist()
        at = unpack_times(times).tolist()
        if len(at) != len(kept):
            raise ValueError("looks without times")
        return cls(int(seen), at, [(one[0], one[1], one[2]) for one in kept], scale, limit, bound)


class Timeline:
    """Remembers how a rollout went.

    Parameters
    ----------
    metrics : sequence of Metric
        Those of the policy, as the watch over all stages has them.
    stages : sequence of str
        The names of the stages.
    """

    def __init__(self, metrics: Sequence[Metric], stages: Sequence[str]) -> None:
        self._stages = tuple(stages)
        nothing = ErrorRates(0.0, 0.0)
        self.effects = {metric.name: EffectTrace(question_of(metric, nothing)) for metric in metrics}
        self._looks: dict[str, dict[int, _Looks]] = {metric.name: {} for metric in metrics}
        self._decisions: list[DecisionFacts] = []
        self._trends: dict[str, tuple[tuple[int, int], TrendFacts]] = {}
        self._told: TimelineFacts | None = None

    def look(self, stage: int, time: float, at_stage: ReleaseResult) -> None:
        """Take what a stage's own data say at a look."""
        self._told = None
        for name, result in at_stage.metrics.items():
            if _about_the_level(result) is None:
                continue
            looks = self._looks[name]
            if stage not in looks:
                for past in looks.values():
                    past.end()
            looks.setdefault(stage, _Looks()).add(time, result)

    def decided(self, decision: DecisionFacts) -> None:
        """Take a decision, where it is another than the one before."""
        if self._decisions and self._decisions[-1].model_copy(update={"at": decision.at}) == decision:
            return
        self._decisions.append(decision)
        holds = [place for place, each in enumerate(self._decisions) if each.action == "hold"]
        if len(self._decisions) > _MOST_DECISIONS and holds:
            del self._decisions[holds[0]]

    def facts(self, until: float | None) -> TimelineFacts:
        """Give what there is to be seen of it, put together once until there is a new look; `until` is when the stages that are left are over at the latest."""
        if self._told is None:
            self._told = TimelineFacts(
                decisions=tuple(self._decisions),
                metrics={name: self._metric(name, until) for name in self._looks},
            )
        return self._told

    def _metric(self, name: str, until: float | None) -> MetricTimeline:
        looks = tuple(own.facts(self._stages[stage]) for stage, own in sorted(self._looks[name].items()))
        blocks = self.effects[name].blocks
        if blocks is None:
            return MetricTimeline(looks=looks)
        trend = self._trend(name, blocks).model_copy(update={"until": until})
        return MetricTimeline(looks=looks, blocks=_facts_of(blocks), trend=trend)

    def _trend(self, name: str, blocks: Blocks) -> TrendFacts:
        """Tell whether a metric's effect grows or fades; anew where there is a new block."""
        size = blocks.length, len(blocks.times)
        if name not in self._trends or self._trends[name][0] != size:
            self._trends[name] = size, trend_of(blocks, self.effects[name].sides)
        return self._trends[name][1]

    def save(self) -> dict[str, Any]:
        """Give what is remembered."""
        return {
            "decisions": [
                [
                    each.at,
                    each.action,
                    each.because,
                    self._stages.index(each.stage),
                    *([] if each.cause is None else [each.cause, each.metric]),
                ]
                for each in self._decisions
            ],
            "looks": {
                name: {str(stage): own.save() for stage, own in looks.items()}
                for name, looks in self._looks.items()
                if looks
            },
            "effects": {name: trace.save() for name, trace in self.effects.items()},
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take what was saved; of something else, KeyError, TypeError, ValueError, IndexError or AttributeError."""
        self._decisions = [
            DecisionFacts(
                at=at,
                action=action,
                because=because,
                stage=self._stages[stage],
                cause=doubt[0] if doubt else None,
                metric=doubt[1] if doubt else None,
            )
            for at, action, because, stage, *doubt in state["decisions"]
        ]
        for name, looks in state["looks"].items():
            own = self._looks[name]
            own.update({int(stage): _Looks.load(saved) for stage, saved in looks.items()})
            if not all(0 <= stage < len(self._stages) for stage in own):
                raise ValueError("looks at a stage that there is not")
        for name, trace in self.effects.items():
            trace.load(state["effects"][name])

    def load_past(self, past: Sequence[StageFacts]) -> None:
        """Take what the stages that were left or failed tell, of a state that remembers no more."""
        self._decisions = [
            DecisionFacts(
                at=stage.ended or 0.0,
                action="rollback" if stage.status == "failed" else "advance",
                because=stage.because or "excluded",
                stage=stage.name,
            )
            for stage in past
        ]


def _facts_of(found: Blocks) -> BlockFacts:
    return BlockFacts(
        length=found.length,
        limit=ten_digits(np.array([found.limit]))[0],
        scale=found.scale,
        at=tuple(ten_digits(found.times)),
        change=tuple(_short(change) for change in found.changes.tolist()),
    )


def _short(part: float) -> float | None:
    return float(f"{part:.{_DIGITS}g}") if math.isfinite(part) else None


def _about_the_level(result: MetricResult) -> EffectFinding | None:
    """Find the finding that is drawn: the first about a change, or else about an objective, that has a limit."""
    found = [
        effect for finding in result.findings if (effect := finding.effect) is not None and _limit(effect)
    ]
    return next((each for each in found if each.scale != "objective"), found[0] if found else None)


def _limit(finding: EffectFinding) -> float | None:
    return finding.limit_high if finding.limit_high is not None else finding.limit_low


def _bound(finding: EffectFinding) -> float | None:
    """Give what a pass excludes, in parts of the limit."""
    bound = finding.pass_high if finding.limit_high is not None else finding.pass_low
    return None if bound is None else _part(finding, bound)


def _part(finding: EffectFinding, value: float) -> float:
    """Give a value in parts of the limit, so that more is worse; where both sides are bad, on the side on which it is."""
    high, low = finding.limit_high, finding.limit_low
    if finding.scale == "objective" and high is None and low is not None:
        return low / value if value > 0 else math.inf
    if high is not None and low is not None and finding.scale != "objective":
        return value / (high if value >= 0 else -low)
    limit = high if high is not None else low
    return value / limit if limit else math.nan


def _ends(finding: EffectFinding) -> tuple[float, float]:
    """Give the ends of the interval that proves a pass, or else of that which proves a fail, the worse one last."""
    interval: Interval | None = finding.pass_interval or finding.interval
    if interval is None:
        return math.nan, math.nan
    falls = finding.limit_high is None
    low, high = (
        (-math.inf if interval.low is None else interval.low),
        (math.inf if interval.high is None else interval.high),
    )
    first, second = (_part(finding, end) for end in ((high, low) if falls else (low, high)))
    return first, second
