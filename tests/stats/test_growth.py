"""Growth within a window: against the formula by hand, and against what only looks like it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from simulation import ar1

from canaryjudge.stats.growth import (
    FEWEST_BLOCKS,
    block_means,
    growth_test,
    largest_swing,
    seen_smoothing,
)

LIMIT = float(np.log(1.1))


def slow_growth(series, limit):
    """Do it by hand, block by block."""
    length = -(-len(series) // 15)
    blocks = []
    rest = list(series)
    while len(rest) >= length:
        blocks.insert(0, sum(rest[-length:]) / length)
        rest = rest[:-length]
    ends = {1: 3, 2: 1}.get(length, 1)
    grown = sum(blocks[-ends:]) / ends - sum(blocks[:ends]) / ends
    steps = [after - before for before, after in pairwise(blocks)]
    mean = sum(steps) / len(steps)
    power = sum((step - mean) ** 2 for step in steps)
    rho = max(0.0, sum((a - mean) * (b - mean) for a, b in pairwise(steps)) / power)
    variance = power / (len(steps) - 1) * (1 + rho) / (1 - rho)
    error = (variance * len(steps) * 3 * length**2 / (2 * length**2 + 1)) ** 0.5
    return (
        grown,
        stats.t.sf((grown - limit) / error, len(blocks) - 2),
        stats.t.cdf((grown - limit) / error, len(blocks) - 2),
    )


@pytest.mark.parametrize("n", [6, 13, 15, 29, 30, 61, 200])
def test_it_is_the_formula(n):
    series = np.cumsum(np.random.default_rng(n).normal(0.1, 0.1, n))
    found = growth_test(series, [0.05])
    grown, greater, less = slow_growth(series, 0.05)
    assert_allclose([found.growth, found.pvalue_greater[0], found.pvalue_less[0]], [grown, greater, less])


@pytest.mark.parametrize("n", [15, 60])
def test_a_leak_is_found_with_its_rate(n):
    """1.15 GiB that grow to 1.64 within the window."""
    rng = np.random.default_rng(1)
    leak = np.log(1.15 + (1.64 - 1.15) * np.arange(n) / (n - 1)) - np.log(1.15) + 0.003 * rng.normal(size=n)
    found = growth_test(leak, [LIMIT])
    assert found.pvalue_greater[0] < 1e-4
    assert found.rate * (n - 1) == pytest.approx(np.log(1.64 / 1.15), rel=0.1)
    assert found.end == pytest.approx(np.log(1.64 / 1.15), rel=0.1)
    assert found.low[0] > LIMIT
    # 10 of 42 % were reached after a fifth of the window
    assert found.until[0] == pytest.approx(-0.77 * n, abs=0.1 * n)


def test_it_says_when_the_limit_will_be_crossed():
    rng = np.random.default_rng(2)
    found = growth_test(0.001 * np.arange(60) + 1e-4 * rng.normal(size=60), [0.02, 0.1, 0.5])
    assert_allclose(found.until, [20 - 59, 100 - 59, 500 - 59], atol=3)
    assert_array_equal(growth_test(-0.001 * np.arange(60), [0.1, -0.1]).until, [np.inf, -np.inf])


def test_a_smooth_leak_of_few_points_leaves_no_doubt():
    found = growth_test(0.05 * np.arange(10), [0.1, 0.45])
    assert found.pvalue_greater[0] < 1e-12
    assert found.pvalue_greater[1] > 0.5


def test_a_warm_up_that_ends_within_the_limit_is_no_leak():
    series = np.log(1 - 0.5 * np.exp(-np.arange(60) / 20)) + 0.003 * np.random.default_rng(3).normal(size=60)
    found = growth_test(series, [LIMIT])
    assert found.growth > 0.4
    assert found.end < LIMIT
    assert found.pvalue_greater[0] == 1


def test_what_the_baseline_does_itself_is_no_growth():
    rng = np.random.default_rng(4)
    leak = 0.3 * np.arange(60) / 60 + 0.01 * rng.normal(size=60)
    assert growth_test(leak, [LIMIT], usual=0.2).pvalue_greater[0] < 0.001
    assert growth_test(leak, [LIMIT], usual=0.4).pvalue_greater[0] == 1


def test_the_largest_swing_is_found_by_looking_at_all_pairs():
    series = np.random.default_rng(5).normal(size=(20, 47))
    means, _ = block_means(series)
    slow = [max(abs(b - a) for i, a in enumerate(row) for b in row[i:]) for row in means]
    assert_allclose(largest_swing(series), slow)


def test_a_block_is_as_long_as_the_query_looks_back():
    assert block_means(np.zeros(60), 5)[1] == 5
    assert block_means(np.zeros(60), 1)[1] == 4
    assert block_means(np.zeros(3), 5)[1] == 3
    assert growth_test(np.arange(60.0), [0.1], smoothing=5).blocks == 12


def test_smoothing_is_seen_in_what_wanders():
    rng = np.random.default_rng(9)
    walk = np.cumsum(rng.normal(size=(200, 304)), axis=1)
    smooth = np.stack([np.convolve(row, np.ones(5) / 5, "valid") for row in walk])
    assert np.median(seen_smoothing(smooth)) == pytest.approx(4, abs=1)
    assert (seen_smoothing(walk) == 1).mean() > 0.98
    assert (seen_smoothing(rng.normal(size=(200, 60))) == 1).all()


def test_what_does_not_move_says_nothing_of_smoothing():
    ramp = np.square(np.arange(40.0))
    flat = np.zeros(40)
    assert seen_smoothing(flat) == seen_smoothing(np.arange(40.0)) == 1
    assert seen_smoothing(flat, ramp) == seen_smoothing(ramp) > 4
    assert_array_equal(seen_smoothing([flat, ramp]), [1, seen_smoothing(ramp)])
    jagged = np.random.default_rng(10).normal(size=40)
    assert seen_smoothing(jagged, ramp) < seen_smoothing(ramp)


@pytest.mark.parametrize(("n", "smoothing"), [(2, 1), (5, 1), (15, 5), (29, 5)])
def test_it_abstains_from_fewer_than_six_blocks(n, smoothing):
    found = growth_test(np.arange(n, dtype=float), [0.1], smoothing=smoothing)
    assert found.abstains
    assert found.blocks < FEWEST_BLOCKS
    assert found.pvalue_greater[0] == found.pvalue_less[0] == 1
    assert np.isinf(found.high).all()


def test_one_point_is_refused():
    with pytest.raises(ValueError, match="two points"):
        growth_test([1.0], [0.1])


@pytest.mark.parametrize("n", [7, 15, 60])
def test_bounds_and_pvalues_say_the_same(n):
    series = np.cumsum(np.random.default_rng(6).normal(0.3, 0.2, (200, n)), axis=1)
    limits = np.linspace(0, 6, 7)
    found = growth_test(series, limits, levels=[0.01])
    assert_array_equal(found.pvalue_greater < 0.01, (found.low > limits) & (found.end[:, None] > limits))
    assert_array_equal(found.pvalue_less < 0.01, found.high < limits)


@pytest.mark.parametrize("n", [5, 15, 61])
def test_a_row_has_the_same_bits_alone_and_in_company(n):
    series = np.random.default_rng(7).normal(size=(33, n))
    limits, usual = np.linspace(0, 1, 66).reshape(33, 2), np.linspace(0, 1, 33)
    together = growth_test(series, limits, usual=usual)
    for row in (0, 8, 32):
        alone = growth_test(series[row], limits[row], usual=usual[row])
        for name in ("growth", "rate", "end", "low", "high", "pvalue_greater", "pvalue_less", "until"):
            assert_array_equal(getattr(together, name)[row], getattr(alone, name), err_msg=name)


@given(st.floats(-20, 20), st.integers(6, 70), st.integers(0, 1000))
def test_units_do_not_matter(log_unit, n, seed):
    unit = np.exp(log_unit)
    series = np.cumsum(np.random.default_rng(seed).normal(0.1, 1, n))
    found, scaled = growth_test(series, [0.5]), growth_test(unit * series, [0.5 * unit])
    assert_allclose(scaled.pvalue_greater, found.pvalue_greater, rtol=1e-6)
    assert_allclose(scaled.growth, unit * found.growth, rtol=1e-9)
    assert_allclose(scaled.until, found.until, rtol=1e-6, atol=1e-6)


@given(st.integers(6, 70), st.integers(0, 1000))
def test_the_sign_is_mirrored(n, seed):
    series = np.cumsum(np.random.default_rng(seed).normal(size=n))
    there, back = growth_test(series, [0.5]), growth_test(-series, [-0.5])
    assert_allclose(there.growth, -back.growth)
    assert_allclose(there.low, -back.high)
    # but for the end, growth less than the limit is a fall by more than its mirror image
    assert back.pvalue_greater[0] in (1, pytest.approx(there.pvalue_less[0]))


def test_a_memory_that_hardly_varies_and_does_not_grow_is_no_leak():
    series = 0.01 * ar1(np.random.default_rng(8), 500, 60, 0.8)
    assert (growth_test(series, [0.0]).pvalue_greater > 0.01).all()
