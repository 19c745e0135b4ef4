"""Files that gzip has packed, unpacked as they are read, and never to more than memory can hold."""

from __future__ import annotations

import gzip
import zlib
from typing import BinaryIO, Final

from canaryjudge.errors import DataError

__all__ = ["MOST_UNPACKED", "Unpacked", "is_packed"]

MOST_UNPACKED: Final = 1 << 30
"""Bytes; a file of a few MB may unpack to a thousand times as much, and is refused beyond this."""
_PART: Final = 1 << 20
_MAGIC: Final = b"\x1f\x8b"


def is_packed(stream: BinaryIO) -> bool:
    """Tell whether gzip has packed a file, by how it begins; the file is left at its beginning."""
    start = stream.read(len(_MAGIC))
    stream.seek(0)
    return start == _MAGIC


class Unpacked:
    """Reads what gzip has packed.

    Parameters
    ----------
    stream : binary file
        The packed file.
    name : str
        Its name, for errors.

    Examples
    --------
    >>> from io import BytesIO
    >>> Unpacked(BytesIO(gzip.compress(b"metric,arm,value")), "data.csv.gz").read()
    b'metric,arm,value'
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._file = gzip.GzipFile(fileobj=stream, mode="rb")
        self._name = name
        self._given = 0

    def read(self, size: int = -1) -> bytes:
        """Give so many bytes, or all that are left.

        Raises
        ------
        DataError
            If they cannot be unpacked, or are too many.
        """
        parts = []
        while size and (part := self._some(_PART if size < 0 else min(size, _PART))):
            parts.append(part)
            size = size if size < 0 else size - len(part)
        return b"".join(parts)

    def _some(self, size: int) -> bytes:
        try:
            part = self._file.read(size)
        except (EOFError, OSError, zlib.error) as error:
            raise DataError(
                f"{self._name}: what gzip has packed cannot be unpacked ({error})",
                "Check that the file is whole, or decompress it first.",
            ) from None
        self._given += len(part)
        if self._given > MOST_UNPACKED:
            raise DataError(
                f"{self._name}: the file unpacks to more than {MOST_UNPACKED >> 20} MiB",
                "Decompress it first, if it is meant to be that large.",
            )
        return part
