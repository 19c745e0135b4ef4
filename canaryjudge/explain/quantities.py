"""Levels, changes and spans with their units: in the unit that suits, and numbers that belong together in the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Final

from canaryjudge.explain.numbers import (
    is_chosen,
    number,
    percent,
    percentage,
    set_number,
    set_percent,
    set_percentage,
    share,
    times_as_high,
)
from canaryjudge.kinds import KINDS
from canaryjudge.quantities import Rung, rungs, written

__all__ = ["change", "level_of", "levels_of", "set_change", "set_level", "set_span", "span", "suited"]

_MOST: Final = Fraction(1000)
"""A number from here on is told in a larger unit, where there is one."""
_NEAR: Final = (0.05, 50.0)
"""Parts of a limit that read well in its unit."""
_MOST_MORE: Final = 4
"""Digits that are added, at most, to tell the ends of an interval apart."""
_ROUNDING: Final = 0.9995
"""What is told as 1,000 ms is 1 s."""


def suited(unit: str, *values: float | None, decimal: bool = False) -> Rung:
    """Choose the unit in which the largest of some values reads well: their own, as long as it is between 1 and 1,000 of it.

    Examples
    --------
    >>> suited("s", 0.0121).word, suited("s", 90.0, 0.5).word, suited("ms", 1200.0).word, suited("B", 3.5e6).word
    ('ms', 's', 's', 'MiB')
    """
    own = Rung(written(unit), Fraction(1), 1)
    ladder = rungs(unit, decimal=decimal)
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    if not ladder or largest == 0 or not math.isfinite(largest) or (1 <= largest < _MOST * _ROUNDING):
        return own
    readable = [rung for rung in ladder if rung.size * rung.least * _ROUNDING <= largest] or [ladder[0]]
    return own if readable[-1].size == 1 else readable[-1]


def _in_unit(value: float, rung: Rung) -> float:
    return value if rung.size == 1 else float(value / float(rung.size))


def _with_unit(value: float, rung: Rung) -> str:
    return f"{number(_in_unit(value, rung))} {rung.word}".rstrip()


def level_of(value: float, kind: str, unit: str, beside: float | None = None) -> str:
    """Write a level of a metric that was measured: ratios in percent, others in a unit that suits, or that of the limit `beside` it.

    Examples
    --------
    >>> level_of(0.0012, "ratio", ""), level_of(0.0121, "gauge", "s"), level_of(3565158.0, "gauge", "bytes")
    ('0.12 %', '12.1 ms', '3.4 MiB')
    >>> level_of(3565158.0, "gauge", "bytes", beside=5e6)
    '3.57 MB'
    """
    if KINDS[kind].is_share:
        return f"{share(value, 3)} %"
    return _with_unit(value, _rung_beside(beside, unit, value))


def levels_of(values: tuple[float, ...], kind: str, unit: str) -> list[str]:
    """Write levels that are compared, all in the same unit.

    Examples
    --------
    >>> levels_of((1.02, 0.984), "gauge", "s"), levels_of((0.9995, 0.9997), "ratio", "")
    (['1.02 s', '0.984 s'], ['99.95 %', '99.97 %'])
    """
    if KINDS[kind].is_share:
        return [f"{share(value, 3)} %" for value in values]
    rung = suited(unit, *values)
    return [_with_unit(value, rung) for value in values]


def set_level(value: float, kind: str, unit: str) -> str:
    """Write a level that somebody chose, in a unit in which it is told in full.

    Examples
    --------
    >>> set_level(0.9995, "ratio", ""), set_level(1e6, "gauge", "B"), set_level(0.25, "gauge", "s")
    ('99.95 %', '1 MB', '250 ms')
    """
    if KINDS[kind].is_share:
        return set_percent(value)
    rung = _chosen_rung(value, unit)
    return f"{set_number(_in_unit(value, rung))} {rung.word}".rstrip()


def _chosen_rung(value: float, unit: str) -> Rung:
    """Choose a unit in which what somebody chose is told in full, if there is one."""
    rungs_tried = (suited(unit, value), suited(unit, value, decimal=True), suited(unit))
    return next((rung for rung in rungs_tried if is_chosen(_in_unit(value, rung))), rungs_tried[0])


def _rung_beside(limit: float | None, unit: str, *values: float | None) -> Rung:
    """Choose the unit of a limit for what is compared with it, unless that is far from it."""
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    if limit and _NEAR[0] <= largest / abs(limit) <= _NEAR[1]:
        return _chosen_rung(limit, unit)
    return suited(unit, *values)


def change(value: float, scale: str, kind: str, unit: str) -> str:
    """Write the size of a change that was measured, without its sign.

    Examples
    --------
    >>> change(-0.31, "relative", "gauge", "ms"), change(5.0, "absolute", "gauge", "ms"), change(0.0002, "absolute", "ratio", "")
    ('31 %', '5 ms', '0.02 percentage points')
    """
    size = abs(value)
    if scale == "relative":
        return percent(size)
    if KINDS[kind].is_share or unit == "%":
        return _points(percentage(size) if KINDS[kind].is_share else number(size))
    return level_of(size, kind, unit)


def set_change(value: float, scale: str, kind: str, unit: str) -> str:
    """Write the size of a change that somebody chose, without its sign.

    Examples
    --------
    >>> set_change(0.125, "relative", "gauge", "ms"), set_change(-0.01, "absolute", "ratio", "")
    ('12.5 %', '1 percentage point')
    """
    size = abs(value)
    if scale == "relative":
        return set_percent(size)
    if KINDS[kind].is_share or unit == "%":
        return _points(set_percentage(size) if KINDS[kind].is_share else set_number(size))
    return set_level(size, kind, unit)


def _points(told: str) -> str:
    return f"{told} percentage point{'' if told == '1' else 's'}"


def span(
    low: float | None, high: float | None, scale: str, kind: str, unit: str, *, beside: float | None = None
) -> str:
    """Write an interval, its unit once.

    Examples
    --------
    >>> span(0.22, 0.41, "relative", "gauge", "ms"), span(-0.003, None, "absolute", "gauge", "s")
    ('22 to 41 %', '-3 ms or more')
    >>> span(2.0, None, "times", "gauge", "ms"), span(0.99951, 0.99968, "objective", "ratio", "")
    ('3 times or more', '99.951 to 99.968 %')
    >>> span(-0.8914, -0.8886, "relative", "gauge", "ms")
    '-89.1 to -88.9 %'
    """
    rung = _rung_beside(beside, unit, low, high)
    write: Callable[[float, int], str]
    if scale == "times":
        word, digits, write = "times", 3, times_as_high
    elif scale == "relative" or KINDS[kind].is_share:
        word = "percentage points" if scale == "absolute" else "%"
        digits, write = 2, share if scale == "objective" else percentage
    else:
        word = "percentage points" if scale == "absolute" and unit == "%" else rung.word
        digits, write = 3, number
        low, high = (None if end is None else _in_unit(end, rung) for end in (low, high))
    return _spanned(*_apart(low, high, write, digits), word)


def _apart(
    low: float | None, high: float | None, write: Callable[[float, int], str], digits: int
) -> tuple[str | None, str | None]:
    """Write both ends, to so many digits that one can tell them apart."""

    def ends(to: int) -> tuple[str | None, str | None]:
        return (None if low is None else write(low, to)), (None if high is None else write(high, to))

    if low is None or high is None or low == high:
        return ends(digits)
    told = (ends(digits + more) for more in range(_MOST_MORE + 1))
    return next((both for both in told if both[0] != both[1]), ends(digits))


def set_span(low: float, high: float, kind: str, unit: str) -> str:
    """Write levels between which somebody chose to be, their unit once.

    Examples
    --------
    >>> set_span(0.25, 0.5, "gauge", "s"), set_span(0.001, 0.0125, "ratio", "")
    ('250 to 500 ms', '0.1 to 1.25 %')
    """
    if KINDS[kind].is_share:
        return _spanned(set_percentage(low), set_percentage(high), "%")
    rung = _chosen_rung(max(low, high, key=abs), unit)
    first, last = (set_number(_in_unit(end, rung)) for end in (low, high))
    return _spanned(first, last, rung.word)


def _spanned(low: str | None, high: str | None, word: str) -> str:
    tail = f" {word}".rstrip()
    if low is None:
        return "unbounded" if high is None else f"{high}{tail} or less"
    return f"{low}{tail} or more" if high is None else f"{low} to {high}{tail}"
