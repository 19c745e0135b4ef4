"""Scores an interval: counted one by one, and evidence about their mean by the formula.

Betting: fair bets win nothing on average, and the evidence of discordant pairs is the integral that it stands for.
"""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import integrate, stats

from canaryjudge.stats.long_run import long_run_variance
from canaryjudge.stats.score_evidence import (
    BETS,
    _tick,
    discordance,
    exceedance_scores,
    log_wealth,
    mean_evidence,
    wealth_terms,
)

SCALES, SHIFTS = np.array([1.0, 1.2, 0.5, 1.0, 1.0]), np.array([0.0, 0.0, 0.0, 1.0, -0.5])


def one_by_one(baseline, canary, scale, shift, *, tick=0.0):
    known = np.unique(baseline)
    wins = []
    for c in canary.tolist():
        for b in baseline.tolist():
            near = min(abs(known[known != b] - b).min(initial=tick), tick)
            ahead = (c - shift) / scale - b
            wins.append(np.clip(ahead / near + 0.5, 0, 1) if near else (np.sign(ahead) + 1) / 2)
    return sum(wins) / len(wins) - 0.5


few_values = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 4.0]), min_size=1, max_size=12)


@given(few_values, few_values)
def test_exceedances_are_counted_with_ties_as_half(baseline, canary):
    baseline, canary = np.array(baseline), np.array(canary)
    scales, shifts = np.array([1.0, 2.0, 0.5, 1.0, 1.0]), np.array([0.0, 0.0, 0.0, 0.5, -1.0])
    found = exceedance_scores(baseline, canary, scales, shifts)
    tick = _tick(np.sort(baseline), np.sort(canary))
    wanted = [one_by_one(baseline, canary, *change, tick=tick) for change in zip(scales, shifts, strict=True)]
    assert_allclose(found, wanted, atol=1e-12)


def test_values_of_a_clock_are_spread_over_its_ticks():
    ticks = np.repeat([1.0, 2.0, 3.0], 10)
    found = exceedance_scores(ticks, ticks, np.ones(3), np.array([0.0, 0.25, 1.0]))
    assert_allclose(found, [0, -1 / 12, -5 / 18], atol=1e-12)


def test_exceedances_do_not_depend_on_the_order_of_the_values():
    rng = np.random.default_rng(3)
    baseline, canary = rng.lognormal(size=50), rng.lognormal(size=70)
    found = exceedance_scores(baseline, canary, SCALES, SHIFTS)
    again = exceedance_scores(rng.permutation(baseline), rng.permutation(canary), SCALES, SHIFTS)
    assert (found == again).all()


@pytest.mark.parametrize("decimals", [8, 1])
def test_exceedances_of_many_values_are_right_to_half_a_cell(decimals):
    """Of more than 1,024 canary values, those between two of 1,024 edges count as equal."""
    rng = np.random.default_rng(4)
    baseline = rng.lognormal(size=1500).round(decimals)
    canary = rng.lognormal(0.1, 1.0, size=3000).round(decimals)
    found = exceedance_scores(baseline, canary, SCALES, SHIFTS)
    wanted = [
        (
            np.searchsorted(np.sort(scale * baseline + shift), canary, "left").sum()
            + np.searchsorted(np.sort(scale * baseline + shift), canary, "right").sum()
        )
        / (2 * len(baseline) * len(canary))
        - 0.5
        for scale, shift in zip(SCALES, SHIFTS, strict=True)
    ]
    assert_allclose(found, wanted, atol=1 / 1024)


def test_equal_arms_score_nothing_and_separate_ones_everything():
    values = np.arange(2000.0)
    one, none = np.ones(1), np.zeros(1)
    assert exceedance_scores(values, values, one, none) == pytest.approx(0.0, abs=1e-12)
    assert exceedance_scores(values, values + 5000, one, none) == pytest.approx(0.5)
    assert exceedance_scores(values, values - 5000, one, none) == pytest.approx(-0.5)
    assert exceedance_scores(np.ones(3), np.ones(2000), one, none) == pytest.approx(0.0)


def by_hand(scores, each, sign):
    """The formula of the docstring, scale by scale."""
    deviates = []
    for scale in {1: (1, 3), 2: (1, 2), 4: (1,)}[each]:
        n = len(scores) // scale
        means = scores[len(scores) - n * scale :].reshape(n, scale).mean(axis=1)
        found = long_run_variance(means)
        t = scores.mean() / math.sqrt(max(float(found.variance), 1e-12) / n)
        deviates.append(stats.norm.isf(min(max(stats.t.cdf(-sign * t, float(found.df)), 1e-300), 1 - 1e-16)))
    intervals, rho = len(scores) * each, 2.0
    s = min(deviates) * math.sqrt(intervals)
    return (
        0.5 * math.log(4 * rho / (intervals + rho))
        + s**2 / (2 * (intervals + rho))
        + stats.norm.logcdf(s / math.sqrt(intervals + rho))
    )


@pytest.mark.parametrize("each", [1, 2, 4])
@pytest.mark.parametrize("n", [20, 31, 60])
def test_evidence_about_the_mean_is_the_half_normal_mixture_at_the_more_cautious_scale(n, each):
    scores = np.random.default_rng(n).normal(0.4, 1.0, n)
    found = mean_evidence(scores, each=each)
    assert_allclose(found.above, by_hand(scores, each, 1), rtol=1e-9)
    assert_allclose(found.below, by_hand(scores, each, -1), rtol=1e-9)
    assert_allclose(found.mean, scores.mean())


def test_evidence_mirrors_and_rows_do_not_mix():
    scores = np.random.default_rng(2).normal(0.3, 1.0, (5, 40))
    found, mirrored = mean_evidence(scores), mean_evidence(-scores)
    assert_allclose(found.above, mirrored.below)
    assert_allclose(found.below, mirrored.above)
    alone = [mean_evidence(row) for row in scores]
    assert_allclose(found.above, [row.above for row in alone])
    assert_allclose(found.rho, [row.rho for row in alone])


def test_scores_without_any_spread_are_evidence_only_of_what_they_are():
    found = mean_evidence(np.array([np.zeros(30), np.full(30, 0.5), np.full(30, -0.5)]))
    assert np.isfinite(found.above).all()
    assert found.above[0] < 0 > found.below[0]
    assert found.above[1] > math.log(1000) > 0 > found.below[1]
    assert found.below[2] > math.log(1000) > 0 > found.above[2]


def test_equal_weights_are_no_weights():
    scores = np.random.default_rng(5).normal(0.2, 1.0, 40)
    plain, weighted = mean_evidence(scores), mean_evidence(scores, np.full(40, 7.0))
    assert_allclose(plain.above, weighted.above)
    doubled = mean_evidence(scores, np.tile([2.0, 0.0], 20))
    assert_allclose(doubled.mean, scores[::2].mean())


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
