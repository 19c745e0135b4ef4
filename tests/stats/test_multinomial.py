"""The test of a multinomial's shares: savvi's values, and Polya's urn as a slow oracle."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from canaryjudge.stats.multinomial import log_bayes_factor, sequential_pvalue

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


@given(n=st.integers(0, 30), share=st.floats(0.05, 0.95), concentration=weights)
@reproducible
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
