"""The sequential rule: a whole series judged as it would have been watched, a look after every interval."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from canaryjudge.kinds import KINDS
from canaryjudge.reasons import Outcome
from canaryjudge.rules.findings import Finding
from canaryjudge.rules.registry import Asking, Columns, answered, rule
from canaryjudge.rules.rows import Pair, Rows
from canaryjudge.rules.sequential.evidence import SequentialFinding
from canaryjudge.rules.sequential.many_watches import WatchRows
from canaryjudge.rules.sequential.methods import METHODS
from canaryjudge.rules.sequential.planned_looks import LooksProcess
from canaryjudge.rules.sequential.rates import RateProcess
from canaryjudge.rules.sequential.settings import Sequential
from canaryjudge.rules.sequential.watch import Watch, before_the_end, pool_replicas, start_watch

_MOST_LOOKS: Final = 2000
"""Of longer series not every interval is looked at, which costs time and decides a little later."""


@rule(Sequential, SequentialFinding)
def judge(rows: Rows, settings: Sequential, found: Columns) -> None:
    """Judge by what would have been decided first, or what could be said at the end."""
    # what the policy leaves to the baseline is settled by what there is of it at a look
    pairs = [pair if pair.pass_stated else replace(pair, pass_within=None) for pair in rows]
    several = [max(len(arm.replicas) for arm in pair.arms) > 1 for pair in pairs]
    ended: dict[int, Finding] = {}
    by_rates = METHODS[settings.method_for(rows.kind)].process is RateProcess
    if by_rates and rows.fewest <= _MOST_LOOKS:
        for places in _asked_alike(pairs):
            some = [pairs[place] for place in places]
            ended |= zip(places, _watched_together(some, settings), strict=True)
    else:
        answered([_watching(ended, place, pair, settings) for place, pair in enumerate(pairs)])
    found.take(
        [
            dict(pool_replicas(ended[place]) if pooled else ended[place])
            for place, pooled in enumerate(several)
        ]
    )


def _asked_alike(pairs: Sequence[Pair]) -> Iterable[list[int]]:
    """Bring those together of which the same is tolerated."""
    alike: dict[str, list[int]] = {}
    for place, pair in enumerate(pairs):
        alike.setdefault(repr((pair.tolerance, pair.pass_within)), []).append(place)
    return alike.values()


def _watching(ended: dict[int, Finding], place: int, pair: Pair, settings: Sequential) -> Asking:
    """Watch one series to its end."""
    watched = start_watch(pair.question, settings)
    first: float | None = None
    time: float | None = None
    found = watched.look()
    stride = max(1, len(pair.canary) // _MOST_LOOKS) if not KINDS[pair.kind].is_raw else 1
    for number, block in enumerate(_intervals(watched, pair), 1):
        times = block.baseline.time, block.canary.time
        if first is None and times[0] is not None and times[1] is not None:
            first = float(min(times[0][0], times[1][0]) if KINDS[pair.kind].is_raw else times[1][0])
        left: Pair | None = block
        if not watched.decided:
            left = before_the_end(block, pair.horizon, watched.points, first)
        if left is None:
            break
        time = None if left.canary.time is None else float(left.canary.time[-1])
        yield from watched.taking(left)
        if number % stride == 0:
            found = watched.look(time)
        if found.outcome is Outcome.FAIL:
            break
    ended[place] = watched.look(time)


def _intervals(watched: Watch, pair: Pair) -> Iterator[Pair]:
    """Cut a pair into what a stream would hand out: a point of each arm, or the samples of an interval; together those between two planned looks."""
    if not KINDS[pair.kind].is_raw:
        start = 0
        while start < pair.fewest:
            size = min(_until_due(watched, pair, start), pair.fewest - start)
            yield pair.part(slice(start, start + size))
            start += size
    elif pair.horizon.intervals is None:
        yield pair
    else:
        for baseline, canary in pair.horizon.intervals():
            yield replace(pair, baseline=pair.baseline.part(baseline), canary=pair.canary.part(canary))


def _until_due(watched: Watch, pair: Pair, start: int) -> int:
    """Give how many intervals from some place on nothing can be decided of, and the one after them."""
    planned = [process for process in watched.processes if isinstance(process, LooksProcess)]
    if len(planned) < len(watched.processes):
        return 1
    most, time = min([watched.until_epoch, float(pair.fewest)]), pair.canary.time
    for process in planned:
        points, until = process.until_due()
        most = min(most, points)
        if time is not None and until < np.inf:
            most = min(most, float(time[start:].searchsorted(until)) + 1)
    return max(1, int(most))


def _watched_together(pairs: Sequence[Pair], settings: Sequential) -> list[Finding]:
    """Watch series of events to their ends: all are weighed together, and a watch is given its intervals when it may decide something."""
    question = pairs[0].question
    watches = [start_watch(question, settings) for _ in pairs]
    events, exposures = (
        np.stack(
            [np.stack([getattr(arm, name)[: pair.fewest] for arm in pair.arms], axis=-1) for pair in pairs]
        )
        for name in ("value", "exposures")
    )
    ends = np.array([_end_of(pair) for pair in pairs])
    evidence = WatchRows(len(pairs))
    goes_on, in_step, decided = (np.full(len(pairs), start) for start in (True, False, False))
    given, left = np.zeros(len(pairs), dtype=np.intp), np.full(len(pairs), np.inf)

    def give(place: int, until: int) -> Finding:
        pair, watched = pairs[place], watches[place]
        time = pair.canary.time
        if until > given[place]:
            answered([watched.taking(pair.part(slice(given[place], until)))])
            given[place] = until
        return watched.look(None if time is None or not until else float(time[until - 1]))

    for number in range(pairs[0].fewest):
        goes_on &= decided | (number < ends)
        rows = np.flatnonzero(goes_on & in_step)
        evidence.add(rows, events[rows, number], exposures[rows, number])
        left[rows] -= 1
        in_step[rows] = ~(evidence.may_decide(rows) | (left[rows] <= 0))
        asked = np.flatnonzero(goes_on & ~in_step)
        for place in asked.tolist():
            found, watched = give(place, number + 1), watches[place]
            goes_on[place] = found.outcome is not Outcome.FAIL
            decided[place], left[place] = watched.decided, watched.until_epoch
            in_step[place] = goes_on[place] and evidence.put(place, watched)
        some = asked[in_step[asked]]
        in_step[some] = evidence.settle(some)
    whole = pairs[0].fewest
    return [
        give(
            place, whole if decided[place] and goes_on[place] else max(given[place], min(whole, ends[place]))
        )
        for place in range(len(pairs))
    ]


def _end_of(pair: Pair) -> int:
    """Give how many intervals there are until a watch ends that has not decided."""
    time = pair.canary.time
    kept = before_the_end(pair, pair.horizon, 0, None if time is None or not len(time) else float(time[0]))
    return 0 if kept is None else len(kept.canary)
