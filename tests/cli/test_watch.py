"""The watch command: looks until it is decided, bears what sources do, and ends for a reason that it gives."""

import gzip
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fake_prometheus import body, serving

import canaryjudge as cj
from canaryjudge.cli import main
from canaryjudge.cli.commands import parser
from canaryjudge.cli.watch import Clock, watch

POLICY = """\
version: 1
max_points: 60
metrics:
- name: errors
  kind: ratio
  direction: increase
  tolerance: 50%
  dispersion: 1
"""
HEAD = "metric,arm,time,value,total\n"
LINE = re.compile(r"2026-03-02T\d\d:\d\d:\d\dZ ")
MORNING = 1772442000.0


def rows(steps, canary_errors, start=0):
    return "".join(
        f"errors,baseline,{60 * i},{10 + i % 3},1000\nerrors,canary,{60 * i},{canary_errors + i % 2},1000\n"
        for i in range(start, start + steps)
    )


class Played(Clock):
    """A clock that passes when it is told to sleep; something happens while it does."""

    def __init__(self, *happenings):
        self.slept = []
        self._happenings = list(happenings)

    def now(self):
        return MORNING + sum(self.slept)

    def passed(self):
        return sum(self.slept)

    def sleep(self, seconds):
        self.slept.append(seconds)
        if self._happenings:
            self._happenings.pop(0)()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "new.csv").write_text(HEAD)
    return tmp_path


@pytest.fixture
def grow(folder):
    """Writes to the file: what to add, or with `anew` what to write in its place."""

    def grow(text, *, anew=False, name="new.csv"):
        def happen():
            with (folder / name).open("w" if anew else "a") as file:
                file.write(text)

        return happen

    return grow


def watched(folder, clock, *more, data="new.csv"):
    given = [
        "--policy",
        folder / "policy.yaml",
        *(["--data", folder / data] if data else []),
        "--interval",
        "10s",
    ]
    return watch(parser().parse_args(["watch", *map(str, (*given, *more))]), clock)


def looks_in(text):
    return [line for line in text.splitlines() if LINE.match(line)]


def test_it_looks_until_harm_is_proven_a_line_a_look_and_then_the_verdict(folder, grow, capsys):
    clock = Played(*(grow(rows(1, 28, start=i)) for i in range(20)))
    assert watched(folder, clock) == 1
    said = capsys.readouterr().out
    lines = looks_in(said)
    assert 3 < len(lines) < 20
    assert (
        lines[0] == "2026-03-02T09:00:00Z MARGINAL: errors: no data in baseline and canary (0 v. 0 intervals)"
    )
    assert lines[1].startswith("2026-03-02T09:00:10Z MARGINAL: errors: ")
    assert lines[-1].split(" ")[1] == "FAIL:"
    assert set(clock.slept) == {10.0}
    final = said.split("\n\n", 1)[1]
    assert final.startswith("FAIL: roll back\n")
    assert "decided after" in final


def test_it_ends_with_a_pass_too_and_says_the_same_as_a_monitor(folder, grow, capsys):
    clock = Played(*(grow(rows(2, 10, start=2 * i)) for i in range(30)))
    assert watched(folder, clock) == 0
    monitor = cj.Monitor(cj.load_policy(folder / "policy.yaml"))
    from canaryjudge.integrations.sources import read_table

    monitor.update(read_table(folder / "new.csv"))
    assert capsys.readouterr().out.endswith("\n\n" + monitor.verdict().explain() + "\n")


