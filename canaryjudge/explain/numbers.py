"""Numbers as people read them: no false precision, a unit with each, never "p = 0.000"."""

from __future__ import annotations

import math

__all__ = ["change", "count", "level_of", "number", "percent", "pvalue", "span", "with_unit"]


def number(value: float, digits: int = 3) -> str:
    """Write a number with a few significant digits, thousands apart.

    Examples
    --------
    >>> number(158.234), number(1234567.0), number(0.000123456), number(-2.0)
    ('158', '1,234,567', '0.000123', '-2')
    """
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude >= 15 or magnitude < -6:
        text = f"{abs(value):.{digits - 1}e}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    else:
        decimals = max(0, digits - 1 - magnitude)
        text = f"{abs(value):,.{decimals}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"-{text}" if value < 0 else text


def count(value: float) -> str:
    """Write how many there are.

    Examples
    --------
    >>> count(15000)
    '15,000'
    """
    return f"{value:,.0f}" if float(value).is_integer() else number(value)


def percent(fraction: float, digits: int = 2) -> str:
    """Write a fraction in percent.

    Examples
    --------
    >>> percent(0.3142), percent(0.00012), percent(1.25)
    ('31 %', '0.012 %', '125 %')
    """
    return f"{_percentage(fraction, digits)} %"


def _percentage(fraction: float, digits: int = 2) -> str:
    value = 100 * fraction
    return number(value, digits if abs(value) < 99.5 else 3)


def with_unit(value: float, unit: str) -> str:
    """Write a number with its unit.

    Examples
    --------
    >>> with_unit(158.2, "ms"), with_unit(3.0, "")
    ('158 ms', '3')
    """
    return f"{number(value)} {unit}".rstrip()


def level_of(value: float, kind: str, unit: str) -> str:
    """Write a level of a metric: ratios in percent, others in their unit.

    Examples
    --------
    >>> level_of(0.0012, "ratio", ""), level_of(120.4, "gauge", "ms")
    ('0.12 %', '120 ms')
    """
    return percent(value, 3) if kind == "ratio" else with_unit(value, unit)


def change(value: float, scale: str, kind: str, unit: str) -> str:
    """Write the size of a change, without its sign.

    Examples
    --------
    >>> change(-0.31, "relative", "gauge", "ms"), change(5.0, "absolute", "gauge", "ms"), change(0.0002, "absolute", "ratio", "")
    ('31 %', '5 ms', '0.02 percentage points')
    """
    size = abs(value)
    if scale == "relative":
        return percent(size)
    if kind == "ratio" or unit == "%":
        points = _percentage(size) if kind == "ratio" else number(size)
        return f"{points} percentage point{'' if points == '1' else 's'}"
    return with_unit(size, unit)


def span(low: float | None, high: float | None, scale: str, kind: str, unit: str) -> str:
    """Write an interval, its unit once.

    Examples
    --------
    >>> span(0.22, 0.41, "relative", "gauge", "ms"), span(-3.0, None, "absolute", "gauge", "ms")
    ('22 to 41 %', '-3 ms or more')
    >>> span(3.0, None, "times", "gauge", "ms")
    '3 times or more'
    """
    in_percent = scale == "relative" or (kind == "ratio" and scale != "times")
    suffix = (
        ("percentage points" if scale == "absolute" else "%")
        if in_percent
        else "times"
        if scale == "times"
        else "percentage points"
        if scale == "absolute" and unit == "%"
        else unit
    )
    ends = [None if end is None else _percentage(end) if in_percent else number(end) for end in (low, high)]
    tail = f" {suffix}".rstrip()
    if ends[0] is None and ends[1] is None:
        return "unbounded"
    if ends[0] is None:
        return f"{ends[1]}{tail} or less"
    if ends[1] is None:
        return f"{ends[0]}{tail} or more"
    return f"{ends[0]} to {ends[1]}{tail}"


def pvalue(value: float) -> str:
    """Write a p-value.

    Examples
    --------
    >>> pvalue(2.1e-6), pvalue(0.0312), pvalue(0.0)
    ('p = 2e-6', 'p = 0.031', 'p < 1e-300')
    """
    if value <= 1e-300:
        return "p < 1e-300"
    if value < 0.001:
        return "p = " + f"{value:.0e}".replace("e-0", "e-")
    return f"p = {min(value, 1.0):.2g}"
