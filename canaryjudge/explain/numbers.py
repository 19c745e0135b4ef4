"""Numbers, moments and durations as people read them: no false precision, nothing that was chosen told otherwise, never "p = 0.000"."""

from __future__ import annotations

import math
import sys
from decimal import Decimal
from typing import Final

from canaryjudge.data.times import iso

__all__ = [
    "confidence",
    "count",
    "is_chosen",
    "moment",
    "more",
    "number",
    "odds_against",
    "odds_for",
    "percent",
    "percentage",
    "pvalue",
    "score",
    "set_number",
    "set_percent",
    "set_percentage",
    "share",
    "span_of_time",
    "time_of",
    "times_as_high",
]

_LONG: Final = 10_000
"""Numbers from here on are told to four digits, smaller ones to the last whole one."""
_LONG_DIGITS: Final = 4
_LEAST_ODDS: Final = -2.0
_MOST_ODDS: Final = 6.0
_SET_DIGITS: Final = 6
"""A number of no more digits was chosen by somebody, and is told as it is."""


def number(value: float, digits: int = 3) -> str:
    """Write a number that was measured with a few significant digits, thousands apart.

    Examples
    --------
    >>> number(158.234), number(1234.5), number(1234567.0), number(0.000123456), number(-2.0)
    ('158', '1,234', '1,235,000', '0.000123', '-2')
    """
    if value == 0:
        return "0"
    size = min(abs(value), sys.float_info.max)
    magnitude = math.floor(math.log10(size))
    if magnitude >= 15 or magnitude < -6:
        text = f"{size:.{digits - 1}e}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    elif size >= _LONG:
        text = f"{float(f'{size:.{max(digits, _LONG_DIGITS)}g}'):,.0f}"
    else:
        text = _trimmed(f"{size:,.{max(0, digits - 1 - magnitude)}f}")
    return f"-{text}" if value < 0 else text


def set_number(value: float, digits: int = 3) -> str:
    """Write a number that somebody chose: in full, or, where it takes many digits and so was computed, as one that was measured.

    Examples
    --------
    >>> set_number(0.12345), set_number(1025.0), set_number(1000000.0), set_number(1 / 1.1)
    ('0.12345', '1,025', '1,000,000', '0.909')
    """
    return (_in_full(value) if is_chosen(value) else None) or number(value, digits)


def is_chosen(value: float) -> bool:
    """Tell whether a number takes so few digits that somebody chose it."""
    return math.isclose(float(f"{value:.{_SET_DIGITS}g}"), value, rel_tol=1e-9)


def _in_full(value: float) -> str | None:
    if not 1e-6 <= abs(value) < 1e15:
        return None
    return _trimmed(f"{Decimal(f'{value:.{_SET_DIGITS}g}'):,f}")


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def count(value: float) -> str:
    """Write how many there are.

    Examples
    --------
    >>> count(15000), count(1234567)
    ('15,000', '1,234,567')
    """
    return f"{value:,.0f}" if float(value).is_integer() else number(value)


def more(points: int, what: str, *, roughly: bool = True) -> str:
    """Write how many more it takes, to two digits where that is only known roughly.

    Examples
    --------
    >>> more(1234, "intervals"), more(1, "points"), more(1234, "points", roughly=False)
    ('1,200 more intervals', '1 more point', '1,234 more points')
    """
    told = float(f"{points:.2g}") if roughly else points
    return f"{count(told)} more {what if told > 1 else what.removesuffix('s')}"


def percent(fraction: float, digits: int = 2) -> str:
    """Write a fraction in percent.

    Examples
    --------
    >>> percent(0.3142), percent(0.00012), percent(1.25)
    ('31 %', '0.012 %', '125 %')
    """
    return f"{percentage(fraction, digits)} %"


def percentage(fraction: float, digits: int = 2) -> str:
    """Write a fraction in percent without the sign."""
    value = 100 * fraction
    return number(value, digits if abs(value) < 99.5 else max(digits, 3))


