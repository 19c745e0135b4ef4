"""The mixture for two rates against slow sums from its definition, exact expectations, inversion and reference values.

The test of a multinomial's shares: savvi's values, and Polya's urn as a slow oracle.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from canaryjudge.stats.count_processes import (
    LOG_RATIOS,
    at_ratio,
    difference_bound,
    joint_pearson,
    likelihoods,
    log_bayes_factor,
    log_evidence,
    pearson,
    ratio_bound,
    ratio_estimate,
    sequential_pvalue,
    tilts,
)
from canaryjudge.stats.dispersion import overdispersion

FILE = Path(__file__).parents[3] / "shared" / "cases" / "sequential_reference.json"
GRID = LOG_RATIOS.tolist()
STRATA = [
    (19, 2, 1980.0, 20.0),
    (25, 1, 1980.0, 20.0),
    (18, 2, 1900.0, 100.0),
    (15, 9, 1500.0, 500.0),
    (12, 17, 1000.0, 1000.0),
]
RATIOS = [0.5, 0.9, 1.0, 1.1, 1.5, 3.0]


def logsum(terms):
    top = max(terms)
    return top + math.log(math.fsum(math.exp(term - top) for term in terms))


def split_likelihood(strata, g):
    """Log likelihood of the canary's share of the events, binomial given their number, against no change."""
    total = 0.0
    for x_b, x_c, n_b, n_c in strata:
        share, none = n_c * math.exp(g) / (n_b + n_c * math.exp(g)), n_c / (n_b + n_c)
        total += x_c * math.log(share / none) + x_b * math.log((1 - share) / (1 - none))
    return total


def weights(null, side, at=None, *, tilted=False):
    """The documented prior: half-normal, of harm about the null hypothesis, of harmlessness about no change, beyond the null; adding up to 1."""
    spacing = np.gradient(LOG_RATIOS).tolist()
    center, scale = (
        (null, 0.4) if side > 0 and not tilted else (0.0, 0.4 if side > 0 else max(abs(null) / 2, 0.1))
    )
    known = GRID[-1] + 1e-9 if not tilted else GRID[-1] - side * null + 1e-9
    beyond = [
        i for i, g in enumerate(GRID) if side * (g - (null if at is None else at)) > 1e-9 and side * g < known
    ]
    heavy = [
        1.0 if tilted and side < 0 else spacing[i] * math.exp(-0.5 * ((GRID[i] - center) / scale) ** 2)
        for i in beyond
    ]
    return {i: weight / math.fsum(heavy) for i, weight in zip(beyond, heavy, strict=True) if weight > 0}


def by_definition(strata, null, side, dispersion=1.0):
    base = split_likelihood(strata, null)
    return logsum(
        [
            math.log(weight) + (split_likelihood(strata, GRID[i]) - base) / dispersion
            for i, weight in weights(null, side).items()
        ]
    )


def by_definition_with_difference(strata, null, difference, side, dispersion=1.0):
    """Products of (1 + k_c)^x_c (1 - k_b)^x_b e^(-a n_c k_c), averaged over the grid relative to r."""
    r, terms = math.exp(null), []
    for i, weight in weights(null, side, 0.0, tilted=True).items():
        gain = 0.0
        for x_b, x_c, n_b, n_c in strata:
            share = r * n_c / (r * n_c + n_b)
            up = math.exp(GRID[i]) / (1 + share * math.expm1(GRID[i]))
            down = 1 / (1 + share * math.expm1(GRID[i]))
            assert math.isclose(r * n_c * (up - 1), n_b * (1 - down), rel_tol=1e-6, abs_tol=1e-9)
            gain += x_c * math.log(up) + x_b * math.log(down) - difference * n_c * (up - 1)
        terms.append(math.log(weight) + gain / dispersion)
    return logsum(terms)


def summed(strata):
    return likelihoods(*np.array(strata, dtype=float).T).sum(axis=0)


def tilted(strata, r=1.0):
    _, _, n_b, n_c = np.array(strata, dtype=float).T
    return tilts(n_b, n_c, r).sum(axis=0)


