"""Faults of a known size are of that size, in the bad direction, and nothing else changes."""

import numpy as np
import pytest

from canaryjudge.data import Arm, MetricPair
from canaryjudge.kinds import KINDS
from canaryjudge.simulate import inject

RNG = np.random.default_rng(1)
EDGES = np.append(np.arange(10.0, 400.0, 10.0), np.inf)


def pair(kind):
    if kind == "histogram":
        buckets = np.stack(
            [
                np.bincount(np.searchsorted(EDGES, RNG.normal(100, 20, 5000)), minlength=len(EDGES))
                for _ in range(40)
            ]
        ).astype(float)
        arm = Arm(buckets.sum(axis=1), buckets=buckets)
        return MetricPair("m", kind, arm, arm, edges=EDGES)
    if kind in ("ratio", "count"):
        total = np.full(40, 1e5)
        arms = [Arm(RNG.binomial(100_000, 0.01, 40).astype(float), total) for _ in range(2)]
    else:
        arms = [Arm(RNG.normal(100, 5, 40)) for _ in range(2)]
    return MetricPair("m", kind, *arms)


def level(arm, edges=EDGES):
    if arm.buckets is not None:
        below = arm.buckets.sum(axis=0).cumsum()
        return float(np.interp(below[-1] / 2, below, edges[: len(below)]))
    return float(np.median(arm.value)) if arm.total is None else arm.events / arm.exposure


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("direction", "factor"), [("increase", 1.25), ("either", 1.25), ("decrease", None)])
def test_a_shift_moves_the_level_by_its_size(kind, direction, factor):
    healthy = pair(kind)
    ill = inject(healthy, "shift", 0.25, direction, np.random.default_rng(2))
    if factor is None:
        factor = 1 / 1.25 if KINDS[kind].counts_events else 0.75
    assert level(ill.canary) / level(healthy.canary) == pytest.approx(factor, rel=0.03)
    assert ill.baseline is healthy.baseline


@pytest.mark.parametrize("kind", ["gauge", "samples"])
def test_a_tail_is_a_tenth_of_the_points_at_random(kind):
    healthy = pair(kind)
    ill = inject(healthy, "tail", 1.0, "increase", np.random.default_rng(2))
    changed = ill.canary.value != healthy.canary.value
    assert changed.sum() == 4
    assert np.allclose(ill.canary.value[changed], 2 * healthy.canary.value[changed])


def test_a_tail_of_a_histogram_is_a_tenth_of_its_observations():
    healthy = pair("histogram")
    ill = inject(healthy, "tail", 1.0, "increase", np.random.default_rng(2))
    assert ill.canary.value.sum() == pytest.approx(healthy.canary.value.sum())
    beyond = ill.canary.buckets[:, EDGES > 180].sum() / ill.canary.value.sum()
    assert beyond == pytest.approx(0.1 * 0.69, abs=0.01)  # of 2 N(100, 20), so much lies beyond 180


@pytest.mark.parametrize("kind", KINDS)
def test_a_burst_is_a_tenth_of_the_window_in_one_piece(kind):
    healthy = pair(kind)
    ill = inject(healthy, "burst", 0.5, "increase", np.random.default_rng(2))
    if kind == "histogram":
        changed = (ill.canary.buckets != healthy.canary.buckets).any(axis=1)
    else:
        changed = ill.canary.value != healthy.canary.value
    places = np.flatnonzero(changed)
    assert 1 <= len(places) <= 4
    assert np.ptp(places) <= 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("direction", ["increase", "decrease"])
def test_the_same_seed_gives_the_same_fault_and_counts_stay_possible(kind, direction):
    healthy = pair(kind)
    for fault in KINDS[kind].faults:
        one, other = (inject(healthy, fault, 200.0, direction, np.random.default_rng(3)) for _ in range(2))
        assert np.array_equal(one.canary.value, other.canary.value)
        assert np.isfinite(one.canary.value).all()
        if kind == "ratio":
            assert (one.canary.value <= one.canary.total).all()
        if kind in ("ratio", "count", "histogram"):
            assert (one.canary.value >= 0).all()
        if kind == "histogram":
            assert (one.canary.buckets >= -1e-9).all()
