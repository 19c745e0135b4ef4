"""How much is read of what others send: each limit with its reason. What is larger is refused in a sentence, before it is unfolded."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ANSWER_BYTES",
    "ANSWER_DEPTH",
    "ANSWER_LINE_BYTES",
    "ANSWER_MEMORY",
    "ANSWER_PATHS",
    "ANSWER_VALUES",
    "ARMS",
    "CELLS",
    "COLUMN_CHARACTERS",
    "CONVERTED_METRICS",
    "DOCUMENT_CHARACTERS",
    "DOCUMENT_DEPTH",
    "DOCUMENT_DIGITS",
    "DOCUMENT_VALUES",
    "EXTENDED_FILES",
    "KAYENTA_CHARACTERS",
    "KAYENTA_PAIRS",
    "KAYENTA_POINTS",
    "MEMORY_AN_OBJECT",
    "MEMORY_A_BYTE",
    "MEMORY_A_CELL",
    "MEMORY_A_MARK",
    "NAMED_COLUMNS",
    "NEAR_CHARACTERS",
    "NEAR_NAMES",
    "POLICY_BYTES",
    "QUERY_CHARACTERS",
    "REDIRECTS",
    "SEGMENTS",
    "UNFOLDED_CHARACTERS",
    "UNPACKED_MEMORY",
    "UNPACKED_TIMES",
    "WHOLE",
    "memory_of",
    "room_for",
]

UNPACKED_MEMORY: Final = 1 << 30
"""Bytes of memory that a packed file may take once it is unfolded: what a small build agent can spare."""
UNPACKED_TIMES: Final = 100
"""A large file may take so many times its own size instead: real tables take at most half of that, and a file that was made to burst a thousand times its size."""
MEMORY_A_BYTE: Final = 3
"""What a byte of text takes while it is read: its bytes, their copy, and the text."""
MEMORY_A_MARK: Final = 64
"""What stands between two marks of a text (brackets, commas, ends of lines) takes about as much: a number, a short text, or an empty list."""
MEMORY_AN_OBJECT: Final = 128
"""What an object of JSON takes beside that."""
MEMORY_A_CELL: Final = 24
"""What a cell of a Parquet file takes at least: a number, or that of a label, and its copy."""
ANSWER_BYTES: Final = 50_000_000
"""Of one answer of a server, packed or not."""
ANSWER_MEMORY: Final = 1 << 28
"""What one answer may take once it is read, for there are four at once, of the value and the total of both arms: a million points, which are an hour of 4,500 series every 15 s."""
ANSWER_LINE_BYTES: Final = 1_000_000
"""Of one answer of a log that is compared with another's, with its request: what is larger is a file, which nobody compares by its fields."""
ANSWER_DEPTH: Final = 100
"""Levels of such an answer, ten times what interfaces have: its paths grow with its depth, and a text of brackets alone would have paths of gigabytes."""
ANSWER_VALUES: Final = 100_000
"""Values of such an answer; comparing so many takes a tenth of a second."""
ANSWER_PATHS: Final = 1_000
"""Paths at which answers differ that are counted one by one: keys that are ids would be as many as requests."""
ARMS: Final = 100
"""Canaries that share one alpha: of 1 % each has a ten-thousandth then, and with less hardly anything would fail."""
SEGMENTS: Final = 1000
"""Of one release: with more, none has the points for a test of its own, and of an identifier, such as a user's, there are as many as rows."""
REDIRECTS: Final = 3
"""Of one question: from http to https, to the address without a slash, and one to spare."""
POLICY_BYTES: Final = 2_000_000
"""A file of a policy or a manifest is read so far, for a device has no end."""
DOCUMENT_CHARACTERS: Final = 300_000
"""Of a policy or a manifest: a hundred times the longest known; YAML takes a second for so much."""
DOCUMENT_VALUES: Final = 100_000
"""Aliases of YAML unfolded, or ten lines would be a billion values."""
UNFOLDED_CHARACTERS: Final = 1_000_000
"""The texts of all these values together, or a thousand aliases of one long text would be gigabytes to whoever writes them out."""
DOCUMENT_DEPTH: Final = 20
"""The deepest setting of a policy is at nine, and what is nested deeper is a burden to all who walk through it."""
DOCUMENT_DIGITS: Final = 300
"""Of a whole number, more than which no float holds, and reading which takes time that grows with the square."""
EXTENDED_FILES: Final = 20
"""Policies that extend each other, one the next."""
QUERY_CHARACTERS: Final = 10_000
"""Of a query, as long as some servers take in an address; and they are searched with patterns."""
CONVERTED_METRICS: Final = 1_000
"""Of other tools' documents: each is written, and read again."""
KAYENTA_CHARACTERS: Final = 50_000_000
"""Of a request to a remote judge."""
KAYENTA_PAIRS: Final = 2_000
"""Metric set pairs in such a request."""
KAYENTA_POINTS: Final = 1_000_000
"""Points in all of them: Kayenta itself takes its 90 seconds for 400,000."""
CELLS: Final = 2 * 10**7
"""Counts of one arm, of as many histograms with as many different edges, which a few thousand rows could make billions: 160 MB, held several times."""
COLUMN_CHARACTERS: Final = 1_000
"""Of the name of a column in which a metric and an arm are looked for, with patterns that take time that grows with its square."""
NAMED_COLUMNS: Final = 1_000
"""Columns of rows that are each a mapping, if there are many rows: a row may name columns that no other has, and all have a cell for them."""
NEAR_NAMES: Final = 2_000
"""So many known names are compared with one that is wrong, for that takes long."""
NEAR_CHARACTERS: Final = 200
"""And so much of it, for that takes longer yet."""
WHOLE: Final = 2.0**53
"""Above it, floats leave out whole numbers: counters that large are differenced before they become floats."""


def room_for(size: int) -> int:
    """Tell how much memory a packed file of so many bytes may take once it is unfolded.

    Examples
    --------
    >>> room_for(1000) >> 20, room_for(1 << 30) >> 30
    (1024, 100)
    """
    return max(UNPACKED_MEMORY, UNPACKED_TIMES * size)


_MARKS: Final = b"[{,;\t\n"


def memory_of(text: bytes) -> int:
    """Tell about how much memory a text takes once it is read, by its length and its marks.

    Examples
    --------
    >>> memory_of(b"[]" * 1000), memory_of(b" " * 2000)
    (70000, 6000)
    """
    marks = len(text) - len(text.translate(None, _MARKS))
    return MEMORY_A_BYTE * len(text) + MEMORY_A_MARK * marks + MEMORY_AN_OBJECT * text.count(b"{")
