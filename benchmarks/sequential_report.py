"""What the benchmark of sequential tests prints and writes: its tables' numbers, and how they look."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom
from sequential_engines import WATCHED, Decisions

__all__ = [
    "ALPHA",
    "BETA",
    "NEEDED",
    "Report",
    "agreeing",
    "count",
    "facts_of",
    "finite",
    "summed",
    "three",
    "two",
]

ALPHA = BETA = 0.05
NEEDED = -math.log(ALPHA * WATCHED)
"""The log evidence that a watch needs for a fail."""


@dataclass(slots=True)
class Report:
    """What is printed and written.

    Attributes
    ----------
    runs : int
        Runs of the engines; a tenth goes through the public path.
    tables : dict
        Rows by table, each a dict of numbers.
    targets : list of tuple
        What was wanted, "<=" or ">=", the limit, what was measured, and a remark.
    """

    runs: int
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    targets: list[tuple[str, str, float, float, str]] = field(default_factory=list)

    @property
    def public(self) -> int:
        """Runs that go through the public path."""
        return max(self.runs // 10, 5)

    def show(self, name: str, text: str, rows: list[dict[str, Any]]) -> None:
        """Print a table, and keep its numbers."""
        print(text, flush=True)
        self.tables[name] = rows

    def want(self, what: str, sign: str, limit: float, found: float, note: str = "") -> None:
        """Hold a figure against its target."""
        self.targets.append((what, sign, limit, found, note))

    def want_delay(self, what: str, limit: float, found: Decisions) -> None:
        """Hold a median delay against its target, and tell how many runs were decided by then."""
        by_then = 100 * float((found.after <= limit).mean())
        self.want(what, "<=", limit, found.median, f"{by_then:.1f} % by then")

    def want_rate(self, what: str, limit: float, wrong: NDArray[np.bool_]) -> None:
        """Hold an error rate against its target, and tell where an excess may be chance."""
        chance = float(binom.sf(int(wrong.sum()) - 1, len(wrong), limit / 100))
        found = 100 * float(wrong.mean())
        excess = f"p {chance:.2g} by chance" if found > limit else ""
        self.want(what, "<=", limit, found, excess)


def finite(number: float) -> float | None:
    """Give a number as JSON has it."""
    return number if math.isfinite(number) else None


def facts_of(found: Decisions | None) -> dict[str, float | None]:
    """Give a method's three figures for the JSON."""
    if found is None:
        return {}
    return {
        "fail": round(found.failed, 3),
        "pass": round(found.passed, 3),
        "median": finite(found.median),
    }


def three(found: Decisions | None, most: int) -> str:
    """Show a method's three figures in 16 columns."""
    if found is None:
        return f"{'-':>16}"
    return f"{found.failed:>5.1f}{found.passed:>6.1f}{count(found.median, most):>5}"


def two(found: Decisions, most: int) -> str:
    """Show the percentage failed and the median in 11 columns."""
    return f"{found.failed:>5.1f}{count(found.median, most):>6}"


def count(median: float, most: int) -> str:
    """Show a median; "more than all" where half the runs were undecided."""
    return f">{most}" if math.isinf(median) else f"{math.ceil(median)}"


def agreeing(first: Decisions, second: Decisions) -> tuple[int, int]:
    """Give how many runs were decided alike and at the same look, and of how many."""
    same = (first.outcome == second.outcome) & (first.after == second.after)
    return int(same.sum()), len(same)


def summed(agreed: Sequence[tuple[int, int]]) -> str:
    """Put numbers of runs that agreed into words."""
    return f"{sum(pair[0] for pair in agreed):,} of {sum(pair[1] for pair in agreed):,}"
