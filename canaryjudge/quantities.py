"""Quantities as people write them, and their units: ``10%``, ``0.02pp``, ``5ms``, ``200m``, ``1h30m``, ``MiB/s``.

A bare number is never guessed at: where a fraction and a count could both be meant, the unit is asked for.

A unit is one word, ``ms``, or two with a stroke, ``MiB/s``. A word that is not known counts things, as ``jobs`` does: it
fits itself only. The words are those that people write, those of Prometheus's metric names, ``ratio``, and those of UCUM, which OpenTelemetry
has its units in: ``By``, ``{request}``, ``1``. Factors are fractions, so that no conversion adds rounding of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, Final, NamedTuple

__all__ = [
    "DURATION_PATTERN",
    "PERCENT_PATTERN",
    "QUANTITY_PATTERN",
    "SECONDS",
    "WITH_UNIT_PATTERN",
    "Rung",
    "convert",
    "factor",
    "hundredth",
    "is_share",
    "measures",
    "parse_duration",
    "parse_fraction",
    "parse_quantity",
    "percent",
    "rungs",
    "shown",
    "written",
]


class _Word(NamedTuple):
    """One word of a unit."""

    dimension: str
    """What is measured; of a word that is not known, the word."""
    factor: Fraction
    """How many of the dimension's base unit it is."""


def _spelled(names: Mapping[str, Fraction]) -> dict[str, Fraction]:
    return {name: factor for spellings, factor in names.items() for name in spellings.split()}


class Rung(NamedTuple):
    """A unit in which a quantity may be told."""

    word: str
    """How it is written."""
    size: Fraction
    """How many of the quantity's own unit it is."""
    least: int
    """The smallest number that reads well in it: 90 s are 90 s, 7,200 s are 2 h."""


SECONDS: Final = _spelled(
    {
        "ns nsec nanosecond nanoseconds": Fraction(1, 10**9),
        # the micro sign, and the Greek letter, which looks the same
        "us µs \u03bcs usec microsecond microseconds": Fraction(1, 10**6),
        "ms msec millis millisecond milliseconds": Fraction(1, 10**3),
        "s sec secs second seconds": Fraction(1),
        "m min mins minute minutes": Fraction(60),
        "h hr hrs hour hours": Fraction(3600),
        "d day days": Fraction(86400),
        "w wk week weeks": Fraction(7 * 86400),
    }
)
"""How many seconds each unit of time has."""
_BINARY: Final = {prefix: Fraction(1024**power) for power, prefix in enumerate("KMGTPE", 1)}
_DECIMAL: Final = {prefix: Fraction(1000**power) for power, prefix in enumerate("kMGTPE", 1)}
_BYTES: Final = (
    {f"{prefix}iB": factor for prefix, factor in _BINARY.items()}
    | {f"{prefix}B": factor for prefix, factor in _DECIMAL.items()}
    | {f"{prefix}iBy": factor for prefix, factor in _BINARY.items()}
    | {f"{prefix}By": factor for prefix, factor in _DECIMAL.items()}
    | _spelled({"B By byte bytes": Fraction(1), "KB": Fraction(1000)})
)
_CORES: Final = _spelled(
    {
        "core cores cpu cpus vcpu vcpus": Fraction(1),
        "mcore mcores millicore millicores mcpu millicpu": Fraction(1, 1000),
    }
)
_MILLI: Final = Fraction(1, 1000)
_SUFFIXES: Final = (
    {f"{prefix}i": factor for prefix, factor in _BINARY.items()}
    | _DECIMAL
    | {"u": Fraction(1, 10**6), "n": Fraction(1, 10**9)}
)
"""What Kubernetes writes behind a plain number. Its m is not here: it may be minutes."""
_DIMENSIONS: Final = {
    "time": SECONDS,
    "bytes": _BYTES,
    "cores": _CORES,
    "share": _spelled({"% pp percent": Fraction(1), "1 ratio": Fraction(100)}),
    "": _SUFFIXES | {"": Fraction(1)},
}
_KNOWN: Final = {
    name: _Word(dimension, factor)
    for dimension, names in _DIMENSIONS.items()
    for name, factor in names.items()
}
_CLOCK: Final = (("ns", 1), ("µs", 1), ("ms", 1), ("s", 1), ("min", 2), ("h", 2), ("d", 2))
_OF_1024: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_OF_1000: Final = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_COUNTED: Final = {
    spelling: name
    for name in ("error", "event", "message", "operation", "packet", "request")
    for spelling in (name, f"{name}s")
} | {"op": "operation", "ops": "operation", "req": "request", "reqs": "request"}
_SHORT: Final = {"rps": "requests/s"}


