"""CSV of any size -> a pandas frame of float and categorical columns, block by block, with the line of whatever is wrong."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.diagnostics import number_hint, shown
from canaryjudge.errors import DataError
from canaryjudge.integrations.files.layouts import Layout, Roles, tidy

__all__ = ["read_csv"]

_BLOCK = 1 << 23  # bytes that are parsed at a time
_BOM = b"\xef\xbb\xbf"
_NO_VALUE = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]
_NEWLINE, _QUOTE = b'\n"'
_SEPARATORS = {",": "commas", "\t": "tabs"}
_OTHER_FORMATS = {",": ", or name its format: csv", "\t": ", or name its format: tsv"}


def read_csv(stream: BinaryIO, source: str, *, layout: Layout = tidy, separator: str = ",") -> Any:
    r"""Read a CSV table with a header, block by block.

    Parameters
    ----------
    stream : binary file
        UTF-8 text.
    source : str
        The file's name, for errors.
    layout : callable
        Which columns to read, and as what: those of a tidy table, if it is not given.
    separator : {",", "\t"}
        What stands between the fields.

    Returns
    -------
    pandas.DataFrame
        Numbers as floats (NaN where a cell is empty), names as categoricals of their text, other text as it is.

    Raises
    ------
    DataError
        If it is empty or no CSV, a line has too many or too few fields, or text stands where a number belongs.

    Examples
    --------
    >>> read_csv(BytesIO(b"metric,arm,value\ncpu,canary,0.5\n"), "data.csv").value.tolist()
    [0.5]
    """
    import pandas as pd  # noqa: PLC0415 - only those who read files pay for it

    table: _Table | None = None
    for line, block in _blocks(stream, source):
        body, first = block, line
        if not block.removeprefix(_BOM).strip():
            continue
        if table is None:
            header, body = _header(block, source, separator)
            first = line + block[: len(block) - len(body)].count(b"\n")
            table = _Table(source, header, layout(header, source), separator)
        table.add(body, first)
    if table is None:
        raise DataError(f"{source}: the file is empty", "Give a CSV with a header and a line for each point.")
    return pd.DataFrame({name: column.joined() for name, column in table.columns.items()})


def _blocks(stream: BinaryIO, source: str) -> Iterator[tuple[int, bytes]]:
    """Cut the text at ends of lines that are not inside quotes; with each block's first line number."""
    line, rest = 1, b""
    while read := stream.read(_BLOCK):
        rest += read
        if b"\0" in read:
            raise DataError(
                f"{source}: this is binary data, not CSV", "Save it as CSV in UTF-8, or name its format."
            )
        ends = np.flatnonzero(_outside_quotes(rest, _NEWLINE))
        if len(ends):
            end = int(ends[-1]) + 1
            yield line, _checked(rest[:end], line, source)
            line, rest = line + rest.count(b"\n", 0, end), rest[end:]
        elif len(rest) > 2 * _BLOCK:
            raise DataError(
                f"{source}, line {line}: the line does not end",
                "Look for a quotation mark that is never closed.",
            )
    if rest.count(b'"') % 2:
        raise DataError(
            f"{source}, line {line}: a quotation mark from here on is never closed",
            "Close it, or leave it out.",
        )
    if rest.strip():
        yield line, _checked(rest + b"\n", line, source)


def _checked(block: bytes, line: int, source: str) -> bytes:
    if not block.isascii():
        try:
            block.decode()
        except UnicodeDecodeError as error:
            bad = line + block.count(b"\n", 0, error.start)
            raise DataError(
                f"{source}, line {bad}: this is not UTF-8 text", "Save the file as UTF-8."
            ) from None
    return block


def _outside_quotes(block: bytes, byte: int) -> NDArray[np.bool_]:
    """Mark where a byte stands, leaving out what is in quotes."""
    text = np.frombuffer(block, dtype=np.uint8)
    found = text == byte
    if b'"' in block:
        found &= ~np.logical_xor.accumulate(text == _QUOTE)
    return np.asarray(found, dtype=np.bool_)


def _header(block: bytes, source: str, separator: str) -> tuple[list[str], bytes]:
    text = block.removeprefix(_BOM).lstrip(b" \r\n" if separator == "\t" else b" \t\r\n")
    end = int(np.flatnonzero(_outside_quotes(text, _NEWLINE))[0]) + 1 if text else 0
    first = text[:end].decode().strip("\r\n")
    try:
        names = [
            name.strip() for name in next(csv.reader([first], skipinitialspace=True, delimiter=separator), [])
        ]
    except csv.Error as error:
        raise DataError(
            f"{source}: the header cannot be read ({error})",
            "Give one line of column names, and end lines with LF.",
        ) from None
    if len(names) == 1 and (other := next((mark for mark in ";\t|," if mark in first), None)):
        wanted = _SEPARATORS[separator]
        raise DataError(
            f"{source}: the columns are separated by {other!r}, not by {wanted}",
            f"Save it with {wanted} between the columns{_OTHER_FORMATS.get(other, '')}.",
        )
    return names, text[end:]


