"""The verdict as plain text, for a terminal or a log."""

from __future__ import annotations

import textwrap

from canaryjudge.explain.features import is_quiet, quiet_sentence
from canaryjudge.explain.notes import note_sentence
from canaryjudge.explain.sentences import (
    headline,
    metric_sentence,
    promise,
    rule_sentence,
    title,
    waiver_sentence,
)
from canaryjudge.results import MetricResult, ReleaseResult

__all__ = ["as_text", "by_badness"]

_WIDTH = 110


def as_text(release: ReleaseResult) -> str:
    """Explain a release in sentences.

    Parameters
    ----------
    release : ReleaseResult
        What became of it.

    Returns
    -------
    str
        Lines of at most 110 characters; the worst metrics first.
    """
    blocks = [title(release), _wrapped(headline(release), "")]
    for result in by_badness(release):
        blocks.append("")
        blocks.append(
            _wrapped(
                f"{result.name} {result.outcome.value.upper()}{_role(result)}: {metric_sentence(result, release)}.",
                "  ",
            )
        )
        for index, finding in enumerate(result.findings):
            if index != result.deciding_rule and not is_quiet(finding, index, result):
                blocks.append(
                    _wrapped(
                        f"- rule {finding.rule}, {finding.outcome.value}: {rule_sentence(finding, result)}.",
                        "    ",
                    )
                )
        if quiet := quiet_sentence(result):
            blocks.append(_wrapped(f"- {quiet}.", "    "))
        blocks += [_wrapped(f"- {note_sentence(note)}", "    ") for note in result.warnings]
    blocks.append("")
    if release.also_failing:
        blocks.append(
            _wrapped(
                f"Now that one metric has failed, these fail as well (Holm): {', '.join(release.also_failing)}.",
                "",
            )
        )
    if release.unproven:
        blocks.append(_wrapped(f"Passed unproven: {', '.join(release.unproven)}.", ""))
    blocks += [_wrapped(f"Waived: {waiver_sentence(waived)}.", "") for waived in release.waived]
    blocks.append(_wrapped(promise(release), ""))
    return "\n".join(blocks)


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


def _wrapped(text: str, indent: str) -> str:
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  " if indent else "",
        break_on_hyphens=False,
    )
