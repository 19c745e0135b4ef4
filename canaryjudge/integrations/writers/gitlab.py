"""GitLab: a dotenv report, whose lines become variables of later jobs. Its test report is JUnit XML, its amber an exit code."""

from __future__ import annotations

import re

from canaryjudge.integrations.writers.summary import AnyVerdictOrError, summary

__all__ = ["gitlab_dotenv"]

_EXPANDED = re.compile(r"\$|%(?=[\w%])")
"""What GitLab may expand: ``$NAME``, ``${NAME}`` and ``%NAME%`` in a value are read as variables, the job's secrets among them."""
_LIKE = {"$": "\uff04", "%": "\uff05"}


def gitlab_dotenv(said: AnyVerdictOrError) -> str:
    """Write a dotenv report: ``CANARYJUDGE_OUTCOME``, ``_ACTION``, ``_REASON``, ``_NO_DATA`` and, where there is one, ``_SCORE``; of a rollout also ``_STAGE`` and ``_SHARE``, in percent.

    GitLab takes a variable a line, knows neither quotes nor escapes, and expands variables in values. So a value is one line, and a ``$`` or
    ``%`` that could begin a variable becomes the full-width sign of the same look. The report is below 5 kB whatever the verdict.

    Parameters
    ----------
    said : Verdict or CanaryJudgeError
        What there is to tell.

    Returns
    -------
    str
        The report, for ``artifacts:reports:dotenv``.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> print(gitlab_dotenv(cj.DataError("metrics.csv: there is no such file")), end="")
    CANARYJUDGE_OUTCOME=error
    CANARYJUDGE_ACTION=hold
    CANARYJUDGE_REASON=ERROR: metrics.csv: there is no such file
    CANARYJUDGE_NO_DATA=false
    """
    short = summary(said)
    values = {
        "OUTCOME": short.outcome,
        "ACTION": short.action,
        "REASON": _EXPANDED.sub(lambda found: _LIKE[found[0]], short.reason),
        "NO_DATA": "true" if short.lacks_data else "false",
    }
    if short.score is not None:
        values["SCORE"] = f"{short.score:g}"
    for name, value in short.of_stage().items():
        values[name.upper()] = _EXPANDED.sub(lambda found: _LIKE[found[0]], value)
    return "".join(f"CANARYJUDGE_{name}={value}\n" for name, value in values.items())
