"""PromQL, as far as it must be understood: its tokens, its parts, and what a query answers where there is no series at all."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, NamedTuple

from canaryjudge.limits import QUERY_CHARACTERS

__all__ = ["PromqlPart", "Token", "made_up", "number_of", "parse_promql", "tokens", "value_of_nothing"]

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
    |(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
    |(?P<number>[0-9][0-9a-zA-Z_.]*|\.[0-9]+)
    |(?P<name>[a-zA-Z_:][\w:.]*)
    |(?P<mark>=~|!~|!=|==|>=|<=|.)""",
    re.VERBOSE | re.DOTALL,
)
_STRENGTHS: Final = {
    "default": 0,  # of VictoriaMetrics
    "or": 1,
    **dict.fromkeys(("and", "unless"), 2),
    **dict.fromkeys(("==", "!=", "<", ">", "<=", ">="), 3),
    **dict.fromkeys(("+", "-"), 4),
    **dict.fromkeys(("*", "/", "%", "atan2"), 5),
    "^": 6,
}
_COMPARED: Final[dict[str, Callable[[float, float], bool]]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    ">": lambda left, right: left > right,
    "<=": lambda left, right: left <= right,
    ">=": lambda left, right: left >= right,
}
_MATCHING: Final = ("on", "ignoring", "group_left", "group_right")
_GROUPED: Final = ("by", "without")
_AS_IT_IS: Final = frozenset(
    (
        *("vector", "sum", "avg", "min", "max", "sort", "sort_desc", "label_replace", "label_join"),
        *("avg_over_time", "min_over_time", "max_over_time", "last_over_time", "quantile_over_time"),
        *("topk", "bottomk", "quantile"),
    )
)
"""Functions and aggregations that give a constant back as it is."""
_DEEPEST: Final = 60
_MOST_OPERATORS: Final = 200
"""A chain of them is a tree as deep as it is long, through which everybody walks."""
_TEXT: Final = re.compile(r'"(?:\\.|[^"\\])*(?:"|$)|\'(?:\\.|[^\'\\])*(?:\'|$)|`[^`]*(?:`|$)', re.DOTALL)
_COMMENT: Final = re.compile(r"#[^\n]*")
_OF_PROMQL: Final = ("or vector()", "default")
_MADE_UP: Final = {
    name: re.compile(pattern, re.IGNORECASE)
    for name, pattern in (
        ("or vector()", r"\bor\b(?: (?:on|ignoring) ?\([^()]*\))?[ (]*(?:label_replace ?\( ?)?vector ?\("),
        ("default", r"\bdefault -?[0-9.]"),
        ("default_zero()", r"\bdefault_zero ?\("),
        ("fill()", r"\bfill ?\( ?(?:value ?[:=] ?)?(?!null|none)[\w\"'.-]"),
        ("fillna()", r"\bfill_?na ?\("),
        ("coalesce()", r"\b(?:coalesce|ifnull|isnull|nvl|zn) ?\("),
        ("transformNull()", r"\b(?:transformNull|keepLastValue|fallbackSeries|interpolate) ?\("),
        ("keep_last_value()", r"\bkeep_(?:last|next)_value ?\("),
        ("default()", r"\bdefault ?\( ?-?[0-9.]"),
    )
}
"""How queries, of whatever language, put a value where nothing was measured."""


class Token(NamedTuple):
    """A name, a number, a text or a mark, and where it stands."""

    kind: str
    text: str
    at: int

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.at + len(self.text)


@dataclass(frozen=True, slots=True)
class PromqlPart:
    """A part of a query.

    Attributes
    ----------
    kind : str
        ``number``, ``text``, ``series`` (chosen by a name and labels), ``call``, or ``operator``.
    name : str
        The function's or the operator's; the number or text as it is written.
    start, end : int
        Where it stands.
    parts : tuple of PromqlPart
        The arguments, or both sides.
    truth : bool
        Whether a comparison gives 0 or 1, and does not filter.
    """

    kind: str
    name: str
    start: int
    end: int
    parts: tuple[PromqlPart, ...] = ()
    truth: bool = False


