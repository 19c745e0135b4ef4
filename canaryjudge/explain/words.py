"""What there is to say of a finding: what all rules share, and where each rule's own words are found."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Final, Generic, TypeVar

from canaryjudge.explain.evidence import looks_so_far
from canaryjudge.explain.numbers import count, more, time_of
from canaryjudge.kinds import KINDS
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.results import MetricResult
from canaryjudge.rules.findings import Finding

__all__ = ["Words", "words", "words_of"]

F = TypeVar("F", bound=Finding)
W = TypeVar("W", bound="type[Words[Any]]")

_WORDS: Final[dict[type[Finding], type[Words[Any]]]] = {}


def words(finding: type[Finding]) -> Callable[[W], W]:
    """Register the words of a rule's finding."""

    def register(words: W) -> W:
        _WORDS[finding] = words
        return words

    return register


def words_of(
    finding: Finding, result: MetricResult, within: Finding | None = None, *, brief: bool = False
) -> Words[Any]:
    """Find the words of a metric's finding; `within` is the group of rules that speaks by it."""
    found = _WORDS[type(finding)](finding, result, within or finding)
    found.brief = brief
    return found


class Words(ABC, Generic[F]):
    """What is said of one finding of a metric; each rule has a subclass."""

    feature: ClassVar[str] = ""
    """What the rule looks for beside the level, such as a burst; empty for rules about the level."""

    def __init__(self, finding: F, result: MetricResult, told: Finding) -> None:
        self.finding = finding
        self.result = result
        self.told = told
        """The metric's own finding: this one, or the group that it decided."""
        self.kind, self.unit = KINDS[result.kind], result.unit
        self.brief = False
        """Whether a sentence leaves out intervals and tests."""

    @abstractmethod
    def sentence(self) -> str:
        """Say what the rule found."""

    @abstractmethod
    def main_number(self) -> tuple[str, str]:
        """Give the main number and what it is a change of or held against, such as ``("+23 %", "148 ms v. 120 ms")``."""

    @abstractmethod
    def held_against(self) -> str:
        """Say what it is held against: the tolerance, or the objective; nothing where there is no limit."""

    def limits(self) -> str:
        """Say that, and beyond what a pass excludes harm where that is another."""
        return self.held_against()

    @abstractmethod
    def interval(self) -> str:
        """Give the confidence interval that the outcome rests on; nothing where there is none."""

    @abstractmethod
    def limit(self, value: float) -> str:
        """Write a limit for an axis."""

    @abstractmethod
    def other_limit(self) -> str:
        """Say which limit would do, where so much more data would be needed that nobody will wait for them."""

    def turning_points(self) -> list[str]:
        """Say how the ends of the intervals lie to the limit, and at which it would have come out otherwise."""
        return []

    @property
    def counted(self) -> str:
        """What is counted: points, intervals or samples."""
        return self.kind.points

    def sizes(self) -> str:
        """Canary first, as in "canary v. baseline" everywhere; pairs are of both."""
        if self.kind.is_paired:
            return f"{count(self.finding.n_canary)} {self.counted}"
        return f"{count(self.finding.n_canary)} v. {count(self.finding.n_baseline)} {self.counted}"

    @property
    def a_side(self) -> str:
        """What follows a number of further points: each arm needs them, but pairs are of both."""
        return "" if self.kind.is_paired else " a side"

    def time(self) -> str:
        """Say in parentheses how long the points that are missing take; nothing where nobody knows."""
        interval = self.result.interval_s
        if interval is None or self.counted == "samples":
            return ""
        return f" ({time_of(self.finding.more_points or 0, interval)})"

    @property
    def rule(self) -> str:
        """The rule's name."""
        return self.finding.rule

    @property
    def watched(self) -> bool:
        """Whether it goes on by itself, so that it is only a matter of time."""
        return self.finding.watch is not None and self.finding.watch.looks_planned is not None

    def too_little_data(self) -> str:
        """Say that there is too little data, and how much longer it takes to have enough."""
        more = self.outlook() if self.watched else ""
        return f"too little data for the rule {self.rule}: {self.sizes()}{more}"

    def outlook(self) -> str:
        """Say how much longer a watch may take: the end of a sentence, or nothing."""
        finding, watch = self.finding, self.finding.watch
        points, lacking = finding.more_points, finding.reason is Reason.TOO_LITTLE_DATA
        if points is None:
            return f"; {said}" if lacking and watch is not None and (said := looks_so_far(watch)) else ""
        if watch is not None and watch.looks_planned is not None:
            return f"; the next look is after {more(points, self.counted, roughly=False)}{self.time()}"
        size = f"{more(points, self.counted)}{self.time()}"
        if lacking:
            return f"; it takes {size}"
        would = "would have decided" if self.result.watch_over else "would decide"
        return f"; about {size} {would} at this traffic and estimate"

    def more_data(self) -> list[str]:
        """Say how much more data would decide what is undecided."""
        points = self.finding.more_points
        if self.finding.outcome is not Outcome.MARGINAL or points is None:
            return []
        if self.finding.watch is not None and self.finding.watch.looks_planned is not None:
            return [f"The next look is after {more(points, self.counted, roughly=False)}{self.time()}."]
        said = [
            f"About {more(points, self.counted)}{self.a_side}{self.time()} would decide it at the present noise."
        ]
        if self.finding.far_from_decided:
            said.append(
                f"That is more than ten times what there is. The other ways are {self.other_limit()}, or more traffic."
            )
        return said
