"""The least that makes a metric and a policy, for tests that change one thing about them."""

from canaryjudge.policy import Metric, Policy

MINIMAL = {"name": "a", "direction": "increase"}
SLO = {"rule": "slo", "of": "p99", "op": "lte", "value": "200ms"}


def metric(**settings):
    return Metric(**(MINIMAL | settings))


def policy(**settings):
    return Policy(**({"metrics": [MINIMAL]} | settings))
