"""What was odd about a stream so far: notes whose counts add up over its updates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from canaryjudge.data.notes import Note

__all__ = ["Notebook"]

_Key: TypeAlias = tuple[str, str | None]
_Facts: TypeAlias = dict[str, float | str]


@dataclass(frozen=True, slots=True)
class Notebook:
    """Notes by code and arm; it is replaced and never written into.

    Attributes
    ----------
    entries : dict
        The count and the latest facts of each.
    """

    entries: dict[_Key, tuple[int | None, _Facts]] = field(default_factory=dict)

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

    def plus(self, code: str, arm: str | None, count: int | None, facts: _Facts | None = None) -> Notebook:
        """Add a note: its count to that of others of its code and arm, and its facts in place of theirs."""
        total = _added(code, self.entries.get((code, arm), (None, {}))[0], count)
        return Notebook(self.entries | {(code, arm): (total, facts or {})})

    def union(self, other: Notebook) -> Notebook:
        """Give the notes of both; the same in whatever order."""
        notes = dict(self.entries)
        for key, (count, facts) in other.entries.items():
            known = notes.get(key, (None, {}))
            total = count if known[0] is None else known[0] + (count or 0)
            notes[key] = total, max(known[1], facts, key=lambda each: repr(sorted(each.items(), key=repr)))
        return Notebook({key: notes[key] for key in sorted(notes, key=repr)})

    def state(self) -> list[Any]:
        """Give what `restore` reads."""
        return [[code, arm, count, facts] for (code, arm), (count, facts) in self._sorted()]

    @classmethod
    def restore(cls, state: Any) -> Notebook:
        """Read what `state` gave.

        Raises
        ------
        TypeError, ValueError
            If it is something else.
        """
        book = cls({(code, arm): (count, dict(facts)) for code, arm, count, facts in state})
        _ = book.notes
        return book


def _added(code: str, first: int | None, second: int | None) -> int | None:
    """Add two counts of a note, None for one that has none; edges are the same in every update."""
    if first is None or second is None:
        return second if first is None else first
    return max(first, second) if code == "merged_buckets" else first + second
