"""Quantities: each in a unit that suits, those that are compared in the same, and those that were chosen as they were chosen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import canaryjudge as cj
from canaryjudge.explain.quantities import change, level_of, levels_of, set_change, set_level, span, suited
from canaryjudge.quantities import convert, rungs

TIMES = ("ns", "us", "ms", "s", "seconds", "min", "h", "d")
BYTES = ("B", "bytes", "KiB", "MiB", "GiB", "kB", "MB", "GB")


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [
        (0.0121, "s", "12.1 ms"),
        (1.2, "s", "1.2 s"),
        (90.0, "s", "90 s"),
        (0.0000004, "s", "400 ns"),
        (1500.0, "s", "25 min"),
        (86400.0, "s", "24 h"),
        (1200.0, "ms", "1.2 s"),
        (148.2, "ms", "148 ms"),
        (999.7, "ms", "1 s"),
        (0.5, "h", "30 min"),
        (0.0, "s", "0 s"),
        (-0.02, "s", "-20 ms"),
        (512.0, "bytes", "512 bytes"),
        (3565158.0, "bytes", "3.4 MiB"),
        (2048.0, "MiB", "2 GiB"),
        (2500.0, "MB", "2.5 GB"),
        (1.5e9, "B/s", "1.4 GiB/s"),
        (0.2, "cores", "0.2 cores"),
        (41.5, "%", "41.5 %"),
        (1234567.0, "jobs", "1,235,000 jobs"),
        (1234567.0, "", "1,235,000"),
        (3565158.0, "By", "3.4 MiB"),
        (512.0, "By", "512 B"),
        (12.0, "{request}/s", "12 request/s"),
        (0.42, "1", "0.42"),
    ],
)
def test_a_level_is_told_in_a_unit_that_suits(value, unit, told):
    assert level_of(value, "gauge", unit) == told


@given(value=st.floats(1e-6, 1e12), unit=st.sampled_from([*TIMES, *BYTES, "MiB/s", "ms/request"]))
def test_whatever_the_unit_it_is_the_same_quantity(value, unit):
    figure, word = level_of(value, "gauge", unit).split(" ", 1)
    back = convert(float(figure.replace(",", "")), word, to=unit)
    assert back == pytest.approx(value, rel=0.006)


@given(value=st.floats(1e-9, 1e15), unit=st.sampled_from([*TIMES, *BYTES]))
def test_the_number_is_one_that_people_read(value, unit):
    ladder = rungs(unit)
    told = abs(value) / float(suited(unit, value).size)
    smallest, largest = (float(ladder[end].size) for end in (0, -1))
    if smallest <= value < 1000 * largest:
        assert 0.99 <= told < 2048


def test_what_is_compared_is_told_in_one_unit():
    assert levels_of((1.02, 0.984), "gauge", "s") == ["1.02 s", "0.984 s"]
    assert span(0.0004, 0.0121, "objective", "gauge", "s") == "0.4 to 12.1 ms"
    assert span(900.0, 1100.0, "absolute", "gauge", "ms") == "0.9 to 1.1 s"


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [
        (0.25, "s", "250 ms"),
        (1025.0, "", "1,025"),
        (1e6, "B", "1 MB"),
        (2.0**20, "B", "1 MiB"),
        (100000.0, "bytes", "100 kB"),
        (12.705, "ms", "12.705 ms"),
        (1 / 3, "s", "333 ms"),
    ],
)
def test_what_was_chosen_is_told_in_full(value, unit, told):
    assert set_level(value, "gauge", unit) == told


def test_a_level_takes_the_unit_of_the_limit_that_it_is_held_against():
    assert level_of(3.4e6, "gauge", "bytes", beside=5e6) == "3.4 MB"
    assert span(3.4e6, None, "objective", "gauge", "bytes", beside=5e6) == "3.4 MB or more"
    assert level_of(340.0, "gauge", "bytes", beside=5e6) == "340 bytes"


def test_changes_are_told_in_percent_percentage_points_or_the_unit():
    assert change(0.0015, "absolute", "gauge", "s") == "1.5 ms"
    assert change(1.5, "absolute", "gauge", "%") == "1.5 percentage points"
    assert set_change(0.00025, "absolute", "ratio", "") == "0.025 percentage points"
    assert set_change(0.125, "relative", "gauge", "s") == "12.5 %"


def test_a_verdict_on_seconds_is_told_in_milliseconds():
    draw = np.random.default_rng(20260402)
    metric = cj.Metric(
        name="latency",
        unit="s",
        direction="increase",
        tolerance="5ms",
        rules=["mann_whitney", cj.Slo(of="p90", op="lte", value="15ms")],
    )
    arms = {"baseline": draw.normal(0.0121, 0.0004, 60), "canary": draw.normal(0.0221, 0.0004, 60)}
    said = " ".join(cj.judge({"latency": arms}, cj.Policy(metrics=[metric])).explain().split())
    assert "ms higher, 22.1 ms v. 12.1 ms (" in said
    assert "beyond the tolerated 5 ms" in said
    assert "breaches the objective <= 15 ms (baseline 12." in said


def test_availability_is_told_to_the_digits_that_matter():
    total = np.full(60, 100_000)
    draw = np.random.default_rng(20260403)
    arms = {arm: {"value": draw.binomial(total, 0.9997), "total": total} for arm in ("baseline", "canary")}
    rules = [cj.Slo(of="pooled", op="gte", value="99.95%")]
    metric = cj.Metric(name="ok", kind="ratio", direction="decrease", rules=rules)
    said = " ".join(cj.judge({"ok": arms}, cj.Policy(metrics=[metric])).explain().split())
    assert "canary is 99.9" in said
    assert "100 %" not in said
    assert "the objective >= 99.95 %" in said
