"""A rollout as HTML: a page that begins with its timeline, and the same for a notebook. Names from the data are escaped."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise

from canaryjudge.explain.charts import mark, percent_of
from canaryjudge.explain.html import about, html_list, legend, metric_article, page, scoped
from canaryjudge.explain.layout import html_prose, html_text
from canaryjudge.explain.numbers import count, set_percent, span_of_time
from canaryjudge.explain.rollouts import looked_at, rollout_heading, rollout_remarks, rollout_why, stage_rows
from canaryjudge.explain.sentences import metric_sentence
from canaryjudge.explain.text import by_badness
from canaryjudge.explain.timelines import (
    MOST_DRAWN,
    Drawn,
    Mark,
    StageSpan,
    bound_words,
    clock,
    drawn_metrics,
    limit_words,
    marks,
    stage_spans,
    trend_heading,
    trend_lines,
)
from canaryjudge.reasons import Outcome
from canaryjudge.results import LookFacts, RolloutFacts

__all__ = ["rollout_html", "rollout_page", "squeezed"]

_STYLES = "rollout.css"
_WIDE, _TALL = 1000, 200
"""Units of a drawing."""
_LEAST = 6
"""A look that was the last of its stage is at least so wide."""
_NARROW = 0.05
"""A stage that takes a smaller part of the width has no room for its name."""
_TIMES = 4
"""Labels of times on the axis, at most."""
_APART = 0.13
"""Parts of the height that labels of an axis must be apart."""
_PARTS = (0.0, 1.0, -1.0, 2.0, 5.0, 10.0, 20.0, 50.0, -2.0, -5.0, -10.0)
"""Where effects are labeled, in parts of what is tolerated: the first that have room."""


def rollout_page(facts: RolloutFacts, reason: str, provenance: Mapping[str, str]) -> str:
    """Write the report of a rollout."""
    number, sections = 0, []
    for place, (heading, release) in enumerate(looked_at(facts)):
        cards = []
        for result in by_badness(release):
            number += 1
            said = f'<p class="says">{html_prose(_sentence(metric_sentence(result, release)))}</p>'
            cards.append(
                metric_article(
                    result, release, number, beside=said, where=f", {heading[:1].lower()}{heading[1:]}"
                )
            )
        keys = legend(arms=False) if not place else ""
        sections.append(
            f'<section aria-labelledby="s{place}"><div class="legend"><h2 id="s{place}">{html_text(heading)}</h2>{keys}</div>{"".join(cards)}</section>'
        )
    promises = "".join(f"<p>{html_prose(said)}</p>" for said in rollout_remarks(facts))
    return page(
        rollout_heading(facts),
        _tone(facts),
        f"{_banner(facts)}<main>{_timeline(facts)}{_stages(facts)}{''.join(sections)}"
        f'<section class="promise" aria-labelledby="promise"><h2 id="promise">What this rollout promises</h2><p>{html_text(reason)}</p>{promises}</section></main>',
        provenance,
        _STYLES,
    )


def rollout_html(facts: RolloutFacts) -> str:
    """Show a rollout in a notebook: what to do, its timeline, and its stages."""
    return scoped(f"{_banner(facts)}{_timeline(facts)}{_stages(facts)}", _tone(facts).value, _STYLES)


def _tone(facts: RolloutFacts) -> Outcome:
    """Give the outcome in whose color it stands: to advance is good news."""
    return {"hold": Outcome.MARGINAL, "rollback": Outcome.FAIL}.get(facts.action, Outcome.PASS)


def _banner(facts: RolloutFacts) -> str:
    """Lay out what stands on top: what to do, why, and how far it is."""
    word = {"advance": "Advance", "hold": "Hold", "rollback": "Roll back", "complete": "Complete"}[
        facts.action
    ]
    why = rollout_why(facts)
    stages = [stage.name for stage in facts.stages]
    at = (
        ""
        if facts.action in ("complete", "rollback")
        else f"stage {stages.index(facts.stage) + 1} of {len(stages)}, "
    )
    warned = [line for line in trend_lines(facts) if line.startswith("Warning")]
    turn = "".join(f'<p class="turn">{html_prose(line)}</p>' for line in warned)
    return (
        f'<header class="banner"><div class="wide"><div class="verdict">{mark(_tone(facts))}'
        f'<h1>{word}<span class="action">{html_prose(set_percent(facts.share))} of the traffic to the canary</span></h1></div>'
        f'<p class="why">{html_prose(_sentence(why[:1].upper() + why[1:]))}</p>{turn}'
        f'<p class="about">{at}{about(facts.release)}</p></div></header>'
    )


def _sentence(words: str) -> str:
    said = words[:1].upper() + words[1:]
    return said if said.endswith((".", "!", "?", "…")) else f"{said}."


def _stages(facts: RolloutFacts) -> str:
    """Lay out the stages as a table."""
    heads, rows = stage_rows(facts)
    head = "".join(f'<th scope="col">{html_text(each)}</th>' for each in heads)
    body = "".join(
        f'<tr><th scope="row">{html_text(row[0])}</th>'
        + "".join(
            f'<td data-name="{html_text(name)}">{html_prose(cell) or "&ndash;"}</td>'
            for name, cell in zip(heads[1:], row[1:], strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return (
        '<section class="sheet" aria-label="Stages"><h2>Stages</h2><div class="scroll" tabindex="0" role="region" aria-label="Table of the stages">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></section>"
    )


def _timeline(facts: RolloutFacts) -> str:
    """Draw the share over time with what was decided, and below it each metric's effect."""
    spans = stage_spans(facts)
    if not spans:
        return ""
    decided = marks(facts)
    first, end = spans[0].start, spans[-1].end
    drawn = [_panel(each, facts, spans) for each in drawn_metrics(facts)]
    panels, rest, folded = "".join(drawn[:MOST_DRAWN]), drawn[MOST_DRAWN:], ""
    if rest:
        more = f"{count(len(rest))} more metric{'s' if len(rest) > 1 else ''}"
        folded = f'<details><summary>{more}</summary><div class="more">{"".join(rest)}</div></details>'
    items = "".join(
        f'<li class="{each.outcome.value}">{mark(each.outcome)}<span><time>{clock(each.at, first)}</time> '
        f"<strong>{html_text(each.says)}</strong>{_because(each)}</span></li>"
        for each in decided
    )
    decisions = f'<ol class="decisions" aria-label="Decisions">{items}</ol>' if items else ""
    trends = html_list(trend_heading(facts), trend_lines(facts)) if trend_lines(facts) else ""
    return (
        '<section class="sheet timeline" aria-labelledby="timeline"><div class="legend"><h2 id="timeline">Timeline</h2>'
        f"{_keys() if panels else ''}</div>{_share_chart(facts, spans, decided)}{panels}{_times(first, end)}{folded}{decisions}"
        f'<div class="inside">{trends}</div></section>'
    )


