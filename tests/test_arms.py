"""Several canaries under one alpha: each arm's verdict is that of a share of alpha, best and worst arm are proven, and names that cannot be meant are refused."""

import copy

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

import canaryjudge as cj
from canaryjudge.arm_verdicts import ArmVerdicts

MINUTES = 60
RINGS = ["internal", "beta", "all"]
LATENCY = {"name": "p99", "unit": "ms", "direction": "increase"}
ERRORS = {"name": "errors", "kind": "ratio", "direction": "increase", "tolerance": "20%"}
POLICY = cj.Policy(metrics=[LATENCY, ERRORS])


def gauges(level, rng, noise=5.0):
    return {"time": 60.0 * np.arange(MINUTES), "value": level + noise * rng.normal(size=MINUTES)}


def ratios(rate, rng, requests=5000):
    value = rng.binomial(requests, rate, MINUTES)
    return {"time": 60.0 * np.arange(MINUTES), "value": value, "total": np.full(MINUTES, requests)}


def world(seed=1, slow=(), failing=(), arms=("stable", *RINGS)):
    """Two metrics of each arm; some are 60 % slower, some fail 60 % more often."""
    rng = np.random.default_rng(seed)
    return {
        "p99": {arm: gauges(160 if arm in slow else 100, rng) for arm in arms},
        "errors": {arm: ratios(0.016 if arm in failing else 0.01, rng) for arm in arms},
    }


def judged(data, policy=POLICY, baseline="stable", canary=RINGS, **given):
    return cj.judge(data, policy, baseline=baseline, canary=canary, **given)


def alone(data, arm, alpha, policy=POLICY, baseline="stable"):
    """The verdict of one arm, at its share of alpha."""
    return cj.judge(data, policy.model_copy(update={"alpha": alpha}), baseline=baseline, canary=arm)


def without_digest(verdict):
    return verdict.to_dict() | {"policy_digest": None}


def test_where_none_fails_each_arm_is_judged_at_its_part_of_alpha():
    data = world()
    found = judged(data)
    assert list(found) == RINGS
    for arm, verdict in found.items():
        assert without_digest(verdict) == without_digest(alone(data, arm, POLICY.alpha / 3))
    assert (found.outcome, found.action, found.may_go_on) == ("pass", "promote", tuple(RINGS))
    assert (found.best, found.worst) == (None, None)


def test_arms_that_fail_leave_their_part_of_alpha_to_the_others():
    data = world(slow=["beta"])
    found = judged(data)
    expected = {"internal": POLICY.alpha / 2, "beta": POLICY.alpha / 3, "all": POLICY.alpha / 2}
    for arm, alpha in expected.items():
        assert without_digest(found[arm]) == without_digest(alone(data, arm, alpha))
    assert (found.outcome, found.action, found.may_go_on) == ("fail", "rollback", ("internal", "all"))


def test_an_arm_fails_that_only_what_is_left_of_alpha_can_fail():
    """Of three arms one fails at a third of alpha, one only at half of it: the whole procedure fails both, equal parts would not."""
    policy = cj.Policy(alpha="20%", metrics=[LATENCY])
    for seed in range(200):
        rng = np.random.default_rng(seed)
        data = {
            "p99": {
                arm: gauges(level, rng, 10)
                for arm, level in (("stable", 100), ("a", 160), ("b", 117), ("c", 100))
            }
        }
        parts = [alone(data, "b", policy.alpha / k, policy).outcome == "fail" for k in (3, 2)]
        if parts == [False, True]:
            break
    found = judged(data, policy, canary=["a", "b", "c"])
    assert [found[arm].alpha for arm in found] == pytest.approx([0.2 / 3, 0.2 / 2, 0.2])
    assert [found[arm].outcome for arm in found][:2] == ["fail", "fail"]


def test_the_arms_that_fail_are_those_of_holms_procedure_as_statsmodels_has_it():
    policy = cj.Policy(alpha="20%", metrics=[LATENCY | {"rules": ["mann_whitney"]}])
    arms, stepped = [f"v{k}" for k in range(5)], 0
    for seed in range(25):
        rng = np.random.default_rng(seed)
        levels = dict.fromkeys(["stable", *arms], 100) | {"v1": 117, "v2": 119, "v3": 121, "v4": 130}
        data = {"p99": {arm: gauges(level, rng, 10) for arm, level in levels.items()}}
        pvalues = [alone(data, arm, 0.2, policy).metrics["p99"].findings[0].pvalue for arm in arms]
        expected = multipletests(pvalues, policy.alpha, "holm")[0]
        assert [
            verdict.outcome == "fail" for verdict in judged(data, policy, canary=arms).values()
        ] == expected.tolist()
        stepped += any(expected != multipletests(pvalues, policy.alpha, "bonferroni")[0])
    assert stepped >= 3


