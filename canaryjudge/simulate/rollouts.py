"""Rollouts made up from what is assumed of a policy's metrics, and taken through its stages by the rules, the levels and the decisions of `Rollout`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data import FloatArray, MetricPair
from canaryjudge.data.raw_intake import INTERVAL
from canaryjudge.data.stream import intervals
from canaryjudge.kinds import KINDS
from canaryjudge.monitor.metric_watch import MetricWatch, watched_rules
from canaryjudge.monitor.release_watch import ReleaseWatch
from canaryjudge.outcomes import DataSummary, asked_rules, conclude, metric_result
from canaryjudge.patterns.staged_release import StagedRelease
from canaryjudge.policy import Metric, Policy
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.results import MetricResult, RolloutAction
from canaryjudge.rules import Asking, Pair, answered
from canaryjudge.rules.findings import Draft, build
from canaryjudge.rules.sequential.many_watches import WatchRows
from canaryjudge.rules.sequential.planned_looks import LooksProcess
from canaryjudge.simulate.assumptions import Assumed
from canaryjudge.simulate.synthetic import drawn, synthetic

__all__ = ["Behavior", "MadeUpRollouts", "Played"]

ARMS: Final = ("baseline", "canary")
_Ints = NDArray[np.intp]
_EPSILON: Final = 1e-9
_ONE: Final = np.zeros(1, dtype=np.intp)


@dataclass(frozen=True, slots=True)
class Behavior:
    """How a metric behaves while nothing is wrong."""

    assumed: Assumed
    """What is assumed of it."""
    per_request: bool
    """Whether a gauge scatters the more the less traffic an arm gets."""


@dataclass(frozen=True, slots=True)
class Played:
    """What became of rollouts, one a row."""

    action: NDArray[np.str_]
    """`rollback` and `complete`; `hold` where nothing was decided by the last deadline."""
    stage: _Ints
    """The stage that each was in at the end."""
    steps: _Ints
    """How many steps each was in each stage, shape (runs, stages): points of the metric that has the most."""


class MadeUpRollouts:
    """Rollouts of one policy, of which a metric may be worse from a stage on; looked at after every point.

    They are decided as `Rollout` decides, by its watches of the stages and of the whole. What a stage's own watch says does not depend on what went before, so that of metrics with nothing wrong it
    is found once. Three things are left out: doubts about the data, which are whole; the little chance that another metric's evidence since the start fails a rollout in which one is worse; and of requests
    what is known of one by one.

    Parameters
    ----------
    policy : Policy
        With stages.
    behaviors : mapping of str to Behavior
        Of each metric.
    runs : range
        The numbers of the rollouts: each is the same in whatever company.
    seed : int
        Of all of them.
    """

    def __init__(self, policy: Policy, behaviors: Mapping[str, Behavior], runs: range, seed: int) -> None:
        self.policy, self.runs = policy, len(runs)
        self._behaviors, self._numbers, self._seed = behaviors, runs, seed
        # made-up traffic is of one segment
        self._release = StagedRelease(policy.model_copy(update={"segments": None}), ARMS)
        self.step = min(behavior.assumed.interval for behavior in behaviors.values())
        self.stages = policy.stages or ()
        self._lasting = [math.floor(stage.max_duration / self.step + _EPSILON) for stage in self.stages]
        self.most = sum(self._lasting) + len(self._lasting)
        """Steps until the last deadline."""
        warmup = max((metric.warmup or 0.0 for metric in policy.metrics), default=0.0)
        self._longer = math.ceil(warmup / self.step - _EPSILON)
        """Steps after its deadline in which a stage that is held may still be decided by its own data: planned looks are spread over what follows the warm-up."""
        self._results: dict[str, _Results] = {metric.name: _Results() for metric in policy.metrics}
        self._healthy: dict[tuple[int, str], _Ints] = {}
        self._actions: dict[tuple[object, ...], RolloutAction] = {}

    @cached_property
    def _watches(self) -> list[ReleaseWatch]:
        """A watch of each stage, and one of the whole behind them."""
        return [*map(self._release.watch_of, range(len(self.stages))), self._release.whole]

    def pair(self, metric: Metric, stage: int, run: int, change: float) -> MetricPair:
        """Make up what a metric would be from a stage's beginning on, with a canary that is worse by a part of its level."""
        behavior = self._behaviors[metric.name]
        draw = synthetic if KINDS[metric.kind].is_raw else drawn
        return draw(
            metric,
            behavior.assumed,
            max(2, math.ceil(self.most * self.step / behavior.assumed.interval)),
            self.stages[stage].canary,
            -change / (1 + change) if metric.direction == "decrease" else change,
            np.random.default_rng([self._seed, crc32(metric.name.encode()), self._numbers[run], stage]),
            per_request=behavior.per_request,
        )

    def play(self, worse: str | None = None, size: float = 0.0, since: int = 0) -> Played:
        """Take the rollouts through the stages, with one metric worse by a part of its level from a stage on."""
        metrics = {metric.name: metric for metric in self.policy.metrics}
        followed = {name: self._lot(-1, name) for name in metrics if worse in (None, name)}
        late: dict[int, dict[str, _Lot]] = {}
        start, steps = np.zeros(self.runs, dtype=np.intp), np.zeros((self.runs, len(self.stages)), np.intp)
        action, at = np.full(self.runs, "hold", dtype="<U8"), np.zeros(self.runs, dtype=np.intp)
        on = np.arange(self.runs)
        for stage in range(len(self.stages)):
            own: dict[str, _Ints] = {}
            at[on] = stage
            for name, metric in metrics.items():
                change = size if name == worse and stage >= since else 0.0
                own[name], pairs = self._of_stage(stage, metric, on, change)
                if name in followed:
                    pairs |= {
                        run: self.pair(metric, stage, run, change) for run in on.tolist() if run not in pairs
                    }
                    offsets = np.asarray(start * self.step, dtype=np.float64)
                    followed[name].begin({run: pairs[run] for run in on.tolist()}, offsets)
            on = self._through(stage, on, own, followed, late, (start, steps, action))
            start = steps.sum(axis=1)
            if not len(on):
                break
        return Played(action, at, steps)

    def leaves(self, stage: int, lasting: float) -> FloatArray:
        """Tell after how many seconds rollouts with nothing wrong leave a stage by its own data, were it to last so long; infinite where they do not."""
        stages = list(self.stages)
        least = min(stages[stage].min_duration or 0.0, lasting)
        stages[stage] = stages[stage].model_copy(update={"max_duration": lasting, "min_duration": least})
        asked = self.policy.model_copy(update={"stages": tuple(stages), "on_deadline": "marginal"})
        twin = MadeUpRollouts(asked, self._behaviors, self._numbers, self._seed)
        every = np.arange(self.runs)
        own = {metric.name: twin._of_stage(stage, metric, every, 0.0)[0] for metric in self.policy.metrics}
        safe = {name: results.safe for name, results in twin._results.items()}
        found = np.full(self.runs, np.inf)
        on = every
        for step in range(twin._lasting[stage] + 1):
            does = [
                twin._decided(stage, step, {name: int(codes[run, step]) for name, codes in own.items()}, safe)
                for run in on.tolist()
            ]
            leaves = np.array([what in ("advance", "complete") for what in does], dtype=np.bool_)
            found[on[leaves]] = (step + 1) * self.step
            on = on[np.array([what == "hold" for what in does], dtype=np.bool_)]
        return found

    def _through(
        self,
        stage: int,
        on: _Ints,
        own: Mapping[str, _Ints],
        followed: Mapping[str, _Lot],
        late: dict[int, dict[str, _Lot]],
        found: tuple[_Ints, _Ints, NDArray[np.str_]],
    ) -> _Ints:
        """Take rollouts through one stage; gives those that go on to the next."""
        start, steps, action = found
        further: list[int] = []
        others = {name: self._results[name].safe for name in own if name not in followed}
        step, on = 0, on[start[on] < self.most]
        while len(on):
            now = min(step, self._lasting[stage] + self._longer)
            for lot in followed.values():
                lot.reach(on, step * self.step)
            held = []
            for run in on.tolist():
                steps[run, stage] = step + 1
                at_stage = {name: int(codes[run, now]) for name, codes in own.items()}
                so_far = {name: int(lot.codes[run]) for name, lot in followed.items()} | others
                does = self._decided(stage, step, at_stage, so_far)
                if does == "complete" and others:  # what has been taken for granted is asked
                    for name, lot in self._late(run, others, steps[run], late).items():
                        lot.reach(_ONE, step * self.step)
                        so_far[name] = int(lot.codes[0])
                    does = self._decided(stage, step, at_stage, so_far)
                if does == "hold":
                    held.append(run)
                elif does == "advance":
                    further.append(run)
                else:
                    action[run] = does
            on, step = np.array(held, dtype=np.intp), step + 1
            on = on[start[on] + step < self.most]
        return np.array(sorted(further), dtype=np.intp)

    def _late(
        self, run: int, names: Mapping[str, int], steps: _Ints, late: dict[int, dict[str, _Lot]]
    ) -> dict[str, _Lot]:
        """Give the watches of one rollout since its start, of metrics that were not followed: they have seen the stages before the last, and begin it."""
        if run not in late:
            late[run] = {}
            for metric in self.policy.metrics:
                if metric.name not in names:
                    continue
                lot = late[run][metric.name] = self._lot(-1, metric.name, runs=1)
                for stage, lasted in enumerate(steps.tolist()):
                    began = self.step * float(steps[:stage].sum())
                    lot.begin({0: self.pair(metric, stage, run, 0.0)}, np.array([began]))
                    if stage < len(self.stages) - 1:
                        lot.reach(_ONE, (lasted - 1) * self.step)
        return late[run]

    def _of_stage(
        self, stage: int, metric: Metric, on: _Ints, change: float
    ) -> tuple[_Ints, dict[int, MetricPair]]:
        """Tell how a metric stands at each step of a stage by its own data, shape (runs, steps), for some runs; with the pairs that had to be made."""
        key, steps = (stage, metric.name), self._lasting[stage] + self._longer + 1
        none = np.full((self.runs, steps), -1, dtype=np.intp)
        known = none if change else self._healthy.setdefault(key, none)
        rows = on[known[on, 0] < 0]
        pairs = {run: self.pair(metric, stage, run, change) for run in rows.tolist()}
        if pairs:
            lot = self._lot(stage, metric.name)
            lot.begin(pairs, np.zeros(self.runs))
            for step in range(steps):
                lot.reach(rows, step * self.step, last=step == steps - 1)
                known[rows, step] = lot.codes[rows]
        return known, pairs

    def _lot(self, watch: int, name: str, *, runs: int | None = None) -> _Lot:
        """Begin the watches of a metric: of a stage, or -1 of the whole."""
        watched = self._watches[watch].metrics[name]
        assert isinstance(watched, MetricWatch)  # noqa: S101 - without segments all are
        return _Lot(watched, self._results[name], runs or self.runs)

    def _decided(
        self, stage: int, step: int, own: Mapping[str, int], whole: Mapping[str, int]
    ) -> RolloutAction:
        """Ask what is done, once where the same is asked again."""
        elapsed, asked = step * self.step, self.stages[stage]
        spans = elapsed >= asked.max_duration, elapsed >= (asked.min_duration or 0.0)
        codes = [
            {metric.name: given[metric.name] for metric in self.policy.metrics} for given in (own, whole)
        ]
        key = stage, spans, *(tuple(given.values()) for given in codes)
        if key not in self._actions:
            at_stage, release = (
                conclude(
                    {name: self._results[name][code] for name, code in given.items()},
                    watch.policy,
                    ARMS,
                    "all_looks",
                )
                for watch, given in zip((self._watches[stage], self._watches[-1]), codes, strict=True)
            )
            self._actions[key] = self._release.would(stage, elapsed, at_stage, release)
        return self._actions[key]