@pytest.mark.parametrize("form", ["json", "json.gz"])
def test_the_past_that_a_document_holds_counts_as_it_does_for_judge(folder, capsys, form):
    rng = np.random.default_rng(1)

    def arm(start, steps):
        times = [60.0 * i for i in range(start, start + steps)]
        bursts = [int(rng.choice([0, 40])) for _ in times]
        return {"time": times, "value": bursts, "total": [1000] * steps}

    data = {"errors": {"baseline": arm(500, 30), "canary": arm(500, 30), "history": arm(0, 480)}}
    (folder / "policy.yaml").write_text(POLICY.replace("  dispersion: 1\n", "  pairing: windows\n"))
    pack = gzip.compress if form.endswith("gz") else bytes
    (folder / f"new.{form}").write_bytes(pack(json.dumps(data).encode()))
    told = {}
    for name, asked in (("watch", data), ("alone", {"errors": {**data["errors"]}})):
        if name == "alone":
            del asked["errors"]["history"]
            (folder / f"new.{form}").write_bytes(pack(json.dumps(asked).encode()))
        watched(folder, Played(), "--for", "5s", "--format", "json", data=f"new.{form}")
        told[name] = cj.Verdict.from_json(capsys.readouterr().out)
    policy = cj.load_policy(folder / "policy.yaml")
    past = {"errors": {"history": data["errors"]["history"]}}
    monitor = cj.Monitor(policy, history=past)
    monitor.update(data)
    assert told["watch"] == monitor.verdict()
    assert told["watch"].metrics["errors"].history.windows > 0
    assert told["alone"].metrics["errors"].history is None
    assert told["alone"].data_digest != told["watch"].data_digest


def test_other_formats_have_standard_output_for_themselves(folder, grow, capsys):
    clock = Played(*(grow(rows(4, 60, start=4 * i)) for i in range(8)))
    assert watched(folder, clock, "--format", "json", "--exit", "fail=9") == 9
    said = capsys.readouterr()
    assert json.loads(said.out)["outcome"] == "fail"
    assert looks_in(said.err)[-1].split(" ")[1] == "FAIL:"


def test_the_policys_end_of_the_watch_ends_it(folder, grow, capsys):
    (folder / "policy.yaml").write_text(POLICY.replace("60\n", "6\n"))
    clock = Played(*(grow(rows(2, 13, start=2 * i)) for i in range(9)))
    assert watched(folder, clock) == 3
    said = capsys.readouterr().out
    assert "nothing is left that could still be decided: the watch ends here" in said
    assert "MARGINAL: hold" in said
    assert len(clock.slept) == 3


def test_on_deadline_decides_at_the_end(folder, grow, capsys):
    (folder / "policy.yaml").write_text(POLICY.replace("60\n", "6\non_deadline: fail\n"))
    assert watched(folder, Played(grow(rows(6, 13)))) == 1


def test_for_ends_it_undecided_also_where_the_policy_has_no_end(folder, grow, capsys):
    (folder / "policy.yaml").write_text(POLICY.replace("max_points: 60\n", ""))
    clock = Played(*(grow(rows(1, 13, start=i)) for i in range(9)))
    assert watched(folder, clock, "--for", "25s") == 3
    assert clock.slept == [10, 10, 5]
    assert "the time for this watch is up" in capsys.readouterr().out


def test_without_any_end_it_says_what_to_give(folder, capsys):
    (folder / "policy.yaml").write_text(POLICY.replace("max_points: 60\n", ""))
    code = main(["watch", "--policy", str(folder / "policy.yaml"), "--data", str(folder / "new.csv")])
    assert code == 2
    said = capsys.readouterr().err
    assert "the policy gives the watch no end, so it might never end" in said
    assert "Give the policy max_duration or max_points, or give --for" in said


def test_stages_are_refused_for_somebody_must_set_their_shares(tmp_path, capsys):
    (tmp_path / "policy.yaml").write_text(
        POLICY.replace("max_points: 60", "stages: [{canary: 5%, max_duration: 1h}]")
    )
    (tmp_path / "data.csv").write_text(HEAD + rows(3, 40))
    files = ["--policy", str(tmp_path / "policy.yaml"), "--data", str(tmp_path / "data.csv")]
    assert main(["watch", *files, "--for", "1h"]) == 2
    said = capsys.readouterr().err
    assert "the policy has stages, whose shares somebody must set" in said
    assert "Take the steps with canaryjudge rollout" in said


def test_a_gauge_needs_an_end_to_plan_for(folder, capsys):
    (folder / "policy.yaml").write_text("metrics:\n- {name: cpu, direction: increase}\n")
    given = ["--policy", str(folder / "policy.yaml"), "--data", str(folder / "new.csv"), "--for", "1h"]
    assert main(["watch", *given]) == 2
    assert "no end is given to plan for" in capsys.readouterr().err


