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
rho .9, history                           5.22 / 5.54 1.24 / 1.32
rho .9, history, 120 points               5.43 / 5.37 1.23 / 1.12
rho .9, history, Pocock                   5.12 / 5.31 1.12 / 1.17
rho .9, 30 windows                        5.33 / 5.48 1.16 / 1.24
spikes, history                           6.18 / 5.91 1.30 / 1.19
fast noise on slow, history               5.27 / 5.41 1.10 / 1.16
fast noise on slow                        18.46 / 19.10 9.62 / 10.30
random walk, history                      11.34 / 12.30 2.60 / 2.92
========================================= =========== ===========

These are ranks of arms on one clock, as of the shares of ratios' intervals; of arms that follow each other the same but for rho .95 (2.5 % at 1 %). Minute by minute the same cases keep within 1.5 times the level too (3,000 runs: 3.6 to 5.5 at 5 %, .6 to 1.4 at 1 %), but for dependence
that so few points cannot know: rho .9 7.0 / 7.8 and 2.0 / 2.5, .95 11.6 / 11.3 and 4.3 / 4.6, random walk 6.1 / 6.5 and 2.3 / 2.8.
"""

from functools import partial

import numpy as np
import pytest
from judging import feed
from scipy.special import stdtr
from simulation import ar1, assert_rate_at_most
from watches import LOOKS, nominal, pair_of, sizes_of, watch_minutes, watch_ranks

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair, question_of, row_of
from canaryjudge.policy import MannWhitney
from canaryjudge.rules import ErrorRates, Horizon
from canaryjudge.rules.sequential.planned_looks import LookPlan, LooksProcess, _trimmed_mean

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


def gauges(kind, rng, runs, n, *, windows=0):
    """Both arms of a watch, the canary changed by what is tolerated; and the windows before it, in which it was not."""
    arms = [100 + 5 * noise for noise in noise_of(kind, rng, runs, (windows + 1) * n)]
    past = [arm[:, : windows * n].reshape(runs, windows, n) for arm in arms]
    baseline, canary = (arm[:, windows * n :] for arm in arms)
    return past, baseline, (1 + LIMIT) * canary


def watch_with_history(past, baseline, canary, limit, rates, spending):
    """Look at gauges by their history; give which runs failed, and passed, at each look."""
    windows = past[0].shape[1]
    failed, passed = (np.zeros((len(baseline), LOOKS), dtype=bool) for _ in range(2))
    for look, size in enumerate(sizes_of(baseline.shape[1])):
        before, after = (_trimmed_mean(arm[..., :size]) for arm in past)
        level, changed = (_trimmed_mean(arm[:, :size]) for arm in (baseline, canary))
        estimate = changed - (1 + limit) * level - (after - before).mean(axis=1)
        spread = (after - (1 + limit) * before).std(axis=1, ddof=1) * np.sqrt(1 + 1 / windows)
        levels = [nominal(np.arange(LOOKS) < look, look + 1, rate, spending) for rate in rates]
        failed[:, look] = stdtr(windows - 1, -estimate / spread) <= levels[0]
        passed[:, look] = ~failed[:, look] & (stdtr(windows - 1, estimate / spread) <= levels[1])
    return failed, passed


def watch(given, level, spending="obrien_fleming", look=watch_ranks):
    past, baseline, canary = given
    if past[0].size:
        return watch_with_history(past, baseline, canary, LIMIT, (level, level), spending)
    return look(baseline, canary, LIMIT, (level, level), spending)


def errors(kind, runs, seed, *, n=60, windows=0, spending="obrien_fleming", look=watch_ranks):
    """Watches that ever failed, and that ever passed, at each level."""
    rng, found = np.random.default_rng(seed), np.zeros((2, len(LEVELS)), dtype=int)
    for start in range(0, runs, 1000):
        given = gauges(kind, rng, min(1000, runs - start), n, windows=windows)
        found += np.array(
            [[side.any(axis=1).sum() for side in watch(given, level, spending, look)] for level in LEVELS]
        ).T
    return found


# the noise, what is known and asked, and the multiple of the level that is allowed
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
    "rho .9, history": ("0.9", {"windows": 10}, 1.5),
    "rho .9, history, 120 points": ("0.9", {"windows": 10, "n": 120}, 1.5),
    "rho .9, history, Pocock": ("0.9", {"windows": 10, "spending": "pocock"}, 1.5),
    "rho .9, 30 windows": ("0.9", {"windows": 30}, 1.5),
    "spikes, history": ("spikes", {"windows": 10}, 1.5),
    "fast noise on slow, history": ("fast noise on slow", {"windows": 10}, 1.5),
}


ALONE = {name: case for name, case in CASES.items() if "windows" not in case[1]}
WINDOWS = ALONE | {
    # of arms that follow each other 60 points show too little of so strong a dependence: 2.5 % at 1 %
    "rho .95": ("0.95", {}, 3)
}
MINUTES = ALONE | {
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
    """Those of an hour and a few windows, in which errors are no rarer."""
    return [name for name in cases if "120" not in name and "30 windows" not in name]


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


# what breaks an assumption, and how often that shows at 5 %: bounds of what is documented, not of what is promised
BROKEN = {
    "fast noise on slow": ("fast noise on slow", {}, 0.25),  # the dependence hides behind the noise
    "random walk, history": ("random walk", {"windows": 10}, 0.2),  # no window is like the one before
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_what_watches_of_gauges_do_where_their_assumptions_fail(name):
    kind, settings, most = BROKEN[name]
    for side in errors(kind, 5000, 3, **settings):
        assert_rate_at_most(int(side[0]), 5000, most)


def process_of(past, run, n, level, spending):
    """A process, as a policy with so many points and that history has it."""
    history, by_history = None, False
    rates = ErrorRates(level, level)
    if past[0].size:
        by_history, history = (
            True,
            row_of(pair_of("gauge", *(arm[run].ravel() for arm in past)), METRIC, rates),
        )
    plan = LookPlan("sequential", MannWhitney(), LOOKS, spending, by_history)
    return LooksProcess(question_of(METRIC, rates, horizon=Horizon(max_points=n, history=history)), plan)


@pytest.mark.parametrize("change", [0.92, 1.0, 1.08])
@pytest.mark.parametrize(
    ("name", "asked"),
    [*((name, watch_ranks) for name in CASES), *((name, watch_minutes) for name in MINUTES)],
)
@pytest.mark.parametrize("runs", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_the_process_decides_the_same(name, asked, change, runs):
    kind, settings, _ = CASES[name]
    n, spending = settings.get("n", 60), settings.get("spending", "obrien_fleming")
    past, baseline, canary = gauges(
        kind, np.random.default_rng(4), runs, n, windows=settings.get("windows", 0)
    )
    failed, passed = watch((past, baseline, change * canary), 0.05, spending, asked)
    pairing = "concurrent" if past[0].size or asked is watch_minutes else "windows"
    for run in range(runs):
        process, done = process_of(past, run, n, 0.05, spending), 0
        for look, size in enumerate(sizes_of(n)):
            arms = (Arm(arm[run, done:size]) for arm in (baseline, change * canary))
            feed(process, MetricPair("m", "gauge", *arms, pairing=pairing))
            done = size
            expected = (
                "fail" if failed[run, : look + 1].any() else "pass" if passed[run, look] else "marginal"
            )
            assert process.finding().outcome == expected
