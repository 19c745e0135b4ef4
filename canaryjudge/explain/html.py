"""The verdict as HTML: a report of one page, and pieces of it for notebooks. Names from the data are escaped."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from canaryjudge.explain.charts import (
    SYMBOLS,
    distribution_chart,
    forest_strip,
    mark,
    series_chart,
    value_axis,
)
from canaryjudge.explain.forests import forest_chart
from canaryjudge.explain.histories import history_sentence
from canaryjudge.explain.layout import html_prose, html_text
from canaryjudge.explain.notes import note_sentence
from canaryjudge.explain.numbers import count, moment, pvalue, score, span_of_time
from canaryjudge.explain.segments import found_in, segment_rows, segment_sentences
from canaryjudge.explain.sentences import (
    CAME_OUT,
    clause,
    headline,
    is_quiet,
    main_number,
    metric_sentence,
    not_proven,
    other_findings,
    promise,
    quiet_sentence,
    remarks,
    rule_sentence,
    title,
    waivers,
)
from canaryjudge.explain.text import by_badness
from canaryjudge.explain.what_would_change import what_would_change_metric, what_would_change_release
from canaryjudge.explain.words import words_of
from canaryjudge.reasons import Outcome
from canaryjudge.results import MetricResult, ReleaseResult
from canaryjudge.rules.findings import Facts, Finding

__all__ = [
    "about",
    "as_html",
    "as_report",
    "facts_html",
    "html_list",
    "legend",
    "metric_article",
    "page",
    "scoped",
    "watch_html",
]

_RULES = "/* Rules. */"
"""What parts the style sheet's colors from its rules."""


@cache
def page_styles(*more: str) -> str:
    """Give the style sheet of the page, and more of them."""
    return _short(" ".join(map(_style_sheet, ("report.css", *more))))


@cache
def piece_styles(*more: str) -> str:
    """Give the same for a piece of a notebook, where it must not touch anything else."""
    colors, _, rules = " ".join(map(_style_sheet, ("report.css", *more))).partition(_RULES)
    colors = colors.replace("color-scheme: light dark;", "").replace(":root", ".canaryjudge")
    rules = re.sub(r"(?m)^( *)(?::root|body|html) \{", r"\1:scope {", rules)
    return _short(
        f"{colors.replace('screen and ', '')} @scope (.canaryjudge) {{ {rules} {_style_sheet('piece.css')} }}"
    )


def _style_sheet(name: str) -> str:
    return files("canaryjudge.explain").joinpath(name).read_text(encoding="utf-8")


def _short(style: str) -> str:
    """Leave out what a browser does not need."""
    style = re.sub(r"/\*.*?\*/", "", style)
    return re.sub(r"\s*([{};:,])\s+|\s*\n\s*", lambda found: found[1] or "", style).strip()


_NOTHING = "&ndash;"
_COLUMNS = ("Rule", "Outcome", "Held against", "Interval", "Evidence")


def metric_article(
    result: MetricResult, release: ReleaseResult, number: int, *, beside: str | None = None, where: str = ""
) -> str:
    """Lay out one metric; `beside` says what became of it, where both arms are drawn otherwise, `where` of which data, and `number` is its place on the page."""
    decided = result.name == release.deciding_metric
    details = _details(result, release, opened=decided, said=beside is None, where=where)
    return _metric_body(result, details, number, beside)


def _metric_body(
    result: MetricResult, below: str, number: int | None = None, beside: str | None = None
) -> str:
    """Lay out what is seen of a metric first, with some HTML below it."""
    named = "" if number is None else f' aria-labelledby="m{number}"'
    return (
        f'<article class="metric {result.outcome.value}"{named}>'
        f"{_head(result, number)}{_effect(result)}{_arms(result) if beside is None else beside}{below}</article>"
    )


def _head(result: MetricResult, number: int | None) -> str:
    main, beside = main_number(result)
    name = "" if number is None else f' id="m{number}"'
    tags = [result.kind] if result.role == "required" else [result.role, result.kind]
    return (
        f'<header><p class="outcome">{mark(result.outcome)}{result.outcome.value}'
        f'<span class="tags">{"".join(f"<span>{html_text(tag)}</span>" for tag in tags)}</span></p>'
        f"<h3{name}>{html_text(result.name)}</h3>"
        f'<p class="glance">{html_prose(main)}</p><p class="beside">{html_prose(beside)}</p></header>'
    )


