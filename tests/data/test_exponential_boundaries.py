"""The boundaries of exponential layouts."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryjudge.data.exponential_histograms import on_a_grid, powers, snapped, without_finest

INF = math.inf


@pytest.mark.parametrize(
    ("index", "scale", "expected"),
    [
        # 2 ** (index * 2 ** -scale) to 20 digits, by bc
        (1, 1, 1.41421356237309504880),
        (1, 3, 1.09050773266525765920),
        (-1, 3, 0.91700404320467123174),
        (3, -1, 64.0),
        (-2, -10, 0.0),
        (1, 20, 1.0000006610368820742),
        (1023, 0, 2.0**1023),
        (1024, 0, INF),
        (-1074, 0, 5e-324),
        (-1075, 0, 0.0),
        (2**31 - 1, 0, INF),
        (-(2**31), 20, 0.0),
        (2**31, -10, INF),
    ],
)
def test_boundaries_of_exponential_layouts(index, scale, expected):
    assert powers([index], scale).tolist() == [expected]


@given(st.integers(-(2**31), 2**31), st.integers(-10, 19))
def test_the_same_boundary_is_the_same_float_at_every_scale(index, scale):
    assert powers([index], scale).tolist() == powers([2 * index], scale + 1).tolist()


@given(st.integers(-(2**20), 2**20), st.integers(-10, 20))
def test_boundaries_ascend_and_lie_on_a_grid(index, scale):
    low, high = powers([index, index + 1], scale)
    assert low < high or not (low > 0 and high < INF)
    if 1e-300 < low < 1e300:
        assert on_a_grid(np.array([low])).all()
        assert without_finest(np.array([low, INF]), max(scale, 0)).tolist()[0] == low
        assert snapped(np.array([np.nextafter(low, INF)])).tolist() in ([low], [np.nextafter(low, INF)])


def test_boundaries_of_finer_scales_are_told_apart():
    edges = np.concatenate([[0.0, 0.3], powers(np.arange(1, 17), 4), [INF]])
    kept = without_finest(edges, 3).tolist()
    assert kept == [0.0, 0.3, *powers(np.arange(1, 9), 3).tolist(), INF]
    assert without_finest(edges, 0).tolist() == [0.0, 0.3, 2.0, INF]


def test_boundaries_that_were_rounded_otherwise_are_recognized():
    """The bounds of Prometheus's schema 3 as it prints them: some miss the power by one unit in the last place."""
    printed = [0.5, 0.5452538663326288, 0.5946035575013605, 0.6484197773255048]
    printed += [0.7071067811865475, 0.7711054127039704, 0.8408964152537144, 0.9170040432046711]
    assert snapped(np.array(printed)).tolist() == powers(np.arange(-8, 0), 3).tolist()
    assert snapped(-np.array(printed)).tolist() == (-powers(np.arange(-8, 0), 3)).tolist()
    others = [0.0, 0.7, -0.3, INF, -INF, 0.7071067811866, 1e-320]
    assert snapped(np.array(others)).tolist() == others


def test_powers_are_correctly_rounded():
    """The nearest double of 2 ** (numerator / 2 ** scale): its square root's neighbors lie on both sides."""
    for numerator in range(1, 32):
        root = powers([numerator], 5)[0]
        below, above = (Fraction(np.nextafter(root, side)) + Fraction(root) for side in (0.0, 2.0))
        assert (below / 2) ** 32 <= 2**numerator <= (above / 2) ** 32
