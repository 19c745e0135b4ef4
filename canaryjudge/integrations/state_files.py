"""A monitor's state in a file: one writer at a time, and never half written."""

from __future__ import annotations

import os
import sys
import tempfile
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
    ends.

    Parameters
    ----------
    path : str or Path
        The state file.
    timeout : float
        Seconds to wait for another writer.

    Raises
    ------
    DataError
        If another writer holds it for longer.
    OSError
        If the directory is not there or cannot be written to.
    """
    with Path(f"{path}.lock").open("a+b") as lock:
        end = time.monotonic() + timeout
        while not _try_lock(lock.fileno()):
            if time.monotonic() >= end:
                raise DataError(
                    f"{path}: another canaryjudge is writing it, and did not finish within {timeout:g} s",
                    "Run one step at a time, or wait longer with --lock-timeout.",
                )
            time.sleep(_PAUSE)
        yield  # closing the file frees the lock


def read_state(path: str | Path) -> bytes | None:
    """Read a state file.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    bytes or None
        What it holds; None where there is no file, or an empty one: a watch begins.
    """
    try:
        return Path(path).read_bytes() or None
    except FileNotFoundError:
        return None


def write_state(path: str | Path, text: str) -> None:
    """Write a state file at once: a reader, or a crash, finds the old one or the new one, whole.

    Parameters
    ----------
    path : str or Path
        The file. An existing one keeps its permissions.
    text : str
        What it shall hold.
    """
    target = Path(os.path.realpath(path))  # through a link, to what it points to
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(_mode(target))
        Path(name).replace(target)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    _sync_directory(target.parent)


def _mode(path: Path) -> int:
    """Give the permissions of a file, or those that a new one would have."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


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
