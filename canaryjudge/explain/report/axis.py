"""An axis of values: where they lie, and a few round ones with their labels."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Axis", "axis_over"]

_LARGE = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, slots=True)
class Axis:
    """A span of values.

    Attributes
    ----------
    low, high : float
        Its ends; they differ.
    ticks : tuple of float
        Round values between them.
    """

    low: float
    high: float
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Give where a value lies, 0 at the low end and 1 at the high one."""
        return (value - self.low) / (self.high - self.low)

    def label(self, tick: float, *, share: bool, size: float = 1.0) -> str:
        """Write a tick with as many decimals as the ticks differ in; shares in percent, others in a unit of this size."""
        factor = 100.0 if share else 1 / size
        step = factor * (self.ticks[1] - self.ticks[0] if len(self.ticks) > 1 else abs(tick) or 1.0)
        value, suffix = factor * tick, " %" if share else ""
        size = max(abs(factor * end) for end in self.ticks)
        if size >= 1e16 or size < 1e-5:
            return f"{value:.2g}{suffix}" if value else f"0{suffix}"
        if size >= 1e4:
            scale, letter = next((scale, letter) for scale, letter in _LARGE if size >= scale)
            value, step, suffix = value / scale, step / scale, f" {letter}{suffix.strip()}"
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        return f"{value:,.{min(decimals, 9)}f}{suffix if value or share else ''}"


def axis_over(low: float, high: float) -> Axis:
    """Make an axis that holds the values between two, with a margin, and two to four round ticks.

    Examples
    --------
    >>> axis = axis_over(97.0, 131.0)
    >>> axis.ticks, axis.label(100.0, share=False)
    ((100.0, 120.0), '100')
    >>> axis_over(5.0, 5.0).place(5.0)
    0.5
    """
    width = high - low
    if not math.isfinite(width):  # the span of such numbers is beyond what a float can hold
        low, high = low / 4, high / 4
        width = high - low
    flat = width <= 1e-9 * max(abs(low), abs(high))
    pad = (abs(high) / 10 or 1.0) if flat else width * 0.06
    low, high = low - pad, high + pad
    step = _round_step((high - low) / 3)
    first, last = math.ceil(low / step), math.floor(high / step)
    return Axis(
        low, high, tuple(round(n * step, 12 - math.floor(math.log10(step))) for n in range(first, last + 1))
    )


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * nice for nice in (1.0, 2.0, 5.0, 10.0) if power * nice >= rough * 0.999)
