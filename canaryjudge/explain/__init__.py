"""Facts in, words out: text (plain, or for a terminal), Markdown and HTML. Nothing is computed here, and no verdict is known."""

from canaryjudge.explain.headlines import one_line
from canaryjudge.explain.html import as_html, facts_html, watch_html
from canaryjudge.explain.lines import on_one_line
from canaryjudge.explain.markdown import as_markdown
from canaryjudge.explain.notes import note_sentence
from canaryjudge.explain.report import as_report
from canaryjudge.explain.terminal import as_terminal
from canaryjudge.explain.text import WIDTH, as_text
from canaryjudge.explain.times import moment, span_of_time
from canaryjudge.facts import Facts

__all__ = [
    "WIDTH",
    "as_html",
    "as_markdown",
    "as_report",
    "as_terminal",
    "as_text",
    "moment",
    "note_sentence",
    "on_one_line",
    "one_line",
    "span_of_time",
    "watch_html",
]

Facts.show = staticmethod(facts_html)
