"""The command line: files in, a verdict on standard output, an exit code that a pipeline can act on."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never

from canaryjudge._version import __version__
from canaryjudge.errors import CanaryJudgeError, DataError
from canaryjudge.integrations.importers import add_import
from canaryjudge.integrations.prometheus_options import add_options, refuse_options
from canaryjudge.policy import Policy, json_schema, load_policy

if TYPE_CHECKING:
    from canaryjudge.verdict import Verdict

__all__ = ["main"]

_EXIT_CODES = {"pass": 0, "fail": 1, "marginal": 3, "no_data": 4}
_BAD_INPUT = 2
_BUG = 70
_EXIT_HELP = (
    "exit codes of judge and monitor: 0 pass, 1 fail, 3 marginal, 4 marginal where every marginal metric lacks data, "
    "2 bad usage or unusable input, 70 a bug of canaryjudge"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Arguments, those of the process where left out.

    Returns
    -------
    int
        The exit code: for `judge` and `monitor` 0 pass, 1 fail, 3 marginal, 4 marginal for want of data; 2 bad usage or unusable input, 70 a
        bug; for other commands 0, 2 or 70.
    """
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        return int(options.run(options))
    except CanaryJudgeError as error:
        _complain(error.message, error.hint)
        return _BAD_INPUT
    except BrokenPipeError:
        # the reader went away; there is nobody to tell, and what is still in the buffer must not fail once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BAD_INPUT
    except OSError as error:
        _complain(
            f"{error.filename or 'input or output'}: {error.strerror or error}",
            "Check the path and its permissions.",
        )
        return _BAD_INPUT
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the last line of defense: no traceback for users
        _complain(
            f"this is a bug of canaryjudge {__version__}: {type(error).__name__}: {error}",
            "Please report it with the policy and data.",
        )
        return _BUG


def _complain(message: str, hint: str) -> None:
    for line in message.splitlines():  # a policy may have several problems, each with its place
        print(f"canaryjudge: {' '.join(line.split())}", file=sys.stderr)
    if hint:
        print(f"hint: {' '.join(hint.split())}", file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    """Complains as everything else here does: one line and a hint."""

    def error(self, message: str) -> Never:
        _complain(message, f"See {self.prog} --help.")
        raise SystemExit(_BAD_INPUT)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="canaryjudge", description="Judge a canary against its baseline.", epilog=_EXIT_HELP
    )
    parser.add_argument("--version", action="version", version=f"canaryjudge {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    judge = commands.add_parser(
        "judge",
        help="judge a release",
        epilog=_EXIT_HELP,
        description="Judge a release: a policy and data in, a verdict out.",
    )
    _add_input(judge, live=True)
    _add_arms(judge)
    _add_output(judge)
    judge.set_defaults(run=_judge)

    monitor = commands.add_parser(
        "monitor",
        help="watch a release: one step of a pipeline",
        epilog=_EXIT_HELP,
        description="Take new data into a watch, and ask for the verdict, which holds however often it is asked. The state file carries the "
        "watch from step to step. Points that come again are known by their time; data without times count anew in every step.",
    )
    _add_input(monitor, live=True)
    monitor.add_argument(
        "--state", required=True, metavar="FILE", help="the watch so far; begun where there is none"
    )
    monitor.add_argument(
        "--history",
        metavar="FILE",
        help="data of both arms from when they ran the same version, in the same shape",
    )
    monitor.add_argument(
        "--lock-timeout",
        type=_seconds,
        default=10.0,
        metavar="SECONDS",
        help="how long to wait for another step to finish (default: 10)",
    )
    _add_arms(monitor)
    _add_output(monitor)
    monitor.set_defaults(run=_monitor)

    verify = commands.add_parser(
        "verify",
        help="judge again and compare",
        description="Judge again: 0 if the verdict is reproduced byte for byte, 2 with the first difference.",
    )
    verify.add_argument(
        "--verdict", required=True, metavar="FILE", help="JSON that judge --format json wrote"
    )
    _add_input(verify)
    verify.set_defaults(run=_verify)

    validate = commands.add_parser(
        "validate", help="check a policy", description="Check a policy without data."
    )
    validate.add_argument("policy", nargs="+", metavar="POLICY", help="policy files, YAML or JSON")
    validate.set_defaults(run=_validate)

    schema = commands.add_parser(
        "schema",
        help="print the JSON Schema of policies",
        description="Print the JSON Schema of policies, for editors.",
    )
    schema.set_defaults(run=_schema)
    add_import(commands)
    return parser


