"""Blast radius: how many requests meet a regression before a rollout in stages is stopped, and how long stages must last."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from canaryjudge.data import FloatArray
from canaryjudge.errors import PolicyError
from canaryjudge.judging import shares
from canaryjudge.kinds import KINDS
from canaryjudge.patterns.staged_release import bound_times
from canaryjudge.planning.power import PowerDesign, is_per_request
from canaryjudge.policy import Metric, Policy
from canaryjudge.quantities import SECONDS
from canaryjudge.reports import Exposure, ObservedRate, PlannedStage, RolloutPlan
from canaryjudge.settings import nearest
from canaryjudge.simulate.assumptions import Assumed
from canaryjudge.simulate.rollouts import Behavior, MadeUpRollouts, Played
from canaryjudge.stats.power import wald_information

__all__ = ["AskedRollouts", "Traffic", "plan_rollouts", "rollout_steps", "stage_named", "stated_traffic"]

_TIMES: Final = (1.25, 1.5, 2.0, 3.0, 5.0)
"""Regressions that are asked about: so many times as large as the harm that a pass excludes."""
_BLOCK: Final = 50
"""Rollouts that are simulated at once."""
_FOR_DURATIONS: Final = 100
_LONGEST: Final = 8.0
_MINUTES: Final = (1, 2, 3, 5, 10, 15, 20, 30, 40, 60, 90, 120, 180, 240, 360, 480, 720, 1440)
"""Durations that are proposed, and days from there on."""
_TRAFFIC: Final = re.compile(
    r"\s*([0-9][0-9_,.]*(?:e[0-9]+)?)\s*([^\W\d][\w ]*?)?\s*/\s*([a-z]+)\s*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What all of the service serves."""

    per_s: float | None
    """How much a second; None where nothing says."""
    unit: str
    """What it counts."""
    of: str | None
    """The metric whose totals say so."""


def stated_traffic(text: str) -> Traffic:
    """Read what somebody says of the traffic, such as ``20000/min`` or ``500 users/h``.

    >>> stated_traffic("1200/min"), stated_traffic("90 users/h").unit
    (Traffic(per_s=20.0, unit='requests', of=None), 'users')
    """
    found = _TRAFFIC.fullmatch(str(text))
    number, unit, per = found.groups() if found else ("", None, "")
    try:
        seconds = float(SECONDS[per])
        amount = float(number.replace(",", "").replace("_", ""))
    except (KeyError, ValueError):
        amount, seconds = 0.0, 1.0
    if not 0 < amount < 1e15:
        raise PolicyError(
            f"the traffic: {str(text)!r} does not say how much there is in which time",
            "Write it like 20000/min or 500 users/h.",
        )
    return Traffic(amount / seconds, unit or "requests", None)


def _traffic_of(assumed: Mapping[str, Assumed], kinds: Mapping[str, str]) -> Traffic:
    """Give what the totals say: those of the metric that has the most, since others may be of a part of the traffic."""
    known = {
        name: one.traffic / one.interval
        for name, one in assumed.items()
        if one.traffic is not None and "traffic" in KINDS[kinds[name]].assumes
    }
    most = max(known, key=lambda name: known[name], default=None)
    return Traffic(None if most is None else known[most], "requests", most)


def stage_named(policy: Policy, name: str | None) -> int:
    """Give the place of a stage by its name, or its share; the first where none is named."""
    titles = [stage.title for stage in policy.stages or ()]
    if name is None:
        return 0
    if name not in titles:
        near = nearest(name, titles)
        raise PolicyError(
            f"the policy has no stage {name!r}",
            f"Did you mean {near!r}?" if near else f"Its stages: {', '.join(titles) or 'none'}.",
        )
    return titles.index(name)


def rollout_steps(policy: Policy, runs: int) -> int:
    """Give how many parts of a plan of rollouts there are to be shown as done."""
    return math.ceil(runs / _BLOCK) + len(policy.stages or ())


