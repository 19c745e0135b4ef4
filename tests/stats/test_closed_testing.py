"""Many claims under one error rate: against R, statsmodels and all intersections one by one."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import ndtr
from scipy.stats import combine_pvalues
from simulation import assert_rate_at_most
from statsmodels.stats.multitest import multipletests

from canaryjudge.stats.closed_testing import closed_evidence, holm, hommel, release_first, stouffer

PVALUES = [0.001, 0.04, 0.03, 0.2, 0.011, 0.5]
some_pvalues = st.lists(st.floats(0, 1), min_size=1, max_size=6)


def subsets(size):
    return [set(each) for count in range(1, size + 1) for each in combinations(range(size), count)]


def test_adjusted_pvalues_are_those_of_r():
    assert_allclose(holm(PVALUES), [0.006, 0.12, 0.12, 0.4, 0.055, 0.5])  # p.adjust(p, "holm")
    assert_allclose(hommel(PVALUES), [0.006, 0.12, 0.09, 0.4, 0.055, 0.5])  # p.adjust(p, "hommel")


@given(some_pvalues)
def test_holm_and_hommel_are_those_of_statsmodels(pvalues):
    assert_allclose(holm(pvalues), multipletests(pvalues, method="holm")[1], atol=1e-12)
    closure = [
        max(
            min(
                1.0, *(len(inside) * p / rank for rank, p in enumerate(sorted(pvalues[i] for i in inside), 1))
            )
            for inside in subsets(len(pvalues))
            if claim in inside
        )
        for claim in range(len(pvalues))
    ]
    assert_allclose(hommel(pvalues), closure, atol=1e-12)
    assert (hommel(pvalues) <= holm(pvalues) + 1e-12).all()


@given(some_pvalues, st.integers(0, 1000))
def test_weighted_holm_is_the_closure_of_weighted_bonferroni(pvalues, seed):
    weights = np.random.default_rng(seed).uniform(0.1, 3, len(pvalues))
    closure = [
        max(
            min(1.0, *(pvalues[i] * sum(weights[j] for j in inside) / weights[i] for i in inside))
            for inside in subsets(len(pvalues))
            if claim in inside
        )
        for claim in range(len(pvalues))
    ]
    assert_allclose(holm(pvalues, weights), closure, atol=1e-12)


def test_what_is_no_claim_costs_nothing():
    assert_allclose(holm([0.01, np.nan, 0.02]), [0.02, np.nan, 0.02])
    release, segments = release_first(0.004, [np.nan, np.nan])
    assert release == 0.008
    assert np.isnan(segments).all()


@given(st.floats(0, 1), some_pvalues, st.sampled_from([0.2, 0.5, 0.8, 1.0]), st.integers(0, 1000))
def test_a_release_and_its_segments_are_a_closed_test(release, pvalues, share, seed):
    """Claim 0 is the release's; where it is in an intersection it has its part, and the segments share the rest, or all."""
    weights = np.random.default_rng(seed).uniform(0.1, 3, len(pvalues))
    claims = [release, *pvalues]

    def pvalue(inside):
        parts = {i: weights[i - 1] / sum(weights[j - 1] for j in inside if j) for i in inside if i}
        if 0 in inside:
            parts = {i: (1 - share) * part for i, part in parts.items()} | {0: share if parts else 1.0}
        return min(1.0, *(claims[i] / part if part else np.inf for i, part in parts.items()))

    closure = [
        max(pvalue(inside) for inside in subsets(len(claims)) if claim in inside)
        for claim in range(len(claims))
    ]
    own, segments = release_first(release, pvalues, share=share, weights=weights)
    assert_allclose([own, *segments], closure, atol=1e-12)


def test_with_the_release_first_no_segment_is_asked_before_it_has_failed():
    _, segments = release_first([0.2, 0.001], [[1e-9, 0.5], [1e-9, 0.5]], share=1.0)
    assert_allclose(segments, [[0.2, 0.5], [0.001, 0.5]])


@pytest.mark.parametrize("bad", [0, 1, 3, 7])
def test_any_false_claim_has_the_chance_alpha_at_most_whatever_the_dependence(bad):
    rng, runs, alpha = np.random.default_rng(3), 20_000, 0.05
    common = rng.normal(size=(runs, 1))
    noise = 0.8 * common * np.where(np.arange(8) % 2, 1, -1) + 0.6 * rng.normal(size=(runs, 8))
    z = noise + np.where(np.arange(8) < bad, 3.0, 0.0)
    mean = z.mean(axis=1) / noise.mean(axis=1).std()
    release, segments = release_first(ndtr(-mean), ndtr(-z))
    false = (segments[:, bad:] <= alpha).any(axis=1)
    if not bad:
        false |= release <= alpha
    assert_rate_at_most(int(false.sum()), runs, alpha)


def test_combined_pvalues_are_those_of_scipy():
    pvalues, weights = np.array(PVALUES), np.arange(1.0, 7)
    assert_allclose(stouffer(pvalues), combine_pvalues(pvalues, "stouffer").pvalue)
    assert_allclose(stouffer(pvalues, weights), combine_pvalues(pvalues, "stouffer", weights=weights).pvalue)
    assert_allclose(stouffer([*PVALUES, np.nan]), stouffer(PVALUES))
    assert stouffer([0.0, 1e-9]) < 1e-20
    assert stouffer([np.nan]) == 1


def test_evidence_is_that_of_all_intersections():
    rng = np.random.default_rng(4)
    for _ in range(50):
        e = rng.lognormal(0, 3, 5)
        closure = [
            min(np.mean([e[i] for i in inside]) for inside in subsets(5) if claim in inside)
            for claim in range(5)
        ]
        assert_allclose(np.exp(closed_evidence(np.log(e))), closure)


def test_rows_are_each_as_alone():
    rng = np.random.default_rng(5)
    p = rng.uniform(size=(30, 200))
    for function in (holm, hommel, closed_evidence, lambda rows: release_first(rows[:, 0], rows)[1]):
        assert_array_equal(function(p)[7:8], function(p[7:8]))
