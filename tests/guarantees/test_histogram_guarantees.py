"""The tests of histograms keep their error rates at the very edge of the tolerance, whatever the shape of the values and the layout of the buckets."""

import numpy as np
import pytest
from judging import judge_all_by
from scipy import stats
from scipy.optimize import brentq
from simulation import ar1, assert_rate_at_most

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair
from canaryjudge.rules import ErrorRates
from canaryjudge.stats.bucket_distributions import BucketBands
from canaryjudge.stats.bucket_rank_test import bucket_shift_test

RATES = ErrorRates(level=0.05, beta=0.05)
LIMIT = 0.1
SHAPES = {
    "lognormal": stats.lognorm(0.5, scale=0.1).cdf,
    "wide lognormal": stats.lognorm(1.0, scale=0.1).cdf,
    "gamma": stats.gamma(2, scale=0.06).cdf,
    "Weibull": stats.weibull_min(1.5, scale=0.12).cdf,
    "sharp onset": stats.expon(0.06, 0.06).cdf,
    "two peaks": lambda x: (
        0.6 * stats.lognorm(0.25, scale=0.08).cdf(x) + 0.4 * stats.lognorm(0.3, scale=0.3).cdf(x)
    ),
}
GRID = np.geomspace(1e-4, 100, 100_001)


def quantile(cdf, q):
    return np.interp(q, cdf(GRID), GRID)


def edges_of(layout, cdf):
    if layout == "prometheus":
        return np.array([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, np.inf])
    if layout == "doubling":
        return np.append(0.12 * 2.0 ** np.arange(-5, 6), np.inf)
    return np.append(np.geomspace(quantile(cdf, 0.001), quantile(cdf, 0.999), layout - 1), np.inf)


def histograms(rng, cdf, edges, weather, requests, shift=0.0):
    """Counts of shape (runs, intervals, buckets); each interval's values are multiplied by its weather."""
    upper = np.maximum(edges[:-1] - shift, 0.0)
    reached = cdf(upper / np.exp(weather)[:, :, None])
    shares = np.diff(reached, axis=2, prepend=0.0, append=1.0)
    shares = np.clip(shares, 0, 1)
    return rng.multinomial(requests, shares / shares.sum(axis=2, keepdims=True)).astype(float)


def judged(edges, baselines, canaries, pairing="windows", settings=None):
    """Judge runs, one a row of each arm."""
    pairs = []
    for both in zip(baselines, canaries, strict=True):
        arms = (Arm(counts.sum(axis=1), buckets=counts) for counts in both)
        pairs.append(MetricPair("m", "histogram", *arms, pairing, edges=edges))
    metric = cj.Metric(name="m", kind="histogram", direction="increase")
    return judge_all_by(pairs, metric, settings or cj.MannWhitney(), RATES)


def errors_at_the_edge(shape, layout, intervals, requests, rho, runs, *, spread=0.0, pairing="windows"):
    """Count false fails and false passes at 5 % where the canary's shift is just the limit."""
    rng = np.random.default_rng(20260601)
    cdf = SHAPES[shape]
    edges = edges_of(layout, cdf)
    weather = [spread * ar1(rng, runs, intervals, rho) for _ in range(2)]
    if pairing == "concurrent":
        weather[1] = weather[0]
    # weather that is as often good as bad leaves the median where it is, to the second order; so that it is exact, it is measured
    nodes, weights = np.polynomial.hermite_e.hermegauss(31)
    weights, scales = weights / weights.sum(), np.exp(spread * nodes)
    median = brentq(lambda x: weights @ cdf(x / scales) - 0.5, GRID[0], GRID[-1], xtol=1e-15)
    arms = [
        histograms(rng, cdf, edges, each, requests, shift)
        for each, shift in zip(weather, (0.0, LIMIT * median), strict=True)
    ]
    found = judged(edges, *arms, pairing)
    return sum(each.outcome == "fail" for each in found), sum(each.outcome == "pass" for each in found)


