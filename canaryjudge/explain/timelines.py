"""How a rollout went over time, in words and places: its stages, what was decided when and why, and whether effects grow or fade."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, NamedTuple

from canaryjudge.explain.layout import on_one_line
from canaryjudge.explain.numbers import count, number, pvalue, set_percent, span_of_time
from canaryjudge.explain.quantities import change, set_change
from canaryjudge.kinds import KINDS
from canaryjudge.reasons import Outcome
from canaryjudge.results import (
    BlockFacts,
    DecisionFacts,
    LookFacts,
    MetricResult,
    MetricTimeline,
    RolloutFacts,
    TrendFacts,
)

__all__ = [
    "MOST_DRAWN",
    "Drawn",
    "Mark",
    "StageSpan",
    "bound_words",
    "clock",
    "drawn_metrics",
    "limit_words",
    "marks",
    "stage_spans",
    "time_span",
    "trend_heading",
    "trend_lines",
]

MOST_DRAWN: Final = 8
"""Of more metrics the others are not seen at once."""
_TAIL: Final = 0.04
"""So much of the width is left for what comes after the last point."""
_HOUR: Final = 3600.0
_HOURS_FROM: Final = 3 * _HOUR
"""Growth over longer times is told by the hour."""


class StageSpan(NamedTuple):
    """From when to when the canary has a share of the traffic; `name` is empty for what comes after the end."""

    name: str
    share: float
    start: float
    end: float


class Mark(NamedTuple):
    """A decision that is shown."""

    at: float
    share: float
    outcome: Outcome
    says: str
    """What was decided."""
    why: str
    """And why."""


class Drawn(NamedTuple):
    """A metric whose effect is drawn over time."""

    result: MetricResult
    timeline: MetricTimeline


def time_span(facts: RolloutFacts) -> tuple[float, float] | None:
    """Give the first moment and the last; None before there are points."""
    began = [stage.began for stage in facts.stages if stage.began is not None]
    ended = [stage.ended for stage in facts.stages if stage.ended is not None]
    return (min(began), max(ended)) if began and ended else None


def stage_spans(facts: RolloutFacts) -> list[StageSpan]:
    """Give when the canary had which share, with a tail for what it gets now."""
    known = time_span(facts)
    if known is None:
        return []
    first, last = known
    tail = _TAIL * (last - first or 60.0)
    begun = [stage for stage in facts.stages if stage.began is not None]
    starts = [stage.began or first for stage in begun]
    ends = [*starts[1:], last]
    spans = [
        StageSpan(on_one_line(stage.name), stage.share, start, end)
        for stage, start, end in zip(begun, starts, ends, strict=True)
    ]
    if facts.share == spans[-1].share:
        return [*spans[:-1], spans[-1]._replace(end=last + tail)]
    name = on_one_line(facts.stage) if facts.action == "advance" else ""
    return [*spans, StageSpan(name, facts.share, last, last + tail)]


_HOLDS: Final = {
    "deadline": "the stage is over, and it is undecided",
    "release_undecided": "the last stage is fine, the release as a whole is undecided",
}
_DOUBTS: Final = {
    "no_traffic": "{} has an arm without traffic",
    "split_mismatch": "the traffic of {} is not split as the stage says",
    "misread": "{} is not what the policy says",
}


def marks(facts: RolloutFacts) -> list[Mark]:
    """Give what was decided, in order; that a stage is still undecided, or young, is not said."""
    shares = {stage.name: stage.share for stage in facts.stages}
    names = list(shares)
    found = []
    for decision in facts.timeline.decisions:
        share = shares.get(decision.stage, 0.0)
        if decision.action == "hold":
            if decision.because not in ("undecided", "young"):
                says = f"hold at {set_percent(share)}"
                found.append(Mark(decision.at, share, Outcome.MARGINAL, says, _why_held(decision)))
            continue
        evidence = next(
            (
                stage.evidence
                for stage in facts.stages
                if stage.name == decision.stage and stage.status in ("left", "failed")
            ),
            "",
        )
        how = {
            "time": "the stage has had its time; ",
            "deadline": "the stage is over undecided, which the policy decides; ",
        }.get(decision.because, "")
        doubt = f"{_why_held(decision)}; " if decision.cause is not None else ""
        outcome = Outcome.FAIL if decision.action == "rollback" else Outcome.PASS
        if decision.action == "advance":
            following = names[min(names.index(decision.stage) + 1, len(names) - 1)] if names else ""
            says = f"advance to {set_percent(shares.get(following, 0.0))}"
        else:
            says = "roll back" if decision.action == "rollback" else "complete"
        found.append(Mark(decision.at, share, outcome, says, f"{how}{doubt}{on_one_line(evidence)}"))
    return found


def _why_held(decision: DecisionFacts) -> str:
    if decision.cause is not None:
        return _DOUBTS[decision.cause].format(on_one_line(decision.metric or "a metric"))
    return _HOLDS.get(decision.because, "the data are in doubt")


def drawn_metrics(facts: RolloutFacts) -> list[Drawn]:
    """Give the metrics that can hold a rollout and have something to be drawn, in the policy's order; if they are many, the worst first."""
    found = [
        Drawn(facts.release.metrics[name], own)
        for name, own in facts.timeline.metrics.items()
        if name in facts.release.metrics
        and facts.release.metrics[name].role in ("required", "guard")
        and (own.looks or own.blocks)
    ]
    if len(found) <= MOST_DRAWN:
        return found
    return sorted(found, key=lambda each: -_badness(facts, each))


