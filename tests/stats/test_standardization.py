"""Mixes of segments: against R, and what a pooled number is made of."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from simulation import assert_rate_at_most

from canaryjudge.stats.standardization import mix_test, standardized

counts = st.lists(st.integers(1, 1000), min_size=3, max_size=3)
levels = st.lists(st.floats(0, 100), min_size=3, max_size=3)


def test_two_mixes_are_held_against_each_other_as_in_r():
    # of the table rbind(c(120, 80, 40), c(60, 70, 50)), in R chisq.test gives 13.4814814815 and p = .00118177144606
    found = mix_test([120, 80, 40], [60, 70, 50])
    assert_allclose([found.statistic, found.df, found.pvalue], [13.4814814815, 2, 0.00118177144606])
    assert_allclose(found.moved, 0.5 - 1 / 3)
    assert found.largest == 0
    assert_allclose(mix_test([120, 80, 40], [60, 70, 50], dispersion=4.0).statistic, 13.4814814815 / 4)


def test_segments_and_arms_without_traffic_say_nothing():
    with_none = mix_test([120, 0, 80, 40], [60, 0, 70, 50])
    assert_allclose([with_none.statistic, with_none.df], [13.4814814815, 2])
    for pair in (([0, 0], [3, 4]), ([5, 0], [9, 0])):
        found = mix_test(*pair)
        assert (found.pvalue, found.moved) == (1, 0)


def test_one_mix_is_seldom_taken_for_two():
    rng, runs = np.random.default_rng(1), 20_000
    mix = np.array([0.5, 0.3, 0.15, 0.05])
    found = mix_test(rng.multinomial(9000, mix, runs), rng.multinomial(1000, mix, runs))
    assert_rate_at_most(int((found.pvalue <= 0.01).sum()), runs, 0.0105)


@given(levels, levels, counts, counts)
def test_the_pooled_difference_is_that_within_segments_and_that_of_the_mix(x, y, nb, nc):
    found = standardized(x, y, nb, nc)
    p, q = np.array(nb) / np.sum(nb), np.array(nc) / np.sum(nc)
    assert_allclose(found.baseline, (p * x).sum(), atol=1e-9)
    assert_allclose(found.canary, (q * y).sum(), atol=1e-9)
    assert_allclose(found.standardized - found.baseline, (p * (np.array(y) - x)).sum(), atol=1e-9)
    assert_allclose(found.by_mix, ((q - p) * y).sum(), atol=1e-9)
    assert found.left_out == 0


def test_the_numbers_of_simpsons_paradox():
    """Charig et al. (1986): of small stones 81 of 87 and 234 of 270 treatments succeed, of large ones 192 of 263 and 55 of 80."""
    open_surgery, keyhole = [81 / 87, 192 / 263], [234 / 270, 55 / 80]
    found = standardized(open_surgery, keyhole, [87, 263], [270, 80])
    assert_allclose([found.baseline, found.canary], [273 / 350, 289 / 350])
    assert found.canary > found.baseline > found.standardized


def test_a_segment_of_one_arm_alone_is_left_out():
    found = standardized([1.0, np.nan, 3.0], [2.0, 5.0, 4.0], [10, 0, 30], [30, 20, 10])
    assert_allclose([found.baseline, found.canary, found.left_out], [2.5, 2.5, 0.2])
    assert np.isnan(standardized([1.0], [2.0], [0], [5]).standardized)
