"""Layouts of buckets: what several histograms know together, against a slow oracle."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryjudge.data.buckets import coarsened, common_edges, filled, lasting, regrouped, without_idle
from canaryjudge.data.exponential_histograms import SparseBuckets, powers
from canaryjudge.errors import DataError

INF = math.inf
CANDIDATES = [-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 5.0]


layouts = st.lists(st.sampled_from(CANDIDATES), min_size=1, max_size=6, unique=True).map(
    lambda edges: [*sorted(edges), INF]
)


@st.composite
def histograms(draw):
    edges = draw(layouts)
    size = draw(st.integers(1, 3))
    row = st.lists(st.sampled_from([0, 0, 1, 4]), min_size=len(edges), max_size=len(edges))
    counts = draw(st.lists(row, min_size=size, max_size=size))
    return np.array(edges), np.array(counts, dtype=np.float64)


def count_up_to(edges, counts, edge):
    """How many observations are at most as large; None where a bucket in which there are some lies on both sides."""
    total = 0.0
    for lower, upper, count in zip([-INF, *edges[:-1]], edges, counts, strict=True):
        if upper <= edge:
            total += count
        elif lower < edge and count:
            return None
    return total


def known(edges, counts, edge):
    return all(count_up_to(edges, row, edge) is not None for row in counts)


@given(st.lists(histograms(), min_size=1, max_size=3))
def test_common_edges_are_those_that_every_histogram_knows(parts):
    union = sorted({float(edge) for edges, _ in parts for edge in edges})
    expected = [edge for edge in union if all(known(*part, edge) for part in parts)]
    common = common_edges(parts)
    assert common.tolist() == expected
    for edges, counts in parts:
        found = regrouped(edges, counts, common).cumsum(axis=1)
        assert found.tolist() == [[count_up_to(edges, row, edge) for edge in expected] for row in counts]


@given(histograms())
def test_a_gap_that_leaves_no_doubt_is_filled(part):
    edges, counts = part
    every = np.array([*CANDIDATES, INF])
    given_ = np.full((len(counts), len(every)), np.nan)
    given_[:, every.searchsorted(edges)] = counts.cumsum(axis=1)
    expected = [[count_up_to(edges, row, edge) for edge in every] for row in counts]
    assert [[None if np.isnan(x) else x for x in row] for row in filled(given_).tolist()] == expected


def test_without_the_last_bucket_nothing_is_known_beyond():
    assert np.isnan(filled(np.array([[1.0, 2.0, np.nan]]))).tolist() == [[False, False, True]]


@given(histograms())
def test_sparse_buckets_count_as_full_ones_do(part):
    edges, counts = part
    row, column = np.nonzero(counts)
    lower = np.array([-INF, *edges[:-1]])
    sparse = SparseBuckets(len(counts), row, lower[column], edges[column], counts[row, column])
    every = np.array([*CANDIDATES, INF])
    expected = [[count_up_to(edges, each, edge) for edge in every] for each in counts]
    found = sparse.up_to(every)
    assert [[None if np.isnan(x) else x for x in each] for each in found.tolist()] == expected
    assert set(sparse.edges) <= {*edges, *lower}
    twice = SparseBuckets.joined([sparse, sparse])
    np.testing.assert_array_equal(twice.up_to(every), np.concatenate([found, found]))


def test_no_histograms_have_nothing():
    none = SparseBuckets.joined([])
    assert (none.size, none.edges.tolist(), none.up_to(np.array([1.0, INF])).shape) == (0, [INF], (0, 2))
    assert not len(common_edges([]))


def test_arms_without_a_common_edge_are_refused():
    fine, other = np.array([1.0, INF]), np.array([2.0, INF])
    with pytest.raises(
        DataError, match="latency: the histograms of both arms have only the edge inf in common"
    ):
        coarsened((fine, other), (np.array([[1.0, 1.0]]), np.array([[1.0, 1.0]])), "latency")
    # 2 lies where the first arm has none
    edges, _, lost = coarsened((fine, other), (np.array([[4.0, 0.0]]), np.array([[1.0, 1.0]])), "latency")
    assert (edges.tolist(), lost) == ([2.0, INF], (0, 0))


def test_edges_at_or_below_zero_that_nothing_reaches_are_left_out():
    edges = np.array([-1.0, 0.0, 5.0, INF])
    sizes, zeros, negative = [0.0, 0.0, 7.0, 1.0], [0.0, 2.0, 7.0, 1.0], [1.0, 2.0, 7.0, 1.0]
    for row, expected in ((sizes, [5.0, INF]), (zeros, [0.0, 5.0, INF]), (negative, edges.tolist())):
        assert without_idle(edges, [(edges, np.array([row]))]).tolist() == expected
    assert without_idle(edges, [(edges, np.array([sizes])), (edges, np.array([zeros]))]).tolist() == [
        0,
        5,
        INF,
    ]
    only = np.array([0.0, INF])
    assert without_idle(only, [(only, np.array([[0.0, 4.0]]))]).tolist() == [0.0, INF]


def exponential(low, high, scale, each=10.0):
    edges = np.append(powers(np.arange(low, high + 1), scale), INF)
    return edges, np.array([[0.0, *[each] * (high - low), 0.0]])


def test_a_watch_begins_with_edges_that_a_coarser_scale_has_too():
    edges, counts = exponential(-64, 64, 5)
    kept = lasting(edges, [(edges, counts)])
    assert kept.tolist() == [*powers(np.arange(-16, 17), 3).tolist(), INF]


def test_a_watch_of_values_that_lie_close_together_begins_with_a_finer_scale():
    edges, counts = exponential(0, 40, 8)
    kept = lasting(edges, [(edges, counts)])
    assert kept.tolist() == [*powers(np.arange(0, 11), 6).tolist(), INF]
    # few observations may be close by accident
    few = lasting(edges, [(edges, counts / 10)])
    assert few.tolist() == [1.0, powers([1], 3)[0], INF]


def test_a_watch_keeps_all_edges_that_are_of_no_exponential_layout():
    edges = np.array([0.005, 0.3, 1.0, INF])
    assert lasting(edges, [(edges, np.array([[5.0, 5.0, 1.0, 0.0]]))]).tolist() == edges.tolist()
