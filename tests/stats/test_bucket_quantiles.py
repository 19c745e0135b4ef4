import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canaryjudge.stats.bucket_quantiles import bucket_quantile, bucket_quantile_bucket, counts_at_most

EDGES = np.array([0.1, 0.2, 0.4, 0.8, np.inf])


@st.composite
def filled(draw):
    """Values and their histogram."""
    values = draw(st.lists(st.floats(0.01, 2.0), min_size=1, max_size=40))
    return np.array(values), np.bincount(np.searchsorted(EDGES, values), minlength=len(EDGES))


@settings(derandomize=True, max_examples=200)
@given(filled(), st.floats(0.0, 1.0))
def test_a_quantile_lies_in_its_bucket_and_so_does_the_estimate(data, q):
    values, counts = data
    low, high = bucket_quantile_bucket(EDGES, counts, q)
    assert low < np.quantile(values, q, method="inverted_cdf") <= high
    if 0 < q < 1:
        assert max(low, 0.1) <= bucket_quantile(EDGES, counts, q) <= min(high, 0.8)


@settings(derandomize=True, max_examples=200)
@given(filled(), st.one_of(st.sampled_from(EDGES.tolist()), st.floats(0.001, 3.0)))
def test_the_true_count_lies_between_the_fewest_and_the_most(data, value):
    values, counts = data
    fewest, most = counts_at_most(EDGES, counts, value)
    assert fewest <= (values <= value).sum() <= most
    assert fewest == most or value not in EDGES


def test_an_edge_that_is_reached_exactly_closes_its_bucket():
    assert bucket_quantile_bucket(EDGES, [1, 1, 1, 7, 0], 0.3) == (0.2, 0.4)
    assert bucket_quantile_bucket(EDGES, [1, 1, 1, 7, 0], 0.1) == (-np.inf, 0.1)
    assert bucket_quantile_bucket(EDGES, [7, 93, 0, 0, 0], 0.07) == (
        -np.inf,
        0.1,
    )  # .07 of 100 is a little more than 7
    assert bucket_quantile_bucket(EDGES, [0, 0, 1, 7, 2], 0.0) == (0.2, 0.4)
    assert bucket_quantile_bucket(EDGES, [0, 0, 1, 7, 2], 0.9) == (0.8, np.inf)


def test_each_interval_is_counted_by_itself():
    fewest, most = counts_at_most(EDGES, [[1, 2, 3, 4, 5], [0, 0, 1, 0, 0]], 0.3)
    assert fewest.tolist() == [3, 0]
    assert most.tolist() == [6, 1]


def test_a_quantile_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no observations"):
        bucket_quantile(EDGES, [0, 0, 0, 0, 0], 0.5)