class _Column:
    """Parts of one column, one a block: floats, labels or other texts."""

    def __init__(self) -> None:
        self._parts: list[Any] = []
        self.has_text = False
        self.has_numbers = False

    def add(self, part: Any) -> None:
        """Add the column of one block."""
        number = part.dtype.kind in "buif"
        self.has_numbers |= number and bool(part.notna().any())
        self.has_text |= not number
        self._parts.append(part.astype(np.float64) if number else part)

    def joined(self) -> Any:
        """Give the whole column: floats, labels as a categorical, texts, or objects where a file mixes them."""
        import pandas as pd  # noqa: PLC0415 - a table was read, so it is loaded

        if not self._parts:
            return np.empty(0)
        if isinstance(self._parts[0].dtype, pd.CategoricalDtype):
            return pd.api.types.union_categoricals(self._parts)
        if self.has_text and not self.has_numbers:  # an empty block has passed for floats
            text = next(part.dtype for part in self._parts if part.dtype.kind != "f")
            self._parts = [part.astype(text) for part in self._parts]
        return pd.concat(self._parts, ignore_index=True)


class _Table:
    """The columns of one file, filled block by block."""

    def __init__(self, source: str, header: list[str], roles: Roles, separator: str) -> None:
        self.columns = {name: _Column() for name in roles.chosen}
        self._source = source
        self._fields = len(header)
        self._positions = [header.index(name) for name in roles.chosen]
        self._roles = roles
        self._separator = separator

    def add(self, body: bytes, line: int) -> None:
        """Parse the lines of one block, the first of which has the given number."""
        starts = self._starts_of_rows(body, line)
        if not len(starts):
            return
        try:
            frame = self._parse(body, dict.fromkeys(self._roles.numbers, "float64"))
        except ValueError:  # a text among the numbers: read them as they are, to find it
            frame = self._parsed_as_is(body, line)
        if len(frame) != len(starts):
            raise DataError(
                f"{self._source}, from line {line} on: the {len(starts)} lines have {len(frame)} rows in them",
                "Look for quotation marks inside a field, and for line ends that are bare carriage returns.",
            )
        frame = self._with_names_as_text(frame, body)
        for name, column in self.columns.items():
            part = frame[name]
            is_number = name in self._roles.numbers or (name == self._roles.time and column.has_numbers)
            if is_number and part.dtype.kind not in "buif":
                index = _first_text(part)
                row = line + body.count(b"\n", 0, int(starts[index]))
                raise DataError(
                    f"{self._source}, line {row}: {name} is the text {shown(part.iloc[index])} where a number belongs",
                    number_hint(str(part.iloc[index])),
                )
            column.add(part)

    def _with_names_as_text(self, frame: Any, body: bytes) -> Any:
        """Read those names again that pandas has taken for numbers or truth values, such as 2.10 for 2.1."""
        changed = [
            name
            for name in self._roles.names
            if frame[name].cat.categories.inferred_type not in ("string", "empty")
        ]
        if changed:
            texts = self._parse(body, dict.fromkeys(changed, "str"), changed)
            frame = frame.assign(**{name: texts[name].astype("category") for name in changed})
        return frame

    def _parsed_as_is(self, body: bytes, line: int) -> Any:
        try:
            return self._parse(body, {})
        except (OverflowError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DataError(
                f"{self._source}, from line {line} on: this is not CSV ({reason})",
                "Check quotation marks and numbers.",
            ) from None

    def _parse(self, body: bytes, types: dict[str, str], only: Sequence[str] | None = None) -> Any:
        import pandas as pd  # noqa: PLC0415 - only those who read files pay for it

        types = dict.fromkeys(self._roles.names, "category") | types
        names = {
            position: name
            for position, name in zip(self._positions, self.columns, strict=True)
            if only is None or name in only
        }
        options: dict[str, Any] = {
            "names": list(range(self._fields)),
            "usecols": list(names),
            "dtype": {position: types[name] for position, name in names.items() if name in types},
            "na_values": {
                position: _NO_VALUE for position, name in names.items() if name not in self._roles.names
            },
        }
        frame = pd.read_csv(
            BytesIO(body),
            header=None,
            keep_default_na=False,
            skipinitialspace=True,
            sep=self._separator,
            low_memory=False,
            engine="c",
            **options,
        )
        return frame.rename(columns=names)

    def _starts_of_rows(self, body: bytes, line: int) -> NDArray[np.intp]:
        """Find where each row starts, and make sure that each has as many fields as the header."""
        ends = np.flatnonzero(_outside_quotes(body, _NEWLINE))
        starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
        commas = np.flatnonzero(_outside_quotes(body, ord(self._separator)))
        fields = np.diff(np.searchsorted(commas, ends), prepend=0) + 1
        odd = fields != self._fields if self._fields > 1 else ends - starts <= 1
        blank = np.zeros(len(starts), dtype=np.bool_)
        for index in np.flatnonzero(odd).tolist():
            if body[starts[index] : ends[index]].strip():
                if self._fields == 1:
                    continue
                row = line + body.count(b"\n", 0, int(starts[index]))
                raise DataError(
                    f"{self._source}, line {row}: the line has {fields[index]} fields where the header has {self._fields}",
                    "Give each line the header's number of fields, with quotes around text that has commas in it.",
                )
            blank[index] = True
        return starts[~blank]


def _first_text(column: Any) -> int:
    import pandas as pd  # noqa: PLC0415 - a table was read, so it is loaded

    text = pd.to_numeric(column, errors="coerce").isna() & column.notna()
    return int(np.argmax(text.to_numpy()))
