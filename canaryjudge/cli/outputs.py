"""What a command gives back: the verdict in the formats that were asked for, and an exit code that a pipeline can act on."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from canaryjudge.cli.inputs import same_file, spare
from canaryjudge.cli.streams import described, write_file
from canaryjudge.cli.terminal import terminal_text
from canaryjudge.errors import CanaryJudgeError, DataError
from canaryjudge.integrations.writers.formats import FORMATS, VerdictFormat
from canaryjudge.results import ReleaseResult

if TYPE_CHECKING:
    from canaryjudge.arm_verdicts import ArmVerdicts
    from canaryjudge.patterns import RolloutVerdict
    from canaryjudge.verdict import Verdict

__all__ = ["EXIT_HELP", "add_output", "refuse_formats_of_one", "report", "telling", "written_files"]

_EXIT_CODES: Final = {"pass": 0, "fail": 1, "marginal": 3, "no_data": 4}
EXIT_HELP: Final = (
    "exit codes of judge, monitor and watch: 0 pass, 1 fail, 3 marginal, 4 marginal where every marginal metric lacks data, "
    "2 bad usage, unusable input or a verdict that cannot be delivered, 70 a bug of canaryjudge"
)


class _Destination(NamedTuple):
    """A format, and the file or directory that it goes to: standard output where there is none."""

    format: str
    path: str | None
    option: str
    brief: bool = False

    @property
    def is_text_here(self) -> bool:
        """Whether it is text on standard output, which may be a terminal."""
        return self.format == "text" and self.path is None

    def files(self) -> list[str]:
        """List what would be written over."""
        names = FORMATS[self.format].files
        if self.path is None:
            return []
        return [str(Path(self.path, name)) for name in names] if names else [self.path]

    def write(self, said: Verdict | ArmVerdicts | RolloutVerdict | CanaryJudgeError) -> None:
        """Write there."""
        form = FORMATS[self.format]
        if self.is_text_here and isinstance(said, ReleaseResult):
            text: str | Mapping[str, str] = terminal_text(said, brief=self.brief)
        elif self.brief and not isinstance(said, CanaryJudgeError):
            text = said.explain(brief=True)
        else:
            text = form.write(said)
        if not isinstance(text, str):
            for name, part in text.items():
                # a result is the whole file: no line break may follow it
                write_file(str(Path(self.path or "", name)), part)
            return
        text = text if text.endswith("\n") else text + "\n"
        if self.path is None:
            sys.stdout.write(text)
            sys.stdout.flush()
        else:
            write_file(self.path, text, append=form.appends)


def add_output(parser: argparse.ArgumentParser, known: Mapping[str, VerdictFormat] = FORMATS) -> None:
    """Add the options for the verdict's formats, places and exit code."""
    formats = "; ".join(f"{name}: {form.tells}" for name, form in known.items())
    parser.add_argument(
        "--format",
        choices=tuple(known),
        default="text",
        metavar="FORMAT",
        help=f"how to write the verdict (default: text). {formats}",
    )
    parser.add_argument(
        "--brief",
        action="store_true",
        help="write text in a handful of lines: what to do, what decided, and what is undecided and why",
    )
    parser.add_argument("--output", metavar="FILE", help="write the verdict there instead of standard output")
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        type=partial(_destination, known=known),
        metavar="FORMAT=FILE",
        help=f"write the verdict to another file too, such as {'junit=report.xml' if 'junit' in known else 'json=verdict.json'}; may be repeated",
    )
    parser.add_argument(
        "--exit",
        action="append",
        default=[],
        type=_remapping,
        metavar="OUTCOME=CODE",
        help="use another exit code for pass, fail, marginal or no_data, such as marginal=0; may be repeated",
    )


@contextlib.contextmanager
def telling(options: argparse.Namespace, *inputs: str | None) -> Iterator[None]:
    """Tell an error of what is done here in every format that can tell one; and refuse beforehand to write over `inputs`."""
    destinations = _destinations(options)
    taken: list[str] = []
    for destination in destinations:
        for file in destination.files():
            spare(file, destination.option, *inputs, options.save_data)
            if not FORMATS[destination.format].appends:
                if any(same_file(file, other) for other in taken):
                    raise DataError(
                        f"{destination.option} {file} would be written twice", "Name another file."
                    )
                taken.append(file)
    try:
        yield
    except BrokenPipeError:
        raise
    except Exception as error:
        for destination in destinations:
            if FORMATS[destination.format].of_errors:
                with contextlib.suppress(Exception):  # it may be what went wrong, and that is told
                    destination.write(described(error))
        raise


def written_files(options: argparse.Namespace) -> list[str]:
    """List what a command writes to beside standard output and its state."""
    saved = [] if options.save_data is None else [options.save_data]
    return [*saved, *(file for destination in _destinations(options) for file in destination.files())]


def refuse_formats_of_one(options: argparse.Namespace) -> None:
    """Refuse formats that tell one release, where there are several canaries."""
    for destination in _destinations(options):
        if not FORMATS[destination.format].of_arms:
            known = ", ".join(name for name, form in FORMATS.items() if form.of_arms)
            raise DataError(
                f"the format {destination.format} tells one release, and several canaries are named",
                f"Take one of {known}.",
            )


def report(
    verdict: Verdict | ArmVerdicts | RolloutVerdict,
    options: argparse.Namespace,
    *,
    shown: Verdict | None = None,
) -> int:
    """Write the verdict, and give the exit code; a terminal is `shown` it with what there is to be drawn."""
    for destination in _destinations(options):
        destination.write(verdict if shown is None or not destination.is_text_here else shown)
    codes: dict[str, int] = _EXIT_CODES | dict(options.exit)
    outcome = verdict.outcome.value
    if verdict.lacks_data:  # who remaps marginal means these too, unless no_data is remapped by itself
        remapped = {name for name, _ in options.exit}
        outcome = "marginal" if "marginal" in remapped and "no_data" not in remapped else "no_data"
    return codes[outcome]


def _destinations(options: argparse.Namespace) -> list[_Destination]:
    """List where to write; last what `--format` says, so that standard output tells a verdict only where all files do."""
    if options.output is None and FORMATS[options.format].files:
        raise DataError(
            f"--format {options.format} writes several files",
            "Name their directory with --output, such as /tekton/results.",
        )
    found = [*options.also, _Destination(options.format, options.output, "--output")]
    if options.brief and all(destination.format != "text" for destination in found):
        raise DataError("--brief is about text, and none is written", "Leave it out, or take --format text.")
    return [each._replace(brief=options.brief and each.format == "text") for each in found]


def _destination(text: str, known: Mapping[str, VerdictFormat]) -> _Destination:
    name, _, path = text.partition("=")
    if name not in known or not path:
        like = "junit=report.xml" if "junit" in known else "json=verdict.json"
        raise argparse.ArgumentTypeError(f"{text!r} is not like {like} (formats: {', '.join(known)})")
    return _Destination(name, path, "--also")


def _remapping(text: str) -> tuple[str, int]:
    outcome, _, code = text.partition("=")
    if outcome in _EXIT_CODES and code.isdigit() and int(code) > 255:
        raise argparse.ArgumentTypeError(f"{text!r}: an exit code is at most 255")
    if outcome not in _EXIT_CODES or not code.isdigit():
        raise argparse.ArgumentTypeError(
            f"{text!r} is not like marginal=0 (outcomes: {', '.join(_EXIT_CODES)}; codes 0 to 255)"
        )
    return outcome, int(code)
