"""What is saved between two looks: arrays as text, and what is read back held to its type."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "pack",
    "pack_document",
    "pack_smooth",
    "pack_times",
    "read_flag",
    "read_texts",
    "unpack",
    "unpack_document",
    "unpack_smooth",
    "unpack_times",
]

_LARGEST_DOCUMENT = 2**30


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


def pack_smooth(numbers: NDArray[np.int64], order: int) -> str:
    """Write whole numbers that follow a smooth curve: differences of differences of them, of which little is left, each size of bytes by itself, pressed together.

    Examples
    --------
    >>> len(pack_smooth(np.arange(1000) ** 3, 3)) < len(pack(np.arange(1000) ** 3)) / 100
    True
    """
    rest, heads = numbers, []
    for _ in range(order):
        heads.append(rest[:1])
        rest = np.diff(rest)  # what overflows comes back
    left = np.concatenate([*heads, rest])
    unsigned = (left << 1) ^ (left >> 63)
    columns = unsigned.astype("<i8").view(np.uint8).reshape(-1, 8)
    return base64.b64encode(zlib.compress(columns.T.tobytes(), 9)).decode("ascii")


def unpack_smooth(text: Any, order: int, count: int) -> NDArray[np.int64]:
    """Read what `pack_smooth` wrote of so many numbers.

    Examples
    --------
    >>> unpack_smooth(pack_smooth(np.array([9, -4, 7, 300]), 2), 2, 4).tolist()
    [9, -4, 7, 300]
    """
    columns = np.frombuffer(_pressed(text, 8 * count), np.uint8).reshape(8, count).T
    unsigned = np.ascontiguousarray(columns).view("<u8")[:, 0]
    left = (unsigned >> np.uint64(1)).astype(np.int64) ^ -(unsigned & np.uint64(1)).astype(np.int64)
    numbers = left[order:]
    for head in left[:order][::-1]:
        numbers = np.cumsum(np.concatenate([[head], numbers]))
    return numbers.astype(np.int64)


def pack_document(document: Any) -> str:
    """Write a document of JSON, pressed together.

    Examples
    --------
    >>> unpack_document(pack_document({"metrics": ["errors"] * 100})) == {"metrics": ["errors"] * 100}
    True
    """
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode("ascii")


def unpack_document(text: Any) -> Any:
    """Read what `pack_document` wrote."""
    try:
        return json.loads(_pressed(text, _LARGEST_DOCUMENT))
    except RecursionError:
        raise ValueError("a packed document is nested too deeply") from None


def _pressed(text: Any, most: int) -> bytes:
    """Give the bytes that were pressed together, if they are whole and no more than so many."""
    if not isinstance(text, str):
        raise ValueError(f"what was packed is text, not {type(text).__name__}")  # noqa: TRY004 - nonsense of any sort
    reader = zlib.decompressobj()
    try:
        found = reader.decompress(base64.b64decode(text, validate=True), most)
    except zlib.error as error:
        raise ValueError("what was packed is damaged") from error
    if not reader.eof or reader.unused_data:
        raise ValueError("what was packed is cut short, or has more behind it")
    return found


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
