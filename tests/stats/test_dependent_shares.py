"""The share of points within a bound: exact where points are independent, and honest where they are not.

Shares of bad events in bursts: exact where there are none, and proof by the end of a window.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import binom
from simulation import ar1, assert_rate_at_most

from canaryjudge.stats.dependent_shares import ShareTest, WindowShare, bad_share
from canaryjudge.stats.dispersion import temper
from canaryjudge.stats.proportions import proportion_bounds, proportion_pvalues


def test_points_without_dependence_have_the_exact_test():
    points = [1.0, 2.0] * 20
    found, exact = ShareTest(points, 1.5), proportion_pvalues(20, 40, [0.3, 0.6])
    assert np.array_equal(found.pvalues([0.3, 0.6]).greater, exact.greater)
    assert np.array_equal(found.pvalues([0.3, 0.6]).less, exact.less)
    bounds = proportion_bounds(20, 40, 0.05)
    assert found.bounds(0.05) == (float(bounds.low), float(bounds.high))


def test_bounds_invert_the_pvalues():
    test = ShareTest(ar1(np.random.default_rng(1), 1, 200, 0.6)[0], 1.0)
    low, high = test.bounds(0.01)
    assert low < test.estimate < high
    assert float(test.pvalues(low).greater) == pytest.approx(0.01)
    assert float(test.pvalues(high).less) == pytest.approx(0.01)


def test_shares_that_cannot_be_are_certainly_wrong_and_two_points_prove_nothing():
    impossible = ShareTest([1.0, 2.0, 3.0], 2.5).pvalues([-0.1, 1.1])
    assert (impossible.greater[0], impossible.less[1]) == (0, 0)
    two = ShareTest([1.0, 2.0], 1.5)
    assert two.bounds(0.05) == (0, 1)
    assert (two.pvalues(0.1).greater, two.pvalues(0.1).less) == (1, 1)


def test_all_points_within_bound_the_share_as_the_exact_test_does():
    found = ShareTest([1.0, 2.0] * 50, 3.0)
    assert found.estimate == 1
    # binom.test(100, 100, conf.level = .9)$conf.int[1]
    assert found.bounds(0.05) == (pytest.approx(0.9704866, abs=1e-6), 1.0)


@pytest.mark.parametrize(
    ("n", "rho", "share"), [(60, 0.0, 0.9), (60, 0.8, 0.95), (200, 0.5, 0.95), (200, 0.8, 0.9)]
)
def test_a_share_is_missed_no_more_often_than_promised(n, rho, share):
    """Few points beyond the bound, in long excursions, would be 28 errors in 100 by their indicators alone (60 points, rho .8)."""
    series, runs = ar1(np.random.default_rng(2), 1500, n, rho), 1500
    pvalues = [ShareTest(points, ndtri(share)).pvalues(share) for points in series]
    for level in (0.05, 0.01):
        for side in ("greater", "less"):
            wrong = sum(float(getattr(found, side)) <= level for found in pvalues)
            assert_rate_at_most(wrong, runs, level)


def pvalue_above(bad, total, limit):
    return WindowShare.of(bad, total).pvalue_above(limit)


def lower_bound(bad, total, level):
    return WindowShare.of(bad, total).lower_bound(level)


def test_without_bursts_the_bounds_are_those_of_clopper_and_pearson():
    """binom.test(20, 1000, conf.level=.98)$conf.int in R."""
    bounds = bad_share([2.0] * 10, [100.0] * 10).bounds(0.01)
    assert [float(bounds.low), float(bounds.high)] == pytest.approx([0.01112635, 0.03288615], rel=1e-6)
    assert lower_bound([2.0] * 10, [100.0] * 10, 0.01) == pytest.approx(0.01112635, rel=1e-6)


def test_without_bursts_the_pvalue_is_the_binomial_tail():
    assert pvalue_above([2.0] * 10, [100.0] * 10, 0.01) == pytest.approx(binom.sf(19, 1000, 0.01), rel=1e-9)
    less = bad_share([0.0] * 10, [100.0] * 10).pvalues(0.01).less
    assert float(less) == pytest.approx(0.99**1000, rel=1e-9)


def test_single_outcomes_in_a_row_count_as_a_chain_of_two_states():
    row, apart = np.zeros((2, 200))
    row[50:60], apart[::20] = 1, 1
    ones = np.ones(200)
    chained, loose = bad_share(row, ones), bad_share(apart, ones)
    rho = np.corrcoef(row[:-1], row[1:])[0, 1]
    assert float(chained.rho) == pytest.approx(rho, abs=0.03)  # corrected for its bias
    assert float(chained.factor) == pytest.approx((1 + chained.rho) / (1 - chained.rho))
    assert float(loose.factor) == 1
    assert bool(chained.unseen)
    assert not bool(loose.unseen)
    assert bool(chained.single)


def test_few_bad_events_are_below_a_limit_by_a_margin_or_by_taking_them_as_independent():
    for requests, survives in ((500.0, True), (120.0, False)):
        found = bad_share(np.zeros(60), np.full(60, requests / 60))
        assert float(found.pvalues(0.03).less) < 0.05
        assert found.survives_bursts(0.03, 0.05) == survives
    assert not bad_share(np.zeros(600), np.ones(600)).survives_bursts(0.5, 0.05)
    assert bad_share([1.0, 0] * 30, 100.0).survives_bursts(1e-9, 0.05)  # enough was seen


def test_bursts_between_intervals_are_divided_out():
    bursts = np.array([1, 9, 0, 14, 2, 4, 12, 0], dtype=float)
    found = bad_share(bursts, np.full(8, 1000.0))
    assert float(found.factor) == pytest.approx(6.06, abs=0.01)
    assert float(found.factor_safe) > float(found.factor)
    raw = proportion_pvalues(found.bad / found.factor, found.total / found.factor, 0.002)
    assert float(found.pvalues(0.002).greater) == pytest.approx(float(temper(raw.greater, found.df)))


def test_what_looks_calm_is_still_taken_with_caution_for_a_pass():
    """Pearson's estimate of four intervals is 2, which is no evidence (p = .11), and yet the best guess."""
    events, totals = np.array([5.0, 5, 5, 0]), np.full(4, 1000.0)
    found = bad_share(events, totals)
    pearson = ((events - 3.75) ** 2).sum() / (3.75 * (1 - 0.00375)) / 3
    assert float(found.factor) == 1
    safe = pearson * (1 + 0.5 * np.sqrt(2 / 3))
    assert float(found.factor_safe) == pytest.approx(safe)
    tails = proportion_pvalues(15 / safe, 4000 / safe, 0.006)
    assert float(found.pvalues(0.006).less) == pytest.approx(float(tails.less))
    assert float(found.pvalues(0.002).greater) == pytest.approx(binom.sf(14, 4000, 0.002))


