"""What a command gives back: the verdict in the format that was asked for, and an exit code that a pipeline can act on."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from canaryjudge.verdict import Verdict

__all__ = ["BAD_INPUT", "BUG", "EXIT_HELP", "add_output", "report"]

_EXIT_CODES: Final = {"pass": 0, "fail": 1, "marginal": 3, "no_data": 4}
BAD_INPUT: Final = 2
BUG: Final = 70
EXIT_HELP: Final = (
    "exit codes of judge and monitor: 0 pass, 1 fail, 3 marginal, 4 marginal where every marginal metric lacks data, "
    "2 bad usage or unusable input, 70 a bug of canaryjudge"
)


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the options for the verdict's format, place and exit code."""
    parser.add_argument(
        "--format",
        choices=("text", "json", "markdown", "html"),
        default="text",
        help="how to write the verdict (default: text)",
    )
    parser.add_argument("--output", metavar="FILE", help="write the verdict there instead of standard output")
    parser.add_argument(
        "--exit",
        action="append",
        default=[],
        type=_remapping,
        metavar="OUTCOME=CODE",
        help="use another exit code for pass, fail, marginal or no_data, such as marginal=0; may be repeated",
    )


def report(verdict: Verdict, options: argparse.Namespace) -> int:
    """Write the verdict, and give the exit code."""
    formats = {
        "text": verdict.explain,
        "json": verdict.to_json,
        "markdown": verdict.to_markdown,
        "html": verdict.to_html,
    }
    _write(formats[options.format](), options.output)
    codes: dict[str, int] = _EXIT_CODES | dict(options.exit)
    outcome = verdict.outcome.value
    if verdict.lacks_data:  # who remaps marginal means these too, unless no_data is remapped by itself
        remapped = {name for name, _ in options.exit}
        outcome = "marginal" if "marginal" in remapped and "no_data" not in remapped else "no_data"
    return codes[outcome]


def _write(text: str, output: str | None) -> None:
    text = text if text.endswith("\n") else text + "\n"
    if output is None:
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        Path(output).write_text(text, encoding="utf-8")


def _remapping(text: str) -> tuple[str, int]:
    outcome, _, code = text.partition("=")
    if outcome in _EXIT_CODES and code.isdigit() and int(code) > 255:
        raise argparse.ArgumentTypeError(f"{text!r}: an exit code is at most 255")
    if outcome not in _EXIT_CODES or not code.isdigit():
        raise argparse.ArgumentTypeError(
            f"{text!r} is not like marginal=0 (outcomes: {', '.join(_EXIT_CODES)}; codes 0 to 255)"
        )
    return outcome, int(code)
