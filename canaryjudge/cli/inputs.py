"""What a command is given: data from a file, standard input or a server, once or again and again, and the names of the arms."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from canaryjudge.cli.streams import complain, naming, standard_input
from canaryjudge.errors import DataError
from canaryjudge.integrations.files.growing_files import GrowingFile, Lines
from canaryjudge.integrations.sources import (
    FILE_FORMATS,
    SERVERS,
    Server,
    begins_like,
    ending_format,
    history_format,
    is_packed_name,
    read_table,
)
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Policy

if TYPE_CHECKING:
    from canaryjudge.integrations.files.layouts import Layout
    from canaryjudge.integrations.files.wide import WideTable
    from canaryjudge.integrations.prometheus.queries import Fetched
    from canaryjudge.monitor import Monitor

__all__ = [
    "TABLE_TITLES",
    "Feed",
    "HopelessError",
    "add_arms",
    "add_data",
    "add_history",
    "add_input",
    "add_policy",
    "add_table_format",
    "arm_names",
    "feed_of",
    "past_of_feed",
    "read_bytes",
    "read_data",
    "read_file",
    "read_history",
    "read_past",
    "read_text_or_table",
    "refuse_server_options",
    "refuse_standard_input_twice",
    "refuse_wide",
    "same_file",
    "save_data",
    "spare",
]

_TABLES = {name: each.title for name, each in FILE_FORMATS.items() if not each.document}
TABLE_TITLES = f"{', '.join([*_TABLES.values()][:-1])} or {[*_TABLES.values()][-1]}"
"""What tables may be in, for the help."""
PAST: Final = "history"
"""The arm that saved data hold beside the two: what was fetched of the baseline's past."""
_OPTIONS = ("wide", "column", "replica", "time")
"""The options of wide data, by the names of their attributes."""


def add_policy(parser: argparse.ArgumentParser) -> None:
    """Add the option for the policy."""
    parser.add_argument("--policy", required=True, metavar="FILE", help="the policy, YAML or JSON")


def add_input(parser: argparse.ArgumentParser, *, live: bool = False, needed: bool = True) -> None:
    """Add the options for policy and data; with `live`, a server may be asked for the data."""
    add_policy(parser)
    add_data(parser, {name: (each.does, each.add_options) for name, each in SERVERS.items() if live}, needed)


def add_data(
    parser: argparse.ArgumentParser,
    servers: Mapping[str, tuple[str, Callable[[argparse.ArgumentParser], None]]],
    needed: bool = True,  # noqa: FBT001, FBT002 - as argparse has it
) -> None:
    """Add the options for data: a file with its format, or servers, by their names with what each is for and what adds its own options."""
    source = parser.add_mutually_exclusive_group(required=needed)
    source.add_argument(
        "--data", metavar="FILE", help=f"{TABLE_TITLES}, packed by gzip or not; - for standard input"
    )
    for name, (does, add_options) in servers.items():
        source.add_argument(f"--{name}", metavar="URL", help=does)
        add_options(parser)
    parser.add_argument(
        "--data-format",
        choices=tuple(FILE_FORMATS),
        help="format of the data, where the name does not tell (standard input: csv or json, by its first character)",
    )
    _add_wide(parser)
    for each in FILE_FORMATS.values():
        for option in each.options:
            option.add_to(parser)


def add_history(parser: argparse.ArgumentParser) -> None:
    """Add the option for what is known of the service from before."""
    parser.add_argument(
        "--history",
        metavar="FILE",
        help="the same metrics at times when nothing was wrong, one or several series a metric or past releases (default: what --prometheus has of the baseline's past)",
    )


def add_table_format(parser: argparse.ArgumentParser) -> None:
    """Add the options for a history that is a table: its format, and the columns of a wide one."""
    parser.add_argument(
        "--data-format", choices=tuple(_TABLES), help="format of the history, where the name does not tell"
    )
    _add_wide(parser, one_arm=True)


class _SeveralNames(argparse.Action):
    """Keeps the name of one arm, and a list of those of several."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 - as argparse has it
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,  # noqa: ARG002 - as above
    ) -> None:
        """Take one more name."""
        given = [*getattr(namespace, f"_{self.dest}", ()), values]
        setattr(namespace, f"_{self.dest}", given)
        setattr(namespace, self.dest, values if len(given) == 1 else given)


def add_arms(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add the options for the arms' names in the data; with `several`, for those of several canaries too."""
    more = {
        "baseline": "; of several canaries, one for all or one for each",
        "canary": "; repeat it to judge several canaries under one alpha",
    }
    for arm in ("baseline", "canary"):
        parser.add_argument(
            f"--{arm}",
            default=arm,
            metavar="ARM",
            action=_SeveralNames if several else "store",
            help=f"name of the {arm} in the data (default: {arm}{more[arm] if several else ''})",
        )


