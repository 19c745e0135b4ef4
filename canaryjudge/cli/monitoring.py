"""The command `monitor`: one step of a watch, with the state carried from step to step."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from canaryjudge.cli.complaints import complain
from canaryjudge.cli.inputs import add_arms, add_input, fetched, read_given, spare
from canaryjudge.cli.outputs import EXIT_HELP, add_output, report, telling
from canaryjudge.cli.watches import add_watch, begun, given_history
from canaryjudge.errors import DataError
from canaryjudge.integrations.prometheus.options import refuse_options
from canaryjudge.policy import load_policy

if TYPE_CHECKING:
    from canaryjudge.verdict import Verdict

__all__ = ["add_monitor"]


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
    parser.add_argument(
        "--state", required=True, metavar="FILE", help="the watch so far; begun where there is none"
    )
    add_watch(parser)
    add_arms(parser)
    add_output(parser)
    parser.set_defaults(run=_monitor)


def _monitor(options: argparse.Namespace) -> int:
    inputs = (options.policy, options.data, options.history)
    spare(options.state, "--state", *inputs)
    spare(options.save_data, "--save-data", options.policy, options.output, options.state, options.history)
    with telling(options, *inputs, options.state):
        return report(_watched(options), options)


def _watched(options: argparse.Namespace) -> Verdict:
    """Take one step of the watch."""
    from canaryjudge.integrations.files.state_files import locked, write_state  # noqa: PLC0415 - judge needs none

    refuse_options(options)
    if options.data == options.history == "-":
        raise DataError("--data and --history are both standard input", "Read one of them from a file.")
    policy = load_policy(options.policy)
    table = None if options.data is None else read_given(options, options.data, policy)
    history = given_history(options, policy)
    with locked(options.state, options.lock_timeout):
        monitor = begun(options, policy, history)
        monitor.update(fetched(options, policy, monitor.reached) if table is None else table)
        verdict = monitor.verdict()
        # before anything is said: who is killed from here on says it again in the next step
        write_state(options.state, monitor.to_json())
    if untimed := monitor.untimed:
        complain(
            f"warning: {', '.join(untimed)}: without times, data that are given again count again",
            "Give the column 'time'.",
        )
    return verdict
