"""What a service's own past says: healthy pairs cut from it, and how much they differ though nothing is wrong."""

from canaryjudge.history.healthy_windows import HealthyPairs, Length, healthy_pairs, pairs_of_releases

__all__ = ["HealthyPairs", "Length", "healthy_pairs", "pairs_of_releases"]
