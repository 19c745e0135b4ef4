"""Bounds on a number, as other tools' conditions state them, and the rule `slo` that they become."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["AllowedRange", "Edge", "change_rules", "direction_of", "every_rules", "slo_rule", "told", "whole"]

_LARGEST_WHOLE: Final = 1e15


@dataclass(frozen=True, slots=True)
class Edge:
    """An end of what is allowed; `strict` where it is itself not allowed."""

    value: float
    strict: bool = False


@dataclass(frozen=True, slots=True)
class AllowedRange:
    """What is allowed: from `low` to `high`; None where there is no end."""

    low: Edge | None = None
    high: Edge | None = None

    def within(self, other: AllowedRange) -> AllowedRange:
        """Return what both allow."""
        lows = [edge for edge in (self.low, other.low) if edge is not None]
        highs = [edge for edge in (self.high, other.high) if edge is not None]
        return AllowedRange(
            max(lows, key=lambda edge: (edge.value, edge.strict), default=None),
            min(highs, key=lambda edge: (edge.value, not edge.strict), default=None),
        )

    @property
    def empty(self) -> bool:
        """Whether nothing is allowed."""
        if self.low is None or self.high is None:
            return False
        return self.low.value > self.high.value or (
            self.low.value == self.high.value and (self.low.strict or self.high.strict)
        )

    @property
    def finite(self) -> bool:
        """Whether each end that there is can stand in a policy."""
        return all(edge is None or math.isfinite(edge.value) for edge in (self.low, self.high))


def whole(number: float) -> float:
    """Write 500.0 as 500.

    Examples
    --------
    >>> whole(500.0), whole(0.5)
    (500, 0.5)
    """
    return int(number) if float(number).is_integer() and abs(number) < _LARGEST_WHOLE else number


def told(bounds: AllowedRange) -> str:
    """Say what is allowed.

    Examples
    --------
    >>> told(AllowedRange(low=Edge(0.95))), told(AllowedRange(Edge(1.0), Edge(5.0, strict=True)))
    ('at least 0.95', 'at least 1 and below 5')
    """
    low, high = bounds.low, bounds.high
    parts = [f"{'above' if low.strict else 'at least'} {whole(low.value):.12g}"] if low else []
    parts += [f"{'below' if high.strict else 'at most'} {whole(high.value):.12g}"] if high else []
    return " and ".join(parts) or "anything"


def direction_of(bounds: AllowedRange) -> str:
    """Return which direction is bad where this is allowed."""
    if bounds.low is not None and bounds.high is not None:
        return "either"
    return "increase" if bounds.low is None else "decrease"


def slo_rule(good: AllowedRange, bearable: AllowedRange, of: str) -> dict[str, Any]:
    """Write bounds as the settings of a rule `slo`.

    Examples
    --------
    >>> slo_rule(AllowedRange(low=Edge(0.9)), AllowedRange(low=Edge(0.5)), "mean")
    {'rule': 'slo', 'of': 'mean', 'op': 'gte', 'value': 0.9, 'fail_value': 0.5}
    """
    rule: dict[str, Any] = {"rule": "slo", "of": of}
    low, high = good.low, good.high
    if low is not None and high is not None:
        rule["between"] = [whole(low.value), whole(high.value)]
        ends = bearable.low, bearable.high
        if ends[0] is not None and ends[1] is not None:
            laxer = [whole(ends[0].value), whole(ends[1].value)]
            rule |= {} if laxer == rule["between"] else {"fail_between": laxer}
        return rule
    name, edge, laxest = ("gt", low, bearable.low) if high is None else ("lt", high, bearable.high)
    assert edge is not None  # noqa: S101 - the caller has seen to one end
    rule |= {"op": name if edge.strict else f"{name}e", "value": whole(edge.value)}
    if laxest is not None and laxest.value != edge.value:
        rule["fail_value"] = whole(laxest.value)
    return rule


def every_rules(good: AllowedRange, bearable: AllowedRange, exceptions: int = 0) -> list[dict[str, Any]]:
    """Write bounds on every single value as settings of rules `slo`: the largest and the smallest are held against them, but for some exceptions.

    Examples
    --------
    >>> every_rules(AllowedRange(high=Edge(5.0)), AllowedRange(high=Edge(5.0)))
    [{'rule': 'slo', 'of': 'max', 'op': 'lte', 'value': 5, 'evidence': 'point'}]
    """
    return [
        slo_rule(AllowedRange(**{end: edge}), AllowedRange(**{end: getattr(bearable, end)}), of)
        | ({"exceptions": exceptions} if exceptions else {})
        | {"evidence": "point"}
        for end, of in (("low", "min"), ("high", "max"))
        if (edge := getattr(good, end)) is not None
    ]


def change_rules(good: AllowedRange, bearable: AllowedRange, *, relative: bool) -> list[dict[str, Any]]:
    """Write bounds on how much the canary may differ from the baseline as settings of rules `slo`.

    Examples
    --------
    >>> change_rules(AllowedRange(high=Edge(0.5)), AllowedRange(high=Edge(0.5)), relative=True)
    [{'rule': 'slo', 'of': 'mean', 'op': 'lte', 'change': '+50%'}]
    """

    def change(edge: Edge) -> Any:
        return f"{100 * edge.value:+.12g}%" if relative else {"absolute": whole(edge.value)}

    rules = []
    for end, name in (("low", "gt"), ("high", "lt")):
        edge, laxest = getattr(good, end), getattr(bearable, end)
        if edge is not None:
            rule = {
                "rule": "slo",
                "of": "mean",
                "op": name if edge.strict else f"{name}e",
                "change": change(edge),
            }
            laxer = laxest is not None and laxest.value != edge.value
            rules.append(rule | ({"fail_change": change(laxest)} if laxer else {}))
    return rules
