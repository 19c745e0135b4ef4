"""A watch within segments keeps its error rates over all looks: for the release, for what is worse and for who is to blame, and a mix that shifts is no effect."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from cohorts import ARMS, START, columns, errors, gauges, shifted_errors
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
HOUR = 3600
# what healthy arms differ by would hide how the tests keep their levels
POLICIES = {
    kind: cj.Policy(
        metrics=[
            cj.Metric(name="m", kind=kind, direction="increase", assumed_spread="0%", unit=unit, **more)
        ],
        segments={"by": ["region"]},
        alpha=ALPHA,
        max_duration="59m",
    )
    for kind, unit, more in (
        ("gauge", "ms", {"rules": ["sequential"]}),
        ("ratio", "", {}),
        ("samples", "ms", {"effect": "ratio", "interval": "2m"}),
    )
}
RUNS = [pytest.param(4, id="few"), pytest.param(60, id="many", marks=pytest.mark.slow)]


def requests(rng, changes, size=900):
    """Latencies of an hour, the same number of each segment's two arms."""
    found = []
    for place, (segment, change) in enumerate(changes.items()):
        for arm, factor in zip(ARMS, (1.0, 1 + change), strict=True):
            time = START + np.sort(rng.uniform(0, HOUR, size))
            value = rng.lognormal(np.log(100 * (1 + place)), 0.3, size) * factor
            found.append(columns(segment, arm, time=time, value=value))
    return pd.concat(found, ignore_index=True)


DRAWS = {
    "gauge": gauges,
    "ratio": lambda rng, changes: errors(rng, changes, REQUESTS, RATES),
    "samples": requests,
}


class Watched(NamedTuple):
    """What became of a watch."""

    failed: bool
    names: set
    passed: bool
    at_fail: set


def watch(asked, data, minutes=5):
    """Look again and again until the data end, beyond a fail too; and tell who was named at any look, and at the one that failed."""
    monitor, failed, names, at_fail = cj.Monitor(asked), False, set(), set()
    for _, points in data.groupby((data.time - START) // (60 * minutes)):
        monitor.update(points)
        verdict = monitor.verdict()
        found = () if verdict.segments is None else verdict.segments.metrics["m"].culprits
        now = {each.name for each in found}
        names |= now
        if verdict.outcome == "fail" and not failed:
            failed, at_fail = True, now
    return Watched(failed, names, verdict.outcome == "pass", at_fail)


def watches(kind, changes, runs, seed):
    rng = np.random.default_rng(seed)
    runs = max(runs // 4, 1) if kind == "samples" else runs  # which take ten times as long
    return [watch(POLICIES[kind], DRAWS[kind](rng, changes)) for _ in range(runs)]


def assert_rate_at_least(hits, runs, rate):
    """Fail if so few would be a one-in-a-million accident at this rate."""
    assert binom.cdf(hits, runs, rate) > 1e-6, f"{hits} of {runs} where {rate:.0%} are promised"


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("kind", POLICIES)
def test_one_bad_segment_of_eight_fails_the_release_and_is_named_at_some_look(kind, runs):
    found = watches(kind, ONE_BAD, runs, 1)
    runs = len(found)
    assert_rate_at_least(sum(each.failed for each in found), runs, 0.95)
    assert_rate_at_least(sum(("r3",) in each.names for each in found), runs, 0.9)
    assert_rate_at_least(sum(("r3",) in each.at_fail for each in found), runs, 0.6)
    assert_rate_at_most(sum(bool(each.names - {("r3",)}) for each in found), runs, ALPHA)


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("kind", POLICIES)
def test_where_none_is_bad_none_is_named_at_any_look_and_the_release_stands(kind, runs):
    for changes, passes in ((NONE_BAD, 1.0), (AT_LIMIT, 0.05)):
        found = watches(kind, changes, runs, 2)
        assert_rate_at_most(sum(each.failed or bool(each.names) for each in found), len(found), ALPHA)
        # of gauges a pass is held against how much the baseline itself varies
        if kind != "gauge":
            assert_rate_at_most(sum(each.passed for each in found), len(found), passes)


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("kind", POLICIES)
def test_where_all_are_bad_alike_the_release_fails_and_none_is_to_blame(kind, runs):
    found = watches(kind, ALL_BAD, runs, 3)
    runs = len(found)
    assert_rate_at_least(sum(each.failed for each in found), runs, 0.99)
    assert_rate_at_most(sum(bool(each.names) for each in found), runs, ALPHA)


@pytest.mark.parametrize("runs", RUNS)
def test_a_mix_that_shifts_is_no_effect_and_hides_none(runs):
    rng, pooled, healthy, worse = np.random.default_rng(4), 0, 0, 0
    whole = POLICIES["ratio"].model_copy(update={"segments": None})
    for _ in range(runs):
        data = shifted_errors(rng, 0.0)
        healthy += watch(POLICIES["ratio"], data).failed
        pooled += watch(
            whole, data.groupby(["metric", "arm", "time"], as_index=False)[["value", "total"]].sum()
        ).failed
        worse += watch(POLICIES["ratio"], shifted_errors(rng, 0.3)).failed
    assert_rate_at_most(healthy, runs, ALPHA)
    assert_rate_at_least(pooled, runs, 0.5)
    assert_rate_at_least(worse, runs, 0.95)


@pytest.mark.parametrize("runs", RUNS)
def test_what_befalls_an_arm_in_all_segments_at_once_is_no_effect(runs):
    rng, failed = np.random.default_rng(5), 0
    for _ in range(runs):
        moods = {arm: np.exp(rng.normal(0, 0.15, 30)) for arm in ARMS}
        data = [
            columns(
                region,
                arm,
                time=START + 60 * np.arange(30),
                value=rng.binomial(n, RATES[region] * moods[arm]),
                total=n,
            )
            for region in REGIONS
            for arm, n in zip(ARMS, (4000, 1300), strict=True)
        ]
        failed += watch(POLICIES["ratio"], pd.concat(data, ignore_index=True)).failed
    assert_rate_at_most(failed, runs, ALPHA)
