"""The command `judge`: one look at a finished window."""

from __future__ import annotations

import argparse
from typing import Any

from canaryjudge.cli.inputs import add_arms, add_input, fetched, read_given, spare
from canaryjudge.cli.outputs import EXIT_HELP, add_output, report, telling
from canaryjudge.integrations.prometheus.options import refuse_options
from canaryjudge.policy import load_policy

__all__ = ["add_judge"]


def add_judge(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    parser = commands.add_parser(
        "judge",
        help="judge a release",
        epilog=EXIT_HELP,
        description="Judge a release: a policy and data in, a verdict out.",
    )
    add_input(parser, live=True)
    add_arms(parser)
    add_output(parser)
    parser.set_defaults(run=_judge)


def _judge(options: argparse.Namespace) -> int:
    from canaryjudge.judge import judge  # noqa: PLC0415 - the other commands need no statistics

    spare(options.save_data, "--save-data", options.policy, options.output)
    with telling(options, options.policy, options.data):
        refuse_options(options)
        policy = load_policy(options.policy)
        live = options.prometheus is not None
        table = fetched(options, policy) if live else read_given(options, options.data, policy, finished=True)
        return report(judge(table, policy, baseline=options.baseline, canary=options.canary), options)
