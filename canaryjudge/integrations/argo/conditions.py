"""The conditions of an Argo Rollouts metric as bounds on one number, where they are such; else the reason why they are not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from canaryjudge.errors import PolicyError
from canaryjudge.integrations.argo.evaluation import evaluate
from canaryjudge.integrations.argo.expressions import (
    Binary,
    Call,
    Element,
    Expression,
    Fetch,
    Identifier,
    Literal,
    Unary,
    parse_expression,
)
from canaryjudge.integrations.bounds import AllowedRange, Edge

__all__ = ["Conditions", "NotBoundsError", "bounds_of"]

_CONTRARY: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_EVERY: Final = "every value of an answer is one point"


class NotBoundsError(Exception):
    """A condition does not bound one number: why."""


@dataclass
class Conditions:
    """What was found in a condition.

    Attributes
    ----------
    bounds : AllowedRange
        What it allows; of a failure condition, what it does not fail.
    subject : str
        What is bounded: ``result``, or a field of it.
    notes : list of str
        What was left out of it, and what that means.
    """

    bounds: AllowedRange = field(default_factory=AllowedRange)
    subject: str = ""
    notes: list[str] = field(default_factory=list)


def bounds_of(condition: str, *, fails: bool = False) -> Conditions:
    """Read a condition as bounds.

    Examples
    --------
    >>> bounds_of("isNaN(result) || result[0] >= 0.95").bounds
    AllowedRange(low=Edge(value=0.95, strict=False), high=None)
    >>> bounds_of("result > 5 || result < 1", fails=True).bounds
    AllowedRange(low=Edge(value=1, strict=False), high=Edge(value=5, strict=False))
    """
    try:
        tree = parse_expression(condition)
    except PolicyError as error:
        raise NotBoundsError(f"it is outside the grammar that is read: {error.message}") from None
    found = Conditions()
    _read(tree, found, fails=fails)
    if found.bounds == AllowedRange():
        raise NotBoundsError("it bounds no number")
    if found.bounds.empty:
        raise NotBoundsError("nothing can meet it")
    if not found.bounds.finite:
        raise NotBoundsError("its bound is not finite")
    return found


def _read(tree: Expression, found: Conditions, *, fails: bool) -> None:
    """Add what a part of the condition allows; all parts must hold at once."""
    joined, parted = ("||", "&&") if fails else ("&&", "||")
    match tree:
        case Unary("!", operand):
            _read(operand, found, fails=not fails)
        case Binary(operator, left, right) if operator == joined:
            _read(left, found, fails=fails)
            _read(right, found, fails=fails)
        case Binary(operator, left, right) if operator == parted:
            _guarded(left, right, found, fails=fails)
        case _ if guard := _guard(tree):
            found.notes.append(f"{guard} is asked apart: {_about_guard(fails=fails, alone=True)}")
        case Call("all" | "any" | "none" as function, (of, question)):
            if function != ("any" if fails else "all") and not (function == "none" and not fails):
                raise NotBoundsError(f"{function}() holds for some of the values, and not for every one")
            found.notes.append(_EVERY)
            _question(question, of, found, fails=fails or function == "none")
        case _:
            _compared(tree, None, found, fails=fails)


def _guarded(left: Expression, right: Expression, found: Conditions, *, fails: bool) -> None:
    """Read ``isNaN(result) || ...`` without its first part: one is enough here, and one is only about missing data."""
    guards = [side for side in (left, right) if _guard(side)]
    if len(guards) != 1:
        how = "both of two conditions must fail it" if fails else "one of two conditions is enough"
        raise NotBoundsError(f"{how}, which is no bound on one number")
    found.notes.append(f"{_guard(guards[0])} is let through by it: {_about_guard(fails=fails, alone=False)}")
    _read(right if guards[0] is left else left, found, fails=fails)


def _about_guard(*, fails: bool, alone: bool) -> str:
    if alone and not fails:
        return "an arm without data makes a metric marginal; write no_data: fail if it is to fail the release"
    return "an arm without data makes a metric marginal; write no_data: ignore if it is not to count"


def _guard(tree: Expression) -> str:
    """Return what of missing data a part asks about; nothing where it asks about something else."""
    match tree:
        case Call("isNaN" | "isInf" | "isNil" as function, (of,)) if _subject(of):
            return {"isNaN": "NaN", "isInf": "an infinity", "isNil": "a missing result"}[function]
        case Binary("==" | "!=", left, right) if Literal(None) in (left, right):
            return "a missing result"
        case Binary(_, Call("len", (of,)), Literal(int())) | Binary(
            _, Literal(int()), Call("len", (of,))
        ) if _subject(of):
            return "an empty result, or a short one,"
        case Unary("!", operand):
            return _guard(operand)
    return ""


def _question(tree: Expression, of: Expression, found: Conditions, *, fails: bool) -> None:
    """Read what a closure asks of each element."""
    match tree:
        case Binary(operator, left, right) if operator == ("||" if fails else "&&"):
            _question(left, of, found, fails=fails)
            _question(right, of, found, fails=fails)
        case _:
            _compared(tree, of, found, fails=fails)


def _compared(tree: Expression, of: Expression | None, found: Conditions, *, fails: bool) -> None:
    """Read one comparison of the number with a constant."""
    if isinstance(tree, Binary) and tree.operator in ("==", "!="):
        raise NotBoundsError(
            "it asks whether two values are equal, and only bounds on a number can be judged"
        )
    if not isinstance(tree, Binary) or tree.operator not in _CONTRARY:
        what = "is always the same" if isinstance(tree, Literal) else "compares no number with a bound"
        raise NotBoundsError(f"it {what}")
    operator, subject, bound = tree.operator, _subject(tree.left, of), _constant(tree.right)
    if not subject or bound is None:
        operator, subject, bound = _MIRRORED[operator], _subject(tree.right, of), _constant(tree.left)
    if not subject or bound is None:
        raise NotBoundsError("it does not compare the result itself with a number")
    if found.subject not in ("", subject):
        raise NotBoundsError(f"it is about several values of an answer ({found.subject} and {subject})")
    reducer = _reducer(tree.left) or _reducer(tree.right)
    operator = _CONTRARY[operator] if fails else operator
    if reducer:
        if (reducer == "max") != (operator in ("<", "<=")):
            raise NotBoundsError(f"{reducer}() bounds one of the values, and not every one")
        found.notes.append(_EVERY)
    found.notes += _about_default(tree.left) + _about_default(tree.right)
    found.subject = subject
    edge = Edge(bound, strict=operator in ("<", ">"))
    found.bounds = found.bounds.within(
        AllowedRange(low=edge) if operator in (">", ">=") else AllowedRange(high=edge)
    )


def _reducer(tree: Expression) -> str:
    return (
        tree.function
        if isinstance(tree, Call) and tree.function in ("max", "min") and len(tree.arguments) == 1
        else ""
    )


def _about_default(tree: Expression) -> list[str]:
    if isinstance(tree, Call) and tree.function == "default":
        return [
            "a missing result counts as a number in it: an arm without data makes a metric marginal (or write no_data)"
        ]
    return []


def _subject(tree: Expression, of: Expression | None = None) -> str:
    """Name the number that a comparison is about; nothing where it is worked out of several."""
    match tree:
        case Identifier("result"):
            return "result"
        case Element() if of is not None:
            return _subject(of)
        case Call("asInt" | "asFloat" | "float" | "max" | "min", (inner,)):
            return _subject(inner, of)
        case Call("default", (inner, _)):
            return _subject(inner, of)
        case Fetch(inner, Literal(str() as key)):
            held = _subject(inner, of)
            return f"{held}.{key}" if held else ""
        case Fetch(inner, Literal(int() as index)):
            held = _subject(inner, of)
            return held if index == 0 or not held else f"{held}[{index}]"
    return ""


def _constant(tree: Expression) -> float | None:
    """Return the number that an expression without a result is."""
    match tree:
        case Literal(value):
            return value if isinstance(value, int | float) and not isinstance(value, bool) else None
        case Unary("-" | "+" as operator, operand):
            number = _constant(operand)
            return None if number is None else -number if operator == "-" else number
        case Binary("+" | "-" | "*" | "/" as operator, left, right):
            numbers = _constant(left), _constant(right)
            if numbers[0] is None or numbers[1] is None:
                return None
            return float(evaluate(f"{float(numbers[0])!r} {operator} ({float(numbers[1])!r})", None))
    return None
