"""The verdict as plain text, for a terminal or a log."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import Final, NamedTuple

from canaryjudge.explain.features import is_quiet, quiet_sentence
from canaryjudge.explain.headlines import headline, title
from canaryjudge.explain.lines import on_one_line
from canaryjudge.explain.notes import note_sentence
from canaryjudge.explain.promise import promise, waiver_sentence
from canaryjudge.explain.sentences import metric_sentence, rule_sentence
from canaryjudge.results import MetricResult, ReleaseResult

__all__ = ["WIDTH", "Block", "as_text", "by_badness", "head", "text_blocks"]

WIDTH: Final = 110
"""Characters of a line, where nobody says how many there is room for."""

_GLUE: Final = "\u00a0"
"""A space at which no line is broken."""
_TOGETHER: Final = re.compile(
    r"(?<=\d) (?=%|(?:[nµm]?s|min|h|d|[kKMGTPE]?i?B)\b)|(?<=\bp) (?=[=<])|(?<=\bp [=<]) |(?<=[<>]=) |(?<=\bv\.) "
)
"""A number stays with its unit, and what is compared with its sign."""


class Block(NamedTuple):
    """A paragraph of the text."""

    text: str
    """What it says; nothing for an empty line."""
    indent: str = ""
    """What its first line begins with; further ones are set two deeper where there is any."""
    about: MetricResult | None = None
    """The metric whose name and outcome it begins with, of the first paragraph about each."""

    def lines(self, width: int = WIDTH) -> list[str]:
        """Break it into lines, in which nothing that a user named can steer a terminal."""
        glued = _TOGETHER.sub(_GLUE, on_one_line(self.text))
        wrapped = textwrap.wrap(
            glued,
            width,
            initial_indent=self.indent,
            subsequent_indent=self.indent + "  " if self.indent else "",
            break_on_hyphens=False,
        )
        return [line.replace(_GLUE, " ") for line in wrapped] or [""]


def as_text(release: ReleaseResult, width: int = WIDTH) -> str:
    """Explain a release in sentences.

    Parameters
    ----------
    release : ReleaseResult
        What became of it.
    width : int
        The longest line, in characters.

    Returns
    -------
    str
        Lines of at most `width` characters; the worst metrics first.
    """
    return "\n".join(line for block in text_blocks(release) for line in block.lines(width))


def text_blocks(release: ReleaseResult) -> Iterator[Block]:
    """Give the paragraphs of a release's explanation, the title first."""
    yield Block(title(release))
    yield Block(headline(release))
    for result in by_badness(release):
        yield Block("")
        yield Block(f"{head(result)}{_role(result)}: {metric_sentence(result, release)}.", "  ", result)
        for index, finding in enumerate(result.findings):
            if index != result.deciding_rule and not is_quiet(finding, index, result):
                said = f"- rule {finding.rule}, {finding.outcome.value}: {rule_sentence(finding, result)}."
                yield Block(said, "    ")
        if quiet := quiet_sentence(result):
            yield Block(f"- {quiet}.", "    ")
        for note in result.warnings:
            yield Block(f"- {note_sentence(note)}", "    ")
    yield Block("")
    if release.also_failing:
        failing = ", ".join(release.also_failing)
        yield Block(f"Now that one metric has failed, these fail as well (Holm): {failing}.")
    if release.unproven:
        yield Block(f"Passed unproven: {', '.join(release.unproven)}.")
    for waived in release.waived:
        yield Block(f"Waived: {waiver_sentence(waived)}.")
    yield Block(promise(release))


def head(result: MetricResult) -> str:
    """Give what a paragraph about a metric begins with: its name and outcome."""
    return f"{on_one_line(result.name)} {result.outcome.value.upper()}"


def by_badness(release: ReleaseResult) -> list[MetricResult]:
    """Order the metrics: failing first, muted last, otherwise as in the policy."""
    return sorted(
        release.metrics.values(),
        key=lambda result: (
            result.role == "muted",
            -result.outcome.badness,
            result.name != release.deciding_metric,
        ),
    )


def _role(result: MetricResult) -> str:
    return "" if result.role == "required" else f" ({result.role})"
