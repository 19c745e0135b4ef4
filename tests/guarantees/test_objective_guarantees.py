"""How often objectives fail a canary that lies at their limit, or pass it: exactly there both errors are at their largest."""

import numpy as np
import pytest
from objective_worlds import (
    EDGES,
    change_pvalues,
    histograms,
    judged,
    lognormal_quantile,
    pair_of,
    shared_load,
)
from scipy.special import ndtr, ndtri
from simulation import ar1, assert_rate_at_most, fewest_runs, sizes

from canaryjudge.policy import AllOf, AnyOf, Slo
from canaryjudge.rules.aggregates import Aggregate, measure

LEVELS = (0.05, 0.01)


def check(draw, rule, runs, *, allowed=1.0, seed=11):
    """Neither a fail nor a pass may be more frequent than its level."""
    rng = np.random.default_rng(seed)
    pvalues = np.array([change_pvalues(draw(rng), rule) for _ in range(runs)])
    for level in LEVELS:
        for wrong in (pvalues <= level).sum(axis=0):
            assert_rate_at_most(int(wrong), runs, allowed * level)


# relative to the baseline


def series(n, m, rho, factor, *, pairing="windows", share=0.0):
    """Gauges around 100, the canary's exactly `factor` times the baseline's in distribution."""

    def draw(rng):
        if pairing == "concurrent":
            baseline, canary = shared_load(rng, n, rho, share)
        else:
            baseline, canary = ar1(rng, 1, m, rho)[0], ar1(rng, 1, n, rho)[0]
        return pair_of("gauge", 100 + 5 * baseline, factor * (100 + 5 * canary), pairing=pairing)

    return draw


BOTH = {"relative": "100%", "absolute": 100}
"""At a baseline of 100 both parts are one limit, where two tests could err in turn."""
SERIES = [
    (series(60, 60, 0.5, 1.1), {"of": "mean", "op": "lte", "change": "+10%"}),
    (series(30, 200, 0.5, 0.92), {"of": "mean", "op": "gte", "change": "-8%"}),
    (
        series(60, 60, 0.5, 1.1, pairing="concurrent", share=0.7),
        {"of": "mean", "op": "lte", "change": "+10%"},
    ),
    (series(60, 60, 0.0, 2.0), {"of": "mean", "op": "lte", "change": BOTH}),
    (series(60, 200, 0.0, 1.1), {"of": "median", "op": "lte", "change": "+10%"}),
    (series(200, 200, 0.5, 1.1), {"of": "p90", "op": "lt", "change": "+10%"}),
    (
        series(60, 60, 0.5, 1.1, pairing="concurrent", share=0.7),
        {"of": "median", "op": "lte", "change": "+10%"},
    ),
    (series(60, 60, 0.5, 0.9, pairing="concurrent", share=0.0), {"of": "p75", "op": "gte", "change": "-10%"}),
]


@pytest.mark.parametrize(
    ("draw", "settings", "runs"),
    [
        *((*SERIES[index], fewest_runs(0.05)) for index in (0, 1, 2, 3, 5, 6)),
        *(pytest.param(*series, 2000, marks=pytest.mark.slow) for series in SERIES),
    ],
)
def test_changes_of_gauges(draw, settings, runs):
    # long-run variances of short series that depend on themselves are estimates of few degrees of freedom
    check(draw, Slo(**settings), runs, allowed=1.3)


def requests(n, m, factor):
    return lambda rng: pair_of("samples", rng.lognormal(0, 0.8, m), factor * rng.lognormal(0, 0.8, n))


def within(n, m, baseline, canary):
    """Latencies of which these shares are at most 1."""
    return lambda rng: pair_of(
        "samples",
        lognormal_quantile(rng.uniform(size=m), median=np.exp(-0.8 * ndtri(baseline))),
        lognormal_quantile(rng.uniform(size=n), median=np.exp(-0.8 * ndtri(canary))),
    )


