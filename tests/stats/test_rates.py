"""The exact test of the ratio of two rates: values of R and statsmodels, sums of the binomial distribution, and its symmetries.

The exact test of a difference of rates: against SciPy, a slow oracle, and by adding up all tables.
"""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats
from scipy.stats import barnard_exact, binom, poisson
from simulation import assert_rate_at_most, sizes
from statsmodels.stats.rates import test_poisson_2indep as poisson_test

from canaryjudge.stats import rates
from canaryjudge.stats.rates import (
    rare_difference_pvalues,
    rate_bounds,
    rate_difference_bounds,
    rate_difference_pvalues,
    rate_pvalues,
    rate_ratio_bounds,
    rate_ratio_pvalues,
)

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


def test_one_rate_of_r():
    # R: poisson.test(7, 20, r=.2, alternative="greater"), (7, 20, r=.6, alternative="less"), conf.int at .9; poisson.test(0, 50)
    bounds, none = rate_bounds(7, 20, 0.05), rate_bounds(0, 50, 0.05)
    found = (
        rate_pvalues(7, 20, 0.2).greater,
        rate_pvalues(7, 20, 0.6).less,
        bounds.low,
        bounds.high,
        none.high,
    )
    expected = 0.110673978402574, 0.0895044968401758, 0.164265784594734, 0.657405690121606, 0.0599146454710798
    assert_allclose(found, expected, rtol=1e-9)
    assert none.low == 0


@given(
    st.floats(0, 1e6).map(lambda x: round(x, 3)),
    st.floats(1e-3, 1e6),
    st.floats(1e-3, 1e3),
    st.floats(1e-10, 0.999),
)
def test_one_rate_bounds_invert_the_pvalues(x, exposure, value, level):
    bounds, pvalues = rate_bounds(x, exposure, level), rate_pvalues(x, exposure, value)
    if not np.isclose(pvalues.greater, level, rtol=1e-5):
        assert (bounds.low > value) == (pvalues.greater < level)
    if not np.isclose(pvalues.less, level, rtol=1e-5):
        assert (bounds.high < value) == (pvalues.less < level)


def test_one_rate_without_an_exposure():
    bounds, pvalues = rate_bounds(0, 0, 0.05), rate_pvalues(0, 0, 0.3)
    assert (bounds.low, bounds.high, pvalues.greater, pvalues.less) == (0, np.inf, 1, 1)


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


@given(counts, exposures, counts, exposures, ratios)
def test_pvalues_are_sums_of_the_binomial_distribution(xc, nc, xb, nb, ratio):
    share = ratio * nc / (ratio * nc + nb)
    masses = stats.binom.pmf(np.arange(xc + xb + 1), xc + xb, share)
    pvalues = rate_ratio_pvalues(xc, nc, xb, nb, ratio)
    assert_allclose(
        [pvalues.greater, pvalues.less], [masses[xc:].sum(), masses[: xc + 1].sum()], rtol=1e-6, atol=1e-12
    )


@given(events, exposures, events, exposures, ratios, levels)
def test_bounds_invert_the_pvalues(xc, nc, xb, nb, ratio, level):
    bounds, pvalues = rate_ratio_bounds(xc, nc, xb, nb, level), rate_ratio_pvalues(xc, nc, xb, nb, ratio)
    if not np.isclose(pvalues.greater, level, rtol=1e-5):
        assert (bounds.low > ratio) == (pvalues.greater < level)
    if not np.isclose(pvalues.less, level, rtol=1e-5):
        assert (bounds.high < ratio) == (pvalues.less < level)


@given(events.filter(lambda x: x > 0.5), exposures, events.filter(lambda x: x > 0.5), exposures, levels)
def test_the_pvalue_of_a_bound_is_its_level(xc, nc, xb, nb, level):
    bounds = rate_ratio_bounds(xc, nc, xb, nb, level)
    assert_allclose(rate_ratio_pvalues(xc, nc, xb, nb, bounds.low).greater, level, rtol=1e-5)
    assert_allclose(rate_ratio_pvalues(xc, nc, xb, nb, bounds.high).less, level, rtol=1e-5)


@given(events, exposures, events, exposures, ratios, levels)
def test_swapping_the_arms_turns_the_ratio_over(xc, nc, xb, nb, ratio, level):
    here, there = rate_ratio_pvalues(xc, nc, xb, nb, ratio), rate_ratio_pvalues(xb, nb, xc, nc, 1 / ratio)
    assert_allclose([here.greater, here.less], [there.less, there.greater], rtol=1e-6, atol=1e-300)
    bounds, swapped = rate_ratio_bounds(xc, nc, xb, nb, level), rate_ratio_bounds(xb, nb, xc, nc, level)
    with np.errstate(divide="ignore"):
        assert_allclose(
            [bounds.low, bounds.high], [1 / swapped.high, 1 / swapped.low], rtol=1e-6, atol=1e-280
        )


