"""Numbers: what was measured without false precision, what was chosen as it was chosen, nothing told as 0 that is not."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryjudge.explain.numbers import (
    confidence,
    count,
    is_chosen,
    more,
    number,
    odds_for,
    percent,
    pvalue,
    set_number,
    set_percent,
    share,
)


def digits_of(text):
    """The digits that say something: without leading zeros, and of whole numbers without those at the end."""
    figures = re.sub(r"e.*|[^\d.]", "", text)
    whole = figures if "." in figures else figures.rstrip("0")
    return len(whole.replace(".", "").lstrip("0"))


@given(value=st.floats(1e-300, 1e300))
def test_what_was_measured_is_told_to_three_digits_or_the_last_whole_number_and_never_to_more_than_four(
    value,
):
    assert digits_of(number(value)) <= 4
    assert float(number(value).replace(",", "")) == pytest.approx(value, rel=0.006, abs=0)


@given(value=st.decimals(min_value="0.0001", max_value="99999", places=4).map(float))
def test_what_was_chosen_is_told_in_full(value):
    if is_chosen(value):
        assert float(set_number(value).replace(",", "")) == pytest.approx(value, rel=1e-9)


def test_what_was_computed_is_not_told_as_if_it_was_chosen():
    assert set_percent(1 / 1.1 - 1) == "-9.1 %"
    assert set_number(100 / 3) == "33.3"
    assert set_percent(0.0333333333) == "3.3 %"


@pytest.mark.parametrize("chosen", ["12.5 %", "0.1 %", "99.95 %", "99.999 %", "0.0001 %", "250 %", "7 %"])
def test_a_tolerance_or_objective_in_percent_is_told_as_it_was_written(chosen):
    assert set_percent(float(chosen.removesuffix(" %")) / 100) == chosen


@given(missing=st.floats(1e-8, 0.0099))
def test_a_share_near_the_whole_is_not_told_as_the_whole(missing):
    told = share(1 - missing)
    assert 99 < float(told) < 100
    assert 100 - float(told) == pytest.approx(100 * missing, rel=0.06)


@given(part=st.floats(0, 1))
def test_a_share_is_told_as_one(part):
    assert 0 <= float(share(part, 3)) <= 100
    assert float(share(part, 3)) == pytest.approx(100 * part, rel=0.006)


def test_a_change_near_a_hundred_percent_is_no_share():
    assert percent(0.99953) == "100 %"
    assert share(0.99953) == "99.953"


@pytest.mark.parametrize("value", [0.0, 5e-324, 1e-301])
def test_the_smallest_p_values_have_a_bound(value):
    assert pvalue(value) == "p < 1e-300"


def test_how_many_more_agrees_in_number():
    assert more(1, "points") == "1 more point"
    assert more(1049, "intervals") == "1,000 more intervals"
    assert more(1049, "intervals", roughly=False) == "1,049 more intervals"


def test_counts_are_exact():
    assert count(12345678) == "12,345,678"


@given(log10=st.none() | st.floats(-400, 400))
def test_odds_are_never_nothing_to_one(log10):
    told = odds_for(log10)
    assert told.endswith(" to 1")
    assert not told.startswith("0 ")
    if log10 is not None and -2 <= log10 <= 6:
        assert float(told.split()[0].replace(",", "")) == pytest.approx(10**log10, rel=0.06)


@given(level=st.floats(0.5, 1, exclude_max=True))
def test_no_interval_is_quite_sure(level):
    assert confidence(level) != "100 % CI"
    assert math.isfinite(float(confidence(level).removeprefix("over ").removesuffix(" % CI")))
