"""One effect of many strata: against sums by hand, and simulated where errors are known with few degrees of freedom."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from simulation import assert_rate_at_most
from statsmodels.stats.meta_analysis import combine_effects

from canaryjudge.stats.common_effect import common_effect, student_error, weighted_mean

EFFECTS, ERRORS = np.array([0.3, -0.1, 0.25, 0.4]), np.array([0.1, 0.3, 0.2, 0.15])


def test_known_errors_give_the_fixed_effect_of_a_meta_analysis():
    expected = combine_effects(EFFECTS, ERRORS**2)
    found = common_effect(EFFECTS, ERRORS, np.inf, [0.0], levels=[0.025])
    assert_allclose(found.estimate, expected.mean_effect_fe)
    assert_allclose(found.standard_error, expected.sd_eff_w_fe)
    ends = expected.conf_int(alpha=0.05)[0]
    assert_allclose([found.low[0], found.high[0]], ends)
    assert_allclose(found.pvalue_greater, stats.norm.sf(found.estimate / found.standard_error))


def test_weights_that_are_given_have_their_plain_variance():
    mix = np.array([5.0, 1.0, 3.0, 1.0])
    found = common_effect(EFFECTS, ERRORS, [8, 8, 20, np.inf], [0.1], weights=mix)
    parts = (mix / 10 * ERRORS) ** 2
    df = parts.sum() ** 2 / (parts**2 / np.array([8, 8, 20, np.inf])).sum()
    assert_allclose(found.estimate, (mix / 10 * EFFECTS).sum())
    assert_allclose(found.df, df)
    t = (found.estimate - 0.1) / np.sqrt(parts.sum())
    assert_allclose(found.pvalue_greater[0], stats.t.sf(t, df))
    assert_allclose(found.pvalue_less[0], stats.t.cdf(t, df))


def test_a_bound_meets_a_limit_where_the_pvalue_meets_the_level():
    found = common_effect(EFFECTS, ERRORS, 8.0, [0.0], levels=[0.01, 0.05])
    at = np.array([found.low, found.high]).ravel()
    again = common_effect(EFFECTS, ERRORS, 8.0, at)
    assert_allclose(again.pvalue_greater[:2], [0.01, 0.05])
    assert_allclose(again.pvalue_less[2:], [0.01, 0.05])


def test_strata_without_an_effect_are_left_out_and_none_is_no_effect():
    without = common_effect([*EFFECTS, np.nan, 0.9], [*ERRORS, 0.1, np.inf], 8.0, [0.0])
    alone = common_effect(EFFECTS, ERRORS, 8.0, [0.0])
    for name in ("estimate", "standard_error", "df", "low", "high", "pvalue_greater"):
        assert_allclose(getattr(without, name), getattr(alone, name))
    none = common_effect([np.nan, np.nan], [1.0, 1.0], 8.0, [0.0])
    assert np.isnan(none.estimate)
    assert (none.pvalue_greater[0], none.pvalue_less[0]) == (1, 1)
    assert none.low[0] == -np.inf


def test_strata_without_noise_are_certain():
    found = common_effect([0.1, 0.3], [0.0, 0.0], 8.0, [0.15, 0.2, 0.25])
    assert found.estimate == 0.2
    assert found.pvalue_greater.tolist() == [0, 1, 1]
    assert common_effect([0.1, 9.0], [0.0, 1.0], 8.0, [0.0]).estimate < 0.1001


def test_one_stratum_is_itself():
    mean, error, df, weights = weighted_mean([0.3], [0.1], [7.0])
    assert_allclose([mean, error, df, weights[0]], [0.3, 0.1, 7, 1])


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.01, 3), st.floats(3, 50)), min_size=1, max_size=9))
def test_the_order_of_the_strata_and_a_unit_change_nothing(strata):
    x, e, f = np.array(strata).T
    mean, error, df, _ = weighted_mean(x, e, f)
    turned = weighted_mean(x[::-1], e[::-1], f[::-1])
    assert_allclose([mean, error, df], turned[:3], rtol=1e-9, atol=1e-12)
    larger = weighted_mean(1000 * x, 1000 * e, f)
    assert_allclose([1000 * mean, 1000 * error, df], larger[:3], rtol=1e-9, atol=1e-9)
    assert x.min() - 1e-9 <= mean <= x.max() + 1e-9


def test_a_row_has_the_same_bytes_in_any_batch():
    rng = np.random.default_rng(1)
    x, e = rng.normal(size=(50, 200)), rng.gamma(4, size=(50, 200))
    whole = common_effect(x, e, 8.0, [0.0, 0.1])
    alone = common_effect(x[17:18], e[17:18], 8.0, [0.0, 0.1])
    for name in ("estimate", "low", "pvalue_greater", "weights"):
        assert_array_equal(getattr(whole, name)[17:18], getattr(alone, name))


def test_levels_hold_where_errors_are_known_with_the_eight_degrees_of_freedom_of_minutes():
    rng, runs = np.random.default_rng(2), 20_000
    for strata in (2, 8, 50):
        scale = np.geomspace(0.3, 3, strata)
        x = scale * rng.normal(size=(runs, strata))
        e = scale * np.sqrt(rng.chisquare(8, (runs, strata)) / 8)
        for weights in (None, np.ones(strata)):
            found = common_effect(x, e, 8.0, [0.0], weights=weights)
            for level in (0.001, 0.01, 0.05):
                assert_rate_at_most(int((found.pvalue_greater <= level).sum()), runs, 1.1 * level)


def test_the_error_behind_a_half_width_is_that_of_a_student_test():
    assert_allclose(student_error(stats.t.isf(0.001, 8) * 0.3, 0.001, 8), 0.3)
