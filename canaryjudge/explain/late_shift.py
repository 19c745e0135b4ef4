"""Words for a shift of the last half."""

from __future__ import annotations

from canaryjudge.explain.mann_whitney import ShiftWords
from canaryjudge.explain.words import words, words_of
from canaryjudge.rules.late_shift import LateShiftFinding

__all__: list[str] = []


@words(LateShiftFinding)
class _LateShiftWords(ShiftWords[LateShiftFinding]):
    feature = "late shift"

    @property
    def rule(self) -> str:
        """The rule that was asked of the last half."""
        return "mann_whitney"

    def sentence(self) -> str:
        """Say what was found of the last half."""
        own = ", by late_shift's own tolerance" if self._has_own_tolerance() else ""
        return f"last {self.finding.part}{own}: {super().sentence()}"

    def _has_own_tolerance(self) -> bool:
        """Tell whether it is held against another limit than the metric's level."""
        effects = [found.effect for found in self.result.findings if not words_of(found, self.result).feature]
        levels = [effect for effect in effects if effect is not None and effect.scale != "objective"]
        limits = (self.finding.scale, self.finding.limit_high, self.finding.limit_low)
        return bool(levels) and all(limits != (f.scale, f.limit_high, f.limit_low) for f in levels)
