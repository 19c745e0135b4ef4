"""Plan a canary."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import numpy as np

from canaryjudge.data import read_history
from canaryjudge.errors import DataError, PolicyError
from canaryjudge.explain.plans import plan_markdown, plan_rows, plan_text
from canaryjudge.judging import Case, judge_cases, rule_levels, shares
from canaryjudge.kinds import KINDS
from canaryjudge.monitor.metric_watch import watched_rules
from canaryjudge.planning.exposure import (
    AskedRollouts,
    Traffic,
    plan_rollouts,
    rollout_steps,
    stage_named,
    stated_traffic,
)
from canaryjudge.planning.power import (
    PowerDesign,
    form_of,
    is_per_request,
    needed_points,
    planned_rule,
    visible_size,
)
from canaryjudge.plots import exposure
from canaryjudge.plots import power as power_curves
from canaryjudge.policy import Metric, Policy, Sequential
from canaryjudge.policy.switches import refuse_before_after
from canaryjudge.progress import Progress, progress_of
from canaryjudge.quantities import parse_fraction
from canaryjudge.reasons import Outcome
from canaryjudge.reports import (
    MetricPlan,
    ObservedRate,
    PlanFacts,
    PlanPoint,
    Report,
    SharePlan,
    SimulatedPlan,
)
from canaryjudge.rules import default_rules
from canaryjudge.settings import nearest
from canaryjudge.simulate.assumptions import Assumed, measured_assumptions
from canaryjudge.simulate.synthetic import synthetic

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["ROLLOUTS", "Plan", "Simulation", "plan"]

_SHARES = (0.01, 0.05, 0.1, 0.25, 0.5)
_SHARE = 0.1
_HOUR = 3600.0
ROLLOUTS: Final = 200
"""How many are simulated of each regression, where nobody says."""
_PARTS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Of the deadline: where the curves have points."""
_EVERY = "*"
"""In assumptions: every metric."""
_MOST_NAMED: Final = 3
_EXAMPLES: Final = {"spread": "5%", "level": "0.1%", "traffic": "5000"}
"""What an assumption looks like; the level is that of a ratio."""
_EVENTS: Final = "100"
"""The level of a count."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """How to check a plan by releases that are made up and judged by the real code.

    Attributes
    ----------
    runs : int
        Releases a metric, or rollouts a regression; 0 for none.
    seed : int
        The same seed gives the same plan, with any executor.
    executor : concurrent.futures.Executor or None
        Simulates the metrics in parallel.
    progress : callable, bool or None
        Called with how many metrics are done, from 0 on, and how many there are; False for silence, None for a bar where somebody looks on
        (`canaryjudge.progress`).
    """

    runs: int = 0
    seed: int = 0
    executor: Executor | None = None
    progress: Progress | bool | None = None


class Plan(PlanFacts, Report):
    """What `plan` gives: how long a canary must run, and what it will see at which share of the traffic.

    Attributes
    ----------
    metrics : dict of str to MetricPlan
        Curves and shares of each metric.
    """

    def explain(self) -> str:
        """Give the tables, and sentences that say what to change."""
        return plan_text(self)

    def to_markdown(self) -> str:
        """Give the same as Markdown."""
        return plan_markdown(self)

    def to_frame(self) -> pd.DataFrame:
        """Give a pandas frame with a row a metric and point of its curve."""
        import pandas as pd  # noqa: PLC0415 - only those who want a frame pay for it

        return pd.DataFrame(plan_rows(self))

    def plot(self, metric: str, *, ax: Axes | None = None) -> Axes:
        """Draw the chances of one metric over time: that the regression fails, and that a healthy canary passes; of rollouts, how much of the traffic meets a regression before it is stopped, by its size.

        Parameters
        ----------
        metric : str
            The metric.
        ax : matplotlib.axes.Axes, optional
            Where to draw.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.

        Raises
        ------
        DataError
            If there is no such metric, or it has no curve.
        MissingExtraError
            If matplotlib is not installed.
        """
        if self.rollout is not None:
            return exposure(self, metric, ax=ax)
        if metric not in self.metrics or not self.metrics[metric].curve:
            known = [name for name, one in self.metrics.items() if one.curve]
            raise DataError(
                f"the plan has no curve of {metric!r}", f"It has those of: {', '.join(known) or 'none'}."
            )
        curve = self.metrics[metric].curve
        chances = [[point.power for point in curve], [point.passes for point in curve]]
        labels = (f"fails with +{100 * self.size:g} %", "passes without")
        minutes = [point.seconds / 60 for point in curve]
        return power_curves(minutes, chances, labels=labels, target=self.power, unit="minutes", ax=ax)


@np.errstate(all="ignore")
def plan(  # noqa: PLR0913 - all but the policy have defaults
    policy: Policy,
    history: Any = None,
    *,
    assume: Mapping[str, Any] | None = None,
    size: float | str = 0.25,
    power: float | str = 0.8,
    share: float | str | None = None,
    traffic: str | None = None,
    from_stage: str | None = None,
    simulation: Simulation | None = None,
) -> Plan:
    """Say how long a canary must run, at what share of the traffic, to find a regression of a size; of a policy with stages, how much of the traffic meets one before it is stopped.

    Parameters
    ----------
    policy : Policy
        What releases will be judged by.
    history : frame, mapping or list of dict, optional
        Healthy metrics of the whole service, as `calibrate` takes them.
    assume : mapping, optional
        What to assume of metrics, ``{"errors": {"level": "0.1%", "traffic": 5000}}``; of all of them under the key ``*``. It wins over the history.
    size : float or str
        The regression to find, relative to the level: ``"25%"``.
    power : float or str
        How surely.
    share : float or str, optional
        The canary's share of the traffic; that of the policy's `split` where it is left out, or 10 %. The baseline has the rest. Not for a policy with stages, which say it.
    traffic : str, optional
        What all of the service serves, such as ``"20000/min"`` or ``"500 users/h"`` (new ones in that time); where it is left out, the totals of the metric that has the most requests say it. Metrics of which no traffic is known are taken to have all
        of it.
    from_stage : str, optional
        The stage in which regressions begin, by its name or share; the first where it is left out. Of a policy with stages.
    simulation : Simulation, optional
        Check the plan by simulation too. A policy with stages is simulated anyhow, 200 rollouts a regression, unless ``Simulation(0)`` says not to.

    Returns
    -------
    Plan
        For each metric: how long it takes at which share, what is visible by the deadline (`max_duration`, `max_points` or an hour), and curves. Of a policy with stages, `rollout`: how healthy rollouts go, how long each stage must
        last, and by metric and size of a regression the exposure: the canary's share of the traffic, added up from the beginning of the regression until it is rolled back, or until the last deadline where it is held.
        One that is completed exposes everything: it is counted apart, has no part in the mean, and is more than any other in the quantiles.

    Raises
    ------
    PolicyError
        If the assumptions, the size, the power, the share, the traffic or the stage make no sense, or the policy's stages cannot be rolled out.
    DataError
        If the history cannot be read.

    Examples
    --------
    >>> import canaryjudge as cj
    >>> policy = cj.Policy(max_duration="1h", metrics=[cj.Metric(name="errors", kind="ratio", direction="increase")])
    >>> planned = cj.plan(policy, assume={"errors": {"level": "1%", "traffic": 3000}}, size="50%", share="50%")
    >>> planned.metrics["errors"].shares[-1].needed_points
    13
    """
    if paired := [metric for metric in policy.metrics if KINDS[metric.kind].is_paired]:
        raise PolicyError(
            f"metric {paired[0].name!r} is of kind: {paired[0].kind}, whose requests are planned by none of these numbers",
            "Plan the other metrics by a policy of their own; judge says how many more pairs would decide.",
        )
    refuse_before_after(policy, "a plan", "Leave those metrics out of the plan.")
    simulation = simulation or Simulation(ROLLOUTS if policy.stages else 0)
    asked = _fraction("size", size, math.inf), _fraction("power", power, 1.0)
    of_canary = _share(policy, share)
    since = _since(policy, from_stage)
    stated = None if traffic is None else stated_traffic(traffic)
    if of_users := [metric.name for metric in policy.metrics if KINDS[metric.kind].has_users]:
        raise PolicyError(
            f"metric {of_users[0]!r}: how many users it takes is not planned here, only how many points in time",
            "Plan the other metrics by a policy of their own.",
        )
    assumed, alone = _assumptions(policy, history, assume or {})
    if stated is not None:
        assumed = {name: _with_traffic(one, stated) for name, one in assumed.items()}
    _refuse_nothing(policy, assumed)
    alphas = shares(policy)
    tasks = [
        _Task(
            metric,
            policy,
            alphas[metric.name],
            assumed[metric.name],
            metric.name in alone,
            *asked,
            of_canary,
            simulation.runs,
            simulation.seed,
        )
        for metric in policy.metrics
    ]
    run = map if simulation.executor is None else simulation.executor.map
    done: dict[str, MetricPlan] = {}
    quick = not simulation.runs and simulation.progress is None  # formulas take no time to watch
    show = progress_of("planned", wanted=False if quick else simulation.progress)
    staged = policy.stages is not None and simulation.runs > 0
    number, of = 0, len(tasks) + (rollout_steps(policy, simulation.runs) if staged else 0)
    show(0, of)

    def one_more() -> None:
        nonlocal number
        number += 1
        show(number, of)

    for one in run(_planned, tasks):
        done[one.name] = one
        one_more()
    rollout = None
    if staged:
        asked_of_stages = AskedRollouts(*asked, since, stated, simulation.runs, simulation.seed)
        rollout = plan_rollouts(policy, assumed, asked_of_stages, simulation.executor, one_more)
    return Plan(
        size=asked[0],
        power=asked[1],
        share=of_canary,
        deadline_s=max(task.deadline for task in tasks),
        seed=simulation.seed,
        metrics=done,
        pooled=() if policy.segments is None else policy.segments.by,
        staged=policy.stages is not None,
        rollout=rollout,
    )


def _share(policy: Policy, share: float | str | None) -> float:
    """Give the canary's share of the traffic; of stages, the last one's."""
    if policy.stages is not None:
        if share is not None:
            raise PolicyError(
                "the policy's stages say what share of the traffic the canary has", "Leave the share out."
            )
        return policy.stages[-1].canary
    own = _SHARE if policy.split is None else policy.split.canary
    return own if share is None else _fraction("share", share, 1.0)


def _since(policy: Policy, name: str | None) -> int:
    """Give the place of the stage in which regressions begin."""
    if policy.stages is None and name is not None:
        raise PolicyError(
            f"the policy has no stages, and so none named {name!r}",
            "Leave it out, or give the policy stages.",
        )
    return stage_named(policy, name)


def _with_traffic(assumed: Assumed, traffic: Traffic) -> Assumed:
    """Take a metric of which no traffic is known to have all of it."""
    if assumed.traffic is not None or traffic.per_s is None:
        return assumed
    return assumed.model_copy(update={"traffic": traffic.per_s * assumed.interval})


def _fraction(what: str, value: float | str, below: float) -> float:
    try:
        found = parse_fraction(value)
    except ValueError as error:
        raise PolicyError(f"the {what}: {error}", "Write it like 25%.") from None
    if not 0 < found < below:
        span = "above 0 %" if math.isinf(below) else "between 0 % and 100 %"
        raise PolicyError(f"the {what} is {value}, which is not {span}", "Write it like 25%.")
    return found


def _assumptions(
    policy: Policy, history: Any, assume: Mapping[str, Any]
) -> tuple[dict[str, Assumed], set[str]]:
    """Give what is assumed of each metric, and the gauges of which one series alone says what both arms will feel."""
    names = [metric.name for metric in policy.metrics]
    for key in assume:
        if key not in (_EVERY, *names):
            near = nearest(str(key), names)
            raise PolicyError(
                f"the policy has no metric {key!r} to assume something of",
                f"Did you mean {near!r}?" if near else f"Its metrics: {', '.join(names)}.",
            )
    tracks = {} if history is None else read_history(history, policy).tracks
    found: dict[str, Assumed] = {}
    alone = set()
    for metric in policy.metrics:
        own = tracks.get(metric.name, ())
        one_clock = metric.pairing != "windows"
        base = measured_assumptions(own, metric, one_clock=one_clock)
        given = {**_fields(assume.get(_EVERY)), **_fields(assume.get(metric.name))}
        stated = Assumed.model_validate(given)
        known = {name: getattr(stated, name) for name in stated.model_fields_set}
        found[metric.name] = stated if base is None else base.model_copy(update=known)
        if KINDS[metric.kind].is_averaged and one_clock and len(own) == 1 and "spread" not in known:
            alone.add(metric.name)
        if not KINDS[metric.kind].has_observations and stated.level is not None:
            try:
                metric.quantity(stated.level, "level")
            except ValueError as error:
                raise PolicyError(
                    f"assumption of {metric.name}: {error}", "Give the level in the metric's unit."
                ) from None
    return found, alone


def _refuse_nothing(policy: Policy, assumed: Mapping[str, Assumed]) -> None:
    """Refuse to plan where of no metric enough is known; the error says what is missing, and how to give it."""
    lacking = {metric.name: assumed[metric.name].lacks(metric.kind) for metric in policy.metrics}
    if not all(lacking.values()):
        return
    kinds = {metric.name: metric.kind for metric in policy.metrics}
    shown = list(lacking.items())[:_MOST_NAMED]
    what = ", ".join(f"the {' and '.join(fields)} of {name}" for name, fields in shown)
    more = f", and of {len(lacking) - len(shown)} more metrics theirs" if len(lacking) > len(shown) else ""
    keys = [
        f"{name}.{field}={_EVENTS if field == 'level' and KINDS[kinds[name]].is_rate else _EXAMPLES[field]}"
        for name, fields in shown
        for field in fields
    ]
    examples = " ".join(f"--assume {shlex.quote(key)}" for key in keys)
    raise PolicyError(
        f"nothing can be planned without {what}{more}",
        f"Assume them (your own numbers: {examples}; assume= in Python), or give healthy metrics of the whole service (--history FILE).",
    )


def _fields(given: Any) -> dict[str, Any]:
    if given is None:
        return {}
    if isinstance(given, Assumed):
        return {name: getattr(given, name) for name in given.model_fields_set}
    if not isinstance(given, Mapping):
        raise PolicyError(
            "assumptions are a mapping of fields", 'Write them like {"errors": {"level": "0.1%"}}.'
        )
    Assumed(**given)  # complains in sentences
    return dict(given)


@dataclass(frozen=True, slots=True)
class _Task:
    """All that one metric's plan takes."""

    metric: Metric
    policy: Policy
    alpha: float
    assumed: Assumed
    one_series: bool
    size: float
    power: float
    share: float
    runs: int
    seed: int

    @property
    def deadline(self) -> float:
        policy = self.policy
        if policy.stages is not None:
            return math.fsum(stage.max_duration for stage in policy.stages)
        if policy.max_points is not None:
            return policy.max_points * self.assumed.interval
        return policy.max_duration or _HOUR

    @property
    def points(self) -> int:
        """Points by the deadline."""
        return self.within(self.deadline)

    def within(self, seconds: float) -> int:
        """Give the points of a span of time."""
        return max(1, math.floor(seconds / self.assumed.interval + 1e-9))

    @property
    def shares(self) -> dict[float, int]:
        """The shares of the traffic that are planned for, with the points by the deadline at each: of stages, their own."""
        if self.policy.stages is not None:
            return {stage.canary: self.within(stage.max_duration) for stage in self.policy.stages}
        return dict.fromkeys(sorted({*_SHARES, self.share}), self.points)


