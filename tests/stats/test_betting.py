"""Betting: fair bets win nothing on average, and the evidence of discordant pairs is the integral that it stands for."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import integrate, stats

from canaryjudge.stats.betting import BETS, discordance, log_wealth, wealth_terms


def test_wealth_is_the_mean_of_products():
    scores = [0.5, -0.3, 1.0, 0.0, -1.0]
    products = [math.prod(1 + stake * score for score in scores) for stake in BETS.tolist()]
    assert_allclose(log_wealth(wealth_terms(scores).sum(axis=0)), np.log(np.mean(products)), rtol=1e-13)


@pytest.mark.parametrize("scores", [(-1.0, 1.0), (-0.25, 0.25), (-1.0, 0.5, 0.5), (-0.5, -0.5, 1.0)])
def test_fair_bets_win_nothing_on_average(scores):
    """All sequences of four equally likely scores whose mean is 0."""
    wealth = [np.exp(log_wealth(wealth_terms(run).sum(axis=0))) for run in product(scores, repeat=4)]
    assert_allclose(np.mean(wealth), 1.0, rtol=1e-12)


def test_losing_bets_lose_on_average():
    wealth = [np.exp(log_wealth(wealth_terms(run).sum(axis=0))) for run in product((-1.0, 0.8), repeat=5)]
    assert np.mean(wealth) < 1


def test_a_certain_win_multiplies_the_stake_and_a_certain_loss_cannot_ruin():
    assert float(log_wealth(wealth_terms(np.ones(30)).sum(axis=0))) > math.log(1e6)
    assert np.isfinite(log_wealth(wealth_terms(-np.ones(3000)).sum(axis=0)))


@pytest.mark.parametrize(("more", "less"), [(0, 0), (1, 0), (0, 1), (12, 2), (2, 12), (40, 35), (300, 200)])
@pytest.mark.parametrize("prior", [3.0, 10.0])
def test_discordance_is_the_likelihood_ratio_averaged_over_the_upper_half_of_the_prior(more, less, prior):
    """METHODS.md 4.2: Beta(a, a) on (1/2, 1), against 1/2."""

    def ratio(p):
        gain = more * math.log(2 * p) + less * math.log(2 * (1 - p))
        return 2 * stats.beta(prior, prior).pdf(p) * math.exp(gain)

    peak = min(max((prior + more) / (2 * prior + more + less), 0.5), 0.999)
    found, _ = integrate.quad(ratio, 0.5, 1 - 1e-12, points=[peak], epsabs=0, epsrel=1e-11, limit=200)
    assert_allclose(discordance(more, less, prior), math.log(found), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("prior", [3.0, 10.0])
@pytest.mark.parametrize("pairs", [1, 5, 30])
def test_even_discordance_has_an_expectation_of_one_and_less_discordance_less(pairs, prior):
    more = np.arange(pairs + 1)
    evidence = np.exp(discordance(more, pairs - more, prior))
    assert_allclose(stats.binom(pairs, 0.5).pmf(more) @ evidence, 1.0, rtol=1e-10)
    assert stats.binom(pairs, 0.4).pmf(more) @ evidence < 1


def test_discordance_against_all_evidence_stays_finite():
    found = discordance([0, 1e6, 0, 9e5, 0], [1e6, 0, 0, 1e6, 1e9], 3.0)
    assert np.isfinite(found).all()
    assert (found[[0, 3, 4]] < -5).all()
    assert found[1] > 100
    assert found[2] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("more", "less"), [(0, 900), (0, 1200), (300, 2000), (1000, 5000)])
def test_discordance_far_down_the_tail_is_exact(more, less):
    """A = 3: the integral over (1/2, 1) is a sum of binomial probabilities."""
    n = more + less + 5
    tail = sum(math.comb(n, k) for k in range(less + 3, n + 1))  # P(Beta(3 + s, 3 + f) > 1/2), times 2^n
    beta = Fraction(math.factorial(more + 2) * math.factorial(less + 2), math.factorial(n))
    whole = beta * 30 * Fraction(tail, 2**n) * 2 ** (more + less + 1)
    expected = math.log(whole.numerator) - math.log(whole.denominator)
    assert_allclose(discordance(more, less, 3.0), expected, rtol=1e-2)


def test_discordance_falls_with_every_pair_against_it():
    found = discordance(0, np.arange(400, 1600), 3.0)
    assert (np.diff(found) < 0.01).all()
