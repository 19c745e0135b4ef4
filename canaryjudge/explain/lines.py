"""Text on one line, for logs, events and attributes: nothing in it that a terminal or a reader of lines would obey."""

from __future__ import annotations

__all__ = ["cut", "on_one_line"]


def on_one_line(text: str) -> str:
    r"""Put a text on one line: what is not printable, and every run of spaces, becomes one space.

    Examples
    --------
    >>> on_one_line("p99\n\x1b[31m  red")
    'p99 [31m red'
    """
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def cut(text: str, room: int) -> str:
    """Shorten a text to `room` characters, the last of which then says that there was more.

    Examples
    --------
    >>> cut("latency_p99", 8), cut("cpu", 8)
    ('latency…', 'cpu')
    """
    return text if len(text) <= room else text[: room - 1].rstrip() + "…"
