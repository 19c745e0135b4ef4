"""The commands, and what becomes of their errors. A command is a file and a line here."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, Never

from canaryjudge._version import __version__
from canaryjudge.cli.before_a_release import add_calibrate, add_doctor, add_plan
from canaryjudge.cli.init import add_init
from canaryjudge.cli.judge import add_judge, add_verify
from canaryjudge.cli.monitor import add_monitor
from canaryjudge.cli.outputs import BAD_INPUT, BUG, EXIT_HELP, INTERRUPTED
from canaryjudge.cli.policies import add_import, add_schema, add_validate
from canaryjudge.cli.terminal import complain, described
from canaryjudge.cli.watch import add_watch
from canaryjudge.errors import CanaryJudgeError
from canaryjudge.settings import nearest

__all__ = ["parser", "run"]

_COMMANDS: Final[tuple[Callable[[Any], None], ...]] = (
    add_judge,
    add_monitor,
    add_watch,
    add_init,
    add_calibrate,
    add_plan,
    add_doctor,
    add_verify,
    add_validate,
    add_schema,
    add_import,
)
"""Each command, in the order of the help."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and give its exit code."""
    options = parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        return int(options.run(options))
    except BrokenPipeError:
        # the reader went away; there is nobody to tell, and what is still in the buffer must not fail once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last line of defense: no traceback for users
        said = described(error)
        complain(said.message, said.hint)
        return BAD_INPUT if isinstance(error, (CanaryJudgeError, OSError)) else BUG


class _Parser(argparse.ArgumentParser):
    """Complains as everything else here does: one line and a hint."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse what is unknown here, where the command is known whose options they should be."""
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            wrong = next((one for one in unknown if one.startswith("-")), unknown[0]).partition("=")[0]
            near = nearest(wrong, (name for action in self._actions for name in action.option_strings))
            complain(
                f"unrecognized arguments: {' '.join(unknown)}",
                f"{f'Did you mean {near}? ' if near else ''}See {self.prog} --help.",
            )
            raise SystemExit(BAD_INPUT)
        return options, unknown

    def error(self, message: str) -> Never:
        complain(message, f"See {self.prog} --help.")
        raise SystemExit(BAD_INPUT)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line, with every command; the reference in the docs is written from it."""
    whole = _Parser(prog="canaryjudge", description="Judge a canary against its baseline.", epilog=EXIT_HELP)
    whole.add_argument("--version", action="version", version=f"canaryjudge {__version__}")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in _COMMANDS:
        add(commands)
    return whole
