"""Releases whose traffic is in segments, for tests of what is judged within them."""

import numpy as np
import pandas as pd

import canaryjudge as cj

MINUTES = 60
START = 1_772_442_000.0
ARMS = ("baseline", "canary")
SEVERAL = ("stable", "a", "b", "c")


def columns(segment, arm, **points):
    """Rows of one arm of one segment, whose name is of one column or of two."""
    names = dict(zip(("region", "device"), (segment,) if isinstance(segment, str) else segment, strict=False))
    return pd.DataFrame({"metric": "m", **names, "arm": arm, **points})


def gauges(rng, changes, noise=0.1):
    """An hour of a latency, whose segments share no noise; the canary's is changed by a part of its level."""
    found = []
    for place, (segment, change) in enumerate(changes.items()):
        load = 100 * (1 + place % 3) * np.exp(rng.normal(0, 0.2, MINUTES))
        for arm, factor in zip(ARMS, (1.0, 1 + change), strict=True):
            value = load * factor * np.exp(rng.normal(0, noise, MINUTES))
            found.append(columns(segment, arm, time=START + 60 * np.arange(MINUTES), value=value))
    return pd.concat(found, ignore_index=True)


def errors(rng, changes, requests, rates, minutes=30):
    """Errors of so many requests of each segment's two arms, at the segments' own rates."""
    found = []
    for segment, change in changes.items():
        for arm, factor, number in zip(ARMS, (1.0, 1 + change), requests[segment], strict=True):
            total = np.full(minutes, round(number / minutes))
            value = rng.binomial(total, rates[segment] * factor)
            found.append(
                columns(segment, arm, time=START + 60 * np.arange(minutes), value=value, total=total)
            )
    return pd.concat(found, ignore_index=True)


def samples(rng, changes, sizes):
    """Latencies of so many requests of each segment's two arms."""
    found = []
    for place, (segment, change) in enumerate(changes.items()):
        for arm, factor, size in zip(ARMS, (1.0, 1 + change), sizes[segment], strict=True):
            value = rng.lognormal(np.log(100 * (1 + place)), 0.3, size) * factor
            found.append(columns(segment, arm, value=value))
    return pd.concat(found, ignore_index=True)


def shifted_errors(rng, change, traffic=200_000):
    """Two segments, of which the canary has four fifths of the one with six times the errors, and the baseline a fifth."""
    half = traffic / 2
    requests = {"us": (0.8 * half, 0.2 * half), "eu-west": (0.2 * half, 0.8 * half)}
    return errors(rng, dict.fromkeys(requests, change), requests, {"us": 0.01, "eu-west": 0.06})


def arms_of_one_mix(rng, changes, noise=0.05):
    """Latencies of three regions under loads that all arms share; each arm is changed by a part, which may be the regions' own."""
    found = []
    for place, region in enumerate(("eu", "us", "asia")):
        load = 100 * (1 + place) * np.exp(rng.normal(0, 0.2, MINUTES))
        for arm in SEVERAL:
            change = changes.get(arm, 0.0)
            own = change.get(region, 0.0) if isinstance(change, dict) else change
            value = load * (1 + own) * np.exp(rng.normal(0, noise, MINUTES))
            found.append(columns(region, arm, time=START + 60 * np.arange(MINUTES), value=value))
    return pd.concat(found, ignore_index=True)


def arms_of_two_mixes(rng, changes, requests=200_000):
    """Errors of an arm each, of which `c` has four fifths of the region with six times the errors and the others a fifth."""
    found = []
    for region, rate in (("us", 0.01), ("eu", 0.06)):
        for arm in SEVERAL:
            part = 0.8 if (arm == "c") == (region == "eu") else 0.2
            total = np.full(30, round(requests * part / 30))
            value = rng.binomial(total, rate * (1 + changes.get(arm, 0.0)))
            found.append(columns(region, arm, time=START + 60 * np.arange(30), value=value, total=total))
    return pd.concat(found, ignore_index=True)


def policy(by=("region",), *, segments=None, **metric):
    """A policy that compares one metric within segments."""
    asked = cj.Metric(**({"name": "m", "direction": "increase"} | metric))
    return cj.Policy(metrics=[asked], segments={"by": by, **(segments or {})})
