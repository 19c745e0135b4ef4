"""Facts in, words out: text (plain, or for a terminal), Markdown and HTML. Nothing is computed here, and no verdict is known."""

from canaryjudge.explain import (  # noqa: F401 - the words of each rule
    before_after,
    burn_rate,
    excursion,
    groups,
    growth,
    late_shift,
    mann_whitney,
    mcnemar,
    proportion,
    rate,
    ratio_of_means,
    sequential,
    signed_rank,
    slo,
    tail,
)
from canaryjudge.explain.html import as_html, as_report, watch_html
from canaryjudge.explain.layout import WIDTH, on_one_line
from canaryjudge.explain.markdown import as_markdown
from canaryjudge.explain.notes import note_sentence
from canaryjudge.explain.numbers import moment, span_of_time
from canaryjudge.explain.sentences import one_line
from canaryjudge.explain.text import as_terminal, as_text

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