def _add_input(parser: argparse.ArgumentParser, *, live: bool = False) -> None:
    parser.add_argument("--policy", required=True, metavar="FILE", help="the policy, YAML or JSON")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", metavar="FILE", help="CSV, JSON, NDJSON or Parquet; - for standard input")
    if live:
        source.add_argument(
            "--prometheus", metavar="URL", help="ask this server with the policy's queries instead"
        )
        add_options(parser)
    parser.add_argument(
        "--data-format",
        choices=("csv", "json", "ndjson", "parquet", "otlp"),
        help="format of the data, where the name does not tell (standard input: csv or json, by its first character)",
    )
    parser.add_argument(
        "--wide", metavar="COLUMN", help="the data have a column a metric, and this column names the arm"
    )
    parser.add_argument(
        "--arm-attribute",
        default="service.version",
        metavar="ATTRIBUTE",
        help="of OpenTelemetry metrics (--data-format otlp), the attribute that names the arm (default: service.version)",
    )


def _add_arms(parser: argparse.ArgumentParser) -> None:
    for arm in ("baseline", "canary"):
        parser.add_argument(
            f"--{arm}", default=arm, metavar="ARM", help=f"name of the {arm} in the data (default: {arm})"
        )


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format",
        choices=("text", "json", "markdown"),
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


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 86400")
    return seconds


def _remapping(text: str) -> tuple[str, int]:
    outcome, _, code = text.partition("=")
    if outcome in _EXIT_CODES and code.isdigit() and int(code) > 255:
        raise argparse.ArgumentTypeError(f"{text!r}: an exit code is at most 255")
    if outcome not in _EXIT_CODES or not code.isdigit():
        raise argparse.ArgumentTypeError(
            f"{text!r} is not like marginal=0 (outcomes: {', '.join(_EXIT_CODES)}; codes 0 to 255)"
        )
    return outcome, int(code)


def _judge(options: argparse.Namespace) -> int:
    from canaryjudge.judge import judge  # noqa: PLC0415 - the other commands need no statistics

    _spare(options.output, "--output", options.policy, options.data)
    _spare(options.save_data, "--save-data", options.policy, options.output)
    refuse_options(options)
    policy = load_policy(options.policy)
    table = _table(options, options.data, policy) if options.prometheus is None else _fetched(options, policy)
    return _report(judge(table, policy, baseline=options.baseline, canary=options.canary), options)


def _monitor(options: argparse.Namespace) -> int:
    from canaryjudge.integrations.state_files import locked, read_state, write_state  # noqa: PLC0415 - judge needs none
    from canaryjudge.monitor import Monitor  # noqa: PLC0415 - the other commands need no statistics

    _spare(options.state, "--state", options.policy, options.data, options.history)
    _spare(options.output, "--output", options.policy, options.data, options.history, options.state)
    _spare(options.save_data, "--save-data", options.policy, options.output, options.state, options.history)
    refuse_options(options)
    if options.data == options.history == "-":
        raise DataError("--data and --history are both standard input", "Read one of them from a file.")
    policy = load_policy(options.policy)
    table = None if options.data is None else _table(options, options.data, policy)
    history = None if options.history is None else _history(options, policy)
    with locked(options.state, options.lock_timeout):
        saved = read_state(options.state)
        if saved is None:
            monitor = Monitor(policy, baseline=options.baseline, canary=options.canary, history=history)
        else:
            monitor = Monitor.from_json(saved, policy, history=history)
            if monitor.arms != (options.baseline, options.canary):
                raise DataError(
                    f"{options.state}: the watch is of the arms {' and '.join(map(repr, monitor.arms))}",
                    "Name them with --baseline and --canary, or begin a new watch.",
                )
        monitor.update(_fetched(options, policy, monitor.reached) if table is None else table)
        verdict = monitor.verdict()
        # before anything is said: who is killed from here on says it again in the next step
        write_state(options.state, monitor.to_json())
    if untimed := monitor.untimed:
        _complain(
            f"warning: {', '.join(untimed)}: without times, data that are given again count again",
            "Give the column 'time'.",
        )
    return _report(verdict, options)


