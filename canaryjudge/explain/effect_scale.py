"""An effect in units of what is tolerated: 0 is no change, 1 the limit, and more is worse, whatever the metric and its direction."""

from __future__ import annotations

from dataclasses import dataclass

from canaryjudge.rules.findings import EffectFinding

__all__ = ["EffectScale", "effect_scale"]

_FAR = 12
"""A baseline whose distance to the limit is this many times smaller than what was found is no yardstick."""


@dataclass(frozen=True, slots=True)
class EffectScale:
    """Where effects of a finding lie."""

    zero: float
    """The effect at 0: no change, or of an objective the baseline's level."""
    unit: float
    """The distance from there to the limit; negative where less is worse."""
    other_unit: float | None = None
    """With two limits, the distance to the lower one, which lies at -1."""
    known: bool = True
    """Whether `zero` means something; where the limit is no change at all, or the baseline is no better than it, it does not."""

    def part(self, value: float) -> float:
        """Give an effect as a part of what is tolerated."""
        unit = self.unit if self.other_unit is None or value >= self.zero else self.other_unit
        return (value - self.zero) / unit


def effect_scale(finding: EffectFinding, *, shared: bool = False) -> EffectScale | None:
    """Find the scale of a finding that has a limit; on an axis `shared` with other metrics a change lies where its size says, however far that is."""
    high, low = finding.limit_high, finding.limit_low
    if high is not None and low is not None:
        middle = (high + low) / 2 if finding.scale == "objective" else 0.0
        known = finding.scale != "objective"
        return EffectScale(middle, high - middle, middle - low, known) if high > middle > low else None
    limit = high if high is not None else low
    ends = [
        end
        for interval in (finding.interval, finding.pass_interval)
        if interval is not None
        for end in (interval.low, interval.high)
        if end is not None
    ]
    found = [*ends, *([] if finding.estimate is None else [finding.estimate])]
    if limit is None or not found:
        return None
    bad = 1.0 if high is not None else -1.0
    zero = finding.baseline_level if finding.scale == "objective" else 0.0
    reach = max(abs(value - limit) for value in found)
    near = 0.0 if shared and finding.scale != "objective" else reach / _FAR
    if zero is not None and bad * (limit - zero) > near:
        return EffectScale(zero, limit - zero)
    unit = bad * (reach or abs(limit) or 1.0) / 2
    return EffectScale(limit - unit, unit, known=False)
