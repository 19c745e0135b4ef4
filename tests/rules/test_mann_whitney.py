"""The rule that compares distributions, on pairs made by hand."""

import numpy as np
import pytest
from judging import judge_by
from simulation import ar1

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair
from canaryjudge.rules import ErrorRates

RATES = ErrorRates(level=0.01, beta=0.05)
rng = np.random.default_rng(20260301)
NOISE = (rng.normal(0, 3, 60), rng.normal(0, 3, 60))


def judged(baseline, canary, method="robust", pairing="windows", share=RATES, **settings):
    metric = cj.Metric(**({"name": "m", "direction": "increase", "tolerance": "10%"} | settings))
    pair = MetricPair("m", metric.kind, Arm(np.asarray(baseline)), Arm(np.asarray(canary)), pairing)
    return judge_by(pair, metric, cj.MannWhitney(method=method), share)


def shifted(size, level=100.0):
    return level + NOISE[0], level + size + NOISE[1]


@pytest.mark.parametrize(
    ("direction", "size", "outcome"),
    [
        ("increase", 30, "fail"),
        ("increase", 10, "marginal"),
        ("increase", 0, "pass"),
        ("increase", -30, "pass"),
        ("decrease", 30, "pass"),
        ("decrease", 0, "pass"),
        ("decrease", -9.1, "marginal"),
        ("decrease", -30, "fail"),
        ("either", 30, "fail"),
        ("either", 10, "marginal"),
        ("either", 0, "pass"),
        ("either", -9.1, "marginal"),
        ("either", -30, "fail"),
    ],
)
def test_each_direction_has_its_three_zones(direction, size, outcome):
    finding = judged(*shifted(size), direction=direction)
    assert finding.outcome == outcome
    assert finding.estimate == pytest.approx(size / 100, abs=0.03)
    assert finding.method == "robust_rank"


def test_the_probability_of_worse_follows_the_bad_direction():
    up, down, both = (
        judged(*shifted(30), direction=direction) for direction in ("increase", "decrease", "either")
    )
    assert up.probability_worse == both.probability_worse == 1.0
    assert down.probability_worse == 0.0


@pytest.mark.parametrize(
    ("tolerance", "scale", "limit", "outcome"),
    [
        ("50%", "relative", 0.5, "pass"),
        ({"absolute": "50ms"}, "absolute", 50, "pass"),
        ({"absolute": "5ms"}, "absolute", 5, "fail"),
        ({"relative": "10%", "absolute": "50ms"}, "absolute", 50, "pass"),
        ({"relative": "10%", "absolute": "5ms"}, "relative", 0.1, "fail"),
    ],
)
def test_the_finding_says_which_part_of_the_tolerance_decided(tolerance, scale, limit, outcome):
    finding = judged(*shifted(30), tolerance=tolerance, unit="ms")
    assert (finding.scale, finding.limit_high, finding.outcome) == (scale, limit, outcome)


def test_worse_than_the_baseline_but_not_beyond_the_tolerance_is_said_so():
    finding = judged(*shifted(9))
    assert (finding.outcome, finding.reason) == ("marginal", "worse_but_maybe_tolerable")
    assert finding.more_points > 60


def test_a_median_of_zero_needs_an_absolute_tolerance():
    centered = NOISE[0] - np.median(NOISE[0])
    odd = np.append(centered, 0.0)
    assert judged(odd, odd[::-1] + 1).reason == "needs_absolute_tolerance"
    assert judged(odd, odd[::-1] + 50, tolerance={"absolute": 5}).outcome == "fail"
    assert judged(odd, odd[::-1] + 50, tolerance={"absolute": 0}).outcome == "fail"


def test_constant_and_equal_arms_pass_as_identical_and_have_no_interval():
    finding = judged(np.full(20, 7.0), np.full(30, 7.0))
    assert (finding.outcome, finding.reason, finding.interval) == ("pass", "identical", None)
    assert judged(np.zeros(20), np.zeros(20)).reason == "identical"


def test_constant_and_different_arms_are_told_apart():
    assert judged(np.full(20, 50.0), np.full(20, 60.0)).outcome == "fail"
    assert judged(np.full(20, 50.0), np.full(20, 51.0)).outcome == "pass"


def test_five_points_say_nothing_of_their_dependence():
    finding = judged([1.0, 2, 3, 4, 5], [11.0, 12, 13, 14, 15])
    assert (finding.outcome, finding.reason) == ("marginal", "too_little_data")


def test_points_that_depend_too_strongly_abstain_rather_than_fail():
    walk = np.cumsum(np.random.default_rng(3).normal(size=(2, 8)), axis=1)
    finding = judged(100 + walk[0], 200 + walk[1], share=ErrorRates(level=1e-7, beta=1e-7))
    assert (finding.outcome, finding.reason) == ("marginal", "abstains")
    assert finding.interval.low is None