def test_likelihoods_are_those_of_the_split_of_the_events():
    expected = [split_likelihood(STRATA, g) for g in GRID]
    assert_allclose(summed(STRATA), expected, rtol=1e-11, atol=1e-11)
    x_b, x_c, n_b, n_c = 7, 4, 300.0, 100.0
    pmf = stats.binom(x_b + x_c, n_c * np.exp(LOG_RATIOS) / (n_b + n_c * np.exp(LOG_RATIOS))).logpmf(x_c)
    none = stats.binom(x_b + x_c, n_c / (n_b + n_c)).logpmf(x_c)
    assert_allclose(likelihoods(x_b, x_c, n_b, n_c), pmf - none, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("dispersion", [1.0, 2.5])
def test_evidence_is_the_mean_of_the_likelihood_ratios_by_the_prior(ratio, side, dispersion):
    found = log_evidence(summed(STRATA), math.log(ratio), side, dispersion=dispersion)
    assert_allclose(found, by_definition(STRATA, math.log(ratio), side, dispersion), atol=1e-5)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("ratio", "difference"), [(1.0, 0.002), (1.1, 0.001), (1 / 1.1, 0.1 / 1.1), (0.9, 0.0)]
)
@pytest.mark.parametrize("dispersion", [1.0, 2.5])
def test_evidence_of_a_difference_is_the_mean_of_tilted_products(ratio, difference, side, dispersion):
    null = math.log(ratio)
    found = log_evidence(
        summed(STRATA), null, side, tilt=tilted(STRATA, ratio), difference=difference, dispersion=dispersion
    )
    wanted = by_definition_with_difference(STRATA, null, difference, side, dispersion)
    assert_allclose(found, wanted, rtol=1e-6, atol=1e-4)


def outcomes(distributions):
    """All numbers of events that matter, with their probabilities."""
    axes = [np.arange(0, int(d.ppf(1 - 1e-13)) + 1) for d in distributions]
    mesh = np.meshgrid(*axes, indexing="ij")
    chances = np.ones(mesh[0].shape)
    for d, x in zip(distributions, mesh, strict=True):
        chances = chances * d.pmf(x)
    return [x.ravel().astype(float) for x in mesh], chances.ravel()


def expected_evidence(strata, ratio, difference, side):
    """Mean of the e-value over all outcomes; a stratum is (distribution of the baseline's, of the canary's, n_b, n_c)."""
    counts, chances = outcomes([d for b, c, _, _ in strata for d in (b, c)])
    assert chances.sum() == pytest.approx(1.0, abs=1e-9)
    sums, tilt = 0.0, 0.0
    for i, (_, _, n_b, n_c) in enumerate(strata):
        sums = sums + likelihoods(counts[2 * i], counts[2 * i + 1], n_b, n_c)
        tilt = tilt + tilts(n_b, n_c, ratio)
    given = {"tilt": tilt, "difference": difference} if difference else {}
    return float(chances @ np.exp(log_evidence(sums, math.log(ratio), side, **given)))


NULLS = [(1.0, 0.0), (1.1, 0.0), (1.5, 0.0), (1 / 1.2, 0.0), (1.0, 0.05), (1.3, 0.02), (1 / 1.1, 0.1 / 1.1)]


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("ratio", "difference"), NULLS)
@pytest.mark.parametrize(
    ("n_b", "n_c", "level"), [(10, 10, 0.2), (40, 5, 0.1), (5, 20, 0.4), (30, 30, 0.001)]
)
def test_poisson_counts_on_the_border_have_an_expectation_of_at_most_one(
    n_b, n_c, level, ratio, difference, side
):
    rate = ratio * level + difference
    found = expected_evidence(
        [(stats.poisson(n_b * level), stats.poisson(n_c * rate), n_b, n_c)], ratio, difference, side
    )
    assert found <= 1 + 1e-6
    if not difference:  # on the border the ratio's evidence is a martingale
        assert found == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("ratio", "difference"), NULLS)
@pytest.mark.parametrize(
    ("n_b", "n_c", "level"), [(10, 10, 0.05), (12, 6, 0.5), (6, 12, 0.6), (20, 20, 0.66), (15, 5, 0.02)]
)
def test_shares_on_the_border_have_an_expectation_of_at_most_one_however_large(
    n_b, n_c, level, ratio, difference, side
):
    rate = ratio * level + difference
    if rate > 1:
        level, rate = (1 - difference) / ratio, 1.0
    found = expected_evidence(
        [(stats.binom(n_b, level), stats.binom(n_c, rate), n_b, n_c)], ratio, difference, side
    )
    assert found <= 1 + 1e-6


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("ratio", "difference"), [(1.0, 0.0), (1.2, 0.0), (1.0, 0.04), (1 / 1.1, 0.1 / 1.1)])
@pytest.mark.parametrize("family", [stats.poisson, stats.binom])
def test_strata_of_different_split_and_level_multiply_to_an_expectation_of_at_most_one(
    family, ratio, difference, side
):
    strata = []
    for n_b, n_c, level in ((12, 2, 0.1), (4, 9, 0.3)):
        rate = ratio * level + difference
        arms = [
            family(n * p) if family is stats.poisson else family(n, p) for n, p in ((n_b, level), (n_c, rate))
        ]
        strata.append((*arms, n_b, n_c))
    assert expected_evidence(strata, ratio, difference, side) <= 1 + 1e-6


