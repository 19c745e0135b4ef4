"""Progress of long work: a bar for people, a callback for programs, silence for logs."""

import builtins
import io
import sys

import pytest

from canaryjudge.progress import progress_of


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal(monkeypatch):
    """Let standard error be a terminal, for the rest of a test."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


def work(show, parts=3):
    for done in range(parts + 1):
        show(done, parts)


def test_a_person_at_a_terminal_sees_a_bar_that_ends(monkeypatch):
    screen = terminal(monkeypatch)
    work(progress_of("calibrated", wanted=None))
    assert "calibrated" in screen.getvalue()
    assert "0/3" in screen.getvalue()
    assert screen.getvalue().split("\r")[-1].strip() == ""  # it leaves no trace


def test_without_tqdm_a_line_counts(monkeypatch):
    screen = terminal(monkeypatch)
    found = builtins.__import__

    def without(name, *args, **given):
        if name.startswith("tqdm"):
            raise ImportError(name)
        return found(name, *args, **given)

    monkeypatch.setattr(builtins, "__import__", without)
    work(progress_of("planned", wanted=None))
    assert screen.getvalue().split("\r")[-1] == "planned 3 of 3\n"


@pytest.mark.parametrize("wanted", [None, False])
def test_a_log_sees_nothing(monkeypatch, wanted):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    work(progress_of("calibrated", wanted=wanted))
    assert sys.stderr.getvalue() == ""


def test_silence_is_kept_on_a_terminal_too(monkeypatch):
    screen = terminal(monkeypatch)
    work(progress_of("calibrated", wanted=False))
    assert screen.getvalue() == ""


def test_a_callback_gets_each_step():
    seen = []
    work(progress_of("calibrated", wanted=lambda *at: seen.append(at)), 2)
    assert seen == [(0, 2), (1, 2), (2, 2)]
