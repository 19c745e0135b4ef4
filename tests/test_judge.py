"""From pairs to a verdict: error rates shared out, roles, scores, and what must not change a verdict."""

import copy

import numpy as np
import pytest

import canaryjudge as cj
from canaryjudge.data import read_pairs
from canaryjudge.judging import Case, judge_cases

rng = np.random.default_rng(20260302)
LEVELS = {"good": 100.0, "bad": 200.0, "open": 110.0}
DATA = {
    f"{word}_{i}": {"baseline": rng.normal(100, 5, 40), "canary": rng.normal(level, 5, 40)}
    for word, level in LEVELS.items()
    for i in range(3)
} | {"none": {"baseline": [], "canary": []}, "few": {"baseline": [1.0, 2, 3], "canary": [1.0, 2, 3]}}


def metric(name, role="required", **settings):
    return cj.Metric(
        **({"name": name, "role": role, "direction": "increase", "no_data": "marginal"} | settings)
    )


def judged(*metrics, data=DATA, **settings):
    return cj.judge(data, cj.Policy(metrics=metrics, **settings))


@pytest.mark.parametrize(
    ("metrics", "outcome", "action", "deciding"),
    [
        ([metric("good_0"), metric("good_1")], "pass", "promote", None),
        ([metric("good_0"), metric("open_0")], "marginal", "hold", "open_0"),
        ([metric("open_0"), metric("bad_0"), metric("good_0")], "fail", "rollback", "bad_0"),
        ([metric("good_0"), metric("bad_0", "guard")], "fail", "rollback", "bad_0"),
        ([metric("good_0"), metric("open_0", "guard")], "pass", "promote", "good_0"),
        ([metric("good_0"), metric("bad_0", "advisory")], "marginal", "hold", "bad_0"),
        ([metric("good_0"), metric("open_0", "advisory")], "pass", "promote", "good_0"),
        ([metric("good_0"), metric("bad_0", "muted")], "pass", "promote", "good_0"),
        ([metric("open_0"), metric("bad_0", "advisory")], "marginal", "hold", "bad_0"),
        ([metric("good_0"), metric("none")], "marginal", "hold", "none"),
        ([metric("good_0"), metric("few")], "marginal", "hold", "few"),
        ([metric("good_0"), metric("none", "guard")], "pass", "promote", "good_0"),
        ([metric("good_0"), metric("none", no_data="fail")], "fail", "rollback", "none"),
        ([metric("good_0"), metric("none", "advisory", no_data="fail")], "marginal", "hold", "none"),
        ([metric("good_0"), metric("none", no_data="ignore")], "pass", "promote", "good_0"),
        ([metric("none", no_data="ignore")], "marginal", "hold", None),
        ([metric("none", "guard"), metric("few", "guard")], "marginal", "hold", "few"),
    ],
)
def test_the_worst_metric_that_may_decides(metrics, outcome, action, deciding):
    verdict = judged(*metrics)
    assert (verdict.outcome, verdict.action) == (outcome, action)
    assert deciding in (None, verdict.deciding_metric)
    assert verdict.valid_for == "one_look"


def test_a_pass_names_the_guards_that_are_not_proven():
    verdict = judged(
        metric("good_0"), metric("open_0", "guard"), metric("none", "guard"), metric("good_1", "guard")
    )
    assert verdict.unproven == ("open_0", "none")
    for headline in (
        verdict.explain().split("\n\n")[0],
        verdict.to_markdown(),
        verdict.to_html(),
        verdict.reason,
    ):
        assert "the guards open_0 and none are not proven fine" in " ".join(headline.split()).replace(
            "\\", ""
        )


def test_on_a_pass_the_metric_that_was_hardest_to_prove_is_named():
    verdict = judged(*(metric(f"good_{i}") for i in range(3)))
    hardest = max(verdict.metrics.values(), key=lambda result: result.deciding.pvalue_pass)
    assert verdict.deciding_metric == hardest.name


