"""`judge` of several canaries: a table of the arms, an exit code for all of them, and what cannot be done with several."""

import json
from pathlib import Path

import numpy as np
import pytest

from canaryjudge.cli import main

RINGS = ["--baseline", "stable", "--canary", "internal", "--canary", "beta"]


@pytest.fixture(autouse=True)
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("policy.yaml").write_text("metrics: [{name: m, direction: increase}]", encoding="utf-8")
    rng = np.random.default_rng(1)
    for name, level in (("good", 100), ("bad", 160)):
        levels = {"stable": 100, "internal": 100, "beta": level}
        rows = [f"m,{arm},{x}" for arm, mean in levels.items() for x in mean + rng.normal(0, 3, 30)]
        Path(f"{name}.csv").write_text("metric,arm,value\n" + "\n".join(rows) + "\n", encoding="utf-8")


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    streams = capsys.readouterr()
    return code, streams.out, streams.err


def judge(capsys, data, *more):
    return run(capsys, "judge", "--policy", "policy.yaml", "--data", data, *more)


def test_a_table_of_the_arms_is_printed_and_the_worst_arm_is_the_exit_code(capsys):
    code, out, _ = judge(capsys, "bad.csv", *RINGS)
    assert code == 1
    assert out.startswith(
        "FAIL: roll back beta; internal may go on\n\narm       baseline  outcome  judged at  why\n"
    )
    assert judge(capsys, "good.csv", *RINGS)[0] == 0
    assert judge(capsys, "bad.csv", *RINGS, "--exit", "fail=7")[0] == 7
    brief = judge(capsys, "bad.csv", *RINGS, "--brief")[1]
    assert out.startswith(brief.rstrip("\n"))


def test_one_canary_is_judged_as_ever(capsys):
    code, out, _ = judge(capsys, "bad.csv", "--baseline", "stable", "--canary", "beta")
    assert code == 1
    assert out.startswith("FAIL: roll back\nThe only metric")


def test_a_baseline_each(capsys):
    _, out, _ = judge(capsys, "bad.csv", "--baseline", "stable", "--baseline", "stable", *RINGS[2:])
    assert out == judge(capsys, "bad.csv", *RINGS)[1]


def test_a_table_with_a_column_an_arm(capsys):
    rng = np.random.default_rng(1)
    values = np.column_stack([mean + rng.normal(0, 3, 30) for mean in (100, 100, 160)])
    lines = ["stable,internal,beta", *(",".join(map(str, row)) for row in values)]
    Path("beside.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert judge(capsys, "beside.csv", *RINGS)[1].startswith("FAIL: roll back beta")


@pytest.mark.parametrize(("form", "says"), [
    ("json", '"worst": "beta"'),
    ("markdown", "| beta | stable | FAIL | 0.5 % |"),
    ("github-outputs", "failed<<"),
    ("github-summary", "## FAIL: roll back beta"),
    ("gitlab", "beta"),
    ("jenkins", "beta"),
    ("html", "<h1>Fail"),
    ("junit", '<testsuite name="canaryjudge.beta" tests="2" failures="2"'),
    ("github", "::error title=canaryjudge%3A beta%2C m%3A fail::"),
    ("argo", '"arms": {"internal": {"verdict": {"outcome": "pass"'),
    ("prometheus", 'canaryjudge_release_outcome{canary="beta"} 0'),
])  # fmt: skip
def test_the_formats_of_several_arms(capsys, form, says):
    code, out, _ = judge(capsys, "bad.csv", *RINGS, "--format", form)
    assert code == 1
    assert says in out


def test_tekton_is_told_the_arms_that_failed(capsys):
    Path("results").mkdir()
    assert judge(capsys, "bad.csv", *RINGS, "--also", "tekton=results")[0] == 1
    assert "beta" in Path("results/failed").read_text(encoding="utf-8")


def test_a_format_that_tells_one_release_is_refused(capsys):
    code, _, err = judge(capsys, "bad.csv", *RINGS, "--also", "junit=report.xml", "--format", "kayenta")
    assert code == 2
    assert "the format kayenta tells one release, and several canaries are named" in err
    assert "several canaries" in Path("report.xml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["--canary", "internal", "--canary", "internal"], "'internal' is named twice"),
        (["--canary", "internal", "--canary", "stable"], "'stable' is named as a baseline and as a canary"),
        (["--canary", "internal", "--canary", "bata"], "the data have no arm 'bata'. "),
        (["--canary", "internal", "--baseline", "beta"], "only one canary is named"),
    ],
)
def test_arms_that_cannot_be_meant_are_refused_in_a_line_and_a_hint(capsys, names, says):
    code, out, err = judge(capsys, "bad.csv", "--baseline", "stable", *names)
    assert (code, out) == (2, "")
    assert says in err.replace("\nhint:", ".")
    assert len(err.splitlines()) == 2


def test_what_was_judged_is_verified(capsys):
    judge(capsys, "bad.csv", *RINGS, "--format", "json", "--output", "arms.json")
    again = ["verify", "--policy", "policy.yaml", "--verdict", "arms.json", "--data"]
    code, out, _ = run(capsys, *again, "bad.csv")
    assert (code, out) == (0, "reproduced: FAIL: roll back beta; internal may go on\n")
    code, _, err = run(capsys, *again, "good.csv")
    assert code == 2
    assert "the verdict is not what this policy and data give" in err
    changed = json.loads(Path("arms.json").read_text(encoding="utf-8")) | {"worst": "gamma"}
    Path("arms.json").write_text(json.dumps(changed), encoding="utf-8")
    code, _, err = run(capsys, *again, "bad.csv")
    assert code == 2
    assert "this is not a judgement of several arms" in err
