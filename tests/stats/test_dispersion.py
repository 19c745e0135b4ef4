"""Overdispersion: values of R and statsmodels, what it ignores and what it sees, and tempering."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable

from canaryjudge.stats.dispersion import dispersion, pooled_dispersion, temper, tempered_level
from canaryjudge.stats.long_run import long_run_variance

EVENTS = np.array([3, 12, 7, 9, 30, 2, 11, 8])
TOTALS = np.array([500, 480, 510, 505, 495, 500, 520, 490])
OTHERS = np.array([4, 9, 8, 7, 12, 5, 10, 9])
SAME = np.ones(8)


def pooled(baseline, canary, *, concurrent, family="poisson", totals=SAME):
    return pooled_dispersion(baseline, totals, canary, totals, concurrent=concurrent, family=family)


def test_pearson_of_r():
    # R: f <- glm(x ~ 1 + offset(log(n)), family=poisson); sum(residuals(f, "pearson")^2); pchisq(., 7, lower.tail=FALSE)
    found = dispersion(EVENTS, TOTALS, family="poisson")
    assert_allclose(
        [found.factor, found.df, found.pvalue], [52.8273581340772 / 7, 7, 4.0097946110822e-09], rtol=1e-9
    )
    # R: f <- glm(cbind(x, n - x) ~ 1, family=binomial); sum(residuals(f, "pearson")^2)
    assert_allclose(dispersion(EVENTS, TOTALS, family="binomial").factor, 53.9329843124836 / 7, rtol=1e-9)


def test_the_split_of_r():
    # R: f <- glm(cbind(x, b) ~ 1, family=binomial); pchisq(sum(residuals(f, "pearson")^2), 7, lower.tail=FALSE)
    assert_allclose(pooled(OTHERS, EVENTS, concurrent=True).pvalue, 0.341910675927449, rtol=1e-9)


def test_the_split_of_proportions_is_breslow_and_days():
    totals = np.array([40, 55, 70, 35, 60, 52, 44, 61])
    tables = [[[c, n - c], [b, n - b]] for c, b, n in zip(EVENTS, OTHERS, totals, strict=True)]
    expected = StratifiedTable([np.asarray(table, dtype=float) for table in tables]).test_equal_odds()
    found = pooled(OTHERS, EVENTS, concurrent=True, family="binomial", totals=totals)
    assert_allclose(found.pvalue, expected.pvalue, rtol=1e-9)


def test_windows_add_up_over_the_arms():
    found = pooled_dispersion(EVENTS, TOTALS, OTHERS[:5], TOTALS[:5], concurrent=False, family="poisson")
    z = [
        (x - n * x.sum() / n.sum()) / np.sqrt(n * x.sum() / n.sum())
        for x, n in ((EVENTS, TOTALS), (OTHERS[:5], TOTALS[:5]))
    ]
    pearson = sum(np.sum(arm**2) for arm in z)
    assert_allclose(found.pvalue, stats.chi2.sf(pearson, 7 + 4), rtol=1e-9)
    assert_allclose(found.factor, pearson / 11, rtol=1e-9)


def test_long_bursts_count_with_their_long_run_variance():
    events = np.repeat([4, 16, 5, 25, 3, 18], 10)
    found = dispersion(events, np.ones(60), family="poisson")
    z = (events - events.mean()) / np.sqrt(events.mean())
    run = long_run_variance(z)
    assert run.variance > 2 * np.sum(z**2) / 59
    assert_allclose([found.factor, found.df], [run.variance, run.df], rtol=1e-12)


def test_silent_intervals_do_not_dilute_long_bursts():
    events, totals = np.zeros((2, 120))
    events[::2], totals[::2] = np.repeat([4, 16, 5, 25, 3, 18], 10), 1
    z = (events - totals * events[::2].mean()) / np.sqrt(events[::2].mean())
    run = long_run_variance(z)
    found = dispersion(events, totals, family="poisson")
    assert_allclose([found.factor, found.df], [2 * run.variance, run.df], rtol=1e-12)


def test_what_concurrent_arms_share_is_no_dispersion():
    rng = np.random.default_rng(4)
    weather = rng.gamma(1.0, 1.0, (2_000, 40))
    baseline, canary = rng.poisson(20 * weather), rng.poisson(30 * weather)
    totals = np.ones(40)
    shared = pooled_dispersion(baseline, totals, canary, totals, concurrent=True, family="poisson")
    apart = pooled_dispersion(baseline, totals, canary, totals, concurrent=False, family="poisson")
    assert np.sum(shared.factor > 1) <= stats.binom.ppf(1 - 1e-6, 2_000, 0.1)
    assert apart.factor.min() > 5


def test_shared_swings_of_large_proportions_are_no_dispersion_and_own_ones_are():
    rng = np.random.default_rng(5)
    shares = rng.uniform(0.2, 0.8, (2_000, 40))
    totals = np.full(40, 100.0)

    def found(baseline, canary):
        return pooled_dispersion(baseline, totals, canary, totals, concurrent=True, family="binomial")

    shared = found(rng.binomial(100, shares), rng.binomial(100, shares))
    assert np.sum(shared.factor > 1) <= stats.binom.ppf(1 - 1e-6, 2_000, 0.11)
    # beta-binomial with a variance 3 times the binomial one
    size = (100 - 3) / 2
    own = found(*(rng.binomial(100, rng.beta(0.5 * size, 0.5 * size, (2_000, 40))) for _ in range(2)))
    assert 2.5 < np.median(own.factor) < 3.5


def test_the_factor_is_1_unless_significant():
    rng = np.random.default_rng(6)
    found = dispersion(rng.poisson(10, (20_000, 30)), np.ones(30), family="poisson")
    assert ((found.factor == 1) == (found.pvalue >= 0.1)).all()
    assert (np.isinf(found.df) == (found.factor == 1)).all()
    assert (
        stats.binom.ppf(1e-6, 20_000, 0.085)
        <= np.sum(found.factor > 1)
        <= stats.binom.ppf(1 - 1e-6, 20_000, 0.1)
    )


@pytest.mark.parametrize("concurrent", [True, False])
@pytest.mark.parametrize("family", ["poisson", "binomial"])
def test_fewer_than_3_intervals_show_nothing(family, concurrent):
    single = dispersion([1, 500], [1000, 1000], family=family)
    both = pooled_dispersion([1], [1000], [700], [1000], concurrent=concurrent, family=family)
    for found in (single, both):
        assert (found.factor, found.df, found.pvalue) == (1, np.inf, 1)


@pytest.mark.parametrize("concurrent", [True, False])
@pytest.mark.parametrize("family", ["poisson", "binomial"])
def test_constant_and_empty_arms_show_nothing(family, concurrent):
    for level in (0, 50, 100):
        same = np.full(10, level)
        found = pooled_dispersion(
            same, np.full(10, 100), same, np.full(10, 100), concurrent=concurrent, family=family
        )
        assert (found.factor, found.df, found.pvalue) == (1, np.inf, 1)


def test_bursts_of_the_only_arm_with_events_are_seen():
    burst = np.zeros(30)
    burst[7] = 40
    found = pooled_dispersion(
        np.zeros(30), np.full(30, 1000), burst, np.full(30, 1000), concurrent=True, family="poisson"
    )
    assert_allclose(found.factor, 40)


@pytest.mark.parametrize("family", ["poisson", "binomial"])
def test_intervals_without_traffic_are_left_out(family):
    gaps = np.array([1, 1, 0, 1, 1, 0, 1, 1, 1, 1], dtype=bool)
    events, totals, others = np.zeros((3, 10))
    events[gaps], totals[gaps], others[gaps] = EVENTS, TOTALS, OTHERS
    with_gaps = dispersion(events, totals, family=family)
    assert_allclose(with_gaps.pvalue, dispersion(EVENTS, TOTALS, family=family).pvalue)
    split = pooled_dispersion(others, totals, events, totals, concurrent=True, family=family)
    assert_allclose(
        split.pvalue, pooled(OTHERS, EVENTS, concurrent=True, family=family, totals=TOTALS).pvalue
    )


@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from(["poisson", "binomial"]))
def test_the_order_of_the_arms_does_not_matter(seed, concurrent, family):
    rng = np.random.default_rng(seed)
    nb, nc = rng.integers(20, 400, (2, 12))
    xb, xc = rng.binomial(nb, rng.beta(1, 5, 12)), rng.binomial(nc, rng.beta(1, 5, 12))
    here = pooled_dispersion(xb, nb, xc, nc, concurrent=concurrent, family=family)
    there = pooled_dispersion(xc, nc, xb, nb, concurrent=concurrent, family=family)
    assert_allclose([here.factor, here.pvalue], [there.factor, there.pvalue], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("concurrent", [True, False])
@pytest.mark.parametrize("family", ["poisson", "binomial"])
def test_a_batch_is_its_parts(family, concurrent):
    rng = np.random.default_rng(7)
    xb, xc = rng.binomial(80, rng.beta(1, 4, (2, 3, 4, 15)))
    xb[0, 0] = 0
    totals = np.full(15, 80)
    batch = pooled_dispersion(xb, totals, xc, totals, concurrent=concurrent, family=family)
    single = dispersion(xc, totals, family=family)
    for i, j in np.ndindex(3, 4):
        one = pooled_dispersion(xb[i, j], totals, xc[i, j], totals, concurrent=concurrent, family=family)
        for name in ("factor", "df", "pvalue"):
            assert_allclose(getattr(one, name), getattr(batch, name)[i, j], rtol=1e-10)
            own = dispersion(xc[i, j], totals, family=family)
            assert_allclose(getattr(own, name), getattr(single, name)[i, j], rtol=1e-10)


def test_tempering_of_r():
    # the values of R: pt(qnorm(.01), 10); pt(qnorm(1e-6), 4.8); pnorm(qt(.01, 10))
    found = temper(0.01, 10), temper(1e-6, 4.8), tempered_level(0.01, 10)
    assert_allclose(found, [0.0211563528175166, 0.00282723124321545, 0.00285689467801898], rtol=1e-9)


@given(st.floats(1e-290, 1), st.floats(0.8, 1e4), st.floats(1e-8, 0.5))
def test_tempered_levels_agree_with_tempered_pvalues(pvalue, df, level):
    tempered, bound = temper(pvalue, df), tempered_level(level, df)
    if not np.isclose(tempered, level, rtol=1e-6):
        assert (tempered < level) == (pvalue < bound)
    if pvalue < 0.5:
        assert tempered >= pvalue * (1 - 1e-9)


def test_a_known_factor_tempers_nothing():
    assert temper([0.3, 1e-320, 0.0], np.inf).tolist() == [0.3, 1e-320, 0.0]
    assert tempered_level([0.3, 1e-20], np.inf).tolist() == [0.3, 1e-20]


def test_few_degrees_of_freedom_prove_nothing_at_a_small_level():
    assert temper(0.0, 1.6) > 1e-4
    assert tempered_level(1e-4, 1.6) == 0
