"""The rule that holds the canary against an objective."""

import numpy as np
import pytest
from judging import judge_by

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair
from canaryjudge.rules import ErrorRates

RATES = ErrorRates(level=0.01, beta=0.05)
NOISE = np.random.default_rng(21).normal(0, 5, (2, 100))


def judged(baseline, canary, *, kind="gauge", totals=None, unit="", share=RATES, **settings):
    rule = cj.Slo(**settings)
    metric = cj.Metric(name="m", kind=kind, unit=unit, direction="increase", rules=[rule])
    arms = [
        Arm(values, None if totals is None else np.full(len(values), float(totals)))
        for values in (np.asarray(baseline, float), np.asarray(canary, float))
    ]
    return judge_by(MetricPair("m", kind, *arms), metric, rule, share)


def gauge(level, **settings):
    return judged(50 + NOISE[0], level + NOISE[1], **({"of": "mean"} | settings))


@pytest.mark.parametrize(
    ("op", "below", "at", "above"),
    [
        ("lt", "pass", "marginal", "fail"),
        ("lte", "pass", "marginal", "fail"),
        ("gt", "fail", "marginal", "pass"),
        ("gte", "fail", "marginal", "pass"),
    ],
)
@pytest.mark.parametrize("of", ["mean", "median", "p40"])
def test_each_operator_has_its_three_zones(op, below, at, above, of):
    quantile = {"mean": 0.0, "median": 0.0, "p40": -1.27}[of]
    # the baseline meets the objective, so that the canary is to blame
    healthy = 50.0 if op in ("lt", "lte") else 150.0
    for level, outcome in ((90, below), (100, at), (110, above)):
        finding = judged(healthy + NOISE[0], level - quantile + NOISE[1], of=of, op=op, value=100)
        assert finding.outcome == outcome
        assert finding.scale == "objective"
        assert (finding.limit_high, finding.limit_low) == (
            (100, None) if op in ("lt", "lte") else (None, 100)
        )


@pytest.mark.parametrize(
    ("op", "outcome"), [("lte", "pass"), ("gte", "pass"), ("lt", "fail"), ("gt", "fail")]
)
@pytest.mark.parametrize("of", ["mean", "median", "p90", "p5"])
def test_values_that_all_equal_the_objective_meet_it_or_not_by_the_operator(op, outcome, of):
    """Three ready replicas meet "at least three" and breach "more than three"."""
    healthy = np.full(100, 1.0 if op == "lt" else 9.0)
    assert judged(healthy, np.full(100, 3.0), of=of, op=op, value=3).outcome == outcome


def test_a_single_value_proves_no_mean():
    assert judged([1.0], [9.0], of="mean", op="lte", value=3).outcome == "marginal"


@pytest.mark.parametrize("of", ["median", "p90"])
def test_the_mirrored_quantile_agrees_with_the_other_side(of):
    """Without ties at the value, < and <= are one objective, and so are > and >=."""
    for ops in (("lt", "lte"), ("gt", "gte")):
        one, other = (gauge(101, of=of, op=op, value=100) for op in ops)
        assert one.pvalue == pytest.approx(other.pvalue)
        assert one.interval.low == other.interval.low
        assert one.interval.high == other.interval.high


def test_percentiles_look_at_the_tail():
    rng = np.random.default_rng(22)
    healthy, tailed = rng.normal(100, 5, 1000), rng.normal(100, 5, 1000)
    tailed[::20] += 300
    settings = {"kind": "samples", "op": "lte", "value": 150}
    assert judged(healthy, tailed, of="median", **settings).outcome == "pass"
    finding = judged(healthy, tailed, of="p99", **settings)
    assert (finding.outcome, finding.reason, finding.method) == ("fail", "breached", "quantile")


@pytest.mark.parametrize(("errors", "outcome"), [(1, "pass"), (10, "marginal"), (20, "fail")])
def test_pooled_ratios_have_their_three_zones(errors, outcome):
    finding = judged(
        [1] * 10, [errors] * 10, kind="ratio", totals=10_000, of="pooled", op="lte", value="0.1%"
    )
    assert (finding.outcome, finding.method) == (outcome, "exact_ratio")
    assert (finding.events_canary, finding.total_canary) == (10 * errors, 100_000)


