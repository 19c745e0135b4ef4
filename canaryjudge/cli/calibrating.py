"""The command `calibrate`: what a policy would have said of this service's own past, and what policy would keep its promise there."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from canaryjudge.cli.inputs import read_history, spare
from canaryjudge.cli.tables import add_wide
from canaryjudge.policy import load_policy
from canaryjudge.policy.loading import read_text

__all__ = ["add_calibrate", "add_studies", "at_work"]


def add_calibrate(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    parser = commands.add_parser(
        "calibrate",
        help="judge a service's own healthy past, and propose a policy",
        description="Judge a service's own healthy past by a policy: how often it would have failed, what it would find, and a policy that keeps its promise there.",
    )
    parser.add_argument("--policy", required=True, metavar="FILE", help="the policy, YAML or JSON")
    parser.add_argument(
        "--history",
        required=True,
        metavar="FILE",
        help="metrics of a healthy time, or of past releases: CSV, JSON, NDJSON or Parquet; - for standard input",
    )
    parser.add_argument(
        "--length",
        type=_length,
        metavar="POINTS|DURATION",
        help="how long a canary is, such as 60 or 1h (default: the policy's max_points or max_duration, or 60 points)",
    )
    parser.add_argument(
        "--pairs", type=int, default=200, metavar="N", help="healthy pairs a metric (default: 200)"
    )
    parser.add_argument("--output", metavar="FILE", help="write the proposed policy there")
    add_studies(parser)
    parser.set_defaults(run=_calibrate)


def add_studies(parser: argparse.ArgumentParser) -> None:
    """Add what the commands that simulate have in common."""
    parser.add_argument(
        "--format",
        choices=("text", "json", "markdown"),
        default="text",
        help="how to write it (default: text)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the random draws (default: 0)")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: one a core)"
    )
    parser.add_argument("--quiet", action="store_true", help="do not show progress on standard error")
    parser.add_argument(
        "--data-format",
        choices=("csv", "tsv", "json", "ndjson", "parquet"),
        help="format of the history, where the name does not tell",
    )
    add_wide(parser, one_arm=True)


def at_work(jobs: int, tasks: int) -> Any:
    """Give a pool of processes, or nothing where one would do."""
    if min(jobs, tasks) <= 1:
        return nullcontext()
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415 - small policies need none

    return ProcessPoolExecutor(min(jobs, tasks))


def _length(text: str) -> int | str:
    return int(text) if text.isdigit() else text


def _calibrate(options: argparse.Namespace) -> int:
    from canaryjudge.calibration import calibrate  # noqa: PLC0415 - the other commands need no simulation
    from canaryjudge.integrations.files.policy_edits import as_diff, edited  # noqa: PLC0415

    spare(options.output, "--output", options.policy, options.history)
    policy = load_policy(options.policy)
    history = read_history(options, policy)
    with at_work(options.jobs, len(policy.metrics)) as executor:
        found = calibrate(
            history,
            policy,
            length=options.length,
            pairs=options.pairs,
            seed=options.seed,
            executor=executor,
            progress=False if options.quiet else None,
        )
    before = read_text(Path(options.policy))
    after = edited(before, found.proposals, options.policy)
    if options.output is not None:
        Path(options.output).write_text(after, encoding="utf-8")
    if options.format == "json":
        sys.stdout.write(found.to_json())
        return 0
    diff = as_diff(before, after, options.policy)
    if options.format == "markdown":
        print(found.to_markdown() + (f"\n```diff\n{diff}```" if diff else ""))
        return 0
    print(found.explain())
    if diff:
        print(f"\n{diff}", end="")
    return 0
