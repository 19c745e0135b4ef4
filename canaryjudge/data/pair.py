"""What every kind of input becomes: two arms of one metric as clean, aligned arrays."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from canaryjudge.data.notes import Note
from canaryjudge.kinds import KINDS, KindName
from canaryjudge.rules.rows import Arm, EarlierDays, FloatArray

__all__ = ["Arm", "FloatArray", "MetricPair", "column_bytes"]


@dataclass(frozen=True, slots=True)
class MetricPair:
    """Both arms of one metric, ready for a rule.

    Under `concurrent`, the arms of all kinds but samples are aligned: point i of both lies in the same interval.

    Attributes
    ----------
    name : str
        The metric.
    kind : str
        Its kind.
    baseline, canary : Arm
        The arms; either may be empty.
    pairing : {"concurrent", "windows"}
        Whether the arms share the clock.
    interval : float or None
        Spacing of the points in seconds, where there are times.
    notes : tuple of Note
        What is odd about the data.
    edges : ndarray, shape (k,), or None
        Of histograms: the upper edge of each bucket, inclusive, ascending; the last is infinite.
    reported : bool
        Whether the totals of a count are not from the data but say how many replicas reported in each interval.
    differenced : bool
        Whether the points are what counters grew by up to their times, rather than what began at them.
    control : Arm or None
        Points of a service that the release does not touch, beside both arms; of a before and after whose policy names one.
    earlier : EarlierDays or None
        What earlier days say, of a before and after.
    """

    name: str
    kind: KindName
    baseline: Arm
    canary: Arm
    pairing: Literal["concurrent", "windows"] = "windows"
    interval: float | None = None
    notes: tuple[Note, ...] = ()
    edges: FloatArray | None = None
    reported: bool = False
    differenced: bool = False
    control: Arm | None = None
    earlier: EarlierDays | None = None

    @property
    def overlap(self) -> tuple[float, float] | None:
        """First and last time that both arms cover, in seconds since 1970; None unless they share the clock."""
        times = [arm.time for arm in (self.baseline, self.canary) if arm.time is not None and len(arm)]
        if self.pairing != "concurrent" or len(times) < 2:
            return None
        return float(max(time[0] for time in times)), float(min(time[-1] for time in times))

    def digest(self) -> str:
        """Give the SHA-256 of the arrays that were judged, in hexadecimal."""
        sha = hashlib.sha256(f"{self.name}\0{self.kind}\0{self.pairing}".encode())
        for arm in (self.baseline, self.canary, *(() if self.control is None else (self.control,))):
            for array in (arm.value, arm.total, arm.time):
                sha.update(column_bytes(array))
        if KINDS[self.kind].has_buckets:
            for array in (self.edges, self.baseline.buckets, self.canary.buckets):
                sha.update(column_bytes(array))
        if KINDS[self.kind].has_users:
            for arm in (self.baseline, self.canary):
                sha.update(column_bytes(None if arm.moments is None else arm.moments.ravel()))
        if self.baseline.replicas or self.canary.replicas:
            for arm in (self.baseline, self.canary):
                sha.update(f"{len(arm.replicas)} replicas".encode())
                for replica in arm.replicas:
                    for array in (replica.value, replica.total, replica.time, replica.buckets):
                        sha.update(column_bytes(array))
        return sha.hexdigest()


def column_bytes(array: FloatArray | None) -> bytes:
    """Write an array for a digest, with its length."""
    if array is None:
        return b"-"
    return f"{len(array)}:".encode() + np.ascontiguousarray(array, dtype="<f8").tobytes()
