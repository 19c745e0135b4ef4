"""What the commands that watch a release share: their options, a history, and a watch that begins or goes on."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from canaryjudge.cli.inputs import read_given
from canaryjudge.errors import DataError
from canaryjudge.policy import Policy

if TYPE_CHECKING:
    from canaryjudge.monitor import Monitor

__all__ = ["add_watch", "begun", "given_history"]


def add_watch(parser: argparse.ArgumentParser) -> None:
    """Add the options of a watch, but for its state."""
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


def begun(options: argparse.Namespace, policy: Policy, history: Any) -> Monitor:
    """Go on with the watch of the state file, or begin one where there is none."""
    from canaryjudge.integrations.files.state_files import read_state  # noqa: PLC0415 - judge needs none
    from canaryjudge.monitor import Monitor  # noqa: PLC0415 - the other commands need no statistics

    saved = None if options.state is None else read_state(options.state)
    if saved is None:
        return Monitor(policy, baseline=options.baseline, canary=options.canary, history=history)
    monitor = Monitor.from_json(saved, policy, history=history)
    if monitor.arms != (options.baseline, options.canary):
        raise DataError(
            f"{options.state}: the watch is of the arms {' and '.join(map(repr, monitor.arms))}",
            "Name them with --baseline and --canary, or begin a new watch.",
        )
    return monitor


def given_history(options: argparse.Namespace, policy: Policy) -> Any:
    """Read the history; None where none is given."""
    from canaryjudge.integrations.files.tables import ending_format  # noqa: PLC0415 - judge has none

    if options.history is None:
        return None
    # --data-format is about the data; a history whose name tells its own is read by that
    told = ending_format(options.history) or options.data_format
    told = (
        options.data_format
        if told in ("json", "ndjson") and options.data_format in ("otlp", "kayenta")
        else told
    )
    given = vars(options) | {"data_format": told}
    return read_given(argparse.Namespace(**given), options.history, policy)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 86400")
    return seconds
