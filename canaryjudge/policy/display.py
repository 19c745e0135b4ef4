"""A policy as a table, for notebooks."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from canaryjudge.texts import on_one_line

if TYPE_CHECKING:
    from canaryjudge.policy.models import Metric, PassWithin, Policy, Tolerance

__all__ = ["policy_html"]

_HEADS = ("metric", "kind", "bad direction", "tolerance", "role", "rules")


def policy_html(policy: Policy) -> str:
    """Show a policy: its error rates, and a row a metric. What a user wrote is escaped.

    Parameters
    ----------
    policy : Policy
        The policy.

    Returns
    -------
    str
        One ``<div>``.
    """
    rows = "".join(f"<tr>{_cells('td', _row(metric))}</tr>" for metric in policy.metrics)
    promise = f"alpha {_percent(policy.alpha)}, beta {_percent(policy.beta)}, aggregate: {policy.aggregate}"
    return f"<div><p>{promise}</p><table><thead><tr>{_cells('th', _HEADS)}</tr></thead><tbody>{rows}</tbody></table></div>"


def _row(metric: Metric) -> tuple[str, ...]:
    name = f"{metric.name} ({metric.unit})" if metric.unit else metric.name
    tolerance, within = _sizes(metric.tolerance), metric.pass_within
    if within is not None:
        tolerance += f", a pass within {_sizes(within) or 'that'}"
    rules = ", ".join(rule.rule for rule in metric.rules or ()) or "default"
    return name, metric.kind, metric.direction, tolerance, metric.role, rules


def _sizes(sizes: Tolerance | PassWithin) -> str:
    parts = [] if sizes.relative is None else [_percent(sizes.relative)]
    if sizes.absolute is not None:
        parts.append(f"{sizes.absolute.number:g} {sizes.absolute.unit}".rstrip())
    return " or ".join(parts)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.4g} %"


def _cells(tag: str, words: Iterable[str]) -> str:
    return "".join(f'<{tag} style="text-align:left">{escape(on_one_line(word))}</{tag}>' for word in words)
