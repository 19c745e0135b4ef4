"""The expression language of conditions, as far as Argo Rollouts' users write it (expr-lang): text -> a tree, within bounds.

What is outside this grammar is refused with a sentence, never guessed. Nothing is ever handed to Python's own `eval`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from canaryjudge.errors import PolicyError
from canaryjudge.quantities import shown

__all__ = [
    "CLOSURES",
    "FUNCTIONS",
    "Binary",
    "Call",
    "Conditional",
    "Element",
    "Expression",
    "Fetch",
    "Identifier",
    "Items",
    "Literal",
    "Unary",
    "parse_expression",
]

_LONGEST: Final = 10_000
_DEEPEST: Final = 50
_MOST_LINKS: Final = 250

CLOSURES: Final = frozenset({"all", "any", "none", "one", "count", "filter", "map"})
"""Functions whose second argument is asked of each element."""
FUNCTIONS: Final[Mapping[str, tuple[int, int]]] = {
    **dict.fromkeys(CLOSURES, (2, 2)),
    "count": (1, 2),
    **dict.fromkeys(
        ("len", "abs", "ceil", "floor", "round", "int", "float", "string", "first", "last"), (1, 1)
    ),
    **dict.fromkeys(("asInt", "asFloat", "isNaN", "isInf", "isNil"), (1, 1)),
    "default": (2, 2),
    **dict.fromkeys(("max", "min", "sum", "mean", "median"), (1, 50)),
}
"""Each function, and how many arguments it takes at least and at most."""
_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<number>(?:\d[\d_]*(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
    |(?P<name>[A-Za-z_$][\w$]*)
    |(?P<mark>\?\.|\?\?|\*\*|&&|\|\||==|!=|<=|>=|[-+*/%^<>!?:.,\#()\[\]{}])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_LARGEST_DIGITS: Final = 19
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_CONSTANTS: Final = {"true": True, "false": False, "nil": None}
_SAME: Final = {"and": "&&", "or": "||", "^": "**"}
_COMPARISONS: Final = ("<", ">", "<=", ">=")
_STRENGTHS: Final[Mapping[str, int]] = {
    "||": 10,
    "&&": 15,
    **dict.fromkeys(("==", "!=", "<", ">", "<=", ">=", "in", "contains", "startsWith", "endsWith"), 20),
    **dict.fromkeys(("+", "-"), 30),
    **dict.fromkeys(("*", "/", "%"), 60),
    "**": 100,
    "??": 500,
}
_UNARY: Final[Mapping[str, int]] = {"!": 50, "not": 50, "-": 90, "+": 90}
_RESERVED: Final = (
    "and",
    "or",
    "not",
    "in",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "let",
    "if",
    "else",
)


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, a text, a truth value, or nothing (`nil`)."""

    value: float | str | bool | None


@dataclass(frozen=True, slots=True)
class Identifier:
    """A variable."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Element:
    """The element that a closure is asked about: ``#``."""

    at: int


@dataclass(frozen=True, slots=True)
class Items:
    """A list that is written out."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Fetch:
    """A field or an element: ``of.key``, ``of[key]``; `gentle` is ``of?.key``."""

    of: Expression
    key: Expression
    gentle: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Unary:
    """``!``, ``-`` or ``+``."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands; ``and``, ``or`` are written ``&&``, ``||``."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Conditional:
    """``condition ? then : otherwise``."""

    condition: Expression
    then: Expression
    otherwise: Expression


Expression = Literal | Identifier | Element | Items | Fetch | Call | Unary | Binary | Conditional


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def parse_expression(text: str) -> Expression:
    """Read an expression.

    Examples
    --------
    >>> parse_expression("result[0] >= 0.95")
    Binary(operator='>=', left=Fetch(of=Identifier(name='result', at=0), key=Literal(value=0), gentle=False), right=Literal(value=0.95))
    """
    if len(text) > _LONGEST:
        raise PolicyError(
            f"the expression has {len(text):,} characters, and at most {_LONGEST:,} are read", "Shorten it."
        )
    parser = _Parser(_tokens(text), text)
    tree = parser.expression(0)
    if parser.current.kind != "end":
        raise parser.unexpected()
    return tree


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or (match[0] == "/" and text.startswith("/*", at)):
            raise _refused(text, at, f"{shown(text[at])} is not understood")
        kind = str(match.lastgroup)
        if kind != "space":
            tokens.append(_Token(kind, match[0], at))
        at = match.end()
    return [*tokens, _Token("end", "", len(text))]


def _refused(text: str, at: int, what: str) -> PolicyError:
    line = text.count("\n", 0, at) + 1
    where = f"column {at - text.rfind(chr(10), 0, at)}"
    return PolicyError(f"{f'line {line}, ' if line > 1 else ''}{where}: {what}")


