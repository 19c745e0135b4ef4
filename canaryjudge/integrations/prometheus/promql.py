"""Where in a PromQL query the series are chosen, so that one query can ask for either arm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from canaryjudge.policy.promql import Token, tokens
from canaryjudge.policy.query import SELECTOR

__all__ = ["add_selector", "matchers", "on_one_line", "replace_matchers"]

_WORDS: Final = frozenset(("and", "or", "unless", "offset", "bool", "inf", "nan", "atan2", "start", "end"))
_GROUPINGS: Final = frozenset(("by", "without", "on", "ignoring", "group_left", "group_right"))


@dataclass(frozen=True, slots=True)
class _Matcher:
    """A label matcher: where it stands, its label, operator and quoted value."""

    start: int
    end: int
    label: str
    operator: str
    quoted: str

    @property
    def value(self) -> str:
        """What stands between the quotes."""
        return self.quoted[1:-1]

    def with_value(self, value: str) -> str:
        """Write it with another value."""
        mark = self.quoted[0]
        return f"{self.label}{self.operator}{mark}{value}{mark}"


def matchers(query: str) -> list[_Matcher]:
    """Return all label matchers of a query.

    Examples
    --------
    >>> [(each.label, each.operator, each.value) for each in matchers('sum(rate(a{b="c", d=~"e.*"}[1m])) by (b)')]
    [('b', '=', 'c'), ('d', '=~', 'e.*')]
    """
    read = tokens(query)
    found: list[_Matcher] = []
    inside = 0
    for index, token in enumerate(read):
        if token.kind == "mark":
            inside += {"{": 1, "}": -1}.get(token.text, 0)
        if inside and token.kind == "name" and index + 2 < len(read):
            operator, value = read[index + 1 : index + 3]
            if operator.text in ("=", "!=", "=~", "!~") and value.kind == "text":
                end = value.at + len(value.text)
                found.append(_Matcher(token.at, end, token.text, operator.text, value.text))
    return found


def replace_matchers(query: str, chosen: Sequence[_Matcher]) -> str:
    """Put ``${selector}`` in place of some matchers.

    Examples
    --------
    >>> query = 'a{b="c",d="e"} / a{d="e"}'
    >>> replace_matchers(query, [each for each in matchers(query) if each.label == "d"])
    'a{b="c",${selector}} / a{${selector}}'
    """
    for each in sorted(chosen, key=lambda matcher: matcher.start, reverse=True):
        query = query[: each.start] + SELECTOR + query[each.end :]
    return query


def on_one_line(query: str) -> str:
    r"""Write a query on one line, where no comment and no raw text needs its lines.

    Examples
    --------
    >>> on_one_line("sum(\n  up\n)\n")
    'sum( up )'
    """
    return (
        query.strip()
        if "#" in query or "`" in query
        else " ".join(line.strip() for line in query.strip().splitlines())
    )


def add_selector(query: str) -> str | None:
    """Put ``${selector}`` into every choice of series; None where nothing is chosen, or the query cannot be read.

    Examples
    --------
    >>> add_selector('sum(rate(a{b="c"}[1m])) / sum by (le) (d)')
    'sum(rate(a{${selector},b="c"}[1m])) / sum by (le) (d{${selector}})'
    """
    read = tokens(query)
    places = [*_places(read)]
    if not places or query.count("{") != query.count("}"):
        return None
    for at, text in sorted(places, reverse=True):
        query = query[:at] + text + query[at:]
    return query


def _places(read: Sequence[Token]) -> Iterator[tuple[int, str]]:
    """Find where the selector goes: into braces that are there, or into new ones behind a metric's name."""
    braces, lists = 0, 0  # depths of {} and of the parentheses that hold labels
    for index, token in enumerate(read):
        before = read[index - 1].text.lower() if index else ""
        after = read[index + 1].text if index + 1 < len(read) else ""
        if token.text == "{":
            braces += 1
            yield token.at + 1, SELECTOR + ("" if after == "}" else ",")
        elif token.text == "}":
            braces -= 1
        elif token.text == "(" and (lists or before in _GROUPINGS):
            lists += 1
        elif token.text == ")" and lists:
            lists -= 1
        elif token.kind == "name" and not braces and not lists:
            word = token.text.lower()
            if (
                after not in ("(", "{")
                and word not in _WORDS
                and word not in _GROUPINGS
                and not _aggregates(read, index)
            ):
                yield token.at + len(token.text), f"{{{SELECTOR}}}"


def _aggregates(read: Sequence[Token], index: int) -> bool:
    """Return whether a name is that of an aggregation, as in ``sum by (le) (...)``."""
    after = read[index + 1].text.lower() if index + 1 < len(read) else ""
    return after in ("by", "without")