def test_pooled_counts_are_per_interval_without_an_exposure():
    finding = judged([1] * 20, [20] * 20, kind="count", of="pooled", op="lte", value=10)
    assert (finding.outcome, finding.method, finding.estimate) == ("fail", "exact_rate", 20)


def test_the_r_value_of_one_proportion():
    # binom.test(3, 17, p=.05, alternative="greater"): p-value = .050253
    finding = judged([0], [3], kind="ratio", totals=17, of="pooled", op="lte", value="5%")
    assert finding.pvalue == pytest.approx(0.050253, abs=1e-6)


def test_the_objective_is_read_in_the_metric_s_unit():
    finding = judged(100 + NOISE[0], 100 + NOISE[1], unit="ms", of="mean", op="lte", value="0.2s")
    assert (finding.limit_high, finding.outcome) == (200, "pass")


def test_where_both_arms_breach_the_environment_is_to_blame_unless_the_policy_says_otherwise():
    arms = 200 + NOISE[0], 200 + NOISE[1]
    settings = {"of": "mean", "op": "lte", "value": 100}
    finding = judged(*arms, **settings)
    assert (finding.outcome, finding.reason, finding.more_points) == (
        "marginal",
        "environment_unhealthy",
        None,
    )
    assert judged(*arms, blame="canary", **settings).outcome == "fail"
    assert judged(50 + NOISE[0], arms[1], **settings).outcome == "fail"


def test_an_unhealthy_baseline_does_not_excuse_or_blame_a_healthy_canary():
    assert judged(200 + NOISE[0], 50 + NOISE[1], of="mean", op="lte", value=100).outcome == "pass"


@pytest.mark.parametrize(
    ("op", "value", "outcome"),
    [("lte", 60, "fail"), ("lt", 80, "pass"), ("gte", 10, "pass"), ("gt", 45, "fail")],
)
def test_point_evidence_compares_the_estimate_alone_and_waives_the_rates(op, value, outcome):
    of = "max" if op in ("lt", "lte") else "min"
    baseline = [50.0, 55] if op in ("lt", "lte") else [100.0, 101]
    finding = judged(baseline, [40.0, 70], of=of, op=op, value=value, evidence="point")
    assert (finding.outcome, finding.method, finding.waived) == (outcome, "point", ("point_evidence",))
    assert finding.interval is None
    assert finding.pvalue is None


def test_point_evidence_at_the_value_itself_depends_on_the_operator():
    for op, outcome in (("lte", "pass"), ("lt", "fail")):
        assert judged([1.0], [5.0], of="max", op=op, value=5, evidence="point").outcome == outcome


@pytest.mark.parametrize(("of", "op", "sign"), [("max", "lte", 1.0), ("min", "gte", -1.0)])
def test_so_many_intervals_may_lie_beyond_as_are_excepted(of, op, sign):
    """Argo Rollouts' failureLimit, and Flagger's threshold less one: of four failures, three may be put up with."""
    baseline, canary = np.full(20, sign * 1.0), np.full(20, sign * 1.0)
    canary[[3, 8, 9, 15]] = sign * np.array([9.0, 7, 6, 8])
    for exceptions, outcome, estimate in (
        (0, "fail", 9),
        (2, "fail", 7),
        (3, "fail", 6),
        (4, "pass", 1),
        (99, "pass", 1),
    ):
        settings = {"of": of, "op": op, "value": sign * 5, "evidence": "point", "exceptions": exceptions}
        finding = judged(baseline, canary, **settings)
        assert (finding.outcome, finding.estimate) == (outcome, sign * estimate)
        assert (finding.objective.exceptions if exceptions else None) == (exceptions or None)


