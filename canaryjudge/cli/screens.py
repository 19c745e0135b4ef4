"""How a watch shows its looks: a line each, or on a terminal one picture that is drawn over."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Protocol

from canaryjudge.cli.complaints import complain
from canaryjudge.cli.looks import End, Look
from canaryjudge.cli.terminals import is_terminal, terminal_size, terminal_text
from canaryjudge.explain import moment, on_one_line, span_of_time

if TYPE_CHECKING:
    from canaryjudge.verdict import Verdict

__all__ = ["Screen", "screen_on", "why_it_ended"]

_SEQUENCE: Final = re.compile(r"\x1b\[[\d;]*m")


class Screen(Protocol):
    """Shows looks."""

    def show(self, look: Look, drawn: Verdict) -> None:
        """Show a look; `drawn` is its verdict with the latest points."""

    def close(self, why: str) -> None:
        """Make room for the verdict, and say why it ended where that needs to be said."""


def screen_on(stream: Any) -> Screen:
    """Choose how to show looks on a stream."""
    return _Picture(stream) if is_terminal(stream) else _Lines(stream)


def why_it_ended(look: Look) -> str:
    """Say why a look was the last one; nothing where the verdict says it."""
    return "" if look.end in (None, End.DECIDED) else look.end.value


class _Remarks:
    """Passes on what a source says, once."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def new(self, look: Look) -> list[str]:
        fresh = [remark for remark in look.remarks if remark not in self._told]
        self._told.update(fresh)
        return fresh


class _Lines:
    """A line a look: when, how it stands and why, or what keeps it from looking."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._remarks = _Remarks()

    def show(self, look: Look, drawn: Verdict) -> None:
        for remark in self._remarks.new(look):
            complain(f"warning: {remark}", "")
        said = drawn.reason if look.trouble is None else _trouble(look)
        print(f"{moment(look.at)} {said}", file=self._stream, flush=True)

    def close(self, why: str) -> None:
        print(f"{why}\n" if why else "", file=self._stream, flush=True)


class _Picture:
    """The verdict as it stands, drawn over at every look; what stood on the terminal before stays."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._remarks = _Remarks()
        self._shown: list[str] = []

    def show(self, look: Look, drawn: Verdict) -> None:
        fresh = self._remarks.new(look)
        if fresh:
            self._write([])
            for remark in fresh:
                complain(f"warning: {remark}", "")
        if look.end is not None:  # the verdict itself follows
            return
        head = f"look {look.number}, {moment(look.at)}; the next in {_pause(look)}"
        said = [head if look.trouble is None else f"{moment(look.at)} {_trouble(look)}"]
        self._write([*said, "", *terminal_text(drawn, self._stream).split("\n")])

    def close(self, why: str) -> None:
        self._write([])
        if why:
            print(why, file=self._stream, flush=True)

    def _write(self, lines: list[str]) -> None:
        columns, rows = terminal_size(self._stream)
        above = sum(_rows(line, columns) for line in self._shown)
        erase = f"\r\x1b[{above}A\x1b[J" if above else "\r\x1b[J"
        self._shown = _cropped(lines, columns, rows - 1)
        self._stream.write(erase + "".join(f"{line}\n" for line in self._shown))
        self._stream.flush()


def _trouble(look: Look) -> str:
    message = "" if look.trouble is None else on_one_line(look.trouble.message)
    return f"no new data: {message}; the next try in {_pause(look)}"


def _pause(look: Look) -> str:
    return span_of_time(max(1, round(look.pause)))


def _rows(line: str, columns: int) -> int:
    """Count the rows that a line takes up."""
    return max(1, -(-len(_SEQUENCE.sub("", line)) // columns))


def _cropped(lines: list[str], columns: int, room: int) -> list[str]:
    """Leave out what does not fit: what has left the terminal at its top cannot be drawn over."""
    if sum(_rows(line, columns) for line in lines) <= room:
        return lines
    kept: list[str] = []
    used = 1
    for line in lines:
        used += _rows(line, columns)
        if used > room:
            break
        kept.append(line)
    return [*kept, f"... {len(lines) - len(kept)} more lines"]
