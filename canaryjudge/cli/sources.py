"""Where a watch has its data from: a file that grows, or a server that is asked again and again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from canaryjudge.cli.inputs import read_given
from canaryjudge.errors import DataError
from canaryjudge.integrations.files.growing_files import GrowingFile, Lines
from canaryjudge.integrations.prometheus.options import fetch_given
from canaryjudge.policy import Policy

if TYPE_CHECKING:
    from canaryjudge.monitor import Monitor

__all__ = ["HopelessError", "Source", "source_of"]


class HopelessError(DataError):
    """What no later look can better."""


class Source(Protocol):
    """Gives a monitor what is new."""

    def feed(self, monitor: Monitor) -> list[str]:
        """Update the monitor, and give remarks.

        Raises
        ------
        DataError
            If nothing can be read, or not be taken; the monitor is then as it was.
        """


def source_of(options: argparse.Namespace, policy: Policy) -> Source:
    """Choose the source that the command line names."""
    if options.prometheus is not None:
        return _Server(options, policy)
    from canaryjudge.integrations.files.tables import ending_format, is_packed_name  # noqa: PLC0415 - servers need no tables

    told = options.data_format or ending_format(options.data)
    if told in ("csv", "tsv", "ndjson") and not is_packed_name(options.data):
        return _GrowingTable(options, policy, told)
    return _Document(options, policy)


class _Server:
    def __init__(self, options: argparse.Namespace, policy: Policy) -> None:
        self._options, self._policy = options, policy

    def feed(self, monitor: Monitor) -> list[str]:
        found = fetch_given(self._options, self._policy, monitor.reached)
        monitor.update(found.data)
        return found.remarks


class _GrowingTable:
    """A table whose lines are read once."""

    def __init__(self, options: argparse.Namespace, policy: Policy, told: str) -> None:
        self._options = argparse.Namespace(**(vars(options) | {"data_format": told}))
        self._policy = policy
        self._file = GrowingFile(options.data, header=told != "ndjson")

    def feed(self, monitor: Monitor) -> list[str]:
        lines = self._file.read()
        if lines is None:
            return []
        try:
            self._take(lines, monitor)
        except HopelessError:
            raise
        except DataError:
            if lines.whole:
                raise
            # from its beginning the file may be read all the same, or the complaint then names the right line
            lines = self._file.read(whole=True)
            if lines is None:
                raise
            self._take(lines, monitor)
        self._file.accept(lines)
        return []

    def _take(self, lines: Lines, monitor: Monitor) -> None:
        monitor.update(read_given(self._options, lines, self._policy))
        _check_times(monitor)


class _Document:
    """A file that is one document, and is written anew as a whole."""

    def __init__(self, options: argparse.Namespace, policy: Policy) -> None:
        self._options, self._policy = options, policy
        self._known: tuple[int, int] | None = None

    def feed(self, monitor: Monitor) -> list[str]:
        found = _change_of(self._options.data)
        if found is not None and found == self._known:
            return []
        monitor.update(read_given(self._options, self._options.data, self._policy))
        _check_times(monitor)
        self._known = found
        return []


def _change_of(path: str) -> tuple[int, int] | None:
    """Give what tells that a file was written to."""
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _check_times(monitor: Monitor) -> None:
    if untimed := monitor.untimed:
        raise HopelessError(
            f"{', '.join(untimed)}: a watch reads a file again and again, and knows by their times which points are new; these have none",
            "Give the column 'time'.",
        )
