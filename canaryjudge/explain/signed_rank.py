"""Words for a change of paired requests."""

from __future__ import annotations

from canaryjudge.explain.changes import LevelWords
from canaryjudge.explain.words import words
from canaryjudge.rules.signed_rank import SignedRankFinding

__all__: list[str] = []


@words(SignedRankFinding)
class _SignedRankWords(LevelWords[SignedRankFinding]):
    methods = {"signed_rank": "robust signed-rank test"}  # noqa: RUF012 - as all words have them

    def kind_of_change(self) -> str:
        """Say what the change is of."""
        return "the change is the typical one of a request, not that of the two medians"
