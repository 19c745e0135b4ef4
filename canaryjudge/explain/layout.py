"""Words laid out: on one line, and in small tables in plain text and in Markdown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from html import escape
from typing import Final

from canaryjudge.texts import cut, on_one_line

__all__ = [
    "WIDTH",
    "as_grid",
    "as_markdown_grid",
    "cut",
    "html_prose",
    "html_text",
    "listed",
    "markdown_text",
    "on_one_line",
    "wrapped",
]


def listed(names: Sequence[str], most: int = 4) -> str:
    """List names in a sentence, no more than `most` of them.

    Examples
    --------
    >>> listed(["cpu", "errors", "p99"]), listed(list("abcdef"))
    ('cpu, errors and p99', 'a, b, c, d and 2 more')
    """
    shown = list(names[:most]) if len(names) <= most else [*names[:most], f"{len(names) - most:,} more"]
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else "".join(shown)


WIDTH: Final = 110
"""Characters of a line, where nobody says how many there is room for."""
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~!])")


def wrapped(text: str, indent: str = "") -> str:
    """Break a text into lines; those after the first are set deeper."""
    return textwrap.fill(
        on_one_line(text),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent or "  ",
        break_on_hyphens=False,
    )


def as_grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Set rows below a header, each column as wide as its longest word.

    Examples
    --------
    >>> print(as_grid(["metric", "failed"], [["cpu", "3 %"], ["errors", "0 %"]]))
    metric  failed
    cpu     3 %
    errors  0 %
    """
    lines = [[on_one_line(cell) for cell in line] for line in (header, *rows)]
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
    lines = [header, ["---"] * len(header), *([markdown_text(cell) for cell in row] for row in rows)]
    return "\n".join(
        "|" + "|".join(line) + "|" if line[0] == "---" else f"| {' | '.join(line)} |" for line in lines
    )


def markdown_text(text: str) -> str:
    r"""Put a text on one line in which Markdown sees nothing but text.

    Examples
    --------
    >>> print(markdown_text("<script>|*p99*"))
    \<script\>\|\*p99\*
    """
    return _SPECIAL.sub(r"\\\1", on_one_line(text))


def html_text(words: object) -> str:
    """Escape text, for content and attributes alike, and leave out what is not to be seen."""
    return escape(on_one_line(str(words)))


def html_prose(words: str) -> str:
    """Escape a sentence, and keep numbers on one line with what follows them."""
    return (
        html_text(words)
        .replace(" %", "&nbsp;%")
        .replace("p = ", "p&nbsp;=&nbsp;")
        .replace("&lt;= ", "&lt;=&nbsp;")
    )
