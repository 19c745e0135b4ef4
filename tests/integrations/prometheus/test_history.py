"""The baseline's past, which --prometheus asks for by itself: what is asked, kept and judged with, and what goes wrong."""

import json
from pathlib import Path

import fake_prometheus as fake
import numpy as np
import pytest
from prometheus_answers import matrix, series

import canaryjudge as cj
from canaryjudge.cli import main

SHARED = {"baseline": 'version="1.4"', "canary": 'version="1.5"', "step": "60s", "window": "20m"}
CPU = {"name": "cpu", "direction": "increase", "unit": "cores", "query": "cpu{${selector}}"}
POLICY_FILE = Path("policy.yaml")
AT = 1_772_442_000
DATA = (AT - 1200, AT)
SIX_HOURS = (AT - 1200 - 60 - 6 * 3600, AT - 1200 - 60)


def answered(question, pods=("a",)):
    """Noise that is always the same at a time, of pods that differ by 5 % for good."""
    start, end, step = (round(float(question[name])) for name in ("start", "end", "step"))
    rows = []
    for number, pod in enumerate(pods):
        values = [
            (100 + 5 * number) * (1 + 0.02 * np.sin(at / 7 + number + sum(question["query"].encode())))
            for at in range(start, end + 1, step)
        ]
        rows.append(series({"instance": pod}, *map(float, values), start=start, step=step))
    return matrix(*rows)


GOOD = fake.by_question(answered)


def is_past(question):
    return float(question["end"]) < DATA[0]


def with_past(reply):
    """A server whose answers about the past are others."""
    return lambda handler, question: (reply if is_past(question) else GOOD)(handler, question)


@pytest.fixture(autouse=True)
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("canaryjudge.integrations.prometheus.client._WAITS", (0.01,))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    policy()


def policy(**shared):
    document = {"prometheus": SHARED | shared, "metrics": [CPU], "max_duration": "20m"}
    POLICY_FILE.write_text(json.dumps(document), encoding="utf-8")


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    streams = capsys.readouterr()
    return code, streams.out, streams.err


def judge(capsys, server, *more):
    return run(capsys, "judge", "--policy", POLICY_FILE, "--prometheus", server.url, "--at", AT, *more)


def asked(server):
    return [(each["query"], int(float(each["start"])), int(float(each["end"]))) for each in server.questions]


def test_the_baselines_past_is_asked_for_up_to_where_the_data_begin(capsys):
    with fake.serving(GOOD) as server:
        code, out, err = judge(capsys, server)
    assert (code, err) == (0, "")
    assert asked(server) == [
        ('cpu{version="1.4"}', *DATA),
        ('cpu{version="1.5"}', *DATA),
        ('cpu{version="1.4"}', *SIX_HOURS),
    ]
    assert "history: no two of its series ran side by side" in out


@pytest.mark.parametrize(
    ("told", "window", "seconds"),
    [("2h", "20m", 7200), ("none", "20m", None), (None, "2h", 8 * 7260), ("3h", "2h", 3 * 3600)],
)
def test_the_policy_says_how_much_of_it(capsys, told, window, seconds):
    policy(window=window, **({} if told is None else {"history": told}))
    with fake.serving(GOOD) as server:
        judge(capsys, server)
    past = [(start, end) for _, start, end in asked(server)[2:]]
    end = asked(server)[0][1] - 60
    assert past == ([] if seconds is None else [(end - seconds, end)])


@pytest.mark.parametrize("told", ["0s", "never", "-1h"])
def test_a_history_that_is_none_is_refused(told):
    with pytest.raises(cj.PolicyError, match="history"):
        cj.Policy(prometheus=SHARED | {"history": told}, metrics=[CPU])


def test_replicas_of_the_past_say_by_how_much_pods_differ(capsys):
    pods = fake.by_question(lambda question: answered(question, ("a", "b", "c", "d")))
    with fake.serving(with_past(pods)) as server:
        _, out, _ = judge(capsys, server, "--format", "json")
    verdict = cj.Verdict.from_json(out)
    past = verdict.metrics["cpu"].history
    assert (past.floor.between, past.floor.measured_from, past.windows) == ("replicas", 4, 17)
    assert past.floor.spread == pytest.approx(0.06, abs=0.02)
    assert not verdict.metrics["cpu"].findings[0].noise_floor.assumed


