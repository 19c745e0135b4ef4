"""A file of lines that something else goes on writing: what is new in it, line by whole line."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from canaryjudge.errors import DataError

__all__ = ["GrowingFile", "Lines"]

_REMEMBERED: Final = 4096
"""Bytes before the place that was read up to, by which a file that only grew is known from one that was written anew."""


class Lines(BytesIO):
    """Some lines of a file, under its name.

    Attributes
    ----------
    name : str
        The file.
    whole : bool
        Whether these are all lines from the beginning on.
    end : int
        Where in the file they end.
    """

    def __init__(self, content: bytes, name: str, *, whole: bool, end: int) -> None:
        super().__init__(content)
        self.name, self.whole, self.end = name, whole, end


class GrowingFile:
    r"""Reads what was added to a file since the last reading that was accepted.

    A last line that has no line break yet may be half of what it will be, and is left for later. A file that became shorter, or has
    other content before the place that was read up to, is read from its beginning.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "new.csv")
    ...     _ = path.write_text("metric,value\ncpu,1\ncpu,2")
    ...     file = GrowingFile(path, header=True)
    ...     lines = file.read()
    ...     file.accept(lines)
    ...     _ = path.write_text("metric,value\ncpu,1\ncpu,25\n")
    ...     lines.getvalue(), file.read().getvalue()
    (b'metric,value\ncpu,1\n', b'metric,value\ncpu,25\n')
    """

    def __init__(self, path: str | Path, *, header: bool) -> None:
        self._path = Path(path)
        self._header = header
        self._end = 0
        self._before = b""
        self._first = b""

    def read(self, *, whole: bool = False) -> Lines | None:
        """Return the lines that are new."""
        try:
            with self._path.open("rb") as file:
                start = 0 if whole or not self._has_only_grown(file) else self._end
                file.seek(start)
                content = file.read()
        except FileNotFoundError:
            raise DataError(f"{self._path}: there is no such file", "Check the path.") from None
        except OSError as error:
            raise DataError(
                f"{self._path}: the file cannot be read ({error.strerror or error})",
                "Check the path and its permissions.",
            ) from None
        content = content[: content.rfind(b"\n") + 1]
        if not content.strip():
            return None
        head = self._first if start else b""
        return Lines(head + content, str(self._path), whole=not start, end=start + len(content))

    def accept(self, lines: Lines) -> None:
        """Go on behind these lines from now on."""
        content = lines.getvalue()
        if lines.whole and self._header:
            blank = len(content) - len(content.lstrip())
            self._first = content[: content.index(b"\n", blank) + 1]
        self._end, self._before = lines.end, content[-_REMEMBERED:] if lines.whole else self._tail(content)

    def _tail(self, content: bytes) -> bytes:
        return (self._before + content[len(self._first) :])[-_REMEMBERED:]

    def _has_only_grown(self, file: BinaryIO) -> bool:
        first = file.read(len(self._first))
        file.seek(self._end - len(self._before))
        return first == self._first and file.read(len(self._before)) == self._before
