"""CSV of any size -> a pandas frame of float and categorical columns, block by block, with the line of whatever is wrong.

pandas parses; it pads a line that is too short and cuts one that is too long without a word, so that fields are counted beside it.
Where commas do not part columns, they may stand before decimals, as semicolons and tabs between columns suggest; one file does not mix them with points.
"""

from __future__ import annotations

import codecs
import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.diagnostics import PlacedText, number_hint, shown
from canaryjudge.data.frames import has_large, object_array
from canaryjudge.data.unit_texts import has_unit, without_units
from canaryjudge.errors import DataError
from canaryjudge.integrations.files.layouts import Layout, Roles, tidy

__all__ = ["read_csv", "read_tsv"]

_BLOCK = 1 << 23  # bytes that are parsed at a time
_BOM = b"\xef\xbb\xbf"
_NO_VALUE = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]
_NEWLINE, _QUOTE = b'\n"'
_SEPARATORS = {",": "commas", "\t": "tabs"}
_OTHER_FORMATS = {",": ", or name its format: csv", "\t": ", or name its format: tsv"}
_WITH_POINT = r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?"
_WITH_COMMA = _WITH_POINT.replace(r"\.", ",")
_WHOLE = re.compile(r"\s*[+-]?[0-9]{1,300}\s*")
_PERHAPS_THOUSANDS = r"[+-]?[1-9]\d{0,2}[.,]\d{3}"


def read_csv(stream: BinaryIO, source: str, layout: Layout = tidy, *, separator: str = ",") -> Any:
    r"""Read a CSV table with a header, block by block; one with semicolons between its columns as well.

    Examples
    --------
    >>> read_csv(BytesIO(b"metric,arm,value\ncpu,canary,0.5\n"), "data.csv").value.tolist()
    [0.5]
    >>> read_csv(BytesIO(b"metric;arm;value\ncpu;canary;0,5\n"), "data.csv").value.tolist()
    [0.5]
    """
    import pandas as pd  # noqa: PLC0415 - only those who read files pay for it

    parser: _Parser | None = None
    frames: list[Any] = []
    for line, block in _blocks(stream, source):
        if not block.removeprefix(_BOM).strip():
            continue
        rows, first = block, line
        if parser is None:
            header, rows, separator = _header(block, source, separator)
            first += block[: len(block) - len(rows)].count(b"\n")
            parser = _Parser(source, header, layout(header, source), separator)
        frames += parser.frames(rows, first)
    if parser is None:
        raise DataError(f"{source}: the file is empty", "Give a CSV with a header and a line for each point.")
    return pd.DataFrame({name: _joined([frame[name] for frame in frames]) for name in parser.names})


def read_tsv(stream: BinaryIO, source: str, layout: Layout = tidy) -> Any:
    """Read a table as `read_csv` does, with tabs between the fields."""
    return read_csv(stream, source, layout, separator="\t")


def _blocks(stream: BinaryIO, source: str) -> Iterator[tuple[int, bytes]]:
    """Cut the text at ends of lines that are not inside quotes; with each block's first line number."""
    line, rest = 1, b""
    for read in _in_utf8(stream, source):
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


def _in_utf8(stream: BinaryIO, source: str) -> Iterator[bytes]:
    """Read a stream; what is saved for spreadsheets may be UTF-16, which its first two bytes tell."""
    start = stream.read(_BLOCK)
    reads = itertools.chain([start], iter(lambda: stream.read(_BLOCK), b""))
    if not start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        yield from reads
        return
    try:
        yield from (text.encode() for text in codecs.iterdecode(reads, "utf-16"))
    except UnicodeError:
        raise DataError(f"{source}: this is not UTF-16 text", "Save the file as UTF-8.") from None


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


