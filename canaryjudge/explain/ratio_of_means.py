"""Words for a changed mean of users."""

from __future__ import annotations

from typing import ClassVar

from canaryjudge.explain.changes import LevelWords
from canaryjudge.explain.numbers import count, percent
from canaryjudge.explain.words import words
from canaryjudge.rules.ratio_of_means import MeansFinding

__all__: list[str] = []


@words(MeansFinding)
class _MeansWords(LevelWords[MeansFinding]):
    """What is said of a changed mean of users."""

    methods: ClassVar = {"delta": "delta method on users", "welch": "Welch's test of users' means"}

    def allowances(self) -> list[str]:
        """Say how much was known from before."""
        explained, said = self.finding.explained, super().allowances()
        return (
            said
            if explained is None
            else [f"{percent(explained)} of the variance was known from before", *said]
        )

    def amount(self) -> str:
        """Say of how many users it is, and of how much in total."""
        totals = self.finding.total_canary, self.finding.total_baseline
        if totals[0] is None or totals[1] is None:
            return self.sizes()
        return f"{self.sizes()} with a total of {count(totals[0])} v. {count(totals[1])}"