@sizes(0.05, 600)
@pytest.mark.parametrize(
    ("draw", "settings"),
    [
        (requests(2000, 18_000, 1.1), {"of": "p99", "op": "lte", "change": "+10%"}),
        (
            requests(500, 500, 1.2),
            {"of": "p95", "op": "lte", "change": {"relative": "+10%", "absolute": 0.7457}},
        ),
        (
            within(300, 3000, 0.95, 0.92),
            {"of": "within", "bound": 1, "op": "gte", "change": {"absolute": "-3%"}},
        ),
    ],
)
def test_changes_of_requests(draw, settings, runs):
    check(draw, Slo(**settings), runs)


def events(requests_canary, intervals, baseline, canary, phi=1.0):
    """Errors of requests at a tenth of the traffic, in bursts where phi is above 1."""

    def arm(rng, size, share):
        weather = rng.gamma(1 / (phi - 1), phi - 1, intervals) if phi > 1 else np.ones(intervals)
        return rng.binomial(size, np.minimum(share * weather, 1.0))

    def draw(rng):
        sizes = 9 * requests_canary, requests_canary
        totals = tuple(np.full(intervals, float(size)) for size in sizes)
        return pair_of("ratio", arm(rng, sizes[0], baseline), arm(rng, sizes[1], canary), totals=totals)

    return draw


EVENTS = [
    (events(200, 60, 0.005, 0.0075), "+50%"),
    (events(200, 60, 0.005, 0.0075), {"relative": "+50%", "absolute": "0.25%"}),
    (events(200, 60, 0.005, 0.0075), {"absolute": "0.25%"}),
    (events(200, 60, 0.005, 0.0075, phi=1.5), "+50%"),
]


@sizes(0.05, 1000)
@pytest.mark.parametrize(("draw", "change"), EVENTS)
def test_changes_of_ratios(draw, change, runs):
    # the difference's upper bound is made of two exact ones by a normal approximation
    check(draw, Slo(of="pooled", op="lte", change=change), runs, allowed=1.2)


@sizes(0.05, 600)
def test_changes_of_counts(runs):
    def draw(rng):
        return pair_of("count", rng.poisson(5, 40), rng.poisson(6, 40))

    check(draw, Slo(of="pooled", op="lte", change="+20%"), runs)
    check(draw, Slo(of="pooled", op="lte", change={"relative": "+20%", "absolute": 1}), runs, allowed=1.2)


def latencies(intervals, requests_, medians, weather=0.0):
    def draw(rng):
        arms = (histograms(rng, intervals, requests_, median=median, weather=weather) for median in medians)
        return pair_of("histogram", *arms, edges=EDGES)

    return draw


def median_with(share, bound):
    """The median of lognormal latencies of which this share is at most the bound."""
    return float(bound / np.exp(0.8 * ndtri(share)))


@sizes(0.05, 1000)
@pytest.mark.parametrize("bound", [0.25, 0.3])
@pytest.mark.parametrize("weather", [0.0, 0.1])
def test_changes_of_what_lies_within_a_bound_of_buckets(bound, weather, runs):
    # the weather changes both shares alike only where they are the same
    baseline = 0.9
    canary = 0.9 * 0.98 if not weather else 0.9
    medians = median_with(baseline, bound), median_with(canary, bound)
    change = "-2%" if not weather else "0%"
    rule = Slo(of="within", bound=bound, op="gte", change=change)
    check(latencies(30, 200, medians, weather), rule, runs, allowed=1.2)


@sizes(0.05, 600)
@pytest.mark.parametrize("weather", [0.0, 0.2])
@pytest.mark.parametrize(("of", "median", "percent"), [("p95", 0.0671, 10), ("median", 0.1, 150)])
def test_changes_of_percentiles_of_buckets(of, median, percent, weather, runs):
    """The baseline's percentile is an edge, and for the median the canary's is one too."""
    medians = median, median * (1 + percent / 100)
    check(latencies(20, 200, medians, weather), Slo(of=of, op="lte", change=f"{percent}%"), runs)


# coverage of what one arm's percentile is, by its buckets