@given(events, exposures, events, exposures, ratios, st.floats(1, 1000))
def test_more_events_of_the_canary_are_more_evidence(xc, nc, xb, nb, ratio, more):
    few, many = rate_ratio_pvalues(xc, nc, xb, nb, ratio), rate_ratio_pvalues(xc + more, nc, xb, nb, ratio)
    assert many.greater <= few.greater * (1 + 1e-9)
    assert few.less <= many.less * (1 + 1e-9)


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


def test_the_level_is_kept_whatever_the_rate():
    rng, runs = np.random.default_rng(2), 20_000
    for rate in (1, 30):
        xb, xc = rng.poisson(rate * 2, runs), rng.poisson(rate * 1.3, runs)
        bounds = rate_ratio_bounds(xc, 1, xb, 2, 0.05)
        for wrong in (np.sum(bounds.low > 1.3), np.sum(bounds.high < 1.3)):
            assert wrong <= stats.binom.ppf(1 - 1e-6, runs, 0.05)


def test_bounds_and_pvalues_agree():
    rng = np.random.default_rng(1)
    xc, xb = rng.poisson(8, 200), rng.poisson(12, 200)
    nc, nb = rng.uniform(5, 20, 200), rng.uniform(5, 20, 200)
    null = rng.normal(0, 0.5, 200)
    for level in (0.001, 0.01, 0.05, 0.3):
        bounds = rate_difference_bounds(xc, nc, xb, nb, level)
        pvalues = rate_difference_pvalues(xc, nc, xb, nb, null)
        np.testing.assert_array_equal(bounds.low > null, pvalues.greater < level)
        np.testing.assert_array_equal(bounds.high < null, pvalues.less < level)


def test_without_events_the_upper_bound_is_the_canarys_own():
    """Garwood: R's poisson.test(0, 1000, alternative="less")$conf.int[2] is 0.002995732."""
    assert rate_difference_bounds(0, 1000, 0, 50, 0.05).high == pytest.approx(0.002995732, abs=1e-9)


def test_large_counts_give_the_normal_interval():
    bounds = rate_difference_bounds(1_000_000, 10.0, 990_000, 10.0, 0.025)
    half = 1.959964 * np.sqrt(1_990_000) / 10
    assert bounds.low == pytest.approx(1000 - half, rel=2e-3)
    assert bounds.high == pytest.approx(1000 + half, rel=2e-3)


def test_a_batch_gives_what_single_calls_give_and_swapping_mirrors():
    batch = rate_difference_pvalues([3, 9], [10.0, 11.0], [4, 4], 10.0, [0.1, 0.2])
    single = rate_difference_pvalues(9, 11.0, 4, 10.0, 0.2)
    assert batch.greater[1] == single.greater
    assert rate_difference_pvalues(4, 10.0, 9, 11.0, -0.2).less == pytest.approx(float(single.greater))


@sizes(1.15 * 0.01, 20_000)
@pytest.mark.parametrize("mean", [0.5, 4.0, 60.0])
def test_errors_keep_their_level_at_the_edge(mean, runs):
    rng = np.random.default_rng(9)
    xb, xc = rng.poisson(mean, runs), rng.poisson(mean + 3.0, runs)
    pvalues = rate_difference_pvalues(xc, 1.0, xb, 1.0, 3.0)
    for level in (0.01, 0.05):
        assert_rate_at_most(int((pvalues.greater <= level).sum()), runs, 1.15 * level)
        assert_rate_at_most(int((pvalues.less <= level).sum()), runs, 1.15 * level)


@pytest.mark.parametrize(("xc", "nc", "xb", "nb"), [(8, 400, 2, 400), (3, 300, 0, 500)])
def test_without_a_difference_it_is_barnards_test(xc, nc, xb, nb):
    # of rare events, whose binomial distribution is all but Poisson's
    table = [[xc, xb], [nc - xc, nb - xb]]
    found = rare_difference_pvalues(xc, nc, xb, nb, 0.0)
    expected = barnard_exact(table, alternative="greater", n=256).pvalue
    assert float(found.greater) == pytest.approx(expected, rel=0.02)
    turned = rare_difference_pvalues(xb, nb, xc, nc, 0.0)
    assert float(turned.less) == pytest.approx(expected, rel=0.02)


def oracle(xc, nc, xb, nb, difference, rates=300):
    """All tables one by one, at many baseline rates."""
    most = 10 * int(xc + xb + 3)

    def score(c, b):
        least = max(0.0, -difference)
        low, high = np.full(c.shape, least), least + (c + b + 1) / min(nc, nb)
        for _ in range(100):  # the slope of the likelihood falls with the baseline's rate
            rate = (low + high) / 2
            up = c * rate + b * (rate + difference) > (nc + nb) * rate * (rate + difference)
            low, high = np.where(up, rate, low), np.where(up, high, rate)
        variance = (low + difference) / nc + low / nb
        return np.where(
            variance > 0, (c / nc - b / nb - difference) / np.sqrt(np.maximum(variance, 1e-300)), 0
        )

    there = score(np.array(xc), np.array(xb))
    scores = score(*np.meshgrid(np.arange(most), np.arange(most), indexing="ij"))
    greater = less = 0.0
    for rate in max(0.0, -difference) + np.linspace(0, 5 * (xc + xb + 1) / (nc + nb), rates):
        both = np.outer(
            poisson.pmf(np.arange(most), (rate + difference) * nc), poisson.pmf(np.arange(most), rate * nb)
        )
        greater = max(greater, both[scores >= there - 1e-7].sum())
        less = max(less, both[scores <= there + 1e-7].sum())
    return greater, less


