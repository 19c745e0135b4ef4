"""With replicas, a healthy release fails at most as often as promised, however much replicas of one version differ."""

import numpy as np
import pytest
from replicated import LEVEL, SHAPES, SPREADS, N, services, simulate
from simulation import assert_rate_at_most, failed, fewest_runs, sizes

import canaryjudge as cj


def test_a_change_right_at_the_tolerance_is_seldom_misjudged():
    runs = fewest_runs(1.1 * LEVEL)
    for _, fails, passes in simulate(runs, ((2, 1), (5, 1)), (0.05, 0.2), (0.5,)):
        assert_rate_at_most(fails, runs, 1.1 * LEVEL)
        assert_rate_at_most(passes, runs, 1.1 * LEVEL)


@pytest.mark.slow
def test_a_change_right_at_the_tolerance_is_seldom_misjudged_in_full():
    for _, fails, passes in simulate(2000, SHAPES, SPREADS, (0.0, 0.5)):
        assert_rate_at_most(fails, 2000, 1.1 * LEVEL)
        assert_rate_at_most(passes, 2000, 1.1 * LEVEL)


def release(rng, many, few, spread, factor=1.0):
    arms = {
        "baseline": services(rng, 1, many, spread, 0.3)[0],
        "canary": services(rng, 1, few, spread, 0.3, factor=factor)[0],
    }
    time = np.arange(N) * 60.0
    return {
        "latency": {
            name: {
                "time": np.tile(time, len(rows)),
                "value": rows.ravel(),
                "replica": np.repeat([f"pod-{i}" for i in range(len(rows))], N),
            }
            for name, rows in arms.items()
        }
    }


POLICY = cj.Policy(alpha=LEVEL, metrics=[cj.Metric(name="latency", direction="increase", tolerance="0%")])


@sizes(LEVEL, 300)
@pytest.mark.parametrize(
    ("many", "few", "spread"), [(2, 1, 0.2), pytest.param(4, 2, 0.05, marks=pytest.mark.slow), (10, 1, 0.2)]
)
def test_replicas_of_one_version_that_differ_do_not_fail_a_release(many, few, spread, runs):
    rng = np.random.default_rng(7)
    releases = [release(rng, many, few, spread) for _ in range(runs)]
    assert_rate_at_most(failed(releases, POLICY), runs, LEVEL)


def test_without_replicas_the_same_data_fail():
    """What the yardstick is for: pooled, replicas that differ look like a change."""
    rng = np.random.default_rng(7)
    releases = [release(rng, 3, 1, 0.2) for _ in range(100)]
    for data in releases:
        for arm in data["latency"].values():
            values = arm.pop("value").reshape(-1, N).mean(axis=0)
            arm |= {"time": arm["time"][:N], "value": values}
            del arm["replica"]
    assert failed(releases, POLICY) > 25


def test_a_change_beyond_what_replicas_differ_by_is_found():
    rng = np.random.default_rng(8)
    assert failed([release(rng, 8, 2, 0.05, factor=1.5) for _ in range(20)], POLICY) == 20


def errors(rng, many, few, spread):
    """Errors of 1,000 requests a minute and replica; replicas' rates vary by `spread`."""
    arms = {}
    for name, count in (("baseline", many), ("canary", few)):
        rates = 5 * rng.gamma(1 / spread**2, spread**2, count)
        arms[name] = {
            "time": np.tile(np.arange(30) * 60.0, count),
            "value": rng.poisson(rates[:, np.newaxis], (count, 30)).ravel(),
            "total": np.full(30 * count, 1000),
            "replica": np.repeat([f"pod-{i}" for i in range(count)], 30),
        }
    return {"errors": arms}


def errors_policy(**settings):
    metric = {"name": "errors", "kind": "ratio", "direction": "increase", "tolerance": "0%"} | settings
    return cj.Policy(alpha=LEVEL, metrics=[cj.Metric(**metric)])


@sizes(LEVEL, 300)
@pytest.mark.parametrize("kind", ["ratio", "count"])
@pytest.mark.parametrize(
    ("many", "few", "spread"),
    [
        (2, 1, 0.2),
        pytest.param(2, 2, 0.2, marks=pytest.mark.slow),
        pytest.param(3, 1, 0.05, marks=pytest.mark.slow),
        pytest.param(5, 1, 0.2, marks=pytest.mark.slow),
        pytest.param(10, 3, 0.2, marks=pytest.mark.slow),
        (5, 5, 0.5),
    ],
)
def test_replicas_whose_error_rates_differ_do_not_fail_a_release(many, few, spread, kind, runs):
    rng = np.random.default_rng(9)
    policy = errors_policy(kind=kind)
    releases = [errors(rng, many, few, spread) for _ in range(runs)]
    assert_rate_at_most(failed(releases, policy), runs, LEVEL)


CHANGES = {
    "pooled": ("ratio", {"rule": "slo", "of": "pooled", "op": "lte", "change": "+0%"}),
    "mean": ("gauge", {"rule": "slo", "of": "mean", "op": "lte", "change": "+0%"}),
    "p90": ("gauge", {"rule": "slo", "of": "p90", "op": "lte", "change": "+0%"}),
}


@sizes(LEVEL, 300)
@pytest.mark.parametrize("of", CHANGES)
@pytest.mark.parametrize(
    ("many", "few"), [(2, 1), *(pytest.param(*each, marks=pytest.mark.slow) for each in ((5, 2), (10, 2)))]
)
def test_nor_does_an_objective_against_the_baseline(many, few, of, runs):
    rng = np.random.default_rng(10)
    kind, rule = CHANGES[of]
    if kind == "ratio":
        policy, make = errors_policy(rules=[rule]), lambda: errors(rng, many, few, 0.2)
    else:
        metric = cj.Metric(name="latency", direction="increase", rules=[rule])
        policy, make = cj.Policy(alpha=LEVEL, metrics=[metric]), lambda: release(rng, many, few, 0.2)
    assert_rate_at_most(failed([make() for _ in range(runs)], policy), runs, LEVEL)
