"""How often gauges, looked at five times, fail what is tolerable or pass what is not.

At the tolerated change itself, 10 % of the baseline's level, where both errors are likeliest. Looks share out the level exactly; the test
that is asked is approximate where points depend on each other, and up to 1.5 times the level is allowed. What 20,000 runs showed, in % of
runs (failed / passed):

========================================= =========== ===========
case                                      at 5 %      at 1 %
========================================= =========== ===========
independent                               4.53 / 4.83 0.81 / 0.85
independent, 120 points                   4.83 / 4.97 0.97 / 0.95
independent, Pocock                       4.52 / 4.60 0.83 / 0.77
rho .5                                    5.55 / 5.50 1.16 / 1.10
rho .5, 120 points                        5.24 / 5.35 1.02 / 1.07
rho .5, Pocock                            5.80 / 5.92 1.36 / 1.55
shared load                               5.17 / 5.37 1.06 / 0.99
spikes                                    5.67 / 6.21 1.13 / 1.40
rho .8                                    5.45 / 5.54 0.87 / 0.81
rho .9                                    5.29 / 5.29 0.65 / 0.59
rho .9, 120 points                        5.50 / 5.43 0.65 / 0.65
rho .95                                   6.20 / 6.02 0.51 / 0.47
random walk                               4.70 / 4.84 0.23 / 0.27
fast noise on slow                        18.46 / 19.10 9.62 / 10.30
========================================= =========== ===========

These are ranks of arms on one clock, as of the shares of ratios' intervals; of arms that follow each other the same but for rho .95 (2.5 % at 1 %). Minute by minute the same cases keep within 1.5 times the level too (3,000 runs: 3.6 to 5.5 at 5 %, .6 to 1.4 at 1 %), but for dependence
that so few points cannot know: rho .9 7.0 / 7.8 and 2.0 / 2.5, .95 11.6 / 11.3 and 4.3 / 4.6, random walk 6.1 / 6.5 and 2.3 / 2.8.
"""

from functools import partial

import numpy as np
import pytest
from judging import feed
from simulation import ar1, assert_rate_at_most
from watches import LOOKS, sizes_of, watch_minutes, watch_ranks

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair, question_of
from canaryjudge.policy import MannWhitney
from canaryjudge.rules import ErrorRates, Horizon
from canaryjudge.rules.sequential.planned_looks import LookPlan, LooksProcess

LIMIT = 0.1
METRIC = cj.Metric(name="m", direction="increase", tolerance={"relative": LIMIT}, assumed_spread=0)
LEVELS = (0.05, 0.01)


def noise_of(kind, rng, runs, n):
    """Noise of both arms."""
    match kind:
        case "spikes":
            spikes = (rng.random((2, runs, n)) < 0.03) * rng.exponential(8, (2, runs, n))
            return [ar1(rng, runs, n, 0.5) + arm for arm in spikes]
        case "shared load":
            load = 0.8 * ar1(rng, runs, n, 0.8)
            return [load + 0.6 * ar1(rng, runs, n, 0.5) for _ in range(2)]
        case "fast noise on slow":
            return [0.7 * (ar1(rng, runs, n, 0.9) + rng.normal(size=(runs, n))) for _ in range(2)]
        case "random walk":
            return [0.2 * rng.normal(size=(runs, n)).cumsum(axis=1) for _ in range(2)]
        case _:
            return [ar1(rng, runs, n, float(kind)) for _ in range(2)]


def gauges(kind, rng, runs, n):
    """Both arms of a watch, the canary changed by what is tolerated."""
    baseline, canary = (100 + 5 * noise for noise in noise_of(kind, rng, runs, n))
    return baseline, (1 + LIMIT) * canary


def errors(kind, runs, seed, *, n=60, spending="obrien_fleming", look=watch_ranks):
    """Watches that ever failed, and that ever passed, at each level."""
    rng, found = np.random.default_rng(seed), np.zeros((2, len(LEVELS)), dtype=int)
    for start in range(0, runs, 1000):
        arms = gauges(kind, rng, min(1000, runs - start), n)
        told = [look(*arms, LIMIT, (level, level), spending) for level in LEVELS]
        found += np.array([[side.any(axis=1).sum() for side in sides] for sides in told]).T
    return found


