"""The report as one page: the verdict on top, then every metric, the worst first, then what the verdict promises."""

from __future__ import annotations

from collections.abc import Mapping

from canaryjudge.explain.headlines import clause, headline, title
from canaryjudge.explain.numbers import count, score
from canaryjudge.explain.promise import promise, waiver_sentence
from canaryjudge.explain.report.markup import SYMBOLS, mark, prose, text
from canaryjudge.explain.report.metric import metric_article
from canaryjudge.explain.report.styles import STYLES
from canaryjudge.explain.text import by_badness
from canaryjudge.explain.times import moment, span_of_time
from canaryjudge.explain.turns import release_turns
from canaryjudge.results import MetricResult, Outcome, ReleaseResult

__all__ = ["as_report", "banner"]

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
