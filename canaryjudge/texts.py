"""What a stranger wrote, made fit to be printed: every text, error and document that shows a name from data, files or servers has it from here."""

from __future__ import annotations

import json
import re
from typing import Any, Final

__all__ = ["as_json", "cut", "on_one_line", "visible"]

_LONGEST_WORD: Final = 300
"""Characters without a space; no word of ours is as long."""
_UNSEEN: Final = re.compile(
    "[\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)
"""What JSON leaves as it is, though it steers a terminal, turns the order of letters round, is not seen, or is half a character; a fixed list, so that the same verdict is the same bytes for ever."""


def on_one_line(text: str, most: int | None = None) -> str:
    r"""Put a text on one line: what is not printable, and every run of spaces, becomes one space; an endless word is cut, and the line too at `most` characters.

    Examples
    --------
    >>> on_one_line("p99\n\x1b[31m  red\u202e"), on_one_line("canary-2026-03-04", 10)
    ('p99 [31m red', 'canary-20…')
    """
    seen = text if text.isprintable() else "".join(letter if letter.isprintable() else " " for letter in text)
    line = " ".join(cut(word, _LONGEST_WORD) for word in seen.split())
    return line if most is None else cut(line, most)


def cut(text: str, room: int) -> str:
    """Shorten a text to `room` characters, the last of which then says that there was more.

    Examples
    --------
    >>> cut("latency_p99", 8), cut("cpu", 8)
    ('latency…', 'cpu')
    """
    return text if len(text) <= room else text[: room - 1].rstrip() + "…"


def visible(text: str, keep: str = "\n") -> str:
    r"""Write what is not printable as an escape, where names that differ must not become one.

    Examples
    --------
    >>> print(visible("p99\x1b[31m\u202e"))
    p99\u{1b}[31m\u{202e}
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in keep else f"\\u{{{ord(letter):x}}}" for letter in text
    )


def as_json(document: Any) -> str:
    r"""Write a document as JSON for people too: indented, letters as they are, and what cannot be seen as an escape.

    Examples
    --------
    >>> print(as_json({"größe": "a\u202eb"}))
    {
      "größe": "a\u202eb"
    }
    """
    written = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    return _UNSEEN.sub(_escaped, written)


def _escaped(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]