@lru_cache(maxsize=1)
def tokens(query: str) -> tuple[Token, ...]:
    """Cut a query into tokens; none where a quotation mark is never closed. Who reads a query asks several times."""
    found: list[Token] = []
    for match in _TOKEN.finditer(query):
        kind, text = match.lastgroup, match[0]
        if text in ("'", '"', "`"):
            return ()
        if kind != "space":
            found.append(Token(str(kind), text, match.start()))
    return tuple(found)


def parse_promql(query: str) -> PromqlPart | None:
    """Read a query; None where it is not understood.

    Examples
    --------
    >>> parse_promql('sum(a{b="c"}) / 2').name, parse_promql("sum(")
    ('/', None)
    """
    reader = _Reader(tokens(query))
    try:
        tree = reader.expression(0)
    except (_UnreadError, IndexError):
        return None
    return tree if reader.position == len(reader.read) else None


def value_of_nothing(tree: PromqlPart) -> float | None:
    """Return what a query answers where no series exists: None for no answer, NaN for one that is not followed.

    Examples
    --------
    >>> value_of_nothing(parse_promql("(sum(good) or vector(1)) / (sum(all) or vector(1))"))
    1.0
    >>> value_of_nothing(parse_promql("(sum(bad) or vector(0)) / sum(all)")) is None
    True
    """
    values = [value_of_nothing(part) for part in tree.parts]
    if tree.kind == "number":
        return number_of(tree.name)
    if tree.kind == "operator":
        return _operated(tree, values)
    if tree.kind != "call":
        return None
    if tree.name.startswith("absent"):
        return 1.0 if values and values[0] is None else None
    if tree.name in ("time", "pi") or (tree.name == "scalar" and values == [None]):
        return math.nan
    if tree.name in ("vector", "scalar"):
        return values[0] if values else None
    pairs = zip(tree.parts, values, strict=True)
    series = next((value for part, value in pairs if part.kind not in ("text", "number")), None)
    return series if series is None or tree.name in _AS_IT_IS else math.nan


@lru_cache(maxsize=256)
def made_up(query: str) -> tuple[str, float | None] | None:
    """Return what puts a value where nothing was measured, and the answer that this makes of no data at all; None where nothing does.

    Examples
    --------
    >>> made_up("sum(rate(a[1m])) or on() vector(0)")
    ('or vector()', 0.0)
    >>> made_up("(sum(a) or vector(0)) / sum(b)"), made_up("sum(a) / sum(b)")
    (('or vector()', None), None)
    """
    query = query[:QUERY_CHARACTERS]
    bare = " ".join(_COMMENT.sub("", _TEXT.sub('""', query)).split())
    what = next((name for name, pattern in _MADE_UP.items() if pattern.search(bare)), "")
    tree = parse_promql(query) if what in ("", *_OF_PROMQL) else None
    value = None if tree is None else value_of_nothing(tree)
    if not what and (value is None or not _alternative(tree)):
        return None
    return what or "a constant", math.nan if tree is None else value


def _alternative(tree: PromqlPart | None) -> bool:
    """Return whether a query asks for one thing or, where that is missing, for another."""
    return tree is not None and (tree.name in ("or", "default") or any(map(_alternative, tree.parts)))


def _operated(tree: PromqlPart, values: list[float | None]) -> float | None:
    left, right = values[0], values[-1]
    if tree.name in ("or", "default"):
        if left is None and right is None and tree.parts[1].name == "*" and _zero(tree.parts[1]):
            return 0.0
        return right if left is None else left
    if len(values) == 1:
        return None if left is None else -left if tree.name == "-" else left
    if tree.name == "unless":
        return left if right is None else None
    if left is None or right is None:
        return None
    if tree.name == "and":
        return left
    if tree.name in _COMPARED:
        holds = _COMPARED[tree.name](left, right)
        return float(holds) if tree.truth else left if holds else None
    if tree.name == "/":
        return left / right if right else math.nan
    return {"+": left + right, "-": left - right, "*": left * right}.get(tree.name, math.nan)


