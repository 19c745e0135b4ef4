"""The rollout command: a step of a pipeline that sets the canary's share, safe to run again."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from canaryjudge.cli import main
from canaryjudge.patterns import RolloutVerdict

POLICY = """\
stages:
- {canary: 5%, max_duration: 30m}
- {name: half, canary: 50%, max_duration: 30m}
metrics:
- {name: errors, kind: ratio, direction: increase, tolerance: 50%, dispersion: 1}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("policy.yaml").write_text(POLICY)


def write(minute, share, ratio=1.0):
    lines = ["metric,arm,time,value,total"]
    for arm, part, harm in (("baseline", 1 - share, 1.0), ("canary", share, ratio)):
        total = round(20_000 * part)
        lines.append(f"errors,{arm},{60 * minute},{round(total / 100 * harm)},{total}")
    Path("new.csv").write_text("\n".join(lines) + "\n")


def step(*more):
    return main(["rollout", "--policy", "policy.yaml", "--data", "new.csv", "--state", "state.json", *more])


def outputs():
    return dict(line.split("=", 1) for line in Path("env").read_text().splitlines())


def play(ratio):
    """Give exit codes and what a pipeline reads, step by step, as it sets the share that it is told."""
    share, codes, told = 0.05, [], []
    for minute in range(30):
        write(minute, share, ratio)
        codes.append(step("--also", "gitlab=env"))
        told.append(outputs())
        share = float(told[-1]["CANARYJUDGE_SHARE"]) / 100
        if codes[-1] != 3:
            break
    return codes, told


def test_a_pipeline_sets_the_share_that_it_is_told_until_it_is_complete(capsys):
    codes, told = play(1.0)
    assert codes == [3] * (len(codes) - 1) + [0]
    steps = [
        (one["CANARYJUDGE_ACTION"], one["CANARYJUDGE_STAGE"], one["CANARYJUDGE_SHARE"])
        for one in told
        if one["CANARYJUDGE_ACTION"] != "hold"
    ]
    assert steps == [("advance", "half", "50"), ("complete", "half", "100")]
    assert capsys.readouterr().out.count("ADVANCE to 50 %") == 1


def test_a_fault_is_rolled_back_with_a_code_of_its_own(capsys):
    codes, told = play(8.0)
    assert codes[-1] == 1
    assert (told[-1]["CANARYJUDGE_ACTION"], told[-1]["CANARYJUDGE_SHARE"]) == ("rollback", "0")
    assert "ROLL BACK" in capsys.readouterr().out


def test_a_step_that_is_run_again_says_the_same_and_changes_nothing(capsys):
    share = 0.05
    for minute in range(4):
        write(minute, share)
        step("--also", "gitlab=env")
        said, state = capsys.readouterr().out, Path("state.json").read_bytes()
        step()
        assert capsys.readouterr().out == said
        assert Path("state.json").read_bytes() == state
        share = float(outputs()["CANARYJUDGE_SHARE"]) / 100


@pytest.mark.parametrize("name", ["json", "markdown", "github-outputs", "github-summary", "jenkins", "text"])
def test_it_is_written_in_the_formats_of_pipelines(capsys, name):
    write(0, 0.05)
    assert step("--format", name) == 3
    out = capsys.readouterr().out
    assert "HOLD at 5 %" in out.replace("\\u0020", " ") or "hold" in out
    if name == "json":
        assert RolloutVerdict.from_json(out).stage == "5%"
    if name == "github-outputs":
        assert {"action=hold", "share=5"} <= set(out.splitlines())


def test_results_of_tekton_have_stage_and_share(capsys):
    Path("results").mkdir()
    write(0, 0.05)
    step("--also", "tekton=results")
    assert {name: Path("results", name).read_text() for name in ("action", "stage", "share")} == {
        "action": "hold",
        "stage": "5%",
        "share": "5",
    }


