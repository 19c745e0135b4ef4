"""What is odd about a metric's data, as facts: a code, a count, and numbers. The words are made in `explain`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, field_validator

from canaryjudge.texts import on_one_line

__all__ = ["Note", "NoteCode", "NoteList", "NoteTally"]

_LONGEST: Final = 2000
"""Characters of what data and servers say, as in an error."""

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
    "missing_requests",  # rows without the id of their request, left out
    "repeated_requests",  # rows of a request that an arm has already answered, left out
    "unmatched_requests",  # requests that the other arm did not answer, left out
    "broken",  # a part of the metric's data contradicts itself or cannot be read, so that none were judged
    "tolerance_too_wide",  # the tolerance is wider than the level, or than what is left to the best
    "unprovable_objective",  # an objective that no amount of data proves
    "same_data",  # points that both arms have, more than chance makes equal
    "silent",  # intervals in which one arm said nothing while the other went on, up to the end or for a long part of the window
    "warmup",  # points inside the policy's warm-up, left out
    "both_silent",  # the same of both arms at once; a pass is withheld where it lasts for a fifth of the window, up to its end
    "replica_silent",  # replicas of an arm that fell silent while others of it went on; its facts tell the worst of them
    "before_watch",  # points of a stream from before its first complete interval that came later and found no partner, not counted
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
    "lost_members",  # steps left out at which a sum of counters lost a member, or got it back
    "first_of_counter",  # points of an arm whose counters have one each, so that no increase is known
    "looks_like_count",  # a gauge of whole numbers that is named like a count of events
    "units_apart",  # the arms' levels differ by a thousand or the like, as where they are in different units
    "total_by_name",  # points of a wide table whose total was taken from a column because of its name
    "looks_like_counter",  # values that grew at every point, of a metric that is not declared a counter
    "never_falls",  # levels of both arms that never fell, as lifetime counters do
    "no_infinite_bucket",  # histograms without the bucket +Inf, so that larger observations are unseen
    "rounded_counts",  # histograms with counts that are not whole, rounded
    "equal_exposure",  # a count without totals under a policy without a split: an interval counts the same in both arms
    "success_ratio",  # a share near 1 may fall by the default relative tolerance, which is many times its failures
    "source_warning",  # what the server said of the data it gave, such as that they are incomplete
    "uncounted",  # a part of the observations of histograms that no bucket holds
    "made_up_values",  # points that are what the policy's query answers where nothing is measured
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

    @field_validator("facts", mode="before")
    @classmethod
    def _fit_to_be_printed(cls, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Take what data and servers name, such as a replica, as it can be shown."""
        return {
            name: on_one_line(value, _LONGEST) if isinstance(value, str) else value
            for name, value in facts.items()
        }


@dataclass(frozen=True, slots=True)
class NoteList:
    """What is found to be odd about one arm, in the order in which it is found."""

    arm: str
    notes: list[Note] = field(default_factory=list)

    def __call__(self, code: Any, count: int | None, **facts: float | str) -> None:
        """Write down an oddity."""
        self.notes.append(Note(code=code, arm=self.arm, count=count, facts=facts))

    def has(self, code: str) -> bool:
        """Tell whether an oddity was written down."""
        return any(note.code == code for note in self.notes)


_Key: TypeAlias = tuple[str, str | None]
_Facts: TypeAlias = dict[str, float | str]


@dataclass(frozen=True, slots=True)
class NoteTally:
    """Notes by code and arm; it is replaced and never written into."""

    entries: dict[_Key, tuple[int | None, _Facts]] = field(default_factory=dict)
    """The count and the latest facts of each."""

    @property
    def notes(self) -> tuple[Note, ...]:
        """The notes, by code and arm."""
        return tuple(
            Note.model_validate({"code": code, "arm": arm, "count": count, "facts": facts})
            for (code, arm), (count, facts) in self._sorted()
        )

    def counted(self, code: str, arm: str | None) -> int:
        """Give the count of a note; none where there is no such note."""
        return self.entries.get((code, arm), (None, {}))[0] or 0

    def _sorted(self) -> list[tuple[_Key, tuple[int | None, _Facts]]]:
        return sorted(self.entries.items(), key=lambda note: (note[0][0], note[0][1] or ""))

    def plus(self, note: Note) -> NoteTally:
        """Add a note: its count to that of others of its code and arm, and its facts in place of theirs."""
        key = note.code, note.arm
        total = _added(note.code, self.entries.get(key, (None, {}))[0], note.count)
        return NoteTally(self.entries | {key: (total, note.facts)})

    def union(self, other: NoteTally) -> NoteTally:
        """Give the notes of both; the same in whatever order."""
        notes = dict(self.entries)
        for key, (count, facts) in other.entries.items():
            known = notes.get(key, (None, {}))
            total = count if known[0] is None else known[0] + (count or 0)
            notes[key] = total, max(known[1], facts, key=lambda each: repr(sorted(each.items(), key=repr)))
        return NoteTally({key: notes[key] for key in sorted(notes, key=repr)})

    def state(self) -> list[Any]:
        """Give what `restore` reads."""
        return [[code, arm, count, facts] for (code, arm), (count, facts) in self._sorted()]

    @classmethod
    def restore(cls, state: Any) -> NoteTally:
        """Read what `state` gave."""
        book = cls({(code, arm): (count, dict(facts)) for code, arm, count, facts in state})
        _ = book.notes
        return book


def _added(code: str, first: int | None, second: int | None) -> int | None:
    """Add two counts of a note, None for one that has none; edges are the same in every update."""
    if first is None or second is None:
        return second if first is None else first
    return max(first, second) if code == "merged_buckets" else first + second
