"""Where data come from: every format of files and every server by its name. A new one is a file of its own and a line here."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import IO, TYPE_CHECKING, Any, Final, Literal

from canaryjudge.data.diagnostics import likely_name, shown
from canaryjudge.errors import DataError
from canaryjudge.integrations.files.layouts import Layout, tidy
from canaryjudge.integrations.options import Option
from canaryjudge.integrations.prometheus.options import (
    add_access,
    add_options,
    fetch_given,
    fetch_past,
    refuse_options,
    starter_given,
)

if TYPE_CHECKING:
    from canaryjudge.integrations.prometheus.queries import Fetched
    from canaryjudge.policy import Policy

__all__ = [
    "FILE_FORMATS",
    "SERVERS",
    "FileFormat",
    "Server",
    "begins_like",
    "ending_format",
    "history_format",
    "is_packed_name",
    "read_table",
]

_CSV: Final = "canaryjudge.integrations.files.csv_files"
_TABLES: Final = "canaryjudge.integrations.files.tables"
_JSON: Final = ("json", "ndjson")
"""Formats whose endings files of documents may have too."""


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A format of data in files.

    Attributes
    ----------
    title : str
        What people call it.
    reader : str
        ``module:function``, imported once it is used: binary file, its name, layout -> a table, or the text of a document.
    endings : tuple of str
        Of files that hold it.
    begins : tuple of bytes
        What data of it begin with, where nothing else tells the format; the first format is taken for all others.
    grows : {"", "lines", "lines under a header"}
        How such a file grows while something writes to it; a document is written anew.
    document : str
        Of what says itself which metric and arm is which, ``module:function``: text, policy, options -> data. Nothing for tables.
    options : tuple of Option
        What its documents take.
    """

    title: str
    reader: str
    endings: tuple[str, ...] = ()
    begins: tuple[bytes, ...] = ()
    grows: Literal["", "lines", "lines under a header"] = ""
    document: str = ""
    options: tuple[Option, ...] = ()

    def read(self, stream: Any, name: str, layout: Layout) -> Any:
        """Read a file; a document is left as text, for `data_of`."""
        return resolve_name(self.reader)(stream, name, layout)

    def data_of(self, text: str, policy: Policy | None, options: argparse.Namespace) -> Any:
        """Take a policy's metrics, or all, from the text of a document."""
        given = {option.name: option.value(options) for option in self.options}
        return resolve_name(self.document)(text, policy, **given)


FILE_FORMATS: Final[dict[str, FileFormat]] = {
    "csv": FileFormat("CSV", f"{_CSV}:read_csv", (".csv",), grows="lines under a header"),
    "tsv": FileFormat("TSV", f"{_CSV}:read_tsv", (".tsv",), grows="lines under a header"),
    "json": FileFormat("JSON", f"{_TABLES}:read_json", (".json",), begins=(b"{", b"[")),
    "ndjson": FileFormat("NDJSON", f"{_TABLES}:read_ndjson", (".jsonl", ".ndjson"), grows="lines"),
    "parquet": FileFormat("Parquet", f"{_TABLES}:read_parquet", (".parquet", ".pq")),
    "otlp": FileFormat(
        "an OTLP document",
        f"{_TABLES}:read_text",
        document="canaryjudge.integrations.otlp.reader:document_data",
        options=(
            Option(
                "arm_attribute",
                "of OpenTelemetry metrics (--data-format otlp), the attribute that names the arm (default: service.version)",
                "ATTRIBUTE",
                default="service.version",
            ),
        ),
    ),
    "kayenta": FileFormat(
        "a list of Kayenta's metric set pairs",
        f"{_TABLES}:read_text",
        document="canaryjudge.integrations.kayenta.pairs:document_data",
    ),
}


