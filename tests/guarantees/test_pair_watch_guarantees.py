"""How often a watch of independent samples, and of bounded values, fails what is tolerable or passes what is not.

Of 1,000 pairs (or intervals) at the tolerated change itself, looked at after every fifth. Both methods are exact there, whatever the
distribution: of pairs that differ by what is tolerated either may be the other, and bets on a mean that is what it may be are fair.
"""

from functools import lru_cache

import numpy as np
import pytest
from judging import feed
from simulation import assert_rate_at_most, fewest_runs
from watches import pair_of

import canaryjudge as cj
from canaryjudge.data import question_of
from canaryjudge.rules import ErrorRates
from canaryjudge.rules.sequential.betting import (
    _LEARNING,
    _PRIORS,
    _PROBABILITIES,
    MeanBettingProcess,
    RankBettingProcess,
)
from canaryjudge.stats.score_evidence import BETS, discordance, log_wealth, wealth_terms
from canaryjudge.stats.ties import about

SIZE = 1000
EVERY = 5
LOOKS = np.arange(EVERY, SIZE + 1, EVERY)
LEVELS = np.array([0.05, 0.01])
BOTH = pytest.mark.parametrize("direction", ["increase", "decrease"])


def factor_of(tolerance, direction):
    """What the canary's values are multiplied by, at most; computed as the processes do, so that ties stay ties."""
    return 1 + (tolerance if direction == "increase" else -tolerance / (1 + tolerance))


def lognormal(rng, shape):
    return np.exp(0.6 * rng.standard_normal(shape))


def heavy_tailed(rng, shape):
    return 1 + rng.pareto(1.1, shape)


def few_values(rng, shape):
    return 1.0 + rng.poisson(2.0, shape)


def mostly_one_value(rng, shape):
    return np.where(rng.random(shape) < 0.7, 1.0, np.ceil(5 * rng.exponential(size=shape)))


def with_zeros(rng, shape):
    return np.rint(3 * rng.exponential(size=shape))


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
    """Log evidence of every two numbers of pairs, at the priors of the tails and of the middle."""
    numbers = np.arange(SIZE + 1)
    return [discordance(numbers[:, None], numbers, prior) for prior in np.unique(_PRIORS)]


def ranks(reference, values):
    low, high = about(values, 0.0)  # what differs by rounding is tied
    return np.searchsorted(reference, low, "left") + np.searchsorted(reference, high, "right")


def pair_evidence(baseline, canary, tolerance, direction):
    """Log evidence of one watch beyond the tolerance, and within it, at every look."""
    sign, changed = 1 if direction == "increase" else -1, baseline * factor_of(tolerance, direction)
    terms = np.zeros((2, SIZE, len(BETS)))
    more, less = np.zeros((2, SIZE, len(_PRIORS)), dtype=bool)
    for start, stop in zip(_LEARNING, (*_LEARNING[1:], SIZE), strict=True):
        reference = np.sort(np.concatenate([baseline[:start], canary[:start]]))
        mine, other = ranks(reference, canary[start:stop]), ranks(reference, changed[start:stop])
        scores = sign * (mine - other) / (2 * len(reference))
        terms[:, start:stop] = wealth_terms(scores), wealth_terms(-scores)
        edges = 2 * np.ceil(_PROBABILITIES * len(reference)) - 1
        beyond, before = (sign * side[:, None] > sign * edges for side in (mine, other))
        more[start:stop], less[start:stop] = beyond & ~before, before & ~beyond
    bets = log_wealth(terms.cumsum(axis=1)[:, LOOKS - 1])
    s, f = (some.cumsum(axis=0)[LOOKS - 1] for some in (more, less))
    tails, middle = discordances()
    exceeded = [np.where(_PRIORS < 10, tails[one, two], middle[one, two]) for one, two in ((s, f), (f, s))]
    together = np.logaddexp.reduce(exceeded, axis=-1) - np.log(len(_PRIORS))
    return np.logaddexp(bets, together) - np.log(2)


def watch_pairs(runs, name, direction, seed):
    """Watches that ever failed, and that ever passed, at each level."""
    values, tolerance = SAMPLES[name]
    rng, errors = np.random.default_rng(seed), np.zeros((2, len(LEVELS)), dtype=int)
    for _ in range(runs):
        baseline, canary = values(rng, (2, SIZE))
        canary = canary * factor_of(tolerance, direction)
        highest = pair_evidence(baseline, canary, tolerance, direction).max(axis=-1)
        errors += highest[:, None] >= -np.log(LEVELS)
    return errors


def check(errors, runs):
    for side in errors:
        for wrong, level in zip(side, LEVELS, strict=True):
            assert_rate_at_most(int(wrong), runs, level)