def _effect(result: MetricResult) -> str:
    finding = result.deciding
    strip = forest_strip(result)
    if finding is None or not strip:
        return '<p class="none effect">no effect to draw</p>'
    words = words_of(finding, result)
    told = (words.limits(), words.interval())
    said = "".join(f"<span>{html_prose(part)}</span>" for part in told if part)
    return f'<figure class="effect">{strip}<figcaption>{said}</figcaption></figure>'


def _arms(result: MetricResult) -> str:
    if result.baseline is None and result.canary is None:
        points = result.n_baseline + result.n_canary
        why = "no points to draw" if not points else "a watch keeps its evidence, not its points"
        return f'<p class="none arms">{why}</p>'
    axis = value_axis(result)
    return f'<div class="arms">{series_chart(result, axis)}{distribution_chart(result, axis)}</div>'


def _details(
    result: MetricResult, release: ReleaseResult, *, opened: bool, said: bool = True, where: str = ""
) -> str:
    notes = len(result.warnings)
    sentence = metric_sentence(result, release)
    hint = f'<span class="hint">{count(notes)} warning{"s" if notes != 1 else ""}</span>' if notes else ""
    parts = [
        f"<p>{html_prose(_sentence(sentence[:1].upper() + sentence[1:]))}</p>" if said else "",
        _findings(result, release, where),
        _segments(result, release, where),
        html_list("Warnings about the data", [note_sentence(note) for note in result.warnings]),
        html_list("What would change this", what_would_change_metric(result, release)),
    ]
    return (
        f"<details{' open' if opened else ''}><summary>Findings, and what would change this{hint}</summary>"
        f'<div class="inside">{"".join(parts)}</div></details>'
    )


def _findings(result: MetricResult, release: ReleaseResult, where: str) -> str:
    rows = "".join(
        _row(finding, result)
        for index, finding in enumerate(result.findings)
        if not is_quiet(finding, index, result)
    )
    said = html_list(
        "Other rules",
        [
            f"{finding.rule}: {_sentence(found_in(finding.rule, result, release) + rule_sentence(finding, result))}"
            for finding in other_findings(result)
        ]
        + [_sentence(said) for said in segment_sentences(result, release)]
        + [_sentence(said) for said in (quiet_sentence(result), history_sentence(result)) if said],
    )
    if not rows:
        return ""
    heads = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{html_text(f"Findings of {result.name}{where}")}">'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>{said}"
    )


_MOST_SEGMENTS = 20
"""Segments in a table; the verdict has them all."""


def _segments(result: MetricResult, release: ReleaseResult, where: str) -> str:
    """Draw the segments, and lay them out in a table, the worst first."""
    found = segment_rows(result, release)
    if not found:
        return ""
    names = ("Segment", "Outcome", "Of the traffic", "Change", "Interval", "Adjusted p")
    heads = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = "".join(
        f'<tr><th scope="row">{html_text(row.name)}</th>'
        f'<td class="said {row.outcome.value}">{mark(row.outcome)}{row.outcome.value}</td>'
        + "".join(
            f'<td data-name="{name}">{html_text(cell) or _NOTHING}</td>'
            for name, cell in zip(names[2:], row[2:], strict=True)
        )
        + "</tr>"
        for row in found[:_MOST_SEGMENTS]
    )
    more = len(found) - _MOST_SEGMENTS
    rest = f"<p>{count(more)} more segments are better.</p>" if more > 0 else ""
    return (
        f'{forest_chart(result, release)}<div class="scroll" tabindex="0" role="region" aria-label="{html_text(f"Segments of {result.name}{where}")}">'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>{rest}"
    )


def _row(finding: Finding, result: MetricResult) -> str:
    used = finding.pvalue_pass if finding.outcome is Outcome.PASS else finding.pvalue
    evidence = "" if used is None or finding.method == "point" else pvalue(used)
    words = words_of(finding, result)
    cells = (words.limits(), words.interval(), evidence)
    filled = "".join(
        f'<td data-name="{name}">{html_prose(cell) or _NOTHING}</td>'
        for name, cell in zip(_COLUMNS[2:], cells, strict=True)
    )
    return (
        f'<tr><th scope="row">{html_text(finding.rule)}</th>'
        f'<td class="said {finding.outcome.value}">{mark(finding.outcome)}{finding.outcome.value}</td>'
        f"{filled}</tr>"
    )


