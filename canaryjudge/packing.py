"""What is saved between two looks: arrays as text, and what is read back held to its type."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["pack", "pack_times", "read_flag", "read_texts", "unpack", "unpack_times"]


def pack(array: NDArray[Any]) -> str:
    """Write an array's numbers as text.

    Examples
    --------
    >>> pack(np.array([1.0, 2.0]))
    'AAAAAAAA8D8AAAAAAAAAQA=='
    """
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return base64.b64encode(little.tobytes()).decode("ascii")


def unpack(text: str, dtype: Any = np.float64, shape: int | tuple[int, ...] = -1) -> NDArray[Any]:
    """Read what `pack` wrote.

    Examples
    --------
    >>> unpack(pack(np.eye(2)), shape=(-1, 2)).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if not isinstance(text, str):
        raise ValueError(f"a packed array is text, not {type(text).__name__}")  # noqa: TRY004 - nonsense of any sort
    numbers = np.frombuffer(base64.b64decode(text, validate=True), np.dtype(dtype).newbyteorder("<"))
    return numbers.astype(dtype).reshape(shape)


def pack_times(times: NDArray[np.int64]) -> list[Any]:
    """Write whole numbers that mostly keep a beat, such as times: briefly, if they do.

    Examples
    --------
    >>> pack_times(60_000_000 * np.arange(1000))
    [1000, 0, 60000000]
    """
    head = [len(times), *(int(time) for time in times[:1]), *(int(step) for step in np.diff(times[:2]))]
    bends = np.diff(times, n=2)
    if not bends.any():
        return head
    size = max(np.min_scalar_type(edge).itemsize for edge in (2 * int(bends.min()), 2 * int(bends.max())))
    return [*head, size, pack(bends.astype(f"<i{size}"))]


def unpack_times(packed: Any) -> NDArray[np.int64]:
    """Read what `pack_times` wrote.

    Examples
    --------
    >>> unpack_times(pack_times(np.array([3, 1, 4, 1, 5]))).tolist()
    [3, 1, 4, 1, 5]
    """
    count, head = _head(packed)
    bends = np.zeros(max(count - 2, 0), dtype=np.int64)
    if len(packed) == 5:
        bends = unpack(packed[4], f"<i{packed[3]}", count - 2).astype(np.int64)
    if count < 2:
        return np.array(head, dtype=np.int64)
    steps = np.cumsum(np.concatenate([[head[1]], bends]))
    return np.concatenate([head[:1], head[0] + np.cumsum(steps)]).astype(np.int64)


def _head(packed: Any) -> tuple[int, list[int]]:
    if not isinstance(packed, list) or not packed or not all(type(item) is int for item in packed[:4]):
        raise ValueError("packed times are a list that begins with whole numbers")
    count = packed[0]
    head = packed[1:3]
    most = 10_000_000  # a steady beat is three numbers, however long it says it is
    if not 0 <= count <= most or len(head) != min(count, 2) or len(packed) not in (1 + len(head), 5):
        raise ValueError("packed times do not have the length that they name")
    if len(packed) == 5 and packed[3] not in (1, 2, 4, 8):
        raise ValueError("packed times have no such size")
    if any(abs(number) >= 2**62 for number in head):
        raise ValueError("packed times are out of range")
    return count, head


def read_flag(value: Any) -> bool | None:
    """Take true, false or null; a TypeError for anything else."""
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true, false nor null")
    return value


def read_texts(items: Any) -> list[str]:
    """Take a list of texts; a TypeError for anything else."""
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise TypeError("not a list of text")
    return items