@BOTH
@pytest.mark.parametrize("name", SAMPLES)
def test_sampled_watches_of_pairs_keep_their_level(name, direction):
    runs = fewest_runs(LEVELS[0])
    check(watch_pairs(runs, name, direction, 3), runs)


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("name", SAMPLES)
def test_watches_of_pairs_keep_their_level(name, direction):
    check(watch_pairs(2_000, name, direction, 4), 2_000)


def same_evidence(process, arms, expected):
    """Feed a process, and hold its evidence against what is expected at every tenth look, if there is any."""
    for look, end in enumerate(LOOKS):
        feed(process, pair_of(process._question.kind, *(arm[end - EVERY : end] for arm in arms)))
        found = process.finding() if look % 10 == 9 else None
        if found is not None and found.baseline_level:
            evidence = np.multiply([found.watch.log_e_fail, found.watch.log_e_pass], np.log(10))
            assert evidence == pytest.approx(expected[:, look], rel=1e-9, abs=1e-6)


@BOTH
@pytest.mark.parametrize("name", SAMPLES)
def test_the_process_of_pairs_finds_the_same_evidence(name, direction):
    values, tolerance = SAMPLES[name]
    metric = cj.Metric(name="m", kind="samples", direction=direction, tolerance={"relative": tolerance})
    baseline, canary = values(np.random.default_rng(5), (2, SIZE))
    canary = canary * factor_of(tolerance, direction)
    expected = pair_evidence(baseline, canary, tolerance, direction)
    same_evidence(
        RankBettingProcess(question_of(metric, ErrorRates(0.05, 0.05))), (baseline, canary), expected
    )


# both arms' values between 0 and 1, the canary's mean changed by a factor; a row an interval, a run a column


def beta_values(rng, runs, factor):
    baseline, canary = 0.9 * rng.beta(2, 8, (2, SIZE, runs))
    return baseline, factor * canary


def two_points(rng, runs, factor):
    return [(rng.random((SIZE, runs)) < mean).astype(float) for mean in (0.3, 0.3 * factor)]


def rare_points(rng, runs, factor):
    return [(rng.random((SIZE, runs)) < mean).astype(float) for mean in (0.01, 0.01 * factor)]


def shared_load(rng, runs, factor):
    load = 0.9 * rng.beta(0.5, 0.5, (SIZE, runs))
    return [change * load * rng.beta(4, 1, (SIZE, runs)) for change in (1, factor)]


def moving_load(rng, runs, factor):
    load = 0.3 + 0.25 * np.sin(np.arange(SIZE) / 80)[:, None]
    return [change * load * (rng.random((SIZE, runs)) < 0.7) for change in (1, factor)]


BOUNDED = {
    "beta": beta_values,
    "two points": two_points,
    "rare": rare_points,
    "shared load": shared_load,
    "moving load": moving_load,
}


def bets(baseline, canary, factor):
    """Logarithms of the wealth of bets above a factor, and below, at every look."""
    scores = (canary - baseline * factor) / max(1.0, factor)
    wealth = 0.0
    for t in range(0, SIZE, EVERY):
        part = scores[t : t + EVERY]
        wealth = wealth + np.stack([wealth_terms(part).sum(axis=0), wealth_terms(-part).sum(axis=0)])
        yield log_wealth(wealth)


def watch_bounded(runs, name, direction, seed):
    rng, errors = np.random.default_rng(seed), np.zeros((2, len(LEVELS)), dtype=int)
    factor = factor_of(0.1, direction)
    for start in range(0, runs, 1000):
        arms = BOUNDED[name](rng, min(1000, runs - start), factor)
        highest = -np.inf
        for found in bets(*arms, factor):
            highest = np.maximum(highest, found)
        errors += (highest[..., None] >= -np.log(LEVELS)).sum(axis=1)
    return errors  # of what is bad when it falls, passes come first: both keep the same level


@BOTH
@pytest.mark.parametrize("name", BOUNDED)
def test_sampled_watches_of_bounded_values_keep_their_level(name, direction):
    runs = fewest_runs(LEVELS[0])
    check(watch_bounded(runs, name, direction, 6), runs)


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("name", BOUNDED)
def test_watches_of_bounded_values_keep_their_level(name, direction):
    check(watch_bounded(5_000, name, direction, 7), 5_000)


@BOTH
@pytest.mark.parametrize("name", BOUNDED)
def test_the_process_of_bounded_values_finds_the_same_evidence(name, direction):
    settings = cj.Sequential(method="betting", cap=1)
    metric = cj.Metric(name="m", direction=direction, tolerance="10%", rules=[settings])
    factor = factor_of(0.1, direction)
    baseline, canary = BOUNDED[name](np.random.default_rng(8), 1, factor)
    expected = np.stack(list(bets(baseline, canary, factor)), axis=1)[..., 0]
    process = MeanBettingProcess(
        question_of(metric, ErrorRates(0.05, 0.05)), cap=settings.in_unit_of(metric).cap
    )
    same_evidence(
        process, (baseline[:, 0], canary[:, 0]), expected if direction == "increase" else expected[::-1]
    )
