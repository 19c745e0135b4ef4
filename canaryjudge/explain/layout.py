"""Words laid out: on one line, and in small tables in plain text and in Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["as_grid", "as_markdown_grid", "cut", "escaped", "on_one_line"]


def on_one_line(text: str) -> str:
    r"""Put a text on one line: what is not printable, and every run of spaces, becomes one space.

    Examples
    --------
    >>> on_one_line("p99\n\x1b[31m  red")
    'p99 [31m red'
    """
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def cut(text: str, room: int) -> str:
    """Shorten a text to `room` characters, the last of which then says that there was more.

    Examples
    --------
    >>> cut("latency_p99", 8), cut("cpu", 8)
    ('latency…', 'cpu')
    """
    return text if len(text) <= room else text[: room - 1].rstrip() + "…"


_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~!])")


def as_grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Set rows below a header, each column as wide as its longest word.

    Examples
    --------
    >>> print(as_grid(["metric", "failed"], [["cpu", "3 %"], ["errors", "0 %"]]))
    metric  failed
    cpu     3 %
    errors  0 %
    """
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def as_markdown_grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    r"""Do the same in Markdown; names from the data are escaped.

    Examples
    --------
    >>> print(as_markdown_grid(["metric"], [["a|b"]]))
    | metric |
    |---|
    | a\|b |
    """
    lines = [header, ["---"] * len(header), *([escaped(cell) for cell in row] for row in rows)]
    return "\n".join(
        "|" + "|".join(line) + "|" if line[0] == "---" else f"| {' | '.join(line)} |" for line in lines
    )


def escaped(text: str) -> str:
    """Take from a text what Markdown would obey."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
