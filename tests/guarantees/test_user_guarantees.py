"""Users right at the tolerance: how often they fail or pass wrongly, asked once or after every thousand, however skewed or clustered what they bring is."""

import numpy as np
import pytest
from judging import judge_all_by, process_by
from simulation import assert_rate_at_most, sizes

from canaryjudge.data import MetricPair
from canaryjudge.policy import Metric, RatioOfMeans, Sequential
from canaryjudge.rules import ErrorRates
from canaryjudge.rules.rows import Arm
from canaryjudge.stats.ratio_of_means import UserMoments

RATES = ErrorRates(0.01, 0.05)


def clicks(rng, size, change):
    """Clicks of users with 1 to 200 views each and a rate of their own, which was known roughly."""
    views = np.floor(np.exp(rng.uniform(0, np.log(201), size))).clip(1, 200)
    rate = 0.9 * rng.beta(1, 4, size)
    return (
        rng.binomial(views.astype(int), rate * (1 + change)).astype(float),
        views,
        rate + rng.normal(0, 0.2, size),
    )


def revenue(rng, size, change):
    """Revenue of users of whom 5 % buy, for a log-normal amount."""
    return (rng.random(size) < 0.05) * rng.lognormal(3, 1, size) * (1 + change), None, None


def conversions(rng, size, change):
    """Whether a user buys, 10 % of whom do."""
    return (rng.random(size) < 0.1 * (1 + change)) * 1.0, None, None


def arm(users):
    moments = UserMoments.of(*users)
    sums = moments.n * moments.mean[:2]
    return Arm(sums[:1], None if users[1] is None else sums[1:], moments=moments.packed()[np.newaxis])


WORLDS = pytest.mark.parametrize(
    ("draw", "counts"),
    [
        (clicks, (300, 300)),
        (clicks, (1000, 60)),
        (revenue, (3000, 3000)),
        (revenue, (3000, 200)),
        (conversions, (1000, 100)),
    ],
)


@pytest.mark.parametrize("change", [-0.05 / 1.05, 0.05], ids=["fall", "rise"])
@WORLDS
@sizes(RATES.level, 20_000)
def test_users_right_at_the_tolerance_fail_as_rarely_as_promised(draw, counts, change, runs):
    rng = np.random.default_rng(1)
    metric = Metric(
        name="m", kind="users", direction="increase" if change > 0 else "decrease", tolerance="5%"
    )
    pairs = [
        MetricPair("m", "users", arm(draw(rng, counts[0], 0.0)), arm(draw(rng, counts[1], change)))
        for _ in range(runs)
    ]
    found = judge_all_by(pairs, metric, RatioOfMeans(), RATES)
    assert_rate_at_most(sum(each.outcome == "fail" for each in found), runs, RATES.level)
    assert_rate_at_most(sum(each.outcome == "pass" for each in found), runs, RATES.beta)


LOOKS, EACH = 20, 500
"""Looks, and users an arm between two of them."""


@pytest.mark.parametrize("change", [-0.05 / 1.05, 0.05], ids=["fall", "rise"])
@pytest.mark.parametrize("draw", [clicks, revenue, conversions])
@pytest.mark.parametrize(
    "runs", [pytest.param(60, id="sampled"), pytest.param(500, id="in full", marks=pytest.mark.slow)]
)
def test_a_look_after_every_thousand_users_fails_and_passes_as_rarely_as_promised(draw, change, runs):
    rng, rates = np.random.default_rng(2), ErrorRates(0.05, 0.05)
    metric = Metric(
        name="m", kind="users", direction="increase" if change > 0 else "decrease", tolerance="5%"
    )
    fails = passes = 0
    for _ in range(runs):
        process = process_by(metric, Sequential(), rates)
        outcomes = set()
        for _ in range(LOOKS):
            process.update(process._question.of(arm(draw(rng, EACH, 0.0)), arm(draw(rng, EACH, change))))
            outcomes.add(process.finding().outcome)
        fails, passes = fails + ("fail" in outcomes), passes + ("pass" in outcomes)
    assert_rate_at_most(fails, runs, rates.level)
    assert_rate_at_most(passes, runs, rates.beta)
