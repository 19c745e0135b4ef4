"""The client against servers that fail in every way: one clear line, in time, and no secret in it."""

import asyncio
import gzip
import html
import json
import logging
import os
import re
import socket
import time
import zlib
from pathlib import Path
from urllib.parse import quote, quote_plus

import fake_prometheus as fake
import numpy as np
import pytest
from prometheus_answers import matrix, series

import canaryjudge as cj
from canaryjudge.cli import main
from canaryjudge.integrations.prometheus import client as prometheus_client
from canaryjudge.integrations.prometheus.client import Access
from canaryjudge.integrations.prometheus.queries import QueryOverrides, fetch

SHARED = {
    "baseline": 'version="1.4"',
    "canary": 'version="1.5"',
    "step": "60s",
    "window": "20m",
    "history": "none",
}
CPU = {"name": "cpu", "direction": "increase", "query": "cpu{${selector}}"}
POLICY = {"prometheus": SHARED, "metrics": [CPU]}
AT = 1_772_442_000.0
SECRET = "s3cr3t-t0k3n-of-ours"
NOISE = np.random.default_rng(20260307).normal(100, 3, (2, 21))


def healthy(question):
    """Twenty minutes of an arm's CPU, as a server would give them for the form that it got."""
    arm = 0 if "1.4" in question["query"] else 1
    start, step = float(question["start"]), float(question["step"])
    return matrix(series({"instance": "a"}, *NOISE[arm].tolist(), start=start, step=step))


GOOD = fake.by_question(healthy)


@pytest.fixture(autouse=True)
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(prometheus_client, "_WAITS", (0.01, 0.02, 0.04))
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("CANARYJUDGE_"):
            monkeypatch.delenv(name)
    Path("policy.yaml").write_text(json.dumps(POLICY), encoding="utf-8")


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    streams = capsys.readouterr()
    return code, streams.out, streams.err


def judge(capsys, url, *more):
    return run(capsys, "judge", "--policy", "policy.yaml", "--prometheus", url, *more)


def assert_complains(code, out, err, *says):
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert len(lines) == 2, err
    assert lines[0].startswith("canaryjudge: ")
    assert lines[1].startswith("hint: ")
    for text in says:
        assert text in err
    assert "Traceback" not in err


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# what is asked ------------------------------------------------------------------------------------------------------------


def test_a_release_is_judged_from_the_server(capsys):
    with fake.serving(GOOD) as server:
        code, out, err = judge(capsys, server.url, "--at", AT)
    assert (code, err) == (0, "")
    assert out.startswith("PASS: ")
    asked = [
        (question["query"], question["start"], question["end"], question["step"])
        for question in server.questions
    ]
    span = ("1772440800.000", "1772442000.000", "60.000")
    assert asked == [('cpu{version="1.4"}', *span), ('cpu{version="1.5"}', *span)]
    assert server.paths == ["/api/v1/query_range"] * 2


def test_times_are_multiples_of_the_step_and_the_newest_is_settled():
    before = time.time()
    with fake.serving(GOOD) as server:
        fetch(cj.Policy(**POLICY), Access.to(server.url))
    start, end = (float(server.questions[0][name]) for name in ("start", "end"))
    assert start % 60 == end % 60 == 0
    assert end - start == 1200
    assert before - 70 - 60 < end <= time.time() - 10


def test_the_command_line_wins_over_the_policy(capsys):
    with fake.serving(GOOD) as server:
        judge(
            capsys,
            server.url,
            *("--at", "2026-03-02T09:00:30Z", "--window", "5m"),
            *("--baseline-selector", 'version="1.4.9"', "--canary-selector", 'version="2"'),
        )
    assert [question["query"] for question in server.questions] == [
        'cpu{version="1.4.9"}',
        'cpu{version="2"}',
    ]
    assert (server.questions[0]["start"], server.questions[0]["end"]) == ("1772441700.000", "1772442000.000")


