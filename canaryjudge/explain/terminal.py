"""The verdict for a terminal: the text's sentences, with color and a sparkline of each arm."""

from __future__ import annotations

from typing import Final

from canaryjudge.explain.lines import on_one_line
from canaryjudge.explain.quantities import span
from canaryjudge.explain.sparklines import frame_over, sparkline
from canaryjudge.explain.text import WIDTH, Block, head, text_blocks
from canaryjudge.results import MetricResult, Outcome, ReleaseResult

__all__ = ["as_terminal"]

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


def as_terminal(release: ReleaseResult, *, width: int = WIDTH, sparklines: bool = True) -> str:
    """Explain a release with escape sequences for color, and a sparkline of each arm on a common scale.

    Parameters
    ----------
    release : ReleaseResult
        What became of it.
    width : int
        Columns of the terminal.
    sparklines : bool
        Whether to draw; blocks are beyond the letters of some encodings.

    Returns
    -------
    str
        The lines of `as_text` at that width, and those of the sparklines between them.
    """
    lines: list[str] = []
    for place, block in enumerate(text_blocks(release)):
        wrapped = block.lines(width)
        if place == 0:
            wrapped = [f"{_COLORS[release.outcome]}{line}{_RESET}" for line in wrapped]
        lines += _headed(wrapped, block)
        if block.about is not None and sparklines:
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
