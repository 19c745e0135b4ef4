"""Prometheus: the text is read by its own client and checked by its own tool; queries are answered as the server would."""

import json
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from told import NASTY, renamed, texts, verdict

import canaryjudge as cj
from canaryjudge.integrations.writers import prometheus_answer, prometheus_text
from canaryjudge.texts import visible

ERROR = cj.DataError("the server cannot be reached")
NOW = 1772442000.0


def samples(said):
    return [
        sample
        for family in text_string_to_metric_families(prometheus_text(said))
        for sample in family.samples
    ]


def value(said, name, **labels):
    (found,) = (s.value for s in samples(said) if s.name == name and labels.items() <= s.labels.items())
    return found


def asked(said, query):
    answer = prometheus_answer(said, query, NOW)
    return answer.status, json.loads(answer.body)


def vector(said, query):
    status, document = asked(said, query)
    assert (status, document["status"], document["data"]["resultType"]) == (200, "success", "vector")
    assert all(sample["value"][0] == NOW for sample in document["data"]["result"])
    return [(sample["metric"], float(sample["value"][1])) for sample in document["data"]["result"]]


@pytest.mark.parametrize(
    ("outcome", "number"), [("pass", 1), ("marginal", 0.5), ("fail", 0), ("no_data", 0.5)]
)
def test_the_outcome_is_a_number(outcome, number):
    said = verdict(outcome)
    assert value(said, "canaryjudge_judged") == 1
    assert value(said, "canaryjudge_release_outcome") == number
    assert value(said, "canaryjudge_metric_outcome", metric="m") == number
    assert value(said, "canaryjudge_release_no_data") == (outcome == "no_data")
    assert value(said, "canaryjudge_metric_points", metric="m", arm="canary") == (
        0 if outcome == "no_data" else 30
    )
    assert value(said, "canaryjudge_release_score") == pytest.approx(said.score)


def test_what_was_found_is_there():
    finding = verdict("fail").metrics["m"].deciding
    for name, number in (
        ("estimate", finding.estimate),
        ("low", finding.interval.low),
        ("high", finding.interval.high),
        ("limit_high", finding.limit_high),
    ):
        assert value(verdict("fail"), f"canaryjudge_metric_{name}", metric="m") == pytest.approx(number)


def test_the_interval_is_the_one_that_proves_the_outcome():
    """A pass whose interval at the level of a fail reaches beyond the limit, as many do."""
    rng = np.random.default_rng(5)
    arms = {"baseline": 100 + 10 * rng.normal(size=60), "canary": 104 + 10 * rng.normal(size=60)}
    said = cj.judge({"m": arms}, cj.Policy(metrics=[cj.Metric(name="m", direction="increase")]))
    finding = said.metrics["m"].deciding
    assert said.outcome == "pass"
    assert finding.interval.high > finding.limit_high
    assert value(said, "canaryjudge_metric_low", metric="m") == pytest.approx(finding.pass_interval.low)
    assert value(said, "canaryjudge_metric_high", metric="m") == pytest.approx(finding.pass_interval.high)
    assert value(said, "canaryjudge_metric_high", metric="m") <= value(
        said, "canaryjudge_metric_limit_high", metric="m"
    )


def test_without_a_verdict_there_is_no_old_one():
    assert [(sample.name, sample.value) for sample in samples(ERROR)] == [("canaryjudge_judged", 0)]


@given(st.lists(texts, min_size=1, max_size=5, unique_by=visible))
def test_names_come_back_as_they_were_but_for_what_steers_a_terminal(names):
    found = [s.labels["metric"] for s in samples(renamed(names)) if s.name == "canaryjudge_metric_outcome"]
    assert found == [visible(name) for name in names]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: make system")
def test_promtool_finds_nothing_to_complain_about():
    for said in (verdict("fail"), verdict("no_data"), ERROR, renamed(NASTY)):
        checked = subprocess.run(
            ["promtool", "check", "metrics"],
            input=prometheus_text(said).encode(),
            capture_output=True,
            check=False,
        )
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_queries_are_answered_as_by_a_server_that_scraped_the_text():
    said = verdict("fail")
    for sample in samples(said):
        matchers = ",".join(f"{name}={json.dumps(text)}" for name, text in sample.labels.items())
        assert vector(said, f"{sample.name}{{{matchers}}}") == [
            ({"__name__": sample.name, **sample.labels}, sample.value)
        ]


def test_flagger_and_argo_get_a_number():
    assert vector(verdict("pass"), "canaryjudge_release_outcome") == [
        ({"__name__": "canaryjudge_release_outcome"}, 1.0)
    ]
    for query in ("vector(1)", " vector( 1 ) "):  # by which Flagger finds out whether the server is there
        assert vector(verdict("pass"), query) == vector(ERROR, query) == [({}, 1.0)]
    assert vector(ERROR, "canaryjudge_judged") == [({"__name__": "canaryjudge_judged"}, 0.0)]


@pytest.mark.parametrize(
    ("matchers", "names"),
    [
        ("{}", ["m", "fine"]),
        ('{metric="m"}', ["m"]),
        ('{ metric = "m" , }', ["m"]),
        ('{metric!="m"}', ["fine"]),
        ('{metric!="m",role="guard"}', []),
        ('{absent=""}', ["m", "fine"]),
        ('{metric="\\"m\\n"}', []),
    ],
)
def test_matchers_choose_samples(matchers, names):
    assert [
        labels["metric"] for labels, _ in vector(verdict("fail"), f"canaryjudge_metric_outcome{matchers}")
    ] == names


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "only a gauge's name"),
        ("canaryjudge_release_outcom", "did you mean canaryjudge_release_outcome?"),
        ("up", "there is no up here"),
        ("sum(canaryjudge_release_outcome)", "only a gauge's name"),
        ("canaryjudge_release_outcome > 0", "only a gauge's name"),
        ('canaryjudge_metric_outcome{metric=~"m.*"}', "a matcher here is"),
        ("canaryjudge_metric_outcome{metric}", "a matcher here is"),
        ('canaryjudge_metric_outcome{metric="\\q"}', "unknown escape"),
        ('canaryjudge_metric_outcome{metric="m"', "only a gauge's name"),
        ("vector(1e999)", "not a finite number"),
        ("vector(--)", "not a finite number"),
        ("vector(1" + "0" * 10**6, "only a gauge's name"),
        ("a" * 10**6, "only a gauge's name"),
        ("canaryjudge_judged{" + 'a="",' * 10**5, "only a gauge's name"),
    ],
)
def test_other_queries_are_refused_rather_than_answered_with_nothing(query, says):
    status, document = asked(verdict("fail"), query)
    assert (status, document["status"], document["errorType"]) == (400, "error", "bad_data")
    assert says in document["error"]
    assert len(document["error"]) < 700


@given(st.text() | st.from_regex(r"canaryjudge_metric_outcome\{.{0,40}\}", fullmatch=True))
def test_any_query_gets_an_answer(query):
    status, document = asked(verdict("fail"), query)
    assert (status, document["status"]) in ((200, "success"), (400, "error"))


def test_an_error_of_ours_is_one_of_the_query():
    status, document = asked(ERROR, "canaryjudge_release_outcome")
    assert (status, document["errorType"], document["error"]) == (
        422,
        "execution",
        "ERROR: the server cannot be reached",
    )


@pytest.mark.parametrize("now", [float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(now):
    with pytest.raises(cj.DataError, match="not a time"):
        prometheus_answer(verdict("fail"), "vector(1)", now)
