"""Objectives relative to the baseline, between bounds, with a bound at which they fail, and of buckets."""

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from objective_worlds import EDGES, histograms, judged, pair_of

import canaryjudge as cj
from canaryjudge.policy import Slo
from canaryjudge.rules.aggregates import counts_within
from canaryjudge.rules.changes import Limit
from canaryjudge.stats.dispersion import dispersion, temper
from canaryjudge.stats.proportions import difference_pvalues, proportion_pvalues
from canaryjudge.stats.rates import rate_ratio_pvalues

_HALF = np.random.default_rng(21).normal(0, 2, (2, 200))
NOISE = np.random.default_rng(22).permuted(np.hstack([_HALF, -_HALF]), axis=1)
"""Its mean and its median are 0."""


def gauge(level, *, baseline=100, pairing="windows", kind="gauge", **settings):
    pair = pair_of(kind, baseline + NOISE[0], level + NOISE[1], pairing=pairing)
    return judged(pair, Slo(**settings), level=0.01)


def ratio(baseline, canary, *, requests=1000, **settings):
    arms = np.full(10, baseline), np.full(10, canary)
    totals = np.full(10, requests), np.full(10, requests)
    return judged(pair_of("ratio", *arms, totals=totals), Slo(of="pooled", **settings), level=0.01)


def buckets(baseline, canary, **settings):
    rng = np.random.default_rng(7)
    arms = (histograms(rng, 20, 500, median=median) for median in (baseline, canary))
    return judged(pair_of("histogram", *arms, edges=EDGES), Slo(**settings), level=0.01)


# where the limit lies


@pytest.mark.parametrize(
    ("relative", "absolute", "upward", "level", "limit"),
    [
        (0.1, None, True, 100, 110),  # Keptn's <=+10%
        (-0.08, None, False, 100, 92),  # Keptn's >=-8%
        (None, 5, True, 100, 105),  # Keptn's <=+5
        (0.1, 5, True, 100, 110),
        (0.1, 5, True, 20, 25),
        (0.1, 5, True, 0, 5),
        (-0.1, -5, False, 100, 90),
        (-0.1, -5, False, 20, 15),
        (0.1, None, True, -100, -90),
        (-0.1, None, False, -100, -110),
        (2.0, None, True, -100, 0),
        (0.1, None, True, 0, 0),
    ],
)
def test_the_laxer_part_is_the_limit(relative, absolute, upward, level, limit):
    assert Limit(relative, absolute, upward=upward).at(level) == pytest.approx(limit)


@given(
    st.floats(-0.99, 3) | st.none(),
    st.floats(-10, 10),
    st.booleans(),
    st.floats(-100, 100),
    st.floats(0, 50),
)
def test_the_limit_never_falls_where_the_baseline_rises(relative, absolute, upward, level, more):
    limit = Limit(relative, absolute, upward=upward)
    assert limit.at(level + more) >= limit.at(level) - 1e-9


# the three zones of a change


@pytest.mark.parametrize("of", ["mean", "median", "p75"])
@pytest.mark.parametrize("pairing", ["windows", "concurrent"])
def test_a_rise_has_its_three_zones(of, pairing):
    for level, outcome in ((103, "pass"), (110, "marginal"), (120, "fail")):
        found = gauge(level, of=of, op="lte", change="+10%", pairing=pairing)
        assert found.outcome == outcome
        assert found.limit_high == pytest.approx(1.1 * found.baseline_level)
        assert (found.limit_low, found.objective.change_relative) == (None, 0.1)


@pytest.mark.parametrize("of", ["mean", "median", "p25"])
def test_a_fall_has_its_three_zones(of):
    for level, outcome in ((97, "pass"), (92, "marginal"), (85, "fail")):
        found = gauge(level, of=of, op="gte", change="-8%")
        assert found.outcome == outcome
        assert found.limit_low == pytest.approx(0.92 * found.baseline_level)


def test_the_laxer_part_of_two_decides():
    for change, outcome in (
        ({"relative": "+10%", "absolute": 5}, "pass"),
        ({"relative": "+1%", "absolute": 5}, "fail"),
        ({"relative": "+1%", "absolute": 10}, "pass"),
    ):
        assert gauge(107, of="mean", op="lte", change=change).outcome == outcome


