"""Words for what is to be expected of a canary."""

from __future__ import annotations

import math
from typing import Any

from canaryjudge.explain.layout import as_grid, as_markdown_grid, markdown_text, wrapped
from canaryjudge.explain.numbers import count, percent
from canaryjudge.kinds import KINDS
from canaryjudge.reports import Exposure, MetricPlan, PlanFacts, PlannedStage, RolloutPlan, SharePlan

__all__ = ["plan_markdown", "plan_rows", "plan_text"]

_Table = tuple[list[str], list[list[str]]]
"""A header and rows."""
_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))


def plan_text(facts: PlanFacts) -> str:
    """Explain a plan: a table by shares of the traffic, one by time, and what to do."""
    tables = [f"{wrapped(about)}\n\n{as_grid(*table)}" for about, table in _tables(facts)]
    return "\n\n".join([wrapped(_heading(facts)), *tables, *(wrapped(line) for line in _remarks(facts))])


def plan_markdown(facts: PlanFacts) -> str:
    """Explain a plan in Markdown."""
    remarks = "\n".join(f"- {markdown_text(line)}" for line in _remarks(facts))
    tables = [f"{markdown_text(about)}\n\n{as_markdown_grid(*table)}" for about, table in _tables(facts)]
    return "\n\n".join(["## Plan", markdown_text(_heading(facts)), *tables, f"{remarks}\n"])


def plan_rows(facts: PlanFacts) -> list[dict[str, Any]]:
    """Give a flat row a metric and point of its curve; of rollouts, one a metric and size of its regression."""
    if facts.rollout is not None:
        names = [stage.name for stage in facts.rollout.stages]
        return [_exposure_row(exposure, names) for exposure in facts.rollout.exposures]
    return [
        {"metric": metric.name, "kind": metric.kind, "rule": metric.rule, **point.model_dump()}
        for metric in facts.metrics.values()
        for point in metric.curve
    ]


def _exposure_row(exposure: Exposure, stages: list[str]) -> dict[str, Any]:
    rates = {name: getattr(exposure, name).rate for name in ("stopped", "complete")}
    in_stages = {f"stopped in {name}": part for name, part in zip(stages, exposure.stopped_in, strict=True)}
    told = exposure.model_dump(exclude={"stopped_in", *rates})
    return {"metric": told.pop("metric"), "size": told.pop("size"), **rates, **in_stages, **told}


def _heading(facts: PlanFacts) -> str:
    to_be_found = (
        f"A regression of {percent(facts.size)}, to be found with {percent(facts.power)} power at one look"
    )
    if facts.staged:
        return f"{to_be_found} at a stage's own data; the stages last {_time(facts.deadline_s)} at most."
    return (
        f"{to_be_found}; the canary has {percent(facts.share)} of the traffic for {_time(facts.deadline_s)}."
    )


def _tables(facts: PlanFacts) -> list[tuple[str, _Table]]:
    """Give each table that has rows, and a sentence about it."""
    size, share = percent(facts.size), percent(facts.share)
    finds = f"after how long a regression of {size} is found, and the smallest one that is found by the"
    if facts.staged:
        found = [(f"By stage: {finds} stage's deadline.", _by_share(facts))]
        if facts.rollout is not None:
            found += _of_rollouts(facts.rollout, facts)
    else:
        found = [
            (f"By the canary's share of the traffic: {finds} deadline.", _by_share(facts)),
            (
                f"By time, at {share} of the traffic: how likely a canary with that regression fails, and a healthy one passes.",
                _by_time(facts),
            ),
        ]
    return [(about, table) for about, table in found if table[1]]


def _of_rollouts(rollout: RolloutPlan, facts: PlanFacts) -> list[tuple[str, _Table]]:
    """Give the tables of what simulated rollouts say, and sentences about them."""
    unit, stages = rollout.traffic_unit, [stage.name for stage in rollout.stages]
    healthy = (
        f"Healthy rollouts, {count(rollout.runs)} simulated: {percent(rollout.complete.rate)} are complete by the last deadline"
        f"{'' if rollout.complete_after_s is None else f', half of them by {_time(rollout.complete_after_s)}'}, {percent(rollout.rolled_back.rate)} are rolled back. By stage: how long it may last, how many "
        f"leave it in time and after how long half do; the shortest max_duration with which {percent(facts.power)} would, and the harm that leaving it excludes."
    )
    metrics = list(dict.fromkeys(name for stage in rollout.stages for name in stage.excludes))
    began = "" if rollout.since == stages[0] else f" from stage {rollout.since} on"
    became = f"With a regression of one metric{began}: how many rollouts are stopped, in which stage and after how long half of them are; how many are held until the last deadline, and how many are completed."
    if rollout.traffic_per_s is None:
        how_much = "in time of all of the traffic; how much that is, --traffic would say"
    elif rollout.traffic_of is None:
        how_much = f"of {_amount(60 * rollout.traffic_per_s)} {unit} a minute, as stated"
    else:
        how_much = (
            f"of {_amount(60 * rollout.traffic_per_s)} {unit} a minute, by the totals of {rollout.traffic_of}"
        )
    met = (
        f"How many {unit} meet the regression, {how_much}: the canary's share added up until it is stopped, or until the last deadline where it is held; at most so many in half and in 95 % of the rollouts. One that is completed "
        "exposes everybody, and has no part in the mean. No test with the policy's error rates stops it with fewer, in the mean, than an oracle that knows the baseline, the noise and the size."
    )
    return [
        (healthy, _by_stage(rollout.stages, metrics, facts.power)),
        (became, _what_became(rollout, stages)),
        (met, _who_met_it(rollout)),
    ]


