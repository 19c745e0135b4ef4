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

import canaryjudge as cj
from canaryjudge.cli import main
from canaryjudge.integrations.files.state_files import locked, read_state, write_state

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
        (
            lambda text: text.replace('"state_version":', '"state_version":9'),
            "is of version 93, saved by canaryjudge",
        ),
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


def test_two_names_of_one_file_that_is_still_to_be_written_are_found_out(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    Path("new.csv").write_text(rows(1, 12))
    files = ["--policy", "policy.yaml", "--data", "new.csv", "--state", "s.json", "--output", "./s.json"]
    assert main(["monitor", *files]) == 2
    assert "--output ./s.json would overwrite an input" in capsys.readouterr().err
    assert not Path("s.json").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no/state.json", "there is no directory"),
        (".", "it is a directory"),
        ("new/", "it is a directory"),
        pytest.param(
            "/dev/null",
            "it is not a regular file",
            marks=pytest.mark.skipif(not Path("/dev/null").exists(), reason="there is none"),
        ),
    ],
)
def test_where_no_state_can_be_kept_is_one_line_and_a_hint(folder, capsys, monkeypatch, name, said):
    monkeypatch.chdir(folder)
    Path("new.csv").write_text(rows(1, 12))
    before = sorted(Path().iterdir())
    assert main(["monitor", "--policy", "policy.yaml", "--data", "new.csv", "--state", name]) == 2
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 2
    assert said in error[0]
    assert error[1].startswith("hint: ")
    assert sorted(Path().iterdir()) == before


def test_data_without_times_count_again_and_it_says_so(folder, capsys):
    untimed = "metric,arm,value,total\nerrors,baseline,10,1000\nerrors,canary,12,1000\n"
    for _ in range(2):
        step(folder, untimed, "--format", "json", "--output", str(folder / "verdict.json"))
        warning = capsys.readouterr().err.splitlines()
        assert warning == [
            "canaryjudge: warning: errors: without times, data that are given again count again",
            "hint: Give the column 'time'.",
        ]
    assert json.loads((folder / "verdict.json").read_text())["metrics"]["errors"]["n_canary"] == 2


def test_a_verdict_that_cannot_be_written_is_not_lost(folder, capsys):
    there = folder / "no" / "verdict.txt"
    assert step(folder, rows(3, 12), "--output", str(there)) == 2
    assert str(there) in capsys.readouterr().err
    state = (folder / "state.json").read_bytes()
    assert step(folder, rows(3, 12)) == 3
    assert (folder / "state.json").read_bytes() == state


def test_a_bug_of_ours_is_70_and_leaves_the_state_as_it_was(folder, capsys, monkeypatch):
    step(folder, rows(1, 12))
    state = (folder / "state.json").read_bytes()
    monkeypatch.setattr("canaryjudge.monitor.Monitor.verdict", lambda _: 1 / 0)
    assert step(folder, rows(1, 12, start=1)) == 70
    assert (folder / "state.json").read_bytes() == state
    monkeypatch.undo()
    assert step(folder, rows(1, 12, start=1)) == 3


def test_history_is_kept_and_read_by_its_own_ending(folder, capsys, monkeypatch):
    (folder / "history.csv").write_text(rows(80, 12, start=-100))
    (folder / "policy.yaml").write_text(POLICY.replace("  dispersion: 1\n", ""))
    lines = rows(2, 12).splitlines()
    names = lines[0].split(",")
    data = [dict(zip(names, line.split(","), strict=True)) for line in lines[1:]]
    numbers = [
        {key: value if key in ("metric", "arm") else float(value) for key, value in row.items()}
        for row in data
    ]
    history = ["--history", str(folder / "history.csv")]
    assert step(folder, "\n".join(map(json.dumps, numbers)), "--data-format", "ndjson", *history) == 3
    assert step(folder, rows(2, 12)) == 3
    assert "history: " in capsys.readouterr().out
    assert step(folder, rows(2, 12), *history) == 3
    (folder / "history.csv").write_text(rows(81, 12, start=-100))
    assert step(folder, rows(2, 12), *history) == 2
    assert "another history" in capsys.readouterr().err
    standard = ["--data", "-", "--history", "-", "--state", str(folder / "other.json")]
    assert main(["monitor", "--policy", str(folder / "policy.yaml"), *standard]) == 2
    assert "both standard input" in capsys.readouterr().err


