"""What is odd about a metric's data, as facts: a code, a count, and numbers. The words are made in `explain`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["Note", "NoteCode"]

NoteCode = Literal[
    "missing_values",  # NaN or null values, left out
    "infinite_values",  # left out
    "missing_times",  # points without a time, left out
    "no_traffic",  # intervals whose total is 0, left out
    "out_of_order",  # points whose time lies before their predecessor's; sorted
    "duplicate_times",  # points that share their time with another of the arm
    "identical_rows",  # rows that repeat metric, arm, time and value to the letter; kept once
    "gaps",  # intervals without a point, inside the arm's span
    "outside_overlap",  # points outside the time that both arms cover, left out
    "unpaired",  # points inside the overlap whose interval the other arm lacks, left out
    "too_late",  # points of a stream older than what is remembered, ignored
    "no_overlap",  # pairing auto: the arms' times do not overlap, so windows were compared
    "no_times",  # one arm has times and the other has none, so order is time
    "unequal_lengths",  # the arms have different numbers of points
    "constant",  # every value of the arm is the same
    "all_zero",  # every value of the arm is zero
    "too_few_points",  # fewer points than the metric's minimum
    "suggest_samples",  # a gauge with repeated times: kind samples may fit
    "unknown_unit",  # the data are in a unit of which it is not known whether it is the metric's
    "time_unit",  # numeric times that are read as milliseconds, microseconds or nanoseconds
    "merged_buckets",  # bucket edges that not every histogram of both arms has, left out
    "counter_resets",  # points before which a counter began again at 0; its increase is what it has reached since
    "unclear_resets",  # points left out at which some counters of a process fell and others went on
    "first_of_counter",  # points of an arm whose counters have one each, so that no increase is known
    "looks_like_count",  # a gauge of whole numbers that is named like a count of events
    "units_apart",  # the arms' levels differ by a thousand or the like, as where they are in different units
    "total_by_name",  # points of a wide table whose total was taken from a column because of its name
    "looks_like_counter",  # values that grew at every point, of a metric that is not declared a counter
    "no_infinite_bucket",  # histograms without the bucket +Inf, so that larger observations are unseen
    "rounded_counts",  # histograms with counts that are not whole, rounded
    "equal_exposure",  # a count without totals under a policy without a split: an interval counts the same in both arms
    "success_ratio",  # a share near 1 may fall by the default relative tolerance, which is many times its failures
    "split_mismatch",  # the arms' totals are not shared as the policy's split says
]


class Note(BaseModel):
    """One oddity of one metric.

    Attributes
    ----------
    code : str
        What it is; one of `NoteCode`.
    arm : str or None
        The arm in which it was found, by the caller's name; None where it is about both.
    count : int or None
        How many points it is about.
    facts : dict
        Further numbers that belong to it, such as ``{"overlap_start": ..., "overlap_end": ...}`` (seconds since 1970).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    code: NoteCode
    arm: str | None = None
    count: int | None = None
    facts: dict[str, float | str] = {}
