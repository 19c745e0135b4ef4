"""Kubernetes: what a container says as it ends, which stands in its status. Of a Job only the exit code counts: what it means is said here."""

from __future__ import annotations

from typing import Final

from canaryjudge.errors import CanaryJudgeError
from canaryjudge.integrations.writers.summary import AnyVerdictOrError

__all__ = ["termination_message"]

_MOST_BYTES: Final = 4096
"""Of the file ``/dev/termination-log`` the kubelet keeps as many, the last ones."""


def termination_message(said: AnyVerdictOrError) -> str:
    """Write a container's termination message: the brief text, what matters most first, in at most 4096 bytes.

    Lines are whole, and where some do not fit, the last one says how many. The kubelet keeps 4096 bytes of a container, and less where a pod has more than
    three: 12 KiB for all of them together.

    Parameters
    ----------
    said : Verdict, RolloutVerdict, ArmVerdicts or CanaryJudgeError
        What there is to tell.

    Returns
    -------
    str
        The message, of at most 4096 bytes of UTF-8 with the line break at its end.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> print(termination_message(cj.DataError("metrics.csv: there is no such file", "Check the path.")), end="")
    ERROR: metrics.csv: there is no such file. Check the path.
    """
    text = f"ERROR: {said}" if isinstance(said, CanaryJudgeError) else said.explain(brief=True)
    lines = text.rstrip("\n").split("\n")
    for kept in range(len(lines), 0, -1):
        left = len(lines) - kept
        message = "\n".join(
            [
                *lines[:kept],
                *([f"... {left} more lines" if left > 1 else "... 1 more line"] if left else []),
                "",
            ]
        )
        if len(message.encode()) <= _MOST_BYTES:
            return message
    return lines[0].encode()[: _MOST_BYTES - 4].decode(errors="ignore") + "…\n"
