"""One metric watched within segments of the traffic: the evidence within them together, each segment by itself, and who is to blame."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from canaryjudge.data import Arm, MetricPair, Note, about_metric, by_split, question_of, row_of
from canaryjudge.data.counters import CounterState
from canaryjudge.data.exposures import Splits, splits_of
from canaryjudge.data.reading import without_points
from canaryjudge.data.segment_updates import check_number, told
from canaryjudge.data.segments import SegmentName
from canaryjudge.data.series import Series
from canaryjudge.errors import BrokenDataError, DataError, PolicyError
from canaryjudge.history import with_past
from canaryjudge.judging import rule_levels
from canaryjudge.kinds import KINDS
from canaryjudge.monitor.effect_trace import EffectTrace
from canaryjudge.monitor.joined_intervals import Joined, JoinedIntervals
from canaryjudge.monitor.latest_points import LatestPoints
from canaryjudge.monitor.metric_watch import MetricWatch, patient, watched_rules
from canaryjudge.outcomes import DataSummary, asked_rules, at_deadline, metric_result
from canaryjudge.policy import AnyRule, Metric, Policy, Segments, Sequential
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.results import HistoryFacts, MetricResult, MetricSegments, Pairing, SegmentSplitFacts
from canaryjudge.rules import Asking, ErrorRates, Horizon, Pair, before_the_end, start_watch
from canaryjudge.rules.findings import EventsFinding, Finding, build
from canaryjudge.rules.rows import Staged
from canaryjudge.rules.sequential.watch import Watch
from canaryjudge.segments import (
    SegmentedMetric,
    at_look,
    segment_notes,
    splits_at_look,
    too_much_left_out,
    worst_of_segments,
)

__all__ = ["SegmentedResult", "SegmentedWatch", "check_segments", "level_of"]

_OF_THE_WHOLE: Final = ("slo", "burn_rate", "any_of", "all_of")
"""Rules that are asked of the whole: about objectives, and groups that may hold such."""
_FOR_LATER: Final = 0.25
"""Part of the segments' alpha that is kept for those that appear after the first update: the j-th of them has 1 / (j (j + 1)) of it."""
_METHODS: Final[dict[str, tuple[str, ...]]] = {
    "gauge": ("looks", "mean", "betting"),
    "ratio": ("mixture",),
    "count": ("mixture",),
    "samples": ("scores",),
    "histogram": (),
}
"""Methods of the sequential rule that compare within segments."""


def level_of(metric: Metric) -> int | None:
    """Give the place of the rule about the level that is watched within segments; None where there is none."""
    rules = metric.rules or watched_rules(metric)
    names = ("sequential", "mann_whitney", "proportion", "rate")
    return next((place for place, rule in enumerate(rules) if rule.rule in names), None)


def check_segments(policy: Policy) -> None:
    """Refuse what is not watched within segments, in a sentence each."""
    if policy.segments is None:
        return
    for metric in policy.metrics:
        place = level_of(metric)
        if place is None:
            continue
        rule, where = (metric.rules or watched_rules(metric))[place], f"metric {metric.name!r}"
        if metric.kind == "histogram":
            raise PolicyError(
                f"{where}: a watch does not compare histograms within segments, since what is tolerated changes the odds of each segment's buckets by another factor",
                "Watch a quantile of it as a gauge in each segment, judge finished data with judge, or leave segments out of this policy.",
            )
        if metric.pairing == "windows":
            raise PolicyError(
                f"{where}: within segments a watch compares arms that run side by side, and pairing: windows says that they do not",
                "Leave pairing out, or judge finished windows with judge.",
            )
        fits = isinstance(rule, Sequential) and rule.method_for(metric.kind) in _METHODS[metric.kind]
        if not fits and not (rule.rule == "mann_whitney" and metric.kind == "gauge"):
            name = (
                f"method: {rule.method_for(metric.kind)}"
                if isinstance(rule, Sequential)
                else f"rule {rule.rule}"
            )
            raise PolicyError(
                f"{where}: the {name} is not asked within segments in a watch",
                f"Take the rule sequential with method: {_METHODS[metric.kind][0]}, which is its default, or judge finished data with judge.",
            )


@dataclass(frozen=True, slots=True)
class SegmentedResult:
    """What became of a metric, and what its segments say."""

    result: MetricResult
    facts: MetricSegments | None
    splits: tuple[SegmentSplitFacts, ...]


