"""The stages of a rollout, as a policy states them."""

import pytest

import canaryjudge as cj
from canaryjudge.judging import policy_digest
from canaryjudge.policy import OnDoubt, parse_policy

METRIC = {"name": "m", "direction": "increase"}
TWO = [{"canary": "1%", "max_duration": "30m"}, {"canary": "10%", "max_duration": "1h", "advance": "proven"}]


def policy(**settings):
    return cj.Policy(**({"metrics": [METRIC], "stages": TWO} | settings))


def test_stages_have_names_shares_and_an_end():
    first, second = policy().stages
    assert (first.title, first.canary, first.max_duration, first.advance) == ("1%", 0.01, 1800, "no_harm")
    assert (second.title, second.advance, second.min_duration) == ("10%", "proven", None)
    assert cj.Stage(name="dark", canary="0.5%", max_duration="5m").title == "dark"
    assert cj.Stage(canary=0.005, max_duration="5m").title == "0.5%"
    assert policy().on_doubt == OnDoubt(no_traffic="hold", split_mismatch="hold", misread="hold")


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"stages": []}, "is empty"),
        ({"stages": [{"canary": "1%"}]}, "'max_duration' is missing"),
        ({"stages": [{"canary": "100%", "max_duration": "5m"}]}, "not between 0 % and 100 %"),
        ({"stages": [{**TWO[0], "min_duration": "31m"}]}, "longer than max_duration"),
        ({"stages": [{**TWO[0], "advance": "time"}]}, "advance: time needs a time"),
        ({"stages": [{**TWO[0], "advance": "maybe"}]}, "not one of"),
        ({"stages": TWO[::-1]}, "no more than the stage before"),
        ({"stages": [{**TWO[0], "name": "a"}, {**TWO[1], "name": "a"}]}, "stands there twice"),
        ({"max_duration": "1h"}, "max_duration means nothing"),
        ({"max_points": 60}, "max_points means nothing"),
        ({"split": {"baseline": "90%", "canary": "10%"}}, "split means nothing"),
        ({"stages": None, "on_doubt": {"misread": "warn"}}, "on_doubt is for rollouts"),
        ({"on_doubt": {"misread": "ignore"}}, "not one of"),
        ({"stages": TWO[0]}, "is not a list"),
    ],
)
def test_what_does_not_go_together_is_refused(settings, match):
    with pytest.raises(cj.PolicyError, match=match):
        policy(**settings)


def test_what_is_undecided_at_the_end_of_a_stage_may_be_left_to_the_policy():
    assert policy(on_deadline="pass").on_deadline == "pass"


def test_gauges_need_no_other_end():
    assert policy(metrics=[METRIC | {"rules": [{"rule": "sequential", "method": "looks"}]}]).stages


def test_a_policy_of_stages_is_read_back_as_it_was_written():
    written = policy(on_doubt={"no_traffic": "rollback"})
    assert parse_policy(written.model_dump_json(exclude_none=True)) == written


def test_a_policy_without_stages_says_nothing_of_them():
    """So that the digests of policies, and the watches saved under them, stay what they were before there were stages."""
    plain = cj.Policy(metrics=[METRIC])
    assert not {"stages", "on_doubt"} & set(plain.model_dump())
    assert policy_digest(plain) != policy_digest(policy())


def test_mistakes_are_told_by_place():
    with pytest.raises(cj.PolicyError, match=r"policy:4:12: stages\[1\]\.canary"):
        parse_policy(
            "metrics: [{name: m, direction: increase}]\nstages:\n- {canary: 5%, max_duration: 5m}\n- {canary: 2%, max_duration: 5m}\n"
        )
