"""The values that expressions work on, with the types and the operations of Go, in which Argo Rollouts computes them.

Numbers of a result are float64, as Argo's providers give them; numbers that an expression writes without a point are whole.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from statistics import median
from typing import Any, Final

from canaryjudge.errors import PolicyError
from canaryjudge.quantities import shown

__all__ = [
    "ON_VALUES",
    "NoValueError",
    "as_number",
    "as_truth",
    "elements",
    "fetched",
    "is_number",
    "operate",
    "type_of",
    "typed",
    "wrapped",
]

_WORD: Final = 1 << 64
_HALF: Final = 1 << 63
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re.compile(
    r"[-+]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?|inf|infinity)|nan", re.IGNORECASE
)
_COMPARE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "<": lambda left, right: left < right,
    ">": lambda left, right: left > right,
    "<=": lambda left, right: left <= right,
    ">=": lambda left, right: left >= right,
}
_ON_TEXTS: Final[dict[str, Callable[[str, str], Any]]] = {
    **_COMPARE,
    "+": lambda left, right: left + right,
    "contains": lambda left, right: right in left,
    "startsWith": lambda left, right: left.startswith(right),
    "endsWith": lambda left, right: left.endswith(right),
}


class NoValueError(Exception):
    """An expression has no value for this result."""


def typed(value: Any, depth: int = 0) -> Any:
    """Give a result its types: every number a float64, every sequence a list."""
    if depth > 100:
        raise PolicyError("the result is nested more than 100 deep")
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return {str(key): typed(each, depth + 1) for key, each in value.items()}
    if isinstance(value, Iterable):
        return [typed(each, depth + 1) for each in value]
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):
        raise PolicyError(
            f"{shown(value)} is no result: a number, text, truth value, list or mapping"
        ) from None


def type_of(value: Any) -> str:
    """Name the type of a value, as Go does where it has a name."""
    kinds = {bool: "bool", int: "int", float: "float64", str: "string", list: "list", dict: "map"}
    return kinds.get(type(value), "nil")


def is_number(kind: str) -> bool:
    """Return whether a type is one of numbers."""
    return kind in ("int", "float64")


def as_truth(value: Any, operator: str) -> bool:
    """Take a truth value, or say that it is none."""
    if not isinstance(value, bool):
        raise NoValueError(f"invalid operation: {operator} takes bool, found {type_of(value)}")
    return value


def as_number(value: Any, operator: str) -> float:
    """Take a number, or say that it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NoValueError(f"invalid operation: {operator} takes a number, found {type_of(value)}")
    return value


def wrapped(number: float) -> float:
    """Keep whole numbers within 64 bits, as Go does."""
    return number if isinstance(number, float) else (number + _HALF) % _WORD - _HALF


def elements(held: Any, function: str) -> list[Any]:
    """Return the elements of a list, or the values of a map."""
    if isinstance(held, dict):
        return list(held.values())
    if not isinstance(held, list):
        raise NoValueError(f"{function} takes a list, found {type_of(held)}")
    return held


def fetched(holder: Any, key: Any) -> Any:
    """Return a field of a map (nil where it is not there) or an element of a list (an error where it is not)."""
    if isinstance(holder, dict) and isinstance(key, str):
        return holder.get(key)
    if isinstance(holder, list) and type_of(key) in ("int", "float64") and float(key).is_integer():
        if -len(holder) <= key < len(holder):
            return holder[int(key)]
        raise NoValueError(f"index out of range: {int(key)} (list length is {len(holder)})")
    raise NoValueError(f"cannot fetch {shown(key)} from {type_of(holder)}")


def _equal(left: Any, right: Any) -> bool:
    kinds = type_of(left), type_of(right)
    if kinds[0] != kinds[1] and not all(map(is_number, kinds)):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    return bool(left == right)


def operate(operator: str, left: Any, right: Any) -> Any:
    """Apply an operator to two values."""
    if operator in ("==", "!="):
        return _equal(left, right) == (operator == "==")
    if operator == "in":
        if isinstance(right, dict):
            return isinstance(left, str) and left in right
        return any(_equal(left, each) for each in elements(right, operator))
    if isinstance(left, str) and isinstance(right, str) and operator in _ON_TEXTS:
        return _ON_TEXTS[operator](left, right)
    if operator in ("contains", "startsWith", "endsWith"):
        raise NoValueError(
            f"invalid operation: {operator} takes string, found {type_of(left)} and {type_of(right)}"
        )
    for value in (left, right):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise NoValueError(f"invalid operation: {type_of(left)} {operator} {type_of(right)}")
    return _ON_NUMBERS[operator](left, right)


