"""Noise that more points do not average out: joined with the scatter, and measured from healthy pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from canaryjudge.stats.lasting_noise import LastingNoise, excess, joined
from canaryjudge.stats.rank_test import shift_test


def test_welch_and_satterthwaite_agree_with_scipy():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=12), rng.normal(0, 3, 5)
    errors = [arm.std(ddof=1) / len(arm) ** 0.5 for arm in (a, b)]
    error, df = joined(errors[0], 11, errors[1], 4)
    found = stats.ttest_ind(a, b, equal_var=False)
    assert df == pytest.approx(found.df)
    assert (a.mean() - b.mean()) / error == pytest.approx(found.statistic)


ERRORS, FREEDOMS = st.just(0.0) | st.floats(1e-150, 1e6), st.floats(1, 1e4)


@given(ERRORS, FREEDOMS, ERRORS, FREEDOMS)
def test_a_sum_is_known_no_better_than_both_parts_and_no_worse_than_either(error, df, lasting, lasting_df):
    together, freedom = joined(error, df, lasting, lasting_df)
    assert together >= max(error, lasting) * (1 - 1e-12)
    assert min(df, lasting_df) * (1 - 1e-9) <= freedom
    assert np.isinf(freedom) or freedom <= (df + lasting_df) * (1 + 1e-9)


def test_without_a_lasting_part_nothing_changes():
    assert [float(part) for part in joined(2.0, 7.0, 0.0, 3.0)] == [2.0, 7.0]
    assert [float(part) for part in joined(2.0, np.inf, 0.0, 3.0)] == [2.0, np.inf]


@pytest.mark.parametrize("spread", [0.0, 0.5, 3.0])
def test_the_spread_of_windows_is_recovered(spread):
    rng = np.random.default_rng(2)
    pairs = 4000
    differences = rng.normal(0, np.sqrt(2 * (spread**2 + 1)), pairs)
    found, df = excess(differences, np.full(pairs, np.sqrt(2.0)), pairs)
    assert found == pytest.approx(spread, abs=0.15)
    assert df <= pairs


def test_the_degrees_of_freedom_are_those_of_the_spreads_own_variance():
    """The variance of a chi-squared with f degrees of freedom is 2/f of its squared mean."""
    rng = np.random.default_rng(3)
    runs, pairs = 2000, 30
    found = [
        excess(row, np.full(pairs, 1.0), pairs) for row in rng.normal(0, np.sqrt(1 + 2 * 4.0), (runs, pairs))
    ]
    squares = np.array([spread**2 for spread, _ in found])
    truth = 2 * squares.mean() ** 2 / squares.var()
    assert np.median([df for _, df in found]) == pytest.approx(truth, rel=0.25)


def test_heavy_tails_are_known_less_well():
    calm, wild = np.resize([1.0, -1.0], 40), np.r_[np.full(38, 0.1), 6.0, -6.0]
    assert excess(wild, np.zeros(40), 40)[1] < excess(calm, np.zeros(40), 40)[1] / 4


def test_healthy_windows_that_never_differ_have_no_spread():
    assert excess(np.zeros(5), np.zeros(5), 4) == (0.0, 4.0)


def test_points_that_are_all_the_same_keep_the_lasting_noise():
    noise = LastingNoise(np.array([2.0, 2.0]), 30.0)
    test = shift_test([5.0] * 20, [6.0] * 20, [0.5, 0.0], levels=[0.05], lasting=noise)
    reach = 2 * stats.t.isf(0.05, 30)
    assert test.low[0, 0] == pytest.approx(1 - reach, rel=1e-3)
    assert test.high[0, 0] == pytest.approx(1 + reach, rel=1e-3)
    assert test.pvalue_greater[0] == pytest.approx(stats.t.sf(0.25, 30), rel=1e-3)


def test_bounds_and_pvalues_agree_with_a_lasting_part():
    rng = np.random.default_rng(4)
    for _ in range(50):
        baseline, canary = rng.normal(100, 1, 40), rng.normal(103, 1, 40)
        noise = LastingNoise(np.array([rng.uniform(0, 3)]), float(rng.integers(3, 60)))
        test = shift_test(baseline, canary, [1.0], levels=[0.05], lasting=noise)
        assert (test.low[0, 0] > 1.0) == (test.pvalue_greater[0] < 0.05)
