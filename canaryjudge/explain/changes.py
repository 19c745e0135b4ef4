"""Words for a change of the level: how large it is, what is tolerated, and how far healthy arms differ."""

from __future__ import annotations

from typing import TypeVar

from canaryjudge.explain.effects import TOO_FEW_TO_PROVE, CountedWords, EffectWords
from canaryjudge.explain.evidence import notable, proven_fine
from canaryjudge.explain.numbers import percent
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.findings import EventsFinding, LevelFinding

__all__ = ["EVENT_TESTS", "WITHIN_SEGMENTS", "EventsWords", "LevelWords"]

EVENT_TESTS = {
    "exact_conditional": "exact conditional test",
    "score": "score test",
    "difference": "test of the difference",
    "exact_difference": "exact test of the difference",
    "stratified_exact": "exact conditional test within intervals",
    "stratified_score": "score test within intervals",
    "stratified_difference": "test of the difference within intervals",
    "segment_score": "score test within segments",
    "segment_difference": "test of the difference within segments",
    "common_effect": "mean effect within segments",
}

WITHIN_SEGMENTS = ("common_effect", "van_elteren", "segment_score", "segment_difference")
"""Tests of a change within the segments of the traffic."""

_HARDLY = 20
"""A spread that is a smaller part of an interval than this has hardly made it wider."""

L = TypeVar("L", bound=LevelFinding)
V = TypeVar("V", bound=EventsFinding)