def arm_names(options: argparse.Namespace) -> tuple[str, ...]:
    """List the arms that the command line names, the baselines first."""
    named = (getattr(options, arm, arm) for arm in ("baseline", "canary"))
    return tuple(name for each in named for name in ([each] if isinstance(each, str) else each))


def _add_wide(parser: argparse.ArgumentParser, *, one_arm: bool = False) -> None:
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
    """Refuse the options of wide data where there are none."""
    for name in _OPTIONS:
        if getattr(options, name):
            raise DataError(f"--{name}: {why}", "Leave it out.")


def refuse_standard_input_twice(options: argparse.Namespace) -> None:
    """Refuse to read two of data, history and state from one stream."""
    named = [f"--{name}" for name in ("data", "history", "state") if getattr(options, name, None) == "-"]
    if len(named) > 1:
        raise DataError(
            f"{' and '.join(named)} are {'both' if len(named) == 2 else 'all'} standard input",
            "Read one of them from a file." if len(named) == 2 else "Read two of them from files.",
        )


def refuse_server_options(options: argparse.Namespace) -> None:
    """Refuse what belongs to a server that is not asked."""
    for server in SERVERS.values():
        server.refuse_options(options)


def read_data(
    options: argparse.Namespace,
    policy: Policy,
    *,
    finished: bool = False,
    since: Mapping[str, float | None] | None = None,
) -> Any:
    """Read the data that the command line names, from a file or from a server, whose remarks are passed on; None where it names none.

    A table of `finished` data, of which no more will come, must have rows, if the policy does not say what silence means; a server is
    asked for what follows `since`, as far as each metric is known already.
    """
    server = _server(options)
    if server is None and options.data is None:
        return None
    if server is None:
        return read_file(options, options.data, policy, format=options.data_format, finished=finished)
    return _told(server.fetch(options, policy, since))


def read_past(options: argparse.Namespace, policy: Policy, data: Any = None) -> Any:
    """Read what is known of the service from before: from a file, from the server that the data are from, or from data that hold it; None where nothing is given."""
    if options.history is not None:
        # --data-format is about the data; a history whose name tells its own is read by that
        format = history_format(options.history, options.data_format)  # noqa: A001 - as in read_file
        if format is not None and FILE_FORMATS[format].document:
            return read_file(options, options.history, policy, format=format)
        return _read_history(options, policy, format)
    server = _server(options)
    if server is not None:
        return None if server.past is None else _told(server.past(options, policy)) or None
    if not isinstance(data, Mapping) or PAST in arm_names(options):
        return None
    past = {
        metric: {PAST: arms[PAST]}
        for metric, arms in data.items()
        if isinstance(arms, Mapping) and PAST in arms
    }
    return past or None


def save_data(options: argparse.Namespace, data: Any, past: Any = None) -> None:
    """Write what a server gave where the command line says so, and with it what it gave of the past."""
    if options.save_data is None or data is None:
        return
    from canaryjudge.integrations.files.tables import write_data  # noqa: PLC0415 - only where it is asked for

    known = {} if past is None or options.history is not None else past
    with naming(options.save_data):
        write_data(
            options.save_data, {metric: {**arms, **known.get(metric, {})} for metric, arms in data.items()}
        )


def _told(found: Fetched) -> Any:
    """Pass on the remarks of a server, and give its data."""
    for remark in found.remarks:
        complain(f"warning: {remark}", "")
    return found.data


def read_file(
    options: argparse.Namespace,
    source: str | IO[bytes],
    policy: Policy,
    *,
    format: str | None,  # noqa: A002 - the word users know
    finished: bool = False,
) -> Any:
    """Read data from a file, a stream, or standard input where `source` is ``-``."""
    from canaryjudge.integrations.files.layouts import tidy_or_by_arms  # noqa: PLC0415 - the other commands read no data

    document = format is not None and FILE_FORMATS[format].document
    if document:
        refuse_wide(options, f"data of the format {format} say themselves what is what")
    segments = () if policy.segments is None else policy.segments.by
    layout = tidy_or_by_arms(
        [metric.name for metric in policy.metrics],
        arm_names(options),
        segments,
        by_user=policy.has_users,
        paired=any(KINDS[metric.kind].is_paired for metric in policy.metrics),
    )
    table = _read(options, source, policy, layout, format=format, finished=finished)
    return FILE_FORMATS[str(format)].data_of(table, policy, options) if document else table


def read_history(options: argparse.Namespace, policy: Policy) -> Any:
    """Read what is known of a service from before, from a file or standard input: its arm may be left out, and releases may be named."""
    return _read_history(options, policy, options.data_format)


