"""What data must have in common to be compared: clock, unit, totals and the end of their buckets, over both arms and all updates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from canaryjudge.data.series import Series
from canaryjudge.data.times import mixed_zones, unclear_zones
from canaryjudge.data.units import different_units
from canaryjudge.errors import BrokenDataError, DataError
from canaryjudge.packing import read_flag, read_texts
from canaryjudge.policy import Metric

__all__ = ["Agreement", "check_arms", "no_times"]


def check_arms(metric: Metric, arms: tuple[Series, Series]) -> None:
    """Refuse two whole arms that cannot be compared."""
    zones = arms[0].zones | arms[1].zones
    if unclear_zones(zones):
        where = ", ".join(
            f"arm {arm.arm!r} has {' and '.join(sorted(arm.zones))}" for arm in arms if arm.zones
        )
        raise mixed_zones(f"metric {metric.name!r}: {where}", zones)
    if (error := different_units(metric, [arm.unit for arm in arms])) is not None:
        raise error
    having = [arm.arm for arm in arms if len(arm) and arm.total is not None]
    lacking = [arm.arm for arm in arms if len(arm) and arm.total is None]
    if having and lacking:
        raise BrokenDataError(
            f"{_whose(metric, lacking[0])}: there are no totals, and the arm {having[0]!r} has them",
            "Give 'total' in both arms, or in neither.",
        )
    ends = [_edge(_end(arm)) for arm in arms if arm.edges is not None]
    if len(ends) == len(arms) and ends[0] != ends[1]:
        told = " and ".join(f"those of arm {arm.arm!r} at {end}" for arm, end in zip(arms, ends, strict=True))
        raise BrokenDataError(
            f"metric {metric.name!r}: the buckets end at different edges, {told}, so the arms' largest observations are not comparable",
            "Give both arms the bucket +Inf.",
        )


@dataclass(frozen=True, slots=True)
class Agreement:
    """What all that a stream was given has in common; None, or nothing, while no data have told."""

    timed: bool | None = None
    """Whether the points have times."""
    zones: frozenset[str] = frozenset()
    """The time zones in which the times were written."""
    units: frozenset[str] = frozenset()
    """What the data say they are in, if the metric has no unit."""
    totals: bool | None = None
    """Whether the points have totals."""
    reported: bool = False
    """Whether those say how many replicas reported."""
    end: float | None = None
    """Up to where histograms were counted: infinity, or the largest edge of data without the bucket +Inf."""

    def joined(self, metric: Metric, arm: Series) -> Self:
        """Add one arm of an update."""
        where = _whose(metric, arm.arm)
        timed, totals = arm.time is not None, arm.total is not None
        if self.timed is None and not timed and metric.pairing == "concurrent":
            raise no_times(where, ", and there are none")
        if self.timed not in (None, timed):
            found, known = ("times", "none") if timed else ("no times", "some")
            raise DataError(
                f"{where}: the points have {found}, and those given before or in the other arm have {known}",
                "Give every point of a metric a time, or none of them.",
            )
        zones = self.zones | arm.zones
        if unclear_zones(zones):
            raise mixed_zones(where, zones)
        units = self.units | (frozenset([arm.unit]) - {""})
        if (error := different_units(metric, sorted(units))) is not None:
            raise error
        if totals and self.totals is not False and self.reported and not arm.reported:
            raise DataError(
                f"{where}: there are totals, and the points given before have none",
                "Give 'total' in every update, or nowhere.",
            )
        if self.totals not in (None, totals):
            if arm.reported:
                raise DataError(
                    f"{where}: the points name their replica, and those given before do not",
                    "Give 'replica' in every update, or nowhere.",
                )
            found, known = ("totals", "none") if totals else ("no totals", "some")
            raise DataError(
                f"{where}: there are {found}, and the points given before or in the other arm have {known}",
                "Give 'total' in both arms and in every update, or nowhere.",
            )
        end = self.end if arm.edges is None else _end(arm)
        if self.end is not None and end is not None and self.end != end:
            ends = " and ".join(_edge(edge) for edge in (self.end, end))
            raise DataError(
                f"{where}: the buckets of the arms or updates end at different edges, {ends}, so the largest observations are not comparable",
                "Give both arms the bucket +Inf in every update.",
            )
        before = self.timed, self.zones, self.units, self.totals, self.end
        if before == (timed, zones, units, totals, end):  # as of every update but the first
            return self
        return replace(self, timed=timed, zones=zones, units=units, totals=totals, end=end)

    def merged(self, metric: Metric, other: Self) -> Self:
        """Give what two streams have in common, whose forms are known to be the same."""
        both = replace(
            self,
            timed=other.timed if self.timed is None else self.timed,
            zones=self.zones | other.zones,
            units=self.units | other.units,
            totals=other.totals if self.totals is None else self.totals,
            reported=self.reported or other.reported,
            end=other.end if self.end is None else self.end,
        )
        if (error := different_units(metric, sorted(both.units))) is not None:
            raise error
        if unclear_zones(both.zones):
            raise mixed_zones(f"metric {metric.name!r}", both.zones)
        return both

    def state(self) -> dict[str, Any]:
        """Give what `restore` reads."""
        found: dict[str, Any] = {"timed": self.timed, "zones": sorted(self.zones)}
        if self.units:
            found["units"] = sorted(self.units)
        if self.reported:
            found["reported"] = True
        return found

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Read what `state` gave."""
        return cls(
            read_flag(state["timed"]),
            frozenset(read_texts(state["zones"])),
            frozenset(read_texts(state.get("units", []))),
            reported="reported" in state,
        )


def no_times(where: str, told: str) -> DataError:
    """Make the error for points without times of a metric whose arms must share the clock."""
    return DataError(
        f"{where}: pairing: concurrent needs times in both arms{told}",
        "Give the column 'time', or set pairing: windows.",
    )


def _whose(metric: Metric, arm: str) -> str:
    return f"metric {metric.name!r}, arm {arm!r}"


def _end(arm: Series) -> float:
    """Give the largest edge that the data had."""
    unseen = (note.facts["edge"] for note in arm.notes if note.code == "no_infinite_bucket")
    return float(next(unseen, np.inf))


def _edge(edge: float) -> str:
    return "+Inf" if edge == np.inf else f"{edge:g}"
