"""GitHub Actions: annotations on standard output, outputs for ``$GITHUB_OUTPUT``, a summary for ``$GITHUB_STEP_SUMMARY``."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from canaryjudge.errors import CanaryJudgeError
from canaryjudge.explain.layout import cut, listed, markdown_text, on_one_line
from canaryjudge.explain.sentences import metric_sentence
from canaryjudge.integrations.writers.summary import AnyVerdictOrError, summary
from canaryjudge.reasons import Outcome
from canaryjudge.results import ArmsFacts, RolloutFacts
from canaryjudge.verdict import Verdict

if TYPE_CHECKING:
    from canaryjudge.patterns import RolloutVerdict

__all__ = ["github_annotations", "github_outputs", "github_summary"]

_MOST_ANNOTATIONS: Final = 10
"""GitHub keeps so many errors, and so many warnings, of a step."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9.-]*")
_LONGEST_MESSAGE: Final = 2000
_LONGEST_TITLE: Final = 200
_LONGEST_SUMMARY: Final = 1_000_000
"""Bytes; GitHub refuses a step's summary above 1 MiB."""


def github_annotations(said: AnyVerdictOrError) -> str:
    r"""Write workflow commands: an error for each metric that fails the release, a warning for each that is marginal, else a notice; of a rollout a notice too where it advances, and of several arms where some may go on.

    Parameters
    ----------
    said : Verdict, RolloutVerdict, ArmVerdicts or CanaryJudgeError
        What there is to tell.

    Returns
    -------
    str
        A line an annotation, for standard output; at most ten errors and ten warnings, the last of which names the rest.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> print(github_annotations(cj.DataError("no data:\n100% lost", "Look for them.")), end="")
    ::error title=canaryjudge%3A nothing was judged::ERROR: no data: 100%25 lost. Look for them.
    """
    short = summary(said)
    if isinstance(said, CanaryJudgeError):
        return _command("error", "canaryjudge: nothing was judged", short.reason)
    if isinstance(said, RolloutFacts) and said.action == "advance":
        return _command("notice", "canaryjudge: advance", short.reason)
    failing: list[tuple[str, str]] = []
    undecided: list[tuple[str, str]] = []
    each = (
        [(f"{arm}, ", verdict) for arm, verdict in said.items()]
        if isinstance(said, ArmsFacts)
        else [("", said)]
    )
    for arm, verdict in each:
        own = _complaints(verdict)
        failing += [(f"{arm}{name}", sentence) for name, sentence in own[0]]
        undecided += [(f"{arm}{name}", sentence) for name, sentence in own[1]]
    lines = [*_commands("error", failing), *_commands("warning", undecided)]
    if said.outcome is Outcome.PASS:
        lines.append(_command("notice", "canaryjudge: pass", short.reason))
    elif isinstance(said, ArmsFacts) and said.may_go_on:
        lines.append(_command("notice", f"canaryjudge: {listed(said.may_go_on)} may go on", short.reason))
    return "".join(lines)


def github_outputs(said: AnyVerdictOrError) -> str:
    """Write a step's outputs: `outcome`, `action`, `reason`, `score`, `no-data`, and `failed` and `undecided` as JSON lists of names; of a rollout also `stage` and `share`, in percent.

    Free text stands between delimiters that cannot be forged: each is made from the value's own digest, so that no value holds its own.

    Parameters
    ----------
    said : Verdict or CanaryJudgeError
        What there is to tell.

    Returns
    -------
    str
        Text to append to the file that ``$GITHUB_OUTPUT`` names.
    """
    short = summary(said)
    outputs = {
        "outcome": short.outcome,
        "action": short.action,
        "reason": short.reason,
        "score": "" if short.score is None else f"{short.score:g}",
        "no-data": "true" if short.lacks_data else "false",
        "failed": json.dumps(short.failed),
        "undecided": json.dumps(short.undecided),
        **short.of_stage(),
    }
    return "".join(_assigned(name, value) for name, value in outputs.items())


def github_summary(said: AnyVerdictOrError) -> str:
    """Write a step's summary in Markdown.

    Parameters
    ----------
    said : Verdict or CanaryJudgeError
        What there is to tell.

    Returns
    -------
    str
        Text to append to the file that ``$GITHUB_STEP_SUMMARY`` names, of at most a million bytes: the worst metrics stand first, and what does
        not fit is counted.
    """
    if isinstance(said, CanaryJudgeError):
        return f"## 🛑 ERROR: nothing was judged\n\n{markdown_text(said.message)}\n\n{markdown_text(said.hint)}\n"
    text = said.to_markdown()
    if len(text.encode()) <= _LONGEST_SUMMARY:
        return text
    *lines, _, last = text.rstrip("\n").split("\n")
    room = _LONGEST_SUMMARY - len(last.encode()) - 200
    kept = 0
    while kept < len(lines) and (room := room - len(lines[kept].encode()) - 1) >= 0:
        kept += 1
    left_out = f"{len(lines) - kept:,} more lines do not fit into a summary: see the JSON."
    return "\n".join([*lines[:kept], "", left_out, "", last, ""])


def _complaints(verdict: Verdict | RolloutVerdict) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    failing: list[tuple[str, str]] = []
    undecided: list[tuple[str, str]] = []
    release = verdict if isinstance(verdict, Verdict) else verdict.release
    for result in verdict.metrics.values():
        if result.role == "muted" or result.outcome is Outcome.PASS:
            continue
        told = (f"{result.name}: {result.outcome.value}", metric_sentence(result, release))
        fails = result.outcome is Outcome.FAIL and result.role != "advisory"
        (failing if fails and verdict.outcome is Outcome.FAIL else undecided).append(told)
    reason = summary(verdict).reason
    if verdict.outcome is Outcome.FAIL and not failing:  # a score may fail a release in which no metric fails
        failing = [("the release fails", reason)]
    if verdict.outcome is Outcome.MARGINAL and not undecided:
        undecided = [("the release is held", reason)]
    return failing, undecided


def _commands(kind: str, told: list[tuple[str, str]]) -> Iterator[str]:
    shown = told if len(told) <= _MOST_ANNOTATIONS else told[: _MOST_ANNOTATIONS - 1]
    for name, sentence in shown:
        yield _command(kind, f"canaryjudge: {name}", sentence)
    if rest := told[len(shown) :]:
        names = ", ".join(name for name, _ in rest)
        yield _command(kind, f"canaryjudge: {len(rest)} more", names)


def _command(kind: str, title: str, message: str) -> str:
    title = _escaped_data(cut(on_one_line(title), _LONGEST_TITLE)).replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={title}::{_escaped_data(cut(on_one_line(message), _LONGEST_MESSAGE))}\n"


def _escaped_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _assigned(name: str, value: str) -> str:
    if _PLAIN.fullmatch(value):
        return f"{name}={value}\n"
    delimiter = f"canaryjudge-{hashlib.sha256(value.encode()).hexdigest()}"
    return f"{name}<<{delimiter}\n{value}\n{delimiter}\n"
