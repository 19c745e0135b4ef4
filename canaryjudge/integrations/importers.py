"""The command `import`: other tools' documents in, a policy on standard output, an account of every part on standard error."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from canaryjudge.errors import PolicyError
from canaryjudge.explain.layout import on_one_line
from canaryjudge.integrations.argo.importer import load_argo
from canaryjudge.integrations.flagger.importer import load_flagger
from canaryjudge.integrations.imported import Imported
from canaryjudge.integrations.kayenta.importer import load_kayenta
from canaryjudge.integrations.openslo.importer import load_openslo

__all__ = ["IMPORTERS", "add_import"]


@dataclass(frozen=True, slots=True)
class Option:
    """A setting of one importer.

    Attributes
    ----------
    name : str
        Its name in Python; the command line has dashes in it.
    help : str
        What it is for.
    takes : str
        What is given with it, for the help; nothing for a switch. ``NAME=VALUE`` may be given several times, and makes a mapping.
    flag : str
        What the command line calls it, where that is not its name in Python.
    """

    name: str
    help: str
    takes: str = ""
    flag: str = ""

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Add it to a parser."""
        flag = self.flag or f"--{self.name.replace('_', '-')}"
        if not self.takes:
            parser.add_argument(flag, dest=self.name, action="store_true", help=self.help)
        elif self.takes == "NAME=VALUE":
            parser.add_argument(
                flag, dest=self.name, action="append", metavar=self.takes, type=_pair, help=self.help
            )
        else:
            parser.add_argument(flag, dest=self.name, metavar=self.takes, help=self.help)

    def given(self, options: argparse.Namespace) -> Any:
        """Give what was given."""
        value = getattr(options, self.name)
        return dict(value or ()) if self.takes == "NAME=VALUE" else value


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


@dataclass(frozen=True, slots=True)
class Importer:
    """A way to read other tools' documents.

    Attributes
    ----------
    load : callable
        Paths -> what was made of them.
    reads : str
        What it reads, for the help.
    options : tuple of Option
        What it takes beside files.
    """

    load: Callable[..., Imported]
    reads: str
    options: tuple[Option, ...] = ()


_ADD_SELECTOR: Final = Option(
    "add_selector", "put ${selector} into each choice of series of a query whose arms nobody knows"
)
_ARGUMENT: Final = Option(
    "args", "the value of an argument of the analyses; may be given several times", "NAME=VALUE", "--arg"
)
_PROVIDER: Final = Option(
    "provider", "the mesh or ingress of Canaries that name none: istio, linkerd, nginx, ...", "NAME"
)

IMPORTERS: Final[dict[str, Importer]] = {
    "argo": Importer(
        load_argo,
        "Argo Rollouts' manifests: AnalysisTemplates, and the Rollouts and Experiments that use them",
        (_ARGUMENT, _ADD_SELECTOR),
    ),
    "flagger": Importer(
        load_flagger, "Flagger's manifests: Canaries and their MetricTemplates", (_PROVIDER, _ADD_SELECTOR)
    ),
    "kayenta": Importer(
        load_kayenta, "a Kayenta canary config: metrics, groups, directions, effect sizes and thresholds"
    ),
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
        for option in importer.options:
            option.add_to(tool)
        tool.set_defaults(run=_run, importer=importer)


def _run(options: argparse.Namespace) -> int:
    importer: Importer = options.importer
    settings = {option.name: option.given(options) for option in importer.options}
    found = importer.load(*options.files, **settings)
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
