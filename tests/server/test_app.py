"""The gate over HTTP: its own interface, who may ask, how much is read, and what is said of what goes wrong."""

import asyncio
import base64
import gzip
import json
import zlib

import pytest
from prometheus_client.parser import text_string_to_metric_families
from server.gates import POLICY, asking, gate, minute, policies

import canaryjudge as cj
from canaryjudge.server.app import Settings, app_of
from canaryjudge.server.gate import Limits
from canaryjudge.server.store import Store, StoreError

ONE = "/v1/releases/checkout/v2"
PACKED_NOTHING = gzip.compress(b"", mtime=0)[:10] + b"\0\0\0\xff\xff" * 5000
"""Blocks without a byte in them, which unpack to nothing for as long as they come."""
TOKEN = "a-token-of-more-than-sixteen"


def pushed(asked, minutes=12, errors=40):
    for number in range(minutes):
        answer = asked("POST", ONE, json=minute(number, errors=errors))
        assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_release_from_its_first_points_to_its_report(tmp_path):
    with asking(tmp_path) as asked:
        assert asked("GET", ONE).status_code == 404
        told = pushed(asked)
        assert (told["service"], told["revision"], told["outcome"], told["action"]) == (
            "checkout",
            "v2",
            "fail",
            "rollback",
        )
        assert told["metrics"]["errors"] == {"outcome": "fail", "reason": "proven_worse", "role": "required"}
        assert told["explanation"].startswith("FAIL: roll back\n")
        assert "gauges" not in told
        assert asked("GET", ONE).json() == told
        verdict = asked("GET", f"{ONE}/verdict")
        assert cj.Verdict.from_json(verdict.text).reason == told["reason"]
        report = asked("GET", f"{ONE}/report")
        assert report.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in report.headers["content-security-policy"]
        assert "errors" in report.text
        assert asked("GET", f"{ONE}/explanation").text.startswith("FAIL: roll back")
        assert asked("DELETE", ONE).status_code == 204
        assert asked("DELETE", ONE).status_code == 404
        for path in (ONE, f"{ONE}/verdict", f"{ONE}/report", f"{ONE}/explanation"):
            answer = asked("GET", path)
            assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
            assert answer.json()["hint"]


def test_a_release_is_begun_with_what_is_known_of_it(tmp_path):
    with asking(tmp_path, folder=policies(tmp_path / "policies", default=POLICY, other=POLICY)) as asked:
        body = {
            "policy": "other",
            "baseline": "old",
            "canary": "new",
            "history": [{"metric": "latency", "value": i % 9, "time": 60 * i} for i in range(300)],
        }
        first = asked("PUT", ONE, json=body)
        assert (first.status_code, first.json()["policy"]) == (201, "other")
        again = asked("PUT", ONE, json=body)
        assert (again.status_code, again.json()) == (200, first.json())
        refused = asked("PUT", ONE, json={"policy": "default"})
        assert (refused.status_code, refused.json()["detail"]) == (
            409,
            "the release checkout v2 is watched with policy 'other', and not 'default'",
        )
        points = {
            metric: {"old": arms["baseline"], "new": arms["canary"]} for metric, arms in minute(0).items()
        }
        assert asked("POST", ONE, json=points).json()["points"] == {"latency": [1, 1], "errors": [1, 1]}
        assert asked("PUT", "/v1/releases/checkout/v3").status_code == 201
        for wrong, said in (
            ({"polcy": "x"}, "'polcy'"),
            ({"baseline": 3}, "baseline"),
            ([1], "no object"),
            ({"policy": "othr"}, "othr"),
        ):
            answer = asked("PUT", "/v1/releases/checkout/v4", json=wrong)
            assert answer.status_code in (404, 422)
            assert said in answer.json()["detail"]
        assert (
            asked("PUT", "/v1/releases/checkout/v4", content=b'{"policy": "a", "policy": "b"}')
            .json()["detail"]
            .startswith("the body: the key 'policy' stands twice")
        )