def test_the_mean_of_concurrent_arms_loses_what_both_feel():
    load = 20 * np.sin(np.arange(400) / 25)
    for pairing, outcome in (("concurrent", "pass"), ("windows", "marginal")):
        pair = pair_of("gauge", 100 + load + NOISE[0], 103 + load + NOISE[1], pairing=pairing)
        assert judged(pair, Slo(of="mean", op="lte", change="+5%"), level=0.01).outcome == outcome


def test_the_baseline_s_own_uncertainty_counts():
    """The same canary, the same baseline's level: of four points, that is hardly known."""
    rule = Slo(of="mean", op="lte", change="+10%")
    many = judged(pair_of("gauge", 100 + 5 * NOISE[0], 118 + NOISE[1]), rule)
    few = judged(pair_of("gauge", 100 + 5 * NOISE[0][:4], 118 + NOISE[1]), rule)
    assert (many.outcome, few.outcome) == ("fail", "marginal")


@pytest.mark.parametrize("op", ["lte", "lt"])
def test_a_change_is_never_the_environment_s_doing(op):
    assert gauge(150, of="mean", op=op, change="+10%").reason == "breached"


@pytest.mark.parametrize(
    ("settings_", "kind"),
    [
        ({"of": "mean", "op": "lte", "change": "+10%"}, "gauge"),
        ({"of": "mean", "op": "gte", "change": {"relative": "-10%", "absolute": -12}}, "gauge"),
        ({"of": "p90", "op": "lte", "change": {"relative": "+10%", "absolute": 9}}, "samples"),
        ({"of": "p90", "op": "gte", "change": "-5%"}, "samples"),
        ({"of": "within", "bound": 104, "op": "gte", "change": "-10%"}, "samples"),
        ({"of": "median", "op": "lt", "value": 105}, "samples"),
        ({"of": "mean", "between": [95, 105]}, "gauge"),
    ],
)
def test_the_interval_says_what_the_pvalues_say(settings_, kind):
    for level in np.linspace(85, 125, 21):
        assert_interval_and_pvalues_agree(gauge(level, kind=kind, **settings_))


def assert_interval_and_pvalues_agree(found, excludes=operator.gt):
    """Of a percentile that is known to lie above one edge and up to another, the edge itself is excluded below."""
    high, low = found.limit_high, found.limit_low
    beyond = (high is not None and found.interval.low is not None and excludes(found.interval.low, high)) or (
        low is not None and found.interval.high is not None and excludes(low, found.interval.high)
    )
    within = (high is None or excludes(high, found.pass_interval.high or np.inf)) and (
        low is None or excludes(found.pass_interval.low or -np.inf, low)
    )
    assert beyond == (found.pvalue < found.level)
    assert within == (found.pvalue_pass < found.beta)
    assert (found.outcome == "fail") == beyond
    assert (found.outcome == "pass") == within


@pytest.mark.parametrize(
    "settings_",
    [
        {"of": "p90", "op": "lte", "change": "+20%"},
        {"of": "median", "op": "gte", "change": {"relative": "-20%", "absolute": -0.01}},
        {"of": "within", "bound": 0.25, "op": "gte", "change": "-5%"},
        {"of": "within", "bound": 0.2, "op": "gte", "change": {"absolute": "-20%"}},
        {"of": "within", "bound": 0.2, "op": "lte", "change": {"relative": "+20%", "absolute": "1%"}},
    ],
)
def test_the_interval_of_buckets_says_what_the_pvalues_say(settings_):
    rng = np.random.default_rng(9)
    excludes = operator.gt if settings_["of"] == "within" else operator.ge
    seen = set()
    for median in np.geomspace(0.005, 2, 20):
        arms = (histograms(rng, 4, size, median=m) for size, m in ((30, 0.08), (20, median)))
        found = judged(pair_of("histogram", *arms, edges=EDGES), Slo(**settings_))
        seen.add(found.outcome)
        if found.reason != "abstains":
            assert_interval_and_pvalues_agree(found, excludes)
    assert len(seen) > 1


# events


