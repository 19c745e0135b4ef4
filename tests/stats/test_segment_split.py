"""Splits that are right in sum and wrong in each segment, found at once and while traffic comes in."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from simulation import assert_rate_at_most

from canaryjudge.stats.closed_testing import holm
from canaryjudge.stats.count_processes import sequential_pvalue
from canaryjudge.stats.segment_split import segment_split, sequential_segment_split


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=5), st.floats(0.02, 0.98)
)
def test_each_segment_has_the_exact_binomial_pvalue(counts, share):
    nb, nc = np.array(counts).T
    expected = [
        min(1.0, 2 * min(stats.binom.cdf(c, b + c, share), stats.binom.sf(c - 1, b + c, share)))
        if b + c
        else np.nan
        for b, c in counts
    ]
    assert_allclose(segment_split(nb, nc, share).segments, holm(expected), atol=1e-9)


def test_a_segment_is_as_in_r():
    # twice the smaller of pbinom(3, 50, .15) and 1 - pbinom(2, 50, .15) is .0920931577846
    assert_allclose(segment_split([47], [3], 0.15).segments, 0.0920931577846)


def test_what_is_right_in_sum_and_wrong_in_each_is_found():
    rng, runs, total = np.random.default_rng(1), 500, np.array([9000, 9000, 9000, 9000])
    canary = rng.binomial(total, [0.08, 0.12, 0.085, 0.115], (runs, 4))
    for split in (segment_split, sequential_segment_split):
        found = split(total - canary, canary, 0.1)
        assert (found.pvalue <= 0.001).mean() > 0.99
        assert (found.segments[:, :2] <= 0.001).mean() > 0.9
        assert (found.pooled <= 0.001).mean() < 0.02


def test_one_wrong_segment_of_many_is_found_and_named():
    rng, runs, shares = np.random.default_rng(2), 200, np.full(200, 0.1)
    shares[7] = 0.3
    canary = rng.binomial(500, shares, (runs, 200))
    for split in (segment_split, sequential_segment_split):
        found = split(500 - canary, canary, 0.1)
        named = found.segments <= 0.001
        assert (found.pvalue <= 0.001).mean() > 0.99
        assert named[:, 7].mean() > 0.99
        assert_rate_at_most(int(np.delete(named, 7, axis=1).any(axis=1).sum()), runs, 0.001)


def test_a_right_split_is_seldom_called_wrong():
    rng, runs = np.random.default_rng(3), 20_000
    total = np.array([5000, 800, 60, 9, 3])
    canary = rng.binomial(total, 0.1, (runs, 5))
    found = segment_split(total - canary, canary, 0.1)
    for level in (0.01, 0.05):
        assert_rate_at_most(int((found.pvalue <= level).sum()), runs, 1.05 * level)
        assert_rate_at_most(int((found.segments <= level).any(axis=1).sum()), runs, level)


def test_nor_at_any_of_many_looks():
    rng, runs = np.random.default_rng(4), 1000
    canary = rng.binomial(100, 0.3, (60, runs, 6)).cumsum(axis=0)
    total = 100 * np.arange(1, 61)[:, None, None]
    found = sequential_segment_split(total - canary, canary, 0.3)
    assert_rate_at_most(int((found.pvalue.min(axis=0) <= 0.05).sum()), runs, 0.05)
    assert_rate_at_most(int((found.segments.min(axis=0) <= 0.05).any(axis=1).sum()), runs, 0.05)


def test_one_segment_is_the_sequential_test_of_the_split():
    found = sequential_segment_split([900], [160], 0.1)
    assert_allclose(
        [found.pvalue, found.segments[0], found.pooled], sequential_pvalue([900, 160], [0.9, 0.1])
    )


def test_segments_may_have_shares_of_their_own_and_no_traffic():
    found = segment_split([900, 500, 0], [100, 500, 0], [0.1, 0.5, 0.3])
    assert_allclose(found.share, [0.1, 0.5, np.nan])
    assert_allclose(found.segments, [1, 1, np.nan])
    assert found.pooled == 1
    empty = sequential_segment_split([0, 0], [0, 0], 0.1)
    assert empty.pvalue == 1
    assert np.isnan(empty.segments).all()


def test_rows_are_each_as_alone():
    canary = np.random.default_rng(5).binomial(500, 0.1, (9, 200))
    for split in (segment_split, sequential_segment_split):
        whole, alone = split(500 - canary, canary, 0.1), split(500 - canary[4:5], canary[4:5], 0.1)
        assert_array_equal(whole.pvalue[4:5], alone.pvalue)
        assert_array_equal(whole.segments[4:5], alone.segments)
