"""The command `watch`: looks at a growing file or a server again and again, shows how it stands, and ends once the release is decided."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from canaryjudge.cli.inputs import (
    HopelessError,
    add_arms,
    add_input,
    feed_of,
    past_of_feed,
    refuse_server_options,
    spare,
)
from canaryjudge.cli.monitor import add_watch_options, begun, resumed
from canaryjudge.cli.outputs import EXIT_HELP, add_output, report, telling
from canaryjudge.cli.streams import INTERRUPTED, complain, naming
from canaryjudge.cli.terminal import is_terminal, terminal_size, terminal_text
from canaryjudge.errors import DataError, PolicyError
from canaryjudge.explain import moment, on_one_line, span_of_time
from canaryjudge.integrations.options import duration
from canaryjudge.policy import Policy, load_policy
from canaryjudge.reasons import Outcome
from canaryjudge.results import MetricResult

if TYPE_CHECKING:
    from canaryjudge.monitor import Monitor
    from canaryjudge.verdict import Verdict

__all__ = ["Clock", "Look", "add_watch", "looks", "screen_on", "watch"]

_LONGEST_PAUSE: Final = 60.0
"""Seconds: a source that is away is not asked more rarely than this, unless its interval is longer."""
_SEQUENCE: Final = re.compile(r"\x1b\[[\d;]*m")
_INTERVAL: Final = 15.0
_PATIENCE: Final = 600.0
_SHORTEST: Final = 1.0


class Clock:
    """The time, and how it is let pass; tests have one of their own."""

    def now(self) -> float:
        """Return the time of day, in seconds since 1970."""
        return time.time()

    def passed(self) -> float:
        """Return seconds since some moment; nobody sets them back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class _Pace:
    """How often and how long, in seconds."""

    interval: float  # from one look to the next
    patience: float  # that the source may be away, or bring nothing new of what is undecided
    limit: float | None  # after which the watch ends undecided


class _End(Enum):
    """Why a watch ended."""

    DECIDED = "decided"
    OVER = "nothing is left that could still be decided: the watch ends here"
    TIME = "the time for this watch is up"
    SILENCE = "nothing new came for longer than --patience"


class Look(NamedTuple):
    """What is known after a look.

    Attributes
    ----------
    number : int
        Which look it is, from 1 on.
    at : float
        When, in seconds since 1970.
    verdict : Verdict
        As it stands: the one before, where nothing could be read.
    remarks : list of str
        What the source had to say.
    trouble : DataError or None
        Why nothing could be read or taken.
    pause : float
        Seconds until the next look.
    end : End or None
        Why it was the last one; None where it was not.
    """

    number: int
    at: float
    verdict: Verdict
    remarks: list[str]
    trouble: DataError | None
    pause: float
    end: _End | None


def looks(take: Callable[[], tuple[Verdict, list[str]]], pace: _Pace, clock: Clock) -> Iterator[Look]:
    """Look again and again until it is decided or cannot be any more; what the first look cannot read is the caller's mistake, and raised."""
    started = away_since = news_at = clock.passed()
    known: tuple[object, ...] | None = None
    verdict: Verdict | None = None
    number = failures = 0
    while True:
        number += 1
        began = clock.passed()
        remarks: list[str] = []
        trouble: DataError | None = None
        try:
            verdict, remarks = take()
        except HopelessError:
            raise
        except DataError as error:
            if verdict is None:
                raise
            trouble = error
        now = clock.passed()
        failures = 0 if trouble is None else failures + 1
        if trouble is None:
            away_since = now
            counts = tuple((one.name, one.n_baseline, one.n_canary) for one in _undecided(verdict))
            news_at, known = (news_at, known) if counts == known else (now, counts)
        elif now - away_since >= pace.patience:
            raise DataError(
                f"{trouble.message}; given up after {span_of_time(now - away_since)}", trouble.hint
            ) from None
        end = _end(verdict, pace, now - started, 0.0 if trouble else now - news_at)
        last = [pace.patience - (now - away_since)] if trouble else [pace.patience - (now - news_at)]
        last += [] if pace.limit is None else [pace.limit - (now - started)]
        pause = max(0.0, min(_pause(pace, failures, now - began), *last))
        yield Look(number, clock.now(), verdict, remarks, trouble, pause, end)
        if end is not None:
            return
        clock.sleep(pause)


def _undecided(verdict: Verdict) -> list[MetricResult]:
    """List the metrics that count, and of which more data may still decide."""
    return [
        result
        for result in verdict.metrics.values()
        if result.role != "muted" and result.outcome is Outcome.MARGINAL and not result.watch_over
    ]


def _end(verdict: Verdict, pace: _Pace, passed: float, silent: float) -> _End | None:
    if verdict.outcome is not Outcome.MARGINAL:
        return _End.DECIDED
    if not _undecided(verdict):
        return _End.OVER
    if pace.limit is not None and passed >= pace.limit:
        return _End.TIME
    return _End.SILENCE if silent >= pace.patience else None


