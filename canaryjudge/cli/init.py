"""The command `init`: a policy to start from, as data or a server's series suggest."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from canaryjudge.cli.inputs import add_arms, add_data, read_text_or_table, refuse_server_options, refuse_wide
from canaryjudge.cli.streams import write_file
from canaryjudge.data.arm_columns import from_arm_columns, named_by_arm
from canaryjudge.data.diagnostics import likely_name
from canaryjudge.data.frames import table_columns
from canaryjudge.data.reading import source_of
from canaryjudge.data.wide import from_columns, row_columns
from canaryjudge.errors import DataError
from canaryjudge.integrations.files.layouts import Roles, tidy_or_by_arms
from canaryjudge.integrations.sources import FILE_FORMATS, SERVERS
from canaryjudge.policy import parse_policy

if TYPE_CHECKING:
    from canaryjudge.data.sources import SeriesSource

__all__ = ["add_init"]

_ARMS: Final = ("baseline", "canary")
_LISTINGS: Final = {name: each.listing for name, each in SERVERS.items() if each.listing is not None}


def add_init(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    parser = commands.add_parser(
        "init",
        help="write a policy to start from",
        description="Write a policy to start from, as the data suggest, or what a server has: kinds, units, bad directions and roles, and in comments what there is to decide.",
    )
    add_data(parser, {name: (each.does, each.add_options) for name, each in _LISTINGS.items()})
    add_arms(parser)
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="write the policy there, where no file is yet (default: standard output)",
    )
    parser.set_defaults(run=_init)


def _init(options: argparse.Namespace) -> int:
    refuse_server_options(options)
    if options.output is not None and Path(options.output).exists():
        raise DataError(f"--output {options.output}: there is such a file already", "Name another one.")
    server = next((each for name, each in _LISTINGS.items() if getattr(options, name) is not None), None)
    text = _from_data(options) if server is None else server.starter(options)
    parse_policy(text, "the starter policy")
    if options.output is None:
        sys.stdout.write(text)
    else:
        write_file(options.output, text)
    return 0


def _from_data(options: argparse.Namespace) -> str:
    from canaryjudge.doctor_checks.starter import looked_over, policy_text, suggested  # noqa: PLC0415 - the other commands guess nothing

    source, columns = _source(options)
    arms = _arms(options, source.arms)
    metrics = suggested(source, arms)
    kinds = {one.name: one.settings.get("kind") for one in metrics if one.settings}
    told = [
        f"{name}={value}/{total}" if total and kinds[name] in ("ratio", "count") else f"{name}={value}"
        for name, (value, total) in columns.items()
        if name in kinds and (value != name or total)
    ]
    command = " ".join(map(shlex.quote, _given(options, arms, told)))
    header = [
        "A policy to start from, written by canaryjudge init: what names and numbers suggest.",
        *looked_over(source, arms),
        "Look at every direction, role and tolerance, foremost where a comment says decide. Then:",
        f"  canaryjudge doctor {command}",
        f"  canaryjudge judge {command}",
    ]
    return policy_text(metrics, header)


def _given(options: argparse.Namespace, arms: tuple[str, str], columns: Sequence[str]) -> Iterator[str]:
    """Give the options by which the other commands read the same data."""
    yield from ("--policy", options.output or "policy.yaml", "--data", options.data)
    if options.data_format is not None:
        yield from ("--data-format", options.data_format)
        for own in FILE_FORMATS[options.data_format].options:
            if own.value(options) != own.default:
                yield from (own.flag or f"--{own.name.replace('_', '-')}", own.value(options))
    for name in ("wide", "replica", "time"):
        if getattr(options, name):
            yield from (f"--{name}", getattr(options, name))
    for column in columns:
        yield from ("--column", column)
    for option, arm in zip(_ARMS, arms, strict=True):
        if arm != option:
            yield from (f"--{option}", arm)


def _source(options: argparse.Namespace) -> tuple[SeriesSource, dict[str, tuple[str, str]]]:
    """Read the data without a policy, and say which columns of a wide table are each metric's, its value and its total."""
    format = FILE_FORMATS.get(options.data_format or "")  # noqa: A001 - the word users know
    if format is not None and format.document:
        refuse_wide(options, f"data of the format {options.data_format} say themselves what is what")
        text, _ = read_text_or_table(options.data, tidy_or_by_arms((), _ARMS), options.data_format)
        return source_of(format.data_of(text, None, options)), {}
    arms = options.baseline, options.canary
    if options.wide is not None:
        return _wide_source(options)
    for name in ("column", "replica", "time"):
        if getattr(options, name):
            raise DataError(
                f"--{name} is about wide data, a column a metric",
                "Name the column of the arms too, with --wide.",
            )

    def layout(names: Sequence[str], source: str) -> Roles:
        return tidy_or_by_arms(named_by_arm(names, arms[0]), arms)(names, source)

    table, _ = read_text_or_table(options.data, layout, options.data_format)
    columns = None if isinstance(table, dict) else table_columns(table)
    beside = (
        None if columns is None else from_arm_columns(columns, named_by_arm(list(columns), arms[0]), arms)
    )
    return source_of(table if beside is None else beside), {}