# error rates ------------------------------------------------------------------------------------------------------------


def test_alpha_is_shared_by_weight_over_what_can_fail_and_equally_over_rules():
    two = [cj.MannWhitney(), cj.Slo(of="mean", op="lte", value=1000)]
    verdict = judged(
        metric("good_0", weight=2, rules=two),
        metric("good_1", "guard"),
        metric("none"),
        metric("good_2", "muted", weight=50),
        metric("open_0", "advisory", weight=50),
        alpha=0.04,
    )
    alphas = {name: result.alpha for name, result in verdict.metrics.items()}
    assert alphas["good_0"] == 0.02
    assert alphas["good_1"] == alphas["none"] == 0.01
    assert [finding.level for finding in verdict.metrics["good_0"].findings] == [0.01, 0.01]
    assert {finding.beta for result in verdict.metrics.values() for finding in result.findings} == {0.05}
    # what cannot fail takes no share, and never more than all of alpha however heavy it is
    assert alphas["good_2"] == alphas["open_0"] == 0.04


def test_holm_names_what_would_fail_as_well_but_fails_nothing_by_itself():
    data = {"bad": DATA["bad_0"]}
    noise = np.random.default_rng(2).normal(0, 5, (2, 40))
    data["near"] = {"baseline": 100 + noise[0], "canary": 112.75 + noise[1]}
    policy = [metric("bad"), metric("near", tolerance="10%", rules=["mann_whitney"])]
    both = judged(*policy, data=data)
    pvalue = both.metrics["near"].findings[0].pvalue
    named = judged(*policy, data=data, alpha=1.5 * pvalue)  # its half is too little, all of it is enough
    assert named.metrics["near"].outcome == "marginal"
    assert named.also_failing == ("near",)
    assert "these fail as well (Holm): near" in named.explain()
    assert judged(*policy, data=data, alpha=0.9 * pvalue).also_failing == ()
    assert judged(*policy, data=data, alpha=2.1 * pvalue).also_failing == ()  # it fails by itself


def test_a_metric_that_fails_for_want_of_data_leaves_its_alpha_to_nobody():
    pvalue = judged(metric("open_0", tolerance="8%")).metrics["open_0"].findings[0].pvalue
    verdict = judged(metric("none", no_data="fail"), metric("open_0", tolerance="8%"), alpha=1.5 * pvalue)
    assert verdict.outcome == "fail"
    assert verdict.also_failing == ()


# no data, leniency, waivers ---------------------------------------------------------------------------------------------


def waivers(verdict):
    return {(waived.what, waived.metric) for waived in verdict.waived}


def test_what_the_policy_gives_up_is_listed():
    assert judged(metric("good_0")).waived == ()
    verdict = judged(
        metric("good_0", no_data="ignore", pass_when="not_proven_worse"),
        metric("good_1", rules=[cj.Slo(of="max", op="lte", value=1000, evidence="point")]),
        metric("good_2", rules=[cj.MannWhitney(method="asymptotic")]),
        metric("open_0", "muted", no_data="ignore"),
        aggregate="score",
    )
    assert waivers(verdict) == {
        ("aggregate_score", None),
        ("no_data_ignored", "good_0"),
        ("not_proven_worse_passes", "good_0"),
        ("point_evidence", "good_1"),
        ("independence_assumed", "good_2"),
    }
    assert "1 %" not in verdict.explain().split("Waived", 1)[1]  # under a score neither rate is promised
    partly = judged(metric("good_0", pass_when="not_proven_worse"))
    assert "Apart from what is waived, at most 1 %" in " ".join(partly.explain().split())


def test_a_pass_that_nothing_was_required_for_says_so():
    assert ("nothing_required", None) in waivers(judged(metric("open_0", "guard")))
    ignored = judged(metric("none", no_data="ignore"), metric("open_0", "guard"))
    assert ("nothing_required", None) in waivers(ignored)


