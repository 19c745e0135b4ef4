"""What a service's own past says: healthy pairs cut from it, and how much they differ though nothing is wrong."""

from canaryjudge.history.earlier_days import with_earlier_days
from canaryjudge.history.healthy_windows import (
    HealthyPairs,
    Length,
    canary_length,
    healthy_pairs,
    pairs_of_releases,
)
from canaryjudge.history.own_past import Asked, known_past, past_of, with_past

__all__ = [
    "Asked",
    "HealthyPairs",
    "Length",
    "canary_length",
    "healthy_pairs",
    "known_past",
    "pairs_of_releases",
    "past_of",
    "with_earlier_days",
    "with_past",
]
