"""The t test over replicas: against R, against its own inversion, and at its edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from canaryjudge.stats.replica_test import replica_dispersion, replica_test

LEVELS = st.lists(st.floats(1, 100), min_size=2, max_size=8)


def test_pvalues_are_those_of_r():
    # b <- c(10, 11, 9, 10); c <- c(14, 16); t.test(c, b, var.equal = TRUE, alternative = "greater", mu = 2)$p.value
    found = replica_test([10, 11, 9, 10], [14, 16], [0.0, 2.0])
    assert_allclose(found.pvalue_greater, [0.002234288, 0.01286071037], rtol=1e-6)
    # the same with alternative = "less"
    assert_allclose(found.pvalue_less, 1 - found.pvalue_greater, rtol=1e-12)


def test_bounds_are_those_of_r():
    # t.test(c, b, var.equal = TRUE, conf.level = .9)$conf.int
    found = replica_test([10, 11, 9, 10], [14, 16], [0.0], levels=[0.05])
    assert_allclose([found.low[0, 0], found.high[0, 0]], [3.153766526, 6.846233474], rtol=1e-6)
    assert_allclose(found.spread, np.sqrt((2 + 2) / 4))


def test_one_replica_of_the_canary_is_held_against_the_spread_of_the_baseline():
    found = replica_test([10, 11, 9], [14], [0.0])
    expected = (14 - 10) / (1.0 * np.sqrt(1 / 3 + 1))
    assert_allclose(found.pvalue_greater[0], stats.t.sf(expected, 2))


def test_the_scale_widens_the_baselines_spread():
    baseline, canary, scale = np.array([10.0, 12, 9]), np.array([16.0, 15]), 1.1
    shift = 0.1 * baseline.mean()
    found = replica_test(baseline, canary, [shift], scales=[scale])
    own = np.square(canary - canary.mean()).sum() + np.square(scale * (baseline - baseline.mean())).sum()
    error = np.sqrt(own / 3 * (scale**2 / 3 + 1 / 2))
    assert_allclose(found.pvalue_greater[0], stats.t.sf((canary.mean() - baseline.mean() - shift) / error, 3))


@given(LEVELS, LEVELS, st.floats(-50, 50), st.sampled_from([0.001, 0.01, 0.05]))
def test_bounds_and_pvalues_say_the_same(baseline, canary, limit, level):
    found = replica_test(baseline, canary, [limit], levels=[level])
    if abs(found.low[0, 0] - limit) > 1e-6:
        assert (found.pvalue_greater[0] < level) == (found.low[0, 0] > limit)
    if abs(found.high[0, 0] - limit) > 1e-6:
        assert (found.pvalue_less[0] < level) == (found.high[0, 0] < limit)


@given(LEVELS, LEVELS)
def test_the_arms_are_mirror_images(baseline, canary):
    there, back = replica_test(baseline, canary, [0.0]), replica_test(canary, baseline, [0.0])
    assert_allclose(there.pvalue_greater, back.pvalue_less, atol=1e-9)


def test_noise_that_replicas_share_counts_by_welch_and_satterthwaite():
    found = replica_test([10, 11, 9], [14, 15], [0.0], noise=[2.0], noise_df=[20.0])
    between = (2 + 0.5) / 3 * (1 / 3 + 1 / 2)
    df = (between + 4) ** 2 / (between**2 / 3 + 16 / 20)
    alone, together = stats.t.sf(4.5 / np.sqrt(between), 3), stats.t.sf(4.5 / np.sqrt(between + 4), df)
    assert alone < together
    assert_allclose(found.pvalue_greater[0], together)


def test_replicas_that_happen_to_be_alike_do_not_gain_by_noise():
    found = replica_test([10.0, 10.1], [12], [0.0], noise=[0.3], noise_df=[50.0])
    assert_allclose(found.pvalue_greater[0], replica_test([10.0, 10.1], [12], [0.0]).pvalue_greater[0])


def test_a_batch_is_its_rows():
    rng = np.random.default_rng(1)
    baseline, canary = rng.normal(size=(5, 4)), rng.normal(size=(5, 2))
    together = replica_test(baseline, canary, [0.0, 1.0])
    for row in range(5):
        alone = replica_test(baseline[row], canary[row], [0.0, 1.0])
        assert_allclose(together.pvalue_greater[row], alone.pvalue_greater)
        assert_allclose(together.low[row], alone.low)
        assert_allclose(together.spread[row], alone.spread)


def test_equal_replicas_leave_no_doubt():
    same = replica_test([5, 5], [5], [0.0])
    assert same.pvalue_greater[0] == same.pvalue_less[0] == 1
    higher = replica_test([5, 5], [6], [0.0])
    assert (higher.pvalue_greater[0], higher.pvalue_less[0]) == (0, 1)


@pytest.mark.parametrize(("baseline", "canary"), [([1.0], [2.0]), ([1.0, 2.0, 3.0], [])])
def test_too_few_replicas_are_refused(baseline, canary):
    with pytest.raises(ValueError, match="three replicas"):
        replica_test(baseline, canary, [0.0])


def test_the_dispersion_of_replicas_is_pearsons_of_both_arms():
    # chisq.test(cbind(c(12, 30, 9), 1000 - c(12, 30, 9)))$statistic; chisq.test(cbind(c(4, 9), 500 - c(4, 9)))$statistic without correction
    found = replica_dispersion([12, 30, 9], [4, 9], [1000] * 3, [500] * 2, family="binomial")
    squares = 15.43893 + stats.chi2_contingency([[4, 9], [496, 491]], correction=False).statistic
    assert_allclose(found.factor, squares / 3, rtol=1e-6)
    assert_allclose(found.pvalue, stats.chi2.sf(squares, 3), rtol=1e-5)
    assert found.df == 3


def test_counts_have_the_variance_of_their_mean():
    found = replica_dispersion([10, 30], [7], [1.0, 1.0], [1.0], family="poisson")
    assert_allclose(found.factor, (100 / 20 + 100 / 20) / 1)


@pytest.mark.parametrize(("baseline", "canary"), [([0, 0], [3]), ([0, 0], [0])])
def test_replicas_without_events_say_nothing_of_their_dispersion(baseline, canary):
    found = replica_dispersion(baseline, canary, [100] * 2, [100], family="binomial")
    assert found.factor == 1
    assert found.df in (0, np.inf)


def test_replicas_that_are_more_alike_than_chance_gain_nothing():
    assert replica_dispersion([10, 10, 10], [10], [100] * 3, [100], family="poisson").factor == 1
