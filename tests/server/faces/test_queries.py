"""Prometheus' queries: read as Flagger, Argo and Grafana read them, and held against the page that Prometheus would have scraped."""

import json
import shutil
import subprocess
import threading
import time

import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from server.faces.calling import START, minutes, released, staged_minutes, tools
from server.gates import Clock, gate

from canaryjudge.server.app import app_of
from canaryjudge.server.store import Store, StoreError


def vector(asked, query, **how):
    answer = asked("GET", "/api/v1/query", params={"query": query, **how})
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert (document["status"], document["data"]["resultType"]) == ("success", "vector")
    return document["data"]["result"]


def matrix(asked, query, start, end, step):
    fields = {"query": query, "start": start, "end": end, "step": step}
    answer = asked("GET", "/api/v1/query_range", params=fields)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["resultType"] == "matrix"
    return [
        (one["metric"], [(at, float(value)) for at, value in one["values"]])
        for one in answer.json()["data"]["result"]
    ]


def flaggers_value(asked, query):
    """As pkg/metrics/providers/prometheus.go reads it: the last sample that is text; None is ErrNoValuesFound."""
    answer = asked("GET", "/api/v1/query?query=" + query)
    if answer.status_code >= 400:
        return answer.text
    values = [one["value"][1] for one in answer.json()["data"]["result"]]
    return float(values[-1]) if values else None


def test_flagger_finds_the_server_and_the_newest_release_of_a_service(tmp_path):
    clock = Clock(START)
    with tools(tmp_path, now=clock) as asked:
        assert flaggers_value(asked, "vector(1)") == 1
        query = 'canaryjudge_release_outcome{service="podinfo.test"}'
        assert flaggers_value(asked, query) is None
        for outcome, number in (("no_data", 0.5), ("pass", 1), ("fail", 0), ("marginal", 0.5)):
            clock.now += 60
            released(asked, outcome)
            assert flaggers_value(asked, query) == number
        clock.now += 60
        asked(
            "POST", "/v1/releases/podinfo.test/fail", json=minutes(1, 20)
        )  # an old release that is written to
        assert flaggers_value(asked, query) == 0.5
        assert (
            flaggers_value(asked, 'canaryjudge_release_outcome{service="podinfo.test",revision="pass"}') == 1
        )
        assert len(vector(asked, 'canaryjudge_release_outcome{service="podinfo.test",revision!="pass"}')) == 3
        assert len(vector(asked, "canaryjudge_release_outcome")) == 4


def test_argo_asks_by_a_form(tmp_path):
    with tools(tmp_path) as asked:
        released(asked, "pass")
        fields = {
            "query": 'canaryjudge_release_outcome{service="podinfo.test",revision="pass"}',
            "time": "1795990000.5",
        }
        fields["time"] = "1796000000.123"
        answer = asked("POST", "/api/v1/query", data=fields)
        (sample,) = answer.json()["data"]["result"]
        assert sample["value"] == [1796000000.123, "1"]
        assert "error" in asked("POST", "/api/v1/query", content=b"").json()["status"]


def test_grafana_connects(tmp_path):
    with tools(tmp_path) as asked:
        answer = asked("POST", "/api/v1/query", data={"query": "1+1", "time": "4"})
        assert answer.json() == {"status": "success", "data": {"resultType": "scalar", "result": [4.0, "2"]}}
        assert matrix(asked, "1+1", 0, 30, "15s") == [({}, [(0, 2), (15, 2), (30, 2)])]


def test_a_query_has_what_prometheus_would_have_scraped(tmp_path):
    with tools(tmp_path) as asked:
        for outcome in ("pass", "fail", "no_data"):
            released(asked, outcome)
        asked("PUT", "/v1/releases/cart/v1?policy=staged")
        compared = 0
        for family in text_string_to_metric_families(asked("GET", "/metrics").text):
            if (
                family.name.startswith(("canaryjudge_release_", "canaryjudge_rollout"))
                and "updated" not in family.name
            ):
                found = {
                    tuple(sorted(one["metric"].items())): float(one["value"][1])
                    for one in vector(asked, family.name)
                }
                scraped = {
                    tuple(sorted({**one.labels, "__name__": one.name}.items())): one.value
                    for one in family.samples
                }
                assert found == scraped
                compared += len(scraped)
        assert compared >= 11
        of_metrics = vector(
            asked, 'canaryjudge_metric_outcome{service="podinfo.test",revision="fail",metric="errors"}'
        )
        assert [(one["metric"]["reason"], one["value"][1]) for one in of_metrics] == [("proven_worse", "0")]


def test_a_range_is_told_look_by_look(tmp_path):
    clock = Clock(START)
    with tools(tmp_path, now=clock) as asked:
        path = "/v1/releases/cart/v1"
        asked("PUT", f"{path}?policy=staged")
        clock.now += 100
        asked("POST", path, json=staged_minutes(0.05, 0, 15))
        clock.now += 100
        asked("POST", path, json=staged_minutes(0.5, 15, 15))
        clock.now += 1000
        ((labels, shares),) = matrix(
            asked, 'canaryjudge_rollout_share{service="cart"}', START - 100, START + 300, 50
        )
        assert labels == {"__name__": "canaryjudge_rollout_share", "service": "cart", "revision": "v1"}
        assert shares == [(START + 50 * n, 0.05 if n < 2 else 0.5 if n < 4 else 1) for n in range(7)]
        ((_, outcomes),) = matrix(
            asked, 'canaryjudge_release_outcome{service="cart"}', START, START + 200, "100s"
        )
        assert [value for _, value in outcomes] == [0.5, 0.5, 1]
        ((_, points),) = matrix(
            asked, 'canaryjudge_metric_points{service="cart",arm="canary"}', START, START + 200, 100
        )
        assert [at for at, _ in points] == [START + 200]
        assert (
            vector(asked, 'canaryjudge_rollout_share{service="cart"}', time=START + 120)[0]["value"][1]
            == "0.5"
        )
        assert vector(asked, 'canaryjudge_rollout_share{service="cart"}', time=START - 1) == []
        assert vector(asked, 'canaryjudge_rollout_share{service="cart"}', time=clock.now + 301) == []