def _because(each: Mark) -> str:
    return f": {html_prose(each.why)}" if each.why else ""


def _keys() -> str:
    return (
        '<div class="keys"><p><svg class="key" aria-hidden="true"><path class="reach" d="M0 1h26v12H0z"/><path class="line known" d="M0 7h26"/></svg>'
        "what the stage's own data say: estimate and interval</p>"
        '<p><svg class="key" aria-hidden="true"><circle class="block" cx="13" cy="7" r="2.5"/></svg>effect in a block of time</p>'
        '<p><svg class="key" aria-hidden="true"><line class="limit" x1="0" x2="26" y1="7" y2="7"/></svg>tolerated; up is worse</p>'
        '<p><svg class="key" aria-hidden="true"><line class="pass-limit" x1="0" x2="26" y1="7" y2="7"/></svg>what the stage must exclude</p></div>'
    )


def _x(time: float, first: float, end: float) -> float:
    return (time - first) / (end - first)


def _share_chart(facts: RolloutFacts, spans: list[StageSpan], decided: list[Mark]) -> str:
    """Draw the share as steps, one a stage: what they are is written beside them, as 1 % and 50 % do not fit on one scale."""
    first, end = spans[0].start, spans[-1].end
    shares = sorted({stage.share for stage in facts.stages} | {facts.share})
    heights = {share: (place + 0.5) / len(shares) for place, share in enumerate(shares)}
    path: list[str] = []
    area: list[str] = []
    for span in spans:
        x0, x1 = (round(_WIDE * _x(at, first, end)) for at in (span.start, span.end))
        y = round(_TALL * (1 - heights[span.share]))
        path.append(f"{'M' if not path else 'L'}{x0} {y}H{x1}")
        area.append(f"M{x0} {_TALL}V{y}H{x1}V{_TALL}z")
    grid = "".join(f"M0 {round(_TALL * (1 - height))}h{_WIDE}" for height in heights.values())
    ticks = "".join(
        f'<span style="top:{percent_of(1 - height)}">{html_prose(set_percent(share))}</span>'
        for share, height in heights.items()
    )
    names = "".join(
        f'<span class="name" style="left:{percent_of(_x(span.start, first, end))};width:{percent_of(_x(span.end, first, end) - _x(span.start, first, end))};'
        f'top:{percent_of(1 - heights[span.share])}">{html_text(span.name)}</span>'
        for span in spans
        if span.name and _x(span.end, first, end) - _x(span.start, first, end) > _NARROW
    )
    signs = "".join(
        f'<span class="sign {each.outcome.value}" style="left:{percent_of(_x(each.at, first, end))};top:{percent_of(1 - heights.get(each.share, 0.5))}">{mark(each.outcome)}</span>'
        for each in decided
    )
    told = "; ".join(
        f"{set_percent(span.share)} from {clock(span.start, first)}{f' in stage {span.name}' if span.name else ''}"
        for span in spans
    )
    return (
        f'<div class="chart share" role="img" aria-label="{html_text(f"Share of the traffic that the canary gets: {told}")}"><div class="ticks">{ticks}</div>'
        f'<svg viewBox="0 0 {_WIDE} {_TALL}" preserveAspectRatio="none" aria-hidden="true"><path class="grid" d="{grid}"/>'
        f'<path class="under" d="{"".join(area)}"/><path class="line canary" d="{"".join(path)}"/></svg><div class="over">{names}{signs}</div></div>'
    )


