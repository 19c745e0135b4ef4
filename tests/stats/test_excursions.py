"""Excursions: the chance by its closed forms, and the batch by a slow loop over points."""

import math
from itertools import pairwise
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import quad
from scipy.stats import binom

from canaryjudge.stats.excursions import excursion_orders, excursion_pvalue, excursion_test
from canaryjudge.stats.long_run import dependence


@pytest.mark.parametrize(("n", "m", "k"), [(6, 6, 3), (60, 60, 6), (60, 15, 3), (10, 10, 7), (30, 120, 24)])
def test_without_rarity_it_is_the_hypergeometric_chance_of_a_precedence_test(n, m, k):
    """All of the k largest of n + m points are the canary's."""
    assert excursion_pvalue(n, m, k) == pytest.approx(comb(n + m - k, n) / comb(n + m, n), rel=1e-6)


def test_published_critical_values_of_the_precedence_test():
    """Nelson (1963): of 10 and 10 points, five or more before the first of the other sample have a chance of .0163."""
    assert excursion_pvalue(10, 10, 5) == pytest.approx(0.0163, abs=5e-5)


@pytest.mark.parametrize(
    ("n", "m", "k", "rarity"), [(60, 60, 3, 0.2), (20, 10, 6, 0.5), (7.5, 7.5, 1.5, 0.03)]
)
def test_the_chance_is_the_integral_over_the_share_beyond_the_largest(n, m, k, rarity):
    def density(u):
        if k == int(k) and m == int(m):
            chance = binom.sf(k - 1, m, u * rarity)
        else:
            from scipy.stats import beta

            chance = beta.cdf(u * rarity, k, m - k + 1)
        return chance * n * (1 - u) ** (n - 1)

    assert excursion_pvalue(n, m, k, rarity) == pytest.approx(quad(density, 0, 1, epsabs=1e-14)[0], rel=1e-5)


def by_hand(baseline, canary, margin, most_independent=1.0):
    """The same, point by point."""
    n, m = len(baseline), len(canary)
    middle, largest = float(np.median(baseline)), max(baseline)
    flat = largest <= middle
    shown = dependence([float(point > largest + margin) for point in canary] if flat else baseline)
    rho = min(float(shown) + 4 / n, 0.97)
    independent = min((1 - rho) / (1 + rho), most_independent)
    order_of_places = sorted(range(m), key=lambda i: -canary[i])
    best, asked = 1.0, excursion_orders(m)
    for order in asked:
        height = canary[order_of_places[order - 1]] - (middle + margin)
        if not height > largest - middle:
            continue
        times = 1.0 if flat else height / (largest - middle)
        places = sorted(order_of_places[:order])
        clusters = 1 + sum(b - a > 2.3 / -math.log(max(rho, 0.01)) for a, b in pairwise(places))
        count = max(order * independent, min(clusters, max(m * most_independent, 1.0)))
        size = max(n * independent, 1.0)
        rarity = times ** -min(2.0, size / 4)
        chance = float(excursion_pvalue(size, max(m * independent, count), count, rarity))
        best = min(best, len(asked) * chance)
    return best


ROUND = st.integers(-40, 40).map(lambda number: number / 4)


@given(
    arrays(float, st.integers(6, 40), elements=ROUND),
    arrays(float, st.integers(6, 40), elements=ROUND),
    st.sampled_from([0.0, 0.5, 3.0]),
    st.sampled_from([1.0, 0.1]),
)
def test_the_batch_agrees_with_a_loop_over_points(baseline, canary, margin, most_independent):
    found = excursion_test(baseline, canary, [margin], most_independent=most_independent)
    assert float(found.pvalue[0]) == pytest.approx(
        by_hand(list(baseline), list(canary), margin, most_independent)
    )
    assert int(found.beyond[0]) == sum(canary > max(baseline) + margin)


@given(arrays(float, (2, 30), elements=ROUND), st.sampled_from([0.5, 4.0]), st.sampled_from([-7.0, 1000.0]))
def test_units_and_origin_do_not_matter(pair, scale, shift):
    plain = excursion_test(pair[0], pair[1], [1.0])
    other = excursion_test(scale * pair[0] + shift, scale * pair[1] + shift, [scale])
    assert float(other.pvalue[0]) == pytest.approx(float(plain.pvalue[0]), rel=1e-6)


def test_a_batch_is_its_rows():
    rng = np.random.default_rng(4)
    baseline, canary = rng.lognormal(size=(5, 40)), 2 * rng.lognormal(size=(5, 25))
    whole = excursion_test(baseline, canary, [0.0, 1.0])
    for row in range(5):
        one = excursion_test(baseline[row], canary[row], [0.0, 1.0])
        assert whole.pvalue[row].tolist() == one.pvalue.tolist()


@pytest.mark.parametrize("canary", [[1.0, 2.0], [5.0] * 6, [1e308] * 6, [-1e308] * 6])
@pytest.mark.parametrize("baseline", [[0.0] * 6, [1e-300, 0, 0, 0, 0, 0], [1.0, 2, 3, 4, 5, 6]])
def test_the_smallest_and_the_largest_numbers_do_no_harm(baseline, canary):
    found = excursion_test(baseline, canary, [0.0])
    assert 0 <= float(found.pvalue[0]) <= 1
