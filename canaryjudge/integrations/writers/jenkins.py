"""Jenkins: a properties file for `readProperties`. Its test report is JUnit XML, its unstable an exit code."""

from __future__ import annotations

import re

from canaryjudge.integrations.writers.summary import AnyVerdictOrError, summary

__all__ = ["jenkins_properties"]

_SPECIAL = re.compile(r"[^ -~]|[\\:=#!]|^ ", re.DOTALL)
"""What java.util.Properties would read as something else: all but printable ASCII, its own signs, and a space that begins a value."""


def jenkins_properties(said: AnyVerdictOrError) -> str:
    r"""Write a Java properties file: ``CANARYJUDGE_OUTCOME``, ``_ACTION``, ``_REASON``, ``_NO_DATA``, ``_SCORE``, ``_FAILED``, ``_UNDECIDED``; of a rollout also ``_STAGE`` and ``_SHARE``, in percent.

    Parameters
    ----------
    said : Verdict or CanaryJudgeError
        What there is to tell.

    Returns
    -------
    str
        The file, in ASCII. The names of metrics that failed and of those that are marginal are joined by ``, ``.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> print(jenkins_properties(cj.DataError("C:\\data: there is no such file")).splitlines()[2])
    CANARYJUDGE_REASON=ERROR\u003a C\u003a\u005cdata\u003a there is no such file
    """
    short = summary(said)
    values = {
        "OUTCOME": short.outcome,
        "ACTION": short.action,
        "REASON": short.reason,
        "NO_DATA": "true" if short.lacks_data else "false",
        "SCORE": "" if short.score is None else f"{short.score:g}",
        "FAILED": ", ".join(short.failed),
        "UNDECIDED": ", ".join(short.undecided),
        **{name.upper(): value for name, value in short.of_stage().items()},
    }
    return "".join(f"CANARYJUDGE_{name}={_SPECIAL.sub(_escape, value)}\n" for name, value in values.items())


def _escape(found: re.Match[str]) -> str:
    """Write a character by its UTF-16 units, as Java counts."""
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))
