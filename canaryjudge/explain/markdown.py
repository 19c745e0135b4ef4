"""The verdict as Markdown, for a pull request or a pipeline's summary."""

from __future__ import annotations

from canaryjudge.explain.histories import history_sentence
from canaryjudge.explain.layout import markdown_text
from canaryjudge.explain.notes import note_sentence
from canaryjudge.explain.segments import found_in, segment_sentences
from canaryjudge.explain.sentences import (
    headline,
    metric_sentence,
    other_findings,
    promise,
    quiet_sentence,
    remarks,
    rule_sentence,
    title,
)
from canaryjudge.explain.text import by_badness
from canaryjudge.results import ReleaseResult

__all__ = ["as_markdown"]

_MARKS = {"pass": "✅", "marginal": "⚠️", "fail": "❌"}


def as_markdown(release: ReleaseResult) -> str:
    """Explain a release in Markdown."""
    lines = [
        f"## {_MARKS[release.outcome.value]} {title(release)}",
        "",
        markdown_text(headline(release)),
        "",
        "| metric | outcome | role | why |",
        "|---|---|---|---|",
    ]
    notes: list[str] = []
    for result in by_badness(release):
        outcome = f"{_MARKS[result.outcome.value]} {result.outcome.value}"
        why = [metric_sentence(result, release)]
        why += [
            f"{finding.rule}: {found_in(finding.rule, result, release)}{rule_sentence(finding, result)}"
            for finding in other_findings(result)
        ]
        why += segment_sentences(result, release)
        why += [said for said in (quiet_sentence(result), history_sentence(result)) if said]
        lines.append(
            f"| {markdown_text(result.name)} | {outcome} | {result.role} | {'<br>'.join(markdown_text(part) for part in why)} |"
        )
        notes += [
            f"- {markdown_text(result.name)}: {markdown_text(note_sentence(note))}"
            for note in result.warnings
        ]
    notes += [f"- {markdown_text(remark)}" for remark in remarks(release)]
    return "\n".join([*lines, "", *notes, *([""] if notes else []), markdown_text(promise(release)), ""])
