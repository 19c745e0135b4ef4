"""Quantities: what is read, what is refused, and that nothing is guessed or lost."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canaryjudge.policy.quantities import (
    convert,
    parse_duration,
    parse_fraction,
    parse_quantity,
    percent,
    same_dimension,
    shown,
)

finite = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("written", "fraction"),
    [
        ("10%", 0.1),
        ("0.7%", 0.007),  # 0.7 / 100 is 0.006999999999999999
        ("0.1 %", 0.001),
        (" 5% ", 0.05),
        (".5%", 0.005),
        ("1e-3%", 1e-5),
        ("250%", 2.5),
        ("-5%", -0.05),
        (0.25, 0.25),
        (1, 1.0),
        (0, 0.0),
    ],
)
def test_fractions_are_read_to_the_last_digit(written, fraction):
    assert parse_fraction(written) == fraction


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("10", "without a %"),
        ("0.1", "without a %"),
        ("10percent", "has the unit 'percent'"),
        ("5ms", "has the unit 'ms'"),
        ("ten", "is not a fraction"),
        ("", "is not a fraction"),
        ("%", "is not a fraction"),
        ("1,5%", "is not a fraction"),
        ("1.2.3%", "is not a fraction"),
        ("٣%", "is not a fraction"),
        ("1e99999%", "is not a fraction"),
        ("1e999%", "is not finite"),
        (True, "true is not a fraction"),
        (None, "nothing is not a fraction"),
        ([0.1], "a list is not a fraction"),
        (math.nan, "is not finite"),
        (math.inf, "is not finite"),
        pytest.param(10**400, "a huge number is not finite", id="huge"),
        pytest.param(10**5000, "a huge number is not finite", id="beyond-int-to-text"),
        pytest.param("1" * 1000, "is not a fraction", id="long"),
    ],
)
def test_what_is_no_fraction_is_refused_with_an_example(written, words):
    with pytest.raises(ValueError, match="10%") as caught:
        parse_fraction(written)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 250


@settings(deadline=None, derandomize=True)
@given(fraction=st.floats(0, 1e6))
def test_percent_reads_back_as_the_same_number(fraction):
    assert parse_fraction(percent(fraction)) == fraction


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90s", 90.0),
        ("5m", 300.0),
        ("5 min", 300.0),
        ("1h", 3600.0),
        ("2hours", 7200.0),
        ("1d", 86400.0),
        ("250ms", 0.25),
        ("3us", 3e-6),
        ("3\u00b5s", 3e-6),
        ("3\u03bcs", 3e-6),
        ("10ns", 1e-8),
        ("366d", 366 * 86400.0),
    ],
)
def test_durations_are_read_in_seconds(written, seconds):
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written",
    [
        60,
        60.0,
        "60",
        "",
        "5",
        "5MB",
        "5%",
        "1:30",
        "1h30m",
        "-5m",
        "0s",
        "367d",
        "1e-9ns",
        "1e300d",
        None,
        True,
    ],
)
def test_what_is_no_duration_is_refused_with_an_example(written):
    with pytest.raises(ValueError, match="write it like 90s, 5m or 1h"):
        parse_duration(written)


@pytest.mark.parametrize(
    ("written", "quantity"),
    [
        ("5ms", (5.0, "ms")),
        ("5 ms", (5.0, "ms")),
        ("0.1%", (0.1, "%")),
        ("0.02pp", (0.02, "pp")),
        ("200", (200.0, "")),
        (200, (200.0, "")),
        ("-3.5e2req/s", (-350.0, "req/s")),
        ("5e3", (5000.0, "")),
        ("5€", (5.0, "€")),
        ("2E", (2.0, "E")),
    ],
)
def test_quantities_are_a_number_and_a_unit(written, quantity):
    assert parse_quantity(written) == quantity


@pytest.mark.parametrize(
    "written", ["ms", "1,000", "5 e3", "1.2.3", "1:30", "5 m s", "--5", "1_000", "nan", "inf"]
)
def test_what_is_no_quantity_is_refused(written):
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(written)


@pytest.mark.parametrize(
    ("number", "unit", "to", "converted"),
    [
        (0.2, "s", "ms", 200.0),
        (1.0, "h", "m", 60.0),
        (3.0, "us", "ms", 0.003),
        (1.0, "MiB", "KiB", 1024.0),
        (1.0, "MB", "kB", 1000.0),
        (5.0, "pp", "%", 5.0),
        (7.0, "widgets", "widgets", 7.0),
    ],
)
def test_units_of_one_dimension_are_converted_without_rounding_dust(number, unit, to, converted):
    assert same_dimension(unit, to)
    assert convert(number, unit, to) == converted


@pytest.mark.parametrize(
    ("unit", "to", "words"),
    [
        ("MB", "ms", "'MB' cannot be converted to the metric's unit 'ms'"),
        ("%", "ms", "'%' cannot be converted"),
        ("ms", "widgets", "cannot be converted"),
        ("ms", "", "add unit: ms to the metric"),
    ],
)
def test_units_of_two_dimensions_are_refused(unit, to, words):
    assert not same_dimension(unit, to)
    with pytest.raises(ValueError, match="unit") as caught:
        convert(1.0, unit, to)
    assert words in str(caught.value)


def test_a_conversion_that_overflows_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        convert(1e308, "d", "ns")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(value=st.one_of(st.text(max_size=150), finite, st.integers(), st.booleans(), st.none(), st.binary()))
@pytest.mark.parametrize("parse", [parse_fraction, parse_duration, parse_quantity])
def test_any_value_is_read_or_refused_in_one_short_sentence(parse, value):
    message = ""
    try:
        parse(value)
    except ValueError as error:
        message = str(error)
    assert len(message) < 300


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"),
        (True, "true"),
        ("a", "'a'"),
        (1.5, "1.5"),
        ([1], "a list"),
        ((1,), "a list"),
        ({}, "a mapping"),
        (object(), "a Python object"),
        pytest.param(10**5000, "a huge number", id="beyond-int-to-text"),
    ],
)
def test_values_are_shown_as_a_policy_writes_them(value, text):
    assert shown(value) == text


@pytest.mark.parametrize("value", ["x" * 10_000, "\0" * 10_000], ids=["text", "control"])
def test_long_values_are_cut(value):
    assert len(shown(value)) <= 100
