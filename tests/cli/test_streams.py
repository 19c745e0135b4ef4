"""Exit code 1 is that of a failed release and of nothing else, whatever the standard streams are; and what a stranger wrote is never printed raw."""

import json
import os
import pickle
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from told import NASTY, renamed, texts

import canaryjudge as cj
from canaryjudge.cli import main
from canaryjudge.errors import CanaryJudgeError
from canaryjudge.integrations.writers.formats import FORMATS
from canaryjudge.texts import as_json, on_one_line

CHECKOUT = Path(__file__).parents[2] / "docs" / "examples" / "checkout"
EXAMPLE = f"--policy {CHECKOUT / 'policy.yaml'} --data {CHECKOUT / 'metrics.csv'}"
ROWS = "".join(
    f"errors,{arm},{total // 100},{total}\n"
    for _ in range(60)
    for arm, total in (("baseline", 9000), ("canary", 1000))
)
UNTIMED = "metrics: [{name: errors, kind: ratio, direction: increase, tolerance: 100%}]"
STEP = "monitor --policy untimed.yaml --data untimed.csv --state state.json"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("untimed.csv").write_text(f"metric,arm,value,total\n{ROWS}", encoding="utf-8")
    Path("untimed.yaml").write_text(UNTIMED, encoding="utf-8")
    Path("cpu.yaml").write_text("metrics: [{name: cpu, direction: increase}]", encoding="utf-8")
    os.mkfifo("pipe")


@pytest.fixture
def shell(warm_folder):
    """Run a command line in a shell, and give its exit code and what it wrote; GONE is a pipe whose reader went away."""

    def run(line, **variables):
        environment = os.environ | {"PATH": f"{warm_folder}:{os.environ['PATH']}"} | variables
        read, gone = os.pipe()
        os.close(read)
        command = ["bash", "-c", f"canaryjudge {line.replace('GONE', str(gone))}"]
        done = subprocess.run(
            command, capture_output=True, env=environment, check=False, timeout=60, pass_fds=[gone]
        )
        os.close(gone)
        return done.returncode, done.stdout, done.stderr

    return run


def is_fit_to_be_printed(text):
    return all(line.isprintable() for line in text.split("\n"))


@pytest.mark.parametrize("err", ["2>/dev/full", "2>&-", "2>&GONE"])
def test_a_step_that_passes_and_cannot_print_its_warning_passes(shell, err):
    assert shell(f"{STEP} {err}")[0] == 0


def test_where_it_can_the_warning_is_there(shell):
    code, out, err = shell(STEP)
    assert (code, out[:4]) == (0, b"PASS")
    assert b"warning: errors: without times" in err


@pytest.mark.parametrize(
    ("line", "err"),
    [
        *(
            ("judge --policy missing.yaml --data untimed.csv", err)
            for err in ("2>/dev/full", "2>&-", "2>&GONE")
        ),
        *(("judge --polcy x", err) for err in ("2>/dev/full", "2>&-", "2>&GONE")),
        *(("validate untimed.csv", "2>/dev/full"), ("import argo missing", "2>&-"), ("", "2>&GONE")),
    ],
)
def test_an_error_that_nobody_can_be_told_stays_one(shell, line, err):
    code, out, _ = shell(f"{line} {err}")
    assert (code, out) == (2, b"")


@pytest.mark.parametrize(
    ("line", "out"),
    [
        *((f"judge {EXAMPLE}", out) for out in (">/dev/full", ">&-", ">&GONE")),
        *((STEP, out) for out in (">/dev/full", ">&-", ">&GONE")),
        *(
            ("schema", ">/dev/full"),
            ("--help", ">&-"),
            ("--version", ">/dev/full"),
            ("validate untimed.yaml", ">&GONE"),
        ),
        ("init --data untimed.csv", ">&-"),
    ],
)
def test_what_cannot_be_delivered_is_neither_a_pass_nor_a_fail(shell, line, out):
    code, _, err = shell(f"{line} {out}")
    assert code == 2
    # a reader that went away is nobody to complain about
    assert out.endswith("GONE") == (b"canaryjudge: standard output: " not in err), err


def test_a_closed_standard_input_is_said_to_be_closed(shell):
    code, _, err = shell(f"judge --policy {CHECKOUT / 'policy.yaml'} --data - <&-")
    assert (code, err.splitlines()[0]) == (2, b"canaryjudge: standard input is closed")


