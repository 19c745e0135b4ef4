"""Tests of proportions: values of R and statsmodels, tails of the binomial distribution, and that bounds and p-values agree.

Wilson's interval agrees with R, and errs no more often than it promises once the exact one guards it.
"""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats
from scipy.stats import binom
from statsmodels.stats.proportion import confint_proportions_2indep as statsmodels_bounds
from statsmodels.stats.proportion import test_proportions_2indep as statsmodels_test

from canaryjudge.stats.bounds import bisect
from canaryjudge.stats.proportions import (
    difference_bounds,
    difference_pvalues,
    proportion_bounds,
    proportion_pvalues,
    risk_ratio_bounds,
    risk_ratio_pvalues,
    score_bounds,
    score_pvalues,
    wilson_bounds,
    wilson_pvalues,
)

TABLES = [(80, 400, 50, 400, 1.0), (33, 120, 41, 90, 0.8), (190, 200, 180, 200, 1.02), (7, 31, 3, 40, 1.5)]


@st.composite
def tables(draw):
    """Events and totals of both arms."""
    nc, nb = draw(st.integers(1, 100_000)), draw(st.integers(1, 100_000))
    return draw(st.integers(0, nc)), nc, draw(st.integers(0, nb)), nb


ratios = st.floats(0.05, 20)
levels = st.floats(1e-10, 0.45)


@pytest.mark.parametrize("case", TABLES)
def test_score_pvalues_of_statsmodels(case):
    pvalues = risk_ratio_pvalues(*case)
    for found, alternative in ((pvalues.greater, "larger"), (pvalues.less, "smaller")):
        expected = statsmodels_test(
            *case[:4],
            value=case[4],
            method="score",
            compare="ratio",
            correction=True,
            alternative=alternative,
        )
        assert_allclose(found, expected.pvalue, rtol=1e-9)


@pytest.mark.parametrize("case", TABLES)
def test_score_bounds_of_statsmodels(case):
    bounds = risk_ratio_bounds(*case[:4], 0.05)
    expected = statsmodels_bounds(*case[:4], method="score", compare="ratio", correction=True, alpha=0.1)
    assert_allclose([bounds.low, bounds.high], expected, rtol=1e-4)  # its own search stops at 1e-5


def test_the_score_at_ratio_1_is_that_of_r():
    # R: pnorm(sqrt(prop.test(c(80, 50), c(400, 400), correct=FALSE)$statistic * 799 / 800), lower.tail=FALSE)
    assert_allclose(risk_ratio_pvalues(80, 400, 50, 400, 1).greater, 0.002030845502715418, rtol=1e-9)


def test_one_proportion_of_r():
    # R: binom.test(3, 17, p=.05, alternative="greater"), (3, 17, p=.4, alternative="less"), (3, 17, conf.level=.9)$conf.int
    few = proportion_bounds(3, 17, 0.05)
    found = proportion_pvalues(3, 17, 0.05).greater, proportion_pvalues(3, 17, 0.4).less, few.low, few.high
    expected = 0.0502529781725056, 0.0464229308104704, 0.0498981545574229, 0.3956414334448209
    assert_allclose(found, expected, rtol=1e-9)
    # R: binom.test(980, 1000, p=.97, alternative="greater"), (p=.99, alternative="less"), (conf.level=.98)$conf.int
    many = proportion_bounds(980, 1000, 0.01)
    found = (
        proportion_pvalues(980, 1000, 0.97).greater,
        proportion_pvalues(980, 1000, 0.99).less,
        many.low,
        many.high,
    )
    expected = 0.0332807841351946, 0.00328835978772749, 0.967113845550796, 0.988873650541735
    assert_allclose(found, expected, rtol=1e-9)


