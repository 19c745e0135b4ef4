"""When a watch looks, how it bears a source that is away for a while, and when it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from canaryjudge.cli.sources import HopelessError
from canaryjudge.errors import DataError
from canaryjudge.explain import span_of_time
from canaryjudge.results import MetricResult, Outcome

if TYPE_CHECKING:
    from canaryjudge.verdict import Verdict

__all__ = ["Clock", "End", "Look", "Pace", "looks"]

_LONGEST_PAUSE: Final = 60.0
"""Seconds: a source that is away is not asked more rarely than this, unless its interval is longer."""


class Clock:
    """The time, and how it is let pass; tests have one of their own."""

    def now(self) -> float:
        """Give the time of day, in seconds since 1970."""
        return time.time()

    def passed(self) -> float:
        """Give seconds since some moment; nobody sets them back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often and how long.

    Attributes
    ----------
    interval : float
        Seconds from one look to the next.
    patience : float
        Seconds that the source may be away, or bring nothing new of what is undecided.
    limit : float or None
        Seconds after which the watch ends undecided.
    """

    interval: float
    patience: float
    limit: float | None


class End(Enum):
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
    end: End | None


def looks(take: Callable[[], tuple[Verdict, list[str]]], pace: Pace, clock: Clock) -> Iterator[Look]:
    """Look again and again, until it is decided or cannot be any more.

    Parameters
    ----------
    take : callable
        Takes what is new, and gives the verdict and remarks.
    pace : Pace
        How often and how long.
    clock : Clock
        The time.

    Yields
    ------
    Look
        Each look; the last one has an `end`.

    Raises
    ------
    DataError
        If the first look finds nothing that can be read (then the call is wrong, most likely), a later one what no other can better,
        or the source is away for longer than the patience.
    """
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


def _end(verdict: Verdict, pace: Pace, passed: float, silent: float) -> End | None:
    if verdict.outcome is not Outcome.MARGINAL:
        return End.DECIDED
    if not _undecided(verdict):
        return End.OVER
    if pace.limit is not None and passed >= pace.limit:
        return End.TIME
    return End.SILENCE if silent >= pace.patience else None


def _pause(pace: Pace, failures: int, taken: float) -> float:
    """Give the seconds until the next look: of a source that is away, twice as many each time."""
    if not failures:
        return pace.interval - taken
    longest = max(_LONGEST_PAUSE, pace.interval)
    return min(pace.interval * 2.0 ** min(failures - 1, 20), longest)
