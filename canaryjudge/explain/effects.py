"""Words for an effect: a change or a value with its intervals, the limit that it is held against, and the test that it rests on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from canaryjudge.explain.evidence import amount, notable, odds, proven_fine, taken
from canaryjudge.explain.numbers import confidence, more, number, percent, pvalue, times_as_high
from canaryjudge.explain.quantities import change, level_of, levels_of, set_change, span
from canaryjudge.explain.words import Words
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.findings import EffectFinding, Interval
from canaryjudge.rules.late_shift import LateShiftFinding

__all__ = ["TOO_FEW_TO_PROVE", "CountedWords", "EffectWords", "signed"]

TOO_FEW_TO_PROVE = "its points are too few, or too alike from one to the next, to prove"

E = TypeVar("E", bound=EffectFinding)


class EffectWords(Words[E]):
    """What is said of an effect; as a change, where a rule does not say otherwise."""

    methods: ClassVar[Mapping[str, str]]
    """Each test that the finding may name."""

    @abstractmethod
    def found(self) -> str:
        """Say what was found, and how that stands to the limit."""

    def sentence(self) -> str:
        """Say what the rule found."""
        finding = self.finding
        if finding.reason is Reason.IDENTICAL:
            return f"both arms are {self.level(finding.canary_level)} throughout ({self.sizes()})"
        if self._asked_nothing:
            return f"too few points to look ({self.sizes()})"
        if finding.reason is Reason.NEEDS_ABSOLUTE_TOLERANCE:
            return self.without_percent()
        if finding.reason is Reason.TOO_LITTLE_DATA:
            return self.too_little_data()
        return self.joined(self.found(), self.explanation())

    def joined(self, *parts: str) -> str:
        """Join the parts of a sentence and the evidence: of a brief one the first alone."""
        said = parts[:1] if self.brief else (*parts, self.evidence())
        return "; ".join(part for part in said if part)

    @property
    def _asked_nothing(self) -> bool:
        """Whether a rule about a feature had too few points to ask, which is a pass, or undecided where a group needs a proof."""
        finding = self.finding
        unproven = finding.reason is Reason.UNDECIDED and finding.method == "none"
        return finding.pvalue is None and (unproven or finding.reason is Reason.NOTHING_FOUND)

    def without_percent(self) -> str:
        """Say that a change in percent means nothing beside a baseline of zero."""
        return (
            f"the arms cannot be compared in percent: the baseline's level is {self.level(self.finding.baseline_level)} and the canary's "
            f"{self.level(self.finding.canary_level)}; give tolerance.absolute ({self.sizes()})"
        )

    def explanation(self) -> str:
        """Say what else one must know to understand the numbers."""
        return ""

    def amount(self) -> str:
        """Say how much was counted."""
        return self.sizes()

    # the change and its limit

    @property
    def in_times(self) -> bool:
        """Whether a change is so large that it is told in times."""
        return self.finding.scale == "relative" and (
            self.finding.estimate is None or self.finding.estimate > 3
        )

    def level(self, value: float | None) -> str:
        """Write a level of the metric."""
        return "unknown" if value is None else level_of(value, self.kind.name, self.unit)

    def levels(self) -> str:
        """Give the levels of both arms in one unit: ``148 ms v. 120 ms``."""
        canary, baseline = self.finding.canary_level, self.finding.baseline_level
        if canary is None or baseline is None:
            return f"{self.level(canary)} v. {self.level(baseline)}"
        return " v. ".join(levels_of((canary, baseline), self.kind.name, self.unit))

    def moved(self) -> str:
        """Say how far the canary is from the baseline, and in which direction."""
        estimate = self.finding.estimate
        if estimate is None:
            return "higher"
        if estimate == 0:
            return "unchanged"
        if self.in_times:
            return f"{times_as_high(estimate)} times as high"
        return f"{self.change(estimate)} {'higher' if estimate > 0 else 'lower'}"

    def change(self, value: float) -> str:
        """Write the size of a change."""
        return change(value, self.finding.scale, self.kind.name, self.unit)

    def set_change(self, value: float) -> str:
        """Write the size of a change that somebody chose."""
        return set_change(value, self.finding.scale, self.kind.name, self.unit)

    def tolerated(self) -> str:
        """Say how large a change is tolerated."""
        limits = (self.finding.limit_high, self.finding.limit_low)
        sides = [self.set_change(limit) for limit in limits if limit is not None]
        if not sides:  # beyond all numbers
            return "change"
        return sides[0] if len(set(sides)) == 1 else f"{sides[0]} up or {sides[1]} down"

    def excluded(self) -> str:
        """Say beyond which change a pass excludes harm; nothing where that is what is tolerated."""
        finding = self.finding
        if finding.pass_by in (None, "tolerance"):
            return ""
        sides = [self.change(limit) for limit in (finding.pass_high, finding.pass_low) if limit is not None]
        return sides[0] if len(set(sides)) == 1 else f"{sides[0]} up or {sides[1]} down"

    def why_excluded(self) -> str:
        """Say why a pass need not exclude more: a part of a sentence."""
        if self.finding.pass_by == "stated":
            return "which is the policy's pass_within"
        if self.kind.is_share:
            return "which is what is asked of ratios"
        return "by which the baseline itself varies"

    def main_number(self) -> tuple[str, str]:
        """Give the change and the levels."""
        estimate = self.finding.estimate
        if self.in_times or not estimate:
            return self.moved(), self.levels()
        return self.value(estimate), self.levels()

    def value(self, value: float) -> str:
        """Write a value on the scale of the effect: a change with its sign."""
        return signed(value, self.change(value))

    def limit(self, value: float) -> str:
        """Write a limit for an axis."""
        return signed(value, self.set_change(value))

    def held_against(self) -> str:
        """Say how much is tolerated."""
        return f"tolerated {self.tolerated()}" if self._has_limit else ""

    def limits(self) -> str:
        """Say how much is tolerated, and beyond what a pass excludes harm where that is another."""
        excluded = self.excluded()
        return (
            f"{self.held_against()}, a pass rules out more than {excluded}"
            if excluded
            else self.held_against()
        )

    @property
    def _has_limit(self) -> bool:
        return self.finding.limit_high is not None or self.finding.limit_low is not None

    def other_limit(self) -> str:
        """Say that more may be tolerated."""
        return "a wider tolerance"

    # its intervals

    def interval(self) -> str:
        """Give the confidence interval that the outcome rests on; nothing where there is none."""
        finding = self.finding
        interval = finding.pass_interval if finding.outcome is Outcome.PASS else finding.interval
        unbounded = interval is None or (interval.low is None and interval.high is None)
        return "" if interval is None or unbounded else self.told_interval(interval)

    def told_interval(self, interval: Interval) -> str:
        """Write an interval with its confidence."""
        watch = self.finding.watch
        when = " at any look" if watch is not None and watch.log_e_fail is not None else ""
        return f"{confidence(interval.confidence_level)}{when} {self.span(interval)}"

    def span(self, interval: Interval) -> str:
        """Write from where to where it goes."""
        scale = "times" if self.in_times else self.finding.scale
        return span(interval.low, interval.high, scale, self.kind.name, self.unit)

    def proof(self) -> str:
        """Give the interval that proves what was found, in parentheses; nothing where there is none."""
        if self.brief:
            return ""
        fine = proven_fine(self.finding)
        interval = self.finding.pass_interval if fine else self.finding.interval
        return f" ({self.told_interval(interval)})" if interval else ""

    def unprovable(self) -> str:
        """Say what the intervals, which are unbounded, cannot prove."""
        finding = self.finding
        levels = (("fail", finding.interval, finding.level), ("pass", finding.pass_interval, finding.beta))
        return " or ".join(
            f"a {what} at the level of {percent(allowed)}"
            for what, interval, allowed in levels
            if interval is not None and interval.low is None and interval.high is None
        )

    # what it rests on

    @property
    def dispersion(self) -> float | None:
        """How variable events are."""
        return None

    def allowances(self) -> list[str]:
        """Say what the test allowed for."""
        said = (
            [f"events {times} as variable as independent ones"] if (times := notable(self.dispersion)) else []
        )
        said += self.healthy_differences()
        rho = self.finding.autocorrelation
        return [*said, f"lag-1 autocorrelation {number(rho, 2)}"] if rho is not None and rho >= 0.1 else said

    def healthy_differences(self) -> list[str]:
        """Say by how much healthy arms differ, as far as the test allowed for it."""
        return []

    def evidence(self) -> str:
        """Say by which test it was found, how strong the evidence is, and of how much."""
        finding, watch = self.finding, self.finding.watch
        method = "no test" if finding.method == "none" else self.methods[finding.method]
        extra = ", ".join(self.allowances())
        allowed = f" ({extra})" if extra else ""
        of = f"{taken(watch, self.counted) if watch is not None else ''}, {self.amount()}"
        if watch is not None and watch.log_e_fail is not None:
            return f"{method}{allowed}{odds(finding, watch)}{of}"
        fine = proven_fine(finding)
        used = finding.pvalue_pass if fine else finding.pvalue
        said = f" {pvalue(used)}{self._of_what()}" if used is not None and finding.method != "point" else ""
        if fine and finding.scale != "objective":
            method = f"non-inferiority by {method}"  # its p-value is for "worse than tolerated"
        return f"{method}{said}{allowed}{of}"

    def _of_what(self) -> str:
        """Say of what a p-value is that is neither a fail's nor a pass's, and so may be taken for one of any difference at all."""
        finding = self.finding
        if proven_fine(finding) and self.excluded():
            return f" for more than {self.excluded()}"
        if finding.outcome is not Outcome.MARGINAL and finding.reason is not Reason.NOTHING_FOUND:
            return ""
        if finding.reason is Reason.WARNING:  # the sentence ends with the bound that fails
            return " for that"
        return " for a breach" if finding.scale == "objective" else " for more than tolerated"

    # how much longer

    def missing(self) -> str:
        """Say how much more data would decide: the end of a sentence, or nothing."""
        if self.watched:
            return self.outlook()
        if self.finding.more_points is None:
            return self.no_matter_of_points()
        said = f"; about {more(self.finding.more_points, self.counted)}{self.a_side} would decide at the present noise"
        enough = self.passing_tolerance() if self.finding.far_from_decided else ""
        return f"{said}; these data would pass with a tolerance of about {enough}" if enough else said

    def no_matter_of_points(self) -> str:
        """Say what would decide where more points would not."""
        return ""

    def passing_tolerance(self) -> str:
        """Give about the smallest tolerance that these data would pass; nothing where none is known."""
        return ""

    def outlook(self) -> str:
        """Say how much longer a watch may take, and what could be seen by now: the end of a sentence, or nothing."""
        said, watch = super().outlook(), self.finding.watch
        if self.finding.reason is Reason.TOO_LITTLE_DATA or watch is None or watch.smallest_visible is None:
            return said
        return f"{said}; the smallest regression visible now is {self.change(watch.smallest_visible)}"

    # at which limit it would have come out otherwise

    def turning_points(self) -> list[str]:
        """Say how the ends of the intervals lie to the limit, and at which it would have come out otherwise."""
        finding, limit = self.finding, self.held_against()
        if not limit:
            return []
        if finding.method == "point":
            return [f"The estimate alone is held against the {limit}."]
        if finding.interval is None or finding.pass_interval is None:
            return []
        if self.result.reason in (Reason.PROVEN_WORSE, Reason.BREACHED):
            return [self._why_it_fails(limit)]
        if self.result.reason in (Reason.PROVEN_SAFE, Reason.OBJECTIVE_MET):
            return [self.why_it_passes(limit)]
        passing, failing = map(self.told_interval, (finding.pass_interval, finding.interval))
        if excluded := self.excluded():
            estimate = " and the estimate is tolerated" if self.kind.is_averaged else ""
            return [
                f"It is proven fine once the {passing} lies within {excluded}{estimate}, and fails once the {failing} lies beyond the {limit}."
            ]
        return [
            f"It is proven fine once the {passing} lies within the {limit}, and fails once the {failing} lies beyond it."
        ]

    @property
    def fails_elsewhere(self) -> bool:
        """Whether it fails at another bound than the one at which it passes."""
        return False

    def _why_it_fails(self, limit: str) -> str:
        finding = self.finding
        end, kinder = _nearest(finding, finding.interval), _farthest(finding, finding.pass_interval)
        if end is None or _within(end, finding):
            return f"It was proven beyond the {limit}, and a fail stays."
        said = f"It fails because the whole interval lies beyond the {limit}"
        others = [
            other for other in self.result.findings if other.outcome is Outcome.FAIL and other is not finding
        ]
        late = [
            other for other in others if isinstance(other, LateShiftFinding) and other.scale == finding.scale
        ]
        if len(late) == len(
            others
        ):  # a limit of the level is one of the last half as well, where it is the larger
            end = _farther(end, *(_nearest(other, other.interval) for other in late))
            kinder = _farther(kinder, *(_farthest(other, other.pass_interval) for other in late))
        two_sided = finding.limit_high is not None and finding.limit_low is not None
        if len(late) < len(others) or end is None or self.fails_elsewhere or two_sided:
            return f"{said}."
        said += f"; with a limit beyond {self.value(end)} it would not have failed"
        return (
            f"{said}."
            if kinder is None
            else f"{said}, with one beyond {self.value(kinder)} it would have passed."
        )

    def why_it_passes(self, limit: str) -> str:
        """Say why it passes, and with which limits it would still."""
        finding = self.finding
        end = _farthest(finding, finding.pass_interval)
        if finding.passes_wider:
            return (
                f"It passes because the whole interval lies within {self.excluded()}, {self.why_excluded()}; not all of it within the {limit}, so that "
                "with pass_within: tolerance it would be undecided."
            )
        if finding.limit_high is not None and finding.limit_low is not None:
            return f"It passes because the whole interval lies within the {limit}."
        if end is None or not _within(end, finding):
            return f"It was proven within the {limit} at an earlier look."
        tighter = f"it would pass with any limit beyond {self.value(end)}"
        return f"It passes because the whole interval lies within the {limit}; {tighter}."


class CountedWords(EffectWords[E]):
    """What is said of an effect for which events or observations were counted."""

    @property
    def _counts(self) -> Any:
        """The finding, which has totals, events and their dispersion."""
        return self.finding

    def amount(self) -> str:
        """Say how many events or observations it is of."""
        totals = (self._counts.total_canary, self._counts.total_baseline)
        events = (self._counts.events_canary, self._counts.events_baseline)
        return amount(self.kind, totals, events, self.sizes())

    @property
    def dispersion(self) -> float | None:
        """How variable events are."""
        found: float | None = self._counts.dispersion
        return found


def signed(value: float, size: str) -> str:
    """Put a sign before a size, and write percentage points as pp, for where room is short."""
    size = size.replace("percentage points", "pp").replace("percentage point", "pp")
    return f"{'−' if value < 0 else '+' if value > 0 else '±'}{size}"


def _farther(*ends: float | None) -> float | None:
    """Give the one that is the farthest from no change; None where one is unbounded."""
    known = [end for end in ends if end is not None]
    return max(known, key=abs) if len(known) == len(ends) else None


def _nearest(finding: EffectFinding, interval: Interval | None) -> float | None:
    """Give the end of an interval that lies nearest to no change."""
    if interval is None:
        return None
    return interval.low if _upwards(finding) else interval.high


def _farthest(finding: EffectFinding, interval: Interval | None) -> float | None:
    """Give the end of an interval that lies farthest from no change in the bad direction."""
    if interval is None:
        return None
    return interval.high if _upwards(finding) else interval.low


def _upwards(finding: EffectFinding) -> bool:
    if finding.limit_high is not None and finding.limit_low is not None and finding.estimate is not None:
        return finding.estimate > finding.limit_low
    return finding.limit_high is not None


def _within(value: float, finding: EffectFinding) -> bool:
    """Tell whether a value is tolerated."""
    high, low = finding.limit_high, finding.limit_low
    return (high is None or value <= high) and (low is None or value >= low)