@pytest.mark.parametrize("base", ["", "/", "/api/v1", "/api/v1/query_range"])
def test_any_spelling_of_the_base_is_right(base):
    with fake.serving(GOOD) as server:
        fetch(cj.Policy(**POLICY), Access.to(server.url + base), QueryOverrides(at=AT))
    assert set(server.paths) == {"/api/v1/query_range"}


def test_a_path_before_the_api_is_kept():
    with fake.serving(GOOD) as server:
        fetch(cj.Policy(**POLICY), Access.to(server.url + "/prom/"), QueryOverrides(at=AT))
    assert set(server.paths) == {"/prom/api/v1/query_range"}


def test_it_works_beside_a_running_loop():
    async def notebook(url):
        await asyncio.sleep(0)
        return fetch(cj.Policy(**POLICY), Access.to(url), QueryOverrides(at=AT))

    with fake.serving(GOOD) as server:
        fetched = asyncio.run(notebook(server.url))
    assert len(fetched.data["cpu"]["canary"]["value"]) == 21


def test_gzip_is_understood(capsys):
    with fake.serving(lambda handler, question: fake.zipped(healthy(question))(handler, question)) as server:
        assert judge(capsys, server.url, "--at", AT)[0] == 0
    assert "gzip" in server.headers[0]["Accept-Encoding"]


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data, wbits=-15)),
        ("x-gzip, identity", gzip.compress),
        ("gzip", lambda data: gzip.compress(data[:500]) + gzip.compress(data[500:])),
    ],
    ids=["deflate", "deflate without a head", "identity beside it", "two members"],
)
def test_what_is_packed_once_is_unpacked(capsys, encoding, pack):
    def reply(handler, question):
        data = pack(json.dumps(healthy(question)).encode())
        fake.body(data, Content_Encoding=encoding)(handler, question)

    with fake.serving(reply) as server:
        assert judge(capsys, server.url, "--at", AT)[0] == 0


@pytest.mark.parametrize("encoding", ["gzip, gzip", "gzip,deflate", "br", "gzip, identity, gzip", "zstd"])
def test_what_is_packed_in_another_way_is_refused_unread(capsys, encoding):
    reply = fake.body(gzip.compress(gzip.compress(bytes(1 << 20))), Content_Encoding=encoding)
    with fake.serving(reply) as server:
        assert_complains(*judge(capsys, server.url), f"packed as {encoding}, and only gzip or deflate, once")
    assert len(server.questions) == 1


def test_a_small_answer_that_is_large_once_it_is_read_is_refused(capsys):
    reply = fake.zipped([[]] * 2_000_000)
    with fake.serving(reply) as server:
        assert_complains(*judge(capsys, server.url), "or what takes more than 256 MiB to read")


def test_time_is_bounded_while_an_answer_comes_as_fast_as_it_is_read(capsys, monkeypatch):
    monkeypatch.setattr(prometheus_client, "ANSWER_BYTES", 10**12)
    monkeypatch.setattr(prometheus_client, "ANSWER_MEMORY", 10**12)
    with fake.serving(fake.endless(b" " * 10_000)) as server:
        begin = time.monotonic()
        said = judge(capsys, server.url, "--timeout", "0.5")
        assert time.monotonic() - begin < 5
    assert_complains(*said, "did not answer all questions within 0.5 s")


def test_an_answer_that_says_something_twice_is_refused(capsys):
    with fake.serving(fake.body('{"status": "success", "data": 1, "data": 2}')) as server:
        assert_complains(*judge(capsys, server.url), "the key 'data' stands twice in one object")


def test_warnings_of_the_server_are_passed_on(capsys):
    said = {"warnings": ["partial\x1b[2J response"], "infos": ["PromQL info: metric might not be a counter"]}
    with fake.serving(fake.by_question(lambda question: healthy(question) | said)) as server:
        code, out, err = judge(capsys, server.url, "--at", AT)
    assert code == 0
    assert err.splitlines()[:2] == [
        "canaryjudge: warning: metric 'cpu', arm 'baseline': partial [2J response",
        "canaryjudge: warning: metric 'cpu', arm 'baseline': PromQL info: metric might not be a counter",
    ]
    assert "the server said of these data: partial [2J response; PromQL info" in " ".join(out.split())


