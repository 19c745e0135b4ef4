"""The monitor command: one step of a pipeline, safe against a second writer and against being killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from canaryjudge.cli import main
from canaryjudge.integrations.state_files import locked, read_state, write_state

POLICY = """\
version: 1
metrics:
- name: errors
  kind: ratio
  direction: increase
  tolerance: 50%
  dispersion: 1
"""


def rows(steps, canary_errors, start=0):
    lines = ["metric,arm,time,value,total"]
    for i in range(start, start + steps):
        lines += [
            f"errors,baseline,{60 * i},{10 + i % 3},1000",
            f"errors,canary,{60 * i},{canary_errors + i % 2},1000",
        ]
    return "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "policy.yaml").write_text(POLICY)
    return tmp_path


def step(folder, data, *more):
    (folder / "new.csv").write_text(data)
    files = ["--policy", str(folder / "policy.yaml"), "--data", str(folder / "new.csv")]
    return main(["monitor", *files, "--state", str(folder / "state.json"), *more])


def test_steps_go_on_where_the_last_one_ended_until_harm_is_proven(folder, capsys):
    codes = [step(folder, rows(1, 40, start=i)) for i in range(8)]
    assert codes[0] == 3
    assert codes[-1] == 1
    assert codes == sorted(codes, reverse=True)
    assert "FAIL: roll back" in capsys.readouterr().out


def test_harmlessness_is_proven_too_and_stays(folder, capsys):
    codes = [step(folder, rows(4, 10, start=4 * i)) for i in range(30)]
    assert codes[-1] == 0
    assert codes == sorted(codes, reverse=True)


def test_no_data_has_its_own_exit_code_and_can_be_remapped(folder, capsys):
    empty = "metric,arm,time,value,total\n"
    assert step(folder, empty) == 4
    assert step(folder, empty, "--exit", "marginal=0") == 0


def test_a_step_that_is_run_again_changes_nothing(folder, capsys):
    step(folder, rows(3, 20))
    first, state = capsys.readouterr().out, (folder / "state.json").read_bytes()
    step(folder, rows(3, 20))
    assert capsys.readouterr().out == first
    assert (folder / "state.json").read_bytes() == state


def test_overlapping_steps_count_each_interval_once(folder, capsys):
    for i in range(5):
        step(folder, rows(3, 12, start=i))
    stepwise = json.loads((folder / "state.json").read_text())["metrics"]["errors"]["watches"]
    (folder / "state.json").unlink()
    step(folder, rows(7, 12))
    assert json.loads((folder / "state.json").read_text())["metrics"]["errors"]["watches"] == stepwise


def test_an_interval_that_changed_is_refused_and_the_state_stays(folder, capsys):
    step(folder, rows(3, 12))
    state = (folder / "state.json").read_bytes()
    assert step(folder, rows(3, 90)) == 2
    error = capsys.readouterr().err
    assert "metric 'errors'" in error
    assert "Traceback" not in error
    assert (folder / "state.json").read_bytes() == state


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[:-40], "not JSON, or is cut short"),
        (lambda text: text.replace('"failed":false', '"failed":true'), "digest does not fit"),
        (lambda text: "{}", "not the state of a monitor"),
        (lambda text: text.replace('"version":"', '"version":"9.'), "saved by canaryjudge 9."),
    ],
)
def test_a_state_that_is_not_what_was_saved_is_refused(folder, capsys, damage, said):
    step(folder, rows(1, 12))
    state = folder / "state.json"
    state.write_text(damage(state.read_text()))
    assert step(folder, rows(1, 12, start=1)) == 2
    assert said in capsys.readouterr().err


def test_a_state_of_another_policy_or_of_other_arms_is_refused(folder, capsys):
    step(folder, rows(1, 12))
    assert step(folder, rows(1, 12, start=1), "--canary", "new") == 2
    assert "arm" in capsys.readouterr().err
    (folder / "policy.yaml").write_text(POLICY.replace("50%", "60%"))
    assert step(folder, rows(1, 12, start=1)) == 2
    assert "another policy" in capsys.readouterr().err


def test_an_empty_state_file_is_a_beginning(folder, capsys):
    (folder / "state.json").touch()
    assert step(folder, rows(1, 12)) == 3


def test_inputs_are_not_written_over(folder, capsys):
    (folder / "new.csv").write_text(rows(1, 12))
    files = ["--policy", str(folder / "policy.yaml"), "--data", str(folder / "new.csv")]
    for target in ("policy.yaml", "new.csv"):
        assert main(["monitor", *files, "--state", str(folder / target)]) == 2
        assert "would overwrite an input" in capsys.readouterr().err
    same = str(folder / "s.json")
    assert main(["monitor", *files, "--state", same, "--output", same]) == 2
    assert "would overwrite an input" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_one_line(folder, capsys):
    files = ["--policy", str(folder / "policy.yaml"), "--data", str(folder / "new.csv")]
    (folder / "new.csv").write_text(rows(1, 12))
    assert main(["monitor", *files, "--state", str(folder / "no" / "state.json")]) == 2
    error = capsys.readouterr().err
    assert "No such file" in error
    assert "Traceback" not in error


def test_data_without_times_count_again_and_it_says_so(folder, capsys):
    untimed = "metric,arm,value,total\nerrors,baseline,10,1000\nerrors,canary,12,1000\n"
    step(folder, untimed)
    assert "without times, data that are given again count again" in capsys.readouterr().err


def test_a_gauge_without_an_end_to_plan_for_is_refused_with_the_reason(folder, capsys):
    (folder / "policy.yaml").write_text("metrics:\n- {name: cpu, direction: increase}\n")
    assert step(folder, "metric,arm,time,value\ncpu,baseline,0,1\ncpu,canary,0,1\n") == 2
    assert "max_points or max_duration" in capsys.readouterr().err


def test_output_and_formats_are_those_of_judge(folder, capsys):
    step(folder, rows(2, 12), "--format", "json", "--output", str(folder / "verdict.json"))
    verdict = json.loads((folder / "verdict.json").read_text())
    assert verdict["valid_for"] == "all_looks"
    assert capsys.readouterr().out == ""


def test_a_second_writer_waits_and_then_gives_up(folder, capsys):
    step(folder, rows(1, 12))
    capsys.readouterr()
    with locked(folder / "state.json"):
        assert step(folder, rows(1, 12, start=1), "--lock-timeout", "0.1") == 2
    assert "another canaryjudge is writing it" in capsys.readouterr().err
    assert step(folder, rows(1, 12, start=1), "--lock-timeout", "0") == 3


def command(folder, data):
    files = ["--policy", str(folder / "policy.yaml"), "--data", str(data)]
    return [sys.executable, "-m", "canaryjudge.cli", "monitor", *files, "--state", str(folder / "state.json")]


def test_two_processes_at_once_are_both_counted(folder):
    data = [folder / "first.csv", folder / "second.csv"]
    for i, path in enumerate(data):
        path.write_text(rows(2, 12, start=2 * i))
    running = [subprocess.Popen(command(folder, path), stdout=subprocess.DEVNULL) for path in data]
    assert [process.wait(60) for process in running] == [3, 3]
    watched = json.loads((folder / "state.json").read_text())["metrics"]["errors"]["watches"][0]
    assert watched["main"]["intervals"] == 4


def test_killed_at_any_moment_it_loses_nothing_and_counts_nothing_twice(folder):
    delays = np.random.default_rng(4).uniform(0.05, 1.0, 4)
    for i, delay in enumerate(delays):
        data = folder / f"{i}.csv"
        data.write_text(rows(2, 12, start=2 * i))
        process = subprocess.Popen(command(folder, data), stdout=subprocess.DEVNULL)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        state = read_state(folder / "state.json")
        assert state is None or json.loads(state)  # whole, whenever it was killed
        assert subprocess.run(command(folder, data), stdout=subprocess.DEVNULL, check=False).returncode == 3
    killed = (folder / "state.json").read_bytes()
    (folder / "state.json").unlink()
    for i in range(4):
        subprocess.run(command(folder, folder / f"{i}.csv"), stdout=subprocess.DEVNULL, check=False)
    assert (folder / "state.json").read_bytes() == killed


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_a_state_keeps_its_permissions_and_its_link(tmp_path):
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    write_state(real, "one")
    real.chmod(0o640)
    link.symlink_to(real)
    write_state(link, "two")
    assert link.is_symlink()
    assert real.read_text() == "two"
    assert real.stat().st_mode & 0o777 == 0o640


def test_a_write_that_fails_leaves_the_old_state_and_no_litter(tmp_path, monkeypatch):
    state = tmp_path / "state.json"
    write_state(state, "old")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_state(state, "new")
    assert state.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]