@pytest.mark.parametrize(
    ("name", "reason", "outcome"),
    [
        ("wide", "not_proven_worse", "pass"),
        ("open_0", "worse_but_maybe_tolerable", "marginal"),  # that it is worse is proven
        ("bad_0", "proven_worse", "fail"),
        ("good_0", "proven_safe", "pass"),
        ("few", "too_little_data", "marginal"),
        ("none", "no_data", "marginal"),
    ],
)
def test_not_proven_worse_passes_what_is_undecided_and_nothing_else(name, reason, outcome):
    noise = np.random.default_rng(1).normal(0, 50, (2, 40))
    data = DATA | {"wide": {"baseline": 100 + noise[0], "canary": 105 + noise[1]}}
    asked = metric(name, pass_when="not_proven_worse", pass_within="tolerance")
    verdict = judged(asked, data=data)
    assert (verdict.metrics[name].reason, verdict.outcome) == (reason, outcome)


def test_not_proven_worse_does_not_hide_a_rule_that_could_not_be_asked():
    data = {"m": {"baseline": [0.0, *DATA["good_0"]["baseline"]], "canary": DATA["good_0"]["canary"]}}
    rules = [cj.MannWhitney(), cj.Slo(of="mean", op="lte", value=100)]
    settings = {"effect": "ratio", "pass_when": "not_proven_worse", "rules": rules}
    result = judged(metric("m", **settings), data=data).metrics["m"]
    assert [finding.reason for finding in result.findings] == ["abstains", "undecided"]
    assert (result.outcome, result.reason) == ("marginal", "abstains")


@pytest.mark.parametrize(
    ("metrics", "lacks"),
    [
        ([metric("good_0"), metric("none")], True),
        ([metric("good_0"), metric("few")], True),
        ([metric("open_0"), metric("none")], False),
        ([metric("good_0"), metric("good_1")], False),
        ([metric("none", no_data="ignore")], True),
        ([metric("open_0"), metric("none", no_data="ignore")], False),
        ([metric("none", "guard"), metric("bad_0", "advisory"), metric("good_0")], False),
        ([metric("none", "advisory", no_data="fail"), metric("good_0")], True),
        ([metric("bad_0"), metric("none")], False),
        ([metric("none"), metric("open_0", "muted")], True),
    ],
)
def test_a_release_lacks_data_where_nothing_else_holds_it(metrics, lacks):
    assert judged(*metrics).lacks_data is lacks


def test_an_empty_canary_is_no_evidence():
    verdict = judged(metric("m"), data={"m": {"baseline": DATA["good_0"]["baseline"], "canary": []}})
    result = verdict.metrics["m"]
    assert (verdict.outcome, result.reason, result.findings) == ("marginal", "no_data", ())
    assert "no data in canary" in verdict.reason


# scores -----------------------------------------------------------------------------------------------------------------


def scored(*metrics, **settings):
    return judged(*metrics, aggregate="score", **settings)


def test_a_score_is_the_weighted_mean_within_groups_then_over_them():
    verdict = scored(
        metric("good_0", group="a", weight=3),
        metric("open_0", group="a"),
        metric("bad_0", "guard", group="b"),
        groups={"a": 3, "b": 1},
    )
    assert verdict.score == pytest.approx((3 * (3 * 100 + 50) / 4 + 0) / 4)
    assert verdict.outcome == "fail"


def test_a_score_without_data_is_left_out_rather_than_100():
    verdict = scored(metric("open_0"), metric("none", "guard", group="empty"))
    assert verdict.score == 50
    assert scored(metric("none", "guard")).score is None


