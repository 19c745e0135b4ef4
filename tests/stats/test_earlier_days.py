"""What a change departs by from earlier days, against slow oracles and independent implementations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import digamma, polygamma
from scipy.stats import t as student

from canaryjudge.stats.earlier_days import Windows, against_days, jump_at_switch, moderated


def windows(before, after, groups=None):
    days = np.arange(-len(before), 0.0)
    kinds = np.zeros(len(before), dtype=np.intp) if groups is None else groups
    return Windows(np.array(before, dtype=float), np.array(after, dtype=float), days, kinds)


def test_with_one_time_of_the_clock_it_is_the_textbook_prediction_interval():
    rng = np.random.default_rng(1)
    before, after = rng.normal(size=(2, 6, 1))
    found = against_days((0.3, 1.4), windows(before, after))
    changes = (after - before)[:, 0]
    error = changes.std(ddof=1) * np.sqrt(1 + 1 / 6)
    assert found.estimate == pytest.approx(1.1 - changes.mean())
    assert found.expected == pytest.approx(changes.mean())
    assert (found.standard_error, found.df) == (pytest.approx(error), 5)
    assert found.pvalues(0.2)[0] == pytest.approx(student.sf((found.estimate - 0.2) / error, 5))
    assert found.bounds(0.01)[1] == pytest.approx(found.estimate + student.ppf(0.99, 5) * error)


def test_part_of_a_level_that_lasts_and_trend_are_those_of_a_slow_regression():
    rng = np.random.default_rng(2)
    level = 0.05 * rng.normal(size=(9, 1)) + 0.02 * np.arange(9)[:, None]
    before = level + 0.03 * rng.normal(size=(9, 5)) + np.arange(5)
    after = 0.5 * level + 0.03 * rng.normal(size=(9, 5)) + 2 * np.arange(5)
    found = against_days((0.1, 0.4), windows(before, after))
    days = np.arange(-9.0, 0.0)
    slopes = [np.polyfit(days, table[:, k], 1)[0] for table in (before, after) for k in range(5)]
    slope = np.mean(slopes)
    u, v = (
        [
            table[d, k] - table[:, k].mean() - slope * (days[d] - days.mean())
            for d in range(9)
            for k in range(5)
        ]
        for table in (before, after)
    )
    part = np.dot(u, v) / np.dot(u, u)
    expected = np.mean(after[:, 0] - part * before[:, 0] - (1 - part) * slope * days)
    assert found.carried == pytest.approx(part)
    assert found.estimate == pytest.approx(0.4 - part * 0.1 - expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(4, 10), st.integers(1, 6))
def test_what_repeats_every_day_is_no_change(seed, days, clocks):
    rng = np.random.default_rng(seed)
    before, after = rng.normal(size=(2, days, clocks))
    morning, noon = 5 * rng.normal(size=(2, clocks))
    plain = against_days((0.0, 0.5), windows(before, after))
    cycled = against_days((morning[0], 0.5 + noon[0]), windows(before + morning, after + noon))
    assert cycled.estimate == pytest.approx(plain.estimate, abs=1e-9)
    assert cycled.standard_error == pytest.approx(plain.standard_error, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-0.1, 0.1))
def test_a_straight_trend_over_the_days_is_no_change(seed, slope):
    rng = np.random.default_rng(seed)
    before, after = rng.normal(size=(2, 8, 5))
    line = slope * np.arange(-8.0, 0.0)[:, None]
    plain = against_days((0.0, 0.5), windows(before, after))
    trended = against_days((0.0, 0.5), windows(before + line, after + line))
    assert trended.estimate == pytest.approx(plain.estimate, abs=1e-9)


def test_other_weekdays_tell_the_variance_and_not_the_level():
    rng = np.random.default_rng(3)
    groups = np.array([0, 1, 2, 3, 4, 5, 6] * 3)
    before = np.zeros((21, 1))
    after = 0.1 * groups[:, None] + 0.01 * rng.normal(size=(21, 1))
    found = against_days((0.0, 0.0), windows(before, after, groups))
    assert found.days == 3
    assert abs(found.expected) < 0.03
    assert found.df == pytest.approx(14)
    assert found.spread == pytest.approx(0.01, rel=0.5)


@pytest.mark.parametrize("known", [0, 1, 2])
def test_fewer_than_three_days_tell_nothing(known):
    table = np.full((5, 3), np.nan)
    table[:known] = 1.0
    assert against_days((0.0, 0.0), windows(table, table)) is None


def slow_prior(variances, freedom):
    """Smyth's moment estimates, by a bracketing root finder."""
    e = np.log(variances) - digamma(freedom / 2) + np.log(freedom / 2)
    excess = e.var(ddof=1) - polygamma(1, freedom / 2).mean()
    half = brentq(lambda x: polygamma(1, x) - excess, 1e-4, 1e8)
    return np.exp(e.mean() + digamma(half) - np.log(half)), 2 * half


def test_variances_are_moderated_as_smyth_has_it():
    variances, freedom = np.array([9.0, 1.0, 0.2, 4.0, 0.7, 2.5]), np.array([6.0, 6, 5, 6, 4, 6])
    at, prior = slow_prior(variances, freedom)
    variance, df = moderated(variances, freedom)
    assert variance == pytest.approx((prior * at + 6 * 9) / (prior + 6))
    assert df == pytest.approx(prior + 6)
    # all alike: one variance, of all degrees of freedom
    assert moderated([1.0, 1.1, 0.9, 1.0], [6, 6, 6, 6]) == (pytest.approx(1.0), 24)
    # two say nothing of how variances differ
    assert moderated([4.0, 1.0], [6, 6]) == (4.0, 6.0)


def test_jump_is_that_of_a_segmented_regression():
    api = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(4)
    times = np.arange(30.0), np.arange(30.0, 50.0)
    before, after = 0.1 * times[0] + rng.normal(size=30), 3 + 0.2 * times[1] + rng.normal(size=20)
    found = jump_at_switch(before, after, times, 30.0)
    when = np.concatenate(times) - 30.0
    new = when >= 0
    design = np.column_stack([np.ones(50), when, new, when * new])
    fit = api.OLS(np.concatenate([before, after]), design).fit()
    assert found.estimate == pytest.approx(fit.params[2])
    assert found.expected == pytest.approx(fit.params[0])
    assert found.standard_error == pytest.approx(fit.bse[2], rel=0.5)
    assert found.df <= 28
