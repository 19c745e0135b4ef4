"""Tables and documents in files: CSV, TSV, JSON, NDJSON and Parquet, as `read_pairs` takes them, packed or not; and fetched data written to be read again."""

from __future__ import annotations

import gzip
import json
import math
import sys
import zlib
from collections.abc import Mapping
from contextlib import contextmanager
from io import BytesIO, TextIOBase
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Final, Literal, get_args

import numpy as np

from canaryjudge.data.diagnostics import likely_name, shown
from canaryjudge.errors import DataError, MissingExtraError
from canaryjudge.integrations.files.csv_files import read_csv
from canaryjudge.integrations.files.layouts import Layout, tidy

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "MOST_UNPACKED",
    "TableFormat",
    "Unpacked",
    "data_text",
    "ending_format",
    "is_packed",
    "is_packed_name",
    "read_table",
    "write_data",
]

MOST_UNPACKED: Final = 1 << 30
"""Bytes; a file of a few MB may unpack to a thousand times as much, and is refused beyond this."""
_PART: Final = 1 << 20
_MAGIC: Final = b"\x1f\x8b"


def is_packed(stream: BinaryIO) -> bool:
    """Tell whether gzip has packed a file, by how it begins; the file is left at its beginning."""
    start = stream.read(len(_MAGIC))
    stream.seek(0)
    return start == _MAGIC


class Unpacked:
    """Reads what gzip has packed.

    Parameters
    ----------
    stream : binary file
        The packed file.
    name : str
        Its name, for errors.

    Examples
    --------
    >>> from io import BytesIO
    >>> Unpacked(BytesIO(gzip.compress(b"metric,arm,value")), "data.csv.gz").read()
    b'metric,arm,value'
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._file = gzip.GzipFile(fileobj=stream, mode="rb")
        self._name = name
        self._given = 0

    def read(self, size: int = -1) -> bytes:
        """Give so many bytes, or all that are left.

        Raises
        ------
        DataError
            If they cannot be unpacked, or are too many.
        """
        parts = []
        while size and (part := self._some(_PART if size < 0 else min(size, _PART))):
            parts.append(part)
            size = size if size < 0 else size - len(part)
        return b"".join(parts)

    def _some(self, size: int) -> bytes:
        try:
            part = self._file.read(size)
        except (EOFError, OSError, zlib.error) as error:
            raise DataError(
                f"{self._name}: what gzip has packed cannot be unpacked ({error})",
                "Check that the file is whole, or decompress it first.",
            ) from None
        self._given += len(part)
        if self._given > MOST_UNPACKED:
            raise DataError(
                f"{self._name}: the file unpacks to more than {MOST_UNPACKED >> 20} MiB",
                "Decompress it first, if it is meant to be that large.",
            )
        return part


TableFormat = Literal["csv", "tsv", "json", "ndjson", "parquet", "otlp", "kayenta"]

_ENDINGS: dict[str, TableFormat] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
    ".jsonl": "ndjson",
    ".ndjson": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_DOCUMENTS: dict[TableFormat, str] = {
    "otlp": "an OTLP document",
    "kayenta": "a list of Kayenta's metric set pairs",
}
_SHAPES = "Give a list of rows {metric, arm, value}, or a mapping {metric: {arm: series}}."


def ending_format(path: str | Path) -> TableFormat | None:
    """Give the format that a file's ending says.

    Examples
    --------
    >>> ending_format("new.CSV"), ending_format("new.json.gz"), ending_format("new.txt")
    ('csv', 'json', None)
    """
    name = Path(path)
    return _ENDINGS.get(Path(name.stem if is_packed_name(path) else name).suffix.lower())


def is_packed_name(path: str | Path) -> bool:
    """Tell whether a file's ending says that gzip has packed it."""
    return Path(path).suffix.lower() == ".gz"


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
    is_path = isinstance(source, str | Path)
    name = str(source) if is_path else _name_of(source)
    kind = _format(name, format, by_ending=is_path)
    with _opened(source, name) as stream:
        if kind in ("csv", "tsv"):
            return read_csv(stream, name, layout=layout, separator="," if kind == "csv" else "\t")
        if kind == "parquet":
            return _read_parquet(stream, name, layout)
        text = _text(stream.read(), name)
    if kind in ("otlp", "kayenta"):
        _check_document(text, name, kind)
        return text
    return _read_json(text, name) if kind == "json" else _read_ndjson(text, name)


def _name_of(stream: Any) -> str:
    name = getattr(stream, "name", None)
    return name if isinstance(name, str) else "the stream"


def _format(name: str, given: str | None, *, by_ending: bool) -> TableFormat:
    known = get_args(TableFormat)
    if given is not None:
        for kind in known:
            if given == kind:
                return kind  # type: ignore[no-any-return] # get_args forgets the type
        raise DataError(f"{given!r} is not a format of tables", likely_name(given, known, "formats"))
    told = ending_format(name) if by_ending else None
    if told is None:
        if by_ending and (Path(name).is_dir() or not Path(name).exists()):
            raise _no_file(name)
        ending = Path(name).suffix.lower() if by_ending else ""
        what = f"the ending {ending!r} tells no format" if ending else "nothing tells the format"
        raise DataError(f"{name}: {what}", f"Name the format: {', '.join(known)}.")
    return told