# nothing ------------------------------------------------------------------------------------------------------------------


def test_a_server_that_validly_answers_nothing_is_a_want_of_data(capsys):
    with fake.serving(fake.answer(matrix())) as server:
        code, out, err = judge(capsys, server.url)
    assert code == 4
    assert out.startswith("MARGINAL: ")
    assert re.search(
        r"metric 'cpu', arm 'baseline': Prometheus has nothing for cpu\{version=\"1.4\"\} \(asked every 60 s from \S+:00Z to \S+:00Z\)$",
        err.splitlines()[0],
    )


def test_an_arm_for_which_there_is_nothing_is_named(capsys):
    only = fake.by_question(lambda question: healthy(question) if "1.4" in question["query"] else matrix())
    with fake.serving(only) as server:
        code, _, err = judge(capsys, server.url)
    assert code == 4
    assert len(err.splitlines()) == 1
    assert err.startswith(
        "canaryjudge: warning: metric 'cpu', arm 'canary': Prometheus has nothing for cpu{version=\"1.5\"} (asked"
    )


def test_errors_without_a_series_are_zero_and_said_where_neither_arm_has_one(capsys):
    query = {"value": 'x_total{${selector},code="500"}', "total": "x_total{${selector}}"}
    metric = {"name": "errors", "kind": "ratio", "counter": True, "direction": "increase", "query": query}
    Path("policy.yaml").write_text(json.dumps(POLICY | {"metrics": [metric]}), encoding="utf-8")

    def requests(question):
        steps = [1_000_000 * (index + 1) for index in range(21)]
        return matrix() if "500" in question["query"] else matrix(series({"instance": "a"}, *steps, start=AT))

    with fake.serving(fake.by_question(requests)) as server:
        code, out, err = judge(capsys, server.url, "--at", AT)
    assert (code, out[:4]) == (0, "PASS")
    assert (
        'there is no series for x_total{${selector},code="500"} in either arm, so that counts as 0 events'
        in err
    )


# what goes wrong ----------------------------------------------------------------------------------------------------------

LIMIT = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (
            fake.error("bad_data", 'parse error: unexpected "}"\nin label'),
            ['bad_data: parse error: unexpected "}" in label'],
        ),
        (fake.error("bad_data", LIMIT), ["exceeded maximum resolution", "hint: Take a longer step"]),
        (
            fake.error("execution", "too many samples", 422),
            ["execution: too many samples", "Correct the query"],
        ),
        (fake.error("internal", "disk", 500), ["internal: disk to cpu{version="]),
        (fake.error("timeout", "query timed out", 503), ["timeout: query timed out"]),
        (fake.answer({"status": "error"}), ["error: no reason given"]),
        (fake.body("no", status=401, kind="text/plain"), ["answered 401", "CANARYJUDGE_PROMETHEUS_TOKEN"]),
        (fake.body("no", status=404, kind="text/plain"), ["answered 404", "before /api/v1"]),
        (fake.body("no", status=500), ["answered 500"]),
        (fake.body("no", status=502), ["answered 502"]),
        (
            fake.body("<!doctype html><title>Log in</title>", kind="text/html"),
            ["a web page (200 OK)", "set a token"],
        ),
        (fake.body("  <html>", kind="text/plain"), ["a web page"]),
        (fake.body(json.dumps(matrix())[:-9]), ["bytes (200 OK) that are not JSON, or are cut off"]),
        (fake.body(""), ["answered 0 bytes"]),
        (fake.body("[" * 100_000), ["not JSON"]),
        (fake.body(b"\xff\xfe{}"), ["not JSON"]),
        (fake.body("{}"), ["is no answer of Prometheus"]),
        (fake.body("[]"), ["not JSON"]),
        (fake.body("{}", length=500), ["broke off before its answer was complete, 4 times"]),
        (fake.zipped(matrix(), cut=20), ["not JSON, or are cut off"]),
        (fake.body("{}", Content_Encoding="gzip"), ["cannot be unpacked"]),
        (
            fake.answer({"status": "success", "data": {"resultType": "scalar", "result": [1, "1"]}}),
            ["is a scalar"],
        ),
        (
            fake.answer({"status": "success", "data": {"resultType": "matrix"}}),
            ["the result is None where a list"],
        ),
        (
            fake.body("", status=302, Location="http://localhost:1/login?key=1"),
            ["redirects to another server, localhost"],
        ),
        (
            fake.body("", status=302, Location="https://sso.example/login?key=1"),
            ["redirects to another server, sso.example"],
        ),
        (fake.body("", status=302, Location="ftp://127.0.0.1/"), ["redirects to another server"]),
        (fake.body("", status=302, Location="/again"), ["redirects in a circle"]),
        (fake.body("", status=304), ["answered 304"]),
        (fake.hanging_up, ["broke off before its answer was complete, 4 times"]),
    ],
)
def test_a_server_that_fails_is_complained_about_in_one_line(capsys, reply, says):
    with fake.serving(reply) as server:
        assert_complains(*judge(capsys, server.url), *says)


