"""The rank test of histograms as a rule, on pairs made by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
from judging import judge_by
from scipy import stats

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair
from canaryjudge.rules import ErrorRates, default_rules, read_finding
from canaryjudge.rules.decision import Limits
from canaryjudge.rules.mann_whitney import _Unit
from canaryjudge.stats.bucket_distributions import BucketBands
from canaryjudge.stats.bucket_rank_test import BucketShift, bucket_shift_test

RATES = ErrorRates(level=0.01, beta=0.05)
EDGES = np.append(np.geomspace(20, 500, 19), np.inf)
RNG = np.random.default_rng(20260620)
VALUES = RNG.lognormal(np.log(100), 0.4, (2, 40, 250))
ON_A_CLOCK = {"time": 10.0 * np.arange(40)}


def arm(values, edges=EDGES, **columns):
    counts = np.stack(
        [np.bincount(np.searchsorted(edges, row), minlength=len(edges)) for row in values]
    ).astype(float)
    return Arm(counts.sum(axis=1), buckets=counts, **columns)


def judged(baseline, canary, *, edges=EDGES, pairing="windows", share=RATES, **settings):
    given = {"name": "m", "kind": "histogram", "unit": "ms", "direction": "increase", "tolerance": "10%"}
    pair = MetricPair("m", "histogram", baseline, canary, pairing, edges=edges)
    return judge_by(pair, cj.Metric(**(given | settings)), cj.MannWhitney(), share)


def shifted(by):
    return arm(VALUES[0]), arm(VALUES[1] + by)


@pytest.mark.parametrize(
    ("direction", "by", "outcome"),
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
@pytest.mark.parametrize("pairing", ["windows", "concurrent"])
def test_each_direction_has_its_three_zones(direction, by, outcome, pairing):
    finding = judged(*shifted(by), direction=direction, pairing=pairing)
    assert finding.outcome == outcome
    assert finding.estimate == pytest.approx(by / 100, abs=0.02)
    assert finding.method == "bucket_rank"
    assert (finding.total_baseline, finding.total_canary, finding.n_baseline) == (10_000, 10_000, 40)
    assert (finding.baseline_level, finding.waived) == (pytest.approx(100, rel=0.02), ())


@pytest.mark.parametrize("by", [-20, 6, 30])
def test_the_estimate_and_the_interval_are_those_of_the_samples(by):
    baseline, canary = VALUES[0].ravel(), VALUES[1].ravel() + by
    pair = MetricPair("m", "samples", Arm(baseline), Arm(canary), "windows")
    metric = cj.Metric(name="m", kind="samples", direction="increase")
    samples, buckets = judge_by(pair, metric, cj.MannWhitney(), RATES), judged(*shifted(by))
    assert buckets.estimate == pytest.approx(samples.estimate, abs=0.003)
    assert buckets.probability_worse == pytest.approx(samples.probability_worse, abs=0.003)
    for mine, theirs in (
        (buckets.interval, samples.interval),
        (buckets.pass_interval, samples.pass_interval),
    ):
        width = theirs.high - theirs.low
        assert width < mine.high - mine.low < 2.5 * width


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
    finding = judged(*shifted(30), tolerance=tolerance)
    assert (finding.scale, finding.limit_high, finding.outcome) == (scale, limit, outcome)
    assert finding.estimate == pytest.approx(0.3 if scale == "relative" else 30, rel=0.05)


@pytest.mark.parametrize("by", [-40, -8, 0, 8, 12, 40])
@pytest.mark.parametrize("direction", ["increase", "decrease"])
@pytest.mark.parametrize("buckets", [8, 20])
def test_a_limit_is_beyond_a_bound_just_where_the_pvalue_says_so(by, direction, buckets):
    edges = np.append(np.geomspace(20, 500, buckets - 1), np.inf)
    arms = arm(VALUES[0], edges), arm(VALUES[1] + by, edges)
    for tolerance in np.linspace(0, 0.6, 21):
        finding = judged(*arms, edges=edges, direction=direction, tolerance={"relative": tolerance})
        upward = direction == "increase"
        limit = finding.limit_high if upward else finding.limit_low
        fails = finding.interval.low > limit if upward else finding.interval.high < limit
        passes = finding.pass_interval.high < limit if upward else finding.pass_interval.low > limit
        assert fails == (finding.pvalue < 0.01)
        assert passes == (finding.pvalue_pass < 0.05)


def test_the_limit_is_asked_with_the_noise_and_the_doubt_of_the_baselines_own_median():
    baseline, canary = shifted(12)
    bands = BucketBands(EDGES, baseline.buckets.sum(axis=0), canary.buckets.sum(axis=0))
    low, high = bands.baseline_quantile(0.5)
    test = bucket_shift_test(bands, baseline.buckets, canary.buckets, [[0.1 * high, 0.1 * low]], scales=[1.1])
    finding = judged(baseline, canary)
    assert finding.statistic == pytest.approx(test.statistic[0])
    assert (finding.pvalue, finding.pvalue_pass) == (
        pytest.approx(test.pvalue_greater[0]),
        pytest.approx(test.pvalue_less[0]),
    )
    assert low < high


def test_a_median_on_either_side_of_zero_may_be_nothing():
    edges = np.array([-10.0, -1.0, 2.0, 10.0, np.inf])
    counts = np.array([0.0, 30, 50, 20, 0])
    unit = _Unit.of_median(0.5, BucketBands(edges, counts, counts))
    assert (unit.size, unit.least) == (0.5, 0.0)
    assert unit.most == pytest.approx(1.0, abs=1.0)
    assert unit.limits(0.1) == (0.1 * unit.most, 0.0)
    assert unit.limits(-0.1) == (0.0, -0.1 * unit.most)


def test_bounds_of_a_share_take_the_size_of_the_median_that_proves_less():
    def both(first, second):
        return np.array([[first, second], [0.0, 0.0]])

    nothing = np.zeros(2)
    test = BucketShift(
        estimate=10.0,
        low=both(11.0, -9.0),
        high=both(9.0, -11.0),
        pvalue_greater=nothing,
        pvalue_less=nothing,
        abstains=np.zeros((2, 2), dtype=bool),
        statistic=nothing,
        df=nothing,
        standard_error=nothing,
        probability_greater=0.5,
        rho=0.0,
        open_low=9.0,
        open_high=11.0,
    )
    found = _Unit(100.0, 90.0, 110.0).evidence(test, Limits(absolute=False, high=0.1, low=None))
    assert found.estimate == pytest.approx(0.1)
    assert found.fail_bounds == [pytest.approx((0.1, 0.1))]
    assert found.pass_bounds == [pytest.approx((-0.1, -0.1))]


def test_the_probability_of_worse_follows_the_bad_direction():
    up, down = (judged(*shifted(30), direction=direction) for direction in ("increase", "decrease"))
    assert up.probability_worse > 0.65
    assert down.probability_worse == pytest.approx(1 - up.probability_worse)


def test_worse_than_the_baseline_but_not_beyond_the_tolerance_is_said_so():
    finding = judged(*shifted(9.5))
    assert (finding.outcome, finding.reason) == ("marginal", "worse_but_maybe_tolerable")
    assert finding.more_points > 40


def test_too_coarse_buckets_say_which_of_them_is_to_blame():
    edges = np.array([25.0, 200.0, 400.0, np.inf])
    for by in (0, 5, 20):
        finding = judged(arm(VALUES[0], edges), arm(VALUES[1] + by, edges), edges=edges)
        assert (finding.outcome, finding.reason, finding.more_points) == ("marginal", "abstains", None)
        assert (finding.fullest_bucket.low, finding.fullest_bucket.high) == (25, 200)
        assert finding.fullest_bucket.share > 0.9


def test_a_shift_far_out_of_the_bucket_fails_for_all_that():
    edges = np.array([25.0, 200.0, 400.0, np.inf])
    finding = judged(arm(VALUES[0], edges), arm(VALUES[1] + 600, edges), edges=edges)
    assert (finding.outcome, finding.fullest_bucket) == ("fail", None)


def test_an_effect_right_at_the_tolerance_is_no_fault_of_fine_buckets():
    finding = judged(*shifted(10))
    assert (finding.outcome, finding.fullest_bucket) == ("marginal", None)


def test_single_histograms_are_compared_as_independent_observations():
    one = [arm(values.reshape(1, -1)) for values in (VALUES[0], VALUES[1] + 30)]
    finding = judged(*one)
    assert (finding.outcome, finding.n_canary) == ("fail", 1)
    assert finding.waived == ("independence_assumed",)


def test_few_intervals_are_outside_the_proven_range():
    finding = judged(arm(VALUES[0, :12]), arm(VALUES[1, :12]))
    assert finding.waived == ("outside_proven_range",)
    assert judged(arm(VALUES[0, :4]), arm(VALUES[1, :4])).waived == ("independence_assumed",)


def test_so_are_intervals_that_depend_on_each_other():
    waves = np.exp(0.5 * np.sin(np.arange(40) / 8))[:, None]
    finding = judged(arm(waves * VALUES[0]), arm(waves * VALUES[1]))
    assert finding.autocorrelation > 0.9
    assert finding.waived == ("outside_proven_range",)


def test_a_handful_of_observations_is_too_little():
    finding = judged(arm(VALUES[0, :1, :5]), arm(VALUES[1]))
    assert (finding.outcome, finding.reason, finding.total_baseline) == ("marginal", "too_little_data", 5)
    nothing = Arm(np.zeros(3), buckets=np.zeros((3, 20)))
    assert judged(arm(VALUES[0]), nothing).reason == "too_little_data"


def test_a_median_of_zero_needs_an_absolute_tolerance():
    edges = np.array([-1.0, 0.0, 1.0, np.inf])
    even = Arm(np.full(20, 40.0), buckets=np.tile([0.0, 20, 20, 0], (20, 1)))
    assert judged(even, even, edges=edges).reason == "needs_absolute_tolerance"
    assert judged(even, even, edges=edges, tolerance={"absolute": "5ms"}).outcome == "pass"


def test_a_median_beyond_the_last_edge_proves_nothing_in_percent():
    edges = np.array([10.0, 20.0, np.inf])
    finding = judged(arm(VALUES[0], edges), arm(2 * VALUES[1], edges), edges=edges)
    assert (finding.outcome, finding.reason) == ("marginal", "abstains")
    assert finding.fullest_bucket.high is None


def test_a_median_that_is_known_within_its_bucket_only_widens_the_limit():
    """All in (64, 128]: 10 % may be 6.4 or 12.8, so a shift of 10 is proven neither way, however sure it is."""
    edges = np.array([0.5, 64.0, 128.0, 256.0, np.inf])
    baseline, canary = (
        Arm(np.full(20, 1e4), buckets=np.tile(row, (20, 1)))
        for row in ([0.0, 100, 9800, 100, 0], [0.0, 100, 8000, 1900, 0])
    )
    assert judged(baseline, canary, edges=edges).outcome == "marginal"


def test_replicas_that_differ_among_themselves_hold_a_change_back():
    def arms(spread):
        found = []
        for values, levels in ((VALUES[0], (-1, 0, 1)), (VALUES[1] + 25, (-1, 0.5, 0.8))):
            replicas = tuple(
                arm(values[:, i * 80 : (i + 1) * 80] + spread * level, **ON_A_CLOCK)
                for i, level in enumerate(levels)
            )
            pooled = sum(replica.buckets for replica in replicas)
            found.append(Arm(pooled.sum(axis=1), buckets=pooled, replicas=replicas, **ON_A_CLOCK))
        return found

    alike, apart = judged(*arms(0)), judged(*arms(20))
    assert (alike.outcome, alike.replicas.canary) == ("fail", 3)
    assert (apart.outcome, apart.replicas.spread) == ("marginal", pytest.approx(0.2, abs=0.05))
    silent = arm(VALUES[0, :, :0], **ON_A_CLOCK)
    baseline, canary = arms(0)
    with_silent = judged(replace(baseline, replicas=(*baseline.replicas, silent)), canary)
    assert with_silent == alike


def test_it_is_what_judge_asks_of_a_histogram_and_reads_back():
    asked = cj.Metric(name="m", kind="histogram", direction="increase")
    assert default_rules(asked, one_clock=True) == (cj.MannWhitney(), cj.LateShift())
    columns = [{"buckets": each.buckets, "edges": EDGES} | ON_A_CLOCK for each in shifted(30)]
    policy = cj.Policy(metrics=[cj.Metric(name="m", kind="histogram", unit="ms", direction="increase")])
    verdict = cj.judge({"m": dict(zip(("baseline", "canary"), columns, strict=True))}, policy)
    assert (verdict.outcome, verdict.valid_for) == ("fail", "one_look")
    finding = verdict.metrics["m"].findings[0]
    assert read_finding(json.loads(finding.model_dump_json())) == finding
    assert "robust Mann-Whitney on buckets" in " ".join(verdict.explain().split())
    assert "10,000 v. 10,000 observations in 40 v. 40 intervals" in " ".join(verdict.explain().split())


def test_the_words_name_the_bucket():
    edges = np.array([25.0, 200.0, 400.0, np.inf])
    columns = [{"buckets": arm(values, edges).buckets, "edges": edges} for values in VALUES]
    policy = cj.Policy(metrics=[cj.Metric(name="m", kind="histogram", unit="ms", direction="increase")])
    verdict = cj.judge({"m": dict(zip(("baseline", "canary"), columns, strict=True))}, policy)
    assert (
        "of an arm's observations lie in one bucket, 25 ms to 200 ms, too coarse to see the tolerated 10 %"
        in verdict.reason
    )


@pytest.mark.parametrize("method", ["exact", "asymptotic"])
def test_the_textbook_methods_do_not_fit(method):
    with pytest.raises(cj.PolicyError, match=f"method: {method} does not fit kind: histogram"):
        cj.Metric(name="m", kind="histogram", direction="increase", rules=[cj.MannWhitney(method=method)])


def test_a_split_that_moves_is_told_and_the_medians_stay_pooled():
    shares = np.repeat([0.05, 0.25, 0.5, 0.9], 10)
    values = [
        100 * (1.4 if share > 0.4 else 1.0) * np.exp(0.3 * stats.norm.ppf((np.arange(1000) + 0.5) / 1000))
        for share in shares
    ]
    of_canary = [int(1000 * share) for share in shares]
    rng = np.random.default_rng(8)
    drawn = [rng.permutation(each) for each in values]
    arms = {
        "baseline": [each[part:] for each, part in zip(drawn, of_canary, strict=True)],
        "canary": [each[:part] for each, part in zip(drawn, of_canary, strict=True)],
    }
    edges = np.append(np.geomspace(30, 400, 30), np.inf)
    data = {
        name: {
            "edges": edges,
            "buckets": [np.bincount(np.searchsorted(edges, each), minlength=31) for each in parts],
            "time": 60.0 * np.arange(40),
        }
        for name, parts in arms.items()
    }
    metric = cj.Metric(name="m", kind="histogram", unit="ms", direction="increase")
    verdict = cj.judge({"m": data}, cj.Policy(metrics=[metric]))
    finding = verdict.metrics["m"].findings[0]
    assert (finding.outcome, finding.method) == ("pass", "mixed_bucket_rank")
    assert finding.estimate == pytest.approx(0, abs=0.02)
    pooled = [np.median(np.concatenate(parts)) for parts in arms.values()]
    assert (finding.baseline_level, finding.canary_level) == pytest.approx(tuple(pooled), rel=0.02)
    assert "the split of the traffic moves" in " ".join(verdict.explain().split())
