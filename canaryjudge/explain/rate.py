"""Words for a changed rate of events."""

from __future__ import annotations

from canaryjudge.explain.changes import EventsWords
from canaryjudge.explain.words import words
from canaryjudge.rules.rate import RateFinding

__all__: list[str] = []


@words(RateFinding)
class _RateWords(EventsWords[RateFinding]):
    """What is said of a changed rate of events."""
