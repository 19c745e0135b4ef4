"""The commands of the command line: each is a file, and a line here."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, Final, Never

from canaryjudge._version import __version__
from canaryjudge.cli.before_a_release import add_calibrate, add_doctor, add_plan
from canaryjudge.cli.init import add_init
from canaryjudge.cli.judge import add_judge, add_verify
from canaryjudge.cli.monitor import add_monitor
from canaryjudge.cli.outputs import EXIT_HELP
from canaryjudge.cli.policies import add_import, add_schema, add_validate
from canaryjudge.cli.rollout import add_rollout
from canaryjudge.cli.serve import add_serve
from canaryjudge.cli.streams import BAD_INPUT, complain
from canaryjudge.cli.watch import add_watch
from canaryjudge.settings import nearest

__all__ = ["parser"]

_COMMANDS: Final[tuple[Callable[[Any], None], ...]] = (
    add_judge,
    add_monitor,
    add_watch,
    add_rollout,
    add_serve,
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
