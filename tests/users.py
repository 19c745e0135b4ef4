"""Users of an experiment: what each brings, what was known of them from before, and what they add up to."""

import itertools

import numpy as np


def users(rng, size, *, change=0.0, named="u"):
    """Clicks of users, out of 1 to 8 sessions each, and the clicks a session that they were known for."""
    sessions = rng.integers(1, 9, size).astype(float)
    before = rng.gamma(2.0, 1.0, size)
    clicks = sessions * before * (1 + change) + rng.normal(0, 1, size)
    return {
        "user": np.array([f"{named}{number}" for number in range(size)]),
        "value": clicks,
        "total": sessions,
        "covariate": before,
    }


def summed(columns):
    """What a warehouse gives in their place."""
    numbers = {name: column for name, column in columns.items() if name != "user"}
    sums = {name: float(column.sum()) for name, column in numbers.items()}
    for first, second in itertools.combinations_with_replacement(numbers, 2):
        sums[f"{first}*{second}"] = float((numbers[first] * numbers[second]).sum())
    return {"n": len(columns["value"]), "sums": sums}
