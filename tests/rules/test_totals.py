"""The rules about shares and rates of events."""

import numpy as np
import pytest
from judging import judge_by

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair
from canaryjudge.rules import ErrorRates

RATES = ErrorRates(level=0.01, beta=0.05)


def arm(events, total):
    value = np.asarray(events, dtype=float)
    return Arm(value, None if total is None else np.broadcast_to(np.asarray(total, float), value.shape))


def proportion(baseline, canary, method="auto", share=RATES, **settings):
    metric = cj.Metric(**({"name": "m", "kind": "ratio", "direction": "increase"} | settings))
    pair = MetricPair("m", "ratio", arm(*baseline), arm(*canary))
    return judge_by(pair, metric, cj.Proportion(method=method), share)


def rate(baseline, canary, **settings):
    metric = cj.Metric(**({"name": "m", "kind": "count", "direction": "increase"} | settings))
    return judge_by(MetricPair("m", "count", arm(*baseline), arm(*canary)), metric, cj.Rate(), RATES)


@pytest.mark.parametrize(
    ("requests", "outcome"), [(14_977, "marginal"), (14_978, "pass"), (1_000_000, "pass")]
)
def test_no_errors_against_none_pass_from_14978_requests_on(requests, outcome):
    finding = proportion(([0], requests), ([0], requests))
    assert (finding.outcome, finding.scale, finding.limit_high) == (outcome, "absolute", 0.0002)


def test_without_errors_the_missing_intervals_are_counted_in_proportion():
    finding = proportion(([0] * 10, 1000), ([0] * 10, 1000))
    assert finding.reason == "undecided"
    assert finding.more_points == 5  # 15 x 1,000 requests


def test_errors_against_a_baseline_without_any_fail():
    finding = proportion(([0] * 10, 1000), ([5] * 10, 1000))
    assert (finding.outcome, finding.reason) == ("fail", "proven_worse")


@pytest.mark.parametrize(("canary", "outcome"), [(5, "pass"), (10, "pass"), (11, "marginal"), (13, "fail")])
def test_the_ratio_has_its_three_zones(canary, outcome):
    finding = proportion(([1000] * 10, 100_000), ([100 * canary] * 10, 100_000), tolerance="10%")
    assert finding.outcome == outcome
    assert (finding.scale, finding.method) == ("relative", "exact_conditional")
    assert finding.estimate == pytest.approx(canary / 10 - 1)


def test_a_falling_share_of_successes_fails_where_it_is_bad():
    finding = proportion(([9900] * 10, 10_000), ([7900] * 10, 10_000), direction="decrease", tolerance="10%")
    assert (finding.outcome, finding.method) == ("fail", "score")
    assert finding.limit_low == pytest.approx(-0.1 / 1.1)
    assert finding.interval.high < finding.limit_low
    assert proportion(([9900] * 10, 10_000), ([9900] * 10, 10_000), direction="decrease").outcome == "pass"


@pytest.mark.parametrize(
    ("share", "method", "expected"),
    [
        (100, "auto", "exact_conditional"),
        (1500, "auto", "score"),
        (1500, "exact", "exact_conditional"),
        (100, "score", "score"),
    ],
)
def test_high_shares_use_the_score_test_unless_told_otherwise(share, method, expected):
    counts = [share] * 10, 10_000
    assert proportion(counts, counts, method, tolerance="50%").method == expected


def test_either_direction_fails_up_and_down():
    before = [1000] * 10, 100_000
    for canary, outcome in ((2000, "fail"), (500, "fail"), (1000, "pass")):
        assert proportion(before, ([canary] * 10, 100_000), direction="either").outcome == outcome


def test_bursts_are_measured_and_widen_the_interval():
    calm = [10] * 40, 10_000
    rng = np.random.default_rng(11)
    bursts = rng.permutation([0] * 30 + [40] * 10)
    finding = proportion((bursts, 10_000), (rng.permutation(bursts), 10_000), tolerance="50%")
    even = proportion(calm, calm, tolerance="50%")
    assert finding.dispersion > 10
    assert finding.df < 100
    assert even.dispersion == 1
    assert finding.interval.high - finding.interval.low > 2 * (even.interval.high - even.interval.low)


