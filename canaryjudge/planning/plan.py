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
from canaryjudge.planning.power import (
    PowerDesign,
    form_of,
    is_per_request,
    needed_points,
    planned_rule,
    visible_size,
)
from canaryjudge.plots import power as power_curves
from canaryjudge.policy import Metric, Policy, Sequential
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

__all__ = ["Plan", "Simulation", "plan"]

_SHARES = (0.01, 0.05, 0.1, 0.25, 0.5)
_SHARE = 0.1
_HOUR = 3600.0
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
        Releases a metric; 0 for none.
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
        """Draw the chances of one metric over time: that the regression fails, and that a healthy canary passes.

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
def plan(
    policy: Policy,
    history: Any = None,
    *,
    assume: Mapping[str, Any] | None = None,
    size: float | str = 0.25,
    power: float | str = 0.8,
    share: float | str | None = None,
    simulation: Simulation | None = None,
) -> Plan:
    """Say how long a canary must run, at what share of the traffic, to find a regression of a size.

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
        The canary's share of the traffic; that of the policy's `split` where it is left out, or 10 %. The baseline has the rest.
    simulation : Simulation, optional
        Check the plan by simulation too.

    Returns
    -------
    Plan
        For each metric: how long it takes at which share, what is visible by the deadline (`max_duration`, `max_points` or an hour), and curves.

    Raises
    ------
    PolicyError
        If the assumptions, the size, the power or the share make no sense.
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
    simulation = simulation or Simulation()
    asked = _fraction("size", size, math.inf), _fraction("power", power, 1.0)
    of_canary = _SHARE if policy.split is None else policy.split.canary
    of_canary = of_canary if share is None else _fraction("share", share, 1.0)
    assumed, alone = _assumptions(policy, history, assume or {})
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
    show(0, len(tasks))
    for number, one in enumerate(run(_planned, tasks), 1):
        done[one.name] = one
        show(number, len(tasks))
    return Plan(
        size=asked[0],
        power=asked[1],
        share=of_canary,
        deadline_s=max(task.deadline for task in tasks),
        seed=simulation.seed,
        metrics=done,
    )


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
        if policy.max_points is not None:
            return policy.max_points * self.assumed.interval
        return policy.max_duration or _HOUR

    @property
    def points(self) -> int:
        """Points by the deadline."""
        return max(1, math.floor(self.deadline / self.assumed.interval + 1e-9))


def _planned(task: _Task) -> MetricPlan:
    metric, assumed = task.metric, task.assumed
    lacking, form = next(iter(assumed.lacks(metric.kind)), None), form_of(metric)
    rules = metric.rules or default_rules(metric, one_clock=metric.pairing != "windows")
    planned = planned_rule(metric)
    alpha = rule_levels(rules, task.alpha)[rules.index(planned)]
    ready = form != "none" and lacking is None
    design = PowerDesign(metric, assumed, task.share, alpha, task.policy.beta)
    by_share = sorted({*_SHARES, task.share}) if ready else []
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
        shares=tuple(_at_share(task, replace(design, share=part)) for part in by_share),
        curve=_curve(task, design) if ready else (),
        simulated=_simulated(task) if task.runs and lacking is None else None,
    )


def _at_share(task: _Task, design: PowerDesign) -> SharePlan:
    needed = needed_points(design, task.size, task.power)
    return SharePlan(
        share=design.share,
        needed_points=needed,
        needed_s=None if needed is None else needed * task.assumed.interval,
        visible=visible_size(design, task.points, task.power),
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
