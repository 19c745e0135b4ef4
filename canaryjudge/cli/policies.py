"""The commands `validate`, `schema` and `import`: what concerns a policy and no release."""

from __future__ import annotations

import argparse
import json
from typing import Any

from canaryjudge.cli.inputs import add_input, read_bytes, read_given
from canaryjudge.cli.terminal import complain
from canaryjudge.errors import CanaryJudgeError
from canaryjudge.policy import json_schema, load_policy

__all__ = ["add_schema", "add_validate", "add_verify"]


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
    parser.set_defaults(run=_verify)


def add_validate(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    parser = commands.add_parser(
        "validate", help="check a policy", description="Check a policy without data."
    )
    parser.add_argument("policy", nargs="+", metavar="POLICY", help="policy files, YAML or JSON")
    parser.set_defaults(run=_validate)


def add_schema(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    parser = commands.add_parser(
        "schema",
        help="print the JSON Schema of policies",
        description="Print the JSON Schema of policies, for editors.",
    )
    parser.set_defaults(run=_schema)


def _verify(options: argparse.Namespace) -> int:
    from canaryjudge.cli.judge import difference  # noqa: PLC0415 - the other commands compare nothing
    from canaryjudge.judge import judge  # noqa: PLC0415
    from canaryjudge.verdict import Verdict  # noqa: PLC0415

    written = read_bytes(options.verdict)
    claimed = Verdict.from_json(written)
    policy = load_policy(options.policy)
    table = read_given(options, options.data, policy, finished=True)
    again = judge(table, policy, baseline=claimed.baseline_arm, canary=claimed.canary_arm)
    if again.to_json().encode() == written:
        print(f"reproduced: {claimed.reason}")
        return 0
    raise difference(json.loads(written), again.to_dict())


def _validate(options: argparse.Namespace) -> int:
    mistakes: list[CanaryJudgeError] = []
    for path in options.policy:
        try:
            policy = load_policy(path)
        except CanaryJudgeError as error:
            mistakes.append(error)
            continue
        metrics = len(policy.metrics)
        print(f"{path}: valid, {metrics} metric{'s' if metrics != 1 else ''}")
    for mistake in mistakes[:-1]:
        complain(mistake.message, mistake.hint)
    if mistakes:
        raise mistakes[-1]
    return 0


def _schema(_: argparse.Namespace) -> int:
    print(json.dumps(json_schema(), indent=2))
    return 0
