"""Releases of a service that differs from itself by more than its minutes explain fail as seldom as promised, where its own past is given; without it they do not."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from simulation import ar1, assert_rate_at_most, fewest_runs, judged_apart, sizes

import canaryjudge as cj

ALPHA = 0.05
WINDOW, SPREAD, RHO = 30, 0.05, 0.5
TIMES = 1e9 + 60.0 * np.arange(WINDOW)
POLICY = cj.Policy(
    alpha=ALPHA,
    metrics=[
        cj.Metric(
            name="m",
            unit="ms",
            direction="increase",
            tolerance="0%",
            pass_within="30%",
            rules=["mann_whitney"],
        )
    ],
)


def arms(rng, count, points=WINDOW):
    """Windows or pods at levels of their own, with dependent noise of 2 % around them."""
    own = 100 * np.exp(SPREAD * rng.normal(size=count))
    return own[:, None] * np.exp(0.02 * ar1(rng, count, points, RHO))


def of_windows(rng, count):
    """One series: windows that follow each other, the last two of which are the release."""
    values = arms(rng, count + 2)
    times = TIMES + 60.0 * WINDOW * np.arange(count + 2)[:, None]
    history = {"m": {"time": times[:count].ravel(), "value": values[:count].ravel()}}
    return history, [{"time": times[-2 + arm], "value": values[-2 + arm]} for arm in (0, 1)]


def of_pods(rng, count):
    """Pods that share a load and differ for good; two others are the arms."""
    points = 9 * WINDOW
    load = np.exp(0.3 * ar1(rng, 1, points, 0.9))
    values = arms(rng, count + 2, points) * load
    times = TIMES[0] + 60.0 * np.arange(points)
    before, now = slice(0, 8 * WINDOW), slice(8 * WINDOW, None)
    history = {"m": {f"pod-{i}": {"time": times[before], "value": values[i, before]} for i in range(count)}}
    return history, [{"time": times[now], "value": values[count + arm, now]} for arm in (0, 1)]


def of_releases(rng, count):
    """Past releases, each with two pods of its own that share a load."""
    values = arms(rng, 2 * count + 2).reshape(-1, 2, WINDOW)
    values *= np.exp(0.3 * ar1(rng, count + 1, WINDOW, 0.9))[:, None]
    index = pd.MultiIndex.from_product(
        [range(count), ("baseline", "canary"), TIMES], names=["release", "arm", "time"]
    )
    frame = pd.DataFrame({"value": values[:-1].ravel()}, index=index).reset_index().assign(metric="m")
    return frame, [{"time": TIMES + 1e6, "value": value} for value in values[-1]]


WORLDS = {
    "8 windows": (of_windows, 8),
    "24 windows": (of_windows, 24),
    "5 pods": (of_pods, 5),
    "8 releases": (of_releases, 8),
}


def fails(rng, world, count, runs, *, told):
    histories, arms = zip(*(world(rng, count) for _ in range(runs)), strict=True)
    releases = [{"m": dict(zip(("baseline", "canary"), both, strict=True))} for both in arms]
    found = judged_apart(releases, [POLICY] * runs, histories if told else None)
    return sum(result.outcome == "fail" for result in found)


@sizes(ALPHA, 600)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name[-4:] != "dows")) for name in WORLDS]
)
def test_with_its_own_past_a_healthy_release_fails_no_more_often_than_promised(name, runs):
    world, count = WORLDS[name]
    assert_rate_at_most(fails(np.random.default_rng(1), world, count, runs, told=True), runs, ALPHA)


@pytest.mark.parametrize("name", ["8 windows", "5 pods"])
def test_without_it_far_more_often(name):
    runs = fewest_runs(ALPHA)
    found = fails(np.random.default_rng(2), *WORLDS[name], runs, told=False)
    assert binom.sf(found - 1, runs, ALPHA) < 1e-6


def times_until_found(rng, **known):
    metric = cj.Metric(name="errors", kind="ratio", direction="increase", **known.get("settings", {}))
    past = {
        "value": rng.binomial(1000, 0.01, 360),
        "total": np.full(360, 1000.0),
        "time": 1e9 - 60.0 * np.arange(360, 0, -1),
    }
    monitor = cj.Monitor(
        cj.Policy(metrics=[metric]), history={"errors": past} if known.get("history") else None
    )
    for minute in range(12):
        counted = {
            arm: {"time": [1e9 + 60.0 * minute], "value": [rng.binomial(1000, rate)], "total": [1000]}
            for arm, rate in (("baseline", 0.01), ("canary", 0.03))
        }
        monitor.update({"errors": counted})
        if monitor.verdict().outcome == "fail":
            return minute + 1
    return 99


@pytest.mark.parametrize("known", [{"history": True}, {"settings": {"dispersion": 1}}])
def test_a_watch_that_knows_how_counts_vary_finds_three_times_the_errors_within_four_intervals(known):
    rng = np.random.default_rng(3)
    assert np.quantile([times_until_found(rng, **known) for _ in range(20)], 0.8) <= 4
    assert np.median([times_until_found(rng) for _ in range(10)]) > 5