@pytest.mark.parametrize(
    ("path", "fields", "said"),
    [
        ("query", {}, "only a gauge's name"),
        ("query", {"query": "up"}, "there is no up here"),
        ("query", {"query": "canaryjudge_release_outcom"}, "did you mean canaryjudge_release_outcome?"),
        ("query", {"query": 'canaryjudge_release_outcome{service=~"a.*"}'}, "a matcher here is"),
        ("query", {"query": "vector(1)", "time": "nan"}, "time is 'nan'"),
        ("query", {"query": "vector(1)", "time": "yesterday"}, "time is 'yesterday'"),
        ("query", {"query": "vector(1)", "time": "-1"}, "time is '-1'"),
        ("query", {"query": 'canaryjudge_judged{service="a\\\\u0000b"}'}, ""),
        ("query_range", {"query": "vector(1)"}, "start is ''"),
        ("query_range", {"query": "vector(1)", "start": "0", "end": "1e300", "step": "1"}, "end is '1e300'"),
        ("query_range", {"query": "vector(1)", "start": "0", "end": "9", "step": "0"}, "step is '0'"),
        ("query_range", {"query": "vector(1)", "start": "0", "end": "9", "step": "nan"}, "step is 'nan'"),
        ("query_range", {"query": "vector(1)", "start": "0", "end": "9", "step": "x"}, "'x'"),
        ("query_range", {"query": "vector(1)", "start": "9", "end": "0", "step": "1"}, "end is before start"),
        ("query_range", {"query": "vector(1)", "start": "0", "end": "99999", "step": "1"}, "at most 11,000"),
    ],
)
def test_errors_have_prometheus_form(tmp_path, path, fields, said):
    with tools(tmp_path) as asked:
        for how in ({"params": fields}, {"data": fields}):
            answer = asked("GET" if "params" in how else "POST", f"/api/v1/{path}", **how)
            if not said:
                assert answer.json()["data"]["result"] == []
                continue
            assert answer.status_code == 400, answer.text
            document = answer.json()
            assert (document["status"], document["errorType"]) == ("error", "bad_data")
            assert said in document["error"]
        assert asked("GET", "/v1/releases").json()["releases"] == []


def test_what_is_too_much_or_away_is_told_in_the_same_form(tmp_path, monkeypatch):
    def away(*_):
        raise StoreError("postgresql://gate@db/gate: the server is away", "See that it runs.")

    with tools(tmp_path) as asked:
        assert asked("POST", "/api/v1/query", content=b"query=" + b"x" * 70_000).status_code == 413
        for number in range(50):
            asked("PUT", f"/v1/releases/cart/v{number}")
        fields = {"query": "canaryjudge_release_outcome", "start": 0, "end": 10_999, "step": 1}
        answer = asked("GET", "/api/v1/query_range", params=fields)
        assert (answer.status_code, answer.json()["errorType"]) == (422, "execution")
        for name in ("answer", "latest"):
            monkeypatch.setattr(Store, name, away)
        for query in (
            "canaryjudge_judged",
            'canaryjudge_judged{service="a"}',
            'canaryjudge_judged{service="a",revision="b"}',
        ):
            answer = asked("GET", "/api/v1/query", params={"query": query})
            assert (answer.status_code, answer.json()["errorType"]) == (503, "unavailable")


@settings(max_examples=60, deadline=None)
@given(
    query=st.text(max_size=60)
    | st.from_regex(r"canaryjudge_judged\{(service|revision)(=|!=)\"[^\"]{0,20}\"\}", fullmatch=True)
)
def test_any_query_gets_an_answer_in_json(query, asked_once):
    answer = asked_once("GET", "/api/v1/query", params={"query": query})
    assert answer.status_code in (200, 400)
    json.loads(answer.text)


@pytest.fixture(scope="module")
def asked_once(tmp_path_factory):
    with tools(tmp_path_factory.mktemp("gate")) as asked:
        asked("PUT", "/v1/releases/cart/v1")
        yield asked


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: make system")
def test_prometheus_own_client_reads_the_answers(tmp_path):
    """Argo Rollouts asks by the same one, client_golang."""
    with tools(tmp_path) as asked:
        released(asked, "fail")
    config = uvicorn.Config(app_of(gate(tmp_path, now=time.time)), port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"

        def told(kind, query, *options):
            run = subprocess.run(
                ["promtool", "query", kind, *options, address, query],
                capture_output=True,
                text=True,
                check=False,
            )
            return run.stdout + run.stderr

        outcome = 'canaryjudge_release_outcome{service="podinfo.test",revision="fail"}'
        labels = 'canaryjudge_release_outcome{revision="fail", service="podinfo.test"} =>'
        now = Clock()()
        assert told("instant", outcome).startswith(f"{labels} 0 @[")
        assert told("instant", "vector(1)").startswith("{} => 1 @[")
        assert told("instant", "1+1").startswith("scalar: 2 @[")
        assert told("range", outcome, f"--start={now}", f"--end={now + 30}", "--step=15s").splitlines() == [
            labels,
            *(f"0 @[{now + later:.0f}]" for later in (0, 15, 30)),
        ]
        assert "bad_data: there is no up here" in told("instant", "up")
    finally:
        server.should_exit = True
        thread.join()
