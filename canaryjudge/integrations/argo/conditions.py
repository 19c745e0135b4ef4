"""The conditions of an Argo Rollouts metric as bounds on one number, where they are such; else the reason why they are not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from canaryjudge.errors import PolicyError
from canaryjudge.integrations.argo.evaluation import evaluate
from canaryjudge.integrations.argo.expressions import (
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
from canaryjudge.integrations.bounds import AllowedRange, Edge

__all__ = ["Conditions", "NotBoundsError", "bounds_of"]

_CONTRARY: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_RESULT: Final = Identifier("result", 0)
_MISSING: Final = (Literal(None), Literal(""), Items(()))
_TRUE: Final = Literal(True)  # noqa: FBT003 - a truth value of the language


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
        What is bounded: ``result``, or a field of it; ``every value of result`` where each of its values is.
    every : bool
        Whether each value of an answer is bounded, and not one number.
    notes : list of str
        What was left out of it, and what that means.
    """

    bounds: AllowedRange = field(default_factory=AllowedRange)
    subject: str = ""
    every: bool = False
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
    _read(tree, None, found, fails=fails)
    if found.bounds == AllowedRange():
        raise NotBoundsError("it bounds no number")
    if found.bounds.empty:
        raise NotBoundsError("nothing can meet it")
    if not found.bounds.finite:
        raise NotBoundsError("its bound is not finite")
    return found


def _read(tree: Expression, of: Expression | None, found: Conditions, *, fails: bool) -> None:
    """Add what a part of the condition allows; all parts must hold at once. `of` is whose elements a closure asks about."""
    joined, parted = ("||", "&&") if fails else ("&&", "||")
    match tree:
        case _ if guard := _guard(tree):
            if guard.missing != fails:
                raise NotBoundsError(f"it bounds no number: {guard.what} is what it asks for")
            found.notes.append(f"{guard.what} is asked apart: {_about_guard(let_through=False)}")
        case Unary("!", operand):
            _read(operand, of, found, fails=not fails)
        case Binary(operator, counted, Literal(int() as size)) if found_in := _counted(
            counted, operator, size
        ):
            _read(found_in, of, found, fails=fails)
        case Conditional(condition, then, otherwise):
            _read(_without_choice(condition, then, otherwise), of, found, fails=fails)
        case Binary(operator) if operator == joined:
            for part in _chain(tree, joined):
                _read(part, of, found, fails=fails)
        case Binary(operator) if operator == parted:
            _guarded(_chain(tree, parted), of, found, fails=fails)
        case Call("all" | "any" | "none" as function, (elements, question)) if of is None:
            if function != ("any" if fails else "all") and not (function == "none" and not fails):
                raise NotBoundsError(f"{function}() holds for some of the values, and not for every one")
            _read(question, elements, found, fails=fails or function == "none")
        case _:
            _compared(tree, of, found, fails=fails)


def _counted(tree: Expression, operator: str, size: int) -> Expression | None:
    """Write ``count(result, # > 5) == 0`` as ``none(result, # > 5)``, and its like; None where it counts something else."""
    match tree:
        case Call("count", (elements, question)) | Call("len", (Call("filter", (elements, question)),)):
            if (operator, size) in (("==", 0), ("<=", 0), ("<", 1)):
                return Call("none", (elements, question))
            if (operator, size) in (("!=", 0), (">", 0), (">=", 1)):
                return Call("any", (elements, question))
    return None


def _chain(tree: Expression, operator: str) -> list[Expression]:
    """List the parts that one operator joins, in whatever order they are bracketed."""
    match tree:
        case Binary(joined, left, right) if joined == operator:
            return [*_chain(left, operator), *_chain(right, operator)]
    return [tree]


def _without_choice(condition: Expression, then: Expression, otherwise: Expression) -> Expression:
    """Write ``a ? true : b`` as ``a || b``, and its like."""
    false = Literal(False)  # noqa: FBT003 - a truth value of the language
    if then == _TRUE:
        return Binary("||", condition, otherwise)
    if otherwise == false:
        return Binary("&&", condition, then)
    if otherwise == _TRUE:
        return Binary("||", Unary("!", condition), then)
    if then == false:
        return Binary("&&", Unary("!", condition), otherwise)
    raise NotBoundsError("it asks one of two things, which is no bound on one number")


