"""How often a watch of histograms fails a change that is just tolerated, or passes it; and that it tells harm from none."""

import numpy as np
import pytest
from judging import feed
from simulation import assert_rate_at_most

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair, question_of
from canaryjudge.rules import ErrorRates
from canaryjudge.rules.sequential.histograms import HistogramProcess

LEVEL = 0.05
EDGES = np.concatenate([np.geomspace(0.005, 10, 24), [np.inf]])
METRIC = cj.Metric(name="latency", kind="histogram", direction="increase", tolerance="10%", unit="s")


def arm(values):
    buckets = np.histogram(values, np.concatenate([[0.0], EDGES]))[0].astype(float)[None]
    return Arm(buckets.sum(axis=1), buckets=buckets)


def watch(rng, change, intervals, requests=(200, 200)):
    """Whether a watch ever failed, and ever passed; requests share the weather of their interval."""
    process = HistogramProcess(question_of(METRIC, ErrorRates(LEVEL, LEVEL)))
    outcomes = set()
    for t in range(intervals):
        weather = 0.3 * np.sin(t / 5) + 0.1 * rng.standard_normal()
        baseline, canary = (np.exp(-2 + weather + 0.6 * rng.standard_normal(n)) for n in requests)
        feed(
            process,
            MetricPair("latency", "histogram", arm(baseline), arm(canary * (1 + change)), edges=EDGES),
        )
        if t % 4 == 3:
            outcomes.add(process.finding().outcome)
    return "fail" in outcomes, "pass" in outcomes


@pytest.mark.parametrize(
    ("runs", "requests"),
    [(60, (950, 50)), *(pytest.param(600, each, marks=pytest.mark.slow) for each in ((200, 200), (950, 50)))],
)
def test_a_change_that_is_just_tolerated_seldom_fails_or_passes(runs, requests):
    rng = np.random.default_rng(8)
    failed, passed = zip(*(watch(rng, 0.1, 40, requests) for _ in range(runs)), strict=True)
    assert_rate_at_most(sum(failed), runs, 1.5 * LEVEL)
    assert_rate_at_most(sum(passed), runs, 1.5 * LEVEL)


def test_harm_fails_and_no_change_passes():
    rng = np.random.default_rng(9)
    assert [watch(rng, 0.4, 20) for _ in range(10)] == [(True, False)] * 10
    assert [watch(rng, 0.0, 40) for _ in range(10)] == [(False, True)] * 10
