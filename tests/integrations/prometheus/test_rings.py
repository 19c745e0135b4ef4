"""Several canaries from one server: each arm's selector by its name or given by itself, the past of the baseline they share, and what cannot be meant."""

import json
from pathlib import Path

import fake_prometheus as fake
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_answers import matrix, series

import canaryjudge as cj
from canaryjudge.cli import main
from canaryjudge.integrations.prometheus.client import Access
from canaryjudge.integrations.prometheus.queries import QueryOverrides, fetch
from canaryjudge.policy.query import ARM, selector_of, selector_problem

AT = 1_772_442_000
SHARED = {"baseline": f'ring="{ARM}"', "canary": f'ring="{ARM}"', "step": "60s", "window": "40m"}
CPU = {"name": "cpu", "direction": "increase", "unit": "cores", "query": "cpu{${selector}}"}
RINGS = ["--baseline", "stable", "--canary", "internal", "--canary", "beta"]


def answered(question):
    """Noise that is always the same at a time; of the ring beta, more."""
    start, end, step = (round(float(question[name])) for name in ("start", "end", "step"))
    rng = np.random.default_rng(sum(question["query"].encode()))
    level = 160 if '"beta"' in question["query"] else 100
    values = level + rng.normal(0, 3, (end - start) // step + 1)
    return matrix(series({"instance": "a"}, *values.tolist(), start=start, step=step))


GOOD = fake.by_question(answered)


@pytest.fixture(autouse=True)
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    policy(history="none")


def policy(**shared):
    document = {"prometheus": SHARED | shared, "metrics": [CPU]}
    Path("policy.yaml").write_text(json.dumps(document), encoding="utf-8")


def judge(capsys, *more):
    with fake.serving(GOOD) as server:
        code = main(["judge", "--policy", "policy.yaml", "--prometheus", server.url, "--at", str(AT), *more])
    streams = capsys.readouterr()
    return code, streams.out, streams.err, [question["query"] for question in server.questions]


def test_each_arm_is_asked_for_by_its_name(capsys):
    code, out, err, asked = judge(capsys, *RINGS, "--save-data", "data.json", "--also", "json=said.json")
    assert (code, err) == (1, "")
    assert out.startswith("FAIL: roll back beta; internal may go on")
    assert asked == ['cpu{ring="stable"}', 'cpu{ring="internal"}', 'cpu{ring="beta"}']
    assert main(["verify", "--policy", "policy.yaml", "--data", "data.json", "--verdict", "said.json"]) == 0


def test_one_canary_is_asked_for_by_its_name_too(capsys):
    code, out, _, asked = judge(capsys, "--baseline", "stable", "--canary", "beta")
    assert code == 1
    assert out.startswith("FAIL: roll back\n")
    assert asked == ['cpu{ring="stable"}', 'cpu{ring="beta"}']


def test_selectors_may_be_given_one_by_one_in_the_order_of_the_arms(capsys):
    given_each = ["--canary-selector", 'version="2"', "--canary-selector", 'version="3"']
    assert judge(capsys, *RINGS, *given_each)[3] == [
        'cpu{ring="stable"}',
        'cpu{version="2"}',
        'cpu{version="3"}',
    ]


def test_a_baseline_each_is_asked_once_and_has_no_common_past(capsys):
    policy(history="3h")
    own = ["--baseline", "old-a", "--baseline", "old-b", "--canary", "internal", "--canary", "beta"]
    code, _, err, asked = judge(capsys, *own)
    assert code == 1
    assert asked == [f'cpu{{ring="{arm}"}}' for arm in ("old-a", "old-b", "internal", "beta")]
    assert "warning: several baselines have no common past" in err
    shared = ["--baseline", "stable", "--baseline", "stable", *RINGS[2:]]
    asked = judge(capsys, *shared)[3]
    assert asked.count('cpu{ring="stable"}') == 2  # the data, and the past
    assert len(asked) == 4


def test_the_past_of_the_baseline_is_that_of_every_arm(capsys):
    policy(history="6h")
    judge(capsys, *RINGS, "--also", "json=said.json", "--save-data", "data.json")
    found = json.loads(Path("said.json").read_text(encoding="utf-8"))["arms"]
    points = {arm: each["metrics"]["cpu"]["history"]["points"] for arm, each in found.items()}
    assert points == {"internal": 41, "beta": 41}  # windows as long as the data
    assert set(json.loads(Path("data.json").read_text(encoding="utf-8"))["cpu"]) == {
        *("stable", "internal", "beta", "history")
    }


@pytest.mark.parametrize(
    ("shared", "more", "says"),
    [
        ({"canary": 'version="2"'}, [], "the arms 'internal' and 'beta' of the metric 'cpu' have the selector version=\"2\""),
        ({"canary": 'version="2"'}, [], "Put ${arm} where an arm's name belongs"),
        ({}, ["--canary-selector", 'a="1"'] * 3, "--canary-selector is given 3 times, and there are 2 of --canary"),
        ({"canary": 'ring="${ring}"'}, [], "unknown placeholder '${ring}'"),
        ({"canary": 'ring="${selector}"'}, [], "the selector has ${selector} in it, which it replaces"),
        ({"baseline": 'ring="a"', "canary": 'ring="a"'}, [], "both arms have the same selector"),
        ({}, ["--canary", 'x"} or vector(0) or y{a="'], "has quotation marks, a backslash or a line break in its name"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_before_anything_is_asked(capsys, shared, more, says):
    policy(history="none", **shared)
    code, out, err, asked = judge(capsys, *RINGS, *more)
    assert (code, out, asked) == (2, "", [])
    assert says in err
    assert len(err.splitlines()) == 2


def test_an_arm_without_a_series_is_told(capsys):
    nothing = fake.by_question(
        lambda question: matrix() if "internal" in question["query"] else answered(question)
    )
    with fake.serving(nothing) as server:
        found = fetch(
            cj.Policy(prometheus=SHARED, metrics=[CPU]),
            Access.to(server.url),
            QueryOverrides(at=AT),
            baseline="stable",
            canary=["internal", "beta"],
        )
    assert list(found.data["cpu"]) == ["stable", "internal", "beta"]
    (remark,) = found.remarks
    assert remark.startswith(
        "metric 'cpu', arm 'internal': Prometheus has nothing for cpu{ring=\"internal\"}"
    )


@given(name=st.text(), quote=st.sampled_from("\"'`"))
def test_a_name_stays_within_its_quotation_marks(name, quote):
    template = f"ring={quote}{ARM}{quote}"
    try:
        found = selector_of(template, name)
    except cj.DataError:
        assert set(name) & set("\"'`\\\x7f") or any(letter < " " for letter in name)
        return
    assert found == f"ring={quote}{name}{quote}"
    assert selector_problem(found) is None
