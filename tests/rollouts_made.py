"""Rollouts to be told and drawn: of the bundled stages, of names that others wrote, and of a leak that its owner is warned of."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

import canaryjudge as cj

__all__ = ["NASTY_NAME", "ROLLOUTS", "bundled", "leak", "many"]

STAGES = Path(__file__).parents[1] / "docs/examples/stages"
START = 1_772_442_000
NASTY_NAME = '<script>alert(1)</script>|$x$ "q"\u202e'


@cache
def bundled(last="good", first="good", minutes=90):
    """Play the bundled stages, with another file for the first or the last one; gives the last verdict."""
    policy = cj.load_policy(STAGES / "policy.yaml")
    files = {"1": f"{first}-1", "10": "good-10", "50": f"{last}-50"}
    frames = {share: pd.read_csv(STAGES / f"{name}.csv") for share, name in files.items()}
    rollout, now = cj.Rollout(policy), START
    for _ in range(minutes):
        frame = frames[f"{100 * rollout.verdict().share:g}"]
        rollout.update(frame[frame.time == now])
        now += 60
        if rollout.verdict().action in ("complete", "rollback"):
            break
    return rollout.verdict()


@cache
def leak(minutes=60):
    """Memory that grows by .1 % a minute, asked before it is beyond what is tolerated."""
    policy = cj.Policy(
        metrics=[{"name": "memory", "unit": "MiB", "direction": "increase", "tolerance": "10%"}],
        stages=[
            {"name": name, "canary": share, "min_duration": "30m", "max_duration": "40m"}
            for name, share in (("one pod", "5%"), ("a quarter", "25%"), ("half", "50%"))
        ],
    )
    rng, rollout = np.random.default_rng(1), cj.Rollout(policy)
    for minute in range(minutes):
        levels = 500 * np.exp(rng.normal(0, 0.01, 2)) * [1, 1 + 0.001 * minute]
        rollout.update(
            {
                "memory": {
                    arm: {"time": [START + 60 * minute], "value": [float(level)]}
                    for arm, level in zip(("baseline", "canary"), levels, strict=True)
                }
            }
        )
    return rollout.verdict()


@cache
def nasty():
    """Names that others wrote, and a day that ends in doubt."""
    policy = cj.Policy(
        metrics=[
            {
                "name": NASTY_NAME,
                "kind": "ratio",
                "direction": "increase",
                "tolerance": "50%",
                "dispersion": 1,
            },
            {"name": "depth", "direction": "either", "tolerance": {"absolute": 2}, "role": "guard"},
        ],
        stages=[
            {"name": f"</svg>{NASTY_NAME} {number}", "canary": share, "max_duration": "9h"}
            for number, share in enumerate(("1%", "2%", "5%"))
        ],
    )
    rng, rollout = np.random.default_rng(2), cj.Rollout(policy)
    for minute in range(40):
        share = rollout.verdict().share
        update = {
            NASTY_NAME: {
                arm: {
                    "time": [START + 1800 * minute],
                    "value": [round(20_000 * part * 0.05)],
                    "total": [round(20_000 * part)],
                }
                for arm, part in (("baseline", 1 - share), ("canary", share if minute < 3 else 0.5))
            },
            "depth": {
                arm: {"time": [START + 1800 * minute], "value": [float(rng.normal(0, 1))]}
                for arm in ("baseline", "canary")
            },
        }
        rollout.update(update)
    return rollout.verdict()


@cache
def many(metrics=20, minutes=34):
    """Twenty gauges, the last of which is beyond what is tolerated in the second stage."""
    policy = cj.Policy(
        metrics=[
            {"name": f"m{number}", "direction": "increase", "pass_within": "30%"} for number in range(metrics)
        ],
        stages=[{"canary": share, "max_duration": "15m"} for share in ("5%", "50%")],
    )
    rng, rollout = np.random.default_rng(3), cj.Rollout(policy)
    for minute in range(minutes):
        late = 1.5 if rollout.verdict().stage == "50%" else 1.0
        rollout.update(
            {
                f"m{number}": {
                    arm: {
                        "time": [START + 60 * minute],
                        "value": [
                            float(
                                rng.normal(100, 3)
                                * (late if arm == "canary" and number == metrics - 1 else 1)
                            )
                        ],
                    }
                    for arm in ("baseline", "canary")
                }
                for number in range(metrics)
            }
        )
        if rollout.verdict().action in ("complete", "rollback"):
            break
    return rollout.verdict()


def nothing():
    """A rollout that has seen nothing."""
    return cj.Rollout(cj.load_policy(STAGES / "policy.yaml")).verdict()


ROLLOUTS = {
    "complete": bundled,
    "rolled back": lambda: bundled("late"),
    "at once": lambda: bundled(first="bad"),
    "advancing": lambda: bundled(minutes=13),
    "leak": leak,
    "nasty rollout": nasty,
    "many": many,
    "nothing": nothing,
}
