"""Options of the command line, as importers and formats of data state them."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from canaryjudge.errors import PolicyError
from canaryjudge.quantities import parse_duration, shown

__all__ = ["Option", "duration"]


@dataclass(frozen=True, slots=True)
class Option:
    """A setting that one importer or format has of its own.

    Attributes
    ----------
    name : str
        Its name in Python; the command line has dashes in it.
    help : str
        What it is for.
    takes : str
        What is given with it, for the help; nothing for a switch. ``NAME=VALUE`` may be given several times, and makes a mapping.
    flag : str
        What the command line calls it, where that is not its name in Python.
    default : str, optional
        What it is where it is not given.
    """

    name: str
    help: str
    takes: str = ""
    flag: str = ""
    default: str | None = None

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Add it to a parser."""
        flag = self.flag or f"--{self.name.replace('_', '-')}"
        if not self.takes:
            parser.add_argument(flag, dest=self.name, action="store_true", help=self.help)
        elif self.takes == "NAME=VALUE":
            parser.add_argument(
                flag, dest=self.name, action="append", metavar=self.takes, type=_pair, help=self.help
            )
        else:
            parser.add_argument(
                flag, dest=self.name, default=self.default, metavar=self.takes, help=self.help
            )

    def given(self, options: argparse.Namespace) -> list[str]:
        """Return the words of a command line that give it as it was given."""
        flag = self.flag or f"--{self.name.replace('_', '-')}"
        value = getattr(options, self.name)
        if not value or value == self.default:
            return []
        if self.takes == "NAME=VALUE":
            return [word for name, text in value for word in (flag, f"{name}={text}")]
        return [flag, value] if self.takes else [flag]

    def value(self, options: argparse.Namespace) -> Any:
        """Return what was given."""
        value = getattr(options, self.name)
        if self.takes != "NAME=VALUE":
            return value
        given: dict[str, str] = {}
        for name, text in value or ():
            if given.setdefault(name, text) != text:
                flag = self.flag or f"--{self.name}"
                raise PolicyError(
                    f"{flag} {name} is given twice, as {shown(given[name])} and as {shown(text)}",
                    "Give it once.",
                )
        return given


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def duration(text: str) -> float:
    """Read an option that is a duration, such as ``5m``; for argparse."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
