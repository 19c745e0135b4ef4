"""Files of tables and documents, packed or not: JSON, NDJSON and Parquet are read, and fetched data are written to be read again."""

from __future__ import annotations

import gzip
import io
import json
import math
import sys
import zlib
from collections.abc import Collection, Iterable, Mapping
from contextlib import contextmanager
from io import BytesIO, TextIOBase
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from canaryjudge.data.diagnostics import shown
from canaryjudge.errors import CanaryJudgeError, DataError, MissingExtraError
from canaryjudge.integrations.files.layouts import Layout, tidy
from canaryjudge.limits import MEMORY_A_BYTE, MEMORY_A_CELL, memory_of, room_for
from canaryjudge.strict_json import RepeatedKeyError, read_strictly

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "check_parquet",
    "data_text",
    "no_file",
    "opened",
    "read_json",
    "read_ndjson",
    "read_parquet",
    "read_text",
    "texts_of",
    "write_data",
]

_PART: Final = 1 << 20
_MAGIC: Final = b"\x1f\x8b"
_SHAPES = "Give a list of rows {metric, arm, value}, or a mapping {metric: {arm: series}}."


def _is_packed(stream: BinaryIO) -> bool:
    """Return whether gzip has packed a file, by how it begins; the file is left at its beginning."""
    start = stream.read(len(_MAGIC))
    stream.seek(0)
    return start == _MAGIC


class _Unpacked:
    """Reads what gzip has packed.

    Examples
    --------
    >>> from io import BytesIO
    >>> _Unpacked(BytesIO(gzip.compress(b"metric,arm,value")), "data.csv.gz").read()
    b'metric,arm,value'
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._file = gzip.GzipFile(fileobj=stream, mode="rb")
        self._name = name
        self._most = room_for(stream.seek(0, io.SEEK_END))
        self._taken = 0
        stream.seek(0)

    def read(self, size: int = -1) -> bytes:
        """Return so many bytes, or all that are left."""
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
        self._taken += memory_of(part)
        if self._taken > self._most:
            raise DataError(
                f"{self._name}: the file unpacks to what takes more than {self._most >> 20:,} MiB to read",
                "Decompress it first, if it is meant to be that large.",
            )
        return part


@contextmanager
def opened(source: str | Path | IO[Any], name: str) -> Iterator[Any]:
    """Open a file, which gzip may have packed, or take a stream."""
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
            yield _Unpacked(stream, name) if stream.seekable() and _is_packed(stream) else stream
    except (FileNotFoundError, IsADirectoryError):
        raise no_file(name) from None
    except OSError as error:
        raise DataError(
            f"{name}: the file cannot be read ({error.strerror or error})",
            "Check the path and its permissions.",
        ) from None


def no_file(name: str) -> DataError:
    """Return the error about a name that is of no file."""
    if Path(name).is_dir():
        return DataError(f"{name}: this is a directory", "Name a file in it.")
    return DataError(f"{name}: there is no such file", "Check the path.")


def read_text(stream: BinaryIO, name: str, _: Layout = tidy) -> str:
    """Read a text whole."""
    content = stream.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{name}, line {line}: this is not UTF-8 text", "Save the file as UTF-8.") from None
    if not text.strip():
        raise DataError(f"{name}: the file is empty", _SHAPES)
    return text


def read_json(stream: BinaryIO, name: str, _: Layout = tidy) -> Any:
    """Read a JSON document: a list of rows, or a mapping of metrics."""
    data = _decoded(read_text(stream, name), name)
    if not isinstance(data, list | dict):
        raise DataError(f"{name}: the document is {shown(data)}", _SHAPES)
    return data


def read_ndjson(stream: BinaryIO, name: str, _: Layout = tidy) -> list[dict[str, Any]]:
    """Read a row of JSON a line."""
    rows = []
    for number, line in enumerate(read_text(stream, name).split("\n"), start=1):
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


def _decoded(text: str, name: str, line: int = 0) -> Any:
    """Read JSON, a line of so many or, without a number, a whole file."""
    place = f"{name}, line {line}" if line else name
    try:
        return read_strictly(text)
    except json.JSONDecodeError as error:
        where = f"{name}, line {max(line, 1) + error.lineno - 1}, column {error.colno}"
        reason = error.msg[:1].lower() + error.msg[1:]
        raise DataError(f"{where}: this is not JSON ({reason})", _SHAPES) from None
    except RepeatedKeyError as error:
        raise DataError(f"{place}: {error}", "Leave one out.") from None
    except (RecursionError, ValueError) as error:
        raise DataError(f"{place}: this JSON cannot be read ({error})", _SHAPES) from None


def read_parquet(stream: BinaryIO, name: str, layout: Layout) -> Any:
    """Read the columns of a Parquet file that a layout chooses, as an Arrow table."""
    try:
        import pyarrow.parquet as pq  # noqa: PLC0415 - an extra
    except ImportError:
        raise MissingExtraError(
            f"{name}: reading Parquet needs pyarrow", "Install it with: pip install 'canaryjudge[parquet]'."
        ) from None
    try:
        whole = isinstance(stream, _Unpacked) or not stream.seekable()
        stream = BytesIO(stream.read()) if whole else stream
        file = pq.ParquetFile(stream)
        roles = layout(file.schema_arrow.names, name)
        chosen = [
            each
            for each in roles.chosen
            if each in roles.used or not file.schema_arrow.field(each).type.num_fields
        ]
        check_parquet(file, chosen, stream.seek(0, io.SEEK_END), name)
        # names that repeat are held once, however long they are
        file = pq.ParquetFile(stream, read_dictionary=texts_of(file.schema_arrow, chosen))
        table = file.read(columns=chosen)
        table.validate(full=True)  # texts that are no UTF-8
    except CanaryJudgeError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file may end in an error of any kind
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{name}: this is not a Parquet file ({reason})", "Check the file, or name its format."
        ) from None
    return table


def texts_of(schema: Any, columns: Iterable[str]) -> list[str]:
    """Choose the columns of texts, whose cells are read as places in a list of those that occur."""
    kinds = {name: str(schema.field(name).type) for name in columns if name in schema.names}
    return [
        name for name, kind in kinds.items() if kind in ("string", "large_string", "binary", "large_binary")
    ]


def check_parquet(
    file: Any, columns: Collection[str], size: int, name: str, *, in_parts: bool = False
) -> None:
    """Refuse a Parquet file of so many bytes that is a thousand times as large once it is read, whole or a row group at a time, by its own account.

    The account of a whole row group is asked, and not that of its columns: pyarrow ends the process where a damaged file lies about these.
    """
    room, taken = room_for(size), 0
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        taken = 0 if in_parts else taken
        taken += MEMORY_A_BYTE * max(group.total_byte_size, 0) + MEMORY_A_CELL * len(columns) * group.num_rows
        if taken > room:
            raise DataError(
                f"{name}: the file unpacks to what takes more than {room >> 20:,} MiB to read",
                "Write it without compression, if it is meant to be that large, or in parts.",
            )
    for column in columns:
        kind = file.schema_arrow.field(column).type
        if kind.num_fields and not hasattr(kind, "index_type"):
            raise DataError(
                f"{name}: the column {column!r} holds {shown(str(kind))} in a cell",
                "Give one number or text a cell.",
            )


def write_data(path: str | Path, data: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Write data to a file; see `data_text`."""
    Path(path).write_text(data_text(data), encoding="utf-8")


def data_text(data: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Write data as JSON that reads back to the same verdict.

    JSON has neither NaN nor infinity: a missing number becomes null, and an infinite one the largest there is, which is left out of a
    judgment in the same way.

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
