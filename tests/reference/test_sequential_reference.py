"""Values of other implementations (confseq, savvi, ville, gbstats, gsDesign's port and more), where they stand beside the checkout.

`CHECKERS` says what is compared for each method of the file, `NOT_HERE` why nothing is for the others: a new checker is a function
of an entry and a line of the table.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import special
from simulation import best_rho

from canaryjudge.stats.confidence_sequences import count_bounds, normal_log_mixture, quantile_interval
from canaryjudge.stats.count_processes import log_bayes_factor, sequential_pvalue
from canaryjudge.stats.group_sequential import boundaries, operation

FILE = Path(__file__).parents[3] / "shared" / "cases" / "sequential_reference.json"
ENTRIES = json.loads(FILE.read_text(encoding="utf-8"))["values"] if FILE.is_file() else []

pytestmark = pytest.mark.skipif(
    not ENTRIES,
    reason="the reference values ../shared/cases/sequential_reference.json are not beside this checkout",
)

CLOSED_FORM, RECURSION, CONVEX_SOLVER, TABLE, GRID = 1e-8, 1e-6, 1e-4, 5e-4, 1e-3


def rho_of(params):
    """The rho of confseq."""
    return best_rho(params["v_opt"], params["alpha_opt"], one_sided=params.get("is_one_sided", False))


def lowest_rho(v_opt, alpha):
    """The rho of ville: that of the lowest boundary at v_opt, which x - ln x = 1 + 2 ln(1 / alpha) gives."""
    return v_opt / (-special.lambertw(-(alpha**2) / np.e, -1).real - 1)


def on_the_boundary(s, v, level, rho, *, one_sided=False, precision=CLOSED_FORM):
    """A boundary is where the mixture is 1 / level."""
    found = normal_log_mixture(s, v, rho, one_sided=one_sided)
    assert_allclose(found, np.full(np.shape(found), -np.log(level)), rtol=2 * precision)


def normal_bound(entry):
    params = entry["params"]
    on_the_boundary(
        entry["expected"],
        entry["input"]["v"],
        params["alpha"],
        rho_of(params),
        one_sided=params["is_one_sided"],
    )


def sub_bernoulli_bound(entry):
    """A sum of so many observations from -g to h is a count in other units."""
    params, v = entry["params"], np.array(entry["input"]["v"])
    g, h = params["g"], params["h"]
    n, p = v / (g * h), g / (g + h)
    found = count_bounds(n, p, params["alpha"], rho_of(params) / (g * h), one_sided=params["is_one_sided"])
    assert_allclose((found.high - n * p) * (g + h), entry["expected"], rtol=CLOSED_FORM)


def normal_mixture(entry):
    params, (s, v) = entry["params"], np.transpose(entry["input"]["s_v"])
    found = normal_log_mixture(s, v, rho_of(params), one_sided=params["is_one_sided"])
    assert_allclose(found, entry["expected"], rtol=CLOSED_FORM)


def multinomial(entry):
    params, counts = entry["params"], np.cumsum(entry["input"]["batches"], axis=0)
    expected = entry["expected"]
    found = np.exp(-log_bayes_factor(counts, params["theta_0"], params["k"]))
    assert_allclose(found, expected["p_value_instant"], rtol=CLOSED_FORM)
    pvalues = sequential_pvalue(counts, params["theta_0"], params["k"])
    assert_allclose(np.minimum.accumulate(pvalues), expected["p_value_running_min"], rtol=CLOSED_FORM)


def labels_of_events(precision):
    """Given that an event happens, its arm has the split's probabilities, whatever the rate."""

    def check(entry):
        params, counts = entry["params"], np.cumsum(entry["input"]["batches"], axis=0)
        pvalues = np.minimum.accumulate(sequential_pvalue(counts, params["rho"], params["k"]))
        assert_allclose(pvalues, entry["expected"]["p_value"], rtol=precision)

    return check


def sample_ratio(entry):
    params, counts = entry["params"], entry["input"]["arm_counts_cumulative"]
    found = log_bayes_factor(counts, params["weights"], params["concentration"])
    assert_allclose(found, [look["log_e_value"] for look in entry["expected"]], rtol=CLOSED_FORM)


def spending(how):
    def check(entry):
        found = boundaries(entry["input"]["information_fractions"], entry["params"]["alpha_one_sided"], how)
        assert_allclose(found.z, entry["expected"]["z"], rtol=RECURSION)
        assert_allclose(found.spent, entry["expected"]["cumulative_alpha"], rtol=CLOSED_FORM)

    return check


def power(entry):
    params, expected = entry["params"], entry["expected"]
    looks = np.arange(1, params["K"] + 1) / params["K"]
    found = operation(boundaries(looks, params["alpha_one_sided"]), entry["input"]["drift"])
    assert_allclose(found.power, expected["power"], rtol=RECURSION)
    assert_allclose(found.expected_fraction, expected["expected_fraction"], rtol=RECURSION)