def html_list(title: str, sentences: list[str]) -> str:
    """Lay out sentences as a list below a title; nothing where there are none."""
    if not sentences:
        return ""
    items = "".join(f"<li>{html_prose(_sentence(sentence))}</li>" for sentence in sentences)
    return f"<h4>{title}</h4><ul>{items}</ul>"


def _sentence(words: str) -> str:
    return words if words.endswith((".", "!", "?")) else f"{words}."


_ACTIONS = {"promote": "Promote it", "hold": "Hold it", "rollback": "Roll it back"}


def as_report(release: ReleaseResult, provenance: Mapping[str, str]) -> str:
    """Write the report of a release."""
    ordered = by_badness(release)
    metrics = "".join(metric_article(result, release, number) for number, result in enumerate(ordered, 1))
    return page(
        title(release),
        release.outcome,
        f"{_banner(release)}"
        f'<main><section aria-labelledby="metrics"><div class="legend"><h2 id="metrics">Metrics</h2>{legend()}</div>'
        f"{metrics}</section>{_promises(release)}</main>",
        provenance,
    )


def page(
    heading: str, outcome: Outcome | None, body: str, provenance: Mapping[str, str], *styles: str
) -> str:
    """Write a page that needs nothing else, in the colors of an outcome; `styles` are sheets beside its own."""
    tone = "" if outcome is None else f' class="{outcome.value}"'
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="generator" content="canaryjudge">'
        '<link rel="icon" href="data:,">'
        f"<title>{html_text(heading)}</title><style>{page_styles(*styles)}</style></head>"
        f"<body{tone}>{SYMBOLS}{body}{_footer(provenance)}</body></html>\n"
    )


def _banner(release: ReleaseResult) -> str:
    """Lay out what stands on top: outcome, action, why, what would change it, and of what it is the verdict."""
    result = None if release.deciding_metric is None else release.metrics[release.deciding_metric]
    why = (
        "No metric was judged."
        if result is None
        else f"<strong>{html_text(result.name)}</strong>: {html_prose(clause(result, release))}."
    )
    if unproven := not_proven(release, but=release.deciding_metric):
        why += html_prose(f" {unproven[0].upper()}{unproven[1:]}.")
    return (
        f'<header class="banner"><div class="wide"><div class="verdict">{mark(release.outcome)}'
        f'<h1>{release.outcome.value.capitalize()}<span class="action">{_ACTIONS[release.action]}</span></h1></div>'
        f'<p class="why">{why}</p><p class="turn">{html_prose(what_would_change_release(release))}</p>'
        f'{_tally(release)}<p class="about">{about(release)}</p></div></header>'
    )


def _tally(release: ReleaseResult) -> str:
    counted = [result for result in release.metrics.values() if result.role != "muted"]
    kinds = [
        (outcome, word, [r for r in counted if r.outcome is outcome]) for outcome, word in CAME_OUT.items()
    ]
    items = "".join(
        f'<li class="{outcome.value}">{mark(outcome)}<span><strong>{count(len(some))}</strong> {word}{_lacking(some, outcome)}</span></li>'
        for outcome, word, some in kinds
        if some
    )
    muted = len(release.metrics) - len(counted)
    items += f"<li><strong>{count(muted)}</strong> muted</li>" if muted else ""
    if release.aggregate == "score" and release.score is not None:
        items += f"<li>score <strong>{score(release.score)}</strong> of 100</li>"
    return f'<ul class="tally" aria-label="Metrics by outcome">{items}</ul>'


def _lacking(results: list[MetricResult], outcome: Outcome) -> str:
    """Say how many of the undecided are so for want of data."""
    lacking = sum(result.lacks_data for result in results)
    if outcome is not Outcome.MARGINAL or not lacking:
        return ""
    return " for want of data" if lacking == len(results) else f", {count(lacking)} for want of data"


def about(release: ReleaseResult, *, arms: str | None = None) -> str:
    """Say what was compared, and when; `arms` names several of which the same is true."""
    said = f"<strong>{html_text(arms or release.canary_arm)}</strong> against <strong>{html_text(release.baseline_arm)}</strong>"
    starts = [m.overlap_start for m in release.metrics.values() if m.overlap_start is not None]
    ends = [m.overlap_end for m in release.metrics.values() if m.overlap_end is not None]
    if starts and ends:
        first, last = min(starts), max(ends)
        said += f', <time datetime="{moment(first)}">{_day(first)}</time> to <time datetime="{moment(last)}">{_day(last)}</time> UTC ({span_of_time(last - first)})'
    looks = "for this one look" if release.valid_for == "one_look" else "for all looks together"
    return f"{said}; error rates hold {looks}"


