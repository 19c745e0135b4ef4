"""The command `monitor`: one step of a watch, with the state carried from step to step."""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from canaryjudge.cli.inputs import (
    add_arms,
    add_history,
    add_input,
    read_data,
    read_past,
    refuse_server_options,
    refuse_standard_input_twice,
    save_data,
    spare,
)
from canaryjudge.cli.outputs import EXIT_HELP, add_output, report, telling, written_files
from canaryjudge.cli.streams import complain, naming, standard_input
from canaryjudge.errors import DataError
from canaryjudge.policy import Policy, load_policy

if TYPE_CHECKING:
    from canaryjudge.monitor import Monitor
    from canaryjudge.patterns import Rollout
    from canaryjudge.verdict import Verdict

__all__ = [
    "add_monitor",
    "add_state",
    "add_watch_options",
    "begun",
    "one_step",
    "refuse_other_arms",
    "refuse_streams_twice",
    "resumed",
    "saved_state",
]

_STREAMS = "-"
"""The name of a state that comes from standard input and goes to standard output."""


def add_state(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the option for the state of one step."""
    parser.add_argument(
        "--state",
        required=True,
        metavar="FILE",
        help=f"the {what} so far; begun where there is none; - reads it from standard input, where nothing is a beginning, and writes the new one to standard output",
    )


def refuse_streams_twice(options: argparse.Namespace) -> None:
    """Refuse to read two things from standard input, and to write more to standard output than the state that goes there."""
    refuse_standard_input_twice(options)
    if options.state != _STREAMS:
        return
    if options.output is None or any(map(_is_standard_output, written_files(options))):
        raise DataError(
            "--state -: the state goes to standard output, and so would more than the state",
            "Name a file for the verdict with --output, such as --output verdict.txt or --output /dev/stderr.",
        )
    with suppress(OSError):
        read, written = os.fstat(0), os.fstat(1)
        if stat.S_ISREG(read.st_mode) and os.path.samestat(read, written):
            raise DataError(
                "--state -: standard input and output are one file, which the shell has emptied",
                "Write the new state to another file, and move it over the old one after the step; or name the file with --state.",
            )


def _is_standard_output(path: str) -> bool:
    """Tell whether what is written there comes into the same file or pipe as the state."""
    try:
        there, here = Path(path).stat(), os.fstat(1)
    except OSError:
        return False
    return os.path.samestat(there, here) and (stat.S_ISREG(here.st_mode) or stat.S_ISFIFO(here.st_mode))


def saved_state(options: argparse.Namespace) -> bytes | None:
    """Read the state that the command line names; None where there is none yet."""
    from canaryjudge.integrations.files.state_files import read_state  # noqa: PLC0415 - judge needs none

    if options.state == _STREAMS:
        with naming("standard input"):
            return standard_input().read().strip() or None
    return None if options.state is None else read_state(options.state)


def add_watch_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a watch, but for its state: its history, and how long to wait for the state file."""
    add_history(parser)
    parser.add_argument(
        "--lock-timeout",
        type=_seconds,
        default=10.0,
        metavar="SECONDS",
        help="how long to wait for another step to finish (default: 10)",
    )


def resumed(options: argparse.Namespace, policy: Policy) -> Monitor | None:
    """Go on with the watch of the state file, which keeps what its history says; None where there is none."""
    from canaryjudge.monitor import Monitor  # noqa: PLC0415 - the other commands need no statistics

    saved = saved_state(options)
    if saved is None:
        return None
    given = None if options.history is None else read_past(options, policy)
    monitor = Monitor.from_json(saved, policy, history=given)
    refuse_other_arms(options, monitor.arms)
    return monitor


def refuse_other_arms(options: argparse.Namespace, arms: tuple[str, str]) -> None:
    """Refuse to go on with a watch of other arms."""
    if arms != (options.baseline, options.canary):
        raise DataError(
            f"{'standard input' if options.state == _STREAMS else options.state}: the watch is of the arms {' and '.join(map(repr, arms))}",
            "Name them with --baseline and --canary, or begin a new watch.",
        )


def begun(options: argparse.Namespace, policy: Policy, past: Any) -> Monitor:
    """Begin a watch, with what is known of the service from before."""
    from canaryjudge.monitor import Monitor  # noqa: PLC0415 - the other commands need no statistics

    return Monitor(policy, baseline=options.baseline, canary=options.canary, history=past)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 86400")
    return seconds


def add_monitor(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    parser = commands.add_parser(
        "monitor",
        help="watch a release: one step of a pipeline",
        epilog=EXIT_HELP,
        description="Take new data into a watch, and ask for the verdict, which holds however often it is asked. The state file carries the "
        "watch from step to step. Points that come again are known by their time; data without times count anew in every step.",
    )
    add_input(parser, live=True)
    add_state(parser, "watch")
    add_watch_options(parser)
    add_arms(parser)
    add_output(parser)
    parser.set_defaults(run=_monitor)


def _monitor(options: argparse.Namespace) -> int:
    inputs = (options.policy, options.data, options.history)
    spare(options.state, "--state", *inputs)
    spare(options.save_data, "--save-data", options.policy, options.output, options.state, options.history)
    with telling(options, *inputs, options.state):
        refuse_streams_twice(options)
        return report(_watched(options), options)


def _watched(options: argparse.Namespace) -> Verdict:
    """Take one step of the watch."""

    def begin(policy: Policy, table: Any) -> tuple[Monitor, Any]:
        past = read_past(options, policy, table)
        return begun(options, policy, past), past

    verdict: Verdict = one_step(options, load_policy(options.policy), resumed, begin)
    return verdict


_Watch = TypeVar("_Watch", "Monitor", "Rollout")


def one_step(
    options: argparse.Namespace,
    policy: Policy,
    resume: Callable[[argparse.Namespace, Policy], _Watch | None],
    begin: Callable[[Policy, Any], tuple[_Watch, Any]],
) -> Any:
    """Take one step of a watch that is resumed, or begun with the past that there is: new data in, the verdict out, the state written in between."""
    from canaryjudge.integrations.files.state_files import locked, write_state  # noqa: PLC0415 - judge needs none

    streams = options.state == _STREAMS
    refuse_server_options(options)
    table = None if options.data is None else read_data(options, policy)
    with nullcontext() if streams else locked(options.state, options.lock_timeout):
        monitor, past = resume(options, policy), None
        if table is None:
            table = read_data(options, policy, since=None if monitor is None else monitor.reached)
        if monitor is None:
            monitor, past = begin(policy, table)
        save_data(options, table, past)
        monitor.update(table)
        verdict = monitor.verdict()
        # before anything is said: who is killed from here on says it again in the next step
        if streams:
            sys.stdout.write(monitor.to_json())
            sys.stdout.flush()
        else:
            with naming(options.state):
                write_state(options.state, monitor.to_json())
    if untimed := monitor.untimed:
        complain(
            f"warning: {', '.join(untimed)}: without times, data that are given again count again",
            "Give the column 'time'.",
        )
    return verdict
