"""Words for what a history says of a policy."""

from __future__ import annotations

from typing import Any

from canaryjudge.explain.layout import as_grid, as_markdown_grid, markdown_text, wrapped
from canaryjudge.explain.numbers import count, number, percent, set_percent
from canaryjudge.explain.quantities import level_of
from canaryjudge.kinds import KINDS
from canaryjudge.reports import (
    CalibrationFacts,
    Duplicate,
    FloorFacts,
    MetricCalibration,
    ObservedRate,
    Proposal,
)

__all__ = ["calibration_markdown", "calibration_rows", "calibration_text", "proposal_sentence"]

_LEAST_SHOWN = 1e-4
_SOURCES = {
    "releases": "past releases",
    "replicas": "concurrent replicas",
    "neighbors": "neighboring windows",
    "clock": "windows at the same time of the day",
    "none": "no pairs",
}
_FAULTS = {
    "shift": "a shift of",
    "tail": "a tenth of the points larger by",
    "burst": "a tenth of the window larger by",
}
_EVENT_FAULTS = {"shift": "events more by", "burst": "a tenth of the window with events more by"}
_HEADER = (
    "metric",
    "healthy pairs",
    "failed",
    "marginal",
    "healthy arms differ",
    "then failed",
    "marginal",
    "finds a shift of",
    "lag-1",
)


def calibration_text(facts: CalibrationFacts) -> str:
    """Explain a calibration: a table, what it means, and the proposals."""
    rows = [_cells(metric) for metric in facts.metrics.values()]
    parts = [as_grid(_HEADER, rows), *(wrapped(line) for line in _remarks(facts))]
    return "\n\n".join(parts)


def calibration_markdown(facts: CalibrationFacts) -> str:
    """Explain a calibration in Markdown."""
    rows = [_cells(metric) for metric in facts.metrics.values()]
    remarks = "\n".join(f"- {markdown_text(line)}" for line in _remarks(facts))
    return f"## Calibration\n\n{as_markdown_grid(_HEADER, rows)}\n\n{remarks}\n"


def calibration_rows(facts: CalibrationFacts) -> list[dict[str, Any]]:
    """Give a flat row of numbers a metric."""
    rows = []
    for metric in facts.metrics.values():
        row = metric.model_dump(
            exclude={"failed", "failed_proposed", "found", "floors", "faults", "failed_by_rule"}
        )
        for name in ("failed", "failed_proposed", "found"):
            rate: ObservedRate | None = getattr(metric, name)
            row |= {
                name: rate and rate.rate,
                f"{name}_low": rate and rate.low,
                f"{name}_high": rate and rate.high,
            }
        row["pairs"] = metric.failed and metric.failed.trials
        row["independent"] = metric.failed and metric.failed.independent
        row |= {f"between_{floor.between}": floor.spread for floor in metric.floors}
        row |= {f"finds_{fault.fault}": fault.size for fault in metric.faults}
        rows.append(row)
    return rows


def _cells(metric: MetricCalibration) -> list[str]:
    if metric.failed is None:
        return [metric.name, "none", *["-"] * 7]
    shift = next((fault.size for fault in metric.faults if fault.fault == "shift"), None)
    return [
        metric.name,
        f"{count(metric.failed.trials)} (worth {number(metric.failed.independent)})",
        _interval(metric.failed),
        percent(metric.marginal or 0.0),
        ", ".join(f"{_spread(floor, metric)} ({floor.between})" for floor in metric.floors) or "-",
        _interval(metric.failed_proposed) if metric.failed_proposed else "-",
        percent(metric.marginal_proposed or 0.0),
        "nothing" if shift is None else percent(shift),
        "-" if metric.autocorrelation is None else number(metric.autocorrelation, 2),
    ]


def _interval(rate: ObservedRate) -> str:
    low = rate.low if rate.low >= _LEAST_SHOWN else 0.0
    return f"{percent(rate.rate)} ({percent(low)} to {percent(rate.high)})"


def _spread(floor: FloorFacts, metric: MetricCalibration) -> str:
    return level_of(floor.spread, "gauge", metric.unit) if floor.absolute else percent(floor.spread)


