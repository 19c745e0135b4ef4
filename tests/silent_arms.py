"""Arms of every kind, and what an arm looks like that stops reporting: its rows absent, without values, without traffic, or at a standstill."""

import numpy as np

T0 = 1_767_225_600.0
MINUTES = T0 + 60.0 * np.arange(60)
EDGES = np.array([0.1, 0.2, 0.5, 1.0, np.inf])
KINDS = (
    "gauge",
    "samples",
    "ratio",
    "ratio counter",
    "count",
    "count counter",
    "count with total",
    "histogram",
    "histogram counter",
)
FORMS = ("absent", "missing", "still")


def settings(kind):
    """What a policy says of it."""
    name, _, rest = kind.partition(" ")
    found = {"name": "m", "kind": name, "direction": "increase"}
    found |= {"counter": True} if rest == "counter" else {}
    return found | ({"tolerance": {"absolute": "1%"}} if name == "ratio" else {})


def arm(kind, rng):
    """An hour of a healthy arm."""
    name, _, rest = kind.partition(" ")
    if name == "gauge":
        found = {"value": rng.normal(100, 3, 60)}
    elif name == "samples":
        time = np.sort(T0 + 3600 * rng.random(1200))
        return {"value": rng.normal(100, 3, 1200), "time": time}
    elif name == "ratio":
        found = {"value": rng.binomial(3000, 0.002, 60), "total": rng.poisson(3000, 60)}
    elif name == "count":
        found = {"value": rng.poisson(400, 60)}
        found |= {"total": rng.poisson(900, 60)} if rest == "with total" else {}
    else:
        found = {"buckets": rng.multinomial(2000, [0.4, 0.3, 0.2, 0.09, 0.01], 60)}
    if rest == "counter":
        found = {column: 50.0 + numbers.cumsum(axis=0) for column, numbers in found.items()}
    found = {column: numbers.astype(float) for column, numbers in found.items()}
    return found | {"time": MINUTES} | ({"edges": EDGES} if name == "histogram" else {})


def silenced(kind, columns, start, end, form):
    """The same arm, which says nothing from one part of the hour to another."""
    where = (columns["time"] - T0) / 3600
    mute = (where >= start) & (where < end)
    numbers = {name: column for name, column in columns.items() if name not in ("time", "edges")}
    beside = {name: column for name, column in columns.items() if name == "edges"}
    if form == "absent" or (form == "still" and kind == "samples"):
        return (
            {name: column[~mute] for name, column in numbers.items()}
            | beside
            | {"time": columns["time"][~mute]}
        )
    for name, given in numbers.items():
        column = given.copy()
        if form == "missing":
            column[mute] = np.nan
        elif kind.endswith("counter"):
            grown = np.diff(column, axis=0, prepend=column[:1] * 0)
            grown[mute] = 0
            column = grown.cumsum(axis=0)
        else:
            column[mute] = 0
        numbers[name] = column
    return numbers | beside | {"time": columns["time"]}


def in_updates(data, seconds=300.0):
    """Data as they come to a monitor."""
    for start in np.arange(T0, T0 + 3600, seconds):
        update = {}
        for name, columns in data.items():
            new = (columns["time"] >= start) & (columns["time"] < start + seconds)
            update[name] = {key: column if key == "edges" else column[new] for key, column in columns.items()}
        yield {"m": update}
