"""Words for what the segments of the traffic say: which is to blame, what the mix makes of a pooled number, what could not be compared."""

from __future__ import annotations

from typing import Final, NamedTuple

from canaryjudge.explain.effects import signed
from canaryjudge.explain.layout import listed, on_one_line
from canaryjudge.explain.numbers import confidence, count, percent, pvalue
from canaryjudge.explain.quantities import change, span
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.results import MetricResult, MetricSegments, ReleaseResult, SegmentsFacts
from canaryjudge.rules.findings import EffectFinding

__all__ = [
    "SegmentRow",
    "found_in",
    "is_within",
    "name_of",
    "segment_lead",
    "segment_remarks",
    "segment_rows",
    "segment_sentences",
    "segments_left_out",
]

_MIX_LEVEL: Final = 0.01
_MOVES: Final = 0.01
"""A mix that moves the canary's level by less than this part makes no difference."""
_ALIKE: Final = 0.05
_OF_LEVEL: Final = ("mann_whitney", "proportion", "rate", "sequential")
"""Rules about the level."""
_MOST: Final = 3
_WHY: Final = {
    "no_baseline": "without points of the baseline",
    "no_canary": "without points of the canary",
    "too_little_data": "with too little data for a test of their own",
    "broken": "whose data are broken",
}


def _of(result: MetricResult, release: ReleaseResult) -> MetricSegments | None:
    return None if release.segments is None else release.segments.metrics.get(result.name)


def is_within(rule: str, facts: MetricSegments | None) -> bool:
    """Tell whether a rule is about the level, which is compared within segments where a metric has some."""
    return facts is not None and rule in _OF_LEVEL


def name_of(name: tuple[str | None, ...]) -> str:
    """Write the name of a segment, or of a value of one column."""
    return on_one_line(" / ".join(part for part in name if part is not None))


def found_in(rule: str, result: MetricResult, release: ReleaseResult) -> str:
    """Say in which segment a rule about a feature found what it says; nothing where it was asked of the whole."""
    facts = _of(result, release)
    if facts is None or rule not in facts.found_in or facts.segments[1:] == ():
        return ""
    return f"in {name_of(facts.found_in[rule])}: "


def segment_lead(result: MetricResult, release: ReleaseResult) -> str:
    """Say which segments are to blame where the change within them fails a metric; nothing where it does not, or no two were compared."""
    facts, deciding = _of(result, release), result.deciding
    fails = deciding is not None and is_within(deciding.rule, facts) and deciding.outcome is Outcome.FAIL
    if facts is None or len(facts.segments) < 2 or not fails or result.outcome is not Outcome.FAIL:
        return ""
    if facts.culprits:
        named = [
            f"{name_of(each.name)}: {_change(each.estimate, facts, result)}"
            for each in facts.culprits[:_MOST]
        ]
        more = len(facts.culprits) - len(named)
        rest = f" and in {count(more)} more" if more else ""
        only, others = ("only ", f", all others within {_bound(result)}") if facts.only else ("", "")
        return f"worse {only}in {listed(named)}{rest}{others}"
    worse = [each for each in facts.segments if each.outcome is Outcome.FAIL]
    if result.reason is Reason.WORSE_IN_SEGMENT:
        named = [f"{name_of(each.name)} ({_change(each.estimate, facts, result)})" for each in worse[:_MOST]]
        return (
            f"worse than tolerated in {listed(named)}, though not proven to be apart from the other segments"
        )
    if facts.unlike is not None and facts.unlike > _ALIKE:
        return f"worse in all segments alike, none stands out: {_change(facts.within, facts, result)}"
    return "no segment is proven to be to blame"


def segment_sentences(result: MetricResult, release: ReleaseResult) -> list[str]:
    """Say what the segments say of a metric beside that."""
    facts = _of(result, release)
    if facts is None:
        return []
    said = [mixed] if (mixed := _mix_sentence(facts, result)) else []
    if len(facts.segments) > 1:
        said.append(_each_sentence(facts, result))
    if facts.left_out and result.reason is not Reason.SEGMENTS_LEFT_OUT:
        said.append(segments_left_out(facts))
    return said


def _mix_sentence(facts: MetricSegments, result: MetricResult) -> str:
    """Say what the mix of segments makes of the pooled number."""
    moved = facts.mix_pvalue is not None and facts.mix_pvalue <= _MIX_LEVEL
    if not moved or facts.most_moved is None or facts.more is None or abs(facts.by_mix or 0.0) < _MOVES:
        return ""
    points = f"{count(round(abs(100 * facts.more)))} points {'more' if facts.more > 0 else 'less'} of {name_of(facts.most_moved)}"
    if facts.pooled is None:
        return f"the canary has {points}, which moves its pooled level by {percent(abs(facts.by_mix or 0.0))}; within segments {_change(facts.within, facts, result)}"
    return f"pooled {_change(facts.pooled, facts, result)}, but the canary has {points}; within segments {_change(facts.within, facts, result)}"


