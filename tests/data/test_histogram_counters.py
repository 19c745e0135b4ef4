"""Histograms that only grow, as processes count them: differenced, each replica by itself."""

import numpy as np
import pytest
from histogram_data import COUNTS, EDGES, T0, minutes, rows_of
from hypothesis import given
from hypothesis import strategies as st

from canaryjudge.data.diagnostics import Location
from canaryjudge.data.frames import object_array
from canaryjudge.data.histograms import read_buckets
from canaryjudge.data.sources import raw_series


class Notes(dict):
    def __call__(self, code, count, **facts):
        self[code] = self.get(code, 0) + count


def read(series, *, counter=True):
    notes = Notes()
    raw = raw_series(series, Location("latency", "canary"))
    seconds = None if raw.time is None else np.asarray(raw.time, dtype=np.float64)
    return read_buckets(raw, seconds, notes, counter=counter), notes


def columns_of(rows):
    return {
        name: object_array([row[name] for row in rows]) for name in rows[0] if name not in ("metric", "arm")
    }


def grown(counts):
    return np.cumsum([[100, 50, 20], *counts], axis=0).tolist()


def replica(name, counts, start=0):
    return rows_of("canary", grown(counts), minutes(len(counts) + 1, start), replica=name)


@pytest.mark.parametrize("form", ["rows", "matrix", "ranges"])
def test_what_a_histogram_grew_by_is_counted(form):
    counts = COUNTS["canary"]
    if form == "rows":
        series = columns_of(rows_of("canary", grown(counts), minutes(4)))
    else:
        series = {"time": minutes(4), "edges": EDGES, "buckets": grown(counts)}
    if form == "ranges":
        lower = [0.01, *EDGES[:-1]]
        series = {"time": minutes(4)}
        series["buckets"] = [list(map(list, zip(lower, EDGES, row, strict=True))) for row in grown(counts)]
    found, notes = read(series)
    at = found.edges.searchsorted(EDGES)
    assert found.buckets.cumsum(axis=1)[:, at].tolist() == np.cumsum(counts, axis=1).tolist()
    assert found.time.tolist() == minutes(3, start=1)
    assert not notes


def test_replicas_are_differenced_by_themselves_and_then_added_up():
    first, second = [[9, 1, 0], [6, 2, 2]], [[1, 1, 1], [0, 0, 4]]
    rows = [row for pair in zip(replica("b", first), replica("a", second), strict=True) for row in pair]
    found, notes = read(columns_of(rows))
    assert found.buckets.tolist() == np.add(first, second).tolist()
    assert [(own.arm, own.buckets.tolist()) for own in found.replicas] == [("a", second), ("b", first)]
    assert all(own.edges is found.edges for own in found.replicas)
    assert not notes


def test_a_replica_that_comes_later_begins_with_its_second_point():
    found, _ = read(columns_of(replica("a", [[9, 1, 0]] * 3) + replica("b", [[1, 1, 1]], start=2)))
    assert found.buckets.tolist() == [[9, 1, 0], [9, 1, 0], [10, 2, 1]]
    assert [len(own.buckets) for own in found.replicas] == [3, 1]


def test_a_histogram_that_falls_in_any_bucket_has_begun_anew():
    counters = [[50, 20, 5], [60, 21, 5], [61, 3, 0], [70, 4, 0]]
    found, notes = read({"time": minutes(4), "edges": EDGES, "buckets": counters})
    assert found.buckets.tolist() == [[10, 1, 0], [61, 3, 0], [9, 1, 0]]
    assert notes == {"counter_resets": 1}


def test_a_bucket_falls_although_what_is_at_most_as_large_grows():
    counters = [[10, 10, 10], [20, 5, 6], [25, 6, 6]]
    found, notes = read({"time": minutes(3), "edges": EDGES, "buckets": counters})
    assert (found.buckets.tolist(), notes) == ([[5, 1, 0]], {"unclear_resets": 1})


def test_a_histogram_of_which_some_buckets_fall_and_others_go_on_is_left_out():
    # a sum over processes of which one has gone: its lifetime is no interval's count
    counters = [[5e8, 20, 5], [5e8 + 10, 21, 5], [5e8 - 3, 900, 6], [5e8 + 6, 901, 6]]
    found, notes = read({"time": minutes(4), "edges": EDGES, "buckets": counters})
    assert found.buckets.tolist() == [[10, 1, 0], [9, 1, 0]]
    assert notes == {"unclear_resets": 1}


def test_without_names_or_with_a_single_one():
    series = {"time": minutes(3), "edges": EDGES, "buckets": grown([[1, 2, 3], [4, 5, 6]])}
    found, _ = read(series)
    assert found.replicas == ()
    found, _ = read(series | {"replica": ["a"] * 3})
    assert [(own.arm, own.buckets.tolist()) for own in found.replicas] == [("a", [[1, 2, 3], [4, 5, 6]])]
    found, _ = read(series | {"replica": ["a"] * 3}, counter=False)
    assert len(found.replicas[0].buckets) == 3


def test_the_first_point_alone_says_nothing():
    found, _ = read({"time": minutes(1), "edges": EDGES, "buckets": [[1, 2, 3]]})
    assert found is None or not len(found.buckets)


def test_without_times_points_are_in_order():
    found, _ = read({"edges": EDGES, "buckets": grown([[1, 2, 3], [4, 5, 6]])})
    assert found.buckets.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_a_scale_that_falls_makes_all_coarser():
    """A counter's scale only falls; what is known at the coarser one is differenced there."""
    fine = {"scale": 1, "positive": {"offset": 0, "bucketCounts": [5, 1, 0, 2]}}
    coarse = {"scale": 0, "positive": {"offset": 0, "bucketCounts": [9, 7]}}
    found, notes = read({"time": minutes(2), "exponential": [fine, coarse]})
    assert found.buckets.sum() == 16 - 8
    at = found.edges.searchsorted([1.0, 2.0, 4.0])
    assert found.edges[at].tolist() == [1.0, 2.0, 4.0]
    assert found.buckets.cumsum(axis=1)[0, at].tolist() == [0, 3, 8]
    assert notes == {"merged_buckets": 2}


counts = st.lists(st.lists(st.integers(0, 30), min_size=3, max_size=3), min_size=1, max_size=5)


@given(st.lists(counts, min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_counters_of_any_replicas_give_what_was_counted(parts, random):
    rows = [row for number, part in enumerate(parts) for row in replica(f"r{number}", part)]
    random.shuffle(rows)
    found, notes = read(columns_of(rows))
    size = max(map(len, parts))
    expected = np.zeros((size, 3))
    for part in parts:
        expected[: len(part)] += part
    assert found.buckets.tolist() == expected.tolist()
    assert found.time.tolist() == [T0 + 60.0 * (i + 1) for i in range(size)]
    assert "counter_resets" not in notes
