"""Answers over HTTP: Argo's web provider and Flagger's webhooks."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from told import renamed, texts, verdict

import canaryjudge as cj
from canaryjudge.integrations.writers import FLAGGER_HOOKS, argo_answer, argo_json, flagger_answer

ERROR = cj.DataError("the server cannot be reached", "Check it.")
CASES = Path(__file__).parents[4] / "shared" / "cases" / "flagger.json"
OUTCOMES = ("pass", "marginal", "fail", "error")


def said(outcome):
    return ERROR if outcome == "error" else verdict(outcome)


@pytest.mark.parametrize("outcome", ["pass", "marginal", "fail", "no_data"])
def test_argo_gets_a_small_object_and_200_whatever_the_outcome(outcome):
    answer = argo_answer(verdict(outcome))
    assert (answer.status, answer.content_type) == (200, "application/json")
    document = json.loads(answer.body)
    assert document["verdict"] == {
        "outcome": verdict(outcome).outcome.value,
        "action": verdict(outcome).action,
        "reason": verdict(outcome).reason,
        "score": verdict(outcome).score,
        "no_data": outcome == "no_data",
    }
    assert document["metrics"] == {"m": "marginal" if outcome == "no_data" else outcome, "fine": "pass"}


def test_argo_gets_an_error_where_nothing_was_judged():
    answer = argo_answer(ERROR)
    assert not 200 <= answer.status < 300
    assert answer.body == "ERROR: the server cannot be reached. Check it.\n"
    assert json.loads(argo_json(ERROR))["verdict"]["outcome"] == "error"


@given(texts, texts)
def test_argo_gets_json_whatever_the_names(name, reason):
    document = json.loads(argo_json(renamed([name], "fail", reason)))
    assert document["metrics"] == {name: "fail"}
    assert document["verdict"]["reason"].isprintable()


# what a yes does, by Flagger's own rules: 1 yes, 0 no, for pass, marginal, fail and error
YES = {
    "confirm-rollout": (1, 1, 0, 0),  # a no waits, for data that cannot come before there is traffic
    "pre-rollout": (1, 1, 0, 0),  # a no is a failed check
    "rollout": (1, 1, 0, 0),
    "": (1, 1, 0, 0),  # as rollout
    "confirm-traffic-increase": (1, 0, 0, 0),  # a no waits
    "confirm-promotion": (1, 0, 0, 0),
    "post-rollout": (1, 1, 1, 1),  # only logged
    "rollback": (0, 0, 1, 0),  # a yes rolls back
    "event": (1, 1, 1, 1),
}


@pytest.mark.parametrize("hook", YES)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_flagger_gets_a_yes_or_no(hook, outcome):
    answer = flagger_answer(said(outcome), hook)
    assert (answer.status <= 202) == bool(YES[hook][OUTCOMES.index(outcome)])
    assert answer.status in ((200, 500) if outcome == "error" else (200, 409))
    assert answer.body.startswith(f"{outcome.upper()}: ")
    assert answer.body.count("\n") == 1
    assert len(answer.body) <= 200


def test_every_hook_is_answered():
    assert set(YES) == {"", *FLAGGER_HOOKS}


@pytest.mark.parametrize(
    ("hook", "meant"), [("rollbak", "Did you mean 'rollback'?"), ("x" * 10**6, "Types: confirm-rollout")]
)
def test_an_unknown_hook_is_refused(hook, meant):
    with pytest.raises(cj.DataError, match="Flagger has no webhooks of type") as caught:
        flagger_answer(verdict("pass"), hook)
    assert meant in str(caught.value)
    assert len(str(caught.value)) < 400


@given(texts, texts)
def test_flaggers_event_is_one_line_whatever_the_names(name, reason):
    body = flagger_answer(renamed([name], "fail", reason), "rollout").body
    assert body.removesuffix("\n").isprintable()


@pytest.mark.skipif(not CASES.exists(), reason="the conformance cases are not here")
def test_flaggers_own_cases_read_our_statuses_as_they_are_meant():
    known = {
        case["input"]["status"]: case["expected"]["ok"]
        for case in json.loads(CASES.read_text(encoding="utf-8"))["cases"]
        if case["kind"] == "webhook_status" and "status" in case["input"]
    }
    assert len(known) >= 8
    lowest_no = min(status for status, ok in known.items() if not ok)
    assert all(
        ok == (status < lowest_no) for status, ok in known.items()
    )  # a threshold: so every status has an answer
    for hook, yes in YES.items():
        for outcome, expected in zip(OUTCOMES, yes, strict=True):
            assert (flagger_answer(said(outcome), hook).status < lowest_no) == bool(expected)
