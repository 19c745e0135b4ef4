"""Boundaries of planned looks: published tables, integrals, seeded simulations, and what spending promises."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import integrate, stats

from canaryjudge.stats.group_sequential import (
    apart,
    boundaries,
    repeated_pvalue,
    spent,
)

reproducible = settings(derandomize=True, deadline=None, max_examples=40)

SPENDINGS = [
    "obrien_fleming",
    "pocock",
]
spendings = st.sampled_from(SPENDINGS)
levels = st.floats(math.log(1e-9), math.log(0.4)).map(math.exp)
looks = st.lists(st.integers(1, 200), min_size=1, max_size=7, unique=True).map(
    lambda times: np.sort(times) / 200.0
)
FIFTHS = np.arange(1, 6) / 5


# Lan-DeMets spending, one-sided .025: gsDesign's port, r = 40
PUBLISHED = [
    ("obrien_fleming", FIFTHS, [4.8769, 3.3570, 2.6803, 2.2898, 2.0310]),
]


@pytest.mark.parametrize(("spending", "fractions", "z"), PUBLISHED)
def test_boundaries_are_those_published(spending, fractions, z):
    found = boundaries(fractions, 0.025, spending)
    assert_allclose(found.z, z, atol=5e-5)
    assert_allclose(found.nominal, stats.norm.sf(found.z), rtol=1e-12)
    assert_array_equal(found.fractions, fractions)


@pytest.mark.parametrize("level", [0.05, 0.01, 0.0005, 1e-9])
@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock"])
def test_the_second_look_spends_what_is_left_by_an_integral(level, spending):
    t = np.array([0.6, 0.9])
    found, step = boundaries(t, level, spending), math.sqrt(0.3)
    second, _ = integrate.quad(
        lambda z: (
            stats.norm.pdf(z) * stats.norm.sf((found.z[1] * math.sqrt(0.9) - z * math.sqrt(0.6)) / step)
        ),
        -8,
        found.z[0],
        epsabs=0,
        epsrel=1e-11,
    )
    share = spent(t, level, spending)
    assert_allclose([stats.norm.sf(found.z[0]), second], [share[0], share[1] - share[0]], rtol=1e-8)


@pytest.mark.parametrize("spending", SPENDINGS)
def test_a_healthy_run_finds_something_exactly_as_often_as_spent(spending):
    """20,000 Brownian motions; between the 1e-6 quantiles of the binomial distribution at every look."""
    t, runs = np.array([0.02, 0.1, 0.11, 0.3, 0.5, 0.52, 0.7, 0.85, 0.99, 1.0]), 20_000
    rng = np.random.default_rng(11)
    score = np.cumsum(rng.normal(size=(runs, t.size)) * np.sqrt(np.diff(t, prepend=0)), axis=1)
    plan = boundaries(t, 0.2, spending)
    found = (np.logical_or.accumulate(score / np.sqrt(t) >= plan.z, axis=1)).sum(axis=0)
    assert (found <= stats.binom.ppf(1 - 1e-6, runs, plan.spent)).all()
    assert (found >= stats.binom.ppf(1e-6, runs, plan.spent)).all()


@given(t=looks, level=levels, spending=spendings)
@reproducible
def test_spending_rises_to_the_level(t, level, spending):
    found = spent(np.concatenate([[0.0], t, [1.0]]), level, spending)
    assert found[0] == 0
    assert found[-1] == pytest.approx(level, rel=1e-12)
    assert (np.diff(found) >= 0).all()
    assert (spent(t, level / 2, spending) <= found[1:-1]).all()


@given(t=looks, level=levels, spending=spendings)
@reproducible
def test_a_later_look_changes_no_earlier_boundary(t, level, spending):
    whole = boundaries(t, level, spending)
    for count in range(1, t.size):
        assert_array_equal(boundaries(t[:count], level, spending).z, whole.z[:count])
    assert_allclose(whole.spent, spent(t, level, spending), rtol=1e-12, atol=1e-280)


@given(t=looks, level=levels, factor=st.floats(0.1, 0.99), spending=spendings)
@reproducible
def test_a_smaller_level_has_higher_boundaries(t, level, factor, spending):
    with np.errstate(invalid="ignore"):
        rise = boundaries(t, level * factor, spending).z - boundaries(t, level, spending).z
    assert (np.nan_to_num(rise, nan=1.0) > 0).all()  # inf - inf: neither level finds anything there


def test_spending_by_formula():
    """At t = 1/4 and level .04, by hand: 2 - 2 Phi(2 z_.02), and .04 ln(1 + (e - 1) / 4)."""
    assert spent(0.25, 0.04) == pytest.approx(2 * stats.norm.sf(2 * stats.norm.isf(0.02)), rel=1e-12)
    assert spent(0.25, 0.04, "pocock") == pytest.approx(0.04 * math.log(1 + (math.e - 1) / 4), rel=1e-12)


def test_a_tiny_level_leaves_early_looks_without_a_boundary():
    plan = boundaries(np.arange(1, 61) / 60, 1e-9)
    assert plan.z[0] == np.inf
    assert plan.nominal[0] == plan.spent[0] == 0
    assert (np.diff(plan.z[1:]) < 0).all()
    assert plan.z[-1] == pytest.approx(6.047358, abs=1e-6)
    assert plan.spent[-1] == pytest.approx(1e-9, rel=1e-12)


def test_what_an_early_look_cannot_spend_a_later_one_does():
    assert boundaries([1e-12, 1.0], 0.025).z[1] == pytest.approx(1.959963984540054, rel=1e-12)


@pytest.mark.parametrize("gap", [1e-15, 1e-7, 1e-4])
@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock"])
def test_looks_next_to_each_other_spend_no_more_than_theirs(gap, spending):
    t = np.array([0.5, 0.5 + gap, 1.0])
    plan, step = boundaries(t, 0.025, spending), math.sqrt(gap)

    def crossing(y):
        """Of paths that end y standard deviations of the step below the first boundary."""
        score = plan.z[0] * math.sqrt(0.5) - y * step
        needed = plan.z[1] * math.sqrt(t[1]) - score
        return stats.norm.pdf(score / math.sqrt(0.5)) / math.sqrt(0.5) * stats.norm.sf(needed / step)

    second = step * integrate.quad(crossing, 0, 40)[0]
    assert second <= plan.spent[1] - plan.spent[0]
    assert np.isfinite(plan.z).all()
    alone = boundaries([0.5, 1.0], 0.025, spending).z[1]
    assert plan.z[2] == pytest.approx(alone, abs=2e-4)


def test_only_close_looks_are_moved_apart():
    assert_allclose(apart(FIFTHS), FIFTHS, rtol=1e-15)
    assert_allclose(np.diff(np.log(apart(np.array([0.1, 0.1 + 1e-12, 0.3])))), np.log([1.0004, 3]), rtol=1e-9)


@given(t=looks, data=st.data(), level=levels, spending=spendings)
@reproducible
def test_the_repeated_pvalue_is_at_most_the_level_exactly_where_a_look_found_something(
    t, data, level, spending
):
    z = np.array(data.draw(st.lists(st.floats(-2, 7), min_size=t.size, max_size=t.size)))
    pvalue, limits = repeated_pvalue(z, t, spending), boundaries(t, level, spending).z
    if abs(pvalue / level - 1) > 1e-8:
        assert (pvalue <= level) == (z >= limits).any()


@given(t=looks, data=st.data(), spending=spendings)
@reproducible
def test_the_repeated_pvalue_never_rises(t, data, spending):
    z = np.array(data.draw(st.lists(st.floats(-2, 5), min_size=t.size, max_size=t.size)))
    pvalues = [repeated_pvalue(z[:count], t[:count], spending) for count in range(1, t.size + 1)]
    for before, now in pairwise(pvalues):
        assert now <= before * (1 + 1e-9)
    assert repeated_pvalue(z + 0.1, t, spending) <= pvalues[-1]
    assert pvalues[0] >= stats.norm.sf(z[0]) * (1 - 1e-9)


def test_repeated_pvalues_at_the_ends():
    assert repeated_pvalue([2.0], [1.0]) == pytest.approx(stats.norm.sf(2.0), rel=1e-9)
    assert repeated_pvalue([-np.inf, 2.0], [0.5, 1.0], "pocock") > stats.norm.sf(2.0)
    assert repeated_pvalue([-np.inf, -np.inf], [0.5, 1.0]) == 1
    assert repeated_pvalue([-0.5], [1.0]) == 1
    assert repeated_pvalue([np.inf], [1.0]) == pytest.approx(stats.norm.sf(35), rel=1e-6)
    assert repeated_pvalue([9.0, 1.0], [0.3, 0.5]) == pytest.approx(repeated_pvalue([9.0], [0.3]), rel=1e-8)
    assert repeated_pvalue([2.0, -np.inf], [0.5, 1.0]) == repeated_pvalue([2.0], [0.5])


WRONG = [
    (lambda: spent(1.1, 0.05), "fractions must lie between 0 and 1"),
    (lambda: spent(np.nan, 0.05), "fractions must lie between 0 and 1"),
    (lambda: spent(0.5, [0.05, 0]), "level must lie between 0 and 1"),
    (lambda: spent(0.5, 0.05, "haybittle"), "no spending named 'haybittle'"),
    (lambda: boundaries([0.5, 0.5], 0.05), "fractions must increase"),
    (lambda: boundaries([0.0, 0.5], 0.05), "fractions must increase, from more than 0"),
    (lambda: boundaries([0.5, 1.01], 0.05), "to at most 1"),
    (lambda: boundaries([0.5, np.nan], 0.05), "fractions must increase"),
    (lambda: boundaries([], 0.05), "one or more numbers"),
    (lambda: boundaries(0.5, 0.05), "one or more numbers"),
    (lambda: boundaries([0.5], 1.0), "level must lie between 0 and 1"),
    (
        lambda: repeated_pvalue([1.0], [0.5, 1.0]),
        r"2 information fractions do not fit statistics of shape \(1,\)",
    ),
    (lambda: repeated_pvalue([np.nan], [0.5]), "a statistic is not a number"),
]


@pytest.mark.parametrize(("call", "sentence"), WRONG)
def test_impossible_arguments_are_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
