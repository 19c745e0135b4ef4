"""Releases that never were: faults put into healthy pairs, and arms made up from assumptions. Pure: randomness comes in as an argument."""

from canaryjudge.simulate.faults import Fault, inject

__all__ = ["Fault", "inject"]
