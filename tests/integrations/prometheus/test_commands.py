"""The commands with --prometheus: a watch that goes on, data that are kept for an audit, options, certificates."""

import json
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import fake_prometheus as fake
import numpy as np
import pytest
from prometheus_answers import matrix, native, series

import canaryjudge as cj
from canaryjudge.cli import main
from canaryjudge.integrations.files.tables import data_text
from canaryjudge.integrations.sources import read_table

SHARED = {
    "baseline": 'version="1.4"',
    "canary": 'version="1.5"',
    "step": "60s",
    "window": "20m",
    "history": "none",
}
ERRORS = {
    "name": "errors",
    "kind": "ratio",
    "counter": True,
    "direction": "increase",
    "tolerance": {"absolute": "1%"},
    "query": {"value": 'x_total{${selector},code="500"}', "total": "x_total{${selector}}"},
}
POLICY = {"prometheus": SHARED, "metrics": [ERRORS]}
AT = 1_772_442_000
POLICY_FILE = Path("policy.yaml")


def counting(question):
    """Counters that grew by 1,000 requests and 5 errors a minute since 1970, of two replicas."""
    start, end, step = (round(float(question[name])) for name in ("start", "end", "step"))
    rate = 5 if "500" in question["query"] else 1000
    times = range(start, end + 1, step)
    values = [at // 60 % 100_000 * rate for at in times]
    return matrix(*(series({"instance": name}, *values, start=start, step=step) for name in ("a", "b")))


COUNTING = fake.by_question(counting)


@pytest.fixture(autouse=True)
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    POLICY_FILE.write_text(json.dumps(POLICY), encoding="utf-8")


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    streams = capsys.readouterr()
    return code, streams.out, streams.err


def assert_complains(code, out, err, says):
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 2, err
    assert says in err


# a watch ------------------------------------------------------------------------------------------------------------------


def step(capsys, url, at):
    return run(
        capsys, "monitor", "--policy", POLICY_FILE, "--state", "state", "--prometheus", url, "--at", at
    )


def spans(server):
    return sorted({(int(float(each["start"])), int(float(each["end"]))) for each in server.questions})


def test_a_watch_goes_on_where_it_was(capsys):
    with fake.serving(COUNTING) as server:
        assert step(capsys, server.url, AT)[0] in (0, 3)
        assert spans(server) == [(AT - 1200, AT)]
        assert step(capsys, server.url, AT + 600)[0] in (0, 3)
        # twenty steps before what is known already, so that counters join
        assert spans(server)[1] == (AT - 1200, AT + 600)
        once = cj.Monitor.from_json(Path("state").read_bytes(), cj.load_policy(POLICY_FILE))
        assert step(capsys, server.url, AT + 600)[0] in (0, 3)
    again = cj.Monitor.from_json(Path("state").read_bytes(), cj.load_policy(POLICY_FILE))
    assert again.verdict().to_json() == once.verdict().to_json()
    assert again.reached == {"errors": float(AT + 600)}


def test_steps_see_what_one_window_sees(capsys):
    with fake.serving(COUNTING) as server:
        for at in (AT, AT + 300, AT + 900, AT + 4000):  # the last pause is longer than the window
            step(capsys, server.url, at)
        fetched = run(
            capsys,
            "judge",
            "--policy",
            POLICY_FILE,
            "--prometheus",
            server.url,
            "--at",
            AT + 4000,
            "--window",
            f"{(AT + 4000) // 60 * 60 - AT + 1200}s",
            "--save-data",
            "all.json",
        )
    assert fetched[0] == 0
    stepped = cj.Monitor.from_json(Path("state").read_bytes(), cj.load_policy(POLICY_FILE)).verdict()
    whole = cj.Monitor(cj.load_policy(POLICY_FILE))
    whole.update(json.loads(Path("all.json").read_text(encoding="utf-8")))
    assert stepped.data_digest == whole.verdict().data_digest


def test_a_pause_without_end_is_cut_to_what_the_server_answers(capsys):
    with fake.serving(COUNTING) as server:
        step(capsys, server.url, AT)
        step(capsys, server.url, AT + 60 * 20_000)
    assert spans(server)[1] == (AT + 60 * 9_000, AT + 60 * 20_000)


# an audit -----------------------------------------------------------------------------------------------------------------


def test_a_verdict_from_prometheus_is_reproduced_from_what_was_saved(capsys):
    with fake.serving(COUNTING) as server:
        code, _, err = run(
            *(capsys, "judge", "--policy", POLICY_FILE, "--prometheus", server.url, "--at", AT),
            *("--save-data", "data.json", "--format", "json", "--output", "verdict.json"),
            *("--baseline", "1.4", "--canary", "1.5"),
        )
    assert (code, err) == (0, "")
    code, out, err = run(
        capsys, "verify", "--verdict", "verdict.json", "--policy", POLICY_FILE, "--data", "data.json"
    )
    assert (code, err) == (0, "")
    assert out.startswith("reproduced: PASS: ")


def test_what_json_cannot_hold_reads_back_to_the_same_verdict():
    rng = np.random.default_rng(20260308)
    values = [f"{value:.3f}" for value in rng.normal(100, 5, 30)]
    odd = ["NaN", "+Inf", "-Inf", *values[3:]]
    data = cj.from_prometheus(
        {
            "baseline": matrix(series({"instance": "a"}, *values), series({"instance": "b"}, *values[::-1])),
            "canary": matrix(series({"instance": "c"}, *odd)),
        },
        metric="cpu",
    )
    policy = cj.Policy(metrics=[cj.Metric(name="cpu", direction="increase")])
    text = data_text(data)
    assert "Infinity" not in text
    assert "NaN" not in text
    Path("data.json").write_text(text, encoding="utf-8")
    again = cj.judge(read_table("data.json"), policy)
    verdict = cj.judge(data, policy)
    assert again.to_json() == verdict.to_json()
    assert {note.code for note in verdict.metrics["cpu"].warnings} >= {"missing_values", "infinite_values"}


def test_native_histograms_and_empty_arms_are_saved_too():
    data = cj.from_prometheus(
        {"baseline": matrix(native({"instance": "a"}, [[0.1, 0.2, 3]], [])), "canary": matrix()},
        metric="latency",
    )
    saved = json.loads(data_text(data))
    assert saved["latency"]["baseline"]["buckets"] == [[[0.1, 0.2, 3.0]], []]
    assert saved["latency"]["canary"] == {}


@pytest.mark.parametrize("other", ["--output", "--policy"])
def test_saved_data_overwrite_nothing(capsys, other):
    path = {"--output": "policy2.yaml", "--policy": "policy.yaml"}[other]
    done = run(
        *(capsys, "judge", "--policy", POLICY_FILE, "--prometheus", "http://127.0.0.1:1"),
        *("--output", "policy2.yaml", "--save-data", path),
    )
    assert_complains(*done, f"--save-data {path} would overwrite an input")


# options ------------------------------------------------------------------------------------------------------------------


def test_there_is_one_source_of_data(capsys):
    both = ("judge", "--policy", POLICY_FILE, "--data", "x.csv", "--prometheus", "http://127.0.0.1:1")
    assert_complains(*run(capsys, *both), "not allowed with argument --data")
    assert_complains(
        *run(capsys, "judge", "--policy", POLICY_FILE), "one of the arguments --data --prometheus is required"
    )


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--at", "noon", "'noon' is no time"),
        ("--at", "nan", "'nan' is no time"),
        ("--at", "-5", "'-5' is no time"),
        ("--at", "inf", "'inf' is no time"),
        ("--window", "30", "duration without a unit"),
        ("--window", "10s", "the step of 60s is longer than the window of 10s"),
        ("--window", "300d", "and Prometheus answers 11,000"),
        ("--timeout", "0", "not a number of seconds above 0"),
        ("--timeout", "soon", "not a number of seconds above 0"),
        ("--timeout", "nan", "not a number of seconds above 0"),
        (
            "--canary-selector",
            'version="1.4"',
            "both arms of the metric 'errors' have the selector version=\"1.4\"",
        ),
        (
            "--canary-selector",
            'version="1.5"} or vector(0) or x{version=""',
            "canary of the metric 'errors': the selector has more in it than label matchers",
        ),
        ("--wide", "version", "--wide is for --data"),
        ("--data-format", "csv", "--data-format is for --data"),
        ("--header", "X-Scope-OrgID", "a header is written NAME=VALUE"),
        ("--token-file", "missing", "--token-file: it cannot be read"),
        ("--ca-file", "missing.pem", "--ca-file missing.pem: No such file"),
        ("--ca-file", "policy.yaml", "--ca-file policy.yaml: there are no certificates in it"),
    ],
)
def test_an_option_that_means_nothing_is_complained_about(capsys, option, value, says):
    done = run(
        capsys, "judge", "--policy", POLICY_FILE, "--prometheus", "http://127.0.0.1:1", f"{option}={value}"
    )
    assert_complains(*done, says)