def _remarks(facts: CalibrationFacts) -> list[str]:
    lines = [_metric_remark(metric, facts) for metric in facts.metrics.values()]
    lines += [_duplicate(pair) for pair in facts.duplicates]
    if facts.pooled:
        lines.append(
            f"The policy compares within segments by {' and '.join(facts.pooled)}, and this history was judged as a whole: these are not the rates of releases that are judged within segments."
        )
    if facts.no_gate:
        lines.append(
            "No metric of this policy is a gate on this service: each is too noisy, or too few windows of it are known. Give more history, "
            "metrics of more traffic, or more replicas."
        )
    elif not facts.proposals:
        lines.append(
            f"Nothing in this history speaks against the policy as it is (alpha {set_percent(facts.alpha)})."
        )
    lines += [f"Proposed: {proposal_sentence(proposal)}" for proposal in facts.proposals]
    return lines


def _metric_remark(metric: MetricCalibration, facts: CalibrationFacts) -> str:
    if metric.failed is None:
        return f"{metric.name}: the history has no two windows of {count(metric.points)} points, so nothing is known of it."
    said = [
        f"{metric.name}: pairs are {_SOURCES[metric.source]} of {count(metric.points)} points{_trouble(metric)}"
    ]
    words = _EVENT_FAULTS if KINDS[metric.kind].counts_events else _FAULTS
    seen = [
        f"{words[fault.fault]} {percent(fault.size)}" for fault in metric.faults if fault.size is not None
    ]
    unseen = [fault.fault for fault in metric.faults if fault.size is None]
    if seen:
        said.append(f"in {percent(facts.power)} of the pairs it finds {', '.join(seen)}")
    if unseen:
        said.append(f"no {' or '.join(unseen)} of up to 16 times the level is found so often")
    if metric.found is not None:
        said.append(
            f"of {count(metric.found.trials)} past releases that turned out bad it fails {_interval(metric.found)}"
        )
    return f"{'; '.join(said)}."


def _trouble(metric: MetricCalibration) -> str:
    said = []
    if metric.seasonality is not None and metric.seasonality >= 0.1:
        said.append(f"the time of the day explains {percent(metric.seasonality)} of the variance")
    if metric.gaps is not None and metric.gaps >= 0.01:
        said.append(f"{percent(metric.gaps)} of the intervals have no point")
    return f"; {', '.join(said)}" if said else ""


def _duplicate(pair: Duplicate) -> str:
    return (
        f"{pair.first} and {pair.second} move together where nothing is wrong (rank correlation {number(pair.correlation, 2)} over {count(pair.pairs)} pairs): "
        "gate on one of them, for each takes a share of alpha."
    )


def proposal_sentence(proposal: Proposal) -> str:
    """Say what to change and why."""
    of = f"{proposal.metric}: " if proposal.metric else ""
    return f"{of}{_change(proposal)}, because {_why(proposal)}."


def _change(proposal: Proposal) -> str:
    if proposal.new is None:
        return f"take {proposal.field} out"
    new = _flow(proposal.new)
    return f"{proposal.field} {new}" + ("" if proposal.old is None else f" instead of {_flow(proposal.old)}")


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(part) for part in value) + "]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _why(proposal: Proposal) -> str:
    facts = proposal.numbers
    match proposal.reason:
        case "differs_anyway":
            arms = " and ".join(facts)
            return f"healthy {arms} differ by more than the scatter of their points explains"
        case "rule_cries_wolf":
            rules = ", ".join(f"{rule} fails {percent(rate)}" for rule, rate in facts.items())
            return f"{rules} of the healthy pairs on its own"
        case "tolerance_too_tight":
            return f"{percent(facts['failed'])} of the healthy pairs fail at the tolerance as it is"
        case "too_noisy":
            if "smallest" in facts:
                return f"nothing smaller than {percent(facts['smallest'])} would be found, which is no gate"
            return "no tolerance up to 100 % keeps healthy pairs from failing, or no shift of up to 16 times the level is found"
        case "dependent_points":
            return f"at a lag-1 autocorrelation of {number(facts['autocorrelation'], 2)} fewer points are worth less than four independent ones"
        case "undecided_for_long":
            return f"{percent(facts['marginal'])} of the healthy pairs are left undecided, and about {count(facts['points'])} points would decide half of those"
