"""Patterns of delivery: the stages of a rollout, on top of watches, and the users of a feature flag."""

from canaryjudge.patterns.experiment import Exposed, exposed, percentile_by_user
from canaryjudge.patterns.rollout import Rollout
from canaryjudge.patterns.rollout_verdict import RolloutVerdict

__all__ = ["Exposed", "Rollout", "RolloutVerdict", "exposed", "percentile_by_user"]
