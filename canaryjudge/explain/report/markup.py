"""What all parts of the report are written with: escaped text, and marks that differ in shape as well as in color."""

from __future__ import annotations

from html import escape

from canaryjudge.explain.lines import on_one_line
from canaryjudge.results import Outcome

__all__ = ["SYMBOLS", "mark", "percent_of", "prose", "text"]

SYMBOLS = (
    '<svg class="symbols" width="0" height="0" aria-hidden="true"><defs>'
    '<symbol id="mark-pass" viewBox="0 0 24 24"><circle fill="var(--tone)" stroke="transparent" cx="12" cy="12" r="11"/>'
    '<path d="M6.5 12.5l3.8 3.8 7.2-8.1"/></symbol>'
    '<symbol id="mark-marginal" viewBox="0 0 24 24"><path fill="var(--tone)" stroke="transparent" d="M12 .8L23.2 12 12 23.2.8 12z"/>'
    '<path d="M9.5 8.5v7M14.5 8.5v7"/></symbol>'
    '<symbol id="mark-fail" viewBox="0 0 24 24"><path fill="var(--tone)" stroke="transparent" d="M7.4 1h9.2L23 7.4v9.2L16.6 23H7.4L1 16.6V7.4z"/>'
    '<path d="M8 8l8 8M16 8l-8 8"/></symbol>'
    '<pattern id="beyond" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<path d="M0 0v7"/></pattern>'
    "</defs></svg>"
)
"""Definitions that the marks and zones of the page refer to."""


def text(words: object) -> str:
    """Escape text, for content and attributes alike, and leave out what is not to be seen."""
    return escape(on_one_line(str(words)))


def prose(words: str) -> str:
    """Escape a sentence, and keep numbers on one line with what follows them."""
    return (
        text(words)
        .replace(" %", "&nbsp;%")
        .replace("p = ", "p&nbsp;=&nbsp;")
        .replace("&lt;= ", "&lt;=&nbsp;")
    )


def mark(outcome: Outcome) -> str:
    """Draw the sign of an outcome: a circle with a tick, a diamond with a pause, an octagon with a cross."""
    return f'<svg class="mark" aria-hidden="true"><use href="#mark-{outcome.value}"/></svg>'


def percent_of(place: float) -> str:
    """Write a place between 0 and 1 as a percentage of the drawing."""
    return f"{100 * place:.3g}%"