def convert(number: float, unit: str, to: str) -> float:
    """Tell a quantity in the unit of a metric.

    Parameters
    ----------
    number : float
        The quantity in `unit`.
    unit : str
        A unit of time, bytes, cores or percent, or the name of what is counted; two of them with a stroke between them;
        or a suffix of Kubernetes, which scales counts, bytes and cores.
    to : str
        The metric's unit, or nothing.

    Returns
    -------
    float
        The quantity in `to`, correctly rounded.

    Raises
    ------
    ValueError
        If the two units measure different things, `unit` could mean two things, or the result is not finite.

    Examples
    --------
    >>> convert(0.2, "s", to="ms"), convert(1, "Gi", to="MiB"), convert(600, "/min", to="requests/s")
    (200.0, 1024.0, 10.0)
    >>> convert(200, "m", to="cores"), convert(2, "m", to="s")
    (0.2, 120.0)
    """
    if unit == to:
        return number
    if unit == "m" and not to:
        could = f"{number:g}m could be {number:g} minutes or {_times(number, _MILLI):g}"
        raise ValueError(f"{could}; give the metric a unit, or write {_times(number, _MILLI):g}")
    found = _factor(unit, to)
    if found is None:
        raise ValueError(_mismatch(number, unit, to))
    try:
        return _times(number, found)
    except OverflowError:
        raise ValueError(f"{number:g}{unit} is not finite in {to!r}; take a smaller number") from None


def factor(unit: str, to: str) -> Fraction | None:
    """Give how many `to` one `unit` is.

    Parameters
    ----------
    unit, to : str
        Two units, as `convert` takes them.

    Returns
    -------
    Fraction or None
        None if they measure different things, or that is not known.

    Examples
    --------
    >>> factor("s", "ms"), factor("MiBy", "B"), factor("{request}", "requests"), factor("s", "MiB")
    (Fraction(1000, 1), Fraction(1048576, 1), Fraction(1, 1), None)
    """
    return Fraction(1) if unit == to else _factor(unit, to)


def measures(unit: str) -> bool:
    """Tell whether a unit is one of time, bytes, cores or shares, or a rate or ratio of these; other words count things.

    Examples
    --------
    >>> measures("By/s"), measures("%"), measures("jobs"), measures("")
    (True, True, False, False)
    """
    above, below = _parts(unit)
    words = [_word(word).dimension for word in (above, below) if word]
    return bool(words) and all(word in _DIMENSIONS and word for word in words)


def is_share(unit: str) -> bool:
    """Tell whether a unit is percent, percentage points, or 1.

    Examples
    --------
    >>> is_share("percent"), is_share("1"), is_share("ms")
    (True, True, False)
    """
    return _word(unit).dimension == "share"


def rungs(unit: str, *, decimal: bool = False) -> tuple[Rung, ...]:
    """Give the units in which quantities of a unit may be told, from small to large.

    Parameters
    ----------
    unit : str
        A metric's unit; of a rate what is counted changes, and what it is per stays.
    decimal : bool
        Tell bytes in kB and MB, also where the unit is not one of these.

    Returns
    -------
    tuple of Rung
        Units of time for a unit of time, of bytes for one of bytes; otherwise none.

    Examples
    --------
    >>> [rung.word for rung in rungs("seconds")]
    ['ns', 'µs', 'ms', 's', 'min', 'h', 'd']
    >>> [rung.word for rung in rungs("bytes/s")][:3], rungs("cores")
    (['B/s', 'KiB/s', 'MiB/s'], ())
    """
    above, below = _parts(unit)
    own = _word(above)
    per = f"/{below}" if below else ""
    if own.dimension == "time":
        ladder: tuple[tuple[str, int], ...] = _CLOCK
    elif own.dimension == "bytes":
        of_1000 = decimal or (own.factor != 1 and own.factor % 1024 != 0)
        ladder = tuple((word, 1) for word in (_OF_1000 if of_1000 else _OF_1024))
    else:
        return ()
    return tuple(Rung(f"{word}{per}", _word(word).factor / own.factor, least) for word, least in ladder)