def _header(block: bytes, source: str, separator: str) -> tuple[list[str], bytes, str]:
    """Read the names of the columns; with the lines below, and what parts columns after all."""
    text = block.removeprefix(_BOM).lstrip(b" \r\n" if separator == "\t" else b" \t\r\n")
    end = int(np.flatnonzero(_outside_quotes(text, _NEWLINE))[0]) + 1 if text else 0
    first = text[:end].decode().strip("\r\n")
    if (told := re.fullmatch(r'"?sep=([,;\t])"?', first)) is not None:  # what Excel is told
        return _header(text[end:], source, told[1])
    if separator == "," and (other := next((mark for mark in ",;\t" if _parts(first, mark)), ",")) != ",":
        return _header(block, source, other)
    try:
        names = [
            name.strip() for name in next(csv.reader([first], skipinitialspace=True, delimiter=separator), [])
        ]
    except csv.Error as error:
        raise DataError(
            f"{source}: the header cannot be read ({error})",
            "Give one line of column names, and end lines with LF.",
        ) from None
    if len(names) == 1 and (mark := next((mark for mark in ";\t|," if mark in first), None)):
        wanted = _SEPARATORS[separator]
        raise DataError(
            f"{source}: the columns are separated by {mark!r}, not by {wanted}",
            f"Save it with {wanted} between the columns{_OTHER_FORMATS.get(mark, '')}.",
        )
    return names, text[end:], separator


def _parts(line: str, mark: str) -> bool:
    """Tell whether a mark stands in a line outside quotes, so that it may part columns."""
    return bool(_outside_quotes(line.encode(), ord(mark)).any())


def _joined(parts: list[Any]) -> Any:
    """Put the parts of a column together: floats, labels as a categorical, texts, or objects where a file mixes them."""
    import pandas as pd  # noqa: PLC0415 - a table was read, so it is loaded

    if not parts:
        return np.empty(0)
    if isinstance(parts[0].dtype, pd.CategoricalDtype):
        return pd.api.types.union_categoricals(parts)
    texts = [part.dtype for part in parts if part.dtype.kind != "f"]
    if texts and not any(map(_has_numbers, parts)):  # an empty block has passed for floats
        parts = [part.astype(texts[0]) for part in parts]
    return pd.concat(parts, ignore_index=True)


def _has_numbers(part: Any) -> bool:
    return bool(part.dtype.kind == "f" and part.notna().any())


def _float(cell: Any) -> float:
    try:
        return np.nan if isinstance(cell, str) and "_" in cell else float(cell)
    except (TypeError, ValueError, OverflowError):
        return np.nan


