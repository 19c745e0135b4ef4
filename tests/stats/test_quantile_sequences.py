"""Quantiles by order statistics and histograms."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canaryjudge.stats.binomial_sequences import count_bounds
from canaryjudge.stats.quantile_sequences import quantile_interval, quantile_interval_from_counts

reproducible = settings(derandomize=True, deadline=None, max_examples=60)
numbers = st.lists(st.integers(-30, 30), max_size=150)
quantiles = st.floats(0.02, 0.98)
levels = st.floats(math.log(1e-4), math.log(0.3)).map(math.exp)


def not_refuted(values, q, level, rho, one_sided):
    """All numbers that could be the quantile, of those halfway between the values and the values themselves."""
    values = np.asarray(values)
    bounds = count_bounds(values.size, q, level, rho, one_sided=one_sided)
    candidates = np.arange(-62, 63) / 2
    at_most, below = (
        (candidates[:, np.newaxis] >= values).sum(1),
        (candidates[:, np.newaxis] > values).sum(1),
    )
    return candidates[(at_most >= bounds.low) & (below <= bounds.high)]


@given(values=numbers, q=quantiles, level=levels, rho=st.floats(2, 200), one_sided=st.booleans())
@reproducible
def test_the_interval_is_all_numbers_that_the_counts_do_not_refute(values, q, level, rho, one_sided):
    found = quantile_interval(values, q, level, rho, one_sided=one_sided)
    left = not_refuted(values, q, level, rho, one_sided)
    assert max(found.low, -31) == left.min()
    assert min(found.high, 31) == left.max()


@given(values=numbers, q=quantiles, level=levels, data=st.data())
@reproducible
def test_a_histogram_bounds_no_more_narrowly_and_a_fine_one_as_narrowly(values, q, level, data):
    edges = np.array(sorted(data.draw(st.sets(st.integers(-31, 31), min_size=1))), dtype=float)
    whole = quantile_interval(values, q, level, 20.0)
    coarse = quantile_interval_from_counts(
        np.searchsorted(np.sort(values), edges, "right"), len(values), edges, q, level, 20.0
    )
    assert coarse.low <= whole.low
    assert coarse.high >= whole.high
    fine = np.arange(-31.0, 32)
    counts = np.searchsorted(np.sort(values), fine, "right")
    found = quantile_interval_from_counts(counts, len(values), fine, q, level, 20.0)
    # values are whole, so that above one edge means at least the next
    assert found.high == whole.high
    assert found.low == whole.low - 1


def test_worked_example():
    """1000 values: at the 90 % quantile between 869.7 and 927.3 of them are no surprise."""
    values = np.random.default_rng(1).permutation(np.arange(1.0, 1001))
    found = quantile_interval(values, 0.9, 0.05, 126.0)
    assert (found.low, found.high) == (870, 928)
    one = quantile_interval(values, 0.9, 0.05, 126.0, one_sided=True)
    assert found.low < one.low < 900 < one.high < found.high


def test_a_batch_gives_what_single_series_give():
    rng = np.random.default_rng(2)
    values = rng.exponential(size=(3, 2, 400))
    found = quantile_interval(values, 0.5, 0.05, 50.0)
    alone = quantile_interval(values[2, 1], 0.5, 0.05, 50.0)
    assert found.low.shape == (3, 2)
    assert (found.low[2, 1], found.high[2, 1]) == (alone.low, alone.high)
    edges = np.array([0.3, 0.6, 0.6, 0.9, np.inf])
    counts, n = (values[..., np.newaxis] <= edges).sum(axis=-2), np.full((3, 2), 400)
    binned = quantile_interval_from_counts(counts, n, edges, 0.5, 0.05, 50.0)
    single = quantile_interval_from_counts(counts[0, 1], 400, edges, 0.5, 0.05, 50.0)
    assert binned.high.shape == (3, 2)
    assert (binned.low[0, 1], binned.high[0, 1]) == (single.low, single.high)


def test_few_values_bound_nothing():
    for values in ([], [1.0], np.arange(20.0)):
        found = quantile_interval(values, 0.99, 0.05, 50.0)
        assert found.high == np.inf
    assert quantile_interval([], 0.5, 0.05, 50.0).low == -np.inf
    assert quantile_interval_from_counts([0, 0], 0, [1.0, 2.0], 0.5, 0.05, 50.0).low == -np.inf


WRONG = [
    (lambda: quantile_interval([1.0, np.nan], 0.5, 0.05, 10), "none of them missing"),
    (lambda: quantile_interval(1.0, 0.5, 0.05, 10), "must be a list of numbers"),
    (lambda: quantile_interval([1.0], 1.0, 0.05, 10), "probability of an event must lie between 0 and 1"),
    (lambda: quantile_interval([1.0], 0.5, 0.0, 10), "level must lie between 0 and 1"),
    (lambda: quantile_interval([1.0], 0.5, 0.05, 0), "rho must be positive"),
    (lambda: quantile_interval_from_counts([1, 2], 2, [1.0], 0.5, 0.05, 10), "do not fit thresholds"),
    (lambda: quantile_interval_from_counts([1, 2], [2], [1.0, 2], 0.5, 0.05, 10), "numbers of shape"),
    (lambda: quantile_interval_from_counts([1, 2], 2, [2.0, 1], 0.5, 0.05, 10), "thresholds must not fall"),
    (lambda: quantile_interval_from_counts([2, 1], 2, [1.0, 2], 0.5, 0.05, 10), "counts must not fall"),
    (
        lambda: quantile_interval_from_counts([1, 3], 2, [1.0, 2], 0.5, 0.05, 10),
        "to the number of observations",
    ),
]


@pytest.mark.parametrize(("call", "sentence"), WRONG)
def test_impossible_arguments_are_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