@pytest.mark.parametrize(
    ("media", "content"),
    [
        (
            "text/csv",
            "metric,arm,value,total,time\nerrors,canary,4,100,2026-03-02T09:10:00Z\nerrors,baseline,4,100,2026-03-02T09:10:00Z\n",
        ),
        (
            "application/x-ndjson",
            "\n".join(
                json.dumps({"metric": "errors", "arm": arm, "value": 4, "total": 100, "time": 60})
                for arm in ("baseline", "canary")
            ),
        ),
        (
            "application/json; charset=utf-8",
            json.dumps(
                [
                    {"metric": "errors", "arm": arm, "value": 4, "total": 100, "time": 60}
                    for arm in ("baseline", "canary")
                ]
            ),
        ),
    ],
)
def test_points_come_in_any_form_of_a_table(tmp_path, media, content):
    with asking(tmp_path) as asked:
        for packed in (content.encode(), gzip.compress(content.encode())):
            more = {"Content-Encoding": "gzip"} if packed[:2] == b"\x1f\x8b" else {}
            answer = asked("POST", ONE, content=packed, headers={"Content-Type": media, **more})
            assert answer.status_code == 200, answer.text
            assert answer.json()["points"]["errors"] == [1, 1]


def test_finished_data_are_judged_without_being_kept(tmp_path):
    data = {"cpu": {"baseline": [50.0] * 20, "canary": [50.0] * 20}}
    own = {"metrics": [{"name": "cpu", "unit": "%", "direction": "increase"}]}
    with asking(
        tmp_path, folder=policies(tmp_path / "policies", cpu=json.dumps(own), default=POLICY)
    ) as asked:
        for policy in (own, "cpu"):
            answer = asked("POST", "/v1/judge", json={"policy": policy, "data": data})
            assert answer.text == cj.judge(data, cj.Policy.model_validate(own)).to_json()
        assert asked("GET", "/v1/releases").json()["releases"] == []
        for wrong in (
            {},
            {"policy": "cpu"},
            {"policy": "none", "data": data},
            {"policy": 3, "data": data},
            {"policy": "cpu", "data": 3},
            {"policy": "cpu", "data": data, "canary": 3},
            {"extra": 1},
        ):
            answer = asked("POST", "/v1/judge", json=wrong)
            assert answer.status_code in (404, 422), (wrong, answer.text)
        answer = asked("POST", "/v1/judge", json={"policy": {"extends": "/etc/passwd", **own}, "data": data})
        assert (answer.status_code, "extends" in answer.json()["detail"]) == (422, True), answer.text


def test_releases_are_listed_and_paged(tmp_path):
    with asking(tmp_path) as asked:
        for number in range(5):
            asked("PUT", f"/v1/releases/checkout/v{number}")
        found, before = [], ""
        while before is not None:
            page = asked("GET", f"/v1/releases?limit=2{before and '&before=' + before}").json()
            found += [one["revision"] for one in page["releases"]]
            before = page["before"]
        assert sorted(found) == [f"v{number}" for number in range(5)]
        for wrong in ("limit=0", "limit=x", "limit=1e9", "before=x", "before=1,a%00,b"):
            assert asked("GET", f"/v1/releases?{wrong}").status_code == 422, wrong


def test_the_page_shows_every_release_and_runs_nothing(tmp_path):
    with asking(tmp_path) as asked:
        empty = asked("GET", "/").text
        assert "No release yet" in empty
        pushed(asked)
        asked("PUT", "/v1/releases/cart/a+b")
        page = asked("GET", "/")
        assert page.headers["refresh"] == "15"
        assert "script" not in page.text
        for said in (
            "checkout",
            "roll back",
            "beyond the tolerated",
            'href="v1/releases/cart/a%2Bb/report"',
            "looks",
        ):
            assert said in page.text


def test_metrics_are_what_prometheus_reads(tmp_path):
    with asking(tmp_path) as asked:
        pushed(asked)
        asked("GET", "/nowhere/at/all")
        answer = asked("GET", "/metrics")
        families = {family.name: family for family in text_string_to_metric_families(answer.text)}
        (outcome,) = families["canaryjudge_release_outcome"].samples
        assert (outcome.labels, outcome.value) == ({"service": "checkout", "revision": "v2"}, 0.0)
        counted = {
            (one.labels["method"], one.labels["route"], one.labels["status"]): one.value
            for one in families["canaryjudge_gate_requests"].samples
            if one.name.endswith("_total")
        }
        assert counted["POST", "/v1/releases/{service}/{revision}", "200"] == 12
        assert counted["GET", "other", "404"] == 1
        assert families["canaryjudge_gate_looks"].samples[0].value == 12


