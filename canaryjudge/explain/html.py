"""The verdict as HTML: a report of one page, and pieces of it for notebooks. Names from the data are escaped."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from canaryjudge.explain.changes import glance, held_against, interval_words
from canaryjudge.explain.charts import (
    SYMBOLS,
    distribution_chart,
    forest_strip,
    mark,
    prose,
    series_chart,
    text,
    value_axis,
)
from canaryjudge.explain.excursion import is_quiet, quiet_sentence
from canaryjudge.explain.notes import note_sentence
from canaryjudge.explain.numbers import count, moment, pvalue, score, span_of_time
from canaryjudge.explain.sentences import (
    clause,
    headline,
    metric_sentence,
    promise,
    rule_sentence,
    title,
    waiver_sentence,
)
from canaryjudge.explain.text import by_badness
from canaryjudge.explain.what_would_change import metric_turns, release_turns
from canaryjudge.facts import Facts
from canaryjudge.results import Finding, MetricResult, Outcome, ReleaseResult

__all__ = [
    "SCOPED_STYLES",
    "STYLES",
    "as_html",
    "as_report",
    "banner",
    "facts_html",
    "metric_article",
    "metric_body",
    "watch_html",
]

_LIGHT = """
  --page: #f6f7f9; --card: #fff; --ink: #16202c; --soft: #55616f; --rule: #dfe4ea; --grid: #e8ecf1;
  --pass: #00694f; --marginal: #855300; --fail: #b02a0c; --on: #fff;
  --pass-tint: #e3f3ee; --marginal-tint: #fdf1da; --fail-tint: #fdeae4;
  --canary: #0063b0; --baseline: #76808d; --zone: #eef2f6; --hatch: #d5a99c; --shade: 0 1px 2px #1018280f, 0 1px 6px #1018280a;
"""
_DARK = """
  --page: #0f141a; --card: #171e26; --ink: #e8edf3; --soft: #a3afbc; --rule: #2b3540; --grid: #25303a;
  --pass: #5fd3ac; --marginal: #f2bd5b; --fail: #ff937a; --on: #10161d;
  --pass-tint: #12302a; --marginal-tint: #342811; --fail-tint: #3a1d17;
  --canary: #5fb4ff; --baseline: #98a3b0; --zone: #202a34; --hatch: #6e4238; --shade: none;