def test_help_says_that_data_without_times_count_anew(capsys):
    assert main(["monitor", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "data without times count anew in every step" in said
    assert "4 marginal where every marginal metric" in said


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


HOLD = """
import sys, time
from canaryjudge.integrations.files.state_files import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def holder(state, seconds):
    """A process that holds a state file, once this returns."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, state, str(seconds)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    return process


def test_a_step_waits_for_another_process_and_goes_on_when_that_is_done(folder, capsys):
    begun = time.monotonic()
    with holder(folder / "state.json", 0.5):
        assert step(folder, rows(1, 12)) == 3
    assert 0.3 < time.monotonic() - begun < 9


def test_the_lock_of_a_killed_process_frees_itself(folder, capsys):
    with holder(folder / "state.json", 600) as process:
        assert step(folder, rows(1, 12), "--lock-timeout", "0") == 2
        process.kill()
        process.wait(60)
        assert step(folder, rows(1, 12), "--lock-timeout", "0") == 3
    assert (folder / "state.json.lock").exists()


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


@pytest.mark.parametrize("times", [3, pytest.param(8, marks=pytest.mark.slow)])
def test_killed_at_any_moment_it_loses_nothing_and_counts_nothing_twice(folder, capsys, times):
    delays = np.random.default_rng(4).uniform(0.05, 1.5, times)
    for i, delay in enumerate(delays):
        data = folder / f"{i}.csv"
        data.write_text(rows(2, 12, start=2 * i))
        process = subprocess.Popen(command(folder, data), stdout=subprocess.DEVNULL)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        state = read_state(folder / "state.json")
        assert state is None or json.loads(state)  # whole, whenever it was killed
        assert main(command(folder, data)[3:]) == 3
    killed = (folder / "state.json").read_bytes()
    (folder / "state.json").unlink()
    for i in range(len(delays)):
        main(command(folder, folder / f"{i}.csv")[3:])
    assert (folder / "state.json").read_bytes() == killed


DIE = """
import os, signal, sys
from pathlib import Path
from canaryjudge.cli import main, monitor

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def replace_and_die(draft, target, replace=Path.replace):
    replace(draft, target)
    die()

where, *arguments = sys.argv[1:]
if where == "before the draft is on disk":
    os.fsync = die
elif where == "before the draft is in place":
    Path.replace = die
elif where == "before the directory is on disk":
    Path.replace = replace_and_die
else:
    monitor.report = die
sys.exit(main(arguments))
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
@pytest.mark.parametrize(
    "where",
    [
        "before the draft is on disk",
        "before the draft is in place",
        "before the directory is on disk",
        "before anything is said",
    ],
)
def test_killed_while_it_writes_it_goes_on_as_if_nothing_had_been(folder, capsys, where):
    step(folder, rows(2, 12))
    old = (folder / "state.json").read_bytes()
    step(folder, rows(3, 12, start=2))
    new, said = (folder / "state.json").read_bytes(), capsys.readouterr().out
    (folder / "state.json").write_bytes(old)
    arguments = command(folder, folder / "new.csv")[3:]
    killed = subprocess.run([sys.executable, "-c", DIE, where, *arguments], check=False, capture_output=True)
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, b"")
    assert (folder / "state.json").read_bytes() == (old if "draft" in where else new)
    assert step(folder, rows(3, 12, start=2)) == 3
    assert (folder / "state.json").read_bytes() == new
    assert said.endswith(capsys.readouterr().out)
    assert sorted(path.name for path in folder.iterdir()) == [
        "new.csv",
        "policy.yaml",
        "state.json",
        "state.json.lock",
    ]


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_a_new_state_has_the_permissions_that_users_expect(tmp_path):
    write_state(tmp_path / "state.json", "one")
    (tmp_path / "plain").touch()
    assert (tmp_path / "state.json").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.skipif(os.name != "posix", reason="links are POSIX's")
def test_a_link_and_its_file_share_a_lock(tmp_path):
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "real.json")
    with (
        locked(link),
        pytest.raises(cj.DataError, match="another canaryjudge"),
        locked(tmp_path / "real.json", 0.0),
    ):
        pass


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