def difference_of_means(entry):
    params, expected = entry["params"], entry["expected"]
    n = entry["input"]["a"]["n"] + entry["input"]["b"]["n"]
    rho, deviation = 1 / params["rho"] ** 2, np.sqrt(expected["variance_of_estimate"] * n)
    sums = (np.array(expected["ci"]) - expected["point"]) * n / deviation
    on_the_boundary(sums, n, params["alpha"], rho)
    log_e = normal_log_mixture(expected["point"] * n / deviation, n, rho)
    assert_allclose(np.exp(np.minimum(-log_e, 0)), expected["p_value"], rtol=CLOSED_FORM)


def known_variance(entry):
    params, x = entry["params"], np.array(entry["input"]["x"])
    log_e = normal_log_mixture(x.cumsum(), np.arange(1, x.size + 1), 1 / params["tau"] ** 2)
    looks = params["index_0based"]
    assert_allclose(np.exp(log_e)[looks], entry["expected"]["e"], rtol=CLOSED_FORM)
    pvalues = np.minimum.accumulate(np.exp(np.minimum(-log_e, 0)))
    assert_allclose(pvalues[looks], entry["expected"]["p"], rtol=CLOSED_FORM)


def gaussian_sequence(entry):
    params, x = entry["params"], np.array(entry["input"]["x"])
    for look, expected in zip(params["index_0based"], entry["expected"], strict=True):
        n, mean = look + 1, x[: look + 1].mean()
        rho = lowest_rho(params["t_opt"], params["alpha"])
        # ville finds its rho by a search, to seven digits
        on_the_boundary((np.array(expected) - mean) * n, n, params["alpha"], rho, precision=1e-5)


def asymptotic_sequence(entry):
    params, x = entry["params"], np.array(entry["input"]["x"])
    for look, expected in zip(params["index_0based"], entry["expected"], strict=True):
        seen = x[: look + 1]
        sums = (np.array(expected) - seen.mean()) * seen.size / seen.std(ddof=1)
        on_the_boundary(sums, seen.size, params["alpha"], float(params["rho"]))


def asymptotic_formula(entry):
    params, n = entry["params"], np.array(entry["input"]["t"])
    on_the_boundary(np.array(entry["expected"]) * n, n, params["alpha"], 1 / params["rho2"])


def quantile_by_order_statistics(entry):
    """The intersection of all intervals so far; each side has half the level."""
    params, x = entry["params"], np.array(entry["input"]["x"])
    level = params["alpha"] / 2
    rho = best_rho(params["tuned_for"], level)
    bounds = [quantile_interval(x[:n], params["p"], level, rho, one_sided=True) for n in range(1, x.size + 1)]
    low = np.maximum.accumulate([float(interval.low) for interval in bounds])
    high = np.minimum.accumulate([float(interval.high) for interval in bounds])
    for look, expected in zip(params["index_0based"], entry["expected"], strict=True):
        assert [low[look], high[look]] == [expected["lower"], expected["upper"] or np.inf]


CHECKERS = {
    "normal_mixture_bound": normal_bound,
    "normal_log_mixture": normal_mixture,
    "beta_binomial_mixture_bound": sub_bernoulli_bound,
    "Multinomial sequential test / SRM (Lindon & Malek, Dirichlet mixture)": multinomial,
    "InhomogeneousPoissonProcess (canary counts; Lindon & Malek)": labels_of_events(CLOSED_FORM),
    "InhomogeneousBernoulliProcess (Lindon & Malek)": labels_of_events(CONVEX_SOLVER),
    "SampleRatioMismatch": sample_ratio,
    "alpha-spending boundary, one-sided: Lan-DeMets O'Brien-Fleming-like": spending("obrien_fleming"),
    "alpha-spending boundary, one-sided: Lan-DeMets Pocock-like": spending("pocock"),
    "group sequential power & expected information fraction": power,
    "gbstats SequentialTwoSidedTTest (asymptotic confidence sequence) mean": difference_of_means,
    "gbstats SequentialTwoSidedTTest (asymptotic confidence sequence) mean_latency": difference_of_means,
    "gbstats SequentialTwoSidedTTest (asymptotic confidence sequence) proportion": difference_of_means,
    "gbstats SequentialTwoSidedTTest (asymptotic confidence sequence) proportion_small": difference_of_means,
    "mSPRT (Johari et al.) one-sample normal known sigma": known_variance,
    "GaussianMixtureCS two-sided (Robbins normal mixture)": gaussian_sequence,
    "AsymptoticCS (Waudby-Smith et al. 2024, two-sided)": asymptotic_sequence,
    "asymptotic CS radius / sigma_hat (WS24): sqrt(2(t rho^2+1)/(t^2 rho^2) ln(sqrt(t rho^2+1)/alpha))": asymptotic_formula,
    "QuantileConfidenceSequence (beta-binomial)": quantile_by_order_statistics,
}

