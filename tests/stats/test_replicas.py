"""The t test over replicas: against R, against its own inversion, and at its edges.

Noise that more points do not average out: joined with the scatter, and measured from healthy pairs.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from canaryjudge.stats.rank_test import shift_test
from canaryjudge.stats.replicas import LastingNoise, excess, joined, replica_dispersion, replica_test

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
    runs, pairs = 800, 30
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