@pytest.mark.parametrize("side", [1, -1])
def test_inside_the_null_hypothesis_the_expectation_is_smaller_still(side):
    found = [
        expected_evidence([(stats.poisson(3.0), stats.poisson(3.0 * 1.2 * times), 30, 30)], 1.2, 0.0, side)
        for times in (1.0, 0.9**side, 0.7**side)
    ]
    assert found[0] > found[1] > found[2]


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("level", [0.01, 0.05])
@pytest.mark.parametrize(
    "counts", [(100, 200, 1e4, 1e4), (50, 10, 1e4, 2e3), (2000, 2100, 1e5, 1e5), (3, 40, 100, 100)]
)
def test_at_the_bound_of_the_ratio_the_evidence_is_just_enough(counts, level, side):
    sums = likelihoods(*counts)
    bound = ratio_bound(sums, side, level, dispersion=1.5)
    estimate = float(ratio_estimate(sums))
    assert side * (estimate - bound) > 0
    if math.isinf(bound):
        return
    # the same prior as the inverted test: that of the null hypothesis 0, cut off at the bound
    held = [
        math.log(weight) + float(value)
        for weight, value in (
            (w, (sums[i] - at_ratio(sums, bound)) / 1.5) for i, w in _cut_prior(side, bound).items()
        )
    ]
    assert logsum(held) == pytest.approx(-math.log(level), abs=0.1)
    closer = ratio_bound(sums, side, min(10 * level, 0.5), dispersion=1.5)
    assert side * (closer - bound) > 0


def _cut_prior(side, at):
    spacing = np.gradient(LOG_RATIOS).tolist()
    scale = 0.4 if side > 0 else 0.1
    heavy = {
        i: spacing[i] * math.exp(-0.5 * (g / scale) ** 2)
        for i, g in enumerate(GRID)
        if side * (g - at) > 1e-9
    }
    total = math.fsum(heavy.values())
    return {i: weight / total for i, weight in heavy.items() if weight > 0}


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("level", [0.01, 0.05])
@pytest.mark.parametrize(
    "strata", [STRATA, [(100, 200, 1e4, 1e4)], [(0, 0, 1e4, 1e4)], [(30, 5, 100.0, 100.0)]]
)
def test_at_the_bound_of_the_difference_the_evidence_is_just_enough(strata, level, side):
    sums, tilt = summed(strata), tilted(strata)
    bound = difference_bound(sums, tilt, side, level, dispersion=2.0)
    if math.isinf(bound):
        assert bound == -side * math.inf
        return
    found = log_evidence(sums, 0.0, side, tilt=tilt, difference=bound, dispersion=2.0)
    assert found == pytest.approx(-math.log(level), abs=1e-6)
    closer = difference_bound(sums, tilt, side, 5 * level, dispersion=2.0)
    assert side * (closer - bound) > 0


def test_without_events_the_difference_is_bounded_above_only():
    sums, tilt = summed([(0, 0, 25_000.0, 25_000.0)]), tilted([(0, 0, 25_000.0, 25_000.0)])
    assert difference_bound(sums, tilt, 1, 0.05) <= 0
    assert 0 < difference_bound(sums, tilt, -1, 0.05) < 2e-3
    more = [(0, 0, 250_000.0, 250_000.0)]
    assert difference_bound(summed(more), tilted(more), -1, 0.05) == pytest.approx(
        difference_bound(sums, tilt, -1, 0.05) / 10, rel=1e-3
    )


@pytest.mark.parametrize("side", [1, -1])
def test_without_evidence_there_is_no_bound_of_the_ratio(side):
    assert ratio_bound(np.zeros(len(GRID)), side, 0.05) == -side * math.inf


@pytest.mark.parametrize("side", [1, -1])
def test_evidence_falls_with_what_is_tolerated(side):
    sums, tilt = summed(STRATA), tilted(STRATA)
    differences = np.linspace(-0.05, 0.05, 41)
    found = log_evidence(sums, 0.0, side, tilt=tilt, difference=differences)
    assert (side * np.diff(found) < 0).all()
    events = [log_evidence(likelihoods(50, x, 1e4, 1e4), math.log(1.2), side) for x in range(60, 140, 5)]
    assert (side * np.diff(events) > 0).all()


