"""The verdict as a small piece of HTML, for notebooks. Names from the data are escaped."""

from __future__ import annotations

from html import escape

from canaryjudge.explain.sentences import headline, metric_sentence, promise, title, waiver_sentence
from canaryjudge.explain.text import by_badness
from canaryjudge.results import ReleaseResult

__all__ = ["as_html"]

_MARKS = {"pass": "✔", "marginal": "◐", "fail": "✘"}


def as_html(release: ReleaseResult) -> str:
    """Explain a release in HTML.

    Parameters
    ----------
    release : ReleaseResult
        What became of it.

    Returns
    -------
    str
        One ``<div>`` with a heading and a table; no script, no style sheet.
    """
    rows = "".join(
        f'<tr><td style="text-align:left">{escape(result.name)}</td>'
        f'<td style="text-align:left;white-space:nowrap">{_MARKS[result.outcome.value]} {result.outcome.value}</td>'
        f'<td style="text-align:left">{escape(metric_sentence(result, release))}</td></tr>'
        for result in by_badness(release)
    )
    waived = "".join(f"<li>Waived: {escape(waiver_sentence(one))}</li>" for one in release.waived)
    return (
        f"<div><strong>{_MARKS[release.outcome.value]} {escape(title(release))}</strong><p>{escape(headline(release))}</p>"
        f"<table><thead><tr><th>metric</th><th>outcome</th><th>why</th></tr></thead><tbody>{rows}</tbody></table>"
        f"{f'<ul>{waived}</ul>' if waived else ''}<p><small>{escape(promise(release))}</small></p></div>"
    )
