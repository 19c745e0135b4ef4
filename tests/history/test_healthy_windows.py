"""Healthy pairs: of the canary's length, from replicas, neighbors or the same time of the day, and what they are worth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import canaryjudge as cj
from canaryjudge.data import Series
from canaryjudge.history import Length, healthy_pairs

METRIC = cj.Metric(name="m", direction="increase")


def track(points, *, start=0.0, name="t", step=60.0):
    time = start + step * np.arange(points)
    return Series(name, np.arange(points, dtype=float), time=time)


def pairs_of(tracks, length, metric=METRIC, most=1000, seconds=None):
    return healthy_pairs(tracks, metric, Length(length, seconds), most, np.random.default_rng(1))


@given(st.integers(2, 40), st.integers(0, 400))
def test_neighbors_touch_have_the_length_and_lie_inside(length, points):
    found = pairs_of([Series("t", np.arange(float(points)))], length)
    assert bool(found.pairs) == (points >= 2 * length)
    for pair in found.pairs:
        assert len(pair.baseline) == len(pair.canary) == length
        if found.source == "neighbors":
            assert pair.canary.value[0] == pair.baseline.value[-1] + 1
    assert found.windows == points // length
    assert found.independent <= max(1, points // (2 * length)) or found.source == "clock"


def test_what_pairs_are_worth_is_how_many_share_nothing():
    found = pairs_of([track(400)], 40)
    assert (len(found.pairs), found.independent, found.source) == (33, 5, "neighbors")


def test_a_gap_parts_neighbors():
    found = pairs_of(
        [Series("t", np.arange(400.0), time=np.r_[np.arange(200), np.arange(1000, 1200)] * 60.0)], 40
    )
    assert all(np.ptp(np.r_[pair.baseline.time, pair.canary.time]) < 80 * 60 for pair in found.pairs)


def test_windows_that_are_never_neighbors_meet_at_the_same_time_of_the_day():
    days = [track(40, start=86400.0 * day + shift) for day in range(4) for shift in (0.0, 36000.0)]
    whole = Series(
        "t", np.concatenate([day.value for day in days]), time=np.concatenate([day.time for day in days])
    )
    found = pairs_of([whole], 40)
    assert found.source == "clock"
    apart = [abs(pair.canary.time[0] - pair.baseline.time[0]) % 86400 for pair in found.pairs]
    assert apart.count(0.0) == 6


def test_replicas_at_one_time_are_preferred():
    found = pairs_of([track(200, name=name) for name in "abcd"], 40)
    assert (found.source, found.replicas, found.windows, found.independent) == ("replicas", 4, 5, 10)
    assert len(found.pairs) == 30
    assert all(np.array_equal(pair.baseline.time, pair.canary.time) for pair in found.pairs)
    assert {pair.pairing for pair in found.pairs} == {"concurrent"}


def test_a_metric_of_windows_is_cut_into_windows_though_it_has_replicas():
    metric = cj.Metric(name="m", direction="increase", pairing="windows")
    assert pairs_of([track(200, name=name) for name in "ab"], 40, metric).source == "neighbors"


def test_samples_are_cut_by_time():
    rng = np.random.default_rng(2)
    time = np.sort(rng.uniform(0, 6000, 3000))
    metric = cj.Metric(name="m", kind="samples", direction="increase")
    found = pairs_of([Series("t", rng.normal(size=3000), time=time)], 60, metric, seconds=600.0)
    assert found.independent == 4  # ten windows less the last moments
    for pair in found.pairs:
        assert 200 < len(pair.baseline) < 400
        assert pair.baseline.time[-1] < pair.canary.time[0]


def test_pairs_know_which_others_share_no_data_with_them():
    found = pairs_of([track(400)], 40)
    for index, pair in enumerate(found.pairs):
        used = set(pair.baseline.value) | set(pair.canary.value)
        for other, apart in zip(found.pairs, found.apart_from(index), strict=True):
            assert apart == used.isdisjoint({*other.baseline.value, *other.canary.value})


@pytest.mark.parametrize("most", [1, 7])
def test_no_more_than_asked_for(most):
    found = pairs_of([track(400)], 40, most=most)
    assert len(found.pairs) == len(found.spans) == len(found.groups) == most
    assert found.independent <= most
