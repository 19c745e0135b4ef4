"""Tables of benchmarks as text."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["grid"]


def grid(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> str:
    """Lay a plain table out: the first column to the left, all others to the right, each as wide as it must be.

    Parameters
    ----------
    title : str
        Printed above.
    heads : sequence of str
        A line of its own for each part between line breaks.
    rows : sequence of sequence of str
        Cells, as many as heads; an empty row is an empty line.
    notes : sequence of str
        Lines below.

    Returns
    -------
    str
        The table.
    """
    split = [head.split("\n") for head in heads]
    depth = max(len(head) for head in split)
    top = [[[""] * (depth - len(head)) + head for head in split][i] for i in range(len(split))]
    lines = [[column[level] for column in top] for level in range(depth)]
    widths = [
        max(len(line[i]) for line in [*lines, *(row for row in rows if row)]) for i in range(len(heads))
    ]

    def laid(cells: Sequence[str]) -> str:
        first, *others = cells
        aligned = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        return "  ".join([f"{first:<{widths[0]}}", *aligned]).rstrip()

    body = [laid(row) if row else "" for row in rows]
    return "\n".join(
        [title, "", *(laid(line) for line in lines), *body, *([""] if notes else []), *notes, ""]
    )
