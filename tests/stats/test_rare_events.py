"""The exact test of the ratio of two rates: values of R and statsmodels, sums of the binomial distribution, and its symmetries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats
from statsmodels.stats.rates import test_poisson_2indep as poisson_test

from canaryjudge.stats.rare_events import beta_quantile, bisect, rate_ratio_bounds, rate_ratio_pvalues

reproducible = settings(derandomize=True, deadline=None)

counts = st.integers(0, 400)
events = st.floats(0, 1e5).map(lambda x: round(x, 3))
exposures = st.floats(0.01, 1e9)
ratios = st.floats(0.01, 100)
levels = st.floats(1e-12, 0.5)

# R: poisson.test(c(xc, xb), c(nc, nb), r=ratio, alternative="greater")$p.value, "less" likewise, and
# poisson.test(c(xc, xb), c(nc, nb), conf.level=.9)$conf.int
FROM_R = [
    ((41, 28010, 15, 19017, 1), 0.023830123377283, 0.988372701605021, 1.098010354797787, 3.247029890964721),
    (
        (11, 800, 23, 1083, 1.2),
        0.9715043092214312,
        0.0607678525466999,
        0.3241642354153918,
        1.2405870627769895,
    ),
    ((7, 100, 0, 90, 1.1), 0.015224352343750, 1, 1.684991244019857, np.inf),
    ((0, 100, 6, 300, 0.5), 1, 0.396569456603966, 0, 1.942646917326196),
    (
        (130, 1e6, 60, 1.1e6, 1.5),
        0.00153975204167268,
        0.99907050176993395,
        1.82712850807917593,
        3.12838425331715175,
    ),
    ((1, 10, 1, 10, 2), 0.888888888888889, 0.555555555555556, 0.0259783520851541, 38.4935886896178),
]


@pytest.mark.parametrize(("case", "greater", "less", "low", "high"), FROM_R)
def test_values_of_r(case, greater, less, low, high):
    *data, ratio = case
    pvalues, bounds = rate_ratio_pvalues(*data, ratio), rate_ratio_bounds(*data, 0.05)
    assert_allclose(
        [pvalues.greater, pvalues.less, bounds.low, bounds.high], [greater, less, low, high], rtol=1e-9
    )


def test_bounds_of_r_in_the_tail():
    # R: poisson.test(c(130, 60), c(1e6, 1.1e6), conf.level=.998)$conf.int
    bounds = rate_ratio_bounds(130, 1e6, 60, 1.1e6, 0.001)
    assert_allclose([bounds.low, bounds.high], [1.47114471921421419, 3.96991760973196595], rtol=1e-9)


@pytest.mark.parametrize("case", [(41, 28010, 15, 19017, 1), (11, 800, 23, 1083, 1.2), (3, 5e4, 1, 9e4, 0.4)])
def test_pvalues_of_statsmodels(case):
    pvalues = rate_ratio_pvalues(*case)
    for found, alternative in ((pvalues.greater, "larger"), (pvalues.less, "smaller")):
        expected = poisson_test(*case[:4], value=case[4], method="exact-cond", alternative=alternative)
        assert_allclose(found, expected.pvalue, rtol=1e-9)


@reproducible
@given(counts, exposures, counts, exposures, ratios)
def test_pvalues_are_sums_of_the_binomial_distribution(xc, nc, xb, nb, ratio):
    share = ratio * nc / (ratio * nc + nb)
    masses = stats.binom.pmf(np.arange(xc + xb + 1), xc + xb, share)
    pvalues = rate_ratio_pvalues(xc, nc, xb, nb, ratio)
    assert_allclose(
        [pvalues.greater, pvalues.less], [masses[xc:].sum(), masses[: xc + 1].sum()], rtol=1e-6, atol=1e-12
    )


@reproducible
@given(events, exposures, events, exposures, ratios, levels)
def test_bounds_invert_the_pvalues(xc, nc, xb, nb, ratio, level):
    bounds, pvalues = rate_ratio_bounds(xc, nc, xb, nb, level), rate_ratio_pvalues(xc, nc, xb, nb, ratio)
    if not np.isclose(pvalues.greater, level, rtol=1e-5):
        assert (bounds.low > ratio) == (pvalues.greater < level)
    if not np.isclose(pvalues.less, level, rtol=1e-5):
        assert (bounds.high < ratio) == (pvalues.less < level)


@reproducible
@given(events.filter(lambda x: x > 0.5), exposures, events.filter(lambda x: x > 0.5), exposures, levels)
def test_the_pvalue_of_a_bound_is_its_level(xc, nc, xb, nb, level):
    bounds = rate_ratio_bounds(xc, nc, xb, nb, level)
    assert_allclose(rate_ratio_pvalues(xc, nc, xb, nb, bounds.low).greater, level, rtol=1e-5)
    assert_allclose(rate_ratio_pvalues(xc, nc, xb, nb, bounds.high).less, level, rtol=1e-5)


@reproducible
@given(events, exposures, events, exposures, ratios, levels)
def test_swapping_the_arms_turns_the_ratio_over(xc, nc, xb, nb, ratio, level):
    here, there = rate_ratio_pvalues(xc, nc, xb, nb, ratio), rate_ratio_pvalues(xb, nb, xc, nc, 1 / ratio)
    assert_allclose([here.greater, here.less], [there.less, there.greater], rtol=1e-6, atol=1e-300)
    bounds, swapped = rate_ratio_bounds(xc, nc, xb, nb, level), rate_ratio_bounds(xb, nb, xc, nc, level)
    with np.errstate(divide="ignore"):
        assert_allclose(
            [bounds.low, bounds.high], [1 / swapped.high, 1 / swapped.low], rtol=1e-6, atol=1e-280
        )


@reproducible
@given(events, exposures, events, exposures, ratios, st.floats(1, 1000))
def test_more_events_of_the_canary_are_more_evidence(xc, nc, xb, nb, ratio, more):
    few, many = rate_ratio_pvalues(xc, nc, xb, nb, ratio), rate_ratio_pvalues(xc + more, nc, xb, nb, ratio)
    assert many.greater <= few.greater * (1 + 1e-9)
    assert few.less <= many.less * (1 + 1e-9)


@reproducible
@given(events, exposures, events, exposures, ratios, st.floats(0.01, 100))
def test_the_unit_of_exposure_does_not_matter(xc, nc, xb, nb, ratio, scale):
    here, there = (
        rate_ratio_pvalues(xc, nc, xb, nb, ratio),
        rate_ratio_pvalues(xc, nc * scale, xb, nb * scale, ratio),
    )
    assert_allclose([here.greater, here.less], [there.greater, there.less], rtol=1e-6, atol=1e-300)


def test_a_batch_is_its_parts():
    rng = np.random.default_rng(1)
    xc, xb = rng.poisson(5, (2, 3, 4))
    nc, nb = rng.uniform(1, 9, (2, 4))
    values = np.array([[1.0], [1.5], [0.7]])
    pvalues, bounds = rate_ratio_pvalues(xc, nc, xb, nb, values), rate_ratio_bounds(xc, nc, xb, nb, 0.02)
    assert pvalues.greater.shape == bounds.low.shape == (3, 4)
    for i, j in np.ndindex(3, 4):
        data = xc[i, j], nc[j], xb[i, j], nb[j]
        one, two = rate_ratio_pvalues(*data, values[i, 0]), rate_ratio_bounds(*data, 0.02)
        assert (one.greater, one.less) == (pvalues.greater[i, j], pvalues.less[i, j])
        assert (two.low, two.high) == (bounds.low[i, j], bounds.high[i, j])


@pytest.mark.parametrize(
    "data",
    [(0, 10, 0, 10), (0, 0, 4, 10), (4, 10, 0, 0), (0, 0, 0, 0)],
    ids=["no events", "no canary", "no baseline", "nothing"],
)
def test_nothing_is_known_from_nothing(data):
    pvalues, bounds = rate_ratio_pvalues(*data, 1), rate_ratio_bounds(*data, 0.05)
    assert (pvalues.greater, pvalues.less, bounds.low, bounds.high) == (1, 1, 0, np.inf)


def test_a_level_of_0_bounds_nothing():
    bounds = rate_ratio_bounds(5, 10, 50, 10, 0)
    assert (bounds.low, bounds.high) == (0, np.inf)


@pytest.mark.parametrize("level", [1e-59, 1e-61, 1e-100, 1e-250])
def test_far_tails_are_inverted_too(level):
    xc, nc, xb, nb = (
        [1.0, 5.0, 7.3, 1e5, 2e6],
        [10, 1e6, 3, 1e5, 4e6],
        [3.0, 1e6, 2.5, 1e5, 3e6],
        [10, 1e6, 2, 1e5, 4e6],
    )
    bounds = rate_ratio_bounds(xc, nc, xb, nb, level)
    assert_allclose(rate_ratio_pvalues(xc, nc, xb, nb, bounds.low).greater, level, rtol=1e-4)
    assert_allclose(rate_ratio_pvalues(xc, nc, xb, nb, bounds.high).less, level, rtol=1e-4)


def test_bounds_out_of_reach_of_floats_are_none():
    # the null's share that has this tail is below 1e-308
    assert rate_ratio_bounds(7.3, 3, 0.5, 2, 1e-250).high == np.inf
    assert rate_ratio_bounds(0.5, 3, 7.3, 2, 1e-250).low == 0
    assert rate_ratio_bounds(1, 1, 0.008, 4, 0.00195).high == np.inf
    assert rate_ratio_bounds(0.008, 4, 1, 1, 0.00195).low == 0


def test_beta_quantiles_of_r():
    # the quantiles of R: qbeta(c(1e-9, .05, .9), c(.5, 3, 200), c(2, 1e4, 300))
    a, b, level = np.array([0.5, 3.0, 200.0]), np.array([2.0, 1e4, 300.0]), np.array([1e-9, 0.05, 0.9])
    y, rest = beta_quantile(a, b, level)
    assert_allclose(y, [4.44444444444444e-19, 8.17576266107867e-05, 4.28152853635122e-01], rtol=1e-7)
    assert_allclose(y + rest, 1, rtol=1e-12)


def test_bisection_ends():
    low, high = np.array([0.0, 0.0, 0.0]), np.array([8.0, 8.0, 8.0])
    found = bisect(lambda x: x < np.array([3.0, 9.0, -1.0]), low, high)
    assert_allclose(found, [3, 8, 0], rtol=1e-15)


def test_the_level_is_kept_whatever_the_rate():
    rng, runs = np.random.default_rng(2), 20_000
    for rate in (1, 30):
        xb, xc = rng.poisson(rate * 2, runs), rng.poisson(rate * 1.3, runs)
        bounds = rate_ratio_bounds(xc, 1, xb, 2, 0.05)
        for wrong in (np.sum(bounds.low > 1.3), np.sum(bounds.high < 1.3)):
            assert wrong <= stats.binom.ppf(1 - 1e-6, runs, 0.05)