def _badness(facts: RolloutFacts, drawn: Drawn) -> int:
    """Tell how much there is to be seen: harm that is proven, a warning, or what is undecided."""
    name = drawn.result.name
    results = (drawn.result, facts.at_stage.metrics.get(name, drawn.result))
    warns = drawn.timeline.trend is not None and drawn.timeline.trend.warns
    return 2 * max(result.outcome.badness for result in results) + warns


def limit_words(drawn: Drawn, parts: float = 1.0) -> str:
    """Write so many times what is tolerated, as a change of the metric, such as ``+10 %``."""
    result, looks = drawn.result, drawn.timeline.looks
    limit, scale = (looks[-1].limit, looks[-1].scale) if looks else _tolerated(drawn.timeline.blocks)
    if limit is None or scale == "objective":
        return f"{number(parts, 2)} x limit" if parts != 1 else "objective"
    sign = "+" if limit * parts > 0 else "-"
    write = set_change if parts == 1 else change
    told = write(limit * parts, scale, result.kind, result.unit)
    return sign + told.replace("percentage points", "points").replace("percentage point", "point")


def _tolerated(blocks: BlockFacts | None) -> tuple[float | None, str]:
    return (None, "relative") if blocks is None else (blocks.limit, blocks.scale)


def bound_words(drawn: Drawn, looks: LookFacts) -> str:
    """Write beyond what a stage's pass excludes harm."""
    return (
        ""
        if looks.bound is None
        else limit_words(drawn._replace(timeline=MetricTimeline(looks=(looks,))), looks.bound)
    )


def clock(seconds: float, beside: float | None = None) -> str:
    """Write a time of the day, UTC; with the day where it is not that of another.

    Examples
    --------
    >>> clock(1_772_442_000), clock(1_772_442_000, 1_772_300_000)
    ('09:00', '2 Mar 09:00')
    """
    try:
        at = datetime.fromtimestamp(int(seconds), UTC)
        same = beside is None or datetime.fromtimestamp(int(beside), UTC).date() == at.date()
    except (OverflowError, OSError, ValueError):
        return f"{seconds:g} s"
    return at.strftime("%H:%M") if same else f"{at.day} {at.strftime('%b %H:%M')}"


