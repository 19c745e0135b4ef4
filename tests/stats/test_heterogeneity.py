"""Whether strata have one effect: against R and statsmodels, and simulated where nothing differs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from simulation import assert_rate_at_most
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.oneway import anova_oneway

from canaryjudge.stats.heterogeneity import heterogeneity, log_ratios, ratio_heterogeneity


def test_known_errors_give_cochrans_q():
    effects, variances = np.array([0.3, -0.1, 0.25, 0.8]), np.array([0.01, 0.09, 0.04, 0.02])
    expected = combine_effects(effects, variances)
    found = heterogeneity(effects, np.sqrt(variances), np.inf)
    assert_allclose([found.statistic, found.i2], [expected.q, expected.i2])
    assert_allclose(found.pvalue, stats.chi2.sf(expected.q, 3))


def test_two_strata_of_estimated_errors_give_welchs_t_test():
    rng = np.random.default_rng(8)
    groups = rng.normal(0, 1, 9), rng.normal(0.8, 3, 6)
    errors = [np.std(group, ddof=1) / len(group) ** 0.5 for group in groups]
    found = heterogeneity([group.mean() for group in groups], errors, [8, 5])
    assert_allclose(found.pvalue, stats.ttest_ind(*groups, equal_var=False).pvalue)


def test_many_points_in_each_of_several_strata_give_welchs_test():
    rng = np.random.default_rng(9)
    groups = [rng.normal(0.02 * at, 1 + at / 3, 400) for at in range(5)]
    errors = [np.std(group, ddof=1) / 20 for group in groups]
    found = heterogeneity([group.mean() for group in groups], errors, 399.0)
    assert_allclose(found.pvalue, anova_oneway(groups, use_var="unequal").pvalue, rtol=1e-3)


def test_strata_without_an_effect_or_alone_show_nothing():
    with_none = heterogeneity([0.1, np.nan, 0.4], [0.1, 0.1, 0.1], 8.0)
    assert_allclose(with_none.pvalue, heterogeneity([0.1, 0.4], [0.1, 0.1], 8.0).pvalue)
    assert with_none.strata == 2
    alone = heterogeneity([0.1, np.nan], [0.1, 0.1], 8.0)
    assert (alone.statistic, alone.pvalue, alone.i2) == (0, 1, 0)


def test_strata_without_noise_differ_for_certain():
    assert heterogeneity([0.1, 0.1], [0.0, 0.0], 8.0).pvalue == 1
    assert heterogeneity([0.1, 0.2], [0.0, 0.0], 8.0).pvalue == 0
    assert heterogeneity([0.1, 0.2], [0.0, 1.0], 8.0).pvalue > 0.9


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.01, 3)), min_size=2, max_size=9), st.floats(-9, 9))
def test_the_order_a_unit_and_a_shift_of_all_change_nothing(strata, shift):
    x, e = np.array(strata).T
    found, other = heterogeneity(x, e, 8.0), heterogeneity(100 * (x + shift)[::-1], 100 * e[::-1], 8.0)
    assert_allclose(found.statistic, other.statistic, rtol=1e-6, atol=1e-6)
    assert_allclose(found.pvalue, other.pvalue, rtol=1e-5, atol=1e-9)


def test_levels_hold_where_all_strata_have_one_effect():
    rng, runs = np.random.default_rng(1), 20_000
    for strata in (2, 8, 50):
        x = rng.normal(size=(runs, strata))
        e = np.sqrt(rng.chisquare(8, (runs, strata)) / 8)
        pvalues = heterogeneity(x, e, 8.0).pvalue
        for level in (0.01, 0.05):
            assert_rate_at_most(int((pvalues <= level).sum()), runs, 1.1 * level)


def rare(rng, runs, ratios):
    return (
        rng.poisson(80, (runs, 4)),
        np.full(4, 1e5),
        rng.poisson(40 * np.array(ratios), (runs, 4)),
        np.full(4, 5e4),
    )


def cells(columns):
    return [np.asarray(part, dtype=float)[..., None] for part in columns]


def test_ratios_of_rare_events_are_those_that_breslow_and_day_have_odds_for():
    xb, nb, xc, nc = (part.ravel() for part in rare(np.random.default_rng(2), 1, [1, 1, 1, 2]))
    tables = [np.array([[c, n - c], [b, m - b]]) for b, m, c, n in zip(xb, nb, xc, nc, strict=True)]
    expected = StratifiedTable(tables).test_equal_odds()
    found = ratio_heterogeneity(*cells((xb, nb, xc, nc)))
    assert_allclose(found.statistic, expected.statistic, rtol=2e-3)
    assert_allclose(found.pvalue, expected.pvalue, rtol=0.02)


def test_the_intervals_of_a_stratum_count_together():
    columns = [part.ravel() for part in rare(np.random.default_rng(3), 1, [1, 1, 1, 2])]
    whole = ratio_heterogeneity(*cells(columns))
    halves = ratio_heterogeneity(*(np.repeat(part, 2, axis=-1) / 2 for part in cells(columns)))
    assert_allclose(halves.statistic, whole.statistic, rtol=1e-3)


@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_levels_hold_where_all_ratios_are_the_same(ratio):
    runs = 20_000
    pvalues = ratio_heterogeneity(*cells(rare(np.random.default_rng(4), runs, [ratio] * 4))).pvalue
    for level in (0.01, 0.05):
        assert_rate_at_most(int((pvalues <= level).sum()), runs, 1.1 * level)


def test_bursts_that_are_stated_are_no_difference():
    columns = [part.ravel() for part in rare(np.random.default_rng(2), 1, [1, 1, 1, 2])]
    found = ratio_heterogeneity(*cells(columns), dispersion=3.0)
    assert_allclose(found.statistic, ratio_heterogeneity(*cells(columns)).statistic / 3)


def test_without_events_nothing_differs():
    found = ratio_heterogeneity(*cells(([0, 0], [9, 9], [0, 0], [9, 9])))
    assert (found.statistic, found.pvalue) == (0, 1)
    found = ratio_heterogeneity(*cells(([0, 0], [9, 0], [3, 2], [9, 9])))
    assert found.pvalue == 1


def test_log_ratios_are_nearly_unbiased_and_as_far_off_as_they_say():
    rng = np.random.default_rng(5)
    for mean in (8, 60):
        columns = rng.poisson(mean, 100_000), 3e4, rng.poisson(mean * 1.6, 100_000), 3e4
        effect, error = log_ratios(*columns)
        assert_allclose(effect.mean(), np.log(1.6), atol=0.01)
        assert_allclose(np.std((effect - np.log(1.6)) / error), 1, atol=0.06)
    bursting = 4 * rng.poisson(60, 100_000), 3e4, 4 * rng.poisson(60, 100_000), 3e4
    effect, error = log_ratios(*bursting, dispersion=4.0)
    assert_allclose(np.std(effect / error), 1, atol=0.02)


def test_rows_are_each_as_alone():
    columns = cells(rare(np.random.default_rng(6), 20, [1, 1, 1, 2]))
    whole = ratio_heterogeneity(*columns)
    alone = ratio_heterogeneity(columns[0][3:4], columns[1], columns[2][3:4], columns[3])
    assert_array_equal(whole.statistic[3:4], alone.statistic)
    x, e = np.random.default_rng(7).gamma(2, size=(2, 20, 200))
    assert_array_equal(heterogeneity(x, e, 8.0).pvalue[3:4], heterogeneity(x[3:4], e[3:4], 8.0).pvalue)