def test_health_is_told_to_everybody_and_the_rest_to_those_who_have_a_token(tmp_path):
    with asking(tmp_path, Settings(tokens=[TOKEN, "another-token-of-some-length"])) as asked:
        assert asked("GET", "/healthz").text == asked("GET", "/readyz").text == "ok\n"
        basic = base64.b64encode(f"me:{TOKEN}".encode()).decode()
        for good in (
            f"Bearer {TOKEN}",
            f"bearer  {TOKEN}",
            f"Basic {basic}",
            "Bearer another-token-of-some-length",
        ):
            assert asked("GET", "/metrics", headers={"Authorization": good}).status_code == 200, good
        for wrong in (
            {},
            {"Authorization": "Bearer no"},
            {"Authorization": TOKEN},
            {"Authorization": "Basic !"},
            {"Authorization": f"Bearer {TOKEN}x"},
        ):
            for path in ("/", "/metrics", ONE, "/argo/checkout/v2", "/nowhere"):
                answer = asked("GET", path, headers=wrong)
                assert (answer.status_code, answer.json()["title"]) == (401, "a token is needed")
                assert "Bearer" in answer.headers["www-authenticate"]


def test_without_a_token_no_body_is_read(tmp_path):
    app = app_of(gate(tmp_path), Settings(tokens=[TOKEN]))
    sent = []

    async def receive():
        raise AssertionError("the body was asked for")

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": ONE,
        "headers": [],
        "query_string": b"",
        "http_version": "1.1",
        "scheme": "http",
    }
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 401


def test_a_store_that_is_away_makes_the_gate_unready(tmp_path, monkeypatch):
    def away(*_):
        raise StoreError("postgresql://gate@db/gate: the server is away", "See that it runs.")

    with asking(tmp_path) as asked:
        for name in ("check", "answer"):
            monkeypatch.setattr(Store, name, away)
        for path in ("/readyz", ONE):
            answer = asked("GET", path)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert asked("GET", "/healthz").status_code == 200


@pytest.mark.parametrize(
    ("content", "headers", "status", "said"),
    [
        (b"x" * 20_001, {}, 413, "20,000 bytes"),
        (gzip.compress(b"0" * 10_000_000, mtime=0), {"Content-Encoding": "gzip"}, 413, "20,000 bytes"),
        (b"not gzip", {"Content-Encoding": "gzip"}, 400, "not gzip"),
        (gzip.compress(b"{}" * 999, mtime=0)[:-9], {"Content-Encoding": "gzip"}, 400, "before its end"),
        (gzip.compress(b"{}", mtime=0) + b"more", {"Content-Encoding": "gzip"}, 400, "after its end"),
        (PACKED_NOTHING, {"Content-Encoding": "gzip"}, 413, "20,000 bytes"),
        (zlib.compress(b"{}"), {"Content-Encoding": "deflate"}, 415, "deflate"),
        (b"{}", {"Content-Type": "image/png"}, 415, "image/png"),
        (b"{}", {"Idempotency-Key": "x" * 201}, 422, "201 characters"),
        (b"", {}, 422, "empty"),
        (b"[" * 20_000, {}, 422, ""),
        (b'{"latency": ' + b"[" * 9_000 + b"]" * 9_000 + b"}", {}, 422, ""),
        (b"\xff\xfe", {}, 422, ""),
        (b'{"latency": {"canary": {"value": [' + b"9" * 5000 + b"]}}}", {}, 422, ""),
        (
            json.dumps({"latency": {"canary": {"value": [1] * 101, "time": [*range(101)]}}}).encode(),
            {},
            422,
            "101 points",
        ),
        (b"null", {}, 422, ""),
        (b'{"latency": {"canary": {"value": 3}}}', {}, 422, ""),
        (b'{"latency": 3}', {}, 422, ""),
        (b"[3]", {}, 422, ""),
        (b"[[]]", {}, 422, ""),
        (b'{"resourceMetrics": 3}', {}, 422, ""),
        (b'{"resourceMetrics": [3]}', {}, 422, ""),
    ],
)
def test_hostile_bodies_are_refused_in_a_sentence(tmp_path, content, headers, status, said):
    with asking(tmp_path, Settings(body=20_000, bodies=100_000), limits=Limits(points=100)) as asked:
        answer = asked("POST", ONE, content=content, headers={"Content-Type": "application/json", **headers})
        assert answer.status_code == status, answer.text
        document = answer.json()
        assert said in document["detail"]
        assert document["detail"]
        assert "Traceback" not in answer.text


