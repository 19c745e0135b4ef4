"""The columns of one arm while they are being cleaned."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.counters import neighbors
from canaryjudge.data.notes import Note
from canaryjudge.data.pair import FloatArray
from canaryjudge.data.places import Place

__all__ = ["Draft"]


@dataclass(slots=True)
class Draft:
    """Columns on their way, cut down together.

    Attributes
    ----------
    place : Place
        Whose they are.
    value : ndarray, shape (n,)
        The numbers.
    total, time : ndarray, shape (n,), or None
        Where there are any.
    replica : ndarray of int, shape (n,)
        Which of `names` each point is of.
    names : tuple of str
        The replicas, sorted; none where the data do not name them.
    apart : ndarray of int, shape (n,), or None
        What may tell replicas apart although nobody said so.
    apart_name : str
        The column that it is from.
    """

    place: Place
    value: FloatArray
    total: FloatArray | None
    time: FloatArray | None
    replica: NDArray[np.intp]
    names: tuple[str, ...] = ()
    notes: list[Note] = field(default_factory=list)
    apart: NDArray[np.intp] | None = None
    apart_name: str = ""

    def __len__(self) -> int:
        return len(self.value)

    @property
    def codes(self) -> NDArray[np.intp] | None:
        """The replica of each point, where there are several."""
        return self.replica if len(self.names) > 1 else None

    @property
    def by_reports(self) -> bool:
        """Whether the points of a count are out of what their replicas reported: they have names, and no totals."""
        return self.total is None and bool(self.names)

    @property
    def columns(self) -> FloatArray:
        """Value, and total where there is one; shape (n, 1) or (n, 2)."""
        return np.column_stack([self.value] if self.total is None else [self.value, self.total])

    def keep(self, chosen: NDArray[Any]) -> None:
        """Keep the points of a mask, or take those of an index in its order."""
        if chosen.dtype == np.bool_ and chosen.all():
            return
        self.value = self.value[chosen]
        self.total = None if self.total is None else self.total[chosen]
        self.time = None if self.time is None else self.time[chosen]
        self.replica = self.replica[chosen]
        self.apart = None if self.apart is None else self.apart[chosen]
        if self.place.rows is not None:
            self.place = replace(self.place, rows=self.place.rows[chosen])

    def drop(self, code: Any, unfit: NDArray[np.bool_]) -> None:
        """Leave points out, and say how many."""
        if unfit.any():
            self.note(code, int(unfit.sum()))
            self.keep(~unfit)

    def note(self, code: Any, count: int, **facts: float | str) -> None:
        """Write down an oddity."""
        self.notes.append(Note(code=code, arm=self.place.arm, count=count, facts=facts))

    def noted(self, code: str) -> bool:
        """Tell whether an oddity was written down."""
        return any(note.code == code for note in self.notes)

    def sort(self) -> None:
        """Bring the points into order of time, and say how many came before an earlier one of their replica."""
        if self.time is None:
            return
        previous, points = neighbors(len(self), self.codes)
        backward = int((self.time[points] < self.time[previous]).sum())
        if backward:
            self.note("out_of_order", backward)
        if len(self.names) > 1:
            self.keep(np.lexsort((self.replica, self.time)))
        elif backward:
            self.keep(np.argsort(self.time, kind="stable"))

    def tied(self) -> NDArray[np.bool_]:
        """Mark the points that share their time with another of their replica."""
        tied = np.zeros(len(self), dtype=np.bool_)
        if self.time is not None:
            previous, points = neighbors(len(self), self.codes)
            same = self.time[points] == self.time[previous]
            if same.any():
                tied[points[same]] = tied[previous[same]] = True
        return tied

    def drop_identical(self) -> None:
        """Keep once what repeats an earlier point in every column."""
        tied = np.flatnonzero(self.tied())
        if not len(tied):
            return
        columns = (self.replica, self.apart, self.total, self.value, self.time)
        keys = [column[tied] for column in columns if column is not None]
        order = np.lexsort(keys)
        again = np.ones(len(tied), dtype=np.bool_)
        again[0] = False
        for key in keys:
            again[1:] &= key[order][1:] == key[order][:-1]
        marked = np.zeros(len(self), dtype=np.bool_)
        marked[tied[order[again]]] = True
        self.drop("identical_rows", marked)