CASES = [
    # shape, buckets, intervals, requests an interval, rho, spread of the weather, pairing
    ("lognormal", 20, 1, 200, 0, 0, "windows"),
    ("lognormal", 20, 1, 1_000_000, 0, 0, "windows"),
    ("lognormal", 20, 60, 300, 0, 0.1, "windows"),
    ("lognormal", 20, 60, 300, 0.5, 0.1, "windows"),
    ("lognormal", 20, 60, 300, 0.5, 0.1, "concurrent"),
    ("lognormal", 20, 60, 300, 0.9, 0.1, "concurrent"),
    ("lognormal", 20, 360, 300, 0.9, 0.1, "windows"),
    ("wide lognormal", 12, 1, 1_000_000, 0, 0, "windows"),
    ("wide lognormal", 12, 30, 300, 0.5, 0.1, "windows"),
    ("wide lognormal", "prometheus", 1, 200, 0, 0, "windows"),
    ("gamma", "prometheus", 1, 1000, 0, 0, "windows"),
    ("gamma", 20, 30, 300, 0, 0.1, "concurrent"),
    ("Weibull", "doubling", 60, 1000, 0, 0.05, "windows"),
    ("Weibull", 12, 1, 1000, 0, 0, "windows"),
    ("sharp onset", 20, 1, 1_000_000, 0, 0, "windows"),
    ("sharp onset", 12, 60, 300, 0.5, 0.1, "windows"),
    ("two peaks", "prometheus", 1, 1000, 0, 0, "windows"),
    ("two peaks", 20, 60, 300, 0.5, 0.1, "windows"),
    ("two peaks", 20, 1, 1_000_000, 0, 0, "windows"),
]


def check(case, runs):
    shape, layout, intervals, requests, rho, spread, pairing = case
    errors = errors_at_the_edge(shape, layout, intervals, requests, rho, runs, spread=spread, pairing=pairing)
    for wrong in errors:
        assert_rate_at_most(wrong, runs, (1.3 if rho == 0.9 else 1.1) * 0.05)


SAMPLE = [CASES[index] for index in (0, 4, 5, 9, 11, 12, 15, 17)]
"""Each shape, layout and pairing, and each way in which intervals depend on each other."""


@pytest.mark.parametrize("case", SAMPLE, ids=str)
def test_false_fails_and_false_passes_keep_their_level(case):
    check(case, 150)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_false_fails_and_false_passes_keep_their_level_in_4000_runs(case):
    check(case, 4000)


