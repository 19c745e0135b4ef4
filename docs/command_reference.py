"""The command line explained from its own parsers, as Markdown: a section a command, a table row an option."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import Final

__all__ = ["command_reference"]

_CODE: Final = re.compile(
    r"(?<!\S)(\(?)(--[a-z][a-z-]*|\$\w+|\$\{\w+\}|[A-Z]+_[A-Z_]+|_[A-Z]+|[\w-]+=[\w.-]+)(?=[\s.,;)]|$)"
)
"""Words of a help text that are code."""


def command_reference(parser: argparse.ArgumentParser) -> str:
    """Give the sections of every command below a parser."""
    return "\n".join(_section(command) for command in _commands(parser))


def _commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Walk over the commands, each before those below it."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask what a parser takes
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for command in action.choices.values():
                yield command
                yield from _commands(command)


def _section(command: argparse.ArgumentParser) -> str:
    lines = [f"## `{command.prog}`", "", command.description or "", "", "```text", _usage(command), "```", ""]
    for group in command._action_groups:  # noqa: SLF001
        rows = [_row(action) for action in group._group_actions if _told(action)]  # noqa: SLF001
        if not rows:
            continue
        if group.title not in ("options", "positional arguments"):
            told = _marked(f"{group.title}. {group.description or ''}".strip())
            lines += [told[:1].upper() + told[1:], ""]
        kind = "argument" if group.title == "positional arguments" else "option"
        lines += [f"| {kind} | meaning |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def _told(action: argparse.Action) -> bool:
    if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):  # noqa: SLF001
        return False
    return action.help != argparse.SUPPRESS


def _usage(command: argparse.ArgumentParser) -> str:
    """Name what must be given; all the rest is `[options]`."""
    parts, seen = [command.prog], set()
    choices = [group for group in command._mutually_exclusive_groups if group.required]  # noqa: SLF001
    for action in command._actions:  # noqa: SLF001
        group = next((each for each in choices if action in each._group_actions), None)  # noqa: SLF001
        if group is not None and id(group) not in seen:
            seen.add(id(group))
            names = [_name(each) for each in group._group_actions]  # noqa: SLF001
            parts.append(names[0] if len(names) == 1 else f"({' | '.join(names)})")
        elif group is None and (action.required or isinstance(action, argparse._SubParsersAction)):  # noqa: SLF001
            parts.append(_name(action))
    optional = any(
        _told(action) and not action.required and all(action not in each._group_actions for each in choices)  # noqa: SLF001
        for action in command._actions  # noqa: SLF001
    )
    return " ".join([*parts, "[options]"] if optional else parts)


def _name(action: argparse.Action) -> str:
    value = action.metavar or (
        "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    )
    if not action.option_strings:
        return f"{value} ..." if action.nargs in ("+", "*") else str(value)
    takes = not isinstance(action, argparse._StoreTrueAction | argparse._VersionAction)  # noqa: SLF001
    return ", ".join(action.option_strings) + (f" {value}" if takes else "")


def _row(action: argparse.Action) -> str:
    meaning = (action.help or "") % {"default": action.default, "dest": action.dest}
    needed = " Required." if action.required and action.option_strings else ""
    told = _marked(meaning[:1].upper() + meaning[1:]).replace("|", "\\|")
    return f"| `{_name(action)}` | {told}{'' if told.endswith('.') else '.'}{needed} |"


def _marked(text: str) -> str:
    return _CODE.sub(r"\1`\2`", text)
