"""Patterns of delivery on top of watches: the stages of a rollout."""

from canaryjudge.patterns.rollout import Rollout
from canaryjudge.patterns.rollout_verdict import RolloutVerdict

__all__ = ["Rollout", "RolloutVerdict"]
