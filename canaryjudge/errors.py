"""What canaryjudge raises, and when.

Errors are for the caller's mistakes and say what to do about them. Thin or odd data is a
result with a reason, never an exception.
"""

from __future__ import annotations

__all__ = [
    "CanaryJudgeError",
    "DataError",
    "MissingExtraError",
    "PolicyError",
    "ReleaseFailed",
    "ReleaseUndecided",
]


class CanaryJudgeError(Exception):
    """Base of every error that canaryjudge raises on purpose.

    Parameters
    ----------
    message : str
        One sentence: what is wrong and where.
    hint : str, optional
        One sentence: what to do about it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(f"{message}. {hint}" if hint else message)

    def __reduce__(self) -> tuple[type[CanaryJudgeError], tuple[str, str]]:
        return type(self), (self.message, self.hint)


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
