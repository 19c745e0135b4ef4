"""Where something stands in the caller's data, and what else they may have meant: the parts of every data error."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Place", "likely_name", "shown"]

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def shown(value: Any) -> str:
    """Give a value as a message shows it: one short line, whatever it is."""
    return " ".join(_SHORT.repr(value).split())


def likely_name(wrong: str, known: Iterable[str], what: str, *, taken: Iterable[str] = ()) -> str:
    """Say which known name was probably meant, or list them.

    Parameters
    ----------
    wrong : str
        The name that is not there.
    known : iterable of str
        Those that are.
    what : str
        What they name, in the plural: ``metrics``.
    taken : iterable of str
        Known names that mean something else already, and so cannot be meant.

    Returns
    -------
    str
        A sentence.

    Examples
    --------
    >>> likely_name("canry", ["baseline", "canary"], "arms")
    "Did you mean 'canary'? Known arms: baseline, canary."
    """
    names = list(known)
    if not names:
        return f"There are no {what}."
    free = [name for name in names if name not in set(taken)]
    near = difflib.get_close_matches(wrong, free, n=1, cutoff=0.5)
    rest = f" and {len(names) - 20} more" if len(names) > 20 else ""
    listed = f"Known {what}: {', '.join(names[:20])}{rest}."
    return f"Did you mean {near[0]!r}? {listed}" if near else listed


@dataclass(frozen=True, slots=True)
class Place:
    """The points of one arm of one metric, in the caller's data.

    Attributes
    ----------
    metric, arm : str
        The caller's names.
    rows : ndarray of int, shape (n,), or None
        The number of each point's row, as the caller counts them; None where the points stand in an array.
    """

    metric: str
    arm: str
    rows: NDArray[np.integer[Any]] | None = None

    def __str__(self) -> str:
        return f"metric {self.metric!r}, arm {self.arm!r}"

    def at(self, index: int) -> str:
        """Name one point: its row in a table, counted from 1, or its index in an array, counted from 0."""
        return f"{self}, index {index}" if self.rows is None else f"{self}, row {self.rows[index]}"
