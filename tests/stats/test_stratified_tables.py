"""Sequential inference on stratified tables: exact sums, values of SciPy, expectations by enumeration, and symmetries."""

from decimal import Decimal, localcontext
from fractions import Fraction
from math import comb, inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from canaryjudge.stats.stratified_tables import LOG_ODDS, _between, log_evidence, log_factors

GRID = np.array([-2.5, -1.3, -0.5, -0.01, 0.0, 0.1, 0.7, 1.8, 2.5])


def by_decimals(baseline, canary, exceeding, x, g):
    """The definition with 40 digits: each term from its neighbor, by the ratio of integers, from the central mode outward."""
    low, high = max(0, exceeding - baseline), min(canary, exceeding)
    mode = min(max((exceeding + 1) * (canary + 1) // (baseline + canary + 2), low), high)
    with localcontext() as context:
        context.prec = 40
        odds, tiny = Decimal(g).exp(), Decimal(10) ** -35
        central = tilted = Decimal(1)
        for toward in (range(mode, high), range(mode, low, -1)):
            one = other = Decimal(1)
            for k in toward:
                if toward.step > 0:
                    ratio = Decimal((canary - k) * (exceeding - k)) / (
                        (k + 1) * (baseline - exceeding + k + 1)
                    )
                    change = odds
                else:
                    ratio = Decimal(k * (baseline - exceeding + k)) / ((canary - k + 1) * (exceeding - k + 1))
                    change = 1 / odds
                one, other = one * ratio, other * ratio * change
                central, tilted = central + one, tilted + other
                if one < tiny * central and other < tiny * tilted and ratio * change < 1:
                    break
        return float(Decimal(g) * (x - mode) - (tilted / central).ln())


def distribution(baseline, canary, exceeding):
    """All possible x with their exact probabilities under equal odds."""
    low, high = max(0, exceeding - baseline), min(canary, exceeding)
    ways = [comb(canary, x) * comb(baseline, exceeding - x) for x in range(low, high + 1)]
    return np.arange(low, high + 1), np.array([float(Fraction(way, sum(ways))) for way in ways])


def tilted(probability, x, g):
    weights = probability * np.exp(g * (x - x.mean()))
    return weights / weights.sum()


@st.composite
def tables(draw, largest=40):
    baseline, canary = draw(st.integers(0, largest)), draw(st.integers(0, largest))
    exceeding = draw(st.integers(0, baseline + canary))
    return (
        baseline,
        canary,
        exceeding,
        draw(st.integers(max(0, exceeding - baseline), min(canary, exceeding))),
    )


# shared/cases/sequential_reference.json, fp-017 and fp-019 (scipy 1.17.1, hypergeom and nchypergeom_fisher)
@pytest.mark.parametrize(
    ("table", "odds", "expected"),
    [((50, 50, 10, 7), 2.0, 0.8483565759511418), ((950, 50, 30, 4), 0.5, -2.0075657544129584)],
)
def test_reference_values(table, odds, expected):
    assert_allclose(log_factors(*table, [log(odds)]), [expected], rtol=1e-12)


@pytest.mark.parametrize("table", [(50, 50, 10, 7), (950, 50, 30, 4), (20, 30, 45, 28), (300, 200, 250, 90)])
@pytest.mark.parametrize("g", [-1.5, 0.4, 2.0])
def test_factors_are_likelihood_ratios_of_scipy(table, g):
    baseline, canary, exceeding, x = table
    shape = (baseline + canary, exceeding, canary)
    expected = stats.nchypergeom_fisher(*shape, np.exp(g)).logpmf(x) - stats.hypergeom(*shape).logpmf(x)
    assert_allclose(log_factors(*table, [g]), [expected], rtol=1e-9)


@given(tables())
def test_small_tables_are_summed_exactly(table):
    expected = [by_decimals(*table, g) for g in GRID]
    assert_allclose(log_factors(*table, GRID), expected, rtol=1e-12, atol=1e-13)


# every way of summing, and both sides of each border between them: 128 values, modes near an end, cells of about 55
LARGE = [
    (128, 128, 127, 60),
    (128, 128, 128, 60),
    (10**6, 10**6, 127, 60),
    (10**6, 10**6, 128, 70),
    (10**6, 10**6, 220, 110),
    (10**6, 10**6, 260, 120),
    (10**6, 10**6, 640, 300),
    (950_000, 50_000, 200, 0),
    (950_000, 50_000, 200, 11),
    (950_000, 50_000, 1_200, 85),
    (950_000, 50_000, 50_000, 2_600),
    (950_000, 50_000, 500_000, 24_000),
    (950_000, 50_000, 999_700, 49_990),
    (200, 10**6, 5_000, 4_999),
    (3_000, 150, 2_999, 140),
    (11_560, 461, 5_074, 200),
    (10**6, 10**6, 10**6, 500_400),
    (10**6, 10**6, 1_999_000, 999_500),
    (655, 70_463, 70_939, 70_284),
]


@pytest.mark.parametrize("table", LARGE, ids=str)
def test_large_tables_are_exact_to_the_last_digits(table):
    expected = np.array([by_decimals(*table, g) for g in GRID])
    assert_allclose(log_factors(*table, GRID), expected, rtol=2e-15, atol=4e-12)


@given(
    st.floats(0, 4.5),
    st.floats(0, 4.5),
    st.floats(0, 1),
    st.floats(0, 1),
    st.booleans(),
    st.sampled_from(GRID),
)
def test_tables_of_any_size_are_exact(baseline, canary, share, where, over, g):
    baseline, canary = int(10**baseline), int(10**canary)
    exceeding = int((baseline + canary) ** share)
    exceeding = baseline + canary - exceeding if over else exceeding
    low, high = max(0, exceeding - baseline), min(canary, exceeding)
    table = (baseline, canary, exceeding, low + int(where * (high - low)))
    expected = by_decimals(*table, g)
    assert_allclose(log_factors(*table, [g])[0], expected, rtol=2e-15, atol=4e-12)


@given(st.integers(0, 10**6), st.integers(0, 1), st.data())
def test_one_canary_observation_has_a_closed_form(baseline, x, data):
    exceeding = data.draw(st.integers(x, baseline + x))
    expected = LOG_ODDS * x - np.log1p(np.expm1(LOG_ODDS) * exceeding / (baseline + 1))
    assert_allclose(log_factors(baseline, 1, exceeding, x), expected, rtol=1e-12, atol=1e-14)
    swapped = -LOG_ODDS * x - np.log1p(np.expm1(-LOG_ODDS) * exceeding / (baseline + 1))
    assert_allclose(log_factors(1, baseline, exceeding, exceeding - x), swapped, rtol=1e-12, atol=1e-14)


@given(tables(largest=150))
def test_a_factor_has_the_expectation_1_under_equal_odds(table):
    x, probability = distribution(*table[:3])
    factors = np.exp(log_factors(*table[:3], x))
    assert_allclose(probability @ factors, 1, rtol=1e-12)


@given(tables(largest=1_000))
def test_swapping_the_arms_turns_the_odds_over(table):
    baseline, canary, exceeding, x = table
    here, there = log_factors(*table), log_factors(canary, baseline, exceeding, exceeding - x)
    assert_allclose(here, there[::-1], rtol=1e-12, atol=1e-12)


@given(tables(largest=1_000))
def test_counting_what_does_not_exceed_turns_the_odds_over(table):
    baseline, canary, exceeding, x = table
    there = log_factors(baseline, canary, baseline + canary - exceeding, canary - x)
    assert_allclose(log_factors(*table), there[::-1], rtol=1e-12, atol=1e-12)


@given(tables(largest=300), st.floats(-2.4, 2.4))
def test_likelihoods_are_concave_and_0_at_equal_odds(table, g):
    grid = np.linspace(-2.5, 2.5, 41)
    factors = log_factors(*table, grid)
    assert (np.diff(factors, 2) <= 1e-11).all()
    assert log_factors(*table, [0.0])[0] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    "table", [(0, 9, 4, 4), (9, 0, 4, 0), (9, 9, 0, 0), (9, 9, 18, 9), (0, 0, 0, 0)], ids=str
)
def test_tables_that_say_nothing_leave_everything_as_it_was(table):
    assert_allclose(log_factors(*table), 0, atol=1e-15)


def test_far_odds_ratios_are_summed_too():
    grid = [-20.0, 15.0]
    assert_allclose(
        log_factors(300, 100, 90, 40, grid), [by_decimals(300, 100, 90, 40, g) for g in grid], rtol=1e-12
    )
    assert_allclose(
        log_factors(3_000, 2_000, 900, 40, grid),
        [by_decimals(3_000, 2_000, 900, 40, g) for g in grid],
        rtol=1e-12,
    )


def test_a_batch_is_its_parts():
    rng = np.random.default_rng(1)
    baseline, canary = np.array([[3], [950], [20_000], [10**6]]), np.array([[1], [50], [900], [5_000]])
    exceeding = rng.binomial(baseline + canary, rng.uniform(0, 0.4, (4, 700)))  # more than a chunk
    x = rng.hypergeometric(exceeding, baseline + canary - exceeding, canary)
    found = log_factors(baseline, canary, exceeding, x)
    assert found.shape == (4, 700, 33)
    for i, j in np.ndindex(4, 7):
        part = (i, slice(100 * j, 100 * (j + 1)))
        one = log_factors(baseline[i], canary[i], exceeding[part], x[part])
        assert_allclose(found[part], one, rtol=1e-13, atol=1e-12)
    loglik, nulls = found.sum(axis=1), np.array([0.0, 0.1, -0.3, 0.0])
    evidence = log_evidence(loglik, nulls, "greater")
    for i in range(4):
        assert_allclose(evidence[i], log_evidence(loglik[i], nulls[i], "greater"), rtol=1e-9, atol=1e-9)
    assert log_evidence(loglik, nulls[:, np.newaxis], "less").shape == (4, 4)


@pytest.mark.parametrize(
    "table",
    [
        (9, 9, 4.5, 1),
        (9, -1, 4, 1),
        (9, 9, float("nan"), 1),
        (inf, 9, 4, 1),
        (9, 9, 4, 5),
        (9, 3, 8, 4),
        (2, 9, 8, 3),
    ],
    ids=str,
)
def test_tables_that_cannot_be_are_refused(table):
    with pytest.raises(ValueError, match=r"whole numbers|more observations"):
        log_factors(*table)


@given(tables(largest=2_000), st.integers(1, 100_000), st.floats(-2.5, 2.5))
def test_the_grid_gives_the_likelihood_between_its_points(table, times, null):
    steps = np.linspace(-2.5, 2.5, 11)
    found = _between(times * log_factors(*table), np.array([null, *steps]))
    expected = times * log_factors(*table, [null, *steps])
    total = times * (sum(table[:2]))
    assert_allclose(found, expected, rtol=1e-12, atol=1e-13 * total + 1e-12)


STRATA = [((20, 5, 6), (15, 9, 10)), ((40, 3, 4), (8, 12, 9))]


@pytest.mark.parametrize("strata", STRATA, ids=str)
@pytest.mark.parametrize("null", [0.0, 0.26, -0.7, 2.3])
def test_evidence_has_the_expectation_1_at_the_null_and_less_before_it(strata, null):
    (x1, chance1), (x2, chance2) = (distribution(*table) for table in strata)
    loglik = (
        log_factors(*strata[0], x1)[:, np.newaxis] + log_factors(*strata[1], x2)[np.newaxis]
    )  # all pairs of outcomes
    for side, sign in (("greater", 1), ("less", -1)):
        evidence = np.exp(log_evidence(loglik, null, side))

        def expectation(g, evidence=evidence):
            return tilted(chance1, x1, g) @ evidence @ tilted(chance2, x2, g)

        assert_allclose(expectation(null), 1, rtol=1e-11)
        before = [expectation(null - sign * distance) for distance in (0.05, 0.3, 1.0, 3.0)]
        assert np.all(np.diff([1.0, *before]) < 0)
        assert expectation(null + sign * 0.3) > 1


def test_evidence_of_both_sides_is_a_mirror_image():
    loglik = log_factors([950, 400], [50, 70], [40, 90], [5, 31])
    assert_allclose(
        log_evidence(loglik, 0.2, "greater"),
        log_evidence(loglik[:, ::-1], -0.2, "less"),
        rtol=1e-11,
        atol=1e-13,
    )


@given(st.integers(1, 60), st.floats(-2.4, 2.4), st.floats(0.001, 0.1))
def test_evidence_grows_with_the_canary_and_falls_with_the_null(exceeding, null, step):
    x = np.arange(min(exceeding, 50) + 1)
    loglik = log_factors(950, 50, exceeding, x)
    evidence = log_evidence(loglik, null, "greater")
    assert (np.diff(evidence) > 0).all()
    stricter = log_evidence(loglik, min(null + step, 2.5), "greater")
    assert (stricter[evidence > 0] < evidence[evidence > 0]).all()
    assert (stricter[evidence <= 0] <= 1e-12).all()


def test_small_shifts_are_found_in_much_data():
    """The mixture is finer near the null: 4 % more odds are beyond doubt after 4 million observations."""
    loglik = log_factors(2_000_000, 2_000_000, 400_000, 203_600)
    assert log_evidence(loglik, 0.0, "greater") > log(1e4)


@pytest.mark.parametrize("null", [2.51, -3.0, float("nan")])
def test_a_null_beyond_the_grid_is_refused(null):
    with pytest.raises(ValueError, match="within"):
        log_evidence(np.zeros(33), null, "greater")


@pytest.mark.parametrize("loglik", [np.zeros(51), 0.0])
def test_another_grid_is_refused(loglik):
    with pytest.raises(ValueError, match="33 points"):
        log_evidence(loglik, 0.0, "greater")