def test_no_file_takes_the_place_of_a_closed_stream(shell):
    code, *_ = shell(f"judge {EXAMPLE} --format junit --output out.xml --also gitlab=env <&- 2>&- >&-")
    assert code == 1
    assert Path("out.xml").read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.parametrize(
    "option", ["--output /dev/full", "--also junit=/dev/full", "--also tekton=/dev/full"]
)
def test_a_full_disk_has_a_name(shell, option):
    code, _, err = shell(f"judge {EXAMPLE} {option}")
    assert code == 2
    assert b"canaryjudge: /dev/full" in err


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-16"])
def test_what_is_written_is_utf8_whatever_the_locale(shell, encoding):
    arms = {
        arm: {"value": [level + i % 5 for i in range(40)]}
        for arm, level in (("baseline", 100), ("canary", 160))
    }
    Path("d.json").write_text(json.dumps({"größe": arms}), encoding="utf-8")
    Path("p.yaml").write_text("metrics: [{name: größe, direction: increase}]", encoding="utf-8")
    given_ = "--policy p.yaml --data d.json"
    code, out, _ = shell(f"judge {given_} --format json", PYTHONIOENCODING=encoding)
    assert (code, "größe" in out.decode()) == (1, True)
    Path("v.json").write_bytes(out)
    assert shell(f"verify --verdict v.json {given_}", PYTHONIOENCODING=encoding)[0] == 0


@pytest.mark.parametrize(
    "options",
    [
        "--policy cpu.yaml --data pipe",
        "--policy cpu.yaml --data /dev/stdin < <(sleep 0)",
        "--policy pipe --data untimed.csv",
        "--policy cpu.yaml --data untimed.csv --history pipe",
        "--policy cpu.yaml --data untimed.csv --state pipe",
    ],
)
def test_a_watch_waits_for_no_pipe(shell, options):
    code, _, err = shell(f"watch --for 1s {options}")
    assert code == 2
    assert b"it is a pipe" in err


def test_a_policy_that_a_shell_gives_is_read(shell):
    code, _, err = shell("watch --for 1s --policy /dev/stdin --data missing.csv < <(cat cpu.yaml)")
    assert (code, err.startswith(b"canaryjudge: metric 'cpu': ")) == (2, True)


def test_a_pipe_that_nobody_reads_is_not_waited_for(shell):
    code, _, err = shell(f"judge {EXAMPLE} --output pipe")
    assert (code, b"canaryjudge: pipe: " in err) == (2, True)
    assert shell(f"judge {EXAMPLE} --output pipe & cat pipe; wait $!")[:2] == (
        1,
        shell(f"judge {EXAMPLE}")[1],
    )


@pytest.mark.parametrize("argument", [b"nope\xff.csv", b"\xff\xfe"])
def test_names_that_are_no_utf8_do_not_hide_the_true_error(capfdbinary, argument):
    name = os.fsdecode(argument)
    assert main(["judge", "--policy", "cpu.yaml", "--data", name, "--also", "github-summary=s.md"]) == 2
    assert b"there is no such file" in capfdbinary.readouterr().err
    assert "there is no such file" in Path("s.md").read_text(encoding="utf-8")
    assert main(["judge", "--policy", "cpu.yaml", "--data", "untimed.csv", "--baseline", name]) == 2
    assert b"has half a character" in capfdbinary.readouterr().err


def test_an_arm_of_endless_words_is_refused(capsys):
    assert main(["judge", "--policy", "cpu.yaml", "--data", "untimed.csv", "--canary", "x " * 5000]) == 2
    assert "longer than 1,000 characters" in capsys.readouterr().err


@pytest.mark.parametrize("argument", ["a\0b", "\ud800"])
def test_an_argument_that_no_process_is_given_is_refused(capsys, argument):
    assert main(["validate", argument]) == 2
    assert "no file can be named" in capsys.readouterr().err


class UnspeakableError(Exception):
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        (UnspeakableError(), 70, "UnspeakableError"),
        (RecursionError("deep"), 70, "this is a bug of canaryjudge"),
        (MemoryError(), 2, "not enough memory"),
        (ImportError("no scipy"), 2, "the installation is broken (ImportError: no scipy)"),
        (OSError(28, "No space left on device"), 2, "input or output: No space left on device"),
        (BrokenPipeError(32, "Broken pipe"), 2, "input or output: Broken pipe"),
        (KeyboardInterrupt(), 130, ""),
        (BaseExceptionGroup("several", [KeyboardInterrupt()]), 70, "BaseExceptionGroup"),
        (SystemExit(1), 2, ""),
    ],
)
def test_whatever_goes_wrong_is_told_and_is_no_1(capsys, monkeypatch, fault, code, says):
    def fail(_):
        raise fault

    monkeypatch.setattr("canaryjudge.cli.judge.load_policy", fail)
    assert main(["judge", "--policy", "cpu.yaml", "--data", "untimed.csv"]) == code
    err = capsys.readouterr().err
    assert says in err
    assert "Traceback" not in err


# true processes ---------------------------------------------------------------------------------------------------------

ROOT = Path(cj.__file__).parents[1]