def _divided(left: float, right: float) -> float:
    if right != 0:
        return left / right
    return (
        math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left) * math.copysign(1, right)
    )


def _remainder(left: Any, right: Any) -> int:
    if isinstance(left, float) or isinstance(right, float):
        raise NoValueError("invalid operation: % takes whole numbers")
    if right == 0:
        raise NoValueError("integer divide by zero")
    return int(int(math.copysign(1, left)) * (abs(left) % abs(right)))


def _power(left: float, right: float) -> float:
    try:
        return math.pow(left, right)
    except OverflowError:
        return -math.inf if left < 0 and right % 2 == 1 else math.inf
    except ValueError:
        return math.inf if left == 0 else math.nan


_ON_NUMBERS: Final[dict[str, Callable[[float, float], Any]]] = {
    **_COMPARE,
    "+": lambda left, right: wrapped(left + right),
    "-": lambda left, right: wrapped(left - right),
    "*": lambda left, right: wrapped(left * right),
    "/": _divided,
    "%": _remainder,
    "**": _power,
}


def _as_int(value: Any) -> int:
    if isinstance(value, str):
        if not _INTEGER.fullmatch(value) or len(value) > 100 or not -_HALF <= int(value) < _HALF:
            raise NoValueError(f"strconv.ParseInt: parsing {_quoted(value)}: invalid syntax")
        return int(value)
    number = as_number(value, "asInt")
    if math.isnan(number) or math.isinf(number):
        raise NoValueError(f"asInt: {number} is no whole number")
    return int(wrapped(math.trunc(number)))


def _as_float(value: Any) -> float:
    if isinstance(value, str):
        if not _FLOAT.fullmatch(value):
            raise NoValueError(f"strconv.ParseFloat: parsing {_quoted(value)}: invalid syntax")
        return float(value)
    return float(as_number(value, "asFloat"))


def _quoted(text: str) -> str:
    return f'"{text[:80]}"'


def _float64(function: str, test: Callable[[float], bool]) -> Callable[[Any], bool]:
    return lambda value: test(float(as_number(value, function)))


def _length(value: Any) -> int:
    if isinstance(value, str | list | dict):
        return len(value)
    raise NoValueError(f"invalid argument for len (type {type_of(value)})")


def _numbers(value: Any, function: str) -> list[float]:
    """Take numbers, or lists of them, at any depth that an expression can have."""
    found: list[float] = []
    for each in value if isinstance(value, list) else [value]:
        found += _numbers(each, function) if isinstance(each, list) else [as_number(each, function)]
    return found


def _of_numbers(
    function: str, work: Callable[[list[float]], float], empty: float | None = None
) -> Callable[[Any], Any]:
    def worked(value: Any) -> Any:
        numbers = _numbers(value, function)
        if not numbers:
            if empty is None:
                raise NoValueError(f"not enough arguments to call {function}")
            return empty
        return work(numbers)

    return worked


def _largest(numbers: list[float]) -> float:
    kept = numbers[0]
    for number in numbers[1:]:
        kept = max(kept, number)  # as upstream walks: a NaN is passed by
    return kept


def _smallest(numbers: list[float]) -> float:
    kept = numbers[0]
    for number in numbers[1:]:
        kept = min(kept, number)
    return kept


def _rounded(function: str, work: Callable[[float], float]) -> Callable[[Any], float]:
    def worked(value: Any) -> float:
        number = float(as_number(value, function))
        return number if math.isnan(number) or math.isinf(number) else float(work(number))

    return worked


def _end(function: str, index: int) -> Callable[[Any], Any]:
    return lambda value: (elements(value, function) or [None])[index]


def _string(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    return f"{as_number(value, 'string'):.12g}"


ON_VALUES: Final[dict[str, Callable[[Any], Any]]] = {
    "len": _length,
    "asInt": _as_int,
    "int": _as_int,
    "asFloat": _as_float,
    "float": _as_float,
    "isNaN": _float64("isNaN", math.isnan),
    "isInf": _float64("isInf", math.isinf),
    "abs": lambda value: wrapped(abs(as_number(value, "abs"))),
    "ceil": _rounded("ceil", math.ceil),
    "floor": _rounded("floor", math.floor),
    "round": _rounded("round", lambda number: math.copysign(math.floor(abs(number) + 0.5), number)),
    "string": _string,
    "first": _end("first", 0),
    "last": _end("last", -1),
    "max": _of_numbers("max", _largest),
    "min": _of_numbers("min", _smallest),
    "sum": _of_numbers("sum", sum, 0),
    "mean": _of_numbers("mean", lambda numbers: sum(numbers) / len(numbers), 0),
    "median": _of_numbers("median", median, 0),
}