def test_a_server_that_is_down_is_tried_again_and_then_given_up(capsys):
    assert_complains(
        *judge(capsys, f"http://127.0.0.1:{free_port()}"), "cannot be reached: connection refused, 4 times"
    )


def test_a_host_that_does_not_exist(capsys):
    assert_complains(*judge(capsys, "http://no-such-host.invalid:9090"), "cannot be reached")
    assert_complains(*judge(capsys, f"http://{'a' * 80}.example"), "cannot be reached")


@pytest.mark.parametrize(
    "proxies",
    [
        {"ALL_PROXY": "socks9://127.0.0.1:1"},
        {"ALL_PROXY": f"nonsense://ada:{SECRET}@x"},
        {"HTTP_PROXY": f"http://ada:{SECRET}@[::1"},
        {"HTTP_PROXY": f"http://ada:{SECRET}@x:port"},
        {"HTTPS_PROXY": "http://\x01"},
        {"HTTP_PROXY": "http://127.0.0.1:1", "NO_PROXY": "[::1"},
    ],
)
def test_a_proxy_that_is_none_is_said_to_be_none(capsys, monkeypatch, proxies):
    for name, value in proxies.items():
        monkeypatch.setenv(name, value)
    code, out, err = judge(capsys, "http://127.0.0.1:1")
    assert_complains(code, out, err, "the proxy that the environment names cannot be used")
    assert SECRET not in err


@pytest.mark.parametrize(
    ("name", "says"), [("nowhere.pem", "No such file"), ("policy.yaml", "no certificates")]
)
def test_certificates_of_the_environment_that_are_none(capsys, monkeypatch, name, says):
    monkeypatch.setenv("SSL_CERT_FILE", name)
    assert_complains(*judge(capsys, "http://127.0.0.1:1"), "SSL_CERT_FILE, or SSL_CERT_DIR: ", says)


@pytest.mark.parametrize(
    "name", ["Content-Length", "transfer-encoding", "Connection", "UPGRADE", "content-type"]
)
def test_a_header_by_which_requests_are_told_apart_is_refused(capsys, name):
    with fake.serving(GOOD) as server:
        assert_complains(*judge(capsys, server.url, "--header", f"{name}=5"), "is set by the client itself")
    assert not server.questions


def test_a_server_that_speaks_no_tls_is_said_to_speak_none(capsys):
    with fake.serving(GOOD) as server:
        assert_complains(*judge(capsys, server.url.replace("http:", "https:")), "cannot be reached: no TLS (")


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_passes_is_waited_for(capsys, status):
    with fake.serving(fake.body("busy", status=status), fake.hanging_up, GOOD) as server:
        assert judge(capsys, server.url, "--at", AT)[0] == 0
    assert len(server.questions) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 500])