@pytest.mark.parametrize(
    ("broken", "code", "err"),
    [
        *(
            ("numpy.py", 2, subprocess.PIPE),
            ("numpy.py", 2, None),
            ("canaryjudge/cli/before_a_release.py", 2, None),
        ),
        *(("canaryjudge/cli/streams.py", 70, err) for err in (subprocess.PIPE, None)),
    ],
)
def test_a_broken_installation_is_no_failed_release(tmp_path, broken, code, err):
    for part in ("canaryjudge", "canaryjudge/cli"):  # what is not here is looked up where it is
        (tmp_path / part).mkdir()
        (tmp_path / part / "__init__.py").write_text(
            f"__path__.append({str(ROOT / part)!r})\nexec(open({str(ROOT / part / '__init__.py')!r}).read())\n",
            encoding="utf-8",
        )
    (tmp_path / broken).write_text("raise ImportError('broken wheel')", encoding="utf-8")
    program = "import sys; from canaryjudge.cli import main; sys.exit(main(['schema']))"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"},
            stdout=subprocess.PIPE,
            stderr=err or full,
            check=False,
        )
    assert (done.returncode, done.stdout) == (code, b"")
    if err:
        assert len(done.stderr.splitlines()) == 2, done.stderr
        assert b"Traceback" not in done.stderr


def test_the_command_imports_nothing_before_it_is_on_its_guard():
    program = "import sys, canaryjudge.cli; sys.exit(any(name in sys.modules for name in ('numpy', 'argparse', 'canaryjudge.errors')))"
    assert (
        subprocess.run(
            [sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False
        ).returncode
        == 0
    )


# what strangers wrote ---------------------------------------------------------------------------------------------------


def test_no_writer_prints_what_steers_a_terminal():
    found = renamed([name for name in NASTY if name.strip()])
    said = [part for form in FORMATS.values() for part in _parts(form.write(found))]
    said += [found.explain(brief=True), repr(found), found._repr_html_()]
    said += [result._repr_html_() for result in found.metrics.values()]
    for text in said:
        assert is_fit_to_be_printed(text)


def _parts(written):
    return [written] if isinstance(written, str) else written.values()


@given(texts, texts)
def test_no_error_holds_what_steers_a_terminal_and_none_is_endless(message, hint):
    error = CanaryJudgeError(message * 500, hint * 500)
    assert str(error).isprintable()
    assert len(str(error)) <= 4002
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (again.message, again.hint) == (error.message, error.hint)
    assert CanaryJudgeError([message, hint]).message.count("\n") == 1


def test_an_endless_name_is_cut():
    assert len(on_one_line("x" * 10_000)) == 300
    assert len(CanaryJudgeError("x " * 10_000).message) <= 2000


@given(texts)
def test_json_says_the_same_with_escapes(text):
    said = as_json([text])
    assert json.loads(said) == [text]
    assert not {unicodedata.category(letter) for letter in said if letter != "\n"} & {
        "Cc",
        "Cf",
        "Cs",
        "Zl",
        "Zp",
    }


HOSTILE = "a\x1b[31mb\u202ec\x9b\x7f"
LONG = "x" * 10_000


@pytest.mark.parametrize("name", [HOSTILE, LONG])
@pytest.mark.parametrize(
    "line",
    [
        *("judge --policy cpu.yaml --data arms.csv", "judge --policy cpu.yaml --data columns.csv"),
        *(
            "judge --policy cpu.yaml --data cells.csv",
            "judge --policy cpu.yaml --data arms.csv --baseline NAME",
        ),
        *("judge --policy cpu.yaml --data arms.csv --NAME", "NAME", "judge --policy NAME --data NAME"),
        *(
            "validate NAME",
            "validate policy.json",
            "validate keys.json",
            "import argo NAME",
            "import flagger keys.json",
        ),
        *(
            "monitor --policy cpu.yaml --data arms.csv --state state.json",
            "doctor --policy cpu.yaml --data arms.csv",
        ),
        *("init --data arms.csv", "init --data columns.csv", "init --data columns.csv --wide arm"),
        *(
            "judge --policy cpu.yaml --data arms.csv --exit NAME",
            "judge --policy cpu.yaml --data arms.csv --also NAME",
        ),
        "verify --policy cpu.yaml --data arms.csv --verdict keys.json",
        "calibrate --policy cpu.yaml --history arms.csv --quiet",
        "plan --policy cpu.yaml --assume NAME=1",
    ],
)
def test_no_command_prints_a_strangers_text_as_it_is(capsys, name, line):
    quoted = json.dumps(name)
    Path("arms.csv").write_text(f"metric,arm,value\ncpu,{name},1\ncpu,canary,2\n", encoding="utf-8")
    Path("columns.csv").write_text(f"metric,arm,{name}\ncpu,canary,1\n", encoding="utf-8")
    Path("cells.csv").write_text(f"metric,arm,value\ncpu,baseline,{name}\ncpu,canary,2\n", encoding="utf-8")
    Path("policy.json").write_text(
        f'{{"metrics": [{{"name": {quoted}, "direction": {quoted}}}]}}', encoding="utf-8"
    )
    Path("keys.json").write_text(f'{{{quoted}: {quoted}, "kind": {quoted}}}', encoding="utf-8")
    Path("state.json").write_text(
        f'{{"format": "canaryjudge.monitor", "state_version": 1, "version": {quoted}}}', encoding="utf-8"
    )
    code = main([name if word == "NAME" else word.replace("NAME", name) for word in line.split()])
    said = "".join(capsys.readouterr())
    assert code in (0, 2, 3, 4)
    assert is_fit_to_be_printed(said)
    assert max(map(len, said.split("\n"))) <= 2020