def test_replicas_that_fail_at_one_time_are_one_failure():
    time = np.arange(20.0) * 60
    value = np.ones((2, 20))
    value[:, 4] = 9  # both at once
    value[1, 11] = 9
    rows = [
        {"metric": "m", "arm": arm, "time": at, "value": level if arm == "canary" else 1.0, "replica": name}
        for arm in ("baseline", "canary")
        for name, levels in zip("ab", value, strict=True)
        for at, level in zip(time, levels, strict=True)
    ]
    for exceptions, outcome in ((1, "fail"), (2, "pass")):
        rule = cj.Slo(of="max", op="lt", value=5, evidence="point", exceptions=exceptions)
        verdict = cj.judge(rows, cj.Policy(metrics=[cj.Metric(name="m", direction="increase", rules=[rule])]))
        assert verdict.outcome == outcome
        told = "without the farthest interval" if exceptions == 1 else "without the 2 farthest intervals"
        assert told in " ".join(verdict.explain().split())
        assert cj.Verdict.from_json(verdict.to_json()) == verdict


def test_the_largest_of_means_is_no_largest():
    """Series whose column nobody told of are averaged, which hides the one that is bad."""
    rows = [
        {
            "metric": "m",
            "arm": arm,
            "time": 60 * minute,
            "endpoint": n,
            "value": 9 if arm == "canary" and n == 3 else 1 + n / 100,
        }
        for arm in ("baseline", "canary")
        for minute in range(20)
        for n in range(4)
    ]
    for of, op, value, outcome in (
        ("max", "lt", 5, "marginal"),
        ("min", "gt", 0, "marginal"),
        ("mean", "lt", 5, "pass"),
    ):
        rule = cj.Slo(of=of, op=op, value=value, evidence="point")
        policy = cj.Policy(metrics=[cj.Metric(name="m", direction="increase", rules=[rule])])
        result = cj.judge(rows, policy).metrics["m"]
        assert (result.outcome, result.reason == "misread") == (outcome, outcome == "marginal")
    told = [row | {"replica": str(row["endpoint"])} for row in rows]
    rule = cj.Slo(of="max", op="lt", value=5, evidence="point")
    assert (
        cj.judge(told, cj.Policy(metrics=[cj.Metric(name="m", direction="increase", rules=[rule])])).outcome
        == "fail"
    )


@pytest.mark.parametrize("settings", [{"of": "mean", "exceptions": 1}, {"of": "max", "evidence": "point", "exceptions": -1}, {"of": "max", "evidence": "point", "exceptions": 1.5}])  # fmt: skip
def test_exceptions_are_whole_and_of_an_extreme(settings):
    with pytest.raises(cj.PolicyError, match="exceptions"):
        cj.Slo(op="lt", value=5, **settings)


def test_an_undecided_objective_says_how_many_more_points_it_would_take():
    finding = gauge(100, op="lte", value=100)
    assert finding.reason == "undecided"
    assert finding.more_points > 0


def test_without_events_more_points_are_in_proportion_to_what_is_missing():
    # 1 - .05 ** (1 / n) <= .0001 from n = 29,956 on
    finding = judged([0] * 10, [0] * 10, kind="ratio", totals=1000, of="pooled", op="lte", value="0.01%")
    assert finding.more_points == 20


def test_a_decided_objective_asks_for_no_more_points():
    assert gauge(50, op="lte", value=100).more_points is None


def test_bursts_widen_the_interval_of_a_pooled_objective():
    bursts = np.random.default_rng(4).permutation([0] * 30 + [40] * 10)
    settings = {"kind": "ratio", "totals": 10_000, "of": "pooled", "op": "lte", "value": "0.12%"}
    calm, burst = judged([10] * 40, [10] * 40, **settings), judged([10] * 40, bursts, **settings)
    assert (calm.outcome, burst.outcome) == ("pass", "marginal")
    assert burst.dispersion > 10


def test_bursts_that_outlast_the_data_abstain_and_bound_nothing():
    settings = {"kind": "ratio", "totals": 10_000, "of": "pooled", "op": "lte"}
    waves = [0] * 8 + [900] * 8
    for value in ("0.1%", "50%"):  # far beyond it, and far within
        finding = judged([1] * 16, waves, value=value, **settings)
        assert (finding.outcome, finding.reason) == ("marginal", "abstains")
        assert (finding.interval.low, finding.pass_interval.high) == (None, None)
        assert finding.waived == ("outside_proven_range",)
