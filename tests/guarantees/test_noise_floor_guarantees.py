"""Healthy windows that truly differ do not fail a release whose policy knows by how much; without that they do."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from simulation import ar1, assert_rate_at_most, failed, fewest_runs, judged, judged_apart, sizes

import canaryjudge as cj
from canaryjudge.stats.replicas import excess

ALPHA = 0.05
WINDOW, SPREAD = 60, 0.03


def windows(rng, count, rho=0.5):
    """Windows of a gauge: each at its own level, 3 % around 100, with AR noise of 2 % around that."""
    levels = 100 * (1 + SPREAD * rng.normal(size=count))
    return levels[:, None] + 2 * ar1(rng, count, WINDOW, rho)


def with_floor(floor, kind="gauge", **settings):
    metric = cj.Metric(
        name="m", kind=kind, direction="increase", tolerance="0%", noise_floor=floor, **settings
    )
    return cj.Policy(alpha=ALPHA, metrics=[metric])


def measured(rng, count):
    """The floor as a history of so many disjoint pairs of windows has it."""
    pairs = windows(rng, 2 * count).reshape(count, 2, WINDOW)
    medians = np.median(pairs, axis=2)
    differences = (medians[:, 1] - medians[:, 0]) / medians[:, 0]
    errors = 2 * np.sqrt(3 / WINDOW * np.pi / 2 * 2) / 100  # of the median of AR(1) noise with rho .5
    spread, df = excess(differences, np.full(count, errors), count)
    return None if spread == 0 else {"between_windows": f"{100 * spread}%", "windows": 2 * count, "df": df}


def release(rng, factor=1.0):
    baseline, canary = windows(rng, 2)
    return {"m": {"baseline": baseline, "canary": factor * canary}}


def test_windows_that_differ_fail_far_too_often_without_a_floor():
    runs = fewest_runs(ALPHA)
    rng = np.random.default_rng(1)
    found = failed([release(rng) for _ in range(runs)], with_floor(None))
    assert binom.sf(found - 1, runs, ALPHA) < 1e-9


@sizes(ALPHA, 300)
@pytest.mark.parametrize("known", [20, 200])
def test_with_the_floor_of_a_history_they_fail_no_more_than_promised(known, runs):
    rng = np.random.default_rng(2)
    policies = [with_floor(measured(rng, known)) for _ in range(runs)]
    found = judged_apart([release(rng) for _ in range(runs)], policies)
    assert_rate_at_most(sum(result.outcome == "fail" for result in found), runs, ALPHA)


@sizes(ALPHA, 300)
def test_a_release_at_the_tolerance_is_seldom_failed_and_seldom_passed(runs):
    rng = np.random.default_rng(3)
    floor = {"between_windows": "3%", "windows": 1000}
    policy = cj.Policy(
        alpha=ALPHA, beta=ALPHA, metrics=[cj.Metric(name="m", direction="increase", noise_floor=floor)]
    )
    outcomes = [verdict.outcome for verdict in judged([release(rng, 1.1) for _ in range(runs)], policy)]
    assert_rate_at_most(outcomes.count("fail"), runs, ALPHA)
    assert_rate_at_most(outcomes.count("pass"), runs, ALPHA)


def test_what_is_far_beyond_the_floor_is_still_found():
    rng = np.random.default_rng(4)
    floor = {"between_windows": "3%", "windows": 40}
    assert failed([release(rng, 1.25) for _ in range(40)], with_floor(floor)) >= 38


def counts(rng, spread):
    """An hour of errors: 1 % of 2,000 requests a minute, at a level of the window's own."""
    total = np.full(WINDOW, 2000.0)
    return {"value": rng.binomial(2000, 0.01 * np.exp(spread * rng.normal()), WINDOW), "total": total}


@sizes(ALPHA, 300)
@pytest.mark.parametrize("kind", ["ratio", "count"])
@pytest.mark.parametrize("spread", [0.1, 0.3])
def test_events_whose_rate_differs_between_windows_keep_the_promise(kind, spread, runs):
    rng = np.random.default_rng(5)
    settings = {"rules": [{"ratio": "proportion", "count": "rate"}[kind]]}
    floors = ({"between_windows": f"{100 * spread}%", "windows": 30}, None)
    policies = [
        cj.Policy(
            alpha=ALPHA,
            metrics=[
                cj.Metric(
                    name="m", kind=kind, direction="increase", tolerance="0%", noise_floor=floor, **settings
                )
            ],
        )
        for floor in floors
    ]
    releases = [{"m": {arm: counts(rng, spread) for arm in ("baseline", "canary")}} for _ in range(runs)]
    found = [failed(releases, policy) for policy in policies]
    assert_rate_at_most(found[0], runs, ALPHA)
    assert binom.sf(found[1] - 1, runs, ALPHA) < 1e-9


@sizes(ALPHA, 300)
def test_histograms_of_windows_that_differ_keep_the_promise(runs):
    rng = np.random.default_rng(6)
    edges = np.append(np.geomspace(10, 1000, 40), np.inf)
    floors = ({"between_windows": "10%", "windows": 40}, None)
    policies = [with_floor(floor, kind="histogram", rules=["mann_whitney"]) for floor in floors]
    releases = []
    for _ in range(runs):
        arms = {}
        for arm in ("baseline", "canary"):
            level = 100 * np.exp(0.1 * rng.normal())
            values = level * rng.lognormal(0, 0.5, (30, 200))
            buckets = [np.bincount(np.searchsorted(edges, row), minlength=len(edges)) for row in values]
            arms[arm] = {"edges": edges, "buckets": buckets}
        releases.append({"m": arms})
    found = [failed(releases, policy) for policy in policies]
    assert_rate_at_most(found[0], runs, ALPHA)
    assert binom.sf(found[1] - 1, runs, ALPHA) < 1e-9


def releases_of(rng, runs):
    """Releases of two windows each, one under the other."""
    values = np.stack([windows(rng, 2) for _ in range(runs)])
    columns = {"release": np.repeat(np.arange(runs), 2 * WINDOW).astype(str), "metric": "m"}
    columns["arm"] = np.tile(np.repeat(["baseline", "canary"], WINDOW), runs)
    return pd.DataFrame(
        {**columns, "time": np.tile(60.0 * np.arange(WINDOW), 2 * runs), "value": values.ravel()}
    )


@pytest.mark.parametrize(
    ("rules", "runs"),
    [(["sequential"], fewest_runs(ALPHA)), pytest.param(None, 300, marks=pytest.mark.slow)],
)
def test_planned_looks_of_replicas_that_differ_keep_the_promise(rules, runs):
    """What differs between the arms for good is the same at every look."""
    rng, short = np.random.default_rng(7), 30
    found = {}
    for name, floor in (("with", {"between_replicas": "3%", "replicas": 60}), ("without", None)):
        metric = cj.Metric(
            name="m", direction="increase", tolerance="0%", noise_floor=floor, assumed_spread=0, rules=rules
        )
        policy = cj.Policy(alpha=ALPHA, max_points=WINDOW, metrics=[metric])
        watched = cj.Monitors(policy, by="release")
        watched.update(releases_of(rng, runs if floor else short))
        found[name] = [*watched.verdicts().outcomes.values()].count("fail")
    assert_rate_at_most(found["with"], runs, ALPHA)
    assert binom.sf(found["without"] - 1, short, ALPHA) < 1e-6
