"""The GitHub Action's steps run with bash as GitHub runs them; the pre-commit hook's entry runs as pre-commit runs it."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import canaryjudge as cj

ROOT = Path(__file__).parents[1]
CHECKOUT = ROOT / "docs" / "examples" / "checkout"
ACTION = YAML(typ="safe").load((ROOT / "action.yml").read_text(encoding="utf-8"))
INSTALL, JUDGE = ACTION["runs"]["steps"]
GOOD = {"policy": str(CHECKOUT / "policy.yaml"), "data": str(CHECKOUT / "metrics.csv")}
PASSING = "metrics: [{name: requests, kind: count, direction: either}]"
MARGINAL = "metrics: [{name: cpu, direction: increase, tolerance: 1%}]"
COMMAND = str(Path(sys.executable).parent / "canaryjudge")

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


def outputs(text):
    """Read an output file as the runner does; of two values the later holds."""
    read, lines = {}, iter(text.split("\n")[:-1])
    for line in lines:
        name, sign, value = re.fullmatch(r"([^=<]+)(=|<<)(.*)", line).groups()
        if sign == "<<":
            value = "\n".join(iter(lines.__next__, value))
        read[name] = value
    return read


def log_without_stopped(text):
    """Leave out what the runner takes no commands from."""
    begin = re.search(r"^::stop-commands::(\S+)\n", text, re.MULTILINE)
    if begin is None:
        return text, ""
    stopped, _, after = text[begin.end() :].partition(f"\n::{begin[1]}::\n")
    return text[: begin.start()] + after, stopped


class Step:
    """What a step of the action did."""

    def __init__(self, folder, step, inputs, command=COMMAND):
        given = {name: spec.get("default", "") for name, spec in ACTION["inputs"].items()} | inputs
        files = {name: folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for file in files.values():
            file.write_text("", encoding="utf-8")
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "RUNNER_TEMP": str(folder / "temp")}
        environment |= {name: str(file) for name, file in files.items()} | {"GITHUB_ACTION_PATH": str(ROOT)}
        for name, value in step.get("env", {}).items():
            expression = re.fullmatch(r"\$\{\{ (.*) \}\}", value)[1]
            inner = re.fullmatch(r"inputs\.([\w-]+)", expression)
            environment[name] = given[inner[1]] if inner else command
        (folder / "temp").mkdir(exist_ok=True)
        script = folder / "step.sh"
        script.write_text(step["run"], encoding="utf-8")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        self.code, self.err = done.returncode, done.stderr
        self.log, self.stopped = log_without_stopped(done.stdout)
        self.outputs = outputs(files["GITHUB_OUTPUT"].read_text(encoding="utf-8"))
        self.summary = files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")


@pytest.fixture
def judged(tmp_path, warm_folder):
    return lambda **inputs: Step(
        tmp_path,
        JUDGE,
        GOOD | {name.replace("_", "-"): text for name, text in inputs.items()},
        str(warm_folder / "canaryjudge"),
    )


@pytest.fixture
def policies(tmp_path):
    for name, text in (("passing", PASSING), ("marginal", MARGINAL)):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")


def test_no_input_is_written_into_a_script():
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"
    used = {name for value in JUDGE["env"].values() for name in re.findall(r"inputs\.([\w-]+)", value)}
    assert used | {"install"} == set(ACTION["inputs"])
    assert ACTION["runs"]["using"] == "composite"
    assert all(spec["description"] for part in ("inputs", "outputs") for spec in ACTION[part].values())


def test_every_output_is_given(tmp_path):
    step = Step(tmp_path, JUDGE, GOOD)
    wanted = {
        name: re.fullmatch(r"\$\{\{ steps\.judge\.outputs\.([\w-]+) \}\}", spec["value"])[1]
        for name, spec in ACTION["outputs"].items()
    }
    assert all(name == inner for name, inner in wanted.items())
    assert set(step.outputs) == set(wanted)


@pytest.mark.parametrize(
    ("policy", "outcome", "action", "code", "fails"),
    [
        ("passing.yaml", "pass", "promote", "0", (0, 0, 0)),
        ("marginal.yaml", "marginal", "hold", "3", (0, 3, 0)),
        (GOOD["policy"], "fail", "rollback", "1", (1, 1, 0)),
    ],
)
def test_outcomes(judged, policies, policy, outcome, action, code, fails):
    for fail_on, expected in zip(("fail", "marginal", "never"), fails, strict=True):
        step = judged(policy=policy, fail_on=fail_on)
        assert step.code == expected
        assert (step.outputs["outcome"], step.outputs["action"], step.outputs["exit-code"]) == (
            outcome,
            action,
            code,
        )
        verdict = cj.Verdict.from_json(Path(step.outputs["verdict"]).read_bytes())
        assert step.outputs["reason"] == verdict.reason
        assert json.loads(step.outputs["failed"]) == [
            n for n, m in verdict.metrics.items() if m.outcome == "fail"
        ]
        assert step.summary == verdict.to_markdown()
        assert step.stopped == verdict.explain() + "\n"
        kind = {"pass": "notice", "marginal": "warning", "fail": "error"}[outcome]
        assert all(line.startswith(f"::{kind} title=canaryjudge%3A ") for line in step.log.splitlines())
        assert step.log


def test_an_exit_code_of_the_users_changes_no_outcome(judged):
    step = judged(arguments="--exit=fail=0\n")
    assert (step.code, step.outputs["outcome"], step.outputs["exit-code"]) == (1, "fail", "0")


def test_further_files_and_arguments(judged, tmp_path):
    step = judged(
        arguments="--data-format\r\ncsv\n\n--also\ngitlab=my file.env", junit="re port.xml", verdict="v.json"
    )
    assert (step.code, step.outputs["outcome"]) == (1, "fail")
    assert "<failure" in (tmp_path / "re port.xml").read_text(encoding="utf-8")
    assert "CANARYJUDGE_OUTCOME=fail" in (tmp_path / "my file.env").read_text(encoding="utf-8")
    assert step.outputs["verdict"] == "v.json"
    assert (tmp_path / "v.json").exists()


def test_a_watch(judged, tmp_path):
    rollout = ROOT / "docs" / "examples" / "rollout"
    step = judged(policy=str(rollout / "policy.yaml"), data=str(rollout / "bad.csv"), state="s.json")
    assert (tmp_path / "s.json").exists()
    assert cj.Verdict.from_json(Path(step.outputs["verdict"]).read_bytes()).valid_for == "all_looks"


def assert_errs(step, says):
    assert step.code == 2
    assert (step.outputs["outcome"], step.outputs["action"]) == ("error", "hold")
    assert step.outputs["exit-code"] == "2"
    assert says in step.log + step.stopped + step.err
    assert step.log.startswith("::error title=canaryjudge")


@pytest.mark.parametrize("fail_on", ["fail", "marginal", "never"])
def test_errors_always_fail(judged, fail_on):
    step = judged(data="nowhere.csv", fail_on=fail_on)
    assert_errs(step, "nowhere.csv")
    assert "nowhere.csv" in step.outputs["reason"]
    assert "nothing was judged" in step.summary


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"fail_on": "marginl"}, "fail-on is none of"),
        ({"arguments": "--no-such-option"}, "--no-such-option"),
        ({"data": ""}, "--data"),
        ({"prometheus": "http://localhost:1"}, "not allowed with"),
        ({"policy": ""}, "the file cannot be read"),
    ],
)
def test_bad_inputs(judged, inputs, says):
    assert_errs(judged(**inputs), says)


def test_a_missing_command(tmp_path):
    assert Step(tmp_path, JUDGE, GOOD, command=str(tmp_path / "gone")).outputs["outcome"] == "error"


HOSTILE = [
    "$(touch pwned)",
    '"; touch pwned; "',
    "'; touch pwned; '",
    "x && touch pwned",
    "--help",
    "-",
    "* ? ~ {a,b} \\",
    "${{ github.token }}",
    "`touch pwned`\noutcome=pass\n::set-output name=outcome::pass\n::error::forged",
]
EVERYTHING = "\"';$(touch pwned)`touch pwned`\noutcome=pass\n::error::forged"


@pytest.mark.parametrize(
    ("name", "value"),
    [("policy", value) for value in HOSTILE]
    + [(name, EVERYTHING) for name in ACTION["inputs"] if name != "install"],
)
def test_hostile_inputs_are_only_text(judged, tmp_path, name, value):
    step = judged(**{name.replace("-", "_"): value})
    assert not (tmp_path / "pwned").exists()
    assert step.code != 0
    assert step.outputs["outcome"] in ("error", "fail")
    assert step.outputs["action"] != "promote"
    assert all(
        line.startswith("::error title=canaryjudge")
        for line in step.log.splitlines()
        if line.startswith("::")
    )


def test_data_give_the_log_no_commands(judged, tmp_path):
    name = "##[error]x ::error::y"
    (tmp_path / "p.yaml").write_text(
        json.dumps({"metrics": [{"name": name, "direction": "increase"}]}), encoding="utf-8"
    )
    rows = [
        f'"{name}",{arm},{level + step % 5}'
        for arm, level in (("baseline", 100), ("canary", 200))
        for step in range(30)
    ]
    (tmp_path / "d.csv").write_text("metric,arm,value\n" + "\n".join(rows) + "\n", encoding="utf-8")
    step = judged(policy="p.yaml", data="d.csv")
    assert step.outputs["outcome"] == "fail"
    assert name in step.stopped
    assert re.fullmatch(
        r"::error title=canaryjudge%3A ##\[error\]x %3A%3Aerror%3A%3Ay%3A fail::canary is .*\n", step.log
    )


def test_it_installs_what_the_constraints_say(tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    fake = (
        '#!/bin/sh\nif [ "$2" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; exit; fi\n'
        'for argument; do printf "%s\\n" "$argument"; done > "$HOME/asked"\n'
    )
    (programs / "python3").write_text(fake, encoding="utf-8")
    (programs / "python3").chmod(0o755)
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "RUNNER_TEMP": str(tmp_path / "a b"),
    }
    environment |= {"GITHUB_ACTION_PATH": str(ROOT), "GITHUB_OUTPUT": str(tmp_path / "output")}
    subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", INSTALL["run"]],
        env=environment,
        check=True,
    )
    asked = (tmp_path / "asked").read_text(encoding="utf-8").splitlines()
    assert asked[:3] == ["-m", "pip", "install"]
    assert asked[-3:] == ["--constraint", f"{ROOT}/constraints.txt", f"{ROOT}[parquet,prometheus]"]
    assert (tmp_path / "output").read_text(
        encoding="utf-8"
    ) == f"command={tmp_path}/a b/canaryjudge-home/bin/canaryjudge\n"
    assert INSTALL["if"] == "inputs.install != 'false'"


def test_the_hook_checks_policies(tmp_path):
    (hook,) = YAML(typ="safe").load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert {"id", "name", "entry", "language", "files"} <= set(hook)
    assert hook["language"] == "python"
    for path, wanted in (
        ("deploy/canary.yaml", True),
        ("canaryjudge-policy.yml", True),
        ("values.yaml", False),
        ("canary.py", False),
    ):
        assert bool(re.search(hook["files"], path)) == wanted, path
    good, bad, worse = (tmp_path / f"{name}.yaml" for name in ("good", "bad", "worse"))
    good.write_text(PASSING, encoding="utf-8")
    bad.write_text("metrics: [{nam: m, direction: increase}]", encoding="utf-8")
    worse.write_text("metrics: [", encoding="utf-8")
    program, *arguments = shlex.split(hook["entry"])

    def run(*files):
        command = [Path(sys.executable).parent / program, *arguments, *files]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert run(good).returncode == 0
    done = run(bad, good, worse)
    assert done.returncode == 2
    assert f"{bad}:1:" in done.stderr
    assert f"{worse}:" in done.stderr
    assert f"{good}: valid" in done.stdout
