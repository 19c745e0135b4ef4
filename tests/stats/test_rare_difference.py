"""The exact test of a difference of rates: against SciPy, a slow oracle, and by adding up all tables."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import barnard_exact, binom, poisson

from canaryjudge.stats.rare_difference import rare_difference_pvalues
from canaryjudge.stats.rate_difference import rate_difference_pvalues


@pytest.mark.parametrize(("xc", "nc", "xb", "nb"), [(8, 400, 2, 400), (3, 300, 0, 500)])
def test_without_a_difference_it_is_barnards_test(xc, nc, xb, nb):
    # of rare events, whose binomial distribution is all but Poisson's
    table = [[xc, xb], [nc - xc, nb - xb]]
    found = rare_difference_pvalues(xc, nc, xb, nb, 0.0)
    expected = barnard_exact(table, alternative="greater", n=256).pvalue
    assert float(found.greater) == pytest.approx(expected, rel=0.02)
    turned = rare_difference_pvalues(xb, nb, xc, nc, 0.0)
    assert float(turned.less) == pytest.approx(expected, rel=0.02)


def oracle(xc, nc, xb, nb, difference, rates=300):
    """All tables one by one, at many baseline rates."""
    most = 10 * int(xc + xb + 3)

    def score(c, b):
        least = max(0.0, -difference)
        low, high = np.full(c.shape, least), least + (c + b + 1) / min(nc, nb)
        for _ in range(100):  # the slope of the likelihood falls with the baseline's rate
            rate = (low + high) / 2
            up = c * rate + b * (rate + difference) > (nc + nb) * rate * (rate + difference)
            low, high = np.where(up, rate, low), np.where(up, high, rate)
        variance = (low + difference) / nc + low / nb
        return np.where(
            variance > 0, (c / nc - b / nb - difference) / np.sqrt(np.maximum(variance, 1e-300)), 0
        )

    there = score(np.array(xc), np.array(xb))
    scores = score(*np.meshgrid(np.arange(most), np.arange(most), indexing="ij"))
    greater = less = 0.0
    for rate in max(0.0, -difference) + np.linspace(0, 5 * (xc + xb + 1) / (nc + nb), rates):
        both = np.outer(
            poisson.pmf(np.arange(most), (rate + difference) * nc), poisson.pmf(np.arange(most), rate * nb)
        )
        greater = max(greater, both[scores >= there - 1e-7].sum())
        less = max(less, both[scores <= there + 1e-7].sum())
    return greater, less


@pytest.mark.parametrize(
    "case",
    [
        (3, 1424, 0, 2417, 0.0002),
        (1, 900, 4, 1000, 0.001),
        (4, 500, 1, 2000, -0.0005),
        (2, 1000, 2, 300, 0.0),
        (2.4, 800, 1.3, 800, 0.0004),
    ],
)
def test_it_is_what_adding_up_tables_one_by_one_gives(case):
    found = rare_difference_pvalues(*case)
    # the largest of 48 rates, instead of 400, and only possible ones
    assert_allclose([float(found.greater), float(found.less)], oracle(*case), rtol=0.004)


@pytest.mark.parametrize("level", [0.05, 0.01, 0.001])
@pytest.mark.parametrize(
    ("nc", "nb", "difference"),
    [(1000, 1000, 0.001), (400, 4000, 0.002), (3000, 700, -0.0005)],
)
def test_at_most_so_many_tables_as_the_level_says_reject(nc, nb, difference, level):
    tables = np.arange(26)
    pvalues = [[rare_difference_pvalues(c, nc, b, nb, difference) for b in tables] for c in tables]
    greater, less = (
        np.array([[float(getattr(own, side)) for own in row] for row in pvalues])
        for side in ("greater", "less")
    )
    for rate in np.linspace(0.0, 8 / max(nc, nb), 17):
        # the null hypotheses hold for a whole range of differences, not only at its end
        for shift in (0.0, 0.3, 0.8):
            for rejects, true in (
                (greater <= level, difference - shift * abs(difference)),
                (less <= level, difference + shift * abs(difference)),
            ):
                baseline = rate + max(0.0, -true)
                both = np.outer(
                    poisson.pmf(tables, (baseline + true) * nc), poisson.pmf(tables, baseline * nb)
                )
                assert both[rejects].sum() <= level * 1.003


def test_shares_of_a_tenth_are_no_more_often_rejected():
    nc, nb, difference, level = 150, 200, 0.03, 0.05
    tables = [np.arange(n + 1) for n in (40, 45)]
    rejects = np.array(
        [
            [float(rare_difference_pvalues(c, nc, b, nb, difference).greater) <= level for b in tables[1]]
            for c in tables[0]
        ]
    )
    for share in (0.02, 0.05, 0.08):
        both = np.outer(binom.pmf(tables[0], nc, share + difference), binom.pmf(tables[1], nb, share))
        assert both[rejects].sum() <= level


@settings(max_examples=60, deadline=None)
@given(
    xc=st.floats(0, 60),
    xb=st.floats(0, 60),
    nc=st.floats(50, 1e5),
    nb=st.floats(50, 1e5),
    difference=st.floats(-0.05, 0.05),
)
def test_it_is_a_pvalue_that_swaps_with_the_arms_and_scales_with_their_exposure(xc, xb, nc, nb, difference):
    found = rare_difference_pvalues(xc, nc, xb, nb, difference)
    assert 0 < float(found.greater) <= 1
    assert 0 < float(found.less) <= 1
    assert float(found.greater) + float(found.less) >= 1 - 1e-9  # what was observed counts on both sides
    turned = rare_difference_pvalues(xb, nb, xc, nc, -difference)
    assert_allclose([turned.less, turned.greater], [found.greater, found.less], rtol=1e-6)
    scaled = rare_difference_pvalues(xc, nc * 60, xb, nb * 60, difference / 60)
    assert_allclose([scaled.greater, scaled.less], [found.greater, found.less], rtol=1e-6)


def test_of_many_events_bounds_of_each_rate_say_the_same():
    case = (260, 90_000, 190, 100_000, 0.0005)
    exact, bounds = rare_difference_pvalues(*case), rate_difference_pvalues(*case)
    assert float(exact.greater) == pytest.approx(float(bounds.greater), rel=0.1)