def test_a_pass_is_not_proven_at_a_level_that_the_points_cannot_reach():
    walk = np.cumsum(np.random.default_rng(3).normal(size=(2, 8)), axis=1)
    finding = judged(200 + walk[0], 100 + walk[1], share=ErrorRates(level=0.01, beta=1e-7))
    assert finding.outcome == "marginal"
    assert finding.pass_interval.high is None


def test_autocorrelation_is_found_and_takes_its_toll():
    rng = np.random.default_rng(5)
    series = 5 * ar1(rng, 2, 60, 0.9)
    dependent = judged(100 + series[0], 120 + series[1])
    shuffled = judged(100 + rng.permutation(series[0]), 120 + rng.permutation(series[1]))
    assert dependent.autocorrelation > 0.6 > shuffled.autocorrelation
    assert (dependent.outcome, shuffled.outcome) == ("marginal", "fail")
    assert "outside_proven_range" in dependent.waived
    assert shuffled.waived == ()


def test_concurrent_arms_cancel_the_load_that_they_share():
    load = 30 * ar1(np.random.default_rng(6), 1, 60, 0.9)[0]
    arms = 100 + load + NOISE[0], 120 + load + NOISE[1]
    assert judged(*arms, pairing="windows").outcome == "marginal"
    assert judged(*arms, pairing="concurrent").outcome == "fail"


@pytest.mark.parametrize(("method", "n"), [("exact", 8), ("asymptotic", 60)])
def test_the_textbook_methods_waive_independence(method, n):
    finding = judged(*(arm[:n] for arm in shifted(30)), method=method)
    assert (finding.outcome, finding.method, finding.waived) == (
        "fail",
        f"{method}_rank",
        ("independence_assumed",),
    )


def test_the_exact_p_value_is_that_of_r():
    # wilcox.test(c(1.1,2.2,3.3,4.4,5.5), c(4.6,5.7,6.8,7.9,9.0), alternative="less", exact=TRUE): p-value = 0.007937
    finding = judged([1.1, 2.2, 3.3, 4.4, 5.5], [4.6, 5.7, 6.8, 7.9, 9.0], "exact", tolerance="0%")
    assert finding.pvalue == pytest.approx(2 / 252)
    assert finding.statistic == 24


def test_exact_with_too_few_points_for_the_level_abstains():
    finding = judged([1.0, 2, 3], [11.5, 12.6, 13.7], "exact")
    assert (finding.outcome, finding.reason, finding.pvalue) == (
        "marginal",
        "abstains",
        pytest.approx(1 / 20),
    )


def test_the_ratio_effect_compares_logarithms():
    r = np.random.default_rng(8)
    skewed = r.lognormal(3, 1, 200), 1.5 * r.lognormal(3, 1, 200)
    finding = judged(*skewed, effect="ratio", tolerance="10%")
    assert finding.estimate == pytest.approx(0.5, abs=0.3)
    assert finding.limit_high == 0.1
    mirrored = judged(*skewed[::-1], effect="ratio", direction="decrease", tolerance="10%")
    assert mirrored.pvalue == pytest.approx(finding.pvalue, rel=1e-6)
    assert 1 + mirrored.estimate == pytest.approx(1 / (1 + finding.estimate))


def test_the_ratio_effect_abstains_on_values_that_have_no_logarithm():
    finding = judged([0.0, *range(1, 20)], range(1, 21), effect="ratio")
    assert (finding.outcome, finding.reason, finding.method) == ("marginal", "abstains", "not_positive")


def test_a_ratio_metric_may_be_asked_by_the_shares_of_its_intervals():
    total = np.full(30, 1000.0)
    errors = np.random.default_rng(9).binomial(1000, 0.01, (2, 30)).astype(float)
    metric = cj.Metric(name="m", kind="ratio", direction="increase")
    pair = MetricPair("m", "ratio", Arm(errors[0], total), Arm(errors[1] + 30, total))
    finding = judge_by(pair, metric, cj.MannWhitney(), RATES)
    assert finding.outcome == "fail"
    assert finding.canary_level == pytest.approx(0.04, abs=0.002)


def test_below_zero_the_baseline_s_noise_weighs_less_at_a_rise():
    """Against a baseline above zero the limit is 1.1 b, below zero .9 b: what is uncertain of b is uncertain of the limit."""
    above = judged(100 + NOISE[0], np.full(60, 110.0))
    below = judged(-100 - NOISE[0], np.full(60, -90.0))
    widths = [found.interval.high - found.interval.low for found in (above, below)]
    assert widths[1] / widths[0] == pytest.approx(0.9 / 1.1, rel=0.1)
    assert below.limit_high == 0.1


def test_a_spike_of_the_canary_is_not_removed_as_an_outlier():
    baseline, canary = shifted(0)
    spiky = canary.copy()
    spiky[::2] += 500
    assert judged(baseline, spiky).outcome != "pass"