@contextmanager
def _opened(source: str | Path | IO[Any], name: str) -> Iterator[Any]:
    if not isinstance(source, str | Path):
        if not hasattr(source, "read"):
            raise DataError(
                f"{shown(source)} is neither a path nor a stream", "Give a path, or an open file."
            )
        stream: Any = source
        yield BytesIO(stream.read().encode()) if isinstance(stream, TextIOBase) else stream
        return
    try:
        with Path(source).open("rb") as stream:
            yield Unpacked(stream, name) if stream.seekable() and is_packed(stream) else stream
    except (FileNotFoundError, IsADirectoryError):
        raise _no_file(name) from None
    except OSError as error:
        raise DataError(
            f"{name}: the file cannot be read ({error.strerror or error})",
            "Check the path and its permissions.",
        ) from None


def _no_file(name: str) -> DataError:
    if Path(name).is_dir():
        return DataError(f"{name}: this is a directory", "Name a file in it.")
    return DataError(f"{name}: there is no such file", "Check the path.")


def _check_document(text: str, name: str, kind: TableFormat) -> None:
    """Refuse what begins like no JSON, such as CSV, before a reader of JSON says something incomprehensible."""
    if text.lstrip()[:1] not in ("{", "["):
        raise DataError(
            f"{name}: {_DOCUMENTS[kind]} is JSON, and the file begins with {shown(text.strip().split(chr(10))[0].strip())}",
            "Leave out --data-format, or name the format that it has.",
        )


def _text(content: bytes, name: str) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{name}, line {line}: this is not UTF-8 text", "Save the file as UTF-8.") from None
    if not text.strip():
        raise DataError(f"{name}: the file is empty", _SHAPES)
    return text


def _read_json(text: str, name: str) -> Any:
    data = _decoded(text, name, 1)
    if not isinstance(data, list | dict):
        raise DataError(f"{name}: the document is {shown(data)}", _SHAPES)
    return data


def _read_ndjson(text: str, name: str) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        row = _decoded(line, name, number)
        if not isinstance(row, dict):
            raise DataError(
                f"{name}, line {number}: {shown(row)} is not a row",
                "Write one object {metric, arm, value} a line.",
            )
        rows.append(row)
    return rows


def _decoded(text: str, name: str, line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{name}, line {line + error.lineno - 1}, column {error.colno}"
        reason = error.msg[:1].lower() + error.msg[1:]
        raise DataError(f"{where}: this is not JSON ({reason})", _SHAPES) from None
    except (RecursionError, ValueError) as error:
        raise DataError(f"{name}, line {line}: this JSON cannot be read ({error})", _SHAPES) from None


def _read_parquet(stream: BinaryIO, name: str, layout: Layout) -> Any:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        import pyarrow.parquet as pq  # noqa: PLC0415 - an extra
    except ImportError:
        raise MissingExtraError(
            f"{name}: reading Parquet needs pyarrow", "Install it with: pip install 'canaryjudge[parquet]'."
        ) from None
    try:
        whole = isinstance(stream, Unpacked) or not stream.seekable()
        file = pq.ParquetFile(BytesIO(stream.read()) if whole else stream)
        return file.read(columns=list(layout(file.schema_arrow.names, name).chosen))
    except pa.ArrowException as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{name}: this is not a Parquet file ({reason})", "Check the file, or name its format."
        ) from None


def write_data(path: str | Path, data: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Write data to a file; see `data_text`.

    Parameters
    ----------
    path : str or pathlib.Path
        The file.
    data : mapping
        ``{metric: {arm: columns}}``.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    Path(path).write_text(data_text(data), encoding="utf-8")


def data_text(data: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Write data as JSON that reads back to the same verdict.

    JSON has neither NaN nor infinity: a missing number becomes null, and an infinite one the largest there is, which is left out of a
    judgment in the same way.

    Parameters
    ----------
    data : mapping
        ``{metric: {arm: columns}}``, a column being an array or a list, of buckets a list of lists.

    Returns
    -------
    str
        A line for each arm of a metric.

    Examples
    --------
    >>> print(data_text({"cpu": {"canary": {"value": np.array([0.5, np.nan]), "time": np.array([0.0, 60.0])}}}), end="")
    {"cpu": {
     "canary": {"value": [0.5, null], "time": [0.0, 60.0]}
    }}
    """
    metrics = []
    for metric, arms in data.items():
        lines = [f" {json.dumps(arm)}: {_columns(columns)}" for arm, columns in arms.items()]
        metrics.append(f"{json.dumps(metric)}: {{\n" + ",\n".join(lines) + "\n}")
    return "{" + ",\n".join(metrics) + "}\n"


def _columns(columns: Mapping[str, Any]) -> str:
    return json.dumps({name: _plain(column) for name, column in columns.items()}, allow_nan=False)


def _plain(item: Any) -> Any:
    if isinstance(item, np.ndarray):
        item = item.tolist()
    if isinstance(item, list):
        return [_plain(each) for each in item]
    if isinstance(item, float) and not math.isfinite(item):
        return None if math.isnan(item) else math.copysign(sys.float_info.max, item)
    return item
