"""The command `rollout`: one step of a staged rollout, with the state carried from step to step."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Final

from canaryjudge.cli.inputs import add_arms, add_input, read_past, spare
from canaryjudge.cli.monitor import (
    add_state,
    add_watch_options,
    one_step,
    refuse_other_arms,
    refuse_streams_twice,
    saved_state,
)
from canaryjudge.cli.outputs import EXIT_HELP, add_output, report, telling
from canaryjudge.integrations.writers.formats import FORMATS
from canaryjudge.policy import Policy, load_policy

if TYPE_CHECKING:
    from canaryjudge.patterns import Rollout, RolloutVerdict

__all__ = ["add_rollout"]

_FORMATS: Final = {name: form for name, form in FORMATS.items() if form.of_rollouts}


def add_rollout(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    parser = commands.add_parser(
        "rollout",
        help="take a release through its stages: one step of a pipeline",
        epilog=f"{EXIT_HELP}. Of a rollout, 0 is complete, 1 roll back, and 3 advance or hold",
        description="Take new data into a rollout, and ask what to do: to advance to the next stage of the policy, to hold, to roll back, or that it is complete. "
        "The state file carries it from step to step, and the share that is printed is what the canary should get now, however often a step is run.",
    )
    add_input(parser, live=True)
    add_state(parser, "rollout")
    add_watch_options(parser)
    add_arms(parser)
    add_output(parser, _FORMATS)
    parser.set_defaults(run=_rollout)


def _rollout(options: argparse.Namespace) -> int:
    inputs = (options.policy, options.data, options.history)
    spare(options.state, "--state", *inputs)
    spare(options.save_data, "--save-data", options.policy, options.output, options.state, options.history)
    with telling(options, *inputs, options.state):
        refuse_streams_twice(options)
        verdict: RolloutVerdict = one_step(options, load_policy(options.policy), _resumed, _begun(options))
        return report(verdict, options)


def _resumed(options: argparse.Namespace, policy: Policy) -> Rollout | None:
    from canaryjudge.patterns import Rollout  # noqa: PLC0415 - the other commands need no statistics

    saved = saved_state(options)
    if saved is None:
        return None
    given = None if options.history is None else read_past(options, policy)
    rollout = Rollout.from_json(saved, policy, history=given)
    refuse_other_arms(options, rollout.arms)
    return rollout


def _begun(options: argparse.Namespace) -> Any:
    from canaryjudge.patterns import Rollout  # noqa: PLC0415 - the other commands need no statistics

    def begin(policy: Policy, table: Any) -> tuple[Rollout, Any]:
        past = read_past(options, policy, table)
        return Rollout(policy, baseline=options.baseline, canary=options.canary, history=past), past

    return begin
