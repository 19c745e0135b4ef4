"""`--state -`: the state from standard input, the new one to standard output, and nothing else there."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import canaryjudge as cj
from canaryjudge.cli import main

MONITORED = "metrics: [{name: errors, kind: ratio, direction: increase, tolerance: 50%, dispersion: 1}]\n"
STAGED = f"stages: [{{canary: 50%, max_duration: 30m}}]\n{MONITORED}"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("monitor.yaml").write_text(MONITORED)
    Path("rollout.yaml").write_text(STAGED)


def write(minute, errors=10):
    lines = ["metric,arm,time,value,total"]
    lines += [f"errors,{arm},{60 * minute},{n},1000" for arm, n in (("baseline", 10), ("canary", errors))]
    Path("new.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def step(monkeypatch, capsys):
    """Take a step with a state on standard input, and give the code, standard output and standard error."""

    def taken(command, state, *more, data="new.csv", output=("--output", "verdict.txt")):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(state.encode())))
        code = main([command, "--policy", f"{command}.yaml", "--data", data, "--state", "-", *output, *more])
        return (code, *capsys.readouterr())

    return taken


@pytest.mark.parametrize("command", ["monitor", "rollout"])
def test_it_is_the_state_that_a_file_would_have(step, capsys, command):
    state = ""
    for minute in range(12):
        write(minute, errors=30)
        code, state, err = step(command, state)
        assert (
            main([command, "--policy", f"{command}.yaml", "--data", "new.csv", "--state", "kept.json"])
            == code
        )
        assert capsys.readouterr().out == Path("verdict.txt").read_text()
        assert (state, err) == (Path("kept.json").read_text(), "")
        if code == 1:
            break
    assert code == 1
    assert minute > 0
    assert not Path("-.lock").exists()


@pytest.mark.parametrize("nothing", ["", "\n"])
def test_nothing_is_a_beginning(step, nothing):
    write(0)
    code, state, _ = step("monitor", nothing)
    assert (code, json.loads(state)["format"]) == (3, "canaryjudge.monitor")


@pytest.mark.parametrize("spoil", [lambda state: state[:-30], lambda _: "null", lambda _: "{}"])
def test_a_step_that_cannot_be_taken_writes_no_state(step, spoil):
    write(0)
    _, state, _ = step("monitor", "")
    write(1)
    code, out, err = step("monitor", spoil(state), "--also", "termination=message")
    assert (code, out) == (2, "")
    assert err
    assert Path("message").read_text().startswith("ERROR: ")
    assert step("monitor", state, data="missing.csv")[:2] == (2, "")
    assert step("monitor", state, "--canary", "new")[2].startswith(
        "canaryjudge: standard input: the watch is of the arms"
    )


def test_a_verdict_that_cannot_be_written_keeps_the_state(step):
    write(0)
    code, state, _ = step("monitor", "", output=("--output", "missing/verdict.txt"))
    assert (code, json.loads(state)["format"]) == (2, "canaryjudge.monitor")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"output": ()}, "the state goes to standard output, and so would more than the state"),
        ({"output": ("--also", "json=verdict.json")}, "the state goes to standard output"),
        ({"data": "-"}, "--data and --state are both standard input"),
        ({"more": ("--history", "-")}, "--history and --state are both standard input"),
        (
            {"data": "-", "more": ("--history", "-")},
            "--data and --history and --state are all standard input",
        ),
    ],
)
@pytest.mark.parametrize("command", ["monitor", "rollout"])
def test_what_would_share_a_stream_is_refused(step, command, more, said):
    write(0)
    given = dict(more)
    code, out, err = step(command, "", *given.pop("more", ()), **given)
    assert (code, out) == (2, "")
    assert said in err
    assert not Path("verdict.txt").exists()


def test_a_watch_has_no_streams_for_it(step):
    Path("watch.yaml").write_text(f"max_duration: 1h\n{MONITORED}")
    write(0)
    code, out, err = step("watch", "")
    assert (code, out) == (2, "")
    assert "--state -: a watch keeps its state at every look" in err


def test_forty_gauges_watched_for_twelve_hours_fit_into_a_config_map():
    """Docs: 23 kB each, where there is a point a minute."""
    times, rng = 60.0 * np.arange(720), np.random.default_rng(1)
    watch = cj.Monitor(cj.Policy(metrics=[cj.Metric(name="m", direction="increase")], max_duration="12h"))
    watch.update(
        {"m": {arm: {"time": times, "value": rng.normal(100, 3, 720)} for arm in ("baseline", "canary")}}
    )
    watch.verdict()
    assert 22_000 < len(watch.to_json()) < 2**20 / 40


def shell(line):
    command = f"{sys.executable} -m canaryjudge.cli monitor --policy monitor.yaml --data new.csv --state - "
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.run(
        ["sh", "-c", command + line], capture_output=True, env=environment, check=False, timeout=60
    )


def test_one_file_at_both_ends_is_refused_and_not_begun_anew():
    write(0)
    Path("state.json").write_text("what was known")
    run = shell("--output verdict.txt < state.json > state.json")
    assert run.returncode == 2
    assert b"standard input and output are one file" in run.stderr
    assert Path("state.json").read_bytes() == b""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no /dev")
def test_a_verdict_on_standard_output_by_another_name_is_refused():
    write(0)
    run = shell("--output /dev/stdout < /dev/null")
    assert (run.returncode, run.stdout) == (2, b"")
    assert b"and so would more than the state" in run.stderr
    run = shell("--output /dev/stderr < /dev/null")
    assert run.returncode == 3
    assert run.stderr.startswith(b"MARGINAL")
    assert json.loads(run.stdout)["format"] == "canaryjudge.monitor"
