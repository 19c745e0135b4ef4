"""Words for growth: how far, how fast, and when the tolerance is crossed."""

from __future__ import annotations

from typing import ClassVar, Final

from canaryjudge.explain.effects import EffectWords
from canaryjudge.explain.evidence import proven_fine
from canaryjudge.explain.numbers import count, number, span_of_time
from canaryjudge.explain.words import words
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.growth import GrowthFinding

__all__: list[str] = []

_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
_HOURS_FROM: Final = 3 * _HOUR
"""Growth over longer windows is told by the hour."""
_FAR: Final = 10
"""A crossing that is more than so many windows ahead is not foretold."""


@words(GrowthFinding)
class _GrowthWords(EffectWords[GrowthFinding]):
    feature = "growth"
    methods: ClassVar = {"block_growth": "test of block means against a random walk"}

    def sentence(self) -> str:
        """Say what was found, of whatever came of it."""
        finding = self.finding
        if finding.end is None:
            if finding.reason is Reason.NOTHING_FOUND and self.result.pairing != "concurrent":
                return f"growth is asked of arms that share the clock only ({self.sizes()})"
            return super().sentence()
        if finding.method == "none":
            return f"{self._ends()}, beyond the tolerated {self.tolerated()}, whatever the other rules find of the whole window ({self.sizes()})"
        return self.joined(self.found(), self._crossing())

    def found(self) -> str:
        """Say how far the canary grew away from the baseline, and how that stands to what is tolerated."""
        finding, tolerance = self.finding, f"the tolerated {self.tolerated()}"
        if finding.reason is Reason.PROVEN_WORSE:
            return f"{self._grew()}{self._speed()}, beyond {tolerance}; {self._ends()}"
        if finding.reason is Reason.ENDS_BEYOND_TOLERANCE:
            return f"{self._ends()}, beyond {tolerance}, though growth is not proven; {self._grew()}{self._why_not()}"
        if proven_fine(finding):
            grown, upwards = finding.estimate or 0.0, finding.limit_high is not None
            one_way = finding.limit_high is None or finding.limit_low is None
            return f"{self._grew()}, {'which is no harm' if one_way and grown and (grown > 0) != upwards else f'within {tolerance}'}"
        return f"{self._grew()}: not proven beyond {tolerance}{self._why_not()}"

    def _grew(self) -> str:
        grown = self.finding.estimate or 0.0
        did = f"{'grew' if grown > 0 else 'fell'} by {self.change(grown)}" if grown else "did not move"
        over = "" if self._steps is None else f" within {self._time(self._steps)}"
        return f"canary {did} against the baseline{over}{self.proof()}"

    @property
    def _steps(self) -> float | None:
        return (
            self.finding.estimate / self.finding.rate if self.finding.estimate and self.finding.rate else None
        )

    def _time(self, steps: float) -> str:
        interval = self.result.interval_s
        return f"{number(steps)} {self.counted}" if interval is None else span_of_time(steps * interval)

    def _speed(self) -> str:
        """Say how fast it grows: in percent and in the metric's unit."""
        finding, interval = self.finding, self.result.interval_s
        times, each = 1.0, f"a {self.kind.point}"
        if interval is not None:
            by_hour = (self._steps or 0.0) * interval >= _HOURS_FROM
            times, each = (_HOUR, "an hour") if by_hour else (_MINUTE, "a minute")
            times /= interval
        rate = (finding.rate or 0.0) * times
        said = [self.change(rate)]
        if finding.scale == "relative" and finding.baseline_level is not None:
            said.append(self.level(abs(rate * finding.baseline_level)))
        return f", {' or '.join(said)} {each}"

    def _ends(self) -> str:
        """Say where it is in the end."""
        finding = self.finding
        end, points = finding.end or 0.0, finding.end_points or 1
        last = "last point" if points == 1 else f"last {count(points)} {self.counted}"
        away = f"{self.change(end)} {'higher' if end > 0 else 'lower'}"
        return f"in the {last} canary is {away}, {self.levels()}"

    def _why_not(self) -> str:
        finding = self.finding
        if finding.interval is not None and finding.interval.low is None and finding.interval.high is None:
            blocks = f"{count(finding.blocks or 0)} {'block' if finding.blocks == 1 else 'blocks'}"
            return f", because neighboring points are too alike: {blocks} of them are too few to tell growth from wandering"
        usual = finding.usual or 0.0
        if (finding.pvalue == 1 or finding.pvalue is None) and 0 < abs(finding.estimate or 0.0) <= usual:
            return f", and the baseline moves by {self.change(usual)} by itself"
        return ""

    def _crossing(self) -> str:
        """Say when the tolerance was or will be crossed, where there is growth beyond doubt."""
        finding, until, interval = self.finding, self.finding.until, self.finding.interval
        low, high = (None, None) if interval is None else (interval.low, interval.high)
        sure = (low is not None and low > 0) or (high is not None and high < 0)
        if until is None or not (sure or finding.outcome is Outcome.FAIL):
            return ""
        if until > _FAR * finding.n_canary:
            return ""
        if until <= 0:
            return f"the tolerance was crossed about {self._time(-until)} before the end"
        return f"at this rate the tolerance is crossed in about {self._time(until)}"

    def main_number(self) -> tuple[str, str]:
        """Give how far it is away in the end, and the levels there."""
        if self.finding.end is None:
            return super().main_number()
        return self.value(self.finding.end), self.levels()

    def turning_points(self) -> list[str]:
        """Say why it fails: the end counts as well."""
        if self.finding.outcome is not Outcome.FAIL:
            return super().turning_points()
        limit = self.held_against()
        return [
            f"It fails because the whole interval of the growth lies beyond the {limit}, and so does the end of the window."
        ]