def test_what_does_not_pass_is_asked_once(capsys, status):
    with fake.serving(fake.body("no", status=status)) as server:
        assert judge(capsys, server.url)[0] == 2
    assert len(server.questions) == 1


def test_a_server_that_asks_for_time_gets_it(capsys):
    with fake.serving(fake.body("busy", status=503, Retry_After="1"), GOOD) as server:
        begin = time.monotonic()
        assert judge(capsys, server.url, "--at", AT)[0] == 0
    assert time.monotonic() - begin >= 1


@pytest.mark.parametrize("wanted", ["3600", "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_a_server_that_asks_for_more_time_than_there_is_gets_none(capsys, wanted):
    with fake.serving(fake.body("busy", status=503, Retry_After=wanted)) as server:
        assert_complains(*judge(capsys, server.url), "answered 503")
    assert len(server.questions) == 1


@pytest.mark.parametrize("wanted", ["soon", "Fri, 01 Jan 2010 00:00:00 GMT"])
def test_a_time_that_is_none_or_past_is_no_reason_to_wait(capsys, wanted):
    with fake.serving(fake.body("busy", status=503, Retry_After=wanted), GOOD) as server:
        assert judge(capsys, server.url, "--at", AT)[0] == 0


@pytest.mark.parametrize(
    "reply",
    [
        fake.slow(30, GOOD),
        fake.dribbling(0.05),
        fake.dribbling(0.05, headers=False),
        fake.slow(0.4, fake.body("busy", status=503)),
    ],
    ids=["silent", "dribbling", "dribbling headers", "busy"],
)
def test_time_is_bounded_in_total(capsys, reply):
    with fake.serving(reply) as server:
        begin = time.monotonic()
        code, out, err = judge(capsys, server.url, "--timeout", "1")
        took = time.monotonic() - begin
    assert_complains(code, out, err)
    assert took < 10  # of thirty seconds, or for ever


def test_silence_between_two_bytes_is_bounded_too(capsys, monkeypatch):
    monkeypatch.setattr(prometheus_client, "_READ_SECONDS", 0.2)
    with fake.serving(fake.slow(30, GOOD)) as server:
        assert_complains(*judge(capsys, server.url), "was silent for 0.2 s")
    assert len(server.questions) == 1


def test_size_is_bounded(capsys, monkeypatch):
    monkeypatch.setattr(prometheus_client, "ANSWER_BYTES", 5_000_000)
    with fake.serving(fake.endless()) as server:
        assert_complains(*judge(capsys, server.url), "answers more than 5 MB")


def test_a_bomb_is_bounded_after_it_is_unpacked(capsys, monkeypatch):
    monkeypatch.setattr(prometheus_client, "ANSWER_BYTES", 5_000_000)
    with fake.serving(fake.zipped(" " * 50_000_000)) as server:
        assert_complains(*judge(capsys, server.url), "answers more than 5 MB")


def test_a_redirect_on_the_same_server_is_followed_with_the_question(capsys):
    with fake.serving(fake.body("", status=307, Location="/prom/api/v1/query_range"), GOOD) as server:
        assert judge(capsys, server.url, "--at", AT)[0] == 0
    assert server.paths[1] == "/prom/api/v1/query_range"
    assert server.questions[0] == server.questions[1]


def test_a_redirect_to_another_port_gets_no_credentials(capsys, monkeypatch):
    monkeypatch.setenv("CANARYJUDGE_PROMETHEUS_TOKEN", SECRET)
    with (
        fake.serving(GOOD) as other,
        fake.serving(fake.body("", status=307, Location=f"{other.url}/api/v1/query_range")) as server,
    ):
        assert_complains(*judge(capsys, server.url), "redirects to another server")
    assert other.questions == []


# credentials --------------------------------------------------------------------------------------------------------------


def sent_with(server):
    return [headers.get("Authorization") for headers in server.headers]


def test_a_token_comes_from_the_environment(capsys, monkeypatch):
    monkeypatch.setenv("CANARYJUDGE_PROMETHEUS_TOKEN", SECRET)
    with fake.serving(GOOD) as server:
        assert judge(capsys, server.url, "--at", AT)[0] == 0
    assert sent_with(server) == [f"Bearer {SECRET}"] * 2


def test_a_token_comes_from_a_file(capsys):
    Path("token").write_text(f"{SECRET}\n", encoding="utf-8")
    with fake.serving(GOOD) as server:
        assert judge(capsys, server.url, "--at", AT, "--token-file", "token")[0] == 0
    assert sent_with(server) == [f"Bearer {SECRET}"] * 2


def test_user_and_password_come_from_the_environment_or_the_url(capsys, monkeypatch):
    with fake.serving(GOOD) as server:
        url = server.url.replace("//", "//ada:p%40ss%2Fword@")
        assert judge(capsys, url, "--at", AT)[0] == 0
        monkeypatch.setenv("CANARYJUDGE_PROMETHEUS_USER", "ada")
        monkeypatch.setenv("CANARYJUDGE_PROMETHEUS_PASSWORD", "p@ss/word")
        assert judge(capsys, server.url, "--at", AT)[0] == 0
    assert set(sent_with(server)) == {"Basic YWRhOnBAc3Mvd29yZA=="}


def test_headers_are_sent(capsys):
    with fake.serving(GOOD) as server:
        assert judge(capsys, server.url, "--at", AT, "--header", "X-Scope-OrgID=team=1")[0] == 0
    assert {headers["X-Scope-OrgID"] for headers in server.headers} == {"team=1"}


def test_credentials_of_two_kinds_are_refused(capsys, monkeypatch):
    monkeypatch.setenv("CANARYJUDGE_PROMETHEUS_TOKEN", SECRET)
    assert_complains(*judge(capsys, "http://ada:pass@127.0.0.1:1"), "credentials of two kinds")
    assert_complains(
        *judge(capsys, "http://127.0.0.1:1", "--header", "authorization=Bearer x"), "of two kinds"
    )


ECHO = fake.error("bad_data", f"the token {SECRET} is wrong: Bearer {SECRET} " + "x" * 250 + SECRET)
ECHOED_LABELS = fake.answer(matrix({"metric": {"le": SECRET}, "values": [[0, f"is {SECRET}"]]}))
ECHOED_WARNING = fake.by_question(lambda question: healthy(question) | {"warnings": [f"sent by {SECRET}"]})


@pytest.mark.parametrize(
    "reply",
    [
        GOOD,
        ECHO,
        ECHOED_LABELS,
        ECHOED_WARNING,
        fake.hanging_up,
        fake.body(f"<html>{SECRET}", status=403, kind="text/html"),
        fake.dribbling(0.05),
    ],
)
@pytest.mark.parametrize("given", ["token", "password", "url", "file", "header"])
def test_no_secret_is_ever_seen(capsys, caplog, monkeypatch, reply, given):
    caplog.set_level(logging.DEBUG)
    more = []
    with fake.serving(reply) as server:
        url = server.url
        if given == "token":
            monkeypatch.setenv("CANARYJUDGE_PROMETHEUS_TOKEN", SECRET)
        elif given == "password":
            monkeypatch.setenv("CANARYJUDGE_PROMETHEUS_USER", "ada")
            monkeypatch.setenv("CANARYJUDGE_PROMETHEUS_PASSWORD", SECRET)
        elif given == "url":
            url = url.replace("//", f"//ada:{SECRET}@")
        elif given == "file":
            Path("token").write_text(SECRET, encoding="utf-8")
            more = ["--token-file", "token"]
        else:
            more = ["--header", f"X-Scope-OrgID={SECRET}"]
        more += ["--timeout", "0.5", "--at", AT, "--save-data", "data.json", "--format", "json"]
        code, out, err = judge(capsys, url, *more)
    assert code == (0 if reply in (GOOD, ECHOED_WARNING) else 2)
    saved = Path("data.json").read_text(encoding="utf-8") if Path("data.json").exists() else ""
    for text in (out, err, caplog.text, saved):
        assert SECRET not in text
        assert SECRET[:10] not in text
    assert SECRET in str(server.headers) or given in ("password", "url")


ODD = "pa\"ss/w'o r&d<+=%\\"


@pytest.mark.parametrize(
    "escape",
    [
        str,
        *(quote, quote_plus, html.escape, repr, ascii, json.dumps),
        lambda text: quote(text, safe=""),
        lambda text: quote(quote(text, safe=""), safe=""),
        lambda text: quote(text, safe="").lower(),
        lambda text: json.dumps(json.dumps(text)),
        lambda text: "".join(each if each.isalnum() else f"\\u{ord(each):04x}" for each in text),
        lambda text: "".join(each if each.isalnum() else f"&#x{ord(each):X};" for each in text),
    ],
)
def test_a_secret_is_recognized_however_it_is_escaped(escape):
    access = Access.to("http://127.0.0.1:1", {"CANARYJUDGE_PROMETHEUS_PASSWORD": ODD})
    assert re.fullmatch(
        r"it was [\"'\\]*\*\*\*[\"'\\]* that was sent", access.redacted(f"it was {escape(ODD)} that was sent")
    )


def test_a_redirect_that_quotes_a_secret_does_not_show_it(capsys, monkeypatch):
    monkeypatch.setenv("CANARYJUDGE_PROMETHEUS_TOKEN", SECRET)
    with fake.serving(fake.body("", status=302, Location=f"http://{SECRET}.example/?{SECRET}")) as server:
        code, out, err = judge(capsys, server.url)
    assert_complains(code, out, err, "redirects to another server, ***.example")
    assert SECRET not in err


def test_no_exception_carries_a_secret():
    with fake.serving(ECHO) as server:
        access = Access.to(server.url, {"CANARYJUDGE_PROMETHEUS_TOKEN": SECRET})
        with pytest.raises(cj.DataError) as raised:
            fetch(cj.Policy(**POLICY), access)
    assert SECRET not in f"{raised.value} {raised.value!r} {access} {access!r}"
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["--token", SECRET],
        ["--password", SECRET],
        ["--token-file", SECRET],
        ["--header", SECRET],
        ["--header", f"X Y={SECRET}"],
        ["--header", f"X-Key={SECRET}\n{SECRET}"],
        ["--header", f"X-Key={SECRET}\N{SNOWMAN}"],
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(capsys, arguments):
    code, out, err = judge(capsys, "http://127.0.0.1:1", *arguments)
    assert_complains(code, out, err)
    assert SECRET not in err


@pytest.mark.parametrize(
    "url",
    [
        f"http://ada:pa/{SECRET}@127.0.0.1:1",
        f"http://ada:12/{SECRET}@127.0.0.1:1",
        f"http://127.0.0.1:1/?key={SECRET}",
        f"http://127.0.0.1:1/#{SECRET}",
        f"ftp://ada:{SECRET}@127.0.0.1",
        f"http://ada:{SECRET}@",
        f"ada:{SECRET}@127.0.0.1:9090",
        f"http://ada:{SECRET}@127.0.0.1:99999",
        f"http://ada:{SECRET}@a b",
        f"http://ada:{SECRET}@[::1",
        "",
    ],
)
def test_an_address_that_is_none_is_not_repeated(capsys, url):
    code, out, err = judge(capsys, url)
    assert_complains(code, out, err, "the URL of Prometheus")
    assert SECRET not in err


def test_an_empty_token_is_refused(capsys):
    Path("token").write_text("\n", encoding="utf-8")
    assert_complains(*judge(capsys, "http://127.0.0.1:1", "--token-file", "token"), "there is no token in it")
    Path("token").write_bytes(b"\xff\xff")
    assert_complains(*judge(capsys, "http://127.0.0.1:1", "--token-file", "token"), "there is no token in it")
