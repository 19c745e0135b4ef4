"""Quantities: what is read, what is refused, and that nothing is guessed or lost."""

import math
import re
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canaryjudge.errors import PolicyError
from canaryjudge.policy import Metric, Slo, parse_policy
from canaryjudge.quantities import (
    DURATION_PATTERN,
    QUANTITY_PATTERN,
    convert,
    parse_duration,
    parse_fraction,
    parse_quantity,
    percent,
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
        ("1w", 7 * 86400.0),
        ("1h30m", 5400.0),  # as Prometheus and Go write them
        ("1m30s", 90.0),
        (" 1w2d3h4m5s6ms7us8ns ", 788645.006007008),
        ("1.5h30m", 7200.0),
        ("2s500ms", 2.5),
        ("0h5m", 300.0),
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
        "30m1h",
        "1h1h",
        "1h 30m",
        "1h30",
        "1h-30m",
        "-1h30m",
        "1h30min",
        "0h0m",
        "52w3d",
        "1h" + "0" * 100 + "m",
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
        ("1e3", (1000.0, "")),
        ("1E3", (1000.0, "")),
        ("1e3k", (1000.0, "k")),
        ("200m", (200.0, "m")),
        ("10Mi", (10.0, "Mi")),
        ("600/min", (600.0, "/min")),
        ("1m30s", (90.0, "s")),
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


CONVERTED = [
    (0.2, "s", "ms", 200.0),
    (1.0, "h", "m", 60.0),
    (3.0, "us", "ms", 0.003),
    (2.0, "m", "Seconds", 120.0),
    (90.0, "s", "MIN", 1.5),
    (3.0, "m", "milliseconds", 180_000.0),
    (1.0, "w", "d", 7.0),
    (1.0, "MiB", "KiB", 1024.0),
    (1.0, "MB", "kB", 1000.0),
    (1.0, "EiB", "B", 2.0**60),
    (5.0, "pp", "%", 5.0),
    (5.0, "%", "pp", 5.0),
    # names of Prometheus and of UCUM, as OpenTelemetry has units
    (0.1, "%", "ratio", 0.001),
    (0.1, "%", "1", 0.001),
    (0.1, "pp", "percent", 0.1),
    (0.35, "1", "%", 35.0),
    (10.0, "MiB", "By", 10 * 1024.0**2),
    (10.0, "Mi", "By", 10 * 1024.0**2),
    (1.0, "GiBy", "MiB", 1024.0),
    (2.0, "kBy", "bytes", 2000.0),
    (600.0, "/min", "1/s", 10.0),
    (600.0, "/min", "{request}/s", 10.0),
    (1.0, "k", "{job}", 1000.0),
    (3.0, "requests", "{request}", 3.0),
    (1.0, "wk", "d", 7.0),
    (7.0, "widgets", "widgets", 7.0),
    (5.0, "m", "m", 5.0),
    (5.0, "K", "K", 5.0),  # kelvin, if the metric says so
    # cores
    (200.0, "m", "cores", 0.2),
    (200.0, "m", "CPU", 0.2),
    (200.0, "m", "millicores", 200.0),
    (1.5, "cores", "mcores", 1500.0),
    (250.0, "millicores", "cpu", 0.25),
    # bytes by a suffix alone
    (10.0, "Mi", "bytes", 10 * 2.0**20),
    (1.0, "k", "B", 1000.0),
    (1.0, "Gi", "MiB", 1024.0),
    (1.0, "G", "MB", 1000.0),
    (10.0, "Mi", "MiB/s", 10.0),
    (1.0, "Gi", "Mi", 1024.0),
    # counts
    (1.0, "k", "", 1000.0),
    (2.0, "Mi", "", 2.0**21),
    (2.0, "E", "", 2e18),
    (1.0, "Ei", "", 2.0**60),
    (5.0, "u", "", 5e-6),
    (5.0, "n", "jobs", 5e-9),
    (200.0, "m", "jobs", 0.2),
    (1.5, "k", "requests", 1500.0),
    (3.0, "req", "requests", 3.0),
    (-3.0, "Ops", "operation", -3.0),
    # two words
    (600.0, "/min", "/s", 10.0),
    (600.0, "/min", "req/s", 10.0),
    (600.0, "req/min", "requests/s", 10.0),
    (600.0, "req/min", "rps", 10.0),
    (1.0, "k", "req/s", 1000.0),
    (1.0, "k", "/s", 1000.0),
    (200.0, "m", "req/s", 0.2),
    (60.0, "Mi/min", "MiB/s", 1.0),
    (3.6, "GB/h", "MB/s", 1.0),
    (2.0, "s/op", "ms/op", 2000.0),
    (2.0, "ms/operation", "ms/op", 2.0),
    (2.0, "m/op", "ms/op", 120_000.0),
    (1.0, "ms / KiB", "ms/MiB", 1024.0),
    (0.1, "s", "ms", 100.0),
    (2e-7, "/min", "/h", 1.2e-5),
]


@pytest.mark.parametrize(("number", "unit", "to", "converted"), CONVERTED)
def test_units_of_one_dimension_are_converted_without_rounding_dust(number, unit, to, converted):
    assert convert(number, unit, to) == converted


MISFITS = [
    ("MB", "ms", "'MB' cannot be converted to the metric's unit 'ms'"),
    ("%", "ms", "'%' cannot be converted"),
    ("ms", "widgets", "cannot be converted"),
    ("ms", "", "add unit: ms to the metric"),
    ("/min", "", "add unit: /min to the metric"),
    ("k", "ms", "the suffix 'k' does not scale the metric's unit 'ms'"),
    ("u", "s", "the suffix 'u' does not scale the metric's unit 's'"),
    ("k", "%", "the suffix 'k' does not scale the metric's unit '%'"),
    ("m", "%", "'m' cannot be converted"),
    ("m", "", "200m could be 200 minutes or 0.2; give the metric a unit, or write 0.2"),
    ("m", "bytes", "200m would be 0.2 bytes; did you mean 200M or 200Mi?"),
    ("n", "MiB/s", "200n would be 2e-07 bytes; did you mean 200M or 200Mi?"),
    ("K", "B", "200K has no suffix that Kubernetes knows; write 200k or 200Ki"),
    ("K", "", "200K has no suffix"),
    ("ki", "B", "cannot be converted"),
    ("Mb", "MB", "cannot be converted"),  # bits
    ("Mbit/s", "MB/s", "cannot be converted"),
    ("cores", "%", "cannot be converted"),
    ("/min", "MiB/s", "cannot be converted"),
    ("/min", "cores/s", "cannot be converted"),
    ("/min", "ms/op", "cannot be converted"),
    ("req/min", "/s", "cannot be converted"),
    ("req", "req/s", "cannot be converted"),
    ("req/s", "req", "cannot be converted"),
    ("errors/s", "req/s", "cannot be converted"),
    ("ms", "ms/op", "cannot be converted"),
    ("m", "ms/op", "cannot be converted"),
    ("ms/op", "ms/request", "cannot be converted"),
    ("ms/op", "ms/s", "cannot be converted"),
    ("Mi/s", "B", "cannot be converted"),
    ("a/b/c", "a/b", "cannot be converted"),
    ("ms/a/b", "s/a/b", "cannot be converted"),
    ("/", "x", "cannot be converted"),
]


@pytest.mark.parametrize(("unit", "to", "words"), MISFITS)
def test_units_of_two_dimensions_are_refused(unit, to, words):
    with pytest.raises(ValueError, match=r"metric|bytes|suffix") as caught:
        convert(200.0, unit, to)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("unit", "to"), [(unit, to) for _, unit, to, _ in CONVERTED])