def test_a_body_that_does_not_come_is_not_waited_for(tmp_path):
    async def trickle():
        yield b"{"
        await asyncio.sleep(5)
        yield b"}"

    with asking(tmp_path, Settings(body_seconds=0.05)) as asked:
        answer = asked("POST", ONE, content=trickle(), headers={"Content-Type": "application/json"})
        assert answer.status_code == 408


def test_the_rest_of_a_body_that_is_refused_is_read_for_a_while_and_the_connection_closed(
    tmp_path, monkeypatch
):
    app = app_of(gate(tmp_path), Settings(body=10))

    def asked(parts, stops):
        sent = []

        async def receive():
            if not parts and stops:
                await asyncio.sleep(60)
            return {
                "type": "http.request",
                "body": b"x" * 8,
                "more_body": len(parts) > 1 and bool(parts.pop()),
            }

        async def send(message):
            sent.append((message, len(parts)))

        scope = {
            "type": "http",
            "method": "POST",
            "path": ONE,
            "headers": [(b"transfer-encoding", b"chunked"), (b"content-type", b"application/json")],
            "query_string": b"",
            "http_version": "1.1",
            "scheme": "http",
        }
        asyncio.run(app(scope, receive, send))
        (start, _), (body, left), (end, over) = sent
        assert (start["status"], (b"connection", b"close") in start["headers"]) == (413, True)
        assert (bool(body["body"]), body["more_body"], bool(end["body"]), end["more_body"]) == (
            True,
            True,
            False,
            False,
        )
        return left, over

    left, over = asked([1] * 9, stops=False)
    assert left > over
    monkeypatch.setattr("canaryjudge.server.guards._LINGER", 0.05)
    asked([1] * 3, stops=True)


def test_a_bug_is_told_without_its_inside(tmp_path, monkeypatch, caplog):
    with asking(tmp_path) as asked:
        monkeypatch.setattr("canaryjudge.server.gate.Gate.told", lambda *_: 1 / 0)
        answer = asked("GET", ONE)
        assert answer.status_code == 500
        assert "division" not in answer.text
    assert "division by zero" in caplog.text


def test_what_is_not_there(tmp_path):
    with asking(tmp_path) as asked:
        assert asked("GET", "/nowhere").json()["detail"] == "there is nothing at /nowhere"
        assert asked("PATCH", ONE).status_code == 405
        assert asked("GET", "/v1/releases/a b/c").status_code == 422
        assert asked("GET", "/v1/releases/a/b/c").status_code == 404


def test_another_site_may_not_ask_through_a_browser(tmp_path):
    site = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    with asking(tmp_path, Settings(hosts=frozenset({"gate", "::1"}))) as asked:
        for method, path in (("GET", "/argo/checkout/v2"), ("POST", ONE), ("DELETE", ONE), ("GET", "/")):
            assert asked(method, path, headers=site).status_code == 403
        assert asked("GET", "/", headers={**site, "Sec-Fetch-Mode": "navigate"}).status_code == 200
        assert asked("GET", "/", headers={"Host": "evil.example:8080"}).status_code == 403
        assert asked("GET", "/", headers={"Host": "[::1]:8080"}).status_code == 200
        assert asked("POST", ONE, content=b"{}").status_code == 415


def test_a_refusal_is_no_bug(tmp_path, caplog):
    with asking(tmp_path) as asked:
        assert asked("GET", "/v1/releases?limit=0").status_code == 422
        assert asked("GET", "/v1/releases?limit=0000000012000").status_code == 422
        assert asked("GET", f"/v1/releases?limit={'9' * 5000}").status_code == 422
        assert asked("GET", f"/kayenta/canary/a/b/{'9' * 5000}/75").status_code == 422
    assert "bug" not in caplog.text
