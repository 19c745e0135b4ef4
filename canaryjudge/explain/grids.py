"""Small tables in plain text and in Markdown, from the same rows of words."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["as_grid", "as_markdown_grid", "escaped"]

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
