"""The commands `calibrate`, `plan` and `doctor`: what can be known before a release."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from canaryjudge.cli.inputs import (
    TABLE_TITLES,
    add_arms,
    add_input,
    add_policy,
    add_table_format,
    read_data,
    read_history,
    refuse_server_options,
    refuse_wide,
    save_data,
    spare,
)
from canaryjudge.cli.streams import naming, write_file
from canaryjudge.errors import DataError, PolicyError
from canaryjudge.policy import load_policy
from canaryjudge.policy.document import plain, read_documents
from canaryjudge.policy.loading import read_text

if TYPE_CHECKING:
    from canaryjudge.planning import Plan

__all__ = ["add_calibrate", "add_doctor", "add_plan"]

_PICTURES: Final = ("png", "svg", "pdf")


def add_calibrate(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    parser = commands.add_parser(
        "calibrate",
        help="judge a service's own healthy past, and propose a policy",
        description="Judge a service's own healthy past by a policy: how often it would have failed, what it would find, and a policy that keeps its promise there.",
    )
    add_policy(parser)
    parser.add_argument(
        "--history",
        required=True,
        metavar="FILE",
        help=f"metrics of a healthy time, or of past releases: {TABLE_TITLES}; - for standard input",
    )
    parser.add_argument(
        "--length",
        type=_length,
        metavar="POINTS|DURATION",
        help="how long a canary is, such as 60 or 1h (default: the policy's max_points or max_duration, or 60 points)",
    )
    parser.add_argument(
        "--pairs", type=int, default=200, metavar="N", help="healthy pairs a metric (default: 200)"
    )
    parser.add_argument("--output", metavar="FILE", help="write the proposed policy there")
    _add_studies(parser)
    parser.set_defaults(run=_calibrate)


def _add_studies(parser: argparse.ArgumentParser) -> None:
    """Add what the commands that simulate have in common."""
    _add_format(parser)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the random draws (default: 0)")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: one a core)"
    )
    parser.add_argument("--quiet", action="store_true", help="do not show progress on standard error")
    add_table_format(parser)


def _add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format",
        choices=("text", "json", "markdown"),
        default="text",
        help="how to write it (default: text)",
    )


def _write(found: Any, form: str) -> None:
    """Write what was found, in the format that was asked for."""
    texts = {"text": found.explain, "json": found.to_json, "markdown": found.to_markdown}
    sys.stdout.write(texts[form]().rstrip("\n") + "\n")


def _pool(jobs: int, tasks: int) -> Any:
    """Return a pool of processes, or nothing where one would do."""
    if min(jobs, tasks) <= 1:
        return nullcontext()
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415 - small policies need none

    return ProcessPoolExecutor(min(jobs, tasks))


def _length(text: str) -> int | str:
    return int(text) if text.isdigit() else text


def _calibrate(options: argparse.Namespace) -> int:
    from canaryjudge.calibration import calibrate  # noqa: PLC0415 - the other commands need no simulation
    from canaryjudge.integrations.files.policy_edits import as_diff, edited  # noqa: PLC0415

    spare(options.output, "--output", options.policy, options.history)
    policy = load_policy(options.policy)
    history = read_history(options, policy)
    with _pool(options.jobs, len(policy.metrics)) as executor:
        found = calibrate(
            history,
            policy,
            length=options.length,
            pairs=options.pairs,
            seed=options.seed,
            executor=executor,
            progress=False if options.quiet else None,
        )
    before = read_text(Path(options.policy))
    after = edited(before, found.proposals, options.policy)
    if options.output is not None:
        write_file(options.output, after)
    diff = as_diff(before, after, options.policy)
    if options.format == "json" or not diff:
        _write(found, options.format)
    elif options.format == "markdown":
        print(f"{found.to_markdown()}\n```diff\n{diff}```")
    else:
        print(f"{found.explain()}\n\n{diff}", end="")
    return 0


def add_plan(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    parser = commands.add_parser(
        "plan",
        help="say how long a canary must run, at what share of the traffic",
        description="Say how long a canary must run, at what share of the traffic, to find a regression of a given size.",
    )
    add_policy(parser)
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
        "--traffic",
        metavar="N/TIME",
        help="what all of the service serves, such as 20000/min or '500 users/h' (default: what the totals say)",
    )
    parser.add_argument(
        "--from-stage",
        metavar="STAGE",
        help="the stage of a rollout in which regressions begin, such as 10%% (default: the first)",
    )
    parser.add_argument(
        "--simulate",
        type=int,
        metavar="RUNS",
        help="check by so many simulated releases a metric (default: 0), or rollouts a regression where the policy has stages (default: 200)",
    )
    parser.add_argument(
        "--plot",
        metavar="FILE",
        help="draw it there: exposure or chances of each metric, as .png, .svg or .pdf",
    )
    _add_studies(parser)
    parser.set_defaults(run=_plan)


def _plan(options: argparse.Namespace) -> int:
    from canaryjudge.planning import ROLLOUTS, Simulation, plan  # noqa: PLC0415 - the other commands need no simulation

    spare(options.plot, "--plot", options.policy, options.history)
    policy = load_policy(options.policy)
    names = [metric.name for metric in policy.metrics]
    if options.history is None:
        refuse_wide(options, "this is about the history, and there is none")
    history = None if options.history is None else read_history(options, policy)
    runs = options.simulate
    if runs is None:
        runs = ROLLOUTS if policy.stages else 0
    tasks = max(len(names), len(policy.stages or ())) if runs else 1
    with _pool(options.jobs, tasks) as executor:
        found = plan(
            policy,
            history,
            assume=_assumptions(options.assume, names),
            size=options.size,
            power=options.power,
            share=options.share,
            traffic=options.traffic,
            from_stage=options.from_stage,
            simulation=Simulation(max(0, runs), options.seed, executor, False if options.quiet else None),
        )
    if options.plot is not None:
        _draw(found, options.plot)
    _write(found, options.format)
    return 0


def _draw(found: Plan, path: str) -> None:
    """Draw each metric that can be, side by side."""
    if found.rollout is not None:
        names = list(dict.fromkeys(one.metric for one in found.rollout.exposures))
    else:
        names = [name for name, metric in found.metrics.items() if metric.curve]
    form = Path(path).suffix.lower().lstrip(".")
    if form not in _PICTURES:
        raise DataError(
            f"--plot {path}: this is no picture that can be drawn",
            f"Name a file that ends with {', '.join(_PICTURES)}.",
        )
    if not names:
        raise DataError(
            "--plot: no metric of the plan can be drawn", "Simulate it, or assume what is lacking."
        )
    figure = found.plot(names[0]).figure.get_figure(root=True)
    figure.clear()
    figure.set_size_inches(6.4 * len(names), 4.2)
    for name, ax in zip(names, figure.subplots(1, len(names), squeeze=False)[0], strict=True):
        found.plot(name, ax=ax)
    with naming(path):
        figure.savefig(path, format=form, dpi=120)


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


def add_doctor(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    parser = commands.add_parser(
        "doctor",
        help="say what keeps metrics from being judged well",
        description="Say what keeps metrics from being judged well, and what to do about it: missing metrics, averaged percentiles, coarse resolution, clocks, counters, units, traffic.",
    )
    add_input(parser, live=True, needed=False)
    add_arms(parser)
    _add_format(parser)
    parser.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    from canaryjudge.doctor_checks import doctor  # noqa: PLC0415 - the other commands look nothing over

    spare(options.save_data, "--save-data", options.policy)
    refuse_server_options(options)
    policy = load_policy(options.policy)
    data = read_data(options, policy, finished=True)
    save_data(options, data)
    found = doctor(policy, data, baseline=options.baseline, canary=options.canary)
    _write(found, options.format)
    return 0