@pytest.mark.parametrize(
    ("metrics", "outcome", "deciding"),
    [
        ([metric("good_0", weight=19), metric("bad_0", "guard")], "pass", "good_0"),
        ([metric("good_0", weight=4), metric("bad_0", "guard")], "marginal", "bad_0"),
        ([metric("good_0"), metric("bad_0", "guard")], "fail", "bad_0"),
        ([metric("good_0", weight=99), metric("bad_0")], "fail", "bad_0"),  # required
        (
            [metric("good_0"), metric("bad_0", "advisory")],
            "marginal",
            "bad_0",
        ),  # an advisory one cannot fail it
        ([metric("good_0", weight=99), metric("none")], "marginal", "none"),  # required, without data
        ([metric("none", weight=9), metric("bad_0", "guard")], "marginal", "bad_0"),  # its data may save it
        ([metric("none"), metric("bad_0", "guard", weight=9)], "fail", "bad_0"),  # nothing can
        ([metric("none", no_data="fail"), metric("good_0", weight=99)], "fail", "none"),
        (
            [metric("good_0", weight=0.7), metric("open_0", weight=0.1), metric("good_1", weight=0.2)],
            "pass",
            None,
        ),
    ],
)
def test_a_score_decides_but_for_what_is_required(metrics, outcome, deciding):
    verdict = scored(*metrics)
    assert verdict.outcome == outcome
    assert deciding in (None, verdict.deciding_metric)


def test_a_pass_by_score_names_what_it_leaves_unproven():
    verdict = scored(metric("good_0", weight=98), metric("open_0"), metric("bad_0", "guard"))
    assert (verdict.outcome, verdict.unproven) == ("pass", ("open_0", "bad_0"))


# what the policy expects of the traffic ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("canary_total", "noted"), [(1000, False), (1010, False), (3000, True)])
@pytest.mark.parametrize(("share", "outcome"), [(0.01, "pass"), (0.1, "fail")])
def test_a_split_that_is_not_the_policy_s_is_noted_and_withholds_a_pass(canary_total, noted, share, outcome):
    shares = {"baseline": (9000, 0.01), "canary": (canary_total, share)}
    data = {
        "m": {
            arm: {"value": [round(total * part)] * 30, "total": [total] * 30}
            for arm, (total, part) in shares.items()
        }
    }
    errors = metric("m", kind="ratio", tolerance="50%")
    verdict = judged(errors, data=data, split={"baseline": 0.9, "canary": 0.1})
    result = verdict.metrics["m"]
    assert ("split_mismatch" in [note.code for note in result.warnings]) is noted
    assert ("got 25 % of the traffic" in verdict.explain()) is noted
    withheld = noted and outcome == "pass"
    assert (result.outcome, result.deciding.outcome) == ("marginal" if withheld else outcome, outcome)
    assert (result.reason == "split_mismatch") is withheld


# what must not change a verdict -----------------------------------------------------------------------------------------

MIXED = {
    "gauge": {"baseline": rng.normal(100, 5, 30), "canary": rng.normal(108, 5, 30)},
    "samples": {"baseline": rng.lognormal(3, 1, 100), "canary": rng.lognormal(3, 1, 80)},
    "ratio": {
        arm: {"value": rng.binomial(900, 0.01, 20), "total": [900] * 20} for arm in ("baseline", "canary")
    },
    "count": {"baseline": rng.poisson(50, 20), "canary": rng.poisson(60, 20)},
}
MIXED_METRICS = [
    metric(kind, kind=kind, weight=weight) for kind, weight in zip(MIXED, (0.1, 0.2, 0.3, 0.7), strict=True)
]


def test_the_order_of_the_metrics_changes_no_metric_s_result():
    one, other = judged(*MIXED_METRICS, data=MIXED), judged(*MIXED_METRICS[::-1], data=MIXED)
    assert dict(one.metrics) == dict(other.metrics)
    assert (one.outcome, one.score) == (other.outcome, other.score)


def test_the_same_input_gives_the_same_bytes_and_is_left_alone():
    before = copy.deepcopy(MIXED)
    texts = {judged(*MIXED_METRICS, data=MIXED).to_json() for _ in range(2)}
    assert len(texts) == 1
    np.testing.assert_equal(MIXED, before)