@dataclass(frozen=True, slots=True)
class _Block:
    """Some of the rollouts, or the search for the duration of a stage."""

    policy: Policy
    behaviors: Mapping[str, Behavior]
    runs: range
    seed: int
    cases: tuple[tuple[str, float], ...] = ()
    since: int = 0
    stage: int | None = None
    power: float = 0.0


@dataclass(frozen=True, slots=True)
class AskedRollouts:
    """What is asked of a plan of rollouts."""

    size: float
    """A regression to ask about besides."""
    power: float
    """How surely healthy rollouts are to leave a stage."""
    since: int
    """The stage in which regressions begin."""
    traffic: Traffic | None
    """What is served, where that is stated."""
    runs: int
    """Rollouts of each kind."""
    seed: int
    """Of all of them."""


def plan_rollouts(
    policy: Policy,
    assumed: Mapping[str, Assumed],
    asked: AskedRollouts,
    executor: Executor | None,
    done: Callable[[], None],
) -> RolloutPlan | None:
    """Simulate the rollouts of a policy with stages: healthy ones, and with a regression of each size in each metric that can stop one; None where of no metric enough is known."""
    lacking = tuple(metric.name for metric in policy.metrics if assumed[metric.name].lacks(metric.kind))
    metrics = tuple(metric for metric in policy.metrics if metric.name not in lacking)
    if not metrics:
        return None
    taken = policy.model_copy(update={"metrics": metrics})
    behaviors = {
        metric.name: Behavior(assumed[metric.name], is_per_request(metric, assumed[metric.name]))
        for metric in metrics
    }
    designs = {metric.name: _design(taken, metric, assumed[metric.name]) for metric in metrics}
    cases = [
        (metric.name, own)
        for metric in metrics
        if metric.role in ("required", "guard")
        for own in _sizes(designs[metric.name], asked.size)
    ]
    stages, runs, since = taken.stages or (), asked.runs, asked.since
    spans = [range(start, min(start + _BLOCK, runs)) for start in range(0, runs, _BLOCK)]
    for_durations = range(min(runs, _FOR_DURATIONS))
    tasks = [_Block(taken, behaviors, span, asked.seed, tuple(cases), asked.since) for span in spans]
    tasks += [
        _Block(taken, behaviors, for_durations, asked.seed, stage=index, power=asked.power)
        for index in range(len(stages))
    ]
    found: list[Any] = []
    for one in (map if executor is None else executor.map)(_simulated, tasks):
        found.append(one)
        done()
    played = [_together(parts) for parts in zip(*found[: len(spans)], strict=True)]
    step = min(behavior.assumed.interval for behavior in behaviors.values())
    known = asked.traffic or _traffic_of(assumed, {metric.name: metric.kind for metric in policy.metrics})
    healthy = played[0]
    last = [math.floor(stage.max_duration / step + 1e-9) + 1 for stage in stages]
    complete = healthy.action == "complete"
    return RolloutPlan(
        runs=runs,
        step_s=step,
        since=stages[since].title,
        traffic_per_s=known.per_s,
        traffic_unit=known.unit,
        traffic_of=known.of,
        left_out=lacking,
        stages=tuple(
            PlannedStage(
                name=stage.title,
                share=stage.canary,
                min_duration_s=stage.min_duration,
                max_duration_s=stage.max_duration,
                excludes={}
                if stage.advance == "time"
                else {
                    name: _bound(design, bound_times(stage, stages[-1])) for name, design in designs.items()
                },
                **_left(healthy, index, last[index], step),
                proposed_s=found[len(spans) + index],
            )
            for index, stage in enumerate(stages)
        ),
        complete=ObservedRate.of(int(complete.sum()), runs, runs),
        complete_after_s=_finite(_median(np.where(complete, step * healthy.steps.sum(axis=1), np.inf))),
        rolled_back=ObservedRate.of(int((healthy.action == "rollback").sum()), runs, runs),
        exposures=tuple(
            _exposure(
                taken, case, own, since, step, known, _oracle(taken, designs[case[0]], case[1], since, step)
            )
            for case, own in zip(cases, played[1:], strict=True)
            if (own.stage >= since).any()
        ),
    )


