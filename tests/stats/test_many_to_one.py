"""Several arms against one: Dunnett's published tables, R's multivariate t, SciPy's test of raw samples, and simulated ranks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from simulation import assert_rate_at_most

from canaryjudge.stats.many_to_one import best_and_worst, dunnett_critical, dunnett_tail, many_to_one

ONE_SIZE = 0.5**0.5


@pytest.mark.parametrize(
    ("level", "df", "values"),
    [
        # C. W. Dunnett (1955), tables 1a and 1b: one to five arms
        (0.05, 5, [2.02, 2.44, 2.68, 2.85, 2.98]),
        (0.05, 10, [1.81, 2.15, 2.34, 2.47, 2.56]),
        (0.05, np.inf, [1.64, 1.92, 2.06, 2.16, 2.23]),
        (0.01, 10, [2.76, 3.11, 3.31, 3.45, 3.56]),
        (0.01, np.inf, [2.33, 2.56, 2.68, 2.77, 2.84]),
    ],
)
def test_critical_values_are_those_of_dunnetts_tables(level, df, values):
    found = [float(dunnett_critical(level, [ONE_SIZE] * arms, df)) for arms in range(1, 6)]
    assert_allclose(found, values, atol=0.011)


def test_tails_are_those_of_the_multivariate_t_in_r():
    # 1 - pmvt(upper, corr, df) of mvtnorm, abseps = 1e-9
    assert_allclose(dunnett_tail(2.2, [0.3, 0.6, 0.9], 12), 0.0619482462126, atol=1e-7)
    assert_allclose(dunnett_tail(3.5, [0.3, 0.6, 0.9], 12), 0.00602910232544, atol=1e-7)
    assert_allclose(dunnett_tail(2.5, [ONE_SIZE] * 4, np.inf), 0.0214401119957, rtol=1e-6)
    # so much correlation counts as less, which errs on the safe side
    assert 0.0117261954063 < dunnett_tail(4, [0.99, 0.9, 0.1], 5) < 0.012
    assert_allclose(dunnett_critical(0.01, [ONE_SIZE] * 5, 30), 3.04924820911, rtol=2e-4)


def test_it_is_dunnetts_test_of_raw_samples():
    rng = np.random.default_rng(1)
    control, arms = (
        rng.normal(10, 1, 12),
        [rng.normal(10.6, 1, 8), rng.normal(10.2, 1, 15), rng.normal(11, 1, 6)],
    )
    expected = stats.dunnett(*arms, control=control, alternative="greater", rng=np.random.default_rng(2))
    groups = [control, *arms]
    df = sum(len(group) - 1 for group in groups)
    pooled = sum(((group - group.mean()) ** 2).sum() for group in groups) / df
    effects, variances = [arm.mean() - control.mean() for arm in arms], [pooled / len(arm) for arm in arms]
    factors = np.sqrt(pooled / 12 / (pooled / 12 + np.array(variances)))
    assert_allclose(dunnett_tail(expected.statistic, factors, df), expected.pvalue, atol=2e-4)
    found = many_to_one(effects, variances, pooled / 12, df, level=0.05)
    assert_allclose(found.low, expected.confidence_interval(0.95).low, atol=2e-3)
    # in one step the largest is as it is, and in steps no other is larger
    assert_allclose(found.pvalue_greater.min(), expected.pvalue.min(), atol=2e-4)
    assert (found.pvalue_greater <= expected.pvalue + 2e-4).all()


@given(st.floats(-2, 8), st.floats(1, 200))
def test_one_arm_has_students_tail_and_independent_known_ones_that_of_each(t, df):
    assert_allclose(dunnett_tail(t, [0.6], df), stats.t.sf(t, df), rtol=1e-6)
    expected = -np.expm1(3 * stats.norm.logcdf(t))
    assert_allclose(dunnett_tail(t, [0.0] * 3, np.inf), expected, rtol=1e-6)


@pytest.mark.parametrize("factor", [0.0, 0.3, ONE_SIZE, 0.95, 0.9999])
@pytest.mark.parametrize("df", [1, 3, 8, 100, np.inf])
def test_a_value_meets_its_level(factor, df):
    for level in (0.4, 0.05, 1e-4, 1e-9):
        value = dunnett_critical(level, [factor, factor, 0.5], df)
        if value < 999:
            assert_allclose(dunnett_tail(value, [factor, factor, 0.5], df), level, rtol=1e-6)


def test_an_arm_that_is_not_there_costs_nothing():
    assert_allclose(dunnett_tail(2.0, [0.5, np.nan, 0.4], 9), dunnett_tail(2.0, [0.5, 0.4], 9))
    with_none = many_to_one([0.3, np.nan, 0.1], [0.01, 0.01, np.inf], 0.01, 20.0)
    alone = many_to_one([0.3], [0.01], 0.01, 20.0)
    assert_allclose(with_none.pvalue_greater, [alone.pvalue_greater[0], np.nan, np.nan])
    assert_array_equal(with_none.low[1:], -np.inf)
    assert_allclose(with_none.low[0], alone.low[0])


def test_stepping_down_asks_each_among_those_that_are_not_larger():
    effects, variances = np.array([0.2, 0.9, 0.5]), np.array([0.02, 0.04, 0.01])
    found = many_to_one(effects, variances, 0.03, 15.0, 0.1)
    t = (effects - 0.1) / np.sqrt(variances + 0.03)
    factors = np.sqrt(0.03 / (variances + 0.03))
    order = np.argsort(-t)
    steps = [dunnett_tail(t[order[k]], factors[order[k:]], 15.0) for k in range(3)]
    assert_allclose(found.pvalue_greater[order], np.maximum.accumulate(steps))


def test_bounds_meet_limits_where_the_largest_meets_the_level():
    found = many_to_one([0.2, 0.9, 0.5], [0.02, 0.04, 0.01], 0.03, 15.0, level=0.01)
    factors = np.sqrt(0.03 / (np.array([0.02, 0.04, 0.01]) + 0.03))
    t = (found.estimate - found.low) / found.standard_error
    assert_allclose(dunnett_tail(t, factors, 15.0), 0.01)
    assert_allclose(found.high - found.estimate, found.estimate - found.low)


def draws(rng, runs, effects, variances, shared, df):
    scale = np.sqrt(rng.chisquare(df, runs) / df)[:, None]
    noise = rng.normal(size=(runs, len(effects))) * np.sqrt(variances) + rng.normal(size=(runs, 1)) * np.sqrt(
        shared
    )
    return effects + noise, np.square(scale) * variances, np.square(scale[:, 0]) * shared


@pytest.mark.parametrize("shared", [0.0, 1.0, 5.0])
@pytest.mark.parametrize("bad", [0, 2])
def test_arms_within_the_limit_are_seldom_called_worse_and_bounds_hold_together(shared, bad):
    rng, runs, alpha = np.random.default_rng(3), 400, 0.05
    truth, variances = np.array([9.0, 9.0, 0.5, 0.5, 0.5]), np.array([1.0, 2.0, 0.5, 1.0, 3.0])
    truth[:2] = 9.0 if bad else 0.5
    found = many_to_one(*draws(rng, runs, truth, variances, shared, 10), 10.0, 0.5, level=alpha)
    false = (found.pvalue_greater[:, bad:] <= alpha).any(axis=1)
    assert_rate_at_most(int(false.sum()), runs, alpha)
    for wrong in ((found.low > truth).any(axis=1), (found.high < truth).any(axis=1)):
        assert_rate_at_most(int(wrong.sum()), runs, alpha)
    assert_rate_at_most(
        int((found.pvalue_less[:, :2] <= alpha).any(axis=1).sum()), runs, 1 if not bad else alpha
    )


def test_the_best_and_the_worst_are_among_those_that_may_be_and_bounds_hold():
    rng, runs, alpha = np.random.default_rng(4), 400, 0.05
    variances = np.array([1.0, 4.0, 0.25, 1.0])
    for truth in (np.zeros(4), np.array([0.0, 0.1, 3.0, 3.2])):
        x, v, _ = draws(rng, runs, truth, variances, 0.0, 10)
        found = best_and_worst(x, v, 10.0, level=alpha)
        for may_be, bound, true in (
            (found.may_be_best, found.over_best, truth - truth.min()),
            (found.may_be_worst, found.under_worst, truth.max() - truth),
        ):
            best = true == 0
            # of arms that are equally good any is the best: the least favorable is one of its own
            wrong = ~may_be[:, best].all(axis=1) if best.sum() == 1 else ~may_be[:, 0]
            assert_rate_at_most(int((wrong | (bound < true - 1e-12).any(axis=1)).sum()), runs, alpha)


def test_one_bad_ring_is_named_and_equal_ones_are_not():
    rng, runs = np.random.default_rng(5), 200
    variances = np.full(6, 0.05**2)
    x, v, _ = draws(rng, runs, np.array([0, 0, 0.6, 0, 0, 0.0]), variances, 0.0, 40)
    found = best_and_worst(x, v, 40.0)
    assert (found.may_be_worst.sum(axis=1) == 1).mean() > 0.95
    assert found.may_be_worst[:, 2].all()
    x, v, _ = draws(rng, runs, np.zeros(6), variances, 0.0, 40)
    found = best_and_worst(x, v, 40.0)
    assert_rate_at_most(int((found.may_be_worst.sum(axis=1) == 1).sum()), runs, 0.01)
    assert_array_equal(best_and_worst([0.3, np.nan], [0.1, 0.1], 9.0).may_be_worst, [True, False])


def test_rows_are_each_as_alone():
    x, v = np.random.default_rng(6).gamma(2, size=(2, 9, 5))
    whole, alone = (many_to_one(x[rows], v[rows], 0.3, 9.0) for rows in (slice(None), slice(4, 5)))
    ranks = [best_and_worst(x[rows], v[rows], 9.0) for rows in (slice(None), slice(4, 5))]
    for name in ("pvalue_greater", "pvalue_less", "low", "high"):
        assert_array_equal(getattr(whole, name)[4:5], getattr(alone, name))
    assert_array_equal(ranks[0].over_best[4:5], ranks[1].over_best)
