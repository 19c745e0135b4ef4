"""How often a watch of independent samples, and of bounded values, fails what is tolerable or passes what is not.

Of 1,000 pairs (or intervals) at the tolerated change itself, looked at after every fifth. Both methods are exact there, whatever the
distribution: pairs that differ by what is tolerated are exchangeable, and bets on a mean that is what it may be are fair.
"""

from functools import lru_cache

import numpy as np
import pytest
from simulation import assert_rate_at_most

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair
from canaryjudge.rules.decision import Share
from canaryjudge.rules.sequential.betting import BettingProcess
from canaryjudge.rules.sequential.pairs import _LEARNING, _PRIORS, _PROBABILITIES, PairProcess
from canaryjudge.stats.betting import BETS, discordance, log_wealth, wealth_terms

PAIRS = 1000
EVERY = 5
LOOKS = np.arange(EVERY, PAIRS + 1, EVERY)
LEVELS = np.array([0.05, 0.01])


def lognormal(rng, shape):
    return np.exp(0.6 * rng.standard_normal(shape))


def heavy_tailed(rng, shape):
    return 1 + rng.pareto(1.1, shape)


def few_values(rng, shape):
    return 1.0 + rng.poisson(2.0, shape)


def mostly_one_value(rng, shape):
    return np.where(rng.random(shape) < 0.7, 1.0, np.ceil(5 * rng.exponential(size=shape)))


def with_zeros(rng, shape):
    return np.maximum(np.rint(3 * rng.exponential(size=shape)), 0.0)


def clocked(rng, shape):
    return np.maximum(np.rint(20 * lognormal(rng, shape)), 1.0) / 20


# values, and what is tolerated
SAMPLES = {
    "lognormal": (lognormal, 0.1),
    "heavy-tailed": (heavy_tailed, 0.1),
    "few values": (few_values, 0.5),
    "mostly one value": (mostly_one_value, 0.0),
    "with zeros": (with_zeros, 0.0),
}


@lru_cache(maxsize=1)
def discordances():
    """Log evidence of every two numbers of pairs, at each of the thresholds' priors."""
    numbers = np.arange(PAIRS + 1)
    return [discordance(numbers[:, None], numbers, prior) for prior in np.unique(_PRIORS)]


def ranks(reference, values):
    return np.searchsorted(reference, values, "left") + np.searchsorted(reference, values, "right")


def limit_of(tolerance, sign):
    return tolerance if sign > 0 else -tolerance / (1 + tolerance)


def pair_evidence(baseline, canary, tolerance, sign):
    """Log evidence of one watch beyond the tolerance, and within it, at every look."""
    changed = baseline * (1 + limit_of(tolerance, sign))
    terms = np.zeros((2, PAIRS, len(BETS)))
    more, less = np.zeros((2, PAIRS, len(_PRIORS)), dtype=bool)
    for start, stop in zip(_LEARNING, (*_LEARNING[1:], PAIRS), strict=True):
        reference = np.sort(np.concatenate([baseline[:start], canary[:start]]))
        mine, other = ranks(reference, canary[start:stop]), ranks(reference, changed[start:stop])
        scores = sign * (mine - other) / (2 * len(reference))
        terms[:, start:stop] = wealth_terms(scores), wealth_terms(-scores)
        edges = 2 * np.ceil(_PROBABILITIES * len(reference)) - 1
        beyond, before = (sign * side[:, None] > sign * edges for side in (mine, other))
        more[start:stop], less[start:stop] = beyond & ~before, before & ~beyond
    bets = log_wealth(terms.cumsum(axis=1)[:, LOOKS - 1])
    s, f = (some.cumsum(axis=0)[LOOKS - 1] for some in (more, less))
    calm = _PRIORS == _PRIORS[0]
    low, high = discordances()
    exceeded = [np.where(calm, high[one, two], low[one, two]) for one, two in ((s, f), (f, s))]
    tails = np.logaddexp.reduce(exceeded, axis=-1) - np.log(len(_PRIORS))
    return np.logaddexp(bets, tails) - np.log(2)


def watch_pairs(runs, values, tolerance, sign, seed):
    """Watches that ever failed, and that ever passed, at each level."""
    rng = np.random.default_rng(seed)
    change = 1 + limit_of(tolerance, sign)
    count = np.zeros((2, len(LEVELS)), dtype=int)
    for _ in range(runs):
        baseline, canary = values(rng, (2, PAIRS))
        highest = pair_evidence(baseline, canary * change, tolerance, sign).max(axis=-1)
        count += highest[:, None] >= -np.log(LEVELS)
    return count


# what the arms' values are, between 0 and a cap of 1, with means of which the second is the first, changed as tolerated
def beta_values(rng, runs, change):
    return rng.beta(2, 8, (PAIRS, runs)), change * rng.beta(2, 8, (PAIRS, runs))


def two_points(rng, runs, change):
    return tuple((rng.random((PAIRS, runs)) < mean).astype(float) for mean in (0.3, 0.3 * change))


def rare_points(rng, runs, change):
    return tuple((rng.random((PAIRS, runs)) < mean).astype(float) for mean in (0.01, 0.01 * change))


def shared_load(rng, runs, change):
    load = rng.beta(2, 8, (PAIRS, runs))
    baseline, canary = (load * rng.uniform(0.5, 1.0, (PAIRS, runs)) for _ in range(2))
    return baseline, canary * change


def moving_load(rng, runs, change):
    load = 0.3 + 0.25 * np.sin(np.arange(PAIRS) / 80)[:, None]
    return tuple(load * level * (rng.random((PAIRS, runs)) < 0.7) for level in (1.0, change))


BOUNDED = {
    "beta": beta_values,
    "two points": two_points,
    "rare": rare_points,
    "shared load": shared_load,
    "moving load": moving_load,
}


def betting_evidence(baseline, canary, limit):
    """Log evidence above and below a relative change at every look; runs in columns."""
    scores = (canary - baseline * (1 + limit)) / max(1.0, 1 + limit)
    for t in range(0, PAIRS, EVERY):
        part = scores[t : t + EVERY]
        yield np.stack([wealth_terms(part).sum(axis=0), wealth_terms(-part).sum(axis=0)])


def watch_bounded(runs, values, tolerance, sign, seed):
    rng = np.random.default_rng(seed)
    limit = limit_of(tolerance, sign)
    count = np.zeros((2, len(LEVELS)), dtype=int)
    for start in range(0, runs, 1000):
        some = min(1000, runs - start)
        wealth, highest = 0.0, -np.inf
        for gained in betting_evidence(*values(rng, some, 1 + limit), limit):
            wealth = wealth + gained
            highest = np.maximum(highest, log_wealth(wealth))
        count += (highest[::sign, :, None] >= -np.log(LEVELS)).sum(axis=1)
    return count