def _simulated(block: _Block) -> list[Played] | float | None:
    """Simulate healthy rollouts and those with each regression, or look for the duration of a stage."""
    with np.errstate(all="ignore"):
        made = MadeUpRollouts(block.policy, block.behaviors, block.runs, block.seed)
        if block.stage is not None:
            return _duration(made, block.stage, block.power)
        return [made.play(), *(made.play(name, size, block.since) for name, size in block.cases)]


def _together(parts: Sequence[Played]) -> Played:
    columns = ([getattr(part, name) for part in parts] for name in ("action", "stage", "steps"))
    return Played(*map(np.concatenate, columns))


def _duration(made: MadeUpRollouts, index: int, power: float) -> float | None:
    """Find the shortest of the usual durations in which healthy rollouts leave a stage with the power."""
    stage = made.stages[index]
    least = max(stage.min_duration or 0.0, 2 * made.step)
    own = [60.0 * minutes for minutes in _MINUTES]
    own += [86400.0 * days for days in range(2, 1 + math.ceil(_LONGEST * stage.max_duration / 86400))]
    candidates = sorted({stage.max_duration, *(least,) * (stage.min_duration is not None), *own})
    candidates = [each for each in candidates if least <= each <= _LONGEST * stage.max_duration]

    def enough(seconds: float) -> bool:
        return float(np.isfinite(made.leaves(index, seconds)).mean()) >= power

    place = candidates.index(stage.max_duration)
    if enough(candidates[place]):
        while place > 0 and enough(candidates[place - 1]):
            place -= 1
        return candidates[place]
    return next((each for each in candidates[place + 1 :] if enough(each)), None)


def _design(policy: Policy, metric: Metric, assumed: Assumed) -> PowerDesign:
    """Give a metric at the last stage, by whose share its limits are asked."""
    last = (policy.stages or ())[-1]
    return PowerDesign(metric, assumed, last.canary, shares(policy)[metric.name], policy.beta)


def _harms(design: PowerDesign) -> tuple[float, float]:
    """Give what is tolerated, and what a pass excludes, as sizes of a regression."""
    limits, level = design.limits, design.level
    sign, tolerated = limits.sides[0]
    parts = [at / level if limits.absolute else at for at in (tolerated, dict(limits.pass_sides)[sign])]
    first, second = (part if sign > 0 else -part / (1 + part) if part > -1 else math.inf for part in parts)
    return first, second


def _sizes(design: PowerDesign, size: float) -> list[float]:
    """Give the regressions that are asked about: larger than the harm that a pass excludes, and the one that is to be found if it is not tolerated."""
    tolerated, harm = _harms(design)
    if not math.isfinite(harm):
        return []
    found = {float(f"{times * harm:.6g}") for times in _TIMES}
    return sorted(found | ({size} if size > tolerated * (1 + 1e-9) else set()))


def _bound(design: PowerDesign, times: float) -> float:
    """Give the harm beyond which leaving a stage excludes."""
    _, harm = _harms(design)
    stated = design.metric.pass_within
    free = design.limits.absolute and stated is not None
    return max(harm, times * harm if free else min(1.0, times * harm))


def _left(healthy: Played, index: int, last: int, step: float) -> dict[str, Any]:
    """Tell how many of the rollouts that come to a stage leave it by its deadline, and after how long half of them have."""
    came = healthy.steps[:, index] > 0
    if not came.any():
        return {"left": None, "left_after_s": None}
    left = came & ((healthy.stage > index) | (healthy.action == "complete"))
    seconds = np.where(left, step * healthy.steps[:, index], np.inf)[came]
    in_time = int((seconds <= last * step).sum())
    trials = int(came.sum())
    return {"left": ObservedRate.of(in_time, trials, trials), "left_after_s": _finite(_median(seconds))}


def _median(values: FloatArray) -> float:
    return _quantile(values, 0.5)


