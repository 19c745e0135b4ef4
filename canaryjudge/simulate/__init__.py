"""Releases that never were: healthy pairs cut from history, and faults put into them. Pure: randomness comes in as an argument."""

from canaryjudge.simulate.faults import Fault, inject
from canaryjudge.simulate.healthy_windows import HealthyPairs, Length, healthy_pairs, pairs_of_releases

__all__ = ["Fault", "HealthyPairs", "Length", "healthy_pairs", "inject", "pairs_of_releases"]
