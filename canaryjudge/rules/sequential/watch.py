"""One rule about one metric, watched: asked at many looks, and after a pass on the watch for late harm."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from canaryjudge.kinds import KINDS
from canaryjudge.reasons import Outcome
from canaryjudge.rules.findings import EffectFinding, Finding, WatchFacts
from canaryjudge.rules.registry import Asking, read_finding
from canaryjudge.rules.rows import Horizon, Pair, Question
from canaryjudge.rules.sequential.evidence import Process, State
from canaryjudge.rules.sequential.methods import METHODS, RESERVED
from canaryjudge.rules.sequential.planned_looks import LookPlan, LooksProcess
from canaryjudge.rules.sequential.rates import RateProcess, say
from canaryjudge.rules.sequential.settings import Sequential
from canaryjudge.rules.settings import RuleSettings

__all__ = ["Watch", "before_the_end", "pool_replicas", "say_together", "start_watch"]

_SHORTEST_EPOCH: Final = 30
"""Intervals after which the watch for late harm starts afresh, at least."""


class Watch:
    """A rule asked at many looks.

    A fail stays. After a pass, harm is still watched for: by the evidence since the start, and by evidence that starts
    afresh, epoch after epoch, so that old good minutes do not dilute a late fault. The k-th epoch has 1 / (k (k + 1)) of the part of the
    level that is kept for them, so that all of them together, and the first, keep within the level. Where none is kept, a pass is one for the time being.
    """

    def __init__(
        self, start: Callable[[Question], Process], question: Question, reserved: float = RESERVED
    ) -> None:
        self._start, self._question, self._reserved = start, question, reserved
        self._main = self._first()
        self._epoch: Process | None = None
        self._number = 0
        self._length = _SHORTEST_EPOCH
        self._decided: Finding | None = None
        self.goes_on = False
        """Whether evidence is added up after a fail, too, for somebody who wants to know more."""

    def for_outcomes(self) -> Watch:
        """Give another that asks the same, has seen nothing, and tells outcomes alone."""
        horizon = replace(self._question.horizon, outcome_only=True)
        return Watch(self._start, replace(self._question, horizon=horizon), self._reserved)

    @property
    def points(self) -> int:
        """Intervals seen."""
        return self._main.points

    @property
    def decided(self) -> bool:
        """Whether it has passed or failed."""
        return self._decided is not None

    @property
    def processes(self) -> tuple[Process, ...]:
        """The evidence that may still decide something: that since the start, and after a pass that of the epoch."""
        if self.has_failed:
            return ()
        return (self._main,) if self._epoch is None else (self._main, self._epoch)

    @property
    def until_epoch(self) -> float:
        """How many more intervals there may be before an epoch ends, the last one among them; infinite where there is none."""
        return math.inf if self._epoch is None else self._length - self._epoch.points

    @property
    def has_failed(self) -> bool:
        """Whether it has failed, which stays."""
        return self._decided is not None and self._decided.outcome is Outcome.FAIL

    def taking(self, pair: Pair) -> Asking:
        """Take new intervals; of samples, one. Ask what is to be asked of a rule by then."""
        if self.has_failed and not self.goes_on:
            return
        if isinstance(self._main, LooksProcess):
            self._main.goes_on = self.goes_on
        yield from self._main.taking(pair)
        rest: Pair | None = pair
        while rest is not None and self._epoch is not None and not self.has_failed:
            room = max(self._length - self._epoch.points, 1)
            whole = KINDS[pair.kind].is_raw or len(rest.canary) <= room
            part, rest = (rest, None) if whole else (rest.part(slice(room)), rest.part(slice(room, None)))
            yield from self._epoch.taking(part)
            if self._epoch.points >= self._length:
                self._end_epoch(None if part.canary.time is None else float(part.canary.time[-1]))

    def _end_epoch(self, time: float | None) -> None:
        assert self._epoch is not None  # noqa: S101 - the caller has fed it
        found = self._epoch.finding()
        if found.outcome is Outcome.FAIL:
            self._decide(found, time)
        else:
            self._next_epoch()

    def look(self, time: float | None = None) -> Finding:
        """Ask the evidence, at the time of the latest point, and keep what it decides: what was decided, or else what can be said so far."""
        if self._decided is not None and self.has_failed:
            return self._decided
        found = self._main.finding()
        if found.outcome is not Outcome.FAIL and self._epoch is not None:
            recent = self._epoch.finding()
            found = recent if recent.outcome is Outcome.FAIL else found
        passes = found.outcome is Outcome.PASS and self._decided is None and self._reserved > 0
        if found.outcome is Outcome.FAIL or passes:
            self._decide(found, time)
        return self._decided or found

    @property
    def latest(self) -> Finding:
        """What all evidence since the start says, whatever has been decided."""
        return self._main.finding()

    def _decide(self, found: Finding, time: float | None) -> None:
        known = dict(found.watch or WatchFacts()) | {"decided_after": self.points, "decided_at": time}
        self._decided = found.model_copy(update={"watch": WatchFacts(**known)})
        if found.outcome is Outcome.PASS:
            self._length = max(_SHORTEST_EPOCH, self.points)
            self._next_epoch()

    def _next_epoch(self) -> None:
        self._number += 1
        self._epoch = self._start(self._epoch_question())

    def _first(self) -> Process:
        return self._start(self._at(1 - self._reserved))

    def _at(self, part: float) -> Question:
        """Ask the same at a part of the level."""
        rates = self._question.rates
        return replace(self._question, rates=replace(rates, level=rates.level * part))

    def _epoch_question(self) -> Question:
        # looks that are planned are planned within the epoch; replicas' levels since the start would dilute a late fault
        horizon = replace(self._question.horizon, max_points=self._length, max_duration=None, replicas=None)
        return replace(self._at(self._reserved / (self._number * (self._number + 1))), horizon=horizon)

    def merge(self, other: Watch) -> None:
        """Take over another shard's evidence; a fail of either is a fail of both."""
        both = (self._decided, other._decided)
        decided = [found for found in both if found and found.outcome is Outcome.FAIL]
        if decided:
            self._decided = min(
                decided, key=lambda found: (found.pvalue or 0.0, _watch(found).decided_at or 0.0)
            )
        elif other._decided is not None and (
            self._decided is None or _key(other._decided) < _key(self._decided)
        ):
            self._decided = other._decided
        self._main.merge(other._main)
        if other._epoch is not None:
            self._number, self._length = max(self._number, other._number), max(self._length, other._length)
            epoch, self._epoch = self._epoch, self._start(self._epoch_question())
            for part in (epoch, other._epoch):
                if part is not None:
                    self._epoch.merge(part)

    def save(self) -> State:
        """Give what is remembered."""
        return {
            "main": self._main.save(),
            "epoch": None if self._epoch is None else self._epoch.save(),
            "number": self._number,
            "length": self._length,
            "decided": None
            if self._decided is None
            else self._decided.model_dump(mode="json", exclude_defaults=True),
        }

    def load(self, state: State) -> None:
        """Take what another watch has saved."""
        self._number, self._length = int(state["number"]), int(state["length"])
        self._main = self._first()
        self._main.load(state["main"])
        self._epoch = None if state["epoch"] is None else self._start(self._epoch_question())
        if self._epoch is not None:
            self._epoch.load(state["epoch"])
        self._decided = None if state["decided"] is None else read_finding(state["decided"])


