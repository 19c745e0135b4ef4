"""Histograms of latencies in the forms in which they come, for tests."""

import math

import numpy as np
import pytest

from canaryjudge.data import read_pairs
from canaryjudge.errors import DataError
from canaryjudge.policy import Metric, Policy

T0 = 1_700_000_000.0
INF = math.inf
EDGES = [0.1, 0.5, INF]
COUNTS = {"baseline": [[90, 8, 2], [85, 10, 5], [70, 20, 1]], "canary": [[9, 1, 0], [6, 2, 2], [7, 0, 3]]}


def policy(**given):
    return Policy(metrics=[Metric(name="latency", kind="histogram", unit="s", direction="increase", **given)])


def read(data, **given):
    return read_pairs(data, policy(**given))["latency"]


def minutes(n, start=0):
    return [T0 + 60.0 * (start + i) for i in range(n)]


def rows_of(arm, counts, times=None, edges=EDGES, **more):
    """Rows as Prometheus has them: cumulative over le."""
    times = minutes(len(counts)) if times is None else times
    return [
        {"metric": "latency", "arm": arm, "time": time, "le": le, "value": value} | more
        for time, row in zip(times, counts, strict=True)
        for le, value in zip(edges, np.cumsum(row).tolist(), strict=True)
    ]


def rows(edges=EDGES, counts=COUNTS):
    return [row for arm in counts for row in rows_of(arm, counts[arm], edges=edges)]


def both(canary, baseline=None):
    """Rows of a canary beside those of a baseline that nothing is wrong with."""
    return (rows_of("baseline", COUNTS["baseline"]) if baseline is None else baseline) + canary


def notes(pair, code):
    return [(note.arm, note.count) for note in pair.notes if note.code == code]


def matrix(arm, **more):
    return {"time": minutes(3), "edges": [0.1, 0.5], "buckets": COUNTS[arm]} | more


def refused(data, **given):
    with pytest.raises(DataError) as caught:
        read(data, **given)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return str(caught.value)