def _planned(task: _Task) -> MetricPlan:
    metric, assumed = task.metric, task.assumed
    lacking, form = next(iter(assumed.lacks(metric.kind)), None), form_of(metric)
    rules = metric.rules or default_rules(metric, one_clock=metric.pairing != "windows")
    planned = planned_rule(metric)
    alpha = rule_levels(rules, task.alpha)[rules.index(planned)]
    if task.policy.stages is not None:
        alpha /= 2 * len(task.policy.stages)  # what a stage's own data have of it
    ready = form != "none" and lacking is None
    design = PowerDesign(metric, assumed, task.share, alpha, task.policy.beta)
    by_share = task.shares if ready else {}
    return MetricPlan(
        name=metric.name,
        kind=metric.kind,
        rule=planned.rule,
        form=form,
        alpha=alpha,
        lacking=lacking,
        per_request=is_per_request(metric, assumed),
        interval_s=assumed.interval,
        level=None if assumed.level is None else assumed.level.number,
        spread=assumed.spread,
        one_series=task.one_series,
        between_intervals=assumed.between_intervals,
        autocorrelation=assumed.autocorrelation,
        traffic=assumed.traffic,
        dispersion=assumed.dispersion,
        shares=tuple(
            _at_share(task, replace(design, share=part), points) for part, points in by_share.items()
        ),
        curve=_curve(task, design) if ready else (),
        simulated=_simulated(task) if task.runs and lacking is None and task.policy.stages is None else None,
    )


