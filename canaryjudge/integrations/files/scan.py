"""Parquet files of many releases, too large to be held: read a part at a time, each with whole releases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from canaryjudge.data.diagnostics import likely_name
from canaryjudge.data.frames import table_columns
from canaryjudge.data.releases import ReleaseKey, release_columns
from canaryjudge.errors import CanaryJudgeError, DataError, MissingExtraError
from canaryjudge.integrations.files.layouts import tidy
from canaryjudge.integrations.files.tables import check_parquet, no_file, texts_of

__all__ = ["scan_parquet"]

_ROWS: Final = 1 << 18
"""Rows that are read at a time."""
_TIDY: Final = frozenset({"metric", "arm", "value"})


def scan_parquet(
    path: str | Path, *, by: str | Sequence[str], segments: str | Sequence[str] = ()
) -> Iterator[Any]:
    """Read a Parquet file of many releases a part at a time, so that it may be larger than memory.

    Parameters
    ----------
    path : str or Path
        A file whose rows of one release stand side by side, as they do when it is sorted by `by`; what it is sorted by besides does not matter.
    by : str or sequence of str
        The column, or the columns, that tell releases apart.
    segments : str or sequence of str
        The columns that name the segments of the traffic, where the policy has any: ``policy.segments.by``.

    Yields
    ------
    table : pyarrow.Table
        About 260,000 rows, which are some 15 MB of six columns: every release in it is whole. So much is held at a time, and
        beside it the packed columns of one row group, and the rows of one release if it has more. Of a tidy table, the columns are those that are judged, `by` and `segments`.

    Raises
    ------
    DataError
        If the file cannot be read, a column is missing, or the rows of a release stand apart: it says how to sort them.
    MissingExtraError
        If pyarrow is not installed (the extra `parquet`).

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> rows = pd.DataFrame({
    ...     "service": ["cart", "cart", "search"], "metric": "cpu", "arm": ["baseline", "canary", "canary"], "value": [0.4, 0.5, 0.6],
    ... })
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rows.to_parquet(f"{folder}/fleet.parquet")
    ...     [table.num_rows for table in scan_parquet(f"{folder}/fleet.parquet", by="service")]
    [2, 1]
    """
    columns = (by,) if isinstance(by, str) else tuple(map(str, by))
    if not columns:
        raise DataError(
            "by names no column", "Name the columns that tell releases apart, such as by='service'."
        )
    named = (segments,) if isinstance(segments, str) else tuple(map(str, segments))
    return _parts(path, columns, *_opened(path, columns, named))


def _opened(path: str | Path, by: tuple[str, ...], segments: tuple[str, ...]) -> tuple[Any, list[str]]:
    """Open the file, with the columns of labels as dictionaries, and choose the columns."""
    name = str(path)
    try:
        import pyarrow.parquet as pq  # noqa: PLC0415 - an extra
    except ImportError:
        raise MissingExtraError(
            f"{name}: reading Parquet needs pyarrow", "Install it with: pip install 'canaryjudge[parquet]'."
        ) from None
    if not Path(path).is_file():
        raise no_file(name)
    try:
        schema = pq.read_schema(path)
        missing = [column for column in (*by, *segments) if column not in schema.names]
        if missing:
            raise DataError(  # noqa: TRY301 - as reading does
                f"{name}: there is no column {missing[0]!r}", likely_name(missing[0], schema.names, "columns")
            )
        chosen = list(schema.names)
        if set(chosen) >= _TIDY:
            chosen = list(
                dict.fromkeys(
                    (
                        *by,
                        *segments,
                        *tidy([each for each in chosen if each not in by], name, paired=True).chosen,
                    )
                )
            )
        texts = texts_of(schema, dict.fromkeys((*by, *segments, "metric", "arm", "replica")))
        file = pq.ParquetFile(path, read_dictionary=texts)
        check_parquet(file, chosen, Path(path).stat().st_size, name, in_parts=True)
    except CanaryJudgeError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file may end in an error of any kind
        raise _unreadable(name, error) from None
    return file, chosen


def _parts(path: str | Path, by: tuple[str, ...], file: Any, columns: list[str]) -> Iterator[Any]:
    import pyarrow as pa  # noqa: PLC0415 - the file is open, so it is there

    name, known, rows = str(path), set[ReleaseKey](), 0
    held: list[Any] = []
    current: ReleaseKey | None = None
    batches = file.iter_batches(batch_size=_ROWS, columns=columns)
    while True:
        try:
            batch = next(batches, None)
        except Exception as error:  # noqa: BLE001 - as in _opened
            raise _unreadable(name, error) from None
        if batch is None:
            break
        if not batch.num_rows:
            continue
        table = pa.Table.from_batches([batch])
        release, keys = release_columns(table_columns(table.select(list(by))) or {}, by, first=rows + 1)
        apart = np.flatnonzero(release[1:] < release[:-1])
        again = keys[release[apart[0] + 1]] if len(apart) else None
        if again is None:
            again = next((key for key in keys[keys[0] == current :] if key in known), None)
        if again is not None:
            raise _unsorted(name, again, by, path)
        known.update(keys)
        rows += len(release)
        whole = int(release.searchsorted(len(keys) - 1))
        if len(keys) > 1 or keys[0] != current:
            ready = [*held, table.slice(0, whole)]
            if sum(part.num_rows for part in ready):
                yield pa.concat_tables(ready)
            held, current = [], keys[-1]
        held.append(table.slice(whole))
    if held:
        yield pa.concat_tables(held)


def _unreadable(name: str, error: Exception) -> DataError:
    reason = " ".join(str(error).split())[:200]
    return DataError(f"{name}: this is not a Parquet file ({reason})", "Check that the file is whole.")


def _unsorted(name: str, key: ReleaseKey, by: tuple[str, ...], path: str | Path) -> DataError:
    told = ", ".join(key) if isinstance(key, tuple) else key
    columns = repr(by[0]) if len(by) == 1 else repr([(column, "ascending") for column in by])
    ready = Path(path).with_name(f"sorted-{Path(path).name}")
    return DataError(
        f"{name}: the rows of the release {told!r} do not stand side by side",
        f"Sort the file: pq.write_table(pq.read_table({name!r}).sort_by({columns}), {str(ready)!r}), with pq for pyarrow.parquet.",
    )