OTHER_BOUNDARY = "a boundary for other noise, which no metric has"
FIXED = "a test without looks: see the tests of rates and proportions"
RATES = "the library's own mixture has another grid and prior: see the tests of rates"
OTHER_SPENDING = "no policy asks for this way to spend"
NOT_ASKED = "no rule asks for it"
NOT_HERE = {
    "beta_binomial_log_mixture": NOT_ASKED,
    "bernoulli_confidence_interval": NOT_ASKED,
    "quantile_ab_p_value (Howard-Ramdas two-sample quantile test)": NOT_ASKED,
    "empirical_process_lil_bound (DKW-type time-uniform band radius)": NOT_ASKED,
    "Howard-Ramdas closed-form time-uniform DKW radius 0.85*sqrt((ln ln(e n)+0.8 ln(1612/alpha))/n)": NOT_ASKED,
    "conjmix_hoeffding_twosided_cs": NOT_ASKED,
    "group sequential constant (Pocock C_P(K,alpha)), two-sided": OTHER_SPENDING,
    "group sequential constant (OBrien-Fleming C_B(K,alpha)), two-sided": OTHER_SPENDING,
    "alpha-spending boundary, one-sided: Hwang-Shih-DeCani gamma=-4": OTHER_SPENDING,
    "alpha-spending boundary, one-sided: Hwang-Shih-DeCani gamma=1": OTHER_SPENDING,
    "alpha-spending boundary, one-sided: Kim-DeMets power rho=2": OTHER_SPENDING,
    "alpha-spending boundary, one-sided: Kim-DeMets power rho=3": OTHER_SPENDING,
    "rho^2 tuned for t* (eq in WS24): (-2 ln a + ln(-2 ln a +1))/t*": NOT_ASKED,
    "QuantileCS (Howard & Ramdas, Hoeffding v=1/4 one-sided normal mixtures)": NOT_ASKED,
    "gamma_poisson_mixture_bound": OTHER_BOUNDARY,
    "gamma_poisson_log_mixture": OTHER_BOUNDARY,
    "gamma_exponential_mixture_bound": OTHER_BOUNDARY,
    "gamma_exponential_log_mixture": OTHER_BOUNDARY,
    "poly_stitching_bound": "needs no best variance, and is higher than a mixture wherever that is known",
    "double_stitching_bound (all quantiles simultaneously; divide by t for a band)": NOT_ASKED,
    "predmix_empbern_twosided_cs": "bets that follow the data do not add over shards",
    "predmix_hoeffding_cs": "bets that follow the data do not add over shards",
    "betting_mart (hedged capital process at mean m)": "bets that follow the data do not add over shards",
    "conjmix_bernoulli_cs": "a grid of shares, with a prior whose weight depends on the share",
    "beta-binomial e-process H0: p=p0, Beta(1,1)": "the prior's mean is not the null hypothesis",
    "p_to_e calibrator (integrated kappa: (1-p+p ln p)/(p ln^2 p))": "e-values are computed as such",
    "e-merge arithmetic mean": "an average needs no function",
    "e-BH rejections (input log e)": "a verdict bounds the family-wise error",
    "Poisson MaxSPRT critical value (upper limit T expected events, alpha=.05)": "it needs the expected count, and cannot pass",
    "two-proportion e-process (GROW blocks)": "it needs blocks of one size",
    "conditional-binomial beta-mixture e-process for a rate ratio (H0: ratio=r0; truncated versions: H0 ratio<=r0 'greater', ratio>=r0 'less')": RATES,
    "stratified (time-varying split) Poisson-ratio grid-mixture e-process": RATES,
    "stratum e-factor, conditional hypergeometric (sequential CMH): omega^x / E_hyper[omega^X]": "see the tests of stratified tables",
    "autocorrelated pair: peers' p-values": FIXED,
    "fixed-n Poisson rate ratio test (statsmodels)": FIXED,
    "fixed-n two-proportion ratio score test": FIXED,
    "fixed-n Poisson non-inferiority (ratio<1.5), score": FIXED,
}


@pytest.mark.parametrize("entry", [pytest.param(e, id=e["id"]) for e in ENTRIES if e["method"] in CHECKERS])
def test_the_value_is_that_of_the_other_implementation(entry):
    CHECKERS[entry["method"]](entry)


def test_every_method_is_compared_or_has_a_reason_not_to_be():
    methods = {entry["method"] for entry in ENTRIES}
    assert not CHECKERS.keys() & NOT_HERE.keys()
    assert methods == CHECKERS.keys() | NOT_HERE.keys()
