"""One look within segments keeps its error rates: for the release, for what is worse and for who is to blame, and a mix that shifts is no effect."""

import numpy as np
import pytest
from cohorts import errors, gauges, policy, samples, shifted_errors
from scipy.stats import binom
from simulation import assert_rate_at_most

import canaryjudge as cj

ALPHA = 0.1
"""Larger than anybody's, so that few runs tell."""
REGIONS = tuple(f"r{place}" for place in range(8))
ONE_BAD = {region: 0.6 * (region == "r3") for region in REGIONS}
NONE_BAD, AT_LIMIT, ALL_BAD = (dict.fromkeys(REGIONS, change) for change in (0.0, 0.1, 0.6))
REQUESTS = dict.fromkeys(REGIONS, (40000, 13000))
RATES = {region: 0.01 * (1 + place % 4) for place, region in enumerate(REGIONS)}
SIZES = dict.fromkeys(REGIONS, (150, 100))
# what healthy arms differ by would hide how the tests keep their levels
POLICIES = {
    kind: policy(kind=kind, assumed_spread="0%", unit=unit, **more).model_copy(update={"alpha": ALPHA})
    for kind, unit, more in (
        ("gauge", "ms", {"rules": ["mann_whitney"]}),
        ("ratio", "", {"rules": ["proportion"]}),
        ("samples", "ms", {"rules": ["mann_whitney"], "effect": "ratio"}),
    )
}
DRAWS = {
    "gauge": gauges,
    "ratio": lambda rng, changes: errors(rng, changes, REQUESTS, RATES),
    "samples": lambda rng, changes: samples(rng, changes, SIZES),
}
RUNS = [pytest.param(12, id="few"), pytest.param(300, id="many", marks=pytest.mark.slow)]


def verdicts(kind, changes, runs, seed):
    rng = np.random.default_rng(seed)
    return [cj.judge(DRAWS[kind](rng, changes), POLICIES[kind]) for _ in range(runs)]


def named(verdict):
    return [each.name for each in verdict.segments.metrics["m"].culprits]


def assert_rate_at_least(hits, runs, rate):
    """Fail if so few would be a one-in-a-million accident at this rate."""
    assert binom.cdf(hits, runs, rate) > 1e-6, f"{hits} of {runs} where {rate:.0%} are promised"


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("kind", POLICIES)
def test_one_bad_segment_of_eight_fails_the_release_and_is_named(kind, runs):
    found = verdicts(kind, ONE_BAD, runs, 1)
    assert_rate_at_least(sum(verdict.outcome == "fail" for verdict in found), runs, 0.95)
    assert_rate_at_least(sum(named(verdict) == [("r3",)] for verdict in found), runs, 0.9)
    assert_rate_at_most(sum(bool({*named(verdict)} - {("r3",)}) for verdict in found), runs, ALPHA)


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("kind", POLICIES)
def test_where_none_is_bad_none_is_named_and_the_release_stands(kind, runs):
    for changes, passes in ((NONE_BAD, 1.0), (AT_LIMIT, 0.05)):
        found = verdicts(kind, changes, runs, 2)
        assert_rate_at_most(
            sum(verdict.outcome == "fail" or bool(named(verdict)) for verdict in found), runs, ALPHA
        )
        # of gauges a pass is held against how much the baseline itself varies
        if kind != "gauge":
            assert_rate_at_most(sum(verdict.outcome == "pass" for verdict in found), runs, passes)


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("kind", POLICIES)
def test_where_all_are_bad_alike_the_release_fails_and_none_is_to_blame(kind, runs):
    found = verdicts(kind, ALL_BAD, runs, 3)
    assert_rate_at_least(sum(verdict.outcome == "fail" for verdict in found), runs, 0.99)
    assert_rate_at_most(sum(bool(named(verdict)) for verdict in found), runs, ALPHA)


@pytest.mark.parametrize("runs", RUNS)
def test_a_mix_that_shifts_fails_a_release_whose_segments_are_pooled_and_none_that_is_compared_within_them(
    runs,
):
    rng = np.random.default_rng(4)
    asked = policy(kind="ratio", rules=["proportion"])
    pooled = cj.Policy(metrics=asked.metrics)
    healthy = [shifted_errors(rng, 0.0) for _ in range(runs)]
    worse = [shifted_errors(rng, 0.3) for _ in range(runs)]
    within = [cj.judge(data, asked).outcome for data in healthy]
    together = [cj.judge(data.drop(columns="region"), pooled).outcome for data in healthy]
    assert_rate_at_most(within.count("fail"), runs, 0.01)
    assert together.count("fail") > runs / 2
    assert_rate_at_least([cj.judge(data, asked).outcome for data in worse].count("fail"), runs, 0.95)