def share(fraction: float, digits: int = 2) -> str:
    """Write a part of a whole in percent without the sign: near the whole, to the digits of what is missing.

    Examples
    --------
    >>> share(0.8514), share(0.9995), share(0.99973, 3), share(1.0)
    ('85', '99.95', '99.973', '100')
    """
    missing = 1 - fraction
    if not 1e-9 < missing < 0.01:
        return percentage(fraction, digits)
    return _trimmed(f"{100 * fraction:.{digits - 1 - math.floor(math.log10(100 * missing))}f}")


def set_percent(fraction: float) -> str:
    """Write a fraction that somebody chose in percent.

    Examples
    --------
    >>> set_percent(0.125), set_percent(0.9995), set_percent(1 / 1.1 - 1)
    ('12.5 %', '99.95 %', '-9.1 %')
    """
    return f"{set_percentage(fraction)} %"


def set_percentage(fraction: float, digits: int = 2) -> str:
    """Write a fraction that somebody chose in percent without the sign.

    Examples
    --------
    >>> set_percentage(0.0002)
    '0.02'
    """
    value = 100 * fraction
    return (_in_full(value) if is_chosen(value) else None) or percentage(fraction, digits)


def confidence(level: float) -> str:
    """Write what an interval is and how sure.

    Examples
    --------
    >>> confidence(0.9), confidence(0.99012), confidence(0.999999)
    ('90 % CI', '99.01 % CI', 'over 99.99 % CI')
    """
    told = f"{100 * level:.4g}"
    return f"{'over 99.99' if told == '100' else told} % CI"


def odds_against(probability: float) -> str:
    """Write a probability as odds.

    Examples
    --------
    >>> odds_against(0.05)
    '20 to 1'
    """
    return f"{number(1 / probability)} to 1"


def odds_for(log10: float | None) -> str:
    """Write evidence as odds: the logarithm of how many times better one explanation fits than the other.

    Examples
    --------
    >>> odds_for(1.31), odds_for(4.7108), odds_for(-1.5), odds_for(6.5), odds_for(None)
    ('20.4 to 1', '51,400 to 1', '0.032 to 1', 'over a million to 1', 'under 0.01 to 1')
    """
    if log10 is None or log10 < _LEAST_ODDS:
        return "under 0.01 to 1"
    if log10 > _MOST_ODDS:
        return "over a million to 1"
    times = 10**log10
    return f"{number(float(f'{times:.3g}')) if times > 1 else number(times, 2)} to 1"


def times_as_high(change: float, digits: int = 3) -> str:
    """Write a relative change as what the new level is of the old one.

    Examples
    --------
    >>> times_as_high(7.0)
    '8'
    """
    return number(1 + change, digits)


def score(value: float) -> str:
    """Write a score of up to 100.

    Examples
    --------
    >>> score(200 / 3)
    '66.67'
    """
    return f"{value:.4g}"


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


_UNITS = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"), (1.0, "second"))


def moment(seconds: float) -> str:
    """Write a time to the second, UTC.

    Examples
    --------
    >>> moment(12.7)
    '1970-01-01T00:00:12Z'
    """
    return iso(float(int(seconds)))


def span_of_time(seconds: float) -> str:
    """Write about how long it is, in the unit that suits.

    Examples
    --------
    >>> span_of_time(90), span_of_time(360), span_of_time(5400), span_of_time(0.2)
    ('90 seconds', '6 minutes', '90 minutes', '0.2 seconds')
    """
    size, name = next(((size, name) for size, name in _UNITS if seconds >= 2 * size), _UNITS[-1])
    about = number(seconds / size, 2)
    return f"{about} {name}" if about == "1" else f"{about} {name}s"


def time_of(points: int, interval: float) -> str:
    """Write about how long so many points take, at so many seconds each.

    Examples
    --------
    >>> time_of(41, 60.0)
    '41 minutes'
    """
    return span_of_time(points * interval)
