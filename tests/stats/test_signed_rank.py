"""The signed-rank test against Wilcoxon's own numbers, its slow definition, and itself in other units."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats
from simulation import ar1

from canaryjudge.stats.signed_rank import signed_rank_statistic, signed_rank_test

DARWIN = [6.125, -8.375, 1.0, 2.0, 0.75, 2.875, 3.5, 5.125, 1.75, 3.625, 7.0, 3.0, 9.375, 7.5, -6.0]
"""Differences of the heights of 15 pairs of maize plants, in inches (Darwin 1876); the example of Fisher's Design of Experiments."""


def walsh(d, a):
    """All Walsh averages, one by one."""
    i, j = np.triu_indices(len(d))
    return np.sort((d[i] + d[j]) / (a[i] + a[j]))


def definition(residuals):
    i, j = np.triu_indices(len(residuals))
    return np.sign(residuals[i] + residuals[j]).mean()


class TestStatistic:
    @given(st.lists(st.integers(-6, 6), min_size=1, max_size=40))
    def test_is_the_mean_sign_of_the_walsh_sums_whatever_is_tied(self, numbers):
        left = np.array(numbers, dtype=float)
        assert signed_rank_statistic(left) == pytest.approx(definition(left), abs=1e-12)
        assert signed_rank_statistic(left * 0.1, 1e-12) == pytest.approx(definition(left), abs=1e-12)

    @given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
    def test_is_so_of_any_numbers(self, numbers):
        left = np.array(numbers)
        assert signed_rank_statistic(left) == pytest.approx(definition(left), abs=1e-12)

    def test_is_wilcoxons(self):
        """SciPy's statistic is the sum of the ranks above zero; `wilcox.test(d)` in R has V = 96."""
        plus = stats.wilcoxon(DARWIN, alternative="greater").statistic
        n = len(DARWIN)
        assert plus == 96
        assert signed_rank_statistic(DARWIN) == pytest.approx(4 * plus / (n * (n + 1)) - 1)


class TestEstimate:
    def test_is_hodges_and_lehmanns(self):
        """3.125."""
        found = signed_rank_test(DARWIN, [0.0])
        assert found.estimate == pytest.approx(np.median(walsh(np.array(DARWIN), np.ones(15))))
        assert found.estimate == pytest.approx(3.125)

    @pytest.mark.parametrize("n", [10, 11, 60, 401, 2000])
    @pytest.mark.parametrize("relative", [False, True])
    def test_and_bounds_are_those_of_all_walsh_averages(self, n, relative):
        rng = np.random.default_rng(n)
        b = rng.lognormal(4, 0.6, n)
        c = 1.05 * b * np.exp(rng.normal(0, 0.1, n))
        a = b if relative else np.ones(n)
        found = signed_rank_test(c - b, [0.0, 0.05], units=a, levels=[0.01, 0.05])
        every = walsh(c - b, a)
        assert found.estimate == pytest.approx(np.median(every), rel=1e-6 if n < 1000 else 1e-4)
        reach = -stats.t.ppf([0.01, 0.05], found.df) * found.standard_error
        for which, part in enumerate(reach):
            beyond = round(len(every) * (1 - part) / 2)
            if part < 1:
                room = 1e-9 if n < 1000 else 1e-3 * (found.high[which] - found.low[which])
                for bound, place in ((found.low[which], beyond), (found.high[which], -beyond - 1)):
                    near = every[[place - 2, place, place + 2]]
                    assert near[0] - room <= bound <= near[2] + room


def test_is_nearly_wilcoxons_where_pairs_do_not_depend_on_each_other():
    d = np.random.default_rng(2).normal(0.1, 1, 4000)
    found = signed_rank_test(d, [0.0])
    assert found.statistic == pytest.approx(
        stats.norm.isf(stats.wilcoxon(d, alternative="greater").pvalue), rel=0.3
    )
    assert found.standard_error == pytest.approx(np.sqrt(4 / 3 / 4000), rel=0.3)
    assert found.probability_greater == np.mean(d > 0)


@given(st.integers(0, 10**6), st.sampled_from([1e-3, 1e3, 7.0]))
def test_another_unit_changes_nothing(seed, factor):
    rng = np.random.default_rng(seed)
    b = rng.integers(20, 60, 40).astype(float)
    c = b + rng.integers(-4, 9, 40)
    one = signed_rank_test(c - b, [0.0, 0.05], units=b)
    b, c = b * factor, c * factor
    other = signed_rank_test(c - b, [0.0, 0.05], units=b)
    assert_allclose(other.pvalue_greater, one.pvalue_greater, rtol=1e-9)
    assert_allclose(
        [other.estimate, *other.low, *other.high], [one.estimate, *one.low, *one.high], rtol=1e-9, atol=1e-12
    )


@given(st.integers(0, 10**6))
def test_arms_change_places(seed):
    d = np.random.default_rng(seed).normal(0.3, 1, 60)
    one, other = signed_rank_test(d, [0.2]), signed_rank_test(-d, [-0.2])
    assert_allclose(other.pvalue_less, one.pvalue_greater, rtol=1e-9)
    assert_allclose(-other.low, one.high, rtol=1e-9)


@given(st.integers(0, 10**6), st.sampled_from([60, 2000]))
def test_a_limit_below_the_lower_bound_is_refuted(seed, n):
    rng = np.random.default_rng(seed)
    limits = np.linspace(-0.5, 0.5, 21)
    found = signed_rank_test(rng.normal(0.1, 1, n), limits, levels=[0.05])
    sure = np.abs(limits - found.low[0]) > 1e-6
    assert ((found.pvalue_greater <= 0.05) == (limits < found.low[0]))[sure].all()


def test_neighbors_that_resemble_each_other_count_for_less():
    rng = np.random.default_rng(4)
    alike = np.array(
        [signed_rank_test(row, [0.0], levels=[]).standard_error for row in ar1(rng, 40, 500, 0.7)]
    )
    alone = signed_rank_test(rng.normal(size=500), [0.0]).standard_error
    assert np.median(alike) == pytest.approx(np.sqrt(1.7 / 0.3) * alone, rel=0.25)


def test_what_wanders_says_nothing():
    found = signed_rank_test(np.cumsum(np.ones(300)) + 5.0, [0.0])
    assert found.abstains
    assert (found.pvalue_greater == 1).all()
    assert np.isinf(found.low).all()


def test_pairs_that_all_change_by_the_same_part():
    b = np.random.default_rng(1).lognormal(size=100)
    found = signed_rank_test(0.1 * b, [0.05, 0.1, 0.2], units=b)
    assert found.estimate == pytest.approx(0.1)
    assert found.pvalue_greater[0] < 1e-9
    assert found.pvalue_greater[1] == 0.5
    assert found.pvalue_less[2] < 1e-9
    assert_allclose([found.low, found.high], 0.1)


def test_few_that_differ_prove_little_and_many_that_do_not_prove_much():
    d = np.zeros(1000)
    d[:3] = 1.0
    found = signed_rank_test(d, [0.0, 0.05])
    assert found.pvalue_greater[0] > 0.02
    assert found.pvalue_less[1] < 0.01


@pytest.mark.parametrize(("d", "a"), [([1.0], 1.0), ([1.0, 2.0], 0.0)])
def test_refuses_what_has_no_answer(d, a):
    with pytest.raises(ValueError, match="two pairs or more"):
        signed_rank_test(d, [0.0], units=a)
