"""The command `plan`: how long a canary must run, and at what share of the traffic."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from canaryjudge.cli.calibrating import add_studies, at_work
from canaryjudge.cli.inputs import read_history
from canaryjudge.cli.tables import refuse_wide
from canaryjudge.errors import PolicyError
from canaryjudge.policy import load_policy
from canaryjudge.policy.document import plain, read_documents
from canaryjudge.policy.loading import read_text

__all__ = ["add_plan"]


def add_plan(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    parser = commands.add_parser(
        "plan",
        help="say how long a canary must run, at what share of the traffic",
        description="Say how long a canary must run, at what share of the traffic, to find a regression of a given size.",
    )
    parser.add_argument("--policy", required=True, metavar="FILE", help="the policy, YAML or JSON")
    parser.add_argument("--history", metavar="FILE", help="healthy metrics of the whole service")
    parser.add_argument(
        "--assume",
        action="append",
        default=[],
        metavar="FILE|[METRIC.]KEY=VALUE",
        help="what to assume of a metric, or of all, such as errors.level=0.1%% or traffic=5000; a file maps metrics to such keys",
    )
    parser.add_argument("--size", default="25%", help="the regression to find (default: 25%%)")
    parser.add_argument("--power", default="80%", help="how surely (default: 80%%)")
    parser.add_argument(
        "--share", help="the canary's share of the traffic (default: the policy's split, or 10%%)"
    )
    parser.add_argument(
        "--simulate", type=int, default=0, metavar="RUNS", help="check by so many simulated releases a metric"
    )
    add_studies(parser)
    parser.set_defaults(run=_plan)


def _plan(options: argparse.Namespace) -> int:
    from canaryjudge.planning import Simulation, plan  # noqa: PLC0415 - the other commands need no simulation

    policy = load_policy(options.policy)
    names = [metric.name for metric in policy.metrics]
    if options.history is None:
        refuse_wide(options, "this is about the history, and there is none")
    history = None if options.history is None else read_history(options, policy)
    with at_work(options.jobs if options.simulate else 1, len(names)) as executor:
        found = plan(
            policy,
            history,
            assume=_assumptions(options.assume, names),
            size=options.size,
            power=options.power,
            share=options.share,
            simulation=Simulation(
                max(0, options.simulate), options.seed, executor, False if options.quiet else None
            ),
        )
    formats = {"text": found.explain, "json": found.to_json, "markdown": found.to_markdown}
    sys.stdout.write(formats[options.format]().rstrip("\n") + "\n")
    return 0


def _assumptions(given: list[str], names: list[str]) -> dict[str, dict[str, Any]]:
    """Put together what files and keys say; later ones win."""
    found: dict[str, dict[str, Any]] = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals:
            for metric, fields in _from_file(one).items():
                found.setdefault(str(metric), {}).update(fields)
            continue
        # a metric's name may have dots of its own
        metric, _, field = key.rpartition(".")
        if metric and metric not in names and metric != "*":
            raise PolicyError(
                f"--assume {one}: the policy has no metric {metric!r}", f"Its metrics: {', '.join(names)}."
            )
        found.setdefault(metric or "*", {})[field] = _read(value)
    return found


def _read(value: str) -> Any:
    roots, _ = read_documents(value, "--assume", "a value")
    return plain(roots[0]) if roots else None


def _from_file(name: str) -> dict[Any, dict[str, Any]]:
    roots, complaints = read_documents(
        read_text(Path(name), what="a mapping of assumptions"), name, "assumptions"
    )
    document = plain(roots[0]) if len(roots) == 1 and not complaints else None
    if not isinstance(document, dict) or not all(isinstance(fields, dict) for fields in document.values()):
        raise PolicyError(
            f"{name}: this is not a mapping of metrics to assumptions",
            "Write it like errors: {level: 0.1%, traffic: 5000}.",
        )
    return document