class LevelWords(EffectWords[L]):
    """What is said of a change of the level."""

    def sentence(self) -> str:
        """Say what the rule found."""
        if self.finding.method == "not_positive":
            return f"there are values of 0 or below, which effect: ratio cannot compare; take effect: shift ({self.sizes()})"
        return super().sentence()

    def found(self) -> str:
        """Say how far the canary is from the baseline, and how that stands to what is tolerated."""
        finding = self.finding
        tolerance = f"the tolerated {self.tolerated()}"
        share = ", of which no percentage can be told" if finding.estimate is None else ""
        what = f"canary is {self.moved()}, {self.levels()}{share}{self.proof()}"
        if finding.reason is Reason.PROVEN_WORSE:
            return f"{what}, beyond {tolerance}"
        if finding.reason is Reason.WORSE_IN_SEGMENT:
            return f"{what}, on the mean within segments"
        if proven_fine(finding):
            if finding.harmless:
                return f"{what}, which is no harm: only {self._harm()} is"
            if finding.passes_wider:
                return f"{what}: harm beyond {self.excluded()} is ruled out, {self.why_excluded()}, but harm beyond {tolerance} is not"
            return f"{what}, within {tolerance}"
        if finding.reason is Reason.NOTHING_FOUND and finding.harmless:
            return f"{what}: {self._harm()} is not proven"
        if finding.reason is Reason.NOTHING_FOUND:
            return f"{what}: not proven beyond {tolerance}"
        if finding.reason is Reason.SUSPECTED:
            return f"{what}: suspicious, but not proven beyond {tolerance}"
        if finding.held_by_estimate:
            return f"{what}: harm beyond {self.excluded()} is ruled out, but the estimate itself lies beyond {tolerance}{self.missing()}"
        if finding.reason is Reason.WORSE_BUT_MAYBE_TOLERABLE:
            return f"{what}: worse than the baseline, but not proven beyond {tolerance}{self.missing()}"
        if why := self.why_nothing_can_be_proven():
            return f"{what}: {why}"
        if finding.harmless:
            return f"{what}: {self._harm()} is neither proven nor ruled out{self.missing()}"
        if excluded := self.excluded():
            return f"{what}: not proven beyond {tolerance}, and harm beyond {excluded} is not ruled out{self.missing()}"
        return f"{what}: it may lie within {tolerance} or beyond{self.missing()}"

    @property
    def fails_elsewhere(self) -> bool:
        """Whether it fails at another bound than the one at which it passes: by its segments as well."""
        return self.finding.method in WITHIN_SEGMENTS or super().fails_elsewhere

    def why_nothing_can_be_proven(self) -> str:
        """Say what the test cannot prove, and why; nothing where it can."""
        if self.finding.reason is not Reason.ABSTAINS:
            return ""
        return f"{TOO_FEW_TO_PROVE} {self.unprovable()}{self.missing()}"

    def _harm(self) -> str:
        """Say which change in the other direction would be harm, of a canary that changed in the harmless one: ``a rise of more than 10 %``."""
        wider = proven_fine(self.finding) and self.finding.passes_wider
        size = f"{self.excluded()}, {self.why_excluded()}," if wider else self.tolerated()
        return f"a {'fall' if self.finding.limit_high is None else 'rise'} of more than {size}"

    def explanation(self) -> str:
        """Say what the change is of where it is not the difference of the levels beside it; nothing where it is that, or nearly."""
        return self.kind_of_change() if self.finding.levels_apart else ""

    def kind_of_change(self) -> str:
        """Say what the change is of."""
        if self.finding.method in WITHIN_SEGMENTS:
            return "the change is the mean one within segments, and not that of the two levels, which are at the baseline's mix of segments"
        if self.finding.method.endswith("_rank"):
            of = "observations" if self.kind.has_buckets else self.counted
            return f"the change is the typical one between {of}, not that of the two medians"
        if self.finding.method.startswith("stratified_"):
            return "the split of the traffic moves, so the change is that within intervals, and not that of the two levels, which are pooled"
        if self.finding.method == "pairs":
            return "the change is the mean one minute by minute, not that of the two medians"
        return "the change is what the test estimates, not that of the two levels"

    def allowances(self) -> list[str]:
        """Say what the test allowed for."""
        worse = self.finding.probability_worse
        said = super().allowances()
        if worse is None or self.result.direction == "either":
            return said
        of = "minutes" if self.finding.method == "pairs" else "pairs"
        return [f"worse in {percent(worse)} of {of}", *said]

    def healthy_differences(self) -> list[str]:
        """Say by how much replicas of one arm, and healthy arms, differ."""
        said, replicas, floor = [], self.finding.replicas, self.finding.noise_floor
        if replicas is not None:
            held = f"held against {replicas.canary} v. {replicas.baseline} replicas"
            if replicas.spread is not None:
                held += f", which differ by {self.change(replicas.spread)} among themselves"
            elif times := notable(replicas.dispersion):
                held += f", whose events vary {times} as much as chance explains"
            said.append(held)
        if floor is not None and floor.assumed:
            if not self._widened_by(floor.spread or 0.0):
                return said
            said.append(f"assuming that pods differ by {self.change(floor.spread or 0.0)}")
        elif floor is not None:
            arms = "replicas" if self.result.pairing == "concurrent" else "windows"
            said.append(f"allowing for healthy {arms} that differ by {self.change(floor.spread or 0.0)}")
        return said

    def _widened_by(self, spread: float) -> bool:
        """Tell whether a spread is anything beside the interval that allows for it."""
        interval = self.finding.interval
        if interval is None or interval.low is None or interval.high is None:
            return True
        return spread * _HARDLY > (interval.high - interval.low) / 2

    def no_matter_of_points(self) -> str:
        """Say what would decide where more points would not."""
        if self.finding.noise_floor is not None and not self.finding.noise_floor.assumed:
            return "; more points alone would hardly decide, because healthy arms differ as well"
        replicas = self.finding.replicas
        if replicas is not None and (replicas.spread is not None or replicas.dispersion is not None):
            return "; more replicas would decide, more points would not"
        return ""

    def passing_tolerance(self) -> str:
        """Give about the smallest tolerance that these data would pass; nothing where none is known, or another rule is undecided as well."""
        enough = self.finding.smallest_passing_tolerance
        others = (other for other in self.result.findings if other != self.told)
        if enough is None or any(other.outcome is not Outcome.PASS for other in others):
            return ""
        return self.set_change(enough)

    def other_limit(self) -> str:
        """Say that more may be tolerated, and how much would do."""
        enough = self.passing_tolerance()
        return f"a wider tolerance{f' (these data would pass with about {enough})' if enough else ''}"

    def why_it_passes(self, limit: str) -> str:
        """Say why it passes, and with which limits it would still."""
        if self.finding.harmless:
            return f"It passes because only {self._harm()} would be harm, and the interval holds none."
        return super().why_it_passes(limit)


class EventsWords(CountedWords[V], LevelWords[V]):
    """What is said of a change of a share or a rate of events."""

    methods = EVENT_TESTS
