"""What tells how a table is to be read: its format, and which columns of a wide one are which."""

from __future__ import annotations

import argparse
from typing import IO, TYPE_CHECKING

from canaryjudge.errors import DataError
from canaryjudge.policy import Policy

if TYPE_CHECKING:
    from canaryjudge.integrations.files.wide import WideTable

__all__ = ["add_wide", "refuse_wide", "source_name", "wide_table"]

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
