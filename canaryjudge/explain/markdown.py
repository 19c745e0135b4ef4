"""The verdict as Markdown, for a pull request or a pipeline's summary."""

from __future__ import annotations

import re

from canaryjudge.explain.excursion import is_quiet, quiet_sentence
from canaryjudge.explain.notes import note_sentence
from canaryjudge.explain.sentences import (
    headline,
    metric_sentence,
    promise,
    rule_sentence,
    title,
    waiver_sentence,
)
from canaryjudge.explain.text import by_badness
from canaryjudge.results import ReleaseResult

__all__ = ["as_markdown", "escaped"]

_MARKS = {"pass": "✅", "marginal": "⚠️", "fail": "❌"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~!])")


def as_markdown(release: ReleaseResult) -> str:
    """Explain a release in Markdown.

    Parameters
    ----------
    release : ReleaseResult
        What became of it.

    Returns
    -------
    str
        A heading, a table with a row a metric, notes. Names from the data are escaped.
    """
    lines = [
        f"## {_MARKS[release.outcome.value]} {title(release)}",
        "",
        escaped(headline(release)),
        "",
        "| metric | outcome | role | why |",
        "|---|---|---|---|",
    ]
    notes: list[str] = []
    for result in by_badness(release):
        outcome = f"{_MARKS[result.outcome.value]} {result.outcome.value}"
        why = [metric_sentence(result, release)]
        why += [
            f"{f.rule}: {rule_sentence(f, result)}"
            for i, f in enumerate(result.findings)
            if i != result.deciding_rule and not is_quiet(f, i, result)
        ]
        why += [quiet] if (quiet := quiet_sentence(result)) else []
        lines.append(
            f"| {escaped(result.name)} | {outcome} | {result.role} | {'<br>'.join(escaped(part) for part in why)} |"
        )
        notes += [f"- {escaped(result.name)}: {escaped(note_sentence(note))}" for note in result.warnings]
    if release.also_failing:
        notes.append(
            f"- Now that one metric has failed, these fail as well (Holm): {escaped(', '.join(release.also_failing))}"
        )
    if release.unproven:
        notes.append(f"- Passed unproven: {escaped(', '.join(release.unproven))}")
    notes += [f"- Waived: {escaped(waiver_sentence(waived))}" for waived in release.waived]
    return "\n".join([*lines, "", *notes, *([""] if notes else []), escaped(promise(release)), ""])


def escaped(text: str) -> str:
    r"""Put a text on one line in which Markdown sees nothing but text.

    Examples
    --------
    >>> print(escaped("<script>|*p99*"))
    \<script\>\|\*p99\*
    """
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
