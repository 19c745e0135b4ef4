"""What a command is given: a policy, data from a file, standard input or a server, and the names of the arms."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from canaryjudge.cli.complaints import complain
from canaryjudge.cli.tables import add_wide, refuse_wide, source_name, wide_table
from canaryjudge.errors import DataError
from canaryjudge.integrations.prometheus.options import add_options
from canaryjudge.policy import Policy

if TYPE_CHECKING:
    from canaryjudge.integrations.files.layouts import Layout

__all__ = [
    "add_arms",
    "add_input",
    "fetched",
    "read_bytes",
    "read_given",
    "read_history",
    "same_file",
    "spare",
]


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