def test_digests_change_with_data_arms_and_policy():
    first = judged(metric("good_0"))
    changed = copy.deepcopy(DATA)
    changed["good_0"]["canary"][-1] += 1e-9
    assert judged(metric("good_0"), data=changed).data_digest != first.data_digest
    assert judged(metric("good_0"), data=changed).policy_digest == first.policy_digest
    assert judged(metric("good_0"), beta=0.06).policy_digest != first.policy_digest
    assert (
        judged(metric("good_0", tolerance="10%")).policy_digest == first.policy_digest
    )  # the default, spelled out
    swapped = {"good_0": {"a": DATA["good_0"]["baseline"], "b": DATA["good_0"]["canary"]}}
    named = cj.judge(swapped, cj.Policy(metrics=[metric("good_0")]), baseline="a", canary="b")
    assert named.data_digest != first.data_digest
    assert (named.baseline_arm, named.canary_arm) == ("a", "b")


@pytest.mark.parametrize("word", LEVELS)
@pytest.mark.parametrize("factor", [1e-6, 3.0, 1e9])
def test_scaling_all_values_changes_nothing_under_a_relative_tolerance(word, factor):
    scaled = {"m": {arm: values * factor for arm, values in DATA[f"{word}_0"].items()}}
    one = judged(metric("m"), data={"m": DATA[f"{word}_0"]}).metrics["m"].findings[0]
    other = judged(metric("m"), data=scaled).metrics["m"].findings[0]
    assert (one.outcome, one.reason) == (other.outcome, other.reason)
    assert one.estimate == pytest.approx(other.estimate)


@pytest.mark.parametrize("word", LEVELS)
@pytest.mark.parametrize("constant", [-100.0, 1e4])
def test_adding_a_constant_changes_nothing_under_an_absolute_tolerance(word, constant):
    moved = {"m": {arm: values + constant for arm, values in DATA[f"{word}_0"].items()}}
    asked = metric("m", tolerance={"absolute": 10})
    one, other = (judged(asked, data=data).metrics["m"] for data in ({"m": DATA[f"{word}_0"]}, moved))
    assert (one.outcome, one.reason) == (other.outcome, other.reason)


def test_swapping_the_arms_mirrors_the_shift():
    arms = DATA["open_0"]
    asked = metric("m", tolerance={"absolute": 10}, direction="either")
    one, other = (
        judged(asked, data={"m": dict(zip(("baseline", "canary"), pair, strict=True))})
        .metrics["m"]
        .findings[0]
        for pair in ((arms["baseline"], arms["canary"]), (arms["canary"], arms["baseline"]))
    )
    assert one.estimate == -other.estimate
    assert (one.interval.low, one.interval.high) == pytest.approx((-other.interval.high, -other.interval.low))
    assert one.outcome == other.outcome


def test_a_policy_that_is_a_dict_is_refused_in_words():
    with pytest.raises(cj.PolicyError, match=r"the policy is a dict\. Make it with Policy"):
        cj.judge(DATA, {"metrics": []})
    with pytest.raises(cj.DataError):
        cj.judge(DATA, cj.Policy(metrics=[metric("good_0")]), baseline="same", canary="same")


def test_arms_may_be_named_by_numbers():
    verdict = cj.judge(
        {"m": {1: [5.0] * 20, 2: [5.0] * 20}}, cj.Policy(metrics=[metric("m")]), baseline=1, canary=2
    )
    assert (verdict.baseline_arm, verdict.canary_arm, verdict.outcome) == ("1", "2", "pass")


