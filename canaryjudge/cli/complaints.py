"""What is said on standard error: one line and a hint, never a traceback."""

from __future__ import annotations

import sys

from canaryjudge._version import __version__
from canaryjudge.errors import CanaryJudgeError, DataError

__all__ = ["complain", "described"]


def complain(message: str, hint: str) -> None:
    """Write a complaint.

    Parameters
    ----------
    message : str
        What is wrong and where; a policy may have several problems, a line each.
    hint : str
        What to do about it; may be empty.
    """
    for line in message.splitlines():
        print(f"canaryjudge: {' '.join(line.split())}", file=sys.stderr)
    if hint:
        print(f"hint: {' '.join(hint.split())}", file=sys.stderr)


def described(error: Exception) -> CanaryJudgeError:
    """Put whatever went wrong into a sentence and a hint."""
    if isinstance(error, CanaryJudgeError):
        return error
    if isinstance(error, OSError):
        where = error.filename or "input or output"
        return DataError(f"{where}: {error.strerror or error}", "Check the path and its permissions.")
    return CanaryJudgeError(
        f"this is a bug of canaryjudge {__version__}: {type(error).__name__}: {error}",
        "Please report it with the policy and data.",
    )