def test_the_change_of_a_ratio_is_that_of_the_two_sample_tests():
    found = ratio(10, 25, op="lte", change="+50%")
    assert (found.outcome, found.method) == ("fail", "exact_conditional")
    assert found.pvalue == pytest.approx(float(rate_ratio_pvalues(250, 10_000, 100, 10_000, 1.5).greater))
    found = ratio(10, 12, op="lte", change={"absolute": "1%"})
    assert (found.outcome, found.method) == ("pass", "difference")
    assert found.pvalue_pass == pytest.approx(float(difference_pvalues(120, 10_000, 100, 10_000, 0.01).less))


def test_two_parts_prove_a_breach_together_and_a_pass_each():
    parts = {"relative": "+50%", "absolute": "1%"}
    both, first, second = (
        ratio(10, 25, op="lte", change=change) for change in (parts, "+50%", {"absolute": "1%"})
    )
    assert both.pvalue == max(first.pvalue, second.pvalue)
    least = min(first.pvalue_pass, second.pvalue_pass)
    assert least <= both.pvalue_pass <= 2 * least


def test_counts_change_by_their_rates():
    pair = pair_of("count", [10] * 20, [13] * 20)
    assert judged(pair, Slo(of="pooled", op="lte", change="+100%")).outcome == "pass"
    assert judged(pair, Slo(of="pooled", op="lte", change={"absolute": 10})).outcome == "pass"
    assert (
        judged(
            pair_of("count", [10] * 20, [40] * 20), Slo(of="pooled", op="lte", change={"absolute": 10})
        ).outcome
        == "fail"
    )


# a baseline of zero


def test_at_a_baseline_of_zero_the_absolute_part_counts():
    for errors, outcome in ((0, "pass"), (30, "fail")):
        found = ratio(0, errors, op="lte", change={"relative": "+10%", "absolute": "0.1%"})
        assert (found.outcome, found.limit_high) == (outcome, 0.001)


def test_a_change_in_percent_means_nothing_at_zero_where_nothing_is_proven():
    found = ratio(0, 0, op="lte", change="+10%")
    assert (found.outcome, found.reason, found.interval, found.more_points) == (
        "marginal",
        "needs_absolute_tolerance",
        None,
        None,
    )


def test_a_rise_from_zero_is_a_breach_where_it_is_proven():
    found = ratio(0, 3, op="lte", change="+10%")
    assert (found.outcome, found.reason, found.limit_high) == ("fail", "breached", 0)


@pytest.mark.parametrize(
    ("op", "change", "outcome"),
    [("lte", "+10%", "pass"), ("lte", "0%", "pass"), ("lt", "0%", "fail"), ("gte", "-8%", "pass")],
)
@pytest.mark.parametrize("of", ["mean", "p90", "median"])
def test_arms_that_are_constant_and_equal_are_as_they_are(op, change, outcome, of):
    for value in (0.0, 3.0):
        found = judged(
            pair_of("gauge", np.full(20, value), np.full(20, value)), Slo(of=of, op=op, change=change)
        )
        assert found.outcome == outcome
        assert found.reason == ("identical" if outcome == "pass" else "breached")


def test_constant_means_are_certain_at_the_limit_itself():
    for value, outcome in ((110.0, "pass"), (110.5, "fail")):
        pair = pair_of("gauge", np.full(20, 100.0), np.full(20, value))
        assert judged(pair, Slo(of="mean", op="lte", change={"absolute": 10})).outcome == outcome


# between, and bounds at which it fails


@pytest.mark.parametrize(
    ("level", "outcome"), [(80, "fail"), (90, "marginal"), (100, "pass"), (110, "marginal"), (120, "fail")]
)
def test_between_has_five_zones(level, outcome):
    found = gauge(level, of="mean", between=[90, 110])
    assert found.outcome == outcome
    assert (found.limit_low, found.limit_high, found.op) == (90, 110, None)
    assert found.interval.error == 0.005
    assert found.pass_interval.error == 0.05


@pytest.mark.parametrize("of", ["mean", "p50"])
def test_both_ends_of_between_are_allowed(of):
    for value in (3.0, 5.0):
        pair = pair_of("gauge", np.full(40, 4.0), np.full(40, value))
        assert judged(pair, Slo(of=of, between=[3, 5])).outcome == "pass"


