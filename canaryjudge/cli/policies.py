"""The commands `validate`, `schema` and `import`: what concerns a policy and no release."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from canaryjudge.cli.streams import complain
from canaryjudge.errors import CanaryJudgeError, PolicyError
from canaryjudge.explain.layout import listed
from canaryjudge.integrations.importers import IMPORTERS, Importer
from canaryjudge.policy import json_schema, load_policy
from canaryjudge.texts import on_one_line

if TYPE_CHECKING:
    from canaryjudge.integrations.imported import Imported

__all__ = ["add_import", "add_schema", "add_validate"]

_SERVICE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
"""What may be the name of a service in a command line, an address and a file, as it stands."""


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


def add_import(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    parser = commands.add_parser(
        "import",
        help="turn other tools' documents into a policy",
        description="Turn other tools' documents into a policy: YAML on standard output, and on standard error what became of every part.",
    )
    tools = parser.add_subparsers(title="formats", metavar="FORMAT", required=True)
    for name, importer in IMPORTERS.items():
        tool = tools.add_parser(name, help=importer.reads, description=f"Read {importer.reads}.")
        tool.add_argument(
            "files", nargs="+", metavar="FILE", help="YAML or JSON; several documents may refer to each other"
        )
        tool.add_argument(
            "--strict", action="store_true", help="refuse what cannot be judged exactly as it stands (exit 2)"
        )
        for option in importer.options:
            option.add_to(tool)
        tool.set_defaults(run=_import, importer=importer)


def _validate(options: argparse.Namespace) -> int:
    from canaryjudge.doctor_checks import doctor  # noqa: PLC0415 - the other commands look nothing over
    from canaryjudge.explain.readiness import readiness_rows  # noqa: PLC0415

    mistakes: list[CanaryJudgeError] = []
    for path in options.policy:
        try:
            policy = load_policy(path)
        except CanaryJudgeError as error:
            mistakes.append(error)
            continue
        metrics = len(policy.metrics)
        print(f"{on_one_line(path)}: valid, {metrics} metric{'s' if metrics != 1 else ''}")
        for row in readiness_rows(doctor(policy)):
            complain(f"{path}: {row['metric']}: {row['finding']}", row["advice"])
    for mistake in mistakes[:-1]:
        complain(mistake.message.split("\n"), mistake.hint)
    if mistakes:
        raise mistakes[-1]
    return 0


def _schema(_: argparse.Namespace) -> int:
    print(json.dumps(json_schema(), indent=2))
    return 0


def _import(options: argparse.Namespace) -> int:
    importer: Importer = options.importer
    found = importer.load(*options.files, **{each.name: each.value(options) for each in importer.options})
    for remark in found.remarks:
        complain(str(remark), "")
    if not found.metrics:
        raise PolicyError("nothing in these documents can be judged", "The lines above say why.")
    lost = found.of_kind("adapted", "unjudged")
    if options.strict and lost:
        parts = (
            "one part is not judged as it stands"
            if len(lost) == 1
            else f"{len(lost)} parts are not judged as they stand"
        )
        raise PolicyError(parts, "The lines above say why; leave --strict out to take the rest.")
    sys.stdout.write(found.text)
    for line in _recipe(options, found):
        print(line, file=sys.stderr)
    return 0


def _recipe(options: argparse.Namespace, found: Imported) -> Iterator[str]:
    """Say how a gate judges by what was made: two commands, and how the tool asks it then; nothing of what asks no gate."""
    importer: Importer = options.importer
    if not importer.asks:
        return
    service = found.service if _SERVICE.fullmatch(found.service) else "default"
    tool = next(name for name, each in IMPORTERS.items() if each is importer)
    given = [word for each in importer.options for word in each.given(options)]
    unasked = [metric.name for metric in found.metrics if metric.query is None and not importer.sends_data]
    fetched = (
        ""
        if unasked or importer.sends_data
        else f" --prometheus {shlex.quote(on_one_line(found.server or 'URL'))}"
    )
    words = ["canaryjudge", "import", tool, *given, *options.files]
    yield ""
    yield "To have a gate judge by it:"
    yield f"  mkdir -p policies && {on_one_line(shlex.join(words))} > policies/{service}.yaml"
    yield f"  canaryjudge serve --policies policies{fetched}"
    if unasked:
        yield f"No query is known of {listed(unasked)}, so the gate fetches nothing: send it all points, or leave these metrics out of the policy and give --prometheus."
    elif fetched and any(
        not (metric.query and metric.query.baseline and metric.query.canary) for metric in found.metrics
    ):
        yield """Say in the policy what ${selector} is, such as: prometheus: {baseline: 'version="${stable}"', canary: 'version="${revision}"'}"""
    for line in importer.asks:
        yield line[:1].upper() + line[1:].replace("SERVICE", service)
