"""One release in stages: a watch over all of it, one of the present stage alone, and what both say to do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from canaryjudge.data import History, Series
from canaryjudge.data.exposures import Splits
from canaryjudge.data.reading import without_points
from canaryjudge.data.segment_updates import together
from canaryjudge.errors import BrokenDataError, DataError, PolicyError
from canaryjudge.explain import one_line
from canaryjudge.monitor.release_watch import Pasts, ReleaseWatch, measured, pasts_of, written_pasts
from canaryjudge.outcomes import at_deadline, conclude
from canaryjudge.packing import pack_document, unpack_document
from canaryjudge.patterns.timeline import Timeline
from canaryjudge.policy import Metric, Policy, Split, Stage
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.results import (
    Because,
    DecisionFacts,
    Doubt,
    DoubtFacts,
    MetricResult,
    ReleaseResult,
    RolloutAction,
    RolloutWaived,
    StageFacts,
)
from canaryjudge.rules import Asking
from canaryjudge.rules.sequential.planned_looks import LooksProcess

__all__ = ["StagedRelease", "bound_times"]

_CAUSES: Final[dict[Reason, Doubt]] = {
    Reason.NO_DATA: "no_traffic",
    Reason.NO_DATA_FAILS: "no_traffic",
    Reason.SILENT: "no_traffic",
    Reason.SPLIT_MISMATCH: "split_mismatch",
    Reason.MISREAD: "misread",
    Reason.BROKEN: "misread",
    Reason.SAME_DATA: "misread",
    Reason.UNPAIRED: "misread",
}


class StagedRelease:
    """A release that gets its traffic in stages.

    Half of alpha is for the evidence since the start, half is shared out over the stages, whose watches begin anew: what went well before cannot hide a fault that
    begins late. A stage is left on its own data. Points belong to a stage that are later than the last one before it began.

    Parameters
    ----------
    policy : Policy
        What is asked of the release, with its stages.
    arms : tuple of str
        The names of baseline and canary.
    known : History or None
        The same metrics at times when nothing was wrong: each watch measures windows of its own length.
    """

    def __init__(self, policy: Policy, arms: tuple[str, str], known: History | None = None) -> None:
        self.policy, self.arms, self._stages = policy, arms, _stages_of(policy)
        self.whole = ReleaseWatch(_of_the_whole(policy, self._stages), arms, known, staged="whole")
        self._known_past = known
        self._pasts: list[Pasts] = []
        """What the past says of each stage; nothing without one."""
        self._measure()
        self.index, self.action, self.because, self.ended = 0, _HOLD, _UNDECIDED, False
        self.wait: float | None = None
        self._is_news = False
        self._since, self._began, self._now = -math.inf, math.inf, -math.inf
        self._past: list[StageFacts] = []
        self._found: list[ReleaseResult | None] = [None, None]
        self._warned: list[str] = []
        """Stages that were left though something was in doubt."""
        self._begins: list[float] = [-math.inf]
        self.timeline = Timeline(_side_by_side(policy), [stage.title for stage in self._stages])
        self._split()
        self.current = self.watch_of()
        for index in range(1, len(self._stages)):
            self.watch_of(index)  # says what cannot be watched

    @property
    def stage(self) -> Stage:
        """The stage that it is in."""
        return self._stages[self.index]

    @property
    def share(self) -> float:
        """What the canary should get of the traffic now."""
        if self.ended:
            return 1.0 if self.action == "complete" else 0.0
        return self.stage.canary

    @property
    def next_share(self) -> float | None:
        """What it gets in the next stage."""
        return None if self._is_last or self.ended else self._stages[self.index + 1].canary

    @property
    def until(self) -> float | None:
        """When the stages that are left are over at the latest; None where nobody knows, or it has ended."""
        if self.ended or not math.isfinite(self._now):
            return None
        left = math.fsum(stage.max_duration for stage in self._stages[self.index :])
        return min(self._began, self._now) + left

    @property
    def _is_last(self) -> bool:
        return self.index == len(self._stages) - 1

    def _measure(self, before: float | None = None) -> None:
        """Measure what the past says of each stage, as far as it was before the first points."""
        if self._known_past is not None:
            asked = [self._asked(stage) for stage in self._stages]
            self._pasts = [measured(self._known_past, policy, before) for policy in asked]

    def _freeze_past(self, series: Mapping[str, tuple[Series, Series]]) -> None:
        """Settle what the past says once there are points, as the watch of the whole does."""
        times = [arm.time[0] for arms in series.values() for arm in arms if arm.time is not None and len(arm)]
        if self._known_past is None or not times:
            return
        start, pasts = (
            float(min(times)),
            (past for own in self._pasts for each in own.values() for past in each.values()),
        )
        if max((past.end for past in pasts if past.end is not None), default=-math.inf) >= start:
            self._measure(start)
            self.current = self.watch_of()
        self._known_past = None

    def _asked(self, stage: Stage) -> Policy:
        """Give what is asked of a stage by itself."""
        return self.policy.model_copy(
            update={
                "alpha": self.policy.alpha / (2 * len(self._stages)),
                "max_duration": stage.max_duration,
                "on_deadline": "marginal",
                "split": Split(baseline=1 - stage.canary, canary=stage.canary),
                "stages": None,
                "metrics": _side_by_side(self.policy),
            }
        )

    def watch_of(self, index: int | None = None) -> ReleaseWatch:
        """Begin to watch a stage by itself, the present one where none is named."""
        place = self.index if index is None else index
        stage = self._stages[place]
        times = bound_times(stage, self._stages[-1])
        pasts = self._pasts[place] if self._pasts else None
        return ReleaseWatch(self._asked(stage), self.arms, pass_times=times, staged="stage", pasts=pasts)

    def _split(self) -> None:
        """Tell the watch of the whole from when on which split holds."""
        splits: Splits = tuple(
            (since, Split(baseline=1 - stage.canary, canary=stage.canary))
            for since, stage in zip(self._begins, self._stages, strict=False)
        )
        for name, watched in self.whole.metrics.items():
            watched.in_stages(splits, self.timeline.effects[name], tuple(self._begins[1:]))

    def taking(
        self, series: dict[str, tuple[Series, Series]], broken: dict[str, BrokenDataError]
    ) -> list[Asking]:
        """Take new points, of which those of some metrics may be broken; gives what is still to be asked of the rules. `decide` when it has been."""
        if self.ended:
            return []
        before, known, self._found = self.whole.mark(), self._known(), [None, None]
        past, watched = (self._known_past, self._pasts), self.current
        asked = [*self.whole.taking(series, broken)]
        self._freeze_past(series)
        own = {name: _later(arms, self._since) for name, arms in series.items()}
        try:
            if any(len(arm) for pair in own.values() for arm in pair):
                asked += self.current.taking(own, {})
        except DataError:
            self.whole.back_to(before)
            (self._known_past, self._pasts), self.current = past, watched
            raise
        for name, error in broken.items():
            self.current.metrics[name].leave_out(error)
        arms = [arm for pair in own.values() for arm in pair if arm.time is not None and len(arm)]
        self._began = min([self._began, *(float(arm.time[0]) for arm in arms if arm.time is not None)])
        self._now = max([self._now, *(arm.end for arm in arms)])
        self._is_news = known != self._known()
        return asked

    def _known(self) -> list[tuple[str, tuple[float, float]]]:
        """Describe how far the data go."""
        return [(watched.stream.digest, watched.stream.ends) for watched in self.whole.metrics.values()]

    def decide(self) -> None:
        """Decide what to do now; where nothing new came, what was decided stays."""
        if self.ended or not (self._is_news or self.action == "hold"):
            return
        self._is_news = False
        at_stage, release = self.results
        self.action, self.because = self._decided(at_stage, release)
        self.wait = self._wait(at_stage if self.because != "release_undecided" else release)
        self.ended = self.action in ("rollback", "complete")
        self._remember(at_stage, release)
        if self.action in ("advance", "complete"):
            if any(doubt.does == "warn" for doubt in self.doubts(at_stage, release)):
                self._warned.append(self.stage.title)
            self._past.append(self._facts_of_present(at_stage, "left"))
        elif self.action == "rollback":
            failed = release if release.outcome is Outcome.FAIL and self.because == "fault" else at_stage
            at = at_stage if at_stage.outcome is Outcome.FAIL else failed
            self._past.append(self._facts_of_present(at, "failed"))
        if self.action == "advance":
            self.index += 1
            self._since, self._began = self._now, math.inf
            self._begins.append(self._since)
            self._split()
            self.current, self._found[0] = self.watch_of(), None

    def _remember(self, at_stage: ReleaseResult, release: ReleaseResult) -> None:
        """Keep what is drawn of a rollout."""
        if not math.isfinite(self._now):
            return
        does = {"hold": "hold", "rollback": "rollback"}.get(self.action)
        doubts = self.doubts(at_stage, release) if self.because == "doubt" else ()
        doubt = next((doubt for doubt in doubts if doubt.does == does), None)
        self.timeline.look(self.index, self._now, at_stage)
        self.timeline.decided(
            DecisionFacts(
                at=self._now,
                action=self.action,
                because=self.because,
                stage=self.stage.title,
                cause=None if doubt is None else doubt.cause,
                metric=None if doubt is None else doubt.metric,
            )
        )

    @property
    def results(self) -> tuple[ReleaseResult, ReleaseResult]:
        """What the present stage's own data say, and all data since the start; put together once until there are new ones."""
        for place, watch in enumerate((self.current, self.whole)):
            self._found[place] = self._found[place] or watch.result()
        at_stage, release = self._found
        assert at_stage is not None  # noqa: S101 - they have just been found
        assert release is not None  # noqa: S101 - as above
        return at_stage, release

    def would(
        self, index: int, elapsed: float, at_stage: ReleaseResult, release: ReleaseResult
    ) -> RolloutAction:
        """Say what is done in a stage that has lasted so many seconds, where its own data and all data say so: of one that is to be asked this alone."""
        self.index, self._began, self._now = index, 0.0, elapsed
        return self._decided(at_stage, release)[0]

    def _decided(self, at_stage: ReleaseResult, release: ReleaseResult) -> tuple[RolloutAction, Because]:
        """Say what to do, and why."""
        if Outcome.FAIL in (at_stage.outcome, release.outcome):
            return "rollback", "fault"
        doubts = self.doubts(at_stage, release)
        if any(doubt.does == "rollback" for doubt in doubts):
            return "rollback", "doubt"
        elapsed = self._now - self._began
        over = elapsed >= self.stage.max_duration
        open_by: Because | None = None
        by: Because = "excluded"
        if self.stage.advance == "time":
            by = "time"
        else:
            open_by, by = self._left_open(at_stage, doubts, over=over, because="undecided")
        if open_by is None and self._is_last:
            open_by, release_by = self._left_open(release, doubts, over=over, because="release_undecided")
            by = release_by if release_by == "deadline" else by
        if open_by == "fault":
            return "rollback", "deadline"
        if any(doubt.does == "hold" for doubt in doubts):
            return "hold", "doubt"
        if open_by is None and elapsed < (self.stage.min_duration or 0.0):
            return "hold", "young"
        if open_by is None:
            return ("complete" if self._is_last else "advance"), by
        return "hold", "deadline" if over else open_by

    def _left_open(
        self, release: ReleaseResult, doubts: tuple[DoubtFacts, ...], *, over: bool, because: Because
    ) -> tuple[Because | None, Because]:
        """Tell why it does not pass, None where it does; and by what it does. A stage that is over is the policy's to decide, which may fail it."""
        ignored = {doubt.metric for doubt in doubts if doubt.does == "warn"}
        outcome = self._outcome(
            {name: _muted(result) if name in ignored else result for name, result in release.metrics.items()}
        )
        if outcome is Outcome.PASS or not over:
            return (None if outcome is Outcome.PASS else because), "excluded"
        ended = {
            name: _muted(result) if name in ignored else at_deadline(result, self.policy.on_deadline)
            for name, result in release.metrics.items()
        }
        outcome = self._outcome(ended)
        if outcome is Outcome.FAIL:
            return "fault", "deadline"
        return (None if outcome is Outcome.PASS else because), "deadline"

    def _outcome(self, results: Mapping[str, MetricResult]) -> Outcome:
        return conclude(results, self.policy, self.arms, "all_looks").outcome

    def doubts(self, at_stage: ReleaseResult, release: ReleaseResult) -> tuple[DoubtFacts, ...]:
        """Name what is doubtful about the data of the present stage, and of the release where it is about to be complete."""
        found: dict[tuple[Doubt, str], DoubtFacts] = {}
        for result in [*at_stage.metrics.values(), *(release.metrics.values() if self._is_last else ())]:
            split = next((note.facts for note in result.warnings if note.code == "split_mismatch"), None)
            cause = "split_mismatch" if split is not None else _CAUSES.get(result.reason)
            if cause is None or (cause, result.name) in found or not self._counts(result, cause):
                continue
            does = getattr(self.policy.on_doubt, cause)
            if result.reason is Reason.NO_DATA and self.current.is_patient:  # it may just be late
                if self.stage.advance != "time":
                    continue
                does = "hold"
            facts = {} if split is None else {name: float(split[name]) for name in ("expected", "found")}
            found[cause, result.name] = DoubtFacts(
                cause=cause, does=does, stage=self.stage.title, metric=result.name, **facts
            )
        return tuple(found.values())

    def _counts(self, result: MetricResult, cause: Doubt) -> bool:
        """Tell whether doubts about a metric hold a release: those about the traffic are not about the metric."""
        if cause == "split_mismatch":
            return result.role != "muted"
        (metric,) = (metric for metric in self.policy.metrics if metric.name == result.name)
        if cause == "no_traffic" and metric.no_data == "ignore":
            return False
        return result.role == "required" or (result.role == "guard" and result.reason is not Reason.NO_DATA)

    def _wait(self, release: ReleaseResult) -> float | None:
        """Tell about how many seconds it takes until nothing is open any more, at the present rate."""
        if self.action != "hold" or not math.isfinite(self._began):
            return None
        least = self._began + (self.stage.min_duration or 0.0) - self._now
        watches = (self.whole if self.because == "release_undecided" else self.current).metrics
        found = [max(least, 0.0)]
        for result in release.metrics.values() if self.because != "young" else ():
            if result.role != "required" or result.outcome is not Outcome.MARGINAL:
                continue
            processes = [process for own in watches[result.name].watches for process in own.processes]
            due = [process.until_due()[1] for process in processes if isinstance(process, LooksProcess)]
            finding = result.deciding
            points = None if finding is None else finding.more_points
            if points is not None and result.interval_s is not None:
                found.append(points * result.interval_s)
            elif math.isfinite(next_look := min(due, default=math.inf)) and next_look > self._now:
                found.append(next_look - self._now)
            else:
                return None
        return round(max(found), 3)

    def facts(self, at_stage: ReleaseResult) -> tuple[StageFacts, ...]:
        """Tell how each stage went, and how it stands."""
        if self.ended:
            present: list[StageFacts] = []
        else:
            present = [self._facts_of_present(at_stage, "current")]
        ahead = [self._facts_of(stage) for stage in self._stages[self.index + 1 :]]
        return *self._past, *present, *ahead

    def _facts_of_present(self, result: ReleaseResult, status: Any) -> StageFacts:
        known = math.isfinite(self._began)
        return self._facts_of(self.stage).model_copy(
            update={
                "status": status,
                "because": None if status == "current" else self.because,
                "began": self._began if known else None,
                "ended": self._now if known else None,
                "evidence": one_line(result) if known else "",
            }
        )

    def _facts_of(self, stage: Stage) -> StageFacts:
        return StageFacts(
            name=stage.title,
            share=stage.canary,
            advance=stage.advance,
            bound_times=bound_times(stage, self._stages[-1]),
            min_duration_s=stage.min_duration,
            max_duration_s=stage.max_duration,
            status="ahead",
        )

    def waived(self, doubts: tuple[DoubtFacts, ...]) -> tuple[RolloutWaived, ...]:
        """Name what the policy's settings have given up so far, and what they give up here."""
        found = [
            RolloutWaived(what="by_time", stage=stage.title)
            for stage in self._stages
            if stage.advance == "time"
        ]
        ends = {"left": "left_at_deadline", "failed": "failed_at_deadline"}
        found += [
            RolloutWaived.model_validate({"what": ends[stage.status], "stage": stage.name})
            for stage in self._past
            if stage.because == "deadline"
        ]
        found += [RolloutWaived(what="warned", stage=stage) for stage in self._warned]
        does = {"warn": "warned", "rollback": "doubt_fails"}
        found += [
            RolloutWaived.model_validate({"what": does[doubt.does], "stage": doubt.stage})
            for doubt in doubts
            if doubt.does in does
        ]
        return tuple(dict.fromkeys(found))

    def save(self) -> dict[str, Any]:
        """Give what is remembered."""
        return {
            "arms": list(self.arms),
            "action": self.action,
            "because": self.because,
            "ended": self.ended,
            "wait": self.wait,
            "begins": self._begins[1:],
            "began": _written(self._began),
            "now": _written(self._now),
            "timeline": self.timeline.save(),
            "warned": self._warned,
            "past": [stage.model_dump(mode="json", exclude_defaults=True) for stage in self._past],
            **({"pasts": [written_pasts(pasts) for pasts in self._pasts]} if self._pasts else {}),
            "watches": pack_document(_together(self.whole.save(), self.current.save())),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take what was saved; of something else, KeyError, TypeError, ValueError, IndexError or AttributeError."""
        self._begins = [-math.inf, *map(float, state["begins"])]
        self.index, self._since = len(self._begins) - 1, self._begins[-1]
        self.action, self.because, self.ended = state["action"], state["because"], bool(state["ended"])
        self.wait = None if state["wait"] is None else float(state["wait"])
        self._began = math.inf if state["began"] is None else float(state["began"])
        self._now = -math.inf if state["now"] is None else float(state["now"])
        if "timeline" in state:
            self.timeline.load(state["timeline"])
        else:  # version 1 has none
            self.timeline.load_past([StageFacts.model_validate(stage) for stage in state["past"]])
        self._warned = [str(stage) for stage in state["warned"]]
        self._past = [StageFacts.model_validate(stage) for stage in state["past"]]
        self._pasts = [pasts_of(pasts) for pasts in state.get("pasts", [])]
        if "watches" in state:
            whole, current = _apart(unpack_document(state["watches"]))
        else:  # as versions 1 and 2 have them
            whole, current = state["whole"], state["current"]
        self.whole.load(whole)
        self._split()
        self.current = self.watch_of()
        self.current.load(current)


_HOLD: Final[RolloutAction] = "hold"
_UNDECIDED: Final[Because] = "undecided"


def _stages_of(policy: Policy) -> tuple[Stage, ...]:
    """Give the policy's stages, if it can be rolled out."""
    if policy.stages is None:
        raise PolicyError(
            "the policy has no stages",
            "Give it stages: [{canary: 1%, max_duration: 30m}, {canary: 10%, max_duration: 1h}], or watch it with Monitor.",
        )
    for metric in policy.metrics:
        if metric.pairing == "windows":
            raise PolicyError(
                f"metric {metric.name!r}: a stage compares arms that run side by side, and pairing: windows says that they do not",
                "Leave pairing out, or take pairing: concurrent.",
            )
    return policy.stages


def _of_the_whole(policy: Policy, stages: tuple[Stage, ...]) -> Policy:
    """Give what is asked of the release over all stages."""
    return policy.model_copy(
        update={
            "alpha": policy.alpha / 2,
            "max_duration": math.fsum(stage.max_duration for stage in stages),
            "on_deadline": "marginal",
            "stages": None,
            "metrics": _side_by_side(policy),
        }
    )


def _side_by_side(policy: Policy) -> tuple[Metric, ...]:
    """Give the metrics as those of arms that share the clock, which a stage need not find out anew."""
    return tuple(metric.model_copy(update={"pairing": "concurrent"}) for metric in policy.metrics)


def bound_times(stage: Stage, last: Stage) -> float:
    """Give how many times as much harm as the release's pass excludes a stage may leave open: less and less as exposure grows."""
    return math.sqrt(last.canary / stage.canary) if stage.advance == "no_harm" else 1.0


def _muted(result: MetricResult) -> MetricResult:
    return result.model_copy(update={"role": "muted"})


def _together(whole: dict[str, Any], current: dict[str, Any]) -> dict[str, Any]:
    """Put what both watches remember of a metric side by side: much of it is the same, and pressed together it is there once."""
    metrics = {name: [saved, current["metrics"][name]] for name, saved in whole["metrics"].items()}
    rest = [{name: part for name, part in saved.items() if name != "metrics"} for saved in (whole, current)]
    return {"metrics": metrics, "watches": rest}


def _apart(saved: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Undo it."""
    return [
        {**rest, "metrics": {name: both[place] for name, both in saved["metrics"].items()}}
        for place, rest in enumerate(saved["watches"])
    ]


def _written(time: float) -> float | None:
    return time if math.isfinite(time) else None


def _later(arms: tuple[Series, Series], since: float) -> tuple[Series, Series]:
    """Give the points that are later than a time; what counters go on from is kept once, by the watch of the whole."""
    if since == -math.inf:
        first, second = (_without_counters(arm) for arm in arms)
        return first, second
    empty = without_points((arms[0].arm, arms[1].arm))
    first, second = (
        _later_within(arm, since) if arm.segments else _part(arm, since) or none
        for arm, none in zip(arms, empty, strict=True)
    )
    return first, second


def _later_within(arm: Series, since: float) -> Series:
    """Give the same of an arm that is told by segments."""
    parts = {}
    for name, own in arm.segments.items():
        part = own if any(note.code == "broken" for note in own.notes) else _part(own, since)
        if part is not None:
            parts[name] = part
    return together(arm.arm, parts)


def _without_counters(arm: Series) -> Series:
    segments = {name: replace(own, counters=None) for name, own in arm.segments.items()}
    return replace(arm, counters=None, segments=segments)


def _part(arm: Series, since: float) -> Series | None:
    """Give the same of one arm; None where nothing is left."""
    if arm.time is None or not arm.end > since:
        return None
    replicas = [_part(replica, since) for replica in arm.replicas]
    return replace(
        arm.part(arm.time > since),
        replicas=tuple(replica for replica in replicas if replica is not None),
        counters=None,
        start=max(arm.start, float(np.nextafter(since, math.inf))),
        known=arm.known[arm.known > since],
        beyond=arm.beyond[arm.beyond > since],
    )
