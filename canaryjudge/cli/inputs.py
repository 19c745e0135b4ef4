"""What a command is given: data from a file, standard input or a server, once or again and again, and the names of the arms."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from canaryjudge.cli.terminal import complain
from canaryjudge.errors import DataError
from canaryjudge.integrations.files.growing_files import GrowingFile, Lines
from canaryjudge.integrations.prometheus.options import add_options, fetch_given
from canaryjudge.policy import Policy

if TYPE_CHECKING:
    from canaryjudge.integrations.files.layouts import Layout
    from canaryjudge.integrations.files.wide import WideTable
    from canaryjudge.monitor import Monitor

__all__ = [
    "HopelessError",
    "Source",
    "add_arms",
    "add_input",
    "add_wide",
    "fetched",
    "read_bytes",
    "read_given",
    "read_history",
    "refuse_wide",
    "same_file",
    "source_name",
    "source_of",
    "spare",
    "wide_table",
]

_OPTIONS = ("wide", "column", "replica", "time")
"""The options of wide data, by the names of their attributes."""


def add_wide(parser: argparse.ArgumentParser, *, one_arm: bool = False) -> None:
    """Add the options for data with a column a metric; with `one_arm`, no column need name the arm."""
    told = "the data have a column a metric, and this column names the arm"
    parser.add_argument(
        "--wide",
        nargs="?" if one_arm else None,
        const="" if one_arm else None,
        metavar="COLUMN",
        help=f"{told} (none where all rows are of one)" if one_arm else told,
    )
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="METRIC=VALUE[/TOTAL]",
        help="which columns of wide data are a metric's, such as errors=error_count/requests; may be repeated (default: those of its name)",
    )
    parser.add_argument(
        "--replica",
        metavar="COLUMN",
        help="of wide data, the column that tells the replicas of an arm apart (default: replica)",
    )
    parser.add_argument(
        "--time",
        metavar="COLUMN",
        help="of wide data, the column of times (default: the one named time, timestamp, @timestamp, ts, date or datetime)",
    )


def refuse_wide(options: argparse.Namespace, why: str) -> None:
    """Refuse the options of wide data where there are none.

    Raises
    ------
    DataError
        If one is given.
    """
    for name in _OPTIONS:
        if getattr(options, name):
            raise DataError(f"--{name}: {why}", "Leave it out.")


def wide_table(options: argparse.Namespace, policy: Policy, *, past: bool = False) -> WideTable | None:
    """Give what the options say of a wide table; None where the data are not wide."""
    from canaryjudge.integrations.files.wide import WideTable  # noqa: PLC0415 - the other commands read no data

    if options.wide is None:
        for name in _OPTIONS[1:]:
            if getattr(options, name):
                raise DataError(
                    f"--{name} is about wide data, a column a metric",
                    "Name the column of the arms too, with --wide COLUMN, or leave it out.",
                )
        return None
    return WideTable(policy, options.wide or None, options.column, options.replica, options.time, past)


def source_name(source: str | IO[bytes]) -> str:
    """Give the name by which errors call a file or a stream."""
    if source == "-":
        return "standard input"
    return source if isinstance(source, str) else str(getattr(source, "name", "the stream"))


def add_input(parser: argparse.ArgumentParser, *, live: bool = False, needed: bool = True) -> None:
    """Add the options for policy and data; with `live`, a server may be asked for the data."""
    parser.add_argument("--policy", required=True, metavar="FILE", help="the policy, YAML or JSON")
    source = parser.add_mutually_exclusive_group(required=needed)
    source.add_argument(
        "--data",
        metavar="FILE",
        help="CSV, TSV, JSON, NDJSON or Parquet, packed by gzip or not; - for standard input",
    )
    if live:
        source.add_argument(
            "--prometheus", metavar="URL", help="ask this server with the policy's queries instead"
        )
        add_options(parser)
    parser.add_argument(
        "--data-format",
        choices=("csv", "tsv", "json", "ndjson", "parquet", "otlp", "kayenta"),
        help="format of the data, where the name does not tell (standard input: csv or json, by its first character)",
    )
    add_wide(parser)
    parser.add_argument(
        "--arm-attribute",
        default="service.version",
        metavar="ATTRIBUTE",
        help="of OpenTelemetry metrics (--data-format otlp), the attribute that names the arm (default: service.version)",
    )


def add_arms(parser: argparse.ArgumentParser) -> None:
    """Add the options for the arms' names in the data."""
    for arm in ("baseline", "canary"):
        parser.add_argument(
            f"--{arm}", default=arm, metavar="ARM", help=f"name of the {arm} in the data (default: {arm})"
        )