def squeezed(part: float) -> float:
    """Give where a part of what is tolerated is drawn: even up to about the limit, ever narrower beyond it."""
    return math.asinh(1.5 * part)


def _panel(drawn: Drawn, facts: RolloutFacts, spans: list[StageSpan]) -> str:
    """Draw the effect of a metric over time: what each stage's own data say, against what is tolerated and what the stage must exclude."""
    first, end = spans[0].start, spans[-1].end
    looks = drawn.timeline.looks
    dots = _dots(drawn)
    bounds = [own.bound for own in looks if own.bound is not None]
    inner = [part for own in looks for part in own.estimate if part is not None] + [part for _, part in dots]
    top = max([1.3, *(1.15 * bound for bound in bounds), *(1.15 * part for part in inner)])
    bottom = min([-0.8, *(1.15 * part for part in inner)])
    both = drawn.result.direction == "either" and not (looks and looks[-1].scale == "objective")
    if both:
        bottom = min(bottom, -top)

    def y(part: float) -> float:
        low, high = squeezed(bottom), squeezed(top)
        return 1 - (squeezed(min(max(part, bottom), top)) - low) / (high - low)

    def point(time: float, part: float) -> tuple[int, int]:
        return round(_WIDE * _x(time, first, end)), round(_TALL * y(part))

    stages = {stage.name: stage for stage in facts.stages}
    parts = [f'<path class="limit" d="M0 {round(_TALL * y(1.0))}h{_WIDE}"/>']
    if both:
        parts.append(f'<path class="limit" d="M0 {round(_TALL * y(-1.0))}h{_WIDE}"/>')
    parts.append(f'<path class="zero" d="M0 {round(_TALL * y(0.0))}h{_WIDE}"/>')
    for before, after in pairwise(spans):
        if before.name and after.name:
            parts.append(f'<path class="grid" d="M{round(_WIDE * _x(after.start, first, end))} 0v{_TALL}"/>')
    for own in looks:
        stage = stages.get(own.stage)
        if stage is None or stage.began is None or stage.ended is None:
            continue
        parts.append(_known(own, stage.ended, point, (bottom, top)))
        if own.bound is not None and own.bound != 1:
            (x0, at), (x1, _) = (point(time, own.bound) for time in (stage.began, stage.ended))
            parts.append(f'<path class="pass-limit" d="M{x0} {at}H{max(x1, x0 + 4)}"/>')
    marked = "".join(
        f'<span class="dot" style="left:{percent_of(_x(time, first, end))};top:{percent_of(y(part))}"></span>'
        for time, part in dots
    )
    places = dict[float, str]()
    for part in (*_PARTS, *bounds):
        clear = all(abs(y(part) - y(other)) >= _APART for other in places)
        if bottom <= part <= top and clear:
            places[part] = _tick(drawn, part)
    ticks = "".join(
        f'<span style="top:{percent_of(y(part))}">{html_prose(words)}</span>'
        for part, words in places.items()
    )
    name = html_text(drawn.result.name)
    said = "; ".join(_said(drawn, own) for own in looks) or "no look yet"
    return (
        f'<h3 class="track">{name}</h3><div class="chart effect-chart" role="img" aria-label="{html_text(f"Effect of {drawn.result.name} over time: {said}")}">'
        f'<div class="ticks">{ticks}</div><svg viewBox="0 0 {_WIDE} {_TALL}" preserveAspectRatio="none" aria-hidden="true">{"".join(parts)}</svg>'
        f'<div class="over">{marked}</div></div>'
    )


