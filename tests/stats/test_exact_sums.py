"""Sums that are the same to the bit in any order, and exact in multiples of 2^-40."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryjudge.stats.exact_sums import ExactSum

UNIT = Fraction(1, 2**40)
terms = st.lists(st.floats(-1e12, 1e12) | st.floats(-1, 1), min_size=1, max_size=40)


def summed(numbers):
    sums = ExactSum(())
    for number in numbers:
        sums.add(number)
    return sums


def exact(sums):
    return Fraction(int(sums.whole)) + Fraction(int(sums.parts)) * UNIT


@given(terms, st.randoms(use_true_random=False), st.integers(0, 40))
def test_any_order_and_division_of_the_terms_gives_the_same_bits(numbers, random, cut):
    forward = summed(numbers)
    shuffled = random.sample(numbers, len(numbers))
    first, second = summed(shuffled[:cut]), summed(shuffled[cut:])
    at_once = ExactSum(())
    at_once.add_all(shuffled)
    first.merge(second)
    for other in (first, at_once):
        assert (other.whole, other.parts) == (forward.whole, forward.parts)
        assert other.value.tobytes() == forward.value.tobytes()


@given(terms)
def test_the_sum_is_that_of_the_terms_rounded_one_by_one(numbers):
    rounded = sum(Fraction(round(Fraction(number) / UNIT)) * UNIT for number in numbers)
    assert abs(exact(summed(numbers)) - rounded) <= len(numbers) * UNIT
    assert abs(exact(summed(numbers)) - sum(map(Fraction, numbers))) <= len(numbers) * UNIT / 2


@given(st.lists(st.integers(-(2**50), 2**50), max_size=100))
def test_whole_numbers_are_added_exactly(numbers):
    assert exact(summed(map(float, numbers))) == sum(numbers)


def test_large_and_small_terms_do_not_swallow_each_other():
    sums = summed([1e15, 2.0**-40, -1e15, 2.0**-40])
    assert float(sums.value) == 2.0**-39


def test_the_part_behind_the_point_is_kept_below_one():
    sums = summed([-0.25] * 10)
    assert (int(sums.whole), float(sums.parts * float(UNIT))) == (-3, 0.5)
    assert float(sums.value) == -2.5
    # 1 - 2^-50 rounds up to the next whole number
    assert float(summed([1 - 2.0**-50]).value) == 1.0


def test_a_copy_goes_on_by_itself():
    sums = summed([1.5])
    twin = sums.copy()
    twin.add(1.0)
    assert (float(sums.value), float(twin.value)) == (1.5, 2.5)


def test_merging_leaves_the_other_as_it_is():
    first, second = summed([0.75]), summed([0.75])
    first.merge(second)
    assert (float(first.value), float(second.value)) == (1.5, 0.75)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_sums_of_arrays_are_added_place_by_place(shape):
    numbers = np.random.default_rng(1).normal(size=(20, *shape))
    sums, one = ExactSum(shape), ExactSum(shape)
    sums.add_all(numbers)
    for number in numbers:
        one.add(number)
    assert sums.value.shape == shape
    assert (sums.value == one.value).all()
    np.testing.assert_allclose(sums.value, numbers.sum(axis=0), atol=1e-10)
    sums.add_all(np.empty((0, *shape)))
    assert (sums.value == one.value).all()


def test_a_term_counts_up_to_a_quadrillion():
    assert float(summed([1e300]).value) == 2.0**50
    assert float(summed([-np.inf, 1.0]).value) == 1 - 2.0**50