def _pause(pace: _Pace, failures: int, taken: float) -> float:
    """Return the seconds until the next look: of a source that is away, twice as many each time."""
    if not failures:
        return pace.interval - taken
    longest = max(_LONGEST_PAUSE, pace.interval)
    return min(pace.interval * 2.0 ** min(failures - 1, 20), longest)


class _Screen(Protocol):
    """Shows looks."""

    def show(self, look: Look, drawn: Verdict) -> None:
        """Show a look; `drawn` is its verdict with the latest points."""

    def close(self, why: str) -> None:
        """Make room for the verdict, and say why it ended where that needs to be said."""


def screen_on(stream: Any, *, brief: bool = False) -> _Screen:
    """Choose how to show looks on a stream."""
    return _Picture(stream, brief=brief) if is_terminal(stream) else _Lines(stream)


def _why_it_ended(look: Look) -> str:
    """Say why a look was the last one; nothing where the verdict says it."""
    return "" if look.end in (None, _End.DECIDED) else look.end.value


class _Remarks:
    """Passes on what a source says, once."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def new(self, look: Look) -> list[str]:
        fresh = [remark for remark in look.remarks if remark not in self._told]
        self._told.update(fresh)
        return fresh


class _Lines:
    """A line a look: when, how it stands and why, or what keeps it from looking."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._remarks = _Remarks()

    def show(self, look: Look, drawn: Verdict) -> None:
        for remark in self._remarks.new(look):
            complain(f"warning: {remark}", "")
        said = drawn.reason if look.trouble is None else _trouble(look)
        print(f"{moment(look.at)} {said}", file=self._stream, flush=True)

    def close(self, why: str) -> None:
        print(f"{why}\n" if why else "", file=self._stream, flush=True)


class _Picture:
    """The verdict as it stands, drawn over at every look; what stood on the terminal before stays."""

    def __init__(self, stream: Any, *, brief: bool) -> None:
        self._stream = stream
        self._brief = brief
        self._remarks = _Remarks()
        self._shown: list[str] = []

    def show(self, look: Look, drawn: Verdict) -> None:
        fresh = self._remarks.new(look)
        if fresh:
            self._write([])
            for remark in fresh:
                complain(f"warning: {remark}", "")
        if look.end is not None:  # the verdict itself follows
            return
        head = f"look {look.number}, {moment(look.at)}; the next in {_time_left(look)}"
        said = [head if look.trouble is None else f"{moment(look.at)} {_trouble(look)}"]
        self._write([*said, "", *terminal_text(drawn, self._stream, brief=self._brief).split("\n")])

    def close(self, why: str) -> None:
        self._write([])
        if why:
            print(why, file=self._stream, flush=True)

    def _write(self, lines: list[str]) -> None:
        columns, rows = terminal_size(self._stream)
        above = sum(_rows(line, columns) for line in self._shown)
        erase = f"\r\x1b[{above}A\x1b[J" if above else "\r\x1b[J"
        self._shown = _cropped(lines, columns, rows - 1)
        self._stream.write(erase + "".join(f"{line}\n" for line in self._shown))
        self._stream.flush()


def _trouble(look: Look) -> str:
    message = "" if look.trouble is None else on_one_line(look.trouble.message)
    return f"no new data: {message}; the next try in {_time_left(look)}"


def _time_left(look: Look) -> str:
    return span_of_time(max(1, round(look.pause)))