def _day(seconds: float) -> str:
    return moment(seconds).replace("T", " ").removesuffix("Z").removesuffix(":00")


def legend(*, arms: bool = True) -> str:
    """Explain what is drawn of effects, and of the arms."""
    lines = (
        '<p><svg class="key" aria-hidden="true"><line class="line canary" x1="0" x2="26" y1="7" y2="7"/></svg>canary</p>'
        '<p><svg class="key" aria-hidden="true"><line class="line baseline" x1="0" x2="26" y1="7" y2="7"/></svg>baseline</p>'
    )
    return (
        f'<div class="keys">{lines if arms else ""}'
        '<p><svg class="key" aria-hidden="true"><line class="fail-interval" x1="0" x2="26" y1="7" y2="7"/>'
        '<line class="pass-interval" x1="5" x2="21" y1="7" y2="7"/><circle class="estimate" cx="13" cy="7" r="5"/></svg>'
        "effect, with the intervals that prove a pass (thick) and a fail (thin)</p>"
        '<p><svg class="key" aria-hidden="true"><rect class="beyond" x="0" y="0" width="26" height="14"/></svg>beyond what is tolerated; right is worse</p>'
        '<p><svg class="key" aria-hidden="true"><line class="pass-limit" x1="13" x2="13" y1="0" y2="14"/></svg>beyond this a pass rules harm out, where that is another limit</p></div>'
    )


def _promises(release: ReleaseResult) -> str:
    said = [promise(release), *(f"{remark}." for remark in remarks(release))]
    items = "".join(f"<p>{html_prose(sentence)}</p>" for sentence in said)
    return f'<section class="promise" aria-labelledby="promise"><h2 id="promise">What this verdict promises</h2><p>{html_text(headline(release))}</p>{items}</section>'


def _footer(provenance: Mapping[str, str]) -> str:
    items = "".join(
        f"<div><dt>{html_text(name)}</dt><dd>{html_text(value)}</dd></div>"
        for name, value in provenance.items()
    )
    return f'<footer><div class="wide"><dl>{items}</dl></div></footer>'


def as_html(release: ReleaseResult) -> str:
    """Show a release: the verdict, and a card a metric."""
    cards = "".join(
        _metric_body(result, f'<p class="beside">{html_prose(metric_sentence(result, release))}</p>')
        for result in by_badness(release)
    )
    waived = "".join(f"<p>Waived: {html_prose(waiver)}</p>" for waiver in waivers(release))
    return scoped(
        f'{_banner(release)}{cards}<div class="promise">{waived}<p>{html_prose(promise(release))}</p></div>',
        release.outcome.value,
    )


def facts_html(facts: Facts) -> str:
    """Show one piece of a verdict: a metric as a card, anything else as a table of what is known."""
    if isinstance(facts, MetricResult):
        rows = "".join(_table(finding) for finding in facts.findings)
        return scoped(_metric_body(facts, f"<details><summary>Findings</summary>{rows}</details>"))
    return _table(facts)


def watch_html(
    arms: tuple[str, str], points: Mapping[str, tuple[int, int]], reached: Mapping[str, float | None]
) -> str:
    """Show what a watch was given so far."""
    rows = [
        (name, *(count(number) for number in points[name]), "" if last is None else moment(last))
        for name, last in reached.items()
    ]
    return _grid(("metric", *(f"points of {arm}" for arm in arms), "up to"), rows)


def _table(facts: Facts) -> str:
    # 0 is a number that is known
    known = [
        (name, value) for name, value in facts if value is not None and value is not False and value != ()
    ]
    rows = "".join(
        f'<tr><th style="text-align:left">{html_text(name)}</th><td style="text-align:left">'
        f"{_table(value) if isinstance(value, Facts) else html_text(value)}</td></tr>"
        for name, value in known
        if not (isinstance(facts, Finding) and name == "parts")
    )
    return f"<table><tbody>{rows}</tbody></table>"


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    said = "".join(f"<th>{html_text(head)}</th>" for head in heads)
    body = "".join(f"<tr>{''.join(f'<td>{html_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{said}</tr></thead><tbody>{body}</tbody></table>"


def scoped(body: str, outcome: str = "", *styles: str) -> str:
    """Put a piece of HTML into a notebook, with its styles, which touch nothing else there."""
    return f'<div class="canaryjudge"><style>{piece_styles(*styles)}</style><div class="{outcome}">{SYMBOLS}{body}</div></div>'
