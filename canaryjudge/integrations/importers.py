"""The command `import`: other tools' documents in, a policy on standard output, an account of every part on standard error."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from canaryjudge.errors import PolicyError
from canaryjudge.explain.lines import on_one_line
from canaryjudge.integrations.imports import Imported
from canaryjudge.integrations.openslo import load_openslo

__all__ = ["IMPORTERS", "add_import"]


@dataclass(frozen=True, slots=True)
class Importer:
    """A way to read other tools' documents.

    Attributes
    ----------
    load : callable
        Paths -> what was made of them.
    reads : str
        What it reads, for the help.
    """

    load: Callable[..., Imported]
    reads: str


IMPORTERS: Final[dict[str, Importer]] = {
    "openslo": Importer(load_openslo, "OpenSLO documents: SLOs with their indicators and alert policies"),
}
"""Each importer by the name that the command line knows it by: a new one is a line here."""


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
        tool.set_defaults(run=_run, importer=importer)


def _run(options: argparse.Namespace) -> int:
    found: Imported = options.importer.load(*options.files)
    for remark in found.remarks:
        sys.stderr.write(f"canaryjudge: {on_one_line(str(remark))}\n")
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
    return 0