def _by_stage(stages: tuple[PlannedStage, ...], metrics: list[str], power: float) -> _Table:
    header = [
        "stage",
        "lasts",
        "left in time",
        "half after",
        f"{percent(power)} need",
        *(f"excludes {name}" for name in metrics),
    ]
    rows = [
        [
            stage.name,
            _time(stage.max_duration_s)
            if stage.min_duration_s is None
            else f"{_time(stage.min_duration_s)} to {_time(stage.max_duration_s)}",
            "none comes" if stage.left is None else percent(stage.left.rate),
            "" if stage.left_after_s is None else _time(stage.left_after_s),
            "longer" if stage.proposed_s is None else _time(stage.proposed_s),
            *(f"+{percent(stage.excludes[name])}" if name in stage.excludes else "" for name in metrics),
        ]
        for stage in stages
    ]
    return header, rows


def _what_became(rollout: RolloutPlan, stages: list[str]) -> _Table:
    header = [
        "metric",
        "worse by",
        "stopped",
        *(f"in {name}" for name in stages),
        "half after",
        "held",
        "complete",
    ]
    rows = [
        [
            _first(rollout, number),
            f"+{percent(one.size)}",
            percent(one.stopped.rate),
            *(percent(part) for part in one.stopped_in),
            "" if one.stopped_after_s is None else _time(one.stopped_after_s),
            percent(one.held),
            percent(one.complete.rate),
        ]
        for number, one in enumerate(rollout.exposures)
    ]
    return header, rows


def _who_met_it(rollout: RolloutPlan) -> _Table:
    header = ["metric", "worse by", "mean", "half meet", "95 % meet", "an oracle needs"]

    def told(one: Exposure, name: str, otherwise: str) -> str:
        seconds, amount = getattr(one, f"{name}_s"), getattr(one, name)
        if seconds is None:
            return otherwise
        return _time(seconds) if amount is None else _amount(amount)

    rows = [
        [
            _first(rollout, number),
            f"+{percent(one.size)}",
            told(one, "mean", "everybody"),
            *(told(one, name, "everybody") for name in ("median", "p95")),
            told(one, "oracle", ""),
        ]
        for number, one in enumerate(rollout.exposures)
    ]
    return header, rows


def _first(rollout: RolloutPlan, number: int) -> str:
    """Name the metric of an exposure where it is the first of it."""
    own = rollout.exposures[number].metric
    return "" if number and rollout.exposures[number - 1].metric == own else own


def _amount(value: float) -> str:
    """Write how many, to three digits.

    Examples
    --------
    >>> _amount(299893.7), _amount(12.34)
    ('300,000', '12')
    """
    digits = max(0, math.floor(math.log10(value)) - 2) if value >= 1 else 0
    return count(round(round(value / 10**digits) * 10**digits))


def _by_share(facts: PlanFacts) -> _Table:
    by, until = ("stage", "its deadline") if facts.staged else ("share", "the deadline")
    header = ["metric", by, f"finds +{percent(facts.size)} after", f"finds by {until}"]
    rows = [
        [
            metric.name if number == 0 else "",
            percent(share.share),
            "never" if share.needed_s is None else _time(share.needed_s),
            "nothing" if share.visible is None else f"+{percent(share.visible)}",
        ]
        for metric in facts.metrics.values()
        for number, share in enumerate(sorted(metric.shares, key=lambda share: share.share))
    ]
    return header, rows


def _by_time(facts: PlanFacts) -> _Table:
    header = ["metric", "after", "points", "bad one fails", "good one passes"]
    rows = [
        [
            metric.name if number == 0 else "",
            _time(point.seconds),
            count(point.points),
            percent(point.power),
            percent(point.passes),
        ]
        for metric in facts.metrics.values()
        for number, point in enumerate(metric.curve)
    ]
    return header, rows


