"""Words for a switch of all traffic: how far the service is from what earlier days let expect."""

from __future__ import annotations

from typing import ClassVar

from canaryjudge.explain.changes import LevelWords
from canaryjudge.explain.effects import signed
from canaryjudge.explain.numbers import count, percent
from canaryjudge.explain.quantities import change, levels_of
from canaryjudge.explain.words import words
from canaryjudge.reasons import Reason
from canaryjudge.rules.before_after import BeforeAfterFinding

__all__: list[str] = []


@words(BeforeAfterFinding)
class _BeforeAfterWords(LevelWords[BeforeAfterFinding]):
    methods: ClassVar = {
        "earlier_days": "t test against earlier days",
        "interrupted_series": "interrupted series",
    }

    def sentence(self) -> str:
        """Say what the rule found."""
        if self.finding.reason is Reason.TOO_LITTLE_DATA and self.finding.method == "none":
            return f"no earlier days, and too few points for a line on either side of the switch ({self.sizes()})"
        return super().sentence()

    def levels(self) -> str:
        """Give the level after the switch and the one that was to be expected, in one unit."""
        canary, expected = self.finding.canary_level, self.finding.baseline_level
        if canary is None or expected is None:
            return f"{self.level(canary)} v. an expected {self.level(expected)}"
        return " v. an expected ".join(levels_of((canary, expected), self.kind.name, self.unit))

    def found(self) -> str:
        """Say how far it is from what was to be expected, and first of all where nothing but a line says what was."""
        said = super().found()
        return said if self.finding.days else f"WITHOUT earlier days, by a line on either side alone, {said}"

    def explanation(self) -> str:
        """Say where the expected level comes from."""
        finding = self.finding
        before = f"{self.level(finding.before_level)} before the switch"
        if not finding.days:
            line = "by a straight line, whatever the hour does by itself"
            return f"both levels at the switch, expected of {before} {line}{self._control()}"
        kind = (
            f"{count(finding.days)} earlier days"
            if not finding.weekdays
            else f"the same weekday of {count(finding.days)} earlier weeks"
        )
        own = "" if finding.weekdays else ", whatever their weekday"
        missing = f" ({count(finding.days_left_out)} without data left out)" if finding.days_left_out else ""
        return f"expected of {before} and of what {kind}{missing} did at these hours{own}{self._control()}"

    def _control(self) -> str:
        moved = self.finding.control_change
        if moved is None:
            return ""
        of_level = self.finding.scale == "relative"
        size = percent(abs(moved)) if of_level else change(abs(moved), "absolute", self.kind.name, self.unit)
        return f", and of the untouched service, which changed by {signed(moved, size)}"

    def healthy_differences(self) -> list[str]:
        """Say by how much days differ."""
        floor = self.finding.noise_floor
        return [] if floor is None else [f"days differ by {self.change(floor.spread or 0.0)}"]

    def no_matter_of_points(self) -> str:
        """Say what would decide."""
        return (
            "; more days of history would decide, more points alone would not"
            if self.finding.days
            else "; earlier days would decide"
        )
