"""The verdict in a handful of lines: what to do, what decided, and what is open and why."""

import re

import numpy as np
import pytest

import canaryjudge as cj

FACTORS = {"good": 1.0, "open": 1.1, "bad": 1.5}


def judged(*names, **given):
    """Judge metrics that are as their names begin: good, open (marginal), bad, or without data."""
    rng, data, metrics = np.random.default_rng(20260601), {}, []
    for name in names:
        base, canary = rng.normal(100, 5, (2, 40))
        factor = FACTORS.get(name.partition("_")[0])
        data[name] = {"baseline": base, "canary": [] if factor is None else canary * factor}
        role = next((role for role in ("guard", "advisory", "muted") if name.endswith(role)), "required")
        metrics.append(cj.Metric(name=name, unit="ms", direction="increase", role=role, **given))
    return cj.judge(data, cj.Policy(metrics=metrics))


def brief(*names, **given):
    return judged(*names, **given).explain(brief=True)


def test_a_fail_says_what_to_do_and_by_how_much_what_decided():
    said = brief("good_1", "bad_1", "open_1")
    lines = said.splitlines()
    assert lines[0] == "FAIL: roll back"
    assert re.fullmatch(
        r"  bad_1 FAIL: canary is \d+ % higher, [\d.]+ ms v\. [\d.]+ ms, beyond the tolerated 10 %\.",
        lines[1],
    )
    assert re.fullmatch(r"  Undecided: open_1 \((undecided so far|worse, maybe tolerably)\)\.", lines[2])
    assert lines[3:] == ["  Passed: good_1."]


def test_what_is_undecided_says_why_and_what_would_decide():
    said = " ".join(brief("good_1", "open_1", "none_1").split())
    assert said.startswith("MARGINAL: hold open_1 MARGINAL: canary is ")
    assert "about " in said
    assert "more points a side would decide" in said
    assert (
        "none_1 MARGINAL: no data in canary (0 v. 40 points). See whether that arm runs, is scraped" in said
    )
    assert said.endswith("Passed: good_1.")


def test_a_reason_that_asks_for_something_to_be_done_says_so():
    base = np.random.default_rng(1).normal(100, 5, 40)
    policy = cj.Policy(metrics=[cj.Metric(name="p99", direction="increase")])
    said = " ".join(cj.judge({"p99": {"baseline": base, "canary": base}}, policy).explain(brief=True).split())
    assert said.startswith("MARGINAL: hold p99 MARGINAL: both arms are the same points")
    assert "See whether both selectors, or both columns, pick the same pods." in said


def test_a_pass_names_what_is_not_proven_and_what_is_waived():
    said = " ".join(brief("good_1", "open_guard", "good_2", "bad_muted").split())
    assert said.startswith("PASS: promote good_")
    assert re.search(r"Undecided: open_guard \(guard, (undecided so far|worse, maybe tolerably)\)\.", said)
    assert "bad_muted" not in said
    waived = " ".join(brief("good_1", "none_1", "none_2", no_data="ignore").split())
    assert "Waived: good_1, none_1 and none_2: no_data: ignore lets the release pass" in waived


@pytest.mark.parametrize("start", ["good", "open", "bad", "none"])
def test_it_stays_a_handful_of_lines_however_many_metrics_there_are(start):
    said = brief(*(f"{start}_{i}" for i in range(30)), *(f"good_x{i}" for i in range(30)))
    assert len(said.splitlines()) <= 12
    assert all(len(line) <= 110 for line in said.splitlines())
    assert "more." in said


def test_no_interval_no_test_and_no_promise_is_told():
    for names in (["bad_1"], ["open_1"], ["good_1"]):
        said = brief(*names)
        assert not re.search(r" CI | p = |Mann-Whitney|autocorrelation|At most", said)


def test_where_nothing_was_judged_it_says_so():
    policy = cj.Policy(metrics=[cj.Metric(name="cpu", direction="increase", no_data="ignore")])
    verdict = cj.judge({"cpu": {"baseline": [], "canary": []}}, policy)
    assert verdict.explain(brief=True) == "MARGINAL: hold\n  No metric was judged."


def test_a_score_is_told_and_so_is_a_fail_of_an_earlier_look():
    verdict = judged("good_1", "bad_1")
    scored = verdict.model_copy(update={"aggregate": "score", "score": 50.0})
    assert "score 50 of 100" in scored.explain(brief=True)
    calm = dict.fromkeys(verdict.metrics, verdict.metrics["good_1"])
    later = verdict.model_copy(update={"metrics": calm})
    assert "It failed at an earlier look, and a fail stays." in later.explain(brief=True)
