"""Several arms told to other tools: which arm each part is about, and one outcome for all."""

import json
import re
import xml.etree.ElementTree as ET
from urllib.parse import unquote

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from told import NASTY

import canaryjudge as cj
from canaryjudge.integrations.writers import argo_json, github_annotations, junit_xml, prometheus_text


def arms(names=("a", "b", "c"), levels=(100, 160, 112), **settings):
    """Arms of which the first passes, the second fails and the third is marginal, by one metric of two."""
    rng = np.random.default_rng(1)
    data = {
        metric: {
            arm: (level if metric == "m" else 100) + rng.normal(0, 4, 40)
            for arm, level in zip(("stable", *names), (100, *levels), strict=True)
        }
        for metric in ("m", "fine")
    }
    policy = cj.Policy(metrics=[{"name": name, "direction": "increase"} for name in data], **settings)
    return cj.judge(data, policy, baseline="stable", canary=list(names))


def commands(text):
    """Kind, title and message of each annotation."""
    found = [re.fullmatch(r"::(\w+) title=([^:]*)::(.*)", line) for line in text.splitlines()]
    return [tuple(unquote(part) for part in each.groups()) for each in found]


def test_junit_has_a_suite_an_arm_and_one_for_all():
    found = arms()
    assert [verdict.outcome for verdict in found.values()] == ["pass", "fail", "marginal"]
    root = ET.fromstring(junit_xml(found))  # noqa: S314 - our own
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["canaryjudge", "canaryjudge.a", "canaryjudge.b", "canaryjudge.c"]
    told = {
        (case.get("classname"), case.get("name")): next(child.tag for child in case)
        for case in root.iter("testcase")
    }
    assert told == {
        ("canaryjudge", "arms"): "failure",
        ("canaryjudge.a", "release"): "system-out",
        ("canaryjudge.a.metrics", "m"): "system-out",
        ("canaryjudge.a.metrics", "fine"): "system-out",
        ("canaryjudge.b", "release"): "failure",
        ("canaryjudge.b.metrics", "m"): "failure",
        ("canaryjudge.b.metrics", "fine"): "system-out",
        ("canaryjudge.c", "release"): "skipped",
        ("canaryjudge.c.metrics", "m"): "skipped",
        ("canaryjudge.c.metrics", "fine"): "system-out",
    }
    for holder in (root, *root):
        for kind, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
            assert int(holder.get(kind)) == len(holder.findall(f".//{tag}"))
    assert int(suites["canaryjudge.c"].get("skipped")) == 2
    named = {each.get("name"): each.get("value") for each in suites["canaryjudge"].iter("property")}
    assert (named["outcome"], named["worst"], named["alpha"]) == ("fail", "b", "0.01")
    assert {each.get("name"): each.get("value") for each in suites["canaryjudge.b"].iter("property")}[
        "alpha"
    ] == f"{found['b'].alpha:g}"


def test_junit_holds_a_failure_if_and_only_if_an_arm_fails():
    for levels, failures in (((100, 100), 0), ((100, 112), 0), ((100, 160), 3)):
        root = ET.fromstring(junit_xml(arms("ab", levels)))  # noqa: S314 - our own
        assert len(root.findall(".//failure")) == failures


def test_github_names_the_arm_of_each_annotation_and_those_that_may_go_on():
    told = commands(github_annotations(arms()))
    assert [(kind, title) for kind, title, _ in told] == [
        ("error", "canaryjudge: b, m: fail"),
        ("warning", "canaryjudge: c, m: marginal"),
        ("notice", "canaryjudge: a may go on"),
    ]
    assert told[-1][2] == "FAIL: roll back b; hold c; a may go on"
    ((kind, title, _),) = commands(github_annotations(arms("ab", (100, 100))))
    assert (kind, title) == ("notice", "canaryjudge: pass")
    none = commands(github_annotations(arms("ab", (160, 160))))
    assert [kind for kind, *_ in none] == ["error", "error"]


def test_github_says_of_an_arm_that_only_its_score_fails_that_it_does():
    found = arms("ab", (100, 110), aggregate="score", pass_score=100.0, marginal_score=90.0)
    assert found["b"].outcome == "fail"
    told = [title for _, title, _ in commands(github_annotations(found))]
    assert "canaryjudge: b, the release fails" in told


def test_prometheus_tells_arms_apart_by_a_label():
    samples = {
        (each.name, *sorted(each.labels.items())): each.value
        for family in text_string_to_metric_families(prometheus_text(arms()))
        for each in family.samples
    }
    outcomes = {key[1][1]: value for key, value in samples.items() if key[0] == "canaryjudge_release_outcome"}
    assert outcomes == {"a": 1.0, "b": 0.0, "c": 0.5}
    assert samples[("canaryjudge_judged",)] == 1.0
    assert samples["canaryjudge_metric_points", ("arm", "canary"), ("canary", "b"), ("metric", "m")] == 40
    assert all(dict(key[1:]).get("canary") for key in samples if key[0] != "canaryjudge_judged")


def test_argo_has_a_verdict_an_arm_beside_that_of_all():
    told = json.loads(argo_json(arms()))
    assert told["verdict"]["outcome"] == "fail"
    assert told["verdict"]["score"] is None
    assert {arm: each["verdict"]["outcome"] for arm, each in told["arms"].items()} == {
        "a": "pass",
        "b": "fail",
        "c": "marginal",
    }
    assert told["arms"]["b"]["metrics"] == {"m": "fail", "fine": "pass"}
    assert "metrics" not in told


@pytest.mark.parametrize("name", [name for name in NASTY if "\ud800" not in name])
def test_names_of_arms_steer_nothing(name):
    found = arms((name, "b"), (160, 100))
    root = ET.fromstring(junit_xml(found))  # noqa: S314 - our own
    assert len(list(root)) == 3
    read = commands(github_annotations(found))
    assert [kind for kind, *_ in read] == ["error", "notice"]
    families = {family.name for family in text_string_to_metric_families(prometheus_text(found))}
    assert "canaryjudge_release_outcome" in families
    assert len(json.loads(argo_json(found))["arms"]) == 2
