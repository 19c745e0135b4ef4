"""The commands `judge`, one look at a finished window, and `verify`, the same once more."""

from __future__ import annotations

import argparse
import json
from typing import Any

from canaryjudge.cli.inputs import add_arms, add_input, fetched, read_given, spare
from canaryjudge.cli.outputs import EXIT_HELP, add_output, report, telling
from canaryjudge.errors import DataError
from canaryjudge.integrations.prometheus.options import refuse_options
from canaryjudge.policy import load_policy

__all__ = ["add_judge", "difference"]


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


_CAUSES = ("version", "policy_digest", "data_digest")
_WHY = {
    "version": "another version of canaryjudge judged",
    "policy_digest": "this is not the policy that was judged",
    "data_digest": "these are not the data that were judged",
}


def difference(there: Any, here: Any) -> DataError:
    """Make the error that says where a verdict differs from what its policy and data give.

    Parameters
    ----------
    there, here : dict
        The verdict that was claimed, and the one that was found; they differ as files.

    Returns
    -------
    DataError
        It names the first field that differs: version and digests before what follows from them.

    Examples
    --------
    >>> print(difference({"version": "1", "outcome": "pass"}, {"version": "2", "outcome": "fail"}).message)
    another version of canaryjudge judged: version was "1", and is "2"
    """
    layout = ("layout of the file", "the same values", "written differently")
    field, said, found = _first(there, here, "") or layout
    why = _WHY.get(field, "the verdict is not what this policy and data give")
    return DataError(f"{why}: {field} was {said}, and is {found}", "Check policy, data and version.")


def _first(there: Any, here: Any, where: str) -> tuple[str, str, str] | None:
    if isinstance(there, dict) and isinstance(here, dict):
        keys = [*(key for key in _CAUSES if key in here), *here, *there]
        pairs = [(f"{where}.{key}".lstrip("."), there.get(key), here.get(key)) for key in dict.fromkeys(keys)]
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        pairs = [(f"{where}[{index}]", *both) for index, both in enumerate(zip(there, here, strict=True))]
    else:
        same = there == here and type(there) is type(here)
        return None if same else (where, json.dumps(there)[:80], json.dumps(here)[:80])
    return next((found for field, a, b in pairs if (found := _first(a, b, field))), None)