def read_given(
    options: argparse.Namespace, source: str | IO[bytes], policy: Policy, *, finished: bool = False
) -> Any:
    """Read data from a file, a stream, or standard input where `source` is ``-``.

    A table of `finished` data, of which no more will come, must have rows, if the policy does not say what silence means.
    """
    from canaryjudge.integrations.files.layouts import tidy  # noqa: PLC0415
    from canaryjudge.integrations.kayenta.pairs import from_kayenta  # noqa: PLC0415 - the other commands read no data
    from canaryjudge.integrations.otlp.reader import from_otlp  # noqa: PLC0415

    if options.data_format in ("otlp", "kayenta"):
        refuse_wide(options, f"data of the format {options.data_format} say themselves what is what")
    table = _read(options, source, policy, tidy, finished=finished)
    if options.data_format == "otlp":
        return from_otlp(
            table, arm=options.arm_attribute, metrics={metric.name: metric.name for metric in policy.metrics}
        )
    if options.data_format == "kayenta":
        return from_kayenta(table)
    return table


def read_history(options: argparse.Namespace, policy: Policy) -> Any:
    """Read what is known of a service from before, from a file or standard input: its arm may be left out, and releases may be named."""
    from canaryjudge.integrations.files.layouts import history  # noqa: PLC0415 - as in read_given

    return _read(options, options.history, policy, history, finished=True, past=True)


def _read(
    options: argparse.Namespace,
    source: str | IO[bytes],
    policy: Policy,
    layout: Layout,
    *,
    finished: bool,
    past: bool = False,
) -> Any:
    from canaryjudge.integrations.files.tables import read_table  # noqa: PLC0415 - as in read_given
    from canaryjudge.integrations.files.wide import widen_table  # noqa: PLC0415

    wide = wide_table(options, policy, past=past)
    if wide is not None:
        layout = wide.layout
    if source != "-":
        table = read_table(source, format=options.data_format, layout=layout)
    else:
        peeked = sys.stdin.buffer.peek(1024) if hasattr(sys.stdin.buffer, "peek") else b""
        likely = "json" if peeked.lstrip()[:1] in (b"{", b"[") else "csv"
        table = read_table(sys.stdin.buffer, format=options.data_format or likely, layout=layout)
    silent = all("no_data" in metric.model_fields_set for metric in policy.metrics)
    if finished and not silent and not isinstance(table, Mapping) and not len(table):
        raise DataError(
            f"{source_name(source)}: the table has no rows, so there is nothing to judge",
            "See what the export asked for. If an arm may be silent, set no_data for every metric.",
        )
    return table if wide is None else widen_table(table, wide, source_name(source))


def fetched(
    options: argparse.Namespace, policy: Policy, since: Mapping[str, float | None] | None = None
) -> Any:
    """Fetch data from a server, from where each metric is known already on, and pass on its remarks."""
    from canaryjudge.integrations.prometheus.options import fetch_given  # noqa: PLC0415 - files need no client

    found = fetch_given(options, policy, since)
    for remark in found.remarks:
        complain(f"warning: {remark}", "")
    return found.data


def read_bytes(path: str) -> bytes:
    """Read a file whole."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file", "Check the path.") from None


def spare(output: str | None, option: str, *inputs: str | None) -> None:
    """Refuse to write over what the verdict is made from."""
    for given in inputs:
        if output is None or given is None or given == "-":
            continue
        if same_file(output, given):
            raise DataError(f"{option} {output} would overwrite an input", "Name another file.")


def same_file(one: str, other: str) -> bool:
    """Tell whether two names are of one file, be it there already or still to be written."""
    if Path(one).exists() and Path(other).exists():
        return Path(one).samefile(other)
    return os.path.realpath(one) == os.path.realpath(other)


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
