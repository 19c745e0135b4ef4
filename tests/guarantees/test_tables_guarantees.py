"""How often sequential evidence from stratified tables errs, looked at after every interval.

The canary gets 5 % of the requests. The share of requests above an edge drifts by a factor of 2 either way, and bursts that hit both
arms alike come on top. Runs in which the evidence ever reaches 1 / level are counted against the level.
"""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm
from simulation import assert_rate_at_most

from canaryjudge.stats.stratified_tables import log_evidence, log_factors

INTERVALS = 60
LEVEL = 0.05
AT_ONCE = 1_000


def weather(rng, runs, burst):
    """The share of the baseline's requests above the edge, near 5 %."""
    drift = 0.7 * np.sin(np.arange(INTERVALS) / 12 + rng.uniform(0, 6, (runs, 1)))
    return np.clip(0.05 * np.exp(drift + burst * rng.normal(size=(runs, INTERVALS))), 0, 0.5)


def worse(share, odds):
    return odds * share / (1 - share + odds * share)


def loglik_of_runs(rng, runs, burst, odds, sizes=(950, 50)):
    share = weather(rng, runs, burst)
    baseline, canary = rng.binomial(sizes[0], share), rng.binomial(sizes[1], worse(share, odds))
    return log_factors(*sizes, baseline + canary, canary).cumsum(axis=1)


def batches(runs):
    return [np.random.default_rng([5, batch]) for batch in range(runs // AT_ONCE)]


def ever(loglik, null, side):
    return int((log_evidence(loglik, null, side) >= -np.log(LEVEL)).any(axis=1).sum())


def check(burst, tolerated, runs):
    null = np.log(tolerated)
    fails = passes = 0
    for rng in batches(runs):
        loglik = loglik_of_runs(rng, AT_ONCE, burst, tolerated)
        fails += ever(loglik, null, "greater")
        passes += ever(loglik, null, "less")
    assert_rate_at_most(fails, runs, LEVEL)
    assert_rate_at_most(passes, runs, LEVEL)
    assert fails > runs * LEVEL / 20  # far fewer would mean that the simulation shows nothing


CASES = [(0.0, 1.0), (0.6, 1.0), (0.6, 1.5)]


@pytest.mark.parametrize(("burst", "tolerated"), CASES)
def test_sampled_wrong_verdicts_stay_within_the_level(burst, tolerated):
    check(burst, tolerated, 2_000)


@pytest.mark.slow
@pytest.mark.parametrize(("burst", "tolerated"), CASES)
def test_wrong_verdicts_stay_within_the_level(burst, tolerated):
    check(burst, tolerated, 20_000)


@pytest.mark.parametrize(("odds", "expected"), [(1.5, 16), (2.0, 7), (3.0, 3)])
def test_worse_canaries_are_found_within_minutes(odds, expected):
    """METHODS 4.4 has 12, 4 and 2 intervals of 50 canary requests."""
    loglik = loglik_of_runs(np.random.default_rng(6), 500, 0.0, odds)
    reached = log_evidence(loglik, 0.0, "greater") >= -np.log(LEVEL)
    assert np.median(np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, INTERVALS)) <= expected


def test_pairs_of_single_requests_keep_the_level():
    """One canary request against the k baseline requests about it, k as it comes."""
    wrong, runs = 0, 2_000
    for rng in batches(runs):
        share = np.repeat(weather(rng, AT_ONCE, 0.6), 5, axis=1)
        k = rng.integers(0, 40, share.shape)
        canary = rng.binomial(1, share)
        loglik = log_factors(k, 1, rng.binomial(k, share) + canary, canary).cumsum(axis=1)
        wrong += ever(loglik, 0.0, "greater")
    assert_rate_at_most(wrong, runs, LEVEL)


def test_the_mean_over_edges_keeps_the_level():
    """Latencies against eight edges at once: log-normal, with a level that all requests of an interval share."""
    edges = norm.ppf([0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995])
    wrong, runs, intervals = 0, 1_000, 30
    rng = np.random.default_rng(7)
    level = 0.5 * rng.normal(size=(runs, intervals, 1))
    above = norm.sf(edges - level)
    cells = -np.diff(np.concatenate([np.ones_like(level), above, np.zeros_like(level)], axis=-1))
    counts = [rng.multinomial(n, np.maximum(cells, 0) / cells.sum(-1, keepdims=True)) for n in (380, 20)]
    baseline, canary = (count[..., ::-1].cumsum(axis=-1)[..., :-1] for count in counts)
    loglik = log_factors(380, 20, baseline + canary, canary).cumsum(axis=1)
    evidence = logsumexp(log_evidence(loglik, 0.0, "greater"), axis=-1) - np.log(len(edges))
    wrong = int((evidence >= -np.log(LEVEL)).any(axis=1).sum())
    assert_rate_at_most(wrong, runs, LEVEL)
