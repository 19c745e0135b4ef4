"""The value of an expression for a metric's result, as Argo Rollouts computes it: what cannot be compared is an error, not false."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from canaryjudge.errors import PolicyError
from canaryjudge.integrations.argo.expressions import (
    CLOSURES,
    Binary,
    Call,
    Conditional,
    Element,
    Expression,
    Fetch,
    Identifier,
    Items,
    Literal,
    Unary,
    parse_expression,
)
from canaryjudge.integrations.argo.go_values import (
    ON_VALUES,
    NoValueError,
    as_number,
    as_truth,
    elements,
    fetched,
    is_number,
    operate,
    type_of,
    typed,
    wrapped,
)

__all__ = ["evaluate", "holds"]

_MOST_STEPS: Final = 1_000_000
_RETURNED: Final = {
    **dict.fromkeys(("len", "asInt", "int"), "int"),
    **dict.fromkeys(("asFloat", "float"), "float64"),
    "isNil": "bool",
    "string": "string",
}
_parsed = lru_cache(maxsize=256)(parse_expression)


def evaluate(expression: str, result: Any) -> Any:
    """Work out an expression.

    Examples
    --------
    >>> evaluate("all(result, # < 0.05)", [0.01, 0.02]), evaluate("default(result, 0)", None)
    (True, 0)
    """
    tree = _parsed(expression)
    try:
        return _Evaluation(result).checked(tree)
    except NoValueError as wrong:
        raise PolicyError(str(wrong)) from None


def holds(condition: str, result: Any) -> bool:
    """Return whether a condition is true for a result.

    Examples
    --------
    >>> holds("isNaN(result) || result >= 0.95", float("nan"))
    True
    """
    value = evaluate(condition, result)
    if not isinstance(value, bool):
        raise PolicyError(f"expected bool, but got {type_of(value)}")
    return value


@dataclass
class _Evaluation:
    """One walk over the tree."""

    result: Any
    steps: int = 0
    elements: list[Any] = field(default_factory=list)
    """The element of each open closure, the innermost last."""

    def __post_init__(self) -> None:
        self.value = typed(self.result)

    def checked(self, tree: Expression) -> Any:
        """Check names and types first, also where they are not reached, as a compiler does."""
        self.kind(tree)
        return self.of(tree)

    # --- before: what is known without running it -----------------------------------------------------------------------------

    def kind(self, tree: Expression) -> str:
        """Return the type as far as it is known beforehand (`any` where not), or find what can never have a value."""
        match tree:
            case Literal(value):
                return type_of(value)
            case Identifier(name, at):
                if name != "result":
                    raise NoValueError(f"unknown name {name} (column {at + 1})")
                return type_of(self.value)
            case Items(items):
                for item in items:
                    self.kind(item)
                return "list"
            case Fetch(of, key, gentle):
                held = self.kind(of)
                self.kind(key)
                if held not in ("list", "map", "any") and not (gentle and held == "nil"):
                    raise NoValueError(f"type {held} has no field or element")
                return "any"
            case Call(function, arguments):
                return self.called(function, [self.kind(each) for each in arguments])
            case Unary(operator, operand):
                held = self.kind(operand)
                _needs(operator, held, "bool" if operator == "!" else "number")
                return held
            case Conditional(condition, then, otherwise):
                _needs("?:", self.kind(condition), "bool")
                kinds = {self.kind(then), self.kind(otherwise)}
                return kinds.pop() if len(kinds) == 1 else "any"
            case Binary(operator, left, right):
                return _binary_kind(operator, self.kind(left), self.kind(right))
            case _:
                return "any"

    @staticmethod
    def called(function: str, kinds: list[str]) -> str:
        """Check the types of a call, and give the type of what it returns."""
        if function in CLOSURES:
            _needs(function, kinds[0], "list", "map")
            if len(kinds) > 1 and function != "map":
                _needs(function, kinds[1], "bool")
            return (
                "bool"
                if function in ("all", "any", "none", "one")
                else "int"
                if function == "count"
                else "list"
            )
        if function in ("isNaN", "isInf"):
            _needs(function, kinds[0], "number")
            return "bool"
        return _RETURNED.get(function, "any")

    # --- and now: its value ---------------------------------------------------------------------------------------------------

    def of(self, tree: Expression) -> Any:
        self.steps += 1
        if self.steps > _MOST_STEPS:
            raise NoValueError(f"the expression takes more than {_MOST_STEPS:,} steps on this result")
        match tree:
            case Literal(value):
                return value
            case Identifier():
                return self.value
            case Element():
                return self.elements[-1]
            case Items(items):
                return [self.of(item) for item in items]
            case Fetch(of, key, gentle):
                holder = self.of(of)
                return None if gentle and holder is None else fetched(holder, self.of(key))
            case Call(function, arguments):
                return self.call(function, arguments)
            case Unary("!", operand):
                return not as_truth(self.of(operand), "!")
            case Unary(operator, operand):
                held = as_number(self.of(operand), operator)
                return wrapped(-held) if operator == "-" else held
            case Conditional(condition, then, otherwise):
                return self.of(then if as_truth(self.of(condition), "?:") else otherwise)
            case Binary("&&", left, right):
                return as_truth(self.of(left), "&&") and as_truth(self.of(right), "&&")
            case Binary("||", left, right):
                return as_truth(self.of(left), "||") or as_truth(self.of(right), "||")
            case Binary("??", left, right):
                held = self.of(left)
                return self.of(right) if held is None else held
            case Binary(operator, left, right):
                return self.counted(
                    operate(operator, self.counted(self.of(left)), self.counted(self.of(right)))
                )

    def counted(self, value: Any) -> Any:
        """Count a step for each element of a list, and for each character of a text."""
        self.steps += len(value) if isinstance(value, list | dict | str) else 0
        return value

    def call(self, function: str, arguments: Sequence[Expression]) -> Any:
        if function in CLOSURES:
            return self.asked(
                function,
                self.counted(self.of(arguments[0])),
                arguments[1] if len(arguments) > 1 else Element(0),
            )
        values = [self.counted(self.of(each)) for each in arguments]
        if (
            function == "isNil"
        ):  # upstream it looks at the result itself, whatever it is given, and so does default
            return self.result is None
        if function == "default":
            return values[1] if self.result is None else self.value
        known = ON_VALUES[function]
        return known(values[0]) if len(values) == 1 else known(values)

    def asked(self, function: str, held: Any, question: Expression) -> Any:
        answers = (self.answer(each, question) for each in elements(held, function))
        if function == "map":
            return list(answers)
        if function == "filter":
            return [
                each for each in elements(held, function) if as_truth(self.answer(each, question), function)
            ]
        truths = (as_truth(each, function) for each in answers)
        if function == "all":
            return all(truths)
        if function == "any":
            return any(truths)
        if function == "none":
            return not any(truths)
        found = sum(truths)
        return found == 1 if function == "one" else found

    def answer(self, element: Any, question: Expression) -> Any:
        self.elements.append(element)
        value = self.of(question)
        self.elements.pop()
        return value


def _needs(operator: str, kind: str, *wanted: str) -> None:
    if kind != "any" and kind not in wanted and not ("number" in wanted and is_number(kind)):
        raise NoValueError(f"invalid operation: {operator} takes {' or '.join(wanted)}, found {kind}")


def _binary_kind(operator: str, left: str, right: str) -> str:
    mismatch = NoValueError(f"invalid operation: {operator} (mismatched types {left} and {right})")
    loose = "any" in (left, right)
    numbers = is_number(left) and is_number(right)
    if operator in ("&&", "||"):
        _needs(operator, left, "bool")
        _needs(operator, right, "bool")
        return "bool"
    if operator == "??":
        return "any"
    if operator in ("==", "!="):
        if not (loose or numbers or left == right or "nil" in (left, right)):
            raise mismatch
        return "bool"
    if operator == "in":
        _needs(operator, right, "list", "map")
        return "bool"
    if operator in ("contains", "startsWith", "endsWith"):
        _needs(operator, left, "string")
        _needs(operator, right, "string")
        return "bool"
    texts = (
        left in ("string", "any") and right in ("string", "any") and operator in ("<", ">", "<=", ">=", "+")
    )
    if not (texts or all(kind == "any" or is_number(kind) for kind in (left, right))):
        raise mismatch
    if operator in ("<", ">", "<=", ">="):
        return "bool"
    if not numbers:
        return "any"
    return "float64" if operator in ("/", "**") or "float64" in (left, right) else "int"