# the noise, what is asked, and the multiple of the level that is allowed
CASES = {
    "independent": ("0", {}, 1.5),
    "independent, 120 points": ("0", {"n": 120}, 1.5),
    "independent, Pocock": ("0", {"spending": "pocock"}, 1.5),
    "rho .5": ("0.5", {}, 1.5),
    "rho .5, 120 points": ("0.5", {"n": 120}, 1.5),
    "rho .5, Pocock": ("0.5", {"spending": "pocock"}, 1.5),
    "shared load": ("shared load", {}, 1.5),
    "spikes": ("spikes", {}, 1.5),
    "rho .8": ("0.8", {}, 1.5),
    "rho .9": ("0.9", {}, 1.5),
    "rho .9, 120 points": ("0.9", {"n": 120}, 1.5),
    "rho .95": ("0.95", {}, 1.5),
    "random walk": ("random walk", {}, 1.5),
}


WINDOWS = CASES | {
    # of arms that follow each other 60 points show too little of so strong a dependence: 2.5 % at 1 %
    "rho .95": ("0.95", {}, 3)
}
MINUTES = CASES | {
    # so strong a dependence is not known from so few points, and such a pass or fail is listed as outside the proven range
    "rho .9": ("0.9", {}, 3.5),
    "rho .95": ("0.95", {}, 6),
    "random walk": ("random walk", {}, 4.5),
}


aligned_ranks = partial(watch_ranks, concurrent=True)


def check(name, runs, seed, cases=CASES, **how):
    kind, settings, allowed = cases[name]
    for side in errors(kind, runs, seed, **settings, **how):
        for wrong, level in zip(side, LEVELS, strict=True):
            assert_rate_at_most(int(wrong), runs, allowed * level)


def sampled(cases):
    """Those of an hour, in which errors are no rarer."""
    return [name for name in cases if "120" not in name]


@pytest.mark.parametrize("name", sampled(CASES))
def test_sampled_watches_of_gauges_keep_their_level(name):
    check(name, 500, 1, look=aligned_ranks)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_watches_of_gauges_keep_their_level(name):
    check(name, 10_000, 2, look=aligned_ranks)


@pytest.mark.slow
@pytest.mark.parametrize("name", WINDOWS)
def test_watches_of_windows_keep_their_level(name):
    check(name, 10_000, 2, WINDOWS)


@pytest.mark.parametrize("name", sampled(MINUTES))
def test_sampled_watches_minute_by_minute_keep_their_level(name):
    check(name, 500, 1, MINUTES, look=watch_minutes)


@pytest.mark.slow
@pytest.mark.parametrize("name", MINUTES)
def test_watches_minute_by_minute_keep_their_level(name):
    check(name, 10_000, 2, MINUTES, look=watch_minutes)


@pytest.mark.slow
def test_dependence_that_hides_behind_noise_is_not_allowed_for():
    """A bound of what is documented, not of what is promised."""
    for side in errors("fast noise on slow", 5000, 3):
        assert_rate_at_most(int(side[0]), 5000, 0.25)


@pytest.mark.parametrize("change", [0.92, 1.0, 1.08])
@pytest.mark.parametrize(
    ("name", "asked"),
    [*((name, watch_ranks) for name in CASES), *((name, watch_minutes) for name in MINUTES)],
)
@pytest.mark.parametrize("runs", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_the_process_decides_the_same(name, asked, change, runs):
    kind, settings, _ = CASES[name]
    n, spending = settings.get("n", 60), settings.get("spending", "obrien_fleming")
    baseline, canary = gauges(kind, np.random.default_rng(4), runs, n)
    failed, passed = asked(baseline, change * canary, LIMIT, (0.05, 0.05), spending)
    pairing = "concurrent" if asked is watch_minutes else "windows"
    question = question_of(METRIC, ErrorRates(0.05, 0.05), horizon=Horizon(max_points=n))
    for run in range(runs):
        process, done = LooksProcess(question, LookPlan("sequential", MannWhitney(), LOOKS, spending)), 0
        for look, size in enumerate(sizes_of(n)):
            arms = (Arm(arm[run, done:size]) for arm in (baseline, change * canary))
            feed(process, MetricPair("m", "gauge", *arms, pairing=pairing))
            done = size
            expected = (
                "fail" if failed[run, : look + 1].any() else "pass" if passed[run, look] else "marginal"
            )
            assert process.finding().outcome == expected
