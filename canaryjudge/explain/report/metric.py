"""One metric of the report: what came out, the effect, both arms; opened, all that is known about it."""

from __future__ import annotations

from canaryjudge.explain.features import is_quiet, quiet_sentence
from canaryjudge.explain.glances import glance, held_against, interval_words
from canaryjudge.explain.notes import note_sentence
from canaryjudge.explain.numbers import count, pvalue
from canaryjudge.explain.promise import waiver_sentence
from canaryjudge.explain.report.distribution import distribution_chart
from canaryjudge.explain.report.forest import forest_strip
from canaryjudge.explain.report.markup import mark, prose, text
from canaryjudge.explain.report.series import series_chart, value_axis
from canaryjudge.explain.sentences import metric_sentence, rule_sentence
from canaryjudge.explain.turns import metric_turns
from canaryjudge.results import Finding, MetricResult, ReleaseResult

__all__ = ["metric_article", "metric_body"]

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