def _history(options: argparse.Namespace, policy: Policy) -> Any:
    from canaryjudge.integrations.tables import ending_format  # noqa: PLC0415 - judge has none

    # --data-format is about the data; a history whose name tells its own is read by that
    told = ending_format(options.history) or options.data_format
    told = options.data_format if told in ("json", "ndjson") and options.data_format == "otlp" else told
    given = vars(options) | {"data_format": told}
    return _table(argparse.Namespace(**given), options.history, policy)


def _fetched(
    options: argparse.Namespace, policy: Policy, since: Mapping[str, float | None] | None = None
) -> Any:
    from canaryjudge.integrations.prometheus_options import fetch_given  # noqa: PLC0415 - files need no client

    fetched = fetch_given(options, policy, since)
    for remark in fetched.remarks:
        _complain(f"warning: {remark}", "")
    return fetched.data


def _report(verdict: Verdict, options: argparse.Namespace) -> int:
    """Write the verdict, and give the exit code."""
    formats = {"text": verdict.explain, "json": verdict.to_json, "markdown": verdict.to_markdown}
    _write(formats[options.format](), options.output)
    codes: dict[str, int] = _EXIT_CODES | dict(options.exit)
    outcome = verdict.outcome.value
    if verdict.lacks_data:  # who remaps marginal means these too, unless no_data is remapped by itself
        remapped = {name for name, _ in options.exit}
        outcome = "marginal" if "marginal" in remapped and "no_data" not in remapped else "no_data"
    return codes[outcome]


def _spare(output: str | None, option: str, *inputs: str | None) -> None:
    """Refuse to write over what the verdict is made from."""
    for given in inputs:
        if output is None or given is None or given == "-":
            continue
        # two names of one file, or one name of a file that is still to be written
        there = Path(output).exists() and Path(given).exists()
        same = Path(output).samefile(given) if there else os.path.realpath(output) == os.path.realpath(given)
        if same:
            raise DataError(f"{option} {output} would overwrite an input", "Name another file.")


def _write(text: str, output: str | None) -> None:
    text = text if text.endswith("\n") else text + "\n"
    if output is None:
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        Path(output).write_text(text, encoding="utf-8")


def _table(options: argparse.Namespace, source: str, policy: Policy) -> Any:
    from canaryjudge.integrations.otlp import from_otlp  # noqa: PLC0415 - the other commands read no data
    from canaryjudge.integrations.tables import read_table, widen_columns  # noqa: PLC0415

    if source == "-":
        peeked = sys.stdin.buffer.peek(1024) if hasattr(sys.stdin.buffer, "peek") else b""
        likely = "json" if peeked.lstrip()[:1] in (b"{", b"[") else "csv"
        table = read_table(
            sys.stdin.buffer, format=options.data_format or likely, wide=options.wide is not None
        )
    else:
        table = read_table(source, format=options.data_format, wide=options.wide is not None)
    if options.wide is not None:
        return widen_columns(table, options.wide, policy)
    if options.data_format == "otlp":
        return from_otlp(
            table, arm=options.arm_attribute, metrics={metric.name: metric.name for metric in policy.metrics}
        )
    return table


def _verify(options: argparse.Namespace) -> int:
    from canaryjudge.integrations.comparison import difference  # noqa: PLC0415 - the other commands compare nothing
    from canaryjudge.judge import judge  # noqa: PLC0415
    from canaryjudge.verdict import Verdict  # noqa: PLC0415

    written = _read(options.verdict)
    claimed = Verdict.from_json(written)
    policy = load_policy(options.policy)
    table = _table(options, options.data, policy)
    again = judge(table, policy, baseline=claimed.baseline_arm, canary=claimed.canary_arm)
    if again.to_json().encode() == written:
        print(f"reproduced: {claimed.reason}")
        return 0
    raise difference(json.loads(written), again.to_dict())


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file", "Check the path.") from None


def _validate(options: argparse.Namespace) -> int:
    for path in options.policy:
        policy = load_policy(path)
        metrics = len(policy.metrics)
        print(f"{path}: valid, {metrics} metric{'s' if metrics != 1 else ''}")
    return 0


def _schema(_: argparse.Namespace) -> int:
    print(json.dumps(json_schema(), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