def test_a_page_with_its_timeline_and_tests_are_written_beside_what_is_said(capsys):
    for minute in range(4):
        write(minute, 0.05, ratio=8.0 if minute == 3 else 1.0)
        code = step(
            "--also", "html=report.html", "--also", "junit=report.xml", "--also", "github=annotations"
        )
    capsys.readouterr()
    assert Path("report.html").read_text().startswith("<!DOCTYPE html>")
    assert 'id="timeline"' in Path("report.html").read_text()
    suite = ET.fromstring(Path("report.xml").read_text())  # noqa: S314 - our own
    assert (code, suite.get("tests"), suite.get("failures")) == (1, "2", "2")
    assert {each.get("name"): each.get("value") for each in suite.iter("property")}["stage"]
    assert Path("annotations").read_text().startswith("::")


def test_annotations_say_what_is_done_and_of_which_metric(capsys):
    share, said = 0.05, {}
    for minute in range(30):
        write(minute, share)
        code = step("--format", "github", "--also", "gitlab=env")
        said.setdefault(outputs()["CANARYJUDGE_ACTION"], capsys.readouterr().out)
        share = float(outputs()["CANARYJUDGE_SHARE"]) / 100
        if code == 0:
            break
    assert said["hold"].startswith("::warning title=canaryjudge%3A errors%3A marginal::")
    assert said["advance"].startswith("::notice title=canaryjudge%3A advance::ADVANCE to 50 %25")
    assert said["complete"].startswith("::notice title=canaryjudge%3A pass::COMPLETE")


def test_brief_is_what_to_do_and_why(capsys):
    write(0, 0.05)
    step("--brief")
    out = capsys.readouterr().out
    assert out.startswith("HOLD at 5 %: stage 5% is undecided")
    assert "stage  canary" not in out


def test_formats_that_know_no_stages_are_refused(capsys):
    write(0, 0.05)
    assert step("--format", "kayenta") == 2
    assert step("--also", "kayenta=result.json") == 2
    assert not Path("state.json").exists()


def test_argo_and_prometheus_are_told_the_stage(capsys):
    write(0, 0.05)
    step("--format", "argo", "--also", "prometheus=metrics.prom")
    verdict = json.loads(capsys.readouterr().out)["verdict"]
    assert (verdict["action"], verdict["stage"], verdict["share"]) == ("hold", "5%", "5")
    assert "canaryjudge_rollout_share 0.05\n" in Path("metrics.prom").read_text(encoding="utf-8")


def test_what_is_wrong_is_said_and_leaves_the_state(capsys):
    write(0, 0.05)
    step()
    state = Path("state.json").read_bytes()
    assert step("--canary", "new") == 2
    assert "the watch is of the arms" in capsys.readouterr().err
    Path("policy.yaml").write_text(POLICY.replace("50%, dispersion", "60%, dispersion"))
    assert step("--also", "gitlab=env") == 2
    assert "another policy" in capsys.readouterr().err
    assert outputs()["CANARYJUDGE_OUTCOME"] == "error"
    Path("policy.yaml").write_text(
        POLICY.partition("stages")[2].partition("metrics")[1] + POLICY.partition("metrics")[2]
    )
    Path("state.json").unlink()
    assert step() == 2
    assert "has no stages" in capsys.readouterr().err
    Path("state.json").write_bytes(state)
    assert json.loads(state)["format"] == "canaryjudge.rollout"


def test_the_exit_code_may_be_another(capsys):
    write(0, 0.05)
    assert step("--exit", "marginal=0") == 0


def test_a_history_is_kept_in_the_state(capsys):
    Path("policy.yaml").write_text(POLICY.replace(", dispersion: 1", ""))
    lines = [f"errors,{60 * minute},{100 + 30 * (minute % 3)},10000" for minute in range(-100, 0)]
    Path("history.csv").write_text("\n".join(["metric,time,value,total", *lines]) + "\n")
    write(0, 0.05)
    assert step("--history", "history.csv") == 3
    write(1, 0.05)
    assert step() == 3
    assert len(json.loads(Path("state.json").read_text())["pasts"]) == 2
    assert step("--history", "history.csv") == 3
    Path("history.csv").write_text("\n".join(["metric,time,value,total", *lines[1:]]) + "\n")
    capsys.readouterr()
    assert step("--history", "history.csv") == 2
    assert "another history" in capsys.readouterr().err
