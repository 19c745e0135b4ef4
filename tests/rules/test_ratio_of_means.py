"""Users judged by the ratio of their means: what passes and fails, what is too little, and what is said of it."""

import numpy as np
import pytest
from users import users

import canaryjudge as cj


def judged(canary, *, baseline=None, split=None, **settings):
    metric = {"name": "clicks", "kind": "users", "direction": "decrease", "tolerance": "5%"} | settings
    arms = {
        "baseline": users(np.random.default_rng(1), 2000) if baseline is None else baseline,
        "canary": canary,
    }
    return cj.judge({"clicks": arms}, cj.Policy(metrics=[metric], split=split))


def arm(size=2000, change=0.0, **columns):
    return users(np.random.default_rng(2), size, change=change) | columns


def test_a_fall_beyond_the_tolerance_fails_and_none_passes():
    fails, passes = judged(arm(change=-0.15)), judged(arm())
    assert (fails.outcome, passes.outcome) == ("fail", "pass")
    found = fails.metrics["clicks"].findings[0]
    assert (found.rule, found.method, found.n_canary) == ("ratio_of_means", "delta", 2000)
    assert found.interval.high < -0.05
    assert 0.6 < found.explained < 0.9
    assert found.pass_by == "tolerance"
    assert "of the variance was known from before" in " ".join(fails.explain().split())
    assert "2,000 v. 2,000 users with a total of" in " ".join(fails.explain().split())
    assert "provided that users were given their arm at random" in " ".join(fails.explain().split())
    assert judged(arm(change=-0.15), direction="increase").outcome == "pass"
    assert judged(arm(change=-0.15), direction="either").outcome == "fail"


def test_what_is_known_from_before_decides_what_would_stay_open():
    plain = {"covariate": None}
    assert judged(arm(), tolerance="3%").outcome == "pass"
    open_still = judged(arm() | plain, baseline=users(np.random.default_rng(1), 2000) | plain, tolerance="3%")
    assert open_still.outcome == "marginal"
    assert open_still.metrics["clicks"].findings[0].explained is None


def test_an_absolute_tolerance_is_one_of_the_levels():
    found = judged(arm(change=-0.15), tolerance={"absolute": 0.1}, unit="EUR").metrics["clicks"]
    finding = found.findings[0]
    assert (finding.scale, found.outcome) == ("absolute", "fail")
    assert finding.estimate == pytest.approx(finding.canary_level - finding.baseline_level)


def test_levels_that_are_not_positive_are_compared_by_their_difference():
    loss = {"value": np.random.default_rng(3).normal(-0.2, 1, 2000)}
    found = judged(
        loss, baseline={"value": np.random.default_rng(4).normal(0.1, 1, 2000)}, tolerance={"absolute": 0.05}
    )
    assert (found.outcome, found.metrics["clicks"].findings[0].method) == ("fail", "welch")


@pytest.mark.parametrize(
    ("canary", "reason"),
    [
        (arm(7), "too_little_data"),
        ({"value": np.zeros(50)}, "too_little_data"),  # of 50 users none buys, which says little of 5 %
        ({"value": (np.arange(50) % 20 == 0) * 1.0}, "undecided"),
    ],
)
def test_few_users_decide_nothing(canary, reason):
    bought = {"value": (np.arange(2000) % 20 == 0) * 1.0}
    own = None if "total" in canary else bought
    assert judged(canary, baseline=own).metrics["clicks"].reason == reason


def test_users_that_all_bring_the_same_are_identical():
    ones = {"value": np.ones(50)}
    assert judged(ones, baseline=ones).metrics["clicks"].reason == "identical"


def test_a_level_of_0_has_no_percent():
    rng = np.random.default_rng(1)
    even = {"value": np.repeat([-1.0, 1.0], 100)}
    assert (
        judged({"value": rng.normal(size=200)}, baseline=even).metrics["clicks"].reason
        == "needs_absolute_tolerance"
    )


def test_a_split_that_is_not_as_planned_withholds_a_pass():
    half = {"baseline": "50%", "canary": "50%"}
    assert judged(arm(), split=half).outcome == "pass"
    found = judged(arm(1600), split=half)
    assert found.metrics["clicks"].reason == "split_mismatch"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"warmup": "5m"}, "warmup means nothing of kind: users"),
        ({"pairing": "concurrent"}, "pairing means nothing of kind: users"),
        ({"counter": True}, "counter means nothing of kind: users"),
        ({"effect": "ratio"}, "Users compare by the ratio of their means"),
        ({"rules": ["mann_whitney"]}, "does not fit kind: users"),
        ({"rules": [{"rule": "slo", "of": "pooled", "op": "gte", "value": 1}]}, "does not fit kind: users"),
        ({"rules": [{"rule": "sequential", "independent": True}]}, "users are independent anyway"),
    ],
)
def test_settings_that_say_nothing_of_users(settings, said):
    with pytest.raises(cj.PolicyError, match=said):
        cj.Metric(name="clicks", kind="users", direction="decrease", **settings)


@pytest.mark.parametrize(
    "settings", [{"segments": {"by": ["region"]}}, {"stages": [{"canary": "1%", "max_duration": "1h"}]}]
)
def test_what_is_not_asked_of_users(settings):
    metric = {"name": "clicks", "kind": "users", "direction": "decrease"}
    with pytest.raises(cj.PolicyError, match="are not known of kind: users, which metric 'clicks' is of"):
        cj.Policy(metrics=[metric], **settings)
    policy = cj.Policy(metrics=[metric])
    with pytest.raises(cj.PolicyError, match="is not planned here"):
        cj.plan(policy)
    with pytest.raises(cj.PolicyError, match="users are no points in time"):
        cj.calibrate({"clicks": np.ones(100)}, policy)
    assert (
        cj.doctor(policy, {"clicks": {"baseline": arm(), "canary": arm(7)}}).symptoms[0].code
        == "too_few_points"
    )
