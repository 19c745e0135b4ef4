"""Words for what is to be expected of a canary."""

from __future__ import annotations

from typing import Any

from canaryjudge.explain.layout import as_grid, as_markdown_grid, markdown_text, wrapped
from canaryjudge.explain.numbers import count, percent
from canaryjudge.kinds import KINDS
from canaryjudge.reports import MetricPlan, PlanFacts, SharePlan

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
    """Give a flat row a metric and point of its curve."""
    return [
        {"metric": metric.name, "kind": metric.kind, "rule": metric.rule, **point.model_dump()}
        for metric in facts.metrics.values()
        for point in metric.curve
    ]


def _heading(facts: PlanFacts) -> str:
    return (
        f"A regression of {percent(facts.size)}, to be found with {percent(facts.power)} power at one look; the canary has {percent(facts.share)} of the traffic "
        f"for {_time(facts.deadline_s)}."
    )


def _tables(facts: PlanFacts) -> list[tuple[str, _Table]]:
    """Give each table that has rows, and a sentence about it."""
    size, share = percent(facts.size), percent(facts.share)
    found = [
        (
            f"By the canary's share of the traffic: after how long a regression of {size} is found, and the smallest one that is found by the deadline.",
            _by_share(facts),
        ),
        (
            f"By time, at {share} of the traffic: how likely a canary with that regression fails, and a healthy one passes.",
            _by_time(facts),
        ),
    ]
    return [(about, table) for about, table in found if table[1]]


def _by_share(facts: PlanFacts) -> _Table:
    header = ["metric", "share", f"finds +{percent(facts.size)} after", "finds by the deadline"]
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
    return [line for metric in facts.metrics.values() for line in _of_metric(metric, facts)]


def _of_metric(metric: MetricPlan, facts: PlanFacts) -> list[str]:
    if metric.lacking is not None:
        return [
            f"{metric.name}: nothing is known of its {metric.lacking}; give a history, or assume {metric.name}.{metric.lacking}."
        ]
    lines = []
    if metric.form == "none":
        lines.append(f"{metric.name}: the rule {metric.rule} has no closed form; simulate it.")
    own = next((share for share in metric.shares if share.share == facts.share), None)
    if own is not None:
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


def _time(seconds: float) -> str:
    """Write a duration in its largest unit.

    Examples
    --------
    >>> _time(5400), _time(45), _time(172800)
    ('1.5 h', '45 s', '2 d')
    """
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
