"""Words for a watch."""

from __future__ import annotations

from typing import ClassVar

from canaryjudge.explain.changes import EVENT_TESTS, EventsWords
from canaryjudge.explain.mann_whitney import RANK_TESTS
from canaryjudge.explain.words import words
from canaryjudge.rules.sequential.evidence import SequentialFinding

__all__: list[str] = []

_STRATIFIED = ("mixture", "cmh")
"""Methods that compare the arms interval by interval, and weigh what they find there."""
_BY_INTERVAL = ("scores", "mean_sequence", "betting")
"""Methods that take all samples of an interval as one piece of evidence."""


@words(SequentialFinding)
class _SequentialWords(EventsWords[SequentialFinding]):
    methods: ClassVar = {
        **RANK_TESTS,
        **EVENT_TESTS,
        "mixture": "stratified rate-ratio mixture",
        "cmh": "sequential Cochran-Mantel-Haenszel test",
        "scores": "sequential rank test by intervals",
        "ranks": "sequential rank test by requests",
        "betting": "bets on bounded means",
        "mean_sequence": "sequential comparison of means",
        "user_means": "sequential delta method on users",
    }

    @property
    def watched(self) -> bool:
        """It goes on by itself."""
        return True

    @property
    def counted(self) -> str:
        """What is counted."""
        return "intervals" if self.finding.method in _BY_INTERVAL else super().counted

    def kind_of_change(self) -> str:
        """Say what the change is of."""
        if self.finding.method in _STRATIFIED:
            return "the change is the one within intervals, not that of the two totals"
        return super().kind_of_change()