def trend_heading(facts: RolloutFacts) -> str:
    """Say how surely trends are told, and that they decide nothing."""
    level = next((own.trend.level for own in facts.timeline.metrics.values() if own.trend is not None), 0.01)
    return f"Over the stages (told at a level of {set_percent(level)}, and decides nothing)"


def trend_lines(facts: RolloutFacts) -> list[str]:
    """Say of each metric whose effect grows or fades how far, how fast, and when it crosses what is tolerated; first what is to be warned of."""
    known = time_span(facts)
    found: list[tuple[bool, str]] = []
    for name, own in facts.timeline.metrics.items():
        if known is None or own.trend is None or own.blocks is None or name not in facts.release.metrics:
            continue
        result = facts.release.metrics[name]
        if own.trend.told in ("grows", "fades") and result.role != "muted":
            said = _trend(result, own.trend, own.blocks, known)
            found.append((own.trend.warns, said))
    found.sort(key=lambda each: not each[0])
    return [f"Warning: {said}" if warns else said for warns, said in found]


def _trend(result: MetricResult, trend: TrendFacts, blocks: BlockFacts, known: tuple[float, float]) -> str:
    """Say what an effect does."""

    def moved(size: float | None) -> str:
        if not size:
            return "unchanged"
        return f"{told(size)} {'higher' if size > 0 else 'lower'}"

    def told(size: float) -> str:
        return change(size, blocks.scale, result.kind, result.unit)

    first, last = known
    by_hour = last - first >= _HOURS_FROM
    rate = told((trend.rate or 0.0) * (_HOUR if by_hour else 60.0))
    each = "an hour" if by_hour else "a minute"
    name, tolerated = (
        on_one_line(result.name),
        set_change(trend.limit or 0.0, blocks.scale, result.kind, result.unit),
    )
    grows = trend.told == "grows"
    does = f"{name} grows by {rate} {each}" if grows else f"{name} fades"
    value = (trend.pvalue_grows if grows else trend.pvalue_fades) or 0.0
    point = KINDS[result.kind].point if not KINDS[result.kind].is_raw else "interval"
    of = f"{count(trend.blocks)} {'blocks' if trend.blocks > 1 else 'block'} of {count(blocks.length)} {point}{'s' if blocks.length > 1 else ''}"
    said = f"{does}: {moved(trend.start)} at first, {moved(trend.end)} in the end ({pvalue(value)}, {of})"
    return f"{said}; {_crossing(trend, tolerated, last)}."


def _crossing(trend: TrendFacts, tolerated: str, now: float) -> str:
    """Say when it crosses what is tolerated."""
    grows = trend.told == "grows"
    if trend.crosses is None:
        if not grows:
            inside = abs(trend.start or 0.0) <= abs(trend.limit or 0.0)
            return (
                f"it has been within the tolerated {tolerated} from the start on"
                if inside
                else f"as it does it will not be within the tolerated {tolerated}"
            )
        beyond = (
            abs(trend.end or 0.0) > abs(trend.limit or 0.0) and (trend.end or 0.0) * (trend.limit or 0.0) > 0
        )
        return (
            f"it has been beyond the tolerated {tolerated} from the start on"
            if beyond
            else f"at this rate it stays within the tolerated {tolerated} for ten times as long"
        )
    low = "the start" if trend.crosses_low is None else clock(trend.crosses_low, now)
    high = "never" if trend.crosses_high is None else clock(trend.crosses_high, now)
    when = f"{clock(trend.crosses, now)} UTC ({low} to {high}, 90 % CI)"
    past = trend.crosses <= now
    if not grows:
        return f"it {'has been' if past else 'will be'} within the tolerated {tolerated} from {when}"
    said = f"{'it passed' if past else 'at this rate it passes'} the tolerated {tolerated} at {when}"
    if trend.warns and not past and trend.until is not None:
        left = span_of_time(max(trend.until - now, 1.0))
        said += f", before the remaining stages are over, which last {left} more at most"
    return said