def _at_share(task: _Task, design: PowerDesign, points: int) -> SharePlan:
    needed = needed_points(design, task.size, task.power)
    return SharePlan(
        share=design.share,
        needed_points=needed,
        needed_s=None if needed is None else needed * task.assumed.interval,
        visible=visible_size(design, points, task.power),
    )


def _curve(task: _Task, design: PowerDesign) -> tuple[PlanPoint, ...]:
    found = []
    for points in sorted({max(2, round(part * task.points)) for part in _PARTS}):
        expected = design.expected(points, task.size)
        found.append(
            PlanPoint(
                points=points,
                seconds=points * task.assumed.interval,
                power=round(expected.power, 6),
                passes=round(expected.passes, 6),
            )
        )
    return tuple(found)


def _simulated(task: _Task) -> SimulatedPlan:
    """Make up releases with the regression, and judge them by the code that will judge the release."""
    metric, points = task.metric, task.points
    change = -task.size / (1 + task.size) if metric.direction == "decrease" else task.size
    alone = task.policy.model_copy(
        update={"metrics": (metric,), "max_points": max(2, points), "max_duration": None}
    )
    watched = metric.model_copy(update={"rules": (Sequential(),)})
    at_looks = rule_levels(watched_rules(metric), task.alpha)[0]
    made = [
        synthetic(
            metric,
            task.assumed,
            points,
            task.share,
            change,
            np.random.default_rng([task.seed, crc32(metric.name.encode()), run]),
            per_request=is_per_request(metric, task.assumed),
        )
        for run in range(task.runs)
    ]
    results = judge_cases([Case(pair, metric, task.alpha) for pair in made], alone)
    failed, stopped = sum(result.outcome is Outcome.FAIL for result in results), []
    for at_all_looks in judge_cases([Case(pair, watched, at_looks) for pair in made], alone):
        if at_all_looks.outcome is Outcome.FAIL and at_all_looks.findings:
            watch = at_all_looks.findings[0].watch
            stopped.append((watch and watch.decided_after) or at_all_looks.n_canary)
    delay = None
    if 2 * len(stopped) >= task.runs:
        delay = sorted(stopped)[math.ceil(task.runs / 2) - 1]
    return SimulatedPlan(
        points=points,
        judged=ObservedRate.of(failed, task.runs, task.runs),
        watched=ObservedRate.of(len(stopped), task.runs, task.runs),
        delay_points=delay,
    )
