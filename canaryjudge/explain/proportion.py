"""Words for a changed share of events."""

from __future__ import annotations

from typing import TypeVar

from canaryjudge.explain.changes import EventsWords
from canaryjudge.explain.words import words
from canaryjudge.rules.findings import EventsFinding
from canaryjudge.rules.proportion import ProportionFinding

__all__ = ["ProportionWords"]

V = TypeVar("V", bound=EventsFinding)


@words(ProportionFinding)
class ProportionWords(EventsWords[V]):
    """What is said of a changed share of events."""