def _quantile(values: FloatArray, part: float) -> float:
    """Give the smallest value that this part of all does not exceed; infinite where there is none."""
    if not len(values):
        return math.inf
    return float(np.sort(values)[max(0, math.ceil(part * len(values) - 1e-9) - 1)])


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _exposure(
    policy: Policy,
    case: tuple[str, float],
    played: Played,
    since: int,
    step: float,
    traffic: Traffic,
    oracle: float | None,
) -> Exposure:
    """Count what met a regression, of the rollouts in which it began."""
    begun = played.stage >= since
    action, stage, steps = played.action[begun], played.stage[begun], played.steps[begun]
    own = np.array([part.canary if place >= since else 0.0 for place, part in enumerate(policy.stages or ())])
    seconds = step * (steps @ own)
    complete, stopped = action == "complete", action == "rollback"
    runs, told = len(action), np.where(complete, np.inf, seconds)
    after = np.where(stopped, step * steps[:, since:].sum(axis=1), np.inf)
    found = {
        "mean": None if complete.all() else float(seconds[~complete].mean()),
        "median": _finite(_median(told)),
        "p95": _finite(_quantile(told, 0.95)),
        "oracle": oracle,
    }
    requests = {
        name: None if value is None or traffic.per_s is None else value * traffic.per_s
        for name, value in found.items()
    }
    return Exposure(
        metric=case[0],
        size=case[1],
        stopped=ObservedRate.of(int(stopped.sum()), runs, runs),
        stopped_in=tuple(float((stopped & (stage == place)).mean()) for place in range(len(own))),
        held=float((~stopped & ~complete).mean()),
        complete=ObservedRate.of(int(complete.sum()), runs, runs),
        stopped_after_s=_finite(_median(after)),
        **{f"{name}_s": value for name, value in found.items()},
        **requests,
    )


def _oracle(policy: Policy, design: PowerDesign, size: float, since: int, step: float) -> float | None:
    """Give the least mean exposure, in seconds of all of the traffic, of a test with the policy's error rates that knew everything but whether the canary is tolerable or worse by the size.

    Wald's lower bound on the mean of the log likelihood ratio when a sequential test ends, over what a second of all of the traffic adds to it; no less than one look.
    """
    assumed = design.assumed
    stages = (policy.stages or ())[since:]
    tolerated, _ = _harms(design)
    signed = [-each / (1 + each) if design.limits.sides[0][0] < 0 else each for each in (tolerated, size)]
    needed = wald_information(policy.alpha, policy.beta)
    found = []
    for stage in stages:
        gained = _information(replace(design, share=stage.canary), 1 + signed[0], 1 + signed[1])
        if gained is None:
            return None
        found.append(stage.canary * assumed.interval * needed / gained if gained > 0 else math.inf)
    return _finite(max(min(found), stages[0].canary * step))


def _information(design: PowerDesign, null: float, true: float) -> float | None:
    """Give the mean log likelihood ratio that the canary's points of an interval add, of levels that are so many times as high as the baseline's."""
    assumed, kind = design.assumed, KINDS[design.metric.kind]
    if kind.counts_events:
        whole = design.share * ((assumed.traffic or 1.0) if kind.is_share else 1.0)
        expected, allowed = true * design.level * whole, null * design.level * whole
        return (expected * math.log(expected / allowed) - expected + allowed) / assumed.dispersion
    rho, seen = assumed.autocorrelation, 1.0
    longer = (1 + rho) / (1 - rho)
    if kind.is_averaged:
        variance = design.spread(design.share) ** 2 * longer
    else:
        seen = (assumed.traffic or 0.0) * design.share
        variance = (assumed.spread or 0.0) ** 2 / max(seen, 1e-300) + assumed.between_intervals**2 * longer
    if variance <= 0 or null <= 0:
        return None
    ratio = true / null  # the noise is that of the level, and grows with it
    return (ratio - 1) ** 2 / (2 * variance) + seen * ((ratio**2 - 1) / 2 - math.log(ratio))
