"""Which points an arm has given already, by time and content: the last of them, in little memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.diagnostics import Location
from canaryjudge.data.packing import pack, pack_times, unpack, unpack_times
from canaryjudge.data.pair import FloatArray
from canaryjudge.data.times import iso
from canaryjudge.errors import DataError

__all__ = ["IntArray", "KnownPoints", "fingerprint"]

IntArray = NDArray[np.int64]

_REMEMBERED = 128
_PRINT_SIZE = 6  # bytes: 256 of them are 2 kB of text, and a change goes unseen once in 3e14
_ALWAYS = -(2**62)  # before every time


def _none() -> IntArray:
    return np.empty(0, dtype=np.int64)


def fingerprint(content: bytes) -> int:
    """Give a short hash by which to know some content again."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=_PRINT_SIZE).digest(), "little")


@dataclass(frozen=True, slots=True)
class KnownPoints:
    """The points that were given, as far back as they are remembered.

    Attributes
    ----------
    floor : int
        Points up to here are forgotten.
    keys : ndarray of int64, shape (n,)
        The times of those remembered, ascending, in microseconds. A time may occur twice after a merge.
    prints : ndarray of int64, shape (n,)
        The fingerprints of what they held.
    """

    floor: int = _ALWAYS
    keys: IntArray = field(default_factory=_none)
    prints: IntArray = field(default_factory=_none)

    def unknown(
        self, keys: IntArray, rows: FloatArray, place: Location
    ) -> tuple[NDArray[np.bool_] | None, int]:
        """Tell which points are new.

        Parameters
        ----------
        keys : ndarray of int64, shape (n,)
            Times of the points, ascending.
        rows : ndarray, shape (n, m)
            The points: their time, then what they hold.
        place : Location
            Whose they are.

        Returns
        -------
        mask : ndarray of bool, shape (n,), or None
            The new ones; None if all are.
        late : int
            How many are older than what is remembered.

        Raises
        ------
        DataError
            If a point has changed since it was given.
        """
        if not len(keys) or keys[0] > (self.keys[-1] if len(self.keys) else self.floor):
            return None, 0
        late = keys <= self.floor
        again = np.isin(keys, self.keys)
        for index in np.flatnonzero(again).tolist():
            known = self.prints[self.keys == keys[index]]
            if fingerprint(rows[index, 1:].tobytes()) not in known:
                raise DataError(
                    f"{place}: the point of {iso(keys[index] / 1e6)} has changed since it was given",
                    "Give an interval only once it is complete.",
                )
        return ~(late | again), int(late.sum())

    def remember(self, keys: IntArray, rows: FloatArray) -> KnownPoints:
        """Add points that are new.

        Parameters
        ----------
        keys : ndarray of int64, shape (n,)
            Times of the points, ascending.
        rows : ndarray, shape (n, m)
            The points: their time, then what they hold.
        """
        prints = [fingerprint(row[1:].tobytes()) for row in rows[-_REMEMBERED:]]
        floor = self.floor
        if len(keys) > _REMEMBERED:
            floor = max(floor, int(keys[-_REMEMBERED - 1]))
            keys = keys[-_REMEMBERED:]
        return self._with(floor, keys, np.array(prints, dtype=np.int64))

    def note(self, keys: IntArray, prints: IntArray) -> KnownPoints:
        """Add fingerprints of something else, under keys that ascend."""
        return self._with(self.floor, keys, prints)

    def union(self, other: KnownPoints) -> KnownPoints:
        """Give what either has seen."""
        return self._with(max(self.floor, other.floor), other.keys, other.prints)

    def _with(self, floor: int, keys: IntArray, prints: IntArray) -> KnownPoints:
        ordered = not len(self.keys) or not len(keys) or keys[0] > self.keys[-1]
        keys = np.concatenate([self.keys, keys])
        prints = np.concatenate([self.prints, prints])
        if not ordered:
            order = np.lexsort([prints, keys])
            keys, prints = keys[order], prints[order]
        if len(keys) > _REMEMBERED:
            floor = max(floor, int(keys[-_REMEMBERED - 1]))
        # a time is remembered as a whole or not at all: unions then come to the same in any order
        start = int(keys.searchsorted(floor, "right")) if len(keys) and keys[0] <= floor else 0
        return KnownPoints(floor, keys[start:], prints[start:])

    def shared(self, other: KnownPoints) -> tuple[int, int]:
        """Count the times that both remember, and those of them at which both hold the same."""
        common = np.intersect1d(self.keys, other.keys)
        same = sum(
            bool(np.intersect1d(self.prints[self.keys == key], other.prints[other.keys == key]).size)
            for key in common
        )
        return len(common), same

    def state(self) -> dict[str, Any]:
        """Give what `restore` reads."""
        prints = self.prints.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :_PRINT_SIZE]
        found: dict[str, Any] = {"at": pack_times(self.keys), "is": pack(np.ascontiguousarray(prints))}
        return found if self.floor == _ALWAYS else {"floor": self.floor} | found

    @classmethod
    def restore(cls, state: dict[str, Any]) -> KnownPoints:
        """Read what `state` gave.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is something else.
        """
        keys = unpack_times(state["at"])
        prints = np.zeros((len(keys), 8), dtype=np.uint8)
        prints[:, :_PRINT_SIZE] = unpack(state["is"], np.uint8, (len(keys), _PRINT_SIZE))
        floor = int(state.get("floor", _ALWAYS))
        if len(keys) > _REMEMBERED or (np.diff(keys) < 0).any() or (keys[:1] <= floor).any():
            raise ValueError("what was seen is not in order of time")
        return cls(floor, keys, prints.view("<i8")[:, 0].astype(np.int64))
