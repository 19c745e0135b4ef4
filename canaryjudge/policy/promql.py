"""PromQL in tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["Token", "tokens"]

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
    |(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
    |(?P<number>[0-9][0-9a-zA-Z_.]*|\.[0-9]+)
    |(?P<name>[a-zA-Z_:][\w:.]*)
    |(?P<mark>=~|!~|!=|==|>=|<=|.)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A name, a number, a text or a mark, and where it stands."""

    kind: str
    text: str
    at: int


def tokens(query: str) -> list[Token]:
    """Cut a query into tokens; none where a quotation mark is never closed."""
    found: list[Token] = []
    for match in _TOKEN.finditer(query):
        if match[0] in ("'", '"', "`"):
            return []
        if match.lastgroup != "space":
            found.append(Token(str(match.lastgroup), match[0], match.start()))
    return found
