"""The verdict as text: plain for a log, with color and a sparkline of each arm for a terminal."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterator
from typing import Final, NamedTuple

from canaryjudge.explain.histories import history_sentence
from canaryjudge.explain.layout import WIDTH, listed, on_one_line
from canaryjudge.explain.notes import note_sentence
from canaryjudge.explain.quantities import span
from canaryjudge.explain.segments import found_in, segment_sentences
from canaryjudge.explain.sentences import (
    CAME_OUT,
    headline,
    metric_sentence,
    other_findings,
    promise,
    quiet_sentence,
    remarks,
    rule_sentence,
    title,
    waivers,
)
from canaryjudge.explain.what_would_change import what_would_change_release
from canaryjudge.reasons import Outcome
from canaryjudge.results import MetricResult, ReleaseResult, SeriesFacts

__all__ = [
    "BLOCKS",
    "SHORTEST",
    "Block",
    "Frame",
    "as_terminal",
    "as_text",
    "by_badness",
    "frame_over",
    "head",
    "sparkline",
    "text_blocks",
]

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


def as_text(release: ReleaseResult, width: int = WIDTH, *, brief: bool = False) -> str:
    """Explain a release in sentences; `brief` in a handful of lines."""
    blocks = brief_blocks(release) if brief else text_blocks(release)
    return "\n".join(line for block in blocks for line in block.lines(width))


_MOST: Final = 3
"""Metrics that a brief text speaks of; it names others."""


def brief_blocks(release: ReleaseResult) -> Iterator[Block]:
    """Give what one must know at three in the morning: what to do, the metrics that decided, what is open and what would close it."""
    yield Block(title(release))
    counted = [result for result in by_badness(release) if result.role != "muted"]
    if release.deciding_metric is None:
        yield Block("No metric was judged.", "  ")
        return
    decided = [result for result in counted if _decides(result, release)][:_MOST]
    if release.aggregate == "score":
        yield Block(headline(release), "  ")
    elif not decided:
        yield Block(what_would_change_release(release), "  ")
    for result in decided:
        said = metric_sentence(result, release, brief=True)
        yield Block(f"{head(result)}{_role(result)}: {said}.", "  ", result)
    advice = [result.reason.advice for result in decided if result.outcome is Outcome.MARGINAL]
    for to_do in filter(None, dict.fromkeys(advice)):
        yield Block(to_do, "  ")
    others = [result for result in counted if result not in decided]
    for outcome, word in CAME_OUT.items():
        if named := [_named(result, release) for result in others if result.outcome is outcome]:
            as_well = " as well" if outcome is release.outcome and outcome is not Outcome.PASS else ""
            yield Block(f"{word.capitalize()}{as_well}: {listed(named)}.", "  ")
    if release.outcome is Outcome.PASS:
        for waiver in waivers(release):
            yield Block(f"Waived: {waiver}.", "  ")


def _named(result: MetricResult, release: ReleaseResult) -> str:
    """Name a metric, and why it is undecided, or fails without failing the release."""
    why: list[str] = []
    if result.role != "required" and result.outcome is not Outcome.PASS:
        why.append(result.role)
    if result.outcome is Outcome.MARGINAL or (
        result.outcome is Outcome.FAIL and release.outcome is not Outcome.FAIL
    ):
        why.append(result.reason.words)
    return f"{result.name} ({', '.join(why)})" if why else result.name


def _decides(result: MetricResult, release: ReleaseResult) -> bool:
    """Tell whether a metric is one of those that made the release what it is; of a pass that is the hardest to prove."""
    if release.outcome is Outcome.PASS or release.aggregate == "score":
        return result.name == release.deciding_metric
    if release.outcome is Outcome.FAIL:
        return result.outcome is Outcome.FAIL and result.role != "advisory"
    return result.outcome is not Outcome.PASS and (result.role != "guard" or result.holds)


def text_blocks(release: ReleaseResult) -> Iterator[Block]:
    """Give the paragraphs of a release's explanation, the title first."""
    yield Block(title(release))
    yield Block(headline(release))
    for result in by_badness(release):
        yield Block("")
        yield Block(f"{head(result)}{_role(result)}: {metric_sentence(result, release)}.", "  ", result)
        for finding in other_findings(result):
            where = found_in(finding.rule, result, release)
            said = f"- rule {finding.rule}, {finding.outcome.value}: {where}{rule_sentence(finding, result)}."
            yield Block(said, "    ")
        for sentence in segment_sentences(result, release):
            yield Block(f"- {sentence}.", "    ")
        if quiet := quiet_sentence(result):
            yield Block(f"- {quiet}.", "    ")
        if past := history_sentence(result):
            yield Block(f"- {past}.", "    ")
        for note in result.warnings:
            yield Block(f"- {note_sentence(note)}", "    ")
    yield Block("")
    for remark in remarks(release):
        yield Block(f"{remark}.")
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


BLOCKS = "▁▂▃▄▅▆▇█"
"""From low to high."""
SHORTEST = 8
"""With room for fewer blocks than this nothing can be seen."""


