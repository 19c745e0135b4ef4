"""Metrics of a switch of all traffic, which finished data alone tell."""

from __future__ import annotations

from canaryjudge.errors import PolicyError
from canaryjudge.policy.models import Policy
from canaryjudge.quantities import shown

__all__ = ["refuse_before_after"]


def refuse_before_after(policy: Policy, what: str, advice: str) -> None:
    """Refuse a policy with a metric whose pairing is before_after, for what does not do that."""
    for metric in policy.metrics:
        if metric.pairing == "before_after":
            raise PolicyError(
                f"the metric {shown(metric.name)} has pairing: before_after, which {what} does not do", advice
            )
