"""What a terminal is shown: verdicts in color, as wide as it is."""

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
    """Decide whether to color a stream: NO_COLOR says no, then FORCE_COLOR, CLICOLOR_FORCE, CLICOLOR=0 and TERM=dumb decide; otherwise a terminal gets it."""
    given = os.environ if environment is None else environment
    if given.get("NO_COLOR"):
        return False
    if wish := given.get("FORCE_COLOR"):
        return wish.lower() not in ("0", "false")
    if given.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return given.get("CLICOLOR") != "0" and is_terminal(stream, given)


def is_terminal(stream: Any, environment: Mapping[str, str] | None = None) -> bool:
    """Return whether a stream is a terminal that obeys escape sequences."""
    given = os.environ if environment is None else environment
    return bool(stream.isatty()) and given.get("TERM") != "dumb"


def terminal_size(stream: Any) -> tuple[int, int]:
    """Return columns and lines; of a stream that is no terminal, the columns of plain text, unless COLUMNS says otherwise."""
    try:
        found = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return shutil.get_terminal_size((WIDTH, _LINES))
    columns = os.environ.get("COLUMNS", "")
    wished = int(columns) if columns.isdecimal() else 0
    return wished or found.columns or WIDTH, found.lines or _LINES


def terminal_text(verdict: Verdict, stream: Any = None, *, brief: bool = False) -> str:
    """Explain a verdict as the stream can show it: with color and sparklines, or, where it is no terminal, byte for byte as `explain` does."""
    stream = stream or sys.stdout
    # longer lines than those of plain text are hard to read
    width = max(min(terminal_size(stream)[0], WIDTH), _NARROWEST)
    if takes_color(stream):
        return as_terminal(verdict, width=width, brief=brief)
    return as_text(verdict, width if is_terminal(stream) else WIDTH, brief=brief)