def written(unit: str) -> str:
    """Give a unit as people write it: without the braces of UCUM, its By as B, and its 1 left out.

    Examples
    --------
    >>> written("{request}/s"), written("MiBy"), written("1"), written("ms")
    ('request/s', 'MiB', '', 'ms')
    """
    words = [word[1:-1] if word[:1] + word[-1:] == "{}" else word for word in unit.split("/")]
    plain = "/".join(
        word.removesuffix("y") if word.endswith("By") and word in _BYTES else word for word in words
    )
    return "" if plain == "1" else plain


def _times(number: float, factor: Fraction) -> float:
    return float(Fraction(repr(float(number))) * factor)


def _factor(unit: str, to: str) -> Fraction | None:
    """Give how many `to` one `unit` is; None if that cannot be said."""
    (written, below), (own, own_below) = _parts(unit), _parts(to)
    a, b = _word(written, own), _word(own)
    if not (a.dimension == b.dimension or _scales(written, a, b)):
        return None
    if not a.dimension:
        below = below or own_below  # a suffix alone is per what the metric is per, as a bare number is
    per, own_per = _word(below), _word(own_below)
    if per.dimension != own_per.dimension:
        return None
    return a.factor / b.factor * own_per.factor / per.factor


def _scales(written: str, a: _Word, b: _Word) -> bool:
    """Tell whether a plain number, with a suffix or none, may be one of a metric that has a unit."""
    if a.dimension or b.dimension in ("time", "share"):
        return False
    if b.dimension == "bytes":
        return bool(written) and a.factor >= 1
    # 600/min are 600 requests where requests are counted; 600 of cores or bytes, nobody can say
    return bool(written) or b.dimension != "cores"


def _parts(unit: str) -> tuple[str, str]:
    """Split at the stroke; what has two strokes is one word."""
    above, stroke, below = _SHORT.get(unit.lower(), unit).partition("/")
    if not stroke or not below.strip() or "/" in below:
        return unit, ""
    return above.strip() if above.strip() != "1" else "", below.strip()


def _word(word: str, own: str | None = None) -> _Word:
    """Look a word up; `m` is milli beside a metric's own word that is neither of time nor percent."""
    if word == "m" and own is not None and _word(own).dimension not in ("time", "share"):
        return _Word("", _MILLI)
    if word.startswith("{") and word.endswith("}"):
        word = word[1:-1]  # UCUM has the names of what is counted in braces
        return _Word(_COUNTED.get(word.lower(), word), Fraction(1))
    lower = word.lower()
    known = _KNOWN.get(word) or (_KNOWN.get(lower) if len(word) > 2 else None)
    return known or _Word(_COUNTED.get(lower, word), Fraction(1))


def _mismatch(number: float, unit: str, to: str) -> str:
    if unit == "K":
        return f"{number:g}K has no suffix that Kubernetes knows; write {number:g}k or {number:g}Ki"
    if not to:
        return f"it has the unit {unit!r} but the metric has none; add unit: {unit} to the metric"
    own = _parts(to)[0]
    written = _word(unit, own)
    if written.dimension:
        return (
            f"the unit {unit!r} cannot be converted to the metric's unit {to!r}; give it in the metric's unit"
        )
    if _word(own).dimension == "bytes":
        part = f"{_times(number, written.factor):g}"
        return f"{number:g}{unit} would be {part} bytes; did you mean {number:g}M or {number:g}Mi?"
    return f"the suffix {unit!r} does not scale the metric's unit {to!r}; give it in the metric's unit"


