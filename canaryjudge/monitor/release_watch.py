"""One release under watch: its metrics, what they were given so far, and what that says of the release."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from canaryjudge._version import __version__
from canaryjudge.data import History, MetricPair, Series, about_metric, read_series
from canaryjudge.data.counters import CounterState
from canaryjudge.data.reading import without_points
from canaryjudge.data.segment_updates import KnownBefore, SegmentCounters, read_update, update_of
from canaryjudge.errors import BrokenDataError, DataError, PolicyError
from canaryjudge.explain import one_line
from canaryjudge.history import Asked, past_of
from canaryjudge.judging import check_policy, digest, policy_digest, shares
from canaryjudge.kinds import KINDS
from canaryjudge.monitor.metric_watch import PATIENCE, MetricWatch
from canaryjudge.monitor.segmented_watch import SegmentedResult, SegmentedWatch, check_segments, level_of
from canaryjudge.outcomes import conclude
from canaryjudge.policy import Metric, Policy, Segments
from canaryjudge.policy.switches import refuse_before_after
from canaryjudge.reasons import Outcome
from canaryjudge.results import HistoryFacts, MetricResult, Pairing, ReleaseResult, SegmentsFacts
from canaryjudge.rules import Asking, check_counts, say_together
from canaryjudge.rules.rows import Staged
from canaryjudge.verdict import Verdict

__all__ = ["Pasts", "ReleaseWatch", "check_watched", "measured", "pasts_of", "written_pasts"]

_PAIRINGS: Final[tuple[Pairing, ...]] = ("concurrent", "windows")
_DEFAULT_POINTS: Final = 60
Pasts: TypeAlias = Mapping[str, Mapping[Pairing, HistoryFacts]]


def check_watched(policy: Any) -> None:
    """Refuse what is no policy, or asks for what is told of finished data only."""
    check_policy(policy)
    if paired := [metric for metric in policy.metrics if KINDS[metric.kind].is_paired]:
        raise PolicyError(
            f"metric {paired[0].name!r} is of kind: {paired[0].kind}, which a watch does not look at: its requests are joined once all have been answered",
            "Judge finished logs with judge, and watch the other metrics by a policy of their own.",
        )
    refuse_before_after(
        policy,
        "a watch",
        "Judge finished data with judge and history, once the time after the switch is over.",
    )
    check_segments(policy)


class ReleaseWatch:
    """The metrics of a release, watched together.

    Parameters
    ----------
    policy : Policy
        What is asked of the release.
    arms : tuple of str
        The names of baseline and canary.
    known : History or None
        The same metrics at times when nothing was wrong.
    pass_times : float
        How many times as much harm a pass may leave open as the policy says.
    staged : {"whole", "stage"} or None
        Whether it is a watch of a rollout, as `Horizon` says.
    pasts : mapping or None
        What has been measured of the past, where `known` is not to be asked.
    """

    def __init__(
        self,
        policy: Policy,
        arms: tuple[str, str],
        known: History | None = None,
        *,
        pass_times: float = 1.0,
        staged: Staged | None = None,
        pasts: Pasts | None = None,
    ) -> None:
        self.policy, self.arms, self._known = policy, arms, known
        self._pass_times, self._staged = pass_times, staged
        self.history_digest = None if known is None else known.digest()
        self._failed = False
        self._waited = 0
        self._begin((pasts or {}) if known is None else measured(known, policy))

    def _begin(self, pasts: Pasts) -> None:
        """Begin the watch of each metric, with what its past says."""
        alphas, self._pasts = shares(self.policy), pasts
        self.metrics: dict[str, MetricWatch | SegmentedWatch] = {}
        for metric in self.policy.metrics:
            within = self.policy.segments is not None and level_of(metric) is not None
            self.metrics[metric.name] = self._begun(metric, alphas[metric.name], within=within)

    def _begun(self, metric: Metric, alpha: float, *, within: bool) -> MetricWatch | SegmentedWatch:
        """Begin the watch of a metric, within segments or of the whole."""
        return (SegmentedWatch if within else MetricWatch)(
            metric,
            self.policy,
            alpha,
            self.arms,
            self._pasts.get(metric.name, {}),
            pass_times=self._pass_times,
            staged=self._staged,
        )

    def _tell_apart(self, series: Mapping[str, tuple[Series, Series]]) -> None:
        """Watch a metric as a whole whose first data name no segment; refuse one whose data name some now and none before, or the other way round."""
        for name, watched in self.metrics.items():
            given = [arm for arm in series[name] if len(arm) or arm.segments]
            named = any(arm.segments for arm in given)
            if not given or named == isinstance(watched, SegmentedWatch):
                continue
            if named or (isinstance(watched, SegmentedWatch) and watched.segments):
                by = " and ".join(self.policy.segments.by if self.policy.segments else ())
                before, now = ("none", "some") if named else ("some", "none")
                raise DataError(
                    f"metric {name!r}: its data name {now} of the segments by {by}, and named {before} before",
                    "Name them in every update, or begin a new watch.",
                )
            alpha = shares(self.policy)[name]
            self.metrics = {**self.metrics, name: self._begun(watched.metric, alpha, within=False)}

    def _freeze(self, series: Mapping[str, tuple[Series, Series]]) -> None:
        """Settle what the history says once there are points: those of it that are not older are left out."""
        given = [arm for arms in series.values() for arm in arms if len(arm)]
        if self._known is None or not given:
            return
        known, self._known = self._known, None
        start = min((float(arm.time[0]) for arm in given if arm.time is not None), default=math.inf)
        ends = [past.end for pasts in self._pasts.values() for past in pasts.values() if past.end is not None]
        if max(ends, default=-math.inf) >= start:
            self._begin(measured(known, self.policy, start))

    @property
    def counters(self) -> dict[str, tuple[CounterState, CounterState] | None]:
        """The last points of each metric's counters, from which the next update goes on; of those that are watched as a whole."""
        return {
            name: watched.stream.counters
            for name, watched in self.metrics.items()
            if isinstance(watched, MetricWatch)
        }

    def read(self, data: Any) -> tuple[dict[str, tuple[Series, Series]], dict[str, BrokenDataError]]:
        """Read an update in any shape, from where its counters stand; and tell of which metrics the data are broken."""
        broken: dict[str, BrokenDataError] = {}
        if self.policy.segments is not None:
            known = self._known_before()
            return read_update(data, self.policy, self.policy.segments, self.arms, known), known.broken
        series = read_series(
            data,
            self.policy,
            baseline=self.arms[0],
            canary=self.arms[1],
            partial=True,
            counters=self.counters,
            broken=broken,
        )
        return series, broken

    def read_rows(
        self, columns: Mapping[str, Any], numbers: Any
    ) -> tuple[dict[str, tuple[Series, Series]], dict[str, BrokenDataError]]:
        """Read an update within segments of columns, whose rows have these numbers."""
        assert self.policy.segments is not None  # noqa: S101 - the caller has looked
        known = self._known_before()
        found = update_of(columns, self.policy, self.policy.segments, self.arms, known, numbers=numbers)
        return found, known.broken

    def _known_before(self) -> KnownBefore:
        """Give what reading within segments needs to know."""
        counters: dict[str, SegmentCounters] = {name: {(): own} for name, own in self.counters.items()}
        for name, watched in self.metrics.items():
            if isinstance(watched, SegmentedWatch):
                counters[name] = watched.counters
        asked = (metric.name for metric in self.policy.metrics if level_of(metric) is not None)
        return KnownBefore(frozenset(asked), counters)

    def taking(
        self, series: dict[str, tuple[Series, Series]], broken: dict[str, BrokenDataError]
    ) -> Iterable[Asking]:
        """Take new points, of which those of some metrics may be broken; gives what is still to be asked of the rules, which may be asked together with what others ask."""
        before = self.mark()
        self._freeze(series)
        known = self._given() if self._waits and self.is_patient else None
        fed: dict[str, Any] = {}
        try:
            if self.policy.segments is not None:
                self._tell_apart(series)
            for name, watched in self.metrics.items():
                try:
                    fed[name] = watched.feed(series[name])
                except BrokenDataError as error:
                    broken[name] = error
                    series[name] = without_points(self.arms)
                    fed[name] = watched.feed(series[name])
                self._check(name, fed[name])
            _check_not_all(broken, series)
        except DataError:
            self.back_to(before)
            raise
        for name, wrong in broken.items():
            self.metrics[name].leave_out(wrong)
        if self._waits and known is not None and (not known or known != self._given()):
            # a step that is run again brings nothing new, and does not make the wait longer
            self._waited += 1
        return [self.metrics[name].taking(series[name], given) for name, given in fed.items()]

    def _check(self, name: str, fed: list[MetricPair] | Mapping[Any, list[MetricPair]]) -> None:
        """Refuse intervals that cannot be watched: of a metric, or of each of its segments."""
        pairs = fed if isinstance(fed, list) else [pair for each in fed.values() for pair in each]
        self._check_clock(name, pairs)
        if KINDS[self.metrics[name].metric.kind].counts_events:
            with about_metric(name):
                for pair in pairs:
                    check_counts(pair.baseline, pair.canary)

    def mark(self) -> tuple[Any, ...]:
        """Give what `back_to` needs."""
        streams = {name: watched.mark() for name, watched in self.metrics.items()}
        return self.metrics, self._pasts, self._known, self._waited, streams

    def back_to(self, mark: tuple[Any, ...]) -> None:
        """Forget what was taken since, of which the rules have not been asked yet."""
        self.metrics, self._pasts, self._known, self._waited, streams = mark
        for name, watched in self.metrics.items():
            watched.back_to(streams[name])

    @property
    def is_patient(self) -> bool:
        """Whether data that are not there yet may just be late."""
        return self._waited < PATIENCE

    @property
    def _waits(self) -> bool:
        """Whether an arm of some metric has no point yet."""
        return any(min(watched.stream.points) == 0 for watched in self.metrics.values())

    def _given(self) -> list[dict[str, Any]]:
        """Describe what the metrics were given so far; nothing of those that have not been given anything."""
        states = [
            watched.stream.state() for watched in self.metrics.values() if watched.stream.timed is not None
        ]
        return [{key: value for key, value in state.items() if key != "notes"} for state in states]

    def _check_clock(self, name: str, pairs: list[MetricPair]) -> None:
        if self.policy.max_duration is not None and any(pair.canary.time is None for pair in pairs):
            raise DataError(
                f"metric {name!r}: the policy's max_duration needs times, and the data have none",
                "Give the column 'time', or give the policy max_points instead.",
            )

    def result(self) -> ReleaseResult:
        """Put together what the rules say now; a fail stays."""
        say_together([watch for watched in self.metrics.values() for watch in watched.watches])
        early = self.is_patient
        first, second = zip(*(watched.stream.ends for watched in self.metrics.values()), strict=True)
        ends = max(first), max(second)
        found = {name: watched.result(early=early, ends=ends) for name, watched in self.metrics.items()}
        results = {
            name: each.result if isinstance(each, SegmentedResult) else each for name, each in found.items()
        }
        release = conclude(results, self.policy, self.arms, "all_looks")
        if self.policy.segments is not None:
            release = release.model_copy(update={"segments": self._segments(self.policy.segments, found)})
        self._failed = self._failed or release.outcome is Outcome.FAIL
        if self._failed and release.outcome is not Outcome.FAIL:
            release = release.model_copy(update={"outcome": Outcome.FAIL, "action": "rollback"})
        return release

    def _segments(
        self, settings: Segments, found: Mapping[str, MetricResult | SegmentedResult]
    ) -> SegmentsFacts:
        """Say what the segments say of the release."""
        names = {
            name
            for watched in self.metrics.values()
            if isinstance(watched, SegmentedWatch)
            for name in watched.segments
        }
        within = {name: each for name, each in found.items() if isinstance(each, SegmentedResult)}
        return SegmentsFacts(
            by=settings.by,
            asked_by=settings.by,
            count=len(names),
            one=next(iter(names)) if len(names) == 1 else None,
            unnamed=tuple(name for name in found if name not in within),
            splits=tuple(split for each in within.values() for split in each.splits),
            metrics={name: each.facts for name, each in within.items() if each.facts is not None},
        )

    def verdict(self, release: ReleaseResult | None = None) -> Verdict:
        """Give the whole verdict now; the release's result may be known."""
        release = release or self.result()
        return Verdict(
            **dict(release),
            reason=one_line(release),
            version=__version__,
            policy_digest=policy_digest(self.policy),
            data_digest=digest(
                [
                    *self.arms,
                    *(watched.stream.digest for watched in self.metrics.values()),
                    *([] if self.history_digest is None else [self.history_digest]),
                ]
            ),
        )

    def merge(self, other: ReleaseWatch) -> None:
        """Take over what another watch of the same policy has seen."""
        for what, mine, theirs in (
            ("policy", policy_digest(self.policy), policy_digest(other.policy)),
            ("names of the arms", self.arms, other.arms),
            ("history", (self.history_digest, self._pasts), (other.history_digest, other._pasts)),
        ):
            if mine != theirs:
                raise DataError(f"the two monitors differ in their {what}", "Merge monitors of one release.")
        if self.policy.segments is not None:
            raise DataError(
                "monitors that compare within segments cannot be merged: each has shared alpha out over its own segments",
                "Give one monitor the data of all shards.",
            )
        own, others = (
            {name: watched for name, watched in each.metrics.items() if isinstance(watched, MetricWatch)}
            for each in (self, other)
        )
        before = {name: watched.save() for name, watched in own.items()}
        try:
            for name, watched in own.items():
                watched.merge(others[name])
        except DataError:
            for name, watched in own.items():
                watched.load(before[name])
            raise
        self._failed = self._failed or other._failed
        self._waited += other._waited

    def save(self) -> dict[str, Any]:
        """Give what is remembered."""
        return {
            "history_digest": self.history_digest,
            "history": written_pasts(self._pasts),
            "arms": list(self.arms),
            "failed": self._failed,
            "waited": self._waited,
            "metrics": {name: watched.save() for name, watched in self.metrics.items()},
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take what was saved; of something else, KeyError, TypeError, ValueError, IndexError or AttributeError."""
        self.history_digest = state["history_digest"]
        self._begin(pasts_of(state["history"]))
        for name, watched in self.metrics.items():
            saved = state["metrics"][name]
            if isinstance(watched, SegmentedWatch) and "segments" not in saved:
                own = self._begun(watched.metric, shares(self.policy)[name], within=False)
                self.metrics = {**self.metrics, name: own}
            self.metrics[name].load(saved)
        self._failed, self._waited = bool(state["failed"]), int(state["waited"])


def _check_not_all(
    broken: Mapping[str, BrokenDataError], series: Mapping[str, tuple[Series, Series]]
) -> None:
    """Refuse an update of which nothing can be read."""
    if broken and not any(len(arm) for pair in series.values() for arm in pair):
        raise next(iter(broken.values()))


def measured(known: History, policy: Policy, before: float | None = None) -> Pasts:
    """Measure what the past says of each metric, for arms that are paired as they may turn out to be."""
    points = policy.max_points or _DEFAULT_POINTS
    return {
        metric.name: {
            pairing: past_of(metric, known, Asked(pairing, points, policy.max_duration, before))
            for pairing in _PAIRINGS
            if metric.pairing in ("auto", pairing) and not KINDS[metric.kind].has_users
        }
        for metric in policy.metrics
    }


def written_pasts(pasts: Pasts) -> dict[str, Any]:
    """Write what was measured of the past."""
    return {
        name: {pairing: past.model_dump(mode="json", exclude_defaults=True) for pairing, past in own.items()}
        for name, own in pasts.items()
    }


def pasts_of(saved: Mapping[str, Mapping[Pairing, Any]]) -> Pasts:
    """Read what `written_pasts` wrote."""
    return {
        name: {pairing: HistoryFacts.model_validate(past) for pairing, past in pasts.items()}
        for name, pasts in saved.items()
    }