@settings(max_examples=20, deadline=None, derandomize=True)
@given(number=st.floats(-1e12, 1e12, allow_subnormal=False))
def test_a_conversion_is_the_nearest_float_of_the_exact_product(unit, to, number):
    factor = Fraction(convert(1.0, unit, to)).limit_denominator(10**16)
    assert convert(number, unit, to) == pytest.approx(float(Fraction(repr(number)) * factor), rel=1e-15)


@pytest.mark.parametrize("unit", ["s", "MiB", "cores", "%", "req/s", "ms/op", "Gi", "jobs", "/min"])
@pytest.mark.parametrize("to", ["s", "MiB", "cores", "%", "req/s", "ms/op", "Gi", "jobs", "/min"])
def test_what_converts_both_ways_comes_back(unit, to):
    try:
        there, back = convert(1.0, unit, to), convert(1.0, to, unit)
    except ValueError:
        return
    assert there * back == pytest.approx(1.0, rel=1e-15)


def test_a_conversion_that_overflows_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        convert(1e308, "d", "ns")


def limit(value, unit, kind="gauge"):
    metric = Metric(
        name="m",
        kind=kind,
        unit=unit,
        direction="increase",
        rules=[Slo(of="mean" if kind == "gauge" else "pooled", op="lte", value=value)],
    )
    return metric.quantity(metric.rules[0].value, "the value")


