"""Releases of every outcome, for what tools ask of them."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
from server.gates import asking, minute, policies

PLAIN = """
version: 1
max_duration: 2h
metrics:
- {name: latency, unit: ms, direction: increase}
- {name: errors, kind: ratio, direction: increase, dispersion: 1, tolerance: 60%}
"""
STAGED = """
version: 1
metrics:
- {name: errors, kind: ratio, direction: increase, pass_within: {absolute: 0.5%}, dispersion: 1}
stages:
- {canary: 5%, max_duration: 1h}
- {canary: 50%, max_duration: 1h}
"""
START = 1_795_990_000.0


def minutes(count, first=0, **how):
    """Points of so many minutes together."""
    found: dict = {}
    for number in range(first, first + count):
        for metric, arms in minute(number, **how).items():
            for arm, columns in arms.items():
                own = found.setdefault(metric, {}).setdefault(arm, {})
                for name, values in columns.items():
                    own.setdefault(name, []).extend(values)
    return found


def released(asked, outcome, service="podinfo.test", revision=None):
    """Make a release that passes, fails, is marginal or has no data yet, and name its revision."""
    revision = revision or outcome
    path = f"/v1/releases/{service}/{revision}"
    told = asked("PUT", path).json()
    if outcome != "no_data":
        points = {"pass": minutes(60), "marginal": minutes(3), "fail": minutes(12, errors=60)}[outcome]
        told = asked("POST", path, json=points).json()
    assert (told["outcome"], told["no_data"]) == (
        outcome.replace("no_data", "marginal"),
        outcome == "no_data",
    )
    return revision


@contextmanager
def tools(tmp_path, **how):
    """Ask a gate that has both policies."""
    folder = policies(tmp_path / "policies", default=PLAIN, staged=STAGED)
    with asking(tmp_path, folder=folder, **how) as asked:
        yield asked


def staged_minutes(share, first, count, rate=0.002, canary_rate=None):
    """Points of a rollout whose canary has a share of the traffic."""
    rng = np.random.default_rng(first)
    requests = {"baseline": round(200_000 * (1 - share)), "canary": round(200_000 * share)}
    rates = {"baseline": rate, "canary": rate if canary_rate is None else canary_rate}
    time = [START + 60.0 * number for number in range(first, first + count)]
    return {
        "errors": {
            arm: {
                "time": time,
                "value": rng.binomial(total, rates[arm], count).tolist(),
                "total": [total] * count,
            }
            for arm, total in requests.items()
        }
    }
