"""What is said on standard error: one line and a hint, never a traceback."""

from __future__ import annotations

import sys

__all__ = ["complain"]


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
