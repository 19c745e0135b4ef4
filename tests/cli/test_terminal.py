"""Color and drawing on the command line: for terminals that want them, and for nobody else."""

import io
import re
import subprocess
from pathlib import Path

import pytest

import canaryjudge as cj
from canaryjudge.cli.terminal import takes_color, terminal_text

pytest.importorskip("pty")  # there are none on Windows
from terminals import REAL, Terminal, environment

ROOT = Path(__file__).parents[2]
GIVEN = (
    "judge",
    "--policy",
    ROOT / "docs/examples/starter.yaml",
    "--data",
    ROOT / "docs/examples/checkout/metrics.csv",
)
SEQUENCE = re.compile(r"\x1b\[[\d;]*m")


def judged():
    policy = cj.load_policy(GIVEN[2])
    from canaryjudge.integrations.sources import read_table

    return cj.judge(read_table(GIVEN[4]), policy)


@pytest.fixture
def warm(warm_folder):
    return (warm_folder / "canaryjudge",)


def in_terminal(*more, **variables):
    terminal = Terminal(*GIVEN, *more, **variables)
    return terminal.finish(), terminal.text


def piped(*more, command=REAL, **variables):
    arguments = map(str, (*command, *GIVEN, *more))
    run = subprocess.run(list(arguments), capture_output=True, env=environment(**variables), check=False)
    return run.returncode, run.stdout.decode()


def test_a_terminal_gets_color_and_sparklines_at_its_width(warm):
    for columns in (72, 100):
        code, text = in_terminal(command=warm, columns=columns)
        assert code == 1
        assert text.startswith("\x1b[1;31mFAIL: roll back\x1b[0m\n")
        assert re.search(r"    canary    \x1b\[36m[▁-█]+\x1b\[0m  0\.\d+ to [\d.]+ %", text)
        longest = max(len(line) for line in SEQUENCE.sub("", text).splitlines())
        assert columns - 12 < longest <= columns


def test_what_is_piped_stays_plain_to_the_byte(tmp_path, warm):
    assert piped() == (1, judged().explain() + "\n")
    assert piped("--format", "json", command=warm) == (1, judged().to_json())
    assert in_terminal("--output", tmp_path / "verdict.txt", command=warm) == (1, "")
    assert (tmp_path / "verdict.txt").read_text() == judged().explain() + "\n"


def test_no_color_means_plain_text_at_the_width_of_the_terminal(warm):
    code, text = in_terminal(command=warm, NO_COLOR="1", columns=60)
    assert code == 1
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 60
    assert text.split() == judged().explain().split()


def test_other_formats_are_not_colored(warm):
    assert in_terminal("--format", "json", command=warm) == (1, judged().to_json())


def test_color_may_be_forced_where_there_is_no_terminal(warm):
    _, text = piped(command=warm, FORCE_COLOR="1", COLUMNS="90")
    assert "\x1b[1;31mFAIL" in text
    assert max(len(line) for line in SEQUENCE.sub("", text).splitlines()) <= 90


def test_a_terminal_of_another_locale_gets_utf8_too():
    assert in_terminal(PYTHONIOENCODING="latin-1") == in_terminal()


class Screen(io.StringIO):
    def __init__(self, *, terminal):
        super().__init__()
        self._terminal = terminal

    def isatty(self):
        return self._terminal


@pytest.mark.parametrize(
    ("variables", "on_terminal", "piped"),
    [
        ({}, True, False),
        ({"TERM": "xterm-256color"}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),  # no-color.org: when present and not empty
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "0"}, False, False),
        ({"FORCE_COLOR": "3", "TERM": "dumb"}, True, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ({"CLICOLOR": "0"}, False, False),
        ({"CLICOLOR": "1"}, True, False),
        ({"CLICOLOR_FORCE": "1", "CLICOLOR": "0"}, True, True),
        ({"CLICOLOR_FORCE": "0"}, True, False),
    ],
)
def test_the_environment_decides_on_color(variables, on_terminal, piped):
    assert takes_color(Screen(terminal=True), variables) is on_terminal
    assert takes_color(Screen(terminal=False), variables) is piped


def test_a_stream_without_a_file_is_plain(monkeypatch):
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    verdict = judged()
    assert terminal_text(verdict, Screen(terminal=False)) == verdict.explain()