def test_no_events_in_either_arm_pass_two_hundredths_of_a_percentage_point_from_14978_requests_on():
    n = np.array([14_977, 14_978])
    high = difference_bounds(0, n, 0, n, 0.05).high
    assert_allclose(high, 1 - 0.05 ** (1 / n), rtol=1e-9)
    assert (high <= 0.0002).tolist() == [False, True]
    assert (difference_pvalues(0, n, 0, n, 0.0002).less < 0.05).tolist() == [False, True]


def test_difference_bounds_by_hand():
    # R: c <- binom.test(8, 100, conf.level=.9)$conf.int; b <- binom.test(10, 200, conf.level=.9)$conf.int; then
    # the formula in R gives c(.03 - sqrt((.08 - c[1])^2 + (b[2] - .05)^2), .03 + sqrt((c[2] - .08)^2 + (.05 - b[1])^2))
    bounds = difference_bounds(8, 100, 10, 200, 0.05)
    assert_allclose([bounds.low, bounds.high], [-0.02174076320182854, 0.09385968000742663], rtol=1e-9)


@given(tables(), ratios, levels)
def test_risk_ratio_bounds_invert_the_pvalues(table, ratio, level):
    bounds, pvalues = risk_ratio_bounds(*table, level), risk_ratio_pvalues(*table, ratio)
    if not np.isclose(pvalues.greater, level, rtol=1e-6):
        assert (bounds.low > ratio) == (pvalues.greater < level)
    if not np.isclose(pvalues.less, level, rtol=1e-6):
        assert (bounds.high < ratio) == (pvalues.less < level)


@given(tables(), st.floats(-0.999, 0.999), st.floats(1e-10, 0.95))
def test_difference_bounds_invert_the_pvalues(table, difference, level):
    bounds, pvalues = difference_bounds(*table, level), difference_pvalues(*table, difference)
    if not (np.isclose(pvalues.greater, level, rtol=1e-4) or np.isclose(bounds.low, difference, rtol=1e-9)):
        assert (bounds.low > difference) == (pvalues.greater < level)
    if not (np.isclose(pvalues.less, level, rtol=1e-4) or np.isclose(bounds.high, difference, rtol=1e-9)):
        assert (bounds.high < difference) == (pvalues.less < level)


@given(tables(), st.floats(-0.5, 0.5))
def test_difference_pvalues_are_the_levels_of_their_bounds(table, difference):
    pvalues = difference_pvalues(*table, difference)
    if 1e-200 < pvalues.greater < 0.9:
        assert_allclose(difference_bounds(*table, pvalues.greater).low, difference, atol=1e-9)
    if 1e-200 < pvalues.less < 0.9:
        assert_allclose(difference_bounds(*table, pvalues.less).high, difference, atol=1e-9)


def slow_difference_pvalue(xc, nc, xb, nb, null):
    """The level at which the lower bound of the difference is `null`: the split at which both tails agree, by halving."""

    def squared(value):
        return value * np.abs(value)

    def root(value):
        return np.sign(value) * np.sqrt(np.abs(value))

    pc, pb = xc / nc, xb / nb
    square = squared(pc - pb - null)

    def tails(below):
        above = root(square - squared(below))
        canary = proportion_pvalues(xc, nc, np.clip(pc - below, 0, 1)).greater
        return canary, proportion_pvalues(xb, nb, np.clip(pb + above, 0, 1)).less

    least = np.maximum(pc - 1, root(square - (1 - pb) ** 2))
    most = np.minimum(pc, root(square + pb**2))
    last = bisect(lambda below: np.greater(*tails(below)), least, most)
    # next to 0 and 1 one tail may jump between neighboring floats; the other one is then the level
    return max(*(np.min(tails(below)) for below in (last, np.nextafter(last, most))), 1e-300)