@dataclass
class _Parser:
    """Reads by precedence climbing; the depth is counted, so that no text can exhaust the stack."""

    tokens: list[_Token]
    text: str
    position: int = 0
    depth: int = 0
    links: int = 0
    """How many operators and fields have been read: a chain of them is as deep a tree as one of parentheses."""
    inside: int = field(default=0)
    """How many closures are open, in which ``#`` means something."""

    @property
    def current(self) -> _Token:
        return self.tokens[self.position]

    def next(self) -> _Token:
        token = self.current
        self.position += 1
        return token

    def take(self, mark: str) -> bool:
        """Go past a mark or a word if it stands here."""
        if self.current.kind in ("mark", "name") and self.current.text == mark:
            self.position += 1
            return True
        return False

    def need(self, mark: str) -> None:
        if not self.take(mark):
            raise self.unexpected(f", where {mark} was expected")

    def unexpected(self, more: str = "") -> PolicyError:
        found = shown(self.current.text) if self.current.kind != "end" else "the end"
        return _refused(self.text, self.current.at, f"unexpected {found}{more}")

    def linked(self) -> None:
        """Count an operator or a field."""
        self.links += 1
        if self.links > _MOST_LINKS:
            raise _refused(
                self.text, self.current.at, f"the expression has more than {_MOST_LINKS} operators and fields"
            )

    def operator(self) -> tuple[str, bool, int]:
        """Return which binary operator stands here, whether ``not`` stands before it, and of how many tokens it is."""
        token = self.current
        if token.kind not in ("mark", "name"):
            return "", False, 0
        if token.text == "not":
            after = self.tokens[self.position + 1].text
            return (
                (after, True, 2) if after in ("in", "contains", "startsWith", "endsWith") else ("", False, 0)
            )
        name = _SAME.get(token.text, token.text)
        return (name, False, 1) if name in _STRENGTHS else ("", False, 0)

    def expression(self, weakest: int) -> Expression:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _refused(self.text, self.current.at, f"the expression is nested more than {_DEEPEST} deep")
        left = self.operand()
        while True:
            operator, negated, tokens = self.operator()
            if not operator or _STRENGTHS[operator] < weakest:
                break
            self.linked()
            self.position += tokens
            strength = _STRENGTHS[operator]
            if operator in _COMPARISONS:
                left = self.chain(left, operator)
            else:
                right = self.expression(strength if operator == "**" else strength + 1)
                left = Binary(operator, left, right)
            left = Unary("!", left) if negated else left
        if weakest == 0 and self.take("?"):
            then = self.expression(0)
            self.need(":")
            left = Conditional(left, then, self.expression(0))
        self.depth -= 1
        return left

    def chain(self, left: Expression, operator: str) -> Expression:
        """Read ``a < b < c`` as ``a < b && b < c``."""
        whole: Expression | None = None
        while True:
            right = self.expression(_STRENGTHS[operator] + 1)
            link = Binary(operator, left, right)
            whole = link if whole is None else Binary("&&", whole, link)
            if self.current.kind != "mark" or self.current.text not in _COMPARISONS:
                return whole
            self.linked()
            left, operator = right, self.next().text

    def operand(self) -> Expression:
        token = self.current
        if token.kind in ("mark", "name") and token.text in _UNARY:
            self.position += 1
            operator = "!" if token.text == "not" else token.text
            return Unary(operator, self.expression(_UNARY[token.text]))
        return self.fetches(self.atom())

    def atom(self) -> Expression:
        token = self.current
        if token.kind == "number":
            return Literal(self.number(self.next()))
        if token.kind == "text":
            return Literal(_text(self.next().text))
        if token.kind == "name" and token.text not in _RESERVED:
            self.position += 1
            if token.text in _CONSTANTS:
                return Literal(_CONSTANTS[token.text])
            return self.call(token) if self.take("(") else Identifier(token.text, token.at)
        if token.kind == "mark":
            if token.text == "#" and self.inside:
                self.position += 1
                return Element(token.at)
            if token.text == "." and self.inside:  # .value is #.value
                return Element(token.at)
            if self.take("("):
                inner = self.expression(0)
                self.need(")")
                return inner
            if self.take("["):
                return Items(tuple(self.listed("]")))
        raise self.unexpected()

    def number(self, token: _Token) -> float:
        digits = token.text.replace("_", "")
        if not digits.isdigit():
            return float(digits)
        if len(digits.lstrip("0")) > _LARGEST_DIGITS or int(digits) >= 1 << 63:
            raise _refused(self.text, token.at, "a whole number does not fit 64 bits")
        return int(digits)

    def listed(self, end: str) -> list[Expression]:
        items: list[Expression] = []
        while not self.take(end):
            if items:
                self.need(",")
                if self.take(end):
                    break
            items.append(self.expression(0))
        return items

    def call(self, token: _Token) -> Expression:
        function = token.text
        if function not in FUNCTIONS:
            raise _refused(self.text, token.at, f"the function {shown(function)} is not known")
        arguments: list[Expression] = []
        while not self.take(")"):
            if arguments:
                self.need(",")
            closure = function in CLOSURES and len(arguments) == 1
            arguments.append(self.closure() if closure else self.expression(0))
        fewest, most = FUNCTIONS[function]
        if not fewest <= len(arguments) <= most:
            needed = str(fewest) if fewest == most else f"{fewest} to {most}"
            raise _refused(
                self.text, token.at, f"{function} takes {needed} arguments, found {len(arguments)}"
            )
        return Call(function, tuple(arguments))

    def closure(self) -> Expression:
        braced = self.take("{")
        self.inside += 1
        inner = self.expression(0)
        self.inside -= 1
        if braced:
            self.need("}")
        return inner

    def fetches(self, of: Expression) -> Expression:
        while self.current.kind == "mark" and self.current.text in (".", "?.", "["):
            self.linked()
            gentle = self.current.text == "?."
            if self.next().text == "[" or (gentle and self.take("[")):
                key = self.expression(0)
                self.need("]")
            elif self.current.kind == "name":
                key = Literal(self.next().text)
            else:
                raise self.unexpected(", where the name of a field was expected")
            if self.current.kind == "mark" and self.current.text == "(":
                raise _refused(self.text, self.current.at, "methods are not called")
            of = Fetch(of, key, gentle)
        return of


def _text(written: str) -> str:
    inner = written[1:-1]
    if written[0] == "`":
        return inner

    def read(match: re.Match[str]) -> str:
        code = match[1] or match[2]
        return chr(int(code, 16)) if code else _ESCAPES.get(match[3], match[3])

    return _ESCAPE.sub(read, inner)
