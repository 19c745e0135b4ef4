"""Every command line that the documents show is one that the command takes."""

import argparse
import itertools
import re
import shlex
from pathlib import Path

import pytest

from canaryjudge.cli.commands import parser

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("**/*.md")),
    *sorted((ROOT / "notebooks").glob("*.py")),
]
BLOCK = re.compile(r"^```(sh|console|yaml|groovy|Dockerfile)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands():
    """Each command, and its parser."""
    found = {}

    def walk(below, names):
        for action in below._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name, command in action.choices.items():
                    found[(*names, name)] = command
                    walk(command, (*names, name))

    walk(parser(), ())
    return found


COMMANDS = commands()


def command_of(words):
    """The parser that some words begin with the name of; None where they are a sentence about canaryjudge."""
    return COMMANDS.get(tuple(words[:2])) or COMMANDS.get(tuple(words[:1]))


def in_blocks(page):
    """The words after `canaryjudge` of each command line in a page's blocks."""
    for language, block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            if language == "console" and not line.startswith("$ "):
                continue
            if found := re.search(r"(?:^|[\s'(])canaryjudge ([a-z]+ .*)", line):
                words = shlex.shlex(found[1].partition("'''")[0], posix=True, punctuation_chars=True)
                words.whitespace_split = True
                yield list(itertools.takewhile(lambda word: word.strip("();<>|&"), words))


def in_sentences(page):
    """The same of what stands between backticks."""
    for code in re.findall(r"(?<!`)`canaryjudge ([a-z]+[^`\n]*)`(?!`)", page.read_text(encoding="utf-8")):
        yield code.split()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_line_is_taken(page, capsys):
    for words in in_blocks(page):
        if command_of(words) is None:
            continue
        code = 0
        try:
            parser().parse_args(words)
        except SystemExit as stop:
            code = stop.code
        assert code == 0, f"canaryjudge {shlex.join(words)}: {capsys.readouterr().err}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_option_in_a_sentence_is_one_of_its_command(page):
    for words in in_sentences(page):
        command = command_of(words)
        assert command is not None, f"canaryjudge {' '.join(words)}"
        known = {name for action in command._actions for name in action.option_strings}
        options = re.findall(r"(?<!\S)\W*(--[a-z][a-z-]*)", " ".join(words))
        assert [name for name in options if name not in known] == [], f"canaryjudge {' '.join(words)}"


def test_they_are_found():
    assert sum(len(list(in_blocks(page))) for page in PAGES) > 40
    assert sum(len(list(in_sentences(page))) for page in PAGES) > 50