@given(order=st.permutations(["stable", *RINGS]))
def test_neither_the_order_of_the_arms_nor_that_of_the_data_changes_a_verdict(order):
    data, canaries = world(slow=["beta"]), [arm for arm in order if arm != "stable"]
    mixed = {metric: {arm: arms[arm] for arm in order} for metric, arms in data.items()}
    found, before = judged(mixed, canary=canaries), judged(data)
    assert list(found) == canaries
    assert {arm: found[arm].to_json() for arm in RINGS} == {arm: before[arm].to_json() for arm in RINGS}
    assert (found.best, found.worst, found.ranking) == (before.best, before.worst, before.ranking)


def test_the_arm_is_named_that_is_worse_than_each_of_the_others():
    found = judged(world(slow=["beta"], failing=["beta"]))
    assert found.worst == "beta"
    assert found.best is None
    assert [(one.metric, one.worst, one.best) for one in found.ranking] == [
        ("p99", "beta", None),
        ("errors", "beta", None),
    ]
    assert {one.level for one in found.ranking} == {POLICY.alpha / 2 / 6}


def test_the_arm_is_named_that_is_better_than_each_of_the_others():
    found = judged(world(slow=["internal", "all"]))
    assert (found.best, found.worst) == ("beta", None)


def test_where_metrics_name_different_arms_none_is_the_worst_of_all():
    found = judged(world(slow=["beta"], failing=["all"]))
    assert [one.worst for one in found.ranking] == ["beta", "all"]
    assert found.worst is None
    assert "Worst: none of all metrics; worse than each of the other 2 arms: beta in p99" in found.explain()


def test_an_arm_that_is_the_best_of_one_metric_and_the_worst_of_another_is_neither():
    rng = np.random.default_rng(1)
    data = world(slow=["beta"])
    data["errors"] = {arm: ratios(0.004 if arm == "beta" else 0.01, rng) for arm in ("stable", *RINGS)}
    found = judged(data)
    assert [(one.best, one.worst) for one in found.ranking] == [(None, "beta"), ("beta", None)]
    assert (found.best, found.worst) == (None, None)


@pytest.mark.parametrize("kind", ["gauge", "samples", "ratio", "count"])
@pytest.mark.parametrize("direction", ["increase", "decrease"])
def test_every_kind_and_direction_has_a_worst_arm(kind, direction):
    rng = np.random.default_rng(3)
    factor = 1.6 if direction == "increase" else 1 / 1.6

    def series(arm):
        change = factor if arm == "beta" else 1.0
        if kind == "ratio":
            return ratios(0.02 * change, rng)
        if kind == "count":
            return {"value": rng.poisson(100 * change, MINUTES), "time": 60.0 * np.arange(MINUTES)}
        return gauges(100 * change, rng)["value"]

    policy = cj.Policy(metrics=[{"name": "m", "kind": kind, "direction": direction}])
    found = judged({"m": {arm: series(arm) for arm in ("stable", *RINGS)}}, policy)
    assert (found.worst, found["beta"].outcome) == ("beta", "fail")


def test_a_comparison_is_that_of_the_two_arms_with_nothing_tolerated():
    data = world(slow=["beta"])
    (p99, _) = judged(data).ranking
    rules = [{"rule": "mann_whitney"}]
    plain = cj.Policy(metrics=[LATENCY | {"tolerance": {"relative": 0}, "rules": rules}])
    pvalues = [
        cj.judge(data, plain, baseline=arm, canary="beta").metrics["p99"].findings[0].pvalue
        for arm in ("internal", "all")
    ]
    assert p99.pvalue_worst == max(pvalues)


