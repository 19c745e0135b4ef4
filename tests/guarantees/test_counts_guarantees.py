"""How often the tests of counts and proportions fail a healthy canary, or pass one that is worse than tolerated.

The data are Poisson and binomial counts, and overdispersed ones (negative binomial, beta-binomial), of 10 events on average an
interval. The whole test is run as a rule runs it: estimate the factor, divide by it, test, temper. Each rate is compared with the
99.9999 % quantile of the binomial distribution at the level, so that a right test falls once in a million runs of this file.
"""

import numpy as np
import pytest
from scipy import stats

from canaryjudge.stats.dispersion import pooled_dispersion, temper
from canaryjudge.stats.proportions import difference_pvalues, risk_ratio_pvalues
from canaryjudge.stats.rates import rate_ratio_pvalues

SURE = 1 - 1e-6
MEAN = 10.0
TOTALS = {"poisson": 1.0, "rare": 10_000.0, "binomial": 50.0}


def draw(rng, kind, phi, rate, shape):
    """Counts of an arm whose variance is phi times the Poisson (binomial) one."""
    total = TOTALS[kind]
    if kind == "poisson":
        return rng.poisson(rate if phi == 1 else rng.gamma(rate / (phi - 1), phi - 1, shape), shape).astype(
            float
        )
    share = rate / total
    if phi > 1:
        size = (total - phi) / (phi - 1)
        share = rng.beta(share * size, (1 - share) * size, shape)
    return rng.binomial(int(total), share, shape).astype(float)


def tempered_pvalues(case, runs):
    """P-values of the test against the true ratio, for claims that it is larger and that it is smaller."""
    kind, phi, intervals, concurrent, ratio = case
    rng = np.random.default_rng(7)
    baseline = draw(rng, kind, phi, MEAN, (runs, intervals))
    canary = draw(rng, kind, phi, MEAN * ratio, (runs, intervals))
    totals = np.full(intervals, TOTALS[kind])
    family = "poisson" if kind == "poisson" else "binomial"
    found = pooled_dispersion(baseline, totals, canary, totals, concurrent=concurrent, family=family)
    test = risk_ratio_pvalues if kind == "binomial" else rate_ratio_pvalues
    exposure = totals.sum() / found.factor
    pvalues = test(canary.sum(-1) / found.factor, exposure, baseline.sum(-1) / found.factor, exposure, ratio)
    return temper(pvalues.greater, found.df), temper(pvalues.less, found.df)


# The wrong verdicts allowed, as multiples of the level, at .05, .01 and .001. More than the level only where overdispersion
# is real but not always significant, so that the factor stays 1 (factor 1.3; 2 in the far tail), or where the baseline's
# few largest bursts decide (5).
ALLOWED = {1.0: (1, 1, 1), 1.3: (1.1, 1.4, 2.5), 2.0: (1, 1, 2), 5.0: (1.1, 1.1, 1.5)}
LEVELS = (0.05, 0.01, 0.001)
EVERYTHING = [
    (kind, phi, intervals, concurrent, ratio)
    for kind in TOTALS
    for phi in ALLOWED
    for intervals in (30, 60)
    for concurrent in (False, True)
    for ratio in (1.0, 1.1)
]
SAMPLE = [
    ("poisson", 1.0, 30, True, 1.0),
    ("poisson", 2.0, 30, True, 1.1),
    ("poisson", 5.0, 60, False, 1.0),
    ("rare", 5.0, 30, True, 1.0),
    ("binomial", 1.0, 60, False, 1.1),
    ("binomial", 2.0, 30, False, 1.0),
    ("binomial", 5.0, 30, True, 1.0),
]


def check(case, runs):
    larger, smaller = tempered_pvalues(case, runs)
    for level, excess in zip(LEVELS, ALLOWED[case[1]], strict=True):
        wrong = max(np.sum(larger < level), np.sum(smaller < level))
        assert wrong <= stats.binom.ppf(SURE, runs, level * excess), (level, wrong / runs)


@pytest.mark.parametrize("case", SAMPLE, ids=str)
def test_sampled_wrong_verdicts_stay_within_the_level(case):
    check(case, 10_000)


@pytest.mark.slow
@pytest.mark.parametrize("case", EVERYTHING, ids=str)
def test_wrong_verdicts_stay_within_the_level(case):
    check(case, 20_000)


def test_without_the_factor_bursts_would_fail_healthy_canaries():
    rng = np.random.default_rng(8)
    baseline, canary = draw(rng, "poisson", 5.0, MEAN, (2, 4_000, 60)).sum(-1)
    assert np.mean(rate_ratio_pvalues(canary, 60, baseline, 60, 1).greater < 0.01) > 0.1


def test_bursts_shared_by_concurrent_arms_cost_no_power():
    rng = np.random.default_rng(9)
    weather = rng.gamma(0.5, 2.0, (2_000, 60))
    baseline, canary = rng.poisson(10 * weather), rng.poisson(12 * weather)
    totals = np.ones(60)

    def failed(concurrent):
        found = pooled_dispersion(baseline, totals, canary, totals, concurrent=concurrent, family="poisson")
        exposure = 60 / found.factor
        pvalue = rate_ratio_pvalues(
            canary.sum(-1) / found.factor, exposure, baseline.sum(-1) / found.factor, exposure, 1
        ).greater
        return np.mean(temper(pvalue, found.df) < 0.01)

    assert failed(concurrent=True) > 0.75
    assert failed(concurrent=False) < 0.25


@pytest.mark.parametrize(
    ("share_baseline", "share_canary", "n_baseline", "n_canary"),
    [(0.0, 0.0002, 5_000, 5_000), (0.001, 0.0012, 20_000, 2_000), (0.3, 0.3, 60, 60), (0.97, 0.99, 200, 50)],
)
def test_difference_bounds_err_no_more_than_their_level(share_baseline, share_canary, n_baseline, n_canary):
    rng, runs = np.random.default_rng(10), 4_000
    xb, xc = rng.binomial(n_baseline, share_baseline, runs), rng.binomial(n_canary, share_canary, runs)
    pvalues = difference_pvalues(xc, n_canary, xb, n_baseline, share_canary - share_baseline)
    for level in (0.05, 0.01):
        for wrong in (np.sum(pvalues.greater < level), np.sum(pvalues.less < level)):
            assert wrong <= stats.binom.ppf(SURE, runs, level)