def _remarks(facts: PlanFacts) -> list[str]:
    lines = [line for metric in facts.metrics.values() for line in _of_metric(metric, facts)]
    if facts.pooled:
        lines.append(
            f"The policy compares within segments by {' and '.join(facts.pooled)}, and this plan takes the traffic as a whole: harm in one segment alone takes longer to find, with its own traffic and its part of alpha."
        )
    return [*lines, *([] if facts.rollout is None else _about_rollouts(facts.rollout, facts))]


def _about_rollouts(rollout: RolloutPlan, facts: PlanFacts) -> list[str]:
    """Say what to change about the stages, and what was left out."""
    lines = []
    for stage in rollout.stages:
        many = (
            "no healthy rollout comes to it"
            if stage.left is None
            else f"{percent(stage.left.rate)} of healthy rollouts leave it within {_time(stage.max_duration_s)}"
        )
        at = f"stage {stage.name}: {many}"
        if stage.proposed_s is None:
            lines.append(
                f"{at}, and no max_duration up to eight times as long would let {percent(facts.power)} leave; take a wider pass_within, more traffic, or advance: time."
            )
        elif stage.proposed_s > stage.max_duration_s:
            lines.append(
                f"{at}; with max_duration: {_time(stage.proposed_s, as_written=True)} {percent(facts.power)} would."
            )
        elif stage.proposed_s < stage.max_duration_s:
            lines.append(
                f"{at}; max_duration: {_time(stage.proposed_s, as_written=True)} would do for {percent(facts.power)}."
            )
    if rollout.left_out:
        lines.append(
            f"Rollouts are simulated without {', '.join(rollout.left_out)}, of which too little is known: with them stages are left later."
        )
    return lines


def _of_metric(metric: MetricPlan, facts: PlanFacts) -> list[str]:
    if metric.lacking is not None:
        return [
            f"{metric.name}: nothing is known of its {metric.lacking}; give a history, or assume {metric.name}.{metric.lacking}."
        ]
    lines = []
    if metric.form == "none":
        lines.append(f"{metric.name}: the rule {metric.rule} has no closed form; simulate it.")
    own = next((share for share in metric.shares if share.share == facts.share), None)
    if own is not None and not facts.staged:
        lines.append(_verdict(metric, own, facts))
    if metric.simulated is not None:
        lines.append(_simulated(metric, facts))
    if metric.one_series:
        lines.append(
            f"{metric.name}: what varies slowly is taken to be felt by both arms, which one series cannot tell; a history with several replicas (column replica) can."
        )
    return lines


def _verdict(metric: MetricPlan, own: SharePlan, facts: PlanFacts) -> str:
    at = f"{metric.name} at {percent(own.share)} of the traffic"
    if own.visible is not None and own.visible <= facts.size:
        return f"{at} sees +{percent(own.visible)} in {_time(facts.deadline_s)}, and +{percent(facts.size)} in {_time(own.needed_s or 0.0)}."
    sees = "sees nothing" if own.visible is None else f"cannot see less than +{percent(own.visible)}"
    return f"{at} {sees} in {_time(facts.deadline_s)}: {_advice(metric, own, facts)}."


def _advice(metric: MetricPlan, own: SharePlan, facts: PlanFacts) -> str:
    ways = []
    enough = next(
        (
            share
            for share in metric.shares
            if share.share > own.share and share.visible is not None and share.visible <= facts.size
        ),
        None,
    )
    if enough is not None:
        ways.append(f"use {percent(enough.share)} (+{percent(enough.visible or 0.0)})")
    if own.needed_s is not None:
        ways.append(f"run {_time(own.needed_s)}")
    if KINDS[metric.kind].is_averaged and metric.per_request:
        ways.append("use a histogram of the same requests, which tells how many there were")
    return (
        ", or ".join(ways)
        or "neither time nor traffic helps; take a wider tolerance, or average over more replicas"
    )


def _simulated(metric: MetricPlan, facts: PlanFacts) -> str:
    found = metric.simulated
    assert found is not None  # noqa: S101 - asked only where there is one
    judged = f"{percent(found.judged.rate)} ({percent(found.judged.low)} to {percent(found.judged.high)})"
    said = f"{metric.name}: of {count(found.judged.trials)} simulated releases with +{percent(facts.size)} judge fails {judged} after {count(found.points)} points"
    if found.watched is not None:
        said += f", a Monitor {percent(found.watched.rate)}"
        if found.delay_points is not None:
            said += f", half of them after {_time(found.delay_points * metric.interval_s)}"
    return f"{said}."


def _time(seconds: float, *, as_written: bool = False) -> str:
    """Write a duration in its largest unit, or as policies have it.

    Examples
    --------
    >>> _time(5400), _time(45), _time(172800), _time(3600, as_written=True)
    ('1.5 h', '45 s', '2 d', '1h')
    """
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size), (1.0, "s"))
    if as_written:
        return f"{seconds / size:.6g}{unit[0]}"
    return f"{seconds / size:.3g} {unit}"
