"""Words for several arms: what to do with which, and what that means for rings in their order."""

import numpy as np
import pytest

import canaryjudge as cj

POLICY = cj.Policy(metrics=[{"name": "p99", "unit": "ms", "direction": "increase"}])
LEVELS = {"p": 100, "m": 110, "f": 160}


def judged(outcomes, names=None):
    """Arms that pass, are marginal or fail, in this order."""
    rng = np.random.default_rng(1)
    arms = names or [f"r{place}" for place in range(len(outcomes))]
    shape = 60.0 * np.arange(60)
    series = {
        arm: {"time": shape, "value": LEVELS[outcome] + 4 * rng.normal(size=60)}
        for arm, outcome in zip(("stable", *arms), ("p", *outcomes), strict=True)
    }
    return cj.judge({"p99": series}, POLICY, baseline="stable", canary=arms)


@pytest.mark.parametrize(
    ("outcomes", "reason", "rings"),
    [
        ("pp", "PASS: all 2 arms may go on", "it may go on beyond r1."),
        ("pf", "FAIL: roll back r1; r0 may go on", ": r0 passes, r1 fails, so it goes no farther."),
        ("fpp", "FAIL: roll back r0; r1 and r2 may go on", ": r0 fails, so it goes no farther, not to r1 and r2, whatever is said of later ones."),
        ("ppmp", "MARGINAL: hold r2; r0, r1 and r3 may go on", ": r0 and r1 pass, r2 is undecided, so it waits before it goes to r3, whatever is said of later ones."),
        ("pm", "MARGINAL: hold r1; r0 may go on", ": r0 passes, r1 is undecided, so it waits."),
        ("fmp", "FAIL: roll back r0; hold r1; r2 may go on", ": r0 fails, so it goes no farther, not to r1 and r2"),
    ],
)  # fmt: skip
def test_what_to_do_is_said_of_each_arm_and_of_rings_in_their_order(outcomes, reason, rings):
    found = judged(outcomes)
    assert [verdict.outcome.value[0] for verdict in found.values()] == list(outcomes)
    assert found.reason == reason
    told = " ".join(found.explain().split())
    assert f"As rings of one release, in this order{', ' if 'beyond' in rings else ''}{rings}" in told


def test_the_text_has_a_row_an_arm_what_is_wrong_with_which_and_the_rates():
    text = judged("pf").explain()
    assert "r1   stable    FAIL     0.5 %      p99: canary is 60 % higher" in text
    assert "\nr1:\n  FAIL: roll back\n    p99 FAIL: canary is 60 % higher" in text
    assert (
        "they were judged at\n  0.5 % each, and those that were left at up to 1 % once others had failed"
        in text
    )
    assert "an arm is named the best or the worst of any metric and is not" in text
    assert max(map(len, text.splitlines())) <= 112


def test_briefly_what_each_arm_says_is_left_out():
    found = judged("pf")
    assert found.explain().startswith(found.explain(brief=True))
    assert "r1:\n" not in found.explain(brief=True)


def test_scores_promise_nothing():
    rng = np.random.default_rng(1)
    policy = POLICY.model_copy(update={"aggregate": "score"})
    data = {"p99": {arm: 100 + rng.normal(size=30) for arm in ("old", "a", "b")}}
    found = cj.judge(data, policy, baseline="old", canary=["a", "b"])
    assert "Scores decide, so no error rate is promised of the verdicts." in found.explain()
    assert "Holm" not in found.explain()


def test_names_from_the_data_steer_nothing():
    found = judged("pf", ["a|b\n", "<i>\x1b[31m"])
    for text in (found.reason, found.explain(), found.to_markdown()):
        assert "\x1b" not in text
    assert "| \\<i\\>" in found.to_markdown()
    assert len(judged("fff", [letter * 500 for letter in "abc"]).reason) < 200