_LONGEST_DURATION: Final = 366 * 86400.0
_IN_ORDER: Final = ("w", "d", "h", "m", "s", "ms", "us", "ns")
"""The units that one duration may have parts in."""

_NUMBER: Final = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?"
_UNIT: Final = r"(?![eE][+-]?[0-9])[^\s0-9.,:;+_-]\S*"
QUANTITY_PATTERN: Final = rf"^\s*({_NUMBER})\s*({_UNIT})?\s*$"
"""A number with an optional unit, for JSON Schema too."""
WITH_UNIT_PATTERN: Final = rf"^\s*({_NUMBER})\s*({_UNIT})\s*$"
"""A number with a unit."""
PERCENT_PATTERN: Final = rf"^\s*{_NUMBER}\s*%\s*$"
"""A fraction in percent."""
_PARTS: Final = "".join(rf"(?:([0-9]+(?:\.[0-9]+)?){unit})?" for unit in _IN_ORDER)
DURATION_PATTERN: Final = rf"^\s*(?:{_NUMBER}\s*({'|'.join(SECONDS)})|(?=[0-9]){_PARTS})\s*$"
"""A number with a unit of time; or several, the largest unit first."""
_QUANTITY: Final = re.compile(QUANTITY_PATTERN)
_COMPOUND: Final = re.compile(rf"\s*(?=[0-9]){_PARTS}\s*")
_LONGEST_TEXT: Final = 100
_EXACT: Final = Context(prec=40)
"""Not the caller's, who may have set any precision."""