@pytest.mark.parametrize(
    ("level", "outcome", "reason"),
    [(95, "pass", "objective_met"), (105, "marginal", "warning"), (120, "fail", "breached")],
)
def test_beyond_the_objective_it_warns_and_beyond_the_other_bound_it_fails(level, outcome, reason):
    for form in (
        {"op": "lte", "value": 100, "fail_value": 110},
        {"between": [50, 100], "fail_between": [40, 110]},
        {"op": "lte", "change": {"absolute": 10}, "fail_change": {"absolute": 20}},
    ):
        found = gauge(level, baseline=90, of="mean", **form)
        assert (found.outcome, found.reason) == (outcome, reason)
        assert found.limit_high == pytest.approx(100, abs=0.5)
        assert found.objective.fail_high == pytest.approx(110, abs=0.5)
        assert (found.pvalue <= 0.01) == (outcome == "fail")


def test_a_warning_is_not_the_canary_s_where_the_baseline_warns_too():
    settings_ = {"of": "mean", "op": "lte", "value": 100, "fail_value": 110}
    assert gauge(105, baseline=105, **settings_).reason == "environment_unhealthy"
    assert gauge(105, baseline=105, blame="canary", **settings_).reason == "warning"
    # the baseline only warns, so that what fails is the canary's own
    assert gauge(120, baseline=105, **settings_).outcome == "fail"
    assert gauge(120, baseline=120, **settings_).reason == "environment_unhealthy"


def test_a_baseline_beyond_the_other_bound_does_not_excuse():
    assert gauge(120, baseline=80, of="mean", between=[90, 110]).outcome == "fail"


@pytest.mark.parametrize(
    "form", [{"op": "lte", "change": "+10%"}, {"between": [0, 110]}, {"op": "lte", "value": 110}]
)
def test_point_evidence_takes_any_form(form):
    for of in ("max", "mean", "p99", "within"):
        bound = {"bound": 1000} if of == "within" else {}
        if of == "within" and "change" not in form:
            continue
        found = gauge(100, of=of, evidence="point", **form, **bound)
        assert (found.outcome, found.method, found.interval) == ("pass", "point", None)
    warned = gauge(115, of="mean", op="lte", value=110, fail_value=120, evidence="point")
    assert (warned.outcome, warned.reason) == ("marginal", "warning")


# shares


@pytest.mark.parametrize(("bound", "outcome"), [(103, "fail"), (105.5, "marginal"), (110, "pass")])
def test_the_share_within_a_bound_has_its_three_zones(bound, outcome):
    found = gauge(103, kind="samples", of="within", bound=bound, op="gte", value="90%")
    assert (found.outcome, found.objective.bound) == (outcome, bound)
    assert found.estimate == np.mean(103 + NOISE[1] <= bound)


def test_the_score_method_is_never_finer_than_the_exact_one():
    exact, score = (ratio(1, 1, op="lte", value="0.2%", method=method) for method in ("exact", "score"))
    assert (exact.method, score.method) == ("exact_ratio", "score")
    assert score.pass_interval.high > exact.pass_interval.high
    assert score.interval.low <= exact.interval.low


# buckets


def test_a_percentile_of_buckets_is_known_to_a_bucket():
    for value, outcome in ((1, "pass"), (0.2, "fail"), (0.3, "marginal")):
        found = buckets(0.01, 0.08, of="p95", op="lte", value=value)
        assert (found.outcome, found.method) == (outcome, "bucket_quantile")
        assert (found.objective.bucket_low, found.objective.bucket_high) == (0.25, 0.5)
        assert found.interval.low in EDGES
        assert found.interval.high in EDGES
        assert 0.25 <= found.estimate <= 0.5
        assert found.estimate == pytest.approx(0.08 * np.exp(0.8 * 1.645), rel=0.05)


def test_a_percentile_beyond_the_last_edge_has_no_upper_bound():
    found = buckets(0.01, 100, of="p95", op="lte", value=10)
    assert (found.outcome, found.interval.high, found.objective.bucket_high) == ("fail", None, None)


def test_percentiles_of_buckets_change_by_more_than_a_bucket_or_not_provably():
    assert buckets(0.08, 0.4, of="p95", op="lte", change="+10%").outcome == "fail"
    assert buckets(0.08, 0.082, of="p95", op="lte", change="+10%").outcome == "marginal"
    assert buckets(0.08, 0.08, of="p95", op="lte", change="+120%").outcome == "pass"
    assert buckets(0.08, 0.02, of="p95", op="gte", change="-10%").outcome == "fail"