def test_a_batch_is_its_rows():
    rng = np.random.default_rng(1)
    x = rng.poisson(20.0, (6, 2)).astype(float)
    sums, factors = likelihoods(x[:, 0], x[:, 1], 1e3, 2e3), np.linspace(1, 3, 6)
    found = log_evidence(sums, 0.1, 1, dispersion=factors)
    for i in range(6):
        alone = log_evidence(likelihoods(*x[i], 1e3, 2e3), 0.1, 1, dispersion=factors[i])
        assert_allclose(found[i], alone, rtol=1e-12)


def test_interpolation_is_as_good_as_the_grid():
    sums, at = summed(STRATA), np.linspace(-2.9, 2.9, 117)
    assert_allclose(at_ratio(sums, at), [split_likelihood(STRATA, g) for g in at.tolist()], atol=1e-5)
    assert_allclose([at_ratio(sums, g) for g in at.tolist()], at_ratio(sums, at), rtol=1e-12)
    assert at_ratio(sums, 9.0) == pytest.approx(sums[-1])


@pytest.mark.parametrize(
    ("counts", "ratio"),
    [((100, 200, 1e4, 1e4), 2.0), ((95, 5, 95e3, 5e3), 1.0), ((300, 40, 1e3, 100), 4 / 3)],
)
def test_the_estimate_is_the_ratio_of_the_rates(counts, ratio):
    assert float(np.exp(ratio_estimate(likelihoods(*counts)))) == pytest.approx(ratio, rel=2e-3)


def test_arms_without_events_have_no_finite_ratio():
    assert float(ratio_estimate(likelihoods(0, 3, 10.0, 10.0))) == math.inf
    assert float(ratio_estimate(likelihoods(3, 0, 10.0, 10.0))) == -math.inf
    assert math.isnan(float(ratio_estimate(likelihoods(0, 0, 10.0, 10.0))))


def test_residuals_are_those_of_the_split():
    x_b, x_c, n_b, n_c = 12, 20, 300.0, 200.0
    for g, found in zip(GRID[::4], pearson(x_b, x_c, n_b, n_c).tolist(), strict=True):
        share = n_c * math.exp(g) / (n_b + n_c * math.exp(g))
        assert found == pytest.approx((x_c - 32 * share) ** 2 / (32 * share * (1 - share)), rel=1e-9)
    assert (pearson(0, 0, n_b, n_c) == 0).all()


def test_dispersion_of_independent_counts_is_one_and_of_bursts_more():
    rng = np.random.default_rng(8)
    for phi, low, high in ((1.0, 1.0, 1.25), (4.0, 3.0, 6.0)):
        counts = rng.poisson(50, (2, 200)) if phi == 1 else rng.gamma(50 / phi, phi, (2, 200))
        squares = at_ratio(
            pearson(*counts, 1.0, 1.0).sum(axis=0), ratio_estimate(likelihoods(*counts, 1.0, 1.0).sum(axis=0))
        )
        assert low <= float(overdispersion(squares, 200)) <= high


def test_a_stated_dispersion_stands_alone_for_ten_intervals_and_then_as_sixty():
    assert overdispersion(500.0, 9, 1.5) == 1.5
    assert overdispersion(0.0, 9, None) == 4.0
    own = 60 * (1 + 0.5 * math.sqrt(2 / 30))
    assert overdispersion(60.0, 31, 2.0) == pytest.approx((own + 120) / (60 + 30))


@pytest.mark.skipif(not FILE.is_file(), reason="the reference values are not beside this checkout")
@pytest.mark.parametrize("name", ["fp-014", "fp-016"])
def test_reference_values_of_the_stratified_mixture(name):
    """On that entry's own grid and prior, with our likelihoods between our grid points."""
    (entry,) = [e for e in json.loads(FILE.read_text(encoding="utf-8"))["values"] if e["id"] == name]
    grid = np.linspace(-math.log(20), math.log(20), 241)
    if entry["params"]["alternative"] == "greater":
        grid = grid[grid > 1e-9]
    prior = np.exp(-(grid**2) / (2 * 0.7**2))
    prior /= prior.sum()
    sums = summed(entry["input"]["strata"])
    found = np.log(prior @ np.exp(at_ratio(sums, grid) - at_ratio(sums, 0.0)))
    assert_allclose(found, entry["expected"]["log_e"], rtol=1e-5)


small_counts = st.lists(st.integers(0, 60), min_size=2, max_size=5)
concentrations = st.floats(0.5, 300)