class _Results:
    """How a metric may stand, by number: the results that differ in outcome or reason."""

    def __init__(self) -> None:
        self._known: list[MetricResult] = []
        self._numbers: dict[tuple[Outcome, Reason], int] = {}

    def __getitem__(self, number: int) -> MetricResult:
        return self._known[number]

    def number(self, draft: Draft) -> int:
        """Give the number of results like a draft."""
        key = draft.fields["outcome"], draft.fields["reason"]
        if key not in self._numbers:
            self._numbers[key] = len(self._known)
            self._known += build([draft])
        return self._numbers[key]

    @property
    def safe(self) -> int:
        """The number of a pass."""
        fields = dict(self[0]) | {"outcome": Outcome.PASS, "reason": Reason.PROVEN_SAFE}
        return self.number(Draft(MetricResult, fields))


class _Lot:
    """One metric's watches, of many rollouts, each brought up to date where that may change how it stands."""

    def __init__(self, watched: MetricWatch, results: _Results, runs: int) -> None:
        self._of, self._metric, self._results = watched, watched.metric, results
        self._raw = KINDS[self._metric.kind].is_raw
        self._rules = self._metric.rules or watched_rules(self._metric)
        self._watches = [[watch.for_outcomes() for watch in watched.watches] for _ in range(runs)]
        self._parts: list[Sequence[Pair]] = [()] * runs
        """What is given of the present stage: the points in one piece, or samples interval by interval, with the ends of those."""
        self._ends: list[FloatArray] = [np.zeros(0)] * runs
        self._given, self._reached, self._before, self._seen = (
            np.zeros(runs, dtype=np.intp) for _ in range(4)
        )
        """Points of the stage that the watches were given, those that have come, and those of earlier stages; and how many observations they were."""
        self._offset, self._due = np.zeros(runs), np.full(runs, -np.inf)
        """When the stage began, and when the next planned look is due."""
        self._new, self._failed, self._passes = (
            np.full(runs, new, dtype=np.bool_) for new in (True, False, False)
        )
        """Those that were never looked at, those that have failed, which stays, and those that pass for the time being."""
        self._spacing, self._interval, self._limit, self._skip = 1.0, 1.0, 0, 0
        self._counts = np.zeros((0, 0, 0, 0))
        places = [
            place
            for place, watch in enumerate(watched.watches)
            if not all(isinstance(process, LooksProcess) for process in watch.processes)
        ]
        columns = {place: WatchRows(runs) for place in places} if runs > 1 else {}
        self._is_screened = runs > 1 and all(
            rows.put(run, watches[place])
            for place, rows in columns.items()
            for run, watches in enumerate(self._watches)
        )
        self._columns = list(columns.values()) if self._is_screened else []
        nothing = metric_result(DataSummary("concurrent", None, None, 0, 0, ()), self._metric, 1.0, (), ARMS)
        self.codes: _Ints = np.full(runs, results.number(nothing), dtype=np.intp)

    def begin(self, pairs: Mapping[int, MetricPair], offsets: FloatArray) -> None:
        """Begin a stage, at some time of each rollout: its points follow those that have come."""
        self._spacing = next(float(pair.interval or 1.0) for pair in pairs.values())
        self._interval = (self._metric.interval or INTERVAL) if self._raw else self._spacing
        self._limit = math.floor((self._of.horizon.max_duration or 0.0) / self._interval + _EPSILON) + 1
        answered([asking for run in pairs for asking in self._catching_up(run)])
        for run in pairs:
            self._before[run] += self._reached[run]
        warmup = self._metric.warmup or 0.0
        self._skip = math.ceil(warmup / self._spacing - _EPSILON)
        if warmup:
            given, pairs = pairs, {run: _after(pair, warmup) for run, pair in pairs.items()}
            for run, pair in given.items():
                arms = zip(
                    (pair.baseline, pair.canary), (pairs[run].baseline, pairs[run].canary), strict=True
                )
                self._seen[run] += min(len(arm) - len(left) for arm, left in arms)
        for run, pair in pairs.items():
            self._given[run] = self._reached[run] = 0
            self._offset[run] = offsets[run]
            cut = [pair]
            if self._raw:
                cut = list(intervals(replace(pair, interval=self._interval)))
                firsts = [float(part.canary.time[0]) for part in cut if part.canary.time is not None]
                self._ends[run] = self._interval * (np.floor(np.array(firsts) / self._interval) + 1)
            self._parts[run] = [self._of.row(_later(part, float(offsets[run]))) for part in cut]
        if self._columns:
            points = max(len(pair.canary) for pair in pairs.values())
            self._counts = np.zeros((len(self._watches), points, 2, 2))
            for run, pair in pairs.items():
                for place, arm in enumerate((pair.baseline, pair.canary)):
                    self._counts[run, :, place] = np.stack([arm.value, arm.exposures], axis=-1)

    def reach(self, on: _Ints, elapsed: float, *, last: bool = False) -> None:
        """Go on to where a stage has lasted so many seconds, and tell how the watches stand; in the `last` step, exactly why."""
        come = np.full(
            len(on), math.floor(elapsed / self._interval + _EPSILON) + 1 - self._skip, dtype=np.intp
        )
        if self._raw:  # of which an interval is over when the next one begins
            come[:] = [
                np.searchsorted(self._ends[run], elapsed + self._spacing - _EPSILON) for run in on.tolist()
            ]
        before = self._reached[on]
        points = np.maximum(before, np.minimum(come, self._limit - self._before[on]))
        self._reached[on] = points
        if self._columns:
            for point in range(int(before.min(initial=self._limit)), int(points.max(initial=0))):
                some = on[(before <= point) & (point < points)]
                for columns in self._columns:
                    columns.add(some, self._counts[some, point, :, 0], self._counts[some, point, :, 1])
        on = on[~self._failed[on] & ((points > before) | last)]
        may = self._new[on] | (self._due[on] <= self._offset[on] + elapsed + _EPSILON) | last
        may |= self._before[on] + self._reached[on] == self._metric.needed_points
        passes = self._passes[on]
        for columns in self._columns:
            decides = columns.may_decide(on)
            # what passes goes on to, unless it may fail, or may pass no longer
            fails = columns.may_decide(on, or_pass=False)
            may |= np.where(passes, fails | ~decides, decides)
        may |= not self._is_screened
        self._look(on[may].tolist())

    def _catching_up(self, run: int) -> list[Asking]:
        """Give the watches of a rollout what they were not given yet."""
        since, until = int(self._given[run]), int(self._reached[run])
        self._given[run] = until
        if since == until:
            return []
        parts = (
            self._parts[run][since:until] if self._raw else [self._parts[run][0].part(slice(since, until))]
        )
        self._seen[run] += sum(part.fewest for part in parts)
        return [watch.taking(part) for part in parts for watch in self._watches[run]]

    def _look(self, runs: list[int]) -> None:
        """Bring some up to date, and ask them."""
        answered([asking for run in runs for asking in self._catching_up(run)])
        for run in runs:
            watches, points = self._watches[run], int(self._seen[run])
            data = DataSummary("concurrent", self._interval, None, points, points, ())
            asked = asked_rules(self._rules, data, self._metric)
            findings = tuple(watch.look() for watch, is_asked in zip(watches, asked, strict=True) if is_asked)
            draft = metric_result(data, self._metric, 1.0, findings, ARMS)
            processes = [process for watch in watches for process in watch.processes]
            looks = [process.until_due()[1] for process in processes if isinstance(process, LooksProcess)]
            self._due[run] = min(looks, default=np.inf)
            self._new[run], self._passes[run] = False, draft.fields["outcome"] is Outcome.PASS
            self._failed[run] = draft.fields["outcome"] is Outcome.FAIL
            self.codes[run] = self._results.number(draft)


def _after(pair: MetricPair, seconds: float) -> MetricPair:
    """Give the same without its first so many seconds, for arms with times."""
    baseline, canary = (
        arm if arm.time is None else arm.part(arm.time >= seconds - _EPSILON)
        for arm in (pair.baseline, pair.canary)
    )
    return replace(pair, baseline=baseline, canary=canary)


def _later(pair: MetricPair, seconds: float) -> MetricPair:
    """Give the same at a later time."""
    baseline, canary = (
        arm if arm.time is None else replace(arm, time=arm.time + seconds)
        for arm in (pair.baseline, pair.canary)
    )
    return replace(pair, baseline=baseline, canary=canary)