@pytest.mark.parametrize(
    "case",
    [
        (3, 1424, 0, 2417, 0.0002),
        (1, 900, 4, 1000, 0.001),
        (4, 500, 1, 2000, -0.0005),
        (2, 1000, 2, 300, 0.0),
        (2.4, 800, 1.3, 800, 0.0004),
    ],
)
def test_it_is_what_adding_up_tables_one_by_one_gives(case):
    found = rare_difference_pvalues(*case)
    # the largest of 48 rates, instead of 400, and only possible ones
    assert_allclose([float(found.greater), float(found.less)], oracle(*case), rtol=0.004)


@cache
def pvalues_of_tables(nc, nb, difference):
    """Both p-values of all tables of up to 25 events an arm."""
    tables = np.arange(26)
    pvalues = [[rare_difference_pvalues(c, nc, b, nb, difference) for b in tables] for c in tables]
    return [
        np.array([[float(getattr(own, side)) for own in row] for row in pvalues])
        for side in ("greater", "less")
    ]


@pytest.mark.parametrize("level", [0.05, 0.01, 0.001])
@pytest.mark.parametrize(
    ("nc", "nb", "difference"),
    [(1000, 1000, 0.001), (400, 4000, 0.002), (3000, 700, -0.0005)],
)
def test_at_most_so_many_tables_as_the_level_says_reject(nc, nb, difference, level):
    tables = np.arange(26)
    greater, less = pvalues_of_tables(nc, nb, difference)
    for rate in np.linspace(0.0, 8 / max(nc, nb), 17):
        # the null hypotheses hold for a whole range of differences, not only at its end
        for shift in (0.0, 0.3, 0.8):
            for rejects, true in (
                (greater <= level, difference - shift * abs(difference)),
                (less <= level, difference + shift * abs(difference)),
            ):
                baseline = rate + max(0.0, -true)
                both = np.outer(
                    poisson.pmf(tables, (baseline + true) * nc), poisson.pmf(tables, baseline * nb)
                )
                assert both[rejects].sum() <= level * 1.003


def test_shares_of_a_tenth_are_no_more_often_rejected():
    nc, nb, difference, level = 150, 200, 0.03, 0.05
    tables = [np.arange(n + 1) for n in (40, 45)]
    rejects = np.array(
        [
            [float(rare_difference_pvalues(c, nc, b, nb, difference).greater) <= level for b in tables[1]]
            for c in tables[0]
        ]
    )
    for share in (0.02, 0.05, 0.08):
        both = np.outer(binom.pmf(tables[0], nc, share + difference), binom.pmf(tables[1], nb, share))
        assert both[rejects].sum() <= level


@given(
    xc=st.floats(0, 60),
    xb=st.floats(0, 60),
    nc=st.floats(50, 1e5),
    nb=st.floats(50, 1e5),
    difference=st.floats(-0.05, 0.05),
)
def test_it_is_a_pvalue_that_swaps_with_the_arms_and_scales_with_their_exposure(xc, xb, nc, nb, difference):
    found = rare_difference_pvalues(xc, nc, xb, nb, difference)
    assert 0 < float(found.greater) <= 1
    assert 0 < float(found.less) <= 1
    assert float(found.greater) + float(found.less) >= 1 - 1e-9  # what was observed counts on both sides
    turned = rare_difference_pvalues(xb, nb, xc, nc, -difference)
    assert_allclose([turned.less, turned.greater], [found.greater, found.less], rtol=1e-6)
    scaled = rare_difference_pvalues(xc, nc * 60, xb, nb * 60, difference / 60)
    assert_allclose([scaled.greater, scaled.less], [found.greater, found.less], rtol=1e-6)


def test_of_many_events_bounds_of_each_rate_say_the_same():
    case = (260, 90_000, 190, 100_000, 0.0005)
    exact, bounds = rare_difference_pvalues(*case), rate_difference_pvalues(*case)
    assert float(exact.greater) == pytest.approx(float(bounds.greater), rel=0.1)


@pytest.mark.parametrize("off", [-3, -1, 1, 3])
def test_a_guess_that_is_wrong_costs_time_alone(monkeypatch, off):
    rng = np.random.default_rng(4)
    canary, baseline = rng.poisson(20, (2, 12)).astype(float)
    asked = (canary, 2000.0, baseline, 3000.0, rng.choice([-1, 0, 1], 12) * rng.uniform(0, 0.01, 12))
    right = rare_difference_pvalues(*asked)
    guess = rates._Tables._guess
    monkeypatch.setattr(
        rates._Tables,
        "_guess",
        lambda self, counts, end, most: np.clip(guess(self, counts, end, most) + off, 0, most),
    )
    wrong = rare_difference_pvalues(*asked)
    assert right.greater.tolist() == wrong.greater.tolist()
    assert right.less.tolist() == wrong.less.tolist()
