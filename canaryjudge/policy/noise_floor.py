"""The noise floor: how much healthy windows, and healthy replicas, differ though nothing is wrong, as measured from history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, model_validator

from canaryjudge.quantities import relative_or_absolute
from canaryjudge.rules.settings import AskedMetric
from canaryjudge.settings import Amount, PolicyModel, Problem, RelativeTolerance

__all__ = ["NoiseFloor", "Spread"]

_Count = Annotated[int, Field(strict=True, ge=2, le=1_000_000)]
_Freedom = Annotated[float, Field(strict=True, ge=1, le=1e6)]


class Spread(PolicyModel):
    """A standard deviation, relative to the metric's level or in its unit; the larger of the two parts counts."""

    relative: RelativeTolerance | None = None
    """Relative to the level: `3%`."""
    absolute: Amount | None = None
    """In the metric's unit: `5ms`; for a ratio `0.01%` means percentage points."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return relative_or_absolute(value)

    def _contradictions(self) -> Iterator[Problem]:
        if self.relative is None and self.absolute is None:
            yield Problem((), "a spread needs a size", "Write it like 3%, or {absolute: 5ms}.")
        if self.absolute is not None and self.absolute.number < 0:
            yield Problem(("absolute",), "a spread cannot be negative", "Give a standard deviation.")

    def size(self, metric: AskedMetric, level: float) -> float:
        """Give the standard deviation in the metric's unit, at a level of it."""
        absolute = 0.0 if self.absolute is None else metric.quantity(self.absolute, "noise_floor")
        return max((self.relative or 0.0) * abs(level), absolute)


class NoiseFloor(PolicyModel):
    """By how much healthy arms differ beyond what the scatter of their points explains: more points do not average it out, so intervals are widened by it."""

    between_windows: Spread | None = None
    """Standard deviation of the level from one healthy window to the next, `3%` or `5ms`. It counts where the arms are compared as windows, one after
    the other."""
    windows: _Count | None = None
    """From how many windows that was measured."""
    between_replicas: Spread | None = None
    """Standard deviation of the level between replicas of one version at the same time. It counts where the arms share the clock; an arm of several
    named replicas has the less of it."""
    replicas: _Count | None = None
    """From how many replicas that was measured."""
    df: _Freedom | None = None
    """Degrees of freedom with which the spread between windows is known; one fewer than `windows` where it is left out. `canaryjudge calibrate` writes fewer where
    windows overlap, a few of them are far out, or most of the spread is that of the points."""
    replicas_df: _Freedom | None = None
    """The same of the spread between replicas; one fewer than `replicas` where it is left out."""

    def _contradictions(self) -> Iterator[Problem]:
        if self.between_windows is None and self.between_replicas is None:
            advice = "Give between_windows or between_replicas, as canaryjudge calibrate measures them."
            yield Problem((), "a noise floor needs a spread", advice)
        for spread, count, known in (
            ("between_windows", "windows", "df"),
            ("between_replicas", "replicas", "replicas_df"),
        ):
            if getattr(self, spread) is None:
                for name in (count, known):
                    if getattr(self, name) is not None:
                        yield Problem((name,), f"{name} says nothing without {spread}", "Leave it out.")
            elif getattr(self, count) is None and getattr(self, known) is None:
                what = f"nothing says from how many {count} {spread} was measured"
                yield Problem(
                    (spread,), what, f"Give {count}: without it nobody knows how well the spread is known."
                )

    def misfits(self, metric: AskedMetric) -> Iterator[Problem]:
        """Find what does not fit a metric; paths start at the noise floor."""
        for name in ("between_windows", "between_replicas"):
            spread: Spread | None = getattr(self, name)
            if spread is not None and spread.absolute is not None:
                yield from metric.misfit(spread.absolute, (name, "absolute"))

    @property
    def windows_freedom(self) -> float:
        """Degrees of freedom of the spread between windows."""
        return self.df if self.df is not None else float((self.windows or 2) - 1)

    @property
    def replicas_freedom(self) -> float:
        """Degrees of freedom of the spread between replicas."""
        return self.replicas_df if self.replicas_df is not None else float((self.replicas or 2) - 1)