class _Streams:
    """The streams of a metric's segments, as what knows of one stream asks."""

    def __init__(self, owner: SegmentedWatch) -> None:
        self._owner = owner

    @property
    def _each(self) -> list[Any]:
        return [watched.stream for _, watched in sorted(self._owner.segments.items())]

    @property
    def points(self) -> tuple[int, int]:
        """Intervals that some segment has of both arms; raw observations of all segments."""
        if not KINDS[self._owner.metric.kind].is_raw:
            return (self._owner.joined.points,) * 2
        first, second = (sum(stream.points[arm] for stream in self._each) for arm in (0, 1))
        return first, second

    @property
    def first_time(self) -> float | None:
        """When the first interval was, in seconds since 1970; None without one."""
        first = self._owner.joined.first
        return first if math.isfinite(first) else None

    @property
    def last_time(self) -> float | None:
        """When the last one was."""
        last = self._owner.joined.last
        return last if math.isfinite(last) else None

    @property
    def interval(self) -> float | None:
        """The spacing of the intervals in seconds."""
        return max((stream.interval for stream in self._each if stream.interval), default=None)

    @property
    def timed(self) -> bool | None:
        """Whether the points have times, which they must; None before there are any."""
        return True if any(stream.timed for stream in self._each) else None

    @property
    def ends(self) -> tuple[float, float]:
        """When the last rows of both arms were."""
        first, second = (
            max((stream.ends[arm] for stream in self._each), default=-math.inf) for arm in (0, 1)
        )
        return first, second

    @property
    def digest(self) -> str:
        """The SHA-256 of everything that was complete, in hexadecimal."""
        sha = hashlib.sha256(b"segments")
        for name, watched in sorted(self._owner.segments.items()):
            sha.update("\x1f".join((*name, watched.stream.digest, "")).encode(errors="surrogatepass"))
        return sha.hexdigest()

    def state(self) -> dict[str, Any]:
        """Describe what the segments were given so far."""
        return {
            told(name): {key: value for key, value in own.stream.state().items() if key != "notes"}
            for name, own in sorted(self._owner.segments.items())
        }


