"""Streams of every kind of metric, for what is watched."""

import numpy as np

import canaryjudge as cj

EDGES = np.append(0.2 * 1.5 ** np.arange(10), np.inf)


def arm(kind, rng, size, *, harm=1.0, start=0, level=0.01, requests=1000, each=12):
    """One arm's data as a mapping of columns; `harm` multiplies errors, values or latencies."""
    time = 60.0 * np.arange(start, start + size)
    if kind in ("ratio", "success"):
        errors = rng.binomial(requests, min(level * harm, 1.0), size)
        value = errors if kind == "ratio" else requests - errors
        return {"time": time, "value": value, "total": np.full(size, requests)}
    if kind == "count":
        return {"time": time, "value": rng.poisson(10 * harm, size)}
    if kind == "gauge":
        return {"time": time, "value": rng.normal(100 * harm, 3, size)}
    if kind == "samples":
        times = np.repeat(time, each) + np.tile(np.linspace(0, 9, each), size)
        return {"time": times, "value": rng.lognormal(0, 0.3, each * size) * harm}
    latencies = rng.lognormal(0, 0.5, (size, 200)) * harm
    value = (latencies[:, :, None] <= EDGES).sum(axis=1)
    return {"time": np.repeat(time, len(EDGES)), "le": np.tile(EDGES, size), "value": value.ravel()}


def both(kind, seed, size, *, harm=1.0, start=0, **settings):
    """Both arms of an update."""
    rng = np.random.default_rng(seed)
    return {
        "baseline": arm(kind, rng, size, start=start, **settings),
        "canary": arm(kind, rng, size, harm=harm, start=start, **settings),
    }


# of each method: the metric's kind, its settings, the policy's, and harm that it should find
METHODS = {
    "mixture": ("ratio", {"tolerance": "50%"}, {}, 4.0),
    "mixture of successes": (
        "success",
        {"direction": "decrease", "tolerance": {"relative": "0%", "absolute": "0.5%"}},
        {},
        4.0,
    ),
    "mixture of counts": ("count", {"tolerance": "50%"}, {}, 4.0),
    "cmh": ("histogram", {"tolerance": "20%"}, {}, 2.0),
    "scores": ("samples", {"tolerance": "20%"}, {}, 2.0),
    "ranks": ("samples", {"tolerance": "20%", "rules": [cj.Sequential(independent=True)]}, {}, 2.0),
    "betting": ("gauge", {"tolerance": "10%", "rules": [cj.Sequential(method="betting", cap=300)]}, {}, 2.0),
    "mean": ("gauge", {"tolerance": "10%", "rules": [cj.Sequential(method="mean")]}, {}, 2.0),
    "looks": ("gauge", {"tolerance": "10%"}, {"max_points": 60}, 2.0),
    "looks at shares": (
        "ratio",
        {"tolerance": "50%", "rules": [cj.Sequential(method="looks")]},
        {"max_points": 60},
        4.0,
    ),
}


def policy_of(name, **settings):
    """The policy of a method's metric `m`."""
    kind, metric, policy, _ = METHODS[name]
    given = {"name": "m", "kind": "ratio" if kind == "success" else kind, "direction": "increase"}
    return cj.Policy(**({"metrics": [cj.Metric(**(given | metric | settings))]} | policy))


def update_of(name, seed, size, *, harmful=False, start=0, **settings):
    """An update of a method's metric."""
    kind, _, _, harm = METHODS[name]
    return {"m": both(kind, seed, size, harm=harm if harmful else 1.0, start=start, **settings)}
