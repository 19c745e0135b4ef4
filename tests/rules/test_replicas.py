"""Replicas in a verdict: what they change, and what it says of them."""

import numpy as np
import pytest

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair, row_of
from canaryjudge.rules import ErrorRates
from canaryjudge.rules.replicas import lasting, yardstick

TIME = np.arange(60) * 60.0


def series(levels, *, noise=1.0, seed=1, points=60):
    rng = np.random.default_rng(seed)
    return {
        "time": np.tile(TIME[:points], len(levels)),
        "value": np.concatenate([rng.normal(level, noise, points) for level in levels]),
        "replica": np.repeat([f"pod-{i}" for i in range(len(levels))], points),
    }


def judged(baseline, canary, **settings):
    metric = cj.Metric(**{"name": "latency", "unit": "ms", "direction": "increase"} | settings)
    verdict = cj.judge({"latency": {"baseline": baseline, "canary": canary}}, cj.Policy(metrics=[metric]))
    return verdict, verdict.metrics["latency"].findings[0]


def test_a_difference_that_replicas_show_among_themselves_does_not_fail():
    baseline, canary = series([80, 100, 120, 110]), series([125], seed=2)
    verdict, finding = judged(baseline, canary)
    assert verdict.outcome == "marginal"
    assert (finding.replicas.baseline, finding.replicas.canary) == (4, 1)
    # milliseconds are compared by their ratio where the arms share the clock
    assert finding.replicas.spread == pytest.approx(np.std(np.log([80, 100, 120, 110]), ddof=1), rel=0.05)
    said = " ".join(verdict.explain().split())
    assert "held against 1 v. 4 replicas, which differ by 17 % among themselves" in said
    assert "more replicas would decide, more points would not" in said
    pooled = {key: value for key, value in baseline.items() if key != "replica"}
    assert (
        judged(pooled, {key: value for key, value in canary.items() if key != "replica"})[0].outcome == "fail"
    )


def test_a_difference_beyond_that_fails():
    verdict, finding = judged(series([100, 101, 99, 100]), series([150, 151], seed=2))
    assert verdict.outcome == "fail"
    assert finding.interval.low > 0.1


def test_replicas_that_agree_pass():
    assert judged(series([100, 100, 100, 100, 100]), series([100, 100], seed=2))[0].outcome == "pass"


def test_where_only_replicas_leave_it_open_no_more_points_are_asked_for():
    _, finding = judged(series([80, 100, 120, 110]), series([125], seed=2))
    assert finding.more_points is None


def test_one_replica_an_arm_is_no_yardstick():
    _, finding = judged(series([100]), series([150], seed=2))
    assert finding.replicas is None


def test_a_replica_that_was_there_briefly_is_left_out():
    arm = Arm(np.ones(60))
    assert [len(kept) for kept in lasting((arm, arm.part(slice(0, 14)), arm.part(slice(0, 15))))] == [60, 15]


def test_three_replicas_are_needed():
    arm = Arm(np.ones(60))
    two = Arm(np.ones(60), replicas=(arm,))
    metric = cj.Metric(name="m", direction="increase")
    pair = row_of(MetricPair("m", "gauge", two, two), metric, ErrorRates(0.01, 0.05))
    zeros = np.zeros(1)
    assert (
        yardstick(pair, np.mean, zeros, levels=(0.01, 0.05), scales=zeros, noise=zeros, noise_df=zeros)
        is None
    )


def test_a_logarithmic_effect_takes_the_replicas_logarithms():
    _, finding = judged(series([80, 100, 125]), series([200], seed=2), effect="ratio")
    assert finding.replicas.spread == pytest.approx(np.std(np.log([80, 100, 125]), ddof=1), rel=0.05)


def test_a_replica_below_zero_has_no_logarithm():
    baseline = series([100, 100, 100])
    baseline["value"][:60] = -1
    _, finding = judged(baseline, series([100], seed=2), effect="ratio")
    assert (finding.method, finding.reason) == ("not_positive", "abstains")


def test_samples_have_replicas_too():
    rng = np.random.default_rng(3)
    arms = [
        {
            "value": np.concatenate([rng.lognormal(np.log(level), 0.3, 300) for level in levels]),
            "replica": np.repeat([f"pod-{i}" for i in range(len(levels))], 300),
        }
        for levels in ((80, 100, 120), (125,))
    ]
    _, finding = judged(*arms, kind="samples")
    assert finding.replicas.baseline == 3
    assert finding.outcome != "fail"


def ratio(errors, requests=10_000):
    replicas = len(errors)
    return {
        "time": np.tile(TIME[:10], replicas),
        "value": np.repeat(np.array(errors) / 10, 10).astype(int),
        "total": np.full(10 * replicas, requests / 10),
        "replica": np.repeat([f"pod-{i}" for i in range(replicas)], 10),
    }