class SegmentedWatch:
    """One metric within segments: what each was given, and what the rules make of them together and of each.

    The evidence within segments has `share` of the level of the rule about the level, and each segment's own watch a part of the rest: those of the first update share three quarters of it equally, the j-th that comes
    later has 1 / (j (j + 1)) of the last quarter. So all of them together keep within the level, however many there will be.
    """

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
        assert policy.segments is not None  # noqa: S101 - the caller has looked
        self.metric, self.policy, self._alpha, self._arms = metric, policy, alpha, arms
        self._settings: Segments = policy.segments
        self._asked = metric.model_copy(update={"pairing": "concurrent"})
        self._pasts, self._pass_times, self._staged = pasts, pass_times, staged
        self._known = with_past(self._asked, *pasts.values())
        rules = metric.rules or watched_rules(self._asked)
        place = level_of(metric)
        assert place is not None  # noqa: S101 - as above
        self._rules, self._place, self._levels = rules, place, rule_levels(rules, alpha)
        self.horizon = Horizon(policy.max_points, policy.max_duration, staged=staged)
        self._within = self._start(place, self._settings.share)
        self._objectives = {
            number: self._start(number, 1.0)
            for number, rule in enumerate(rules)
            if rule.rule in _OF_THE_WHOLE
        }
        self.splits: Splits = splits_of(policy)
        self._restarts: tuple[float, ...] = ()
        self.segments: dict[SegmentName, MetricWatch] = {}
        self._parts: dict[SegmentName, float] = {}
        """The part of the segments' alpha that each has."""
        self._later = 0
        self._broken: dict[SegmentName, Note] = {}
        """What is wrong with the segments of the update that was given last."""
        self.joined = JoinedIntervals(self._asked)
        self.stream = _Streams(self)
        self.recent: LatestPoints | None = None
        self.trace: EffectTrace | None = None
        self._watch_of(1.0)  # says what cannot be watched

    def _start(self, place: int, part: float) -> Watch:
        """Start to watch by a rule at a part of its level."""
        rates = ErrorRates(part * self._levels[place], self.policy.beta)
        question = question_of(self._known, rates, horizon=self.horizon, pass_times=self._pass_times)
        return start_watch(question, self._rules[place].in_unit_of(self.metric))

    def _watch_of(self, part: float) -> MetricWatch:
        """Begin to watch a segment by itself, at its part of what the segments have."""
        rules: tuple[AnyRule, ...] = tuple(rule for rule in self._rules if rule.rule not in _OF_THE_WHOLE)
        objectives = math.fsum(self._levels[number] for number in self._objectives)
        alpha = (1 - self._settings.share) * part * (self._alpha - objectives)
        watched = MetricWatch(
            self._asked.model_copy(update={"rules": rules}),
            self.policy,
            alpha,
            self._arms,
            self._pasts,
            pass_times=self._pass_times,
            staged=self._staged,
        )
        watched.splits, watched.stream.restarts = self.splits, self._restarts
        self._level_in(watched).goes_on = True
        return watched

    def _level_in(self, watched: MetricWatch) -> Watch:
        """Give a segment's watch of the level."""
        before = [rule for rule in self._rules[: self._place] if rule.rule not in _OF_THE_WHOLE]
        return watched.watches[len(before)]

    def _so_far(self, name: SegmentName, ends: tuple[float, float]) -> MetricResult:
        """Give what a segment's own watch says, of the level with all evidence so far: a segment that has passed or failed is held against the others by what is known of it now."""
        watched = self.segments[name]
        result, level = watched.result(early=True, ends=ends), self._level_in(watched)
        rule = self._rules[self._place].rule
        if not level.decided or not any(each.rule == rule for each in result.findings):
            return result
        decided, latest = level.look(), level.latest
        if getattr(latest, "interval", None) is None:  # a look that abstains knows less than one before
            return result
        found = latest.model_copy(
            update={
                **{key: getattr(decided, key) for key in ("outcome", "reason", "watch")},
                "pvalue": _less(decided.pvalue, latest.pvalue),
                "pvalue_pass": _less(decided.pvalue_pass, latest.pvalue_pass),
            }
        )
        place = next(place for place, each in enumerate(result.findings) if each.rule == rule)
        findings = (*result.findings[:place], found, *result.findings[place + 1 :])
        return result.model_copy(update={"findings": findings})

    @property
    def watches(self) -> tuple[Watch, ...]:
        """All that may decide something."""
        own = (watch for _, watched in sorted(self.segments.items()) for watch in watched.watches)
        return (self._within, *self._objectives.values(), *own)

    @property
    def counters(self) -> dict[SegmentName, tuple[CounterState, CounterState] | None]:
        """The last points of the counters of each segment."""
        return {name: watched.stream.counters for name, watched in self.segments.items()}

    def in_stages(self, splits: Splits, trace: EffectTrace, restarts: tuple[float, ...]) -> None:
        """Tell the watch of a rollout from when on which split of the traffic holds, and where the effect over time is kept."""
        self.splits, self.trace, self._restarts = splits, trace, restarts
        for watched in self.segments.values():
            watched.splits, watched.stream.restarts = splits, restarts

    def mark(self) -> Any:
        """Give what `back_to` needs."""
        marks = {name: watched.mark() for name, watched in self.segments.items()}
        return dict(self.segments), dict(self._parts), self._later, marks

    def back_to(self, mark: Any) -> None:
        """Forget what the streams were given since."""
        self.segments, self._parts, self._later, marks = mark
        for name, own in marks.items():
            self.segments[name].back_to(own)

    def leave_out(self, error: BrokenDataError) -> None:
        """Remember what is wrong with an update, in each segment."""
        for watched in self.segments.values():
            watched.leave_out(error)

    def feed(self, series: tuple[Series, Series]) -> dict[SegmentName, list[MetricPair]]:
        """Let the streams take an update; gives the intervals that each segment completed."""
        first, second = series
        self._open({*first.segments, *second.segments})
        self._broken, fed = {}, {}
        for name in sorted({*first.segments, *second.segments}):
            watched, own = self.segments[name], self._of_segment(series, name)
            broken = next((note for arm in own for note in arm.notes if note.code == "broken"), None)
            try:
                fed[name] = watched.feed(own if broken is None else without_points(self._arms))
            except BrokenDataError as error:
                broken = Note(code="broken", facts={"said": error.message, "hint": error.hint})
                fed[name] = watched.feed(without_points(self._arms))
            except DataError as error:
                raise DataError(f"segment {told(name)!r}: {error.message}", error.hint) from error
            if broken is not None:
                self._broken[name] = broken
        return fed

    def _of_segment(self, series: tuple[Series, Series], name: SegmentName) -> tuple[Series, Series]:
        nothing = without_points(self._arms)
        first, second = (arm.segments.get(name, none) for arm, none in zip(series, nothing, strict=True))
        return first, second

    def _open(self, names: set[SegmentName]) -> None:
        """Begin to watch segments that are new: those of the first update share alike."""
        new = sorted(names - set(self.segments))
        if not new:
            return
        check_number(len(self.segments) + len(new), self._settings.by)
        founders = not self.segments
        for name in new:
            if founders:
                self._parts[name] = (1 - _FOR_LATER) / len(new)
            else:
                self._later += 1
                self._parts[name] = _FOR_LATER / (self._later * (self._later + 1))
            self.segments[name] = self._watch_of(self._parts[name])

    def taking(self, series: tuple[Series, Series], fed: dict[SegmentName, list[MetricPair]]) -> Asking:
        """Take an update that the streams have taken: what it completed in each segment, and what that makes together."""
        for name, pairs in fed.items():
            watched, own = self.segments[name], self._of_segment(series, name)
            if name in self._broken:
                watched.leave_out_of(self._broken[name])
            yield from watched.taking(own if name not in self._broken else without_points(self._arms), pairs)
            for pair in pairs:
                self.joined.add(name, by_split(pair, self.metric, self.splits))
        for found in self.joined.complete(self.stream.interval):
            if self.recent is not None:
                self.recent.add(found.whole)
            row = self._row(found)
            if self.trace is not None:
                self.trace.add(row)
            for watch in (self._within, *self._objectives.values()):
                left: Pair | None = row
                if not watch.decided:
                    left = before_the_end(row, self.horizon, watch.points, self.stream.first_time)
                if left is not None:
                    with about_metric(self.metric.name):
                        yield from watch.taking(left)

    def _row(self, found: Joined) -> Pair:
        """Give what the rules see of intervals."""
        rates = ErrorRates(self._alpha, self.policy.beta)
        whole, *strata = (
            row_of(pair, self._known, rates, pass_times=self._pass_times)
            for pair in (found.whole, *found.strata)
        )
        return replace(whole, strata=tuple(strata)) if strata else whole

    def result(self, *, early: bool, ends: tuple[float, float]) -> SegmentedResult:
        """Put together what the rules say now, of the metric and of its segments."""
        stream = self.stream
        last = stream.last_time
        names = sorted(self.segments)
        results = [self._so_far(name, ends) for name in names]
        span = None if stream.first_time is None or last is None else (stream.first_time, last)
        pairs = [self._stand_in(name, result) for name, result in zip(names, results, strict=True)]
        splits = splits_at_look(
            [self.segments[name].traffic for name in names], names, self.metric, self.policy
        )
        own = SegmentedMetric(
            self._known,
            MetricPair(self.metric.name, self.metric.kind, Arm(np.empty(0)), Arm(np.empty(0)), "concurrent"),
            pairs,
            results[0] if results else self._empty(),
            results,
            names,
            self._levels[self._place],
            self.policy.beta,
            self.policy.beta,
            self._rules[self._place].rule,
        )
        notes = (*_shared_notes(results), *segment_notes(own, splits)) if names else ()
        data = DataSummary(
            "concurrent", stream.interval, span, *stream.points, notes, history=self._pasts.get("concurrent")
        )
        asked = asked_rules(self._rules, data, self._known)
        facts: MetricSegments | None = None
        findings: list[Finding] = []
        if names:
            found_in: dict[str, SegmentName] = {}
            level: Finding = self._within.look(last)
            others = [*self._others(own, found_in, last, asked)]
            parts = np.array([self._parts[name] for name in names])
            level, facts = at_look(own, level, parts, self._settings, found_in, self._pooled(results))
            if asked[self._place] or level.outcome is Outcome.FAIL:
                others.insert(self._place, level)
            findings = others
        (result,) = build([metric_result(data, self._known, self._alpha, tuple(findings), self._arms)])
        result = patient(result, early=early)
        if result.outcome is Outcome.PASS and facts is not None and too_much_left_out(facts):
            result = result.model_copy(
                update={"outcome": Outcome.MARGINAL, "reason": Reason.SEGMENTS_LEFT_OUT}
            )
        over = self.horizon.is_over(self._within.points, stream.first_time, last)
        result = at_deadline(result, self.policy.on_deadline) if over else result
        return SegmentedResult(result, facts, splits)

    def _others(
        self,
        own: SegmentedMetric,
        found_in: dict[str, SegmentName],
        last: float | None,
        asked: Sequence[bool],
    ) -> Iterator[Finding]:
        """Give the findings that are not about the level: objectives of the whole, and of a feature the worst segment's."""
        seen: set[str] = set()
        for number, rule in enumerate(self._rules):
            if number == self._place or not asked[number]:
                continue
            if number in self._objectives:
                yield self._objectives[number].look(last)
            elif rule.rule not in seen:
                seen.add(rule.rule)
                for place, finding in worst_of_segments(own, rule.rule):
                    found_in[rule.rule] = own.names[place]
                    yield finding

    def _empty(self) -> MetricResult:
        """Give what becomes of a metric without data."""
        data = DataSummary("concurrent", None, None, 0, 0, ())
        found: MetricResult
        (found,) = build([metric_result(data, self._known, self._alpha, (), self._arms)])
        return found

    def _stand_in(self, name: SegmentName, result: MetricResult) -> MetricPair:
        """Give a pair that has as much traffic as a segment, without its points."""
        watched, kind = self.segments[name], KINDS[self.metric.kind]
        arms = []
        for points, amount in zip(
            watched.stream.given,
            self._amounts(result, watched) if kind.counts_events else (0.0, 0.0),
            strict=True,
        ):
            if kind.counts_events:
                size = min(points, 1)
                arms.append(Arm(np.zeros(size), np.full(size, amount)))
            else:
                arms.append(Arm(np.broadcast_to(0.0, points)))
        broken = tuple(note for note in result.warnings if note.code == "broken")
        return MetricPair(self.metric.name, self.metric.kind, arms[0], arms[1], "concurrent", notes=broken)

    @staticmethod
    def _amounts(result: MetricResult, watched: MetricWatch) -> tuple[float, float]:
        """Give how much traffic a segment has: exposure, of an arm that the other lacks as much a point as waits."""
        stream = watched.stream
        if not min(stream.points):
            first, second = (
                points * mean for points, mean in zip(stream.given, stream.waiting_totals, strict=True)
            )
            return first, second
        if len(watched.traffic) and watched.traffic.all():
            first, second = watched.traffic.tolist()
            return first, second
        found = [
            (finding.total_baseline, finding.total_canary)
            for finding in result.findings
            if isinstance(finding, EventsFinding) and finding.total_baseline is not None
        ]
        baseline, canary = found[0] if found else stream.points
        return float(baseline or 0.0), float(canary or 0.0)

    def _pooled(self, results: Sequence[MetricResult]) -> dict[str, float]:
        """Give the change of all events together, whatever the mix of segments, in each scale; nothing of anything but events."""
        names = ("events_baseline", "total_baseline", "events_canary", "total_canary")
        rule = self._rules[self._place].rule
        sums = np.zeros(4)
        for result in results if KINDS[self.metric.kind].counts_events else ():
            for finding in result.findings:
                if finding.rule == rule and isinstance(finding, EventsFinding):
                    sums += [getattr(finding, name) or 0.0 for name in names]
                    break
        if not (sums[[0, 1, 3]] > 0).all():
            return {}
        rates = sums[0] / sums[1], sums[2] / sums[3]
        return {"relative": float(rates[1] / rates[0] - 1), "absolute": float(rates[1] - rates[0])}

    def save(self) -> dict[str, Any]:
        """Give what is remembered."""
        return {
            "within": self._within.save(),
            "objectives": [watch.save() for watch in self._objectives.values()],
            "later": self._later,
            "joined": self.joined.state(),
            "segments": [
                [*name, self._parts[name], watched.save()] for name, watched in sorted(self.segments.items())
            ],
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take what was saved."""
        self._within.load(state["within"])
        for watch, saved in zip(self._objectives.values(), state["objectives"], strict=True):
            watch.load(saved)
        self._later = int(state["later"])
        self.joined = JoinedIntervals.restore(self._asked, state["joined"])
        self.segments, self._parts = {}, {}
        for *name, part, saved in state["segments"]:
            key = tuple(map(str, name))
            self._parts[key] = float(part)
            self.segments[key] = self._watch_of(float(part))
            self.segments[key].load(saved)
            self.segments[key].stream.restarts = self._restarts


def _less(first: float | None, second: float | None) -> float | None:
    """Give the smaller p-value of those that are known."""
    return min((each for each in (first, second) if each is not None), default=None)


def _shared_notes(results: Sequence[MetricResult]) -> Iterator[Note]:
    """Give what is so of every segment alike: that an interval of a count is taken to be worth the same in both arms."""
    found = [note for result in results for note in result.warnings if note.code == "equal_exposure"]
    yield from found[:1]