@pytest.mark.parametrize(
    "option",
    ["--at=5", "--window=5m", "--save-data=x", "--canary-selector=x", "--token-file=x", "--header=a=b"],
)
def test_options_of_prometheus_mean_nothing_with_a_file(capsys, option):
    done = run(capsys, "judge", "--policy", POLICY_FILE, "--data", "x.csv", option)
    assert_complains(*done, f"{option.split('=')[0]} means nothing with --data")


@pytest.mark.parametrize(
    "at", ["1772442000", "2026-03-02T09:00:00Z", "2026-03-02T09:00", "2026-03-02T10:00:00+01:00"]
)
def test_a_time_is_written_in_any_of_these_ways(capsys, at):
    with fake.serving(COUNTING) as server:
        run(capsys, "judge", "--policy", POLICY_FILE, "--prometheus", server.url, "--at", at)
    assert server.questions[0]["end"] == f"{AT}.000"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"prometheus": {}}, "nothing says what ${selector} is for the baseline of the metric 'errors'"),
        ({"prometheus": {"baseline": "a"}}, "nothing says what ${selector} is for the canary"),
        ({"metrics": [{"name": "m", "direction": "increase"}]}, "the metric 'm' has no query"),
    ],
)
def test_a_policy_that_does_not_say_what_to_ask(capsys, change, says):
    POLICY_FILE.write_text(json.dumps(POLICY | change), encoding="utf-8")
    done = run(capsys, "judge", "--policy", POLICY_FILE, "--prometheus", "http://127.0.0.1:1")
    assert_complains(*done, says)


