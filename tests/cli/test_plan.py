"""The command `plan`."""

import json

import numpy as np
import pandas as pd
import pytest

from canaryjudge.cli import main
from canaryjudge.planning import Plan

POLICY = "max_duration: 1h\nmetrics:\n- {name: p99, direction: increase}\n- {name: errors, kind: ratio, direction: increase}\n"


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return str(path)


def run(policy, *more):
    return main(["plan", "--policy", policy, *more])


def test_keys_and_files_say_what_to_assume(policy, tmp_path, capsys):
    assumed = tmp_path / "assumed.yaml"
    assumed.write_text("errors: {level: 0.5%, traffic: 100}\n")
    more = [
        "--assume",
        str(assumed),
        "--assume",
        "errors.traffic=3000",
        "--assume",
        "spread=4%",
        "--share",
        "25%",
    ]
    assert run(policy, *more, "--format", "json") == 0
    found = Plan.from_json(capsys.readouterr().out)
    assert found.metrics["errors"].traffic == 3000
    assert found.metrics["p99"].spread == 0.04
    assert run(policy, *more) == 0
    assert "p99 at 25 % of the traffic" in capsys.readouterr().out
    assert run(policy, *more, "--format", "markdown") == 0
    assert capsys.readouterr().out.startswith("## Plan")


def test_a_history_may_say_it(policy, tmp_path, capsys):
    history = tmp_path / "history.csv"
    values = np.random.default_rng(1).normal(100, 4, 500)
    pd.DataFrame({"metric": "p99", "time": 60 * np.arange(500), "value": values}).to_csv(history, index=False)
    assert run(policy, "--history", str(history), "--format", "json", "--simulate", "3", "--jobs", "2") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["metrics"]["p99"]["simulated"]["judged"]["trials"] == 3
    assert found["metrics"]["errors"]["lacking"] == "level"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--assume", "nowhere.yaml"], "there is no such file"),
        (["--assume", "p95.spread=4%"], "no metric 'p95'"),
        (["--assume", "spred=4%"], "spread"),
        (["--size", "much"], "the size"),
    ],
)
def test_mistakes_are_told_in_a_line_with_exit_2(policy, capsys, more, said):
    assert run(policy, *more) == 2
    assert said in capsys.readouterr().err


def test_a_file_that_is_no_mapping_is_refused(policy, tmp_path, capsys):
    path = tmp_path / "assumed.yaml"
    path.write_text("- errors\n")
    assert run(policy, "--assume", str(path)) == 2
    assert "not a mapping of metrics to assumptions" in capsys.readouterr().err


def test_without_a_history_or_assumptions_it_says_what_is_missing(policy, capsys):
    assert run(policy) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "nothing can be planned without the spread of p99, the level and traffic of errors" in err
    assert "--assume" in err
    assert "--history" in err


STAGED = """metrics:
- {name: errors, kind: ratio, direction: increase, tolerance: 50%, dispersion: 1}
stages:
- {canary: 5%, max_duration: 15m}
- {canary: 50%, max_duration: 15m}
"""
ERRORS = ["--assume", "errors.level=1%", "--traffic", "20000/min"]


@pytest.fixture
def staged(tmp_path):
    path = tmp_path / "staged.yaml"
    path.write_text(STAGED)
    return str(path)


def test_a_policy_with_stages_says_who_meets_a_regression(staged, capsys):
    assert run(staged, *ERRORS, "--simulate", "20", "--quiet", "--jobs", "2") == 0
    said = capsys.readouterr().out
    assert "Healthy rollouts, 20 simulated" in said
    assert "of 20,000 requests a minute, as stated" in " ".join(said.split())
    assert run(staged, *ERRORS, "--simulate", "20", "--quiet", "--jobs", "1", "--format", "json") == 0
    found = Plan.from_json(capsys.readouterr().out)
    assert [stage.name for stage in found.rollout.stages] == ["5%", "50%"]
    assert found.explain() + "\n" == said


def test_it_may_begin_in_a_later_stage_and_be_left_unsimulated(staged, capsys):
    more = ["--simulate", "5", "--quiet", "--from-stage", "50%", "--format", "json"]
    assert run(staged, *ERRORS, *more) == 0
    assert json.loads(capsys.readouterr().out)["rollout"]["since"] == "50%"
    assert run(staged, *ERRORS, "--simulate", "0", "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["rollout"] is None


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_it_is_drawn(staged, policy, tmp_path, capsys, ending):
    pytest.importorskip("matplotlib")
    drawn = tmp_path / f"exposure.{ending}"
    assert run(staged, *ERRORS, "--simulate", "5", "--quiet", "--plot", str(drawn)) == 0
    assert drawn.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml")
    assert run(policy, "--assume", "p99.spread=4%", "--plot", str(drawn)) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--plot", "exposure.txt"], "ends with png, svg, pdf"),
        (["--plot", "nowhere/exposure.png"], "nowhere"),
        (["--traffic", "20000"], "Write it like 20000/min"),
        (["--from-stage", "60%"], "Did you mean '50%'"),
        (["--share", "5%"], "the policy's stages say"),
    ],
)
def test_mistakes_about_stages_are_told(staged, capsys, more, said):
    given = ERRORS[:2] if "--traffic" in more else ERRORS
    assert run(staged, *given, "--simulate", "2", "--quiet", *more) == 2
    assert said in capsys.readouterr().err