class Frame(NamedTuple):
    """What several sparklines share, so that they can be compared."""

    low: float
    """What the lowest block stands for."""
    high: float
    """What the highest block stands for."""
    start: float | None
    """Time of the first column; None where each series begins at its own."""
    span: float
    """From the first column to the last."""
    columns: int
    """How many there are."""


def frame_over(series: list[SeriesFacts], room: int, *, together: bool) -> Frame | None:
    """Find the frame of some series."""
    values = [value for one in series for value in one.value if value is not None]
    if not values or room < SHORTEST:
        return None
    starts = [one.start for one in series if one.start is not None]
    start = min(starts) if together and len(starts) == len(series) else None
    span = max(one.since(start)[-1] for one in series if one.at)
    positions = max(len(one.at) for one in series)
    return Frame(min(values), max(values), start, span, min(room, positions))


def sparkline(series: SeriesFacts, frame: Frame) -> str:
    """Draw a series.

    Examples
    --------
    >>> cpu = SeriesFacts(start=None, at=(0, 1, 2, 3, 4), value=(1, 2, None, 8, 4))
    >>> sparkline(cpu, frame_over([cpu], 60, together=True))
    '▁▂ █▄'
    """
    drawn = [" "] * frame.columns
    places = [_column(at, frame) for at in series.since(frame.start)]
    for part in series.unbroken():
        found: dict[int, list[float]] = {}
        for column, value in zip(places[part], series.value[part], strict=True):
            found.setdefault(column, []).append(value or 0.0)
        level = 0.0
        for column in range(min(found), max(found) + 1):
            # between two points that no gap parts, the earlier one holds
            level = math.fsum(found[column]) / len(found[column]) if column in found else level
            drawn[column] = _block(level, frame)
    return "".join(drawn).rstrip()


def _column(at: float, frame: Frame) -> int:
    return round((frame.columns - 1) * at / frame.span) if frame.span > 0 else 0


def _block(level: float, frame: Frame) -> str:
    # halves first: the distance of the largest floats is not finite
    height = frame.high / 2 - frame.low / 2
    if height <= 0:
        return BLOCKS[3]
    return BLOCKS[min(int((level / 2 - frame.low / 2) / height * len(BLOCKS)), len(BLOCKS) - 1)]


_RESET: Final = "\x1b[0m"
_BOLD: Final = "\x1b[1m"
_DIM: Final = "\x1b[2m"
_CYAN: Final = "\x1b[36m"
_COLORS: Final = {Outcome.PASS: "\x1b[1;32m", Outcome.MARGINAL: "\x1b[1;33m", Outcome.FAIL: "\x1b[1;31m"}
"""Never color alone: the word stands there in every case."""
_INDENT: Final = "    "
_LABELS: Final = 2 + len("baseline")
_EXTENT: Final = 2 + 30
"""Room that is kept for the words behind a sparkline."""
_LONGEST: Final = 60
"""More blocks than this say no more."""


def as_terminal(release: ReleaseResult, *, width: int = WIDTH, brief: bool = False) -> str:
    """Explain a release with escape sequences for color, and a sparkline of each arm on a common scale; `brief` in a handful of lines."""
    lines: list[str] = []
    for place, block in enumerate(brief_blocks(release) if brief else text_blocks(release)):
        wrapped = block.lines(width)
        if place == 0:
            wrapped = [f"{_COLORS[release.outcome]}{line}{_RESET}" for line in wrapped]
        lines += _headed(wrapped, block)
        if block.about is not None and not brief:
            lines += _sparklines(block.about, width)
    return "\n".join(lines)


def _headed(lines: list[str], block: Block) -> list[str]:
    """Set off what a paragraph about a metric begins with."""
    if block.about is None:
        return lines
    plain = block.indent + head(block.about)
    if not lines[0].startswith(plain):  # a name of several lines
        return lines
    word = block.about.outcome.value.upper()
    name = plain.removesuffix(word)
    return [
        f"{_BOLD}{name}{_RESET}{_COLORS[block.about.outcome]}{word}{_RESET}{lines[0][len(plain) :]}",
        *lines[1:],
    ]


def _sparklines(result: MetricResult, width: int) -> list[str]:
    arms = [
        (name, color, arm.series)
        for name, color, arm in (("baseline", _DIM, result.baseline), ("canary", _CYAN, result.canary))
        if arm is not None
    ]
    room = min(width - len(_INDENT) - _LABELS - _EXTENT, _LONGEST)
    frame = frame_over([series for *_, series in arms], room, together=result.pairing == "concurrent")
    if frame is None:
        return []
    lines = []
    for name, color, series in arms:
        values = [value for value in series.value if value is not None]
        extent = _extent(values, result) if values else ""
        drawn = sparkline(series, frame).ljust(frame.columns)
        lines.append(f"{_INDENT}{name.ljust(_LABELS)}{color}{drawn}{_RESET}  {extent}".rstrip())
    return lines


def _extent(values: list[float], result: MetricResult) -> str:
    """Say from where to where a series goes; nothing where a unit is too long for that."""
    words = on_one_line(span(min(values), max(values), "objective", result.kind, result.unit))
    return words if len(words) <= _EXTENT - 2 else ""