def _wide_source(options: argparse.Namespace) -> tuple[SeriesSource, dict[str, tuple[str, str]]]:
    from canaryjudge.doctor_checks.starter import counts_failures, is_traffic  # noqa: PLC0415 - as in _from_data
    from canaryjudge.integrations.files.wide import columns_of, likely_totals, named_column, numeric_columns  # noqa: PLC0415 - only wide tables

    arm = options.wide
    labels = frozenset(filter(None, (arm, options.replica, "replica")))
    table, name = read_text_or_table(
        options.data,
        lambda names, _: Roles(tuple(names), names=labels.intersection(names)),
        options.data_format,
    )
    columns = table_columns(table)
    if columns is None or arm not in columns:
        raise DataError(f"{name}: there is no column {arm!r}", likely_name(arm, columns or (), "columns"))
    beside = row_columns(list(columns), arm=arm, time=options.time, replica=options.replica)
    numbers = [each for each in numeric_columns(columns) if each not in (arm, *beside.values())]
    found: dict[str, tuple[str, str]] = {}
    for text in options.column:
        metric, named = named_column(text)
        own = columns_of(text, named, list(columns))
        found[metric] = (own.value, own.total or "")
    taken = {value for value, _ in found.values()} | {f"{each}_total" for each in numbers}
    traffic = [each for each in numbers if is_traffic(each)]
    for each in numbers:
        totals = (likely_totals(each, each, numbers) or traffic) if counts_failures(each) else []
        if each not in taken:
            found.setdefault(each, (each, totals[0] if len(totals) == 1 else ""))
    roles = {
        metric: {"value": value} | ({"total": total} if total else {})
        for metric, (value, total) in found.items()
    }
    return source_of(from_columns(columns, roles, arm=arm, time=options.time, replica=options.replica)), found


def _arms(options: argparse.Namespace, known: Sequence[str]) -> tuple[str, str]:
    """Find which arm is which: as the options say, or, where they say nothing, of the two that there are."""
    from canaryjudge.doctor_checks.starter import looks_new, old_to_new  # noqa: PLC0415 - as in _from_data

    given = options.baseline, options.canary
    if all(arm in known for arm in given) or not known:
        return given
    for arm, default in zip(given, _ARMS, strict=True):
        if arm != default and arm not in known:
            raise DataError(f"the data have no arm {arm!r}", likely_name(arm, known, "arms", taken=given))
    if len(known) > 2:
        raise DataError(
            f"the data have {len(known)} arms, {', '.join(known[:8])}",
            "Name the two with --baseline and --canary.",
        )
    if len(known) == 1:
        is_new = known[0] != given[0] and (known[0] == given[1] or looks_new(known[0]))
        return (given[0], known[0]) if is_new else (known[0], given[1])
    first, second = sorted(known, key=lambda arm: (arm != given[0], arm == given[1], old_to_new(arm)))
    return first, second