"""

_RULES = """
*, *::before, *::after { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 400 15px/1.5 Inter, ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
.pass { --tone: var(--pass); --tint: var(--pass-tint); }
.marginal { --tone: var(--marginal); --tint: var(--marginal-tint); }
.fail { --tone: var(--fail); --tint: var(--fail-tint); }
.symbols { position: absolute; }
.wide, main { max-width: 1160px; margin: 0 auto; padding: 0 24px; }
h1, h2, h3, h4, p, ul, dl, dd, figure { margin: 0; padding: 0; }
ul { list-style: none; }

.mark { width: 1.05em; height: 1.05em; flex: none; stroke: var(--on); stroke-width: 2.4; stroke-linecap: round; stroke-linejoin: round; fill: none; }
#beyond path { stroke: var(--hatch); stroke-width: 2; }

.banner { background: var(--tint); border-top: 6px solid var(--tone); padding: 30px 0 26px; margin-bottom: 28px; }
.verdict { display: flex; align-items: center; gap: 16px; }
.verdict .mark { width: 52px; height: 52px; stroke-width: 2; }
h1 { font-size: 40px; line-height: 1.1; letter-spacing: -.02em; font-weight: 750; color: var(--tone); display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 16px; }
.action { font-size: 22px; font-weight: 600; letter-spacing: -.005em; color: var(--ink); }
.why { font-size: 20px; line-height: 1.4; font-weight: 450; max-width: 54em; margin-top: 16px; text-wrap: pretty; }
.why strong { font-weight: 650; }
.turn { color: var(--soft); max-width: 58em; margin-top: 6px; text-wrap: pretty; }
.tally { display: flex; flex-wrap: wrap; gap: 6px 22px; margin-top: 18px; font-size: 16px; }
.tally li { display: flex; align-items: center; gap: 7px; }
.about { color: var(--soft); font-size: 13.5px; margin-top: 10px; }
.about strong { color: var(--ink); font-weight: 600; }

h2 { font-size: 17px; font-weight: 650; letter-spacing: -.01em; }
.legend { display: flex; flex-wrap: wrap; gap: 6px 28px; align-items: baseline; margin-bottom: 12px; }
.keys { display: flex; flex-wrap: wrap; gap: 2px 20px; font-size: 12.5px; color: var(--soft); }
.keys p { display: flex; align-items: center; gap: 7px; }
.key { width: 26px; height: 14px; flex: none; overflow: visible; --tone: var(--ink); }

.metric {
  background: var(--card); border: 1px solid var(--rule); border-left: 5px solid var(--tone); border-radius: 8px; box-shadow: var(--shade);
  padding: 16px 20px 0 18px; margin-bottom: 12px; display: grid; gap: 0 30px; align-items: start;
  grid-template-columns: minmax(0, 23fr) minmax(0, 27fr) minmax(0, 50fr);
}
.outcome { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 6px; font-size: 13px; font-weight: 650; color: var(--tone); }
.tags { display: inline-flex; flex-wrap: wrap; gap: 4px 5px; margin-left: 4px; }
.tags span { font-weight: 450; font-size: 11.5px; color: var(--soft); border: 1px solid var(--rule); border-radius: 99px; padding: 0 7px; line-height: 17px; white-space: nowrap; }
h3 { font-size: 16px; font-weight: 650; letter-spacing: -.01em; line-height: 1.3; margin-top: 5px; }
.glance { font-size: 21px; line-height: 1.25; font-weight: 600; letter-spacing: -.015em; margin-top: 5px; }
.beside { color: var(--soft); font-size: 13.5px; margin-top: 1px; }
.none { color: var(--soft); font-size: 13.5px; align-self: center; }

.effect { padding-top: 18px; }
.none.effect { text-align: center; }
.strip { display: block; width: 100%; overflow: visible; }
.strip text { font-size: 11.5px; fill: var(--soft); text-anchor: middle; }
.strip .told { fill: var(--ink); font-weight: 600; }
.strip .after { text-anchor: start; }
.strip .before { text-anchor: end; }
.within { fill: var(--zone); }
.beyond { fill: url(#beyond); }
.zero { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 2 3; }
.limit { stroke: var(--ink); stroke-width: 1.75; }
.fail-interval { stroke: var(--tone); stroke-width: 2; }
.end { stroke: var(--tone); stroke-width: 1.5; }
.pass-interval { stroke: var(--tone); stroke-width: 6.5; stroke-linecap: round; }
.estimate { fill: var(--card); stroke: var(--tone); stroke-width: 2.75; }
.arrow { overflow: visible; }
.arrow path { fill: none; stroke: var(--tone); stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
figcaption { color: var(--soft); font-size: 12.5px; line-height: 1.4; margin-top: 5px; text-align: center; }
figcaption span { display: block; text-wrap: balance; }

.arms { display: grid; grid-template-columns: minmax(0, 1fr) 104px; gap: 0 14px; }
.chart { position: relative; display: grid; grid-template-columns: auto minmax(0, 1fr); }
.ticks { position: relative; width: 54px; font-size: 11.5px; color: var(--soft); }
.ticks span { position: absolute; right: 8px; transform: translateY(-50%); line-height: 1; white-space: nowrap; }
.chart svg, .spread svg { display: block; width: 100%; height: 112px; overflow: visible; }
.ends, .names { font-size: 11.5px; color: var(--soft); margin-top: 6px; line-height: 1.3; display: flex; justify-content: space-between; }
.ends { grid-column: 2; }
.names { justify-content: space-around; white-space: nowrap; }
.grid { stroke: var(--grid); stroke-width: 1; fill: none; vector-effect: non-scaling-stroke; }
.objective { stroke: var(--ink); stroke-width: 1.25; stroke-dasharray: 6 4; fill: none; vector-effect: non-scaling-stroke; }
.line { fill: none; vector-effect: non-scaling-stroke; stroke-linejoin: round; stroke-linecap: round; }
.line.baseline { stroke: var(--baseline); stroke-width: 1.5; stroke-dasharray: 4 3; }
.line.canary { stroke: var(--canary); stroke-width: 2; }
.band { stroke: none; opacity: .16; }
.band.baseline { fill: var(--baseline); }
.band.canary { fill: var(--canary); }
.strips.baseline { --arm: var(--baseline); }
.strips.canary { --arm: var(--canary); }
.strips rect { fill: var(--arm); opacity: .3; }
.strips line { stroke: var(--arm); stroke-width: 1; opacity: .7; }
.strips .median { stroke-width: 3; opacity: 1; stroke-linecap: round; }

details { grid-column: 1 / -1; margin: 12px -20px 0 -18px; border-top: 1px solid var(--rule); }
summary { cursor: pointer; padding: 8px 20px 8px 18px; font-size: 13px; color: var(--soft); font-weight: 500; }
summary:hover { color: var(--ink); }
summary:focus-visible, .scroll:focus-visible { outline: 2px solid var(--canary); outline-offset: -2px; }
.hint { margin-left: 10px; white-space: nowrap; color: var(--marginal); font-weight: 600; }
.inside { padding: 2px 20px 18px 18px; font-size: 14px; max-width: 74em; }
.inside > p { max-width: 62em; text-wrap: pretty; }
h4 { font-size: 13px; font-weight: 650; margin-top: 14px; }
.inside li { position: relative; padding-left: 16px; max-width: 62em; text-wrap: pretty; }
.inside li::before { content: "\\2013"; position: absolute; left: 0; color: var(--soft); }
.scroll { overflow-x: auto; margin-top: 12px; }
table { border-collapse: collapse; font-size: 13px; width: 100%; }
th, td { text-align: left; padding: 5px 18px 5px 0; border-bottom: 1px solid var(--rule); vertical-align: top; font-weight: 400; overflow-wrap: normal; }
thead th { color: var(--soft); font-size: 12px; }
tbody th { font-weight: 600; }
.said { color: var(--tone); font-weight: 600; white-space: nowrap; }
.said .mark { vertical-align: -2px; margin-right: 5px; }

.promise { margin: 30px 0 26px; font-size: 14px; color: var(--soft); }
.promise h2 { color: var(--ink); }
.promise p { max-width: 62em; margin-top: 6px; text-wrap: pretty; }
footer { border-top: 1px solid var(--rule); padding: 14px 0 30px; font-size: 12px; color: var(--soft); }
dl { display: grid; gap: 2px; }
dl div { display: flex; gap: 10px; }
dt { flex: 0 0 9em; }
dd { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; font-size: 11.5px; }

@media (max-width: 900px) {
  .metric { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); }
  .arms { grid-column: 1 / -1; margin-top: 14px; }
}
@media (max-width: 560px) {
  .wide, main { padding: 0 14px; }
  .banner { padding: 20px 0 20px; margin-bottom: 20px; }
  .verdict { gap: 12px; }
  .verdict .mark { width: 42px; height: 42px; }
  h1 { font-size: 31px; }
  .action { font-size: 19px; }
  .why { font-size: 17px; margin-top: 13px; }
  .metric { grid-template-columns: minmax(0, 1fr); padding: 13px 14px 0 12px; }
  .effect { padding-top: 12px; }
  .arms { grid-template-columns: minmax(0, 1fr) 96px; gap: 0 8px; }
  .ticks { width: 46px; }
  details { margin: 12px -14px 0 -12px; }
  summary, .inside { padding-left: 12px; padding-right: 14px; }
  thead { position: absolute; clip-path: inset(50%); }
  tr { display: grid; grid-template-columns: 1fr auto; padding: 6px 0; border-bottom: 1px solid var(--rule); }
  th, td { border: 0; padding: 2px 0; }
  td[data-name] { grid-column: 1 / -1; display: flex; justify-content: space-between; gap: 14px; text-align: right; }
  td[data-name]::before { content: attr(data-name); color: var(--soft); text-align: left; flex: none; }
}
@media print {
  :root { --page: #fff; --shade: none; }
  body { font-size: 12px; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .wide, main { max-width: none; padding: 0; }
  .metric, .promise { break-inside: avoid; }
  details::details-content { content-visibility: visible; block-size: auto; }
  summary { list-style: none; }
  .scroll { overflow: visible; }
}
"""


def _short(style: str) -> str:
    """Leave out what a browser does not need."""
    return re.sub(r"\s*([{};:,])\s+|\s*\n\s*", lambda found: found[1] or "", style).strip()


STYLES = _short(
    f":root {{ color-scheme: light dark; {_LIGHT} }}\n"
    f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}\n{_RULES}"
)
"""The style sheet of the page."""

_PIECE = """
:scope { background: var(--page); padding: 0 0 2px; border-radius: 8px; overflow: hidden; }
.banner { padding: 16px 0 14px; margin-bottom: 12px; }
.verdict .mark { width: 34px; height: 34px; }
h1 { font-size: 26px; margin: 0; }
.why { font-size: 16px; margin-top: 8px; }
.metric { margin: 0 10px 10px; }
.metric > .beside { grid-column: 1 / -1; padding: 10px 0 12px; }
.promise { margin: 10px 20px; }
"""

_INSIDE = re.sub(r"(?m)^( *)(?::root|body|html) \{", r"\1:scope {", _RULES)
SCOPED_STYLES = _short(
    f".canaryjudge {{ {_LIGHT} }}\n"
    f"@media (prefers-color-scheme: dark) {{ .canaryjudge {{ {_DARK} }} }}\n"
    f"@scope (.canaryjudge) {{ {_INSIDE}\n{_PIECE} }}"
)
"""The same for a piece of a notebook, where it must not touch anything else."""


_NOTHING = "&ndash;"
_COLUMNS = ("Rule", "Outcome", "Held against", "Interval", "Evidence")


def metric_article(result: MetricResult, release: ReleaseResult, number: int) -> str:
    """Lay out one metric.

    Parameters
    ----------
    result : MetricResult
        What became of it.
    release : ReleaseResult
        The release that it is of.
    number : int
        Its place on the page.

    Returns
    -------
    str
        An ``<article>``.
    """
    decided = result.name == release.deciding_metric
    return metric_body(result, _details(result, release, opened=decided), number)


def metric_body(result: MetricResult, below: str, number: int | None = None) -> str:
    """Lay out what is seen of a metric at a glance, with something below it.

    Parameters
    ----------
    result : MetricResult
        What became of it.
    below : str
        HTML.
    number : int, optional
        Its place on the page, by which its heading names the article.

    Returns
    -------
    str
        An ``<article>``.
    """
    named = "" if number is None else f' aria-labelledby="m{number}"'
    return (
        f'<article class="metric {result.outcome.value}"{named}>'
        f"{_head(result, number)}{_effect(result)}{_arms(result)}{below}</article>"
    )


def _head(result: MetricResult, number: int | None) -> str:
    main, beside = glance(result)
    name = "" if number is None else f' id="m{number}"'
    tags = [result.kind] if result.role == "required" else [result.role, result.kind]
    return (
        f'<header><p class="outcome">{mark(result.outcome)}{result.outcome.value}'
        f'<span class="tags">{"".join(f"<span>{text(tag)}</span>" for tag in tags)}</span></p>'
        f"<h3{name}>{text(result.name)}</h3>"
        f'<p class="glance">{prose(main)}</p><p class="beside">{prose(beside)}</p></header>'
    )


def _effect(result: MetricResult) -> str:
    finding = result.deciding
    strip = forest_strip(result)
    if finding is None or not strip:
        return '<p class="none effect">no effect to draw</p>'
    words = (held_against(finding, result), interval_words(finding, result))
    said = "".join(f"<span>{prose(part)}</span>" for part in words if part)
    return f'<figure class="effect">{strip}<figcaption>{said}</figcaption></figure>'


def _arms(result: MetricResult) -> str:
    if result.baseline is None and result.canary is None:
        points = result.n_baseline + result.n_canary
        why = "no points to draw" if not points else "a watch keeps its evidence, not its points"
        return f'<p class="none arms">{why}</p>'
    axis = value_axis(result)
    return f'<div class="arms">{series_chart(result, axis)}{distribution_chart(result, axis)}</div>'


def _details(result: MetricResult, release: ReleaseResult, *, opened: bool) -> str:
    notes = len(result.warnings)
    said = metric_sentence(result, release)
    hint = f'<span class="hint">{count(notes)} warning{"s" if notes != 1 else ""}</span>' if notes else ""
    waived = [waiver_sentence(one) for one in release.waived if one.metric == result.name]
    parts = [
        f"<p>{prose(_sentence(said[:1].upper() + said[1:]))}</p>",
        _findings(result),
        _list("Warnings about the data", [note_sentence(note) for note in result.warnings]),
        _list("What would change this", metric_turns(result, release)),
        _list("Waived", waived),
    ]
    return (
        f"<details{' open' if opened else ''}><summary>Findings, and what would change this{hint}</summary>"
        f'<div class="inside">{"".join(parts)}</div></details>'
    )


def _findings(result: MetricResult) -> str:
    others = [
        finding
        for index, finding in enumerate(result.findings)
        if index != result.deciding_rule and not is_quiet(finding, index, result)
    ]
    rows = "".join(
        _row(finding, result)
        for index, finding in enumerate(result.findings)
        if not is_quiet(finding, index, result)
    )
    said = _list(
        "Other rules",
        [f"{finding.rule}: {_sentence(rule_sentence(finding, result))}" for finding in others]
        + ([_sentence(quiet)] if (quiet := quiet_sentence(result)) else []),
    )
    if not rows:
        return ""
    heads = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Findings of {text(result.name)}">'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>{said}"
    )


def _row(finding: Finding, result: MetricResult) -> str:
    used = finding.pvalue_pass if finding.outcome.value == "pass" else finding.pvalue
    evidence = "" if used is None or finding.method == "point" else pvalue(used)
    cells = (held_against(finding, result), interval_words(finding, result), evidence)
    filled = "".join(
        f'<td data-name="{name}">{prose(cell) or _NOTHING}</td>'
        for name, cell in zip(_COLUMNS[2:], cells, strict=True)
    )
    return (
        f'<tr><th scope="row">{text(finding.rule)}</th>'
        f'<td class="said {finding.outcome.value}">{mark(finding.outcome)}{finding.outcome.value}</td>'
        f"{filled}</tr>"
    )


def _list(title: str, sentences: list[str]) -> str:
    if not sentences:
        return ""
    items = "".join(f"<li>{prose(_sentence(sentence))}</li>" for sentence in sentences)
    return f"<h4>{title}</h4><ul>{items}</ul>"


def _sentence(words: str) -> str:
    return words if words.endswith((".", "!", "?")) else f"{words}."


_WORDS = {Outcome.FAIL: "failed", Outcome.MARGINAL: "undecided", Outcome.PASS: "passed"}
_ACTIONS = {"promote": "Promote it", "hold": "Hold it", "rollback": "Roll it back"}


def as_report(release: ReleaseResult, provenance: Mapping[str, str]) -> str:
    """Write the report of a release.

    Parameters
    ----------
    release : ReleaseResult
        What became of it.
    provenance : mapping of str to str
        What was judged with what, such as the digests; shown at the end.

    Returns
    -------
    str
        An HTML document that needs nothing else: no script, no network. Names from the data are escaped.
    """
    ordered = by_badness(release)
    metrics = "".join(metric_article(result, release, number) for number, result in enumerate(ordered, 1))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="generator" content="canaryjudge">'
        '<link rel="icon" href="data:,">'
        f"<title>{text(title(release))}</title><style>{STYLES}</style></head>"
        f'<body class="{release.outcome.value}">{SYMBOLS}{banner(release)}'
        f'<main><section aria-labelledby="metrics"><div class="legend"><h2 id="metrics">Metrics</h2>{_legend()}</div>'
        f"{metrics}</section>{_promises(release)}</main>{_footer(provenance)}</body></html>\n"
    )


def banner(release: ReleaseResult) -> str:
    """Lay out what stands on top: outcome, action, why, what would change it, and of what it is the verdict."""
    result = None if release.deciding_metric is None else release.metrics[release.deciding_metric]
    why = (
        "No metric was judged."
        if result is None
        else f"<strong>{text(result.name)}</strong>: {prose(clause(result, release))}."
    )
    return (
        f'<header class="banner"><div class="wide"><div class="verdict">{mark(release.outcome)}'
        f'<h1>{release.outcome.value.capitalize()}<span class="action">{_ACTIONS[release.action]}</span></h1></div>'
        f'<p class="why">{why}</p><p class="turn">{prose(release_turns(release))}</p>'
        f'{_tally(release)}<p class="about">{_about(release)}</p></div></header>'
    )


def _tally(release: ReleaseResult) -> str:
    counted = [result for result in release.metrics.values() if result.role != "muted"]
    kinds = [
        (outcome, word, [r for r in counted if r.outcome is outcome]) for outcome, word in _WORDS.items()
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


def _about(release: ReleaseResult) -> str:
    said = (
        f"<strong>{text(release.canary_arm)}</strong> against <strong>{text(release.baseline_arm)}</strong>"
    )
    starts = [m.overlap_start for m in release.metrics.values() if m.overlap_start is not None]
    ends = [m.overlap_end for m in release.metrics.values() if m.overlap_end is not None]
    if starts and ends:
        first, last = min(starts), max(ends)
        said += f', <time datetime="{moment(first)}">{_day(first)}</time> to <time datetime="{moment(last)}">{_day(last)}</time> UTC ({span_of_time(last - first)})'
    looks = "for this one look" if release.valid_for == "one_look" else "for all looks together"
    return f"{said}; error rates hold {looks}"


def _day(seconds: float) -> str:
    return moment(seconds).replace("T", " ").removesuffix("Z").removesuffix(":00")


def _legend() -> str:
    return (
        '<div class="keys"><p><svg class="key" aria-hidden="true"><line class="line canary" x1="0" x2="26" y1="7" y2="7"/></svg>canary</p>'
        '<p><svg class="key" aria-hidden="true"><line class="line baseline" x1="0" x2="26" y1="7" y2="7"/></svg>baseline</p>'
        '<p><svg class="key" aria-hidden="true"><line class="fail-interval" x1="0" x2="26" y1="7" y2="7"/>'
        '<line class="pass-interval" x1="5" x2="21" y1="7" y2="7"/><circle class="estimate" cx="13" cy="7" r="5"/></svg>'
        "effect, with the intervals that prove a pass (thick) and a fail (thin)</p>"
        '<p><svg class="key" aria-hidden="true"><rect class="beyond" x="0" y="0" width="26" height="14"/></svg>beyond what is tolerated; right is worse</p></div>'
    )


def _promises(release: ReleaseResult) -> str:
    said = [promise(release)]
    if release.also_failing:
        said.append(
            f"Now that one metric has failed, these fail as well (Holm): {', '.join(release.also_failing)}."
        )
    if release.unproven:
        said.append(f"Passed unproven: {', '.join(release.unproven)}.")
    said += [f"Waived: {waiver_sentence(waived)}." for waived in release.waived]
    items = "".join(f"<p>{prose(sentence)}</p>" for sentence in said)
    return f'<section class="promise" aria-labelledby="promise"><h2 id="promise">What this verdict promises</h2><p>{text(headline(release))}</p>{items}</section>'


def _footer(provenance: Mapping[str, str]) -> str:
    items = "".join(
        f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in provenance.items()
    )
    return f'<footer><div class="wide"><dl>{items}</dl></div></footer>'


def as_html(release: ReleaseResult) -> str:
    """Show a release: the verdict, and a card a metric.

    Parameters
    ----------
    release : ReleaseResult
        What became of it.

    Returns
    -------
    str
        One ``<div>`` with its style sheet; no script.
    """
    cards = "".join(
        metric_body(result, f'<p class="beside">{prose(metric_sentence(result, release))}</p>')
        for result in by_badness(release)
    )
    waived = "".join(f"<p>Waived: {prose(waiver_sentence(one))}</p>" for one in release.waived)
    return _scoped(
        f'{banner(release)}{cards}<div class="promise">{waived}<p>{prose(promise(release))}</p></div>',
        release.outcome.value,
    )


def facts_html(facts: Facts) -> str:
    """Show one piece of a verdict: a metric as a card, anything else as a table of what is known.

    Parameters
    ----------
    facts : Facts
        A metric's result, a finding, an interval.

    Returns
    -------
    str
        One element.
    """
    if isinstance(facts, MetricResult):
        rows = "".join(_table(finding) for finding in facts.findings)
        return _scoped(metric_body(facts, f"<details><summary>Findings</summary>{rows}</details>"))
    return _table(facts)


def watch_html(
    arms: tuple[str, str], points: Mapping[str, tuple[int, int]], reached: Mapping[str, float | None]
) -> str:
    """Show what a watch was given so far.

    Parameters
    ----------
    arms : tuple of (str, str)
        The names of baseline and canary.
    points : mapping of str to (int, int)
        How many points of each arm each metric has.
    reached : mapping of str to float or None
        How far each goes, in seconds since 1970.

    Returns
    -------
    str
        One table.
    """
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
        f'<tr><th style="text-align:left">{text(name)}</th><td style="text-align:left">'
        f"{_table(value) if isinstance(value, Facts) else text(value)}</td></tr>"
        for name, value in known
        if not (isinstance(facts, Finding) and name == "parts")
    )
    return f"<table><tbody>{rows}</tbody></table>"


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    said = "".join(f"<th>{text(head)}</th>" for head in heads)
    body = "".join(f"<tr>{''.join(f'<td>{text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{said}</tr></thead><tbody>{body}</tbody></table>"


def _scoped(body: str, outcome: str = "") -> str:
    return f'<div class="canaryjudge"><style>{SCOPED_STYLES}</style><div class="{outcome}">{SYMBOLS}{body}</div></div>'
