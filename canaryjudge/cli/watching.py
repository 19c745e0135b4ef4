"""The command `watch`: looks at a growing file or a server again and again, until the release is decided."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final

from canaryjudge.cli.inputs import add_arms, add_input, spare
from canaryjudge.cli.looks import Clock, Look, Pace, looks
from canaryjudge.cli.outputs import EXIT_HELP, INTERRUPTED, add_output, report, telling
from canaryjudge.cli.screens import screen_on, why_it_ended
from canaryjudge.cli.sources import source_of
from canaryjudge.cli.watches import add_watch, begun, given_history
from canaryjudge.errors import DataError, PolicyError
from canaryjudge.integrations.prometheus.options import duration, refuse_options
from canaryjudge.policy import Policy, load_policy

if TYPE_CHECKING:
    from canaryjudge.monitor import Monitor
    from canaryjudge.verdict import Verdict

__all__ = ["add_watch_command", "watch"]

_INTERVAL: Final = 15.0
_PATIENCE: Final = 600.0
_SHORTEST: Final = 1.0


def add_watch_command(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    parser = commands.add_parser(
        "watch",
        help="watch a release until it is decided",
        epilog=f"{EXIT_HELP}; 130 interrupted",
        description="Look again and again at a file that grows, or at a server, and show how the release stands; alpha and beta hold for all "
        "looks together. It ends as soon as the release passes or fails, at the end that the policy gives the watch, or after --for.",
    )
    add_input(parser, live=True)
    parser.add_argument(
        "--interval",
        type=_interval,
        default=_INTERVAL,
        metavar="DURATION",
        help="from one look to the next (default: 15s)",
    )
    parser.add_argument(
        "--for",
        dest="limit",
        type=duration,
        metavar="DURATION",
        help="end undecided after so long (default: the policy's max_duration, and --patience for late data)",
    )
    parser.add_argument(
        "--patience",
        type=duration,
        default=_PATIENCE,
        metavar="DURATION",
        help="how long the source may be away, or bring nothing new (default: 10m)",
    )
    parser.add_argument("--state", metavar="FILE", help="keep the watch there, and go on from it")
    add_watch(parser)
    add_arms(parser)
    add_output(parser)
    parser.set_defaults(run=watch)


def watch(options: argparse.Namespace, clock: Clock | None = None) -> int:
    """Watch until the end.

    Parameters
    ----------
    options : argparse.Namespace
        Of the command.
    clock : Clock, optional
        The time, and how it is let pass.

    Returns
    -------
    int
        The exit code of the last verdict, or 130 where it was interrupted.
    """
    inputs = (options.policy, options.data, options.history)
    spare(options.state, "--state", *inputs)
    with telling(options, *inputs, options.state):
        refuse_options(options)
        _refuse(options)
        policy = load_policy(options.policy)
        pace = Pace(options.interval, options.patience, _limit(options, policy))
        history = given_history(options, policy)
        with _kept(options):
            return _watched(options, policy, begun(options, policy, history), pace, clock or Clock())


def _refuse(options: argparse.Namespace) -> None:
    """Refuse what a watch has no use for."""
    if options.data == "-":
        raise DataError(
            "--data -: standard input cannot be read again", "Name a file, or take the steps with monitor."
        )
    for name in ("at", "save_data"):
        if getattr(options, name) is not None:
            option = "--" + name.replace("_", "-")
            raise DataError(
                f"{option} is for one look, and a watch looks again and again",
                "Leave it out, or use judge or monitor.",
            )


def _limit(options: argparse.Namespace, policy: Policy) -> float | None:
    """Give the seconds after which the watch ends whatever comes."""
    if options.limit is not None:
        return float(options.limit)
    if not policy.has_deadline:
        raise PolicyError(
            f"{options.policy}: the policy gives the watch no end, so it might never end",
            "Give the policy max_duration or max_points, or give --for, such as --for 1h.",
        )
    return None if policy.max_duration is None else policy.max_duration + float(options.patience)


def _kept(options: argparse.Namespace) -> Any:
    """Hold the state file for as long as the watch goes on."""
    from canaryjudge.integrations.files.state_files import locked  # noqa: PLC0415 - judge needs none

    return nullcontext() if options.state is None else locked(options.state, options.lock_timeout)


def _watched(options: argparse.Namespace, policy: Policy, monitor: Monitor, pace: Pace, clock: Clock) -> int:
    source = source_of(options, policy)
    monitor.keep_recent()

    def take() -> tuple[Verdict, list[str]]:
        remarks = source.feed(monitor)
        verdict = monitor.verdict()
        _save(options, monitor)
        return verdict, remarks

    # standard output is for the verdict alone where a tool reads it
    aside = options.output is None and options.format != "text"
    screen = screen_on(sys.stderr if aside else sys.stdout)
    last: Look | None = None
    try:
        for look in looks(take, pace, clock):
            last = look
            screen.show(look, _drawn(look.verdict, monitor))
    except KeyboardInterrupt:
        if last is not None:
            screen.close("interrupted: this is how it stood")
            report(last.verdict, options, shown=_drawn(last.verdict, monitor))
        return INTERRUPTED
    assert last is not None  # noqa: S101 - there is a first look, or an error
    screen.close(why_it_ended(last))
    return report(last.verdict, options, shown=_drawn(last.verdict, monitor))


def _save(options: argparse.Namespace, monitor: Monitor) -> None:
    if options.state is not None:
        from canaryjudge.integrations.files.state_files import write_state  # noqa: PLC0415 - only those who keep a state

        write_state(options.state, monitor.to_json())


def _drawn(verdict: Verdict, monitor: Monitor) -> Verdict:
    """Add the latest points, to be drawn."""
    metrics = {
        name: verdict.metrics[name].model_copy(update={"baseline": baseline, "canary": canary})
        for name, (baseline, canary) in monitor.recent.items()
    }
    return verdict.model_copy(update={"metrics": metrics})


def _interval(text: str) -> float:
    seconds = duration(text)
    if seconds < _SHORTEST:
        raise argparse.ArgumentTypeError(f"{text!r} is too short an interval; take 1s or more")
    return seconds
