"""Several arms as HTML: a page that begins with a table of them and each metric's effects side by side, and the same for a notebook. Names from the data are escaped."""

from __future__ import annotations

from collections.abc import Mapping

from canaryjudge.explain.arms import arms_names, arms_promises, arms_rows, rings_sentence
from canaryjudge.explain.charts import forest_strip, mark
from canaryjudge.explain.html import about, legend, metric_article, page, scoped
from canaryjudge.explain.layout import html_prose, html_text, listed
from canaryjudge.explain.numbers import count
from canaryjudge.explain.sentences import main_number
from canaryjudge.explain.text import by_badness
from canaryjudge.reasons import Outcome
from canaryjudge.results import ArmRanking, ArmsFacts, ReleaseResult

__all__ = ["arms_html", "arms_page"]

_STYLES = ("rollout.css", "arms.css")
_MOST_ARMS = 20
"""Arms whose metrics are drawn, the worst first; the table has them all."""
_TALLY = {Outcome.FAIL: "to roll back", Outcome.MARGINAL: "to hold", Outcome.PASS: "may go on"}


def arms_page(facts: ArmsFacts, reason: str, provenance: Mapping[str, str]) -> str:
    """Write the report of several arms."""
    number, sections = 0, []
    for place, (arm, release) in enumerate(_worst_first(facts), 1):
        cards = []
        for result in by_badness(release):
            number += 1
            cards.append(metric_article(result, release, number, where=f" of {arm}"))
        sections.append(
            f'<section aria-labelledby="a{place}"><div class="legend"><h2 id="a{place}" class="{release.outcome.value}">{mark(release.outcome)}{html_text(arm)}</h2>'
            f"{legend() if place == 1 else ''}</div>{''.join(cards)}</section>"
        )
    promises = "".join(f"<p>{html_prose(said)}.</p>" for said in arms_promises(facts))
    return page(
        reason,
        facts.outcome,
        f"{_banner(facts, reason)}<main>{_table(facts, linked=True)}{_abreast(facts)}{''.join(sections)}"
        f'<section class="promise" aria-labelledby="promise"><h2 id="promise">What these verdicts promise</h2>{promises}</section></main>',
        provenance,
        *_STYLES,
    )


def arms_html(facts: ArmsFacts, reason: str) -> str:
    """Show several arms in a notebook: what to do with which, and each metric's effects side by side."""
    body = f"{_banner(facts, reason)}{_table(facts, linked=False)}{_abreast(facts)}"
    return scoped(body, facts.outcome.value, *_STYLES)


def _worst_first(facts: ArmsFacts) -> list[tuple[str, ReleaseResult]]:
    """Give the arms whose metrics are drawn."""
    order = sorted(facts.arms.items(), key=lambda each: -each[1].outcome.badness)
    return order[:_MOST_ARMS]


def _banner(facts: ArmsFacts, reason: str) -> str:
    """Lay out what stands on top: what to do with which arm, the best and the worst, and what it means for rings."""
    outcome, _, action = reason.partition(": ")
    named = " ".join(f"{said}." for said in arms_names(facts))
    items = "".join(
        f'<li class="{outcome.value}">{mark(outcome)}<span><strong>{count(len(facts.having(outcome)))}</strong> {word}</span></li>'
        for outcome, word in _TALLY.items()
        if facts.having(outcome)
    )
    return (
        f'<header class="banner"><div class="wide"><div class="verdict">{mark(facts.outcome)}'
        f'<h1>{outcome.capitalize()}<span class="action">{html_prose(action[:1].upper() + action[1:])}</span></h1></div>'
        f'<p class="why">{html_prose(named)}</p><p class="turn">{html_prose(rings_sentence(facts))}.</p>'
        f'<ul class="tally" aria-label="Arms by outcome">{items}</ul></div></header>'
    )


def _table(facts: ArmsFacts, *, linked: bool) -> str:
    """Lay out the arms as a table in their order; linked to what is below of each."""
    below = {arm: place for place, (arm, _) in enumerate(_worst_first(facts), 1)} if linked else {}
    names = ("Arm", "Outcome", "Baseline", "Judged at", "Why")
    rows = ""
    for (arm, release), (name, baseline, _, level, why) in zip(
        facts.arms.items(), arms_rows(facts), strict=True
    ):
        title = f'<a href="#a{below[arm]}">{html_text(name)}</a>' if arm in below else html_text(name)
        cells = zip(names[2:], (html_text(baseline), html_prose(level), html_prose(why)), strict=True)
        told = "".join(f'<td data-name="{column}">{cell}</td>' for column, cell in cells)
        rows += (
            f'<tr><th scope="row">{title}</th><td class="said {release.outcome.value}">{mark(release.outcome)}{release.outcome.value}</td>'
            f"{told}</tr>"
        )
    heads = "".join(f'<th scope="col">{name}</th>' for name in names)
    every = listed(list(facts.arms))
    times = {about(release, arms=every) for release in facts.arms.values()}  # the table has what differs
    said = f'<p class="about">{times.pop()}</p>' if len(times) == 1 else ""
    return (
        '<section class="sheet arm-table" aria-label="Arms"><h2>Arms</h2><div class="scroll" tabindex="0" role="region" aria-label="Table of the arms">'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
        f"{f'<p class=about>{said}</p>' if said else ''}</section>"
    )


def _abreast(facts: ArmsFacts) -> str:
    """Draw each metric's effects in all arms one below the other, with the best and the worst of them named."""
    ranking = {one.metric: one for one in facts.ranking}
    metrics = dict.fromkeys(name for release in facts.arms.values() for name in release.metrics)
    arms = _worst_first(facts)
    kept = [arm for arm in facts.arms if arm in dict(arms)]
    drawn = "".join(
        f'<h3 class="track">{html_text(metric)}</h3>'
        f"{''.join(_row(arm, facts.arms[arm], metric, ranking.get(metric)) for arm in kept)}"
        for metric in metrics
    )
    more = len(facts.arms) - len(kept)
    rest = f'<p class="about">{count(more)} more arms are in the table above.</p>' if more else ""
    return f'<section class="sheet side" aria-label="Metrics of all arms"><h2>Side by side</h2>{drawn}{rest}</section>'


def _row(arm: str, release: ReleaseResult, metric: str, ranking: ArmRanking | None) -> str:
    result = release.metrics.get(metric)
    if result is None:
        return ""
    named = [word for word in ("best", "worst") if ranking is not None and getattr(ranking, word) == arm]
    tags = "".join(f"<span>{word}</span>" for word in named)
    main, beside = main_number(result)
    strip = forest_strip(result) or '<p class="none">no effect to draw</p>'
    return (
        f'<div class="one {result.outcome.value}"><p class="outcome">{mark(result.outcome)}{html_text(arm)}<span class="tags">{tags}</span></p>'
        f'{strip}<p class="numbers"><strong>{html_prose(main)}</strong> {html_prose(beside)}</p></div>'
    )