def _guarded(parts: list[Expression], of: Expression | None, found: Conditions, *, fails: bool) -> None:
    """Read ``isNaN(result) || ...`` without what is only about missing data: one of the parts is enough here."""
    guards = [guard for part in parts if (guard := _guard(part))]
    rest = [part for part in parts if not _guard(part)]
    if odd := [guard for guard in guards if guard.missing == fails]:
        always = "fails nothing" if fails else "holds"
        raise NotBoundsError(f"with data it always {always}: {odd[0].what} is asked the other way round")
    if len(rest) > 1:
        how = "both of two conditions must fail it" if fails else "one of two conditions is enough"
        raise NotBoundsError(f"{how}, which is no bound on one number")
    for what in dict.fromkeys(guard.what for guard in guards):
        found.notes.append(f"{what} is let through by it: {_about_guard(let_through=True)}")
    notes = len(found.notes)
    for part in rest:
        _read(part, of, found, fails=fails)
    # what is let through already is not asked for once more
    found.notes[notes:] = [note for note in found.notes[notes:] if " is asked apart: " not in note]


def _about_guard(*, let_through: bool) -> str:
    told = "ignore if it is not to count" if let_through else "fail if it is to fail the release"
    return f"an arm without data makes a metric marginal; write no_data: {told}"


@dataclass(frozen=True, slots=True)
class _Guard:
    """A part that is about missing data alone."""

    what: str
    missing: bool  # whether it is true where data are missing; otherwise where there are some


def _guard(tree: Expression) -> _Guard | None:
    """Return what of missing data a part asks about; None where it asks about something else."""
    match tree:
        case Call("isNaN" | "isInf" | "isNil" as function, (of,)) if _subject(of, _RESULT):
            return _Guard(
                {"isNaN": "NaN", "isInf": "an infinity", "isNil": "a missing result"}[function], missing=True
            )
        case Binary("==" | "!=" as operator, left, right) if any(each in _MISSING for each in (left, right)):
            return _Guard("a missing result", missing=operator == "==")
        case Binary(operator, Call("len", (of,)), Literal(int() as size)) if _subject(of):
            return _of_length(operator, size)
        case Binary(operator, Literal(int() as size), Call("len", (of,))) if _subject(of):
            return _of_length(_MIRRORED.get(operator, operator), size)
        case Unary("!", operand) if guard := _guard(operand):
            return _Guard(guard.what, missing=not guard.missing)
        case Binary("&&" | "||" as operator, left, right):
            first, second = _guard(left), _guard(right)
            if first and second:  # what it is where there are data tells which it is as a whole
                lacking = first.missing, second.missing
                missing = any(lacking) if operator == "&&" else all(lacking)
                return _Guard(first.what if first.missing == missing else second.what, missing=missing)
    return None


def _of_length(operator: str, size: int) -> _Guard | None:
    """Read what ``len(result) > 0`` and its like ask."""
    what = "an empty result, or a short one,"
    if operator in ("<", "<=") or (operator == "==" and size == 0):
        return _Guard(what, missing=True)
    if operator in (">", ">=", "==") or (operator == "!=" and size == 0):
        return _Guard(what, missing=False)
    return None


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
    reducer = _reducer(tree.left) or _reducer(tree.right)
    every = bool(reducer) or of is not None
    subject = f"every value of {subject}" if every else subject
    if found.subject not in ("", subject):
        raise NotBoundsError(f"it is about several values of an answer ({found.subject} and {subject})")
    operator = _CONTRARY[operator] if fails else operator
    if reducer and (reducer == "max") != (operator in ("<", "<=")):
        raise NotBoundsError(f"{reducer}() bounds one of the values, and not every one")
    found.notes += _about_default(tree.left) + _about_default(tree.right)
    found.subject, found.every = subject, every
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
    made_up = isinstance(tree, Call) and tree.function == "default"
    if made_up or (isinstance(tree, Binary) and tree.operator == "??"):
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
        case Call("default", (inner, _)) | Binary("??", inner, _):
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