class _Parser:
    """Lets pandas parse the blocks of one file, and finds the line of what it would pass over or cannot read."""

    def __init__(self, source: str, header: list[str], roles: Roles, separator: str) -> None:
        self.names = roles.chosen
        self._source = source
        self._fields = len(header)
        places = {name: place for place, name in reversed([*enumerate(header)])}
        self._positions = [places[name] for name in roles.chosen]
        self._roles = roles
        self._separator = separator
        self._decimal = "." if separator == "," else ""
        """What stands before decimals; nothing as long as there were none."""
        self._must_be_numbers = set(roles.numbers)
        self._plain: set[str] = set()
        """Columns that have had numbers without a unit."""

    def frames(self, body: bytes, line: int) -> list[Any]:
        """Parse the lines of one block, the first of which has the given number: a frame, or none of blank lines."""
        starts = self._starts_of_rows(body, line)
        if not len(starts):
            return []
        self._decimal = self._decimal or self._decimal_of(body, line)
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
        for name in self.names:
            part = frame[name]
            if part.dtype.kind in "buif":
                numbers = part.to_numpy(dtype=np.float64)
                frame[name] = numbers
                if name in self._roles.numbers and has_large(numbers):
                    frame[name] = self._whole_numbers(name, numbers, body)
                if self._roles.units and name in self._roles.numbers and part.any():
                    self._plain.add(name)
            elif self._roles.placed and name in self._roles.numbers:
                frame[name] = self._with_places(part, body, line, starts)
            elif name in self._must_be_numbers:
                if self._roles.units and self._have_units(name, part):
                    continue
                texts = (self._numbers(part).isna() & part.notna()).to_numpy()
                odd = texts & [not has_unit(str(cell)) for cell in part]
                index = int(np.argmax(odd if odd.any() else texts))
                row = line + body.count(b"\n", 0, int(starts[index]))
                raise DataError(
                    f"{self._source}, line {row}: {name} is the text {shown(part.iloc[index])} where a number belongs",
                    number_hint(str(part.iloc[index])),
                )
        time = self._roles.time
        if time in self.names and _has_numbers(frame[time]):  # times that began as numbers stay numbers
            self._must_be_numbers.add(time)
        return [frame]

    def _whole_numbers(self, name: str, numbers: NDArray[np.float64], body: bytes) -> Any:
        """Give whole numbers beyond what floats hold as they are written, for counters that are differenced."""
        texts = self._parse(body, {name: "str"}, [name])[name]
        whole = [isinstance(text, str) and _WHOLE.fullmatch(text) for text in texts]
        pairs = zip(texts, whole, numbers.tolist(), strict=True)
        return object_array([int(text) if exact else number for text, exact, number in pairs])

    def _have_units(self, name: str, cells: Any) -> bool:
        """Tell whether cells are numbers with their units, as those of the blocks before were."""
        read = without_units([cells.tolist()])
        return read is not None and not (read[1] and name in self._plain)

    def _with_places(self, column: Any, body: bytes, line: int, starts: NDArray[np.intp]) -> Any:
        """Give the numbers of a column, and in place of each text one that knows its line: whose metric it is, is told from the row."""
        numbers = self._numbers(column)
        cells = numbers.astype(object)
        for index in np.flatnonzero((numbers.isna() & column.notna()).to_numpy()).tolist():
            row = line + body.count(b"\n", 0, int(starts[index]))
            cells.iloc[index] = PlacedText(str(column.iloc[index]), f"{self._source}, line {row}")
        return cells

    def _numbers(self, column: Any) -> Any:
        """Give the numbers among some texts; missing ones where there are none."""
        import pandas as pd  # noqa: PLC0415 - a table was read, so it is loaded

        if self._decimal == ",":  # a point stands before no decimals here
            column = column.map(
                lambda cell: cell.replace(".", " ").replace(",", ".") if isinstance(cell, str) else cell
            )
        try:
            return pd.to_numeric(column, errors="coerce")
        except OverflowError:  # a whole number beyond all floats stands among the texts: it is infinite
            return column.map(_float)

    def _decimal_of(self, body: bytes, line: int) -> str:
        """Find what stands before decimals: a comma where no number has a point. What may be thousands is refused, lest it be read as a thousandth."""
        numbers = self._roles.numbers or set(self.names) - self._roles.names
        columns = [name for name in self.names if name in numbers]
        table = self._parsed_as_is(body, line, dict.fromkeys(columns, "str"), columns)
        texts = [str(cell).strip() for name in columns for cell in table[name].dropna()]
        commas = [text for text in texts if re.fullmatch(_WITH_COMMA, text)]
        points = [text for text in texts if re.fullmatch(_WITH_POINT, text)]
        unclear = [] if points and commas else commas or (points if self._separator == ";" else [])
        if unclear and all(re.fullmatch(_PERHAPS_THOUSANDS, text) for text in unclear):
            one, _, three = unclear[0].replace(".", ",").partition(",")
            raise DataError(
                f"{self._source}: {shown(unclear[0])} may be {one}.{three} or {one}{three}, and no other number tells which",
                "Save it with commas between the columns and points before decimals, and leave out what separates thousands.",
            )
        return "." if points else "," if commas else ""

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

    def _parsed_as_is(
        self, body: bytes, line: int, types: dict[str, str] | None = None, only: Sequence[str] | None = None
    ) -> Any:
        try:
            return self._parse(body, types or {}, only)
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
            for position, name in zip(self._positions, self.names, strict=True)
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
            decimal=self._decimal or ".",
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
                    "Give each line the header's number of fields: quotes around text that has commas in it, and points in decimals, or semicolons between the columns.",
                )
            blank[index] = True
        return starts[~blank]