@sizes(0.05, 1000)
@pytest.mark.parametrize("weather", [0.0, 0.3])
@pytest.mark.parametrize(("q", "of"), [(0.5, "median"), (0.95, "p95"), (0.99, "p99")])
def test_bounds_of_percentiles_of_buckets_hold(q, of, weather, runs):
    """The true percentile is an edge itself, which is where the bounds err most often."""
    spread = np.hypot(0.8, weather)
    median = 0.25 * np.exp(-spread * ndtri(q))
    question = Aggregate(of, q, None, "histogram", EDGES, score=False)
    rng = np.random.default_rng(12)
    wrong = np.zeros((2, 2), dtype=int)
    for _ in range(runs):
        rows = histograms(rng, 30, 100, median=median, weather=weather)
        found = measure(pair_of("histogram", rows, rows, edges=EDGES).canary, question)
        for i, level in enumerate(LEVELS):
            low, high = found.bounds(level)
            wrong[i] += (low >= 0.25, high < 0.25)
    for i, level in enumerate(LEVELS):
        for errors in wrong[i]:
            assert_rate_at_most(int(errors), runs, 1.2 * level)


# between, and groups


@sizes(0.05, 1000)
@pytest.mark.parametrize("mean", [95.0, 105.0])
def test_between_errs_at_neither_end_more_often_than_promised(mean, runs):
    rule, rng = Slo(of="mean", between=[95, 105]), np.random.default_rng(13)
    found = [
        judged(pair_of("gauge", np.full(60, 100.0), mean + 5 * ar1(rng, 1, 60, 0.3)[0]), rule)
        for _ in range(runs)
    ]
    fails = sum(one.outcome == "fail" for one in found)
    assert_rate_at_most(fails, runs, 1.2 * 0.025)
    assert_rate_at_most(sum(one.outcome == "pass" for one in found), runs, 1.2 * 0.05)


@sizes(0.05, 1000)
def test_between_so_narrow_that_both_ends_are_at_stake_fails_no_more_often(runs):
    rule, rng = Slo(of="mean", between=[99.999, 100.001]), np.random.default_rng(14)
    fails = 0
    for _ in range(runs):
        pair = pair_of("gauge", np.full(60, 100.0), 100 + 5 * rng.normal(size=60))
        fails += judged(pair, rule).outcome == "fail"
    assert_rate_at_most(fails, runs, 0.05)


def independent_members(rng, at_limit):
    """Three shares of one series, each of its own stretch of values; those at their limit are true by no margin."""
    values = rng.integers(0, 3, 300) * 10 + rng.uniform(size=300)
    shares = [1 / 3, 2 / 3, 2 / 3 + 1 / 6]
    bounds = [5.0, 15.0, 20.5]
    rules = [
        Slo(of="within", bound=bound, op="gte", value=share if at else share - 0.3, blame="canary")
        for bound, share, at in zip(bounds, shares, at_limit, strict=True)
    ]
    return pair_of("samples", values, values), rules


@sizes(0.05, 1000)
def test_all_of_fails_no_more_often_than_promised_where_every_member_is_at_its_limit(runs):
    rng = np.random.default_rng(15)
    fails = 0
    for _ in range(runs):
        pair, rules = independent_members(rng, (True, True, True))
        fails += judged(pair, AllOf(rules=rules)).outcome == "fail"
    assert_rate_at_most(fails, runs, 0.05)


@sizes(0.05, 1000)
def test_any_of_passes_no_more_often_than_promised_where_every_member_is_at_its_limit(runs):
    rng = np.random.default_rng(16)
    passes = 0
    for _ in range(runs):
        pair, rules = independent_members(rng, (True, True, True))
        passes += judged(pair, AnyOf(rules=rules)).outcome == "pass"
    assert_rate_at_most(passes, runs, 0.05)


def test_without_sharing_the_rate_all_of_would_fail_too_often():
    rng, runs = np.random.default_rng(15), 200
    fails = 0
    for _ in range(runs):
        pair, rules = independent_members(rng, (True, True, True))
        fails += any(judged(pair, rule).outcome == "fail" for rule in rules)
    assert fails / runs > 0.06


def test_the_edges_of_this_file_are_what_it_says():
    assert median_with(0.9, 0.25) * np.exp(0.8 * ndtri(0.9)) == pytest.approx(0.25)
    assert ndtr(np.log(0.25 / 0.0671) / 0.8) == pytest.approx(0.95, abs=0.001)
    assert lognormal_quantile(0.95) == pytest.approx(0.7457 / 0.2, rel=2e-4)
