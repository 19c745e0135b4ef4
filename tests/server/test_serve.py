"""The command `serve` as a process: who it lets in, what it refuses to start with, and how it ends."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest
from gate_process import GateProcess, is_alive, until
from server.gates import minute, policies

from canaryjudge.cli import main

ONE = "/v1/releases/checkout/v2"
TOKEN, OTHER = "a-token-of-more-than-sixteen", "another-token-of-some-length"


@pytest.fixture
def folder(tmp_path):
    policies(tmp_path / "policies")
    return tmp_path


def test_a_gate_from_its_start_over_a_restart_to_its_end(folder):
    tokens = folder / "tokens"
    tokens.write_text(f"{TOKEN}\n")
    environment = {"CANARYJUDGE_GATE_TOKEN": OTHER}
    with GateProcess(folder, "--auth-token-file", tokens, "--workers", 1, environment=environment) as gate:
        port = int(re.fullmatch(r"http://127\.0\.0\.1:(\d+)", gate.address)[1])
        assert gate("GET", "/healthz").text == gate("GET", "/readyz").text == "ok\n"
        assert gate("POST", ONE, json=minute(0)).status_code == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert gate("GET", ONE, headers=headers).status_code == 404
        answers = []
        thread = threading.Thread(
            target=lambda: answers.append(gate("POST", ONE, json=minute(0), headers=headers))
        )
        thread.start()
        until(gate.children, "a process judges the first push, as it starts")
        gate.process.send_signal(signal.SIGTERM)
        thread.join()
        assert (answers[0].status_code, answers[0].json()["version"]) == (200, 2)
        children = gate.children()
        assert gate.end() == 0
        until(lambda: not any(map(is_alive, children)), "its processes are gone")
        events = gate.events()
        assert events[0] | {"time": 0} == {
            "time": 0,
            "level": "info",
            "event": "serving",
            "address": f"http://127.0.0.1:{port}",
            "policies": ["default"],
            "prometheus": False,
        }
        assert events[-1]["event"] == "stopped"
        asked = [event for event in events if event["event"] == "request"]
        assert [(event["method"], event["path"], event["status"]) for event in asked] == [
            ("GET", "/healthz", 200),
            ("GET", "/readyz", 200),
            ("POST", ONE, 401),
            ("GET", ONE, 404),
            ("POST", ONE, 200),
        ]
        assert asked[-1].items() >= {"service": "checkout", "revision": "v2"}.items()
        assert {event["level"] for event in events} == {"info"}
        assert not any(secret in gate.log.read_text() for secret in (TOKEN, OTHER))
    # the same port at once, though connections of the one before may still linger
    with GateProcess(folder, "--workers", 1, port=port, environment=environment) as gate:
        headers = {"Authorization": f"Bearer {OTHER}"}
        assert gate("GET", ONE, headers=headers).json()["version"] == 2
        again, new = (gate("POST", ONE, json=minute(number), headers=headers).json() for number in (0, 1))
        assert again["points"] == {"latency": [1, 1], "errors": [1, 1]}
        assert new["points"] == {"latency": [2, 2], "errors": [2, 2]}
        children = gate.children()
        assert children
        gate.process.kill()
        until(lambda: not any(map(is_alive, children)), "no process outlives a gate that was killed")
    with GateProcess(folder, port=port, environment=environment) as gate:
        assert gate("GET", ONE, headers=headers).json() == new
        assert gate.end(signal.SIGINT) == 0


def test_a_process_at_work_does_not_outlive_whom_it_works_for():
    code = (
        "import asyncio, time, os; from canaryjudge.server.workers import Workers; workers = Workers(1)\n"
        "async def work():\n"
        "    print(await workers.run('a', os.getpid), flush=True)\n"
        "    await workers.run('a', time.sleep, 300)\n"
        "if __name__ == '__main__': asyncio.run(work())"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        pid = int(process.stdout.readline())
        process.kill()
    until(lambda: not is_alive(pid), "it is gone")


@pytest.mark.slow
def test_who_does_not_hear_the_end_of_it_is_not_waited_for(folder):
    with GateProcess(folder) as gate:
        host, _, port = gate.address.removeprefix("http://").partition(":")
        with (
            socket.create_connection((host, int(port))) as idle,
            socket.create_connection((host, int(port))) as slow,
        ):
            slow.sendall(b"POST /v1/judge HTTP/1.1\r\nHost: gate\r\nContent-Length: 10\r\n\r\n{")
            assert gate("GET", "/healthz").status_code == 200
            assert gate.end() == 0
            assert idle.recv(10) == b""


@pytest.mark.parametrize(
    ("options", "said", "hint"),
    [
        (["--policies", "none"], "--policies none: there is no such folder", "in which the policies are"),
        (["--policies", "empty"], "there is no policy in it", "default.yaml"),
        (["--policies", "broken"], "broken/default.yaml:1", ""),
        (["--store", "sqlite:///none/gate.db"], "there is no folder none", ""),
        (["--store", "sqlite:///policies/default.yaml"], "file is not a database", "Name another file"),
        (["--store", "mysql://gate:geheim@host/gate"], "mysql", "postgresql://USER"),
        (["--store", "postgresql://gate:geheim@127.0.0.1:1/gate"], "127.0.0.1", "the server runs"),
        (["--host", "0.0.0.0"], "--host 0.0.0.0 lets others reach the gate", "--auth-token-file"),  # noqa: S104
        (["--host", "::"], "--host :: lets others reach the gate", "--auth-token-file"),
        (["--host", "nowhere.invalid", "--no-auth"], "cannot listen on nowhere.invalid", "--host"),
        (["--host", "192.0.2.1", "--no-auth"], "cannot listen on 192.0.2.1", "--host"),
        (["--port", "TAKEN"], "Address already in use", "--port"),
        (["--port", "65536"], "'65536' is no port", ""),
        (["--workers", "0"], "'0' is not a whole number above 0", ""),
        (["--workers", "100000"], "at most", ""),
        (["--max-body", "1e6"], "'1e6' is not a whole number", ""),
        (["--judge-timeout", "0"], "--judge-timeout", ""),
        (["--keep", "soon"], "--keep", ""),
        (["--auth-token-file", "none"], "--auth-token-file: it cannot be read", "path"),
        (["--auth-token-file", "blank"], "there is no token in it", "one a line"),
        (["--auth-token-file", "short"], "a token has fewer than 16 characters", "openssl"),
        (["--auth-token-file", "tokens", "--no-auth"], "--no-auth contradicts the tokens", "one of them"),
        (["--auth-token-file", "foreign"], "more than ASCII", "one a line"),
    ],
)
def test_what_a_gate_does_not_start_with(folder, monkeypatch, capsys, options, said, hint):
    monkeypatch.chdir(folder)
    (folder / "empty").mkdir()
    (folder / "broken").mkdir()
    (folder / "broken" / "default.yaml").write_text("metrics: 3")
    for name, text in {"blank": "\n", "short": "geheim", "tokens": TOKEN, "foreign": "é" * 16}.items():
        (folder / name).write_text(text, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        given = [port if option == "TAKEN" else option for option in options]
        defaults = {"--policies": "policies", "--store": "sqlite://", "--port": "0"}
        given += [word for name, value in defaults.items() if name not in given for word in (name, value)]
        assert main(["serve", *given]) == 2
    out, told = capsys.readouterr()
    assert out == ""
    first, second = (line for line in told.splitlines() if not line.startswith("{"))
    assert first.startswith("canaryjudge: ")
    assert said in first
    assert second.startswith("hint: ")
    assert hint in second
    assert "geheim" not in told
    assert "Traceback" not in told


def test_a_gate_without_its_extra_says_how_to_install_it(folder):
    code = (
        "import sys; from canaryjudge.cli import main\n"
        "for missing in ('starlette.applications', 'uvicorn', 'prometheus_client', 'sqlalchemy'):\n"
        "    sys.modules[missing] = None\n"
        "    assert main(['serve', '--policies', 'policies', '--store', 'sqlite://']) == 2\n"
        "    for name in [name for name in sys.modules if name.startswith('canaryjudge.server') or name == missing]:\n"
        "        del sys.modules[name]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=folder)
    told = done.stderr.decode().splitlines()
    assert told[1::2] == ["hint: Install it with: pip install 'canaryjudge[server]'."] * 4
    assert told[::2] == [
        "canaryjudge: the gate needs starlette",
        "canaryjudge: the gate needs uvicorn",
        "canaryjudge: the gate needs prometheus_client",
        "canaryjudge: the gate's store needs sqlalchemy",
    ]


def test_policies_for_finished_data_alone_are_named_as_a_gate_starts(folder):
    policies(folder / "policies", once="metrics: [{name: cpu, direction: increase, rules: [late_shift]}]")
    with GateProcess(folder) as gate:
        assert gate.address
        first = gate.events()[0]
        assert (first["level"], first["policy"]) == ("warning", "once")
        assert json.dumps(first["detail"])
