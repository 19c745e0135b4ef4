"""The command `monitor`: one step of a watch, with the state carried from step to step."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from canaryjudge.cli.complaints import complain
from canaryjudge.cli.inputs import add_arms, add_input, fetched, read_given, spare
from canaryjudge.cli.outputs import EXIT_HELP, add_output, report, telling
from canaryjudge.errors import DataError
from canaryjudge.integrations.prometheus_options import refuse_options
from canaryjudge.policy import Policy, load_policy

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
    parser.add_argument(
        "--history",
        metavar="FILE",
        help="data of both arms from when they ran the same version, in the same shape",
    )
    parser.add_argument(
        "--lock-timeout",
        type=_seconds,
        default=10.0,
        metavar="SECONDS",
        help="how long to wait for another step to finish (default: 10)",
    )
    add_arms(parser)
    add_output(parser)
    parser.set_defaults(run=_monitor)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 86400")
    return seconds


def _monitor(options: argparse.Namespace) -> int:
    inputs = (options.policy, options.data, options.history)
    spare(options.state, "--state", *inputs)
    spare(options.save_data, "--save-data", options.policy, options.output, options.state, options.history)
    with telling(options, *inputs, options.state):
        return report(_watched(options), options)


def _watched(options: argparse.Namespace) -> Verdict:
    """Take one step of the watch."""
    from canaryjudge.integrations.state_files import locked, read_state, write_state  # noqa: PLC0415 - judge needs none
    from canaryjudge.monitor import Monitor  # noqa: PLC0415 - the other commands need no statistics

    refuse_options(options)
    if options.data == options.history == "-":
        raise DataError("--data and --history are both standard input", "Read one of them from a file.")
    policy = load_policy(options.policy)
    table = None if options.data is None else read_given(options, options.data, policy)
    history = None if options.history is None else _history(options, policy)
    with locked(options.state, options.lock_timeout):
        saved = read_state(options.state)
        if saved is None:
            monitor = Monitor(policy, baseline=options.baseline, canary=options.canary, history=history)
        else:
            monitor = Monitor.from_json(saved, policy, history=history)
            if monitor.arms != (options.baseline, options.canary):
                raise DataError(
                    f"{options.state}: the watch is of the arms {' and '.join(map(repr, monitor.arms))}",
                    "Name them with --baseline and --canary, or begin a new watch.",
                )
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


def _history(options: argparse.Namespace, policy: Policy) -> Any:
    from canaryjudge.integrations.tables import ending_format  # noqa: PLC0415 - judge has none

    # --data-format is about the data; a history whose name tells its own is read by that
    told = ending_format(options.history) or options.data_format
    told = (
        options.data_format
        if told in ("json", "ndjson") and options.data_format in ("otlp", "kayenta")
        else told
    )
    given = vars(options) | {"data_format": told}
    return read_given(argparse.Namespace(**given), options.history, policy)