def test_max_duration_ends_it_by_the_clock_where_no_data_come(folder, grow, capsys):
    (folder / "policy.yaml").write_text(POLICY.replace("max_points: 60", "max_duration: 1m"))
    # something new of a metric that is watched, but never as long as the watch was to be
    clock = Played(*(grow(f"errors,canary,{i},1,1000\nerrors,baseline,{i},1,1000\n") for i in range(99)))
    assert watched(folder, clock, "--patience", "30s") == 3
    assert sum(clock.slept) == 90


def test_a_source_that_falls_silent_ends_it_with_the_verdict_so_far(folder, grow, capsys):
    clock = Played(grow(rows(3, 13)))
    assert watched(folder, clock, "--patience", "1m") == 3
    assert sum(clock.slept) == 70
    assert "nothing new came for longer than --patience" in capsys.readouterr().out
    (folder / "new.csv").write_text(HEAD)
    assert watched(folder, Played(), "--patience", "1m") == 4


def test_half_a_line_is_left_until_it_is_whole(folder, grow, capsys):
    clock = Played(
        grow(rows(3, 40) + "errors,canary,180,40,1"),
        grow("000\n"),
        grow("errors,baseline,180,10,1000\n" + rows(9, 40, start=4)),
    )
    assert watched(folder, clock) == 1
    assert "no new data" not in capsys.readouterr().out


def test_a_file_that_is_cut_and_written_again_is_no_trouble(folder, grow, capsys):
    whole = HEAD + rows(6, 30)
    clock = Played(
        grow(rows(3, 30)),
        grow("", anew=True),
        grow(whole[:100], anew=True),
        grow(whole + rows(9, 60, start=6), anew=True),
    )
    assert watched(folder, clock) == 1
    said = capsys.readouterr().out
    assert "no new data" not in said
    assert "15 v. 15" in said or "decided after" in said


def test_other_values_than_before_are_said_and_retried_until_they_are_as_before(folder, grow, capsys):
    clock = Played(
        grow(HEAD + rows(3, 12), anew=True),
        grow(HEAD + rows(3, 90), anew=True),
        lambda: None,
        grow(HEAD + rows(3, 12) + rows(9, 60, start=3), anew=True),
    )
    assert watched(folder, clock) == 1
    lines = looks_in(capsys.readouterr().out)
    assert lines[2].startswith("2026-03-02T09:00:20Z no new data: metric 'errors'")
    assert lines[2].endswith("; the next try in 10 seconds")
    assert lines[3].endswith("; the next try in 20 seconds")
    assert "no new data" not in lines[4]


def test_a_row_that_is_wrong_is_named_by_its_line_in_the_file(folder, grow, capsys):
    clock = Played(grow(rows(3, 12)), grow("errors,canary,240,many,1000\n"))
    with pytest.raises(
        cj.DataError,
        match=r"new\.csv, line 8: value is the text 'many'.*given up after 5 minutes",
    ):
        watched(folder, clock, "--patience", "5m")
    assert "line 8" in looks_in(capsys.readouterr().out)[2]


def test_a_source_that_is_away_is_asked_ever_more_rarely_until_patience_ends(folder, grow, capsys):
    clock = Played(grow(rows(3, 12)), (folder / "new.csv").unlink)
    with pytest.raises(cj.DataError, match="there is no such file; given up after 5 minutes"):
        watched(folder, clock, "--patience", "5m")
    assert clock.slept == [10, 10, 10, 20, 40, 60, 60, 60, 40]
    assert sum(clock.slept[1:]) == 300


def test_what_cannot_be_read_at_the_first_look_is_an_error_at_once(folder):
    clock = Played()
    with pytest.raises(cj.DataError, match="there is no such file"):
        watched(folder, clock, data="other.csv")
    assert clock.slept == []


def test_data_without_times_are_refused_at_once(folder, grow):
    clock = Played(grow("metric,arm,value,total\nerrors,baseline,1,10\nerrors,canary,1,10\n", anew=True))
    (folder / "new.csv").write_text("")
    with pytest.raises(cj.DataError, match="a watch reads a file again and again"):
        watched(folder, clock)
    assert clock.slept == [10]


