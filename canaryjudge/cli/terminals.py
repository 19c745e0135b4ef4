"""What a terminal can show: whether it takes color, how wide it is, and whether it can be drawn over."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from canaryjudge.explain import WIDTH, as_terminal, as_text

if TYPE_CHECKING:
    from canaryjudge.verdict import Verdict

__all__ = ["is_terminal", "takes_color", "terminal_size", "terminal_text"]

_NARROWEST: Final = 40
"""Narrower ones break the lines themselves."""
_LINES: Final = 24


def takes_color(stream: Any, environment: Mapping[str, str] | None = None) -> bool:
    """Decide whether to color what is written to a stream.

    Parameters
    ----------
    stream : file
        Where it goes.
    environment : mapping of str to str, optional
        Environment variables, those of the process where left out. In this order: NO_COLOR says no; FORCE_COLOR says yes, whatever
        the stream is, or with 0 or false no; CLICOLOR_FORCE but for 0 says yes; CLICOLOR=0 and TERM=dumb say no; otherwise a terminal gets color.

    Returns
    -------
    bool
        True for color and sparklines, False for plain text.
    """
    given = os.environ if environment is None else environment
    if given.get("NO_COLOR"):
        return False
    if wish := given.get("FORCE_COLOR"):
        return wish.lower() not in ("0", "false")
    if given.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return given.get("CLICOLOR") != "0" and is_terminal(stream, given)


def is_terminal(stream: Any, environment: Mapping[str, str] | None = None) -> bool:
    """Tell whether a stream is a terminal that obeys escape sequences."""
    given = os.environ if environment is None else environment
    return bool(stream.isatty()) and given.get("TERM") != "dumb"


def terminal_size(stream: Any) -> tuple[int, int]:
    """Give columns and lines; of a stream that is no terminal, the columns of plain text, unless COLUMNS says otherwise."""
    try:
        found = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return shutil.get_terminal_size((WIDTH, _LINES))
    columns = os.environ.get("COLUMNS", "")
    wished = int(columns) if columns.isdecimal() else 0
    return wished or found.columns or WIDTH, found.lines or _LINES


def terminal_text(verdict: Verdict, stream: Any = None) -> str:
    """Explain a verdict as the stream can show it: with color and sparklines, or, where it is no terminal, byte for byte as `explain` does."""
    stream = stream or sys.stdout
    # longer lines than those of plain text are hard to read
    width = max(min(terminal_size(stream)[0], WIDTH), _NARROWEST)
    if takes_color(stream):
        return as_terminal(verdict, width=width, sparklines=_shows_blocks(stream))
    return as_text(verdict, width) if is_terminal(stream) else verdict.explain()


def _shows_blocks(stream: Any) -> bool:
    try:
        "▁█".encode(getattr(stream, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return False
    return True