@pytest.mark.parametrize(
    ("value", "unit", "meant"),
    [
        ("200m", "cores", 0.2),
        ("200m", "s", 12_000.0),
        ("10Mi", "bytes", 10 * 2.0**20),
        ("1Gi", "MiB", 1024.0),
        ("1k", "", 1000.0),
        ("1e3", "jobs", 1000.0),
        ("1m30s", "ms", 90_000.0),
        ("600/min", "req/s", 10.0),
        ("5%", "pp", 5.0),
    ],
)
def test_an_objective_is_held_in_the_metric_s_unit(value, unit, meant):
    assert limit(value, unit) == meant


def test_counts_are_scaled_and_ratios_are_not():
    assert limit("2k", "errors", kind="count") == 2000.0
    with pytest.raises(PolicyError, match=r"2m has the unit 'm', but a ratio has none"):
        limit("2m", "", kind="ratio")


@pytest.mark.parametrize(
    ("written", "where", "words"),
    [
        ("tolerance: 200m", "tolerance", "200m could be 200 minutes or 0.2"),
        ("unit: MB\n  tolerance: {absolute: 5ms}", "absolute", "'ms' cannot be converted"),
        ("unit: bytes\n  tolerance: 400m", "tolerance", "400m would be 0.4 bytes"),
        ("unit: ms\n  rules: [{rule: slo, of: p99, op: lt, value: 1k}]", "value", "'k' does not scale"),
        ("unit: req/s\n  rules: [{rule: slo, of: p99, op: lt, value: 9/op}]", "value", "'/op' cannot be"),
    ],
)
def test_a_mismatch_is_one_sentence_with_its_place(written, where, words):
    text = f"metrics:\n- name: a\n  direction: increase\n  {written}\n"
    with pytest.raises(PolicyError) as caught:
        parse_policy(text, "p.yaml")
    message = str(caught.value)
    line = next(number for number, content in enumerate(text.splitlines(), 1) if where in content)
    assert message.startswith(f"p.yaml:{line}:")
    assert words in message
    assert "\n" not in message


@given(
    text=st.from_regex(re.compile(r"([0-9]{1,3}(\.[0-9])?[wdhmsun]{1,2} ?){1,4}", re.ASCII), fullmatch=True)
    | st.from_regex(re.compile(r"[0-9]{1,3}[ numkMGTPEKi%/s]{0,4}", re.ASCII), fullmatch=True)
)
def test_the_patterns_of_the_schema_take_whatever_is_read(text):
    for parse, pattern in ((parse_duration, DURATION_PATTERN), (parse_quantity, QUANTITY_PATTERN)):
        try:
            parse(text)
        except ValueError:
            continue
        assert re.search(pattern, text)


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


@pytest.mark.parametrize(
    ("unit", "written", "absolute"),
    [("ratio", "0.1%", 0.001), ("1", "0.1%", 0.001), ("percent", "0.1%", 0.1), ("By", "10MiB", 10 * 2.0**20)],
)
def test_units_as_prometheus_and_opentelemetry_name_them(unit, written, absolute):
    metric = Metric(name="m", unit=unit, direction="increase", tolerance={"absolute": written})
    assert metric.tolerated_absolute == absolute