def _zero(tree: PromqlPart) -> bool:
    return any(part.kind == "number" and number_of(part.name) == 0 for part in tree.parts)


def number_of(text: str) -> float:
    """Read a number; NaN where it is none.

    Examples
    --------
    >>> number_of("0x10"), number_of("5m")
    (16.0, nan)
    """
    try:
        return float(int(text, 16)) if text.lower().startswith("0x") else float(text)
    except ValueError:
        return math.nan


class _UnreadError(Exception):
    """What stands there is not understood."""


class _Reader:
    """One walk over the tokens."""

    def __init__(self, read: Sequence[Token]) -> None:
        self.read = read
        self.position = 0
        self.depth = self.operators = 0

    @property
    def word(self) -> str:
        return self.read[self.position].text if self.position < len(self.read) else ""

    def next(self) -> Token:
        self.position += 1
        return self.read[self.position - 1]

    def need(self, text: str) -> Token:
        token = self.next()
        if token.text != text:
            raise _UnreadError
        return token

    def expression(self, weakest: int) -> PromqlPart:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _UnreadError
        left = self.operand()
        while (strength := _STRENGTHS.get(self.word.lower(), -1)) >= weakest:
            self.operators += 1
            if self.operators > _MOST_OPERATORS:
                raise _UnreadError
            name = self.next().text.lower()
            truth = self.word.lower() == "bool"
            self.position += truth
            while self.word.lower() in _MATCHING:
                self.position += 1
                if self.word == "(":
                    self.skip("(", ")")
            right = self.expression(strength + (name != "^"))
            left = PromqlPart("operator", name, left.start, right.end, (left, right), truth)
        self.depth -= 1
        return left

    def operand(self) -> PromqlPart:
        if self.word in ("-", "+"):
            sign = self.next()
            inner = self.expression(5)
            return PromqlPart("operator", sign.text, sign.at, inner.end, (inner,))
        part = self.atom()
        while self.word == "[" or self.word.lower() in ("offset", "@"):
            if self.word == "[":
                end = self.skip("[", "]")
            else:
                self.position += 1
                self.position += self.word == "-"
                end = self.next().end
                if self.word == "(":
                    end = self.skip("(", ")")
            part = replace(part, end=end)
        return part

    def atom(self) -> PromqlPart:
        token = self.next()
        if token.text == "(":
            inner = self.expression(0)
            return replace(inner, start=token.at, end=self.need(")").end)
        if token.text == "{":
            self.position -= 1
            return PromqlPart("series", "", token.at, self.skip("{", "}"))
        if token.kind in ("number", "text"):
            return PromqlPart(token.kind, token.text, token.at, token.end)
        if token.kind != "name":
            raise _UnreadError
        name = token.text.lower()
        if name in ("inf", "nan"):
            return PromqlPart("number", name, token.at, token.end)
        if self.word.lower() in _GROUPED:
            self.grouped()
        if self.word == "(":
            parts, end = self.arguments()
            end = self.grouped() if self.word.lower() in _GROUPED else end
            return PromqlPart("call", name, token.at, end, parts)
        end = self.skip("{", "}") if self.word == "{" else token.end
        return PromqlPart("series", token.text, token.at, end)

    def grouped(self) -> int:
        self.position += 1
        if self.word != "(":
            raise _UnreadError
        return self.skip("(", ")")

    def arguments(self) -> tuple[tuple[PromqlPart, ...], int]:
        self.need("(")
        parts: list[PromqlPart] = []
        while self.word != ")":
            if parts:
                self.need(",")
            parts.append(self.expression(0))
        return tuple(parts), self.next().end

    def skip(self, opened: str, closed: str) -> int:
        depth = 0
        while True:
            token = self.next()
            depth += {opened: 1, closed: -1}.get(token.text, 0)
            if depth == 0:
                return token.end