def _key(found: Finding) -> tuple[int, str]:
    return _watch(found).decided_after or 0, found.model_dump_json()


def _watch(found: Finding) -> WatchFacts:
    return found.watch or WatchFacts()


def start_watch(question: Question, settings: RuleSettings) -> Watch:
    """Start to watch a metric by a rule, at the error rates of all looks together; a rule for a fixed window is asked at planned looks."""
    staged = question.horizon.staged
    if isinstance(settings, Sequential):
        method = METHODS[settings.method_for(question.kind)]
        return Watch(
            lambda asked: method.start(asked, settings), question, 0.0 if staged else method.reserved
        )
    plan = LookPlan(settings.rule, settings)
    reserved = 0.0 if staged or settings.since_the_start else RESERVED
    return Watch(lambda asked: LooksProcess(asked, plan), question, reserved)


def before_the_end(pair: Pair, horizon: Horizon, points: int, first: float | None) -> Pair | None:
    """Cut off what comes after the end of a watch that has seen so many points, its first at a time; None if nothing is left."""
    time = pair.canary.time
    if KINDS[pair.kind].is_raw:
        return None if horizon.is_over(points, first, None if time is None else float(time[0])) else pair
    size = len(pair.canary)
    if horizon.max_points is not None:
        size = min(size, horizon.max_points - points)
    elif horizon.max_duration is not None and time is not None and first is not None:
        size = int(np.searchsorted(time, first + horizon.max_duration + 1e-6, "right"))
    return None if size <= 0 else pair if size == len(pair.canary) else pair.part(slice(size))


def say_together(watches: Sequence[Watch]) -> None:
    """Weigh what is new to watches of rates at once, before they are looked at one by one."""
    processes = [process for watch in watches for process in watch.processes]
    say([process for process in processes if isinstance(process, RateProcess)])


def pool_replicas(finding: Finding) -> Finding:
    """Say of a comparison of the arms that it took their replicas together."""
    objective = isinstance(finding, EffectFinding) and finding.scale == "objective"
    if objective or "replicas_pooled" in finding.waived:
        return finding
    return finding.model_copy(update={"waived": (*finding.waived, "replicas_pooled")})