def test_a_window_with_bursts_and_its_ends_share_the_level():
    rng = np.random.default_rng(17)
    bad, total = rng.negative_binomial(10, 0.25, 40).astype(float), np.full(40, 1000.0)
    whole = bad_share(bad, total)
    assert float(whole.factor) > 1
    # no end of it has a share several times as large
    assert pvalue_above(bad, total, 0.02) == pytest.approx(2 * float(whole.pvalues(0.02).greater))


def test_one_long_burst_proves_nothing():
    bad, total = np.zeros(60), np.full(60, 100.0)
    bad[10:30] = 50
    assert pvalue_above(bad, total, 0.0144) == 1
    assert lower_bound(bad, total, 0.01) == 0


@pytest.mark.parametrize("start", [30, 45, 50, 55])
def test_a_fault_that_sets_in_late_is_proven_by_the_end_of_the_window(start):
    bad, total = np.zeros(60), np.full(60, 100.0)
    bad[start:] = 50
    assert pvalue_above(bad, total, 0.0144) < 1e-6
    assert lower_bound(bad, total, 0.001) > 0.0144


@pytest.mark.parametrize("start", [30, 50])
def test_so_is_one_of_single_outcomes(start):
    bad, total = np.zeros(60), np.ones(60)
    bad[start:] = 1
    assert pvalue_above(bad, total, 0.0144) < 1e-3


def test_a_window_as_it_was_has_no_bursts():
    """Hoeffding: of independent events with different probabilities, no more is needed than the binomial tail at their mean."""
    bad, total = np.array([0.0, 0, 50, 0, 0]), np.full(5, 100.0)
    found = WindowShare.as_it_was(bad, total)
    assert found.pvalue_above(0.05) == pytest.approx(binom.sf(49, 500, 0.05))
    assert found.lower_bound(0.01) == pytest.approx(float(bad_share(bad * 0 + 10, total).bounds(0.01).low))
    assert WindowShare.of(bad, total).pvalue_above(0.05) > 0.1


def test_a_part_takes_the_bursts_of_the_whole():
    rng = np.random.default_rng(11)
    bad, total = rng.negative_binomial(10, 0.25, 40).astype(float), np.full(40, 1000.0)
    whole, part = bad_share(bad, total), bad_share(bad[-5:], total[-5:])
    taken = part.with_bursts_of(whole)
    assert (float(taken.bad), float(taken.total)) == (bad[-5:].sum(), 5000)
    assert (float(taken.factor), float(taken.df), taken.intervals) == (
        float(whole.factor),
        float(whole.df),
        40,
    )
    assert float(taken.factor_safe) >= float(whole.factor_safe)


def test_one_short_outage_proves_nothing_of_many_slices():
    bad, total = np.zeros(60), np.ones(60)
    bad[20:24] = 1
    assert pvalue_above(bad, total, 0.0144) > 0.05
    assert binom.sf(3, 60, 0.0144) < 0.02  # as if they were independent


@given(
    seed=st.integers(0, 10**6),
    intervals=st.integers(1, 40),
    share=st.sampled_from([0.001, 0.02, 0.3]),
    spread=st.sampled_from([0.0, 1.0, 3.0]),
    level=st.sampled_from([0.05, 0.01, 0.0005]),
    limit=st.sampled_from([0.0005, 0.0144, 0.1, 0.9]),
)
def test_the_bound_inverts_the_pvalue(seed, intervals, share, spread, level, limit):
    rng = np.random.default_rng(seed)
    rates = np.clip(share * rng.lognormal(0, spread, intervals), 0, 1)
    totals = rng.integers(1, 300, intervals).astype(float)
    bad = rng.binomial(totals.astype(int), rates).astype(float)
    pvalue = pvalue_above(bad, totals, limit)
    assert 0 <= pvalue <= 1
    if abs(pvalue - level) > 1e-9:
        assert (lower_bound(bad, totals, level) > limit) == (pvalue < level)


@given(seed=st.integers(0, 10**6), intervals=st.integers(1, 30))
def test_batches_give_what_each_series_gives(seed, intervals):
    rng = np.random.default_rng(seed)
    bad = rng.binomial(50, rng.beta(0.5, 10, (4, intervals))).astype(float)
    together = bad_share(bad, 50.0)
    for index, series in enumerate(bad):
        alone = bad_share(series, 50.0)
        for name in ("bad", "total", "factor", "factor_safe", "df", "rho", "single", "unseen"):
            assert getattr(together, name)[index] == pytest.approx(float(getattr(alone, name)))
