"""A monitor's state in a file: one writer at a time, and never half written."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from canaryjudge.errors import DataError

__all__ = ["locked", "read_state", "write_state"]

_PAUSE = 0.05
"""Seconds between two tries for the lock."""


@contextmanager
def locked(path: str | Path, timeout: float = 10.0) -> Iterator[None]:
    """Hold a state file for oneself.

    The lock is on a file beside it, ``<path>.lock``, which stays: the operating system frees the lock when the process ends, however it
    ends. Names that are links to one file share its lock.
    """
    target = _target(path)
    with Path(f"{target}.lock").open("a+b") as lock:
        end = time.monotonic() + timeout
        while not _try_lock(lock.fileno()):
            left = end - time.monotonic()
            if left <= 0:
                raise DataError(
                    f"{path}: another canaryjudge is writing it, and did not finish within {timeout:g} s",
                    "Run one step at a time, or wait longer with --lock-timeout.",
                )
            time.sleep(min(_PAUSE, left))
        yield  # closing the file frees the lock


def read_state(path: str | Path) -> bytes | None:
    """Read a state file."""
    try:
        return Path(path).read_bytes() or None
    except FileNotFoundError:
        return None


def write_state(path: str | Path, text: str) -> None:
    """Write a state file at once: a reader, or a crash, finds the old one or the new one, whole."""
    target = _target(path)
    # one name for all: what a killed writer leaves behind, the next one takes away
    draft = target.with_name(f".{target.name}.tmp")
    draft.unlink(missing_ok=True)
    try:
        with draft.open("xb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            draft.chmod(target.stat().st_mode & 0o777)
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync_directory(target.parent)


def _target(path: str | Path) -> Path:
    """Return what a name, or a link, points to, and refuse what a file cannot be put in place of."""
    target = Path(os.path.realpath(path))
    folder = target.is_dir() or str(path).endswith(("/", os.sep))
    if folder or (target.exists() and not target.is_file()):
        what = "a directory" if folder else "not a regular file"
        raise DataError(f"{path}: the state cannot be kept there, it is {what}", "Name a file.")
    if not target.parent.is_dir():
        raise DataError(f"{path}: there is no directory {target.parent}", "Make it, or name another file.")
    return target


def _sync_directory(folder: Path) -> None:
    """Make the new name last; not every system lets a directory be opened for that."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> bool:
        os.lseek(handle, 0, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