def test_noise_of_the_baseline_is_no_part_of_which_arm_is_the_worst():
    """A baseline that is all noise proves no arm worse than itself, and hides nothing of how the arms compare."""
    data = world(slow=["beta"])
    noise = np.random.default_rng(5).lognormal(sigma=1.5, size=MINUTES)
    data["p99"]["stable"] = {"time": 60.0 * np.arange(MINUTES), "value": 100 * noise}
    found = judged(data, cj.Policy(metrics=[LATENCY]))
    assert (found["beta"].outcome, found.worst) == ("marginal", "beta")


def test_arms_may_have_a_baseline_each_and_are_named_where_their_intervals_lie_apart():
    baselines = [f"old-{arm}" for arm in RINGS]
    data = world(slow=["beta"], failing=["beta"], arms=(*baselines, *RINGS))
    found = judged(data, baseline=baselines)
    for arm, baseline, alpha in zip(RINGS, baselines, (2, 3, 2), strict=True):
        assert found[arm].baseline_arm == baseline
        assert without_digest(found[arm]) == without_digest(
            alone(data, arm, POLICY.alpha / alpha, baseline=baseline)
        )
    assert (found.worst, found.best) == ("beta", None)
    assert {one.pvalue_worst for one in found.ranking} == {None}
    assert judged(world(arms=(*baselines, *RINGS)), baseline=baselines).worst is None


def test_a_metric_of_which_an_arm_has_no_effect_ranks_none():
    data = world(slow=["beta"])
    policy = cj.Policy(metrics=[LATENCY | {"no_data": "marginal"}, ERRORS | {"no_data": "marginal"}])
    del data["p99"]["all"]
    found = judged(data, policy)
    assert [one.metric for one in found.ranking] == ["errors"]
    assert (found["all"].outcome, found["beta"].outcome) == ("marginal", "fail")
    assert found.worst is None


def test_arms_that_are_left_are_not_ranked_among_themselves():
    """Of a baseline of 0 there is no part: what the bad arm did cannot be compared, and that of the others alone is not asked."""
    data = {"p99": {arm: {"value": np.zeros(MINUTES)} for arm in ("stable", *RINGS)}}
    data["p99"]["beta"] = {"value": gauges(50, np.random.default_rng(1))["value"]}
    found = judged(data, cj.Policy(metrics=[LATENCY | {"tolerance": "5ms"}]))
    assert (found["beta"].outcome, found.ranking, found.worst) == ("fail", (), None)


def test_an_arm_whose_data_are_broken_is_held_and_the_others_are_judged():
    data = {"p99": world(slow=["beta"])["p99"]}
    data["p99"]["all"] = {"value": [1.0, "x", 3.0]}
    policy = cj.Policy(metrics=[LATENCY])
    found = judged(data, policy)
    assert [found[arm].outcome for arm in found] == ["pass", "fail", "marginal"]
    assert found["all"].metrics["p99"].reason == "broken"
    assert found.ranking == ()
    data["p99"]["stable"] = {"value": [1.0, "x", 3.0]}
    with pytest.raises(cj.DataError, match="'x'"):
        judged(data, policy)


def test_arms_are_ranked_by_the_rule_about_the_level_wherever_it_stands():
    rules = [{"rule": "slo", "of": "median", "op": "lte", "value": 130}, "mann_whitney"]
    data = world(slow=["beta"])
    found = judged(data, cj.Policy(metrics=[LATENCY | {"rules": rules}]))
    assert found.worst == "beta"
    assert judged(data, cj.Policy(metrics=[LATENCY | {"rules": rules[:1]}])).ranking == ()


def test_metrics_that_cannot_fail_an_arm_or_are_bad_both_ways_rank_none():
    others = [LATENCY | {"direction": "either"}, ERRORS | {"role": "advisory"}]
    found = judged(world(slow=["beta"]), cj.Policy(metrics=others))
    assert found.ranking == ()
    assert "No metric compares all arms with each other" in found.explain()


def test_frames_and_tables_with_a_column_an_arm_give_the_same():
    data = {"p99": world(slow=["beta"])["p99"]}
    policy = cj.Policy(metrics=[LATENCY])
    rows = [pd.DataFrame({"metric": "p99", "arm": arm, **series}) for arm, series in data["p99"].items()]
    beside = pd.DataFrame({"time": data["p99"]["stable"]["time"]}).assign(
        **{arm: series["value"] for arm, series in data["p99"].items()}
    )
    expected = judged(data, policy).to_json()
    assert judged(pd.concat(rows), policy).to_json() == expected
    assert judged(beside, policy).to_json() == expected