def _read_history(options: argparse.Namespace, policy: Policy, format: str | None) -> Any:  # noqa: A002 - as in read_file
    from canaryjudge.integrations.files.layouts import history  # noqa: PLC0415 - as in read_file

    return _read(options, options.history, policy, history, format=format, finished=True, past=True)


def _read(
    options: argparse.Namespace,
    source: str | IO[bytes],
    policy: Policy,
    layout: Layout,
    *,
    format: str | None,  # noqa: A002 - as in read_file
    finished: bool,
    past: bool = False,
) -> Any:
    from canaryjudge.integrations.files.wide import widen_table  # noqa: PLC0415 - as in read_file

    wide = _wide_table(options, policy, past=past)
    if wide is not None:
        layout = wide.layout
    table, name = read_text_or_table(source, layout, format)
    silent = all("no_data" in metric.model_fields_set for metric in policy.metrics)
    if finished and not silent and not isinstance(table, Mapping) and not len(table):
        raise DataError(
            f"{name}: the table has no rows, so there is nothing to judge",
            "See what the export asked for. If an arm may be silent, set no_data for every metric.",
        )
    return table if wide is None else widen_table(table, wide, name)


def read_text_or_table(source: str | IO[bytes], layout: Layout, format: str | None) -> tuple[Any, str]:  # noqa: A002 - as in read_file
    """Read a file, a stream, or standard input where `source` is ``-``, and give what it is called too."""
    if source != "-":
        name = source if isinstance(source, str) else str(getattr(source, "name", "the stream"))
        return read_table(source, format=format, layout=layout), name
    stream = standard_input()
    with naming("standard input"):
        start = stream.peek(1024) if hasattr(stream, "peek") else b""
        return read_table(stream, format=format or begins_like(start), layout=layout), "standard input"


def _wide_table(options: argparse.Namespace, policy: Policy, *, past: bool) -> WideTable | None:
    """Return what the options say of a wide table; None where the data are not wide."""
    from canaryjudge.integrations.files.wide import WideTable  # noqa: PLC0415 - as in read_file

    if options.wide is None:
        for name in _OPTIONS[1:]:
            if getattr(options, name):
                raise DataError(
                    f"--{name} is about wide data, a column a metric",
                    "Name the column of the arms too, with --wide COLUMN, or leave it out.",
                )
        return None
    return WideTable(policy, options.wide or None, options.column, options.replica, options.time, past)


def _server(options: argparse.Namespace) -> Server | None:
    """Return the server that the command line names."""
    return next((each for name, each in SERVERS.items() if getattr(options, name, None) is not None), None)


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
    """Return whether two names are of one file, be it there already or still to be written."""
    if Path(one).exists() and Path(other).exists():
        return Path(one).samefile(other)
    return os.path.realpath(one) == os.path.realpath(other)


class HopelessError(DataError):
    """What no later look can better."""


class Feed(Protocol):
    """Gives a monitor what is new."""

    def feed(self, monitor: Monitor) -> list[str]:
        """Update the monitor, and return remarks; where nothing can be read or taken it raises a DataError, and the monitor is as it was."""


def feed_of(options: argparse.Namespace, policy: Policy) -> Feed:
    """Choose where a watch has its data from: a server that is asked again, a file that grows, or one that is written anew."""
    server = _server(options)
    if server is not None:
        return _Server(options, policy, server)
    format = options.data_format or ending_format(options.data)  # noqa: A001 - as in read_file
    if format is not None and FILE_FORMATS[format].grows and not is_packed_name(options.data):
        return _GrowingTable(options, policy, format)
    return _Document(options, policy)


def past_of_feed(options: argparse.Namespace, policy: Policy) -> Any:
    """Read what is known from before a watch, as for one look; of files a document may hold it, and lines do not."""
    if options.history is None and isinstance(feed_of(options, policy), _Document):
        return read_past(options, policy, read_data(options, policy))
    return read_past(options, policy)


class _Server:
    def __init__(self, options: argparse.Namespace, policy: Policy, server: Server) -> None:
        self._options, self._policy, self._server = options, policy, server

    def feed(self, monitor: Monitor) -> list[str]:
        found = self._server.fetch(self._options, self._policy, monitor.reached)
        monitor.update(found.data)
        return found.remarks


class _GrowingTable:
    """A table whose lines are read once."""

    def __init__(self, options: argparse.Namespace, policy: Policy, format: str) -> None:  # noqa: A002 - as in read_file
        self._options, self._policy, self._format = options, policy, format
        self._file = GrowingFile(options.data, header=FILE_FORMATS[format].grows == "lines under a header")

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
        monitor.update(read_file(self._options, lines, self._policy, format=self._format))
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
        monitor.update(read_data(self._options, self._policy))
        _check_times(monitor)
        self._known = found
        return []


def _change_of(path: str) -> tuple[int, int] | None:
    """Return what tells that a file was written to."""
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