@given(tables(), st.floats(-0.999, 0.999) | st.sampled_from([0, 2e-4, -2e-4]), st.sampled_from([1, 1.5, 4]))
@example((3, 5000, 0, 5000), 0.0002, 1)
@example((0, 5000, 3, 5000), 0, 1)
@example((0, 1, 1, 1), -0.5, 1)
@example((30, 18_678, 32, 16_254), -0.018, 1)
def test_difference_pvalues_are_those_of_a_slow_search(table, difference, dispersion):
    table = tuple(each / dispersion for each in table)
    found = difference_pvalues(*table, difference)
    greater = slow_difference_pvalue(*table, difference)
    less = slow_difference_pvalue(*table[2:], *table[:2], -difference)
    for pvalue, expected in ((found.greater, greater), (found.less, less)):
        # where both tails are all but 1, the root of a square's last digit is all that tells splits apart
        assert_allclose(pvalue, expected, rtol=1e-9 if expected < 0.99 else 1e-3)


@given(tables())
def test_impossible_differences_are_out_of_the_question(table):
    low, high = difference_pvalues(*table, -1.01), difference_pvalues(*table, 1.01)
    assert (low.less, high.greater) == (1, 1)


@given(tables(), ratios, levels)
def test_swapping_the_arms_turns_the_answers_over(table, ratio, level):
    swapped = (*table[2:], *table[:2])
    here, there = risk_ratio_pvalues(*table, ratio), risk_ratio_pvalues(*swapped, 1 / ratio)
    assert_allclose([here.greater, here.less], [there.less, there.greater], rtol=1e-6, atol=1e-200)
    bounds, turned = difference_bounds(*table, level), difference_bounds(*swapped, level)
    assert_allclose([bounds.low, bounds.high], [-turned.high, -turned.low], atol=1e-15)


@given(tables(), ratios, st.floats(-0.9, 0.9))
def test_more_events_of_the_canary_are_more_evidence(table, ratio, difference):
    xc, nc, xb, nb = table
    for test, null in ((risk_ratio_pvalues, ratio), (difference_pvalues, difference)):
        steps = np.arange(max(xc - 2, 0), xc + 1)
        pvalues = test(steps, nc, xb, nb, null)
        assert (np.diff(pvalues.greater) <= 1e-9).all()
        known = steps + xb > 0  # without any event nothing is known of a ratio
        assert (np.diff(pvalues.less[known]) >= -1e-9).all()


@given(tables(), st.floats(0, 1), st.floats(1e-10, 0.999))
def test_one_proportion_bounds_invert_the_pvalues(table, value, level):
    x, n = table[:2]
    bounds, pvalues = proportion_bounds(x, n, level), proportion_pvalues(x, n, value)
    assert_allclose(
        [pvalues.greater, pvalues.less],
        [stats.binom.sf(x - 1, n, value), stats.binom.cdf(x, n, value)],
        rtol=1e-7,
        atol=1e-307,  # smaller numbers have fewer digits
    )
    if not np.isclose(pvalues.greater, level, rtol=1e-5):
        assert (bounds.low > value) == (pvalues.greater < level)
    if not np.isclose(pvalues.less, level, rtol=1e-5):
        assert (bounds.high < value) == (pvalues.less < level)


def test_a_batch_is_its_parts():
    rng = np.random.default_rng(1)
    nc, nb = rng.integers(5, 300, (2, 3, 1))
    xc, xb = rng.binomial(nc, 0.2, (3, 4)), rng.binomial(nb, 0.1, (3, 4))
    for function, value in (
        (risk_ratio_pvalues, 1.2),
        (risk_ratio_bounds, 0.03),
        (difference_pvalues, 0.01),
        (difference_bounds, 0.03),
    ):
        batch = function(xc, nc, xb, nb, value)
        for i, j in np.ndindex(3, 4):
            one = function(xc[i, j], nc[i, 0], xb[i, j], nb[i, 0], value)
            for name in type(one).__slots__:
                assert isinstance(getattr(one, name), np.ndarray)
                assert getattr(one, name) == getattr(batch, name)[i, j]


