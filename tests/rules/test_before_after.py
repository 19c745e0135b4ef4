"""A switch of all traffic: what the verdict says with earlier days, without, and beside an untouched service; and what it refuses."""

import numpy as np
import pytest
from switches import DAY, Switch, judged

import canaryjudge as cj


def finding(verdict):
    (found,) = verdict.metrics["m"].findings
    return found


def test_the_rise_of_the_morning_is_no_change():
    verdict = judged(Switch(seed=1))
    found = finding(verdict)
    assert verdict.outcome == "pass"
    assert (found.rule, found.method, found.days, found.weekdays) == (
        "before_after",
        "earlier_days",
        7,
        False,
    )
    assert found.canary_level / found.before_level > 1.1
    assert abs(found.canary_level / found.baseline_level - 1) < 0.06
    said = " ".join(verdict.explain().split())
    assert "v. an expected" in said
    assert "what 7 earlier days did at these hours, whatever their weekday" in said
    assert "days differ by" in said


def test_a_shift_beyond_it_fails():
    found = finding(judged(Switch(seed=1, shift=0.3)))
    assert (found.outcome, found.reason) == ("fail", "proven_worse")
    assert found.estimate == pytest.approx(0.3, abs=0.06)


@pytest.mark.parametrize("kind", ["gauge", "samples", "ratio", "count"])
@pytest.mark.parametrize(("shift", "outcome"), [(0.0, "pass"), (0.6, "fail")])
def test_every_kind_that_it_fits(kind, shift, outcome):
    verdict = judged(Switch(seed=2, shift=shift), kind=kind, tolerance="20%", pass_within="30%")
    assert verdict.outcome == outcome, verdict.explain()


def test_a_fall_is_bad_where_the_policy_says_so():
    assert judged(Switch(seed=3, shift=-0.3), direction="decrease").outcome == "fail"
    assert judged(Switch(seed=3, shift=0.3), direction="decrease").outcome == "pass"
    assert judged(Switch(seed=3, shift=-0.3), direction="either").outcome == "fail"


def test_an_absolute_tolerance_and_levels_around_zero_are_compared_by_differences():
    switch = Switch(seed=4)
    switch.value = switch.value - 100.0
    found = finding(judged(switch, tolerance={"absolute": 20}, pass_within={"absolute": 20}))
    assert (found.scale, found.outcome) == ("absolute", "pass")
    switch = Switch(seed=4, shift=0.4)
    switch.value = switch.value - 100.0
    assert finding(judged(switch, tolerance={"absolute": 5})).outcome == "fail"


def test_without_earlier_days_nothing_passes_and_it_says_so_loudly():
    healthy, broken = (judged(Switch(seed=5, shift=shift), days=0) for shift in (0.0, 3.0))
    assert (healthy.outcome, broken.outcome) == ("marginal", "fail")
    for verdict in (healthy, broken):
        assert finding(verdict).method == "interrupted_series"
        assert [waived.what for waived in verdict.waived] == ["no_earlier_days"]
        assert "WITHOUT earlier days" in " ".join(verdict.explain().split())
    # two days do not tell how days differ
    assert finding(judged(Switch(seed=5), days=2)).days == 0


def test_two_weeks_tell_what_the_day_of_the_week_does():
    switch = Switch(seed=6, days=21, weekend=0.5)
    one, three = judged(switch, days=7), judged(switch, days=21)
    assert finding(three).weekdays
    assert finding(three).days == 3
    assert "the same weekday of 3 earlier weeks" in " ".join(three.explain().split())
    assert not finding(one).weekdays


def test_days_without_data_are_left_out_and_counted():
    switch = Switch(seed=7)
    hole = switch.switched - 3 * DAY
    kept = np.abs(switch.time - hole) > 3600
    switch.time, switch.value = switch.time[kept], switch.value[kept]
    found = finding(judged(switch))
    assert (found.days, found.days_left_out) == (6, 1)


def test_an_untouched_service_takes_off_what_both_feel():
    storm = Switch(seed=8, common=0.3)
    alone, beside = judged(storm), judged(storm, control=True)
    assert alone.outcome == "fail"
    assert beside.outcome == "pass", beside.explain()
    assert finding(beside).control_change > 0.1
    assert "the untouched service, which changed by" in " ".join(beside.explain().split())
    assert judged(Switch(seed=8, common=0.3, shift=0.3), control=True).outcome == "fail"
    assert beside.data_digest != alone.data_digest


