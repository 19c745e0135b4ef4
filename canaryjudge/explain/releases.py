"""The page of many releases: how each stands, since when, and where its report is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from canaryjudge.explain.charts import mark
from canaryjudge.explain.html import page
from canaryjudge.explain.layout import html_prose, html_text
from canaryjudge.explain.numbers import moment, span_of_time
from canaryjudge.reasons import Outcome

__all__ = ["ReleaseLine", "releases_page"]

_DO: Final = {
    "promote": "promote",
    "advance": "advance",
    "hold": "wait",
    "rollback": "roll back",
    "complete": "complete",
}
_LOOKS: Final = 60
"""Looks that are drawn, the latest ones."""
_WORDS: Final = {Outcome.FAIL: "failed", Outcome.MARGINAL: "undecided", Outcome.PASS: "passed"}


@dataclass(frozen=True, slots=True)
class ReleaseLine:
    """A release, as the page shows it.

    Attributes
    ----------
    service, revision, policy : str
        What it is, and by what it is judged.
    outcome : Outcome
        What became of it.
    action, reason : str
        What to do, and why.
    updated : float
        When it was last looked at, in seconds since 1970.
    looks : sequence of Outcome
        What became of it at each look, the latest last.
    link : str
        Where its report is.
    share : float or None
        Of a rollout, what the canary should get of the traffic.
    """

    service: str
    revision: str
    policy: str
    outcome: Outcome
    action: str
    reason: str
    updated: float
    looks: Sequence[Outcome]
    link: str
    share: float | None = None


def releases_page(releases: Sequence[ReleaseLine], now: float, older: str | None, version: str) -> str:
    """Lay out releases, the latest first; `older` is where those are that do not fit."""
    many = Counter(release.outcome for release in releases)
    tally = "".join(
        f'<li class="{outcome.value}">{mark(outcome)}<span><strong>{many[outcome]}</strong> {word}</span></li>'
        for outcome, word in _WORDS.items()
        if many[outcome]
    )
    rows = "".join(_row(release, now) for release in releases)
    table = (
        '<table><thead><tr><th scope="col">Release</th><th scope="col">Verdict</th><th scope="col">Why</th>'
        f'<th scope="col">Looks</th><th scope="col">Last look</th></tr></thead><tbody>{rows}</tbody></table>'
    )
    nothing = '<p class="empty">No release yet. One begins when a tool asks about it, or when its first points come.</p>'
    more = f'<p class="older"><a href="{html_text(older)}">Older releases</a></p>' if older else ""
    return page(
        "Releases",
        None,
        f'<header class="front"><div class="wide"><h1>Releases</h1><ul class="tally">{tally}</ul></div></header>'
        f'<main><div class="releases" tabindex="0" role="region" aria-label="Releases">{table if releases else nothing}</div>{more}</main>',
        {"judged by": f"canaryjudge {version}", "as of": moment(now)},
        "releases.css",
    )


def _row(release: ReleaseLine, now: float) -> str:
    share = "" if release.share is None else f", {100 * release.share:.4g} % of the traffic"
    reason = release.reason.partition(": ")[2] or release.reason
    return (
        f'<tr class="{release.outcome.value}"><th scope="row"><a href="{html_text(release.link)}">{html_text(release.service)}</a>'
        f"<span>{html_text(release.revision)}</span></th>"
        f'<td class="said">{mark(release.outcome)}{release.outcome.value}<span>{_DO.get(release.action, "")}{share}</span></td>'
        f'<td class="reason">{html_prose(reason)}</td><td>{_looks(release.looks)}</td>'
        f'<td class="when">{span_of_time(max(0.0, now - release.updated))} ago</td></tr>'
    )


def _looks(looks: Sequence[Outcome]) -> str:
    """Draw what became of it at each look, from left to right."""
    shown = list(looks)[-_LOOKS:]
    if not shown:
        return ""
    width = min(8.0, 120.0 / len(shown))
    heights = {Outcome.FAIL: 16, Outcome.MARGINAL: 8, Outcome.PASS: 16}
    bars = "".join(
        f'<rect class="{outcome.value}" x="{place * width:.1f}" y="{16 - heights[outcome]}" width="{max(0.8, width - 0.8):.1f}" height="{heights[outcome]}"/>'
        for place, outcome in enumerate(shown)
    )
    words = Counter(shown)
    said = ", ".join(f"{words[outcome]} {outcome.value}" for outcome in Outcome if words[outcome])
    return f'<svg class="looks" viewBox="0 0 120 16" role="img" aria-label="the last {len(shown)} looks: {said}">{bars}</svg>'
