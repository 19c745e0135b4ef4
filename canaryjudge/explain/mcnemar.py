"""Words for a changed share of paired requests."""

from __future__ import annotations

from canaryjudge.explain.changes import EventsWords
from canaryjudge.explain.numbers import count
from canaryjudge.explain.words import words
from canaryjudge.rules.mcnemar import McNemarFinding

__all__: list[str] = []


@words(McNemarFinding)
class _McNemarWords(EventsWords[McNemarFinding]):
    methods = {  # noqa: RUF012 - as all words have them
        "exact_paired_difference": "exact test of the paired difference",
        "paired_difference": "test of the paired difference",
    }

    def amount(self) -> str:
        """Say of how many requests it is so in one arm alone."""
        canary, baseline = self.finding.only_canary or 0.0, self.finding.only_baseline or 0.0
        return f"{count(canary)} in the canary alone v. {count(baseline)} in the baseline alone of {self.sizes()}"

    def why_excluded(self) -> str:
        """Say why a pass need not exclude more: a part of a sentence."""
        if self.finding.pass_by == "stated":
            return super().why_excluded()
        return "which is half of what the baseline has already, at most 1 percentage point"