def test_a_metrics_own_selectors_win_over_the_policys(capsys):
    query = ERRORS["query"] | {"baseline": "a", "canary": "b", "step": "30s", "window": "5m"}
    POLICY_FILE.write_text(json.dumps(POLICY | {"metrics": [ERRORS | {"query": query}]}), encoding="utf-8")
    with fake.serving(COUNTING) as server:
        run(capsys, "judge", "--policy", POLICY_FILE, "--prometheus", server.url, "--at", AT)
    assert [each["query"] for each in server.questions][:2] == [
        'x_total{a,code="500"}',
        'x_total{b,code="500"}',
    ]
    assert spans(server) == [(AT - 300, AT)]
    assert server.questions[0]["step"] == "30.000"
    with fake.serving(COUNTING) as server:
        more = ("--canary-selector", "c", "--window", "10m")
        run(capsys, "judge", "--policy", POLICY_FILE, "--prometheus", server.url, "--at", AT, *more)
    assert [each["query"] for each in server.questions][:2] == [
        'x_total{a,code="500"}',
        'x_total{c,code="500"}',
    ]
    assert spans(server) == [(AT - 600, AT)]


def test_without_httpx_it_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx", None)
    done = run(capsys, "judge", "--policy", POLICY_FILE, "--prometheus", "http://127.0.0.1:1")
    assert_complains(*done, "pip install 'canaryjudge[prometheus]'")


def test_files_are_judged_without_the_client(capsys):
    code = "import sys, canaryjudge.cli as c; c.main(['validate', 'policy.yaml']); assert 'httpx' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# certificates -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, so that there is no certificate to test with")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout key.pem -out cert.pem"
    subprocess.run([*command.split(), *names.split()], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path / "cert.pem", tmp_path / "key.pem"


def test_certificates_are_checked_unless_told_not_to(capsys, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with fake.serving(COUNTING) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        url = server.url.replace("http:", "https:")
        asked = ("judge", "--policy", POLICY_FILE, "--prometheus", url, "--at", AT)
        assert_complains(*run(capsys, *asked), "cannot be trusted (self-signed certificate)")
        assert server.questions == []
        assert run(capsys, *asked, "--ca-file", certificate[0])[::2] == (0, "")
        code, _, err = run(capsys, *asked, "--insecure")
    assert code == 0
    assert err == "canaryjudge: warning: --insecure: the server's certificate was not checked\n"
