"""One metric under watch: what it was given so far, and what its rules make of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from canaryjudge.data import Arm, FloatArray, MetricPair, Note, about_metric, by_split, question_of, row_of
from canaryjudge.data.exposures import Splits, equal_exposure, has_shares, split_mismatch, splits_of
from canaryjudge.data.pairing import too_few_points
from canaryjudge.data.series import Series
from canaryjudge.data.user_stream import stream_of
from canaryjudge.errors import BrokenDataError, PolicyError
from canaryjudge.history import with_past
from canaryjudge.judging import rule_levels
from canaryjudge.kinds import KINDS
from canaryjudge.monitor.effect_trace import EffectTrace
from canaryjudge.monitor.latest_points import LatestPoints
from canaryjudge.monitor.replica_levels import ReplicaLevel, ReplicaLevels
from canaryjudge.outcomes import DataSummary, asked_rules, at_deadline, metric_result, says_nothing
from canaryjudge.policy import AnyRule, Metric, Policy, Sequential
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.results import HistoryFacts, MetricResult, Pairing
from canaryjudge.rules import (
    Asking,
    ErrorRates,
    Horizon,
    Pair,
    before_the_end,
    pool_replicas,
    rules_on_one_clock,
    start_watch,
)
from canaryjudge.rules.findings import build
from canaryjudge.rules.replicas import LEAST_SHARE
from canaryjudge.rules.rows import Staged
from canaryjudge.stats.count_processes import sequential_pvalue
from canaryjudge.stats.exact_sums import ExactSum

__all__ = ["PATIENCE", "MetricWatch", "patient", "watched_rules"]

PATIENCE: Final = 10
"""Updates with something new after which a metric without data fails where the policy says so, and intervals after which one does that fell silent; until then its data may just be late."""


class MetricWatch:
    """One metric: what it was given, and what its rules make of it."""

    def __init__(
        self,
        metric: Metric,
        policy: Policy,
        alpha: float,
        arms: tuple[str, str],
        pasts: Mapping[Pairing, HistoryFacts],
        *,
        pass_times: float = 1.0,
        staged: Staged | None = None,
    ) -> None:
        metric = with_past(metric, *pasts.values())
        self.metric, self.policy, self._alpha, self._arms, self._pasts = metric, policy, alpha, arms, pasts
        self._pass_times, self.splits = pass_times, splits_of(policy)
        self.stream = stream_of(metric, *arms)
        # a gauge's replicas are its yardstick; of other kinds a stream keeps too little of them
        replicas = self._replicas if KINDS[metric.kind].is_averaged else None
        self._rates = ErrorRates(alpha, policy.beta)
        self.horizon = Horizon(policy.max_points, policy.max_duration, replicas, staged=staged)
        rules = metric.rules or watched_rules(metric)
        for rule in rules:
            _check_watchable(rule, metric, policy)
        self.watches = tuple(
            start_watch(
                question_of(
                    metric, ErrorRates(level, policy.beta), horizon=self.horizon, pass_times=pass_times
                ),
                rule.in_unit_of(metric),
            )
            for rule, level in zip(rules, rule_levels(rules, alpha), strict=True)
        )
        self._traffic = ExactSum((2,))
        self._levels = ReplicaLevels()
        self._pooled = False  # whether several replicas were taken together
        self._broken: Note | None = None  # what is wrong with its latest data, which were left out
        self.recent: LatestPoints | None = None
        """The latest points, where somebody wants to draw them."""
        self.trace: EffectTrace | None = None
        """The effect over time, where somebody wants to see how it went."""

    def levels(self) -> tuple[tuple[ReplicaLevel, ...], tuple[ReplicaLevel, ...]]:
        """Give each replica's number of points and mean so far, of the baseline and the canary; none where replicas are not named."""
        return self._levels.now

    def _replicas(self) -> tuple[tuple[Arm, ...], tuple[Arm, ...]]:
        baseline, canary = (_as_points(arm) for arm in self._levels.now)
        return baseline, canary

    @property
    def is_odd(self) -> bool:
        """Whether it is more than its points: broken of late, told by replicas, or drawn."""
        return self._broken is not None or bool(self._levels) or self.recent is not None

    def leave_out(self, error: BrokenDataError) -> None:
        """Remember what is wrong with an update, until the next one that is not."""
        self.leave_out_of(Note(code="broken", facts={"said": error.message, "hint": error.hint}))

    def leave_out_of(self, broken: Note) -> None:
        """Remember what is noted to be wrong with an update."""
        self._broken = broken

    def feed(self, series: tuple[Series, Series]) -> list[MetricPair]:
        """Let the stream take an update; gives the intervals that it completed, which `taking` wants."""
        return self.stream.feed(*series)

    def in_stages(self, splits: Splits, trace: EffectTrace, restarts: tuple[float, ...]) -> None:
        """Tell the watch of a rollout from when on which split of the traffic holds, and where the effect over time is kept."""
        self.splits, self.trace, self.stream.restarts = splits, trace, restarts

    @property
    def traffic(self) -> FloatArray:
        """The totals of both arms of a ratio so far."""
        return self._traffic.value

    def mark(self) -> Any:
        """Give what `back_to` needs."""
        return self.stream.__dict__.copy()

    def back_to(self, mark: Any) -> None:
        """Forget what the stream was given since."""
        self.stream.__dict__.update(mark)

    def taking(self, series: tuple[Series, Series], pairs: list[MetricPair]) -> Asking:
        """Take an update that the stream has taken: its replicas, and the intervals that it completed, which the rules get."""
        kind = KINDS[self.metric.kind]
        self._levels.add(series, self.stream.compared_from, kind=kind)
        if any(map(len, series)):
            self._broken = None
        several = max(len(arm.replicas) for arm in series) > 1
        self._pooled = self._pooled or (several and not kind.is_averaged)
        for pair in pairs:
            if self.recent is not None and not kind.has_users:
                self.recent.add(pair)
            if kind.has_users:
                self._traffic.add(np.array([pair.baseline.points, pair.canary.points]))
            elif kind.is_share and pair.baseline.total is not None and pair.canary.total is not None:
                self._traffic.add_all(np.stack([pair.baseline.total, pair.canary.total], axis=-1))
            row = self.row(pair)
            if self.trace is not None:
                self.trace.add(row)
            for watched in self.watches:
                left: Pair | None = row
                if not watched.decided:
                    left = before_the_end(row, self.horizon, watched.points, self.stream.first_time)
                if left is not None:
                    with about_metric(self.metric.name):
                        yield from watched.taking(left)

    def row(self, pair: MetricPair) -> Pair:
        """Give what the rules see of a pair."""
        by_its_split = by_split(pair, self.metric, self.splits)
        return row_of(by_its_split, self.metric, self._rates, pass_times=self._pass_times)

    def result(self, *, early: bool, ends: tuple[float, float]) -> MetricResult:
        """Put together what the rules say now; early in a watch, data that are still to come are no failure. `ends` is until when the arms gave rows of any metric."""
        stream = self.stream
        first, last = stream.first_time, stream.last_time
        broken = () if self._broken is None else (self._broken,)
        kind = KINDS[self.metric.kind]
        quiet = self._levels.silences(kind, self._arms, stream.interval)
        notes = (
            *stream.notes_until(ends),
            *quiet,
            *broken,
            *self._about_sizes(),
            *self._about_exposures(),
        )
        span = None if first is None or last is None else (first, last)
        pairing: Pairing = "concurrent" if stream.concurrent else "windows"
        data = DataSummary(
            pairing, stream.interval, span, *stream.points, notes, history=self._pasts.get(pairing)
        )
        rules = self.metric.rules or watched_rules(self.metric)
        asked = asked_rules(rules, data, self.metric)
        findings = tuple(
            watched.look(last) for watched, is_asked in zip(self.watches, asked, strict=True) if is_asked
        )
        if self._pooled:
            findings = tuple(map(pool_replicas, findings))
        (result,) = build([metric_result(data, self.metric, self._alpha, findings, self._arms)])
        result = patient(result, early=early)
        points = min((watched.points for watched in self.watches), default=0)
        over = self.horizon.is_over(points, first, last)
        return at_deadline(result, self.policy.on_deadline) if over else result

    def _about_sizes(self) -> list[Note]:
        """Say which arms have fewer points than are needed, and how many those are."""
        counted = zip(self._arms, self.stream.points, strict=True)
        return [note for arm, points in counted for note in too_few_points(self.metric, arm, points)]

    def _about_exposures(self) -> tuple[Note, ...]:
        """Say whether the traffic is split as planned, by a test that may be asked at any time."""
        split, totals = self.policy.split, self._traffic.value
        note: Note | None = None
        if split is not None and has_shares(KINDS[self.metric.kind]) and totals.all():
            pvalue = float(sequential_pvalue(totals, np.array([split.baseline, split.canary])))
            note = split_mismatch(split.canary, float(totals[1] / totals.sum()), pvalue)
        elif self.stream.points[1] and not self.splits:
            note = equal_exposure(self.metric, self.policy, untold=not self.stream.has_totals)
        return () if note is None else (note,)

    def merge(self, other: MetricWatch) -> None:
        """Take over another shard's."""
        self.stream.merge(other.stream)
        self._traffic.merge(other._traffic)
        self._levels.merge(other._levels)
        self._pooled = self._pooled or other._pooled
        self._broken = self._broken or other._broken
        with about_metric(self.metric.name):
            for mine, theirs in zip(self.watches, other.watches, strict=True):
                mine.merge(theirs)

    def save(self) -> dict[str, Any]:
        """Give what is remembered."""
        return {
            "levels": self._levels.state(),
            "pooled": self._pooled,
            "broken": None if self._broken is None else self._broken.model_dump(mode="json"),
            "stream": self.stream.state(),
            "traffic": [self._traffic.whole.tolist(), self._traffic.parts.tolist()],
            "watches": _told_once([watched.save() for watched in self.watches]),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take what was saved."""
        self.stream = self.stream.restore(self.metric, *self._arms, state["stream"])
        self._traffic = ExactSum((2,))
        self._traffic.whole, self._traffic.parts = (
            np.array(part, dtype=np.int64) for part in state["traffic"]
        )
        self._levels = ReplicaLevels.restore(state["levels"])
        self._pooled = bool(state["pooled"])
        self._broken = None if state["broken"] is None else Note.model_validate(state["broken"])
        for watched, saved in zip(self.watches, _told_in_full(state["watches"]), strict=True):
            watched.load(saved)


def patient(result: MetricResult, *, early: bool) -> MetricResult:
    """Give a result that data which may just be late do not fail."""
    if result.reason is not Reason.NO_DATA_FAILS:
        return result
    waits = max((note.count or 0 for note in result.warnings if says_nothing(note)), default=0) < PATIENCE
    some = min(result.n_baseline, result.n_canary) > 0
    if some and waits:
        return result.model_copy(update={"outcome": Outcome.MARGINAL, "reason": Reason.SILENT})
    if early and not some:
        return result.model_copy(update={"outcome": Outcome.MARGINAL, "reason": Reason.NO_DATA})
    return result


def _told_once(watches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out the points of those rules that keep the same ones as the first."""
    points = watches[0]["main"].get("arms")
    for watched in watches[1:]:
        if points is not None and watched["main"].get("arms") == points:
            watched["main"] = watched["main"] | {"arms": None}
    return watches


def _told_in_full(watches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    points = {"arms": watches[0]["main"].get("arms")}
    return [
        saved | {"main": saved["main"] | points} if saved["main"].get("arms", points) is None else saved
        for saved in watches
    ]


def watched_rules(metric: Metric) -> tuple[AnyRule, ...]:
    """Give what is watched of a metric whose policy names no rules; arms that turn out not to share the clock are asked nothing more."""
    return (Sequential(), *(rules_on_one_clock(metric) if metric.pairing != "windows" else ()))


def _as_points(levels: tuple[ReplicaLevel, ...]) -> tuple[Arm, ...]:
    """Give each replica as one point, but for those that were there too briefly to have a level."""
    longest = max((level.points for level in levels), default=0)
    return tuple(Arm(np.array([level.mean])) for level in levels if level.points >= LEAST_SHARE * longest)


def _check_watchable(rule: AnyRule, metric: Metric, policy: Policy) -> None:
    planned = not isinstance(rule, Sequential) or rule.method_for(metric.kind) == "looks"
    if planned and KINDS[metric.kind].is_raw:
        raise PolicyError(
            f"metric {metric.name!r}: the rule {rule.rule} wants all {'users' if KINDS[metric.kind].has_users else 'requests'} at once, which a monitor does not keep",
            "Take the rule sequential, or judge the whole window with judge.",
        )
    if planned and not policy.has_deadline:
        what = "a gauge" if isinstance(rule, Sequential) else f"the rule {rule.rule}"
        raise PolicyError(
            f"metric {metric.name!r}: {what} is looked at at planned times, because its points depend on each other, and no end is given to "
            "plan for",
            "Give the policy max_points or max_duration.",
        )
