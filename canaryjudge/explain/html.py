"""The verdict, a metric, a finding and a watch as pieces of HTML, for notebooks. Names from the data are escaped.

They look as in the report. Their styles hold inside them alone; where a front end leaves styles out, plain headings and text remain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from canaryjudge.explain.numbers import count
from canaryjudge.explain.promise import promise, waiver_sentence
from canaryjudge.explain.report.markup import SYMBOLS, prose, text
from canaryjudge.explain.report.metric import metric_body
from canaryjudge.explain.report.page import banner
from canaryjudge.explain.report.styles import SCOPED_STYLES
from canaryjudge.explain.sentences import metric_sentence
from canaryjudge.explain.text import by_badness
from canaryjudge.explain.times import moment
from canaryjudge.facts import Facts
from canaryjudge.results import Finding, MetricResult, ReleaseResult

__all__ = ["as_html", "facts_html", "watch_html"]


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