def test_counters_that_nobody_declared_decide_nothing():
    """Of identical arms, cumulative sums differ beyond all chance."""
    rng = np.random.default_rng(5)
    arms = {
        arm: {"value": rng.binomial(1000, share, 60).cumsum(), "total": np.full(60, 1000).cumsum()}
        for arm, share in (("baseline", 0.01), ("canary", 0.05))
    }
    kind = {"name": "m", "kind": "ratio", "direction": "increase"}
    undeclared = cj.judge({"m": arms}, cj.Policy(metrics=[cj.Metric(**kind)]))
    assert (undeclared.outcome, undeclared.metrics["m"].reason) == ("marginal", "misread")
    assert "counter: true" in undeclared.reason
    assert cj.judge({"m": arms}, cj.Policy(metrics=[cj.Metric(**kind, counter=True)])).outcome == "fail"
    assert cj.judge({"m": arms}, cj.Policy(metrics=[cj.Metric(**kind, counter=False)])).outcome == "fail"


@pytest.mark.parametrize(
    ("factor", "outcome", "reason"),
    [
        (0.001, "marginal", "misread"),
        (1000, "fail", "proven_worse"),
        (0.01, "marginal", "misread"),
        (0.1, "pass", "proven_safe"),
    ],
)
def test_a_level_a_thousand_times_lower_is_no_pass(factor, outcome, reason):
    rng = np.random.default_rng(6)
    arms = {"baseline": rng.normal(120, 5, 60), "canary": factor * rng.normal(120, 5, 60)}
    metric = cj.judge({"m": arms}, cj.Policy(metrics=[cj.Metric(name="m", direction="increase")])).metrics[
        "m"
    ]
    assert (metric.outcome, metric.reason) == (outcome, reason)


@pytest.mark.parametrize(
    ("name", "settings", "noted"),
    [
        ("error_count", {}, True),
        ("http_5xx", {}, True),
        ("error_rate", {}, False),
        ("timeouts", {"kind": "gauge"}, False),
        ("queue_depth", {}, False),
        ("errors", {"unit": "%"}, False),
    ],
)
def test_a_gauge_named_like_a_count_is_pointed_out(name, settings, noted):
    arms = {arm: np.random.default_rng(7).poisson(9, 30) for arm in ("baseline", "canary")}
    policy = cj.Policy(metrics=[cj.Metric(name=name, direction="increase", **settings)])
    notes = cj.judge({name: arms}, policy).metrics[name].warnings
    assert ("looks_like_count" in [note.code for note in notes]) is noted


@pytest.mark.parametrize("kind", ["gauge", "ratio", "samples", "histogram"])
def test_pairs_that_are_judged_at_once_are_judged_as_each_alone(kind):
    """Of different lengths, buckets, harm and noise floors."""
    rng = np.random.default_rng(3)
    metrics = [
        cj.Metric(name="m", kind=kind, direction="increase", noise_floor=floor)
        for floor in (None, {"between_windows": "5%", "windows": 20}, None, None)
    ]
    pairs = []
    for number, size in enumerate((20, 20, 20, 30)):
        arms = {}
        for arm, level in (("baseline", 100), ("canary", 100 + 20 * (number % 2))):
            arms[arm] = {"time": 60.0 * np.arange(size), "value": rng.poisson(level, size)}
            if kind == "ratio":
                arms[arm]["total"] = np.full(size, 5000)
            if kind == "histogram":
                edges = np.append(np.linspace(10, 300, 30 + number), np.inf)
                values = rng.gamma(9, level / 9, (size, 200))
                counts = [np.bincount(np.searchsorted(edges, row), minlength=len(edges)) for row in values]
                arms[arm] = {"edges": edges, "buckets": counts}
        pairs.append(read_pairs({"m": arms}, cj.Policy(metrics=metrics[:1]))["m"])
    policy = cj.Policy(metrics=metrics[:1])
    cases = [Case(pair, metric, 0.01) for pair, metric in zip(pairs, metrics, strict=True)]
    alone = [result for case in cases for result in judge_cases([case], policy)]
    assert judge_cases(cases, policy) == alone
    assert len({result.outcome for result in alone}) > 1