def test_history_is_allowed_for_in_each_arm():
    data = {metric: arms for metric, arms in world(slow=["beta"]).items() if metric == "p99"}
    policy = cj.Policy(metrics=[LATENCY])
    rng = np.random.default_rng(2)
    past = {"p99": {"value": gauges(100, rng)["value"], "time": 60.0 * np.arange(-MINUTES, 0)}}
    found = judged(data, policy, history=past)
    one = cj.judge(
        data,
        policy.model_copy(update={"alpha": policy.alpha / 3}),
        baseline="stable",
        canary="beta",
        history=past,
    )
    assert without_digest(found["beta"]) == without_digest(one)


def test_it_is_a_mapping_that_is_read_back_from_its_json():
    found = judged(world(slow=["beta"]))
    assert "beta" in found
    assert len(found) == 3
    assert list(found.keys()) == RINGS
    assert [verdict.canary_arm for verdict in found.values()] == RINGS
    assert dict(found) == dict(found.items())
    assert ArmVerdicts.from_json(found.to_json()) == found == copy.copy(found)
    frame = found.to_frame()
    assert frame["arm"].tolist() == RINGS
    assert frame["outcome"].tolist() == ["pass", "fail", "pass"]
    assert repr(found) == str(found) == "<ArmVerdicts FAIL: roll back beta; internal and all may go on>"
    assert set(found._repr_mimebundle_()) == {"text/plain", "text/markdown", "text/html"}


def test_a_document_that_was_changed_is_refused():
    found = judged(world(slow=["beta"]))
    for old, new in (
        ('"worst": "beta"', '"worst": "gamma"'),
        ('"arms"', '"rings"'),
        ('"errors": {', '"error": {'),
    ):
        with pytest.raises(cj.DataError, match="several arms"):
            ArmVerdicts.from_json(found.to_json().replace(old, new, 1))


def test_the_worst_arm_decides_what_is_raised():
    judged(world()).raise_for_outcome()
    with pytest.raises(cj.ReleaseFailed, match="roll back beta"):
        judged(world(slow=["beta"])).raise_for_outcome()
    thin = {
        metric: {arm: {k: v[:3] for k, v in s.items()} for arm, s in arms.items()}
        for metric, arms in world().items()
    }
    held = judged({"p99": thin["p99"]}, cj.Policy(metrics=[LATENCY]))
    assert held.lacks_data
    held.raise_for_outcome(allow_marginal=True)
    with pytest.raises(cj.ReleaseUndecided, match="hold internal, beta and all"):
        held.raise_for_outcome()


@pytest.mark.parametrize(
    ("baseline", "canary", "says"),
    [
        ("stable", [], "no canary is named"),
        ("stable", ["beta"], "only one canary is named, 'beta'"),
        (["stable"], "beta", "only one canary is named, 'beta'"),
        ("stable", ["beta", "all", "beta"], "the canary 'beta' is named twice"),
        ("stable", ["beta", "stable"], "'stable' is named as a baseline and as a canary"),
        (["stable"], ["beta", "all"], "2 canaries and 1 baselines are named"),
        (
            "stable",
            [f"arm-{k}" for k in range(500)],
            "500 canaries are named, and at most 100 share one alpha",
        ),
        ("stable", ["beta", "gamma"], "the data have no arm 'gamma'"),
        ("stabel", ["beta", "all"], "the data have no arm 'stabel'"),
        ("stable", ["beta", "\ud800"], "half a character"),
    ],
)
def test_names_that_cannot_be_meant_are_refused_in_a_sentence(baseline, canary, says):
    with pytest.raises(cj.DataError) as caught:
        judged(world(), baseline=baseline, canary=canary)
    assert says in str(caught.value)
    assert caught.value.hint


def test_a_hundred_arms_are_judged():
    arms = [f"v{k}" for k in range(100)]
    rng = np.random.default_rng(1)
    data = {"p99": {arm: gauges(160 if arm == "v7" else 100, rng) for arm in ("stable", *arms)}}
    found = judged(data, cj.Policy(metrics=[LATENCY]), canary=arms)
    assert (found.worst, found["v7"].outcome) == ("v7", "fail")
    assert found["v8"].alpha == pytest.approx(0.01 / 99)
    assert len(found.reason) < 200