def _dots(drawn: Drawn) -> list[tuple[float, float]]:
    """Give the effect in each block, in parts of what is tolerated."""
    blocks = drawn.timeline.blocks
    if blocks is None or not blocks.limit:
        return []
    return [
        (at, change / blocks.limit)
        for at, change in zip(blocks.at, blocks.change, strict=True)
        if change is not None
    ]


def _tick(drawn: Drawn, part: float) -> str:
    return "0" if part == 0 else limit_words(drawn, part)


def _said(drawn: Drawn, own: LookFacts) -> str:
    """Say what the drawing shows of a stage."""
    estimate, high = own.estimate[-1], own.high[-1]
    found = "unknown" if estimate is None else limit_words(drawn, estimate) if estimate else "no change"
    most = f", at most {limit_words(drawn, high)}" if high else ""
    bound = bound_words(drawn, own)
    return f"in stage {own.stage} {found}{most}{f', to exclude more than {bound}' if bound else ''}"


def _known(
    own: LookFacts, ended: float, point: Callable[[float, float], tuple[int, int]], ends: tuple[float, float]
) -> str:
    """Draw the estimate and its interval from look to look as steps: what a look says stands until the next one."""
    bottom, top = ends
    until = [*own.at[1:], max(ended, own.at[-1])]
    band, line = "", ""
    for start, stop, estimate, low, high in zip(own.at, until, own.estimate, own.low, own.high, strict=True):
        (x0, y0), (x1, y1) = (
            point(start, bottom if low is None else low),
            point(stop, top if high is None else high),
        )
        wide = max(x1 - x0, _LEAST)
        if low is not None or high is not None:
            band += f"M{x0} {y0}V{y1}h{wide}V{y0}z"
        if estimate is not None:
            at = point(start, estimate)[1]
            line += f"{'L' if line else 'M'}{x0} {at}h{wide}"
    return (f'<path class="reach" d="{band}"/>' if band else "") + (
        f'<path class="line known" d="{line}"/>' if line else ""
    )


def _times(first: float, end: float) -> str:
    """Label the axis of time."""
    last = first + (end - first) / 1.04
    step = (last - first) / (_TIMES - 1)
    words = [clock(first + place * step, first) for place in range(_TIMES)]
    shown = list(dict.fromkeys(words))
    pieces = "".join(f"<span>{html_text(word)}</span>" for word in shown[:-1])
    return f'<div class="moments" aria-hidden="true">{pieces}<span>{html_text(shown[-1])} UTC</span></div><p class="about">{html_text(span_of_time(last - first))} in all</p>'