def test_what_was_fetched_is_saved_and_judged_again(capsys):
    pods = fake.by_question(lambda question: answered(question, ("a", "b", "c", "d")))
    kept = ("--save-data", "data.json", "--format", "json", "--output", "verdict.json")
    with fake.serving(with_past(pods)) as server:
        judge(capsys, server, *kept)
    assert set(json.loads(Path("data.json").read_text())["cpu"]) == {"baseline", "canary", "history"}
    verify = ("verify", "--verdict", "verdict.json", "--policy", POLICY_FILE, "--data", "data.json")
    assert run(capsys, *verify)[0] == 0
    data = json.loads(Path("data.json").read_text())
    del data["cpu"]["history"]
    Path("data.json").write_text(json.dumps(data))
    code, _, err = run(capsys, *verify)
    assert code == 2
    assert "these are not the data that were judged" in err


def test_a_file_is_taken_in_its_place(capsys):
    rows = [f"cpu,{time},{100 + time % 7}" for time in range(AT - 40_000, AT - 3000, 60)]
    Path("past.csv").write_text("\n".join(["metric,time,value", *rows]))
    with fake.serving(GOOD) as server:
        code, out, _ = judge(capsys, server, "--history", "past.csv", "--save-data", "data.json")
    assert code in (0, 3)
    assert len(server.questions) == 2
    assert "history: " in out
    assert set(json.loads(Path("data.json").read_text())["cpu"]) == {"baseline", "canary"}


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (fake.error("execution", "query timed out", status=422), "query timed out"),
        (fake.body("no JSON"), "the history of metric 'cpu'"),
        (
            fake.answer({"status": "success", "data": {"resultType": "scalar", "result": [1, "1"]}}),
            "it is judged without",
        ),
    ],
)
def test_what_goes_wrong_with_the_past_is_said_and_no_failure(capsys, reply, says):
    with fake.serving(with_past(reply)) as server:
        code, out, err = judge(capsys, server)
    assert code == 0
    assert out.startswith("PASS: ")
    assert err.startswith("canaryjudge: warning: ")
    assert says in err
    assert err.count("\n") == 1


def test_a_partial_answer_about_the_past_is_said(capsys):
    partial = fake.by_question(lambda question: answered(question) | {"warnings": ["partial response"]})
    with fake.serving(with_past(partial)) as server:
        code, _, err = judge(capsys, server)
    assert code == 0
    assert err == "canaryjudge: warning: the history of metric 'cpu': partial response\n"


def test_no_past_at_all_is_said_by_the_verdict(capsys):
    with fake.serving(with_past(fake.answer(matrix()))) as server:
        code, out, err = judge(capsys, server)
    assert (code, err) == (0, "")
    assert "history: it has nothing of this metric" in out


def test_a_watch_asks_once_and_keeps_what_it_says(capsys):
    pods = fake.by_question(lambda question: answered(question, ("a", "b", "c", "d")))
    with fake.serving(with_past(pods)) as server:
        for at in (AT, AT + 300):
            step = ("monitor", "--policy", POLICY_FILE, "--prometheus", server.url, "--at", at)
            code, out, err = run(capsys, *step, "--state", "state", "--save-data", f"{at}.json")
            assert (code in (0, 3), err) == (True, "")
            assert "history: 4 series side by side" in " ".join(out.split())
    assert len([each for each in server.questions if is_past(each)]) == 1
    assert "history" in json.loads(Path(f"{AT}.json").read_text())["cpu"]
    assert "history" not in json.loads(Path(f"{AT + 300}.json").read_text())["cpu"]


def test_the_doctor_has_no_use_for_it(capsys):
    with fake.serving(GOOD) as server:
        run(capsys, "doctor", "--policy", POLICY_FILE, "--prometheus", server.url, "--at", AT)
    assert len(server.questions) == 2