def test_a_document_is_read_when_it_was_written_anew(folder, grow, capsys):
    def document(steps, errors):
        arm = {"time": [60 * i for i in range(steps)], "total": [1000] * steps}
        arms = {"baseline": arm | {"value": [10] * steps}, "canary": arm | {"value": [errors] * steps}}
        return json.dumps({"errors": arms}) + "\n"

    (folder / "new.json").write_text(document(1, 25))
    clock = Played(
        lambda: None,
        grow(document(2, 25)[:-9], anew=True, name="new.json"),
        *(grow(document(n, 25), anew=True, name="new.json") for n in (3, 6, 40)),
    )
    assert watched(folder, clock, data="new.json") == 1
    lines = looks_in(capsys.readouterr().out)
    assert lines[0].split(" ", 1)[1] == lines[1].split(" ", 1)[1]
    assert "no new data" in lines[2]
    assert "this is not JSON" in lines[2]


def test_a_state_is_kept_and_gone_on_from(folder, grow, capsys):
    state = folder / "state.json"
    assert watched(folder, Played(grow(rows(2, 20))), "--state", state, "--for", "20s") == 3
    known = json.loads(state.read_text())["metrics"]["errors"]
    (folder / "new.csv").write_text(HEAD + rows(9, 60, start=2))
    assert watched(folder, Played(), "--state", state) == 1
    assert known != json.loads(state.read_text())["metrics"]["errors"]
    assert watched(folder, Played(), "--state", state) == 1  # what is decided stays so


def test_an_interruption_shows_how_it_stood_and_ends_with_130(folder, grow, capsys):
    def interrupt():
        raise KeyboardInterrupt

    assert watched(folder, Played(grow(rows(3, 13)), interrupt)) == 130
    said = capsys.readouterr().out
    assert "interrupted: this is how it stood\n\nMARGINAL: hold\n" in said
    assert main(["schema"]) == 0  # nothing is left behind that would end the next command