def urn(counts, shares, concentration):
    """The log Bayes factor one observation at a time: each is predicted by the prior and what came before it."""
    pseudo, total = concentration * np.asarray(shares, dtype=float), 0.0
    for category, count in enumerate(counts):
        for _ in range(count):
            total += math.log(pseudo[category] / pseudo.sum() / shares[category])
            pseudo[category] += 1
    return total


@given(counts=small_counts, concentration=concentrations, data=st.data())
def test_the_bayes_factor_is_that_of_polyas_urn(counts, concentration, data):
    shares = np.array(data.draw(st.lists(st.integers(1, 50), min_size=len(counts), max_size=len(counts))))
    shares = shares / shares.sum()
    found = log_bayes_factor(counts, shares, concentration)
    assert_allclose(found, urn(counts, shares, concentration), rtol=1e-9, atol=1e-9)


def test_pvalues_of_savvi():
    found = sequential_pvalue([[20, 30], [60, 90], [160, 250]], [0.5, 0.5])
    assert_allclose(found, [0.876120251, 0.258729653, 7.6005075e-4], rtol=2e-8)
    first = log_bayes_factor([90, 10], [0.9, 0.1])
    assert math.exp(-first) == pytest.approx(1.4201807175758903, rel=1e-9)
    assert sequential_pvalue([90, 10], [0.9, 0.1]) == 1


def test_log_evidence_of_sequential_analysis():
    """SampleRatioMismatch of sequential-analysis 0.4.0, concentration 100."""
    found = log_bayes_factor([[229, 271], [466, 534], [951, 1049]], [0.5, 0.5])
    assert_allclose(found, [0.5756985904980534, 0.9038541555009156, 0.7639456589607255], rtol=1e-9)


@given(n=st.integers(0, 30), share=st.floats(0.05, 0.95), concentration=concentrations)
def test_the_expected_evidence_is_one(n, share, concentration):
    counts = np.arange(n + 1)
    both, shares = np.stack([counts, n - counts], axis=-1), [share, 1 - share]
    expected = stats.binom.pmf(counts, n, share) @ np.exp(log_bayes_factor(both, shares, concentration))
    assert expected == pytest.approx(1, rel=1e-8)


def test_a_batch_gives_what_single_counts_give():
    counts = np.random.default_rng(4).integers(0, 900, (3, 2, 4))
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    found = log_bayes_factor(counts, shares)
    assert found.shape == (3, 2)
    assert found[2, 0] == log_bayes_factor(counts[2, 0], shares)


def test_billions_of_counts_keep_their_digits():
    half = 5 * 10**8
    found = log_bayes_factor([half, half], [0.5, 0.5])
    # the normal mixture with the same prior: a share's variance is 1 / (4 (k + 1))
    assert found == pytest.approx(math.log(100 / (2 * half + 100)) / 2, abs=5e-3)


WRONG = [
    (lambda: log_bayes_factor([1, 2, 3], [0.5, 0.5]), r"shape \(3,\) and shares of shape \(2,\)"),
    (lambda: log_bayes_factor(3, [0.5, 0.5]), r"counts of shape \(\)"),
    (lambda: log_bayes_factor([3], [1.0]), "do not fit each other"),
    (lambda: log_bayes_factor([3, -1], [0.5, 0.5]), "counts must be at least 0"),
    (lambda: log_bayes_factor([3, np.nan], [0.5, 0.5]), "counts must be at least 0"),
    (lambda: sequential_pvalue([3, 1], [0.5, 0.6]), "add up to 1"),
    (lambda: sequential_pvalue([3, 1], [1.0, 0.0]), "must be positive"),
    (lambda: sequential_pvalue([3, 1], [0.5, 0.5], 0), "concentration must be positive and finite, but is 0"),
]


@pytest.mark.parametrize(("call", "sentence"), WRONG)
def test_impossible_arguments_are_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(50, 900), st.integers(50, 900)),
        min_size=1,
        max_size=6,
    )
)
def test_strata_together_have_the_residual_of_their_sum(strata):
    x_b, x_c, n_b, n_c = np.array(strata, dtype=float).T
    found = joint_pearson(x_b, x_c, n_b, n_c)
    for place, log_ratio in enumerate(LOG_RATIOS[::4]):
        share = n_c * np.exp(log_ratio) / (n_b + n_c * np.exp(log_ratio))
        events = x_b + x_c
        variance = (events * share * (1 - share)).sum()
        residual = (x_c - events * share).sum()
        assert_allclose(found[place], residual**2 / variance if variance else 0.0, rtol=1e-9)
    if len(strata) == 1:
        assert_allclose(found, pearson(x_b[0], x_c[0], n_b[0], n_c[0]), rtol=1e-9)
