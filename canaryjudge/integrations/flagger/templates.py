"""The queries of Flagger's MetricTemplates: their placeholders filled in, and where they choose the canary."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from canaryjudge.integrations.prometheus.selectors import (
    add_selector,
    matchers,
    on_one_line,
    replace_matchers,
)

__all__ = ["open_placeholders", "template_query", "with_names"]

_PLACEHOLDER: Final = re.compile(r"\{\{-?\s*([\w.]+)\s*-?\}\}")
_ANY_PLACEHOLDER: Final = re.compile(r"\{\{[^{}]*\}\}")
_LONGEST: Final = 10_000
_TARGET: Final = "\x02target\x03"
_SERVICE: Final = "\x02service\x03"


def with_names(query: str, names: Mapping[str, str]) -> str:
    """Fill in a query's placeholders; those that are not known stay as they stand.

    Parameters
    ----------
    query : str
        As a MetricTemplate has it.
    names : mapping of str to str
        The value of each: ``namespace``, ``target``, ``interval``, ``variables.direction``.

    Returns
    -------
    str
        The query.

    Examples
    --------
    >>> with_names('up{ns="{{ namespace }}"}[{{interval}}]', {"namespace": "test", "interval": "1m"})
    'up{ns="test"}[1m]'
    """
    return _PLACEHOLDER.sub(lambda match: names.get(match[1], match[0]), query)


def open_placeholders(query: str) -> list[str]:
    """List what is still to be filled in."""
    return list(dict.fromkeys(_ANY_PLACEHOLDER.findall(query[:_LONGEST])))


def template_query(query: str, names: Mapping[str, str], *, add: bool) -> tuple[dict[str, Any] | None, str]:
    """Write the query of a MetricTemplate for both arms, as a policy has it.

    Parameters
    ----------
    query : str
        PromQL with Flagger's placeholders.
    names : mapping of str to str
        As for `with_names`.
    add : bool
        Put ``${selector}`` into each choice of series where nothing in the query tells the arms apart.

    Returns
    -------
    tuple of (dict or None, str)
        The settings of `query`, with the selectors of canary and primary where they are known; and a sentence about it.

    Examples
    --------
    >>> found, _ = template_query('up{pod=~"{{ target }}-.+"}', {"target": "podinfo"}, add=False)
    >>> found["value"], found["baseline"]
    ('up{${selector}}', 'pod=~"podinfo-primary-.+"')
    """
    if len(query) > _LONGEST:
        return None, f"it has {len(query):,} characters, and a policy's query at most {_LONGEST:,}"
    marked = with_names(query, {**names, "target": _TARGET, "service": _SERVICE})
    marked = on_one_line(marked)

    def named(text: str) -> str:
        return text.replace(_TARGET, names.get("target", "")).replace(_SERVICE, names.get("service", ""))

    if found := open_placeholders(marked):
        return None, f"it has {found[0]}, which is not filled in here"
    arms = [each for each in matchers(marked) if _TARGET in each.value or f"{_SERVICE}-canary" in each.value]
    texts = {marked[each.start : each.end] for each in arms}
    if len(texts) == 1 and arms[0].operator in ("=", "=~"):
        selectors = {
            "baseline": named(arms[0].with_value(_primary(arms[0].value))),
            "canary": named(texts.pop()),
        }
        settings = {"value": named(replace_matchers(marked, arms)), **selectors}
        return (
            settings,
            f"${{selector}} stands for {settings['canary']}, and for the primary's {settings['baseline']}",
        )
    added = add_selector(named(marked)) if add else None
    if added is not None:
        return {"value": added}, "${selector} was put into each choice of series, as --add-selector says"
    why = (
        "nothing in it tells the primary from the canary"
        if not texts
        else "it chooses the canary in several ways"
    )
    return (
        None,
        f"{why}, so as `query` it needs ${{selector}} where its series are chosen (--add-selector puts it there)",
    )


def _primary(value: str) -> str:
    """Write the canary's name as the primary's."""
    for mark in (_TARGET, _SERVICE):
        value = value.replace(f"{mark}-canary", f"{mark}-primary")
    return value if "-primary" in value else value.replace(_TARGET, f"{_TARGET}-primary")