def test_as_process_1_of_a_container_it_ends_at_sigterm_as_at_an_interruption(folder):
    """To a process 1, a signal that it has no handler for does nothing."""
    alone = ["unshare", "--map-root-user", "--pid", "--fork", "--kill-child"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*alone, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("no process may be process 1 here")
    (folder / "new.csv").write_text(HEAD + rows(5, 13))
    given = [
        "--policy",
        folder / "policy.yaml",
        "--data",
        folder / "new.csv",
        "--state",
        folder / "state.json",
    ]
    command = [*alone, sys.executable, "-m", "canaryjudge.cli", "watch", *given]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            end = time.monotonic() + 60
            while not (folder / "state.json").exists():
                assert time.monotonic() < end
                time.sleep(0.05)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
            os.kill(int(children), signal.SIGTERM)
            said, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "interrupted: this is how it stood" in said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--data", "-"], "standard input cannot be read again"),
        (["--prometheus", "http://127.0.0.1:9", "--at", "12"], "--at is for one look"),
        (["--prometheus", "http://127.0.0.1:9", "--save-data", "d.json"], "--save-data is for one look"),
        (["--data", "d.csv", "--window", "5m"], "--window means nothing with --data"),
    ],
)
def test_what_a_watch_has_no_use_for_is_refused(folder, capsys, more, said):
    assert main(["watch", "--policy", str(folder / "policy.yaml"), *more]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("interval", ["0s", "100ms", "soon", "10"])
def test_an_interval_that_is_none_is_refused(folder, capsys, interval):
    assert main(["watch", "--policy", "p.yaml", "--data", "d.csv", "--interval", interval]) == 2
    assert "--interval" in capsys.readouterr().err


QUERIED = """\
max_duration: 1h
metrics:
- name: cpu
  direction: increase
  query: cpu{${selector}}
prometheus: {window: 5m, step: 15s, history: none}
"""


def test_a_server_that_is_away_for_a_while_is_borne(folder, capsys, monkeypatch):
    monkeypatch.setattr("canaryjudge.integrations.prometheus.client._WAITS", ())
    (folder / "policy.yaml").write_text(QUERIED)

    def points(handler, question):
        step, start, end = (float(question[key]) for key in ("step", "start", "end"))
        times = [start + step * i for i in range(int((end - start) / step) + 1)]
        values = [[at, str(50 + (at // 15) % 4 + 9 * ("new" in question["query"]))] for at in times]
        found = {"resultType": "matrix", "result": [{"metric": {}, "values": values}]}
        body(json.dumps({"status": "success", "data": found}))(handler, question)

    away = body("the bouncer is out", status=503, kind="text/plain")
    with serving(points, points, away, away, points) as server:
        clock = Played()
        selectors = ("--baseline-selector", 'v="old"', "--canary-selector", 'v="new"')
        given = ("--prometheus", server.url, *selectors, "--for", "40s")
        code = watched(folder, clock, *given, data=None)
    assert code == 4  # too few points for the first planned look
    lines = looks_in(capsys.readouterr().out)
    assert "no new data" in lines[1]
    assert "503" in lines[1]
    assert lines[0].split(" ")[1] == lines[-1].split(" ")[1] == "MARGINAL:"


def test_remarks_of_a_source_are_passed_on_once(folder, capsys):
    from canaryjudge.cli.watch import Look, screen_on

    verdict = cj.judge(
        {"m": {"baseline": [1.0] * 12, "canary": [1.0] * 12}},
        cj.Policy(metrics=[cj.Metric(name="m", direction="increase")]),
    )
    screen = screen_on(sys.stdout)
    for number in (1, 2):
        screen.show(Look(number, MORNING, verdict, ["it is slow"], None, 10.0, None), verdict)
    said = capsys.readouterr()
    assert said.err == "canaryjudge: warning: it is slow\n"
    assert len(looks_in(said.out)) == 2


class Glass(io.StringIO):
    """A terminal without a file, so that its size is what the environment says."""

    def isatty(self):
        return True


def test_a_picture_is_drawn_over_and_never_taller_than_the_terminal(monkeypatch):
    from canaryjudge.cli.watch import Look, screen_on

    for name, value in {"COLUMNS": "60", "LINES": "12", "TERM": "xterm", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    names = [f"metric_{i}" for i in range(12)]
    verdict = cj.judge(
        {name: {"baseline": [1.0] * 12, "canary": [1.0] * 12} for name in names},
        cj.Policy(metrics=[cj.Metric(name=name, direction="increase") for name in names]),
    )
    glass = Glass()
    screen = screen_on(glass)
    for number in (1, 2):
        screen.show(Look(number, MORNING, verdict, [], None, 10.0, None), verdict)
    first, second = glass.getvalue().split("\x1b[11A\x1b[J")
    assert first.count("\n") == second.count("\n") == 11
    assert first.startswith("\r\x1b[Jlook 1, 2026-03-02T09:00:00Z; the next in 10 seconds\n")
    assert re.search(r"\.\.\. \d+ more lines\n$", second)
    trouble = cj.DataError("gone " * 30)
    screen.show(Look(3, MORNING, verdict, [], trouble, 10.0, None), verdict)
    screen.close("the end")
    last = glass.getvalue().rsplit("\r", 2)[1]
    rows_used = sum(-(-max(len(line), 1) // 60) for line in last.split("\x1b[J")[1].splitlines())
    assert rows_used <= 11
    assert glass.getvalue().endswith(f"\r\x1b[{rows_used}A\x1b[Jthe end\n")


def test_on_a_terminal_it_draws_over_itself_and_an_interruption_ends_it_with_130(folder):
    pytest.importorskip("pty")
    from terminals import Terminal

    (folder / "new.csv").write_text(HEAD + rows(5, 13))
    given = ["--policy", folder / "policy.yaml", "--data", folder / "new.csv", "--interval", "1s"]
    terminal = Terminal("watch", *given, columns=80, lines=30)
    terminal.read_until("look 3")
    terminal.interrupt()
    assert terminal.finish() == 130
    first, second, *_, last = terminal.text.split("\x1b[J")[1:]
    for picture in (first, second):
        assert "\x1b[1;33mMARGINAL: hold\x1b[0m" in picture
        assert re.search(r"    canary    \x1b\[36m[▁-█]{5}\x1b\[0m  1\.3 to 1\.4 %", picture)
    assert f"\x1b[{first.count(chr(10))}A" in first
    assert last.startswith("interrupted: this is how it stood\n\x1b[1;33mMARGINAL: hold")
    assert "Traceback" not in terminal.text