@dataclass(frozen=True, slots=True)
class Listing:
    """How a server is asked what it has.

    Attributes
    ----------
    does : str
        What it is for, for the help.
    add_options : callable
        Adds the options for it to a parser.
    starter : callable
        Options -> a policy to start from, as text.
    """

    does: str
    add_options: Callable[[argparse.ArgumentParser], None]
    starter: Callable[[argparse.Namespace], str]


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is asked for data, by the option of its name, which takes its address.

    Attributes
    ----------
    does : str
        What it is for, for the help.
    add_options : callable
        Adds its further options to a parser.
    refuse_options : callable
        Refuses these where the server is not asked.
    fetch : callable
        Options, policy, and how far each metric is known already -> the data, with remarks.
    past : callable, optional
        Options and policy -> the baseline's past, in the same shape, with remarks; what goes wrong is one of them.
    listing : Listing, optional
        How it is asked what it has.
    """

    does: str
    add_options: Callable[[argparse.ArgumentParser], None]
    refuse_options: Callable[[argparse.Namespace], None]
    fetch: Callable[[argparse.Namespace, Policy, Mapping[str, float | None] | None], Fetched]
    past: Callable[[argparse.Namespace, Policy], Fetched] | None = None
    listing: Listing | None = None


SERVERS: Final[dict[str, Server]] = {
    "prometheus": Server(
        "ask this server with the policy's queries instead",
        add_options,
        refuse_options,
        fetch_given,
        fetch_past,
        Listing(
            "list what this server has instead, and write queries of the usual metrics",
            add_access,
            starter_given,
        ),
    ),
}


def ending_format(path: str | Path) -> str | None:
    """Return the format that a file's ending says.

    Examples
    --------
    >>> ending_format("new.CSV"), ending_format("new.json.gz"), ending_format("new.txt")
    ('csv', 'json', None)
    """
    name = Path(path)
    ending = Path(name.stem if is_packed_name(path) else name).suffix.lower()
    return next((name for name, each in FILE_FORMATS.items() if ending in each.endings), None)


def is_packed_name(path: str | Path) -> bool:
    """Return whether a file's ending says that gzip has packed it."""
    return Path(path).suffix.lower() == ".gz"


def begins_like(start: bytes) -> str:
    """Return the format that data begin like, the first where none is known by its beginning."""
    start = start.lstrip()
    likely = (name for name, each in FILE_FORMATS.items() if each.begins and start.startswith(each.begins))
    return next(likely, next(iter(FILE_FORMATS)))


def history_format(path: str | Path, given: str | None) -> str | None:
    """Return the format of a history beside data of a given format: that of its ending, unless the ending fits such a document too."""
    ending = ending_format(path)
    fits = given is not None and FILE_FORMATS[given].document and ending in _JSON
    return given if ending is None or fits else ending


def read_table(source: str | Path | IO[Any], *, format: str | None = None, layout: Layout = tidy) -> Any:  # noqa: A002 - the word users know
    r"""Read a table from a file or a stream.

    Parameters
    ----------
    source : str, pathlib.Path or file
        The file, which gzip may have packed, or an open stream, binary or text.
    format : {"csv", "tsv", "json", "ndjson", "parquet", "otlp", "kayenta"}, optional
        What it is; by default the file's ending says so. OTLP and Kayenta's pairs are given as text, for `from_otlp` and `from_kayenta`.
    layout : callable
        Which columns of CSV, TSV and Parquet to read, and as what; by default those of a tidy table.

    Returns
    -------
    pandas.DataFrame, pyarrow.Table, list of dict, dict or str
        What `judge` and `widen_table` take. A table without rows is none the worse.

    Raises
    ------
    DataError
        If the file cannot be read: it names the file and, where there is one, the line.
    MissingExtraError
        If it is Parquet and pyarrow is not installed.

    Examples
    --------
    >>> from io import StringIO
    >>> read_table(StringIO("metric,arm,value\ncpu,canary,0.5\n"), format="csv").value.tolist()
    [0.5]
    """
    from canaryjudge.integrations.files.tables import no_file, opened  # noqa: PLC0415 - servers need no tables

    is_path = isinstance(source, str | Path)
    name = str(source) if is_path else getattr(source, "name", None)
    name = name if isinstance(name, str) else "the stream"
    kind = format or (ending_format(name) if is_path else None)
    if kind is None:
        if is_path and (Path(name).is_dir() or not Path(name).exists()):
            raise no_file(name)
        ending = Path(name).suffix.lower() if is_path else ""
        what = f"the ending {ending!r} tells no format" if ending else "nothing tells the format"
        raise DataError(f"{name}: {what}", f"Name the format: {', '.join(FILE_FORMATS)}.")
    if kind not in FILE_FORMATS:
        raise DataError(f"{kind!r} is not a format of tables", likely_name(kind, FILE_FORMATS, "formats"))
    with opened(source, name) as stream:
        found = FILE_FORMATS[kind].read(stream, name, layout)
    # what begins like no JSON, such as CSV, is refused before a reader of JSON says something incomprehensible
    if FILE_FORMATS[kind].document and found.lstrip()[:1] not in ("{", "["):
        raise DataError(
            f"{name}: {FILE_FORMATS[kind].title} is JSON, and the file begins with {shown(found.strip().split(chr(10))[0].strip())}",
            "Leave out --data-format, or name the format that it has.",
        )
    return found