def _each_sentence(facts: MetricSegments, result: MetricResult) -> str:
    """Say how the segments came out by themselves, and which is the worst."""
    ways = ((Outcome.FAIL, "worse than tolerated"), (Outcome.PASS, "fine"), (Outcome.MARGINAL, "undecided"))
    counts = [
        f"{count(n)} {word}"
        for outcome, word in ways
        if (n := sum(each.outcome is outcome for each in facts.segments))
    ]
    worst = facts.segments[0]
    return (
        f"of {count(len(facts.segments))} segments by themselves {', '.join(counts)}; the worst is {name_of(worst.name)}, "
        f"{_change(worst.estimate, facts, result)} (adjusted {pvalue(worst.pvalue or 0.0)})"
    )


def segments_left_out(facts: MetricSegments) -> str:
    """Say which segments could not be compared, and why."""
    by_cause = []
    for why, words in _WHY.items():
        own = [name_of(each.name) for each in facts.left_out if each.why == why]
        if own:
            more = (
                ""
                if len(own) <= _MOST
                else f" and {'more' if facts.left_out_count > len(facts.left_out) else count(len(own) - _MOST) + ' more'}"
            )
            by_cause.append(f"{words}: {', '.join(own[:_MOST])}{more}")
    part = percent(facts.left_out_part or 0.0)
    n = facts.left_out_count
    return f"{count(n)} {'segment' if n == 1 else 'segments'} with {part} of an arm's traffic could not be compared ({'; '.join(by_cause)})"


class SegmentRow(NamedTuple):
    """A segment in a table, in words."""

    name: str
    outcome: Outcome
    traffic: str
    """Its part of the canary's traffic, and of the baseline's."""
    change: str
    interval: str
    evidence: str


def segment_rows(result: MetricResult, release: ReleaseResult) -> list[SegmentRow]:
    """Give the segments of a metric, the worst first; none where no two were compared."""
    facts = _of(result, release)
    if facts is None or len(facts.segments) < 2:
        return []
    return [
        SegmentRow(
            name_of(each.name),
            each.outcome,
            f"{percent(each.part_canary or 0.0)} v. {percent(each.part_baseline or 0.0)}",
            _change(each.estimate, facts, result),
            ""
            if each.interval is None
            else f"{confidence(each.interval.confidence_level)} {span(each.interval.low, each.interval.high, facts.scale, result.kind, result.unit)}",
            pvalue(each.pvalue or 0.0),
        )
        for each in facts.segments
    ]


def segment_remarks(facts: SegmentsFacts | None) -> list[str]:
    """Say what is to be known of the segments of a release."""
    if facts is None:
        return []
    by = " and ".join(map(on_one_line, facts.by))
    said = []
    if facts.one is not None:
        said.append(
            f"All data are of one segment by {by}, {name_of(facts.one)}, so there was nothing to tell apart"
        )
    if len(facts.asked_by) > len(facts.by):
        asked = " and ".join(map(on_one_line, facts.asked_by))
        said.append(
            f"By {asked} together more than a tenth of the traffic is of segments with too little data, so segments are those by {by} alone"
        )
    if facts.unnamed:
        said.append(
            f"Not compared within segments, because no data or no rule about a level asks for it: {', '.join(map(on_one_line, facts.unnamed))}"
        )
    for split in facts.splits[:_MOST]:
        right = "right in sum and wrong" if split.right_in_sum else "wrong"
        said.append(
            f"The split is {right} in {name_of(split.name)} ({percent(split.found)}, not {percent(split.expected)})"
        )
    if len(facts.splits) > _MOST:
        said.append(f"So it is in {count(len(facts.splits) - _MOST)} more segments")
    return said


def _change(value: float | None, facts: MetricSegments, result: MetricResult) -> str:
    if value is None:
        return "unknown"
    return signed(value, change(value, facts.scale, result.kind, result.unit))


def _bound(result: MetricResult) -> str:
    """Give what a pass excludes."""
    effects = [each.effect for each in result.findings if isinstance(each.effect, EffectFinding)]
    ends = [
        end
        for each in effects[:1]
        if each is not None
        for end in (each.pass_high, each.pass_low)
        if end is not None
    ]
    scale = effects[0].scale if effects and effects[0] is not None else "relative"
    return change(max(ends, key=abs), scale, result.kind, result.unit) if ends else "what a pass excludes"