def test_replicas_whose_errors_differ_are_their_own_yardstick():
    settings = {"name": "latency", "kind": "ratio", "unit": "", "tolerance": "10%"}
    verdict, finding = judged(ratio([20, 200, 50, 400, 30]), ratio([350]), **settings)
    assert verdict.outcome == "marginal"
    assert finding.replicas.dispersion > 50
    said = " ".join(verdict.explain().split())
    assert "held against 1 v. 5 replicas, whose events vary" in said
    alike, finding = judged(ratio([100, 110, 90, 100, 100]), ratio([350]), **settings)
    assert alike.outcome == "fail"
    assert finding.replicas.dispersion == pytest.approx(1, abs=0.5)


def test_of_three_replicas_only_a_disaster_is_proven():
    settings = {"name": "latency", "kind": "ratio", "unit": "", "tolerance": "10%"}
    three_times, finding = judged(ratio([100, 110]), ratio([350]), **settings)
    assert three_times.outcome == "marginal"
    assert finding.replicas.dispersion is not None
    assert "more replicas would decide, more points would not" in " ".join(three_times.explain().split())
    assert judged(ratio([100, 110]), ratio([9000]), **settings)[0].outcome == "fail"


def test_two_replicas_are_compared_as_they_are():
    settings = {"name": "latency", "kind": "ratio", "unit": "", "tolerance": "10%"}
    verdict, finding = judged(ratio([100]), ratio([350]), **settings)
    assert verdict.outcome == "fail"
    assert finding.replicas is None


def requests(rng, levels):
    """Latencies of 20 requests a minute and replica, around its own level."""
    values = rng.lognormal(np.log(levels)[:, np.newaxis], 0.2, (len(levels), 20 * len(TIME)))
    return {
        "time": np.tile(np.repeat(TIME, 20), len(levels)),
        "value": values.ravel(),
        "replica": np.repeat([f"pod-{i}" for i in range(len(levels))], 20 * len(TIME)),
    }


@pytest.mark.parametrize(
    "rule",
    [
        {"rule": "slo", "of": "mean", "op": "lte", "change": "+10%"},
        {"rule": "slo", "of": "p90", "op": "lte", "change": "+10%"},
        {"rule": "slo", "of": "within", "bound": 120, "op": "gte", "change": "-5%"},
        {"rule": "tail", "beyond": "p90", "tolerance": "50%"},
    ],
)
def test_changes_of_any_aggregate_are_held_against_the_replicas(rule):
    rng = np.random.default_rng(4)
    differ = requests(rng, [80, 120, 95, 105]), requests(rng, [118, 122])
    alike = requests(rng, [100, 101, 99, 100]), requests(rng, [149, 151])
    for arms, outcome in ((differ, "marginal"), (alike, "fail")):
        verdict, _ = judged(*arms, kind="samples", rules=[rule])
        assert verdict.outcome == outcome
    # taken together, the same requests fail
    for arm in differ:
        del arm["replica"]
    assert judged(*differ, kind="samples", rules=[rule])[0].outcome == "fail"


def test_pooled_events_and_buckets_are_held_against_the_replicas():
    rule = {"rule": "slo", "of": "pooled", "op": "lte", "change": "+20%"}
    settings = {"name": "latency", "kind": "ratio", "unit": "", "rules": [rule]}
    assert judged(ratio([20, 200, 50, 400, 30]), ratio([350]), **settings)[0].outcome == "marginal"
    assert judged(ratio([100, 110, 90, 100, 100]), ratio([350]), **settings)[0].outcome == "fail"
    rng = np.random.default_rng(5)
    edges = [*np.geomspace(40, 400, 15), np.inf]

    def buckets(levels):
        cells = [-np.inf, *edges]
        rows = [
            np.histogram(rng.lognormal(np.log(level), 0.2, 200), cells)[0] for level in levels for _ in TIME
        ]
        return {
            "edges": edges,
            "buckets": rows,
            "time": np.tile(TIME, len(levels)),
            "replica": np.repeat([f"pod-{i}" for i in range(len(levels))], len(TIME)),
        }

    rules = [
        {"rule": "slo", "of": "within", "bound": edges[6], "op": "gte", "change": "-5%"},
        {"rule": "slo", "of": "p90", "op": "lte", "change": "+10%"},
        {"rule": "tail", "tolerance": "50%"},
    ]
    for rule in rules:
        settings = {"kind": "histogram", "rules": [rule]}
        assert judged(buckets([80, 120, 95, 105]), buckets([118, 122]), **settings)[0].outcome == "marginal"
        assert judged(buckets([100, 101, 99, 100]), buckets([219, 221]), **settings)[0].outcome == "fail"


def test_a_sequential_rule_says_that_it_takes_replicas_together():
    settings = {"name": "latency", "kind": "ratio", "unit": "", "tolerance": "10%", "rules": ["sequential"]}
    verdict, _ = judged(ratio([100, 110, 90]), ratio([350]), **settings)
    assert [waived.what for waived in verdict.waived] == ["replicas_pooled"]
    assert "replicas are taken together" in " ".join(verdict.explain().split())
    assert not judged(ratio([100]), ratio([350]), **settings)[0].waived
