"""The settings of rules about what a level does not show: excursions, and shifts that set in late."""

from __future__ import annotations

from typing import ClassVar, Literal

from canaryjudge.policy.rule_settings import RuleSettings
from canaryjudge.settings import RelativeTolerance

__all__ = ["Excursion", "LateShift"]


class Excursion(RuleSettings):
    """Do points of the canary (of ratios and counts: its intervals' shares and rates) lie far beyond everything that the baseline shows? Bursts leave the median where it was, and make the noise that hides them."""

    kinds: ClassVar[tuple[str, ...]] = ("gauge", "ratio", "count")

    rule: Literal["excursion"] = "excursion"
    """The rule's name."""
    tolerance: RelativeTolerance = 0.5
    """How far points may lie beyond the baseline's worst one, relative to its median. The metric's own tolerance counts where it is the larger."""

    @property
    def weight(self) -> float:
        """Its part of the metric's alpha: a tenth of what a rule about the level takes."""
        return 0.1


class LateShift(RuleSettings):
    """Is the last half of the canary shifted? A fault that starts half way shows there before it moves the level of the whole."""

    kinds: ClassVar[tuple[str, ...]] = ("gauge", "samples", "histogram")

    rule: Literal["late_shift"] = "late_shift"
    """The rule's name."""
    tolerance: RelativeTolerance = 0.25
    """The tolerated shift of the last half, relative to the baseline's median. The metric's own tolerance counts where it is the larger."""

    @property
    def weight(self) -> float:
        """Its part of the metric's alpha: a tenth of what a rule about the level takes."""
        return 0.1
