"""Tables in files: CSV, JSON, NDJSON and Parquet, as `read_pairs` takes them; and wide ones by the names in a policy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import contextmanager
from io import BytesIO, TextIOBase
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Literal, get_args

from canaryjudge.data import from_wide
from canaryjudge.data.columns import first_word
from canaryjudge.data.frames import table_columns
from canaryjudge.data.places import likely_name, shown
from canaryjudge.data.tidy import time_column
from canaryjudge.errors import DataError, MissingExtraError
from canaryjudge.integrations.csv_files import needed_columns, read_csv
from canaryjudge.policy import Metric, Policy

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TableFormat", "ending_format", "read_table", "widen_columns"]

TableFormat = Literal["csv", "json", "ndjson", "parquet", "otlp", "kayenta"]

_ENDINGS: dict[str, TableFormat] = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "ndjson",
    ".ndjson": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_SHAPES = "Give a list of rows {metric, arm, value}, or a mapping {metric: {arm: series}}."


def ending_format(path: str | Path) -> TableFormat | None:
    """Give the format that a file's ending says.

    Examples
    --------
    >>> ending_format("new.CSV"), ending_format("new.txt")
    ('csv', None)
    """
    return _ENDINGS.get(Path(path).suffix.lower())


def read_table(source: str | Path | IO[Any], *, format: str | None = None, wide: bool = False) -> Any:  # noqa: A002 - the word users know
    r"""Read a table from a file or a stream.

    Parameters
    ----------
    source : str, pathlib.Path or file
        The file, or an open stream, binary or text.
    format : {"csv", "json", "ndjson", "parquet", "otlp", "kayenta"}, optional
        What it is; by default the file's ending says so. OTLP and Kayenta's pairs are given as text, for `from_otlp` and `from_kayenta`.
    wide : bool
        Read all columns, for a table with a column a metric; by default only those of a tidy table are read.

    Returns
    -------
    pandas.DataFrame, pyarrow.Table, list of dict, dict or str
        What `judge` and `widen_columns` take. A table without rows is none the worse.

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
        if kind == "csv":
            return read_csv(stream, name, wide=wide)
        if kind == "parquet":
            return _read_parquet(stream, name, wide=wide)
        text = _text(stream.read(), name)
    if kind in ("otlp", "kayenta"):
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
        ending = Path(name).suffix.lower() if by_ending else ""
        what = f"the ending {ending!r} tells no format" if ending else "nothing tells the format"
        raise DataError(f"{name}: {what}", f"Name the format: {', '.join(known)}.")
    return told


@contextmanager
def _opened(source: str | Path | IO[Any], name: str) -> Iterator[BinaryIO]:
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
            yield stream
    except FileNotFoundError:
        raise DataError(f"{name}: there is no such file", "Check the path.") from None
    except IsADirectoryError:
        raise DataError(f"{name}: this is a directory", "Name a file in it.") from None
    except OSError as error:
        raise DataError(
            f"{name}: the file cannot be read ({error.strerror or error})",
            "Check the path and its permissions.",
        ) from None


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


def _read_parquet(stream: BinaryIO, name: str, *, wide: bool) -> Any:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        import pyarrow.parquet as pq  # noqa: PLC0415 - an extra
    except ImportError:
        raise MissingExtraError(
            f"{name}: reading Parquet needs pyarrow", "Install it with: pip install 'canaryjudge[parquet]'."
        ) from None
    try:
        file = pq.ParquetFile(stream if stream.seekable() else BytesIO(stream.read()))
        return file.read(columns=needed_columns(file.schema_arrow.names, name, wide=wide))
    except pa.ArrowException as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{name}: this is not a Parquet file ({reason})", "Check the file, or name its format."
        ) from None


def widen_columns(table: Any, arm_column: str, policy: Policy) -> dict[str, dict[str, dict[str, Any]]]:
    """Take a policy's metrics from a wide table by their names.

    Parameters
    ----------
    table : DataFrame or list of dict
        A row a time and arm, with a column for each metric of the policy; for ratios (and, if there is one, counts) the total is in the
        column ``<metric>_total``, or else `total`, or else `requests`; times are in `time`, `timestamp` or `ts`.
    arm_column : str
        The column that names the arm.
    policy : Policy
        Whose metrics.

    Returns
    -------
    dict
        What `judge` takes; see `from_wide`.

    Raises
    ------
    DataError
        If it is no table, a metric is a histogram, or a column is missing: it lists those that were looked for. A metric whose policy sets `no_data` may be absent.

    Examples
    --------
    >>> policy = Policy(metrics=[Metric(name="cpu", direction="increase")])
    >>> rows = [{"version": "baseline", "cpu": 0.5}, {"version": "canary", "cpu": 0.6}]
    >>> widen_columns(rows, "version", policy)["cpu"]["canary"]["value"].tolist()
    [0.6]
    """
    columns = None if isinstance(table, Mapping) else table_columns(table)
    if columns is None:
        raise DataError(
            "the data are not a table, so no column can name the arm",
            "Give rows, or leave out the arm's column.",
        )
    names = list(columns)
    metrics: dict[str, dict[str, str]] = {}
    for metric in policy.metrics:
        if metric.kind == "histogram":
            raise DataError(
                f"the metric {metric.name!r} is a histogram, which no single column can hold",
                "Give a tidy table with the columns metric, arm, time, le and value.",
            )
        if metric.name in names:
            metrics[metric.name] = {"value": metric.name} | _total_of(metric, names)
        elif names and "no_data" not in metric.model_fields_set:
            raise DataError(
                f"the table has no column for the metric {metric.name!r}",
                f"{likely_name(metric.name, names, 'columns')} If it may be absent, set no_data in the policy.",
            )
    if not metrics:
        return {}
    for name in dict.fromkeys(name for roles in metrics.values() for name in roles.values()):
        _check_numbers(columns[name], name)
    time = time_column(names)
    return from_wide(table, arm=arm_column, time=time, metrics=metrics)


def _check_numbers(column: Any, name: str) -> None:
    """Find the word that has turned a whole column into text, whichever arm it is in."""
    items = (
        column.tolist()
        if hasattr(column, "tolist")
        else []
        if column.dtype.is_numeric()
        else column.to_list()
    )
    index = first_word(items)
    if index is not None and items[index].strip():
        raise DataError(
            f"row {index + 1}: the column {name!r} has the text {shown(items[index])} where a number belongs",
            "Give a number, and leave a missing one empty.",
        )


def _total_of(metric: Metric, names: list[str]) -> dict[str, str]:
    if metric.kind not in ("ratio", "count"):
        return {}
    wanted = [name for name in (f"{metric.name}_total", "total", "requests") if name != metric.name]
    for name in wanted:
        if name in names:
            return {"total": name}
    if metric.kind == "count":
        return {}
    raise DataError(
        f"the table has no column for the total of the metric {metric.name!r}; looked for {', '.join(wanted)}",
        likely_name(wanted[0], names, "columns"),
    )
