"""Planning: how long a canary must run, at what share of the traffic, to find a regression of a given size."""

from canaryjudge.planning.plan import ROLLOUTS, Plan, Simulation, plan

__all__ = ["ROLLOUTS", "Plan", "Simulation", "plan"]