@pytest.mark.parametrize("table", [(0, 0, 3, 10), (3, 10, 0, 0), (0, 0, 0, 0)])
def test_nothing_is_known_without_a_total(table):
    for test, bound, ends in (
        (risk_ratio_pvalues, risk_ratio_bounds, (0, np.inf)),
        (difference_pvalues, difference_bounds, (-1, 1)),
    ):
        pvalues, bounds = test(*table, 0.1), bound(*table, 0.05)
        assert (pvalues.greater, pvalues.less, bounds.low, bounds.high) == (1, 1, *ends)


def test_one_arm_without_a_total():
    bounds, pvalues = proportion_bounds(0, 0, 0.05), proportion_pvalues(0, 0, 0.3)
    assert (bounds.low, bounds.high, pvalues.greater, pvalues.less) == (0, 1, 1, 1)


@pytest.mark.parametrize(
    "table", [(0, 10, 0, 12), (10, 10, 12, 12), (0, 10, 12, 12), (10, 10, 0, 12), (0.2, 0.4, 0.1, 0.3)]
)
def test_extreme_tables_have_bounds_in_order(table):
    for function, least, most in ((risk_ratio_bounds, 0, np.inf), (difference_bounds, -1, 1)):
        for level in (0.05, 1e-6, 1e-150, 0):
            bounds = function(*table, level)
            assert least <= bounds.low <= bounds.high <= most
    for test, null in ((risk_ratio_pvalues, 1), (difference_pvalues, 0)):
        pvalues = test(*table, null)
        assert 0 <= pvalues.greater <= 1
        assert 0 <= pvalues.less <= 1


@pytest.mark.parametrize(
    ("nc", "nb", "level", "grid", "low_excess", "high_excess"),
    [
        (30, 30, 0.05, np.linspace(0.01, 0.99, 15), 1.0, 1.5),
        (150, 40, 0.01, np.linspace(0.01, 0.99, 15), 1.0, 2.0),
        (10_000, 10_000, 0.05, np.geomspace(1e-6, 5e-3, 12), 1.0, 1.0),
        (10_000, 10_000, 0.001, np.geomspace(1e-6, 5e-3, 12), 1.0, 1.0),
        (20_000, 2_000, 0.05, np.geomspace(1e-6, 5e-3, 12), 1.0, 1.1),
        (2_000, 20_000, 0.001, np.geomspace(1e-6, 5e-3, 12), 1.0, 1.0),
    ],
)
def test_difference_bounds_err_as_documented(nc, nb, level, grid, low_excess, high_excess):
    """Summed over all tables that matter, for differences of at least 0."""
    xc, xb = np.arange(min(nc, 160) + 1)[:, None], np.arange(min(nb, 160) + 1)
    bounds = difference_bounds(xc, nc, xb, nb, level)
    canary, baseline = stats.binom.pmf(xc.T, nc, grid[:, None]), stats.binom.pmf(xb, nb, grid[:, None])
    for i, pc in enumerate(grid):
        for j, pb in enumerate(grid[: i + 1]):
            mass = canary[i][:, None] * baseline[j]
            assert mass[bounds.low > pc - pb].sum() <= level * low_excess
            assert mass[bounds.high < pc - pb].sum() <= level * high_excess


def test_risk_ratio_bounds_come_near_their_level():
    rng, runs = np.random.default_rng(3), 20_000
    xb, xc = rng.binomial(600, 0.1, runs), rng.binomial(400, 0.12, runs)
    bounds = risk_ratio_bounds(xc, 400, xb, 600, 0.05)
    for wrong in (np.sum(bounds.low > 1.2), np.sum(bounds.high < 1.2)):
        assert stats.binom.ppf(1e-6, runs, 0.045) <= wrong <= stats.binom.ppf(1 - 1e-6, runs, 0.055)


