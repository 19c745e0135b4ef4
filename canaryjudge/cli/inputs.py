"""What a command is given: a policy, data from a file, standard input or a server, and the names of the arms."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from canaryjudge.cli.complaints import complain
from canaryjudge.errors import DataError
from canaryjudge.integrations.prometheus_options import add_options
from canaryjudge.policy import Policy

__all__ = [
    "add_arms",
    "add_input",
    "fetched",
    "read_bytes",
    "read_columns",
    "read_given",
    "same_file",
    "spare",
]


def add_input(parser: argparse.ArgumentParser, *, live: bool = False, needed: bool = True) -> None:
    """Add the options for policy and data; with `live`, a server may be asked for the data."""
    parser.add_argument("--policy", required=True, metavar="FILE", help="the policy, YAML or JSON")
    source = parser.add_mutually_exclusive_group(required=needed)
    source.add_argument("--data", metavar="FILE", help="CSV, JSON, NDJSON or Parquet; - for standard input")
    if live:
        source.add_argument(
            "--prometheus", metavar="URL", help="ask this server with the policy's queries instead"
        )
        add_options(parser)
    parser.add_argument(
        "--data-format",
        choices=("csv", "json", "ndjson", "parquet", "otlp", "kayenta"),
        help="format of the data, where the name does not tell (standard input: csv or json, by its first character)",
    )
    parser.add_argument(
        "--wide", metavar="COLUMN", help="the data have a column a metric, and this column names the arm"
    )
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


def read_given(options: argparse.Namespace, source: str | IO[bytes], policy: Policy) -> Any:
    """Read data from a file, a stream, or standard input where `source` is ``-``."""
    from canaryjudge.integrations.kayenta_pairs import from_kayenta  # noqa: PLC0415 - the other commands read no data
    from canaryjudge.integrations.otlp import from_otlp  # noqa: PLC0415
    from canaryjudge.integrations.tables import widen_columns  # noqa: PLC0415

    table = read_columns(source, options.data_format, every=options.wide is not None)
    if options.wide is not None:
        return widen_columns(table, options.wide, policy)
    if options.data_format == "otlp":
        return from_otlp(
            table, arm=options.arm_attribute, metrics={metric.name: metric.name for metric in policy.metrics}
        )
    if options.data_format == "kayenta":
        return from_kayenta(table)
    return table


def read_columns(source: str | IO[bytes], data_format: str | None, *, every: bool) -> Any:
    """Read a table from a file, a stream, or standard input where `source` is ``-``: every column, or those of a tidy table."""
    from canaryjudge.integrations.tables import read_table  # noqa: PLC0415 - as in read_given

    if source != "-":
        return read_table(source, format=data_format, wide=every)
    peeked = sys.stdin.buffer.peek(1024) if hasattr(sys.stdin.buffer, "peek") else b""
    likely = "json" if peeked.lstrip()[:1] in (b"{", b"[") else "csv"
    return read_table(sys.stdin.buffer, format=data_format or likely, wide=every)


def fetched(
    options: argparse.Namespace, policy: Policy, since: Mapping[str, float | None] | None = None
) -> Any:
    """Fetch data from a server, from where each metric is known already on, and pass on its remarks."""
    from canaryjudge.integrations.prometheus_options import fetch_given  # noqa: PLC0415 - files need no client

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
