"""Users that come in updates: state that adds up, is saved and merged, and ends as a judgement of all of them at any look."""

import numpy as np
import pytest
from users import summed, users

import canaryjudge as cj

POLICY = cj.Policy(metrics=[cj.Metric(name="clicks", kind="users", direction="decrease", tolerance="5%")])


def updates(change=0.0, size=300, count=8):
    rng = np.random.default_rng(1)
    return [
        {"clicks": {"baseline": users(rng, size), "canary": users(rng, size, change=change)}}
        for _ in range(count)
    ]


def verdict_of(parts, policy=POLICY):
    monitor = cj.Monitor(policy)
    for part in parts:
        monitor.update(part)
        monitor = cj.Monitor.from_json(monitor.to_json(), policy)
    return monitor.verdict()


def test_a_fall_fails_and_none_passes_at_some_look():
    fails, passes = verdict_of(updates(-0.2)), verdict_of(updates())
    assert (fails.outcome, passes.outcome) == ("fail", "pass")
    assert fails.valid_for == "all_looks"
    found = fails.metrics["clicks"].findings[0]
    assert (found.method, found.n_canary) == ("user_means", 2400)
    assert "sequential delta method on users" in fails.explain()


def test_updates_shards_and_sums_come_to_the_same():
    parts = updates(-0.2)
    whole = verdict_of(parts).metrics
    first, second = cj.Monitor(POLICY), cj.Monitor(POLICY)
    for part in parts[:3]:
        first.update(part)
    for part in parts[3:]:
        second.update({"clicks": {arm: summed(own) for arm, own in part["clicks"].items()}})
    first.merge(second)
    assert first.verdict().metrics == whole
    with pytest.raises(cj.DataError, match="the same data are in both"):
        cj.Monitor.from_json(second.to_json(), POLICY).merge(second)


def test_an_update_may_be_of_one_arm():
    monitor = cj.Monitor(POLICY)
    for part in updates():
        for arm, own in part["clicks"].items():
            monitor.update({"clicks": {arm: own}})
    assert monitor.verdict().metrics == verdict_of(updates()).metrics


def test_few_users_are_waited_for():
    found = verdict_of(updates(count=1, size=60)).metrics["clicks"].findings[0]
    assert (found.reason, found.more_points) == ("too_little_data", 40)


def test_a_split_that_is_not_as_planned_is_told_at_any_look():
    policy = POLICY.model_copy(update={"split": cj.Split(baseline="50%", canary="50%")})
    rng = np.random.default_rng(1)
    part = {"clicks": {"baseline": users(rng, 3000), "canary": users(rng, 2000)}}
    assert verdict_of([part], policy).metrics["clicks"].reason == "split_mismatch"
    assert verdict_of(updates(), policy).outcome == "pass"


def test_only_the_sequential_rule_watches_users():
    metric = POLICY.metrics[0].model_copy(update={"rules": (cj.policy.RatioOfMeans(),)})
    with pytest.raises(cj.PolicyError, match="wants all users at once"):
        cj.Monitor(POLICY.model_copy(update={"metrics": (metric,)}))


def test_users_of_whom_nothing_is_known_are_not_mixed_with_others():
    parts = updates()
    plain = {
        arm: {name: column for name, column in own.items() if name != "covariate"}
        for arm, own in parts[1]["clicks"].items()
    }
    monitor, other = cj.Monitor(POLICY), cj.Monitor(POLICY)
    monitor.update(parts[0])
    monitor = cj.Monitor.from_json(monitor.to_json(), POLICY)
    with pytest.raises(cj.DataError, match="a covariate in some updates or arms, and none in others"):
        monitor.update({"clicks": plain})
    other.update({"clicks": plain})
    with pytest.raises(cj.DataError, match="a covariate in some updates or arms, and none in others"):
        monitor.merge(other)
    new = {
        "clicks": {arm: own | {"covariate": 0 * own["covariate"]} for arm, own in parts[1]["clicks"].items()}
    }
    monitor.update(new)  # users who are all new, of whom 0 is known
    assert monitor.verdict().metrics["clicks"].n_canary == 600
