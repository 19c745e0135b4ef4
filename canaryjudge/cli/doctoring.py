"""The command `doctor`: what keeps metrics from being judged well."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from canaryjudge.cli.inputs import add_arms, add_input, fetched, read_given, spare
from canaryjudge.integrations.prometheus.options import refuse_options
from canaryjudge.policy import load_policy

__all__ = ["add_doctor"]


def add_doctor(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    parser = commands.add_parser(
        "doctor",
        help="say what keeps metrics from being judged well",
        description="Say what keeps metrics from being judged well, and what to do about it: missing metrics, averaged percentiles, coarse resolution, clocks, counters, units, traffic.",
    )
    add_input(parser, live=True, needed=False)
    add_arms(parser)
    parser.add_argument(
        "--format",
        choices=("text", "json", "markdown"),
        default="text",
        help="how to write it (default: text)",
    )
    parser.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    from canaryjudge.readiness import doctor  # noqa: PLC0415 - the other commands look nothing over

    spare(options.save_data, "--save-data", options.policy)
    refuse_options(options)
    policy = load_policy(options.policy)
    data = None
    if options.prometheus is not None:
        data = fetched(options, policy)
    elif options.data is not None:
        data = read_given(options, options.data, policy, finished=True)
    found = doctor(policy, data, baseline=options.baseline, canary=options.canary)
    formats = {"text": found.explain, "json": found.to_json, "markdown": found.to_markdown}
    sys.stdout.write(formats[options.format]().rstrip("\n") + "\n")
    return 0