def test_of_a_history_with_other_services_the_arm_that_is_named_as_the_baseline_counts():
    switch = Switch(seed=10)
    before = (switch.time >= switch.switched - 7200) & (switch.time < switch.switched)
    earlier = switch.time < switch.switched - 7200
    data = {
        "blue": switch.series(before, "gauge", switch.value),
        "green": switch.series(switch.time >= switch.switched, "gauge", switch.value),
    }
    own, other = (switch.series(earlier, "gauge", value) for value in (switch.value, switch.other))
    both, alone = (
        cj.judge({"m": data}, policy(), baseline="blue", canary="green", history={"m": past})
        for past in ({"blue": own, "other": other}, {"any name": own})
    )
    assert finding(both) == finding(alone)


@pytest.mark.parametrize("kind", ["gauge", "count"])
def test_replicas_of_the_release_are_held_against_a_history_of_their_whole(kind):
    switch = Switch(seed=11)
    before = (switch.time >= switch.switched - 7200) & (switch.time < switch.switched)
    after, earlier = switch.time >= switch.switched, switch.time < switch.switched - 7200

    def pods(part):
        own = switch.series(part, kind, switch.value)
        half = own["value"] // 2
        parts = [half, own["value"] - half] if kind == "count" else [own["value"]] * 2
        pairs = {"time": np.tile(own["time"], 2), "value": np.concatenate(parts)}
        return pairs | {"replica": np.repeat(["a", "b"], len(own["time"]))}

    data = {"baseline": pods(before), "canary": pods(after)}
    past = {"m": switch.series(earlier, kind, switch.value)}
    verdict = cj.judge({"m": data}, policy(kind=kind), history=past)
    assert finding(verdict).days == 8
    assert verdict.outcome == "pass", verdict.explain()
    split = cj.judge({"m": data}, policy(kind=kind), history={"m": {"baseline": pods(earlier)}})
    assert finding(split).estimate == pytest.approx(finding(verdict).estimate)


def policy(**settings):
    return cj.Policy(metrics=[{"name": "m", "direction": "increase", "pairing": "before_after"} | settings])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "histogram"}, "pairing: before_after does not fit kind: histogram"),
        ({"rules": ["mann_whitney"]}, "the rule mann_whitney would take a change of the hour"),
        (
            {"rules": ["before_after", {"rule": "slo", "of": "mean", "op": "lte", "change": "+5%"}]},
            "the rule slo would take a change of the hour",
        ),
        ({"noise_floor": {"between_windows": "3%", "windows": 9}}, "takes no noise_floor"),
        (
            {"pairing": "windows", "rules": ["before_after"]},
            "the rule before_after is for pairing: before_after",
        ),
    ],
)
def test_policies_that_contradict_themselves(settings, said):
    with pytest.raises(cj.PolicyError, match=said):
        policy(**settings)


@pytest.mark.parametrize(
    "key", [{"split": {"baseline": 0.5, "canary": 0.5}}, {"segments": {"by": ["region"]}}]
)
def test_what_means_nothing_where_all_traffic_is_switched(key):
    with pytest.raises(cj.PolicyError, match="means nothing where all traffic is switched"):
        cj.Policy(metrics=policy().metrics, **key)


def test_a_control_is_for_a_switch_alone():
    with pytest.raises(cj.PolicyError, match="control is for metrics with pairing: before_after"):
        cj.Policy(control="other", metrics=[{"name": "m", "direction": "increase"}])
    assert "control" not in policy().model_dump()


def test_data_that_are_no_before_and_after():
    flat = {"value": np.ones(20)}
    timed = flat | {"time": 60.0 * np.arange(20)}
    with pytest.raises(cj.DataError, match="needs times"):
        cj.judge({"m": {"baseline": flat, "canary": flat}}, policy())
    with pytest.raises(cj.DataError, match="do not all lie after the baseline's"):
        cj.judge({"m": {"baseline": timed, "canary": timed}}, policy())
    later = flat | {"time": 60.0 * np.arange(20, 40)}
    controlled = policy().model_copy(update={"control": "other"})
    with pytest.raises(cj.DataError, match="no arm 'other', which is the policy's control"):
        cj.judge({"m": {"baseline": timed, "canary": later}}, controlled)


def test_what_does_not_do_it_says_so():
    asked = policy()
    for refused in (
        lambda: cj.Monitor(asked),
        lambda: cj.judge({}, asked, canary=["a", "b"]),
        lambda: cj.judge_many([], asked, by="service"),
        lambda: cj.plan(asked, assume={"m": {"level": 1}}),
        lambda: cj.calibrate({"m": np.ones(99)}, asked),
    ):
        with pytest.raises(cj.PolicyError, match=r"has pairing: before_after, which .* does not do"):
            refused()


def test_an_objective_may_be_asked_as_well():
    rules = ["before_after", {"rule": "slo", "of": "mean", "op": "lte", "value": 1000}]
    verdict = judged(Switch(seed=9), rules=rules)
    assert verdict.outcome == "pass"
    assert [found.rule for found in verdict.metrics["m"].findings] == ["before_after", "slo"]