def ramps(rng, runs, n, trend, harm):
    """Give histograms of a service whose latency rises or falls while the canary's share goes from 5 to 90 %; the canary's is so much higher."""
    cdf, share = SHAPES["lognormal"], np.repeat([0.05, 0.25, 0.5, 0.9], n // 4)
    edges, drift = edges_of(30, cdf), np.linspace(0, trend, n)
    arms = []
    for part, own in ((1 - share, 0.0), (share, np.log1p(harm))):
        weather = drift + own + 0.05 * ar1(rng, runs, n, 0.5)
        counts = [histograms(rng, cdf, edges, weather[:, [i]], int(5000 * part[i])) for i in range(n)]
        arms.append(np.concatenate(counts, axis=1))
    return edges, arms


@pytest.mark.parametrize("runs", [30, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("n", [16, 60])
@pytest.mark.parametrize("trend", [0.3, -0.3])
def test_a_ramp_neither_fails_equal_arms_nor_passes_worse_ones(n, trend, runs):
    outcomes = {}
    for harm in (0.0, 0.1, 0.5):
        edges, arms = ramps(np.random.default_rng(4), runs, n, trend, harm)
        found = judged(edges, *arms, "concurrent")
        outcomes[harm] = [each.outcome for each in found]
        assert np.mean([each.estimate for each in found]) == pytest.approx(harm, abs=0.015 + 0.1 * harm)
    assert_rate_at_most(outcomes[0.0].count("fail"), runs, 0.05)
    assert_rate_at_most(outcomes[0.1].count("fail"), runs, 0.06)
    # the limit is a shift here, and the harm a factor, which a mix of levels makes a little less of
    assert_rate_at_most(outcomes[0.1].count("pass"), runs, 0.1)
    assert outcomes[0.5].count("fail") > 0.99 * runs
    assert "pass" not in outcomes[0.5]


@pytest.mark.parametrize("size", [300, 1_000_000])
@pytest.mark.parametrize("change", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("runs", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_what_moves_within_one_bucket_is_never_passed(size, change, runs):
    """A lognormal of log-sd .2 between .05 and .25: its median may double without an edge that tells."""
    rng = np.random.default_rng(5)
    edges = np.array([0.005, 0.05, 0.25, 1.0, 4.0, np.inf])
    cdf = stats.lognorm(0.2, scale=0.11).cdf
    both = [
        [
            histograms(rng, cdf, edges, np.full((1, 1), weather), size)[0]
            for weather in (0.0, np.log1p(change))
        ]
        for _ in range(runs)
    ]
    for finding in judged(edges, *zip(*both, strict=True)):
        assert finding.outcome == "marginal"
        assert (finding.fullest_bucket.low, finding.fullest_bucket.high) == (0.05, 0.25)


def true_shift(baseline, canary):
    """Give the Hodges-Lehmann shift of two long lists of quantiles."""
    return np.median(canary[5::10, None] - baseline[5::10])


@pytest.mark.parametrize("shape", SHAPES)
def test_buckets_leave_open_what_they_do_not_tell(shape):
    """Without any noise, the true shift lies between what the fillings allow, for any place of the edges: the interval never claims more than the buckets."""
    rng = np.random.default_rng(11)
    values = quantile(SHAPES[shape], (np.arange(10_000) + 0.5) / 10_000)
    median = values[5000]
    for canary in (
        values + 0.1 * median,
        1.1 * values,
        0.9 * values,
        np.where(np.arange(10_000) > 9000, 3, 1) * values,
    ):
        truth = true_shift(values, canary)
        for layout in (20, 12, "prometheus", "doubling"):
            edges = edges_of(layout, SHAPES[shape]) * np.exp(rng.uniform(-0.35, 0.35))
            counts = [
                np.bincount(np.searchsorted(edges, each), minlength=len(edges)).astype(float)
                for each in (values, canary)
            ]
            found = bucket_shift_test(BucketBands(edges, *counts), *(each[None] for each in counts), [0.0])
            # of values that begin abruptly in a bucket that ends at twice its start, or more, it misses by up to a fiftieth of the median
            slack = 0.02 if shape == "sharp onset" and layout in ("doubling", "prometheus") else 0.002
            assert found.open_low - slack * median <= truth <= found.open_high + slack * median


def tail_worlds(rng, kind, runs, n, rho):
    """Draw values of both arms, shape (runs, n), of which the canary exceeds the baseline's p95 half as often again."""
    noise = [ar1(rng, runs, n, rho) for _ in range(2)]
    if kind == "more slow ones":  # 2.63 % of all are drawn from the slowest twentieth instead
        slow = stats.norm.isf(0.05 * rng.random((runs, n)))
        return noise[0], np.where(rng.random((runs, n)) < 0.025 / 0.95, slow, noise[1])
    shift = stats.norm.isf(0.05) - stats.norm.isf(0.075)
    return noise[0], noise[1] + shift


@pytest.mark.parametrize(
    ("kind", "n", "rho"),
    [
        ("more slow ones", 500, 0),
        ("more slow ones", 3000, 0),
        ("all slower", 500, 0),
        ("all slower", 3000, 0),
        ("all slower", 3000, 0.5),
    ],
)
@pytest.mark.parametrize("as_histograms", [False, True])
@pytest.mark.parametrize("runs", [150, pytest.param(400, marks=pytest.mark.slow)])
def test_a_tail_at_its_tolerance_neither_fails_nor_passes_more_often_than_stated(
    kind, n, rho, as_histograms, runs
):
    baselines, canaries = tail_worlds(np.random.default_rng(7), kind, runs, n, rho)
    if as_histograms:
        edges = np.append(np.linspace(-2, stats.norm.isf(0.05), 12), [2.5, np.inf])
        blocks = [
            [
                np.stack(
                    [np.bincount(np.searchsorted(edges, part), minlength=14) for part in np.split(run, 20)]
                ).astype(float)
                for run in arm
            ]
            for arm in (baselines, canaries)
        ]
        found = judged(edges, *blocks, settings=cj.Tail())
    else:
        arms = zip(baselines, canaries, strict=True)
        pairs = [MetricPair("m", "samples", Arm(baseline), Arm(canary)) for baseline, canary in arms]
        metric = cj.Metric(name="m", kind="samples", direction="increase")
        found = judge_all_by(pairs, metric, cj.Tail(), RATES)
    outcomes = [each.outcome for each in found]
    for outcome in ("fail", "pass"):
        assert_rate_at_most(outcomes.count(outcome), runs, 1.2 * 0.05)
