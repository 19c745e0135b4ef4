"""Harness, played by its pipeline and its health source: the step's script runs with the real curl against a real server, and what runs next is told by its conditions."""

import contextlib
import re
import shutil
import socket
import subprocess
import threading
import time

import httpx
import pytest
import uvicorn
from server.faces.calling import START
from server.gates import gate
from server.recipes.playing import ADDRESS, TOKEN, World, documents, mounted, points, world

from canaryjudge.server.app import Settings, app_of
from canaryjudge.server.policies import PolicyFolder

(PIPELINE,) = documents("harness/pipeline.yaml")
(STAGE,) = (one["stage"] for one in PIPELINE["pipeline"]["stages"])
STEPS = [one["step"] for one in STAGE["spec"]["execution"]["steps"]]
JUDGE = next(step for step in STEPS if step["type"] == "Container")


@contextlib.contextmanager
def served(tmp_path):
    """Serve a gate with the recipes' policies and token over HTTP; its port."""
    one = gate(tmp_path, folder=PolicyFolder(str(mounted(tmp_path / "policies"))), now=time.time)
    config = uvicorn.Config(app_of(one, Settings(tokens=[TOKEN])), port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def run(port, *, tries="0", token=TOKEN):
    """Run the step as Harness does: its command in its shell, its variables in the environment, and its output variables read at the end, if it ends well."""
    spec = JUDGE["spec"]
    assert spec["shell"] == "Sh"
    ask = spec["envVariables"]["ASK"].replace("<+artifact.tag>", "1.5")
    ask = ask.replace("<+pipeline.variables.stable>", "1.4").replace(ADDRESS, f"127.0.0.1:{port}")
    (output,) = spec["outputVariables"]
    script = f'{spec["command"]}\nprintf "\\n%s" "${output["value"]}"\n'
    environment = {"PATH": "/usr/bin:/bin", "ASK": ask, "TOKEN": token, "TRIES": tries, "WAIT": "0"}
    ended = subprocess.run(
        ["sh", "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    return ended.returncode, ended.stdout.splitlines()


def steps_after(outcome):
    """Name the steps that run by the step's output, and whether the stage is rolled back at the end of them; approvals are waited for."""
    found = []
    for step in STEPS[STEPS.index(JUDGE) + 1 :]:
        if "when" in step:
            said = re.fullmatch(
                r'<\+steps\.judge\.output\.outputVariables\.outcome> == "(\w+)"', step["when"]["condition"]
            )
            if said[1] != outcome:
                continue
        found.append(step["identifier"])
        if step["type"] == "ShellScript":
            assert step["spec"]["source"]["spec"]["script"] == "exit 1"
            return found, "rolled back"
        if step["type"] == "HarnessApproval":
            return found, "waits"
    return found, "promoted"


NEEDS_CURL = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def pushed(port, outcome):
    if outcome != "no_data":
        headers = {"Authorization": f"Bearer {TOKEN}"}
        url = f"http://127.0.0.1:{port}/v1/releases/checkout/1.5"
        told = httpx.post(url, json=points("checkout", outcome), headers=headers, timeout=30).json()
        assert told["outcome"] == outcome


@NEEDS_CURL
@pytest.mark.parametrize(
    ("outcome", "said", "becomes"),
    [
        ("pass", "pass", "promoted"),
        ("fail", "fail", "rolled back"),
        ("marginal", "marginal", "waits"),
        ("no_data", "marginal", "waits"),
    ],
)
def test_the_container_step_says_the_outcome_and_the_next_steps_act_on_it(tmp_path, outcome, said, becomes):
    with served(tmp_path) as port:
        pushed(port, outcome)
        code, lines = run(port)
    assert (code, lines[-1]) == (0, said)
    assert '"reason": ' in lines[0]
    steps, ends = steps_after(said)
    assert ends == becomes
    assert ("all" in steps) == (becomes == "promoted")


@NEEDS_CURL
def test_a_gate_that_cannot_be_asked_fails_the_step_and_somebody_decides(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    code, lines = run(port, tries="1")
    assert (code, lines[-1]) == (1, "the gate cannot be asked: status 000")
    with served(tmp_path) as port:
        code, lines = run(port, token="another-of-at-least-sixteen")
    assert (code, lines[-1]) == (1, "the gate cannot be asked: status 401")
    (strategy,) = JUDGE["failureStrategies"]
    assert strategy["onFailure"]["errors"] == ["AllErrors"]
    assert strategy["onFailure"]["action"]["type"] == "ManualIntervention"
    assert strategy["onFailure"]["action"]["spec"]["onTimeout"]["action"]["type"] == "StageRollback"
    (stage,) = STAGE["failureStrategies"]
    assert stage["onFailure"]["action"] == {"type": "StageRollback"}


def test_names_are_such_as_harness_takes():
    """By harness-schema's patterns of identifiers, names and timeouts."""
    steps = [*STEPS, *(one["step"] for one in STAGE["spec"]["execution"]["rollbackSteps"])]
    for step in steps:
        assert re.fullmatch(r"[a-zA-Z_][0-9a-zA-Z_]{0,127}", step["identifier"])
        assert re.fullmatch(r"[a-zA-Z_][-0-9a-zA-Z_\s]{0,127}", step["name"])
        assert re.fullmatch(r"[1-9]\d*[mhd]", step["timeout"])
    assert len({step["identifier"] for step in steps}) == len(steps)


DELIMITER = ".[*]"


def health_source():
    (source,) = documents("harness/health-source.yaml")[0]["healthSources"]
    (metric,) = source["spec"]["metricDefinitions"]
    return metric


def collected(net, metric, start, end):
    """Ask for a range as a custom health source does, and read instances, times and values by paths that are cut at their stars; None where it fails."""
    asked, mapping = metric["requestDefinition"], metric["metricResponseMapping"]
    path = asked["urlPath"]
    for name, at in (("startTimeInfo", start), ("endTimeInfo", end)):
        assert asked[name]["timestampFormat"] == "MILLISECONDS"
        path = path.replace(asked[name]["placeholder"], str(int(1000 * at)))
    try:
        answer = net.ask(asked["method"], f"http://{ADDRESS}/{path}", {"Authorization": f"Bearer {TOKEN}"})
    except OSError:
        return None
    if answer.status_code >= 400:
        return None
    value, time_, instance = (
        mapping[f"{name}JsonPath"].split(DELIMITER)
        for name in ("metricValue", "timestamp", "serviceInstance")
    )
    assert (len(value), len(time_), len(instance)) == (3, 3, 2)
    assert value[:2] == time_[:2]
    assert value[0] == instance[0]
    found = {}
    for one in answer.json()[value[0].removeprefix("$.")]:
        rows = one[value[1].removeprefix(".")]
        found[one[instance[1].removeprefix(".")]] = [
            (row[time_[2].removeprefix(".")] / 1000, row[value[2].removeprefix(".")]) for row in rows
        ]
    return found


@pytest.mark.parametrize(
    ("outcome", "number"), [("pass", 100), ("fail", 0), ("marginal", 50), ("no_data", 50)]
)
def test_the_health_source_is_a_number_an_instance(tmp_path, outcome, number):
    metric = health_source()
    with world(tmp_path) as net:
        assert collected(net, metric, START, START + 60)["checkout-canary"][-1][1] == 50
        net.clock.now += 60
        net.feed("checkout", "1.5", "checkout", outcome)
        net.clock.now += 60
        series = collected(net, metric, START, START + 120)
    assert list(series) == ["checkout-canary"]
    assert series["checkout-canary"][-1] == (START + 120, number)


@pytest.mark.parametrize("away", ["refused", "slow", "store"])
def test_a_health_source_whose_gate_is_away_has_no_points(tmp_path, away):
    with world(tmp_path) as net:
        assert isinstance(net, World)
        net.away = away
        assert collected(net, health_source(), START, START + 60) is None
