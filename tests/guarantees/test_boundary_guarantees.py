"""How often a healthy stream ever crosses the boundaries that may be looked at at any time, and how often planned looks find something.

A right boundary fails here once in a million runs of this file. Each is also shown to be crossed now and then, so that none is
right only because nothing could cross it.
"""

import numpy as np
import pytest
from simulation import assert_rate_at_most, best_rho

from canaryjudge.stats.confidence_sequences import (
    count_bounds,
    normal_log_mixture,
    quantile_interval,
    quantile_interval_from_counts,
)
from canaryjudge.stats.count_processes import sequential_pvalue
from canaryjudge.stats.group_sequential import boundaries, repeated_pvalue

RUNS = [2000, pytest.param(20_000, marks=pytest.mark.slow)]
CHUNK = 2000
LEVEL = 0.05


def crossings(runs, crossed):
    """How many of so many runs cross; `crossed` gives as much for a chunk of them, from a generator of its own."""
    return sum(int(np.sum(crossed(np.random.default_rng([29, start])))) for start in range(0, runs, CHUNK))


def check(crossed, runs, *, level=LEVEL, least):
    errors = crossings(runs, crossed)
    assert_rate_at_most(errors, runs, level)
    assert errors >= least * level * runs


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("one_sided", [False, True])
@pytest.mark.parametrize("noise", ["normal", "signs"])
def test_the_normal_mixture_at_every_observation(runs, one_sided, noise):
    v = np.arange(1, 1501)
    rho = best_rho(40, LEVEL, one_sided=one_sided)

    def crossed(rng):
        draws = rng.normal if noise == "normal" else lambda size: rng.choice([-1.0, 1.0], size)
        s = np.cumsum(draws(size=(CHUNK, v.size)), axis=1)
        return (normal_log_mixture(s, v, rho, one_sided=one_sided) >= -np.log(LEVEL)).any(axis=1)

    check(crossed, runs, least=0.5)


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("one_sided", [False, True])
@pytest.mark.parametrize(("noise", "first"), [("normal", 50), ("exponential", 200)])
def test_the_normal_mixture_with_an_estimated_deviation_once_there_are_enough_observations(
    runs, one_sided, noise, first
):
    """Exponential noise has its long tail below 0: a mean too large comes with a deviation too small, the worse side."""
    n = np.arange(first, 1501)
    rho = best_rho(200, LEVEL, one_sided=one_sided)

    def crossed(rng):
        x = rng.normal(size=(CHUNK, n[-1])) if noise == "normal" else 1 - rng.exponential(size=(CHUNK, n[-1]))
        sums, squares = (np.cumsum(each, axis=1)[:, n - 1] for each in (x, np.square(x)))
        deviation = np.sqrt((squares / n - np.square(sums / n)) * n / (n - 1))
        evidence = normal_log_mixture(sums / deviation, n, rho, one_sided=one_sided)
        return (evidence >= -np.log(LEVEL)).any(axis=1)

    check(crossed, runs, least=0.3)


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.95, 0.05), (0.5, 0.3, 0.15, 0.05)])
def test_the_multinomial_test_at_every_interval(runs, shares):
    """300 intervals of 20 requests on average."""

    def crossed(rng):
        sizes = rng.poisson(20, size=(CHUNK, 300))
        counts = np.cumsum(rng.multinomial(sizes, shares), axis=1)
        return (sequential_pvalue(counts, shares) <= LEVEL).any(axis=1)

    check(crossed, runs, least=0.3)


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("q", [0.5, 0.95])
@pytest.mark.parametrize("one_sided", [False, True])
def test_the_bounds_of_a_quantile_at_every_observation(runs, q, one_sided):
    """The quantile lies outside its interval where the number of observations at or below it is out of bounds."""
    n, rho = np.arange(1, 1201), best_rho(200, LEVEL)
    bounds = count_bounds(n, q, LEVEL, rho, one_sided=one_sided)

    def crossed(rng):
        counts = np.cumsum(rng.random(size=(CHUNK, n.size)) < q, axis=1)
        above = (counts > bounds.high).any(axis=1)
        # each bound by itself where one-sided, and so the worse of the two
        return above if one_sided else above | (counts < bounds.low).any(axis=1)

    check(crossed, runs, least=0.3)


@pytest.mark.parametrize("runs", [400, pytest.param(4000, marks=pytest.mark.slow)])
def test_the_interval_of_a_quantile_of_values_with_ties(runs):
    """Whole numbers from 0 to 9, with the 70 % quantile 6; every tenth observation, by order statistics and by a histogram."""
    looks, rho, edges = np.arange(10, 601, 10), best_rho(100, LEVEL), np.arange(10.0)
    values = np.random.default_rng(31).integers(0, 10, size=(runs, looks[-1])).astype(float)
    missed, binned = np.zeros(runs, dtype=bool), np.zeros(runs, dtype=bool)
    for n in looks:
        found = quantile_interval(values[:, :n], 0.7, LEVEL, rho)
        missed |= (found.low > 6) | (found.high < 6)
        counts = (values[:, :n, np.newaxis] <= edges).sum(axis=1)
        found = quantile_interval_from_counts(counts, np.full(runs, n), edges, 0.7, LEVEL, rho)
        binned |= (found.low >= 6) | (found.high < 6)
    errors = int(missed.sum())
    assert_rate_at_most(errors, runs, LEVEL)
    assert int(binned.sum()) <= errors


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock"])
def test_planned_looks_of_irregular_times(runs, spending):
    t = np.sort(np.random.default_rng(3).random(24))
    limits = boundaries(t, LEVEL, spending).z

    def crossed(rng):
        z = np.cumsum(rng.normal(size=(CHUNK, t.size)) * np.sqrt(np.diff(t, prepend=0)), axis=1) / np.sqrt(t)
        out = (z >= limits).any(axis=1)
        some = np.concatenate([np.flatnonzero(out)[:3], np.flatnonzero(~out)[:3]])
        assert [repeated_pvalue(z[run], t, spending) <= LEVEL for run in some] == out[some].tolist()
        return out

    check(crossed, runs, least=0.4)
