"""The command `calibrate`: a table and a diff on standard output, the proposed policy in a file."""

import json

import numpy as np
import pandas as pd
import pytest

from canaryjudge.calibration import Calibration
from canaryjudge.cli import main
from canaryjudge.policy import load_policy

POLICY = "metrics:\n- name: m      # ours\n  direction: increase\n  tolerance: 5%\n"


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(1)
    values = 100 * (1 + 0.05 * np.repeat(rng.normal(size=30), 30)) + rng.normal(0, 1, 900)
    history, policy = tmp_path / "history.csv", tmp_path / "policy.yaml"
    pd.DataFrame({"metric": "m", "time": 60 * np.arange(900), "value": values}).to_csv(history, index=False)
    policy.write_text(POLICY)
    return policy, history


def run(files, *more):
    policy, history = files
    return main(
        [
            "calibrate",
            "--policy",
            str(policy),
            "--history",
            str(history),
            "--length",
            "30m",
            "--pairs",
            "40",
            *more,
        ]
    )


def test_it_prints_the_table_and_the_diff_and_writes_the_policy(files, tmp_path, capsys):
    output = tmp_path / "proposed.yaml"
    assert run(files, "--output", str(output), "--jobs", "1") == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("metric ")
    assert "Proposed: m: noise_floor" in " ".join(shown.out.split())
    assert "+  noise_floor: {between_windows:" in shown.out
    assert shown.err == ""
    assert "# ours" in output.read_text()
    assert load_policy(output).metrics[0].noise_floor is not None
    assert files[0].read_text() == POLICY


def test_json_reads_back_and_markdown_has_the_diff(files, capsys):
    assert run(files, "--format", "json", "--jobs", "1") == 0
    text = capsys.readouterr().out
    assert Calibration.from_json(text).metrics["m"].points == 30
    json.loads(text)
    assert run(files, "--format", "markdown", "--jobs", "1") == 0
    assert "```diff" in capsys.readouterr().out


def test_two_processes_print_what_one_does(files, capsys):
    policy = files[0]
    policy.write_text(POLICY + "- name: other\n  direction: increase\n")
    history = pd.read_csv(files[1])
    pd.concat([history, history.assign(metric="other", value=history.value + 3)]).to_csv(
        files[1], index=False
    )
    printed = []
    for jobs in ("1", "2"):
        assert run(files, "--jobs", jobs) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--length", "soon"], "not a duration"),
        (["--length", "20h"], "no metric of the history has two windows"),
    ],
)
def test_mistakes_are_told_in_a_line_with_exit_2(files, capsys, more, said):
    assert run(files, *more, "--jobs", "1") == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""


def test_the_policy_is_not_written_over(files, capsys):
    assert run(files, "--output", str(files[0])) == 2
    assert "would overwrite an input" in capsys.readouterr().err