def shown(value: object) -> str:
    """Show a value in an error as the user wrote it, cut where it is long.

    Examples
    --------
    >>> shown("fast"), shown(True), shown({"a": 1})
    ("'fast'", 'true', 'a mapping')
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value.bit_length() > 100:
        return "a huge number"
    if isinstance(value, str | int | float):
        text = repr(value) if not isinstance(value, str) or len(value) <= 60 else repr(value[:57] + "...")
        return text if len(text) <= 100 else text[:97] + "..."
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return f"a Python {type(value).__name__}"


def hundredth(number: str | float | Decimal) -> float:
    """Give a number in percent as a fraction, rounded once: 0.7 / 100 is 0.006999... in binary.

    Examples
    --------
    >>> hundredth(0.7), hundredth("99.9")
    (0.007, 0.999)
    """
    return float(Fraction(repr(number) if isinstance(number, float) else number) / 100)


def percent(fraction: float) -> str:
    """Write a fraction in percent, so that `parse_fraction` reads the same number.

    Examples
    --------
    >>> percent(0.007), percent(12.0)
    ('0.7%', '1200%')
    """
    number = _EXACT.scaleb(Decimal(repr(fraction)), 2)
    return f"{number:f}%" if fraction == 0 or 1e-6 <= fraction < 1e16 else f"{number}%"


def _number_and_unit(value: object, what: str, example: str) -> tuple[Decimal | float, str]:
    if isinstance(value, str):
        match = _QUANTITY.match(value) if len(value) <= _LONGEST_TEXT else None
        if match is None:
            raise ValueError(f"{shown(value)} is not {what}; write it like {example}")
        number: Decimal | float = Decimal(match[1])
        unit = match[2] or ""
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number, unit = _as_float(value), ""
    else:
        raise ValueError(f"{shown(value)} is not {what}; write it like {example}")  # noqa: TRY004 - pydantic wants ValueError
    if not math.isfinite(float(number)):
        raise ValueError(f"{shown(value)} is not finite; write {what} like {example}")
    return number, unit


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def parse_fraction(value: object) -> float:
    """Read a fraction: ``"10%"`` or ``0.1``.

    Parameters
    ----------
    value : str or float
        A string with a percent sign, or a number that is the fraction itself.

    Returns
    -------
    float
        The fraction, so that ``"10%"`` gives 0.1.

    Raises
    ------
    ValueError
        If it is neither.

    Examples
    --------
    >>> parse_fraction("0.7%"), parse_fraction(0.1)
    (0.007, 0.1)
    """
    number, unit = _number_and_unit(value, "a fraction", "10% or 0.1")
    if unit == "%":
        return hundredth(number)
    if unit:
        raise ValueError(
            f"{shown(value)} has the unit {unit!r} where a fraction is needed; write it like 10% or 0.1"
        )
    if isinstance(value, str):
        raise ValueError(f"{shown(value)} is text without a %; write 10%, or 0.1 without quotes")  # noqa: TRY004 - pydantic wants ValueError
    return float(number)


def parse_duration(value: object) -> float:
    """Read a duration: ``"90s"``, ``"5m"``, ``"1h30m"``; the unit is required.

    Parameters
    ----------
    value : str
        A number and a unit of time (ns, us, ms, s, m, h, d, w or its name), or several of them, the largest first.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    ValueError
        If the unit is missing or not one of time, or the duration is not positive or longer than 366 days.

    Examples
    --------
    >>> parse_duration("5m"), parse_duration("1h30m")
    (300.0, 5400.0)
    """
    seconds = _in_parts(value)
    if seconds is None:
        number, unit = _number_and_unit(value, "a duration", "90s, 5m or 1h")
        if not unit:
            raise ValueError(f"{shown(value)} is a duration without a unit; write it like 90s, 5m or 1h")
        if unit not in SECONDS:
            raise ValueError(f"{shown(value)} is not a duration; write it like 90s, 5m or 1h")
        seconds = Fraction(number) * SECONDS[unit]
    if not SECONDS["ns"] <= seconds <= _LONGEST_DURATION:
        raise ValueError(
            f"{shown(value)} is not a duration between 1ns and 366d; write it like 90s, 5m or 1h"
        )
    return float(seconds)


def _in_parts(value: object) -> Fraction | None:
    """Add up a duration of two parts or more, such as ``1h30m``; None for all else."""
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        return None
    match = _COMPOUND.fullmatch(value)
    written = {} if match is None else dict(zip(_IN_ORDER, match.groups(), strict=True))
    parts = [Fraction(part) * SECONDS[unit] for unit, part in written.items() if part]
    return sum(parts, Fraction()) if len(parts) > 1 else None


def parse_quantity(value: object, *, example: str = "5ms, 0.1% or 200") -> tuple[float, str]:
    """Read a number with an optional unit, such as ``"5ms"``, ``"0.1%"`` or ``200``.

    Parameters
    ----------
    value : str or float
        The quantity.
    example : str
        What a complaint says that it should look like.

    Returns
    -------
    tuple of (float, str)
        The number and its unit, the empty string where there is none; of a duration in parts, such as ``1m30s``, the seconds.

    Raises
    ------
    ValueError
        If no number can be read, or it is not finite.

    Examples
    --------
    >>> parse_quantity("5ms"), parse_quantity(200)
    ((5.0, 'ms'), (200.0, ''))
    """
    seconds = _in_parts(value)
    if seconds is not None:
        return float(seconds), "s"
    number, unit = _number_and_unit(value, "a quantity", example)
    return float(number), unit


def relative_or_absolute(value: Any, *, signed: bool = False, example: str | None = None) -> Any:
    """Read a quantity that stands alone as the part that its unit says it is; anything else is given back.

    Parameters
    ----------
    value : object
        What the policy says.
    signed : bool
        Whether the advice shows the sign of a bare number, which is then of percent.
    example : str, optional
        What a quantity may look like, for errors.

    Returns
    -------
    object
        ``{"relative": value}`` for percent, ``{"absolute": value}`` for all other units.

    Raises
    ------
    ValueError
        If it has no unit, or is no quantity.

    Examples
    --------
    >>> relative_or_absolute("10%"), relative_or_absolute("5ms")
    ({'relative': '10%'}, {'absolute': '5ms'})
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return value
    number, unit = parse_quantity(value) if example is None else parse_quantity(value, example=example)
    if not unit:
        plain = f"{number:+g}%" if signed else f"{number:g}%"
        fraction = percent(number) if not signed and 0 < number <= 1 else plain
        could = f"{shown(value)} could be a fraction or a number of units"
        raise ValueError(f"{could}; write {fraction}, or {{absolute: {number:g}}}")
    return {"relative" if unit == "%" else "absolute": value}