def _rows(line: str, columns: int) -> int:
    """Count the rows that a line takes up."""
    return max(1, -(-len(_SEQUENCE.sub("", line)) // columns))


def _cropped(lines: list[str], columns: int, room: int) -> list[str]:
    """Leave out what does not fit: what has left the terminal at its top cannot be drawn over."""
    if sum(_rows(line, columns) for line in lines) <= room:
        return lines
    kept: list[str] = []
    used = 1
    for line in lines:
        used += _rows(line, columns)
        if used > room:
            break
        kept.append(line)
    return [*kept, f"... {len(lines) - len(kept)} more lines"]


def add_watch(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    parser = commands.add_parser(
        "watch",
        help="watch a release until it is decided",
        epilog=f"{EXIT_HELP}; 130 interrupted",
        description="Look again and again at a file that grows, or at a server, and show how the release stands; alpha and beta hold for all "
        "looks together. It ends as soon as the release passes or fails, at the end that the policy gives the watch, or after --for.",
    )
    add_input(parser, live=True)
    parser.add_argument(
        "--interval",
        type=_interval,
        default=_INTERVAL,
        metavar="DURATION",
        help="from one look to the next (default: 15s)",
    )
    parser.add_argument(
        "--for",
        dest="limit",
        type=duration,
        metavar="DURATION",
        help="end undecided after so long (default: the policy's max_duration, and --patience for late data)",
    )
    parser.add_argument(
        "--patience",
        type=duration,
        default=_PATIENCE,
        metavar="DURATION",
        help="how long the source may be away, or bring nothing new (default: 10m)",
    )
    parser.add_argument("--state", metavar="FILE", help="keep the watch there, and go on from it")
    add_watch_options(parser)
    add_arms(parser)
    add_output(parser)
    parser.set_defaults(run=watch)


def watch(options: argparse.Namespace, clock: Clock | None = None) -> int:
    """Watch until the end, and return the exit code of the last verdict, or 130 where it was interrupted."""
    inputs = (options.policy, options.data, options.history)
    spare(options.state, "--state", *inputs)
    with telling(options, *inputs, options.state):
        refuse_server_options(options)
        _refuse(options)
        policy = load_policy(options.policy)
        if policy.stages:
            raise PolicyError(
                f"{options.policy}: the policy has stages, whose shares somebody must set, and a watch only looks",
                "Take the steps with canaryjudge rollout, or watch by a policy without stages.",
            )
        pace = _Pace(options.interval, options.patience, _limit(options, policy))
        with _kept(options):
            monitor = resumed(options, policy) or begun(options, policy, past_of_feed(options, policy))
            return _watched(options, policy, monitor, pace, clock or Clock())


def _refuse(options: argparse.Namespace) -> None:
    """Refuse what a watch has no use for."""
    if options.data == "-":
        raise DataError(
            "--data -: standard input cannot be read again", "Name a file, or take the steps with monitor."
        )
    if options.state == "-":
        raise DataError(
            "--state -: a watch keeps its state at every look, and standard output takes one",
            "Name a file, or take the steps with monitor.",
        )
    for name in ("policy", "data", "history", "state"):
        if _waits_for_a_writer(getattr(options, name), again=name in ("data", "state")):
            raise DataError(
                f"--{name} {getattr(options, name)}: it is a pipe, which may be silent for ever and cannot be read again",
                "Name a file, or take the steps with monitor.",
            )
    for name in ("at", "save_data"):
        if getattr(options, name) is not None:
            option = "--" + name.replace("_", "-")
            raise DataError(
                f"{option} is for one look, and a watch looks again and again",
                "Leave it out, or use judge or monitor.",
            )


def _waits_for_a_writer(path: str | None, *, again: bool) -> bool:
    """Tell whether a name is that of a pipe; one that a shell gives has a writer, and may be read once."""
    if path is None or not Path(path).is_fifo():
        return False
    return again or not os.path.realpath(path).startswith(("/dev/", "/proc/"))


def _limit(options: argparse.Namespace, policy: Policy) -> float | None:
    """Return the seconds after which the watch ends whatever comes."""
    if options.limit is not None:
        return float(options.limit)
    if not policy.has_deadline:
        raise PolicyError(
            f"{options.policy}: the policy gives the watch no end, so it might never end",
            "Give the policy max_duration or max_points, or give --for, such as --for 1h.",
        )
    return None if policy.max_duration is None else policy.max_duration + float(options.patience)


def _kept(options: argparse.Namespace) -> Any:
    """Hold the state file for as long as the watch goes on."""
    from canaryjudge.integrations.files.state_files import locked  # noqa: PLC0415 - judge needs none

    return nullcontext() if options.state is None else locked(options.state, options.lock_timeout)


def _watched(options: argparse.Namespace, policy: Policy, monitor: Monitor, pace: _Pace, clock: Clock) -> int:
    source = feed_of(options, policy)
    monitor.keep_recent()

    def take() -> tuple[Verdict, list[str]]:
        remarks = source.feed(monitor)
        verdict = monitor.verdict()
        _save(options, monitor)
        return verdict, remarks

    # standard output is for the verdict alone where a tool reads it
    aside = options.output is None and options.format != "text"
    screen = screen_on(sys.stderr if aside else sys.stdout, brief=options.brief)
    last: Look | None = None
    try:
        for look in looks(take, pace, clock):
            last = look
            screen.show(look, _drawn(look.verdict, monitor))
    except KeyboardInterrupt:
        if last is not None:
            screen.close("interrupted: this is how it stood")
            report(last.verdict, options, shown=_drawn(last.verdict, monitor))
        return INTERRUPTED
    assert last is not None  # noqa: S101 - there is a first look, or an error
    screen.close(_why_it_ended(last))
    return report(last.verdict, options, shown=_drawn(last.verdict, monitor))


def _save(options: argparse.Namespace, monitor: Monitor) -> None:
    if options.state is not None:
        from canaryjudge.integrations.files.state_files import write_state  # noqa: PLC0415 - only those who keep a state

        with naming(options.state):
            write_state(options.state, monitor.to_json())


def _drawn(verdict: Verdict, monitor: Monitor) -> Verdict:
    """Add the latest points, to be drawn."""
    metrics = {
        name: verdict.metrics[name].model_copy(update={"baseline": baseline, "canary": canary})
        for name, (baseline, canary) in monitor.recent.items()
    }
    return verdict.model_copy(update={"metrics": metrics})


def _interval(text: str) -> float:
    seconds = duration(text)
    if seconds < _SHORTEST:
        raise argparse.ArgumentTypeError(f"{text!r} is too short an interval; take 1s or more")
    return seconds