# prop.test(x, n, conf.level = 1 - 2 * level)$conf.int, R 4
R_BOUNDS = [
    (30, 1000, 0.05, 0.0218891113384881, 0.0407885336938625),
    (100, 100_000, 0.01, 0.000788506658939534, 0.001266654708392854),
    (990, 1000, 0.01, 0.978936198601853, 0.995450627644816),
    (3, 17, 0.05, 0.0556246239515235, 0.4014361620551506),
]
# prop.test(x, n, p, alternative)$p.value
R_PVALUES = [
    (30, 1000, 0.02, "greater", 0.0159432214528638),
    (100, 100_000, 0.0008, "greater", 0.014590270872582),
    (100, 100_000, 0.0012, "less", 0.0374425592690678),
]


@pytest.mark.parametrize(("x", "n", "level", "low", "high"), R_BOUNDS)
def test_bounds_are_those_of_r(x, n, level, low, high):
    bounds = wilson_bounds(x, n, level)
    assert float(bounds.low) == pytest.approx(low, rel=1e-12)
    assert float(bounds.high) == pytest.approx(high, rel=1e-12)


@pytest.mark.parametrize(("x", "n", "value", "side", "pvalue"), R_PVALUES)
def test_pvalues_are_those_of_r(x, n, value, side, pvalue):
    assert float(getattr(wilson_pvalues(x, n, value), side)) == pytest.approx(pvalue, rel=1e-11)


@given(
    st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.floats(1e-6, 1 - 1e-6),
    st.sampled_from([0.05, 0.01, 0.0005]),
)
def test_bounds_invert_the_pvalues_and_are_never_finer_than_the_exact_ones(events, value, level):
    x, n = events
    bounds, pvalues, exact = (
        score_bounds(x, n, level),
        score_pvalues(x, n, value),
        proportion_bounds(x, n, level),
    )
    if abs(value - bounds.low) > 1e-9:
        assert (pvalues.greater < level) == (bounds.low > value)
    if abs(value - bounds.high) > 1e-9:
        assert (pvalues.less < level) == (bounds.high < value)
    assert bounds.low <= exact.low <= exact.high <= bounds.high


def test_the_guarded_pvalues_are_the_more_careful_ones():
    x, n, value = np.array([2, 30, 990]), 1000, np.array([0.0005, 0.04, 0.98])
    score, wilson, exact = (test(x, n, value) for test in (score_pvalues, wilson_pvalues, proportion_pvalues))
    for side in ("greater", "less"):
        both = np.stack([getattr(wilson, side), getattr(exact, side)])
        assert np.array_equal(getattr(score, side), both.max(axis=0))
    assert wilson.greater[0] < exact.greater[0]


def errors(bounds, n, p, level):
    """How often each bound misses p, by adding up binomial probabilities."""
    x = np.arange(binom.ppf(1e-12, n, p), binom.ppf(1 - 1e-12, n, p) + 1)
    found = bounds(x, n, level)
    chances = binom.pmf(x, n, p)
    return chances[found.low > p].sum(), chances[found.high < p].sum()


@pytest.mark.parametrize("level", [0.05, 0.01, 0.0005])
@pytest.mark.parametrize("n", [1_000, 10_000, 100_000, 1_000_000])
def test_no_bound_misses_more_often_than_it_says(n, level):
    for expected in {0.1, 0.3, 1, 2.5, 7, 31, n * 0.001}:
        for p in (expected / n, 1 - expected / n):
            misses = errors(score_bounds, n, p, level)
            assert max(misses) <= level * (1 + 1e-9), (n, p, misses)


def test_wilson_alone_would_miss_too_often():
    """Where two events in 1,000 are expected, its lower bound errs twice as often as it says."""
    found = [errors(wilson_bounds, 1_000, p, 0.01)[0] for p in np.linspace(0.001, 0.003, 50)]
    assert max(found) > 0.02


def test_no_events_bound_nothing_from_below_and_all_events_nothing_from_above():
    for bounds in (wilson_bounds, score_bounds):
        found = bounds([0, 50], 50, 0.05)
        assert (found.low[0], found.high[1]) == (0, 1)
        assert 0 < found.high[0] < 0.2
