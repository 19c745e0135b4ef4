"""The test of a multinomial's shares: savvi's values, Polya's urn as a slow oracle, and intervals as inverses."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import optimize, stats

from canaryjudge.stats.multinomial import log_bayes_factor, sequential_pvalue, share_bounds

reproducible = settings(derandomize=True, deadline=None, max_examples=60)
small_counts = st.lists(st.integers(0, 60), min_size=2, max_size=5)
weights = st.floats(0.5, 300)


def urn(counts, shares, concentration):
    """The log Bayes factor one observation at a time: each is predicted by the prior and what came before it."""
    pseudo, total = concentration * np.asarray(shares, dtype=float), 0.0
    for category, count in enumerate(counts):
        for _ in range(count):
            total += math.log(pseudo[category] / pseudo.sum() / shares[category])
            pseudo[category] += 1
    return total


@given(counts=small_counts, concentration=weights, data=st.data())
@reproducible
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


def test_intervals_of_savvi():
    found = share_bounds([90, 10], 0.05, [0.9, 0.1])
    assert_allclose(found.low, [0.8052466324708301, 0.04005076673473399], atol=1e-6)
    assert_allclose(found.high, [0.9599492329558315, 0.19475336614643848], atol=1e-6)


@given(n=st.integers(0, 30), share=st.floats(0.05, 0.95), concentration=weights)
@reproducible
def test_the_expected_evidence_is_one(n, share, concentration):
    counts = np.arange(n + 1)
    both, shares = np.stack([counts, n - counts], axis=-1), [share, 1 - share]
    expected = stats.binom.pmf(counts, n, share) @ np.exp(log_bayes_factor(both, shares, concentration))
    assert expected == pytest.approx(1, rel=1e-8)


@given(
    counts=st.lists(st.integers(0, 400), min_size=2, max_size=2),
    share=st.floats(0.02, 0.98),
    level=st.floats(1e-6, 0.3),
)
@reproducible
def test_two_shares_are_refuted_exactly_where_the_pvalue_is_below_the_level(counts, share, level):
    shares = np.array([share, 1 - share])
    bounds, pvalue = share_bounds(counts, level, shares), sequential_pvalue(counts, shares)
    assert_allclose(bounds.low, 1 - bounds.high[::-1], rtol=1e-9, atol=1e-12)
    if abs(pvalue / level - 1) > 1e-9:
        assert bool(((bounds.low <= shares) & (shares <= bounds.high)).all()) == (pvalue >= level)


@pytest.mark.parametrize("counts", [[40, 50, 10], [300, 2, 30, 61]])
def test_bounds_of_more_shares_are_the_ends_of_the_convex_set(counts):
    """By a general solver: the least and the greatest share over all shares that are likely enough."""
    counts, level, prior = np.array(counts), 0.05, np.full(len(counts), 1 / len(counts))
    needed = math.log(level) + log_bayes_factor(counts, prior) + counts @ np.log(prior)
    bounds = share_bounds(counts, level, prior)
    limits = [
        {"type": "eq", "fun": lambda theta: theta.sum() - 1},
        {"type": "ineq", "fun": lambda theta: counts @ np.log(theta) - needed},
    ]
    for i in range(len(counts)):
        for sign, found in ((1, bounds.low[i]), (-1, bounds.high[i])):
            end = optimize.minimize(
                lambda theta, i=i, sign=sign: sign * theta[i],
                counts / counts.sum(),
                method="SLSQP",
                bounds=[(1e-9, 1)] * len(counts),
                constraints=limits,
                options={"maxiter": 500, "ftol": 1e-12},
            )
            assert found == pytest.approx(sign * end.fun, abs=2e-5)


def test_a_category_without_counts_may_be_absent():
    bounds = share_bounds([[0, 50, 50], [0, 0, 0], [0, 0, 80]], 0.05, [0.2, 0.4, 0.4])
    assert bounds.low[0, 0] == 0
    assert 0 < bounds.high[0, 0] < 0.3
    assert bounds.low[1].tolist() == [0, 0, 0]
    assert bounds.high[1].tolist() == [1, 1, 1]
    assert bounds.high[2, 2] == 1
    assert 0.5 < bounds.low[2, 2] < 1


def test_more_counts_and_larger_levels_narrow_the_bounds():
    widths = np.array(
        [
            np.subtract(b.high, b.low)[0]
            for b in (share_bounds([60 * m, 40 * m], 0.05, [0.5, 0.5]) for m in (1, 10, 100))
        ]
    )
    assert (np.diff(widths) < 0).all()
    wide, narrow = (share_bounds([60, 40], level, [0.5, 0.5]) for level in (0.001, 0.2))
    assert (wide.low < narrow.low).all()


def test_a_batch_gives_what_single_counts_give():
    counts = np.random.default_rng(4).integers(0, 900, (3, 2, 4))
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    found = share_bounds(counts, 0.05, shares)
    assert found.low.shape == (3, 2, 4)
    assert_allclose(found.high[1, 1], share_bounds(counts[1, 1], 0.05, shares).high, rtol=1e-13)
    assert log_bayes_factor(counts, shares)[2, 0] == log_bayes_factor(counts[2, 0], shares)


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
    (lambda: share_bounds([3, 1], 0.0, [0.5, 0.5]), "level must lie between 0 and 1, but is 0"),
    (lambda: share_bounds([3, 1], np.nan, [0.5, 0.5]), "level must lie between 0 and 1"),
]


@pytest.mark.parametrize(("call", "sentence"), WRONG)
def test_impossible_arguments_are_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
