"""JUnit XML: read again by independent readers, in the shape that Jenkins' schema has, and as GitLab tells tests apart."""

import xml.etree.ElementTree as ET

import junitparser
import pytest
from hypothesis import given
from hypothesis import strategies as st
from told import NASTY, renamed, texts, verdict

import canaryjudge as cj
from canaryjudge.integrations.writers import junit_xml

# what the schema of Jenkins' xUnit plugin (junit-10.xsd) lets an element have: attributes, and children
TOLD = ({"message", "type"}, set())
SHAPE = {
    "testsuites": ({"name", "time", "tests", "failures", "disabled", "errors"}, {"testsuite"}),
    "testsuite": (
        {
            "name",
            "tests",
            "failures",
            "errors",
            "time",
            "disabled",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
        },
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "testcase": (
        {"name", "assertions", "time", "timestamp", "classname", "status", "file", "line"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "failure": TOLD,
    "error": TOLD,
    "skipped": TOLD,
    "system-out": (set(), set()),
}


def parsed(said):
    text = junit_xml(said)
    assert text.isascii()
    root = ET.fromstring(text)  # noqa: S314 - our own
    for element in root.iter():
        attributes, children = SHAPE[element.tag]
        assert set(element.attrib) <= attributes
        assert {child.tag for child in element} <= children
    suite = root[0]
    for holder in (root, suite):
        assert int(holder.get("tests")) == len(root.findall(".//testcase"))
        assert int(holder.get("failures")) == len(root.findall(".//failure"))
        assert int(holder.get("errors")) == len(root.findall(".//error"))
    assert int(suite.get("skipped")) == len(root.findall(".//skipped"))
    return root


def cases(said):
    """Kind and message of each test case by its name."""
    found = {}
    for case in parsed(said).iter("testcase"):
        told = [child for child in case if child.tag != "system-out"]
        found[case.get("name")] = (told[0].tag, told[0].get("message")) if told else ("pass", None)
    return found


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [("pass", "pass"), ("fail", "failure"), ("marginal", "skipped"), ("no_data", "skipped")],
)
def test_release_and_metric_are_shown_as_they_ended(outcome, kind):
    found = cases(verdict(outcome))
    assert found["release"][0] == found["m"][0] == kind
    assert found["fine"] == ("pass", None)
    if kind != "pass":
        assert found["release"][1] == verdict(outcome).reason
        assert "canary" in found["m"][1]


def test_why_a_metric_passed_is_there_to_read():
    (case,) = (case for case in parsed(verdict("pass")).iter("testcase") if case.get("name") == "m")
    assert "within the tolerated 10 %" in case.findtext("system-out")


@pytest.mark.parametrize(
    "error", [cj.DataError("no such file: <x>\ny", "Check it."), cj.PolicyError("a & b")]
)
def test_an_error_of_ours_is_an_error(error):
    assert {name: kind for name, (kind, _) in cases(error).items()} == {"release": "error"}
    assert parsed(error).find(".//error").text == str(error)
    assert parsed(error).find(".//error").get("type") == type(error).__name__


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (verdict("fail", role="advisory"), "as an advisory metric it cannot fail the release"),
        (verdict("fail", role="muted"), "muted, fail"),
        (
            verdict("fail", role="guard", aggregate="score", pass_score=40.0, marginal_score=20.0),
            "the score does not fail",
        ),
    ],
)
def test_a_failure_that_fails_no_release_is_none(said, says):
    assert said.outcome != "fail"
    assert parsed(said).find(".//failure") is None
    kind, message = cases(said)["m"]
    assert kind == "skipped"
    assert says in message


def test_other_rules_and_notes_are_told():
    policy = cj.Policy(
        metrics=[
            cj.Metric(
                name="m",
                direction="increase",
                rules=[cj.MannWhitney(), cj.Slo(of="mean", op="lte", value=900)],
            )
        ]
    )
    said = cj.judge({"m": {"baseline": [*range(100, 130), float("nan")], "canary": range(200, 231)}}, policy)
    text = parsed(said).find(".//testcase[@name='m']/failure").text
    assert "rule slo, pass" in text
    assert "missing" in text


@pytest.mark.parametrize("name", NASTY)
def test_hostile_names_stay_names(name):
    said = renamed([name])
    found = cases(said)
    assert set(found) >= {"release"}
    assert len(found) == 2
    suites = junitparser.JUnitXml.fromstring(junit_xml(said).encode())
    assert {case.name for suite in suites for case in suite} == set(found)


def test_names_keep_their_letters():
    assert set(cases(renamed(["<script>", "]]>", "a\nb"]))) == {"release", "<script>", "]]>", r"a\nb"}


@given(
    st.lists(texts, min_size=1, max_size=6, unique=True), st.sampled_from(["fail", "marginal", "pass"]), texts
)
def test_whatever_the_names_it_reads_back_and_tells_them_apart(names, outcome, reason):
    said = renamed(names, outcome, reason)
    root = parsed(said)
    told = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert len(set(told)) == len(told) == 1 + len(names)
    assert (root.find(".//failure") is not None) == (outcome == "fail")
    assert junit_xml(said) == junit_xml(said.model_copy(deep=True))
    suites = junitparser.JUnitXml.fromstring(junit_xml(said).encode())
    assert suites.tests == len(told)
