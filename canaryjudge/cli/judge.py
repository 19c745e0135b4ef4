"""The commands `judge`, one look at a finished window, and `verify`, the same once more."""

from __future__ import annotations

import argparse
import json
from typing import Any

from canaryjudge.cli.inputs import (
    add_arms,
    add_history,
    add_input,
    arm_names,
    read_bytes,
    read_data,
    read_past,
    refuse_server_options,
    refuse_standard_input_twice,
    save_data,
    spare,
)
from canaryjudge.cli.outputs import EXIT_HELP, add_output, refuse_formats_of_one, report, telling
from canaryjudge.errors import DataError
from canaryjudge.policy import load_policy
from canaryjudge.texts import on_one_line

__all__ = ["add_judge", "add_verify"]

_CAUSES = ("version", "policy_digest", "data_digest")
_WHY = {
    "version": "another version of canaryjudge judged",
    "policy_digest": "this is not the policy that was judged",
    "data_digest": "these are not the data that were judged",
}


def add_judge(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    parser = commands.add_parser(
        "judge",
        help="judge a release",
        epilog=EXIT_HELP,
        description="Judge a release: a policy and data in, a verdict out. Several canaries, such as the rings of a release, are judged under one alpha.",
    )
    add_input(parser, live=True)
    add_history(parser)
    add_arms(parser, several=True)
    add_output(parser)
    parser.set_defaults(run=_judge)


def add_verify(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    parser = commands.add_parser(
        "verify",
        help="judge again and compare",
        description="Judge again: 0 if the verdict is reproduced byte for byte, 2 with the first difference.",
    )
    parser.add_argument(
        "--verdict", required=True, metavar="FILE", help="JSON that judge --format json wrote"
    )
    add_input(parser)
    add_history(parser)
    parser.set_defaults(run=_verify)


def _judge(options: argparse.Namespace) -> int:
    from canaryjudge.judging import judge  # noqa: PLC0415 - the other commands need no statistics

    spare(options.save_data, "--save-data", options.policy, options.output, options.history)
    with telling(options, options.policy, options.data, options.history):
        refuse_server_options(options)
        refuse_standard_input_twice(options)
        if len(arm_names(options)) > 2:
            refuse_formats_of_one(options)
        policy = load_policy(options.policy)
        data = read_data(options, policy, finished=True)
        past = read_past(options, policy, data)
        save_data(options, data, past)
        verdict = judge(data, policy, baseline=options.baseline, canary=options.canary, history=past)
        return report(verdict, options)


def _verify(options: argparse.Namespace) -> int:
    from canaryjudge.arm_verdicts import ArmVerdicts  # noqa: PLC0415 - as in _judge
    from canaryjudge.judging import judge  # noqa: PLC0415
    from canaryjudge.verdict import Verdict  # noqa: PLC0415

    written = read_bytes(options.verdict)
    claimed = (ArmVerdicts if _is_of_arms(written) else Verdict).from_json(written)
    policy = load_policy(options.policy)
    refuse_standard_input_twice(options)
    if isinstance(claimed, ArmVerdicts):
        options.baseline = [verdict.baseline_arm for verdict in claimed.values()]
        options.canary = list(claimed)
    else:
        options.baseline, options.canary = claimed.baseline_arm, claimed.canary_arm
    data = read_data(options, policy, finished=True)
    past = read_past(options, policy, data)
    again = judge(data, policy, baseline=options.baseline, canary=options.canary, history=past)
    if again.to_json().encode() == written:
        print(f"reproduced: {on_one_line(claimed.reason)}")
        return 0
    raise _difference(json.loads(written), again.to_dict())


def _is_of_arms(text: bytes) -> bool:
    """Tell whether a document is a judgement of several arms; what is no JSON at all is left to be told as a verdict."""
    try:
        return "arms" in json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return False


def _difference(there: Any, here: Any) -> DataError:
    """Return the error that names the first field in which two verdicts differ: version and digests before what follows from them."""
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