def test_the_finding_carries_the_counts_behind_it():
    finding = proportion(([3, 4], 1000), ([5, 6], 500))
    assert (finding.events_baseline, finding.total_baseline) == (7, 2000)
    assert (finding.events_canary, finding.total_canary) == (11, 1000)
    assert (finding.baseline_level, finding.canary_level) == (0.0035, 0.011)


@pytest.mark.parametrize(("canary", "outcome"), [(90, "pass"), (110, "marginal"), (150, "fail")])
def test_rates_have_their_three_zones(canary, outcome):
    finding = rate(([100] * 60, None), ([canary] * 60, None))
    assert (finding.outcome, finding.method) == (outcome, "exact_conditional")


def test_rates_are_per_exposure():
    finding = rate(([900] * 60, 0.9), ([100] * 60, 0.1))
    assert (finding.outcome, finding.estimate) == ("pass", pytest.approx(0))
    assert finding.canary_level == pytest.approx(1000)


def test_many_events_an_interval_can_be_held_against_an_absolute_tolerance():
    """A rate is no share: fifty events in one unit of exposure are no error."""
    before = [50] * 20, None
    assert rate(before, ([51] * 20, None), tolerance={"absolute": 10}).outcome == "pass"
    finding = rate(before, ([90] * 20, None), tolerance={"absolute": 10})
    assert (finding.outcome, finding.scale, finding.limit_high) == ("fail", "absolute", 10)
    assert finding.interval.low > 10


def test_counts_of_zero_against_zero_need_an_absolute_tolerance():
    nothing = [0] * 20, None
    finding = rate(nothing, nothing)
    assert (finding.outcome, finding.reason) == ("marginal", "needs_absolute_tolerance")
    assert rate(nothing, nothing, tolerance={"absolute": 1}).outcome == "pass"
    assert rate(nothing, ([4] * 20, None)).outcome == "fail"


def test_the_r_value_of_a_rate_ratio():
    # poisson.test(c(41, 15), c(28010, 19017), alternative="greater"): p-value = .02383012
    assert rate(([15], 19017), ([41], 28010), tolerance="0%").pvalue == pytest.approx(0.02383012, rel=1e-6)


def test_the_policy_s_split_gives_counts_their_exposure():
    metric = cj.Metric(name="requests", kind="count", direction="either")
    data = {"requests": {"baseline": [9000] * 30, "canary": [1000] * 30}}
    split = cj.Policy(split={"baseline": "90%", "canary": "10%"}, metrics=[metric])
    assert cj.judge(data, split).outcome == "pass"
    assert cj.judge(data, cj.Policy(metrics=[metric])).outcome == "fail"


def test_bursts_that_outlast_the_data_abstain_and_bound_nothing():
    finding = proportion(([0] * 8 + [80] * 8, 10_000), ([0] * 8 + [900] * 8, 10_000))
    assert finding.reason == "abstains"
    assert (finding.interval.low, finding.interval.high) == (None, None)


@pytest.mark.parametrize("intervals", [1, 2, 3])
def test_totals_of_a_window_in_one_piece_are_judged(intervals):
    """Where no burst is seen, few intervals are no reason to abstain: an export often has one row an arm."""
    before = [20] * intervals, 100_000
    assert proportion(before, ([2000] * intervals, 100_000)).outcome == "fail"
    assert proportion(before, ([5] * intervals, 100_000)).outcome == "pass"
    assert rate(before, ([200] * intervals, 100_000)).outcome == "fail"


def test_bursts_that_outlast_the_data_prove_no_pass_either():
    finding = proportion(([0] * 8 + [900] * 8, 10_000), ([0] * 8 + [80] * 8, 10_000))
    assert finding.reason == "abstains"
    assert (finding.pass_interval.low, finding.pass_interval.high) == (None, None)


@pytest.mark.parametrize("rules", [["proportion"], [cj.Slo(of="pooled", op="lte", value="5%")]])
@pytest.mark.parametrize(("intervals", "waived"), [(2, ("independence_assumed",)), (3, ())])
def test_too_few_intervals_to_see_bursts_are_listed_as_waived(intervals, waived, rules):
    arm = {"value": [12] * intervals, "total": [3000] * intervals}
    policy = cj.Policy(metrics=[cj.Metric(name="errors", kind="ratio", direction="increase", rules=rules)])
    verdict = cj.judge({"errors": {"baseline": arm, "canary": arm}}, policy)
    assert tuple(waiver.what for waiver in verdict.waived) == waived