@pytest.mark.parametrize(
    ("bound", "fewest", "most"), [(0.25, 6, 6), (0.3, 6, 10), (0.001, 0, 1), (10, 66, 66), (11, 66, 78)]
)
def test_what_lies_within_a_bound_is_known_to_its_bucket(bound, fewest, most):
    pair = pair_of("histogram", np.ones((2, 12)), np.arange(1.0, 13)[np.newaxis], edges=EDGES)
    cumulative = np.arange(1.0, 13).cumsum()
    known = {0.25: (cumulative[5],) * 2, 0.3: (cumulative[5], cumulative[6]), 0.001: (0, 1)}
    known |= {10: (cumulative[10],) * 2, 11: (cumulative[10], cumulative[11])}
    found = counts_within(pair.canary, EDGES, bound)
    assert (float(found[0][0]), float(found[1][0])) == known[bound]


def test_a_share_within_an_edge_is_exact_and_within_a_bucket_bounded_by_its_edges():
    exact = buckets(0.01, 0.08, of="within", bound=0.25, op="gte", value="90%")
    assert (exact.method, exact.objective.bucket_low) == ("exact_ratio", None)
    inside = buckets(0.01, 0.08, of="within", bound=0.3, op="gte", value="90%")
    above = buckets(0.01, 0.08, of="within", bound=0.5, op="gte", value="90%")
    assert (inside.objective.bucket_low, inside.objective.bucket_high) == (0.25, 0.5)
    assert inside.interval.low == exact.interval.low
    assert inside.interval.high == above.interval.high
    assert exact.estimate < inside.estimate < above.estimate


def test_the_change_of_a_share_of_buckets_is_that_of_two_proportions():
    found = buckets(0.08, 0.08, of="within", bound=0.25, op="gte", change={"absolute": "-5%"})
    assert (found.outcome, found.method) == ("pass", "difference")
    assert buckets(0.08, 0.2, of="within", bound=0.25, op="gte", change={"absolute": "-5%"}).outcome == "fail"
    assert (
        buckets(0.08, 0.08, of="within", bound=0.3, op="gte", change={"absolute": "-1%"}).outcome
        == "marginal"
    )


def test_a_percentile_of_buckets_in_bursts_is_tested_as_pooled_events_are():
    rows = histograms(np.random.default_rng(10), 30, 300, weather=0.5)
    below, totals = rows[:, :6].sum(axis=1), rows.sum(axis=1)
    bursts = dispersion(below, totals, family="binomial")
    n = totals.sum() / bursts.factor
    alone = proportion_pvalues(below.sum() / bursts.factor, n, 0.9)
    found = judged(
        pair_of("histogram", rows, rows, edges=EDGES), Slo(of="p90", op="lte", value=0.25, blame="canary")
    )
    assert bursts.factor > 3
    assert found.pvalue == pytest.approx(float(temper(alone.less, bursts.df)))
    assert found.pvalue_pass == pytest.approx(float(temper(alone.greater, bursts.df)))


def test_intervals_of_one_bad_minute_each_widen_what_buckets_say():
    rng = np.random.default_rng(8)
    calm = histograms(rng, 30, 300)
    bursts = histograms(rng, 30, 300, weather=0.5)
    rule = Slo(of="within", bound=0.25, op="gte", value="90%")
    widths = []
    for arm in (calm, bursts):
        found = judged(pair_of("histogram", calm, arm, edges=EDGES), rule)
        widths.append(found.interval.high - found.interval.low)
    assert widths[1] > 2 * widths[0]
    assert found.dispersion > 3


def test_replicas_of_a_gauge_all_count():
    arms = {
        arm: [
            {"metric": "m", "arm": arm, "time": 60 * i, "replica": f"{arm}{k}", "value": level + NOISE[k, i]}
            for k in range(2)
            for i in range(100)
        ]
        for arm, level in (("baseline", 90), ("canary", 100))
    }
    metric = cj.Metric(
        name="m", direction="increase", rules=[Slo(of="max", op="lte", value=200, evidence="point")]
    )
    found = (
        cj.judge([*arms["baseline"], *arms["canary"]], cj.Policy(metrics=[metric])).metrics["m"].findings[0]
    )
    assert found.estimate == pytest.approx(100 + NOISE[:, :100].max())
