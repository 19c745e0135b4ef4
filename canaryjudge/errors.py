"""What canaryjudge raises, and when.

Errors are for the caller's mistakes and say what to do about them. Thin or odd data is a
result with a reason, never an exception.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from canaryjudge.texts import on_one_line

__all__ = [
    "CanaryJudgeError",
    "DataError",
    "MissingExtraError",
    "PolicyError",
    "ReleaseFailed",
    "ReleaseUndecided",
]


_LONGEST_LINE: Final = 2000
"""Characters of a line of a message, and of a hint, whatever a stranger named in it."""


class CanaryJudgeError(Exception):
    """Base of every error that canaryjudge raises on purpose.

    Whatever data, files and servers name in it is fit to be printed: no control characters, no line of more than 2,000 characters.

    Parameters
    ----------
    message : str or sequence of str
        One sentence: what is wrong and where. A sequence has one a line.
    hint : str, optional
        One sentence: what to do about it.
    """

    def __init__(self, message: str | Sequence[str], hint: str = "") -> None:
        lines = [message] if isinstance(message, str) else message
        self.message = "\n".join(on_one_line(line, _LONGEST_LINE) for line in lines)
        self.hint = on_one_line(hint, _LONGEST_LINE)
        super().__init__(f"{self.message}. {self.hint}" if self.hint else self.message)

    def __reduce__(self) -> tuple[type[CanaryJudgeError], tuple[list[str], str]]:
        return type(self), (self.message.split("\n"), self.hint)


class PolicyError(CanaryJudgeError, ValueError):
    """The policy cannot be read or contradicts itself; the message names file, line, column and the nearest right key."""


class DataError(CanaryJudgeError, ValueError):
    """The data cannot mean what the policy needs; the message names metric, arm and row, what was found and what to do."""


class BrokenDataError(DataError):
    """A part of one metric's data contradicts itself or cannot be read: that metric is not judged, and others are."""


class MissingExtraError(CanaryJudgeError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""


class ReleaseFailed(CanaryJudgeError):  # noqa: N818 - a verdict, not a mistake
    """Raised by `Verdict.raise_for_outcome` when the release failed."""


class ReleaseUndecided(CanaryJudgeError):  # noqa: N818 - a verdict, not a mistake
    """Raised by `Verdict.raise_for_outcome` when the release is marginal."""
