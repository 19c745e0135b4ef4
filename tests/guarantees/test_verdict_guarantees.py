"""The promise itself: the error rates of a release's verdict, whatever its metrics.

Every release has five metrics of four kinds whose true effect is the tolerance exactly: where a false fail is the most likely,
and a false pass as well.
"""

import numpy as np
import pytest
from simulation import ar1, assert_rate_at_most, fewest_runs, judged, sizes

import canaryjudge as cj

ALPHA, BETA = 0.10, 0.10
INTERVALS = 60
METRICS = (
    cj.Metric(name="cpu", direction="increase", tolerance="10%"),
    cj.Metric(name="memory", direction="decrease", tolerance="25%", weight=2),
    cj.Metric(name="latency", kind="samples", direction="increase", tolerance="10%"),
    cj.Metric(name="errors", kind="ratio", direction="increase", tolerance="25%"),
    cj.Metric(name="requests", kind="count", direction="either", tolerance="10%"),
)


def release(rng):
    """One release at the edge of every tolerance."""
    cpu = 50 + 4 * ar1(rng, 2, INTERVALS, 0.5)
    memory = 80 + 2 * ar1(rng, 2, INTERVALS, 0.7)
    requests = rng.integers(800, 1200, (2, INTERVALS))
    return {
        "cpu": {"baseline": cpu[0], "canary": 1.1 * cpu[1]},
        "memory": {"baseline": memory[0], "canary": memory[1] / 1.25},
        "latency": {
            "baseline": rng.lognormal(4, 0.4, 150),
            "canary": rng.lognormal(4, 0.4, 150) + 0.1 * np.exp(4),
        },
        "errors": {
            "baseline": {"value": rng.binomial(requests[0], 0.02), "total": requests[0]},
            "canary": {"value": rng.binomial(requests[1], 0.025), "total": requests[1]},
        },
        "requests": {"baseline": rng.poisson(40, INTERVALS), "canary": rng.poisson(44, INTERVALS)},
    }


def counts(verdicts):
    """How many fail, and how many pass."""
    outcomes = [verdict.outcome for verdict in verdicts]
    return outcomes.count("fail"), outcomes.count("pass")


def check(runs, seed, **settings):
    rng = np.random.default_rng(seed)
    policy = cj.Policy(alpha=ALPHA, beta=BETA, metrics=METRICS, **settings)
    alone = [cj.Policy(alpha=ALPHA, beta=BETA, metrics=[metric]) for metric in METRICS]
    releases = [release(rng) for _ in range(runs)]
    (fails, passes), *counted = (counts(judged(releases, asked)) for asked in (policy, *alone))
    single = np.array(counted)
    assert_rate_at_most(fails, runs, ALPHA)
    assert_rate_at_most(passes, runs, BETA)
    for metric_fails, metric_passes in single.tolist():
        assert_rate_at_most(metric_fails, runs, ALPHA)
        assert_rate_at_most(metric_passes, runs, BETA)
    return fails, passes, single


def test_a_release_at_the_edge_of_every_tolerance_keeps_both_rates():
    _, _, single = check(fewest_runs(ALPHA), 20260306)
    assert single.sum(axis=0).min() > 0  # the simulation can tell: the edge is where errors happen


@pytest.mark.slow
def test_a_release_at_the_edge_of_every_tolerance_keeps_both_rates_in_full():
    fails, passes, single = check(1500, 20260307)
    # not by never deciding: five tests share alpha, and each alone uses much of its own
    assert fails > 0.1 * ALPHA * 1500
    assert passes < fails
    assert (single.max(axis=0) > 0.3 * ALPHA * 1500).all()


def at_one_edge(rng, name):
    """A release with one metric at its edge; the others are proven fine, so that all depends on it."""
    data = release(rng)
    fine = {
        "cpu": 50 + 0.1 * rng.normal(size=(2, INTERVALS)),
        "memory": 80 + 0.1 * rng.normal(size=(2, INTERVALS)),
        "latency": rng.lognormal(4, 0.01, (2, 150)),
        "requests": np.full((2, INTERVALS), 4000),
    }
    for other, (baseline, canary) in fine.items():
        if other != name:
            data[other] = {"baseline": baseline, "canary": canary}
    if name != "errors":
        few = {"value": np.full(INTERVALS, 1000), "total": np.full(INTERVALS, 100_000)}
        data["errors"] = {"baseline": few, "canary": few}
    return data


@sizes(BETA, 300)
@pytest.mark.parametrize("name", [metric.name for metric in METRICS])
def test_one_bad_metric_among_fine_ones_passes_no_more_often_than_beta(name, runs):
    """The intersection-union test at its hardest: every other metric passes."""
    rng = np.random.default_rng(20260308)
    policy = cj.Policy(alpha=ALPHA, beta=BETA, metrics=METRICS)
    verdicts = judged([at_one_edge(rng, name) for _ in range(runs)], policy)
    others = {
        metric.outcome for verdict in verdicts for metric in verdict.metrics.values() if metric.name != name
    }
    assert others == {"pass"}
    fails, passes = counts(verdicts)
    assert_rate_at_most(passes, runs, BETA)
    assert_rate_at_most(fails, runs, ALPHA)


def test_releases_that_are_clearly_bad_fail_and_clearly_fine_ones_pass():
    rng = np.random.default_rng(20260309)
    policy = cj.Policy(metrics=METRICS)
    fine = [at_one_edge(rng, "none") for _ in range(20)]
    halved = {"requests": {"baseline": [4000] * INTERVALS, "canary": [2000] * INTERVALS}}
    assert {verdict.outcome for verdict in judged(fine, policy)} == {"pass"}
    assert {verdict.outcome for verdict in judged([each | halved for each in fine], policy)} == {"fail"}
