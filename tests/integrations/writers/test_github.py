"""GitHub Actions: commands and outputs, read again by the runner's own rules."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from told import NASTY, renamed, texts, verdict

import canaryjudge as cj
from canaryjudge.integrations.writers import github_annotations, github_outputs, github_summary

ERROR = cj.DataError("metrics.csv:\nthere is no 100% sure, file::x", "Check the path.")


def commands(text):
    """Read workflow commands as the runner does (ActionCommand.TryParseV2): kind, properties, message of every line."""
    read = []
    for line in re.split(r"\r\n|\r|\n", text.removesuffix("\n")):
        assert line.startswith("::")
        end = line.index("::", 2)
        kind, _, given_properties = line[2:end].partition(" ")
        properties = dict(part.split("=", 1) for part in given_properties.strip().split(",") if part)
        properties = {key: unescaped(value, ":,") for key, value in properties.items()}
        read.append((kind, properties, unescaped(line[end + 2 :], "")))
    return read


def unescaped(text, more):
    for sign in ("\r", "\n", *more, "%"):
        text = text.replace(f"%{ord(sign):02X}", sign)
    return text


def outputs(text):
    """Read an output file as the runner does: ``name=value``, or ``name<<end`` with lines up to one that is `end`."""
    read, lines = {}, iter(text.split("\n")[:-1])
    for line in lines:
        if "<<" in line and ("=" not in line or line.index("<<") < line.index("=")):
            name, end = line.split("<<", 1)
            value = []
            for inner in lines:
                if inner == end:
                    break
                value.append(inner)
            else:
                raise AssertionError("the delimiter is missing")
            read[name] = "\n".join(value)
        else:
            name, value = line.split("=", 1)
            read[name] = value
    return read


@pytest.mark.parametrize(
    ("outcome", "kind", "title"),
    [
        ("fail", "error", "canaryjudge: m: fail"),
        ("marginal", "warning", "canaryjudge: m: marginal"),
        ("pass", "notice", "canaryjudge: pass"),
    ],
)
def test_annotations_tell_the_outcome(outcome, kind, title):
    ((found, properties, message),) = commands(github_annotations(verdict(outcome)))
    assert (found, properties) == (kind, {"title": title})
    assert " 101 ms" in message
    assert " %" in message


def test_annotations_tell_an_error():
    ((kind, properties, message),) = commands(github_annotations(ERROR))
    assert (kind, properties) == ("error", {"title": "canaryjudge: nothing was judged"})
    assert message == "ERROR: metrics.csv: there is no 100% sure, file::x. Check the path."


def test_an_advisory_failure_is_a_warning_and_a_muted_one_nothing():
    assert [kind for kind, *_ in commands(github_annotations(verdict("fail", role="advisory")))] == [
        "warning"
    ]
    assert [kind for kind, *_ in commands(github_annotations(verdict("fail", role="muted")))] == ["notice"]


def test_a_score_that_fails_alone_is_told():
    said = verdict("marginal", aggregate="score", pass_score=99.0, marginal_score=98.0)
    assert said.outcome == "fail"
    assert [kind for kind, *_ in commands(github_annotations(said))] == ["error", "warning"]


def test_no_more_annotations_than_github_keeps():
    names = [f"metric {number}" for number in range(25)]
    found = commands(github_annotations(renamed(names)))
    assert len(found) == 10
    assert found[-1][1]["title"] == "canaryjudge: 16 more"
    assert "metric 24" in found[-1][2]


@given(
    st.lists(texts, min_size=1, max_size=12, unique=True),
    st.sampled_from(["fail", "marginal", "pass"]),
    texts,
)
def test_whatever_the_names_there_are_only_our_commands(names, outcome, reason):
    said = renamed(names, outcome, reason)
    kinds = {"fail": "error", "marginal": "warning", "pass": "notice"}
    for kind, properties, message in commands(github_annotations(said)):
        assert kind == kinds[outcome]
        assert set(properties) == {"title"}
        assert properties["title"].startswith("canaryjudge: ")
        assert message.isprintable()


def test_outputs():
    found = outputs(github_outputs(verdict("fail")))
    assert found | {"reason": ""} == {
        "outcome": "fail",
        "action": "rollback",
        "reason": "",
        "score": "50",
        "no-data": "false",
        "failed": '["m"]',
        "undecided": "[]",
    }
    assert found["reason"] == verdict("fail").reason
    assert outputs(github_outputs(verdict("no_data")))["no-data"] == "true"
    assert outputs(github_outputs(ERROR))["outcome"] == "error"
    assert outputs(github_outputs(ERROR))["action"] == "hold"


@given(st.lists(texts, min_size=1, max_size=4, unique=True), texts)
def test_outputs_cannot_be_forged(names, reason):
    honest = github_outputs(renamed(["m"]))
    delimiters = re.findall(r"<<(\S+)", honest)
    for attempt in (
        reason,
        f"{reason}\n{delimiters[0]}\noutcome=pass",
        f"x\noutcome<<{delimiters[-1]}\npass",
    ):
        found = outputs(github_outputs(renamed(names, "fail", attempt)))
        assert found["outcome"] == "fail"
        assert found["action"] == "rollback"
        assert len(found) == 7
        assert len(json.loads(found["failed"])) == len(names)


@pytest.mark.parametrize("name", NASTY)
def test_a_summary_shows_names_as_text(name):
    text = github_summary(renamed([name], reason="x"))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 3
    assert not re.search(r"(?<!\\)<(?!br>)", text)
    assert len(re.findall(r"(?<!\\)\|", rows[2])) == 5


def test_a_summary_of_an_error():
    assert "nothing was judged" in github_summary(ERROR)
    assert "metrics.csv: there is no 100% sure, file::x" in github_summary(ERROR)


def test_a_summary_fits_and_counts_what_it_leaves_out():
    names = [f"\U0001f600 {'long ' * 30}{number}" for number in range(4000)]
    text = github_summary(renamed(names))
    assert 900_000 < len(text.encode()) <= 1_000_000
    assert text.startswith("## ❌ FAIL: roll back\n")
    assert (
        text.count("\n| ") + int(re.search(r"([\d,]+) more lines do not fit", text)[1].replace(",", ""))
        >= 4000
    )
    assert "of releases that are fine fail" in text.splitlines()[-1]
