"""Words for a shift of the level."""

from __future__ import annotations

from typing import TypeVar

from canaryjudge.explain.changes import LevelWords
from canaryjudge.explain.evidence import amount
from canaryjudge.explain.numbers import percent
from canaryjudge.explain.quantities import set_level
from canaryjudge.explain.words import words
from canaryjudge.rules.mann_whitney import BucketFacts, ShiftFinding

__all__ = ["RANK_TESTS", "ShiftWords"]

S = TypeVar("S", bound=ShiftFinding)

RANK_TESTS = {
    "robust_rank": "robust Mann-Whitney",
    "exact_rank": "exact Mann-Whitney",
    "asymptotic_rank": "Mann-Whitney",
    "bucket_rank": "robust Mann-Whitney on buckets",
    "mixed_bucket_rank": "robust Mann-Whitney on buckets, at one mix of intervals",
    "pairs": "comparison minute by minute",
    "common_effect": "mean effect within segments",
    "van_elteren": "van Elteren's rank test within segments",
}


@words(ShiftFinding)
class ShiftWords(LevelWords[S]):
    """What is said of a shift."""

    methods = RANK_TESTS

    def why_nothing_can_be_proven(self) -> str:
        """Say what the test cannot prove, and why; nothing where it can."""
        if self.finding.fullest_bucket is None:
            return super().why_nothing_can_be_proven()
        return (
            f"{self._bucket(self.finding.fullest_bucket)}, too coarse to see the tolerated {self.tolerated()}"
        )

    def _bucket(self, bucket: BucketFacts) -> str:
        held = f"{percent(bucket.share)} of an arm's observations lie in"
        if bucket.low is None:
            return f"{held} the open bucket up to {self._edge(bucket.high)}"
        if bucket.high is None:
            return f"{held} the open bucket above {self._edge(bucket.low)}"
        return f"{held} one bucket, {self._edge(bucket.low)} to {self._edge(bucket.high)}"

    def _edge(self, value: float | None) -> str:
        return "unknown" if value is None else set_level(value, self.kind.name, self.unit)

    def kind_of_change(self) -> str:
        """Say what the change is of."""
        if self.finding.method != "mixed_bucket_rank":
            return super().kind_of_change()
        return "the split of the traffic moves, so the change is that within intervals, and not that of the two medians, which are pooled"

    def amount(self) -> str:
        """Say how many observations it is of."""
        totals = (self.finding.total_canary, self.finding.total_baseline)
        return amount(self.kind, totals, (None, None), self.sizes())
